"""Curves with late entry, hazards, weighted tests, Gray's test and restricted means.

R's numbers are those of ../shared/reference/stats_reference.json or of the print named beside
them. What no print covers is counted again here, one time and one person after the other.
"""

import lifelines.datasets
import numpy as np
import pytest
from lifelines import NelsonAalenFitter
from lifelines.statistics import multivariate_logrank_test

from tasks.core.errors import EstimationError
from tasks.stats.competing_risks import cumulative_incidence, incidence_at
from tasks.stats.cox import cox
from tasks.stats.gray_test import gray_test
from tasks.stats.log_rank import log_rank
from tasks.stats.nelson_aalen import hazard_at, nelson_aalen
from tasks.stats.restricted_means import (
    adjusted_restricted_means,
    restricted_mean_ratio,
    time_lost,
    time_lost_ratio,
)
from tasks.stats.survival import (
    kaplan_meier,
    n_at_risk_at,
    restricted_mean,
    restricted_mean_difference,
    survival_at,
)
from tests.reference.coverage_curves import CASES, simulate
from tests.reference.data import RELAPSED_6MP, WEEKS_6MP, rossi
from tests.reference.r_random import cmprsk_test_data
from tests.reference.shared import r_values, shared_table

DAYS = [4.0, 8.0, 11.0]


