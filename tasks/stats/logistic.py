"""Unpenalised logistic regression."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from tasks.core.errors import EstimationError
from tasks.stats.inputs import (
    BoolArray,
    FloatArray,
    IntArray,
    case_weights,
    design_matrix,
    flags,
    linear_predictor,
    row_order,
)
from tasks.stats.newton import Bounds, Maximum, Point, check_estimable, maximise

_BLOCK = 4_096
_CONSTANT = 1e-12
_TOLERANCE = 1e-8
_START_VARIANCE = 3 / 16


@dataclass(frozen=True, slots=True, eq=False)
class LogisticFit:
    """Log odds ratios: intercept first, then p covariates. `fitted` are probabilities, (n,)."""

    coef: FloatArray
    std_error: FloatArray
    covariance: FloatArray
    fitted: FloatArray
    linear_predictor: FloatArray
    log_likelihood: float
    log_likelihood_null: float
    n: int
    events: int
    iterations: int
    converged: bool


@dataclass(frozen=True, slots=True, eq=False)
class _Rows:
    """Sorted rows: intercept and standardised covariates (n, 1 + p), outcome and weight (n,)."""

    x: FloatArray
    outcome: FloatArray
    weight: FloatArray


def logistic(x: ArrayLike, treated: ArrayLike, weights: ArrayLike | None = None) -> LogisticFit:
    """Fit a logistic regression with intercept by Newton's method, without penalty.

    Args:
        x: Covariates without intercept, shape (n, p), no missing values.
        treated: True where the outcome (such as the treatment) occurred, shape (n,).
        weights: Case weights, shape (n,), all > 0; standard errors take them as counts.

    Returns:
        The fit, `fitted` in the order of the rows given. As in R, the covariance is from the
        working weights of the last step, which are those one step before the maximum.

    Raises:
        EstimationError: One outcome only, a constant or collinear covariate, covariates that
            separate the outcomes, no convergence, or an input that is not usable.

    Source:
        McCullagh & Nelder (1989), ch. 4. Agrees with R `glm(family = binomial)`.
    """
    matrix = design_matrix(x, np.size(treated))
    event = flags(treated, (matrix.shape[0],), "treated")
    weight = np.ones(event.size) if weights is None else case_weights(weights, event.size)
    _check_both_occur(event)
    order = row_order((event, weight), matrix)
    standard, centre, scale = _standardised(matrix, order, weight[order])
    rows = _Rows(standard, event[order].astype(np.float64), weight[order])
    found = _fit(rows)
    back = np.diag(np.append(1.0, 1 / scale))
    back[0, 1:] = -centre / scale
    coef = back @ found.coef
    covariance = back @ np.linalg.inv(found.before.information) @ back.T
    eta = coef[0] + linear_predictor(coef[1:], matrix)
    return LogisticFit(
        coef, np.sqrt(np.diag(covariance)), covariance, special.expit(eta), eta,
        found.log_likelihood, _null_log_likelihood(rows),
        event.size, int(event.sum()), found.iterations, True,
    )  # fmt: skip


def _check_both_occur(event: BoolArray) -> None:
    if not 0 < event.sum() < event.size:
        raise EstimationError(
            "logistic",
            f"{int(event.sum())} of {event.size} rows have the outcome",
            "compare groups that both have members.",
        )


def _standardised(
    x: FloatArray, order: IntArray, weight: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return a constant and the covariates of mean 0 and deviation 1, (n, 1 + p), and both."""
    result = np.ones((x.shape[0], 1 + x.shape[1]))
    moved = result[:, 1:]
    moved[:] = x[order]
    share = weight / weight.sum()
    centre = share @ moved
    moved -= centre
    scale = np.sqrt(share @ moved**2)
    scale[scale <= _CONSTANT * abs(centre)] = 1.0
    moved /= scale
    return result, centre, scale


def _fit(rows: _Rows) -> Maximum:
    """Fisher scoring with the start and the stopping rule of R's `glm`."""
    size = float(rows.weight.sum()) * _START_VARIANCE
    spread = np.append(1.0, np.ptp(rows.x[:, 1:], axis=0))
    bounds = Bounds("logistic", size, spread, _TOLERANCE)
    return maximise(
        lambda beta: _point(rows, beta), lambda beta: _value(rows, beta),
        _first_step(rows, bounds), bounds,
    )  # fmt: skip


def _first_step(rows: _Rows, bounds: Bounds) -> FloatArray:
    """One weighted least-squares step from fitted values between the outcome and one half."""
    fitted = (rows.weight * rows.outcome + 0.5) / (rows.weight + 1)
    spread = fitted * (1 - fitted)
    working = special.logit(fitted) + (rows.outcome - fitted) / spread
    information = _gram(rows.x, rows.weight * spread)
    check_estimable(information, bounds)
    return np.asarray(np.linalg.solve(information, rows.x.T @ (rows.weight * spread * working)))


def _value(rows: _Rows, beta: FloatArray) -> float:
    eta = rows.x @ beta
    return float(rows.weight @ (rows.outcome * eta - np.logaddexp(0.0, eta)))


def _point(rows: _Rows, beta: FloatArray) -> Point:
    fitted = special.expit(rows.x @ beta)
    score = rows.x.T @ (rows.weight * (rows.outcome - fitted))
    return Point(_value(rows, beta), score, _gram(rows.x, rows.weight * fitted * (1 - fitted)))


def _null_log_likelihood(rows: _Rows) -> float:
    total = rows.weight.sum()
    share = rows.weight @ rows.outcome / total
    return float(total * (special.xlogy(share, share) + special.xlog1py(1 - share, -share)))


def _gram(x: FloatArray, weight: FloatArray) -> FloatArray:
    """Weighted cross-product X'WX in blocks of rows that stay in the cache of the processor."""
    result = np.zeros((x.shape[1], x.shape[1]))
    root = np.sqrt(weight)
    for begin in range(0, x.shape[0], _BLOCK):
        block = slice(begin, begin + _BLOCK)
        part = root[block, None] * x[block]
        result += part.T @ part
    return result
