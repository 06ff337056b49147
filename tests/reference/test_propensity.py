"""Propensity scores, weights, balance and weighted effects against R 4.2.2.

All from ../shared/reference/stats_reference.json unless the recipe stands in the test:
    glm(treat ~ age + educ + race + married + nodegree + re74 + re75, binomial, lalonde)
    m <- lm(wt82_71 ~ qsmk, nhefs, weights = w); sandwich::vcovHC(m, type = "HC0")
"""

import numpy as np
import pytest

from tasks.core.errors import EstimationError
from tasks.stats.effects import weighted_mean_difference
from tasks.stats.propensity import (
    area_under_curve,
    ate_weights,
    att_weights,
    effective_sample_size,
    equipoise,
    logistic,
    match_nearest,
    overlap_weights,
    standardised_mean_difference,
    within_bounds,
)
from tests.reference.data import age_weight, rossi
from tests.reference.shared import r_values, shared_table


def lalonde():
    t = shared_table("data/causal/lalonde.csv")
    races = [t.race == race for race in ("black", "hispan")]
    x = np.column_stack([t.age, t.educ, *races, t.married, t.nodegree, t.re74, t.re75])
    return t, logistic(x.astype(float), t.treat)


def nhefs():
    t = shared_table("data/causal/nhefs_complete.csv")
    columns = [
        t.sex, t.race, t.age, t.age**2, *[t.education == k for k in (2, 3, 4, 5)],
        t.smokeintensity, t.smokeintensity**2, t.smokeyrs, t.smokeyrs**2,
        *[t.exercise == k for k in (1, 2)], *[t.active == k for k in (1, 2)], t.wt71, t.wt71**2,
    ]  # fmt: skip
    return t, logistic(np.column_stack(columns).astype(float), t.qsmk)


def assert_effect(outcome, treated, weights, values, rel=1e-8):
    got = weighted_mean_difference(outcome, treated, weights)
    assert got.estimate == pytest.approx(values["est"], rel=rel)
    assert got.std_error == pytest.approx(values["se"], rel=rel)


def test_lalonde_score_and_effects():
    t, fit = lalonde()
    values = r_values("lalonde_ps")
    assert fit.coef == pytest.approx(list(values["coef"].values()), rel=1e-10)
    assert fit.std_error == pytest.approx(list(values["se"].values()), rel=1e-10)
    weights = ate_weights(fit.fitted, t.treat, stabilised=False)
    assert_effect(t.re78, t.treat, weights, r_values("lalonde_ipw_ate"))
    weights = att_weights(fit.fitted, t.treat)
    assert_effect(t.re78, t.treat, weights, r_values("lalonde_ipw_att"))


def test_lalonde_att_of_weightit():
    """WeightIt README: effective sample 99.82 of the controls, age from -0.3094 to 0.1188 in
    units of the treated's standard deviation."""
    t, fit = lalonde()
    weights = att_weights(fit.fitted, t.treat)
    assert round(effective_sample_size(weights[t.treat == 0]), 2) == 99.82
    arms = [t.age[t.treat == arm].to_numpy(float) for arm in (1, 0)]
    pooled = np.sqrt((arms[0].var(ddof=1) + arms[1].var(ddof=1)) / 2) / arms[0].std(ddof=1)
    smd = [standardised_mean_difference(t[["age"]], t.treat, w)[0] for w in (None, weights)]
    assert [round(s * pooled, 4) for s in smd] == [-0.3094, 0.1188]


def test_nhefs_score():
    _, fit = nhefs()
    values = r_values("nhefs_ps")
    assert fit.coef == pytest.approx(list(values["coef"].values()), rel=1e-10)
    assert fit.std_error == pytest.approx(list(values["se"].values()), rel=1e-10)
    assert fit.log_likelihood == pytest.approx(values["logLik"], rel=1e-12)
    assert fit.fitted.min() == pytest.approx(values["min"], rel=1e-10)
    assert fit.fitted.max() == pytest.approx(values["max"], rel=1e-10)


def test_nhefs_weights_and_effects():
    t, fit = nhefs()
    plain, values = ate_weights(fit.fitted, t.qsmk, stabilised=False), r_values("nhefs_ipw_ate")
    assert [plain.mean(), plain.min(), plain.max()] == pytest.approx(
        [values[f"w_{name}"] for name in ("mean", "min", "max")], rel=1e-9
    )
    ess = [effective_sample_size(plain[t.qsmk == arm]) for arm in (1, 0)]
    assert ess == pytest.approx(values["ess"], rel=1e-9)
    assert_effect(t.wt82_71, t.qsmk, plain, values)
    stable, values = ate_weights(fit.fitted, t.qsmk), r_values("nhefs_sw_ate")
    assert [stable.mean(), stable.min(), stable.max()] == pytest.approx(
        [values[name] for name in ("mean", "min", "max")], rel=1e-9
    )
    assert_effect(t.wt82_71, t.qsmk, stable, values)
    assert_effect(t.wt82_71, t.qsmk, att_weights(fit.fitted, t.qsmk), r_values("nhefs_att"))
    overlap = overlap_weights(fit.fitted, t.qsmk)
    assert_effect(t.wt82_71, t.qsmk, overlap, r_values("nhefs_overlap"))