def late_persons(n=60, seed=1):
    """Entry, end, cause 0 to 2 and weight of persons; a quarter are there from 0 on."""
    rng = np.random.default_rng(seed)
    entry = np.floor(rng.uniform(0, 4, n))
    entry[: n // 4] = 0
    time = entry + rng.integers(1, 12, n)
    return entry, time, rng.integers(0, 3, n), rng.uniform(0.5, 2, n)


def in_intervals(entry, time, cause, weight):
    """The same persons, the longer ones in two rows of which every other leaves a gap of a day."""
    rows = []
    for i in range(time.size):
        cut = entry[i] + 2
        if time[i] - entry[i] > 3:
            rows.append((entry[i], cut, 0, weight[i], i))
            rows.append((cut + i % 2, time[i], cause[i], 1.3 * weight[i], i))
        else:
            rows.append((entry[i], time[i], cause[i], weight[i], i))
    start, stop, how, w, person = np.array(rows).T
    return start, stop, how.astype(int), w, person.astype(int)


def one_by_one(entry, time, cause, weight, day):
    """Survival, incidence of cause 1 and hazard of cause 1 by a day, and the area until then."""
    survival, incidence, hazard, area, last = 1.0, 0.0, 0.0, 0.0, 0.0
    for u in sorted({t for t, c in zip(time, cause, strict=True) if c and t <= day}):
        there = weight[(entry < u) & (time >= u)].sum()
        one, both = (weight[(time == u) & w].sum() for w in (cause == 1, cause > 0))
        area += survival * (u - last)
        incidence += survival * one / there
        hazard += one / there
        survival *= 1 - both / there
        last = u
    return survival, incidence, hazard, area + survival * (day - last)


def jackknife(which, entry, time, cause, weight, day, person):
    """Infinitesimal jackknife by central differences in each row's weight, summed by person."""
    effect = np.zeros(person.max() + 1)
    for i in range(time.size):
        ends = []
        for sign in (1, -1):
            moved = weight.copy()
            moved[i] *= 1 + sign * 1e-6
            ends.append(one_by_one(entry, time, cause, moved, day)[which])
        effect[person[i]] += (ends[0] - ends[1]) / 2e-6
    return np.sqrt((effect**2).sum())


@pytest.mark.parametrize("several", [False, True])
def test_late_entry_against_counting_and_the_jackknife(several):
    entry, time, cause, weight = late_persons()
    person = np.arange(time.size)
    if several:
        entry, time, cause, weight, person = in_intervals(entry, time, cause, weight)
    rows = {"weights": weight, "entry": entry, "cluster": person}
    km = survival_at(kaplan_meier(time, cause > 0, **rows), DAYS)
    aj = incidence_at(cumulative_incidence(time, cause, **rows), DAYS)
    na = hazard_at(nelson_aalen(time, cause == 1, **rows), DAYS)
    for place, day in enumerate(DAYS):
        want = one_by_one(entry, time, cause, weight, day)
        got = [found.estimate[place] for found in (km, aj, na)]
        assert got == pytest.approx(want[:3], rel=1e-12)
        errors = [jackknife(k, entry, time, cause, weight, day, person) for k in range(3)]
        got = [found.std_error[place] for found in (km, aj, na)]
        assert got == pytest.approx(errors, rel=1e-6)
    mean = restricted_mean(time, cause > 0, 9, **rows)
    assert mean.estimate == pytest.approx(one_by_one(entry, time, cause, weight, 9)[3], rel=1e-12)
    inside = entry < 9
    want = jackknife(
        3, entry[inside], time[inside], cause[inside], weight[inside], 9, person[inside]
    )
    assert mean.std_error == pytest.approx(want, rel=1e-6)


def test_greenwood_and_numbers_at_risk_with_late_entry():
    """survfit(Surv(entry, time, event) ~ 1): Greenwood's sum over the risk sets of that day."""
    entry, time, cause, _ = late_persons()
    curve = kaplan_meier(time, cause > 0, entry=entry)
    green = 0.0
    for u in sorted(set(time[(cause > 0) & (time <= 8)])):
        there, gone = ((entry < u) & (time >= u)).sum(), ((time == u) & (cause > 0)).sum()
        green += gone / (there * (there - gone))
    got = survival_at(curve, 8)
    assert got.std_error[0] == pytest.approx(got.estimate[0] * np.sqrt(green), rel=1e-12)
    for day in (0.5, 2.0, 3.5, 8.0, 14.0):
        assert n_at_risk_at(curve, day)[0] == ((entry < day) & (time >= day)).sum()
    assert n_at_risk_at(curve, 0)[0] == (entry == 0).sum()


@pytest.mark.parametrize("weighted", [False, True])
def test_follow_up_cut_into_intervals_is_the_same_follow_up(weighted):
    r = rossi()
    cut = r.week > 20
    start = np.append(np.zeros(len(r)), np.full(cut.sum(), 20.0))
    stop = np.append(np.minimum(r.week, 20), r.week[cut])
    event = np.append(r.arrest & ~cut, r.arrest[cut])
    person = np.append(np.arange(len(r)), np.flatnonzero(cut))
    w = 0.5 + (r.age.to_numpy() % 7) / 4 if weighted else None
    rows = {"entry": start, "cluster": person, "weights": None if w is None else w[person]}
    for make, read in ((kaplan_meier, survival_at), (nelson_aalen, hazard_at)):
        whole, parts = make(r.week, r.arrest, weights=w), make(stop, event, **rows)
        got, want = read(parts, [10, 30, 52]), read(whole, [10, 30, 52])
        assert got.n_at_risk.tolist() == want.n_at_risk.tolist()
        for name in ("estimate", "std_error", "ci_low", "ci_high"):
            assert getattr(got, name) == pytest.approx(getattr(want, name), rel=1e-10)
    a, b = restricted_mean(r.week, r.arrest, 52, w), restricted_mean(stop, event, 52, **rows)
    assert (b.estimate, b.std_error) == pytest.approx((a.estimate, a.std_error), rel=1e-10)
    whole = cumulative_incidence(r.week, r.arrest, weights=w)
    parts = cumulative_incidence(stop, event, **rows)
    got, want = incidence_at(parts, [10, 30, 52]), incidence_at(whole, [10, 30, 52])
    assert got.std_error == pytest.approx(want.std_error, rel=1e-10)
    groups = r.fin.to_numpy()
    got = log_rank(stop, event, groups[person], entry=start).statistic
    assert got == pytest.approx(log_rank(r.week, r.arrest, groups).statistic, rel=1e-12)


def test_a_curve_with_late_entry_is_the_same_for_any_order_of_rows():
    entry, time, cause, weight = late_persons()
    mixed = np.random.default_rng(2).permutation(time.size)
    person = np.arange(time.size)
    for w in (None, weight):
        a = kaplan_meier(time, cause > 0, w, entry=entry, cluster=person)
        v = None if w is None else w[mixed]
        b = kaplan_meier(
            time[mixed], cause[mixed] > 0, v, entry=entry[mixed], cluster=person[mixed]
        )
        assert np.array_equal(a.std_error, b.std_error, equal_nan=True)
        assert np.array_equal(a.survival, b.survival)


# Freireich's 6-MP: (deaths, at risk) of each week with a relapse, counted by hand.
RELAPSES = {6: (3, 21), 7: (1, 17), 10: (1, 15), 13: (1, 12), 16: (1, 11), 22: (1, 7), 23: (1, 6)}


def test_nelson_aalen_of_freireich_is_the_sum_of_hand_counted_fractions():
    """survfit(Surv(time, cens) ~ 1): cumhaz is the sum of d / n, std.chaz^2 that of d / n^2."""
    weeks, table = list(RELAPSES), np.array(list(RELAPSES.values()), dtype=float)
    d, n = table.T
    h, error = (d / n).cumsum(), np.sqrt((d / n**2).cumsum())
    got = hazard_at(nelson_aalen(WEEKS_6MP, RELAPSED_6MP), weeks)
    assert got.estimate == pytest.approx(h, rel=1e-12)
    assert got.std_error == pytest.approx(error, rel=1e-12)
    z = 1.959963984540054 * error
    assert got.ci_low == pytest.approx(h * np.exp(-z / h), rel=1e-12)
    plain = hazard_at(nelson_aalen(WEEKS_6MP, RELAPSED_6MP, conf_type="plain"), weeks)
    assert plain.ci_high == pytest.approx(h + z, rel=1e-12)
    assert plain.ci_low.min() == 0.0


def test_ties_of_nelson_aalen_and_the_variance_of_greenwood():
    """survfit(ctype = 2): d tied events add 1/n + 1/(n - 1) + ...; lifelines has it as smoothing."""
    r = rossi()
    fitter = NelsonAalenFitter(nelson_aalen_smoothing=True).fit(r.week, r.arrest)
    got = hazard_at(nelson_aalen(r.week, r.arrest, ctype=2), [10, 52])
    theirs = fitter.cumulative_hazard_.loc[[10, 52]].to_numpy()[:, 0]
    assert got.estimate == pytest.approx(theirs, rel=1e-12)
    squares = sum(1 / (432 - k) ** 2 for k in range(int((r.week <= 10).sum())))
    assert got.std_error[0] == pytest.approx(np.sqrt(squares), rel=1e-12)
    green = hazard_at(nelson_aalen(r.week, r.arrest, variance="greenwood"), [10, 52])
    km = survival_at(kaplan_meier(r.week, r.arrest), [10, 52])
    assert green.std_error == pytest.approx(km.std_error / km.estimate, rel=1e-12)


def test_weights_of_one_give_the_robust_hazard_of_r():
    """Robust: the jackknife; for weights of one close to the sum of d (n - d) / n^3."""
    r = rossi()
    got = hazard_at(nelson_aalen(r.week, r.arrest, weights=np.ones(len(r))), [52])
    table = [(432 - (r.week < u).sum(), ((r.week == u) & (r.arrest == 1)).sum()) for u in range(53)]
    want = np.sqrt(sum(d * (n - d) / n**3 for n, d in table))
    assert got.std_error[0] == pytest.approx(want, rel=1e-12)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ({"weighting": "gehan"}, {"weightings": "wilcoxon"}),
        ({"weighting": "tarone_ware"}, {"weightings": "tarone-ware"}),
        ({"weighting": "peto_peto"}, {"weightings": "peto"}),
        ({"rho": 1, "gamma": 1}, {"weightings": "fleming-harrington", "p": 1, "q": 1}),
        ({"gamma": 0.5}, {"weightings": "fleming-harrington", "p": 0, "q": 0.5}),
    ],
)
def test_the_log_rank_family_of_four_groups_against_lifelines(ours, theirs):
    lung = lifelines.datasets.load_lung()
    lung = lung[lung["ph.ecog"].isin([0, 1, 2])]
    got = log_rank(lung.time, lung.status, lung["ph.ecog"], **ours)
    want = multivariate_logrank_test(lung.time, lung["ph.ecog"], lung.status, **theirs)
    assert got.statistic == pytest.approx(want.test_statistic, rel=1e-10)


