"""Entropy balancing: weights of the others whose means are exactly those of the treated."""

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from tasks.core.errors import EstimationError
from tasks.stats.estimated_weights import EstimatedWeights
from tasks.stats.inputs import BoolArray, FloatArray, design_matrix, flags, row_order

_MAX_STEPS = 200
_EXACT = 1e-8  # largest difference of means left, in standard deviations of the treated


def entropy_balanced(x: ArrayLike, treated: ArrayLike) -> EstimatedWeights:
    """Weights of the others, nearest to equal ones, with the treated's means of every column.

    Args:
        x: Covariates, shape (n, p); give squares and products to balance them too.
        treated: True for the treated, shape (n,).

    Returns:
        1 for the treated; weights of the others that add up to the number of the treated; with
        the gradient by, and influence on, means, multipliers and norm.

    Raises:
        EstimationError: An arm is empty, or no positive weights reach those means: they lie
            outside the convex hull of the others.

    Source:
        Hainmueller (2012) Political Analysis 20, by Newton steps on the dual.
    """
    matrix = design_matrix(x, np.size(treated))
    arm = flags(treated, (matrix.shape[0],), "treated")
    if not 0 < arm.sum() < arm.size:
        what = f"{int(arm.sum())} of {arm.size} rows are treated"
        raise EstimationError("entropy balancing", what, "compare two arms that have members.")
    order = row_order((arm,), matrix)
    centre = matrix[order][arm[order]].mean(axis=0)
    scale = matrix[order].std(axis=0)
    scale[scale <= 1e-12 * abs(centre)] = 1.0
    apart = (matrix - centre) / scale
    others = order[~arm[order]]
    multiplier = _solve(apart[others])
    return _with_gradient(apart, arm, multiplier)


def _solve(apart: FloatArray) -> FloatArray:
    """Multipliers at the least of the dual log sum exp, from zero; steps halve while it rises."""
    at = np.zeros(apart.shape[1])
    value = _dual(apart, at)
    for _ in range(_MAX_STEPS):
        share = special.softmax(apart @ at)
        gap = share @ apart
        if abs(gap).max() < _EXACT * 1e-2:
            return at
        curve = apart.T @ (share[:, None] * apart) - np.outer(gap, gap)
        step = _step(curve, gap)
        size = 1.0
        while size > 1e-10 and _dual(apart, at - size * step) > value + 1e-14 * (1 + abs(value)):
            size /= 2
        at, value = at - size * step, _dual(apart, at - size * step)
        if not np.isfinite(value) or abs(at).max() > 1e4:
            break
    if abs(special.softmax(apart @ at) @ apart).max() < _EXACT:
        return at
    raise EstimationError(
        "entropy balancing",
        "no positive weights of the comparator reach the means of the treated",
        "drop covariates, or powers of them, on which the arms do not overlap.",
    )


def _step(curve: FloatArray, gap: FloatArray) -> FloatArray:
    """A Newton step; columns that repeat others take part once."""
    return np.asarray(np.linalg.lstsq(curve, gap, rcond=1e-12)[0])


def _dual(apart: FloatArray, at: FloatArray) -> float:
    return float(special.logsumexp(apart @ at))


def _with_gradient(apart: FloatArray, arm: BoolArray, at: FloatArray) -> EstimatedWeights:
    n_treated = float(arm.sum())
    share = np.zeros(arm.size)
    share[~arm] = special.softmax(apart[~arm] @ at)
    weight = np.where(arm, 1.0, n_treated * share)
    other = np.where(arm, 0.0, weight)
    # Means, multipliers and norm; the sum of the others' weights is n_treated.
    of_mean = arm[:, None] * apart / n_treated
    curve = apart.T @ (other[:, None] * apart)
    moment = other[:, None] * apart - n_treated * of_mean
    of_multiplier = -np.linalg.lstsq(curve, moment.T, rcond=1e-12)[0].T
    of_norm = (arm - other) / n_treated + of_mean @ at
    return EstimatedWeights(
        weight,
        np.column_stack([-other[:, None] * at, other[:, None] * apart, other]),
        np.column_stack([of_mean, of_multiplier, of_norm]),
    )
