"""Parametric survival against R, published prints and independent optimisation.

R 4.2.2, survival 3.5-3 (../shared/reference/stats_reference.json), such as
    survreg(Surv(time, status) ~ age + sex + ph.ecog, data = lung, dist = "weibull")
flexsurv as its documentation and its tests print it:
    flexsurvreg(Surv(futime, fustat) ~ 1, data = ovarian, dist = "gengamma")
    flexsurvreg(Surv(futime, fustat) ~ 1, data = ovarian, dist = "weibull")
    flexsurvreg(Surv(recyrs, censrec) ~ 1, data = bc[bc$censrec == 1, ], dist = "weibull")
"""

import lifelines
import lifelines.datasets
import numpy as np
import pytest
from scipy import integrate, optimize, special, stats

from tasks.core.errors import EstimationError
from tasks.core.spec.keys_of_models import Distribution as NamedInSpec
from tasks.stats import parametric_curves
from tasks.stats.parametric import DISTRIBUTIONS, Distribution, parametric_survival
from tasks.stats.parametric_estimates import (
    fitted_difference,
    fitted_mean,
    fitted_quantile,
    fitted_restricted_mean,
    fitted_survival,
)
from tasks.stats.parametric_laws import LAWS
from tests.reference import ovarian
from tests.reference.shared import r_values, shared_table
from tests.reference.test_registry_tables import LUNG, results, some

IN_R = {"exponential": "exponential", "weibull": "weibull", "log_normal": "lognormal", "log_logistic": "loglogistic"}  # fmt: skip
RANKED = "exponential weibull log_normal log_logistic gompertz generalised_gamma".split()


def test_a_study_names_the_laws_that_exist():
    assert NamedInSpec == Distribution
    assert set(DISTRIBUTIONS) == set(LAWS)


# ---- R's survreg, from a study


@pytest.mark.parametrize("law", IN_R)
def test_survreg_with_covariates(law):
    r = r_values(f"lung_survreg_{IN_R[law]}")
    rows = results(
        shared_table("data/survival/lung.csv"), LUNG | {"columns": {"age": "number", "sex": "number", "ph.ecog": "number"}},
        method="parametric_survival", distribution=law, terms="age + sex + ph.ecog",
    )  # fmt: skip
    names = {"intercept": "(Intercept)", "age": "age", "sex": "sex", "ph.ecog": "ph.ecog"}
    found = {row["term"]: row for row in some(rows, "coefficient")}
    for ours, theirs in names.items():
        assert found[ours]["estimate"] == pytest.approx(r["coef"][theirs], rel=1e-6)
    order = [*names, "log_scale"][: len(r["vcov_diag"])]
    variances = [found[name]["std_error"] ** 2 for name in order]
    assert variances == pytest.approx(r["vcov_diag"], rel=1e-6)
    if law != "exponential":
        assert found["scale"]["estimate"] == pytest.approx(r["scale"], rel=1e-6)
    fit = {row["term"]: row["estimate"] for row in some(rows, "log_likelihood")}
    assert [fit["null"], fit["model"]] == pytest.approx(r["loglik"], rel=1e-9)
    assert some(rows, "aic")[0]["estimate"] == pytest.approx(r["AIC"], rel=1e-9)


def test_survreg_without_covariates_compared():
    rows = results(
        shared_table("data/survival/lung.csv"), LUNG,
        method="parametric_survival", distributions=list(IN_R),
    )  # fmt: skip
    theirs = {law: r_values(f"lung_survreg0_{name}") for law, name in IN_R.items()}
    for law, r in theirs.items():
        mine = [row for row in rows if row["method"] == f"parametric_{law}"]
        found = {row["term"]: row["estimate"] for row in some(mine, "coefficient")}
        assert found["intercept"] == pytest.approx(r["coef"]["(Intercept)"], rel=1e-6)
        assert found.get("scale", 1.0) == pytest.approx(r["scale"], rel=1e-6)
        [model] = some(mine, "log_likelihood")
        assert model["estimate"] == pytest.approx(r["loglik"][1], rel=1e-9)
        for name in ("AIC", "BIC"):
            [row] = some(mine, name.lower())
            assert row["estimate"] == pytest.approx(r[name], rel=1e-9)
            assert row["statistic"] == 1 + sum(x[name] < r[name] for x in theirs.values())


