"""Who enters a study of a device, on which day, and whether its output stood before the reader."""

import pytest

from tasks.cohort.build import ENTERING
from tests.sql.cohort.world import CONDITIONS, DEATHS, PEOPLE, PERIODS, build_tables
from tests.tables import given, rows_of

PARAMS = {
    "code_list_ids": ["xray", "failure"],
    "concept_ids": [1, 10],
    "include_descendants": [False, False],
    "target": "ai_shown",
    "comparator": "ai_not_shown",
    "shown_arm": "ai_shown",
    "not_shown_arm": "ai_not_shown",
    "outcome": "failure",
    "image": "xray",
    "enrolment_start": "2024-01-01",
    "enrolment_end": "2025-12-31",
    "udi_di": "D",
    "versions": ["1.0", "2.0"],
    "common_period": False,
    "keep_first": False,
    "prior_observation_days": 365,
    "prior_outcome_days": 365,
    "risk_start_anchor": "entry_start",
    "risk_start_offset_days": 0,
    "risk_end_anchor": "entry_start",
    "risk_end_offset_days": 365,
    "competing": "death",
    "raw_steps": ENTERING["device_shown_or_not"].raw_steps,
    "steps": ENTERING["device_shown_or_not"].steps(()),
    "is_split_by_entry": True,
}
IMAGES = (
    "procedure_occurrence_id:int | person_id:int | procedure_concept_id:int | procedure_date:date "
    "| procedure_datetime:timestamp | visit_occurrence_id:int\n"
)
INFERENCES = (
    "person_id:int | visit_occurrence_id:int | study_id:text | acquisition_datetime:timestamp "
    "| udi_di:text | model_version:text | shown:boolean\n"
)
WIDE = "2020-01-01 | 2030-01-01"


def build(con, images, inferences="", periods=None, conditions="", deaths="", **params):
    """Build every cohort table of a device study from drawings; persons are those with images."""
    ids = sorted({line.split("|")[1].strip() for line in images.strip().splitlines()})
    drawn = "\n".join(f"{i} | {WIDE}" for i in ids) if periods is None else periods
    given(con, "clean.procedure_occurrence", IMAGES + images)
    given(con, "clean.device_inference", INFERENCES + inferences)
    given(con, "clean.observation_period", PERIODS + drawn)
    given(con, "clean.condition_occurrence", CONDITIONS + conditions)
    given(con, "clean.death", DEATHS + deaths)
    given(con, "clean.concept_ancestor", "ancestor_concept_id:int | descendant_concept_id:int")
    given(con, "clean.person", PEOPLE + "\n".join(f"{i}|A|8507|1950" for i in ids))
    build_tables(con, "device_shown_or_not", PARAMS | params)


def first(con):
    return rows_of(con, "select person_id, image_date, is_shown from cohort.first_image order by 1")


def test_the_first_image_within_enrolment_is_the_entry(con):
    build(
        con,
        """\
1 | 1 | 1 | 2023-12-31 |  | 1
2 | 1 | 1 | 2024-01-01 |  | 2
3 | 1 | 1 | 2024-02-01 |  | 3
4 | 2 | 1 | 2025-12-31 |  | 4
5 | 3 | 1 | 2026-01-01 |  | 5
6 | 4 | 2 | 2024-05-01 |  | 6""",
    )
    assert first(con) == [(1, "2024-01-01", False), (2, "2025-12-31", False)]


@pytest.mark.parametrize(
    ("inference", "shown"),
    [
        ("1 | 7 | s | 2024-03-01 10:00:00 | D | 1.0 | true", True),
        ("1 | 7 | s | 2024-03-01 10:00:00 | D | 1.0 | false", False),
        ("1 |   | s | 2024-03-01 23:59:00 | D | 2.0 | true", True),
        ("1 | 9 | s | 2024-03-01 10:00:00 | D | 1.0 | true", True),
        ("1 | 7 | s | 2024-03-02 00:00:00 | D | 1.0 | true", False),
        ("1 | 7 | s | 2024-03-01 10:00:00 | E | 1.0 | true", False),
        ("1 | 7 | s | 2024-03-01 10:00:00 | D | 3.0 | true", False),
        ("2 | 7 | s | 2024-03-01 10:00:00 | D | 1.0 | true", False),
    ],
    ids=[
        "shown",
        "silent",
        "no visit",
        "visit of no image",
        "next day",
        "other device",
        "other version",
        "other person",
    ],
)
def test_shown_is_what_the_device_of_the_study_did_with_that_image(con, inference, shown):
    build(con, "1 | 1 | 1 | 2024-03-01 |  | 7", inference)
    assert first(con) == [(1, "2024-03-01", shown)]


