"""Areas under ROC curves against R pROC, DeLong's and Obuchowski's formulas, and derivatives.

aSAH is pROC's own data set: reference/diagnostic_reference.json, entry delong_asah, has the areas
and the paired tests as pROC prints them. Others are of R 4.2.2 with pROC 1.18.0:
    r <- roc(aSAH$outcome, aSAH$s100b, levels = c("Good", "Poor"), direction = "<")
    roc.test(wfns, s100b, paired = FALSE, method = "delong")    # D 1.434906409269, df 206.661
    set.seed(42); sqrt(var(r, method = "bootstrap", boot.n = 20000))             # 0.05134
    ci.se(r, specificities = c(.5, .8, .9), boot.n = 20000)
    sqrt(var(roc(..., partial.auc = c(1, .8)), method = "bootstrap", boot.n = 20000))
"""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from tasks.stats.bootstrap import Plan, stratified_weights
from tasks.stats.diagnostic.roc import WHOLE, Part, area, area_gap, areas
from tasks.stats.diagnostic.roc_bootstrap import area_of, resampled_curves
from tasks.stats.diagnostic.roc_curve import Choice, at_fixed, choose, curve_of, thinned
from tasks.stats.diagnostic.roc_steps import area_between, polyline, steps_of
from tests.reference import roc_small as small
from tests.reference.shared import reference, shared_table
from tests.reference.test_registry_tables import results, some

DEVICES = ("s100b", "wfns", "ndka")
SOURCE = {
    "kind": "reading_table",
    "columns": {
        "modality": {"category": list(DEVICES)},
        "gender": {"category": ["Female", "Male"]},
    },
    "roles": {"case_id": "case", "truth": "truth", "score": "score", "modality": "modality"},
}
PARTS = [
    Part("specificity", 0.8, 1.0),
    Part("specificity", 0.45, 0.7),
    Part("sensitivity", 0.8, 1.0),
    Part("sensitivity", 0.31, 0.77, is_corrected=True),
]


def asah():
    frame = shared_table("data/diagnostic/aSAH.csv")
    frame = frame.assign(case=range(len(frame)), truth=(frame.outcome == "Poor") * 1)
    return frame.melt(["case", "truth", "gender"], list(DEVICES), "modality", "score")


@pytest.fixture(scope="module")
def of_asah():
    roc = {"parts": [{"of": "specificity", "low": 0.8}], "at_specificity": [0.5, 0.8, 0.9]}
    return results(asah(), SOURCE, method="roc", roc=roc, seed=3, replicates=2000, subgroups=["gender"])  # fmt: skip


@pytest.mark.parametrize("device", DEVICES)
def test_areas_of_asah(of_asah, device):
    printed = reference("diagnostic_reference.json")["delong_asah"]["headline"]["auc"]
    (found,) = some(of_asah, "auc", arm=device, ci_method="wald", se_method="delong", stratum_name=None)  # fmt: skip
    assert found["estimate"] == pytest.approx(printed[device], abs=1e-7)
    assert (found["n"], found["n_events"]) == (113, 41)


@pytest.mark.parametrize("pair", ["wfns_vs_s100b", "wfns_vs_ndka", "ndka_vs_s100b"])
def test_paired_tests_of_asah(of_asah, pair):
    printed = reference("diagnostic_reference.json")["delong_asah"]["headline"]["paired"][pair]
    first, second = pair.split("_vs_")
    (found,) = [
        row
        for row in some(of_asah, "test", statistic_name="delong", stratum_name=None)
        if {row["target"], row["comparator"]} == {first, second}
    ]
    sign = 1 if found["target"] == first else -1
    assert [sign * found["statistic"], found["p_value"]] == pytest.approx(printed, rel=1e-9)
    assert found["se_method"] == "paired"


def test_unpaired_test_of_asah():
    """The same two devices as if read on other cases: pROC's D, df and p."""
    frame = asah()
    apart = frame[frame.modality != "ndka"].assign(case=lambda f: f.case + 1000 * (f.modality == "wfns"))  # fmt: skip
    (found,) = some(results(apart, SOURCE, method="roc"), "auc_difference")
    numbers = [found["statistic"], found["df2"], found["p_value"]]
    assert numbers == pytest.approx([1.434906409269, 206.661063787782, 0.152825378809], rel=1e-9)
    assert (found["se_method"], found["ci_method"], found["n"]) == ("unpaired", "t", 226)


