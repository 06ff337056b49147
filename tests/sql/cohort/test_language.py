"""What the cohort language means, case by case: each test draws its whole world."""

import pytest

from tasks.cohort.language.build import build_native, create_cohort_tables
from tasks.cohort.language.statements import statements_of
from tasks.core.errors import SpecError
from tasks.core.spec.cohorts import NativeCohort
from tasks.core.strict_yaml import parse_yaml
from tests.tables import given, rows_of

PEOPLE = (
    "person_id:bigint | site_id:text | gender_concept_id:bigint | year_of_birth:int | "
    "month_of_birth:int | day_of_birth:int | birth_datetime:timestamp\n"
)
PERIODS = (
    "person_id:bigint | observation_period_start_date:date | observation_period_end_date:date\n"
)
ERAS = "person_id:bigint | drug_concept_id:bigint | drug_era_start_date:date | drug_era_end_date:date\n"
LISTS = "code_list_id:text | concept_id:bigint\ndrug | 1\nother | 2"

COHORT = """
id: some
entry:
  any: [{domain: drug_era, code_list: drug}]
  observation: {prior_days: 0, post_days: 0}
  limit: first
keep: first
end: {type: event_end}
"""


def cohort(*changes):
    text = COHORT
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return NativeCohort.model_validate(parse_yaml(text.encode(), "drawn").value)


def spans(con, of, eras, periods="1 | 2000-01-01 | 2009-12-31", people="1 | A | 8532 | 1950 | | |"):
    given(con, "clean.person", PEOPLE + people)
    given(con, "clean.observation_period", PERIODS + periods)
    given(con, "clean.drug_era", ERAS + eras)
    given(con, "cohort.code_list", LISTS)
    create_cohort_tables(con)
    build_native(con, of)
    return rows_of(con, "select person_id, start_date, end_date from cohort.cohort order by all")


TWO = "1 | 1 | 2001-01-01 | 2001-01-31\n1 | 1 | 2002-01-01 | 2002-01-31"


def test_the_first_era_opens_a_span_that_ends_with_it(con):
    assert spans(con, cohort(), TWO) == [(1, "2001-01-01", "2001-01-31")]


def test_washout_looks_at_earlier_events_that_nobody_observed(con):
    """The era of 1999 lies before observation began: the era of 2000 is not a new use."""
    eras = "1 | 1 | 1999-12-01 | 1999-12-05\n1 | 1 | 2000-02-01 | 2000-02-05"
    assert spans(con, cohort(), eras) == [(1, "2000-02-01", "2000-02-05")]
    washed = cohort(("  limit", "  washout_days: 365\n  limit"))
    assert spans(con, washed, eras) == []


def test_washout_looks_at_earlier_events_outside_the_calendar(con):
    in_2002 = cohort(("  limit", "  washout_days: 366\n  calendar: {start: 2002-01-01}\n  limit"))
    assert spans(con, in_2002, TWO) == []
    shorter = cohort(("  limit", "  washout_days: 364\n  calendar: {start: 2002-01-01}\n  limit"))
    assert spans(con, shorter, TWO) == [(1, "2002-01-01", "2002-01-31")]


def test_first_ever_is_first_whether_observed_or_not(con):
    eras = "1 | 1 | 1999-06-01 | 1999-06-05\n1 | 1 | 2001-01-01 | 2001-01-05"
    first_ever = cohort(("code_list: drug}", "code_list: drug, first_ever: true}"))
    assert spans(con, first_ever, eras) == []
    assert spans(con, cohort(), eras) == [(1, "2001-01-01", "2001-01-05")]


def test_the_nth_counts_days_and_takes_the_longest_of_its_day(con):
    eras = TWO + "\n1 | 1 | 2001-01-01 | 2001-02-15\n1 | 1 | 2002-01-01 | 2002-03-01"
    second = cohort(("limit: first", "limit: {nth: 2}"))
    assert spans(con, second, eras) == [(1, "2002-01-01", "2002-03-01")]


def test_the_first_on_a_day_is_the_one_that_ends_last(con):
    eras = "1 | 1 | 2001-01-01 | 2001-01-05\n1 | 1 | 2001-01-01 | 2001-03-01"
    assert spans(con, cohort(), eras) == [(1, "2001-01-01", "2001-03-01")]


@pytest.mark.parametrize(("gap", "n"), [(333, 2), (334, 2), (335, 1)])
def test_spans_join_over_a_gap_and_no_further(con, gap, n):
    """From 2001-01-31 to 2002-01-01 are 335 days."""
    joined = cohort(
        ("limit: first", "limit: all"),
        ("keep: first", f"keep: all\ncollapse_gap_days: {gap}"),
    )
    assert len(spans(con, joined, TWO)) == n


def test_spans_that_touch_are_one_even_without_a_gap(con):
    eras = "1 | 1 | 2001-01-01 | 2001-01-31\n1 | 1 | 2001-01-31 | 2001-02-10"
    every = cohort(("limit: first", "limit: all"), ("keep: first", "keep: all"))
    assert spans(con, every, eras) == [(1, "2001-01-01", "2001-02-10")]


