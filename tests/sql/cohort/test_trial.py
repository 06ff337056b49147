"""Arms that are cohorts, rules at time zero, censoring events and populations, in drawn worlds."""

from datetime import date

import numpy as np
import polars as pl
import pytest

from tasks.cohort.build import build_subjects
from tasks.core.sql import build_table
from tests.design_world import TEXT, loaded, population, rule, within
from tests.sql.cohort.world import CONDITIONS, DEATHS, PERIODS
from tests.tables import given, rows_of

EXPOSURES = (
    "person_id:int | drug_concept_id:int | drug_exposure_start_date:date "
    "| drug_exposure_end_date:date\n"
)
VISITS = "person_id:int | visit_start_date:date | visit_end_date:date | visit_concept_id:int\n"
# Columns that the language reads and no world here draws
LEFT_OUT = {
    "condition_occurrence": ("condition_end_date date", "visit_occurrence_id bigint"),
    "drug_exposure": ("visit_occurrence_id bigint",),
    "visit_occurrence": ("visit_occurrence_id bigint",),
}
PEOPLE = (
    "person_id:int | site_id:text | gender_concept_id:int | year_of_birth:int "
    "| month_of_birth:int | day_of_birth:int | birth_datetime:timestamp\n"
)
SPANS = "cohort_id:text | person_id:int | start_date:date | end_date:date\n"
ZERO = "2020-07-01 | 2020-07-10"
PLAIN = {
    "design.prior_observation_days": 0,
    "design.prior_outcome_days": 30,
    "design.common_period": False,
    "design.risk_start.offset_days": 0,
}
CELECOXIB, DICLOFENAC, BLEED, NOISE = 1118084, 1124300, 192671, 4


def build(
    con, tmp_path, spans, changes, conditions="", deaths="", exposures="", visits="",
    kind="cohort", plain=PLAIN,
):  # fmt: skip
    """Build the trial of two cohorts from their spans; everybody is observed from 2000 to 2030."""
    spec = loaded(tmp_path, kind, plain | changes)
    ids = sorted({int(line.split("|")[1]) for line in spans.strip().splitlines()})
    given(con, "cohort.cohort", SPANS + spans)
    given(con, "clean.condition_occurrence", CONDITIONS + conditions)
    given(con, "clean.death", DEATHS + deaths)
    given(con, "clean.drug_exposure", EXPOSURES + exposures)
    given(con, "clean.visit_occurrence", VISITS + visits)
    for table, missing in LEFT_OUT.items():
        for column in missing:
            con.execute(f"alter table clean.{table} add column {column}")
    given(con, "clean.concept_ancestor", "ancestor_concept_id:int | descendant_concept_id:int")
    given(con, "clean.person", PEOPLE + "\n".join(f"{i}|A|8507|{1940 + i}|1|1|" for i in ids))
    drawn = "\n".join(f"{i} | 2000-01-01 | 2030-01-01" for i in ids)
    given(con, "clean.observation_period", PERIODS + drawn)
    lists = [(item.id, concept) for item in spec.code_lists for concept in item.concepts]
    text = "\n".join(f"{name} | {concept}" for name, concept in lists)
    given(con, "cohort.code_list", "code_list_id:text | concept_id:int\n" + text)
    return build_subjects(con, spec)


def steps(con, arm="arm_new"):
    query = f"select step_id, records, remaining from cohort.attrition where arm = '{arm}'"
    return rows_of(con, f"{query} order by step")


FOLLOWED = "select person_id, arm, follow_up_days, cause from cohort.subject"


def test_the_first_span_of_a_cohort_is_the_entry(con, tmp_path):
    spans = f"""\
new | 1 | {ZERO}
new | 1 | 2019-07-01 | 2019-07-02
new | 1 | 2019-07-01 | 2019-07-05
old | 2 | {ZERO}
old | 3 | 2020-07-01 | 2020-07-01
new | 3 | 2021-07-01 | 2021-07-02
other | 4 | {ZERO}"""
    build(con, tmp_path, spans, {})
    assert rows_of(con, FOLLOWED) == [(1, "arm_new", 35, 0), (2, "arm_old", 40, 0)]
    assert steps(con) == [
        ("in_cohort", 4, 2),
        ("first_span", None, 2),
        ("in_observation", None, 2),
        ("in_one_arm", None, 1),
        ("in_common_period", None, 1),
        ("has_prior_observation", None, 1),
        ("has_no_prior_outcome", None, 1),
        ("has_time_at_risk", None, 1),
    ]