def test_subgroups_of_asah_and_their_gap(of_asah):
    """roc.test(men, women, paired = FALSE): D 0.501880774327, df 106.462550028932."""
    for level, value in (("Male", 0.772727272727), ("Female", 0.72)):
        (found,) = some(of_asah, "auc", arm="s100b", stratum_level=level, ci_method="wald")
        assert found["estimate"] == pytest.approx(value, rel=1e-9)
    (gap,) = some(of_asah, "auc_difference", arm="s100b", target="Male", comparator="Female")
    assert gap["estimate"] / gap["std_error"] == pytest.approx(0.501880774327, rel=1e-9)


def test_the_bootstrap_of_asah_is_that_of_proc(of_asah):
    """2,000 resamples against 20,000 of pROC; its limits step with the cases."""
    (whole,) = some(of_asah, "auc", arm="s100b", se_method="bootstrap")
    assert whole["std_error"] == pytest.approx(0.0513364386993, rel=0.04)
    for device, error in (("wfns", 0.017005297097), ("s100b", 0.0165783153343)):
        (part,) = some(of_asah, "partial_auc", arm=device, se_method="bootstrap", term=None)
        assert part["std_error"] == pytest.approx(error, rel=0.05)
    for at, low, high in ((0.5, 0.5976, 0.9024), (0.8, 0.3415, 0.7561), (0.9, 0.2195, 0.6098)):
        (found,) = some(of_asah, "sensitivity", arm="s100b", at=at, term=None)
        assert found["ci_method"] == "percentile"
        assert (found["ci_low"], found["ci_high"]) == pytest.approx((low, high), abs=0.026)


def test_pseudo_values_and_bootstrap_agree_on_the_error_of_a_part(of_asah):
    for device in ("wfns", "s100b"):
        (part,) = some(of_asah, "partial_auc", arm=device, term=None, ci_method="wald", se_method="pseudo_values")  # fmt: skip
        (drawn,) = some(of_asah, "partial_auc", arm=device, term=None, se_method="bootstrap")
        assert part["estimate"] == pytest.approx(drawn["estimate"])
        assert part["std_error"] == pytest.approx(drawn["std_error"], rel=0.12)


def test_the_paired_test_of_twenty_cases():
    gap = area_gap(areas(*small.both()), 1, 0)
    numbers = (gap.statistic, gap.p_value, gap.ci_low, gap.ci_high)
    assert numbers == pytest.approx(small.PAIRED, rel=1e-9)
    assert areas(*small.both()).covariance[0, 1] == pytest.approx(small.COVARIANCE, rel=1e-9)


@pytest.mark.parametrize(("key", "printed"), small.PARTS.items())
def test_parts_of_twenty_cases(key, printed):
    found = areas(*small.both(), part=Part(key[0], 0.7, 1.0, key[1]))
    assert found.estimates[::-1] == pytest.approx(printed, rel=1e-9)


def test_values_at_fixed_ones_and_best_thresholds_of_twenty_cases():
    curve = curve_of(small.A, small.TRUTH)
    for axis, printed in (("specificity", small.AT_SPECIFICITY), ("sensitivity", small.AT_SENSITIVITY)):  # fmt: skip
        found = [float(at_fixed(curve.line, axis, at)) for at in printed]
        assert found == pytest.approx(list(printed.values()), rel=1e-9)
    best = choose(curve, Choice("youden"))
    assert (best.threshold, best.sensitivity, best.specificity) == pytest.approx(small.BEST_A)
    costs = choose(curve_of(small.B, small.TRUTH), Choice("cost", 0, 5, 0.2))
    assert (costs.threshold, costs.sensitivity, costs.specificity) == pytest.approx(small.BEST_B_COSTS)  # fmt: skip


def drawn_cases(n=60, seed=1, levels=9, persons=None):
    """Two modalities with ties; cases of `persons` persons where told."""
    rng = np.random.default_rng(seed)
    truth = rng.random(n) < 0.4
    score = np.concatenate([rng.normal(truth * shift).round(1) for shift in (1.0, 0.6)])
    units = np.arange(n) if persons is None else rng.integers(0, persons, n)
    return (
        np.round(score * levels / 4), np.tile(truth, 2), np.tile(units, 2), np.repeat([0, 1], n),
        rng.uniform(0.5, 2, 2 * n),
    )  # fmt: skip


