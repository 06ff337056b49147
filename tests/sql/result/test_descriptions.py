"""Prevalence, courses, completeness and Table 1 of drawn people, by hand."""

import numpy as np
import pytest

from tasks.analysis.characterise.completeness import missingness
from tasks.analysis.characterise.courses import time_to_event, treatment_patterns
from tasks.analysis.characterise.frequency import prevalence
from tasks.analysis.characterise.table_one import table_one_of_arms, table_one_of_cohorts
from tasks.analysis.people import load_people
from tasks.analysis.populations import make_populations
from tasks.cohort.covariates import build_covariates
from tasks.core.spec.characterisation import (
    EVERYBODY,
    Characterisation,
    Missingness,
    Prevalence,
    TableOne,
    TimeToEvent,
    TreatmentPatterns,
)
from tests.sql.cohort.test_covariate import measured, spec_of
from tests.sql.cohort.test_covariate import world as covariate_world
from tests.sql.result.world import world
from tests.tables import given

SPANS = """\
ill | 1 | 2019-01-01 | 2019-03-31
ill | 2 | 2019-04-02 | 2019-05-01
ill | 3 | 2018-01-01 | 2018-12-31"""
OBSERVED = """\
1 | 2019-01-01 | 2019-12-31
2 | 2019-04-01 | 2019-04-30
3 | 2018-01-01 | 2019-02-01"""


def shares(con, **keys):
    given = {"id": "share", "population": EVERYBODY, "condition": "ill", "interval": "quarter",
             "type": "point", **keys}  # fmt: skip
    rows = prevalence(con, Prevalence(**given))
    return {(r["term"], r["stratum_level"]): (r["n_events"], r["n"]) for r in rows}


def test_point_prevalence_is_that_of_the_first_day(con):
    world(con, OBSERVED, SPANS)
    got = shares(con)
    assert got["2018-Q1", None] == (1, 1)
    assert got["2019-Q1", None] == (1, 2)
    assert got["2019-Q2", None] == (0, 2)  # person 2 falls ill a day later
    assert got["2019-Q4", None] == (0, 1)


def test_period_prevalence_is_that_of_any_day(con):
    world(con, OBSERVED, SPANS)
    got = shares(con, type="period")
    assert got["2019-Q1", None] == (1, 2)
    assert got["2019-Q2", None] == (1, 2)
    assert shares(con, type="period", interval="year") == {
        ("2018", None): (1, 1), ("2019", None): (2, 3),
    }  # fmt: skip
    by_sex = shares(con, type="period", interval="year", by_sex=True)
    assert by_sex["2019", "female"] == (1, 2)
    assert by_sex["2019", "male"] == (1, 1)


def test_the_interval_is_that_of_wilson(con):
    """Newcombe (1998) Statistics in Medicine 17, table I: 1 of 29, 0.0061 to 0.1718."""
    periods = "\n".join(f"{i} | 2019-01-01 | 2019-01-31" for i in range(1, 30))
    world(con, periods, "ill | 7 | 2019-01-01 | 2019-01-01")
    [row] = prevalence(con, Prevalence(id="share", population=EVERYBODY, condition="ill",
                                       interval="year", type="point"))  # fmt: skip
    assert (row["ci_low"], row["ci_high"]) == pytest.approx((0.0061, 0.1718), abs=5e-5)


