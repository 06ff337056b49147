"""How alike two arms are in a covariate, beyond its mean: variances and whole distributions."""

import numpy as np
from numpy.typing import ArrayLike

from tasks.stats.inputs import BoolArray, FloatArray, case_weights, design_matrix, flags, row_order


def variance_ratios(
    x: ArrayLike, treated: ArrayLike, weights: ArrayLike | None = None
) -> FloatArray:
    """Variance in the treated over that in the others, one a column; NaN where that is 0.

    Args:
        x: Covariates, shape (n, p).
        treated: True for the treated, shape (n,).
        weights: Weights, shape (n,), 0 for who is left out; taken as reliabilities.
    """
    matrix, arm, weight = _rows(x, treated, weights)
    one, other = (_variances(matrix[a], weight[a]) for a in (arm, ~arm))
    return np.asarray(np.divide(one, other, out=np.full(one.size, np.nan), where=other > 0))


def ks_statistics(x: ArrayLike, treated: ArrayLike, weights: ArrayLike | None = None) -> FloatArray:
    """Largest distance of the arms' weighted distribution functions, one a column.

    Args:
        x: Covariates, shape (n, p).
        treated: True for the treated, shape (n,).
        weights: Weights, shape (n,), 0 for who is left out.
    """
    matrix, arm, weight = _rows(x, treated, weights)
    share = np.where(arm, weight / weight[arm].sum(), -weight / weight[~arm].sum())
    found = np.zeros(matrix.shape[1])
    for place, column in enumerate(matrix.T):
        order = np.argsort(column, kind="stable")
        last = np.append(np.diff(column[order]) > 0, True)
        found[place] = abs(np.cumsum(share[order])[last]).max()
    return found


def _rows(
    x: ArrayLike, treated: ArrayLike, weights: ArrayLike | None
) -> tuple[FloatArray, BoolArray, FloatArray]:
    matrix = design_matrix(x, np.size(treated))
    arm = flags(treated, (matrix.shape[0],), "treated")
    given = np.ones(arm.size) if weights is None else weights
    weight = case_weights(given, arm.size, zero_allowed=True)
    order = row_order((arm, weight), matrix)
    return matrix[order], arm[order], weight[order]


def _variances(x: FloatArray, weight: FloatArray) -> FloatArray:
    share = weight / weight.sum()
    spread = share @ (x - share @ x) ** 2
    rest = 1 - float(share @ share)
    return np.asarray(spread / rest) if rest > 0 else np.zeros(x.shape[1])
