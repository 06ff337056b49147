"""Bootstraps of the two arms of the lake: what weights them is fitted anew in each resample."""

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

import numpy as np

from tasks.analysis.people import FloatArray, IntArray
from tasks.analysis.populations import N_STRATA, Population, independent_columns
from tasks.analysis.table_asked import TIME
from tasks.analysis.table_bootstrap import numbers, plan_of, with_limits
from tasks.core.errors import EstimationError
from tasks.core.spec import Analysis
from tasks.stats.arms_bootstrap import ArmsBootstrap, bootstrap_of_arms
from tasks.stats.bootstrap import BootstrapInterval, interval
from tasks.stats.cox_bootstrap import CoxBootstrap, cox_bootstrap
from tasks.stats.refitted_weights import WeightModel

if TYPE_CHECKING:
    from tasks.analysis.estimates import Asked

Row = dict[str, object]
_MIN_GOOD = 0.95  # share of the resamples in which a ratio must exist
Scale = Literal["level", "difference", "ratio"]
_SCALES: dict[str, Scale] = {
    **dict.fromkeys(("survival", "cumulative_incidence", "rmst", "rmtl"), "level"),
    **dict.fromkeys(("risk_difference", "rmst_difference", "rmtl_difference"), "difference"),
    **dict.fromkeys(("risk_ratio", "rmst_ratio", "rmtl_ratio"), "ratio"),
}


def is_bootstrapped(analysis: Analysis) -> bool:
    """Return whether the errors of an analysis are from resamples."""
    return analysis.std_error == "bootstrap"


def bootstrapped_arms_cox(asked: "Asked", people: Population, x: FloatArray) -> CoxBootstrap:
    """Return Cox's model of the arms, with its standard error from resamples of persons."""
    model = _weight_model(asked.analysis, people)
    return cox_bootstrap(
        people.follow_up_days,
        people.has_outcome,
        x,
        plan_of(asked.analysis),
        ties=asked.analysis.ties or "efron",
        refit=None if model is None else model.weights,
    )


def with_limits_of_arms(asked: "Asked", drawn: CoxBootstrap, row: Row) -> Row:
    """Return the row of the hazard ratio with the limits that the analysis asks for."""
    made = with_limits(asked.analysis, drawn, row, 0)
    return made | {"note": _note(row, drawn.resampled.values.shape[0])}


def bootstrapped_rows(asked: "Asked", people: Population, rows: list[Row]) -> list[Row]:
    """Return rows of curves or means, what is read on days with errors from resamples.

    The curve itself, medians and quantiles keep the errors that they have.

    Raises:
        EstimationError: An arm has no outcome by the last day, or too many resamples fail.
    """
    if not is_bootstrapped(asked.analysis):
        return rows
    analysis, days = asked.analysis, _days(asked.analysis)
    is_curve = analysis.method == "cumulative_incidence"  # of others, a death is a censoring
    drawn = bootstrap_of_arms(
        people.follow_up_days,
        people.cause if is_curve else people.has_outcome.astype(np.int64),
        people.is_target,
        days,
        plan_of(analysis),
        float(analysis.horizon_days) if analysis.horizon_days else None,
        _weight_model(analysis, people),
        with_jackknife=analysis.bootstrap_interval == "bca",
    )
    more = list(_risks_compared(asked, people)) if analysis.method == "kaplan_meier" else []
    return [_bootstrapped(asked, drawn, days, row) for row in [*rows, *more]]


def _weight_model(analysis: Analysis, people: Population) -> WeightModel | None:
    """Return how a population was weighted, as `make_populations` does it; None for all alike.

    Raises:
        EstimationError: It is not known of whom the population was made.
    """
    if people.weights is None:
        return None
    if people.people is None:
        what = "the covariates that weight the arms are not at hand"
        raise EstimationError("bootstrap", what, "write std_error: robust.")
    everybody = people.people.dense()
    x = everybody[people.rows]
    kind = people.name
    return WeightModel(
        x[:, independent_columns(everybody)],
        people.is_target,
        kind,  # type: ignore[arg-type]
        kind == "iptw_ate" if analysis.stabilised is None else analysis.stabilised,
        analysis.truncate,
        analysis.n_strata or N_STRATA,
    )


def _days(analysis: Analysis) -> FloatArray:
    return np.asarray(analysis.table_days, dtype=np.float64)


