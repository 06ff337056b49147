"""The cohort language in plain words: exact sentences, in English and Korean.

Protocol, differences between versions and labels of the attrition use the same sentences. The
words stand in `phrases.yaml`.
"""

from collections.abc import Iterable, Mapping
from functools import singledispatchmethod
from pathlib import Path
from typing import Any

from tasks.core.spec.base import Text
from tasks.core.spec.cohorts import (
    CirceCohort,
    Entry,
    EraEnd,
    FixedEnd,
    NativeCohort,
    Nth,
    Rule,
    SqlCohort,
)
from tasks.core.spec.conditions import (
    Age,
    AgeRule,
    Counted,
    Events,
    Group,
    Observed,
    ObservedRule,
    Period,
    SexRule,
    Where,
    Window,
)
from tasks.core.spec.whole import StudySpec
from tasks.report.model import Language
from tasks.report.texts import texts_of

PHRASES_FILE = Path(__file__).with_name("phrases.yaml")
_BOUNDS = ("at_least", "at_most", "exactly", "more_than", "less_than")
_WHERE = (
    "equals",
    "at_least",
    "at_most",
    "more_than",
    "less_than",
    "more_than_column",
    "less_than_column",
)
_SIGNS = {-1: "before", 0: "zero", 1: "after", None: "open"}


def phrases_of(spec: StudySpec, language: Language, index: str = "") -> "Phrases":
    """Return the phrases of a study: its code lists go by their names."""
    names = {item.id: item.name for item in spec.code_lists if item.name}
    return Phrases(language, names, index)


def rule_label(rule: Rule, language: Language, names: Mapping[str, Text] | None = None) -> str:
    """Return what a rule is called: its name, else its sentence."""
    return Phrases(language, names or {}).label(rule)


