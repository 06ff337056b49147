"""Calibration of scores from a study's specification, against R 4.2.2 and rms 6.5-0.

Scores are drawn here, and the numbers are those of
    v <- val.prob(p, y)                                   # Brier, Eavg, E90, Emax, S:z, S:p
    glm(y ~ qlogis(p), binomial); glm(y ~ offset(qlogis(p)), binomial)  # estimates: epsilon = 1e-14
    L <- lowess(p, y, iter = 0); f <- approx(L, xout = p)$y; quantile(abs(f - p), .5)
    k <- cut(p, quantile(p, 0:10 / 10), include.lowest = TRUE)
    sum((tapply(y, k, sum) - tapply(p, k, sum))^2 / (E * (1 - E / n)))
"""

import numpy as np
import pandas as pd
import pytest

from tasks.stats.diagnostic.local_regression import lowess
from tasks.stats.diagnostic.recalibration import Predictions, decomposition, groups_of
from tests.reference.shared import shared_table
from tests.reference.test_registry_tables import results, some

SOURCE = {
    "kind": "reading_table",
    "roles": {"case_id": "case", "truth": "truth", "score": "score"},
}


def drawn(n=300, seed=5):
    """Scores that are too sure of themselves."""
    rng = np.random.default_rng(seed)
    logit = rng.normal(-1, 1.2, n)
    truth = (rng.random(n) < 1 / (1 + np.exp(-logit))) * 1
    score = np.round(1 / (1 + np.exp(-(0.3 + 1.4 * logit))), 4)
    return pd.DataFrame({"case": np.arange(n), "truth": truth, "score": score})


def calibrated(frame, source=SOURCE, **more):
    made = results(frame, source, method="calibration", **{"replicates": 200, "seed": 1, **more})
    return [row for row in made if row["analysis_id"] != "attrition"]


@pytest.fixture(scope="module")
def rows():
    return calibrated(drawn())


NUMBERS = {
    ("calibration_slope", "slope"): (0.718440869125938, 0.10306266665839887),
    ("calibration_intercept", "recalibration"): (-0.027396192192752, 0.1587115702952983),
    ("calibration_intercept", "in the large"): (0.17911752661106, 0.14827081340884),
    ("oe_ratio", None): (1.086871462233390, 0.081649658092773),
    ("brier", None): (0.1810271106, 0.013990349021031),
    ("scaled_brier", None): (0.1853780023, None),
    ("ici", None): (0.0541685087620209, None),
    ("e50", None): (0.058540884552096, None),
    ("e90", None): (0.0693353154937225, None),
    ("emax", None): (0.0702035934170603, None),
    ("eci", None): (0.320737926747521, None),
}


@pytest.mark.parametrize(("name", "term"), NUMBERS)
def test_the_numbers_are_those_of_r(rows, name, term):
    (row,) = [r for r in some(rows, name) if r.get("term") == term]
    value, error = NUMBERS[name, term]
    assert row["estimate"] == pytest.approx(value, rel=2e-7)
    if error is not None:
        assert row["std_error"] == pytest.approx(error, rel=1e-6)


def test_spiegelhalter_and_the_old_habit(rows):
    (z,) = some(rows, "test", statistic_name="spiegelhalter_z")
    assert (z["statistic"], z["p_value"]) == pytest.approx(
        (3.1433067960561965, 0.0016705065274396), rel=1e-9
    )
    (old,) = some(rows, "test", statistic_name="hosmer_lemeshow")
    assert (old["statistic"], old["p_value"]) == pytest.approx(
        (19.090616607849110, 0.039126695463609), rel=1e-9
    )
    assert (old["role"], old["df1"]) == ("exploratory", 10)
    assert "old habits" in old["note"]


CURVE = {0.1: 0.16713145303440, 0.3: 0.34526184196332, 0.5: 0.47078196450814, 0.9: 0.83170146609040}


def test_the_curve_is_that_of_lowess(rows):
    heights = {r["at"]: r["estimate"] for r in some(rows, "calibration_curve", term="smooth")}
    for place, height in CURVE.items():
        assert heights[place] == pytest.approx(height, rel=1e-9)
    limits = [(r["ci_low"], r["estimate"], r["ci_high"]) for r in some(rows, "calibration_curve", term="smooth")]  # fmt: skip
    assert all(low < height < high for low, height, high in limits)


def test_lowess_over_ties_and_few_points_is_that_of_r():
    """lowess(c(1,1,1,2,2,3,4,4,4,9), c(0,1,0,1,0,1,1,0,1,1), f = .4, iter = 0)$y, once each x."""
    x, y = np.array([1, 1, 1, 2, 2, 3, 4, 4, 4, 9.0]), np.array([0, 1, 0, 1, 0, 1, 1, 0, 1, 1.0])
    assert lowess(x, y, 0.4).of(np.array([1, 2, 3, 4, 9.0])) == pytest.approx(
        [1 / 3, 0.5, 1, 2 / 3, 1], rel=1e-9
    )


