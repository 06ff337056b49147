"""Several tests of one study: p-values adjusted so that they may be read together."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from tasks.core.errors import EstimationError
from tasks.stats.inputs import FloatArray, same_shape


@dataclass(frozen=True, slots=True)
class Heterogeneity:
    """A test that independent estimates are all of one effect, which `pooled` estimates."""

    statistic: float
    df: int
    p_value: float
    pooled: float


def holm(p_values: ArrayLike) -> FloatArray:
    """Adjust p-values so that the chance of any false finding is held, in their order.

    Source:
        Holm (1979) Scand J Stat 6:65. Agrees with R `p.adjust(method = "holm")`.
    """
    p, order = _sorted(p_values)
    steps = np.maximum.accumulate(p[order] * np.arange(p.size, 0, -1))
    return _back(np.minimum(steps, 1.0), order)


def benjamini_hochberg(p_values: ArrayLike) -> FloatArray:
    """Adjust p-values so that the share of false findings is held, in their order.

    Source:
        Benjamini & Hochberg (1995) J R Stat Soc B 57:289. Agrees with R `p.adjust(method = "BH")`.
    """
    p, order = _sorted(p_values)
    scaled = p[order] * p.size / np.arange(1, p.size + 1)
    steps = np.minimum.accumulate(scaled[::-1])[::-1]
    return _back(np.minimum(steps, 1.0), order)


def heterogeneity(estimates: ArrayLike, std_errors: ArrayLike) -> Heterogeneity:
    """Test whether estimates of separate people differ: Cochran's Q.

    Args:
        estimates: An estimate each group, shape (g,), g >= 2; logarithms of ratios.
        std_errors: Their standard errors, shape (g,), all > 0.

    Raises:
        EstimationError: There are fewer than two groups, or a value is not usable.

    Source:
        Cochran (1954) Biometrics 10:101; of two groups it is the test of Altman & Bland (2003)
        BMJ 326:219.
    """
    y, s = np.asarray(estimates, np.float64), np.asarray(std_errors, np.float64)
    same_shape(y, s.shape, "groups")
    if y.size < 2 or not (np.isfinite(y).all() and np.isfinite(s).all() and (s > 0).all()):
        what = f"{y.size} groups with an estimate and a standard error above 0; 2 are needed"
        raise EstimationError("heterogeneity", what, "take coarser groups.")
    weight = 1 / s**2
    pooled = float((weight * y).sum() / weight.sum())
    q = float((weight * (y - pooled) ** 2).sum())
    return Heterogeneity(q, y.size - 1, float(special.chdtrc(y.size - 1, q)), pooled)


def _sorted(p_values: ArrayLike) -> tuple[FloatArray, np.ndarray]:
    p = np.asarray(p_values, dtype=np.float64)
    if p.ndim != 1 or not ((p >= 0) & (p <= 1)).all():
        what = "a p-value is missing, or not between 0 and 1"
        raise EstimationError("multiplicity", what, "leave out what could not be tested.")
    return p, np.argsort(p, kind="stable")


def _back(adjusted: FloatArray, order: np.ndarray) -> FloatArray:
    result = np.empty_like(adjusted)
    result[order] = adjusted
    return result
