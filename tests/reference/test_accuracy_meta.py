"""Accuracy pooled across centres, on AuditC, against R 4.2.2 and brute force.

Long form `w`: a row a study and outcome, `yi`, `vi` logits with a half in each cell, `y` of `n`
positive, `g` sens or fpr, `sens` and `fpr` its dummies, `m` 0, 1, 0, 1, … by study:
    library(metafor)  # 3.8-1
    rma.mv(yi, vi, mods = ~ 0 + g, random = ~ g | site, struct = "UN", data = w, method = "REML")
    rma.mv(yi, vi, mods = ~ 0 + g + g:m, random = ~ g | site, struct = "UN", data = w)
    rma(measure = "PLO", xi = TP, ni = TP + FN, method = "REML")  # and leave1out(...)
    library(lme4)     # 1.1-31, Laplace
    glmer(cbind(y, n - y) ~ 0 + sens + fpr + (0 + sens + fpr | site), w, binomial)
    glmer(cbind(y, n - y) ~ 0 + sens + fpr + sens:m + fpr:m + (0 + sens + fpr | site), w, binomial)
Descriptives are those that mada prints (madad), in diagnostic_reference.json.
"""

from functools import cache

import numpy as np
import pandas as pd
import pytest
from scipy import integrate, special, stats

from tasks.core.errors import EstimationError
from tasks.stats.diagnostic.bivariate import Counts, binomial_likelihood, pool_accuracy
from tasks.stats.diagnostic.bivariate_summary import (
    area,
    correlation,
    hsroc,
    inconsistency,
    ratios,
    region,
    same_share,
    shares,
    sroc,
)
from tasks.stats.diagnostic.centre_auc import area_gap, area_under
from tests.reference.auditc import ALTERNATE, FN, FP, FRAME, TN, TP
from tests.reference.shared import reference
from tests.reference.test_registry_tables import results, some

COUNTS = Counts.of(TP, FP, FN, TN)
TABLE = {
    "kind": "two_by_two_table",
    "roles": {name: name for name in ("tp", "fp", "fn", "tn", "study")},
}
REML, ML = pool_accuracy(COUNTS, "reml"), pool_accuracy(COUNTS, "ml")
LAPLACE = pool_accuracy(COUNTS, points=1)


def errors(fit):
    return np.sqrt(np.diag(fit.covariance))


@pytest.mark.parametrize(
    ("fit", "mean", "error", "tau2", "rho", "log_likelihood"),
    [
        (REML, (2.09974262903, -1.26369092760), (0.337851247422, 0.174331376125),
         (1.379585083748, 0.407208008344), 0.85427458336, -31.2705398003),
        (ML, (2.07625899095, -1.26244709154), (0.319865202574, 0.167544550529),
         (1.223841174883, 0.374882450085), 0.861056848243, -32.4003192867),
        (LAPLACE, (2.51116078735, -1.27619762792), (0.461778927195, 0.168867163481),
         (2.6011459547, 0.3811931881), 0.8178518632, -122.791982215),
    ],
    ids=["REML", "ML", "glmer"],
)  # fmt: skip
def test_fits_are_those_of_r(fit, mean, error, tau2, rho, log_likelihood):
    assert fit.mean == pytest.approx(mean, rel=1e-6)
    assert errors(fit) == pytest.approx(error, rel=1e-5)
    assert np.diag(fit.between) == pytest.approx(tau2, rel=5e-6)
    assert fit.rho == pytest.approx(rho, rel=1e-6)
    assert fit.log_likelihood == pytest.approx(log_likelihood, rel=1e-9)


@pytest.mark.parametrize(
    ("model", "coefficients", "error"),
    [
        ("reml", (1.985927115753, 0.236821077086, -1.494790542521, 0.447343674403),
         (0.484640376378, 0.682583239701, 0.243565888477, 0.341141270604)),
        ("glmm", (2.324906159754, 0.360619409436, -1.509601351380, 0.453179704271),
         (0.632086207494, 0.886547131508, 0.224890827727, 0.314714638272)),
    ],
)  # fmt: skip
def test_moderators_are_those_of_r(model, coefficients, error):
    fit = pool_accuracy(COUNTS, model, moderators=ALTERNATE, points=1)
    assert fit.coefficients.ravel() == pytest.approx(coefficients, rel=1e-5)
    assert errors(fit) == pytest.approx(error, rel=2e-5)


