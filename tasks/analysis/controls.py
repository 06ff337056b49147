"""Negative controls: a study's analyses of outcomes, and of arms, that have no effect."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import duckdb
import numpy as np

from tasks.analysis.estimates import estimate
from tasks.analysis.people import BoolArray, FloatArray, IntArray, People
from tasks.analysis.populations import Population
from tasks.core.results import result_row
from tasks.core.spec import Analysis, ControlExposures, StudySpec

CONTROLS = "negative_controls"
RATIOS = (
    "hazard_ratio",
    "subdistribution_hazard_ratio",
    "rate_ratio",
    "risk_ratio",
    "odds_ratio",
    "rmst_ratio",
)
EFFECTS = (*RATIOS, "risk_difference", "rate_difference", "rmst_difference")
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


def of_control(control: str, kind: str = "negative_control") -> Row:
    """Return the columns of a row that name a negative control: an outcome, or a pair of arms."""
    return {"stratum_name": kind, "stratum_level": control}


EXPOSURE = "negative_control_exposure"


def control_counts(spec: StudySpec, comparison: Comparison) -> list[Row]:
    """Return people and events of each arm, for every outcome that is a negative control."""
    crude = comparison.populations["crude"]
    return [
        row
        for control in comparison.controls
        for row in _counts(
            spec, control.within(crude), outcome=control.id, **of_control(control.id)
        )
    ]


def exposure_counts(alike: StudySpec, pair: ControlExposures, people: People) -> list[Row]:
    """Return people and events of each arm of a pair that is a negative control.

    Args:
        alike: The study with the arms of the pair.
        pair: The pair.
        people: Its people.
    """
    crude = Population(
        "crude", people.is_target, people.follow_up_days, people.cause,
        np.arange(people.is_target.size), None, None,
    )  # fmt: skip
    named = of_control(pair.id, EXPOSURE)
    return _counts(alike, crude, outcome=alike.trial.outcome.id, **named)


def _counts(spec: StudySpec, crude: Population, **named: object) -> list[Row]:
    return [
        result_row(
            CONTROLS,
            "descriptive",
            "count",
            method="count",
            population="crude",
            arm=arm_id,
            unit="events",
            unit_of_analysis="person",
            estimate=float(arm.has_outcome.sum()),
            n=int(arm.rows.size),
            n_events=int(arm.has_outcome.sum()),
            **named,
        )
        for arm_id, is_target in ((spec.trial.target.id, True), (spec.trial.comparator.id, False))
        for arm in (crude.arm(is_target),)
    ]


def outcome_effects(
    spec: StudySpec, analysis: Analysis, comparison: Comparison, population: Population | None
) -> list[Row]:
    """Return the effects that an analysis finds of each outcome that is a negative control."""
    why = "the adjustment could not be made"
    rows: list[Row] = []
    for control in comparison.controls:
        people = None if population is None else control.within(population)
        named = {"outcome": control.id, **of_control(control.id)}
        rows += _effects(analysis, estimate(spec, analysis, people, why), named)
    return rows


def exposure_effects(
    alike: StudySpec,
    analysis: Analysis,
    pair: ControlExposures,
    population: Population | None,
    why: str,
) -> list[Row]:
    """Return the effects that an analysis finds between the arms of a negative control.

    Args:
        alike: The study with the arms of the pair.
        analysis: The analysis.
        pair: The pair.
        population: Where it is made; None when its adjustment could not be made.
        why: Why it could not be made.
    """
    named = {
        "target": alike.trial.target.id,
        "comparator": alike.trial.comparator.id,
        "outcome": alike.trial.outcome.id,
        **of_control(pair.id, EXPOSURE),
    }
    return _effects(analysis, estimate(alike, analysis, population, why), named)


def _effects(analysis: Analysis, rows: list[Row], named: Row) -> list[Row]:
    """Return the first row of each effect; one that says why where there is none."""
    first: dict[object, Row] = {}
    for row in rows:
        if row["estimate_name"] in EFFECTS:
            first.setdefault(row["estimate_name"], row)
    return [_of_control(analysis, row, named) for row in first.values() or rows[:1]]


def _of_control(analysis: Analysis, row: Row, named: Row) -> Row:
    is_effect = row["estimate_name"] in EFFECTS
    changed = {
        "analysis_id": CONTROLS,
        "role": "descriptive",
        "term": analysis.id,
        "status": row["status"] if is_effect else "not_estimable",
        "note": row["note"] if row["status"] != "ok" else None,
    }
    return row | changed | named
