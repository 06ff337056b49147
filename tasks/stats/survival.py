"""Nonparametric survival estimates for right-censored follow-up, weighted or not.

Weights are taken as sampling or inverse-probability weights, known, one person a row: the
standard errors are then robust (infinitesimal jackknife). Counts of persons are never weighted.
Durations are in any one unit; results are in the same unit.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from tasks.core.errors import EstimationError
from tasks.stats.competing_risks import (
    CumulativeIncidence,
    cumulative_incidence,
    incidence_at,
)
from tasks.stats.curve_intervals import ConfType, curve_interval
from tasks.stats.inference import Contrast, TestResult, difference, z_quantile
from tasks.stats.influence import spells, sum_of_squares
from tasks.stats.inputs import BoolArray, FloatArray, IntArray, case_weights, entries, follow_up
from tasks.stats.log_rank import log_rank
from tasks.stats.rates import Rate, incidence_rate, rate_difference, rate_ratio
from tasks.stats.risk_table import RiskTable, build_risk_table, places_after
from tasks.stats.risks import risk_difference, risk_ratio
from tasks.stats.step_curves import (
    StepValues,
    SurvivalCurve,
    at_risk_before,
    places_on_curve,
)

__all__ = [
    "Contrast",
    "CumulativeIncidence",
    "Quantile",
    "Rate",
    "RestrictedMean",
    "StepValues",
    "SurvivalCurve",
    "TestResult",
    "cumulative_incidence",
    "incidence_at",
    "incidence_rate",
    "kaplan_meier",
    "log_rank",
    "median_survival",
    "n_at_risk_at",
    "rate_difference",
    "rate_ratio",
    "restricted_mean",
    "restricted_mean_difference",
    "risk_difference",
    "risk_ratio",
    "survival_at",
    "survival_quantile",
]

_FLAT = np.sqrt(np.finfo(np.float64).eps)  # R's tolerance for a curve that runs level


@dataclass(frozen=True, slots=True)
class Quantile:
    """Time by which a share of the persons has had the event; None where it is not reached."""

    probability: float
    estimate: float | None
    ci_low: float | None
    ci_high: float | None
    level: float
    n: int
    events: int


@dataclass(frozen=True, slots=True)
class RestrictedMean:
    """Mean time free of the event up to `horizon`, in the unit of the durations."""

    estimate: float
    std_error: float
    ci_low: float
    ci_high: float
    level: float
    horizon: float
    n: int
    events: int
    se_method: Literal["greenwood", "robust"]


def kaplan_meier(
    durations: ArrayLike,
    observed: ArrayLike,
    weights: ArrayLike | None = None,
    conf_type: ConfType = "log-log",
    level: float = 0.95,
    entry: ArrayLike | None = None,
    cluster: ArrayLike | None = None,
) -> SurvivalCurve:
    r"""Kaplan-Meier estimate of survival at every distinct time of event or censoring.

    .. math:: \hat S(t) = \prod_{u \le t} \left(1 - \frac{D_u}{Y_u}\right)

    Args:
        durations: Follow-up of each person, shape (n,), any one unit, all > 0.
        observed: True where follow-up ended in the event, shape (n,).
        weights: Weight of each person, shape (n,), all > 0; None for the plain curve.
        conf_type: Scale of the interval: log-log, log, plain, logit or arcsin.
        level: Confidence level.
        entry: Time after which each row is at risk, shape (n,); None where all are from 0 on.
        cluster: Person or cluster of each row, where one has several; used
            by the robust variance.

    Returns:
        The curve. Standard errors are Greenwood's, or robust with weights; they and the
        intervals are NaN where survival has come down to 0. With late entry a small first
        risk set may bring it there early: read `n_at_risk` beside it.

    Raises:
        EstimationError: Shapes differ, or a duration, weight, level or scale is not usable.

    Source:
        Kaplan & Meier (1958) JASA 53; Greenwood (1926); robust variance as the sum of squared
        weighted influence. Agrees with R survival `survfit(conf.type=, robust=)`.
    """
    time, event = follow_up(durations, observed)
    given = None if weights is None else case_weights(weights, time.size)
    late = entries(entry, time)
    table = build_risk_table(time, event, given, late)
    survival = _product_limit(table)
    if given is not None and (late is not None or cluster is not None):
        variance = _variance_of_rows(table, time, event, given, late, cluster)
        variance = np.where(survival > 0, survival**2 * variance, np.nan)
    else:
        variance = _curve_variance(table, survival, robust=given is not None)
    std_error = np.sqrt(variance)
    low, high = curve_interval(survival, std_error, conf_type, level)
    return SurvivalCurve(
        table.time, table.n_at_risk, table.counts[1], table.counts[0], survival, std_error,
        low, high, level, conf_type, "greenwood" if given is None else "robust",
        time.size, int(event.sum()), None if late is None else np.sort(late),
    )  # fmt: skip


def survival_at(curve: SurvivalCurve, times: ArrayLike) -> StepValues:
    """Survival, its interval and the persons still at risk at given times.

    Args:
        curve: A Kaplan-Meier curve.
        times: Times in the unit of the curve, shape (m,) or one number, all >= 0.

    Returns:
        Values of the step function, each of shape (m,).

    Raises:
        EstimationError: A time lies beyond the last follow-up, unless the curve has come
            down to 0 by then.
    """
    at = np.atleast_1d(np.asarray(times, dtype=np.float64))
    place = places_on_curve(curve.time, at, complete=curve.survival[-1] == 0)
    start = np.array([1.0, 0.0, 1.0, 1.0])
    columns = (curve.survival, curve.std_error, curve.ci_low, curve.ci_high)
    estimate, std_error, low, high = (
        np.append(first, column)[place] for first, column in zip(start, columns, strict=True)
    )
    return StepValues(at, estimate, std_error, low, high, n_at_risk_at(curve, at))


def n_at_risk_at(curve: SurvivalCurve, times: ArrayLike) -> IntArray:
    """Persons still at risk just before given times, shape (m,); 0 beyond the follow-up."""
    at = np.atleast_1d(np.asarray(times, dtype=np.float64))
    exits = curve.n_events + curve.n_censored
    return at_risk_before(curve.time, curve.n_at_risk, curve.entries, exits, at)


def median_survival(curve: SurvivalCurve) -> Quantile:
    """Median time to the event, its interval read off the curve's own limits."""
    return survival_quantile(curve, 0.5)


