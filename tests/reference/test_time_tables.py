"""Methods of time asked from a study file: clones with a grace period, and bootstraps.

What the estimators give is witnessed in test_clone_censor_weight and test_bootstrap; here the
numbers of the study are those of the estimator, and what cannot be done is refused by name.
"""

import numpy as np
import pandas as pd
import polars as pl
import pytest

from tasks.analysis.attrition import ATTRITION_SCHEMA
from tasks.core.disclosure_tables import release_tables
from tasks.stats.bootstrap import Plan, interval
from tasks.stats.clone_censor_weight import CovariatePath, clone_censor_weight
from tests.reference.test_clone_censor_weight import changing, drawn, persons_of
from tests.reference.test_registry_tables import results, some
from tests.study_files import check_refuses

REGISTRY = {
    "roles": {
        "person_id": "id",
        "follow_up": {"column": "days", "unit": "days"},
        "event": "died",
        "treatment_start": {"column": "treated_on", "unit": "days"},
    },
    "columns": {"old": "number", "sick": {"category": ["0", "1"]}, "treated": "boolean"},
}
ASKED = {
    "method": "clone_censor_weight",
    "grace_days": 30,
    "terms": "old + sick",
    "table_days": [60, 150],
    "horizon_days": 150,
    "replicates": 200,
    "seed": 7,
}


def registry(n=200, seed=3):
    time, event, start, z = drawn(n, seed)
    time = np.ceil(time)
    start = np.where(start < np.inf, np.floor(start), np.nan)
    return pd.DataFrame(
        {
            "id": np.arange(n), "days": time, "died": event, "treated_on": start,
            "treated": (start >= 0).astype(int), "old": z[:, 0], "sick": z[:, 1].astype(int),
        }
    )  # fmt: skip


def direct(frame, **more):
    start = frame.treated_on.fillna(np.inf).to_numpy()
    return clone_censor_weight(
        frame.days, frame.died, start, frame[["old", "sick"]], 30.0, [60.0, 150.0],
        Plan(200, 7, "a1"), horizon=150.0, **more,
    )  # fmt: skip


def test_the_rows_are_what_the_estimator_gives_and_an_empty_start_means_never():
    frame = registry()
    rows, found = results(frame, REGISTRY, **ASKED), direct(frame)
    assert [row["n"] for row in some(rows, "count")][-1] == len(frame)
    place = {("start", 60.0): 0, ("start", 150.0): 1, ("do_not_start", 60.0): 3}
    place["do_not_start", 150.0] = 4
    risks = some(rows, "cumulative_incidence")
    assert {(row["strategy"], row["at"]) for row in risks} == set(place)
    for row in risks:
        at = place[row["strategy"], row["at"]]
        assert row["estimate"] == pytest.approx(found.statistics[at], rel=1e-9)
        assert row["std_error"] == pytest.approx(found.resampled.std_error[at], rel=1e-9)
        assert row["n"] == len(frame)
    [difference] = some(rows, "risk_difference")
    draws = found.resampled.values
    assert difference["estimate"] == pytest.approx(found.statistics[1] - found.statistics[4])
    assert difference["std_error"] == pytest.approx((draws[:, 1] - draws[:, 4]).std(ddof=1))
    [ratio] = some(rows, "risk_ratio")
    assert ratio["estimate"] == pytest.approx(found.statistics[1] / found.statistics[4])
    error = np.log(draws[:, 1] / draws[:, 4]).std(ddof=1)
    assert ratio["std_error"] == pytest.approx(error)
    assert np.log(ratio["ci_high"] / ratio["estimate"]) == pytest.approx(1.959964 * error, rel=1e-5)
    [mean] = some(rows, "rmst_difference")
    assert mean["estimate"] == pytest.approx(found.statistics[2] - found.statistics[5])
    for row, strategy in zip(some(rows, "ess"), found.strategies, strict=True):
        assert row["estimate"] == pytest.approx(strategy.ess)
        assert row["n"] == strategy.n_followed
        assert "lowest probability" in row["note"]


@pytest.mark.parametrize("method", ["percentile", "bca"])
def test_the_interval_is_the_one_asked_for(method):
    frame = registry(80)
    rows = results(frame, REGISTRY, **(ASKED | {"bootstrap_interval": method}))
    found = direct(frame, with_jackknife=method == "bca")
    draws, without = found.resampled.values, found.without_each
    expected = interval(
        float(found.statistics[1] - found.statistics[4]),
        draws[:, 1] - draws[:, 4],
        method,
        without_each=None if without is None else without[:, 1] - without[:, 4],
    )
    [row] = some(rows, "risk_difference")
    assert (row["ci_low"], row["ci_high"]) == pytest.approx((expected.ci_low, expected.ci_high))
    assert row["ci_method"] == method