# ---- flexsurv, as published


def ovarian_fit(law, covariates=None):
    return parametric_survival(ovarian.DAYS, ovarian.DIED, law, covariates)


def test_flexsurv_generalised_gamma_of_ovarian():
    """Its optimiser stops at a place 0.001 away: the likelihood agrees to all digits printed."""
    fit = ovarian_fit("generalised_gamma")
    assert fit.log_likelihood == pytest.approx(-96.94907, abs=5e-6)
    assert fit.aic == pytest.approx(199.8981, abs=5.1e-5)
    assert fit.coef[0] == pytest.approx(6.426, abs=2e-3)
    assert np.exp(fit.coef[1]) == pytest.approx(1.426, abs=5.1e-4)
    assert fit.coef[2] == pytest.approx(-0.766, abs=2e-3)
    assert fit.std_error[[0, 2]] == pytest.approx([0.736, 1.313], abs=1e-3)


def test_flexsurv_weibull_log_normal_and_treatment_of_ovarian():
    weibull = ovarian_fit("weibull")
    shape, scale = np.exp(-weibull.coef[1]), np.exp(weibull.coef[0])
    assert (shape, scale) == (pytest.approx(1.108, abs=5e-4), pytest.approx(1225.419, abs=5.1e-4))
    errors = shape * weibull.std_error[1], scale * weibull.std_error[0]
    assert errors == (pytest.approx(0.281, abs=5e-4), pytest.approx(358.714, abs=5e-3))
    assert weibull.aic == pytest.approx(199.9078, abs=5e-5)
    assert ovarian_fit("log_normal").log_likelihood == pytest.approx(-97.12174204265681, rel=1e-10)
    treated = ovarian_fit("weibull", np.array(ovarian.RX) - 1.0)
    assert treated.log_likelihood == pytest.approx(-97.3641506645869, rel=1e-10)


def test_flexsurv_gompertz_likelihood_at_its_start():
    """Its tests print the log-likelihood at shape 0.001 and rate 1 / mean time."""
    time, died = np.array(ovarian.DAYS, float), np.array(ovarian.DIED)
    eta, shape = np.full(time.size, -np.log(time.mean())), np.array([0.001])
    law = LAWS["gompertz"]
    ended, seen = law.log_density(time, eta, shape).value, law.log_survival(time, eta, shape).value
    assert np.where(died, ended, seen).sum() == pytest.approx(-112.8294446076947, rel=1e-12)
    fit = ovarian_fit("gompertz")
    assert fit.log_likelihood > -97.9539  # Weibull's


def test_flexsurv_weibull_of_breast_cancer_and_median_at_an_age():
    relapsed = lifelines.datasets.load_gbsg2().query("cens == 1")
    fit = parametric_survival(relapsed.time / 365, relapsed.cens, "weibull")
    assert fit.log_likelihood == pytest.approx(-477.2455, abs=5e-5)
    median = fitted_quantile(ovarian_fit("weibull", ovarian.AGE).at([50.0]), 0.5)
    assert median.estimate == pytest.approx(1575.803185910278, rel=1e-4)  # the tolerance there


# ---- independent optimisation, with scipy's distributions


def general_gamma(mu, sigma, q):
    """Prentice's law as scipy's: k = 1 / q^2, and time to the power q / sigma is gamma."""
    k = q**-2
    return stats.gengamma(k, q / sigma, scale=np.exp(mu) * k ** (-sigma / q))


def frozen(law, eta, further):
    """The law as scipy knows it; scale and shape parameters are on the scale of ours."""
    if law == "exponential":
        return stats.expon(scale=np.exp(eta))
    if law == "weibull":
        return stats.weibull_min(np.exp(-further[0]), scale=np.exp(eta))
    if law == "weibull_ph":
        shape = np.exp(further[0])
        return stats.weibull_min(shape, scale=np.exp(-eta / shape))
    if law == "log_normal":
        return stats.lognorm(np.exp(further[0]), scale=np.exp(eta))
    if law == "log_logistic":
        return stats.fisk(np.exp(-further[0]), scale=np.exp(eta))
    if law == "gompertz":  # rising hazards only
        return stats.gompertz(np.exp(eta) / further[0], scale=1 / further[0])
    return general_gamma(eta, np.exp(further[0]), further[1])


