"""The cohort language: who enters on which day, who stays, and until when.

A cohort is a set of spans (person, start, end). Events of the lake open spans, rules keep or drop
them, an end closes them. Every day is counted relative to the start (or end) of the span that is
judged: its index. `docs/cohorts.md` shows the language by example.
"""

from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Discriminator, Field, Tag, model_validator

from tasks.core.domains import domains
from tasks.core.spec.base import AS_TUPLE, ConceptId, Days, Frozen, Id, Offset, Text, as_tuple

Scalar = bool | int | float | str | date
Number = int | float
Column = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{1,47}$")]
DomainName = Annotated[str, Field(json_schema_extra={"enum": sorted(domains())})]
Share = Annotated[int, Field(ge=1, le=1000)]
LocalFile = Annotated[
    str,
    Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*(/[A-Za-z0-9][A-Za-z0-9_.-]*)*$",
        max_length=200,
        description="A file beside the study, or in a folder below it.",
    ),
]
_TEXTS = {"VARCHAR": (str,), "BOOLEAN": (bool,), "DATE": (date,), "TIMESTAMP": (date,)}


class Period(Frozen):
    """Calendar days; both belong to it, and one of them may be left open."""

    start: date | None = None
    end: date | None = None

    @model_validator(mode="after")
    def _runs_forward(self) -> Self:
        if self.start is None and self.end is None:
            raise ValueError("needs start or end")
        if self.start and self.end and self.end < self.start:
            raise ValueError(f"ends on {self.end}, before it starts on {self.start}")
        return self


