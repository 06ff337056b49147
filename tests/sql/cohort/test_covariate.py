"""Covariates of drawn people: what each kind takes from which days, and what is left out."""

import random
import re
from collections import defaultdict
from datetime import date, timedelta

import numpy as np
import pytest
from pydantic import TypeAdapter

from tasks.analysis.covariates import band_names, load_covariates
from tasks.cohort.covariates import CovariateError, build_covariates
from tasks.core.charlson import charlson
from tasks.core.spec import Covariate, load_study
from tests.tables import given, rows_of
from tests.worlds import PERSONS, events

SUBJECTS = (
    "person_id:bigint | site_id:text | arm:text | is_target:bool | time_zero_date:date\n"
    "1 | A | new | true | 2020-07-01\n2 | A | new | true | 2020-07-01\n"
    "3 | B | old | false | 2020-07-01\n4 | B | old | false | 2021-02-01\n"
)
PEOPLE = (
    PERSONS + "1 | A | 8507 | 1950 | 7 | 2\n2 | A | 8532 | 1980 | | \n"
    "3 | B | 8532 | 1950 | 7 | 1\n4 | B | 8507 | 2000 | 2 | "
)
WINDOW = {"window_start_days": -365, "window_end_days": -1}
HALF = {**WINDOW, "min_share": 0.2}
STUDY = load_study("gibleed_celecoxib_diclofenac")


def spec_of(*covariates):
    made = TypeAdapter(tuple[Covariate, ...]).validate_python(
        tuple({"id": f"c{i}", **c} for i, c in enumerate(covariates))
    )
    return STUDY.model_copy(update={"covariates": made})


def world(con, subjects=SUBJECTS, people=PEOPLE, lists="", sources="", cohorts="", **drawings):
    con.execute("create schema if not exists clean; create schema if not exists cohort")
    events(con, **drawings)
    given(con, "cohort.subject", subjects)
    given(con, "clean.person", people)
    given(con, "clean.concept", "concept_id:bigint | concept_name:text\n7 | Seven")
    given(con, "cohort.code_list", "code_list_id:text | concept_id:bigint\n" + lists)
    given(
        con,
        "cohort.source_code",
        "code_list_id:text | vocabulary_id:text | code:text | valid_from:date | valid_to:date "
        "| is_prefix:bool\n" + sources,
    )
    given(
        con,
        "cohort.cohort",
        "cohort_id:text | person_id:bigint | start_date:date | end_date:date\n" + cohorts,
    )
    given(
        con,
        "cohort.attrition",
        "arm:text | arm_order:int | step:int | step_id:text | remaining:bigint | excluded:bigint\n"
        "new | 1 | 0 | first | 2 | 0\nold | 2 | 0 | first | 2 | 0",
    )


def made(con, *covariates, **options):
    spec = spec_of(*covariates)
    build_covariates(con, spec)
    got = load_covariates(con, spec, spec.covariates, **options)
    return {c.id: got.sparse.toarray()[:, i].tolist() for i, c in enumerate(got.covariates)}


CONDITIONS = """\
1 | 1 | 2019-07-02 | 7 | I21.0
1 | 2 | 2020-06-30 | 8 | I21.0
2 | 3 | 2020-07-01 | 7 | E11.2
3 | 4 | 2019-07-01 | 7 | E11.2
3 | 5 | 2020-01-01 | 0 | e11.9
4 | 6 | 2020-12-01 | 9 | X
4 | 7 | 2020-12-02 | 9 | X"""


def test_each_concept_of_a_domain_is_a_covariate_in_its_window(con):
    world(con, condition_occurrence=CONDITIONS)
    # person 2 is too late, person 3 a day too early and without a concept
    assert made(con, {"kind": "conditions", **HALF}) == {
        "c0=7": [1, 0, 0, 0], "c0=8": [1, 0, 0, 0], "c0=9": [0, 0, 0, 1],
    }  # fmt: skip
    assert made(con, {"kind": "conditions", **WINDOW, "min_share": 0.3}) == {}


