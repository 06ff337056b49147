"""Estimators of causal effects against R 4.2.2, brute force and exact properties.

R's numbers are of lifelines' copy of Rossi's data, `d`:
    library(AER); m <- ivreg(week ~ fin + age + prio | race + mar + age + prio, data = d)
    coef(summary(m, vcov. = function(x) vcovHC(x, type = "HC0"))); summary(m, diagnostics = TRUE)
    s <- cut(d$age, c(0, 20, 24, 30, 99)); mantelhaen.test(table(d$fin == 1, d$arrest == 1, s))
    p <- fitted(glm(fin ~ age + race + wexp + mar + prio, binomial, d))
    svyglm(arrest ~ fin, svydesign(~1, weights = ifelse(d$fin == 1, 1 / p, 1 / (1 - p)), data = d))
"""

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, special, stats

from tasks.core.errors import EstimationError
from tasks.stats.balance_measures import ks_statistics, variance_ratios
from tasks.stats.cox import cox
from tasks.stats.entropy_balancing import entropy_balanced
from tasks.stats.estimated_weights import (
    EstimatedWeights,
    estimated_score,
    score_weights,
    truncated,
)
from tasks.stats.instrumental import two_stage_least_squares
from tasks.stats.logistic import logistic
from tasks.stats.matching import match_nearest, match_sets
from tasks.stats.outcome_models import OutcomeDesign, aipw, g_computation, tmle
from tasks.stats.stratified_effects import (
    mantel_haenszel,
    score_strata,
    strata_weights,
    stratified_difference,
)
from tasks.stats.structural_mean import g_estimation
from tasks.stats.weighted_cox import cox_estimated_weights
from tasks.stats.weighted_effects import contrast_means, weighted_means
from tests.reference.data import rossi

X = ["age", "race", "wexp", "mar", "prio"]


@cache
def drawn(n=80):
    rng = np.random.default_rng(20)
    x = rng.normal(size=(n, 2))
    arm = rng.random(n) < special.expit(0.6 * x[:, 0] - 0.4 * x[:, 1])
    y = 1 + arm + x @ [1.0, -0.5] + rng.normal(size=n)
    time = rng.exponential(np.exp(-0.5 * arm + 0.4 * x[:, 0])) + 0.01
    event = rng.random(n) < 0.7
    return x, arm, y, time, event


def jackknifed(estimate, n, step=1e-4):
    """Infinitesimal jackknife: how an estimate moves with the case weight of each row."""
    found = []
    for i in range(n):
        up, down = np.ones(n), np.ones(n)
        up[i] += step
        down[i] -= step
        found.append((np.asarray(estimate(up)) - np.asarray(estimate(down))) / (2 * step))
    return np.array(found)


def scores_of(c):
    x, arm, *_ = drawn()
    return logistic(x, arm, c).fitted


def hajek(c, w):
    _, arm, y, *_ = drawn()
    return [np.average(y[a], weights=(c * w)[a]) for a in (arm, ~arm)]


PLAIN = {
    "iptw_ate": lambda e, a: np.where(a, 1 / e, 1 / (1 - e)),
    "iptw_att": lambda e, a: np.where(a, 1, e / (1 - e)),
    "overlap": lambda e, a: np.where(a, 1 - e, e),
}


@pytest.mark.parametrize("kind", list(PLAIN))
@pytest.mark.parametrize("stabilised", [False, True])
def test_the_influence_of_weighting_is_that_of_refitting_the_score(kind, stabilised):
    x, arm, y, *_ = drawn()
    weights = score_weights(estimated_score(x, arm), arm, kind, stabilised)
    means = weighted_means(y, arm, weights)
    want = jackknifed(lambda c: hajek(c, PLAIN[kind](scores_of(c), arm)), y.size)
    assert means.influence == pytest.approx(want, abs=1e-6)
    assert [means.treated, means.other] == pytest.approx(
        hajek(np.ones(y.size), PLAIN[kind](scores_of(None), arm))
    )


def _cox_refitted(kind, stabilised):
    _, arm, _, time, event = drawn()

    def estimate(c):
        w = PLAIN[kind](scores_of(c), arm)
        p = np.average(arm, weights=c)
        if stabilised:
            w = w * (
                np.where(arm, p, 1 - p) if kind == "iptw_ate" else np.where(arm, 1, (1 - p) / p)
            )
        return cox(time, event, arm.astype(float), ties="breslow", weights=c * w).coef[0]

    return estimate


