"""Exact ties, predicted survival, ridge penalty, concordance of weighted and late rows.

Numbers of ../shared/reference/stats_reference.json (R 4.2.2, survival 3.5-3), such as
    coxph(Surv(time, status) ~ age + sex + ph.ecog, lung, ties = "exact")
    summary(survfit(coxph(Surv(time, status) ~ age + sex, lung), data.frame(age = 60, sex = 1)),
            times = c(180, 365, 730))
and, without that file, likelihoods written out by their definition in brute_hazards.py.
"""

import numpy as np
import pytest
from lifelines import CoxPHFitter
from scipy import optimize

from tasks.analysis.analyse import failed_primary
from tasks.core.errors import EstimationError
from tasks.stats.concordance import concordance
from tasks.stats.cox import cox, profile_likelihood_interval, proportional_hazards_test
from tasks.stats.cox_prediction import predicted_survival
from tasks.stats.cox_ridge import cox_ridge
from tasks.stats.proportional_hazards import coefficients_in_time
from tests.reference import brute_hazards
from tests.reference.data import PLACEBO, RELAPSED, WEEKS, rossi
from tests.reference.shared import r_values, shared_table
from tests.reference.test_cox import assert_fit, assert_zph, lung
from tests.reference.test_registry_tables import (
    LUNG,
    ROSSI,
    SEX_ECOG,
    VETERAN,
    assert_model,
    results,
    some,
)


def tied(seed, n=14, late=False):
    rng = np.random.default_rng(seed)
    time, x = rng.integers(1, 5, n).astype(float), rng.normal(size=(n, 2))
    entry = np.where(rng.random(n) < 0.4, time - 1.5, 0.0) if late else None
    return time, rng.random(n) < 0.8, x, entry, rng.integers(0, 2, n)


def test_exact_ties_of_lung():
    table, time, event = lung("ph.ecog")
    x = table[["age", "sex", "ph.ecog"]].to_numpy(float)
    values = r_values("lung_cox_age_sex_ecog_exact")
    assert_fit(cox(time, event, x, ties="exact"), values)
    assert_zph(proportional_hazards_test(time, event, x, ties="exact"), values)


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("by_stratum", [False, True])
def test_exact_ties_by_looking_at_every_choice(late, by_stratum):
    time, event, x, entry, stratum = tied(1, late=late)
    strata = stratum if by_stratum else None
    fit = cox(time, event, x, "exact", entry=entry, strata=strata)

    def value(beta):
        return brute_hazards.exact_log_likelihood(beta, time, event, x, entry, strata)

    assert value(fit.coef) == pytest.approx(fit.log_likelihood, rel=1e-12)
    assert value(np.zeros(2)) == pytest.approx(fit.log_likelihood_null, rel=1e-12)
    step = 1e-4 * np.eye(2)
    slope = [value(fit.coef + h) - value(fit.coef - h) for h in step]
    assert slope == pytest.approx([0, 0], abs=1e-7)
    second = np.array(
        [[value(fit.coef + a + b) - value(fit.coef + a - b) - value(fit.coef - a + b)
          + value(fit.coef - a - b) for a in step] for b in step]
    ) / 4e-8  # fmt: skip
    assert fit.covariance == pytest.approx(np.linalg.inv(-second), rel=1e-4)


def test_exact_ties_of_pairs_are_conditional_logistic():
    """One death in each stratum of two at one time: log odds of the discordant pairs."""
    pair, arm = np.repeat(np.arange(60), 2), np.tile([0, 1.0], 60)
    dies = np.where(pair < 40, arm, 1 - arm) == 1
    fit = cox(np.ones(120), dies, arm, "exact", strata=pair)
    assert fit.coef[0] == pytest.approx(np.log(40 / 20), rel=1e-9)
    assert fit.std_error[0] == pytest.approx((1 / 40 + 1 / 20) ** 0.5, rel=1e-9)


