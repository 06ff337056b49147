"""Negative controls: the analyses of a study, run on outcomes that neither strategy can change."""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import duckdb
import numpy as np

from tasks.analysis.estimates import estimate, stratum
from tasks.analysis.people import BoolArray, FloatArray, IntArray, People
from tasks.analysis.populations import Population
from tasks.core.errors import EstimationError
from tasks.core.results import result_row
from tasks.core.spec import Analysis, StudySpec
from tasks.stats.calibration import SystematicError, calibrate, fit_systematic_error

CONTROLS = "negative_controls"
RATIOS = (
    "hazard_ratio",
    "subdistribution_hazard_ratio",
    "rate_ratio",
    "risk_ratio",
    "odds_ratio",
)
Row = dict[str, object]


@dataclass(frozen=True, slots=True, eq=False)
class ControlOutcome:
    """One negative control in the people of a study, in their order.

    `is_free` is False for who had it before; they are left out of its analysis.
    """

    id: str
    is_free: BoolArray
    follow_up_days: FloatArray
    cause: IntArray

    def within(self, population: Population) -> Population:
        """Return a population of the study with this outcome in place of its own."""
        kept = self.is_free[population.rows]
        rows = population.rows[kept]
        return Population(
            population.name,
            population.is_target[kept],
            self.follow_up_days[rows],
            self.cause[rows],
            rows,
            None if population.weights is None else population.weights[kept],
            None if population.cluster is None else population.cluster[kept],
        )


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """The populations of one group of people, and its negative controls."""

    populations: Mapping[str, Population]
    controls: Iterable[ControlOutcome]


def load_controls(
    con: duckdb.DuckDBPyConnection, spec: StudySpec, people: People
) -> Iterator[ControlOutcome]:
    """Read the negative controls of the people from a run's workspace, one at a time."""
    if not spec.negative_controls:
        return
    query = "select person_id, follow_up_days, cause from cohort.control_follow_up order by 1"
    person, days, cause = _integers(con, query)
    place = np.searchsorted(person, people.person_id)
    free = (days[place].astype(np.float64), cause[place])
    for item in spec.negative_controls:
        yield _load(con, item.id, people, *free)


def _integers(
    con: duckdb.DuckDBPyConnection, query: str, params: Mapping[str, object] | None = None
) -> list[IntArray]:
    found = con.execute(query, params).fetchnumpy()
    return [np.asarray(column, dtype=np.int64) for column in found.values()]


def _load(
    con: duckdb.DuckDBPyConnection, name: str, people: People, days: FloatArray, cause: IntArray
) -> ControlOutcome:
    query = (
        "select person_id, is_prior, coalesce(follow_up_days, 0) as follow_up_days "
        "from cohort.control_outcome where control_id = $id order by person_id"
    )
    person, is_prior, event_day = _integers(con, query, {"id": name})
    is_here = np.isin(person, people.person_id)
    place = np.searchsorted(people.person_id, person[is_here])
    is_free = np.ones(people.person_id.size, dtype=bool)
    is_free[place[is_prior[is_here] == 1]] = False
    has_event = event_day[is_here] > 0
    days, cause = days.copy(), cause.copy()
    days[place[has_event]] = event_day[is_here][has_event]
    cause[place[has_event]] = 1
    return ControlOutcome(name, is_free, days, cause)


def of_control(control: str) -> Row:
    """Return the columns of a row that name a negative control."""
    return {"stratum_name": "negative_control", "stratum_level": control}


def control_counts(spec: StudySpec, comparison: Comparison) -> list[Row]:
    """Return people and events of each arm, for every negative control."""
    crude = comparison.populations["crude"]
    arms = {True: spec.trial.target.id, False: spec.trial.comparator.id}
    return [
        result_row(
            CONTROLS,
            "descriptive",
            "count",
            method="count",
            population="crude",
            outcome=control.id,
            **of_control(control.id),
            arm=arms[is_target],
            unit="events",
            unit_of_analysis="person",
            estimate=float(arm.has_outcome.sum()),
            n=int(arm.rows.size),
            n_events=int(arm.has_outcome.sum()),
        )
        for control in comparison.controls
        for is_target in (True, False)
        for arm in (control.within(crude).arm(is_target),)
    ]


