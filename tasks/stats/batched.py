"""Models fitted to many resamples at once: one column of weights each, one pass of matrix products.

Rows have weight 0 where a resample left them out. A column whose fit does not settle is NaN.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import special

from tasks.stats.inputs import BoolArray, FloatArray, IntArray

_MAX_STEPS = 25
_SETTLED = 1e-9
_FAR = 30.0  # a linear predictor beyond which a fit has run away


@dataclass(frozen=True, slots=True, eq=False)
class Products:
    """Covariates, shape (n, p), and the products of each pair of them, shape (n, p (p + 1) / 2)."""

    x: FloatArray
    pairs: FloatArray
    rows: IntArray
    columns: IntArray

    def information(self, weight: FloatArray) -> FloatArray:
        """Weighted cross-product of the covariates for each column of weights, shape (b, p, p)."""
        return self.unfold(weight.T @ self.pairs)

    def unfold(self, sums: FloatArray) -> FloatArray:
        """Symmetric matrices, shape (b, p, p), from sums of the pairs, shape (b, pairs)."""
        p = self.x.shape[1]
        full = np.empty((sums.shape[0], p, p))
        full[:, self.rows, self.columns] = sums
        full[:, self.columns, self.rows] = sums
        return full


def products(x: FloatArray) -> Products:
    """Covariates with the products of each pair."""
    rows, columns = np.triu_indices(x.shape[1])
    return Products(x, x[:, rows] * x[:, columns], rows, columns)


def settle(
    newton: Callable[[FloatArray], tuple[FloatArray, FloatArray]], start: FloatArray
) -> FloatArray:
    """Newton's method in all columns at once, from `start`, shape (b, p).

    Args:
        newton: From coefficients, (b, p), to scores, (b, p), and informations, (b, p, p).
        start: Where to begin: the coefficients of the whole sample.

    Returns:
        Coefficients, shape (b, p); NaN for a column that did not settle.
    """
    beta = start.copy()
    step = np.full_like(beta, np.inf)
    for _ in range(_MAX_STEPS):
        with np.errstate(all="ignore"):
            score, information = newton(beta)
            step = solved(information, score)
            beta = beta + np.clip(step, -2, 2)
        size = abs(step)
        if not (size > _SETTLED).any():
            break
    is_good = (abs(step) <= _SETTLED) & (abs(beta) < _FAR)
    return np.where(is_good.all(axis=1, keepdims=True), beta, np.nan)


def solved(matrices: FloatArray, vectors: FloatArray) -> FloatArray:
    """Solutions of each system, shape (b, p); NaN where a matrix is singular or not finite."""
    p = vectors.shape[1]
    size = np.trace(matrices, axis1=1, axis2=2)
    usable = np.asarray(np.isfinite(matrices).all(axis=(1, 2)), dtype=np.bool_)
    usable &= size > 0
    safe = np.where(usable[:, None, None], matrices, np.eye(p))
    usable &= np.linalg.cond(safe) < 1e12
    safe = np.where(usable[:, None, None], safe, np.eye(p))
    found = np.linalg.solve(safe, vectors[:, :, None])[:, :, 0]
    return np.where(usable[:, None], found, np.nan)


def logistic_columns(
    data: Products, outcome: FloatArray, weight: FloatArray, start: FloatArray
) -> FloatArray:
    """Logistic regression for each column of weights.

    Args:
        data: Covariates with a first column of ones.
        outcome: 0 or 1, shape (n,).
        weight: Weights of the rows, shape (n, b).
        start: Coefficients of the whole sample, shape (p,).

    Returns:
        Coefficients, shape (b, p); NaN where a column separates the outcomes.
    """

    def newton(beta: FloatArray) -> tuple[FloatArray, FloatArray]:
        fitted = special.expit(data.x @ beta.T)
        score = (weight * (outcome[:, None] - fitted)).T @ data.x
        return score, data.information(weight * fitted * (1 - fitted))

    return settle(newton, np.tile(start, (weight.shape[1], 1)))


@dataclass(frozen=True, slots=True, eq=False)
class Starts:
    """Who is at risk of starting treatment, and when they start: rows sorted by end of risk.

    n rows, k distinct moments of a start.
    """

    data: Products
    moment: FloatArray  # (k,), times of the starts
    first: IntArray  # (k,), first row at risk at each moment
    passed: IntArray  # (n,), moments that each row is at risk at
    begun: IntArray  # rows that start, in the order of the rows
    begins: IntArray  # (k,), place in `begun` of the first start of each moment
    entered: IntArray  # (n,), moments that have passed when each row enters
    late: IntArray  # rows that enter after some moment, by their entry
    late_first: IntArray  # (k,), first of `late` that enters at or after each moment


def sort_starts(
    end: FloatArray, started: FloatArray, x: FloatArray, entry: FloatArray | None = None
) -> tuple[Starts, IntArray]:
    """Risk sets of starting, and the order of rows they stand in.

    Args:
        end: When each row's risk of starting ends, shape (n,).
        started: 1 where it ends in a start, shape (n,).
        x: Covariates, shape (n, p).
        entry: After when each row is at risk, shape (n,); None where all are from the begin.
    """
    order = np.argsort(end, kind="stable")
    enters = np.full(end.size, -np.inf) if entry is None else entry[order]
    time, is_start = end[order], started[order] == 1
    moment = np.unique(time[is_start])
    begun = np.flatnonzero(is_start)
    late = np.flatnonzero(enters >= moment[0])
    late = late[np.argsort(enters[late], kind="stable")]
    return Starts(
        products(x[order]),
        moment,
        np.searchsorted(time, moment, side="left"),
        np.searchsorted(moment, time, side="right"),
        begun,
        np.searchsorted(time[begun], moment, side="left"),
        np.searchsorted(moment, enters, side="right"),
        late,
        np.searchsorted(enters[late], moment, side="left"),
    ), order


def before_ties(time: FloatArray, leaves_first: BoolArray) -> FloatArray:
    """Times, shape (n,), a hair earlier for those who leave before what happens that day."""
    result = time.copy()
    result[leaves_first] = np.nextafter(time[leaves_first], -np.inf)
    return result


def ranks(time: FloatArray) -> FloatArray:
    """Place of each time among the distinct ones, from 1, shape (n,): for partial likelihoods."""
    return np.asarray(np.unique(time, return_inverse=True)[1] + 1, dtype=np.float64)


def start_hazards(
    starts: Starts, weight: FloatArray, begin: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Cox's model of starting, Breslow's ties, for each column of weights.

    Args:
        starts: Risk sets.
        weight: Weights of the sorted rows, shape (n, b).
        begin: Coefficients of the whole sample, shape (p,).

    Returns:
        Coefficients, shape (b, p), and the baseline hazard at each moment, shape (k, b).
    """
    dying = np.add.reduceat(weight[starts.begun], starts.begins, axis=0)
    x = starts.data.x
    if not x.shape[1]:
        return np.zeros((weight.shape[1], 0)), _ratio(dying, _at_risk(starts, weight))
    seen = weight[starts.begun].T @ x[starts.begun]

    def newton(beta: FloatArray) -> tuple[FloatArray, FloatArray]:
        risk = weight * np.exp(x @ beta.T)
        total = _at_risk(starts, risk)
        hazard = _ratio(dying, total)
        means = np.stack([_ratio(_at_risk(starts, risk * c[:, None]), total) for c in x.T], axis=2)
        so_far = np.concatenate([np.zeros((1, weight.shape[1])), hazard.cumsum(axis=0)])
        exposed = so_far[starts.passed] - so_far[starts.entered]
        squares = starts.data.information(risk * exposed)
        scaled = means * dying[:, :, None]
        spread = np.matmul(scaled.transpose(1, 2, 0), means.transpose(1, 0, 2))
        return seen - scaled.sum(axis=0), squares - spread

    beta = settle(newton, np.tile(begin, (weight.shape[1], 1)))
    return beta, _ratio(dying, _at_risk(starts, weight * np.exp(x @ beta.T)))


def _at_risk(starts: Starts, values: FloatArray) -> FloatArray:
    pieces = np.add.reduceat(values, starts.first, axis=0)
    followed = pieces[::-1].cumsum(axis=0)[::-1]
    if not starts.late.size:
        return np.asarray(followed)
    waiting = np.zeros((starts.late.size + 1, values.shape[1]))
    waiting[:-1] = values[starts.late][::-1].cumsum(axis=0)[::-1]
    return np.asarray(followed - waiting[starts.late_first])


def _ratio(over: FloatArray, under: FloatArray) -> FloatArray:
    """Ratio that is 0 where nobody is at risk."""
    return np.divide(over, under, out=np.zeros_like(under), where=under > 0)