def survival_quantile(curve: SurvivalCurve, probability: float) -> Quantile:
    """Time by which the share `probability` has had the event, in the unit of the curve.

    The limits are where the curve's limits cross the same height (Brookmeyer & Crowley);
    where a curve runs level at that height, the middle of the level piece is taken, as in R.

    Raises:
        EstimationError: `probability` is not in (0, 1).

    Source:
        Brookmeyer & Crowley (1982) Biometrics 38. Agrees with R `quantile.survfit`.
    """
    if not 0 < probability < 1:
        raise EstimationError("probability", f"{probability:g} is not in (0, 1)", "give a share.")
    middle, low, high = (
        _crossing(curve.time, height, 1 - probability)
        for height in (curve.survival, curve.ci_low, curve.ci_high)
    )
    return Quantile(probability, middle, low, high, curve.level, curve.n, curve.events)


def restricted_mean(
    durations: ArrayLike,
    observed: ArrayLike,
    horizon: float,
    weights: ArrayLike | None = None,
    level: float = 0.95,
    entry: ArrayLike | None = None,
    cluster: ArrayLike | None = None,
) -> RestrictedMean:
    r"""Restricted mean survival time: area under the Kaplan-Meier curve on [0, horizon].

    .. math:: \hat\mu(\tau) = \int_0^\tau \hat S(t)\,dt, \qquad
              \widehat{\mathrm{Var}} = \sum_{t_i \le \tau} A_i^2 \frac{d_i}{n_i (n_i - d_i)},
              \quad A_i = \int_{t_i}^{\tau} \hat S(t)\,dt

    Args:
        durations: Follow-up of each person, shape (n,), any one unit, all > 0.
        observed: True where follow-up ended in the event, shape (n,).
        horizon: Upper limit of the integral, > 0, in the unit of `durations`.
        weights: Weight of each person, shape (n,), all > 0; None for the plain estimate.
        level: Confidence level.
        entry: Time after which each row is at risk, shape (n,); None where all are from 0 on.
        cluster: Person of each row, where a person has several; used by the robust variance.

    Returns:
        Estimate, standard error and Wald interval in the unit of `durations`. With weights
        the variance is the sum of squared weighted influence; with weights of one the two agree.

    Raises:
        EstimationError: `horizon` lies beyond the longest follow-up although the curve has not
            come down to 0, or an input is not usable.

    Source:
        Klein & Moeschberger (2003), 2nd ed., sec. 4.5. Agrees with R survival `survfit(rmean=)`
        and, weighted, with `residuals(survfit, type = "rmst")`.
    """
    time, event = follow_up(durations, observed)
    given = None if weights is None else case_weights(weights, time.size)
    late = entries(entry, time)
    check_horizon(time, event, horizon)
    estimate, variance = _mean_of_rows(time, event, horizon, given, late, cluster)
    std_error = float(np.sqrt(variance))
    margin = z_quantile(level) * std_error
    return RestrictedMean(
        estimate, std_error, estimate - margin, estimate + margin, level, float(horizon),
        time.size, int(event.sum()), "greenwood" if given is None else "robust",
    )  # fmt: skip