def test_reitsma_is_the_published_one_and_that_of_the_reference():
    published = reference("diagnostic_reference.json")["dta_meta"]["headline"]["AuditC_reml"]
    sensitivity, fpr, _ = shares(REML)
    assert REML.mean[0] == pytest.approx(published["logit_sens"], rel=1e-6)
    assert REML.mean[1] == pytest.approx(published["logit_fpr"], rel=1e-6)
    assert errors(REML) == pytest.approx([published["se"], published["se_fpr"]], rel=1e-6)
    assert sensitivity.estimate == pytest.approx(published["sens"], rel=1e-6)
    assert fpr.estimate == pytest.approx(published["fpr"], rel=1e-6)


def test_the_binomial_likelihood_is_the_integral():
    """Each centre's likelihood as a sum over a fine grid of the random effects themselves."""
    few = Counts(*(cell[[0, 3, 7]] for cell in (COUNTS.tp, COUNTS.fp, COUNTS.fn, COUNTS.tn)))
    beta, low = np.array([2.0, -1.2]), np.array([[1.1, 0.0], [0.4, 0.5]])
    axis = np.linspace(-8, 8, 1001)
    z = np.stack(np.meshgrid(axis, axis, indexing="ij"))
    share = special.expit(beta[:, None, None] + np.einsum("ij,jab->iab", low, z))
    normal = stats.norm.pdf(z).prod(axis=0) * (axis[1] - axis[0]) ** 2
    total = sum(
        np.log(
            (stats.binom.pmf(y[:, None, None], n[:, None, None], share).prod(axis=0) * normal).sum()
        )
        for y, n in zip(few.positives, few.trials, strict=True)
    )
    params = np.array([[2.0, -1.2, 1.1, 0.4, 0.5]])
    found, rough = (
        abs(binomial_likelihood(few, np.ones((3, 1)), points)(params)[0] - total)
        for points in (15, 1)
    )
    assert found < 1e-6
    assert rough > 1e-4


def test_more_points_change_nothing_that_is_shown():
    found, more = (pool_accuracy(COUNTS, points=points) for points in (15, 21))
    assert found.mean == pytest.approx(more.mean, abs=1e-6)
    assert abs(found.mean - LAPLACE.mean).max() > 1e-5


def test_the_curve_of_harbord_is_that_of_rutter_and_gatsonis():
    """The parameters put into the curve of their own model; two, as R gives from rma.mv's fit."""
    found, at = hsroc(REML), np.array([0.05, 0.2, 0.6])
    curve = found.lambda_ * np.exp(-found.beta / 2) + np.exp(-found.beta) * special.logit(at)
    assert sroc(REML, at) == pytest.approx(special.expit(curve))
    assert (found.theta, found.lambda_) == pytest.approx((-0.0833796, 3.2621327), rel=1e-5)
    a, b, rho = *REML.sd, REML.rho
    assert found.sigma2_theta + found.sigma2_alpha / 4 == pytest.approx(a * b)
    assert found.sigma2_theta - found.sigma2_alpha / 4 == pytest.approx(a * b * rho)
    assert area(REML) == pytest.approx(integrate.quad(lambda x: sroc(REML, x), 0, 1)[0], abs=1e-6)
    assert area(REML, 0.1, 0.3) == pytest.approx(
        integrate.quad(lambda x: sroc(REML, x), 0.1, 0.3)[0] / 0.2, abs=1e-8
    )


