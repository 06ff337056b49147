"""Maximum likelihood of a parametric law: rows in one order, Newton's method, influence of rows."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tasks.core.errors import EstimationError
from tasks.stats.inputs import BoolArray, FloatArray
from tasks.stats.parametric_laws import LAWS, Law, Parts

WHERE = "parametric_survival"
_MAX_STEPS = 100
_MAX_HALVINGS = 40
_LONGEST_STEP = 3.0
_DONE = 1e-9
_LEVEL = 1e-9  # a gain, relative to the log-likelihood, that is none
_SLOPE = 1e-7
_RUNAWAY = 1e-2
_FARTHEST = {"q": 15.0, "log_scale": 40.0, "log_shape": 40.0, "shape": 40.0}
"""Where a parameter runs away: no data that can be fitted lead there."""
_LEAST_CURVATURE = 1e-8
_BLOCK = 65_536


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Sorted rows, censored first: design with intercept (n, 1 + p), times of any one unit."""

    x: FloatArray
    time: FloatArray
    event: BoolArray
    entry: FloatArray
    weight: FloatArray

    @property
    def late(self) -> BoolArray:
        """Whether each row enters after time 0."""
        return np.asarray(self.entry > 0)


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """The log-likelihood at parameters: its value, score and information."""

    value: float
    score: FloatArray
    information: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """The maximum: parameters, log-likelihood, information there, and steps taken."""

    parameters: FloatArray
    log_likelihood: float
    information: FloatArray
    iterations: int


def fit_law(law: Law, rows: Rows, start: FloatArray, names: tuple[str, ...]) -> Found:
    """Climb to the maximum of the log-likelihood.

    Args:
        law: The distribution.
        rows: The data.
        start: Intercept, coefficients, and further parameters to begin with.
        names: What the parameters are called in an error.

    Raises:
        EstimationError: There is no finite maximum, or it is not reached.
    """
    with np.errstate(all="ignore"):  # a step on trial may lead anywhere; it is then halved
        return _climb(lambda at: place(law, rows, at), start, names, _limits(law, rows))


def place(law: Law, rows: Rows, parameters: FloatArray) -> Place:
    """Log-likelihood, score and information at parameters."""
    parts = row_parts(law, rows, parameters).scaled(rows.weight)
    cross = parts.mixed @ rows.x
    information = -np.block([[_gram(rows.x, parts.eta_eta), cross.T], [cross, _sum(parts.second)]])
    score = np.append(rows.x.T @ parts.eta, parts.further.sum(axis=-1))
    return Place(float(parts.value.sum()), score, (information + information.T) / 2)


def row_parts(law: Law, rows: Rows, parameters: FloatArray) -> Parts:
    """Log-likelihood of each row and its derivatives, without weights."""
    p = rows.x.shape[1]
    eta, further = rows.x @ parameters[:p], parameters[p:]
    n_censored = int((~rows.event).sum())
    gone = law.log_survival(rows.time[:n_censored], eta[:n_censored], further)
    ended = law.log_density(rows.time[n_censored:], eta[n_censored:], further)
    parts = Parts(*(_joined(gone, ended, name) for name in Parts.__slots__))
    if (late := rows.late).any():
        _take_from(parts, law.log_survival(rows.entry[late], eta[late], further), late)
    return parts


def influence(law: Law, rows: Rows, found: Found) -> FloatArray:
    """Weighted score of each row at the maximum, shape (n, p)."""
    parts = row_parts(law, rows, found.parameters).scaled(rows.weight)
    return np.column_stack([parts.eta[:, None] * rows.x, parts.further.T])


def first_guess(name: str, rows: Rows) -> FloatArray:
    """Parameters of the exponential law without covariates, in the words of another law."""
    law = LAWS[name]
    at_risk, events = rows.weight @ (rows.time - rows.entry), rows.weight @ rows.event
    guess = np.zeros(1 + len(law.further))
    guess[0] = law.direction * np.log(at_risk / events)
    return guess


def _limits(law: Law, rows: Rows) -> FloatArray:
    """How far each parameter may go before it is said to run away."""
    return np.array([*[np.inf] * rows.x.shape[1], *(_FARTHEST[name] for name in law.further)])