def _mean_of_rows(
    time: FloatArray,
    event: BoolArray,
    horizon: float,
    weights: FloatArray | None,
    late: FloatArray | None,
    cluster: ArrayLike | None,
) -> tuple[float, float]:
    """Area under the curve of the rows that enter before the horizon, and its variance."""
    if late is not None and (kept := late < horizon).sum() < time.size:
        time, event, late = time[kept], event[kept], late[kept]
        weights = None if weights is None else weights[kept]
        cluster = None if cluster is None else np.asarray(cluster)[kept]
    if not time.size:
        what = "nobody is at risk before the horizon"
        raise EstimationError("restricted_mean", what, "set a later `horizon_days`.")
    inside, until = event & (time <= horizon), np.minimum(time, horizon)
    table = build_risk_table(until, inside, weights, late)
    if weights is None or (late is None and cluster is None):
        return _area(table, horizon, robust=weights is not None)
    variance = _area_variance_of_rows(table, horizon, until, inside, weights, late, cluster)
    return _area(table, horizon, robust=False)[0], variance


def restricted_mean_difference(a: RestrictedMean, b: RestrictedMean) -> Contrast:
    """Restricted mean of arm `a` less that of arm `b`, the arms taken as independent.

    Raises:
        EstimationError: The horizons or levels differ, or neither arm has an event.
    """
    if (a.horizon, a.level) != (b.horizon, b.level):
        raise EstimationError(
            "restricted_mean_difference",
            f"horizons {a.horizon:g}, {b.horizon:g} or levels {a.level:g}, {b.level:g} differ",
            "estimate both arms with one `horizon` and one `level`.",
        )
    return difference(a.estimate - b.estimate, float(np.hypot(a.std_error, b.std_error)), a.level)


def _product_limit(table: RiskTable) -> FloatArray:
    return np.asarray(np.cumprod(1 - table.weight[1] / table.at_risk))


def _hazard_of_variance(table: RiskTable) -> FloatArray:
    """Greenwood's cumulative sum of D / (Y (Y - D)); the last fall to zero adds nothing."""
    at_risk, events = table.at_risk, table.weight[1]
    left = at_risk - events
    terms = np.divide(events, at_risk * left, out=np.zeros_like(events), where=left > 0)
    return np.asarray(terms.cumsum())


def _curve_variance(table: RiskTable, survival: FloatArray, robust: bool) -> FloatArray:
    """Variance of the curve at each time; NaN where survival is 0."""
    green = _hazard_of_variance(table)
    variance = green
    if robust:
        at_event, at_censoring = _log_influence(table, green)
        gone = table.weight_sq[1] * at_event**2 + table.weight_sq[0] * at_censoring**2
        variance = green**2 * table.weight_sq_after + gone.cumsum()
    return np.where(survival > 0, survival**2 * variance, np.nan)