def test_ratios_have_the_errors_of_draws():
    rng = np.random.default_rng(5)
    drawn = special.expit(rng.multivariate_normal(REML.mean, REML.mean_covariance, 200_000))
    hit, false = drawn.T
    logs = {
        "lr_positive": np.log(hit / false),
        "lr_negative": np.log((1 - hit) / (1 - false)),
        "diagnostic_odds_ratio": np.log(hit / (1 - hit) / (false / (1 - false))),
    }
    for found in ratios(REML):
        assert found.std_error == pytest.approx(logs[found.name].std(), rel=0.05)
        assert np.log(found.estimate) == pytest.approx(np.median(logs[found.name]), abs=0.02)


@pytest.mark.parametrize("kind", ["confidence", "prediction"])
def test_regions_hold_their_share_of_draws(kind):
    spread = REML.mean_covariance + (REML.between if kind == "prediction" else 0)
    drawn = np.random.default_rng(3).multivariate_normal(REML.mean, spread, 100_000)
    outline = special.logit(region(REML, kind)[:, ::-1])
    inverse = np.linalg.inv(spread)
    radius = np.einsum("ni,ij,nj->n", outline - REML.mean, inverse, outline - REML.mean)
    assert radius == pytest.approx(np.full(73, radius[0]))
    inside = np.einsum("ni,ij,nj->n", drawn - REML.mean, inverse, drawn - REML.mean) < radius[0]
    assert inside.mean() == pytest.approx(0.95, abs=0.003)


def test_descriptives_are_those_of_mada():
    printed = reference("diagnostic_reference.json")["dta_meta"]["published_descriptives"]
    rows = results(FRAME, TABLE, method="accuracy_meta", across_centres={"model": "reml"})
    names = {"sens": "sensitivity", "spec": "specificity", "DOR": "diagnostic_odds_ratio"}
    names |= {"posLR": "lr_positive", "negLR": "lr_negative"}
    for theirs, ours in names.items():
        [row] = some(rows, ours, scenario="half_added", stratum_level="1")
        found = [row["estimate"], row["ci_low"], row["ci_high"]]
        assert found == pytest.approx(printed["study1"][theirs], abs=6e-4)
    for name in ("sens", "spec"):
        [row] = some(rows, "test", scenario="half_added", statistic_name=f"equal_{names[name]}")
        assert row["statistic"] == pytest.approx(printed[f"chi2_{name}"], abs=0.05)
        assert row["df1"] == printed["df"]
    [row] = some(rows, "rho", scenario="half_added")
    found = [row["estimate"], row["ci_low"], row["ci_high"]]
    assert found == pytest.approx(printed["rho"], abs=6e-4)


def test_a_share_that_is_the_same_is_tested_as_scipy_does():
    table = np.column_stack([TP, FN])
    chi = stats.chi2_contingency(table, correction=False)
    found = same_share(np.array(TP, float), table.sum(axis=1).astype(float))
    assert (found.statistic, found.df) == pytest.approx((chi.statistic, chi.dof))
    rho, low, high = correlation(COUNTS)
    share = np.array(TP) / table.sum(axis=1), np.array(FP) / (np.array(FP) + TN)
    theirs = stats.pearsonr(*share)
    limits = theirs.confidence_interval()
    assert (rho, low, high) == pytest.approx((theirs.statistic, limits.low, limits.high))


def test_inconsistency_is_0_to_100_and_that_of_its_formula():
    found = inconsistency(REML, COUNTS)
    tau2, mean = REML.between[0, 0], REML.mean[0]
    rng = np.random.default_rng(2)
    share = special.expit(mean + np.sqrt(tau2) * rng.normal(size=2_000_000))
    within = (1 / (share * (1 - share))).mean() * (1 / COUNTS.trials[:, 0]).mean()
    assert found["sensitivity"] == pytest.approx(100 * tau2 / (tau2 + within), abs=0.2)
    assert all(0 < value < 100 for value in found.values())


@cache
def of_study():
    return rows_of()


def rows_of(**more):
    return results(FRAME, TABLE, **{"method": "accuracy_meta"} | more)


def pooled(rows, name, **more):
    [row] = some(rows, name, **{"scenario": None, "stratum_level": None, "term": None} | more)
    return row


