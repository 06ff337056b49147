"""The day of start within a grace period, found in drawn cohorts."""

from tests.sql.cohort.test_trial import build, steps
from tests.tables import rows_of

BLEED = 192671
ZERO = "2020-07-01"


def build_grace(con, tmp_path, spans, changes=None, conditions=""):
    """Build the study of starting within 30 days; each line of spans is `cohort | person | day`."""
    days = [line.rpartition("|") for line in spans.strip().splitlines()]
    drawn = "\n".join(f"{head}|{day}|{day}" for head, _, day in days)
    return build(con, tmp_path, drawn, changes or {}, conditions, kind="grace", plain={})


def starts(con):
    query = (
        "select subject.person_id, subject.arm, start_day, follow_up_days, cause "
        "from cohort.subject inner join cohort.treatment_start using (person_id) order by 1"
    )
    return rows_of(con, query)


def test_the_start_is_the_first_span_of_the_treatment_from_time_zero_on(con, tmp_path):
    spans = f"""\
ill | 1 | {ZERO}
ill | 1 | 2021-07-01
treated | 1 | 2020-07-31
treated | 1 | 2020-09-01
ill | 2 | {ZERO}
treated | 2 | 2020-08-01
ill | 3 | {ZERO}
treated | 3 | {ZERO}
ill | 4 | {ZERO}
treated | 5 | {ZERO}"""
    assert build_grace(con, tmp_path, spans) == 4
    # day 30 is in the grace period, day 31 is not; who is never ill does not enter
    assert starts(con) == [
        (1, "start", 30, 1000, 0),
        (2, "do_not_start", 31, 1000, 0),
        (3, "start", 0, 1000, 0),
        (4, "do_not_start", None, 1000, 0),
    ]


def test_who_started_before_time_zero_is_left_out_and_counted(con, tmp_path):
    spans = f"""\
ill | 1 | {ZERO}
treated | 1 | 2020-06-30
treated | 1 | 2020-07-05
ill | 2 | {ZERO}
treated | 2 | 2020-07-05
ill | 3 | {ZERO}"""
    assert build_grace(con, tmp_path, spans) == 2
    assert steps(con, "start")[:4] == [
        ("in_cohort", 3, 3), ("first_span", None, 2), ("in_observation", None, 2),
        ("not_started_before", None, 1),
    ]  # fmt: skip
    assert steps(con, "do_not_start")[:4] == [
        ("in_cohort", 3, 3), ("first_span", None, 1), ("in_observation", None, 1),
        ("not_started_before", None, 1),
    ]  # fmt: skip


def test_days_of_starts_and_of_outcomes_are_counted_alike(con, tmp_path):
    spans = (
        f"ill | 1 | {ZERO}\ntreated | 1 | 2020-07-09\nill | 2 | {ZERO}\ntreated | 2 | 2020-07-02"
    )
    conditions = f"1 | {BLEED} | 2020-07-09\n2 | {BLEED} | 2020-07-09"
    build_grace(con, tmp_path, spans, conditions=conditions)
    assert starts(con) == [(1, "start", 8, 8, 1), (2, "start", 1, 8, 1)]
