"""Cumulative hazard by Nelson and Aalen, weighted or not, with late entry."""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike

from tasks.core.errors import EstimationError
from tasks.stats.inference import z_quantile
from tasks.stats.influence import Spells, spells, sum_of_squares
from tasks.stats.inputs import FloatArray, IntArray, case_weights, entries, follow_up
from tasks.stats.risk_table import RiskTable, build_risk_table
from tasks.stats.step_curves import StepValues, at_risk_before, places_on_curve

HazardVariance = Literal["poisson", "greenwood"]
HazardScale = Literal["log", "plain"]


@dataclass(frozen=True, slots=True, eq=False)
class CumulativeHazard:
    """Cumulative hazard at each distinct time of event or censoring; arrays have shape (t,).

    `entries` holds the times at which rows enter, ascending; None where all do at 0.
    """

    time: FloatArray
    n_at_risk: IntArray
    n_events: IntArray
    n_censored: IntArray
    cumulative_hazard: FloatArray
    std_error: FloatArray
    ci_low: FloatArray
    ci_high: FloatArray
    level: float
    ci_method: str
    se_method: Literal["poisson", "greenwood", "robust"]
    n: int
    events: int
    entries: FloatArray | None = None


def nelson_aalen(
    durations: ArrayLike,
    observed: ArrayLike,
    weights: ArrayLike | None = None,
    conf_type: HazardScale = "log",
    level: float = 0.95,
    variance: HazardVariance = "poisson",
    ctype: Literal[1, 2] = 1,
    entry: ArrayLike | None = None,
    cluster: ArrayLike | None = None,
) -> CumulativeHazard:
    r"""Nelson-Aalen estimate of the cumulative hazard at every distinct time.

    .. math:: \hat H(t) = \sum_{u \le t} \frac{D_u}{Y_u}

    Args:
        durations: Follow-up of each person, shape (n,), any one unit, all > 0.
        observed: True where follow-up ended in the event, shape (n,).
        weights: Weight of each person, shape (n,), all > 0; the variance is then robust.
        conf_type: Scale of the interval: log (that of the hazard; log-log of survival), or plain.
        level: Confidence level.
        variance: poisson, the sum of d / n^2, or greenwood, the sum of d / (n (n - d)).
        ctype: 1 for d / n; 2 takes d tied events one after the other (Fleming and Harrington).
        entry: Time after which each row is at risk, shape (n,); None where all are from 0 on.
        cluster: Person or cluster of each row, where one has several.

    Returns:
        The curve; intervals are NaN before the first event, where the hazard is 0.

    Raises:
        EstimationError: An input is not usable, or the variance asked for does not exist.

    Source:
        Aalen (1978) Ann Stat 6; Klein & Moeschberger (2003), sec. 4.2. Agrees with R survival
        `survfit(ctype=)`: `cumhaz` and `std.chaz`.
    """
    time, event = follow_up(durations, observed)
    given = None if weights is None else case_weights(weights, time.size)
    _check(conf_type, variance, ctype, given is not None)
    late = entries(entry, time)
    table = build_risk_table(time, event, given, late)
    if given is None:
        hazard, squares = _plain(table, variance, ctype)
    else:
        rows = spells(table, time, event, given, late, cluster)
        hazard, squares = (table.weight[1] / table.at_risk).cumsum(), _robust(table, rows)
    std_error = np.sqrt(squares)
    low, high = _interval(hazard, std_error, conf_type, level)
    return CumulativeHazard(
        table.time, table.n_at_risk, table.counts[1], table.counts[0], hazard, std_error, low, high,
        level, conf_type, variance if given is None else "robust", time.size, int(event.sum()),
        None if late is None else np.sort(late),
    )  # fmt: skip