def test_a_study_gets_the_binomial_model_unless_it_asks_for_another():
    rows = of_study()
    assert pooled(rows, "sensitivity")["se_method"] == "glmm"
    fit = pool_accuracy(COUNTS)
    assert pooled(rows, "logit_sensitivity")["estimate"] == pytest.approx(fit.mean[0])
    assert pooled(rows, "tau2_fpr")["estimate"] == pytest.approx(fit.between[1, 1])
    assert pooled(rows, "sensitivity")["inference_space"] == "random_centres_random_cases"
    low, high = (pooled(rows, f"prediction_{end}", term="sensitivity") for end in ("low", "high"))
    assert low["estimate"] < pooled(rows, "sensitivity")["ci_low"] < high["estimate"]
    [one] = some(rows, "sensitivity", scenario="site", stratum_level="7")
    assert (one["n"], one["n_events"], one["estimate"]) == (68, 68, 1)
    assert len(some(rows, "specificity", scenario="leave_one_out", status="ok")) == 14
    assert len(some(rows, "sensitivity", term="sroc")) > 90
    assert len(some(rows, "sensitivity", term="prediction_region")) == 73


def test_without_a_centre_is_the_fit_of_the_others():
    rows = rows_of(across_centres={"model": "ml", "add_half": "everywhere"})
    [row] = some(rows, "sensitivity", scenario="leave_one_out", stratum_level="8")
    left = pool_accuracy(COUNTS.without(7), "ml", correction="everywhere")
    assert special.logit(row["estimate"]) == pytest.approx(left.mean[0], rel=1e-6)


def test_moderators_are_tested():
    frame = FRAME.assign(kind=np.where(ALTERNATE == 1, "b", "a"))
    source = TABLE | {"columns": {"kind": {"category": ["a", "b"]}}}
    rows = results(frame, source, method="accuracy_meta", terms="kind")
    [row] = some(rows, "coefficient", term="logit_fpr: kind=b")
    assert row["estimate"] == pytest.approx(0.453179704271, rel=1e-3)
    [test] = some(rows, "test", statistic_name="likelihood_ratio")
    assert test["df1"] == 2
    assert test["statistic"] == pytest.approx(2 * (-121.233937378 + 122.791982215), rel=0.01)


def boundary(cells):
    return pd.DataFrame(cells, columns=["tp", "fp", "fn", "tn"]).assign(
        study=lambda f: [f"s{place}" for place in f.index]
    )


@pytest.mark.parametrize("model", ["glmm", "reml", "ml"])
@pytest.mark.parametrize(
    ("frame", "why"),
    [
        (FRAME[:4], "too few"),
        (boundary([(80, 10, 20, 90)] * 6), "boundary: the variance of sensitivity"),
        (boundary([(80, 20, 20, 80), (70, 15, 30, 85), (60, 10, 40, 90), (50, 7, 50, 93),
                   (40, 5, 60, 95), (90, 40, 10, 60)]), "correlation between centres is 1 or -1"),
        (boundary([(0, 10, 0, 90)] * 6), "too few"),
    ],
    ids=["few", "same", "line", "no diseased"],
)  # fmt: skip
def test_few_centres_and_boundaries_show_the_centres_alone(model, frame, why):
    rows = results(frame, TABLE, method="accuracy_meta", across_centres={"model": model})
    row = pooled(rows, "sensitivity")
    assert row["status"] == "not_estimable"
    assert why in row["note"]
    assert not some(rows, "logit_sensitivity")
    assert len(some(rows, "specificity", scenario="site", status="ok")) == len(frame)


def test_results_all_alike_are_refused():
    with pytest.raises(EstimationError, match="are the same"):
        pool_accuracy(Counts.of([9] * 6, [0] * 6, [1] * 6, [5] * 6))


def test_rows_are_the_same_bytes_in_any_order():
    asked = {"method": "accuracy_meta", "across_centres": {"model": "ml"}}
    assert results(FRAME.sample(frac=1, random_state=4), TABLE, **asked) == rows_of(**asked)