def test_the_log_rank_test_with_late_entry_is_the_score_test_of_cox():
    """Without ties; R's survdiff takes no late entry, coxph does."""
    rng = np.random.default_rng(3)
    entry, group = rng.uniform(0, 2, 80), rng.integers(0, 2, 80)
    time, event = entry + rng.exponential(3, 80), rng.random(80) < 0.7
    fit = cox(time, event, group[:, None].astype(float), ties="breslow", entry=entry)
    got = log_rank(time, event, group, entry=entry)
    assert got.statistic == pytest.approx(fit.score_statistic, rel=1e-9)
    assert got.observed.sum() == pytest.approx(got.expected.sum())


# cmprsk's tests/test.Rout.save: cuminc(ss, cc, gg, strt), cuminc(ss, cc) and cuminc(ss, cc, gg).
GRAY = {1: (3.393977, 0.1832345), 2: (1.989511, 0.3698139)}
CUMINC = {
    1: ([0.2352861, 0.3287068, 0.4247898], [0.002062112, 0.002957844, 0.004170634]),
    2: ([0.2567862, 0.3931580, 0.4631781], [0.002190305, 0.003273248, 0.004004514]),
}
CUMINC_B = {1: ([0.2176471, 0.2615686], [0.005528913, 0.006916070]),
            2: ([0.3117647, 0.5878431], [0.007033454, 0.010927780])}  # fmt: skip