def _joined(one: Parts, other: Parts, name: str) -> FloatArray:
    return np.concatenate([getattr(one, name), getattr(other, name)], axis=-1)


def _take_from(parts: Parts, before: Parts, late: BoolArray) -> None:
    """Count a row that enters late only from its entry on."""
    for name in Parts.__slots__:
        getattr(parts, name)[..., late] -= getattr(before, name)


def _sum(values: FloatArray) -> FloatArray:
    return np.asarray(values.sum(axis=-1))


def _gram(x: FloatArray, weight: FloatArray) -> FloatArray:
    """X'WX in blocks of rows."""
    result = np.zeros((x.shape[1], x.shape[1]))
    for begin in range(0, x.shape[0], _BLOCK):
        block = slice(begin, begin + _BLOCK)
        result += x[block].T @ (weight[block, None] * x[block])
    return result


def _climb(
    evaluate: Callable[[FloatArray], Place],
    start: FloatArray,
    names: tuple[str, ...],
    limits: FloatArray,
) -> Found:
    at, here = start, evaluate(start)
    for iteration in range(1, _MAX_STEPS + 1):
        step = _step(here, names)
        share, there = _shortened(evaluate, at, step, here.value)
        gain = there.value - here.value
        at, here = at + share * step, there
        moved = float(abs(share * step).max())
        if moved < _DONE:
            _check_is_level(here, step, names)
            return Found(at, here.value, _checked(here.information, names), iteration)
        is_level = gain < _LEVEL * (1 + abs(here.value)) and moved > _RUNAWAY
        if is_level or (abs(at) > limits).any():
            raise _no_maximum(share * step, names)
    raise EstimationError(
        WHERE,
        f"no maximum of the likelihood was reached in {_MAX_STEPS} steps",
        "choose a distribution with fewer parameters, or drop covariates of extreme values.",
    )


def _step(here: Place, names: tuple[str, ...]) -> FloatArray:
    """Newton's step; where the log-likelihood is not concave, uphill along each axis of it."""
    if not (np.isfinite(here.score).all() and np.isfinite(here.information).all()):
        raise _no_maximum(np.where(np.isfinite(here.score), 0.0, 1.0), names)
    values, axes = np.linalg.eigh(here.information)
    floor = _LEAST_CURVATURE * max(float(abs(values).max()), 1e-300)
    step = axes @ ((axes.T @ here.score) / np.maximum(abs(values), floor))
    longest = float(abs(step).max())
    return np.asarray(step * min(1.0, _LONGEST_STEP / longest) if longest else step)


def _shortened(
    evaluate: Callable[[FloatArray], Place], at: FloatArray, step: FloatArray, best: float
) -> tuple[float, Place]:
    """Largest of 1, 1/2, 1/4, ... of the step that does not lead down, and what is there."""
    share = 1.0
    for _ in range(_MAX_HALVINGS):
        there = evaluate(at + share * step)
        if there.value >= best - 1e-12 * (1 + abs(best)):
            return share, there
        share /= 2
    return 0.0, evaluate(at)


def _check_is_level(here: Place, step: FloatArray, names: tuple[str, ...]) -> None:
    """Refuse a place that no step leaves upwards although the log-likelihood still slopes."""
    if abs(step @ here.score) > _SLOPE * (1 + abs(here.value)):
        raise _no_maximum(step, names)


def _checked(information: FloatArray, names: tuple[str, ...]) -> FloatArray:
    """Refuse a place where the log-likelihood is level or a saddle."""
    spread = np.sqrt(np.maximum(np.diag(information), 1e-300))
    values, axes = np.linalg.eigh(information / np.outer(spread, spread))
    if values[0] <= _LEAST_CURVATURE:
        raise _no_maximum(axes[:, 0], names)
    return information


def _no_maximum(direction: FloatArray, names: tuple[str, ...]) -> EstimationError:
    largest = abs(direction).max()
    running = [n for n, d in zip(names, direction, strict=True) if abs(d) > 0.1 * largest]
    return EstimationError(
        WHERE,
        f"the likelihood has no single finite maximum in {', '.join(running)}",
        "merge or drop categories without events, or choose a distribution with fewer parameters.",
    )
