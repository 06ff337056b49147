"""Cox models, concordance and tests of proportional hazards against R 4.2.2, survival 3.5-3.

All from ../shared/reference/stats_reference.json unless the recipe stands in the test:
    fit <- coxph(Surv(time, status) ~ age + sex + ph.ecog, data = lung, ties = "efron")
    summary(fit); concordance(fit); cox.zph(fit)
R stops Newton's method at a relative gain of 1e-9, which leaves about 1e-8 in a coefficient.
"""

import numpy as np
import pytest
from lifelines import CoxPHFitter

from tasks.core.errors import EstimationError
from tasks.stats.cox import (
    concordance,
    cox,
    linear_predictor,
    profile_likelihood_interval,
    proportional_hazards_test,
)
from tasks.stats.propensity import ate_weights, logistic
from tests.reference.data import PLACEBO, RELAPSED, WEEKS, age_weight, rossi
from tests.reference.shared import r_values, shared_table


def lung(*needed):
    table = shared_table("data/survival/lung.csv").dropna(subset=list(needed))
    return table, table.time, table.status == 2


def assert_fit(fit, values, rel=1e-7):
    assert fit.coef == pytest.approx(list(values["coef"].values()), rel=rel)
    assert fit.model_std_error == pytest.approx(list(values["se"].values()), rel=rel)
    assert np.exp(fit.ci_low) == pytest.approx(list(values["ci_lower"].values()), rel=rel)
    assert np.exp(fit.ci_high) == pytest.approx(list(values["ci_upper"].values()), rel=rel)
    assert fit.log_likelihood == pytest.approx(values["loglik"], rel=1e-10)
    assert fit.log_likelihood_null == pytest.approx(values["loglik_null"], rel=1e-10)
    assert fit.score_statistic == pytest.approx(values["score"]["test"], rel=1e-8)
    assert fit.likelihood_ratio == pytest.approx(values["lr_test"]["test"], rel=1e-8)
    assert fit.wald_statistic == pytest.approx(values["wald"]["test"], abs=0.0051)  # R prints 2
    assert (fit.n, fit.events) == (values["n"], values["nevent"])


def assert_zph(test, values, rel=1e-7):
    want = [row[0] for row in values["zph"].values()]
    assert [*test.statistic, test.global_statistic] == pytest.approx(want, rel=rel)
    assert [*test.df, test.global_df] == [row[1] for row in values["zph"].values()]
    p_values = [row[2] for row in values["zph"].values()]
    assert [*test.p_value, test.global_p_value] == pytest.approx(p_values, rel=1e-6)


def assert_concordance(got, values):
    assert got.estimate == pytest.approx(values["concordance"]["C"], rel=1e-10)
    assert got.std_error == pytest.approx(values["concordance"]["se(C)"], rel=1e-9)


@pytest.mark.parametrize("ties", ["efron", "breslow"])
def test_lung(ties):
    table, time, event = lung("ph.ecog")
    x = table[["age", "sex", "ph.ecog"]].to_numpy(float)
    values, fit = r_values(f"lung_cox_age_sex_ecog_{ties}"), cox(time, event, x, ties=ties)
    assert_fit(fit, values)
    assert_zph(proportional_hazards_test(time, event, x, ties=ties), values)
    assert_concordance(concordance(time, event, linear_predictor(fit.coef, x)), values)


def test_lung_strata():
    table, time, event = lung("inst")
    x = table[["age", "sex"]].to_numpy(float)
    values, fit = r_values("lung_cox_strata_inst"), cox(time, event, x, strata=table.inst)
    assert_fit(fit, values)
    assert_zph(proportional_hazards_test(time, event, x, strata=table.inst), values)
    score = linear_predictor(fit.coef, x)
    assert_concordance(concordance(time, event, score, strata=table.inst), values)


def test_lung_cluster():
    table, time, event = lung("inst", "ph.ecog")
    x = table[["age", "sex", "ph.ecog"]].to_numpy(float)
    values, fit = r_values("lung_cox_cluster_inst"), cox(time, event, x, cluster=table.inst)
    assert_fit(fit, values)
    assert fit.std_error == pytest.approx(list(values["robust_se"].values()), rel=1e-8)
    assert (fit.se_method, fit.n_clusters) == ("robust", table.inst.nunique())
    score = linear_predictor(fit.coef, x)
    assert_concordance(concordance(time, event, score, cluster=table.inst), values)


@pytest.mark.parametrize(("entry", "ties"), [("", "efron"), ("_breslow", "breslow")])
def test_veteran(entry, ties):
    t, values = shared_table("data/survival/veteran.csv"), r_values(f"veteran_cox{entry}")
    cells = [t.celltype == cell for cell in ("smallcell", "adeno", "large")]
    x = np.column_stack([t.trt, *cells, t.karno, t.diagtime, t.age, t.prior]).astype(float)
    fit = cox(t.time, t.status, x, ties=ties)
    assert_fit(fit, values)
    terms = [0, 1, 1, 1, 2, 3, 4, 5]
    assert_zph(proportional_hazards_test(t.time, t.status, x, ties=ties, terms=terms), values)
    assert_concordance(concordance(t.time, t.status, linear_predictor(fit.coef, x)), values)


