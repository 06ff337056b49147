"""Accuracy of readings from a study's specification, against R and brute force.

The single two-by-two table 670/202/74/640 is the example of R epiR's `epi.tests`; its exact
intervals are those that epiR 2.0.57 prints. McNemar's tests are R 4.2.2
    mcnemar.test(matrix(c(100, 41, 59, 100), 2), correct = FALSE)
    binom.test(59, 100)
"""

import numpy as np
import pandas as pd
import pytest
from scipy import optimize

from tasks.stats.diagnostic.margins import judge, wald
from tasks.stats.diagnostic.measures import at_prevalence, cells_of, cells_of_table, gap, measure
from tasks.stats.diagnostic.paired_shares import Discordance, generalised_score, mcnemar
from tests.reference.test_registry_tables import results, some

EPI_TESTS = {
    "sensitivity": (0.900537634408602, 0.876746176795711, 0.921092299583694),
    "specificity": (0.760095011876485, 0.729776463203555, 0.788580324575101),
    "ppv": (0.768348623853211, 0.738892627379757, 0.79597842916536),
    "npv": (0.896358543417367, 0.871639286290146, 0.917740174663071),
    "prevalence": (0.469104665825977, 0.444305538282399, 0.494018358894298),
    "accuracy": (0.825977301387137, 0.806404888026424, 0.844334642377048),
    "lr_positive": (3.75372617906952, 3.32068843550748, 4.24323464880513),
    "lr_negative": (0.130855174731183, 0.105064323511923, 0.162977080911631),
    "diagnostic_odds_ratio": (28.6861118544287, 21.5181916566352, 38.2417364086937),
}
READINGS = {
    "kind": "reading_table",
    "roles": {"case_id": "case", "truth": "truth", "score": "score"},
}


def readings(tp=670, fp=202, fn=74, tn=640):
    truth = np.repeat([1, 0, 1, 0], [tp, fp, fn, tn])
    score = np.repeat([0.9, 0.9, 0.1, 0.1], [tp, fp, fn, tn])
    return pd.DataFrame({"case": np.arange(truth.size), "truth": truth, "score": score})


@pytest.mark.parametrize("name", EPI_TESTS)
def test_readings_and_their_table_give_what_epi_tests_prints(name):
    table = {"kind": "two_by_two_table", "roles": {c: c for c in ("tp", "fp", "fn", "tn")}}
    counts = pd.DataFrame({"tp": [670], "fp": [202], "fn": [74], "tn": [640]})
    for rows in (
        results(readings(), READINGS, method="accuracy", index_test={"threshold": 0.5}),
        results(counts, table, method="accuracy"),
    ):
        found = [r for r in some(rows, name) if r["ci_method"] in ("exact", "wald_log")]
        numbers = [(r["estimate"], r["ci_low"], r["ci_high"]) for r in found]
        assert numbers == [pytest.approx(EPI_TESTS[name], rel=1e-9)]


def test_mcnemar_is_that_of_r():
    found = mcnemar(Discordance(59, 41, 300))
    assert (found.statistic, found.corrected) == pytest.approx((3.24, 2.89))
    assert found.p_value == pytest.approx(0.07186064, rel=1e-6)
    assert found.corrected_p_value == pytest.approx(0.08913, rel=1e-4)
    assert found.exact_p_value == pytest.approx(0.08862608, rel=1e-6)


@pytest.mark.parametrize("gap_", [-0.1, 0.02, 0.3])
def test_tango_s_statistic_has_the_variance_of_highest_likelihood(gap_):
    """The restricted share is found by numeric maximisation of the likelihood of the pairs."""
    pairs = Discordance(12, 2, 50)

    def log_likelihood(share):  # of the cases right by the old test only
        parts = (share + gap_, share, 1 - 2 * share - gap_)
        return -(12 * np.log(parts[0]) + 2 * np.log(parts[1]) + 36 * np.log(parts[2]))

    edge = 1e-9
    low, high = max(0, -gap_) + edge, (1 - gap_) / 2 - edge
    share = optimize.minimize_scalar(log_likelihood, bounds=(low, high), method="bounded", options={"xatol": 1e-12}).x  # fmt: skip
    variance = 50 * (2 * share + gap_ * (1 - gap_))
    assert pairs.tango(gap_) == pytest.approx((10 - 50 * gap_) / np.sqrt(variance), rel=1e-5)


def test_tango_s_interval_holds_the_gaps_that_are_not_rejected():
    pairs = Discordance(12, 2, 50)
    low, high = pairs.interval()
    assert [pairs.tango(low), pairs.tango(high)] == pytest.approx([1.959964, -1.959964], rel=1e-6)