def test_events_around_the_index_day(con):
    world(con, "1 | 2019-01-01 | 2019-12-31\n2 | 2019-06-01 | 2019-12-31\n3 | 2018-01-01 | 2018-02-01",
          "start | 1 | 2019-06-11 | 2019-06-30\nstart | 1 | 2019-09-01 | 2019-09-01\n"
          "start | 2 | 2019-06-11 | 2019-06-30\nstart | 3 | 2019-06-11 | 2019-06-11\n"
          "bad | 1 | 2019-06-10 | 2019-06-10\nbad | 1 | 2019-06-11 | 2019-06-11\n"
          "bad | 1 | 2019-06-12 | 2019-06-12\nbad | 2 | 2019-07-11 | 2019-07-11\n"
          "bad | 2 | 2019-05-25 | 2019-05-25")  # fmt: skip
    rows = time_to_event(
        con, TimeToEvent(id="course", index="start", event="bad", bins_days=[-30, -10, 0, 30, 60])
    )
    # nobody of the first bin is person 2, who is seen from day -10 on; person 3 is never seen
    assert [(r.get("at"), r.get("at2"), r["estimate"], r["n"]) for r in rows] == [
        (None, None, 3, 3), (-30, -11, 0, 1), (-10, -1, 1, 2), (0, 29, 1, 2), (30, 59, 1, 2),
    ]  # fmt: skip


def test_the_order_of_treatments(con):
    days = {
        1: "a 0 b 10 c 400",
        2: "b 5 a 0 a 90",
        3: "a 0 b 2 c 30",
        4: "c -1 c 3",
        5: "",
        6: "a 366",
    }
    zero = np.datetime64("2019-01-01")
    spans = [f"start | {p} | {zero} | {zero}" for p in days]
    for person, text in days.items():
        words = text.split()
        for name, day in zip(words[::2], words[1::2], strict=True):
            start = zero + np.timedelta64(int(day), "D")
            spans.append(f"{name} | {person} | {start} | {start}")
    world(con, "1 | 2018-01-01 | 2021-01-01", "\n".join(spans))
    item = TreatmentPatterns.model_construct(
        id="paths", index="start", treatments=("a", "b", "c"), days=365, max_steps=2, combine_days=2
    )
    rows = treatment_patterns(con, item)
    got = {r.get("term"): (r["estimate"], r["n"]) for r in rows}
    assert got == {
        None: (6, 6), "a > b": (2, 6), "a + b > c": (1, 6), "c": (1, 6), "none": (2, 6),
        "other": (0, 6),
    }  # fmt: skip


def test_how_complete_tables_are(con):
    world(con, "1 | 2019-01-01 | 2019-12-31\n2 | 2019-01-01 | 2019-12-31")
    given(con, "clean.death", "person_id:bigint | site_id:text | death_date:date | "
          "cause_concept_id:bigint\n1 | A | 2019-12-31 | ")  # fmt: skip
    rows = missingness(con, Missingness(id="gaps", tables=["death"]))
    assert {(r["estimate_name"], r["term"]): (r["estimate"], r["n_events"], r["n"]) for r in rows} == {
        ("record_fraction", "death"): (0.5, 1, 2),
        ("missing_fraction", "death.death_date"): (0.0, 0, 1),
        ("missing_fraction", "death.cause_concept_id"): (1.0, 1, 1),
    }  # fmt: skip


TABLE = TableOne(id="table", cohorts=["sick", "well"], covariates=["c0", "c1", "c2", "c3"])