def components(score, truth):
    """Structural components of an area by comparing every pair."""
    x, y = score[truth], score[~truth]
    beats = (x[:, None] > y).astype(float) + (x[:, None] == y) / 2
    return beats.mean(axis=1), beats.mean(axis=0), beats.mean()


def test_delong_s_covariance_by_every_pair():
    score, truth, units, modality, _ = drawn_cases()
    parts = [components(score[modality == m], truth[modality == m]) for m in (0, 1)]
    ill, well = parts[0][0].size, parts[0][1].size
    by_hand = np.cov([p[0] for p in parts]) / ill + np.cov([p[1] for p in parts]) / well
    found = areas(score, truth, units, modality)
    assert found.estimates == pytest.approx([p[2] for p in parts], rel=1e-12)
    assert found.covariance == pytest.approx(by_hand, rel=1e-10)


def test_obuchowski_s_covariance_by_every_pair():
    """S10, S01 and S11 of clustered curves, summed in a loop over the persons."""
    score, truth, units, modality, _ = drawn_cases(persons=20)
    parts = [components(score[modality == m], truth[modality == m]) for m in (0, 1)]
    flags, whose = truth[modality == 0], units[modality == 0]
    sums = np.zeros((20, 2, 2))  # person, truth, modality
    for person in range(20):
        for m, (of_ill, of_well, value) in enumerate(parts):
            sums[person, 1, m] = (of_ill - value)[whose[flags] == person].sum()
            sums[person, 0, m] = (of_well - value)[whose[~flags] == person].sum()
    there = [{p for p in range(20) if (flags[whose == p] == truth_).any()} for truth_ in (False, True)]  # fmt: skip
    size = [len(there[0]), len(there[1]), len(there[0] | there[1])]
    m, n = flags.sum(), (~flags).sum()
    s10 = size[1] / ((size[1] - 1) * m) * sums[:, 1].T @ sums[:, 1]
    s01 = size[0] / ((size[0] - 1) * n) * sums[:, 0].T @ sums[:, 0]
    s11 = size[2] / (size[2] - 1) * sums[:, 1].T @ sums[:, 0]
    found = areas(score, truth, units, modality)
    assert found.covariance == pytest.approx(s10 / m + s01 / n + (s11 + s11.T) / (m * n), rel=1e-9)
    assert area_gap(found, 1, 0).design == "paired, clustered"


@pytest.mark.parametrize("part", [WHOLE, *PARTS])
def test_what_a_row_adds_is_the_derivative_of_the_area_by_its_weight(part):
    """By central differences of the area of the weighted curve, row after row."""
    score, truth, _, modality, weights = drawn_cases(24)
    mine = modality == 0
    score, truth, weights = score[mine], truth[mine], weights[mine]
    steps = steps_of(score, truth, weights)

    def value(at):
        return float(area_of(part)(polyline(*steps.masses(at[:, None])))[0])

    step = 1e-6
    slopes = [
        (value(weights + step * e) - value(weights - step * e)) / (2 * step)
        for e in np.eye(truth.size)
    ]
    moved = np.array(slopes) * weights
    one = np.arange(truth.size)
    found = areas(score, truth, one, np.zeros(truth.size, int), weights, part)
    counts = [truth.sum(), (~truth).sum()]
    ill, well = (c / (c - 1) for c in counts)
    by_hand = ill * (moved[truth] ** 2).sum() + well * (moved[~truth] ** 2).sum()
    assert found.covariance[0, 0] == pytest.approx(by_hand, rel=1e-5)
    assert found.estimates[0] == pytest.approx(value(weights), rel=1e-12)


def test_a_weight_of_two_counts_a_case_twice():
    score, truth, _, modality, _ = drawn_cases()
    score, truth = score[modality == 0], truth[modality == 0]
    times = np.random.default_rng(3).integers(1, 4, truth.size)
    one, many = np.zeros(truth.size, int), np.zeros(times.sum(), int)
    found = areas(score, truth, np.arange(truth.size), one, times.astype(float), PARTS[1])
    repeated = areas(np.repeat(score, times), np.repeat(truth, times), np.arange(times.sum()), many, None, PARTS[1])  # fmt: skip
    assert found.estimates == pytest.approx(repeated.estimates, rel=1e-12)