def test_a_cohort_that_nobody_is_in_has_an_attrition_of_zeros(con, tmp_path):
    assert build(con, tmp_path, f"old | 2 | {ZERO}", {}) == 1
    assert {(records, remaining) for _, records, remaining in steps(con)} == {(0, 0), (None, 0)}


@pytest.mark.parametrize(
    ("day", "expected"),
    [("2020-07-05", (1, "arm_new", 5, 1)), ("2020-08-20", (1, "arm_new", 40, 0))],
)
def test_the_outcome_may_be_the_first_span_of_a_cohort(con, tmp_path, day, expected):
    outcome = {
        "outcome": {"name": TEXT, "cohort": "bleed"},
        "cohorts.2": {"id": "bleed", "sql": "bleed.sql"},
    }
    (tmp_path / "bleed.sql").write_text("select 1", encoding="utf-8")
    spans = f"new | 1 | {ZERO}\nbleed | 1 | {day} | {day}\nbleed | 1 | 2021-07-04 | 2021-07-04"
    build(con, tmp_path, spans, outcome)
    assert rows_of(con, FOLLOWED) == [expected]


def two_rules():
    no_bleed = within({"from_days": -90, "to_days": -31})
    noise = within({"from_days": -30, "to_days": 0}, code_list="celecoxib", domain="drug_exposure")
    return {
        "design.eligibility": [
            *rule(no_bleed, "exclude", "no_old_bleed"),
            *rule(noise, "require", "takes_it"),
        ]
    }


def test_each_rule_is_a_step_and_the_first_that_fails_counts(con, tmp_path):
    spans = "\n".join(f"new | {i} | {ZERO}" for i in range(1, 6))
    exposures = "\n".join(f"{i} | {CELECOXIB} | 2020-07-01 | 2020-07-01" for i in (1, 2, 3))
    # 4 fails the second rule; 2 and 5 the first, 5 both; 3 bled too late for the rule, not for
    # the look-back of the outcome
    conditions = "\n".join(
        f"{i} | {BLEED} | {day}"
        for i, day in ((2, "2020-05-31"), (5, "2020-04-02"), (3, "2020-06-02"))
    )
    build(con, tmp_path, spans, two_rules(), conditions, exposures=exposures)
    assert rows_of(con, "select person_id from cohort.subject") == [(1,)]
    assert [(step, n) for step, _, n in steps(con)][5:] == [
        ("has_prior_observation", 5),
        ("no_old_bleed", 3),
        ("takes_it", 2),
        ("has_no_prior_outcome", 1),
        ("has_time_at_risk", 1),
    ]
    lost = dict(rows_of(con, "select person_id, lost_at from cohort.candidate"))
    assert lost == {
        1: None, 2: "no_old_bleed", 3: "has_no_prior_outcome", 4: "takes_it", 5: "no_old_bleed",
    }  # fmt: skip


def test_the_bitmask_holds_every_step_that_was_passed(con, tmp_path):
    spans = f"new | 1 | {ZERO}\nnew | 2 | {ZERO}"
    conditions = f"2 | {BLEED} | 2020-04-02"
    build(con, tmp_path, spans, two_rules(), conditions)
    found = rows_of(con, "select person_id, cohort_id, mask::varchar from cohort.arm_rule_mask")
    # steps from the entry on, bit 0 first: entry, in_observation, in_one_arm, in_common_period,
    # has_prior_observation, no_old_bleed (32), takes_it (64), has_no_prior_outcome, time at risk
    everything = 2**9 - 1
    assert found == [
        (1, "arm_new", str(everything - 64)),
        (2, "arm_new", str(everything - 32 - 64)),
    ]


