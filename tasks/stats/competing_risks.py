"""Cumulative incidence of one cause where other causes compete."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from tasks.core.errors import EstimationError
from tasks.stats.curve_intervals import ConfType, curve_interval
from tasks.stats.influence import Spells, spells, sum_of_squares
from tasks.stats.inputs import FloatArray, IntArray, case_weights, entries, follow_up, same_shape
from tasks.stats.risk_table import RiskTable, build_risk_table, places_after
from tasks.stats.step_curves import StepValues, at_risk_before, places_on_curve

IncidenceVariance = Literal["ij", "aalen"]
IncidenceScale = Literal["cloglog", "log-log", "log", "plain", "logit", "arcsin"]


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
    se_method: Literal["infinitesimal jackknife", "aalen"]
    cause: int
    n: int
    events: int
    complete: bool
    entries: FloatArray | None = None


def cumulative_incidence(
    durations: ArrayLike,
    cause: ArrayLike,
    cause_of_interest: int = 1,
    weights: ArrayLike | None = None,
    level: float = 0.95,
    conf_type: IncidenceScale = "cloglog",
    variance: IncidenceVariance = "ij",
    entry: ArrayLike | None = None,
    cluster: ArrayLike | None = None,
) -> CumulativeIncidence:
    r"""Aalen-Johansen estimate of the cumulative incidence of one cause.

    .. math:: \hat F(t) = \sum_{u \le t} \hat S(u-) \frac{D_{1u}}{Y_u}

    Args:
        durations: Follow-up of each person, shape (n,), any one unit, all > 0.
        cause: How follow-up ended, shape (n,): 0 censored, 1, 2, ... causes of the event.
        cause_of_interest: The cause whose incidence is asked for, > 0.
        weights: Weight of each person, shape (n,), all > 0; None for the plain estimate.
        level: Confidence level.
        conf_type: Scale of the interval: cloglog, log-log of 1 - F, the scale of Fine and Gray;
            log-log or log of F itself, as R's survfit; plain, logit or arcsin, alike for both.
        variance: `ij`, the infinitesimal jackknife, robust to weights; or `aalen`, Aalen's with
            the correction for ties of cmprsk, which takes neither weights nor late entry.
        entry: Time after which each row is at risk, shape (n,); None where all are from 0 on.
        cluster: Person or cluster of each row, where one has several.

    Returns:
        The curve. Times tied between causes and censoring are taken as they are: events
        first, then censoring. With one cause and no weights `ij` is Greenwood's.

    Raises:
        EstimationError: Shapes differ, or a cause, duration or weight is not usable.

    Source:
        Aalen & Johansen (1978) Scand J Stat 5; Aalen (1978) Ann Stat 6. `ij` agrees with R
        survival `survfit` of a multi-state `Surv`, `aalen` with cmprsk `cuminc`.
    """
    time, _ = follow_up(durations, np.zeros(np.size(durations), dtype=bool))
    kind = _kinds(cause, time.size, cause_of_interest)
    given = None if weights is None else case_weights(weights, time.size)
    late = entries(entry, time)
    _check_variance(variance, given is None and late is None)
    table = build_risk_table(time, kind, given, late)
    parts = _aalen_johansen(table)
    if variance == "aalen":
        squares = _aalen_variance(table, parts)
    elif late is None and cluster is None:
        squares = _variance(table, parts)
    else:
        rows = spells(table, time, kind, given, late, cluster)
        squares = _variance_of_rows(table, parts, rows)
    std_error = np.sqrt(squares)
    low, high = incidence_limits(parts.incidence, std_error, conf_type, level)
    return CumulativeIncidence(
        table.time, table.n_at_risk, table.counts[1], table.counts[2], table.counts[0],
        parts.incidence, std_error, low, high, level, conf_type,
        "aalen" if variance == "aalen" else "infinitesimal jackknife",
        cause_of_interest, time.size, int(table.counts[1].sum()), parts.complete,
        None if late is None else np.sort(late),
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
    exits = curve.n_events + curve.n_competing + curve.n_censored
    at_risk = at_risk_before(curve.time, curve.n_at_risk, curve.entries, exits, at)
    return StepValues(at, estimate, std_error, low, high, at_risk)


def incidence_residuals(
    durations: ArrayLike,
    cause: ArrayLike,
    days: ArrayLike,
    weights: ArrayLike,
    entry: ArrayLike | None = None,
) -> FloatArray:
    """Derivatives of the cumulative incidence of cause 1 by the weight of each row.

    Args:
        durations: Follow-up of each row, shape (n,), all > 0.
        cause: How it ended: 0 censored, 1 the cause of interest, 2 another, shape (n,).
        days: Times in the unit of `durations`, shape (m,).
        weights: Weight of each row, shape (n,), all > 0.
        entry: Time after which each row is at risk, shape (n,); None where all are from 0 on.

    Returns:
        Shape (n, m). With one cause, less these are the derivatives of survival.

    Raises:
        EstimationError: As `cumulative_incidence`.
    """
    time, _ = follow_up(durations, np.zeros(np.size(durations), dtype=bool))
    kind, late = _kinds(cause, time.size, 1), entries(entry, time)
    table = build_risk_table(time, kind, case_weights(weights, time.size), late)
    parts = _aalen_johansen(table)
    f, (at_risk, leaving) = parts.incidence, _influence(table, parts)
    begin = np.zeros(time.size, np.int64) if late is None else places_after(table.time, late)
    end = np.searchsorted(table.time, time)
    start_f, start_risk, entered = (
        np.append(0.0, curve)[begin] for curve in (f, at_risk, parts.green)
    )
    slope = leaving[kind, end] - entered
    jump = np.where(kind == 1, (parts.before / table.at_risk)[end], 0.0)
    made = np.zeros((time.size, np.size(days)))
    for column, place in enumerate(np.searchsorted(table.time, np.asarray(days), side="right")):
        last = np.minimum(end, place - 1)  # the place up to which a row is known to be at risk
        gone, present = end < place, begin < place
        while_in = at_risk[last] - start_risk - entered * (f[last] - start_f)
        after = np.where(gone, jump + slope * (f[place - 1] - f[last]), 0.0)
        made[:, column] = np.where(present, while_in + after, 0.0)
    return made


def incidence_limits(
    incidence: FloatArray, std_error: FloatArray, conf_type: IncidenceScale, level: float
) -> tuple[FloatArray, FloatArray]:
    """Limits of F; on its own logarithm there are none while it is 0."""
    if conf_type in ("log", "log-log"):
        first, second = curve_interval(incidence, std_error, conf_type, level)
        return np.fmin(first, second), np.fmax(first, second)
    scale: ConfType = "log-log" if conf_type == "cloglog" else conf_type
    low, high = curve_interval(1 - incidence, std_error, scale, level)
    return 1 - high, 1 - low


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


@dataclass(frozen=True, slots=True, eq=False)
class _Parts:
    """Pieces of the estimate at each time, shape (t,): `before` and `after` are free of events."""

    incidence: FloatArray
    before: FloatArray
    after: FloatArray
    green: FloatArray
    complete: bool


def _check_variance(variance: str, is_plain: bool) -> None:
    if variance not in ("ij", "aalen"):
        raise EstimationError("variance", f"`{variance}` is unknown", "choose ij or aalen.")
    if variance == "aalen" and not is_plain:
        what = "aalen takes neither weights nor late entry"
        raise EstimationError("variance", what, "choose variance: ij.")


def _aalen_johansen(table: RiskTable) -> _Parts:
    """Incidence at each time; whether everyone was followed to some event."""
    at_risk, events = table.at_risk, table.weight[1] + table.weight[2]
    left = np.where(events == at_risk, 0.0, at_risk - events)
    after = np.asarray(np.cumprod(left / at_risk))
    before = np.append(1.0, after[:-1])
    green = np.divide(events, at_risk * left, out=np.zeros_like(events), where=left > 0).cumsum()
    incidence = (before * table.weight[1] / at_risk).cumsum()
    return _Parts(incidence, before, after, green, bool(after[-1] == 0))


def _aalen_variance(table: RiskTable, parts: _Parts) -> FloatArray:
    """Aalen's variance; tied events of one cause count as drawn without replacement."""
    n, events, others = table.at_risk, table.weight[1], table.weight[2]
    is_left = parts.after > 0
    gain = np.divide(1.0, parts.after, out=np.zeros_like(n), where=is_left)
    ties = [1 - np.maximum(d - 1, 0) / np.maximum(n - 1, 1) for d in (events, others)]
    own = parts.before**2 * ties[0] * events / n**2
    other = np.where(is_left, parts.before**2 * ties[1] * others / n**2, 0.0)
    level = gain * parts.incidence
    whole = ((1 + level) ** 2 * own + level**2 * other).cumsum()
    linear = (gain * (1 + level) * own + gain * level * other).cumsum()
    square = (gain**2 * (own + other)).cumsum()
    f = parts.incidence
    return np.asarray(np.maximum(whole + f * (f * square - 2 * linear), 0.0))


