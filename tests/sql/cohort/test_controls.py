"""Negative controls of the people of a study, all in one pass, in a drawn world."""

import pytest

from tasks.analysis.analyse import exposed_rows
from tasks.cohort.build import build_control_exposures, build_controls
from tests.design_world import TEXT, loaded, native
from tests.sql.cohort.test_trial import PLAIN, ZERO, build
from tests.tables import rows_of

CHANGES = {
    "negative_controls": [
        {"name": TEXT, "code_list": "fracture_rib"},
        {"name": TEXT, "code_list": "fracture_hip"},
    ],
    "analyses.0.calibrate": True,
    "design.risk_start.offset_days": 1,
}
RIB, HIP = 4142905, 4230399
PEOPLE = "\n".join(f"{arm} | {i} | {ZERO}" for arm, i in (("new", 1), ("new", 2), ("old", 3)))


@pytest.fixture
def made(con, tmp_path):
    def make(conditions, deaths="", spans=PEOPLE, changes=None):
        asked = CHANGES | (changes or {})
        build(con, tmp_path, spans, asked, conditions, deaths)
        build_controls(con, loaded(tmp_path, "cohort", PLAIN | asked))
        query = "select control_id, person_id, is_prior, follow_up_days from cohort.control_outcome"
        return rows_of(con, f"{query} order by all")

    return make


def test_the_first_day_at_risk_is_day_one(made):
    found = made(f"1 | {RIB} | 2020-07-02\n1 | {RIB} | 2020-07-09\n2 | {HIP} | 2020-07-05")
    assert found == [("fracture_hip", 2, False, 4), ("fracture_rib", 1, False, 1)]


def test_a_control_before_risk_is_prior_within_the_look_back_only(made):
    found = made(
        f"1 | {RIB} | 2020-06-30\n2 | {RIB} | 2020-07-01\n3 | {RIB} | 2020-05-31\n"
        f"3 | {HIP} | 2020-06-01\n3 | {HIP} | 2020-07-03"
    )
    assert found == [
        ("fracture_hip", 3, True, 2),
        ("fracture_rib", 1, True, None),
        ("fracture_rib", 2, True, None),
    ]


def test_the_outcome_of_the_study_does_not_end_follow_up_and_death_does(made, con):
    found = made(
        f"1 | 192671 | 2020-07-03\n1 | {RIB} | 2020-07-20\n2 | {RIB} | 2020-07-20",
        deaths="2 | 2020-07-10",
    )
    assert found == [("fracture_rib", 1, False, 19)]
    base = "select person_id, follow_up_days, cause from cohort.control_follow_up"
    assert rows_of(con, base) == [(1, 39, 0), (2, 9, 0), (3, 39, 0)]


def test_a_control_may_be_a_cohort(made, tmp_path):
    (tmp_path / "fall.sql").write_text("select 1", encoding="utf-8")
    asked = {
        "negative_controls": [
            {"name": TEXT, "code_list": "fracture_rib"},
            {"name": TEXT, "cohort": "fall"},
        ],
        "cohorts.2": {"id": "fall", "sql": "fall.sql"},
    }
    spans = f"{PEOPLE}\nfall | 1 | 2020-07-04 | 2020-07-05\nnew | 9 | 2020-07-01 | 2020-07-10"
    found = made(f"3 | {RIB} | 2020-07-08", spans=spans, changes=asked)
    assert found == [("fall", 1, False, 3), ("fracture_rib", 3, False, 7)]


def test_a_study_without_controls_builds_nothing(con, tmp_path):
    build_controls(con, loaded(tmp_path, "cohort", PLAIN | {"negative_controls": []} | {
        f"analyses.{place}.calibrate": False for place in (0, 1)
    }))  # fmt: skip
    assert rows_of(con, "select count(*) from duckdb_tables()") == [(0,)]


PAIR = {
    "id": "two_others", "name": TEXT,
    "target": {"name": TEXT, "cohort": "third"},
    "comparator": {"name": TEXT, "cohort": "fourth"},
}  # fmt: skip
CRUDE = [
    {"id": "primary", "role": "primary", "method": "cox", "adjustment": "none", "ties": "efron",
     "std_error": "model", "calibrate": True},
    {"id": "cif", "role": "secondary", "method": "cumulative_incidence", "adjustment": "none",
     "table_days": [30]},
]  # fmt: skip


def test_exposures_are_built_as_the_arms_of_the_study_are(con, tmp_path):
    """Other arms under the same rules: who is in both, or had the outcome before, is left out."""
    asked = {
        "negative_controls": [], "negative_control_exposures": [PAIR], "analyses": CRUDE,
        "covariates": [], "gates": [],
        "cohorts.2": native("third", "celecoxib"), "cohorts.3": native("fourth", "diclofenac"),
    }  # fmt: skip
    spans = f"""{PEOPLE}
third | 1 | {ZERO}
third | 4 | {ZERO}
third | 5 | {ZERO}
fourth | 5 | {ZERO}
fourth | 6 | {ZERO}
fourth | 7 | {ZERO}"""
    bleeds = "1 | 192671 | 2020-07-04\n7 | 192671 | 2020-06-20"
    build(con, tmp_path, spans, asked, bleeds)
    spec = loaded(tmp_path, "cohort", PLAIN | asked)
    build_control_exposures(con, spec)
    found = "select person_id, arm, follow_up_days, cause from control_exposure_0.subject"
    assert rows_of(con, found) == [
        (1, "arm_third", 4, 1),
        (4, "arm_third", 40, 0),
        (6, "arm_fourth", 40, 0),
    ]
    rows = exposed_rows(con, spec)
    counts = [(r["arm"], r["n"], r["n_events"]) for r in rows if r["estimate_name"] == "count"]
    assert counts == [("arm_third", 2, 1), ("arm_fourth", 1, 0)]
    [effect] = [r for r in rows if r["estimate_name"] != "count"]
    assert (effect["status"], effect["stratum_level"]) == ("not_estimable", "two_others")
    assert (effect["target"], effect["comparator"]) == ("arm_third", "arm_fourth")