def drawn(seed=3, n=250):
    """Follow-up that begins late for some, with two covariates and whole weights."""
    rng = np.random.default_rng(seed)
    x = np.column_stack([rng.normal(size=n), rng.integers(0, 2, n)])
    time = np.exp(0.5 + x @ [0.3, -0.4]) * rng.weibull(1.4, n)
    entry = np.where(rng.random(n) < 0.4, rng.uniform(0, 0.6, n), 0.0)
    censored = entry + rng.uniform(0.3, 3.0, n)
    keep = time > entry
    event = time <= censored
    weight = rng.integers(1, 4, n).astype(float)
    columns = (np.minimum(time, censored), event, x, entry, weight)
    return tuple(column[keep] for column in columns)


def log_likelihood(theta, law, data):
    time, event, x, entry, weight = data
    further = theta[3:]
    at = frozen(law, theta[0] + x @ theta[1:3], further)
    each = np.where(event, at.logpdf(time), at.logsf(time)) - at.logsf(entry)
    return float(weight @ each)


@pytest.mark.parametrize("law", DISTRIBUTIONS)
def test_late_entry_and_weights_by_brute_force(law):
    """No other parameters are more likely, and the error is that of the curvature there."""
    data = drawn()
    time, event, x, entry, weight = data
    fit = parametric_survival(time, event, law, x, weights=weight, entry=entry)
    ours = log_likelihood(fit.coef, law, data)
    assert fit.log_likelihood == pytest.approx(ours, rel=1e-10)
    rough = optimize.minimize(
        lambda theta: -log_likelihood(theta, law, data), fit.coef + 0.02, method="Nelder-Mead",
        options={"maxiter": 4000, "maxfev": 4000, "xatol": 1e-7, "fatol": 1e-10},
    )  # fmt: skip
    assert -rough.fun <= ours + 1e-8
    assert rough.x == pytest.approx(fit.coef, abs=3e-4)
    curvature = -hessian(lambda theta: log_likelihood(theta, law, data), fit.coef)
    assert np.linalg.inv(curvature) == pytest.approx(fit.covariance, rel=2e-4, abs=1e-7)


def hessian(function, at, h=2e-4):
    p = at.size
    steps = h * np.eye(p)
    return np.array(
        [
            [
                sum(
                    a * b * function(at + a * steps[i] + b * steps[j])
                    for a in (-1, 1)
                    for b in (-1, 1)
                )
                / (4 * h * h)
                for j in range(p)
            ]
            for i in range(p)
        ]
    )


@pytest.mark.parametrize("law", ["weibull", "gompertz", "generalised_gamma"])
def test_the_sandwich_is_the_score_of_each_row_found_by_differences(law):
    data = drawn()
    time, event, x, entry, weight = data
    centre = np.arange(time.size) % 20
    fit = parametric_survival(time, event, law, x, weights=weight, entry=entry, cluster=centre)
    bread = parametric_survival(time, event, law, x, weights=weight, entry=entry).covariance
    h, scores = 1e-5, []
    for step in h * np.eye(fit.coef.size):
        each = []
        for theta in (fit.coef + step, fit.coef - step):
            at = frozen(law, theta[0] + x @ theta[1:3], theta[3:])
            each.append(np.where(event, at.logpdf(time), at.logsf(time)) - at.logsf(entry))
        scores.append(np.bincount(centre, weight * (each[0] - each[1]) / (2 * h)))
    meat = np.array(scores) @ np.array(scores).T
    assert fit.covariance == pytest.approx(bread @ meat @ bread, rel=1e-4, abs=1e-8)
    assert (fit.se_method, fit.n_clusters) == ("robust", 20)