@pytest.mark.parametrize(
    ("kind", "stabilised"),
    [("iptw_ate", True), ("iptw_ate", False), ("iptw_att", True), ("overlap", False)],
)
def test_the_error_of_weighted_cox_is_that_of_refitting_the_score(kind, stabilised):
    x, arm, _, time, event = drawn()
    weights = score_weights(estimated_score(x, arm), arm, kind, stabilised)
    fit = cox_estimated_weights(time, event, arm.astype(float), weights, ties="breslow")
    estimate = _cox_refitted(kind, stabilised)
    influence = jackknifed(estimate, time.size)
    assert fit.std_error[0] == pytest.approx(np.sqrt((influence**2).sum()), rel=1e-5)
    robust = cox(
        time, event, arm.astype(float), ties="breslow", weights=weights.weight, robust=True
    )
    assert fit.fixed_std_error == pytest.approx(robust.std_error, rel=1e-10)
    assert fit.coef == pytest.approx(robust.coef, rel=1e-10)


def _entropy_by_root(c):
    x, arm, *_ = drawn()
    mean = np.average(x[arm], axis=0, weights=c[arm])
    apart = x - mean

    def gap(at):
        return (c * ~arm * np.exp(apart @ at)) @ apart

    w = np.exp(apart @ optimize.root(gap, np.zeros(2), tol=1e-13).x)
    return np.where(arm, 1.0, w * c[arm].sum() / (c * w)[~arm].sum())


def test_entropy_balancing_is_exact_and_its_error_that_of_refitting():
    x, arm, y, time, event = drawn()
    weights = entropy_balanced(x, arm)
    assert np.average(x[~arm], axis=0, weights=weights.weight[~arm]) == pytest.approx(
        x[arm].mean(axis=0), abs=1e-9
    )
    assert weights.weight[~arm].sum() == pytest.approx(arm.sum())
    assert weights.weight == pytest.approx(_entropy_by_root(np.ones(y.size)), rel=1e-7)
    means = weighted_means(y, arm, weights)
    want = jackknifed(lambda c: hajek(c, _entropy_by_root(c)), y.size)
    assert means.influence == pytest.approx(want, abs=1e-6)
    fit = cox_estimated_weights(time, event, arm.astype(float), weights, ties="breslow")

    def refitted(c):
        w = c * _entropy_by_root(c)
        return cox(time, event, arm.astype(float), ties="breslow", weights=w).coef[0]

    error = np.sqrt((jackknifed(refitted, y.size) ** 2).sum())
    assert fit.std_error[0] == pytest.approx(error, rel=1e-5)


def test_entropy_balancing_says_when_means_cannot_be_reached():
    x = np.array([[0.0], [1], [2], [10], [11]])
    with pytest.raises(EstimationError, match="no positive weights"):
        entropy_balanced(x, [0, 0, 0, 1, 1])


def test_weighted_risk_of_rossi_is_that_of_svyglm():
    d = rossi()
    weights = score_weights(estimated_score(d[X], d.fin), d.fin, "iptw_ate")
    found = contrast_means(weighted_means(d.arrest, d.fin, weights, fitted=False), "difference")
    assert found.estimate == pytest.approx(-0.08126182161139, rel=1e-9)
    n = len(d)
    assert found.std_error * np.sqrt(n / (n - 1)) == pytest.approx(0.0427674529515, rel=1e-9)


def test_truncated_weights_lie_between_their_quantiles():
    x, arm, *_ = drawn()
    plain = score_weights(estimated_score(x, arm), arm, "iptw_ate")
    cut = truncated(plain, 0.05, 0.95)
    low, high = np.quantile(plain.weight, [0.05, 0.95])
    assert (cut.weight.min(), cut.weight.max()) == (low, high)
    assert not cut.gradient[cut.weight == high].any()


def _design(x, arm):
    return OutcomeDesign(
        *(np.column_stack([a, x, a * x[:, 0]]) for a in (arm, arm * 0 + 1, arm * 0))
    )