def test_pbc():
    t = shared_table("data/survival/pbc.csv").dropna(subset=["protime"])
    values, event = r_values("pbc_cox"), t.status == 2
    logs = [np.log(t[name]) for name in ("bili", "protime", "albumin")]
    x = np.column_stack([t.age, t.edema, *logs])
    fit = cox(t.time, event, x)
    assert_fit(fit, values)
    assert_zph(proportional_hazards_test(t.time, event, x), values)
    assert_concordance(concordance(t.time, event, linear_predictor(fit.coef, x)), values)


def heart():
    """Stanford heart transplants: a row before and a row after the transplant."""
    t = shared_table("data/survival/heart.csv")
    return t, t.transplant.to_numpy(float)


def test_heart_in_intervals():
    t, transplant = heart()
    x = np.column_stack([t.age, t.surgery, transplant, t.age * transplant, t.surgery * transplant])
    values, fit = r_values("heart_td"), cox(t.stop, t.event, x, entry=t.start)
    assert_fit(fit, values)
    assert_zph(proportional_hazards_test(t.stop, t.event, x, entry=t.start), values)


@pytest.mark.parametrize("ties", ["efron", "breslow"])
def test_heart_without_interactions(ties):
    t, transplant = heart()
    x = np.column_stack([t.age, t.year, t.surgery, transplant])
    values, fit = r_values(f"heart_td_{ties}"), cox(t.stop, t.event, x, ties, entry=t.start)
    assert_fit(fit, values)
    assert_zph(proportional_hazards_test(t.stop, t.event, x, ties=ties, entry=t.start), values)


def test_pbc_trial_and_profile():
    """The Wald interval and the profile agree to 2 % in 125 deaths."""
    t, values = shared_table("data/survival/pbc.csv").head(312), r_values("pbc_trt")
    fit = cox(t.time, t.status == 2, t[["trt"]])
    assert_fit(fit, values)
    profile = profile_likelihood_interval(t.time, t.status == 2, t[["trt"]], 0)
    assert profile.implied_std_error == pytest.approx(fit.std_error[0], rel=0.02)


@pytest.mark.parametrize(
    ("ties", "coef", "std_error", "naive", "zph"),
    [
        ("efron", [0.012352689038542, -0.633358643025276, 0.451081834183467],
         [0.0104270335538639, 0.168543569826818, 0.125041435839017],
         [0.00811044742913123, 0.149579229129484, 0.100964210135911],
         [1.35104708249881, 3.87764192459911, 1.99033997441794, 6.94433420875571]),
        ("breslow", [0.0123244221059734, -0.632094040407338, 0.449788907342762],
         [0.0103980446559125, 0.168220729342923, 0.124872790235929],
         [0.0081109740748563, 0.14958248349371, 0.100957638556844],
         [1.35212033470533, 3.86810545403646, 1.99906039882052, 6.93533062941417]),
    ],
)  # fmt: skip
def test_lung_weighted_and_robust(ties, coef, std_error, naive, zph):
    """l <- subset(lung, !is.na(ph.ecog)); w <- 0.5 + (l$age %% 7) / 4
    f <- coxph(Surv(time, status) ~ age + sex + ph.ecog, l, weights = w, robust = TRUE,
               ties = ties, control = coxph.control(eps = 1e-12, toler.chol = 1e-14))
    coef(f); sqrt(diag(vcov(f))); sqrt(diag(f$naive.var)); cox.zph(f)$table[, 1]
    """
    table, time, event = lung("ph.ecog")
    x, w = table[["age", "sex", "ph.ecog"]], age_weight(table.age)
    fit = cox(time, event, x, ties=ties, weights=w, robust=True)
    assert fit.coef == pytest.approx(coef, rel=1e-11)
    assert fit.std_error == pytest.approx(std_error, rel=1e-11)
    assert fit.model_std_error == pytest.approx(naive, rel=1e-11)
    test = proportional_hazards_test(time, event, x, ties=ties, weights=w)
    assert [*test.statistic, test.global_statistic] == pytest.approx(zph, rel=1e-10)


