"""95 % intervals of outcomes other than time cover what was planted; 2,000 drawn studies each.

The table in docs/methods/coverage_outcomes.md is written by `python -m
tests.slow.test_coverage_outcomes` and compared here.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tasks.stats.binary_contrasts import TwoRisks, risk_difference_of
from tasks.stats.few_sites import roll_out_test, wild_bootstrap_test
from tasks.stats.gee import gee
from tasks.stats.glm import glm, negative_binomial
from tasks.stats.interrupted_series import segmented_regression, series
from tasks.stats.sandwich import cluster_covariance, heteroskedastic_covariance
from tasks.stats.staggered_adoption import Panel, aggregated, group_time_effects
from tasks.stats.students_t import t_quantile

pytestmark = pytest.mark.slow

REPLICATES = 2_000
PAGE = Path(__file__).parents[2] / "docs" / "methods" / "coverage_outcomes.md"
Drawn = tuple[float, float, float, float]  # estimate, standard error, limits


def wald(estimate, variance, df):
    error = float(np.sqrt(variance))
    margin = t_quantile(0.95, df) * error
    return estimate, error, estimate - margin, estimate + margin


def difference(method):
    def draw(rng):
        counts = TwoRisks(int(rng.binomial(60, 0.3)), 60, int(rng.binomial(50, 0.2)), 50)
        got = risk_difference_of(counts, method)
        return got.estimate, got.std_error, got.ci_low, got.ci_high

    return draw


def linear(rng):
    x = rng.normal(size=80)
    fit = glm(x, 0.5 * x + rng.normal(size=80) * (0.5 + abs(x)))
    found = heteroskedastic_covariance(fit, "HC3")
    return wald(fit.coef[1], found.matrix[1, 1], found.df)


def clustered(rng):
    group = np.repeat(np.arange(120), 3)
    x = rng.normal(size=120)[group]
    fit = glm(x, 0.5 * x + rng.normal(size=120)[group] + rng.normal(size=360))
    found = cluster_covariance(fit, group, "CR1S")
    return wald(fit.coef[1], found.matrix[1, 1], found.df)


def counts(rng):
    x = rng.integers(0, 2, 300)
    years = rng.uniform(0.5, 2, 300)
    mean = years * np.exp(0.2 + 0.5 * x)
    return x, rng.negative_binomial(2, 2 / (2 + mean)), np.log(years)


def poisson(rng):
    x, y, offset = counts(rng)
    fit = glm(x, y, "poisson", offset=offset)
    return wald(fit.coef[1], heteroskedastic_covariance(fit, "HC1").matrix[1, 1], np.inf)


def negative(rng):
    x, y, offset = counts(rng)
    fit = negative_binomial(x, y, offset=offset)
    return wald(fit.coef[1], fit.covariance[1, 1], np.inf)


def few_clusters(small_sample):
    def draw(rng):
        group = np.repeat(np.arange(20), 6)
        x = (group % 2).astype(float)
        y = 0.5 * x + rng.normal(size=20)[group] + rng.normal(size=120)
        fit = gee(x, y, group, correlation="exchangeable", small_sample=small_sample)
        return wald(fit.coef[1], fit.covariance[1, 1], fit.df)

    return draw


def interrupted(rng):
    time = np.arange(80)
    value = 0.05 * time + 0.5 * (time >= 40) + rng.normal(size=80)
    found = segmented_regression(series(time, value, time >= 40), lag=0)
    covariance = found.covariances[0]
    return wald(found.fit.coef[2], covariance.matrix[2, 2], covariance.df)


def roll_out(adopted):
    adopted = np.array(adopted)

    def draw(rng):
        site = rng.normal(size=adopted.size)[:, None]
        on = np.arange(6) >= adopted[:, None]
        return Panel(site + rng.normal(size=(adopted.size, 6)) + 0.5 * on, adopted)

    return draw


def permutation(rng):
    data = roll_out([2, 2, 3, 3, 6, 6, 6, 6])(rng)
    effect = aggregated(data, group_time_effects(data, "not_yet_treated"))[0]
    got = roll_out_test(data, "not_yet_treated")
    low, high = (-np.inf if got.ci_low is None else got.ci_low), got.ci_high or np.inf
    return effect.estimate, effect.std_error, low, high


def wild(rng):
    data = roll_out([2] * 10 + [3] * 10 + [6] * 20)(rng)
    effect = aggregated(data, group_time_effects(data, "never_treated"))[0]
    got = wild_bootstrap_test(effect, data, seed=int(rng.integers(2**31)))
    return effect.estimate, effect.std_error, got.ci_low, got.ci_high


STUDIES: dict[str, tuple[Callable[..., Drawn], float]] = {
    "risk difference, newcombe, 60 and 50 persons": (difference("newcombe"), 0.1),
    "risk difference, miettinen_nurminen, the same": (difference("miettinen_nurminen"), 0.1),
    "linear, HC3, 80 rows of uneven variance": (linear, 0.5),
    "linear, CR1S, 120 clusters of 3": (clustered, 0.5),
    "poisson, HC1, 300 overdispersed counts": (poisson, 0.5),
    "negative_binomial, the same": (negative, 0.5),
    "gee, mancl_derouen, 20 clusters of 6": (few_clusters("mancl_derouen"), 0.5),
    "gee, kauermann_carroll, the same": (few_clusters("kauermann_carroll"), 0.5),
    "interrupted_time_series, lag 0, 80 times": (interrupted, 0.5),
    "difference_in_differences, permutation, 8 sites": (permutation, 0.5),
    "difference_in_differences, wild_bootstrap, 40 sites": (wild, 0.5),
}
_HEAD = """# Coverage of outcomes other than time
Drawn studies with a planted truth, 2,000 each, seeds fixed (`tests/slow/test_coverage_outcomes.py`). \
mcse: Monte-Carlo error of the coverage.

| study | coverage | mcse | bias | mean error / SD |
|---|---:|---:|---:|---:|
"""


def line(name):
    draw, truth = STUDIES[name]
    rng = np.random.default_rng(list(STUDIES).index(name) + 1)
    drawn = np.array([draw(rng) for _ in range(REPLICATES)])
    covered = float(((drawn[:, 2] <= truth) & (truth <= drawn[:, 3])).mean())
    mcse = np.sqrt(covered * (1 - covered) / REPLICATES)
    bias, ratio = drawn[:, 0].mean() - truth, drawn[:, 1].mean() / drawn[:, 0].std()
    text = f"| {name} | {covered:.1%} | {mcse:.1%} | {bias:.3f} | {ratio:.2f} |"
    return covered, text.replace("-0.000", "0.000")


@pytest.mark.parametrize("name", STUDIES)
def test_intervals_cover_what_was_planted(name):
    covered, text = line(name)
    assert 0.93 <= covered <= 0.97
    assert text in PAGE.read_text("utf-8"), "run python -m tests.slow.test_coverage_outcomes"


if __name__ == "__main__":
    PAGE.write_text(_HEAD + "\n".join(line(name)[1] for name in STUDIES) + "\n", "utf-8")