def test_whole_weights_are_repeated_rows():
    time, event, x, entry, weight = drawn()
    again = np.repeat(np.arange(time.size), weight.astype(int))
    for law in ("log_logistic", "gompertz"):
        one = parametric_survival(time, event, law, x, weights=weight, entry=entry)
        all_rows = parametric_survival(time[again], event[again], law, x[again], entry=entry[again])
        assert one.coef == pytest.approx(all_rows.coef, rel=1e-8)
        assert one.covariance == pytest.approx(all_rows.covariance, rel=1e-6)


# ---- lifelines, where it is right


def test_lifelines_on_rossi():
    rossi = lifelines.datasets.load_rossi()
    x = rossi[["fin", "age", "prio"]].to_numpy(float)
    theirs = lifelines.WeibullAFTFitter().fit(rossi[["week", "arrest", "fin", "age", "prio"]], "week", "arrest")  # fmt: skip
    fit = parametric_survival(rossi.week, rossi.arrest, "weibull", x)
    assert fit.coef[1:4] == pytest.approx(theirs.params_["lambda_"][["fin", "age", "prio"]].to_numpy(), rel=1e-3)  # fmt: skip
    assert fit.log_likelihood == pytest.approx(theirs.log_likelihood_, rel=1e-7)
    gamma = lifelines.GeneralizedGammaFitter().fit(rossi.week, rossi.arrest)
    ours = parametric_survival(rossi.week, rossi.arrest, "generalised_gamma")
    assert ours.log_likelihood >= gamma.log_likelihood_ - 1e-6
    assert ours.log_likelihood == pytest.approx(gamma.log_likelihood_, rel=1e-5)


# ---- special cases and closed forms


def test_special_cases_of_the_laws():
    time, eta = np.linspace(0.05, 6, 40), np.linspace(-1, 1, 40)
    log_scale = np.array([-0.3])
    gamma = LAWS["generalised_gamma"]
    for q, law in ((1.0, "weibull"), (0.0, "log_normal"), (1e-9, "log_normal")):
        for name in ("log_density", "log_survival"):
            wide = getattr(gamma, name)(time, eta, np.append(log_scale, q)).value
            narrow = getattr(LAWS[law], name)(time, eta, log_scale).value
            assert wide == pytest.approx(narrow, rel=1e-8, abs=1e-9)
    level = LAWS["gompertz"].log_survival(time, eta, np.zeros(1)).value
    assert level == pytest.approx(LAWS["exponential"].log_survival(time, -eta, np.zeros(0)).value)
    for q in (-1.7, -0.2, -2e-4, 5e-5, 3e-3, 0.4, 2.5):
        mine = gamma.log_survival(time, eta, np.append(log_scale, q)).value
        near = gamma.log_survival(time, eta, np.append(log_scale, q + 1e-7)).value
        assert abs(mine - near).max() < 1e-5
        if abs(q) > 0.1:
            assert mine == pytest.approx(general_gamma(eta, np.exp(-0.3), q).logsf(time), rel=1e-8)


@pytest.mark.parametrize("q", [16.0, 8.0])
def test_survival_far_in_the_lower_tail_is_the_first_term_of_its_series(q):
    """Where the argument of the incomplete gamma function underflows, as large shapes have it."""
    z, k = np.array([-80.0]), q**-2
    power = k * np.log(k) + z / q - special.gammaln(k + 1)
    got = LAWS["generalised_gamma"].log_survival(np.exp(z), np.zeros(1), np.array([0.0, q])).value
    assert got == pytest.approx(np.log1p(-np.exp(power)), rel=1e-12)
    far = LAWS["generalised_gamma"].log_survival(np.exp(-z), np.zeros(1), np.array([0.0, -q]))
    assert far.value == pytest.approx(k * np.log(k) - 80 / q - special.gammaln(k + 1), rel=1e-9)
    assert np.isfinite(far.second).all()