def test_exact_ties_profile_and_shuffle():
    order = np.random.default_rng(2).permutation(WEEKS.size)
    one, other = cox(WEEKS, RELAPSED, PLACEBO, "exact"), None
    other = cox(WEEKS[order], RELAPSED[order], PLACEBO[order], "exact")
    assert one.coef[0] == other.coef[0]
    assert np.array_equal(one.covariance, other.covariance)
    profile = profile_likelihood_interval(WEEKS, RELAPSED, PLACEBO, 0, ties="exact")
    assert profile.ci_low < one.coef[0] < profile.ci_high
    for limit in (profile.ci_low, profile.ci_high):
        x = PLACEBO[:, None]
        at = brute_hazards.exact_log_likelihood(np.array([limit]), WEEKS, RELAPSED, x)
        assert 2 * (one.log_likelihood - at) == pytest.approx(3.841458820694124, rel=1e-6)


def test_exact_ties_refuse_what_they_have_no_form_of():
    for more, name in (({"weights": np.ones(42)}, "weights"), ({"robust": True}, "robust")):
        with pytest.raises(EstimationError, match=f"takes no .*{name}"):
            cox(WEEKS, RELAPSED, PLACEBO, "exact", **more)
    with pytest.raises(EstimationError, match="deaths at one time are too many"):
        cox(np.ones(3000), np.arange(3000) % 2 == 0, np.arange(3000.0), "exact")


def test_predicted_survival_of_lung():
    table, time, event = lung()
    x = table[["age", "sex"]].to_numpy(float)
    fit, values = cox(time, event, x), r_values("lung_cox_pred")
    got = predicted_survival(fit, time, event, x, [60, 1], values["time"])
    for ours, theirs in (
        (got.survival, "surv"), (got.std_error, "se"), (got.ci_low, "lower"), (got.ci_high, "upper"),
    ):  # fmt: skip
        assert ours == pytest.approx(values[theirs], rel=1e-7)
    [tail] = values["basehaz_tail"]  # basehaz(fit, centered = FALSE)
    at_zero = predicted_survival(fit, time, event, x, [0, 0], [tail["time"]])
    assert at_zero.cumulative_hazard[0] == pytest.approx(tail["hazard"], rel=1e-7)


@pytest.mark.parametrize("ties", ["efron", "breslow"])
def test_predicted_hazard_with_late_entry_by_its_definition(ties):
    """Sum over deaths of d / (risk in the risk set), Efron's share by share; entry respected."""
    r = rossi()
    time, event, x = r.week.to_numpy(float), r.arrest == 1, r[["fin", "prio"]].to_numpy(float)
    entry = np.where(r.age % 3 == 0, np.floor(time / 2), 0.0)
    fit = cox(time, event, x, ties, entry=entry)
    at = np.array([1.0, 2.0])
    risk, hazard, drift, own = np.exp((x - at) @ fit.coef), 0.0, np.zeros(2), 0.0
    for t in np.unique(time[event & (time <= 30)]):
        there, dying = (time >= t) & (entry < t), (time == t) & event
        d = dying.sum()
        for k in range(d):
            share = there - (k / d if ties == "efron" else 0.0) * dying
            total = (share * risk).sum()
            mean = (share * risk) @ x / total
            hazard, own, drift = hazard + 1 / total, own + 1 / total**2, drift + (at - mean) / total
    got = predicted_survival(fit, time, event, x, at, [30.0], entry=entry)
    assert got.cumulative_hazard[0] == pytest.approx(hazard, rel=1e-10)
    error = np.sqrt(own + drift @ fit.covariance @ drift)
    assert got.std_error_hazard[0] == pytest.approx(error, rel=1e-8)
    assert got.survival[0] == pytest.approx(np.exp(-hazard), rel=1e-10)


def test_a_prediction_ends_with_follow_up():
    fit = cox(WEEKS, RELAPSED, PLACEBO)
    with pytest.raises(EstimationError, match="1 of 2 times lie after"):
        predicted_survival(fit, WEEKS, RELAPSED, PLACEBO, [1.0], [10, 36])