def test_a_span_is_cut_to_the_clip_and_lost_outside_it(con):
    every = cohort(
        ("limit: first", "limit: all"),
        ("keep: first", "keep: all\nclip: {start: 2001-01-15, end: 2001-12-31}"),
    )
    assert spans(con, every, TWO) == [(1, "2001-01-15", "2001-01-31")]


def test_no_span_outlasts_observation(con):
    periods = "1 | 2000-01-01 | 2001-01-10"
    assert spans(con, cohort(), TWO, periods) == [(1, "2001-01-01", "2001-01-10")]


def test_overlapping_observation_periods_count_as_one(con):
    asked = cohort(("{prior_days: 0, post_days: 0}", "{prior_days: 300, post_days: 300}"))
    periods = "1 | 2000-01-01 | 2001-06-30\n1 | 2000-12-01 | 2009-12-31"
    assert len(spans(con, asked, TWO, periods)) == 1


AGED = ("keep: first", "rules: [{id: adult, require: {age: {METHOD, at_least: 18}}}]\nkeep: first")


@pytest.mark.parametrize(
    ("method", "born", "day", "is_in"),
    [
        ("exact", "1983 | 6 | 15", "2001-06-15", True),
        ("exact", "1983 | 6 | 16", "2001-06-15", False),
        ("exact", "1984 | 2 | 29", "2002-02-28", False),
        ("exact", "1984 | 2 | 29", "2002-03-01", True),
        ("exact", "1983 | 6 | ", "2001-06-14", False),
        ("exact", "1983 | 6 | ", "2001-06-15", True),
        ("exact", "1983 |  | ", "2001-06-30", False),
        ("exact", "1983 |  | ", "2001-07-01", True),
        ("calendar_year", "1983 | 12 | 31", "2001-01-01", True),
        ("calendar_year", "1984 | 1 | 1", "2001-12-31", False),
    ],
)
def test_age_by_its_two_methods(con, method, born, day, is_in):
    aged = cohort((AGED[0], AGED[1].replace("METHOD", f"method: {method}")))
    found = spans(con, aged, f"1 | 1 | {day} | {day}", people=f"1 | A | 8532 | {born} |")
    assert bool(found) is is_in


def counted(words):
    rule = f"rules: [{{id: around, {words}}}]\nkeep: first"
    return cohort(("keep: first", rule), ("limit: first", "limit: all"))


AROUND = "1 | 1 | 2001-06-01 | 2001-06-01\n1 | 2 | 2001-05-02 | 2001-05-20\n1 | 2 | 2001-05-20 | 2001-05-21"


@pytest.mark.parametrize(
    ("words", "is_in"),
    [
        ("at_least: 2, within: {from_days: -30, to_days: -1}", True),
        ("at_least: 2, within: {from_days: -29, to_days: -1}", False),
        ("exactly: 1, within: {from_days: -29, to_days: -1}", True),
        ("at_most: 1, within: {from_days: -30, to_days: -1}", False),
        ("exactly: 0, within: {from_days: 0}", True),
        ("at_least: 2, within: {event: end, from_days: -12, to_days: 0}", True),
        ("at_least: 2, within: {event: end, from_days: -11, to_days: 0}", False),
        ("at_least: 2, within: [{from_days: -30}, {event: end, to_days: -12}]", False),
        ("at_least: 1, distinct: concept, within: {from_days: -30}", True),
        ("at_least: 2, distinct: concept, within: {from_days: -30}", False),
        ("at_least: 2, distinct: day, within: {from_days: -30}", True),
    ],
)
def test_counts_in_windows(con, words, is_in):
    events = f"events: {{domain: drug_era, code_list: other}}, {words}"
    assert bool(spans(con, counted(f"require: {{{events}}}"), AROUND)) is is_in
    assert bool(spans(con, counted(f"exclude: {{{events}}}"), AROUND)) is not is_in


def test_events_outside_observation_count_only_when_asked(con):
    periods = "1 | 2001-05-10 | 2009-12-31"
    seen = "require: {events: {domain: drug_era, code_list: other}, exactly: 1}"
    everything = seen.replace("exactly: 1", "exactly: 2, observed_only: false")
    assert spans(con, counted(seen), AROUND, periods)
    assert spans(con, counted(everything), AROUND, periods)


def test_groups_count_how_many_hold(con):
    yes, no = "{sex: [female]}", "{sex: [male]}"
    for group, is_in in (
        (f"{{all: [{yes}, {no}]}}", False),
        (f"{{any: [{yes}, {no}]}}", True),
        (f"{{none: [{no}]}}", True),
        (f"{{at_least: 2, of: [{yes}, {yes}, {no}]}}", True),
        (f"{{at_most: 1, of: [{yes}, {yes}, {no}]}}", False),
        (f"{{none: [{{all: [{yes}, {no}]}}]}}", True),
    ):
        assert bool(spans(con, counted(f"require: {group}"), AROUND)) is is_in, group


