"""Cumulative incidence of one cause where other causes compete."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from tasks.core.errors import EstimationError
from tasks.stats.curve_intervals import ConfType, curve_interval
from tasks.stats.inputs import FloatArray, IntArray, case_weights, follow_up, same_shape
from tasks.stats.risk_table import RiskTable, build_risk_table
from tasks.stats.step_curves import StepValues, places_on_curve


@dataclass(frozen=True, slots=True, eq=False)
class CumulativeIncidence:
    """Probability of the cause of interest by each distinct time; arrays have shape (t,).

    Counts are of persons. `complete` tells that everyone was followed to some event.
    """

    time: FloatArray
    n_at_risk: IntArray
    n_events: IntArray
    n_competing: IntArray
    n_censored: IntArray
    cumulative_incidence: FloatArray
    std_error: FloatArray
    ci_low: FloatArray
    ci_high: FloatArray
    level: float
    ci_method: str
    se_method: Literal["infinitesimal jackknife"]
    cause: int
    n: int
    events: int
    complete: bool


def cumulative_incidence(
    durations: ArrayLike,
    cause: ArrayLike,
    cause_of_interest: int = 1,
    weights: ArrayLike | None = None,
    level: float = 0.95,
    conf_type: ConfType = "log-log",
) -> CumulativeIncidence:
    r"""Aalen-Johansen estimate of the cumulative incidence of one cause.

    .. math:: \hat F(t) = \sum_{u \le t} \hat S(u-) \frac{D_{1u}}{Y_u}

    Args:
        durations: Follow-up of each person, shape (n,), any one unit, all > 0.
        cause: How follow-up ended, shape (n,): 0 censored, 1, 2, ... causes of the event.
        cause_of_interest: The cause whose incidence is asked for, > 0.
        weights: Weight of each person, shape (n,), all > 0; None for the plain estimate.
        level: Confidence level.
        conf_type: Scale of the interval of 1 - F; log-log is the scale of Fine and Gray.

    Returns:
        The curve. Times tied between causes and censoring are taken as they are: events
        first, then censoring. The variance is the infinitesimal jackknife, robust to weights;
        with one cause and no weights it is Greenwood's.

    Raises:
        EstimationError: Shapes differ, or a cause, duration or weight is not usable.

    Source:
        Aalen & Johansen (1978) Scand J Stat 5. Agrees with R survival `survfit` of a
        multi-state `Surv`, estimate and standard error.
    """
    time, _ = follow_up(durations, np.zeros(np.size(durations), dtype=bool))
    kind = _kinds(cause, time.size, cause_of_interest)
    given = None if weights is None else case_weights(weights, time.size)
    table = build_risk_table(time, kind, given)
    incidence, variance, complete = _aalen_johansen(table)
    std_error = np.sqrt(variance)
    low, high = curve_interval(1 - incidence, std_error, conf_type, level)
    return CumulativeIncidence(
        table.time, table.n_at_risk, table.counts[1], table.counts[2], table.counts[0],
        incidence, std_error, 1 - high, 1 - low, level, conf_type, "infinitesimal jackknife",
        cause_of_interest, time.size, int(table.counts[1].sum()), complete,
    )  # fmt: skip


def incidence_at(curve: CumulativeIncidence, times: ArrayLike) -> StepValues:
    """Cumulative incidence, its interval and the persons still at risk at given times.

    Args:
        curve: A cumulative incidence curve.
        times: Times in the unit of the curve, shape (m,) or one number, all >= 0.

    Returns:
        Values of the step function, each of shape (m,).

    Raises:
        EstimationError: A time lies beyond the last follow-up of an incomplete curve.
    """
    at = np.atleast_1d(np.asarray(times, dtype=np.float64))
    place = places_on_curve(curve.time, at, curve.complete)
    columns = (curve.cumulative_incidence, curve.std_error, curve.ci_low, curve.ci_high)
    estimate, std_error, low, high = (np.append(0.0, column)[place] for column in columns)
    before = np.searchsorted(curve.time, at, side="left")
    at_risk = np.append(curve.n_at_risk, 0)[before]
    return StepValues(at, estimate, std_error, low, high, at_risk)


def _kinds(cause: ArrayLike, n: int, wanted: int) -> IntArray:
    """0 censored, 1 the cause of interest, 2 any other cause, shape (n,)."""
    given = np.asarray(cause)
    same_shape(given, (n,), "cause")
    whole = given.astype(np.int64)
    if wanted < 1 or not np.array_equal(whole, given) or whole.min() < 0:
        raise EstimationError(
            "cause",
            "causes must be whole numbers from 0 (censored), the one of interest 1 or more",
            "recode them in sql/cohort.",
        )
    return np.where(whole == wanted, 1, np.where(whole > 0, 2, 0))


def _aalen_johansen(table: RiskTable) -> tuple[FloatArray, FloatArray, bool]:
    """Incidence and variance at each time; whether everyone was followed to some event."""
    at_risk, events = table.at_risk, table.weight[1] + table.weight[2]
    left = np.where(events == at_risk, 0.0, at_risk - events)
    before = np.append(1.0, np.cumprod(left / at_risk)[:-1])
    green = np.divide(events, at_risk * left, out=np.zeros_like(events), where=left > 0).cumsum()
    incidence = (before * table.weight[1] / at_risk).cumsum()
    return incidence, _variance(table, incidence, before, green), bool(left[-1] == 0)


def _variance(
    table: RiskTable, incidence: FloatArray, before: FloatArray, green: FloatArray
) -> FloatArray:
    """Sum of squared influence on F(t), by time and kind of leaving rather than by person.

    One person's influence is P(t) while at risk, and b + c F(t) once gone, where c is the
    influence on log survival and b also holds the jump of the person's own event.
    """
    one, green_before = 1 / table.at_risk, np.append(0.0, green[:-1])
    at_risk = (np.diff(incidence, prepend=0.0) * (green_before - one)).cumsum()
    c = np.stack([green, green_before - one, green_before - one])
    b = at_risk - c * incidence
    b[1] += before * one
    terms = (b**2, 2 * b * c, c**2)
    whole, linear, square = ((table.weight_sq * term).sum(axis=0).cumsum() for term in terms)
    gone = whole + incidence * (linear + incidence * square)
    return np.asarray(np.maximum(at_risk**2 * table.weight_sq_after + gone, 0.0))
