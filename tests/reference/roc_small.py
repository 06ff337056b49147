"""Twenty cases read by two devices, with ties, and what R says of them.

R 4.2.2, pROC 1.18.0:
    A <- roc(truth, a, levels = c(0, 1), direction = "<"); B likewise
    roc.test(A, B, paired = TRUE, method = "delong")     # PAIRED: Z, p, limits
    roc.test(A, B, paired = FALSE, method = "delong")    # UNPAIRED: D, df, p
    ci(A); ci(B); cov(A, B)
    auc(A, partial.auc = c(1, 0.7), partial.auc.focus = "sp", partial.auc.correct = FALSE) ...
    coords(A, x = c(.6, .8, .9), input = "specificity", ret = "sensitivity")
    coords(A, "best"); coords(B, "best", best.weights = c(5, .2))
"""

import numpy as np

TRUTH = np.array([1] * 8 + [0] * 12) == 1
A = np.array([9, 7, 8, 5, 6, 8, 3, 7, 4, 2, 5, 1, 6, 3, 2, 4, 7, 1, 3, 5.0])
B = np.array([6, 8, 5, 4, 7, 6, 2, 9, 5, 3, 4, 2, 6, 1, 4, 7, 5, 3, 2, 6.0])
AREAS = {"a": 0.8697916666667, "b": 0.7447916666667}
LIMITS = {"a": (0.705428868829, 1.0), "b": (0.510220566096, 0.979362767237)}
COVARIANCE = 0.00755814281205
PAIRED = (1.5824237866799, 0.1135528580868, -0.0298229368958, 0.2798229368958)
UNPAIRED = (0.855359411513, 34.033171788052, 0.398334133334)
PARTS = {
    ("specificity", False): (0.2056250, 0.1415625),
    ("specificity", True): (0.814950980392, 0.689338235294),
    ("sensitivity", False): (0.188333333333, 0.114166666667),
    ("sensitivity", True): (0.781045751634, 0.635620915033),
}
AT_SPECIFICITY = {0.6: 0.875, 0.8: 0.775, 0.9: 0.65}
AT_SENSITIVITY = {0.6: 0.925, 0.8: 0.766666666667, 0.9: 0.466666666667}
BEST_A = (5.5, 0.75, 0.833333333333)
BEST_B_COSTS = (5.5, 0.625, 0.75)


def both():
    """Scores, truth, units and modality of both devices (0 is b), one under the other."""
    n = TRUTH.size
    return (
        np.append(B, A), np.append(TRUTH, TRUTH), np.tile(np.arange(n), 2), np.repeat([0, 1], n),
    )  # fmt: skip
