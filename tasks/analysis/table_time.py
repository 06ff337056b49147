"""Strategies over time in an analysis table: clones with a grace period, weighted."""

from dataclasses import dataclass

import numpy as np

from tasks.analysis.design_columns import DesignColumns, design_columns
from tasks.analysis.people import FloatArray, IntArray
from tasks.analysis.strategies import Course, Told, means, risks, sizes
from tasks.analysis.table_asked import AskedOfTable, Row
from tasks.analysis.table_bootstrap import plan_of
from tasks.analysis.table_models import with_names
from tasks.analysis.table_rows import TableRows
from tasks.analysis.table_trials import levels_of_treatment
from tasks.core.errors import EstimationError
from tasks.stats.clone_censor_weight import (
    STRATEGIES,
    CloneCensorWeight,
    CovariatePath,
    clone_censor_weight,
)


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
    course = Course(people.time, people.event, people.start, float(analysis.grace_days or 0))
    told = Told(analysis, course, found, asked.row, _named_strategy, _compared())
    return [_of_persons(row, found) for row in (*risks(told), *means(told), *sizes(told))]


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


def _named_strategy(name: str) -> Row:
    return {"strategy": name, "arm": name, "stratum_name": "strategy", "stratum_level": name}


def _compared() -> Row:
    target, comparator = STRATEGIES
    return {
        "target": target,
        "comparator": comparator,
        "stratum_name": "strategy",
        "stratum_level": f"{target} - {comparator}",
    }