def _risks_compared(asked: "Asked", people: Population) -> Iterator[Row]:
    """Yield rows for the risks of both arms compared on each day that both are followed to."""
    followed = min(float(arm.follow_up_days.max()) for _, arm in asked.each_arm(people))
    for day in asked.analysis.table_days:
        if 0 < day <= followed:
            events = int((people.has_outcome & (people.follow_up_days <= day)).sum())
            for name in ("risk_difference", "risk_ratio"):
                yield asked.row(people, name, at=float(day), n_events=events, **TIME)


def _bootstrapped(asked: "Asked", drawn: ArmsBootstrap, days: FloatArray, row: Row) -> Row:
    """Return a row with its error from the resamples; another row as it is."""
    name, at = str(row["estimate_name"]), row.get("at")
    scale = _SCALES.get(name)
    if scale is None or row.get("term") == "curve" or row["status"] != "ok":
        return row
    place = days.size if asked.analysis.method == "rmst" else int(np.flatnonzero(days == at)[0])
    horizon = float(asked.analysis.horizon_days or 0)
    pick = (name, scale, _places(asked, row, place, days.size), horizon)
    try:
        return row | _columns(asked.analysis, drawn, row, pick)
    except EstimationError as exc:
        if scale == "level":  # nobody has the outcome so early: it is what it is in all resamples
            return row
        gone = dict.fromkeys(("estimate", "std_error", "ci_low", "ci_high", "ci_level", "p_value"))
        gone |= dict.fromkeys(("statistic_name", "statistic"))
        return row | gone | {"status": "not_estimable", "note": f"{exc.where}: {exc.what}"}


def _places(asked: "Asked", row: Row, place: int, n_days: int) -> IntArray:
    """Return the columns of the statistics that a row is made of: of its arm, or of both."""
    both = np.array([place, n_days + 1 + place])
    return both if row.get("arm") is None else both[[asked.arms.index(str(row["arm"]))]]


Pick = tuple[str, Scale, IntArray, float]


def _columns(analysis: Analysis, drawn: ArmsBootstrap, row: Row, pick: Pick) -> Row:
    method = analysis.bootstrap_interval or "normal"
    without = None if drawn.without_each is None else _read(drawn.without_each, pick)
    whole = float(_read(drawn.statistics[None, :], pick)[0])
    resampled = _read(drawn.resampled.values, pick)
    is_good = np.isfinite(resampled)
    exists = np.isfinite(whole) and (without is None or bool(np.isfinite(without).all()))
    if not exists or is_good.mean() < _MIN_GOOD:
        what = "an arm has no event in the data, or in too many resamples"
        raise EstimationError("bootstrap", what, "ask for later days.")
    made = interval(whole, resampled[is_good], method, without_each=without)
    # How many of them have a ratio tells how few events there are: the note does not say it.
    values = numbers(made) | {"note": _note(row, drawn.resampled.values.shape[0])}
    return values if pick[1] == "level" else values | _tested(made, pick[1])


def _read(table: FloatArray, pick: Pick) -> FloatArray:
    """Return what a row tells, of each row of statistics, shape (k,); the logarithm of a ratio."""
    name, scale, places, horizon = pick
    values = table[:, places]
    if name == "survival":
        values = 1 - values
    if name.startswith("rmtl"):
        values = horizon - values
    if scale == "level":
        return np.asarray(values[:, 0])
    if scale == "difference":
        return np.asarray(values[:, 0] - values[:, 1])
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.log(values[:, 0]) - np.log(values[:, 1]))


def _tested(made: BootstrapInterval, scale: Scale) -> Row:
    """Return the columns of a contrast: its scale and test, and a ratio out of its logarithm."""
    test: Row = {
        "estimate_scale": scale,
        "p_value": made.p_value,
        "statistic_name": "z",
        "statistic": made.estimate / made.std_error,
    }
    if scale == "difference":
        return test
    limits = {"ci_low": math.exp(made.ci_low), "ci_high": math.exp(made.ci_high)}
    return test | {"estimate": math.exp(made.estimate), "se_scale": "log", **limits}


def _note(row: Row, replicates: int) -> str:
    said = [str(row["note"])] if row.get("note") else []
    return "; ".join([*said, f"{replicates} resamples; what weights the arms is fitted anew"])