def drawn(sites=6, cases=300, seed=7):
    """Cases of sites that differ, two scanners, an older model in some, persons with two cases."""
    rng = np.random.default_rng(seed)
    frames = []
    for site in range(sites):
        truth = rng.random(cases) < 0.3 + 0.05 * site
        scanner = rng.choice(["A", "B"], cases)
        shift = 1.6 + 0.3 * rng.normal() - 0.6 * (scanner == "B")
        score = special.expit(rng.normal(truth * shift - 0.8, 1))
        frames.append(pd.DataFrame({
            "case": [f"{site}-{i}" for i in range(cases)],
            "person": [f"{site}-{i // 2}" for i in range(cases)],
            "site": f"H{site}", "truth": truth * 1, "score": score, "scanner": scanner,
        }))  # fmt: skip
    return pd.concat(frames, ignore_index=True)


READINGS = {
    "kind": "reading_table",
    "columns": {"scanner": {"category": ["A", "B"]}},
    "roles": {"case_id": "case", "truth": "truth", "score": "score", "site": "site"},
}
OUT = {"method": "leave_one_centre_out", "index_test": {"threshold": 0.5}}


def test_readings_give_what_their_two_by_two_tables_give():
    frame = drawn()
    counted = (
        frame.assign(positive=frame.score >= 0.5)
        .groupby("site")
        .apply(
            lambda f: pd.Series({
                "tp": (f.positive & (f.truth == 1)).sum(), "fp": (f.positive & (f.truth == 0)).sum(),
                "fn": (~f.positive & (f.truth == 1)).sum(), "tn": (~f.positive & (f.truth == 0)).sum(),
            }),
            include_groups=False,
        )
        .reset_index()
    )  # fmt: skip
    roles = {name: name for name in ("tp", "fp", "fn", "tn", "site")}
    for method in ("accuracy_meta", "leave_one_centre_out"):
        table = results(counted, {"kind": "two_by_two_table", "roles": roles}, method=method)
        rows = results(frame, READINGS, method=method, index_test={"threshold": 0.5})
        for name in ("sensitivity", "specificity"):
            theirs, ours = pooled(table, name), pooled(rows, name)
            assert ours["status"] == theirs["status"]
            assert ours.get("estimate") == pytest.approx(theirs.get("estimate"))


def test_univariate_pooling_is_that_of_metafor():
    rows = results(FRAME, TABLE, method="leave_one_centre_out")
    row = pooled(rows, "sensitivity")
    assert special.logit(row["estimate"]) == pytest.approx(2.20533698889, rel=1e-7)
    assert row["std_error"] == pytest.approx(0.352394276594, rel=1e-7)
    limits = [
        pooled(rows, f"prediction_{e}", term="sensitivity")["estimate"] for e in ("low", "high")
    ]
    assert limits == pytest.approx((0.4466, 0.9903), abs=5e-5)
    for study, estimate in (("1", 0.908284795), ("3", 0.911524411057), ("8", 0.871388982309)):
        [row] = some(rows, "sensitivity", scenario="leave_one_out", stratum_level=study)
        assert row["estimate"] == pytest.approx(estimate, rel=1e-6)
    [slope] = some(rows, "coefficient", term="specificity: prevalence")
    assert slope["estimate"] == pytest.approx(-2.77618304706, rel=1e-6)
    assert slope["std_error"] == pytest.approx(1.561937708025, rel=1e-6)
    outside = some(rows, "specificity", note="outside the prediction interval of the other centres")
    assert {row["stratum_level"] for row in outside} == {"3", "8"}


def test_the_area_is_that_of_all_pairs_and_its_error_that_of_delong():
    rng = np.random.default_rng(1)
    truth = rng.random(80) < 0.4
    score = np.round(rng.normal(truth * 1.0, 1), 1)
    found = area_under(score, truth, np.arange(80))
    pairs = score[truth][:, None] - score[~truth][None]
    kernel = (pairs > 0) + 0.5 * (pairs == 0)
    assert found.estimate == pytest.approx(kernel.mean())
    variance = kernel.mean(axis=1).var(ddof=1) / truth.sum()
    variance += kernel.mean(axis=0).var(ddof=1) / (~truth).sum()
    assert found.std_error == pytest.approx(np.sqrt(variance))


