"""Risks of two groups against published tables, scipy, and what must hold when cells are empty.

Newcombe (1998) Stat Med 17:873, table II, methods 10 (hybrid score) and 6 (Miettinen-Nurminen).
Koopman (1984): 36 of 40 and 16 of 80. Aspirin and infarction (Physicians' Health Study, in
Agresti 2002, section 3.1): 189 of 11034 and 104 of 11037.
"""

import math

import numpy as np
import pandas as pd
import pytest
from scipy.stats import fisher_exact
from scipy.stats.contingency import odds_ratio

from tasks.core.errors import EstimationError
from tasks.stats.binary_contrasts import (
    TwoRisks,
    exact_odds_ratio,
    number_needed,
    odds_ratio_of,
    risk_difference_of,
    risk_ratio_of,
)
from tasks.stats.inference import difference
from tasks.stats.weighted_risks import risk_contrasts, weighted_risks
from tests.reference.test_registry_tables import results, some

NEWCOMBE = [
    ((56, 70, 48, 80), (0.0524, 0.3339), (0.0528, 0.3382)),
    ((9, 10, 3, 10), (0.1705, 0.8090), (0.1700, 0.8406)),
    ((6, 7, 2, 7), (0.0582, 0.8062), (0.0342, 0.8534)),
    ((5, 56, 0, 29), (-0.0381, 0.1926), (-0.0326, 0.1933)),
    ((0, 10, 0, 20), (-0.1611, 0.2775), (-0.1658, 0.2844)),
    ((0, 10, 0, 10), (-0.2775, 0.2775), (-0.2879, 0.2879)),
    ((10, 10, 0, 20), (0.6791, 1.0000), (0.7156, 1.0000)),
    ((10, 10, 0, 10), (0.6075, 1.0000), (0.6636, 1.0000)),
]


@pytest.mark.parametrize(("counts", "newcombe", "score"), NEWCOMBE)
def test_score_intervals_of_a_difference_are_those_published(counts, newcombe, score):
    for method, limits in (("newcombe", newcombe), ("miettinen_nurminen", score)):
        got = risk_difference_of(TwoRisks(*counts), method)
        assert [got.ci_low, got.ci_high] == pytest.approx(limits, abs=5.1e-5)
        swapped = risk_difference_of(TwoRisks(*counts[2:], *counts[:2]), method)
        assert (swapped.ci_low, swapped.ci_high) == pytest.approx((-got.ci_high, -got.ci_low))


def test_published_ratios():
    koopman = risk_ratio_of(TwoRisks(36, 40, 16, 80), "koopman")
    assert (koopman.ci_low, koopman.ci_high) == pytest.approx((2.94, 7.15), abs=5e-3)
    aspirin = TwoRisks(189, 11034, 104, 11037)
    ratio, odds = risk_ratio_of(aspirin), odds_ratio_of(aspirin)
    assert (ratio.estimate, ratio.ci_low, ratio.ci_high) == pytest.approx(
        (1.82, 1.43, 2.31), abs=5e-3
    )
    assert (odds.estimate, odds.ci_low, odds.ci_high) == pytest.approx((1.83, 1.44, 2.33), abs=5e-3)
    gap = risk_difference_of(aspirin)
    assert (gap.estimate, gap.ci_low, gap.ci_high) == pytest.approx(
        (0.0077, 0.0047, 0.0107), abs=5e-5
    )


def test_exact_odds_ratio_is_fishers():
    """fisher.test prints 6.408309 for the tea, its root found to 1e-4; scipy solves the same
    equations to the end."""
    assert exact_odds_ratio(TwoRisks(3, 4, 1, 4)).estimate == pytest.approx(6.408309, abs=2e-5)
    for table in ([[3, 1], [1, 3]], [[56, 14], [48, 32]], [[0, 9], [4, 20]], [[7, 0], [5, 6]]):
        (a, b), (c, d) = table
        got = exact_odds_ratio(TwoRisks(a, a + b, c, c + d))
        want = odds_ratio(np.array(table), kind="conditional")
        limits = want.confidence_interval()
        assert got.estimate == pytest.approx(want.statistic, rel=1e-6)
        assert (got.ci_low, got.ci_high) == pytest.approx((limits.low, limits.high), rel=1e-6)
        assert got.p_value == pytest.approx(fisher_exact(table).pvalue, rel=1e-9)