@pytest.mark.parametrize("cause", [1, 2])
def test_gray_and_aalen_as_cmprsk_prints_them(cause):
    time, group, causes, strata = map(np.array, cmprsk_test_data())
    kind = np.where(causes == cause, 1, np.where(causes > 0, 2, 0))
    got = gray_test(time, kind, group, strata=strata)
    assert (got.statistic, got.p_value) == pytest.approx(GRAY[cause], rel=2e-7)
    assert got.df == 2
    for rows, (estimates, variances) in (
        (np.full(100, True), CUMINC[cause]),
        (group == 1, CUMINC_B[cause]),
    ):
        curve = cumulative_incidence(time[rows], causes[rows], cause, variance="aalen")
        found = incidence_at(curve, np.arange(1, len(estimates) + 1))
        assert found.estimate == pytest.approx(estimates, rel=3e-7)
        assert found.std_error**2 == pytest.approx(variances, rel=3e-7)
        assert curve.se_method == "aalen"


def test_intervals_of_the_incidence_itself_are_those_of_survfit_and_tidycmprsk():
    """tidycmprsk: x^exp(-/+ z se / (x log x)); survfit(conf.type = "log"): x exp(-/+ z se / x)."""
    time, _, causes, _ = map(np.array, cmprsk_test_data())
    z = 1.959963984540054

    def read(conf_type):
        return incidence_at(cumulative_incidence(time, causes, conf_type=conf_type), [1.0, 3.0])

    x, se = read("log").estimate, read("log").std_error
    limits = {
        "log-log": [x ** np.exp(sign * z * se / (x * np.log(x))) for sign in (-1, 1)][::-1],
        "log": [x * np.exp(sign * z * se / x) for sign in (-1, 1)],
        "plain": [x - z * se, x + z * se],
    }
    for conf_type, (low, high) in limits.items():
        found = read(conf_type)
        assert found.ci_low == pytest.approx(np.minimum(low, high), rel=1e-12), conf_type
        assert found.ci_high == pytest.approx(np.maximum(low, high), rel=1e-12), conf_type
    widths = {name: read(name).ci_high - read(name).ci_low for name in ("cloglog", "log-log")}
    assert (np.abs(widths["cloglog"] - widths["log-log"]) > 1e-4).all()
    first = cumulative_incidence(time, causes, conf_type="log-log")
    assert np.isnan(first.ci_low[first.cumulative_incidence == 0]).all()


