"""Linear, logistic and count models against R, NIST, published prints and statsmodels.

NHEFS and lalonde: numbers of ../shared/reference/stats_reference.json (R 4.2.2), such as
    lm(re78 ~ treat + age + educ + race + married + nodegree + re74 + re75, data = lalonde)
Longley: the certified values of NIST StRD. cpunish: Gill (2000) as R's glm(family = poisson)
gives it. quine: summary(MASS::glm.nb(Days ~ Eth + Sex + Age + Lrn, data = quine)).
"""

import math

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
import statsmodels.datasets as shipped

from tasks.core.errors import EstimationError
from tasks.stats.glm import glm, negative_binomial
from tasks.stats.sandwich import (
    cluster_covariance,
    heteroskedastic_covariance,
    newey_west_covariance,
)
from tests.reference.outcome_data import quine_design, repeated
from tests.reference.shared import r_values, shared_table
from tests.reference.test_registry_tables import results, some


def errors(matrix):
    return np.sqrt(np.diag(matrix))


def category(frame, *names):
    return {name: {"category": sorted(frame[name].astype(str).unique())} for name in names}


def assert_term(rows, term, values):
    [row] = some(rows, "coefficient", term=term)
    assert row["estimate"] == pytest.approx(values["est"], rel=1e-6)
    assert row["std_error"] == pytest.approx(values["se"], rel=1e-6)
    return row


def test_lalonde():
    data = shared_table("data/causal/lalonde.csv")
    numbers = dict.fromkeys(
        ("age", "educ", "married", "nodegree", "re74", "re75", "re78"), "number"
    )
    source = {"roles": {"outcome": "re78"}, "columns": numbers | category(data, "treat", "race")}
    linear = {"method": "linear", "interval": "z"}
    row = assert_term(
        results(data, source, terms="treat", **linear), "treat=1", r_values("lalonde_crude")
    )
    assert row["ci_low"] == pytest.approx(r_values("lalonde_crude")["lo"], abs=0.05)
    terms = "treat + age + educ + race + married + nodegree + re74 + re75"
    row = assert_term(
        results(data, source, terms=terms, **linear), "treat=1", r_values("lalonde_ols")
    )
    assert row["ci_high"] == pytest.approx(r_values("lalonde_ols")["hi"], abs=0.05)


NHEFS = "sex + race + age + age^2 + education + smokeintensity + smokeintensity^2 + smokeyrs"
NHEFS += " + smokeyrs^2 + exercise + active + wt71 + wt71^2"


def nhefs(file):
    data = shared_table(f"data/causal/{file}.csv")
    numbers = ("wt82_71", "age", "wt71", "smokeintensity", "smokeyrs")
    columns = dict.fromkeys(numbers, "number")
    columns |= category(data, "qsmk", "sex", "race", "education", "exercise", "active")
    return data, {"roles": {"outcome": "wt82_71"}, "columns": columns}


def test_nhefs():
    data, source = nhefs("nhefs")
    assert_term(
        results(data, source, method="linear", terms="qsmk"), "qsmk=1", r_values("nhefs_crude")
    )
    data, source = nhefs("nhefs_complete")
    rows = results(data, source, method="linear", terms=f"qsmk + {NHEFS}")
    row = assert_term(rows, "qsmk=1", r_values("nhefs_outcome_reg"))
    assert (row["ci_method"], row["df2"]) == ("wald t", 1566 - 20)


def weighted_nhefs():
    """Inverse probability of what each person did, by the model of What If, section 12.2."""
    data, source = nhefs("nhefs_complete")
    parts = [data[["sex", "race", "age", "smokeintensity", "smokeyrs", "wt71"]]]
    parts += [data[["age", "smokeintensity", "smokeyrs", "wt71"]] ** 2]
    parts += [
        pd.get_dummies(data[name], drop_first=True) for name in ("education", "exercise", "active")
    ]
    score = glm(np.column_stack(parts).astype(float), data.qsmk, "binomial").fitted
    data["w"] = np.where(data.qsmk == 1, 1 / score, 1 / (1 - score))
    return data, source | {"roles": {"outcome": "wt82_71", "weight": "w"}}


def test_nhefs_by_weighting_is_robust_lm_and_geeglm():
    data, source = weighted_nhefs()
    linear = {"method": "linear", "terms": "qsmk", "std_error": "robust", "interval": "z"}
    row = assert_term(results(data, source, **linear), "qsmk=1", r_values("nhefs_ipw_ate"))
    assert row["se_method"] == "HC0"
    assert "sampling" in row["note"]
    gee = {"method": "gee", "terms": "qsmk", "family": "gaussian", "cluster": "seqn"}
    rows = results(data, source, correlation="independence", **gee)
    assert assert_term(rows, "qsmk=1", r_values("nhefs_ipw_gee"))["n_clusters"] == 1566