def test_number_needed_has_two_ranges_where_the_interval_holds_0():
    """Altman (1998) BMJ 317:1309: a reduction of 10 % (-5 % to 25 %) is 10; harm from 20 on,
    benefit from 4 on."""
    gap = difference(-0.10, 0.15 / 1.959963984540054, 0.95)
    got = number_needed(gap)
    assert (got.estimate, got.fewer_from, got.more_from) == pytest.approx((10, 4, 20))
    assert got.is_fewer
    assert (got.ci_low, got.ci_high) == (None, None)
    sure = number_needed(difference(-0.10, 0.02, 0.95))
    assert (sure.ci_low, sure.ci_high) == pytest.approx((1 / 0.1391993, 1 / 0.0608007), rel=1e-5)
    with pytest.raises(EstimationError, match="infinite"):
        number_needed(difference(0.0, 0.1, 0.95))


DEGENERATE = [
    (risk_ratio_of, (0, 10, 3, 10)),
    (odds_ratio_of, (10, 10, 3, 10)),
    (exact_odds_ratio, (10, 10, 7, 7)),
    (exact_odds_ratio, (0, 10, 0, 7)),
    (risk_difference_of, (0, 10, 0, 7)),
]


@pytest.mark.parametrize(("estimate", "counts"), DEGENERATE)
def test_what_empty_cells_do_not_tell_is_refused(estimate, counts):
    with pytest.raises(EstimationError):
        estimate(TwoRisks(*counts))


@pytest.mark.parametrize("counts", [(1, 0, 1, 5), (6, 5, 1, 5), (-1, 5, 1, 5)])
def test_what_is_no_count_is_refused(counts):
    with pytest.raises(EstimationError, match="To fix"):
        TwoRisks(*counts)


def test_weighted_risks_by_hand_and_by_cluster():
    """HC0 of a weighted mean; with one cluster a row, CR1 is HC0 times n / (n - 1)."""
    rng = np.random.default_rng(4)
    y, group, weight = rng.integers(0, 2, 40), np.arange(40) % 2, rng.uniform(0.5, 2, 40)
    found = weighted_risks(y, group, weight)
    for place in (0, 1):
        w, z = weight[group == place], y[group == place]
        mean = (w * z).sum() / w.sum()
        assert found.risk[place] == pytest.approx(mean, rel=1e-12)
        assert found.covariance[place, place] == pytest.approx(
            ((w * (z - mean)) ** 2).sum() / w.sum() ** 2, rel=1e-12
        )
    alone = weighted_risks(y, group, weight, np.arange(40))
    assert alone.covariance == pytest.approx(found.covariance * 40 / 39, abs=1e-15)
    shuffle = rng.permutation(40)
    again = weighted_risks(y[shuffle], group[shuffle], weight[shuffle])
    assert (again.risk == found.risk).all()
    assert (again.covariance == found.covariance).all()
    plain = risk_contrasts(weighted_risks(y, group), 1, 0)["risk_difference"]
    counts = TwoRisks(int(y[group == 1].sum()), 20, int(y[group == 0].sum()), 20)
    assert plain.std_error == pytest.approx(risk_difference_of(counts).std_error, rel=1e-12)


SOURCE = {
    "roles": {"outcome": "ill", "treatment": "arm"},
    "columns": {"arm": {"category": ["old", "new"]}},
}


def cells(events, n, others, of):
    return pd.DataFrame(
        {
            "arm": ["new"] * n + ["old"] * of,
            "ill": [1] * events + [0] * (n - events) + [1] * others + [0] * (of - others),
        }
    )