class Where(Frozen):
    """What one column of an event must hold; an empty column fulfils nothing but is_missing."""

    column: Column
    equals: Scalar | None = None
    is_in: Annotated[tuple[Scalar, ...], AS_TUPLE] = ()
    not_in: Annotated[tuple[Scalar, ...], AS_TUPLE] = ()
    at_least: Number | date | None = None
    at_most: Number | date | None = None
    more_than: Number | date | None = None
    less_than: Number | date | None = None
    more_than_column: Column | None = None
    less_than_column: Column | None = None
    is_missing: bool | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.model_dump(exclude_defaults=True, exclude={"column"}):
            raise ValueError(f"says nothing of column {self.column}")
        return self

    @property
    def values(self) -> tuple[Scalar, ...]:
        """Every value that the column is held against."""
        single = (self.equals, self.at_least, self.at_most, self.more_than, self.less_than)
        return (*self.is_in, *self.not_in, *(v for v in single if v is not None))

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column that is named."""
        named = (self.column, self.more_than_column, self.less_than_column)
        return tuple(name for name in named if name)


class Age(Frozen):
    """Bounds of age, in completed years or as the difference of calendar years."""

    method: Annotated[
        Literal["calendar_year", "exact"],
        Field(
            description="calendar_year: year of the day less year of birth. exact: completed "
            "years; an unknown month of birth counts as July, an unknown day as the 15th (the 1st "
            "of July when both are unknown)."
        ),
    ]
    at_least: Annotated[int, Field(ge=0, le=150)] | None = None
    at_most: Annotated[int, Field(ge=0, le=150)] | None = None
    more_than: Annotated[int, Field(ge=0, le=150)] | None = None
    less_than: Annotated[int, Field(ge=0, le=150)] | None = None

    @model_validator(mode="after")
    def _has_a_bound(self) -> Self:
        bounds = (self.at_least, self.at_most, self.more_than, self.less_than)
        if all(bound is None for bound in bounds):
            raise ValueError("needs at_least, at_most, more_than or less_than")
        return self


class Window(Frozen):
    """Days relative to the index; a bound left out is open."""

    from_days: Offset | None = None
    to_days: Offset | None = None
    index: Literal["start", "end"] = "start"
    event: Literal["start", "end"] = "start"

    @model_validator(mode="after")
    def _runs_forward(self) -> Self:
        low, high = self.from_days, self.to_days
        if low is not None and high is not None and high < low:
            raise ValueError("to_days lies before from_days")
        return self


class Events(Frozen):
    """Records of one domain, narrowed by code, value, day, visit and by what stands around them."""

    domain: DomainName
    code_list: Id | None = None
    by: Annotated[
        Literal["concept", "source_concept"],
        Field(description="Which concept of the record the code list is held against."),
    ] = "concept"
    first_ever: Annotated[
        bool, Field(description="Only the first such record of a person, observed or not.")
    ] = False
    calendar: Period | None = None
    where: Annotated[tuple[Where, ...], AS_TUPLE] = ()
    age: Annotated[Age | None, Field(description="Age on the day of the event.")] = None
    visit: Annotated[Id | None, Field(description="Code list of the visit of the record.")] = None
    having: Annotated[
        "Condition | None", Field(description="Judged with this event as the index.")
    ] = None

    @model_validator(mode="after")
    def _fits_its_domain(self) -> Self:
        domain = domains().get(self.domain)
        if domain is None:
            raise ValueError(f"domain {self.domain!r} is none of {', '.join(sorted(domains()))}")
        column = domain.concept if self.by == "concept" else domain.source_concept
        if self.code_list and column is None:
            raise ValueError(f"{self.domain} has no {self.by} for a code list; use where")
        if self.visit and domain.visit is None:
            raise ValueError(f"{self.domain} has no visit")
        if faults := [fault for item in self.where for fault in _misfits(self.domain, item)]:
            raise ValueError("; ".join(faults))
        return self


def _misfits(domain: str, where: Where) -> Iterator[str]:
    """What in a condition does not fit the columns of its domain."""
    for column in where.columns:
        if domains()[domain].type_of(column) is None:
            yield f"{domain} has no column {column} that may be asked for"
            return
    kind = str(domains()[domain].type_of(where.column))
    allowed = _TEXTS.get(kind, (int, float))
    for value in where.values:
        fits = isinstance(value, allowed) and (kind == "BOOLEAN") == isinstance(value, bool)
        if not fits:
            yield f"column {where.column} holds {kind}, not {type(value).__name__}"


def _windows(value: object) -> object:
    return (value,) if isinstance(value, Mapping | Window) else as_tuple(value)


class Counted(Frozen):
    """So many events in the windows around the index."""

    events: Events
    at_least: Share | None = None
    at_most: Annotated[int, Field(ge=0, le=1000)] | None = None
    exactly: Annotated[int, Field(ge=0, le=1000)] | None = None
    distinct: Annotated[
        Literal["day", "concept", "visit"] | None,
        Field(description="Count different days, concepts or visits; records when left out."),
    ] = None
    within: Annotated[
        tuple[Window, ...],
        BeforeValidator(_windows, json_schema_input_type=Window | tuple[Window, ...]),
        Field(description="One window, or several that must all hold; any day when left out."),
    ] = ()
    same_visit: bool = False
    observed_only: Annotated[
        bool, Field(description="Count only events in the observation period of the index.")
    ] = True

    @model_validator(mode="after")
    def _counts_in_one_way(self) -> Self:
        given = [n for n in (self.at_least, self.at_most, self.exactly) if n is not None]
        if len(given) != 1:
            raise ValueError("needs exactly one of at_least, at_most, exactly")
        domain = domains()[self.events.domain]
        if self.same_visit and domain.visit is None:
            raise ValueError(f"{domain.name} has no visit")
        if self.distinct == "concept" and domain.concept is None:
            raise ValueError(f"{domain.name} has no concept to count")
        if self.distinct == "visit" and domain.visit is None:
            raise ValueError(f"{domain.name} has no visit to count")
        return self


class AgeRule(Frozen):
    """Age at the start of the index."""

    age: Age


class SexRule(Frozen):
    """Sex as recorded; other concepts of gender by their number."""

    sex: Annotated[tuple[Literal["female", "male"] | ConceptId, ...], AS_TUPLE, Field(min_length=1)]


class Observed(Frozen):
    """Days of observation around the index, in the period that holds it."""

    prior_days: Days
    post_days: Days


class ObservedRule(Frozen):
    """So much observation around the start of the index."""

    observation: Observed


class Group(Frozen):
    """Several conditions: all, any or none of them, or a number of them."""

    all: Annotated[tuple["Condition", ...], AS_TUPLE] = ()
    any: Annotated[tuple["Condition", ...], AS_TUPLE] = ()
    none: Annotated[tuple["Condition", ...], AS_TUPLE] = ()
    of: Annotated[tuple["Condition", ...], AS_TUPLE] = ()
    at_least: Annotated[int, Field(ge=0, le=100)] | None = None
    at_most: Annotated[int, Field(ge=0, le=100)] | None = None

    @model_validator(mode="after")
    def _is_one_kind(self) -> Self:
        if sum(bool(part) for part in (self.all, self.any, self.none, self.of)) != 1:
            raise ValueError("needs exactly one of all, any, none, of")
        counted = sum(n is not None for n in (self.at_least, self.at_most))
        if counted != (1 if self.of else 0):
            raise ValueError("of needs one of at_least and at_most, which belong to it alone")
        return self

    @property
    def parts(self) -> tuple["Condition", ...]:
        """The conditions, whichever way they are joined."""
        return self.all or self.any or self.none or self.of


_KEYS = {"events": "counted", "age": "age", "sex": "sex", "observation": "observed"}
_TAGS = {Counted: "counted", AgeRule: "age", SexRule: "sex", ObservedRule: "observed"}


def _kind_of_condition(value: object) -> str:
    if isinstance(value, Mapping):
        return next((tag for key, tag in _KEYS.items() if key in value), "group")
    return next((tag for kind, tag in _TAGS.items() if isinstance(value, kind)), "group")


Condition = Annotated[
    Annotated[Counted, Tag("counted")]
    | Annotated[AgeRule, Tag("age")]
    | Annotated[SexRule, Tag("sex")]
    | Annotated[ObservedRule, Tag("observed")]
    | Annotated[Group, Tag("group")],
    Discriminator(_kind_of_condition),
]


class Rule(Frozen):
    """One step of the attrition: spans that fail it are dropped, and counted."""

    id: Id
    name: Text | None = None
    require: Condition | None = None
    exclude: Condition | None = None

    @model_validator(mode="after")
    def _is_one_way(self) -> Self:
        if (self.require is None) == (self.exclude is None):
            raise ValueError("needs exactly one of require and exclude")
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


class TestEvent(Frozen):
    """One record of a drawn person; other columns of its table by their names."""

    __test__ = False
    domain: DomainName
    start: date
    end: date | None = None
    concept: ConceptId = 0
    source: str | None = None
    columns: dict[Column, Scalar | None] = Field(default_factory=dict)


class TestPerson(Frozen):
    """One person of a drawn world, and what the cohort must say of them."""

    __test__ = False
    id: Id
    born: date
    sex: Literal["female", "male"] = "female"
    observed: Annotated[tuple[Period, ...], AS_TUPLE] = ()
    events: Annotated[tuple[TestEvent, ...], AS_TUPLE] = ()
    expect: Annotated[
        tuple[Period, ...] | Literal["in", "out"],
        AS_TUPLE,
        Field(description="in, out, or the spans that must come out."),
    ]


class CohortTest(Frozen):
    """A drawn world with the members that must come out; run by `causeway study check`."""

    id: Id
    persons: Annotated[tuple[TestPerson, ...], AS_TUPLE, Field(min_length=1, max_length=200)]


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
        if len(set(ids)) < len(ids):
            raise ValueError("two rules have the same id")
        if isinstance(self.end, ObservationEnd) and self.entry.observation == "not_required":
            raise ValueError("end observation_end needs observation to be required at entry")
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
            raise ValueError("circe names a .json file")
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
            raise ValueError("sql names a .sql file")
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


def events_of(condition: object) -> Iterator[Events]:
    """Yield every kind of event that a condition, or what it holds, looks for."""
    if isinstance(condition, Counted):
        yield from with_nested(condition.events)
    elif isinstance(condition, Group):
        for part in condition.parts:
            yield from events_of(part)


def with_nested(events: Events) -> Iterator[Events]:
    """Yield a kind of event and those that stand in its own conditions."""
    yield events
    if events.having is not None:
        yield from events_of(events.having)


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
    named = {name for events in events_in(cohort) for name in (events.code_list, events.visit)}
    if isinstance(cohort.end, EraEnd):
        named.add(cohort.end.code_list)
    return {name for name in named if name}