def test_lists_are_left_out_and_one_kind_may_stand_with_two_windows(con):
    world(con, condition_occurrence=CONDITIONS, lists="sevens | 7")
    far = {"window_start_days": -400, "window_end_days": -300, "min_share": 0.2}
    got = made(con, {"kind": "conditions", **HALF, "exclude": ["sevens"]},
               {"kind": "conditions", **far})  # fmt: skip
    assert got == {"c0=8": [1, 0, 0, 0], "c0=9": [0, 0, 0, 1], "c1=7": [1, 0, 1, 0]}


@pytest.mark.parametrize("kind", ["drugs", "procedures", "observations", "devices"])
def test_every_domain_has_its_own_table(con, kind):
    table = {"drugs": "drug_exposure", "procedures": "procedure_occurrence",
             "observations": "observation", "devices": "device_exposure"}[kind]  # fmt: skip
    world(con, condition_occurrence=CONDITIONS, **{table: "2 | 1 | 2020-06-01 | 5 | "})
    assert made(con, {"kind": kind, **HALF}) == {"c0=5": [0, 1, 0, 0]}


def test_a_named_covariate_is_any_concept_or_code_of_its_list(con):
    sources = "diabetes | KCD | E11 | 2020-01-02 | | true\nx_only | KCD | X | | | false"
    world(con, condition_occurrence=CONDITIONS, lists="heart | 7\nheart | 8", sources=sources)
    named = {"kind": "named", "domain": "condition_occurrence", **HALF,
             "code_lists": ["heart", "diabetes", "x_only"]}  # fmt: skip
    # the code of person 3 came a day before the list was valid
    assert made(con, named) == {"c0=heart": [1, 0, 0, 0], "c0=x_only": [0, 0, 0, 1]}
    old = {"kind": "named_conditions", **HALF, "code_lists": ["heart"]}
    assert made(con, old) == {"c0=heart": [1, 0, 0, 0]}


MEASUREMENTS = """\
1 | 1 | 2020-01-01 | 7 | | 5.0 | 8840 | 1 | 10
1 | 2 | 2020-03-01 | 7 | | 9.0 | 8840 | 1 | 8
1 | 3 | 2020-03-01 | 7 | | 4.0 | 8840 | 1 | 10
2 | 4 | 2020-06-01 | 7 | | 0.0 | 8840 | |
3 | 5 | 2020-06-30 | 7 | | | 8840 | 1 | 10"""


def measured(value, **more):
    return {"kind": "measurements", "value": value, "code_lists": ["mm"], **HALF, **more}


def test_values_of_measurements(con):
    world(con, measurement=MEASUREMENTS, lists="mm | 7")
    # the value 0 of person 2 is a value; person 3 has a record without one
    assert made(con, measured("any")) == {"c0=mm": [1, 1, 1, 0]}
    assert made(con, measured("last", missing="indicator")) == {
        "c0=mm": [4.0, 0.0, 0.0, 0.0], "c0=mm=missing": [0, 0, 1, 1],
    }  # fmt: skip
    assert made(con, measured("mean", missing="indicator"))["c0=mm"] == [6.0, 0, 0, 0]
    # person 2's value has no range, so it says nothing about abnormal
    assert made(con, measured("abnormal", missing="indicator")) == {
        "c0=mm": [1, 0, 0, 0], "c0=mm=missing": [0, 1, 1, 1],
    }  # fmt: skip
    every = {k: v for k, v in measured("last", missing="indicator").items() if k != "code_lists"}
    assert made(con, every)["c0=7"] == [4.0, 0.0, 0.0, 0.0]


