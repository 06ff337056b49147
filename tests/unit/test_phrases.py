"""Every key of the cohort language changes the sentence, in both languages; some sentences exactly."""

from datetime import date

import pytest

from tasks.core.domains import domains
from tasks.core.spec import cohorts, conditions
from tasks.core.spec.base import Frozen, Text
from tasks.core.spec.cohorts import (
    CirceCohort,
    Entry,
    EraEnd,
    EventEnd,
    FixedEnd,
    NativeCohort,
    Nth,
    ObservationEnd,
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
from tasks.report.phrases import PHRASES_FILE, Phrases, rule_label
from tasks.report.texts import texts_of

NAMES = {"t2dm": Text(en="type 2 diabetes", ko="제2형 당뇨병")}
T2DM = Events(domain="condition_occurrence", code_list="t2dm")
BLEED = Events(domain="condition_occurrence", code_list="bleed")
DAY = Period(start=date(2020, 1, 1))
AGE = Age(method="exact", at_least=40)
FEMALE, OLD = SexRule(sex=("female",)), AgeRule(age=AGE)
YEAR = Window(from_days=-365, to_days=0)
ENTRY = Entry(any=(T2DM,), observation=Observed(prior_days=365, post_days=0), limit="first")
ERA = EraEnd(type="era", code_list="t2dm", gap_days=30)
COHORT = NativeCohort(
    id="all_t2dm", entry=ENTRY, keep="first", end=ObservationEnd(type="observation_end")
)

# For each block: a base, and for each key values that must all be told apart from the base.
VARIANTS = {
    Period: (Period(start=date(2020, 1, 1), end=date(2021, 1, 1)),
             {"start": [None, date(2020, 1, 2)], "end": [None, date(2021, 1, 2)]}),
    Where: (Where(column="value_as_number", equals=5),
            {"column": ["quantity"], "equals": [6], "is_in": [(1, 2)], "not_in": [(1, 2)],
             "at_least": [1], "at_most": [1], "more_than": [1], "less_than": [1],
             "more_than_column": ["range_high"], "less_than_column": ["range_low"],
             "is_missing": [True, False]}),
    Age: (AGE, {"method": ["calendar_year"], "at_least": [41], "at_most": [50], "more_than": [3],
                "less_than": [90]}),
    Window: (YEAR, {"from_days": [None, 0, -30], "to_days": [None, 10, -10], "index": ["end"],
                    "event": ["end"]}),
    Events: (T2DM, {"domain": ["condition_era"], "code_list": [None, "bleed"],
                    "by": ["source_concept"], "first_ever": [True], "calendar": [DAY],
                    "where": [(Where(column="stop_reason", is_missing=True),)], "age": [AGE],
                    "visit": ["inpatient"], "having": [FEMALE]}),
    Counted: (Counted(events=T2DM, at_least=2),
              {"events": [BLEED], "at_least": [1, 3], "at_most": [1], "exactly": [2],
               "distinct": ["day", "concept", "visit"], "within": [(YEAR,), (YEAR, Window())],
               "same_visit": [True], "observed_only": [False]}),
    AgeRule: (OLD, {"age": [Age(method="exact", at_least=41)]}),
    SexRule: (FEMALE, {"sex": [("male",), ("female", "male"), (8521,)]}),
    Observed: (Observed(prior_days=365, post_days=30), {"prior_days": [0, 1], "post_days": [0, 1]}),
    ObservedRule: (ObservedRule(observation=Observed(prior_days=0, post_days=0)),
                   {"observation": [Observed(prior_days=1, post_days=0)]}),
    Group: (Group(all=(FEMALE, OLD)),
            {"all": [(FEMALE,)], "any": [(FEMALE, OLD)], "none": [(FEMALE, OLD)],
             "of": [(FEMALE, OLD)], "at_least": [1], "at_most": [1]}),
    Rule: (Rule(id="r1", require=FEMALE), {"require": [OLD], "exclude": [FEMALE]}),
    Nth: (Nth(nth=2), {"nth": [3]}),
    Entry: (ENTRY, {"any": [(BLEED,), (T2DM, BLEED)],
                    "observation": ["not_required", Observed(prior_days=0, post_days=0)],
                    "calendar": [DAY], "washout_days": [180], "limit": ["last", "all", Nth(nth=2)]}),
    ObservationEnd: (ObservationEnd(type="observation_end"), {}),
    EventEnd: (EventEnd(type="event_end"), {}),
    FixedEnd: (FixedEnd(type="fixed", anchor="start", offset_days=1),
               {"anchor": ["end"], "offset_days": [2]}),
    EraEnd: (ERA, {"code_list": ["bleed"], "gap_days": [31], "surveillance_days": [1],
                   "days_supply": [30]}),
    NativeCohort: (COHORT, {"entry": [ENTRY.model_copy(update={"limit": "all"})],
                            "rules": [(Rule(id="r1", require=FEMALE),)], "keep": ["last", "all"],
                            "end": [EventEnd(type="event_end"), ERA], "censor_at": [(BLEED,)],
                            "collapse_gap_days": [30], "clip": [DAY]}),
    CirceCohort: (CirceCohort(id="c1", circe="a.json"), {"circe": ["b.json"]}),
    SqlCohort: (SqlCohort(id="c1", sql="a.sql"), {"sql": ["b.sql"]}),
}  # fmt: skip
SILENT = {"id", "name", "tests", "type"}


SPEAKERS = {
    Period: "period", Age: "age", Window: "window", Events: "events", Observed: "observed",
    Rule: "rule", ObservationEnd: "end", EventEnd: "end", FixedEnd: "end", EraEnd: "end",
}  # fmt: skip


def said(value, tongue="en"):
    phrases = Phrases(tongue, NAMES)
    match value:
        case Where():
            return "; ".join(phrases.where(value))
        case Entry():
            return " ".join(phrases.entry(value))
        case Nth():
            return phrases.limit(Entry(any=(T2DM,), observation="not_required", limit=value))
        case NativeCohort() | CirceCohort() | SqlCohort():
            return "\n".join(": ".join(row) for row in phrases.cohort(value))
        case _:
            return getattr(phrases, SPEAKERS.get(type(value), "condition"))(value)


def variant(base, key, value):
    fields = {name: getattr(base, name) for name in type(base).model_fields}
    fields[key] = value
    if isinstance(base, Counted) and key in {"at_most", "exactly"}:
        fields["at_least"] = None
    if isinstance(base, Rule) and key == "exclude":
        fields["require"] = None
    if isinstance(base, Group) and key != "all":
        fields["all"] = ()
        if key in {"of", "at_least", "at_most"}:
            fields |= {"of": (FEMALE, OLD), "at_least": 2} | {key: value}
            fields["at_least"] = None if key == "at_most" else fields["at_least"]
    return type(base)(**fields)


def test_every_block_of_the_language_has_its_words():
    blocks = {
        kind for module in (cohorts, conditions) for kind in vars(module).values()
        if isinstance(kind, type) and issubclass(kind, Frozen)
        and kind.__module__ == module.__name__
    }  # fmt: skip
    assert blocks == set(VARIANTS)


@pytest.mark.parametrize("kind", VARIANTS, ids=lambda kind: kind.__name__)
def test_every_key_changes_the_sentence_in_both_languages(kind):
    base, changes = VARIANTS[kind]
    assert set(changes) == set(kind.model_fields) - SILENT
    for tongue in ("en", "ko"):
        told = [said(base, tongue)]
        told += [
            said(variant(base, key, value), tongue) for key in changes for value in changes[key]
        ]
        assert len(set(told)) == len(told)


def test_each_domain_has_a_name_in_both_languages():
    texts = texts_of(PHRASES_FILE)
    assert {f"domain.{name}" for name in domains()} <= set(texts)


@pytest.mark.parametrize(
    ("low", "high", "en", "ko"),
    [
        (None, None, "at any time", "언제든지"),
        (-365, 0, "from 365 days before to the day of entry", "진입일 365일 전부터 당일까지"),
        (-365, -1, "from 365 days to 1 day before entry", "진입일 365일 전부터 1일 전까지"),
        (-7, 7, "from 7 days before to 7 days after entry", "진입일 7일 전부터 7일 후까지"),
        (0, 0, "on the day of entry", "진입일 당일"),
        (0, 30, "from the day of entry to 30 days after", "진입일 당일부터 30일 후까지"),
        (1, 30, "from 1 day to 30 days after entry", "진입일 1일 후부터 30일 후까지"),
        (-1, -1, "exactly 1 day before entry", "진입일 정확히 1일 전"),
        (5, 5, "exactly 5 days after entry", "진입일 정확히 5일 후"),
        (None, -1, "at any time up to 1 day before entry", "진입일 1일 전까지 언제든지"),
        (None, 0, "at any time up to the day of entry", "진입일 당일까지 언제든지"),
        (None, 9, "at any time up to 9 days after entry", "진입일 9일 후까지 언제든지"),
        (-9, None, "at any time from 9 days before entry on", "진입일 9일 전부터 언제든지"),
        (0, None, "on the day of entry or at any later time", "진입일 당일부터 언제든지"),
        (9, None, "at any time from 9 days after entry on", "진입일 9일 후부터 언제든지"),
    ],
)
def test_windows_of_every_kind(low, high, en, ko):
    window = Window(from_days=low, to_days=high)
    assert (said(window), said(window, "ko")) == (en, ko)


def test_a_count_says_what_is_counted_where_and_when():
    counted = Counted(events=T2DM, at_least=2, distinct="day", within=(YEAR,))
    assert said(counted) == (
        "at least 2 different days with a record of type 2 diabetes (condition) "
        "from 365 days before to the day of entry"
    )
    assert said(counted, "ko") == (
        "진입일 365일 전부터 당일까지 제2형 당뇨병(상병) 기록이 있는 서로 다른 날 2일 이상"
    )


@pytest.mark.parametrize("bound", ["at_most", "exactly"])
def test_a_count_of_none_is_said_so(bound):
    for distinct in (None, "day"):
        counted = Counted(events=T2DM, distinct=distinct, **{bound: 0})
        assert said(counted) == "no records of type 2 diabetes (condition)"


def test_nested_conditions_count_from_their_own_record():
    near = Counted(events=BLEED, at_least=1, within=(Window(from_days=0, to_days=7),))
    events = T2DM.model_copy(update={"having": near})
    assert said(events) == (
        "record of type 2 diabetes (condition; with [at least 1 record of bleed (condition) "
        "from the day of that record to 7 days after])"
    )


def test_a_label_is_the_name_of_the_rule_else_its_sentence():
    named = Rule(id="r1", name=Text(en="women", ko="여성만"), exclude=FEMALE)
    assert rule_label(named, "ko") == "여성만"
    bare = Rule(id="r1", exclude=Counted(events=T2DM, at_least=1))
    assert rule_label(bare, "en", NAMES) == "not: at least 1 record of type 2 diabetes (condition)"
    assert rule_label(bare, "ko", NAMES) == "제외: 제2형 당뇨병(상병) 기록 1건 이상"