CENSORED = {"design.censor_events": [{"domain": "drug_exposure", "code_list": "celecoxib"}]}


@pytest.mark.parametrize(
    ("day", "expected"),
    [
        ("2020-06-30", [(1, "arm_new", 40, 0)]),
        ("2020-07-01", [(1, "arm_new", 40, 0)]),
        ("2020-07-02", [(1, "arm_new", 2, 0)]),
        ("2020-08-09", [(1, "arm_new", 40, 0)]),
        ("2020-08-10", [(1, "arm_new", 40, 0)]),
    ],
)
def test_the_first_censoring_event_after_time_zero_ends_follow_up(con, tmp_path, day, expected):
    taken = f"1 | {CELECOXIB} | {day} | {day}\n1 | {CELECOXIB} | 2020-09-01 | 2020-09-01"
    build(con, tmp_path, f"new | 1 | {ZERO}", CENSORED, exposures=f"{taken}\n1|{NOISE}|2020-07-03|")
    assert rows_of(con, FOLLOWED) == expected


@pytest.mark.parametrize(
    ("outcome", "death", "expected"),
    [
        ("2020-07-05", "", (1, "arm_new", 5, 1)),
        ("2020-07-06", "", (1, "arm_new", 5, 0)),
        ("", "2020-07-05", (1, "arm_new", 5, 2)),
        ("", "2020-07-06", (1, "arm_new", 5, 0)),
        ("2020-07-05", "2020-07-05", (1, "arm_new", 5, 1)),
    ],
    ids=["outcome that day", "outcome after", "death that day", "death after", "both that day"],
)
def test_ties_with_a_censoring_event(con, tmp_path, outcome, death, expected):
    changes = CENSORED | {
        "design.competing": "death", "design.observability.death.source": "registry",
    }  # fmt: skip
    taken = f"1 | {CELECOXIB} | 2020-07-05 | 2020-07-05"
    conditions = f"1 | {BLEED} | {outcome}" if outcome else ""
    deaths = f"1 | {death}" if death else ""
    build(con, tmp_path, f"new | 1 | {ZERO}", changes, conditions, deaths, taken)
    assert rows_of(con, FOLLOWED) == [expected]


def test_who_is_censored_before_risk_starts_has_no_time_at_risk(con, tmp_path):
    changes = CENSORED | {"design.risk_start.offset_days": 3}
    taken = f"1 | {CELECOXIB} | 2020-07-03 | 2020-07-03"
    build(con, tmp_path, f"new | 1 | {ZERO}", changes, exposures=taken)
    assert rows_of(con, "select lost_at from cohort.candidate") == [("has_time_at_risk",)]


def test_a_population_is_judged_at_time_zero_and_holds_people_of_the_study_alone(con, tmp_path):
    often = {
        "events": {"domain": "visit_occurrence"},
        "at_least": 2,
        "distinct": "day",
        "within": [{"from_days": -365, "to_days": -1}],
    }
    changes = {
        "design.populations": [
            *population(often),
            {"id": "older", "name": TEXT, "require": {
                "age": {"method": "calendar_year", "more_than": 77}}},
        ]
    }  # fmt: skip
    spans = "\n".join(f"new | {i} | {ZERO}" for i in range(1, 5))
    visits = """\
1 | 2020-01-01 | 2020-01-01 | 9202
1 | 2020-06-30 | 2020-06-30 | 9202
2 | 2020-01-01 | 2020-01-01 | 9202
2 | 2020-01-01 | 2020-01-01 | 9202
2 | 2020-07-01 | 2020-07-01 | 9202
2 | 2019-07-01 | 2019-07-01 | 9202
3 | 2020-01-01 | 2020-01-01 | 9202
3 | 2020-02-01 | 2020-02-01 | 9202"""
    conditions = f"3 | {BLEED} | 2020-06-30"
    build(con, tmp_path, spans, changes, conditions, visits=visits)
    # 1 came twice; 2 twice on one day, on time zero, and too early; 3 is not in the study
    assert rows_of(con, "select * from cohort.population") == [
        ("older", 1),
        ("older", 2),
        ("some", 1),
    ]