@pytest.mark.parametrize("law", DISTRIBUTIONS)
@pytest.mark.parametrize("last", [0.6, -0.4, 0.03])
def test_the_derivatives_are_those_of_the_values(law, last):
    time, eta = np.array([0.2, 0.9, 1.4, 3.0]), np.array([0.3, -0.2, 0.5, 0.1])
    further = np.array([0.2, last])[: len(LAWS[law].further)]
    h = 1e-5
    for name in ("log_density", "log_survival"):
        function = getattr(LAWS[law], name)
        at = function(time, eta, further)
        up, down = function(time, eta + h, further), function(time, eta - h, further)
        assert (up.value - down.value) / (2 * h) == pytest.approx(at.eta, abs=1e-6)
        assert (up.eta - down.eta) / (2 * h) == pytest.approx(at.eta_eta, abs=1e-6)
        for i, step in enumerate(h * np.eye(further.size)):
            up, down = function(time, eta, further + step), function(time, eta, further - step)
            assert (up.value - down.value) / (2 * h) == pytest.approx(at.further[i], abs=1e-6)
            assert (up.eta - down.eta) / (2 * h) == pytest.approx(at.mixed[i], abs=1e-6)
            assert (up.further - down.further) / (2 * h) == pytest.approx(at.second[i], abs=2e-5)


def test_weibull_in_both_words_is_one_fit():
    time, event, x, entry, _ = drawn()
    aft = parametric_survival(time, event, "weibull", x, entry=entry)
    ph = parametric_survival(time, event, "weibull_ph", x, entry=entry)
    assert ph.log_likelihood == pytest.approx(aft.log_likelihood, rel=1e-12)
    scale = np.exp(aft.coef[-1])
    assert ph.coef[:-1] == pytest.approx(-aft.coef[:-1] / scale, rel=1e-8)
    assert ph.std_error[-1] == pytest.approx(aft.std_error[-1], rel=1e-8)
    both = fitted_restricted_mean(aft, 4.0), fitted_restricted_mean(ph, 4.0)
    assert both[0].std_error == pytest.approx(both[1].std_error, rel=1e-7)
    assert (aft.is_hazard, ph.is_hazard) == (False, True)


@pytest.mark.parametrize("law", DISTRIBUTIONS)
def test_what_a_fit_says_is_what_scipy_says_of_its_parameters(law):
    time, event, *_ = drawn()
    fit = parametric_survival(time, event, law)
    at = frozen(law, fit.coef[0], fit.coef[1:])
    days = np.array([0.3, 1.0, 9.0])
    assert fit.survival(days) == pytest.approx(at.sf(days), rel=1e-9)
    assert fit.hazard(days[:2]) == pytest.approx(at.pdf(days[:2]) / at.sf(days[:2]), rel=1e-8)
    for share in (0.25, 0.5):
        assert fitted_quantile(fit, share).estimate == pytest.approx(at.ppf(share), rel=1e-9)
    area = integrate.quad(lambda t: float(at.sf(t)), 0, 30, limit=400)[0]
    assert fit.restricted_mean(30.0) == pytest.approx(area, rel=1e-8)
    assert fitted_mean(fit).estimate == pytest.approx(at.mean(), rel=1e-7)


@pytest.mark.parametrize("law", DISTRIBUTIONS)
def test_errors_are_those_of_the_delta_method_by_differences(law):
    time, event, x, *_ = drawn(n=40)
    fit = parametric_survival(time, event, law, x)

    def said(coef):
        other = fit.with_coef(coef)
        mean, _ = other.curve.mean_and_gradient()
        return np.array([other.survival([1.0])[0], other.curve.quantile(0.5), other.restricted_mean(2.0), mean])  # fmt: skip

    h = 1e-5
    slopes = [
        (said(fit.coef + step) - said(fit.coef - step)) / (2 * h)
        for step in h * np.eye(fit.coef.size)
    ]
    errors = np.sqrt(np.einsum("pt,pq,qt->t", slopes, fit.covariance, slopes))
    ours = [
        fitted_survival(fit, [1.0]).std_error[0], fitted_quantile(fit, 0.5).std_error,
        fitted_restricted_mean(fit, 2.0).std_error, fitted_mean(fit).std_error,
    ]  # fmt: skip
    assert ours == pytest.approx(errors, rel=1e-5)