def test_a_part_of_all_is_the_whole_and_a_turned_score_turns_the_area():
    score, truth, units, modality, _ = drawn_cases()
    whole = areas(score, truth, units, modality)
    other = areas(score, truth, units, modality, None, Part("sensitivity"))
    turned = areas(-score, truth, units, modality)
    assert other.estimates == pytest.approx(whole.estimates, rel=1e-12)
    assert other.covariance == pytest.approx(whole.covariance, rel=1e-9)
    assert turned.estimates == pytest.approx(1 - whole.estimates, rel=1e-12)


def test_parts_that_meet_add_up():
    line = curve_of(small.A, small.TRUTH).line
    cuts = [0, 0.13, 0.25, 0.5, 0.77, 1]
    parts = [area_between(line, a, b) for a, b in pairwise(cuts)]
    assert sum(parts) == pytest.approx(small.AREAS["a"], rel=1e-12)


def test_rows_in_any_order_give_the_same_bits():
    score, truth, units, modality, weights = drawn_cases(persons=20)
    order = np.random.default_rng(0).permutation(score.size)
    for w in (None, weights):
        first = areas(score, truth, units, modality, w)
        again = areas(score[order], truth[order], units[order], modality[order], None if w is None else w[order])  # fmt: skip
        assert (first.estimates == again.estimates).all()
        assert first.covariance == pytest.approx(again.covariance, rel=1e-13)


def test_the_table_in_any_order_gives_the_same_bytes():
    frame = asah_like()
    asked = {"method": "roc", "seed": 1, "replicates": 200}
    again = frame.sample(frac=1, random_state=4)
    assert results(frame, LIKE, **asked) == results(again, LIKE, **asked)


