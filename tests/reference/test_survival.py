"""Kaplan-Meier, quantiles, restricted means and log-rank tests against R 4.2.2, survival 3.5-3.

All from ../shared/reference/stats_reference.json unless the recipe stands in the test:
    survfit(Surv(time, status) ~ 1, data = lung, conf.type = ...)
    summary(fit, times = ...); quantile(fit); summary(fit, rmean = 730)$table
    survdiff(Surv(time, status) ~ sex, data = lung, rho = 0)
"""

import numpy as np
import pytest

from tasks.core.errors import EstimationError
from tasks.stats.survival import (
    kaplan_meier,
    log_rank,
    median_survival,
    n_at_risk_at,
    restricted_mean,
    restricted_mean_difference,
    risk_difference,
    risk_ratio,
    survival_at,
    survival_quantile,
)
from tests.reference.data import (
    PLACEBO,
    RELAPSED,
    RELAPSED_6MP,
    WEEKS,
    WEEKS_6MP,
    WEEKS_PLACEBO,
    age_weight,
    rossi,
)
from tests.reference.shared import r_values, shared_table

QUANTILES = {"25": 0.25, "50": 0.5, "75": 0.75}


def lung():
    table = shared_table("data/survival/lung.csv")
    return table, table.time.to_numpy(float), (table.status == 2).to_numpy()


def assert_reads_as(curve, rows, rel=1e-10):
    got = survival_at(curve, [row["time"] for row in rows])
    for ours, theirs in [
        (got.n_at_risk, "n.risk"),
        (got.estimate, "surv"),
        (got.std_error, "std.err"),
        (got.ci_low, "lower"),
        (got.ci_high, "upper"),
    ]:
        assert ours == pytest.approx([row[theirs] for row in rows], rel=rel), theirs


def assert_quantiles(curve, values, arm=None):
    table = {k: values["quantiles"][k] for k in ("quantile", "lower", "upper")}
    table = {k: v if arm is None else v[arm] for k, v in table.items()}
    for name, probability in QUANTILES.items():
        got = survival_quantile(curve, probability)
        want = [table[k][name] for k in ("quantile", "lower", "upper")]
        assert [got.estimate, got.ci_low, got.ci_high] == want, name


@pytest.mark.parametrize("conf_type", ["log", "log-log", "plain", "logit", "arcsin"])
def test_lung_curve_and_quantiles(conf_type):
    _, time, event = lung()
    values = r_values(f"lung_km_all_{conf_type}")
    curve = kaplan_meier(time, event, conf_type=conf_type)
    assert_reads_as(curve, values["at_times"])
    assert_quantiles(curve, values)


@pytest.mark.parametrize(
    ("entry", "file", "group", "event_code", "unit", "people"),
    [
        ("lung_km_sex", "lung", "sex", 2, 1.0, 228),
        ("veteran_km_trt", "veteran", "trt", 1, 1.0, 137),
        ("pbc_km_trt", "pbc", "trt", 2, 365.25, 312),
    ],
)
def test_curves_and_restricted_means_by_arm(entry, file, group, event_code, unit, people):
    table, values = shared_table(f"data/survival/{file}.csv").head(people), r_values(entry)
    for level in (1, 2):
        arm, name = table[table[group] == level], f"{group}={level}"
        time, event = arm.time.to_numpy(float) / unit, (arm.status == event_code).to_numpy()
        curve = kaplan_meier(time, event, conf_type="log")
        assert_reads_as(curve, [row for row in values["at_times"] if row["strata"] == name])
        assert_quantiles_close(curve, values, name)
        mean = restricted_mean(time, event, values["rmst_tau"])
        want = values["rmst"][name]
        assert mean.estimate == pytest.approx(want["rmean"], rel=1e-10)
        assert mean.std_error == pytest.approx(want["se(rmean)"], rel=1e-10)


def assert_quantiles_close(curve, values, arm):
    for name, probability in QUANTILES.items():
        got = survival_quantile(curve, probability)
        for ours, key in zip(
            (got.estimate, got.ci_low, got.ci_high), ("quantile", "lower", "upper"), strict=True
        ):
            want = values["quantiles"][key][arm][name]
            assert (ours is None) == (want is None), (arm, name, key)
            assert want is None or ours == pytest.approx(want, rel=1e-10)


def test_survrm2_vignette():
    """survRM2 vignette: pbc, tau 10 years, difference of restricted means p = 0.738."""
    table = shared_table("data/survival/pbc.csv").head(312)
    arms = [table[table.trt == level] for level in (1, 2)]
    means = [restricted_mean(a.time / 365.25, a.status == 2, 10) for a in arms]
    assert [round(m.estimate, 3) for m in means] == [7.146, 7.283]
    assert [round(m.std_error, 3) for m in means] == [0.283, 0.295]
    assert round(restricted_mean_difference(*means).p_value, 3) == 0.738


