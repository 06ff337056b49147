"""The whole pipeline against OHDSI CohortMethod's published results on Eunomia GiBleed.

OHDSI/CohortMethod@b7a38ec inst/Results_Eunomia.zip, analysis 1: celecoxib (1118084) against
diclofenac (1124300), outcome GI bleed (192671), 183 days of prior observation, restricted to the
common period, prior outcomes of 30 days removed, time at risk from start to end + 30 days,
unadjusted Cox with Breslow ties (Cyclops). Every number is read from results.parquet of a run.
"""

import math

import polars as pl
import pytest

from tests.homes import published


@pytest.fixture(scope="module")
def results(demo_home):
    return pl.read_parquet(published(demo_home) / "results.parquet")


def one(results, **where):
    found = results.filter(*(pl.col(name) == value for name, value in where.items()))
    assert found.height == 1, found
    return found.row(0, named=True)


def test_attrition_counts_are_the_published_ones(results):
    counts = {
        (row["arm"], row["term"].partition("_")[2]): row["estimate"]
        for row in results.filter(pl.col("analysis_id") == "attrition").iter_rows(named=True)
    }
    steps = (
        "with_code", "first_era", "in_observation", "in_one_arm", "in_common_period",
        "has_prior_observation", "has_no_prior_outcome", "has_time_at_risk",
    )  # fmt: skip
    celecoxib = (1844, 1844, 1800, 1800, 1797, 1797, 1797, 1797)
    assert [counts["celecoxib", step] for step in steps] == list(celecoxib)
    diclofenac = (850, 850, 830, 830, 830, 830, 830, 830)
    assert [counts["diclofenac", step] for step in steps] == list(diclofenac)
    assert counts["celecoxib", "records"] == counts["diclofenac", "records"] == 2694


def test_the_losses_have_their_true_reasons(demo_home):
    steps = pl.read_parquet(published(demo_home) / "attrition.parquet")
    lost = {
        (r["arm"], r["step_id"]): r["excluded"]
        for r in steps.iter_rows(named=True)
        if r["excluded"]
    }
    assert lost == {
        ("celecoxib", "with_code"): 850,
        ("diclofenac", "with_code"): 1844,
        ("celecoxib", "in_observation"): 44,
        ("celecoxib", "in_common_period"): 3,
        ("diclofenac", "in_observation"): 20,
    }


def test_the_attrition_starts_from_the_first_raw_row(demo_home):
    steps = pl.read_parquet(published(demo_home) / "attrition.parquet")
    records = {
        (r["arm"], r["step_id"]): r["records"]
        for r in steps.iter_rows(named=True)
        if r["records"] is not None
    }
    assert records == {
        ("celecoxib", "records"): 52_508,
        ("celecoxib", "with_code"): 1844,
        ("diclofenac", "records"): 52_508,
        ("diclofenac", "with_code"): 850,
    }


@pytest.mark.parametrize(
    ("arm", "people", "events", "person_days"),
    [("celecoxib", 1797, 113, 54_388), ("diclofenac", 830, 46, 25_102)],
)
def test_people_events_and_person_days(results, arm, people, events, person_days):
    row = one(results, analysis_id="follow_up", arm=arm, population="crude")
    assert (row["n"], row["n_events"], row["person_time"]) == (people, events, person_days)


def test_the_unadjusted_breslow_hazard_ratio(results):
    wald = one(results, analysis_id="replication", estimate_name="hazard_ratio", se_method="model")
    assert math.log(wald["estimate"]) == pytest.approx(0.1258105, abs=1e-6)
    assert wald["estimate"] == pytest.approx(1.1340672, abs=1e-6)
    assert wald["std_error"] == pytest.approx(0.174896, abs=1e-6)
    assert wald["role"] == "replication"


def test_the_published_standard_error_is_that_of_the_profile_likelihood(results):
    """Cyclops prints 0.175385 from limits that it finds to a tolerance; ours are exact."""
    profile = one(
        results,
        analysis_id="replication",
        estimate_name="hazard_ratio",
        se_method="profile_likelihood",
    )
    assert profile["std_error"] == pytest.approx(0.175385, rel=3e-4)


def test_adjusted_analyses_stand_beside_it(results):
    is_own = pl.col("analysis_id") != "negative_controls"
    ratios = results.filter(pl.col("estimate_name") == "hazard_ratio", is_own)
    assert set(ratios["population"]) == {"crude", "iptw_ate", "overlap", "matched"}
    assert set(ratios["status"]) == {"ok"}
    assert set(ratios.filter(pl.col("role") == "primary")["population"]) == {"overlap"}
    assert ratios.select("std_error", "ci_low", "ci_high", "n", "n_events").null_count().row(0) == (
        0, 0, 0, 0, 0,
    )  # fmt: skip


CONTROLS = {
    "fracture_ankle": (1, 0), "fracture_clavicle": (0, 0), "fracture_forearm": (0, 0),
    "fracture_hip": (1, 0), "fracture_osteoporosis": (0, 0), "fracture_rib": (0, 0),
    "fracture_vertebra": (0, 0), "fracture_wrist": (1, 0),
}  # fmt: skip
"""Events in celecoxib and in diclofenac, of negative controls of OHDSI CohortGenerator's example."""


def test_the_negative_controls_have_too_few_events_for_ease(results):
    controls = results.filter(pl.col("analysis_id") == "negative_controls")
    events = {
        (row["outcome"], row["arm"]): row["n_events"]
        for row in controls.filter(pl.col("estimate_name") == "count").iter_rows(named=True)
    }
    both = ("celecoxib", "diclofenac")
    assert {name: tuple(events[name, arm] for arm in both) for name in CONTROLS} == CONTROLS
    eases = controls.filter(pl.col("estimate_name") == "ease")
    assert sorted(eases["term"]) == ["primary", "replication"]
    assert set(eases["status"]) == {"not_estimable"}
    assert set(eases["note"]) == {"0 controls could be estimated; 5 are needed"}
    assert results.filter(pl.col("term") == "calibrated").is_empty()


def test_the_primary_estimate_has_e_values_and_what_was_detectable(results):
    primary = {"analysis_id": "primary", "estimate_name": "hazard_ratio"}
    ratio = one(results, **primary, se_method="robust")["estimate"]
    value = one(results, analysis_id="primary", estimate_name="e_value", scenario="estimate")
    assert value["estimate"] == pytest.approx(1 / ratio + math.sqrt(1 / ratio * (1 / ratio - 1)))
    assert one(results, estimate_name="e_value", scenario="limit")["estimate"] == 1
    mdrr = one(results, analysis_id="primary", estimate_name="mdrr")
    share = 1797 / 2627
    assert mdrr["estimate"] == pytest.approx(
        math.exp(2.801585218112969 / math.sqrt(159 * share * (1 - share)))
    )
