"""Conditions of the cohort language: which events, so many of them, when, of whom.

Every day is counted relative to the start (or end) of the span that is judged: its index.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Discriminator, Field, Tag, model_validator

from tasks.core.domains import Domain, domains
from tasks.core.explain import Said, choose, cut, misfit
from tasks.core.spec.base import AS_TUPLE, ConceptId, Days, Frozen, Id, Offset

Scalar = bool | int | float | Annotated[str, Field(max_length=500)] | date
Number = int | float
Column = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{1,47}$")]
DomainName = Annotated[str, Field(json_schema_extra={"enum": sorted(domains())})]
Share = Annotated[int, Field(ge=1, le=1000)]
_WORDS = {
    "VARCHAR": "text",
    "BOOLEAN": "true or false",
    "DATE": "a day such as 2024-01-31",
    "TIMESTAMP": "a day such as 2024-01-31",
}
_TEXTS = {"VARCHAR": (str,), "BOOLEAN": (bool,), "DATE": (date,), "TIMESTAMP": (date,)}


class Period(Frozen):
    """Calendar days; both belong to it, and one of them may be left open."""

    start: date | None = None
    end: date | None = None

    @model_validator(mode="after")
    def _runs_forward(self) -> Self:
        if self.start is None and self.end is None:
            raise misfit(Said((), "needs start or end", "add `start`, `end` or both."))
        if self.start and self.end and self.end < self.start:
            what = f"ends on {self.end}, before it starts on {self.start}"
            raise misfit(Said(("end",), what, "write the later day as `end`."))
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
            what = f"says nothing of column {self.column}"
            raise misfit(Said((), what, "add equals, is_in, at_least, is_missing or the like."))
        return self

    @property
    def said(self) -> dict[str, tuple[Scalar, ...]]:
        """Every value that the column is held against, by its key."""
        single = ("equals", "at_least", "at_most", "more_than", "less_than")
        several = {"is_in": self.is_in, "not_in": self.not_in}
        given = {key: getattr(self, key) for key in single}
        return several | {key: (v,) for key, v in given.items() if v is not None}

    @property
    def values(self) -> tuple[Scalar, ...]:
        """Every value that the column is held against."""
        return tuple(value for values in self.said.values() for value in values)

    @property
    def named(self) -> dict[str, str]:
        """Every column that is named, by its key."""
        keys = ("column", "more_than_column", "less_than_column")
        return {key: getattr(self, key) for key in keys if getattr(self, key)}

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column that is named."""
        return tuple(self.named.values())


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
            what = "says nothing of the age"
            raise misfit(Said((), what, "add at_least, at_most, more_than or less_than."))
        lows = [n for n in (self.at_least, _next(self.more_than, 1)) if n is not None]
        highs = [n for n in (self.at_most, _next(self.less_than, -1)) if n is not None]
        if lows and highs and max(lows) > min(highs):
            raise misfit(Said((), "no age lies between its bounds", "exchange or widen them."))
        return self


def _next(bound: int | None, step: int) -> int | None:
    return None if bound is None else bound + step


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
            what = f"to_days {high} lies before from_days {low}"
            fix = "write the earlier day as `from_days`; days before the index are negative."
            raise misfit(Said(("to_days",), what, fix))
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
            what = f"{cut(self.domain)!r} is no domain of events"
            raise misfit(Said(("domain",), what, choose(self.domain, sorted(domains()))))
        column = domain.concept if self.by == "concept" else domain.source_concept
        faults = [fault for n, item in enumerate(self.where) for fault in _misfits(domain, item, n)]
        if self.code_list and column is None:
            what = f"{self.domain} has no {self.by} for a code list"
            faults.append(Said(("code_list",), what, "name its columns under `where`."))
        if self.visit and domain.visit is None:
            what = f"records of {self.domain} belong to no visit"
            faults.append(Said(("visit",), what, "remove `visit`, or name another domain."))
        if faults:
            raise misfit(*faults)
        return self


def _misfits(domain: Domain, where: Where, place: int) -> Iterator[Said]:
    """What in a condition does not fit the columns of its domain."""
    asked = [column.name for column in domain.table.columns if domain.type_of(column.name)]
    unknown = [key for key, name in where.named.items() if name not in asked]
    for key in unknown:
        what = f"{domain.name} has no column {where.named[key]} that may be asked for"
        yield Said(("where", place, key), what, choose(where.named[key], asked))
    if unknown:
        return
    kind = str(domain.type_of(where.column))
    allowed = _TEXTS.get(kind, (int, float))
    for key, values in where.said.items():
        fits = all(
            isinstance(value, allowed) and (kind == "BOOLEAN") == isinstance(value, bool)
            for value in values
        )
        if not fits:
            what = f"column {where.column} holds {_WORDS.get(kind, 'numbers')}"
            yield Said(("where", place, key), what, f"write {_WORDS.get(kind, 'a number')}.")


Windows = Annotated[tuple[Window, ...], AS_TUPLE]


def _windows(value: object) -> object:
    return (value,) if isinstance(value, Mapping | Window) else value


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
        Windows,
        BeforeValidator(_windows, json_schema_input_type=Window | Windows),
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
            what = f"{len(given) or 'no'} counts are given, where one belongs"
            fix = "keep exactly one of at_least, at_most, exactly."
            raise misfit(Said((), what, fix))
        if faults := list(self._not_in_domain()):
            raise misfit(*faults)
        return self

    def _not_in_domain(self) -> Iterator[Said]:
        domain = domains()[self.events.domain]
        counted = {"concept": domain.concept, "visit": domain.visit, "day": domain.start}
        if self.same_visit and domain.visit is None:
            what = f"records of {domain.name} belong to no visit"
            yield Said(("same_visit",), what, "remove `same_visit`, or name another domain.")
        if self.distinct and counted[self.distinct] is None:
            what = f"{domain.name} has no {self.distinct} to count"
            yield Said(("distinct",), what, "count days, or leave `distinct` out.")


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


_KINDS = (
    "write one of events (with a count), age, sex, observation, all, any, none, of; join several "
    "under `all`."
)


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
            raise misfit(Said((), "is not one kind of condition", _KINDS))
        counted = sum(n is not None for n in (self.at_least, self.at_most))
        if counted != (1 if self.of else 0):
            what = "`of` needs one of at_least and at_most, which belong to it alone"
            fix = "keep one of them beside `of`, none beside all, any, none."
            raise misfit(Said((), what, fix))
        low, high, n = self.at_least, self.at_most, len(self.of)
        if (low is not None and not 1 <= low <= n) or (high is not None and high >= n):
            what = f"always holds, or never: there are {n} conditions"
            fix = "write at_least from 1 to that number, or at_most below it."
            raise misfit(Said(("at_least" if low is not None else "at_most",), what, fix))
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


def lists_of(kinds: Iterable[Events]) -> set[str]:
    """Return the ids of the code lists that kinds of events name."""
    return {name for events in kinds for name in (events.code_list, events.visit) if name}