def test_table_one_of_cohorts_on_their_first_days(con):
    cohorts = """\
sick | 1 | 2020-06-01 | 2020-06-01
sick | 1 | 2021-06-01 | 2021-06-01
sick | 2 | 2020-06-01 | 2020-06-01
well | 3 | 2020-06-01 | 2020-06-01
well | 4 | 2021-06-01 | 2021-06-01
well | 2 | 2020-07-01 | 2020-07-01"""
    covariate_world(
        con, cohorts=cohorts, lists="mm | 7",
        measurement="1 | 1 | 2020-01-01 | 7 | | 4.0 | 1 | |\n2 | 2 | 2020-02-01 | 7 | | 0.0 | 1 | |\n"
        "3 | 3 | 2020-05-01 | 7 | | 9.0 | 1 | |",
        condition_occurrence="3 | 1 | 2020-05-01 | 9 | \n4 | 2 | 2021-01-01 | 9 | ",
    )  # fmt: skip
    spec = spec_of(
        {"kind": "age", "method": "calendar_year"}, {"kind": "sex"},
        measured("last", missing="indicator"),
        {"kind": "conditions", "window_start_days": -365, "window_end_days": -1, "min_share": 0.1},
    )  # fmt: skip
    spec = spec.model_copy(update={"characterisation": Characterisation(table_one=[TABLE])})
    build_covariates(con, spec)
    rows = table_one_of_cohorts(con, spec, TABLE)
    got = {
        (r["estimate_name"], r.get("arm"), r.get("term")): (
            r["estimate"],
            r["n"],
            r.get("n_events"),
        )
        for r in rows
    }
    assert got["count", "sick", None] == (2, 2, None)
    assert got["mean", "sick", "c0"] == (55, 2, None)  # 70 and 40
    assert got["proportion", "well", "c1=8532"][1:] == (3, 2)
    assert got["proportion", "well", "c1=8507"][1:] == (3, 1)  # every level of a category
    # the mean is that of those measured, a 0 among them; of the cohort `well` two are
    assert got["mean", "sick", "c2=mm"] == (2.0, 2, 1)
    assert got["mean", "well", "c2=mm"] == (4.5, 2, 1)
    assert got["proportion", "well", "c2=mm=missing"][1:] == (3, 1)
    assert got["proportion", "sick", "c3=9"] == (0.0, 2, 0)
    # by hand: ages 70, 40 and 70, 21, 40; gap 55 - 43.667; variances 450 and 610.333
    ages = (np.array([70, 40.0]), np.array([70, 21.0, 40]))
    by_hand = (ages[0].mean() - ages[1].mean()) / np.sqrt(
        (ages[0].var(ddof=1) + ages[1].var(ddof=1)) / 2
    )
    assert got["smd", None, "c0"][0] == pytest.approx(by_hand)


def test_table_one_of_arms_is_the_balance_table(con):
    """The same differences as tasks.stats.propensity, whose witness is R cobalt."""
    from tasks.analysis.balance import balance_table

    rng = np.random.default_rng(3)
    n = 60
    persons = range(1, n + 1)
    target = rng.random(n) < 0.5
    subjects = (
        "person_id:bigint | site_id:text | arm:text | is_target:bool | time_zero_date:date "
        "| follow_up_days:int | cause:int\n"
    ) + "\n".join(
        f"{p} | A | {'celecoxib' if target[p - 1] else 'diclofenac'} | {target[p - 1]} | 2020-07-01 | 9 | 0"
        for p in persons
    )
    people = (
        "person_id:bigint | site_id:text | gender_concept_id:bigint | year_of_birth:int "
        "| month_of_birth:int | day_of_birth:int\n"
    ) + "\n".join(
        f"{p} | A | {8507 + 25 * (rng.random() < 0.5)} | {1930 + rng.integers(60)} | 1 | 1"
        for p in persons
    )
    covariate_world(con, subjects, people)
    spec = spec_of({"kind": "age", "method": "calendar_year"}, {"kind": "sex"})
    build_covariates(con, spec)
    found = load_people(con, spec)
    populations, _ = make_populations(found, ["iptw_ate", "overlap", "matched"])
    item = TableOne(id="table", of="arms", covariates=["c0", "c1"])
    rows = table_one_of_arms(con, spec, item, populations)
    balance = balance_table(found, populations)
    checked = 0
    for old in balance.iter_rows(named=True):
        name = "crude" if old["adjustment"] == "none" else old["adjustment"]
        mine = [r for r in rows if r.get("term") == old["covariate"] and r["population"] == name]
        new = {(r["estimate_name"], r.get("arm")): r for r in mine}
        assert new["smd", None]["estimate"] == pytest.approx(old["smd"], rel=1e-9, abs=1e-12)
        kind = "mean" if old["kind"] == "continuous" else "proportion"
        for arm, side in (("celecoxib", "target"), ("diclofenac", "comparator")):
            assert new[kind, arm]["estimate"] == pytest.approx(old[f"{side}_mean"])
            assert new[kind, arm]["statistic"] == pytest.approx(old[f"{side}_sd"])
            checked += 1
    assert checked == 2 * 2 * 4