def drawn(rng, n=150):
    """Draw eras, observation, outcomes and deaths of `n` persons, in the columns of the tables."""

    def days(size):
        return np.datetime64("2018-01-01") + rng.integers(0, 1000, size)

    def table(con, name, **columns):
        con.register("drawn_frame", pl.DataFrame(columns))
        con.execute(f"create schema if not exists {name.split('.')[0]}")
        con.execute(f"create or replace table {name} as select * from drawn_frame")

    def make(con):
        starts = days(3 * n)
        table(
            con,
            "clean.drug_era",
            person_id=rng.integers(1, n + 1, 3 * n),
            drug_concept_id=rng.choice([CELECOXIB, DICLOFENAC, NOISE], 3 * n),
            drug_era_start_date=starts,
            drug_era_end_date=starts + rng.integers(0, 90, 3 * n),
        )
        begins = days(n) - 500
        table(
            con,
            "clean.observation_period",
            person_id=np.arange(1, n + 1),
            observation_period_start_date=begins,
            observation_period_end_date=begins + rng.integers(100, 2000, n),
        )
        table(
            con,
            "clean.condition_occurrence",
            person_id=rng.integers(1, n + 1, n),
            condition_concept_id=rng.choice([BLEED, NOISE], n),
            condition_start_date=days(n),
        )
        table(
            con,
            "clean.death",
            person_id=rng.integers(1, n + 1, n // 5),
            death_date=days(n // 5) + 500,
        )
        table(
            con,
            "clean.person",
            person_id=np.arange(1, n + 1),
            site_id=["A"] * n,
            gender_concept_id=[8507] * n,
            year_of_birth=[1950] * n,
            month_of_birth=[1] * n,
            day_of_birth=[1] * n,
            birth_datetime=[date(1950, 1, 1)] * n,
        )

    return make  # fmt: skip


@pytest.mark.parametrize("in_both_arms", ["drop", "keep_first"])
def test_first_eras_as_cohorts_give_the_people_of_the_new_user_design(con, tmp_path, in_both_arms):
    changes = {
        "design.in_both_arms": in_both_arms, "design.common_period": True,
        "design.prior_observation_days": 100, "design.prior_outcome_days": 200,
    }  # fmt: skip
    drawn(np.random.default_rng(20261124))(con)
    given(con, "clean.concept_ancestor", "ancestor_concept_id:int | descendant_concept_id:int")
    lists = f"celecoxib | {CELECOXIB}\ndiclofenac | {DICLOFENAC}\ngi_bleed | {BLEED}"
    given(con, "cohort.code_list", f"code_list_id:text | concept_id:int\n{lists}")
    query = "select * exclude (arm) from cohort.subject order by person_id"
    day_zero = {"design.risk_start.offset_days": 0}
    assert build_subjects(con, loaded(tmp_path, "drug", changes)) > 20
    by_era = rows_of(con, query)
    con.execute(
        "create or replace table cohort.cohort as select "
        "case arm when 'celecoxib' then 'new' else 'old' end as cohort_id, person_id, "
        "era_start_date as start_date, era_end_date as end_date from cohort.first_era"
    )
    build_subjects(con, loaded(tmp_path, "cohort", changes | day_zero))
    assert rows_of(con, query) == by_era


def test_periods_that_hold_time_zero_are_taken_together(con):
    given(con, "cohort.entry", "person_id:int | arm:text | entry_start_date:date "
          "| entry_end_date:date\n1 | new | 2020-07-01 | 2020-07-02\n2 | new | 2020-07-01 |")  # fmt: skip
    periods = (
        "1 | 2019-01-01 | 2020-07-10\n1 | 2020-01-01 | 2021-01-01\n2 | 2020-07-02 | 2021-01-01"
    )
    given(con, "clean.observation_period", PERIODS + periods)
    build_table(con, "cohort.observed")
    build_table(con, "cohort.entry_index")
    assert rows_of(con, "select index_id, observed_from, observed_to from cohort.entry_index") == [
        (1, "2019-01-01", "2021-01-01"),
        (2, None, None),
    ]