@pytest.mark.parametrize(
    ("entry", "rho", "stratified"),
    [("lung_logrank_sex", 0, False), ("lung_peto_sex", 1, False),
     ("lung_logrank_strat_inst", 0, True)],
)  # fmt: skip
def test_lung_log_rank(entry, rho, stratified):
    table, _, _ = lung()
    table = table.dropna(subset=["inst"]) if stratified else table
    strata = table.inst if stratified else None
    got = log_rank(table.time, table.status == 2, table.sex, strata=strata, rho=rho)
    assert_test(got, r_values(entry))


@pytest.mark.parametrize(
    ("entry", "group"), [("veteran_logrank", "trt"), ("veteran_logrank_cell", "celltype")]
)
def test_veteran_log_rank(entry, group):
    table, values = shared_table("data/survival/veteran.csv"), r_values(entry)
    got = log_rank(table.time, table.status, table[group])
    assert (got.statistic, got.df) == (pytest.approx(values["chisq"], rel=1e-10), values["df"])
    if group == "trt":
        assert_test(got, values)


def assert_test(got, values):
    assert got.statistic == pytest.approx(values["chisq"], rel=1e-10)
    assert got.p_value == pytest.approx(values["p"], rel=1e-9)
    assert got.df == values["df"]
    assert got.observed == pytest.approx(values["obs"], rel=1e-10)
    assert got.expected == pytest.approx(values["exp"], rel=1e-10)


def test_nhefs_log_rank_of_what_if():
    """Hernan & Robins, What If, program 17.1: survival at 120 months 82.0 and 76.2 %."""
    table = shared_table("data/causal/nhefs.csv")
    years = table.yrdth.fillna(92) - 83
    months = np.where(table.death == 1, years * 12 + table.modth, 120.0)
    got = log_rank(months, table.death, table.qsmk)
    values = r_values("nhefs_logrank")
    assert got.statistic == pytest.approx(values["chisq"], rel=1e-10)
    assert got.p_value == pytest.approx(values["p"], rel=1e-9)
    for arm in (0, 1):
        own = table.qsmk == arm
        curve = kaplan_meier(months[own], table.death[own])
        assert survival_at(curve, 120).estimate[0] == pytest.approx(
            values["s120"][str(arm)], rel=1e-10
        )


def test_freireich_curve_needs_no_shared_data():
    """library(survival); library(MASS)
    s <- survfit(Surv(time, cens) ~ treat, gehan, conf.type = "log-log")
    summary(s, times = c(10, 20)); summary(s, rmean = 35)$table
    """
    got = survival_at(kaplan_meier(WEEKS_6MP, RELAPSED_6MP), [10, 20])
    assert got.estimate == pytest.approx([0.752941176470588, 0.627450980392157], rel=1e-12)
    assert got.std_error == pytest.approx([0.0963496529943205, 0.114053865256753], rel=1e-12)
    assert got.ci_low == pytest.approx([0.503199510799957, 0.367510855987502], rel=1e-12)
    assert got.ci_high == pytest.approx([0.889361835169265, 0.804912189471841], rel=1e-12)
    mean = restricted_mean(WEEKS_6MP, RELAPSED_6MP, horizon=35)
    assert mean.estimate == pytest.approx(23.2873949579832, rel=1e-12)
    assert mean.std_error == pytest.approx(2.82746762337144, rel=1e-12)
    beyond = restricted_mean(WEEKS_PLACEBO, np.ones(21), horizon=35)
    assert beyond.estimate == pytest.approx(8.66666666666667, rel=1e-12)
    assert beyond.std_error == pytest.approx(1.37739004126455, rel=1e-12)


def test_freireich_medians_and_log_rank():
    """summary(s)$table: 23 (13, NA), 8 (4, 11); survdiff(Surv(time, cens) ~ treat, gehan)"""
    median = median_survival(kaplan_meier(WEEKS_6MP, RELAPSED_6MP))
    assert (median.estimate, median.ci_low, median.ci_high) == (23, 13, None)
    median = median_survival(kaplan_meier(WEEKS_PLACEBO, np.ones(21)))
    assert (median.estimate, median.ci_low, median.ci_high) == (8, 4, 11)
    assert log_rank(WEEKS, RELAPSED, PLACEBO).statistic == pytest.approx(
        16.7929409892165, rel=1e-12
    )


def test_quantile_on_a_level_piece_is_its_middle():
    """quantile(survfit(Surv(c(1, 2, 3, 4), c(1, 1, 0, 0)) ~ 1))"""
    curve = kaplan_meier([1, 2, 3, 4], [1, 1, 0, 0], conf_type="log")
    got = [survival_quantile(curve, p) for p in (0.25, 0.5, 0.75)]
    assert [q.estimate for q in got] == [1.5, 3.0, None]
    assert [q.ci_low for q in got] == [1.0, 1.0, 2.0]
    assert [q.ci_high for q in got] == [None, None, None]