def hazard_at(curve: CumulativeHazard, times: ArrayLike) -> StepValues:
    """Cumulative hazard, its interval and the persons still at risk at given times.

    Args:
        curve: A Nelson-Aalen curve.
        times: Times in the unit of the curve, shape (m,) or one number, all >= 0.

    Raises:
        EstimationError: A time lies beyond the last follow-up.
    """
    at = np.atleast_1d(np.asarray(times, dtype=np.float64))
    place = places_on_curve(curve.time, at, complete=False)
    columns = (curve.cumulative_hazard, curve.std_error, curve.ci_low, curve.ci_high)
    estimate, std_error = (np.append(0.0, column)[place] for column in columns[:2])
    low, high = (np.append(np.nan, column)[place] for column in columns[2:])
    exits = curve.n_events + curve.n_censored
    at_risk = at_risk_before(curve.time, curve.n_at_risk, curve.entries, exits, at)
    return StepValues(at, estimate, std_error, low, high, at_risk)


def _check(conf_type: str, variance: str, ctype: int, is_weighted: bool) -> None:
    if conf_type not in get_args(HazardScale):
        what = f"a cumulative hazard has no interval `{conf_type}`"
        raise EstimationError("conf_type", what, "choose log or plain.")
    if variance not in get_args(HazardVariance) or ctype not in (1, 2):
        what = f"variance `{variance}` or ctype {ctype} is unknown"
        raise EstimationError("variance", what, "choose poisson or greenwood, and ctype 1 or 2.")
    if (ctype == 2 and variance == "greenwood") or (
        is_weighted and (ctype, variance) != (1, "poisson")
    ):
        what = "weights have the robust variance and ctype 1 only; ctype 2 has poisson only"
        raise EstimationError("variance", what, "leave out variance or ctype.")


def _plain(table: RiskTable, variance: str, ctype: int) -> tuple[FloatArray, FloatArray]:
    """Hazard and variance; Greenwood's is not defined once all at risk have had the event."""
    n, d = table.at_risk, table.weight[1]
    if ctype == 2:
        return _one_by_one(n, table.counts[1], 1), _one_by_one(n, table.counts[1], 2)
    below = n * n if variance == "poisson" else n * (n - d)
    terms = np.divide(d, below, out=np.full_like(d, np.nan), where=below > 0)
    return (d / n).cumsum(), terms.cumsum()


def _one_by_one(n: FloatArray, deaths: IntArray, power: int) -> FloatArray:
    """Cumulative sum over times of 1 / (n - k)^power, k = 0 to d - 1."""
    if not deaths.any():
        return np.zeros(n.size)
    place = np.repeat(np.arange(n.size), deaths)
    rank = np.arange(place.size) - np.repeat(deaths.cumsum() - deaths, deaths)
    return np.bincount(place, 1 / (n[place] - rank) ** power, minlength=n.size).cumsum()


def _robust(table: RiskTable, rows: Spells) -> FloatArray:
    """Sum of squared weighted influence: + 1 / Y of one's own event, - D / Y^2 while at risk."""
    drift = (table.weight[1] / table.at_risk**2).cumsum()
    entered = rows.at_begin(drift)
    jump = np.where(rows.kind == 1, 1 / table.at_risk[rows.end], 0.0)
    gain = rows.weight * (jump - drift[rows.end] + entered)
    before, none = rows.before(gain), np.zeros(gain.size)
    at_risk = [before + rows.weight * entered, -rows.weight]
    return sum_of_squares((drift,), rows, at_risk, [before + gain, none])


def _interval(
    hazard: FloatArray, std_error: FloatArray, conf_type: str, level: float
) -> tuple[FloatArray, FloatArray]:
    low, high = np.full_like(hazard, np.nan), np.full_like(hazard, np.nan)
    there, z = hazard > 0, z_quantile(level)
    h, margin = hazard[there], z * std_error[there]
    if conf_type == "plain":
        low[there], high[there] = np.maximum(h - margin, 0.0), h + margin
    else:
        low[there], high[there] = h * np.exp(-margin / h), h * np.exp(margin / h)
    return low, high