def calibrated(
    spec: StudySpec, analysis: Analysis, comparison: Comparison, rows: Iterable[Row]
) -> list[Row]:
    """Return what the negative controls say about one analysis, and its calibrated ratios.

    Args:
        spec: The study.
        analysis: An analysis that says `calibrate: true`.
        comparison: The populations that it is made in, and the controls.
        rows: Its own rows of results.
    """
    name = "crude" if analysis.adjustment == "none" else analysis.adjustment
    population = comparison.populations.get(name)
    of_controls = [
        _of_control(spec, analysis, control, population) for control in comparison.controls
    ]
    where = {
        "method": "empirical_calibration",
        "population": name,
        "target": spec.trial.target.id,
        "comparator": spec.trial.comparator.id,
        "term": analysis.id,
        **stratum(analysis.population),
    }
    found, error = _systematic_error(of_controls, where)
    if error is not None:
        found += [_calibrated(row, error) for row in rows if _has_ratio(row)]
    return of_controls + found


def _of_control(
    spec: StudySpec, analysis: Analysis, control: ControlOutcome, population: Population | None
) -> Row:
    """Return the ratio of one control, or why it has none."""
    people = None if population is None else control.within(population)
    why = "the adjustment could not be made"
    rows = estimate(spec, analysis, people, why)
    row = next((r for r in rows if r["estimate_name"] in RATIOS), rows[0])
    is_ratio = row["estimate_name"] in RATIOS
    changed = {
        "analysis_id": CONTROLS,
        "role": "descriptive",
        "term": analysis.id,
        "outcome": control.id,
        **of_control(control.id),
        "status": row["status"] if is_ratio else "not_estimable",
        "note": row["note"] if row["status"] != "ok" else None,
    }
    return row | changed


def _has_ratio(row: Row) -> bool:
    return (
        row["estimate_name"] in RATIOS
        and row["status"] == "ok"
        and row.get("std_error") is not None
        and row.get("se_scale") == "log"
        and row.get("se_method") != "profile_likelihood"
    )


def _systematic_error(
    of_controls: list[Row], where: Mapping[str, object]
) -> tuple[list[Row], SystematicError | None]:
    usable = [row for row in of_controls if _has_ratio(row)]
    note = f"{len(usable)} of {len(of_controls)} negative controls could be estimated"
    try:
        error = fit_systematic_error(
            [math.log(float(str(row["estimate"]))) for row in usable],
            [float(str(row["std_error"])) for row in usable],
        )
    except EstimationError as exc:
        why = {"status": "not_estimable", "note": exc.what}
        return [result_row(CONTROLS, "descriptive", "ease", **where, **why)], None
    rows = [
        result_row(
            CONTROLS,
            "descriptive",
            "coefficient",
            scenario=scenario,
            estimate=value,
            estimate_scale="identity",
            note=note,
            **where,
        )
        for scenario, value in (("error_mean", error.mean), ("error_sd", error.sd))
    ]
    ease = result_row(CONTROLS, "descriptive", "ease", estimate=error.ease, note=note, **where)
    return [ease, *rows], error


def _calibrated(row: Row, error: SystematicError) -> Row:
    """Return a ratio of the study with the systematic error taken out of it."""
    level = float(str(row.get("ci_level") or 0.95))
    found = calibrate(
        math.log(float(str(row["estimate"]))), float(str(row["std_error"])), error, level
    )
    return row | {
        "term": "calibrated",
        "estimate": math.exp(found.estimate),
        "std_error": found.std_error,
        "se_method": "empirical_calibration",
        "ci_low": math.exp(found.ci_low),
        "ci_high": math.exp(found.ci_high),
        "ci_method": "empirical_calibration",
        "statistic_name": "z",
        "statistic": found.z,
        "p_value": found.p_value,
    }
