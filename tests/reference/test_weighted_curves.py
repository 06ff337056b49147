"""Curves and restricted means under fitted weights: R, every row perturbed, and the bootstrap.

    library(survival); library(sandwich)
    d$day <- 7 * d$week; d$cause <- ifelse(d$arrest == 0, 0, ifelse(d$prio > 6, 2, 1))
    g <- glm(fin ~ age + race + wexp + mar + prio, binomial, d, epsilon = 1e-14)
    e <- fitted(g); psi <- estfun(g) %*% bread(g) / nrow(d)
    w <- ifelse(d$fin == 1, 1 / e, 1 / (1 - e)); slope <- ifelse(d$fin == 1, -(1-e)/e, e/(1-e))
    # of each arm: r <- residuals(survfit(Surv(day, arrest) ~ 1, arm, weights = w), times = 180,
    #   type = "pstate"), 0 in the other arm; with `rmst`, times = 300; causes as a factor
    u <- w * r + psi %*% colSums(slope * model.matrix(g) * r); sqrt(sum(u^2))
Overlap: w = 1 - e, e and slope = -/+ e (1 - e). R 4.2.2, survival 3.5-3, sandwich 3.0-2.
"""

import lifelines.datasets
import numpy as np
import pytest
from scipy import optimize

from tasks.stats.competing_risks import cumulative_incidence, incidence_at
from tasks.stats.entropy_balancing import entropy_balanced
from tasks.stats.estimated_weights import (
    EstimatedWeights,
    estimated_score,
    score_weights,
    truncated,
)
from tasks.stats.survival import restricted_mean
from tasks.stats.weighted_curves import (
    WeightedArms,
    influence_on_incidence,
    influence_on_mean,
    weighted_incidences,
    weighted_restricted_means,
)
from tasks.stats.weighted_effects import contrast_means

DAYS, HORIZON = (4.0, 9.0), 8.0
DIFFERENCE = np.array([1.0, -1.0])


def rossi_arms(kind, competing=False):
    d = lifelines.datasets.load_rossi()
    x, fin = d[["age", "race", "wexp", "mar", "prio"]].to_numpy(float), (d.fin == 1).to_numpy()
    cause = np.where(d.arrest == 0, 0, np.where((d.prio > 6) & competing, 2, 1))
    weights = score_weights(estimated_score(x, fin), fin, kind)
    return WeightedArms(7.0 * d.week.to_numpy(float), cause, fin, weights)


def errors(means):
    alone = np.sqrt(np.diag(means.covariance))
    return [*alone, float(np.sqrt(DIFFERENCE @ means.covariance @ DIFFERENCE))]


def test_errors_are_those_of_survfit_residuals_stacked_with_the_score():
    ate = rossi_arms("iptw_ate")
    got = errors(weighted_incidences(ate, 180.0))[:2]
    assert got == pytest.approx([0.02039453234, 0.02332517248], rel=1e-8)
    got = errors(weighted_restricted_means(ate, 300.0))
    assert got == pytest.approx([4.101467234, 4.898648167, 6.323733037], rel=1e-8)
    got = errors(weighted_incidences(rossi_arms("overlap", competing=True), 180.0))
    assert got == pytest.approx([0.01917804868, 0.02130436985, 0.02852287942], rel=1e-8)