def test_the_exponential_in_closed_form():
    """Rate d / T; its log has the variance 1 / d, and so has the log of every time."""
    time, event, *_ = drawn()
    fit = parametric_survival(time, event, "exponential")
    events, mean = event.sum(), time.sum() / event.sum()
    assert np.exp(fit.coef[0]) == pytest.approx(mean, rel=1e-10)
    assert fit.std_error[0] == pytest.approx(events**-0.5, rel=1e-9)
    found = fitted_mean(fit)
    assert (found.estimate, found.std_error) == pytest.approx((mean, mean * events**-0.5))
    assert found.ci_high / found.estimate == pytest.approx(np.exp(1.959963985 * events**-0.5))
    at_two = fitted_survival(fit, [2.0])
    assert at_two.std_error[0] == pytest.approx(at_two.estimate[0] * 2 / mean * events**-0.5)
    longer = fitted_difference(found, fitted_restricted_mean(fit, 1.0))
    assert longer.estimate == pytest.approx(mean * np.exp(-1 / mean), rel=1e-9)


def test_a_curve_with_covariates_is_the_mean_of_those_of_the_rows():
    time, event, x, entry, weight = drawn(n=60)
    fit = parametric_survival(time, event, "log_normal", x, weights=weight, entry=entry)
    each = np.array([fit.at(row).survival([0.5, 2.0]) for row in x])
    assert fit.survival([0.5, 2.0]) == pytest.approx(weight @ each / weight.sum(), rel=1e-12)


@pytest.mark.parametrize("law", ["weibull", "gompertz", "generalised_gamma"])
def test_many_patterns_are_averaged_as_exactly_as_few(law, monkeypatch):
    time, event, x, entry, _ = drawn(n=2_500)
    x[:, 1] += np.linspace(0, 1, len(x))
    fit = parametric_survival(time, event, law, x, entry=entry)
    fit = fit.with_coef(fit.coef + np.array([0, 0.6, -0.4, *[0] * (fit.coef.size - 3)]))
    monkeypatch.setattr(parametric_curves, "_MANY", 100)
    few = fit.curve.survival_and_gradient(np.array([0.3, 2.0])), fit.curve.mean_and_gradient()
    monkeypatch.setattr(parametric_curves, "_MANY", 10_000)
    all_of_them = (
        fit.curve.survival_and_gradient(np.array([0.3, 2.0])),
        fit.curve.mean_and_gradient(),
    )
    for mine, exact in zip(few, all_of_them, strict=True):
        assert mine[0] == pytest.approx(exact[0], rel=1e-9)
        assert mine[1] == pytest.approx(exact[1], rel=1e-7, abs=1e-9)


def test_means_that_are_infinite_are_not_told():
    time = np.array([1.0, 2, 3, 4, 5, 6, 7, 8, 9, 10])
    event = np.array([1, 1, 1, 1, 1, 0, 0, 0, 0, 0])
    falling = parametric_survival(
        np.append(time, [60.0] * 9), np.append(event, [0] * 9), "gompertz"
    )
    assert falling.coef[1] < 0
    assert fitted_mean(falling) is None
    never = np.exp(-np.exp(falling.coef[0]) / -falling.coef[1])
    assert fitted_quantile(falling, float(1 - never) + 0.01) is None
    assert fitted_quantile(falling, 0.1) is not None
    wide = parametric_survival([0.01, 0.2, 1, 3, 50, 900, 9000], [1] * 7, "log_logistic")
    assert np.exp(wide.coef[1]) > 1
    assert fitted_mean(wide) is None


def test_draws_have_the_covariance_of_the_fit():
    fit = ovarian_fit("weibull", ovarian.AGE)
    drawn_parameters = fit.draw(np.random.default_rng(5).standard_normal((20_000, 3)))
    assert drawn_parameters.mean(axis=0) == pytest.approx(fit.coef, abs=0.05)
    assert np.cov(drawn_parameters.T) == pytest.approx(fit.covariance, rel=0.05, abs=1e-3)
    assert fit.draw(np.zeros((1, 3)))[0] == pytest.approx(fit.coef)