def test_complete_cases_are_left_and_the_others_counted(con):
    world(con, measurement=MEASUREMENTS, lists="mm | 7")
    got = made(con, measured("last", missing="complete_case"), {"kind": "sex"})
    assert got == {"c0=mm": [4.0, 0.0], "c1=8532": [0.0, 1.0]}
    steps = "select arm, step, step_id, remaining, excluded from cohort.attrition order by all"
    assert rows_of(con, steps) == [
        ("new", 0, "first", 2, 0), ("new", 1, "missing_covariates", 2, 0),
        ("old", 0, "first", 2, 0), ("old", 1, "missing_covariates", 0, 2),
    ]  # fmt: skip


def test_a_study_may_refuse_missing_values(con):
    world(con, measurement=MEASUREMENTS, lists="mm | 7")
    with pytest.raises(CovariateError, match="some persons have no value") as caught:
        made(con, measured("last", missing="refuse"))
    assert (caught.value.code, caught.value.exit_code) == ("E_COVARIATE_MISSING", 14)


def test_values_of_several_units_are_refused_unless_one_is_named(con):
    mixed = MEASUREMENTS + "\n4 | 6 | 2020-12-31 | 7 | | 77 | 8753 | |"
    world(con, measurement=mixed, lists="mm | 7")
    with pytest.raises(CovariateError, match=r"concepts 8753 \(fewer than 20 records\), 8840") as e:
        made(con, measured("mean", missing="indicator"))
    assert e.value.code == "E_COVARIATE_UNITS"
    got = made(con, measured("mean", missing="indicator", unit=8753))
    assert got["c0=mm"] == [0, 0, 0, 77.0]


def test_visits_are_counted(con):
    visits = "1 | 1 | 2020-01-01 | 7 | \n1 | 2 | 2020-01-02 | 8 | \n2 | 1 | 2020-01-01 | 8 | "
    world(con, visit_occurrence=visits, lists="inpatient | 8")
    assert made(con, {"kind": "visits", **HALF}) == {"c0": [2, 1, 0, 0]}
    some = {"kind": "visits", **HALF, "code_lists": ["inpatient"]}
    assert made(con, some) == {"c0=inpatient": [1, 1, 0, 0]}


def test_members_of_cohorts_are_those_whose_span_meets_the_window(con):
    cohorts = """\
ill | 1 | 2019-01-01 | 2019-07-02
ill | 2 | 2019-01-01 | 2019-07-01
ill | 3 | 2020-06-30 | 2022-01-01
ill | 4 | 2021-02-01 | 2022-01-01"""
    world(con, cohorts=cohorts)
    assert made(con, {"kind": "cohort", "cohorts": ["ill"], **HALF}) == {"c0=ill": [1, 0, 1, 0]}


def test_age_sex_calendar_and_site(con):
    world(con)
    got = made(
        con,
        {"kind": "age", "method": "calendar_year"},
        {"kind": "age", "method": "exact"},
        {"kind": "age", "method": "exact", "bands": [40, 70]},
        {"kind": "sex"},
        {"kind": "calendar", "unit": "quarter"},
        {"kind": "site"},
    )
    # born 2 July 1950, 1 July 1980 (nothing known), 1 July 1950, 15 February 2000 (month known)
    assert got == {
        "c0": [70, 40, 70, 21], "c1": [69, 40, 70, 20],
        "c2=40-69": [1, 1, 0, 0], "c2=70+": [0, 0, 1, 0],
        "c3=8532": [0, 1, 1, 0], "c4=2021-Q1": [0, 0, 0, 1], "c5=B": [0, 0, 1, 1],
    }  # fmt: skip
    whole = made(con, {"kind": "site"}, {"kind": "sex"}, with_reference=True)
    assert list(whole) == ["c0=A", "c0=B", "c1=8507", "c1=8532"]
    [line] = made(con, {"kind": "calendar", "unit": "linear"}).values()
    assert line[0] == pytest.approx((date(2020, 7, 1) - date(2000, 1, 1)).days / 365.25)


def test_bands_have_names():
    assert band_names((18, 40, 65)) == ["<18", "18-39", "40-64", "65+"]


