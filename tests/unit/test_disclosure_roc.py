"""No two points of a ROC curve that are shown have fewer than k cases of a truth between them."""

from itertools import combinations

import numpy as np
import pandas as pd
import polars as pl
import pytest

from tasks.analysis.attrition import ATTRITION_SCHEMA
from tasks.core.disclosure_tables import release_tables
from tasks.core.results import ROC_COUNTS
from tests.reference.test_registry_tables import results

K = 10
SOURCE = {
    "kind": "reading_table",
    "columns": {"half": {"category": ["a", "b"]}},
    "roles": {"case_id": "case", "truth": "truth", "score": "score", "modality": "modality"},
}


def drawn(n=600, seed=5):
    rng = np.random.default_rng(seed)
    truth = (rng.random(n) < 0.3) * 1
    parts = [
        pd.DataFrame({"case": np.arange(n), "truth": truth, "modality": name,
                      "half": np.where(np.arange(n) % 2, "a", "b"),
                      "score": rng.normal(truth * shift).round(2)})
        for name, shift in (("new", 1.2), ("old", 0.8))
    ]  # fmt: skip
    return pd.concat(parts)


@pytest.fixture(scope="module")
def rows():
    asked = {"seed": 1, "replicates": 200, "index_test": {"threshold": 0.6}}
    roc = {"at_specificity": [0.5, 0.8, 0.99]}
    return results(drawn(), SOURCE, method="roc", roc=roc, **asked)


def released(rows, k=K):
    kept, _, messages = release_tables(rows, pl.DataFrame(schema=ATTRITION_SCHEMA), k)
    return kept, messages


def points(rows, arm):
    return {
        row[ROC_COUNTS][0][:2]
        for row in rows
        if row.get(ROC_COUNTS) and row["status"] == "ok" and row.get("arm") == arm
    }


@pytest.mark.parametrize("arm", ["new", "old"])
def test_k_cases_of_either_truth_lie_between_any_two_points(rows, arm):
    kept, messages = released(rows)
    found = points(kept, arm)
    assert 4 < len(found) < len(points(rows, arm))
    for one, other in combinations(sorted(found), 2):
        assert min(abs(a - b) for a, b in zip(one, other, strict=True)) >= K
    assert [message.code for message in messages] == ["P_SMALL_CELL"]


def test_points_that_are_asked_for_come_before_those_of_the_curve(rows):
    kept, _ = released(rows)
    shown = [r for r in kept if r["estimate_name"] == "sensitivity" and r["status"] == "ok"]
    assert {r.get("at") for r in shown if r.get("term") is None} >= {0.5, 0.8}
    assert [r for r in shown if r.get("term") == "operating_point"]


def test_a_point_with_few_false_positives_is_withheld_with_its_difference(rows):
    """At a specificity of 0.99 fewer than ten of the healthy are positive."""
    kept, _ = released(rows)
    at = [r for r in kept if r.get("at") == 0.99 and r["estimate_name"].startswith("sensitivity")]
    assert {r["status"] for r in at} == {"suppressed"}
    assert {r["estimate_name"] for r in at} == {"sensitivity", "sensitivity_difference"}
    assert all(r["estimate"] is None for r in at)


def test_withheld_points_of_the_curve_are_left_out_and_areas_stay(rows):
    kept, _ = released(rows)
    assert all(r["status"] == "ok" for r in kept if r.get("term") == "curve")
    assert {r["status"] for r in kept if r["estimate_name"] in ("auc", "auc_difference")} == {"ok"}


def test_a_point_keeps_its_distance_from_what_accuracy_tells(rows):
    beside = results(drawn(), SOURCE, method="accuracy", index_test={"threshold": 0.6})
    told = [
        {**r, "analysis_id": "a0"} if r["analysis_id"] == "a1" else r
        for r in beside
        if r["estimate_name"] in ("sensitivity", "specificity")
    ]
    kept, _ = released(told + rows)
    sick = next(r for r in told if r["estimate_name"] == "sensitivity" and r["arm"] == "new")
    near = [p for p in points(kept, "new") if 0 < abs(p[0] - sick["n_events"]) < K]
    assert not near


def test_public_data_pass_untouched(rows):
    assert released(rows, None)[0] == rows


def test_a_threshold_of_few_is_withheld():
    rule = {"chosen_by": "specificity", "at_least": 0.99, "set": "half", "development": "a", "validation": "b"}  # fmt: skip
    rows = results(drawn(), SOURCE, method="operating_point", operating_point=rule, seed=1, replicates=200)  # fmt: skip
    kept, _ = released(rows)
    assert {r["status"] for r in kept if r["estimate_name"] == "operating_threshold"} == {"suppressed"}  # fmt: skip


@pytest.mark.parametrize(("every", "status"), [(20, "ok"), (200, "suppressed")])
def test_areas_beside_tell_of_no_few_outputs_without_a_result(every, status):
    frame = drawn().reset_index(drop=True)
    frame["state"] = np.where(frame.index % every == 0, 2, 0)
    frame.loc[frame.state == 2, "score"] = None
    frame = frame.assign(state=frame.state.astype(int))
    source = {**SOURCE, "roles": {**SOURCE["roles"], "output": "state"}}
    kept, _ = released(results(frame, source, method="roc"), 5)
    areas = [r for r in kept if r["estimate_name"] == "auc"]
    own = [r["status"] for r in areas if r["scenario"] == "without a result: wrong"]
    beside = {r["status"] for r in areas if r["scenario"] != "without a result: wrong"}
    assert set(own) == {"ok"}
    assert beside == {status}