@pytest.mark.parametrize(
    ("transform", "zph"),
    [
        ("rank", [0.117291506990152, 2.04469468023567, 2.54487839262557, 4.71068014128877]),
        ("identity", [0.15235031725392, 2.49191321710657, 1.57823523837676, 4.11938295147948]),
        ("log", [3.37363401074948, 2.0349368788848, 0.370496324776842, 5.38982142805895]),
    ],
)
def test_lung_transforms_of_time(transform, zph):
    """cox.zph(coxph(Surv(time, status) ~ age + sex + ph.ecog, lung), transform = transform)"""
    table, time, event = lung("ph.ecog")
    x = table[["age", "sex", "ph.ecog"]]
    test = proportional_hazards_test(time, event, x, transform=transform)
    assert [*test.statistic, test.global_statistic] == pytest.approx(zph, rel=1e-8)


def test_profile_with_other_covariates():
    """q <- subset(pbc, !is.na(protime)); f <- Surv(time, status == 2) ~ age + log(bili)
    pl <- function(b) coxph(update(f, ~ . + offset(b * edema)), q)$loglik[2]; uniroot()
    of twice its fall below the maximum less qchisq(.95, 1)
    """
    t = shared_table("data/survival/pbc.csv").dropna(subset=["protime"])
    x = np.column_stack([t.edema, t.age, np.log(t.bili)])
    got = profile_likelihood_interval(t.time, t.status == 2, x, 0)
    assert got.estimate == pytest.approx(1.39332102305042, rel=1e-10)
    assert got.ci_low == pytest.approx(0.876538616134577, rel=1e-8)
    assert got.ci_high == pytest.approx(1.88295728089647, rel=1e-8)


def test_nhefs_crude_and_weighted():
    """coxph(Surv(survtime, death) ~ qsmk, nhefs), and weights = sw, robust = TRUE, sw being
    stabilised weights of the propensity model of entry nhefs_ps in all 1,629 persons.
    """
    t, values = shared_table("data/causal/nhefs.csv"), r_values("nhefs_cox_ipw")
    months = np.where(t.death == 1, (t.yrdth.fillna(92) - 83) * 12 + t.modth, 120.0)
    fit = cox(months, t.death, t[["qsmk"]])
    assert fit.coef[0] == pytest.approx(values["crude"], rel=1e-7)
    assert fit.std_error[0] == pytest.approx(values["crude_se"], rel=1e-7)
    columns = [
        t.sex, t.race, t.age, t.age**2, *[t.education == k for k in (2, 3, 4, 5)],
        t.smokeintensity, t.smokeintensity**2, t.smokeyrs, t.smokeyrs**2,
        *[t.exercise == k for k in (1, 2)], *[t.active == k for k in (1, 2)], t.wt71, t.wt71**2,
    ]  # fmt: skip
    score = logistic(np.column_stack(columns).astype(float), t.qsmk).fitted
    weights = ate_weights(score, t.qsmk)
    fit = cox(months, t.death, t[["qsmk"]], weights=weights, robust=True)
    assert weights.max() == pytest.approx(values["sw_max"], rel=1e-9)
    assert fit.coef[0] == pytest.approx(values["ipw"], rel=1e-6)
    assert fit.std_error[0] == pytest.approx(values["ipw_robust_se"], rel=1e-8)
    assert fit.model_std_error[0] == pytest.approx(values["ipw_naive_se"], rel=1e-8)


def test_matched_pairs_as_strata():
    """With one binary covariate the hazard ratio is that of first events in discordant pairs."""
    rng = np.random.default_rng(7)
    pair, arm = np.repeat(np.arange(5000), 2), np.tile([0.0, 1.0], 5000)
    time = rng.exponential(np.where(arm == 1, 1.0, 2.0))
    fit = cox(time, np.ones(10_000), arm, strata=pair)
    first = int((time[1::2] < time[::2]).sum())
    assert fit.coef[0] == pytest.approx(np.log(first / (5000 - first)), rel=1e-9)
    assert fit.std_error[0] == pytest.approx((1 / first + 1 / (5000 - first)) ** 0.5, rel=1e-9)


def test_freireich_needs_no_shared_data():
    """library(survival); library(MASS); ctl <- coxph.control(eps = 1e-12, toler.chol = 1e-14)
    f <- coxph(Surv(time, cens) ~ treat, gehan, control = ctl); f$loglik; f$score
    concordance(f)[c("concordance", "var", "count")]; the same with ties = "breslow"
    profile: uniroot() of coxph(... ~ offset(b * (treat == "6-MP")))$loglik
    """
    x = PLACEBO[:, None]
    fit = cox(WEEKS, RELAPSED, x)
    assert fit.coef[0] == pytest.approx(1.57212514882907, rel=1e-11)
    assert fit.std_error[0] == pytest.approx(0.412396717709455, rel=1e-11)
    assert [fit.log_likelihood_null, fit.log_likelihood] == pytest.approx(
        [-93.1842699968477, -85.0084245773717], rel=1e-12
    )
    assert fit.score_statistic == pytest.approx(17.2465367957166, rel=1e-12)
    breslow = cox(WEEKS, RELAPSED, x, ties="breslow")
    assert breslow.coef[0] == pytest.approx(1.50919141258588, rel=1e-11)
    c = concordance(WEEKS, RELAPSED, PLACEBO)
    assert c.estimate == pytest.approx(0.690042075736325, rel=1e-12)
    assert c.std_error**2 == pytest.approx(0.0016921202238933, rel=1e-11)
    assert (c.concordant, c.discordant, c.tied_score) == (335, 64, 314)
    profile = profile_likelihood_interval(WEEKS, RELAPSED, x, 0)
    assert [profile.ci_low, profile.ci_high] == pytest.approx(
        [0.795059370303554, 2.43083310797641], rel=1e-9
    )


