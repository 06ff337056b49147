"""Who is let in, who is not, and at which rule. GiBleed has nobody who fails most of these."""

import pytest

from tests.sql.cohort.world import build
from tests.tables import rows_of

WIDE = "2000-01-01 | 2030-01-01"


def lost(con, arm="new"):
    return dict(rows_of(con, f"select step_id, excluded from cohort.attrition where arm = '{arm}'"))


def test_a_person_without_enough_prior_observation_is_lost_at_that_step(con):
    build(
        con,
        "1 | 1 | 2020-07-01 | 2020-07-01\n2 | 1 | 2020-07-02 | 2020-07-02",
        "1 | 2020-01-01 | 2030-01-01\n2 | 2020-01-01 | 2030-01-01",
    )
    assert rows_of(con, "select person_id from cohort.subject") == [(2,)]
    assert lost(con)["has_prior_observation"] == 1


@pytest.mark.parametrize(
    ("day", "kept"),
    [("2020-05-31", True), ("2020-06-01", False), ("2020-06-30", False), ("2020-07-01", True)],
)
def test_the_outcome_in_the_30_days_before_time_zero_drops_a_person(con, day, kept):
    build(con, "1 | 1 | 2020-07-01 | 2020-07-01", f"1 | {WIDE}", f"1 | 11 | {day}")
    assert bool(rows_of(con, "select 1 from cohort.subject")) is kept
    assert lost(con)["has_no_prior_outcome"] == (0 if kept else 1)


def test_an_index_outside_every_observation_period_is_its_own_reason(con):
    build(con, "1 | 1 | 2020-07-01 | 2020-07-01", "1 | 2021-01-01 | 2030-01-01")
    assert lost(con)["in_observation"] == 1
    assert lost(con)["has_prior_observation"] == 0


def test_a_person_of_both_arms_is_dropped_from_both_or_kept_in_the_first(con):
    eras = "1 | 1 | 2020-07-01 | 2020-07-01\n1 | 2 | 2021-07-01 | 2021-07-01"
    build(con, eras, f"1 | {WIDE}")
    assert rows_of(con, "select * from cohort.subject") == []
    build(con, eras, f"1 | {WIDE}", keep_first=True)
    assert rows_of(con, "select person_id, arm from cohort.subject") == [(1, "new")]


def test_both_arms_on_one_day_tell_nothing_about_either(con):
    eras = "1 | 1 | 2020-07-01 | 2020-07-01\n1 | 2 | 2020-07-01 | 2020-07-01"
    build(con, eras, f"1 | {WIDE}", keep_first=True)
    assert rows_of(con, "select * from cohort.subject") == []


def test_the_common_period_is_taken_before_people_are_lost_to_observation(con):
    build(
        con,
        """\
        1 | 1 | 2018-01-01 | 2018-01-01
        2 | 1 | 2020-07-01 | 2020-07-01
        3 | 2 | 2017-01-01 | 2017-01-01
        4 | 2 | 2019-06-01 | 2019-06-01
        5 | 1 | 2021-07-01 | 2021-07-01
        6 | 2 | 2021-01-01 | 2021-01-01
        """.replace("        ", ""),
        # person 3 started before any period of observation, and still marks when `old` began;
        # person 6 likewise marks when it ended
        "\n".join(f"{i} | {WIDE}" for i in (1, 2, 4, 5)) + "\n3 | 2020-01-01 | 2030-01-01",
        common_period=True,
    )
    assert rows_of(con, "select * from cohort.common_period") == [("2018-01-01", "2021-01-01")]
    assert rows_of(con, "select person_id from cohort.subject") == [(1,), (2,), (4,)]
    assert lost(con) == {
        "records": 0,
        "with_code": 3,
        "first_era": 0,
        "in_observation": 0,
        "in_one_arm": 0,
        "in_common_period": 1,
        "has_prior_observation": 0,
        "has_no_prior_outcome": 0,
        "has_time_at_risk": 0,
    }


def test_only_the_first_era_counts_and_the_longest_of_those_that_start_that_day(con):
    build(
        con,
        "1 | 1 | 2020-07-01 | 2020-07-05\n1 | 1 | 2020-07-01 | 2020-07-09\n"
        "1 | 1 | 2021-07-01 | 2021-07-01",
        f"1 | {WIDE}",
    )
    assert rows_of(con, "select era_start_date, era_end_date from cohort.first_era") == [
        ("2020-07-01", "2020-07-09")
    ]


def test_no_time_at_risk_when_risk_starts_after_observation_ends(con):
    build(
        con,
        "1 | 1 | 2020-07-01 | 2020-07-01",
        "1 | 2000-01-01 | 2020-07-01",
        risk_start_offset_days=1,
    )
    assert lost(con)["has_time_at_risk"] == 1


def test_a_person_in_two_overlapping_periods_counts_once(con):
    build(con, "1 | 1 | 2020-07-01 | 2020-07-01", f"1 | {WIDE}\n1 | 2019-01-01 | 2020-07-10")
    assert rows_of(con, "select person_id, follow_up_days from cohort.subject") == [(1, 31)]


def test_an_outcome_between_time_zero_and_risk_is_a_prior_outcome(con):
    build(
        con,
        "1 | 1 | 2020-07-01 | 2020-07-01",
        f"1 | {WIDE}",
        "1 | 10 | 2020-07-01",
        risk_start_offset_days=1,
        prior_outcome_days=0,
    )
    assert lost(con)["has_no_prior_outcome"] == 1


@pytest.mark.parametrize("day", ["2019-12-01", "2020-06-30"])
def test_who_died_before_risk_starts_has_no_time_at_risk(con, day):
    build(con, "1 | 1 | 2020-07-01 | 2020-07-01", f"1 | {WIDE}", deaths=f"1 | {day}")
    assert lost(con)["has_time_at_risk"] == 1


def test_risk_never_starts_before_time_zero(con):
    build(
        con,
        "1 | 1 | 2020-07-01 | 2020-07-05",
        f"1 | {WIDE}",
        risk_start_anchor="entry_end",
        risk_start_offset_days=-20,
    )
    assert rows_of(con, "select risk_start_date from cohort.candidate") == [("2020-07-01",)]