@pytest.mark.parametrize("effect", ["ate", "att"])
def test_the_influence_of_standardisation_is_that_of_refitting_the_outcome(effect):
    x, arm, y, *_ = drawn()
    a, z = arm.astype(float), y > 1.5
    design = _design(x, a)
    found = g_computation(z, arm, design, "logistic", effect)

    def refitted(c):
        coef = logistic(design.observed, z, c).coef
        over = c * arm if effect == "att" else c
        made = (special.expit(coef[0] + d @ coef[1:]) for d in (design.if_treated, design.if_not))
        return [np.average(fitted, weights=over) for fitted in made]

    assert found.influence == pytest.approx(jackknifed(refitted, y.size), abs=1e-6)


def test_standardisation_over_cells_is_the_weighted_mean_of_cells():
    """With all cells in the model it is a weighted mean over them, and so are IPTW and AIPW."""
    d = rossi()
    a, x = d.fin.to_numpy(float), d[["race"]].to_numpy(float)
    design = OutcomeDesign(*(np.column_stack([v, x, v * x[:, 0]]) for v in (a, a * 0 + 1, a * 0)))
    cells = d.groupby(["race", "fin"]).arrest.mean()
    share = d.race.value_counts(normalize=True)
    want = [sum(share[r] * cells[r, arm] for r in (0, 1)) for arm in (1, 0)]
    score = estimated_score(x, d.fin)
    found = [
        g_computation(d.arrest, d.fin, design, "logistic"),
        aipw(d.arrest, d.fin, design, score, "logistic"),
        tmle(d.arrest, d.fin, design, score, "logistic"),
        weighted_means(d.arrest, d.fin, score_weights(score, d.fin, "iptw_ate")),
    ]
    for means in found:
        assert [means.treated, means.other] == pytest.approx(want, rel=1e-7)
    errors = [contrast_means(means, "difference").std_error for means in found]
    assert errors == pytest.approx([errors[0]] * 4, rel=2e-3)  # n or n - 1
    odds = contrast_means(found[0], "odds_ratio")
    assert odds.estimate == pytest.approx(want[0] * (1 - want[1]) / (want[1] * (1 - want[0])))


def test_targeting_solves_its_equation_and_stays_in_range():
    x, arm, y, *_ = drawn()
    score = estimated_score(x, arm)
    design = _design(x, arm.astype(float))
    found = tmle(y, arm, design, score, "linear")
    assert found.influence.sum(axis=0) == pytest.approx([0, 0], abs=1e-9)
    near = aipw(y, arm, design, score, "linear")
    assert [found.treated, found.other] == pytest.approx([near.treated, near.other], abs=0.05)
    spread = [contrast_means(m, "difference").std_error for m in (found, near)]
    assert spread[0] == pytest.approx(spread[1], rel=0.05)
    # The outcome that decides all: means stay inside what can happen.
    z = y > 1.5
    means = tmle(z, arm, design, score, "logistic")
    assert 0 < means.other < means.treated < 1


def test_doubly_robust_in_the_treated_is_exact_where_the_outcome_is_linear():
    x, arm, *_ = drawn()
    a = arm.astype(float)
    y = 1 + a * (2 + x[:, 0]) + x @ [1.0, -0.5]
    found = aipw(y, arm, _design(x, a), estimated_score(x[:, :1], arm), "linear", "att")
    assert found.treated - found.other == pytest.approx(2 + x[arm, 0].mean())


def test_g_estimation_equals_overlap_weighting_and_its_error_that_of_refitting():
    x, arm, y, *_ = drawn()
    found = g_estimation(y, arm, estimated_score(x, arm))
    e = scores_of(None)
    overlap = hajek(np.ones(y.size), PLAIN["overlap"](e, arm))
    assert found.psi[0] == pytest.approx(overlap[0] - overlap[1], rel=1e-9)

    def refitted(c):
        rest = c * (arm - scores_of(c))
        return (rest @ y) / (rest @ arm)

    error = np.sqrt((jackknifed(refitted, y.size) ** 2).sum())
    assert found.std_error[0] == pytest.approx(error, rel=1e-6)
    low, high = found.score_interval
    assert low < found.psi[0] < high