def test_all_versions_count_when_the_study_names_none(con):
    inference = "1 | 7 | s | 2024-03-01 10:00:00 | D | 3.0 | true"
    build(con, "1 | 1 | 1 | 2024-03-01 |  | 7", inference, versions=[])
    assert first(con) == [(1, "2024-03-01", True)]


def test_a_later_image_never_lends_its_result_to_the_first(con):
    images = """\
1 | 1 | 1 | 2024-03-01 |  | 7
2 | 1 | 1 | 2024-03-03 |  | 7
3 | 2 | 1 | 2024-03-01 | 2024-03-01 09:00:00 | 9
4 | 2 | 1 | 2024-03-01 | 2024-03-01 15:00:00 | 8"""
    inferences = """\
1 | 7 | a | 2024-03-03 10:00:00 | D | 1.0 | true
2 | 8 | b | 2024-03-01 15:00:00 | D | 1.0 | true"""
    build(con, images, inferences)
    assert first(con) == [(1, "2024-03-01", False), (2, "2024-03-01", False)]


def test_the_same_visit_goes_before_the_same_day(con):
    inferences = """\
1 |   | a | 2024-03-01 08:00:00 | D | 1.0 | true
1 | 7 | b | 2024-03-01 10:00:00 | D | 1.0 | false"""
    build(con, "1 | 1 | 1 | 2024-03-01 |  | 7", inferences)
    assert first(con) == [(1, "2024-03-01", False)]


def test_an_image_was_shown_when_any_run_on_its_study_was(con):
    inferences = """\
1 | 7 | a | 2024-03-01 10:00:00 | D | 1.0 | false
1 | 7 | a | 2024-03-01 10:00:01 | D | 2.0 | true
1 | 7 | b | 2024-03-01 11:00:00 | D | 2.0 | false"""
    build(con, "1 | 1 | 1 | 2024-03-01 |  | 7", inferences)
    assert first(con) == [(1, "2024-03-01", True)]


def test_the_arms_their_losses_and_their_follow_up(con):
    images = "\n".join(f"{i} | {i} | 1 | 2024-03-01 |  | {i}" for i in range(1, 8))
    inferences = "\n".join(
        f"{i} | {i} | s{i} | 2024-03-01 10:00:00 | D | 1.0 | true" for i in (1, 3, 4, 6)
    )
    periods = """\
1 | 2020-01-01 | 2030-01-01
2 | 2020-01-01 | 2024-03-10
3 | 2023-06-01 | 2030-01-01
4 | 2020-01-01 | 2030-01-01
5 | 2024-03-02 | 2030-01-01
6 | 2020-01-01 | 2030-01-01
7 | 2020-01-01 | 2030-01-01"""
    conditions = "4 | 10 | 2023-03-02\n1 | 10 | 2024-03-01\n7 | 10 | 2023-03-01"
    build(con, images, inferences, periods, conditions, "6 | 2024-03-05\n7 | 2024-02-01")
    assert rows_of(con, "select person_id, arm, follow_up_days, cause from cohort.subject") == [
        (1, "ai_shown", 1, 1),
        (2, "ai_not_shown", 10, 0),
        (6, "ai_shown", 5, 2),
    ]
    assert rows_of(
        con,
        "select arm, step_id, remaining, excluded from cohort.attrition order by arm_order, step",
    ) == [
        ("ai_shown", "records", 7, 0),
        ("ai_shown", "with_code", 7, 0),
        ("ai_shown", "first_image", 4, None),
        ("ai_shown", "in_observation", 4, 0),
        ("ai_shown", "has_prior_observation", 3, 1),
        ("ai_shown", "has_no_prior_outcome", 2, 1),
        ("ai_shown", "has_time_at_risk", 2, 0),
        ("ai_not_shown", "records", 7, 0),
        ("ai_not_shown", "with_code", 7, 0),
        ("ai_not_shown", "first_image", 3, None),
        ("ai_not_shown", "in_observation", 2, 1),
        ("ai_not_shown", "has_prior_observation", 2, 0),
        ("ai_not_shown", "has_no_prior_outcome", 2, 0),
        ("ai_not_shown", "has_time_at_risk", 1, 1),
    ]