def _log_influence(table: RiskTable, green: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Influence on log survival of one who leaves at each time, by event or by censoring."""
    return np.append(0.0, green[:-1]) - 1 / table.at_risk, green


def _area(table: RiskTable, horizon: float, robust: bool) -> tuple[float, float]:
    """Area under the curve up to `horizon`, and its variance."""
    survival, green = _product_limit(table), _hazard_of_variance(table)
    widths = np.diff(table.time, prepend=0.0, append=max(horizon, table.time[-1]))
    areas = np.append(1.0, survival) * widths
    after = areas[::-1].cumsum()[::-1][1:]
    if not robust:
        return float(areas.sum()), float((after**2 * np.diff(green, prepend=0.0)).sum())
    at_event, at_censoring = _log_influence(table, green)
    lived = (areas[:-1] * np.append(0.0, green[:-1])).cumsum()
    influence = np.stack([lived + at_censoring * after, lived + at_event * after])
    return float(areas.sum()), float((table.weight_sq[:2] * influence**2).sum())


def _variance_of_rows(
    table: RiskTable,
    time: FloatArray,
    event: BoolArray,
    weights: FloatArray,
    late: FloatArray | None,
    cluster: ArrayLike | None,
) -> FloatArray:
    """Robust variance of log survival at each time, for late entry or several rows a person."""
    rows = spells(table, time, event, weights, late, cluster)
    green = _hazard_of_variance(table)
    at_event, at_censoring = _log_influence(table, green)
    leaving = np.where(rows.kind == 1, at_event[rows.end], at_censoring[rows.end])
    entered = rows.at_begin(green)
    gain = rows.weight * (leaving - entered)
    before, none = rows.before(gain), np.zeros(time.size)
    at_risk = [before - rows.weight * entered, rows.weight]
    return sum_of_squares((green,), rows, at_risk, [before + gain, none])


def _area_variance_of_rows(
    table: RiskTable,
    horizon: float,
    time: FloatArray,
    event: BoolArray,
    weights: FloatArray,
    late: FloatArray | None,
    cluster: ArrayLike | None,
) -> float:
    """Robust variance of the area, for late entry or several rows a person."""
    rows = spells(table, time, event, weights, late, cluster)
    residual = _area_residuals(table, horizon, rows.begin, rows.end, rows.kind == 1)
    return float((rows.by_person(rows.weight * residual) ** 2).sum())


def restricted_mean_residuals(
    durations: ArrayLike,
    observed: ArrayLike,
    horizon: float,
    weights: ArrayLike,
    entry: ArrayLike | None = None,
) -> FloatArray:
    """Derivatives of the restricted mean by the weight of each row, shape (n,).

    Args are those of `restricted_mean`; rows that enter after the horizon have 0.

    Raises:
        EstimationError: As `restricted_mean`.
    """
    time, event = follow_up(durations, observed)
    given, late = case_weights(weights, time.size), entries(entry, time)
    check_horizon(time, event, horizon)
    kept = np.full(time.size, True) if late is None else late < horizon
    until, inside = np.minimum(time, horizon)[kept], (event & (time <= horizon))[kept]
    late = None if late is None else late[kept]
    table = build_risk_table(until, inside, given[kept], late)
    begin = np.zeros(until.size, np.int64) if late is None else places_after(table.time, late)
    end = np.searchsorted(table.time, until).astype(np.int64)
    made = np.zeros(time.size)
    made[kept] = _area_residuals(table, horizon, begin, end, inside)
    return made


def _area_residuals(
    table: RiskTable, horizon: float, begin: IntArray, end: IntArray, has_event: BoolArray
) -> FloatArray:
    """Derivative of the area under the curve by the weight of each row, shape (n,)."""
    survival, green = _product_limit(table), _hazard_of_variance(table)
    widths = np.diff(table.time, prepend=0.0, append=max(horizon, table.time[-1]))
    areas = np.append(1.0, survival) * widths
    area, moved = areas.cumsum(), (areas * np.append(0.0, green)).cumsum()
    at_event, at_censoring = _log_influence(table, green)
    leaving = np.where(has_event, at_event[end], at_censoring[end])
    # Area from the last time before entry on: the curve moves only at the times of the table.
    entered, from_area, from_moved = (
        np.append(0.0, column)[begin] for column in (green, area[:-1], moved[:-1])
    )
    while_in = moved[end] - from_moved - entered * (area[end] - from_area)
    return np.asarray(while_in + (leaving - entered) * (area[-1] - area[end]))


def check_horizon(time: FloatArray, event: Iterable[bool], horizon: float) -> None:
    """Refuse a horizon beyond the follow-up, unless the last to be followed had the event.

    Raises:
        EstimationError: The curve of these rows is not known up to the horizon.
    """
    longest = time.max()
    complete = bool(np.asarray(event)[time == longest].all())
    if not 0 < horizon < np.inf or (horizon > longest and not complete):
        raise EstimationError(
            "restricted_mean",
            f"horizon {horizon:g} is not in (0, {longest:g}], the follow-up of this arm",
            "set `rmst_horizon_days` to a day that every arm is followed to.",
        )


def _crossing(time: FloatArray, height: FloatArray, target: float) -> float | None:
    """First time at or below `target`; the middle of the piece where the curve equals it."""
    known = np.isfinite(height)
    reached = np.flatnonzero(known & (height <= target + _FLAT))
    if not reached.size:
        return None
    first = reached[0]
    if abs(height[first] - target) >= _FLAT:
        return float(time[first])
    below = np.flatnonzero(known & (height < target - _FLAT))
    last = below[0] if below.size else np.flatnonzero(known)[-1]
    return float((time[first] + time[last]) / 2)