LONGLEY = {  # NIST StRD, linear least squares, Longley
    "intercept": (-3482258.63459582, 890420.383607373), "GNPDEFL": (15.0618722713733, 84.9149257747669),
    "GNP": (-0.358191792925910e-01, 0.334910077722432e-01), "UNEMP": (-2.02022980381683, 0.488399681651699),
    "ARMED": (-1.03322686717359, 0.214274163161675), "POP": (-0.511041056535807e-01, 0.226073200069370),
    "YEAR": (1829.15146461355, 455.478499142212),
}  # fmt: skip


def test_longley_as_certified():
    data = shipped.longley.load_pandas().data
    source = {"roles": {"outcome": "TOTEMP"}, "columns": dict.fromkeys(data.columns, "number")}
    rows = results(
        data, source, method="linear", terms="GNPDEFL + GNP + UNEMP + ARMED + POP + YEAR"
    )
    for term, (coef, error) in LONGLEY.items():
        [row] = some(rows, "coefficient", term=term)
        assert (row["estimate"], row["std_error"]) == pytest.approx((coef, error), rel=1e-7)


def drawn():
    data = repeated()
    return data, sm.add_constant(data[["x", "arm"]].to_numpy(dtype=float))


@pytest.mark.parametrize("weighted", [False, True])
def test_robust_errors_of_a_linear_model(weighted):
    data, x = drawn()
    w = data.weight if weighted else np.ones(len(data))
    fit, model = glm(x[:, 1:], data.number, weights=w), sm.WLS(data.number, x, weights=w)
    for kind in ("HC0", "HC1", "HC2", "HC3"):
        want = getattr(model.fit(), f"{kind}_se")
        assert errors(heteroskedastic_covariance(fit, kind).matrix) == pytest.approx(
            want, rel=1e-10
        )
    kept = {"groups": data.person}
    want = model.fit(cov_type="cluster", cov_kwds=kept).bse
    assert errors(cluster_covariance(fit, data.person, "CR1S").matrix) == pytest.approx(
        want, rel=1e-10
    )
    plain = model.fit(cov_type="cluster", cov_kwds=kept | {"use_correction": False}).bse
    found = [errors(cluster_covariance(fit, data.person, kind).matrix) for kind in ("CR0", "CR1")]
    assert found[0] == pytest.approx(plain, rel=1e-10)
    assert found[1] == pytest.approx(plain * math.sqrt(50 / 49), rel=1e-10)


def test_newey_west():
    data, x = drawn()
    want = sm.OLS(data.number, x).fit(
        cov_type="HAC", cov_kwds={"maxlags": 4, "use_correction": True}
    )
    fit, time = glm(x[:, 1:], data.number), np.arange(len(data))
    assert errors(newey_west_covariance(fit, time, 4).matrix) == pytest.approx(want.bse, rel=1e-10)


FAMILIES = {
    "binomial": ("yes", sm.families.Binomial()),
    "poisson": ("count", sm.families.Poisson()),
}


@pytest.mark.parametrize("family", FAMILIES)
def test_robust_errors_of_logistic_and_poisson_models(family):
    """R's working weights are one step old, those of statsmodels are not: 1e-4 apart."""
    data, x = drawn()
    name, theirs = FAMILIES[family]
    fit, model = glm(x[:, 1:], data[name], family), sm.GLM(data[name], x, family=theirs)
    plain = model.fit(tol=1e-12)
    assert fit.coef == pytest.approx(plain.params, rel=1e-6)
    assert fit.log_likelihood == pytest.approx(plain.llf, rel=1e-10)
    assert fit.log_likelihood_null == pytest.approx(plain.llnull, rel=1e-10)
    assert errors(fit.covariance) == pytest.approx(plain.bse, rel=1e-4)
    robust = model.fit(cov_type="HC0").bse
    assert errors(heteroskedastic_covariance(fit).matrix) == pytest.approx(robust, rel=1e-4)
    clustered = model.fit(cov_type="cluster", cov_kwds={"groups": data.person}).bse
    found = errors(cluster_covariance(fit, data.person, "CR1S").matrix)
    assert found == pytest.approx(clustered, rel=1e-4)


CPUNISH = [  # coef and se
    (-6.801480, 4.146850), (2.611017e-04, 5.187132e-05), (7.781801e-02, 7.940193e-02),
    (-9.493111e-02, 2.291926e-02), (2.969349e-01, 4.375164e-01), (2.301183, 4.283826e-01),
    (-1.872207e01, 4.283961),
]  # fmt: skip