def test_the_image_of_time_zero(con):
    world(con)
    given(
        con,
        "clean.device_inference",
        "person_id:bigint | device_inference_id:text | study_id:text | acquisition_datetime:timestamp "
        "| scanner:text | body_part:text\n"
        "1 | b | s | 2020-07-01 10:00 | new | chest\n1 | a | s | 2020-07-01 11:00 | old | chest\n"
        "2 | c | s | 2020-06-30 10:00 | new | chest\n3 | d | s | 2020-07-01 09:00 | old | chest",
    )
    assert made(con, {"kind": "device_image", "column": "scanner"}) == {
        "c0=new": [1, 0, 0, 0], "c0=old": [0, 0, 1, 0],
    }  # fmt: skip


# ---- Charlson

# Quan et al. (2005), table 1, typed in a second time as one pattern a component.
QUAN = {
    "myocardial_infarction": "I2[12]|I252",
    "congestive_heart_failure": "I43|I50|I099|I110|I13[02]|I255|I420|I42[5-9]|P290",
    "peripheral_vascular_disease": "I7[01]|I73[189]|I771|I79[02]|K55[189]|Z95[89]",
    "cerebrovascular_disease": "G4[56]|I6[0-9]|H340",
    "dementia": "F0[0-3]|G30|F051|G311",
    "chronic_pulmonary_disease": "J4[0-7]|J6[0-7]|I27[89]|J684|J70[13]",
    "rheumatic_disease": "M0[56]|M3[2-4]|M315|M35[13]|M360",
    "peptic_ulcer_disease": "K2[5-8]",
    "mild_liver_disease": "B18|K7[34]|K70[0-39]|K71[3457]|K76[023489]|Z944",
    "diabetes": "E1[0-4][01689]",
    "diabetes_with_complication": "E1[0-4][23457]",
    "hemiplegia_or_paraplegia": "G8[12]|G041|G114|G80[12]|G83[0-49]",
    "renal_disease": "N1[89]|N03[2-7]|N05[2-7]|I120|I131|N250|Z49[0-2]|Z940|Z992",
    "malignancy": "C[01][0-9]|C2[0-6]|C3[0-4]|C3[7-9]|C4[013]|C4[5-9]|C5[0-8]|C6[0-9]|C7[0-6]"
    "|C8[1-58]|C9[0-7]",
    "severe_liver_disease": "I850|I859|I864|I982|K704|K711|K721|K729|K76[567]",
    "metastatic_tumour": "C7[7-9]|C80",
    "aids": "B2[0124]",
}


def test_the_codes_of_each_component_are_the_published_ones():
    codes = [f"{a}{n:02d}{d}" for a in "ABCDEFGHIJKLMNOPQRSTUVWXYZ" for n in range(100)
             for d in ("", *range(10))]  # fmt: skip
    assert set(charlson()) == set(QUAN)
    for name, component in charlson().items():
        ours = {c for c in codes if c.startswith(component.codes)}
        assert ours == {c for c in codes if re.match(QUAN[name], c)}, name


def test_the_weights_are_the_published_ones():
    """Charlson (1987) table 3; Quan (2011) table 2."""
    assert {n: c.weights["charlson_1987"] for n, c in charlson().items()
            if c.weights["charlson_1987"] != 1} == {
        "diabetes_with_complication": 2, "hemiplegia_or_paraplegia": 2, "renal_disease": 2,
        "malignancy": 2, "severe_liver_disease": 3, "metastatic_tumour": 6, "aids": 6,
    }  # fmt: skip
    assert {n: c.weights["quan_2011"] for n, c in charlson().items() if c.weights["quan_2011"]} == {
        "congestive_heart_failure": 2, "dementia": 2, "chronic_pulmonary_disease": 1,
        "rheumatic_disease": 1, "mild_liver_disease": 2, "diabetes_with_complication": 1,
        "hemiplegia_or_paraplegia": 2, "renal_disease": 1, "malignancy": 2,
        "severe_liver_disease": 4, "metastatic_tumour": 6, "aids": 4,
    }  # fmt: skip