def test_a_prediction_far_from_the_data_is_refused_and_the_ratios_stand():
    fit = cox(WEEKS, RELAPSED, PLACEBO)
    for far in (1e6, -1e6):
        with pytest.raises(EstimationError, match="too far from those of the rows"):
            predicted_survival(fit, WEEKS, RELAPSED, PLACEBO, [far], [10])
    asked = {"at": {"age": 1e9}, "days": [70]}
    rows = results(rossi(), ROSSI, method="cox", ties="efron", terms="age", predict=asked)
    [row] = some(rows, "survival")
    assert (row["status"], row["term"]) == ("not_estimable", "predicted")
    assert failed_primary(rows) == []
    [ratio] = some(rows, "hazard_ratio")
    assert ratio["status"] == "ok"


def test_ridge_by_optimisation_from_scratch():
    r = rossi()
    x, theta = r[["fin", "age", "prio"]].to_numpy(float), 20.0
    fit = cox_ridge(r.week, r.arrest, x, theta, ties="breslow")
    time, event = r.week.to_numpy(), r.arrest.to_numpy() == 1
    z = (x - x.mean(axis=0)) / x.std(axis=0, ddof=1)
    at_risk = time[None, :] >= time[event][:, None]

    def plain(b):
        return (z[event] @ b).sum() - np.log(at_risk @ np.exp(z @ b)).sum()

    found = optimize.minimize(lambda b: theta / 2 * b @ b - plain(b), np.zeros(3), tol=1e-11)
    assert fit.coef * x.std(axis=0, ddof=1) == pytest.approx(found.x, rel=1e-4)
    assert fit.log_likelihood == pytest.approx(plain(found.x), rel=1e-8)
    step = 1e-3 * np.eye(3)
    b = fit.coef * x.std(axis=0, ddof=1)
    information = -np.array(
        [[plain(b + i + j) - plain(b + i - j) - plain(b - i + j) + plain(b - i - j) for i in step]
         for j in step]
    ) / 4e-6  # fmt: skip
    inverse = np.linalg.inv(information + theta * np.eye(3))
    scale = x.std(axis=0, ddof=1)
    assert fit.std_error * scale == pytest.approx(np.sqrt(np.diag(inverse)), rel=1e-4)
    sandwich = np.sqrt(np.diag(inverse @ information @ inverse))
    assert fit.sandwich_std_error * scale == pytest.approx(sandwich, rel=1e-4)
    assert fit.effective_df == pytest.approx(np.trace(information @ inverse), rel=1e-4)


def test_ridge_agrees_with_lifelines():
    """lifelines divides the likelihood by n: its penalizer is theta / n."""
    r = rossi()
    columns = ["fin", "age", "prio"]
    theirs = CoxPHFitter(penalizer=20 / len(r)).fit(
        r[["week", "arrest", *columns]], "week", "arrest"
    )
    fit = cox_ridge(r.week, r.arrest, r[columns], 20)
    assert fit.coef == pytest.approx(theirs.params_[columns].to_numpy(), rel=1e-3)


def test_ridge_takes_collinear_columns_and_goes_to_cox():
    fit = cox_ridge(WEEKS, RELAPSED, np.column_stack([PLACEBO, 2 * PLACEBO]), 1.0)
    assert fit.coef[0] == pytest.approx(2 * fit.coef[1], rel=1e-8)
    small, plain = cox_ridge(WEEKS, RELAPSED, PLACEBO, 1e-9), cox(WEEKS, RELAPSED, PLACEBO)
    assert small.coef == pytest.approx(plain.coef, rel=1e-8)
    assert small.effective_df == pytest.approx(1, rel=1e-8)
    with pytest.raises(EstimationError, match="theta is not above 0"):
        cox_ridge(WEEKS, RELAPSED, PLACEBO, 0)
    with pytest.raises(EstimationError, match="do not vary"):
        cox_ridge(WEEKS, RELAPSED, np.ones(42), 1.0)