def test_gray_of_two_of_the_groups_as_cmprsk_prints_it():
    """cuminc(ssd, ccd, gg2, strtd, subset = gg != 'b'); three groups without a label leave."""
    time, group, causes, strata = map(np.array, cmprsk_test_data())
    kept = group != 1
    kept[[4, 9, 49]] = False
    for cause, want in ((1, (3.5151549, 0.06080997)), (2, (0.1400145, 0.70826655))):
        kind = np.where(causes == cause, 1, np.where(causes > 0, 2, 0))[kept]
        got = gray_test(time[kept], kind, group[kept], strata=strata[kept])
        assert (got.statistic, got.p_value) == pytest.approx(want, rel=4e-7)


def tied_causes(n=90):
    rng = np.random.default_rng(5)
    return rng.integers(1, 15, n).astype(float), rng.integers(0, 3, n), rng.integers(0, 3, n)


def gray_by_hand(time, kind, group, rho):
    """Gray's (1988) statistic from its influence functions, one time and group after the other.

    The score of group i is a sum over groups r of integrals of A_ir dGamma_r; its variance adds
    up, over the events of each group, the squared influence of one event. Tied events are
    corrected as draws without replacement.
    """
    groups = sorted(set(group))
    days = sorted(set(time[kind > 0]))
    s, f, pooled = dict.fromkeys(groups, 1.0), dict.fromkeys(groups, 0.0), 0.0
    score, steps = dict.fromkeys(groups, 0.0), []
    sofar = {(i, r): 0.0 for i in groups for r in groups}
    for u in days:
        n = {g: int(((group == g) & (time >= u)).sum()) for g in groups}
        d1 = {g: int(((group == g) & (time == u) & (kind == 1)).sum()) for g in groups}
        d2 = {g: int(((group == g) & (time == u) & (kind == 2)).sum()) for g in groups}
        there = [g for g in groups if n[g]]
        h = {g: n[g] / s[g] if n[g] else 0.0 for g in groups}
        risk = {g: h[g] * (1 - f[g]) for g in groups}
        events, total = sum(d1.values()), sum(h.values())
        weight = (1 - pooled) ** rho
        for g in groups:
            score[g] += weight * (d1[g] - events * risk[g] / sum(risk.values()))
        before, hazard = dict(s), events / (total * (1 - pooled))
        a = {(i, r): weight * h[i] * ((i == r) - h[r] / total) for i in groups for r in groups}
        for g in there:
            f[g] += before[g] * d1[g] / n[g]
            s[g] *= 1 - (d1[g] + d2[g]) / n[g]
        pooled += events / total
        for key in sofar:
            sofar[key] += a[key] * hazard
        steps.append((n, d2, events, total, before, dict(s), 1 - pooled, a, dict(sofar)))
    free = groups[:-1]
    v = np.zeros((len(free), len(free)))
    for n, d2, events, total, before, after, left, a, c in steps:
        for r in groups:
            ahead = np.array([sofar[i, r] - c[i, r] for i in free])
            share = left / after[r] if after[r] > 0 else 0.0
            if n[r] and events:
                moved = np.array([a[i, r] for i in free]) + (1 - share) * ahead
                tie = 1 - (events - 1) / (total * before[r] - 1) if events > 1 else 1.0
                v += np.outer(moved, moved) * tie * before[r] * events / (total * n[r])
            if d2[r] and after[r] > 0:
                tie = 1 - (d2[r] - 1) / (n[r] - 1) if d2[r] > 1 else 1.0
                v += np.outer(ahead, ahead) * share**2 * tie * before[r] ** 2 * d2[r] / n[r] ** 2
    u = np.array([score[g] for g in free])
    return float(u @ np.linalg.solve(v, u))


@pytest.mark.parametrize("rho", [0.0, 1.0])
def test_gray_with_ties_is_that_counted_by_hand(rho):
    time, kind, group = tied_causes()
    got = gray_test(time, kind, group, rho=rho)
    assert got.statistic == pytest.approx(gray_by_hand(time, kind, group, rho), rel=1e-10)
    again = gray_test(time[::-1], kind[::-1], group[::-1], rho=rho)
    assert again.statistic == got.statistic


def test_gray_without_competing_events_expects_what_the_log_rank_test_expects():
    r = rossi()
    gray, log = gray_test(r.week, r.arrest, r.fin), log_rank(r.week, r.arrest, r.fin)
    assert gray.observed.tolist() == log.observed.tolist()
    assert gray.expected == pytest.approx(log.expected, rel=1e-12)


