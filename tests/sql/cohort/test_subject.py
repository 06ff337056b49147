"""How long each person is followed, and what ended it. Both the first and the last day count."""

import pytest

from tests.sql.cohort.world import build
from tests.tables import rows_of

ERA = "1 | 1 | 2020-07-01 | 2020-07-03"
WIDE = "1 | 2000-01-01 | 2030-01-01"
FOLLOWED = "select follow_up_days, cause, follow_up_end_date from cohort.subject"


def test_follow_up_ends_thirty_days_after_the_era(con):
    build(con, ERA, WIDE)
    assert rows_of(con, FOLLOWED) == [(33, 0, "2020-08-02")]


def test_follow_up_is_cut_at_the_end_of_observation(con):
    build(con, ERA, "1 | 2000-01-01 | 2020-07-10")
    assert rows_of(con, FOLLOWED) == [(10, 0, "2020-07-10")]


@pytest.mark.parametrize(
    ("day", "expected"),
    [
        ("2020-07-01", (1, 1, "2020-07-01")),
        ("2020-08-02", (33, 1, "2020-08-02")),
        ("2020-08-03", (33, 0, "2020-08-02")),
    ],
)
def test_the_first_outcome_inside_the_window_ends_follow_up(con, day, expected):
    build(con, ERA, WIDE, f"1 | 11 | {day}\n1 | 11 | 2020-09-01\n1 | 99 | 2020-07-02")
    assert rows_of(con, FOLLOWED) == [expected]


def test_death_competes_only_when_the_design_says_so(con):
    build(con, ERA, WIDE, deaths="1 | 2020-07-05")
    assert rows_of(con, FOLLOWED) == [(5, 0, "2020-07-05")]
    build(con, ERA, WIDE, deaths="1 | 2020-07-05", competing="death")
    assert rows_of(con, FOLLOWED) == [(5, 2, "2020-07-05")]


def test_an_outcome_on_the_day_of_death_is_the_outcome(con):
    build(con, ERA, WIDE, "1 | 10 | 2020-07-05", "1 | 2020-07-05", competing="death")
    assert rows_of(con, FOLLOWED) == [(5, 1, "2020-07-05")]


@pytest.mark.parametrize("competing", ["none", "death"])
def test_nobody_is_followed_or_has_an_outcome_after_death(con, competing):
    build(con, ERA, WIDE, "1 | 10 | 2020-07-20", "1 | 2020-07-05", competing=competing)
    assert rows_of(con, FOLLOWED) == [(5, 2 if competing == "death" else 0, "2020-07-05")]


def test_risk_may_start_after_time_zero(con):
    build(con, ERA, WIDE, risk_start_offset_days=1)
    assert rows_of(con, FOLLOWED) == [(32, 0, "2020-08-02")]


def test_age_is_the_difference_of_calendar_years(con):
    build(con, ERA, WIDE)
    assert rows_of(con, "select age_years, is_target from cohort.subject") == [(70, True)]