def _influence(table: RiskTable, parts: _Parts) -> tuple[FloatArray, FloatArray]:
    """Influence on F(t) of being at risk until t, and on log survival of leaving, by kind."""
    one, green_before = 1 / table.at_risk, np.append(0.0, parts.green[:-1])
    at_risk = (np.diff(parts.incidence, prepend=0.0) * (green_before - one)).cumsum()
    return at_risk, np.stack([parts.green, green_before - one, green_before - one])


def _variance(table: RiskTable, parts: _Parts) -> FloatArray:
    """Sum of squared influence on F(t), by time and kind of leaving rather than by person.

    One person's influence is P(t) while at risk, and b + c F(t) once gone, where c is the
    influence on log survival and b also holds the jump of the person's own event.
    """
    at_risk, c = _influence(table, parts)
    b = at_risk - c * parts.incidence
    b[1] += parts.before / table.at_risk
    terms = (b**2, 2 * b * c, c**2)
    whole, linear, square = ((table.weight_sq * term).sum(axis=0).cumsum() for term in terms)
    gone = whole + parts.incidence * (linear + parts.incidence * square)
    return np.asarray(np.maximum(at_risk**2 * table.weight_sq_after + gone, 0.0))


def _variance_of_rows(table: RiskTable, parts: _Parts, rows: Spells) -> FloatArray:
    """The same where rows enter late, or a person has several.

    From its entry e on, a row adds P(t) - P(e) - g(e) (F(t) - F(e)), g being Greenwood's sum.
    """
    f, (at_risk, leaving) = parts.incidence, _influence(table, parts)
    w, entered = rows.weight, rows.at_begin(parts.green)
    start = entered * rows.at_begin(f) - rows.at_begin(at_risk)
    slope = w * (leaving[rows.kind, rows.end] - entered)
    jump = np.where(rows.kind == 1, (parts.before / table.at_risk)[rows.end], 0.0)
    moved = at_risk[rows.end] + start - entered * f[rows.end] + jump
    level = w * moved - slope * f[rows.end]
    b, c, none = rows.before(level), rows.before(slope), np.zeros(w.size)
    present = [b + w * start, c - w * entered, w]
    return sum_of_squares((f, at_risk), rows, present, [b + level, c + slope, none])
