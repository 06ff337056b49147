"""How alike two arms are in covariates: moments, variances and whole distributions.

Covariates are an array or a scipy sparse matrix, which stays sparse: what is computed from it takes
memory by its non-zeros. Rows of a sparse matrix must come in an order of their own.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse

from tasks.stats.inputs import BoolArray, FloatArray, case_weights, design_matrix, flags, row_order

_NOTHING = 1e-20


@dataclass(frozen=True, slots=True, eq=False)
class Moments:
    """Mean and variance of each column, shape (p,), and how many rows of it are not 0."""

    mean: FloatArray
    variance: FloatArray
    n_filled: FloatArray


def moments(x: Any, weights: FloatArray) -> Moments:
    """Weighted mean and variance of each column; the weights are taken as reliabilities.

    Args:
        x: Covariates, an array or a CSR matrix, shape (n, p).
        weights: Weights, shape (n,), 0 for who is left out.
    """
    total = float(weights.sum())
    mean = np.asarray(weights @ x / total)
    rest = 1 - float(weights @ weights) / total**2
    spread = _spread(x, weights / total, mean)
    spread[spread <= _NOTHING * mean**2] = 0.0  # rounding of a column that is constant
    variance = spread / rest if rest > 0 else np.zeros(mean.size)
    return Moments(mean, variance, _n_filled(x, weights))


def is_binary(x: Any) -> BoolArray:
    """Columns that hold 0 and 1 alone, shape (p,)."""
    if not _is_sparse(x):
        return np.asarray(((x == 0) | (x == 1)).all(axis=0))
    other = (x.data != 0) & (x.data != 1)
    return np.asarray(np.bincount(x.indices[other], minlength=x.shape[1]) == 0)


def variance_ratios(x: Any, treated: ArrayLike, weights: ArrayLike | None = None) -> FloatArray:
    """Variance in the treated over that in the others, one a column; NaN where that is 0.

    Args:
        x: Covariates, an array or a sparse matrix, shape (n, p).
        treated: True for the treated, shape (n,).
        weights: Weights, shape (n,), 0 for who is left out; taken as reliabilities.
    """
    matrix, arm, weight = balance_rows(x, treated, weights)
    one, other = (moments(matrix[a], weight[a]).variance for a in (arm, ~arm))
    return np.asarray(np.divide(one, other, out=np.full(one.size, np.nan), where=other > 0))


def ks_statistics(x: Any, treated: ArrayLike, weights: ArrayLike | None = None) -> FloatArray:
    """Largest distance of the arms' weighted distribution functions, one a column.

    Args:
        x: Covariates, an array or a sparse matrix, shape (n, p).
        treated: True for the treated, shape (n,).
        weights: Weights, shape (n,), 0 for who is left out.
    """
    matrix, arm, weight = balance_rows(x, treated, weights)
    share = np.where(arm, weight / weight[arm].sum(), -weight / weight[~arm].sum())
    if not _is_sparse(matrix):
        return np.array([_distance(column, share) for column in matrix.T])
    columns: Any = sparse.csc_array(matrix)
    cells = zip(columns.indptr[:-1], columns.indptr[1:], strict=True)
    return np.array([_sparse_distance(columns, slice(*ends), share) for ends in cells])


def balance_rows(
    x: Any, treated: ArrayLike, weights: ArrayLike | None
) -> tuple[Any, BoolArray, FloatArray]:
    """Return covariates, arm and weight of each row; those of an array in a canonical order.

    Raises:
        EstimationError: An input is not usable.
    """
    matrix: Any = sparse.csr_array(x) if _is_sparse(x) else design_matrix(x, np.size(treated))
    arm = flags(treated, (matrix.shape[0],), "treated")
    given = np.ones(arm.size) if weights is None else weights
    weight = case_weights(given, arm.size, zero_allowed=True)
    if _is_sparse(matrix):
        return matrix, arm, weight
    order = row_order((arm, weight), matrix)
    return matrix[order], arm[order], weight[order]


def _is_sparse(x: Any) -> bool:
    return bool(sparse.issparse(x))


def _spread(x: Any, share: FloatArray, mean: FloatArray) -> FloatArray:
    if not _is_sparse(x):
        return np.asarray(share @ (x - mean) ** 2)
    there = sparse.csr_array((np.ones_like(x.data), x.indices, x.indptr), x.shape)
    gone = sparse.csr_array(((x.data - mean[x.indices]) ** 2, x.indices, x.indptr), x.shape)
    is_full = np.bincount(x.indices, minlength=x.shape[1]) == x.shape[0]
    absent = np.where(is_full, 0.0, np.maximum(1 - share @ there, 0.0))
    return np.asarray(share @ gone + absent * mean**2)


def _n_filled(x: Any, weights: FloatArray) -> FloatArray:
    kept = x[weights > 0]
    if not _is_sparse(kept):
        return np.asarray(np.count_nonzero(kept, axis=0), dtype=np.float64)
    filled = kept.indices[kept.data != 0]
    return np.asarray(np.bincount(filled, minlength=x.shape[1]), dtype=np.float64)


def _distance(column: FloatArray, share: FloatArray) -> float:
    order = np.argsort(column, kind="stable")
    last = np.append(np.diff(column[order]) > 0, True)
    return float(abs(np.cumsum(share[order])[last]).max())


def _sparse_distance(columns: Any, cells: slice, share: FloatArray) -> float:
    """The shares of all rows add up to 0, so that those of the zeros are known from the others."""
    mine = share[columns.indices[cells]]
    return _distance(np.append(columns.data[cells], 0.0), np.append(mine, -mine.sum()))