def test_having_is_judged_around_the_event_itself(con):
    """An era of `other` that another follows within 20 days: that of 2001-05-02 only."""
    followed = (
        "require: {events: {domain: drug_era, code_list: other, having: "
        "{events: {domain: drug_era, code_list: other}, at_least: 1, "
        "within: {from_days: 1, to_days: 20}}}, WORD, within: {from_days: -90, to_days: -1}}"
    )
    assert spans(con, counted(followed.replace("WORD", "exactly: 1")), AROUND)
    assert not spans(con, counted(followed.replace("WORD", "at_least: 2")), AROUND)


def test_the_mask_tells_every_rule_of_every_opening(con):
    rules = (
        "rules:\n  - {id: woman, require: {sex: [female]}}\n"
        "  - {id: early, require: {age: {method: calendar_year, at_most: 51}}}\n"
        "  - {id: man, exclude: {sex: [female]}}\nkeep: first"
    )
    judged = cohort(("keep: first", rules), ("limit: first", "limit: all"))
    assert spans(con, judged, TWO) == []
    assert rows_of(con, "select start_date, mask from cohort.some__mask order by 1") == [
        ("2001-01-01", 3),
        ("2002-01-01", 1),
    ]
    left = rows_of(
        con, "select step_id, records, persons from cohort.cohort_attrition order by step"
    )
    assert left == [
        ("records_in_lake", 2, None),
        ("entry_events", 2, 1),
        ("in_observation", 2, 1),
        ("woman", 2, 1),
        ("early", 1, 1),
        ("man", 0, 0),
        ("spans", 0, 0),
    ]


def test_each_rule_is_a_statement_of_its_own():
    judged = cohort(("keep: first", "rules: [{id: woman, require: {sex: [female]}}]\nkeep: first"))
    made = statements_of(judged)
    assert [s.table for s in made] == [
        f"some__{step}"
        for step in ("events", "observed", "opened", "rule_woman", "mask", "kept", "ended", "spans")
    ]
    assert all(s.sql.rstrip().endswith("select * from found") for s in made)
    assert max(len(line) for s in made for line in s.text.splitlines()) < 200


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("select 1 as person_id; drop table clean.person", "statements"),
        ("select person_id from clean.nothing", "clean.nothing"),
        ("select person_id from lake.omop.person", "lake.omop.person"),
        ("select person_id from read_csv('/etc/passwd')", "function"),
        ("select person_id from '/etc/passwd.csv'", "reads"),
        ("select person_id, now() as start_date from clean.person", "now"),
        ("select person_id from clean.person where random() < 0.5", "random"),
        ("update clean.person set person_id = 1", "another than SELECT"),
        ("selec person_id", "not valid SQL"),
        ("copy (select 1) to '/tmp/x'", "another than SELECT"),
        ("select person_id, localtimestamp as start_date from clean.person", "localtimestamp"),
        ("select person_id, 'today'::date as start_date from clean.person", "by the clock"),
        ("select uuidv7() as person_id from clean.person", "uuidv7"),
        ("from (show all tables)", "catalogue"),
        ("select * from information_schema.tables", "information_schema.tables"),
        ("select person_id from clean.person using sample 3", "sample"),
        ("select person_id from clean.person limit 3", "limits without order"),
        ("select foo(person_id) from clean.person", "foo"),
        ("select nope as person_id from clean.person", "nope"),
        ("select person_id, year_of_birth as start_date from clean.person", "selects no end_date"),
    ],
)
def test_a_select_of_a_study_reads_nothing_else(text, told):
    from tasks.cohort.select import tables_of_select

    with pytest.raises(SpecError) as caught:
        tables_of_select("mine.sql", text)
    assert told in str(caught.value)


def test_a_select_makes_spans(con):
    from tasks.cohort.select import build_select, tables_of_select

    text = "select person_id, drug_era_start_date as start_date, drug_era_end_date as end_date from clean.drug_era;"
    spans(con, cohort(), TWO)
    assert tables_of_select("mine.sql", text) == {"drug_era"}
    assert build_select(con, "mine", "mine.sql", text) == 2
    ghosts = (
        "select 99 as person_id, date '2001-01-01' as start_date, date '2000-01-01' as end_date"
    )
    with pytest.raises(SpecError, match="not in the study, and that end too early"):
        build_select(con, "bad", "bad.sql", ghosts)


def test_a_select_may_join_name_and_comment(con):
    from tasks.cohort.select import build_select, tables_of_select

    text = """with deaths as (select person_id, min(death_date) as day from clean.death group by 1)
        select p.person_id, e.drug_era_start_date as start_date, e.drug_era_end_date as end_date
        from clean.person as p inner join clean.drug_era as e on p.person_id = e.person_id
        left join deaths on p.person_id = deaths.person_id
        where deaths.day is null and p.person_id in (select person_id from cohort.cohort) -- all"""
    spans(con, cohort(), TWO)
    given(con, "clean.death", "person_id:bigint | death_date:date")
    assert tables_of_select("mine.sql", text) == {"person", "drug_era", "death"}
    assert build_select(con, "mine", "mine.sql", text) == 2