def asah_like(n=120, seed=8):
    """Two modalities, three centres, persons with two cases, outputs that are none."""
    rng = np.random.default_rng(seed)
    truth = (rng.random(n) < 0.4) * 1
    parts = [
        pd.DataFrame({
            "case": np.arange(n), "person": np.arange(n) // 2, "truth": truth, "modality": name,
            "score": rng.normal(truth * shift).round(2), "centre": np.arange(n) % 3,
            "sex": np.where(np.arange(n) % 4 < 2, "F", "M"),
            "set": np.where(np.arange(n) < n // 2, "dev", "val"),
        })
        for name, shift in (("old", 0.8), ("new", 1.5))
    ]  # fmt: skip
    return pd.concat(parts, ignore_index=True)


LIKE = {
    "kind": "reading_table",
    "columns": {
        "modality": {"category": ["old", "new"]},
        "sex": {"category": ["F", "M"]},
        "set": {"category": ["dev", "val"]},
    },
    "roles": {"case_id": "case", "truth": "truth", "score": "score", "modality": "modality"},
}


def with_roles(**roles):
    return {**LIKE, "roles": {**LIKE["roles"], **roles}}


def test_persons_are_the_units_of_the_table_and_are_said():
    rows = results(asah_like(), with_roles(person_id="person"), method="roc", seed=2, replicates=1000)  # fmt: skip
    (found,) = some(rows, "auc", arm="new", ci_method="wald", se_method="delong_clustered")
    assert (found["n"], found["n_clusters"]) == (120, 60)
    (gap,) = some(rows, "auc_difference", se_method="paired, clustered")
    assert gap["n_clusters"] == 60
    (drawn,) = some(rows, "auc_difference", se_method="bootstrap")
    assert drawn["note"] == "1000 resamples of persons"
    assert drawn["std_error"] == pytest.approx(gap["std_error"], rel=0.15)


@pytest.mark.parametrize(
    ("claim", "said"),
    [
        ({"claim": "superiority"}, "superiority is shown"),
        ({"claim": "non_inferiority", "margin": 0.05}, "non-inferiority is shown"),
        ({"claim": "equivalence", "margin": 0.01}, "equivalence is not shown"),
    ],
)
def test_a_difference_is_held_against_the_margin_of_the_study(claim, said):
    rows = results(asah_like(400), LIKE, method="roc", hypothesis=claim)
    (found,) = some(rows, "auc_difference")
    assert found["note"].startswith(said)
    margin = claim.get("margin", 0.0)
    z = (found["estimate"] + margin) / found["std_error"]
    if claim["claim"] != "equivalence":
        assert found["statistic"] == pytest.approx(z)
    assert (found["margin"], found["alternative"]) == (margin, claim["claim"])


def test_a_margin_of_areas_says_nothing_of_a_part():
    claim = {"claim": "non_inferiority", "margin": 0.05}
    roc = {"parts": [{"of": "specificity", "low": 0.9}]}
    rows = results(asah_like(), LIKE, method="roc", hypothesis=claim, roc=roc)
    assert all("margin" not in row for row in some(rows, "partial_auc_difference"))


def test_an_area_is_held_against_a_goal():
    claim = {"claim": "superiority", "goal": 0.6}
    rows = results(asah_like(400), LIKE, method="roc", hypothesis=claim)
    (found,) = some(rows, "auc_difference", comparator="0.6", target="new")
    (whole,) = some(rows, "auc", arm="new", ci_method="wald")
    assert found["estimate"] == pytest.approx(whole["estimate"] - 0.6)
    assert found["statistic"] == pytest.approx(found["estimate"] / whole["std_error"])


def test_gaps_between_centres_and_the_largest_holds_for_all_pairs():
    source = with_roles(site="centre")
    rows = results(asah_like(600), source, method="roc", index_test={"threshold": 0.7})
    gaps = some(rows, "auc_difference", arm="new", stratum_name="site")
    largest = [row for row in gaps if row.get("scenario") == "largest gap"]
    values = {
        row["stratum_level"]: row["estimate"]
        for row in some(rows, "auc", arm="new", stratum_name="site", ci_method="wald")
    }
    assert largest[0]["estimate"] == pytest.approx(max(values.values()) - min(values.values()))
    assert values[largest[0]["target"]] == max(values.values())
    assert largest[0]["ci_low"] >= 0
    assert largest[0]["ci_method"] == "bonferroni"
    plain = [row for row in gaps if row.get("scenario") is None]
    assert [row["target"] for row in plain] == ["1", "2"]
    assert largest[0]["ci_high"] > max(abs(row["ci_high"]) for row in plain)
    assert len(some(rows, "sensitivity_difference", arm="new", ci_method="newcombe")) == 2
    assert len(some(rows, "specificity_difference", arm="new", ci_method="bonferroni")) == 1


def test_low_scores_may_be_the_suspicious_ones():
    frame = asah_like()
    low = frame.assign(score=-frame.score)
    one = results(frame, LIKE, method="roc", index_test={"threshold": 0.5})
    other = results(low, LIKE, method="roc", index_test={"threshold": -0.5, "positive": "at_or_below"})  # fmt: skip
    for name in ("auc", "auc_difference", "sensitivity", "specificity"):
        ours, theirs = ([r["estimate"] for r in some(rows, name)] for rows in (one, other))
        assert ours == pytest.approx(theirs)
    odd = some(results(low, LIKE, method="roc"), "auc", arm="new", ci_method="wald")
    assert "index_test.positive" in odd[0]["note"]


def test_outputs_without_a_result_count_and_are_bounded():
    frame = asah_like()
    frame["output"] = np.where(frame.index % 11 == 0, 1, 0)
    frame.loc[frame.output == 1, "score"] = None
    rows = results(frame, with_roles(output="output"), method="roc")
    of = {row["scenario"]: row for row in some(rows, "auc", arm="new", ci_method="wald")}
    order = ["wrong", "left_out", "right"]
    values = [of[f"without a result: {name}"]["estimate"] for name in order]
    assert values == sorted(values)
    assert of["without a result: wrong"]["n"] == 120
    assert of["without a result: left_out"]["n"] < 120


def test_a_curve_without_error_has_an_interval():
    frame = asah_like(60)
    frame.loc[frame.modality == "new", "score"] = frame.truth + 0.0
    rows = results(frame, LIKE, method="roc")
    (found,) = some(rows, "auc", arm="new")
    assert (found["estimate"], found["ci_method"], found["ci_high"]) == (1.0, "newcombe", 1.0)
    assert 0.8 < found["ci_low"] < 1
    assert found["std_error"] is None
    assert some(rows, "auc_difference")[0]["status"] == "ok"


def test_newcombe_s_limits_are_where_the_statistic_is_that_of_the_level():
    found = area(areas(*small.both()), 0, "newcombe")
    for limit in (found.ci_low, found.ci_high):
        more = (8 + 12) / 2 - 1
        part = 1 + more * ((1 - limit) / (2 - limit) + limit / (1 + limit))
        error = np.sqrt(limit * (1 - limit) * part / (8 * 12))
        assert abs(found.estimate - limit) / error == pytest.approx(1.959964, rel=1e-6)


@pytest.mark.parametrize(
    "change",
    [
        {"truth": 1},
        {"truth": 0},
        {"score": 0.5},
        {"truth": [1] + [0] * 119 + [1] + [0] * 119},
    ],
)
def test_degenerate_readings_have_a_reason_and_no_number(change):
    frame = asah_like().assign(**change)
    rows = results(frame, LIKE, method="roc", seed=1, replicates=200, roc={"at_specificity": [0.9]})
    for row in rows:
        values = [row.get(name) for name in ("estimate", "std_error", "ci_low", "ci_high")]
        assert all(v is None or np.isfinite(v) for v in values)
        assert row["status"] == "ok" or row["note"]
    assert any(row["status"] == "not_estimable" for row in rows) or change == {"score": 0.5}


def test_one_modality_without_diseased_leaves_the_other():
    frame = asah_like()
    frame = frame[(frame.modality == "new") | (frame.truth == 0)]
    rows = results(frame, LIKE, method="roc")
    assert {r["arm"]: r["status"] for r in some(rows, "auc")} == {"old": "not_estimable", "new": "ok"}  # fmt: skip


def test_a_case_has_one_truth():
    frame = asah_like()
    frame.loc[0, "truth"] = 1 - frame.loc[0, "truth"]
    (found,) = some(results(frame, LIKE, method="roc"), "auc")
    assert "truth of a case" in found["note"]


def test_curves_begin_at_nothing_and_end_at_all():
    rows = results(asah_like(), LIKE, method="roc", seed=2, replicates=200)
    points = some(rows, "sensitivity", arm="new", term="curve")
    assert (points[0]["at"], points[0]["estimate"]) == (0.0, 0.0)
    assert (points[-1]["at"], points[-1]["estimate"]) == (1.0, 1.0)
    assert all(row["ci_low"] <= row["ci_high"] for row in points)
    inside = [row["ci_low"] - 0.06 <= row["estimate"] <= row["ci_high"] + 0.06 for row in points if 0.1 < row["at"] < 0.9]  # fmt: skip
    assert all(inside)


def test_a_large_curve_is_told_in_few_corners():
    rng = np.random.default_rng(0)
    truth = rng.random(20_000) < 0.1
    curve = curve_of(rng.normal(truth * 1.0), truth)
    places = thinned(curve)
    assert 150 < places.size <= 202
    along = curve.sensitivity[places] - curve.specificity[places]
    assert np.diff(along).max() < 0.02


def test_areas_of_resamples_are_those_of_resampled_rows():
    score, truth, units, modality, _ = drawn_cases(40)
    plan = Plan(200, 5, "x", threads=1)
    wanted = [area_of(WHOLE), area_of(PARTS[0]), area_of(PARTS[3])]
    found = resampled_curves(score, truth, units, modality, wanted, plan).values
    case = truth[modality == 0]
    times = stratified_weights(case + 2 * ~case, 64, plan, 0).astype(int)
    for drawn in range(3):
        repeat = np.tile(times[:, drawn], 2)
        rows = [np.repeat(part, repeat) for part in (score, truth, units, modality)]
        for place, part in enumerate((WHOLE, PARTS[0], PARTS[3])):
            values = areas(*rows, None, part).estimates
            assert found[drawn, [place, 3 + place]] == pytest.approx(values, rel=1e-12)


def test_a_table_of_weights_is_weighted_and_says_so():
    frame = asah_like()
    frame["weight"] = 1.0 + frame.case % 3
    rows = results(frame, with_roles(weight="weight"), method="roc", seed=2, replicates=1000)
    new = frame[frame.modality == "new"]
    repeated = new.loc[new.index.repeat(new.weight.astype(int))]
    flags = repeated.truth.to_numpy() == 1
    _, _, by_hand = components(repeated.score.to_numpy(), flags)
    (found,) = some(rows, "auc", arm="new", ci_method="wald", se_method="delong_clustered")
    assert found["estimate"] == pytest.approx(by_hand, rel=1e-12)
    (drawn,) = some(rows, "auc", arm="new", se_method="bootstrap")
    assert drawn["std_error"] == pytest.approx(found["std_error"], rel=0.12)
