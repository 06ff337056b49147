"""Reader studies: an area small enough to be counted by hand, and R's tests of readers.

Areas of four readers in two modalities, from R 4.2.2:
    t.test(B, A, paired = TRUE)      # fixed cases, crossed readers
    t.test(B, A, var.equal = TRUE)   # fixed cases, readers in modalities
"""

import numpy as np

from tasks.stats.diagnostic.reader_figures import area
from tasks.stats.diagnostic.reader_study import ReaderStudy
from tests.methods.pages import Witness

_A, _B = [0.78, 0.82, 0.75, 0.88], [0.84, 0.85, 0.83, 0.90]
_COVARIANCE = np.eye(8) * 1e-3
_SCORE = np.array([1, 2, 3, 4, 5, 2, 3, 3, 5, 5.0])
_TRUTH = np.array([False] * 5 + [True] * 5)


def _of(is_nested, side):
    study = ReaderStudy(np.array([_A, _B]), _COVARIANCE, is_nested)
    return lambda: getattr(study.difference(1, 0, "fixed_cases"), side)


_PAIRED = "t.test(B, A, paired = TRUE)"
_APART = "t.test(B, A, var.equal = TRUE)"
WITNESSES = [
    Witness("area, ties count half", "wilcox.test(x, y)$statistic / 25", 0.62, lambda: area(_SCORE, _TRUTH), 1e-9),
    Witness("t, fixed cases, crossed", _PAIRED, 3.44979693621, _of(False, "statistic"), 1e-6),
    Witness("p, fixed cases, crossed", _PAIRED, 0.04094273775, _of(False, "p_value"), 1e-6),
    Witness("t, fixed cases, readers in modalities", _APART, 1.4791479939, _of(True, "statistic"), 1e-6),
    Witness("p, fixed cases, readers in modalities", _APART, 0.1895868593, _of(True, "p_value"), 1e-6),
]  # fmt: skip