def test_a_clustered_area_has_the_error_of_the_jackknife():
    frame = drawn(1, 600)
    person = np.unique(frame.person, return_inverse=True)[1]
    score, truth = frame.score.to_numpy(), frame.truth.to_numpy() == 1
    found = area_under(score, truth, person)
    left = [area_under(score[k], truth[k], person[k]).estimate for k in (person != one for one in range(300))]  # fmt: skip
    jackknife = np.sqrt(299 / 300 * ((np.array(left) - np.mean(left)) ** 2).sum())
    assert found.std_error == pytest.approx(jackknife, rel=0.02)
    same, error = area_gap(found, area_under(score, truth, person))
    assert (same, error) == (0, 0)


def test_the_area_is_pooled_without_each_site():
    rows = results(drawn(), READINGS, **OUT)
    whole = pooled(rows, "auc")
    sites = some(rows, "auc", scenario="site")
    assert min(r["estimate"] for r in sites) < whole["estimate"] < max(r["estimate"] for r in sites)
    assert len(some(rows, "auc", scenario="leave_one_out", status="ok")) == 6
    low, high = (
        pooled(rows, f"prediction_{end}", term="auc")["estimate"] for end in ("low", "high")
    )
    assert low < whole["ci_low"] < whole["ci_high"] < high


def test_gaps_between_subgroups_have_intervals_and_verdicts():
    frame = drawn()
    claim = {"claim": "equivalence", "margin": 0.05}
    rows = results(frame, READINGS, **OUT, subgroups=["scanner"], hypothesis=claim)
    [row] = some(rows, "sensitivity_difference", stratum_name="scanner")
    sick = frame[frame.truth == 1].assign(hit=lambda f: f.score >= 0.5).groupby("scanner").hit
    share, n = sick.mean(), sick.count()
    error = np.sqrt(sum(share * (1 - share) / n))
    assert row["estimate"] == pytest.approx(share["B"] - share["A"])
    assert row["std_error"] == pytest.approx(error)
    assert (row["ci_high"] - row["ci_low"]) / 2 == pytest.approx(1.959963984540054 * error)
    assert (row["target"], row["comparator"], row["se_method"]) == ("B", "A", "unpaired")
    assert row["note"].startswith("equivalence is not shown")
    [auc] = some(rows, "auc_difference", stratum_name="scanner")
    levels = {r["stratum_level"]: r for r in some(rows, "auc", stratum_name="scanner")}
    assert auc["estimate"] == pytest.approx(levels["B"]["estimate"] - levels["A"]["estimate"])
    assert auc["std_error"] == pytest.approx(
        np.hypot(levels["A"]["std_error"], levels["B"]["std_error"])
    )


def test_persons_with_several_cases_count_as_one():
    source = READINGS | {"roles": READINGS["roles"] | {"person_id": "person"}}
    rows = results(drawn(), source, **OUT, subgroups=["scanner"])
    [row] = some(rows, "auc", scenario="site", stratum_level="H0")
    assert (row["se_method"], row["n_clusters"]) == ("cluster_robust", 150)
    [gap] = some(rows, "specificity_difference")
    assert gap["se_method"] == "paired"


def test_scores_without_a_threshold_still_have_an_area():
    rows = results(drawn(), READINGS, method="leave_one_centre_out")
    assert pooled(rows, "auc")["status"] == "ok"
    assert {r["status"] for r in some(rows, "sensitivity", scenario="site")} == {"not_estimable"}
    assert "threshold" in some(rows, "sensitivity", scenario="site")[0]["note"]


def test_three_centres_are_pooled_but_none_is_left_out():
    rows = results(drawn(3), READINGS, **OUT)
    assert pooled(rows, "sensitivity")["status"] == "ok"
    found = some(rows, "sensitivity", scenario="leave_one_out")
    assert {row["status"] for row in found} == {"not_estimable"}