def test_instruments_of_rossi_as_ivreg_has_them():
    d = rossi()
    found = two_stage_least_squares(d.week, d.fin, d[["race", "mar"]], d[["age", "prio"]])
    assert found.estimate == pytest.approx(-36.09197272214, rel=1e-9)
    assert found.std_error == pytest.approx(25.58985076299, rel=1e-9)
    assert found.model_std_error == pytest.approx(28.24184745795, rel=1e-9)
    assert (found.df1, found.df2) == (2, 427)
    assert found.first_stage_f == pytest.approx(1.2952628403596, rel=1e-9)
    assert found.is_weak


def test_anderson_rubin_interval_is_what_its_test_leaves():
    rng = np.random.default_rng(3)
    z = rng.normal(size=(300, 2))
    a = z @ [0.5, 0.3] + rng.normal(size=300)
    y = 2 * a + rng.normal(size=300)
    found = two_stage_least_squares(y, a, z)
    design = np.column_stack([np.ones(300), z])

    def p(b):
        left = y - b * a
        rest = left - design @ np.linalg.lstsq(design, left, rcond=None)[0]
        around = left - left.mean()
        f = ((around @ around) - (rest @ rest)) / 2 / ((rest @ rest) / 297)
        return stats.f.sf(f, 2, 297)

    assert [p(b) for b in found.anderson_rubin] == pytest.approx([0.05, 0.05], rel=1e-8)
    assert p(found.estimate) > 0.05
    noise = two_stage_least_squares(rng.normal(size=300), rng.normal(size=300), z)
    assert noise.anderson_rubin is None
    with pytest.raises(EstimationError, match="repeat"):
        two_stage_least_squares(y, a, np.column_stack([z, z.sum(axis=1)]))


def test_mantel_haenszel_as_r_has_it():
    d = rossi()
    stratum = np.digitize(d.age, [20.5, 24.5, 30.5])
    found = mantel_haenszel(d.arrest, d.fin, stratum)
    odds = found["odds_ratio"]
    assert [odds.estimate, odds.ci_low, odds.ci_high] == pytest.approx(
        [0.6879938477203, 0.443369824895, 1.067586263033], rel=1e-9
    )
    one = mantel_haenszel(d.arrest, d.fin, np.zeros(len(d)))
    risk = d.groupby("fin").arrest.mean()
    assert one["risk_difference"].estimate == pytest.approx(risk[1] - risk[0])
    n = d.fin.value_counts()
    woolf = sum(risk[a] * (1 - risk[a]) / n[a] for a in (0, 1))
    assert one["risk_difference"].std_error == pytest.approx(np.sqrt(woolf))
    assert one["risk_ratio"].estimate == pytest.approx(risk[1] / risk[0])
    log_error = np.sqrt(sum((1 - risk[a]) / (n[a] * risk[a]) for a in (0, 1)))
    assert one["risk_ratio"].std_error == pytest.approx(log_error)


def test_strata_pool_as_their_weights_do():
    x, arm, y, *_ = drawn()
    score = estimated_score(x, arm).fitted
    stratum = score_strata(score, arm, 4)
    assert np.bincount(stratum).tolist() == [20, 20, 20, 20]
    found = stratified_difference(y, arm, stratum)
    w = strata_weights(stratum, arm)
    by_weights = [np.average(y[a], weights=w[a]) for a in (arm, ~arm)]
    assert found.estimate == pytest.approx(by_weights[0] - by_weights[1])
    with pytest.raises(EstimationError, match="lack an arm"):
        score_strata(np.arange(80.0), np.arange(80) > 60, 5)


def test_balance_measures_by_hand():
    x, arm, *_ = drawn()
    ratio = variance_ratios(x, arm)
    assert ratio == pytest.approx(x[arm].var(axis=0, ddof=1) / x[~arm].var(axis=0, ddof=1))
    ks = ks_statistics(x, arm)
    want = [stats.ks_2samp(x[arm, j], x[~arm, j]).statistic for j in (0, 1)]
    assert ks == pytest.approx(want)
    twice = np.concatenate([x, x[arm]])
    weights = np.where(arm, 2.0, 1.0)
    assert ks_statistics(x, arm, weights) == pytest.approx(
        ks_statistics(twice, np.concatenate([arm, arm[arm]]))
    )