def test_the_data_of_dcurves_are_calibrated_as_r_says():
    """val.prob of the model that was fitted to these data: slope 1, intercept 0, Emax .0458."""
    frame = shared_table("data/diagnostic/dca_df_binary.csv")
    roles = {"case_id": "patientid", "truth": "cancer", "score": "cancerpredmarker"}
    found = calibrated(frame, {**SOURCE, "roles": roles})
    (slope,) = some(found, "calibration_slope")
    assert (slope["estimate"], slope["std_error"]) == pytest.approx((1.0, 0.0957526396), rel=1e-6)
    (ici,) = some(found, "ici")
    assert ici["estimate"] == pytest.approx(1.2653365105717e-02, rel=1e-9)
    assert some(found, "e90")[0]["estimate"] == pytest.approx(3.1991416281950e-02, rel=1e-9)
    assert some(found, "emax")[0]["estimate"] == pytest.approx(4.5849767459904e-02, rel=1e-9)
    assert some(found, "brier")[0]["n_events"] == 105
    assert [r["n"] for r in some(found, "proportion", term="score_group")] == [75] * 10


def test_the_parts_of_the_brier_score_add_up(rows):
    part = {r["term"]: r["estimate"] for r in some(rows, "brier")}
    whole = part["reliability"] - part["resolution"] + part["uncertainty"] + part["within groups"]
    assert whole == pytest.approx(part[None], rel=1e-12)
    rng = np.random.default_rng(1)
    p = np.repeat([0.1, 0.3, 0.8], 70)  # one probability a group: nothing is left over
    of = Predictions(p, rng.random(210) < p, np.arange(210))
    assert decomposition(of, groups_of(of, 3))["within groups"] == pytest.approx(0, abs=1e-12)


def test_errors_of_persons_are_those_of_a_jackknife():
    frame = drawn(240)
    frame["person"] = frame.case // 3
    source = {**SOURCE, "roles": {**SOURCE["roles"], "person_id": "person"}}
    found = calibrated(frame, source)
    for name, term in (("calibration_slope", "slope"), ("calibration_intercept", "in the large"), ("brier", None), ("scaled_brier", None)):  # fmt: skip
        (row,) = some(found, name, term=term)
        left = []
        for person in range(80):
            part = frame[frame.person != person]
            of = Predictions(part.score.to_numpy(), part.truth.to_numpy() == 1, part.case.to_numpy())  # fmt: skip
            left.append(_number(of, name, term))
        jackknife = np.sqrt(79 / 80 * ((np.array(left) - np.mean(left)) ** 2).sum())
        assert row["std_error"] == pytest.approx(jackknife, rel=0.06)
        assert (row["se_method"], row["n_clusters"]) == ("cluster_robust", 80)
    assert not some(found, "test", statistic_name="hosmer_lemeshow")


def _number(of, name, term):
    from tasks.stats.diagnostic.recalibration import calibration_numbers

    made = [find() for this, find in calibration_numbers(of) if this == name]
    return next(one.estimate for one in made if one.term == term)


def test_scores_that_are_no_probabilities_are_refused_by_name():
    frame = drawn()
    frame.loc[[3, 5], "score"] = [1.7, -0.2]
    (row, *others) = calibrated(frame)
    assert (row["estimate_name"], row["status"]) == ("calibration_slope", "not_estimable")
    assert "score: 2 of 300 lie outside 0 to 1" in row["note"]
    assert others == []


def test_a_score_of_1_leaves_what_needs_no_log_odds():
    frame = drawn()
    frame.loc[3, "score"] = 1.0
    found = calibrated(frame)
    assert some(found, "calibration_slope")[0]["note"].startswith("1 scores are 0 or 1")
    assert some(found, "brier", term=None)[0]["status"] == "ok"


@pytest.mark.parametrize("truth", [0, 1])
def test_one_truth_alone_is_not_estimable(truth):
    found = calibrated(drawn().assign(truth=truth))
    assert {r["status"] for r in found} == {"not_estimable"}


def test_the_same_score_everywhere_has_no_curve():
    found = calibrated(drawn().assign(score=0.3))
    assert some(found, "ici")[0]["status"] == "not_estimable"
    assert some(found, "oe_ratio")[0]["status"] == "ok"
    assert some(found, "calibration_slope")[0]["status"] == "not_estimable"


def test_modalities_and_centres_are_told_apart_and_shuffled_rows_are_the_same():
    frame = pd.concat([drawn(120, s).assign(modality=m, site=np.arange(120) % 2) for s, m in ((1, "a"), (2, "b"))])  # fmt: skip
    source = {**SOURCE, "roles": {**SOURCE["roles"], "modality": "modality", "site": "site"}}
    found = calibrated(frame, source)
    told = {(r["arm"], r.get("stratum_level")) for r in some(found, "ici")}
    assert told == {(m, s) for m in "ab" for s in (None, "0", "1")}
    assert found == calibrated(frame.sample(frac=1, random_state=1), source)
