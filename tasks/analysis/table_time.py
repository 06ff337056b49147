"""Strategies over time in an analysis table: clones with a grace period, weighted."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from tasks.analysis.design_columns import DesignColumns, design_columns
from tasks.analysis.estimates import TIME
from tasks.analysis.people import FloatArray, IntArray
from tasks.analysis.table_asked import AskedOfTable, Row
from tasks.analysis.table_bootstrap import numbers, plan_of
from tasks.analysis.table_models import with_names
from tasks.analysis.table_rows import TableRows
from tasks.analysis.table_trials import levels_of_treatment
from tasks.core.errors import EstimationError
from tasks.stats.bootstrap import BootstrapInterval, interval
from tasks.stats.clone_censor_weight import (
    STRATEGIES,
    CloneCensorWeight,
    CovariatePath,
    clone_censor_weight,
)

_LOW = 0.02  # a probability of staying below which a few persons stand for very many


@dataclass(frozen=True, slots=True, eq=False)
class _Persons:
    """Follow-up and start of treatment of each person, shape (n,); their covariates over time."""

    time: FloatArray
    event: IntArray
    start: FloatArray
    weight: FloatArray | None
    path: CovariatePath | None


def clone_censor_weights(asked: AskedOfTable) -> list[Row]:
    """Return risks and restricted means of both strategies, their contrasts and their weights."""
    rows, analysis = asked.rows, asked.analysis
    design = design_columns(rows) if analysis.terms is not None else None
    people = _persons(asked, None if design is None else design.x)
    try:
        found = clone_censor_weight(
            people.time,
            people.event,
            people.start,
            None if design is None or people.path is not None else design.x,
            float(analysis.grace_days or 0),
            np.asarray(analysis.table_days, dtype=np.float64),
            plan_of(analysis),
            horizon=float(analysis.horizon_days) if analysis.horizon_days else None,
            weights=people.weight,
            truncate=analysis.truncate_weights,
            window=float(analysis.interval_days) if analysis.interval_days else None,
            path=people.path,
            with_jackknife=analysis.bootstrap_interval == "bca",
        )
    except EstimationError as exc:
        raise _named(exc, design) from None
    made = [*_risks(asked, found, people), *_means(asked, found), *_weights(asked, found)]
    return [_of_persons(row, found) for row in made]


def _persons(asked: AskedOfTable, x: FloatArray | None) -> _Persons:
    """Return persons of a table: its rows, or what the intervals of each say together."""
    rows = asked.rows
    if rows.entry is None:
        return _Persons(
            rows.time, rows.event, rows.numbers("treatment_start_days"), rows.weights, None
        )
    label = rows.labels("person_id", *(("site",) if "site" in rows.values else ()))
    assert label is not None  # noqa: S101 - intervals have persons
    _, person = np.unique(label, return_inverse=True)
    n = int(person.max()) + 1
    time, start, event = np.zeros(n), np.full(n, np.inf), np.zeros(n, dtype=np.int64)
    treated = rows.values[f"x_{asked.group_column}"] == levels_of_treatment(asked)[1]
    np.maximum.at(time, person, rows.time)
    np.minimum.at(start, person[treated], rows.entry[treated])
    np.maximum.at(event, person, rows.event)
    covariates = np.zeros((rows.n, 0)) if x is None else x
    path = CovariatePath(person.astype(np.int64), rows.entry, rows.time, covariates)
    return _Persons(time, event, start, _weights_of_persons(rows, person), path)


def _weights_of_persons(rows: TableRows, person: IntArray) -> FloatArray | None:
    """Return the weight of each person, which all of its intervals must share."""
    if rows.weights is None:
        return None
    highest = np.zeros(int(person.max()) + 1)
    np.maximum.at(highest, person, rows.weights)
    if (highest[person] != rows.weights).any():
        what = "the weight of some persons differs from interval to interval"
        raise EstimationError("weights", what, "give each person one weight.")
    return highest


def _of_persons(row: Row, found: CloneCensorWeight) -> Row:
    """Return a row that counts persons, whatever rows the table has."""
    if row["estimate_name"] != "ess":
        row = row | {"n": found.n}
    return row | {"unit_of_analysis": "person"}


def _named(exc: EstimationError, design: DesignColumns | None) -> EstimationError:
    return exc if design is None else with_names(exc, design)


def _risks(asked: AskedOfTable, found: CloneCensorWeight, people: _Persons) -> Iterator[Row]:
    """Yield the risk of each strategy by each day, and both compared on the last day."""
    for place, day in enumerate(found.days):
        for number, strategy in enumerate(STRATEGIES):
            events = _events_by(asked, people, strategy, float(day))
            what = {"n_events": events, "at": float(day), "unit": "probability", **TIME}
            at = number * (found.days.size + 1) + place
            yield _of_strategy(asked, found, "cumulative_incidence", number, at, "table", **what)
    if found.days.size:
        last = int(found.days.argmax())
        what = {"at": float(found.days[last]), **TIME}
        yield _contrast(asked, found, "risk_difference", last, **what)
        yield _ratio(asked, found, last, **what)


def _means(asked: AskedOfTable, found: CloneCensorWeight) -> Iterator[Row]:
    if found.horizon is None:
        return
    what = {"at": found.horizon, "unit": "days", **TIME}
    for number in range(len(STRATEGIES)):
        at = number * (found.days.size + 1) + found.days.size
        yield _of_strategy(asked, found, "rmst", number, at, None, **what)
    yield _contrast(asked, found, "rmst_difference", found.days.size, **what)


def _weights(asked: AskedOfTable, found: CloneCensorWeight) -> Iterator[Row]:
    """Yield, for each strategy, the effective size of its followers just after grace."""
    for strategy in found.strategies:
        cut = "" if strategy.cap is None else f", cut at {strategy.cap:.4g}"
        doubt = "; positivity is doubtful" if strategy.lowest_probability < _LOW else ""
        note = (
            f"weights up to {strategy.largest_weight:.4g}{cut}; lowest probability of staying "
            f"{strategy.lowest_probability:.4g}{doubt}"
        )
        yield asked.row(
            "ess",
            at=float(asked.analysis.grace_days or 0),
            unit="persons",
            estimate=strategy.ess,
            n=strategy.n_followed,
            n_events=None,
            note=note,
            **TIME,
            **_named_strategy(strategy.name),
        )


def _named_strategy(name: str) -> Row:
    return {"strategy": name, "arm": name, "stratum_name": "strategy", "stratum_level": name}


def _events_by(asked: AskedOfTable, people: _Persons, strategy: str, day: float) -> int:
    """Count the outcomes by a day that belong to a strategy: before its clone is censored."""
    grace = float(asked.analysis.grace_days or 0)
    leaves = np.where(people.start > grace, grace, np.inf)
    if strategy != STRATEGIES[0]:
        leaves = np.where(people.start <= grace, people.start, np.inf)
    return int(((people.event == 1) & (people.time <= np.minimum(leaves, day))).sum())


def _of_strategy(
    asked: AskedOfTable, found: CloneCensorWeight, name: str, number: int, place: int,
    term: str | None, **values: object,
) -> Row:  # fmt: skip
    jackknife = None if found.without_each is None else found.without_each[:, place]
    made = _interval(asked, found.statistics[place], found.resampled.values[:, place], jackknife)
    events = {"n_events": found.strategies[number].events}
    strategy = _named_strategy(STRATEGIES[number])
    return asked.row(name, term=term, **(events | numbers(made) | strategy | values))


def _contrast(
    asked: AskedOfTable, found: CloneCensorWeight, name: str, place: int, **values: object
) -> Row:
    made = _interval(
        asked,
        float(_less(found.statistics, place, found)),
        _less(found.resampled.values, place, found),
        None if found.without_each is None else _less(found.without_each, place, found),
    )
    test = {"statistic_name": "z", "statistic": made.estimate / made.std_error}
    what = numbers(made) | test | {"estimate_scale": "difference", "p_value": made.p_value}
    return asked.row(name, **(what | _compared() | values))


def _ratio(asked: AskedOfTable, found: CloneCensorWeight, place: int, **values: object) -> Row:
    """Return the risk ratio; its error, and a normal interval, are of its logarithm."""
    parts = (found.statistics, found.resampled.values, found.without_each)
    whole, drawn, without = (None if p is None else _log_ratio(p, place, found) for p in parts)
    if whole is None or drawn is None or not np.isfinite(drawn).all() or not np.isfinite(whole):
        note = "a strategy has no outcome by then, in the data or in a resample"
        return asked.row("risk_ratio", status="not_estimable", note=note, **_compared(), **values)
    made = _interval(asked, float(whole), drawn, without)
    limits = {"ci_low": float(np.exp(made.ci_low)), "ci_high": float(np.exp(made.ci_high))}
    what = numbers(made) | limits | {"estimate": float(np.exp(made.estimate))}
    what |= {"estimate_scale": "ratio", "se_scale": "log", "p_value": made.p_value}
    what |= {"statistic_name": "z", "statistic": made.estimate / made.std_error}
    return asked.row("risk_ratio", **(what | _compared() | values))


def _compared() -> Row:
    target, comparator = STRATEGIES
    return {
        "target": target,
        "comparator": comparator,
        "stratum_name": "strategy",
        "stratum_level": f"{target} - {comparator}",
    }


def _less(values: FloatArray, at: int, found: CloneCensorWeight) -> FloatArray:
    return np.asarray(values[..., at] - values[..., at + found.days.size + 1])


def _log_ratio(values: FloatArray, at: int, found: CloneCensorWeight) -> FloatArray:
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = values[..., at] / values[..., at + found.days.size + 1]
        return np.asarray(np.log(ratio))


def _interval(
    asked: AskedOfTable, estimate: float, drawn: FloatArray, jackknife: FloatArray | None
) -> BootstrapInterval:
    method = asked.analysis.bootstrap_interval or "normal"
    return interval(float(estimate), drawn, method, without_each=jackknife)