def test_concordance_with_weights_and_entry_pair_by_pair():
    """Its standard error is that of the derivatives of C by the weights."""
    rng = np.random.default_rng(3)
    n = 60
    time, event = rng.integers(2, 15, n).astype(float), rng.random(n) < 0.6
    score, weight, stratum = rng.integers(0, 8, n), rng.uniform(0.5, 2, n), rng.integers(0, 2, n)
    entry = np.where(rng.random(n) < 0.5, 0, np.floor(time * rng.random(n) * 0.9))

    def by_pairs(w):
        return brute_hazards.concordance(time, event, score, w, entry, stratum)

    got = concordance(time, event, score, strata=stratum, weights=weight, entry=entry)
    assert got.estimate == pytest.approx(by_pairs(weight), rel=1e-12)
    step = 1e-5 * np.eye(n)
    slopes = [(by_pairs(weight + h) - by_pairs(weight - h)) / 2e-5 for h in step]
    assert got.std_error == pytest.approx(np.sqrt(((weight * slopes) ** 2).sum()), rel=1e-6)


# Through specifications.


@pytest.mark.parametrize(
    ("entry", "more"),
    [
        ("lung_cox_age_sex_ecog_exact", {"ties": "exact"}),
        ("lung_cox_age_sex_ecog_breslow", {"ties": "breslow"}),
        ("lung_cox_cluster_inst", {"ties": "efron", "cluster": "inst"}),
    ],
)
def test_models_of_lung(entry, more):
    terms = {"terms": "age + sex + ph.ecog"}
    rows = results(shared_table("data/survival/lung.csv"), LUNG, method="cox", **terms, **more)
    assert_whole(rows, r_values(entry), SEX_ECOG)


def assert_whole(rows, values, terms):
    """All that R's summary says, the concordance with its error too."""
    assert_model(rows, values, terms)
    [row] = some(rows, "concordance")
    assert row["std_error"] == pytest.approx(values["concordance"]["se(C)"], rel=1e-7)
    for name, key in (("likelihood_ratio", "lr_test"), ("score", "score")):
        [test] = some(rows, "test", statistic_name=name)
        assert test["statistic"] == pytest.approx(values[key]["test"], rel=1e-7)


@pytest.mark.parametrize("ties", ["efron", "breslow"])
def test_veteran(ties):
    terms = "trt + celltype + karno + diagtime + age + prior"
    frame = shared_table("data/survival/veteran.csv")
    rows = results(frame, VETERAN, method="cox", ties=ties, terms=terms)
    cells = {f"celltype={cell}": f"celltype{cell}" for cell in ("smallcell", "adeno", "large")}
    same = {name: name for name in ("karno", "diagtime", "age", "prior")}
    values = r_values("veteran_cox" if ties == "efron" else "veteran_cox_breslow")
    assert_whole(rows, values, {"trt=2": "trt", **cells, **same})


@pytest.mark.parametrize(
    ("entry", "ties", "terms", "names"),
    [
        ("heart_td", "efron", "(age + surgery) * transplant",
         {"age": "age", "surgery": "surgery", "transplant=1": "transplant1",
          "age:transplant=1": "age:transplant1", "surgery:transplant=1": "surgery:transplant1"}),
        *[(f"heart_td_{ties}", ties, "age + year + surgery + transplant",
           {"age": "age", "year": "year", "surgery": "surgery", "transplant=1": "transplant1"})
          for ties in ("efron", "breslow")],
    ],
)  # fmt: skip
def test_heart_in_intervals(entry, ties, terms, names):
    """Several rows a person; the concordance compares those at risk at each death."""
    days = {name: {"column": name, "unit": "days"} for name in ("start", "stop")}
    numbers = dict.fromkeys(("age", "year", "surgery"), "number")
    source = {
        "roles": {"person_id": "id", "event": "event", "time_varying": ["transplant"], **days},
        "columns": {**numbers, "transplant": {"category": ["0", "1"]}},
    }
    heart = shared_table("data/survival/heart.csv")
    rows = results(heart, source, method="cox", ties=ties, terms=terms)
    assert_whole(rows, r_values(entry), names)