class Phrases:
    """Sentences for the values of the cohort language.

    Args:
        language: `en` or `ko`.
        names: Names of code lists by id; a list without one goes by its id.
        index: What days are counted from: `` for the entry of a cohort, `zero_` for time zero of
            a trial, `record_` for the record whose own conditions are told.
    """

    def __init__(self, language: Language, names: Mapping[str, Text], index: str = "") -> None:
        self.language: Language = language
        self.names, self._index = names, index

    def say(self, key: str, **values: str) -> str:
        """Return the words of `key` with their fields filled."""
        return texts_of(PHRASES_FILE)[key][self.language].format(**values)

    def days(self, n: int) -> str:
        """Return a number of days with its unit."""
        return self.say("days.one" if n == 1 else "days.other", n=f"{n:,}")

    def code_list(self, name: str) -> str:
        """Return the name of a code list, else its id."""
        return self.names[name].in_language(self.language) if name in self.names else name

    def period(self, period: Period) -> str:
        """Say from which day to which."""
        key = "both" if period.start and period.end else "from" if period.start else "until"
        return self.say(f"period.{key}", start=str(period.start), end=str(period.end))

    def domain(self, name: str) -> str:
        """Return what the records of a domain are called."""
        both = texts_of(PHRASES_FILE).get(f"domain.{name}")
        return both[self.language] if both else name.replace("_", " ")

    def events(self, events: Events, form: str = "one") -> str:
        """Name a kind of event: `record of type 2 diabetes (condition)`."""
        narrowed = self.say("join.parts").join(self._narrowed(events))
        key = ("listed" if events.code_list else "any") + ("_with" if narrowed else "")
        fields = {"domain": self.domain(events.domain), "narrowed": narrowed}
        what = self.say(f"what.{key}", list=self.code_list(events.code_list or ""), **fields)
        return self.say(f"events.{form}", what=what)

    def any_of(self, events: Iterable[Events]) -> str:
        """Name kinds of events, any of which will do."""
        each = [self.say("events.article", events=self.events(item)) for item in events]
        return self.say("join.or").join(each)

    def _narrowed(self, events: Events) -> list[str]:
        """What else an event has to fulfil; what stands after `first ever` does not choose it."""
        said = [self.say("narrow.source_concept")] if events.by == "source_concept" else []
        said += [part for where in events.where for part in self.where(where)]
        if events.visit:
            said.append(self.say("narrow.visit", list=self.code_list(events.visit)))
        if events.first_ever:
            said.append(self.say("narrow.first_ever"))
        if events.calendar:
            said.append(self.say("narrow.dated", period=self.period(events.calendar)))
        if events.age:
            said.append(self.say("narrow.age", age=self.age(events.age)))
        if events.having is not None:
            inner = Phrases(self.language, self.names, "record_").condition(events.having)
            said.append(self.say("narrow.having", condition=inner))
        return said

    def where(self, where: Where) -> list[str]:
        """Say what a column must hold."""
        said = [
            self.say(f"where.{name}", column=where.column, value=str(value))
            for name in _WHERE
            if (value := getattr(where, name)) is not None
        ]
        for name in ("is_in", "not_in"):
            if values := getattr(where, name):
                listed = self.say("join.list").join(map(str, values))
                said.append(self.say(f"where.{name}", column=where.column, value=listed))
        if where.is_missing is not None:
            key = "is_missing" if where.is_missing else "is_present"
            said.append(self.say(f"where.{key}", column=where.column))
        return said

    def age(self, age: Age) -> str:
        """Say the bounds of age, and how it is counted."""
        bounds = self.say("join.and").join(self._bounds(age))
        return self.say("age", bounds=bounds, method=self.say(f"age.{age.method}"))

    def _bounds(self, value: object, unit: str = "record") -> list[str]:
        """Every bound that a value gives; a count with its unit."""
        is_count = isinstance(value, Counted)
        return [
            self.say(f"bound.{name}", n=self.say(f"unit.{unit}", n=str(n)) if is_count else str(n))
            for name in _BOUNDS
            if (n := getattr(value, name, None)) is not None
        ]

    def index(self, part: str) -> str:
        """Name the day from which a window counts."""
        return self.say(f"index.{self._index}{part}")

    def window(self, window: Window) -> str:
        """Say which days a window spans."""
        said = self._days_of(window)
        return self.say("window.event_end", window=said) if window.event == "end" else said

    def _days_of(self, window: Window) -> str:
        low, high = window.from_days, window.to_days
        if low is None and high is None:
            return self.say("window.any")
        key = f"{_SIGNS[_sign(low)]}_{_SIGNS[_sign(high)]}"
        if low == high and low:
            key = f"exactly_{_SIGNS[_sign(low)]}"
        fields = {"a": self.days(abs(low or 0)), "b": self.days(abs(high or 0))}
        return self.say(f"window.{key}", index=self.index(window.index), **fields)

    @singledispatchmethod
    def condition(self, condition: Any) -> str:
        """Say a condition of any kind, with everything nested in it."""
        raise TypeError(f"no words for {type(condition).__name__}")

    @condition.register
    def _counted(self, counted: Counted) -> str:
        [n] = [n for n in (counted.at_least, counted.at_most, counted.exactly) if n is not None]
        unit = counted.distinct or "record"
        if n == 0:
            unit, form = "record", "none"
        else:
            form = "one" if n == 1 else "other"
        said = self.say(
            f"counted.{unit}.{form}",
            bound=self._bounds(counted, unit)[0],
            events=self.events(counted.events, _form_of_events(unit, form)),
            windows=self._windows(counted.within),
        )
        if counted.same_visit:
            said = self.say("counted.same_visit", said=said)
        return said if counted.observed_only else self.say("counted.unobserved", said=said)

    def _windows(self, windows: Iterable[Window]) -> str:
        """All windows of a count with the space that parts them from what is counted."""
        said = self.say("join.and").join(self.window(window) for window in windows)
        if not said:
            return ""
        return f"{said} " if self.language == "ko" else f" {said}"

    @condition.register
    def _age(self, rule: AgeRule) -> str:
        return self.age(rule.age)

    @condition.register
    def _sex(self, rule: SexRule) -> str:
        named = [
            self.say("sex.concept", id=str(sex)) if isinstance(sex, int) else self.say(f"sex.{sex}")
            for sex in rule.sex
        ]
        return self.say("sex", sexes=self.say("join.or").join(named))

    @condition.register
    def _observed(self, rule: ObservedRule) -> str:
        return self.observed(rule.observation)

    def observed(self, observed: Observed) -> str:
        """Say how much observation is needed around the index."""
        prior, post = observed.prior_days, observed.post_days
        key = "both" if prior and post else "prior" if prior else "post" if post else "day"
        fields = {"prior": self.days(prior), "post": self.days(post)}
        return self.say(f"observed.{key}", index=self.index("start"), **fields)

    @condition.register
    def _group(self, group: Group) -> str:
        parts = self.say("join.parts").join(self.condition(part) for part in group.parts)
        if group.of:
            key = "at_least" if group.at_least is not None else "at_most"
            return self.say(f"group.{key}", n=str(getattr(group, key)), parts=parts)
        key = next(name for name in ("all", "any", "none") if getattr(group, name))
        return self.say(f"group.{key}", parts=parts)

    def rule(self, rule: Rule) -> str:
        """Say a rule: what is required, or what excludes."""
        key = "require" if rule.require is not None else "exclude"
        return self.say(f"rule.{key}", condition=self.condition(rule.condition))

    def label(self, rule: Rule) -> str:
        """Return the name of a rule, else its sentence."""
        return rule.name.in_language(self.language) if rule.name else self.rule(rule)

    def entry(self, entry: Entry) -> tuple[str, ...]:
        """Say what opens a span, in the order in which it is asked."""
        said = [self.say("entry.opens", events=self.any_of(entry.any))]
        if entry.observation == "not_required":
            said.append(self.say("entry.not_observed"))
        else:
            said.append(self.say("entry.observed", observed=self.observed(entry.observation)))
        if entry.calendar:
            said.append(self.say("entry.calendar", period=self.period(entry.calendar)))
        if entry.washout_days:
            said.append(self.say("entry.washout", days=self.days(entry.washout_days)))
        return (*said, self.limit(entry))

    def limit(self, entry: Entry) -> str:
        """Say which of the events that are left open a span."""
        if isinstance(entry.limit, Nth):
            return self.say("entry.nth", n=str(entry.limit.nth))
        return self.say(f"entry.{entry.limit}")

    def end(self, end: Any) -> str:
        """Say when a span ends."""
        if isinstance(end, FixedEnd):
            return self.say(f"end.fixed_{end.anchor}", days=self.days(end.offset_days))
        if isinstance(end, EraEnd):
            return self._era(end)
        return self.say(f"end.{end.type}")

    def _era(self, end: EraEnd) -> str:
        supply = self.say("end.as_recorded")
        if end.days_supply is not None:
            supply = self.say("end.supply", days=self.days(end.days_supply))
        fields = {"gap": self.days(end.gap_days), "surveillance": self.days(end.surveillance_days)}
        return self.say("end.era", list=self.code_list(end.code_list), supply=supply, **fields)

    def ends(self, cohort: NativeCohort) -> tuple[str, ...]:
        """Say until when the spans of a cohort last, and what becomes of them then."""
        said = [self.end(cohort.end)]
        if cohort.end.type != "observation_end":
            said.append(self.say("end.observed"))
        if cohort.censor_at:
            each = [self.events(events) for events in cohort.censor_at]
            said.append(self.say("censor", events=self.say("join.or").join(each)))
        if cohort.collapse_gap_days:
            said.append(self.say("collapse", days=self.days(cohort.collapse_gap_days)))
        else:
            said.append(self.say("collapse.overlap"))
        if cohort.clip:
            said.append(self.say("clip", period=self.period(cohort.clip)))
        return tuple(said)

    def cohort(self, cohort: NativeCohort | CirceCohort | SqlCohort) -> list[tuple[str, str]]:
        """Say a whole cohort as rows of a table: the part, and its sentences."""
        if isinstance(cohort, CirceCohort):
            return [(self.say("part.entry"), self.say("cohort.circe", file=cohort.circe))]
        if isinstance(cohort, SqlCohort):
            return [(self.say("part.entry"), self.say("cohort.sql", file=cohort.sql))]
        rules = [(self.part_of(rule), self.condition(rule.condition)) for rule in cohort.rules]
        return [
            (self.say("part.entry"), " ".join(self.entry(cohort.entry))),
            *rules,
            (self.say("part.keep"), self.say(f"keep.{cohort.keep}")),
            (self.say("part.end"), " ".join(self.ends(cohort))),
        ]

    def part_of(self, rule: Rule) -> str:
        """Say whether a rule requires or excludes."""
        return self.say("part.require" if rule.require is not None else "part.exclude")


def _sign(days: int | None) -> int | None:
    return None if days is None else (days > 0) - (days < 0)


def _form_of_events(unit: str, form: str) -> str:
    """Days and visits are with *a record*; concepts are among *records*; records are counted."""
    if unit in {"day", "visit"}:
        return "one"
    return "other" if unit == "concept" or form != "one" else "one"