def pbc_arms():
    table = shared_table("data/survival/pbc.csv").head(312)
    return table, table.time / 365.25, table.status == 2, (table.trt == 1).astype(int)


def test_survrm2_vignette_ratios_and_time_lost():
    """rmst2(time, status, arm, tau = 10), survRM2's vignette; the first arm is treatment 1."""
    _, time, event, arm = pbc_arms()
    a, b = (restricted_mean(time[arm == k], event[arm == k], 10) for k in (1, 0))
    values = r_values("pub_survrm2_pbc")
    difference = restricted_mean_difference(a, b)
    limits = (difference.estimate, difference.ci_low, difference.ci_high)
    assert limits == pytest.approx((-0.137, -0.939, 0.665), abs=5.1e-4)
    for found, want in (
        (restricted_mean_ratio(a, b), values["ratio"]),
        (time_lost_ratio(a, b), values["rmtl_ratio"]),
    ):
        assert (found.estimate, found.ci_low, found.ci_high) == pytest.approx(want, abs=5.1e-4)
        assert found.p_value == pytest.approx(0.738, abs=5.1e-4)
    assert time_lost(a).estimate == pytest.approx(10 - values["rmst1"][0], abs=5.1e-4)


def test_survrm2_vignette_adjusted():
    """rmst2(..., covariates = D[, c("age", "bili", "albumin")])"""
    table, time, event, arm = pbc_arms()
    x, want = table[["age", "bili", "albumin"]], r_values("pub_survrm2_pbc")["adjusted"]
    for measure, key in (("difference", "diff"), ("ratio", "ratio")):
        [found] = adjusted_restricted_means(time, event, arm, x, 10, measure)
        c = found.contrast
        assert (c.estimate, c.ci_low, c.ci_high) == pytest.approx(want[key], abs=5.1e-4)


def test_without_censoring_the_regression_is_least_squares_with_its_sandwich():
    """Everybody is known: weights of one, and the HC0 variance of ordinary least squares."""
    r = rossi()
    x = r[["age", "prio"]].to_numpy(float)
    y = np.minimum(r.week, 52).to_numpy(float)
    [found] = adjusted_restricted_means(r.week, r.arrest, r.fin, x, 52)
    design = np.column_stack([np.ones(len(r)), r.fin, x])
    bread = np.linalg.inv(design.T @ design)
    coef = bread @ design.T @ y
    score = design * (y - design @ coef)[:, None]
    error = np.sqrt((bread @ (score.T @ score) @ bread)[1, 1])
    assert found.contrast.estimate == pytest.approx(coef[1], rel=1e-9)
    assert found.contrast.std_error == pytest.approx(error, rel=1e-9)


def alone(**more):
    return {"durations": [1.0, 2.0, 3.0, 4.0], "observed": [1, 0, 1, 0], **more}


@pytest.mark.parametrize(
    ("estimate", "given", "told"),
    [
        (kaplan_meier, alone(entry=[0, 0, 3, 0]), "do not enter before"),
        (kaplan_meier, alone(entry=[0, 0, -1, 0]), "do not enter before"),
        (nelson_aalen, alone(conf_type="logit"), "log or plain"),
        (nelson_aalen, alone(ctype=2, variance="greenwood"), "poisson only"),
        (nelson_aalen, alone(ctype=2, weights=[1, 1, 1, 2]), "robust variance"),
        (nelson_aalen, alone(variance="aalen"), "poisson or greenwood"),
        (log_rank, alone(group=[0, 1, 0, 1], weighting="gehan", rho=1), "rho and gamma"),
        (log_rank, alone(group=[0, 1, 0, 1], weighting="wilcoxon"), "choose one of"),
        (log_rank, alone(group=[0, 1, 0, 1], rho=-1), "powers from 0"),
        (log_rank, alone(group=[0, 0, 0, 0]), "two groups"),
        (log_rank, alone(group=[0, 0, 1, 1], entry=[0, 0, 2, 2]), "at risk together"),
    ],
)
def test_what_curves_and_tests_cannot_do_is_refused(estimate, given, told):
    with pytest.raises(EstimationError, match=told):
        estimate(**given)


