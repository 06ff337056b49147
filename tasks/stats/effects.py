"""Effects of a treatment on an outcome measured once, by weighting."""

import numpy as np
from numpy.typing import ArrayLike

from tasks.core.errors import EstimationError
from tasks.stats.inference import Contrast, difference
from tasks.stats.inputs import FloatArray, case_weights, flags


def weighted_mean_difference(
    outcome: ArrayLike,
    treated: ArrayLike,
    weights: ArrayLike | None = None,
    level: float = 0.95,
) -> Contrast:
    """Weighted mean of the treated less that of the others, with the HC0 sandwich variance.

    Args:
        outcome: Outcome of each person, shape (n,), finite.
        treated: True for the treated, shape (n,).
        weights: Inverse-probability or other weights, shape (n,), all > 0, taken as known.
        level: Confidence level.

    Returns:
        Difference in the unit of the outcome, Wald interval.

    Raises:
        EstimationError: An arm is empty, an outcome is missing, or an input is not usable.

    Source:
        White (1980). Agrees with R `lm(weights=)` and sandwich `vcovHC(type = "HC0")`.
    """
    y = np.asarray(outcome, dtype=np.float64)
    arm = flags(treated, y.shape, "treated")
    weight = np.ones(y.size) if weights is None else case_weights(weights, y.size)
    missing = int((~np.isfinite(y)).sum())
    if missing or not 0 < arm.sum() < y.size:
        raise EstimationError(
            "weighted_mean_difference",
            f"{missing} outcomes missing, {int(arm.sum())} treated of {y.size}",
            "drop or impute missing outcomes, and compare two arms that both have members.",
        )
    (mean_1, var_1), (mean_0, var_0) = (_mean(y[a], weight[a]) for a in (arm, ~arm))
    return difference(mean_1 - mean_0, float(np.sqrt(var_1 + var_0)), level)


def _mean(y: FloatArray, weight: FloatArray) -> tuple[float, float]:
    """Weighted mean and its robust variance, over sorted rows."""
    order = np.lexsort((weight, y))
    y, share = y[order], weight[order] / weight[order].sum()
    mean = float((share * y).sum())
    return mean, float(((share * (y - mean)) ** 2).sum())