def test_the_index_adds_weights_and_counts_only_the_graver_form(con):
    conditions = """\
1 | 1 | 2020-01-01 | 0 | I21.9
1 | 2 | 2020-01-02 | 0 | I22
1 | 3 | 2020-01-02 | 0 | e11.9
2 | 4 | 2020-01-01 | 0 | E11.9
2 | 5 | 2020-01-01 | 0 | E14.2
2 | 6 | 2020-01-01 | 0 | C50
2 | 7 | 2020-01-01 | 0 | C78.0
3 | 8 | 2020-07-01 | 0 | B20
4 | 9 | 2020-12-31 | 0 | K70.3
4 | 10 | 2020-12-31 | 0 | K72.9"""
    world(con, condition_occurrence=conditions)
    # 1: infarction 1 + diabetes 1; 2: complications 2 + metastases 6; 3: too late; 4: severe 3
    old = {"kind": "charlson", "weights": "charlson_1987", **WINDOW}
    new = {"kind": "charlson", "weights": "quan_2011", **WINDOW}
    assert made(con, old, new) == {"c0": [2, 8, 0, 3], "c1": [0, 7, 0, 4]}


def test_the_index_from_code_lists(con):
    lists = "\n".join(f"list_{name} | {i}" for i, name in enumerate(charlson(), 100))
    world(con, condition_occurrence="1 | 1 | 2020-01-01 | 116 | I21", lists=lists)
    components = {name: f"list_{name}" for name in charlson()}
    index = {"kind": "charlson", "weights": "charlson_1987", **WINDOW, "components": components}
    assert made(con, index) == {"c0": [6, 0, 0, 0]}


# ---- against a plain oracle


@pytest.mark.parametrize("seed", range(12))
def test_random_people_against_an_oracle(con, seed):
    rng = random.Random(seed)
    zero = {p: date(2020, 1, 1) + timedelta(rng.randrange(60)) for p in range(1, 8)}
    drawn = [
        (rng.randrange(1, 9), i, date(2019, 12, 1) + timedelta(rng.randrange(80)),
         rng.randrange(4), float(rng.randrange(9)))
        for i in range(80)
    ]  # fmt: skip
    subjects = SUBJECTS.split("\n")[0] + "\n" + "\n".join(
        f"{p} | A | new | true | {day}" for p, day in zero.items()
    )  # fmt: skip
    people = PERSONS + "\n".join(f"{p} | A | 8507 | 1950 | 1 | 1" for p in range(1, 9))
    world(
        con, subjects, people, lists="mm | 1\nmm | 2",
        condition_occurrence="\n".join(f"{p} | {i} | {d} | {c} | " for p, i, d, c, _ in drawn),
        measurement="\n".join(f"{p} | {i} | {d} | {c} | | {v} | 1 | | " for p, i, d, c, v in drawn),
    )  # fmt: skip
    low = rng.randrange(-40, -1)
    high = rng.randrange(low, 0)
    share = rng.choice([0.01, 0.2, 0.4])
    window = {"window_start_days": low, "window_end_days": high, "min_share": share}
    got = made(
        con,
        {"kind": "conditions", **window},
        {"kind": "measurements", "value": "last", "code_lists": ["mm"], **window,
         "missing": "indicator"},
    )  # fmt: skip
    expected = defaultdict(lambda: [0.0] * len(zero))
    latest = {}
    for p, i, d, c, v in drawn:
        if p in zero and low <= (d - zero[p]).days <= high:
            if c:
                expected[f"c0={c}"][p - 1] = 1.0
            if c in (1, 2):
                latest[p] = max(latest.get(p, ()), (d, i, v))
    kept = {k: v for k, v in expected.items() if share <= np.mean(v) <= 1 - share}
    if len(latest) / len(zero) >= share and latest:
        kept["c1=mm"] = [latest[p][2] if p in latest else 0.0 for p in zero]
        gone = [float(p not in latest) for p in zero]
        if any(gone):
            kept["c1=mm=missing"] = gone
    assert got == kept, seed