def world(seed, n, tied=True):
    """Persons whose treatment and hazard go by two covariates; causes, ties, late entries."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 2))
    arm = rng.random(n) < 1 / (1 + np.exp(-0.8 * x[:, 0]))
    time = rng.exponential(10 * np.exp(-x[:, 0]), n)
    stop = rng.uniform(6, 20, n)
    cause = np.where(time > stop, 0, np.where(rng.random(n) < 0.3, 2, 1))
    time = np.minimum(time, stop)
    time = np.ceil(time) if tied else time
    entry = np.where(rng.random(n) < 0.3, np.floor(0.4 * time), 0.0)
    return x, arm, time, cause, entry


def by_score(kind, stabilised=False, cut=None):
    """Weights of a score fitted with case weights; what is cut off stays cut off there."""
    bounds = []

    def weights(x, arm, case):
        made = score_weights(estimated_score(x, arm, case), arm, kind, stabilised)
        if cut is None:
            return made
        if (case == 1).all():
            bounds[:] = np.quantile(made.weight, cut)
            return truncated(made, *cut)
        return EstimatedWeights(np.clip(made.weight, *bounds), made.gradient, made.influence)

    return weights


def by_balance(x, arm, case):
    """The equations of entropy balancing with case weights, solved anew by scipy."""
    made = entropy_balanced(x, arm)
    mean = (case[arm, None] * x[arm]).sum(axis=0) / case[arm].sum()
    apart = x[~arm] - mean

    def gap(at):
        return (case[~arm] * np.exp(apart @ at)) @ apart

    at = optimize.root(gap, np.zeros(2), tol=1e-13).x
    tilted = np.exp(apart @ at)
    weight = np.ones(arm.size)
    weight[~arm] = case[arm].sum() * tilted / (case[~arm] @ tilted)
    if (case == 1).all():
        assert weight == pytest.approx(made.weight, rel=1e-8)
    return EstimatedWeights(weight, made.gradient, made.influence)


WAYS = {
    "ate": by_score("iptw_ate", stabilised=True),
    "att": by_score("iptw_att"),
    "overlap": by_score("overlap"),
    "truncated": by_score("iptw_ate", cut=(0.05, 0.9)),
    "entropy": by_balance,
}


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("way", WAYS)
def test_influence_is_what_a_refit_with_each_row_perturbed_gives(way, late):
    x, arm, time, cause, entry = world(3, 40)
    entry = entry if late else None

    def estimates(case):
        weight = WAYS[way](x, arm, case).weight * case
        found = []
        for mine in (arm, ~arm):
            when = None if entry is None else entry[mine]
            curve = cumulative_incidence(time[mine], cause[mine], weights=weight[mine], entry=when)
            found += [*incidence_at(curve, DAYS).estimate]
            found.append(
                restricted_mean(
                    time[mine], cause[mine] == 1, HORIZON, weight[mine], entry=when
                ).estimate
            )
        return np.array(found)

    arms = WeightedArms(time, cause, arm, WAYS[way](x, arm, np.ones(40)), entry)
    columns = [
        made
        for treated in (True, False)
        for made in (influence_on_incidence(arms, treated, DAYS),
                     influence_on_mean(arms, treated, HORIZON))
    ]  # fmt: skip
    step = 1e-5
    moved = np.eye(40) * step
    brute = [(estimates(1 + row) - estimates(1 - row)) / (2 * step) for row in moved]
    assert np.hstack(columns) == pytest.approx(np.array(brute), rel=1e-4, abs=2e-7)


def test_the_bootstrap_that_refits_the_weights_agrees_and_known_weights_do_not():
    x, arm, time, cause, _ = world(5, 300, tied=False)
    cause = np.minimum(cause, 1)

    def arms(rows):
        score = estimated_score(x[rows], arm[rows])
        weights = score_weights(score, arm[rows], "iptw_ate")
        return WeightedArms(time[rows], cause[rows], arm[rows], weights)

    def differences(found):
        return [found.treated - found.other]

    rng, drawn, resamples = np.random.default_rng(11), [], 250
    for _ in range(resamples):
        again = arms(rng.integers(0, 300, 300))
        drawn.append(
            differences(weighted_restricted_means(again, HORIZON))
            + differences(weighted_incidences(again, 6.0))
        )
    whole = arms(np.arange(300))
    means = weighted_restricted_means(whole, HORIZON), weighted_incidences(whole, 6.0)
    fitted = [contrast_means(found, "difference").std_error for found in means]
    spread = np.std(drawn, axis=0, ddof=1)
    monte_carlo = 1 / np.sqrt(2 * resamples)
    assert fitted == pytest.approx(spread, rel=3 * monte_carlo)
    parts = [
        restricted_mean(time[mine], cause[mine] == 1, HORIZON, whole.weights.weight[mine]).std_error
        for mine in (arm, ~arm)
    ]
    assert np.hypot(*parts) > (1 + 5 * monte_carlo) * spread[0]


def test_the_order_of_rows_changes_nothing():
    x, arm, time, cause, entry = world(7, 200)
    order = np.random.default_rng(1).permutation(200)
    found = []
    for rows in (np.arange(200), order):
        weights = score_weights(estimated_score(x[rows], arm[rows]), arm[rows], "overlap")
        arms = WeightedArms(time[rows], cause[rows], arm[rows], weights, entry[rows])
        found.append(errors(weighted_restricted_means(arms, HORIZON)))
    assert found[0] == pytest.approx(found[1], rel=1e-12)
