"""Newton's method for concave log-likelihoods, and what it tells of data that cannot be fitted."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tasks.core.errors import EstimationError
from tasks.stats.inputs import FloatArray, IntArray

_MAX_STEPS = 60
_MAX_HALVINGS = 30
_SMALL = 0.05
_ROUNDING = 1e-12
_RUNAWAY = 1e-2  # a last step that still moves some person's linear predictor by this much
_COLLINEAR = 1e-9
_PART_OF_SUM = 0.05


@dataclass(frozen=True, slots=True, eq=False)
class Point:
    """A log-likelihood at one place, its score, shape (p,), and information, shape (p, p)."""

    log_likelihood: float
    score: FloatArray
    information: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Bounds:
    """Model name for errors; what the data allow; and the relative gain at which to stop."""

    where: str
    size: float  # information of one independent covariate of unit variance
    spread: FloatArray  # (p,), range of each covariate
    tolerance: float


@dataclass(frozen=True, slots=True, eq=False)
class Maximum:
    """Where the log-likelihood is highest, and how it was at the start."""

    coef: FloatArray
    log_likelihood: float
    before: Point  # where the last step began
    start: Point
    iterations: int


def maximise(
    evaluate: Callable[[FloatArray], Point],
    value: Callable[[FloatArray], float],
    start: FloatArray,
    bounds: Bounds,
) -> Maximum:
    """Climb a concave log-likelihood by Newton steps, halved while they lead down.

    Args:
        evaluate: Log-likelihood, score and information at coefficients, shape (p,).
        value: Log-likelihood alone, for a step on trial.
        start: Coefficients to begin at, shape (p,).
        bounds: What the data allow, and how exact the maximum must be.

    Returns:
        The maximum: where a whole step has gained no more than the tolerance.

    Raises:
        EstimationError: A covariate does not vary or repeats others, the likelihood has no
            finite maximum, or it is not reached in 60 steps.
    """
    coef, point = start, evaluate(start)
    first = point
    check_estimable(point.information, bounds)
    for iteration in range(1, _MAX_STEPS + 1):
        step = _solve(point, bounds.where)
        share, reached = _shorten(value, coef, step, point.log_likelihood)
        coef = coef + share * step
        if abs(reached - point.log_likelihood) < bounds.tolerance * (abs(reached) + _SMALL):
            _check_finite_maximum(step, bounds)
            return Maximum(coef, reached, point, first, iteration)
        point = evaluate(coef)
    raise EstimationError(
        bounds.where,
        f"no maximum of the likelihood was reached in {_MAX_STEPS} steps",
        "look for covariates of extreme values or categories without events.",
    )


def check_estimable(information: FloatArray, bounds: Bounds) -> None:
    """Refuse covariates that do not vary or that repeat each other; names columns from 0.

    Raises:
        EstimationError: There are such columns.
    """
    diagonal = np.diag(information)
    constant = np.flatnonzero(diagonal <= _COLLINEAR * bounds.size)
    if constant.size:
        raise EstimationError(
            bounds.where,
            f"covariate(s) {_listed(constant)} (counted from 0) do not vary where it matters",
            "drop them from `covariates`.",
        )
    spread = np.sqrt(diagonal)
    values, vectors = np.linalg.eigh(information / np.outer(spread, spread))
    if values.min(initial=1.0) <= _COLLINEAR:
        raise EstimationError(
            bounds.where,
            f"covariates {_listed(np.flatnonzero(abs(vectors[:, 0]) > _PART_OF_SUM))} (counted"
            " from 0) are collinear",
            "drop one of them: it is a sum of the others.",
        )


def _check_finite_maximum(last_step: FloatArray, bounds: Bounds) -> None:
    """Refuse a likelihood that keeps rising as a coefficient grows without bound."""
    runaway = np.flatnonzero(abs(last_step) * bounds.spread > _RUNAWAY)
    if runaway.size:
        raise EstimationError(
            bounds.where,
            f"the likelihood is monotone in covariate(s) {_listed(runaway)} (counted from 0):"
            " their coefficients run to infinity, since they separate the outcomes completely",
            "merge or drop the categories in which only one outcome occurs.",
        )


def _solve(point: Point, where: str) -> FloatArray:
    try:
        return np.asarray(np.linalg.solve(point.information, point.score))
    except np.linalg.LinAlgError:
        raise EstimationError(
            where,
            "the information matrix became singular",
            "drop covariates that are nearly constant, or sums of others.",
        ) from None


def _shorten(
    value: Callable[[FloatArray], float], coef: FloatArray, step: FloatArray, best: float
) -> tuple[float, float]:
    """Largest of 1, 1/2, 1/4, ... of the step that does not lead down, and the value there."""
    share, reached = 1.0, -np.inf
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        for _ in range(_MAX_HALVINGS):
            reached = value(coef + share * step)
            if reached >= best - _ROUNDING * (1 + abs(best)):
                break
            share /= 2
    return share, reached


def _listed(columns: IntArray) -> str:
    return ", ".join(str(column) for column in columns)