def test_few_followers_are_withheld():
    """With few persons in a strategy after grace, nothing by strategy leaves."""
    frame = registry(300)
    few = frame[(frame.treated_on.fillna(999) > 30) | (frame.index < 50)]
    rows = [r for r in results(few, REGISTRY, **ASKED) if r["analysis_id"] != "attrition"]
    sizes = {row["strategy"]: row["n"] for row in some(rows, "ess")}
    assert 0 < sizes["start"] < 35 < sizes["do_not_start"]
    nothing = pl.DataFrame(schema=ATTRITION_SCHEMA)
    shown, _, messages = release_tables(rows, nothing, sizes["start"] + 1)
    assert {row["status"] for row in shown} == {"suppressed"}
    assert [message.code for message in messages] == ["P_SMALL_CELL"]
    open_, _, _ = release_tables(rows, nothing, 5)
    told = {(row["at"], row["arm"]) for row in some(open_, "cumulative_incidence")
            if row["status"] == "ok"}  # fmt: skip
    for row in some(open_, "risk_difference"):  # told where both risks of the day are
        both = {(row["at"], row["target"]), (row["at"], row["comparator"])}
        assert (row["status"] == "ok") == (both <= told)
    assert "ok" in {row["status"] for row in some(open_, "rmst_difference")}


def test_what_cannot_be_estimated_says_why():
    frame = registry(60)
    frame["treated_on"] = np.nan
    [row] = some(results(frame, REGISTRY, **ASKED), "risk_difference")
    assert row["status"] == "not_estimable"
    assert "started" in row["note"]


INTERVALS = {
    "roles": {
        "person_id": "id",
        "start": {"column": "start", "unit": "days"},
        "stop": {"column": "stop", "unit": "days"},
        "event": "event",
        "treatment": "treated",
        "time_varying": ["treated", "ill"],
    },
    "columns": {"treated": "boolean", "ill": "number"},
}


def test_intervals_with_covariates_that_change():
    rows = changing(600, 5)
    asked = ASKED | {"grace_days": 90, "interval_days": 30, "terms": "ill"}
    asked |= {"table_days": [200], "horizon_days": 200}
    made, people = results(rows, INTERVALS, **asked), persons_of(rows)
    path = CovariatePath(
        np.searchsorted(people.index, rows.id), rows.start.to_numpy(), rows.stop.to_numpy(),
        rows[["ill"]].to_numpy(),
    )  # fmt: skip
    found = clone_censor_weight(
        people.time, people.event, people.start, None, 90.0, [200.0], Plan(200, 7, "a1"),
        horizon=200.0, window=30.0, path=path,
    )  # fmt: skip
    [difference] = some(made, "risk_difference")
    assert difference["estimate"] == pytest.approx(found.statistics[0] - found.statistics[2])
    [mean] = some(made, "rmst_difference")
    draws = found.resampled.values
    assert mean["std_error"] == pytest.approx((draws[:, 1] - draws[:, 3]).std(ddof=1))
    persons = {row["n"] for row in made if row["analysis_id"] == "a1"} - {
        strategy.n_followed for strategy in found.strategies
    }
    assert persons == {len(people)}


BROKEN = [
    (ASKED | {"grace_days": None}, {}, "needs grace_days"),
    (ASKED | {"seed": None}, {}, "needs seed"),
    (ASKED, {"treatment_start": None}, "needs the role treatment_start"),
    (ASKED | {"table_days": [20], "horizon_days": None}, {}, "beyond the grace period"),
    (ASKED | {"interval_days": 90}, {}, "longer than the grace period"),
    (ASKED | {"replicates": 50}, {}, "200"),
    ({"method": "kaplan_meier", "by": "treated"}, {"treatment": "treated"}, "cannot die in between"),
    ({"method": "cox", "ties": "efron", "terms": "old + treated"}, {"treatment": "treated"},
     "cannot die in between"),
    ({"method": "cox", "ties": "efron", "terms": "old", "std_error": "bootstrap"}, {}, "needs seed"),
    ({"method": "kaplan_meier", "censoring_terms": "old", "seed": 3}, {}, "table_days"),
    ({"method": "rmst", "horizon_days": 90, "censoring_terms": "young", "seed": 3}, {}, "young"),
    ({"method": "rmst", "horizon_days": 90, "censoring_terms": "old"}, {}, "needs seed"),
    ({"method": "cox", "ties": "efron", "terms": "old", "seed": 3}, {}, "std_error: bootstrap"),
    ({"method": "kaplan_meier", "seed": 3}, {}, "belong to censoring_terms"),
]  # fmt: skip


@pytest.mark.parametrize(("asked", "roles", "said"), BROKEN)
def test_what_does_not_fit_is_refused_by_name(tmp_path, asked, roles, said):
    source = REGISTRY | {"roles": REGISTRY["roles"] | roles}
    check_refuses(tmp_path, source, asked, said)