def test_rossi_plain():
    """f <- coxph(Surv(week, arrest) ~ fin + age + race + wexp + mar + paro + prio, rossi,
    control = ctl); summary(f)$concordance; cox.zph(f)$table[, 1]
    """
    r = rossi()
    x = r[["fin", "age", "race", "wexp", "mar", "paro", "prio"]].to_numpy(float)
    fit = cox(r.week, r.arrest, x)
    assert fit.coef == pytest.approx(
        [-0.37942216687121, -0.057437743013761, 0.3138997859493, -0.14979569722278,
         -0.43370387669025, -0.084871082990831, 0.091497079351121], rel=1e-11,
    )  # fmt: skip
    assert fit.std_error == pytest.approx(
        [0.19137948071281, 0.021999470627954, 0.30799277639294, 0.21222429615816,
         0.38186805746492, 0.19575667192092, 0.028648550073471], rel=1e-11,
    )  # fmt: skip
    c = concordance(r.week, r.arrest, linear_predictor(fit.coef, x))
    assert [c.estimate, c.std_error] == pytest.approx([0.64032924709971, 0.026658122772648])
    test = proportional_hazards_test(r.week, r.arrest, x)
    assert [*test.statistic, test.global_statistic] == pytest.approx(
        [0.062429750089376, 5.9739816611519, 2.0682653833547, 4.2245956386986,
         1.0110215645545, 0.018383299135841, 0.52058426700615, 17.6944152960279], rel=1e-9,
    )  # fmt: skip


def test_rossi_weights_strata_and_clusters_at_once():
    """coxph(Surv(week, arrest) ~ fin + age + prio + strata(wexp) + cluster(age), rossi,
    weights = 0.5 + (age %% 7) / 4, control = ctl); vcov; naive.var"""
    r = rossi()
    fit = cox(
        r.week, r.arrest, r[["fin", "age", "prio"]],
        weights=age_weight(r.age), cluster=r.age, strata=r.wexp,
    )  # fmt: skip
    assert fit.coef == pytest.approx(
        [-0.25402424206472, -0.062658427260499, 0.089063741185364], rel=1e-9
    )
    assert fit.std_error == pytest.approx(
        [0.18490868417025, 0.027712355456186, 0.032169233353689], rel=1e-9
    )
    assert fit.model_std_error == pytest.approx(
        [0.16024052430946, 0.019313255457063, 0.02465986679075], rel=1e-9
    )


def test_rossi_agrees_with_lifelines():
    r = rossi()
    theirs = CoxPHFitter().fit(r, "week", "arrest")
    fit = cox(r.week, r.arrest, r.drop(columns=["week", "arrest"]))
    assert fit.coef == pytest.approx(theirs.params_.to_numpy(), rel=1e-4)
    assert fit.std_error == pytest.approx(theirs.standard_errors_.to_numpy(), rel=1e-4)


@pytest.mark.parametrize(
    ("column", "reason"),
    [
        (np.full(42, 0.1), "1 .counted from 0. do not vary"),
        (2 * PLACEBO + 1, "0, 1 .counted from 0. are collinear"),
        (RELAPSED.astype(float), "monotone in covariate.s. 1"),
    ],
)
def test_covariates_that_cannot_be_fitted_are_named(column, reason):
    with pytest.raises(EstimationError, match=reason):
        cox(WEEKS, RELAPSED, np.column_stack([PLACEBO, column]))


def test_no_events_no_rows_no_columns():
    with pytest.raises(EstimationError, match="no event"):
        cox([1, 2], [0, 0], [[1], [2]])
    with pytest.raises(EstimationError, match="shape"):
        cox([1, 2], [0, 1], np.zeros((2, 0)))
    with pytest.raises(EstimationError, match="1 of 2 rows hold a missing"):
        cox([1, 2], [0, 1], [[1], [np.nan]])
    with pytest.raises(EstimationError, match="not a column"):
        profile_likelihood_interval(WEEKS, RELAPSED, PLACEBO, 1)
    with pytest.raises(EstimationError, match="choose one of"):
        proportional_hazards_test(WEEKS, RELAPSED, PLACEBO, transform="sqrt")