@pytest.mark.parametrize(
    ("kind", "group", "told"),
    [
        ([0, 0, 2, 2], [0, 1, 0, 1], "0 event"),
        ([1, 1, 2, 0], [1, 1, 1, 1], "1 group"),
        ([1, 1, 2, 0], [0, 0, 1, 1], None),
        ([0, 0, 1, 1], [0, 0, 1, 1], "at risk together"),
    ],
)
def test_gray_of_degenerate_data(kind, group, told):
    if told is None:
        assert np.isfinite(gray_test([1, 2, 3, 4], kind, group).statistic)
        return
    with pytest.raises(EstimationError, match=told):
        gray_test([1, 2, 3, 4], kind, group)


@pytest.mark.parametrize("how", [{}, {"ctype": 2}, {"variance": "greenwood"}])
def test_a_hazard_without_events_is_0_and_one_of_all_has_a_limit(how):
    none = hazard_at(nelson_aalen([1, 2, 3], [0, 0, 0], **how), [2])
    assert (none.estimate[0], none.std_error[0]) == (0, 0)
    assert np.isnan(none.ci_low[0])
    every = hazard_at(nelson_aalen([5, 5, 5], [1, 1, 1], **how), [5])
    assert every.estimate[0] == pytest.approx(1 / 3 + 1 / 2 + 1 if how.get("ctype") == 2 else 1)
    assert np.isfinite(every.ci_high[0]) == (how.get("variance") != "greenwood")


def test_aalen_takes_neither_weights_nor_late_entry():
    for more in ({"weights": [1, 2, 1]}, {"entry": [0, 0, 1]}):
        with pytest.raises(EstimationError, match="neither weights nor late entry"):
            cumulative_incidence([1, 2, 3], [1, 2, 0], variance="aalen", **more)
    with pytest.raises(EstimationError, match="ij or aalen"):
        cumulative_incidence([1, 2, 3], [1, 2, 0], variance="delta")


X = [[1.0], [2.0], [3.0], [5.0], [4.0], [0.0]]


@pytest.mark.parametrize(
    ("observed", "group", "horizon", "measure", "told"),
    [
        ([1, 1, 1, 1, 1, 1], [0, 0, 0, 0, 0, 0], 3, "difference", "one group"),
        ([1, 1, 0, 1, 1, 0], [0, 1, 0, 1, 0, 1], 9, "difference", "not in"),
        ([0, 0, 0, 0, 0, 0], [0, 1, 0, 1, 0, 1], 1, "difference", "no event"),
        ([0, 1, 0, 1, 0, 1], [0, 1, 0, 1, 0, 1], 5, "lost_ratio", "lost no time"),
        ([1, 1, 1, 1, 1, 1], [0, 1, 0, 1, 0, 1], 3, "hazard", "unknown"),
    ],
)
def test_regressions_of_degenerate_data_are_refused(observed, group, horizon, measure, told):
    time = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
    with pytest.raises(EstimationError, match=told):
        adjusted_restricted_means(time, observed, group, X, horizon, measure)


def test_columns_that_repeat_the_groups_are_refused():
    group = [0, 1, 0, 1, 0, 1]
    x = np.array(group, dtype=float)[:, None]
    with pytest.raises(EstimationError, match="linearly dependent"):
        adjusted_restricted_means([1, 2, 3, 4, 5, 6], [1] * 6, group, x, 3)


def test_time_lost_by_nobody_has_no_ratio():
    a, b = restricted_mean([5, 6], [0, 0], 4), restricted_mean([1, 6], [1, 0], 4)
    with pytest.raises(EstimationError, match="lost no time"):
        time_lost_ratio(a, b)
    with pytest.raises(EstimationError, match="differ"):
        restricted_mean_ratio(a, restricted_mean([1, 6], [1, 0], 3))


@pytest.mark.parametrize(
    "name", ["Kaplan-Meier at a day, log-log", "difference of restricted means"]
)
def test_a_few_replicates_cover_as_the_many_of_the_page_do(name):
    """300 replicates: 95 % less or more than three Monte Carlo errors of 1.3 %."""
    found = simulate(next(case for case in CASES if case.name == name), 300)
    assert 0.91 <= found.coverage <= 0.99