def drawn(n=400, seed=3):
    """Two modalities of the same cases, several cases a person, with a third unscored at times."""
    rng = np.random.default_rng(seed)
    truth = rng.random(n) < 0.4
    made = []
    for name, shift in (("old", 0.8), ("new", 1.2)):
        score = rng.normal(truth * shift, 1)
        made.append(pd.DataFrame({"case": np.arange(n), "person": np.arange(n) // 3, "truth": truth * 1, "score": score, "modality": name}))  # fmt: skip
    frame = pd.concat(made, ignore_index=True)
    frame["output"] = np.where(rng.random(2 * n) < 0.05, 1, 0)
    frame.loc[rng.random(2 * n) < 0.02, "output"] = 2
    return frame


PAIRED = {
    "kind": "reading_table",
    "columns": {"modality": {"category": ["old", "new"]}},
    "roles": {"case_id": "case", "truth": "truth", "score": "score", "modality": "modality"},
}
TEST = {"threshold": 0.5}


def test_a_paired_difference_is_that_of_the_discordant_cases():
    frame = drawn()
    rows = results(frame, PAIRED, method="accuracy", index_test=TEST)
    (found,) = some(rows, "sensitivity_difference")
    old, new = (frame[(frame.modality == m) & (frame.truth == 1)] for m in ("old", "new"))
    hit = [part.set_index("case").score >= 0.5 for part in (old, new)]
    only = ((hit[1] & ~hit[0]).sum(), (hit[0] & ~hit[1]).sum())
    pairs = Discordance(*(int(k) for k in only), len(old))
    assert found["estimate"] == pytest.approx((only[0] - only[1]) / len(old))
    assert (found["ci_low"], found["ci_high"]) == pytest.approx(pairs.interval())
    (chi,) = some(rows, "test", term="sensitivity", statistic_name="mcnemar")
    assert chi["statistic"] == pytest.approx((only[0] - only[1]) ** 2 / sum(only))


def test_clustered_errors_are_those_of_person_totals():
    """The ratio estimator of person totals, written out: sum of (x - p m)^2, over the total."""
    frame = drawn()
    source = {**PAIRED, "roles": {**PAIRED["roles"], "person_id": "person"}}
    rows = results(frame, source, method="accuracy", index_test=TEST)
    (found,) = some(rows, "sensitivity", arm="new")
    sick = frame[(frame.modality == "new") & (frame.truth == 1)]
    totals = sick.assign(hit=sick.score >= 0.5).groupby("person").hit.agg(["sum", "count"])
    share = totals["sum"].sum() / totals["count"].sum()
    persons = frame.person.nunique()
    spread = ((totals["sum"] - share * totals["count"]) ** 2).sum() * persons / (persons - 1)
    assert found["std_error"] == pytest.approx(np.sqrt(spread) / totals["count"].sum())
    assert found["se_method"] == "cluster_robust"
    assert not some(rows, "test", statistic_name="mcnemar")


def test_several_cases_of_a_person_widen_an_error_that_the_jackknife_agrees_with():
    frame = drawn(900)
    truth, person = frame.truth.to_numpy() == 1, frame.person.to_numpy()
    positive, modality = frame.score.to_numpy() >= 0.5, (frame.modality == "new").to_numpy() * 1
    found = gap("ppv", cells_of(positive, truth, person, modality), 1, 0)
    left_out = []
    for one in np.unique(person):
        keep = person != one
        cells = cells_of(positive[keep], truth[keep], person[keep], modality[keep])
        left_out.append(gap("ppv", cells, 1, 0).estimate)
    g = len(left_out)
    jackknife = np.sqrt((g - 1) / g * ((np.array(left_out) - np.mean(left_out)) ** 2).sum())
    assert found.std_error == pytest.approx(jackknife, rel=0.02)


def test_the_generalised_score_of_independent_readings_is_a_test_of_two_proportions():
    """Without pairs it is Pearson's chi-square but for the empirical variance of the score."""
    rng = np.random.default_rng(1)
    new = np.repeat([False, True], 3000)
    right = rng.random(6000) < np.where(new, 0.7, 0.68)
    found, _ = generalised_score(np.ones(6000, bool), new, right, np.arange(6000))
    share = right.mean()
    z = (right[new].mean() - right[~new].mean()) / np.sqrt(share * (1 - share) * 2 / 3000)
    assert found == pytest.approx(z**2, rel=0.01)


def test_outputs_without_a_result_count_and_are_bounded():
    frame = drawn()
    frame.loc[frame.output > 0, "score"] = None
    source = {**PAIRED, "roles": {**PAIRED["roles"], "output": "output"}}
    rows = results(frame, source, method="accuracy", index_test=TEST)
    new = frame[(frame.modality == "new") & (frame.truth == 1)]
    (wrong,) = some(rows, "sensitivity", arm="new", scenario="without a result: wrong", ci_method="wilson")  # fmt: skip
    (right,) = some(rows, "sensitivity", arm="new", scenario="without a result: right", ci_method="wilson")  # fmt: skip
    assert wrong["n"] == right["n"] == len(new)
    assert wrong["n_events"] == (new.score >= 0.5).sum()
    assert right["n_events"] == wrong["n_events"] + new.score.isna().sum()
    (failed,) = some(rows, "failure_rate", arm="new")
    assert failed["n_events"] == ((frame.modality == "new") & (frame.output == 2)).sum()


def test_cases_drawn_by_their_truth_have_no_predictive_values():
    source = {**READINGS, "sampling": "case_control"}
    rows = results(readings(), source, method="accuracy", index_test={"threshold": 0.5, "prevalences": [0.1]})  # fmt: skip
    assert {row["status"] for row in some(rows, "npv", at=None)} == {"not_estimable"}
    (found,) = some(rows, "ppv", at=0.1)
    sensitivity, specificity = EPI_TESTS["sensitivity"][0], EPI_TESTS["specificity"][0]
    sick, well = 0.1 * sensitivity, 0.9 * (1 - specificity)
    assert found["estimate"] == pytest.approx(sick / (sick + well))


def test_a_value_at_the_prevalence_of_the_study_is_that_of_the_study():
    cells = cells_of_table(670, 202, 74, 640)
    found = at_prevalence("npv", cells, 744 / 1586)
    assert found.estimate == pytest.approx(EPI_TESTS["npv"][0])


@pytest.mark.parametrize(
    ("claim", "margin", "z"),
    [("superiority", 0.0, 0.5), ("non_inferiority", 0.05, 3.0), ("equivalence", 0.05, 2.0)],
)
def test_a_margin_is_tested_on_the_side_of_its_claim(claim, margin, z):
    found = judge(claim, margin, wald(0.01, 0.02))
    assert found.statistic == pytest.approx(z)
    assert found.is_shown == (found.p_value <= 0.025)


def test_non_inferiority_is_said_with_its_margin():
    claim = {"claim": "non_inferiority", "margin": 0.1}
    rows = results(drawn(), PAIRED, method="accuracy", index_test=TEST, hypothesis=claim)
    (found,) = some(rows, "sensitivity_difference")
    assert (found["margin"], found["alternative"]) == (0.1, "non_inferiority")
    assert found["note"].startswith("non-inferiority is shown against this margin")
    assert found["p_value"] < 0.025


def test_a_goal_is_held_against_by_the_score_test():
    claim = {"claim": "superiority", "goal": 0.85}
    rows = results(readings(), READINGS, method="accuracy", index_test=TEST, hypothesis=claim)
    (found,) = some(rows, "sensitivity_difference", comparator="0.85")
    share = 670 / 744
    assert found["statistic"] == pytest.approx((share - 0.85) / np.sqrt(0.85 * 0.15 / 744))


def test_what_is_flagged_is_counted_and_left_out_beside():
    frame = readings(40, 20, 10, 60).assign(treated=lambda f: (f.case % 5 == 0) * 1)
    source = {**READINGS, "roles": {**READINGS["roles"], "treated_between": "treated"}}
    rows = results(frame, source, method="accuracy", index_test=TEST)
    (flagged,) = some(rows, "proportion", term="treated_between")
    assert (flagged["n"], flagged["n_events"]) == (130, 26)
    (clean,) = some(rows, "accuracy", scenario="without flagged", ci_method="wilson")
    assert clean["n"] == 104


def test_the_time_to_the_reference_standard_is_told():
    frame = readings(40, 20, 10, 60).assign(weeks=lambda f: f.case % 4)
    delay = {"reference_delay": {"column": "weeks", "unit": "weeks"}}
    source = {**READINGS, "roles": {**READINGS["roles"], **delay}}
    rows = results(frame, source, method="accuracy", index_test=TEST)
    days = [row["estimate"] for row in some(rows, "quantile", term="reference_delay")]
    assert days == [7 * np.quantile(frame.weeks, share) for share in (0.25, 0.5, 0.75)]


@pytest.mark.parametrize("counts", [(0, 5, 0, 5), (5, 0, 5, 0), (0, 0, 5, 5), (5, 0, 0, 5)])
def test_empty_cells_give_a_reason_and_no_number(counts):
    for name in ("lr_positive", "lr_negative", "diagnostic_odds_ratio"):
        rows = results(readings(*counts), READINGS, method="accuracy", index_test=TEST)
        for row in some(rows, name):
            assert (row["status"] == "ok") == ("estimate" in row)
            assert row["status"] == "ok" or row["note"]


def test_a_threshold_is_asked_for():
    (found,) = some(results(readings(), READINGS, method="accuracy"), "accuracy")
    assert found["status"] == "not_estimable"
    assert "threshold" in found["note"]


def test_rows_are_the_same_bytes_in_any_order_of_the_file():
    frame = drawn()
    source = {**PAIRED, "roles": {**PAIRED["roles"], "person_id": "person"}}
    first, again = (
        results(f, source, method="accuracy", index_test=TEST)
        for f in (frame, frame.sample(frac=1, random_state=2))
    )
    assert first == again


def test_a_measure_of_one_modality_is_not_moved_by_the_other():
    cells = cells_of_table(50, 10, 5, 60)
    assert measure("sensitivity", cells).estimate == 50 / 55