def test_nhefs_balance():
    t, fit = nhefs()
    values = r_values("nhefs_smd")
    weights = ate_weights(fit.fitted, t.qsmk, stabilised=False)
    x = t[list(values)]
    before = standardised_mean_difference(x, t.qsmk)
    after = standardised_mean_difference(x, t.qsmk, weights)
    assert before == pytest.approx([row["unw"] for row in values.values()], rel=1e-9)
    assert after == pytest.approx([row["ipw"] for row in values.values()], rel=1e-8)


def test_overlap_weights_balance_exactly():
    """Li, Morgan & Zaslavsky (2018), theorem 3: no difference of means is left at all."""
    r = rossi()
    x = r[["age", "race", "wexp", "mar", "prio"]]
    fit = logistic(x, r.fin)
    left = standardised_mean_difference(x, r.fin, overlap_weights(fit.fitted, r.fin))
    assert left == pytest.approx(np.zeros(5), abs=1e-8)


def test_weighted_logistic_needs_no_shared_data():
    """glm(fin ~ age + race + prio, binomial, rossi, weights = 0.5 + (age %% 7) / 4)"""
    r = rossi()
    fit = logistic(r[["age", "race", "prio"]], r.fin, weights=age_weight(r.age))
    assert fit.coef == pytest.approx(
        [-0.91370389816612, 0.021355489287185, 0.33296518459485, 0.017522650900512], rel=1e-9
    )
    assert fit.std_error == pytest.approx(
        [0.45553956836286, 0.014624273837526, 0.26209314397996, 0.029969182113487], rel=1e-9
    )
    assert fit.fitted == pytest.approx(1 / (1 + np.exp(-fit.linear_predictor)))


def test_c_statistic_and_equipoise_by_hand():
    ps, treated = np.array([0.2, 0.5, 0.5, 0.8]), np.array([0, 0, 1, 1])
    assert area_under_curve(ps, treated) == pytest.approx(3.5 / 4)
    assert equipoise(ps, treated) == 0.5
    assert within_bounds(ps, 0.5, 0.9).tolist() == [False, True, True, True]


def test_smd_of_binary_columns():
    x, treated = np.array([[1.0], [0], [1], [1], [0], [0]]), [1, 1, 1, 0, 0, 0]
    gap, p = 1 / 3, 2 / 3
    bernoulli = standardised_mean_difference(x, treated, binary_variance="bernoulli")[0]
    assert bernoulli == pytest.approx(gap / np.sqrt(p * (1 - p)))
    sample = standardised_mean_difference(x, treated)[0]
    assert sample == pytest.approx(gap / np.sqrt(p * (1 - p) * 3 / 2))


def test_smd_of_constant_columns():
    x = np.array([[1.0, 2], [1, 2], [1, 3], [1, 3]])
    got = standardised_mean_difference(x, [1, 1, 0, 0])
    assert got[0] == 0
    assert np.isnan(got[1])


def test_separation_and_collinearity_are_named():
    x = np.column_stack([np.arange(20.0) % 7, np.arange(20.0)])
    with pytest.raises(EstimationError, match="monotone in covariate"):
        logistic(x, np.arange(20) >= 10)
    with pytest.raises(EstimationError, match="collinear"):
        logistic(np.column_stack([x, x.sum(axis=1)]), np.arange(20) % 2)
    with pytest.raises(EstimationError, match="do not vary"):
        logistic(np.column_stack([x, np.full(20, 0.1)]), np.arange(20) % 2)
    quasi = (np.arange(20) % 3 == 0).astype(float)
    with pytest.raises(EstimationError, match="monotone"):
        logistic(quasi, (quasi == 1) | (np.arange(20) % 2 == 0))


def test_unusable_scores_are_refused():
    with pytest.raises(EstimationError, match="1 of 2 scores"):
        ate_weights([0.5, 1.0], [0, 1])
    with pytest.raises(EstimationError, match="0 of 2 persons"):
        att_weights([0.5, 0.5], [0, 0])
    with pytest.raises(EstimationError, match="repeat"):
        match_nearest([0.0, 1], [0, 1], order=[1, 1])
    with pytest.raises(EstimationError, match="low < high"):
        within_bounds([0.5], 0.9, 0.1)


def test_matching_takes_the_closest_pair_first():
    """0.5 loses its nearest control, 0.3, to 0.36, and then takes 0.1, not 1.4."""
    logit = np.array([0.36, 0.1, 0.3, 0.5, 1.4])
    got = match_nearest(logit, [1, 0, 0, 1, 0], caliper_sd=5)
    assert got.treated.tolist() == [0, 3]
    assert got.control.tolist() == [2, 1]
    assert got.distance == pytest.approx([0.06, 0.4])


def test_matched_pairs_of_lalonde_lie_inside_the_caliper():
    t, fit = lalonde()
    got = match_nearest(fit.linear_predictor, t.treat)
    assert (got.distance <= got.caliper).all()
    assert np.unique(np.concatenate([got.treated, got.control])).size == 2 * got.treated.size
    assert t.treat.to_numpy()[got.treated].all()
    assert not t.treat.to_numpy()[got.control].any()
