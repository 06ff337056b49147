"""Subgroups of a registry table: each level by itself, interaction and multiplicity.

R: p.adjust(c(0.01, 0.02, 0.03, 0.04, 0.05), "holm") = 0.05 0.08 0.09 0.09 0.09, "BH" = 0.05 x 5.
Altman & Bland (2003) BMJ 326:219: fractures and hormone therapy under 60 years, RR 0.67 (0.46, 0.98),
and later, 0.88 (0.71, 1.08): difference of logs -0.2726, SE 0.2206, z = -1.24, p = 0.2.
"""

import math

import numpy as np
import pandas as pd
import pytest

from tasks.core.errors import EstimationError
from tasks.stats.multiplicity import benjamini_hochberg, heterogeneity, holm
from tests.reference.test_registry_tables import results, some


def test_adjusted_p_values_are_those_of_r():
    p = [0.01, 0.02, 0.03, 0.04, 0.05]
    assert holm(p) == pytest.approx([0.05, 0.08, 0.09, 0.09, 0.09])
    assert benjamini_hochberg(p) == pytest.approx([0.05] * 5)
    assert holm([0.04, 0.9, 0.01]) == pytest.approx([0.08, 0.9, 0.03])
    assert benjamini_hochberg([0.04, 0.9, 0.01]) == pytest.approx([0.06, 0.9, 0.03])
    with pytest.raises(EstimationError):
        holm([0.1, np.nan])


def test_two_groups_differ_as_altman_and_bland_say():
    log_rr = np.log([0.67, 0.88])
    errors = [(math.log(0.98) - math.log(0.46)) / 3.92, (math.log(1.08) - math.log(0.71)) / 3.92]
    found = heterogeneity(log_rr, errors)
    assert errors == pytest.approx([0.1929, 0.1070], abs=1e-4)
    assert math.sqrt(found.statistic) == pytest.approx(1.24, abs=0.005)
    assert found.p_value == pytest.approx(0.2, abs=0.02)
    with pytest.raises(EstimationError, match="2 are needed"):
        heterogeneity([0.1], [0.2])


SOURCE = {
    "roles": {"follow_up": {"column": "time", "unit": "days"}, "event": "status", "treatment": "arm"},
    "columns": {"arm": {"category": ["old", "new"]}, "age": "number", "old age": "boolean",
                "site": {"category": ["a", "b", "c"]}},
}  # fmt: skip
COX = {
    "method": "cox",
    "ties": "efron",
    "terms": "arm + age + `old age`",
    "subgroups": ["old age", "site"],
}


@pytest.fixture(scope="module")
def frame():
    """900 persons in whom treatment helps the young only."""
    rng = np.random.default_rng(8)
    n = 900
    age, new, site = rng.normal(65, 8, n), rng.random(n) < 0.5, rng.integers(0, 3, n)
    old = age >= 65
    time = np.ceil(rng.exponential(300 * np.exp(np.where(new & ~old, 0.9, 0.0))))
    return pd.DataFrame({
        "time": np.minimum(time, 600).astype(int), "status": (time < 600).astype(int),
        "arm": np.where(new, "new", "old"), "age": age.round(1), "old age": np.where(old, "true", "false"),
        "site": np.array(["a", "b", "c"])[site],
    })  # fmt: skip


@pytest.fixture(scope="module")
def found(frame):
    return results(frame, SOURCE, **COX)


def test_each_level_is_the_analysis_of_its_rows(frame, found):
    [young] = some(found, "hazard_ratio", stratum_name="old age", stratum_level="0")
    only = frame[frame["old age"] == "false"]
    alone = results(only, SOURCE, method="cox", ties="efron", terms="arm + age")
    [same] = some(alone, "hazard_ratio", term="arm=new")
    numbers = ("term", "estimate", "std_error", "ci_low", "p_value", "n", "n_events")
    assert [young[c] for c in numbers] == [same[c] for c in numbers]
    levels = [r["stratum_level"] for r in some(found, "hazard_ratio", stratum_name="site")]
    assert levels == ["a", "b", "c"]
    assert sum(r["n"] for r in some(found, "hazard_ratio", stratum_name="site")) == 900


def test_interaction_is_found_where_it_is_and_adjusted_for_two_tests(found):
    raw = {r["stratum_name"]: r for r in some(found, "test", statistic_name="interaction")}
    assert raw["old age"]["p_value"] < 1e-4 < 0.01 < raw["site"]["p_value"]
    assert (raw["old age"]["df1"], raw["site"]["df1"]) == (1.0, 2.0)
    for name, adjust in (("interaction_holm", holm), ("interaction_bh", benjamini_hochberg)):
        shown = {r["stratum_name"]: r["p_value"] for r in some(found, "test", statistic_name=name)}
        want = adjust([raw["old age"]["p_value"], raw["site"]["p_value"]])
        assert list(shown.values()) == pytest.approx(list(want))


def test_a_level_without_events_says_so_and_ends_its_test_only(frame):
    empty = frame.assign(status=np.where(frame["site"] == "c", 0, frame["status"]))
    rows = results(empty, SOURCE, **COX)
    [row] = some(rows, "hazard_ratio", stratum_level="c")
    assert row["status"] == "not_estimable"
    assert {r["stratum_name"] for r in some(rows, "test", statistic_name="interaction")} == {
        "old age"
    }


def test_groups_without_a_model_have_subgroups_too(frame):
    rows = results(frame, SOURCE, method="incidence_rate", subgroups=["site"])
    levels = [r["stratum_level"] for r in some(rows, "rate_ratio", scenario="subgroup")]
    assert levels == ["a", "b", "c"]
    assert {r["term"] for r in some(rows, "test", statistic_name="interaction")} == {None}