def test_poisson_as_gill_prints_it():
    data = shipped.cpunish.load_pandas().data
    data["VC100k96"] = np.log(data["VC100k96"])
    fit = glm(data.drop(columns="EXECUTIONS"), data.EXECUTIONS, "poisson")
    assert fit.coef == pytest.approx([coef for coef, _ in CPUNISH], rel=1e-6)
    assert errors(fit.covariance) == pytest.approx([error for _, error in CPUNISH], rel=1e-6)


QUINE = [  # coef and se as printed
    (2.89458, 0.22842), (-0.56937, 0.15333), (0.08232, 0.15992), (-0.44843, 0.23975),
    (0.08808, 0.23619), (0.35690, 0.24832), (0.29211, 0.18647),
]  # fmt: skip


def test_negative_binomial_as_mass_prints_it():
    x, days = quine_design()
    fit = negative_binomial(x, days)
    assert fit.coef == pytest.approx([coef for coef, _ in QUINE], abs=5.1e-6)
    assert errors(fit.covariance) == pytest.approx([error for _, error in QUINE], abs=5.1e-6)
    assert (fit.theta, fit.theta_std_error) == pytest.approx((1.275, 0.161), abs=5.1e-4)
    assert 2 * fit.log_likelihood == pytest.approx(-1093.151, abs=5.1e-4)


def test_negative_binomial_with_exposure_is_that_of_statsmodels():
    data, x = drawn()
    fit = negative_binomial(x[:, 1:], data["count"], offset=np.log(data.years))
    want = sm.NegativeBinomial(data["count"], x, offset=np.log(data.years)).fit(disp=0, maxiter=200)
    assert fit.coef == pytest.approx(want.params[:-1], abs=1e-4)
    assert 1 / fit.theta == pytest.approx(want.params.iloc[-1], rel=1e-4)
    assert fit.log_likelihood == pytest.approx(want.llf, rel=1e-9)


def test_the_same_bits_for_any_order_of_rows():
    data, x = drawn()
    shuffle = np.random.default_rng(5).permutation(len(data))
    for fit in (
        lambda m: glm(x[m, 1:], data.number.to_numpy()[m], weights=data.weight.to_numpy()[m]),
        lambda m: negative_binomial(x[m, 1:], data["count"].to_numpy()[m]),
    ):
        one, other = fit(np.arange(len(data))), fit(shuffle)
        assert (one.coef == other.coef).all()
        assert (one.bread == other.bread).all()
        assert one.log_likelihood == other.log_likelihood


ONES, HALF = np.ones(8), np.arange(8) % 2.0
DEGENERATE = [
    (lambda: glm(HALF, ONES), "one value"),
    (lambda: glm(HALF, HALF), "without any residual"),
    (lambda: glm(ONES, np.arange(8.0)), "do not vary"),
    (lambda: glm(np.column_stack([HALF, 2 * HALF]), np.arange(8.0)), "collinear"),
    (lambda: glm(np.eye(8), np.arange(8.0)), "8 rows for 9"),
    (lambda: glm(HALF, HALF, "binomial"), "infinity|separate"),
    (lambda: glm(HALF, 2 * HALF, "binomial"), "not 0 or 1"),
    (lambda: glm(HALF, HALF - 1, "poisson"), "negative or not whole"),
    (lambda: glm(HALF, 0 * HALF, "poisson"), "one value"),
    (lambda: glm(HALF, 3 * HALF, "poisson"), "infinity|separate"),
    (lambda: glm(HALF, np.array([1, 2, np.nan] * 2 + [1, 2])), "not finite"),
    (lambda: glm(HALF, np.arange(8.0), weights=0 * ONES), "not finite and positive"),
    (lambda: negative_binomial(HALF, ONES + HALF), "vary no more"),
    (lambda: cluster_covariance(glm(HALF, np.arange(8.0)), ONES), "1 cluster"),
    (lambda: heteroskedastic_covariance(glm(np.eye(8)[0], np.arange(8.0) ** 2), "HC3"), "one row"),
]  # fmt: skip


@pytest.mark.parametrize(("make", "told"), DEGENERATE)
def test_degenerate_data_are_refused_with_the_reason(make, told):
    with pytest.raises(EstimationError, match=told):
        make()


COLUMNS = {"x": "number", "arm": {"category": ["0", "1"]}, "years": "number", "visit": "number"}


def source(outcome, **roles):
    columns = COLUMNS if outcome == "yes" else COLUMNS | {outcome: "number"}
    return {"roles": {"outcome": outcome, **roles}, "columns": columns}