@pytest.mark.parametrize("law", DISTRIBUTIONS)
def test_rows_in_another_order_and_other_units_give_the_same(law):
    time, event, x, entry, weight = drawn()
    fit = parametric_survival(time, event, law, x, weights=weight, entry=entry, robust=True)
    mixed = np.random.default_rng(1).permutation(time.size)
    again = parametric_survival(
        time[mixed], event[mixed], law, x[mixed], weights=weight[mixed], entry=entry[mixed],
        robust=True,
    )  # fmt: skip
    assert fit.coef.tobytes() == again.coef.tobytes()
    assert fit.covariance.tobytes() == again.covariance.tobytes()
    assert fit.survival([1.0]).tobytes() == again.survival([1.0]).tobytes()
    days = parametric_survival(
        365.25 * time, event, law, 10 * x + 3, weights=weight, entry=365.25 * entry
    )
    assert days.survival([365.25]) == pytest.approx(fit.survival([1.0]), rel=1e-7)
    events = weight @ event
    assert days.log_likelihood == pytest.approx(fit.log_likelihood - np.log(365.25) * events)


# ---- data that cannot be fitted


TEN = np.arange(1.0, 11)


@pytest.mark.parametrize(
    ("time", "event", "law", "more", "said"),
    [
        (TEN, np.zeros(10), "weibull", {}, "no event occurred"),
        (np.full(10, 5.0), np.ones(10), "weibull", {}, "all events happen at one time"),
        (np.full(10, 5.0), np.arange(10) < 4, "log_normal", {}, "maximum"),
        (TEN, np.ones(10), "weibull", {"covariates": np.ones(10)}, "do not vary"),
        (TEN, np.ones(10), "weibull", {"covariates": np.column_stack([TEN, 2 * TEN])}, "collinear"),
        (TEN, TEN < 6, "log_logistic", {"covariates": (TEN < 6) * 1.0}, "events occur on one side"),
        (TEN, TEN < 6, "gompertz", {"covariates": (TEN < 6) * 2.0}, "no single finite maximum"),
        (np.append(0.0, TEN), np.ones(11), "weibull", {}, "not positive and finite"),
        (TEN, np.ones(10), "weibull", {"weights": np.zeros(10)}, "weights are not finite"),
        (TEN, np.ones(10), "weibull", {"entry": TEN}, "do not enter"),
        (TEN, np.ones(10), "weibull", {"cluster": np.zeros(10)}, "all rows are of one cluster"),
        ([3.0], [1], "weibull", {}, "all events happen at one time"),
        ([3.0, 4.0], [1, 1], "generalised_gamma", {}, "maximum"),
    ],
)
def test_what_cannot_be_fitted_is_refused(time, event, law, more, said):
    with pytest.raises(EstimationError) as refused:
        parametric_survival(time, event, law, **more)
    assert said in str(refused.value)


