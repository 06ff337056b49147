"""Points of curves, groups and bins of scores tell of no few cases, alone or by subtraction."""

import numpy as np
import pandas as pd
import polars as pl
import pytest

from tasks.analysis.attrition import ATTRITION_SCHEMA
from tasks.core.disclosure_points import hide_thin_points
from tasks.core.disclosure_tables import release_tables
from tasks.core.results import PART, POINT, result_row
from tests.reference.test_registry_tables import results

K = 11


def point(at, *counts, arm="a", name="net_benefit", **more):
    row = result_row("c", "primary", name, population="t", at=at, arm=arm, n=500, n_events=100, estimate=0.1, **more)  # fmt: skip
    return row | {POINT: counts}


def part(n, events, term="score_group"):
    row = result_row("c", "primary", "calibration_curve", population="t", term=term, n=n, n_events=events, estimate=0.1)  # fmt: skip
    return row | {PART: True}


def shown(rows):
    return [place for place, row in enumerate(hide_thin_points(rows, K)) if row["status"] == "ok"]


def test_a_point_needs_k_of_each_truth_and_k_or_none_that_are_not_acted_on():
    rows = [
        point(0.1, 100, 400, 0, 0),
        point(0.2, 80, 200, 20, 200),
        point(0.3, 60, 10, 40, 390),
        point(0.4, 0, 0, 100, 400),
    ]
    assert shown(rows) == [0, 1]
    assert shown([point(0.1, 95, 300, 5, 100)]) == []


def test_points_between_which_few_moved_are_not_both_shown():
    assert shown(
        [point(0.1, 80, 200, 20, 200), point(0.2, 75, 180, 25, 220), point(0.3, 60, 150, 40, 250)]
    ) == [0, 2]
    near = [
        point(0.11, 80, 200, 20, 200),
        point(0.12, 75, 180, 25, 220),
        point(0.2, 70, 170, 30, 230),
    ]
    assert shown(near) == [2]  # round thresholds are kept first  # fmt: skip


def test_modalities_and_differences_go_together():
    few = [point(0.1, 80, 5, 20, 395, arm="b"), point(0.1, 80, 200, 20, 200)]
    gap = point(0.1, arm=None, name="net_benefit_difference")
    assert shown([*few, gap]) == []
    assert shown([few[1], gap]) == [0, 1]


def test_parts_that_are_withheld_are_k_together():
    rows = [part(50, 3), part(50, 12), part(50, 20), part(50, 25)]
    assert shown(rows) == [2, 3]
    assert shown([part(50, 20), part(50, 25)]) == [0, 1]
    bins = [part(n, None, "score_bin") for n in (4, 30, 40, 60)]
    assert shown(bins) == [2, 3]


@pytest.mark.parametrize("method", ["calibration", "decision_curve"])
def test_nothing_of_a_study_tells_of_fewer_than_k(method):
    rng = np.random.default_rng(3)
    score = np.round(rng.beta(1, 3, 400), 3)
    frame = pd.DataFrame({"case": range(400), "score": score, "truth": (rng.random(400) < score) * 1})  # fmt: skip
    source = {"kind": "reading_table", "roles": {c: c for c in ("score", "truth")} | {"case_id": "case"}}  # fmt: skip
    rows = [r for r in results(frame, source, method=method, replicates=200) if r["analysis_id"] != "attrition"]  # fmt: skip
    kept, _, _ = release_tables(rows, pl.DataFrame(schema=ATTRITION_SCHEMA), K)
    told = [r for r in kept if r["status"] == "ok"]
    gone = [r for r in kept if r["status"] == "suppressed"]
    assert {"calibration": "ici", "decision_curve": "net_benefit"}[method] in {r["estimate_name"] for r in told}  # fmt: skip
    assert gone
    for row in told:
        if PART in row:
            cells = [row["n"]] if row["n_events"] is None else [row["n_events"], row["n"] - row["n_events"]]  # fmt: skip
            assert min(cells) >= K
        if row["estimate_name"] == "calibration_curve" and row["term"] == "smooth":
            assert min((score <= row["at"]).sum(), (score >= row["at"]).sum()) >= K
        if row["estimate_name"] == "net_benefit" and row["term"] == "model":
            acted = frame[score >= row["at"]].truth
            assert min(acted.sum(), (1 - acted).sum()) >= K
