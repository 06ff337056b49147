"""Operating points: the best thresholds that R pROC finds for twenty cases."""

from tasks.stats.diagnostic.roc_curve import Choice, choose, curve_of
from tests.methods.pages import Witness
from tests.reference import roc_small as small


def _of(score, choice, side):
    return lambda: getattr(choose(curve_of(score, small.TRUTH), choice), side)


_YOUDEN, _COSTS = Choice("youden"), Choice("cost", 0.0, 5.0, 0.2)
_SIDES = ("threshold", "sensitivity", "specificity")
WITNESSES = [
    *(
        Witness(f"Youden, {side}", 'coords(A, "best"), pROC 1.18.0', printed, _of(small.A, _YOUDEN, side), 1e-9)
        for side, printed in zip(_SIDES, small.BEST_A, strict=True)
    ),
    *(
        Witness(f"costs 5 to 1, prevalence 0.2, {side}", 'coords(B, "best", best.weights = c(5, .2)), pROC 1.18.0', printed, _of(small.B, _COSTS, side), 1e-9)
        for side, printed in zip(_SIDES, small.BEST_B_COSTS, strict=True)
    ),
]  # fmt: skip