def test_a_study_asks_for_clustered_logistic_errors():
    data, x = drawn()
    rows = results(data, source("yes"), method="logistic", terms="x + arm", cluster="person")
    [row] = some(rows, "odds_ratio", term="arm=1")
    fit = glm(x[:, 1:], data.yes, "binomial")
    want = errors(cluster_covariance(fit, data.person, "CR1").matrix)[2]
    assert (row["estimate"], row["std_error"]) == pytest.approx((math.exp(fit.coef[2]), want))
    assert (row["se_method"], row["n_clusters"]) == ("CR1", 50)


def test_weights_of_a_study_are_counts_or_samples_as_it_says():
    """Rows written twice are rows of weight 2 for the model; for the robust error one row."""
    data, _ = drawn()
    data["w"] = 2
    terms = {"method": "logistic", "terms": "x"}
    twice = some(results(pd.concat([data, data]), source("yes"), **terms), "odds_ratio")[0]
    counted = some(
        results(data, source("yes", weight="w"), std_error="model", **terms), "odds_ratio"
    )[0]
    sampled = some(
        results(data, source("yes", weight="w"), std_error="robust", **terms), "odds_ratio"
    )[0]
    once = some(results(data, source("yes"), std_error="robust", **terms), "odds_ratio")[0]
    assert counted["std_error"] == pytest.approx(twice["std_error"], rel=1e-4)
    assert sampled["std_error"] == pytest.approx(once["std_error"], rel=1e-4)
    assert ("numbers of persons" in counted["note"], "sampling" in sampled["note"]) == (True, True)


def test_a_study_of_counts_has_rate_ratios_by_exposure():
    data, x = drawn()
    fit = glm(x[:, 1:], data["count"], "poisson", offset=np.log(data.years))
    asked = {"terms": "x + arm", "exposure": "years"}
    rows = results(data, source("count"), method="poisson", std_error="robust", hc="HC1", **asked)
    [row] = some(rows, "rate_ratio", term="x")
    assert row["estimate"] == pytest.approx(math.exp(fit.coef[1]))
    assert row["std_error"] == pytest.approx(
        errors(heteroskedastic_covariance(fit, "HC1").matrix)[1]
    )
    assert row["n_events"] == int((data["count"] > 0).sum())
    [pearson] = some(rows, "test")
    assert pearson["estimate"] == pytest.approx(fit.dispersion)
    rows = results(data, source("count"), method="negative_binomial", **asked)
    [theta] = some(rows, "coefficient", term="theta")
    fit = negative_binomial(x[:, 1:], data["count"], offset=np.log(data.years))
    assert (theta["estimate"], theta["std_error"]) == pytest.approx(
        (fit.theta, fit.theta_std_error)
    )


def test_events_of_person_time_have_the_rate_ratio_of_two_rates():
    """One binary term: events over person-time, and the closed error of the log ratio."""
    data, _ = drawn()
    roles = {"follow_up": {"column": "years", "unit": "years"}, "event": "yes"}
    table = {"roles": roles, "columns": {"arm": {"category": ["0", "1"]}}}
    [row] = some(results(data, table, method="poisson", terms="arm"), "rate_ratio")
    one, other = (data[data.arm == k] for k in (1, 0))
    ratio = one.yes.sum() / one.years.sum() / (other.yes.sum() / other.years.sum())
    assert row["estimate"] == pytest.approx(ratio, rel=1e-6)
    error = math.sqrt(1 / one.yes.sum() + 1 / other.yes.sum())
    assert row["std_error"] == pytest.approx(error, rel=1e-4)


def test_an_outcome_of_0_and_1_has_risk_ratios():
    """Zou (2004): with one binary term the robust Poisson error is that of the log risk ratio."""
    data, _ = drawn()
    rows = results(data, source("yes"), method="poisson", terms="arm", std_error="robust")
    [row] = some(rows, "risk_ratio")
    (p, n), (q, m) = ((g.yes.mean(), len(g)) for g in (data[data.arm == 1], data[data.arm == 0]))
    assert row["estimate"] == pytest.approx(p / q, rel=1e-6)
    assert row["std_error"] == pytest.approx(
        math.sqrt((1 - p) / (p * n) + (1 - q) / (q * m)), rel=1e-4
    )


def test_a_study_that_cannot_be_estimated_says_why():
    data, _ = drawn()
    data["number"] = 3
    [row] = some(results(data, source("number"), method="linear", terms="x"), "coefficient")
    assert (row["status"], "one value" in row["note"]) == ("not_estimable", True)
    data["count"] = 0.5
    [row] = some(results(data, source("count"), method="poisson", terms="x"), "rate_ratio")
    assert "not whole" in row["note"]