@pytest.mark.parametrize("seed", range(12))
def test_no_drawn_table_gives_a_number_that_is_none(seed):
    """Few rows, ties, heavy censoring: a fit is finite throughout, or refused."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 25))
    time = np.ceil(rng.exponential(3, n))
    event = rng.random(n) < rng.uniform(0.05, 1)
    for law in DISTRIBUTIONS:
        try:
            fit = parametric_survival(time, event, law, rng.integers(0, 2, n))
        except EstimationError:
            continue
        mean = fitted_mean(fit)
        numbers = [*fit.coef, *fit.std_error, fit.log_likelihood, *fit.survival([0, 1, 1e6])]
        numbers += [mean.estimate, mean.std_error] if mean else []
        assert np.isfinite(numbers).all()
        assert (fit.std_error > 0).all()


# ---- from a study


def lung():
    return shared_table("data/survival/lung.csv")


def test_groups_are_fitted_apart_and_compared():
    asked = {"method": "parametric_survival", "distribution": "gompertz", "horizon_days": 3000, "table_days": [300, 2000]}  # fmt: skip
    rows = results(lung(), LUNG, by="sex", **asked)
    for level in ("1", "2"):
        alone = results(lung().query(f"sex == {level}"), LUNG, **asked)
        for name in ("coefficient", "rmst", "mean", "median_survival", "aic", "survival"):
            mine = [r["estimate"] for r in some(rows, name, arm=level)]
            assert mine == [r["estimate"] for r in some(alone, name)]
    [difference] = some(rows, "rmst_difference")
    means = {row["arm"]: row for row in some(rows, "rmst")}
    assert difference["estimate"] == means["2"]["estimate"] - means["1"]["estimate"]
    assert difference["std_error"] == pytest.approx(np.hypot(means["1"]["std_error"], means["2"]["std_error"]))  # fmt: skip


def test_what_lies_beyond_the_follow_up_says_so():
    rows = results(
        lung(), LUNG, method="parametric_survival", distribution="weibull",
        table_days=[300, 1022, 1023], horizon_days=2000,
    )  # fmt: skip
    notes = {row["at"]: row["note"] for row in some(rows, "survival", term="table")}
    assert (notes[300], notes[1022]) == (None, None)
    assert notes[1023].startswith("extrapolated")
    assert max(r["at"] for r in some(rows, "survival", term="fitted")) <= 1022
    beyond = some(rows, "survival", term="extrapolated")
    assert min(r["at"] for r in beyond) > 1022
    assert max(r["at"] for r in beyond) == 2000
    assert some(rows, "rmst")[0]["note"].startswith("extrapolated")
    steps = some(rows, "survival", term="curve")
    theirs = some(results(lung(), LUNG, method="kaplan_meier"), "survival", term="curve")
    assert [r["estimate"] for r in steps] == [r["estimate"] for r in theirs]
    assert {r["method"] for r in steps} == {"kaplan_meier"}


def test_a_law_that_cannot_be_fitted_leaves_the_others():
    few = lung().head(60).assign(time=100.0, status=[2] * 30 + [1] * 30)
    rows = results(
        few, LUNG, method="parametric_survival", distributions=["exponential", "log_normal"]
    )
    failed = [row for row in rows if row["status"] == "not_estimable"]
    assert [(r["method"], r["estimate_name"]) for r in failed] == [("parametric_log_normal", "coefficient")]  # fmt: skip
    assert some(rows, "aic")[0]["method"] == "parametric_exponential"
    [row] = results(few.assign(status=1), LUNG, method="parametric_survival", distribution="weibull")[-1:]  # fmt: skip
    assert (row["status"], row["note"]) == (
        "not_estimable",
        "parametric_survival: no event occurred",
    )


def test_late_entry_and_weights_from_a_study():
    time, event, x, entry, weight = drawn()
    frame = lung().head(time.size).iloc[:, :0].reset_index(drop=True)
    frame = frame.reindex(range(time.size)).assign(
        t=time * 1000, e=event.astype(int), x=x[:, 0], s=entry * 1000, w=weight
    )
    source = {
        "roles": {"follow_up": {"column": "t", "unit": "days"}, "event": "e", "weight": "w", "entry": {"column": "s", "unit": "days"}},
        "columns": {"x": "number"},
    }  # fmt: skip
    rows = results(
        frame, source, method="parametric_survival", distribution="gompertz", terms="x", std_error="robust",
    )  # fmt: skip
    fit = parametric_survival(
        frame.t, frame.e, "gompertz", frame.x, weights=weight, robust=True, entry=frame.s
    )
    [ratio] = some(rows, "hazard_ratio")
    assert (ratio["estimate"], ratio["std_error"]) == pytest.approx((np.exp(fit.coef[1]), fit.std_error[1]))  # fmt: skip
    assert ratio["se_method"] == "robust"
    assert some(rows, "survival", term="curve") == []


# ---- coverage, a small part of tests/slow/test_coverage_parametric.py


def test_intervals_cover_the_truth():
    rng = np.random.default_rng(20)
    median = float(np.exp(1.0) * np.log(2) ** 0.7)
    inside = np.zeros(2)
    for _ in range(60):
        x = rng.integers(0, 2, 200)
        time = np.exp(1.0 + 0.5 * x + 0.7 * np.log(rng.exponential(size=200)))
        stop = rng.uniform(1, 8, 200)
        fit = parametric_survival(np.minimum(time, stop), time <= stop, "weibull", x)
        low, high = fit.interval
        found = fitted_quantile(fit.at([0.0]), 0.5)
        inside += [low[1] <= 0.5 <= high[1], found.ci_low <= median <= found.ci_high]
    assert (special.bdtr(inside, 60, 0.95) > 0.001).all()
    assert (inside < 60).all()