def test_a_prediction_through_a_specification():
    values = r_values("lung_cox_pred")
    asked = {"at": {"age": 60, "sex": "1"}, "days": [*values["time"], 2000]}
    rows = results(
        shared_table("data/survival/lung.csv"), LUNG,
        method="cox", ties="efron", terms="age + sex", predict=asked,
    )  # fmt: skip
    found = some(rows, "survival", status="ok")
    for ours, theirs in (
        ("at", "time"), ("estimate", "surv"), ("std_error", "se"), ("ci_low", "lower"),
        ("ci_high", "upper"),
    ):  # fmt: skip
        assert [row[ours] for row in found] == pytest.approx(values[theirs], rel=1e-7)
    assert [row["n_events"] for row in found] == [63, 121, 159]
    hazards = some(rows, "cumulative_hazard")
    assert [np.exp(-row["estimate"]) for row in hazards] == pytest.approx(values["surv"], rel=1e-7)
    [late] = some(rows, "survival", status="not_estimable")
    assert (late["at"], late.get("estimate")) == (2000.0, None)


def test_ridge_through_a_specification():
    rows = results(
        rossi(), ROSSI,
        method="cox", ties="efron", terms="fin + age + prio", penalty={"kind": "ridge", "theta": 20},
    )  # fmt: skip
    r = rossi()
    fit = cox_ridge(r.week * 7, r.arrest, r[["fin", "age", "prio"]], 20)
    for method, errors in (
        ("penalised information", fit.std_error), ("sandwich", fit.sandwich_std_error),
    ):  # fmt: skip
        found = some(rows, "hazard_ratio", se_method=method)
        assert np.log([row["estimate"] for row in found]) == pytest.approx(fit.coef, rel=1e-9)
        assert [row["std_error"] for row in found] == pytest.approx(errors, rel=1e-9)
    [test] = some(rows, "test")
    assert (test["df1"], test["statistic"]) == pytest.approx(
        (fit.effective_df, fit.likelihood_ratio)
    )


def test_ties_everywhere_have_ratios_and_no_concordance():
    frame = rossi().assign(week=5, arrest=1)
    rows = results(frame, ROSSI, method="cox", ties="breslow", terms="age")
    [row] = some(rows, "concordance")
    assert (row["status"], row["note"]) == ("not_estimable", "no two persons are comparable")
    assert failed_primary(rows) == []
    [ratio] = some(rows, "hazard_ratio")
    assert ratio["estimate"] == pytest.approx(1)


def test_all_dying_at_once_have_no_robust_variance():
    """The influence of each is 0."""
    with pytest.raises(EstimationError, match="too alike for a robust variance"):
        cox([1, 1], [1, 1], [[0.0], [1.0]], "breslow", robust=True)


def test_one_cluster_is_not_estimable():
    frame = rossi().assign(everyone="x")
    rows = results(frame, ROSSI, method="cox", ties="efron", terms="fin + age", cluster="everyone")
    [row] = some(rows, "hazard_ratio")
    assert row["status"] == "not_estimable"
    assert "1 cluster(s) cannot tell" in row["note"]


def test_coefficients_in_spans_are_means_of_scaled_residuals():
    r = rossi()
    columns = ["fin", "age", "prio"]
    frame = r[["week", "arrest", *columns]]
    theirs = CoxPHFitter().fit(frame, "week", "arrest", fit_options={"precision": 1e-12})
    residuals = theirs.compute_residuals(frame, "scaled_schoenfeld")
    order = np.argsort(r.week[residuals.index].to_numpy(), kind="stable")
    residuals = residuals.to_numpy()[order] + theirs.params_.to_numpy()
    got = coefficients_in_time(r.week, r.arrest, r[columns], 20, 6)
    assert got.events.tolist() == [20, 20, 20, 21, 33]
    ends = got.events.cumsum()
    for span, (end, events) in enumerate(zip(ends, got.events, strict=True)):
        assert got.coef[span] == pytest.approx(residuals[end - events : end].mean(axis=0), rel=1e-5)
    with pytest.raises(EstimationError, match="too few for two spans"):
        coefficients_in_time(WEEKS, RELAPSED, PLACEBO, 20, 6)
    rows = results(r, ROSSI, method="cox", ties="efron", terms="fin + age + prio")
    spans = some(rows, "coefficient", term="age")
    assert [row["estimate"] for row in spans] == pytest.approx(got.coef[:, 1], rel=1e-8)
    assert [row["n_events"] for row in spans] == got.events.tolist()
