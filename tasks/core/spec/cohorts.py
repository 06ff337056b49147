"""The cohort language: who enters on which day, who stays, and until when.

A cohort is a set of spans (person, start, end). Events of the lake open spans, rules keep or drop
them, an end closes them. `docs/cohorts.md` shows the language by example.
"""

from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator

from tasks.core.explain import Said, misfit
from tasks.core.spec.base import AS_TUPLE, Days, Frozen, Id, LocalFile, Text
from tasks.core.spec.conditions import (
    Condition,
    Events,
    Observed,
    Period,
    events_of,
    lists_of,
    with_nested,
)
from tasks.core.spec.drawn_persons import CohortTest


class Rule(Frozen):
    """One step of the attrition: spans that fail it are dropped, and counted."""

    id: Id
    name: Text | None = None
    require: Condition | None = None
    exclude: Condition | None = None

    @model_validator(mode="after")
    def _is_one_way(self) -> Self:
        if (self.require is None) == (self.exclude is None):
            both = "require and exclude stand together"
            what = both if self.require is not None else "neither requires nor excludes anything"
            raise misfit(Said((), what, "keep exactly one of require and exclude."))
        return self

    @property
    def condition(self) -> Any:
        """The condition that is required, or whose absence is."""
        return self.require if self.require is not None else self.exclude


class Nth(Frozen):
    """The nth entry of a person, from 1."""

    nth: Annotated[int, Field(ge=1, le=100)]


class Entry(Frozen):
    """What opens a span: an event of any of these kinds, on a day that is looked at."""

    any: Annotated[tuple[Events, ...], AS_TUPLE, Field(min_length=1, max_length=50)]
    observation: Annotated[
        Observed | Literal["not_required"],
        Field(description="Observation around the event, in the period that holds its start."),
    ]
    calendar: Period | None = None
    washout_days: Annotated[
        Annotated[int, Field(ge=1, le=36_500)] | None,
        Field(description="No earlier event of `any` in so many days before, observed or not."),
    ] = None
    limit: Annotated[
        Literal["first", "last", "all"] | Nth,
        Field(description="Which of the events that are left, by person, open a span."),
    ]


class ObservationEnd(Frozen):
    """The span ends with the observation period (with the event where none is required)."""

    type: Literal["observation_end"]


class EventEnd(Frozen):
    """The span ends with the event that opened it."""

    type: Literal["event_end"]


class FixedEnd(Frozen):
    """The span ends a fixed number of days after the event's start or end."""

    type: Literal["fixed"]
    anchor: Literal["start", "end"]
    offset_days: Days


class EraEnd(Frozen):
    """The span ends with the drug era around the start: exposures with gaps up to so many days."""

    type: Literal["era"]
    code_list: Id
    gap_days: Days
    surveillance_days: Annotated[Days, Field(description="Days added after the era.")] = 0
    days_supply: Annotated[
        Annotated[int, Field(ge=1, le=3650)] | None,
        Field(description="Length of each exposure; as recorded when left out."),
    ] = None


End = Annotated[ObservationEnd | EventEnd | FixedEnd | EraEnd, Field(discriminator="type")]


class NativeCohort(Frozen):
    """A cohort in our own language."""

    id: Id
    name: Text | None = None
    entry: Entry
    rules: Annotated[tuple[Rule, ...], AS_TUPLE, Field(max_length=60)] = ()
    keep: Annotated[
        Literal["first", "last", "all"], Field(description="Which spans that pass all rules stay.")
    ]
    end: End
    censor_at: Annotated[
        tuple[Events, ...], AS_TUPLE, Field(description="The first of these ends the span.")
    ] = ()
    collapse_gap_days: Annotated[
        Days, Field(description="Spans of a person so many days apart, or overlapping, are one.")
    ] = 0
    clip: Annotated[Period | None, Field(description="Spans are cut to these days.")] = None
    tests: Annotated[tuple[CohortTest, ...], AS_TUPLE] = ()

    @model_validator(mode="after")
    def _names_rules_once(self) -> Self:
        ids = [rule.id for rule in self.rules]
        faults = [
            Said(("rules", n, "id"), f"two rules have the id {name}", "rename one of them.")
            for n, name in enumerate(ids)
            if name in ids[:n]
        ]
        if isinstance(self.end, ObservationEnd) and self.entry.observation == "not_required":
            what = "ends with an observation period that entry does not require"
            fix = "require observation at entry, or name another end."
            faults.append(Said(("end", "type"), what, fix))
        if faults:
            raise misfit(*faults)
        return self


class CirceCohort(Frozen):
    """A cohort as ATLAS exports it: a Circe expression in JSON."""

    id: Id
    name: Text | None = None
    circe: LocalFile
    tests: Annotated[tuple[CohortTest, ...], AS_TUPLE] = ()

    @model_validator(mode="after")
    def _is_json(self) -> Self:
        if PurePosixPath(self.circe).suffix != ".json":
            raise misfit(Said(("circe",), "names no .json file", "name a .json file."))
        return self


class SqlCohort(Frozen):
    """A cohort as one SELECT of person_id, start_date, end_date over the tables of `clean`."""

    id: Id
    name: Text | None = None
    sql: LocalFile
    tests: Annotated[tuple[CohortTest, ...], AS_TUPLE] = ()

    @model_validator(mode="after")
    def _is_sql(self) -> Self:
        if PurePosixPath(self.sql).suffix != ".sql":
            raise misfit(Said(("sql",), "names no .sql file", "name a .sql file."))
        return self


def _kind_of_cohort(value: object) -> str:
    if isinstance(value, Mapping):
        return next((kind for kind in ("circe", "sql") if kind in value), "native")
    if isinstance(value, CirceCohort):
        return "circe"
    return "sql" if isinstance(value, SqlCohort) else "native"


Cohort = Annotated[
    Annotated[NativeCohort, Tag("native")]
    | Annotated[CirceCohort, Tag("circe")]
    | Annotated[SqlCohort, Tag("sql")],
    Discriminator(_kind_of_cohort),
]


def events_in(cohort: NativeCohort) -> Iterator[Events]:
    """Yield every kind of event that a cohort looks for, in the order of the file."""
    for events in (*cohort.entry.any, *cohort.censor_at):
        yield from with_nested(events)
    for rule in cohort.rules:
        yield from events_of(rule.condition)


def code_lists_in(cohort: Cohort) -> set[str]:
    """Return the ids of all code lists that a cohort names."""
    if not isinstance(cohort, NativeCohort):
        return set()
    named = lists_of(events_in(cohort))
    return named | {cohort.end.code_list} if isinstance(cohort.end, EraEnd) else named