def matched_by_force(logit, treated, caliper, ratio, exact):
    """All pairs inside the caliper, sorted by distance, then rows; in rounds."""
    grid = np.rint(logit * 2**30).astype(int)
    sets, free = {}, set(np.flatnonzero(~treated))
    seeking = list(np.flatnonzero(treated))
    for _ in range(ratio):
        pairs = sorted(
            (abs(grid[i] - grid[j]), i, j)
            for i in seeking
            for j in free
            if exact[i] == exact[j] and abs(grid[i] - grid[j]) <= int(caliper * 2**30)
        )
        found = {}
        for _, i, j in pairs:
            if i not in found and j in free:
                found[i] = j
                free.discard(j)
                sets.setdefault(i, []).append(j)
        seeking = list(found)
    return {i: sorted(members) for i, members in sets.items()}


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(-12, 12), st.booleans(), st.integers(0, 1)), min_size=4, max_size=24
    ),
    st.integers(1, 3),
)
def test_matched_sets_are_those_of_brute_force(people, ratio):
    logit = np.array([p[0] / 8 for p in people])
    treated, exact = np.array([p[1] for p in people]), np.array([p[2] for p in people])
    if not 0 < treated.sum() < treated.size:
        return
    caliper = 0.8 * np.sqrt(
        np.mean([logit[a].var(ddof=1) if a.sum() > 1 else 0 for a in (treated, ~treated)])
    )
    want = matched_by_force(logit, treated, caliper, ratio, exact)
    if not want:
        with pytest.raises(EstimationError, match="inside the caliper"):
            match_sets(logit, treated, 0.8, ratio, exact)
        return
    got = match_sets(logit, treated, 0.8, ratio, exact)
    sets = {}
    for row, member in zip(got.row, got.set_id, strict=True):
        sets.setdefault(member, []).append(row)
    assert {s[0]: sorted(s[1:]) for s in sets.values()} == want
    assert got.weight.sum() == pytest.approx(2 * got.n_sets)


def test_rounds_end_when_everybody_is_matched():
    got = match_sets(np.zeros(4), [0, 0, 1, 1], 0.2, ratio=3)
    assert (got.n_sets, sorted(got.row.tolist())) == (2, [0, 1, 2, 3])


def test_sets_of_one_are_the_pairs():
    x, arm, *_ = drawn()
    logit = estimated_score(x, arm).logit
    pairs, sets = match_nearest(logit, arm), match_sets(logit, arm)
    of_sets = sets.row.reshape(-1, 2)
    assert sorted(map(tuple, of_sets)) == sorted(zip(pairs.treated, pairs.control, strict=True))


def test_shuffled_rows_give_the_same_effect():
    x, arm, y, time, event = drawn()
    order = np.random.default_rng(5).permutation(y.size)

    def effect(o):
        weights = score_weights(estimated_score(x[o], arm[o]), arm[o], "iptw_ate", True)
        fit = cox_estimated_weights(time[o], event[o], arm[o].astype(float), weights)
        return [
            contrast_means(weighted_means(y[o], arm[o], weights), "difference").std_error,
            fit.std_error[0],
        ]

    assert effect(np.arange(y.size)) == pytest.approx(effect(order), rel=1e-12)


def test_unusable_data_are_refused():
    x, arm, y, *_ = drawn()
    ones = EstimatedWeights(np.ones(80), np.zeros((80, 1)), np.zeros((80, 1)))
    with pytest.raises(EstimationError, match="0 treated"):
        weighted_means(y, arm & False, ones)
    with pytest.raises(EstimationError, match="the same"):
        weighted_means(y * 0, arm, ones)
    with pytest.raises(EstimationError, match="monotone"):
        estimated_score(arm.astype(float), arm)
    with pytest.raises(EstimationError, match="repeat others"):
        g_computation(y, arm, OutcomeDesign(*[np.column_stack([x, x])] * 3), "linear")
    with pytest.raises(EstimationError, match="have the event"):
        mantel_haenszel(arm & False, arm, np.zeros(80))


def test_intervals_hold_the_planted_effect_in_few_studies():
    """A glimpse of tests/slow/test_coverage_causal.py, with its truth as the page prints it."""
    from tests.reference import causal_worlds as world

    lines = world.risk_lines(60)
    for line in lines:
        assert line.coverage >= 0.85, line.what
        assert line.error_ratio == pytest.approx(1, abs=0.3), line.what