def test_weighted_curve_and_restricted_mean_are_robust():
    """r <- lifelines' rossi; w <- 0.5 + (r$age %% 7) / 4
    s <- survfit(Surv(week, arrest) ~ 1, r, weights = w, conf.type = "log-log", robust = TRUE)
    summary(s, times = c(10, 26, 52)); summary(s, rmean = 52)$table["rmean"]
    sqrt(sum(residuals(s, times = 52, type = "rmst", weighted = TRUE)^2))
    """
    r = rossi()
    weights = age_weight(r.age)
    curve = kaplan_meier(r.week, r.arrest, weights=weights)
    got = survival_at(curve, [10, 26, 52])
    assert curve.se_method == "robust"
    assert got.estimate == pytest.approx(
        [0.96399639963996, 0.86678667866787, 0.71242124212421], rel=1e-12
    )
    assert got.std_error == pytest.approx(
        [0.0098725522880522, 0.018028161506088, 0.023921229836235], rel=1e-12
    )
    assert got.ci_low == pytest.approx(
        [0.93857690544073, 0.82684875772812, 0.66251197006437], rel=1e-12
    )
    assert got.ci_high == pytest.approx(
        [0.97901320309611, 0.89808175486872, 0.75633723600765], rel=1e-12
    )
    mean = restricted_mean(r.week, r.arrest, 52, weights=weights)
    assert mean.estimate == pytest.approx(45.3118811881188, rel=1e-12)
    assert mean.std_error == pytest.approx(0.688534432637, rel=1e-11)


def test_log_rank_of_four_groups_and_of_strata():
    """survdiff(Surv(week, arrest) ~ I(age %/% 10), r)
    survdiff(Surv(week, arrest) ~ fin + strata(wexp), r, rho = 1)
    """
    r = rossi()
    got = log_rank(r.week, r.arrest, r.age // 10)
    assert (got.statistic, got.df) == (pytest.approx(28.0020512908802, rel=1e-12), 3)
    assert got.observed.tolist() == [33, 71, 7, 3]
    assert got.expected == pytest.approx(
        [15.114141842042, 77.5730915542378, 15.9754996459752, 5.3372669577449], rel=1e-12
    )
    got = log_rank(r.week, r.arrest, r.fin, strata=r.wexp, rho=1)
    assert got.statistic == pytest.approx(4.0511340319954, rel=1e-12)


def test_risk_contrasts_follow_from_the_curves():
    """Hand calculation from R's survfit of gehan at 10 weeks, above."""
    a, b = kaplan_meier(WEEKS_6MP, RELAPSED_6MP), kaplan_meier(WEEKS_PLACEBO, np.ones(21))
    risks = 1 - 0.752941176470588, 1 - 0.380952380952381
    errors = 0.0963496529943205, 0.105971169574131
    difference = risk_difference(a, b, 10)
    assert difference.estimate == pytest.approx(risks[0] - risks[1], rel=1e-12)
    assert difference.std_error == pytest.approx(np.hypot(*errors), rel=1e-12)
    ratio = risk_ratio(a, b, 10)
    log_error = np.hypot(errors[0] / risks[0], errors[1] / risks[1])
    assert ratio.estimate == pytest.approx(risks[0] / risks[1], rel=1e-12)
    assert ratio.std_error == pytest.approx(log_error, rel=1e-12)
    assert ratio.ci_high == pytest.approx(
        ratio.estimate * np.exp(1.959963984540054 * log_error), rel=1e-12
    )


def test_curve_is_not_read_beyond_its_follow_up():
    curve = kaplan_meier(WEEKS_6MP, RELAPSED_6MP)
    with pytest.raises(EstimationError, match="beyond the longest follow-up"):
        survival_at(curve, 36)
    with pytest.raises(EstimationError, match="rmst_horizon_days"):
        restricted_mean(WEEKS_6MP, RELAPSED_6MP, 36)
    assert n_at_risk_at(curve, [0, 6, 35, 36]).tolist() == [21, 21, 1, 0]
    complete = kaplan_meier(WEEKS_PLACEBO, np.ones(21))
    assert survival_at(complete, 36).estimate.tolist() == [0.0]


@pytest.mark.parametrize(
    ("durations", "observed", "weights"),
    [([], [], None), ([1, 2], [1], None), ([0, 1], [1, 1], None), ([np.nan, 1], [1, 1], None),
     ([1, 2], [1, 2], None), ([1, 2], [1, 0], [1, 0]), ([1, 2], [1, 0], [1, np.inf])],
)  # fmt: skip
def test_unusable_follow_up_is_refused(durations, observed, weights):
    with pytest.raises(EstimationError, match="To fix"):
        kaplan_meier(durations, observed, weights=weights)


def test_unknown_interval_is_refused():
    with pytest.raises(EstimationError, match="choose one of"):
        kaplan_meier([1, 2], [1, 0], conf_type="loglog")
    with pytest.raises(EstimationError, match="such as"):
        kaplan_meier([1, 2], [1, 0], level=95)


def test_groups_that_never_meet_are_refused():
    with pytest.raises(EstimationError, match="at risk together"):
        log_rank([1, 2, 3], [0, 1, 1], ["a", "b", "b"])