def test_a_study_gets_every_contrast():
    rows = results(cells(56, 70, 48, 80), SOURCE, method="risk")
    arms = {row["arm"]: (row["estimate"], row["n"], row["n_events"]) for row in some(rows, "risk")}
    assert arms == {"new": (0.8, 70, 56), "old": (0.6, 80, 48)}
    gaps = {row["ci_method"]: row for row in some(rows, "risk_difference")}
    assert sorted(gaps) == ["miettinen_nurminen", "newcombe", "wald"]
    assert (gaps["wald"]["target"], gaps["wald"]["comparator"]) == ("new", "old")
    needed = {row["ci_method"]: row for row in some(rows, "nnt")}
    assert needed["newcombe"]["term"] == "more events"
    assert needed["newcombe"]["ci_low"] == pytest.approx(1 / gaps["newcombe"]["ci_high"])
    assert {row["ci_method"] for row in some(rows, "odds_ratio")} == {"woolf", "exact conditional"}


def test_a_study_without_events_in_a_group_says_what_stands():
    rows = results(cells(0, 20, 4, 20), SOURCE, method="risk")
    ratios = {row["ci_method"]: row for row in some(rows, "risk_ratio")}
    assert ratios["log"]["status"] == "not_estimable"
    assert (ratios["koopman"]["estimate"], ratios["koopman"]["ci_low"]) == (0.0, 0.0)
    [wide] = [row for row in some(rows, "nnt") if row["ci_method"] == "miettinen_nurminen"]
    score = risk_difference_of(TwoRisks(0, 20, 4, 20), "miettinen_nurminen")
    assert (wide["term"], wide["ci_low"]) == ("fewer events", pytest.approx(-1 / score.ci_low))
    assert all(math.isfinite(row.get("estimate") or 0) for row in rows)


def test_a_study_whose_interval_holds_0_says_the_two_ranges():
    rows = results(cells(10, 40, 12, 40), SOURCE, method="risk")
    for row in some(rows, "nnt"):
        [gap] = [g for g in some(rows, "risk_difference") if g["ci_method"] == row["ci_method"]]
        is_fewer = row["term"] == "fewer events"
        assert row["ci_low"] == pytest.approx(1 / abs(gap["ci_low" if is_fewer else "ci_high"]))
        assert row["ci_high"] is None
        assert row["estimate"] == (pytest.approx(20) if is_fewer else None)
        assert "two ranges" in row["note"]
    assert len(some(rows, "nnt")) == 6


def test_a_study_with_weights_and_clusters_gets_robust_errors():
    frame = cells(30, 70, 48, 80)
    frame["w"], frame["site"] = 1.5, [str(k % 12) for k in range(150)]
    source = SOURCE | {"roles": SOURCE["roles"] | {"weight": "w"}}
    rows = results(frame, source, method="risk", cluster="site")
    assert {(r["se_method"], r["n_clusters"]) for r in some(rows, "risk_difference")} == {
        ("CR1", 12)
    }
    [gap] = some(results(frame, source, method="risk"), "risk_difference")
    plain = risk_difference_of(TwoRisks(30, 70, 48, 80))
    assert gap["std_error"] == pytest.approx(plain.std_error, rel=1e-12)


def test_a_study_of_one_group_shows_its_risk_and_says_that_nothing_is_compared():
    frame = cells(30, 70, 48, 80)
    rows = results(frame[frame.arm == "new"], SOURCE, method="risk")
    found = [(r["estimate_name"], r["status"]) for r in rows if r["analysis_id"] == "a1"]
    assert found == [("risk", "ok"), ("risk_difference", "not_estimable")]
    without = {"roles": {"outcome": "ill"}}
    rows = results(frame, without, method="risk")
    assert [row["estimate_name"] for row in rows if row["analysis_id"] == "a1"] == ["risk"]
