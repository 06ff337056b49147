"""1,000 drawn trials a law: how often the intervals of a parametric fit hold the truth.

`python -m tests.slow.test_coverage_parametric` writes the table of docs/methods.
"""

from functools import cache
from pathlib import Path

import numpy as np
import pytest
from scipy import integrate, stats

from tasks.stats.parametric import parametric_survival
from tasks.stats.parametric_estimates import (
    fitted_quantile,
    fitted_restricted_mean,
    fitted_survival,
)

pytestmark = pytest.mark.slow

PAGE = Path(__file__).parents[2] / "docs" / "methods" / "coverage_parametric.md"
TRIALS, ROWS, HORIZON, DAY = 1_000, 400, 8.0, 6.0
SCALE, EFFECT, SHAPE = 0.7, 0.4, 0.25
HEAD = """# Coverage: parametric survival
Page of the method: [parametric_survival](parametric_survival.md). Written by `tests/slow/test_coverage_parametric.py`.

{trials} trials of {rows} persons a law; one covariate of two values, effect {effect} on log time (Gompertz: −{effect} on the log hazard); censoring uniform between 1 and 5 years, and late entry for 3 in 10. Survival at {day:g} years and the mean up to {horizon:g} lie beyond every follow-up, of persons with covariate 0.

| law | number | truth | bias | mean SE / SD | coverage of 95 % intervals | MCSE |
|---|---|---:|---:|---:|---:|---:|
"""


def times_of(law, rng, x):
    """Draw times: the truth of a law at covariate x."""
    u = rng.random(x.size)
    if law == "weibull":
        return np.exp(1.0 + EFFECT * x) * (-np.log(u)) ** SCALE
    if law == "log_normal":
        return np.exp(1.0 + EFFECT * x + SCALE * rng.standard_normal(x.size))
    rate = np.exp(-1.8 - EFFECT * x)
    return np.log1p(-np.log(u) * SHAPE / rate) / SHAPE


def truth_of(law):
    """Effect, median, survival beyond the follow-up, and mean up to the horizon."""
    at = {
        "weibull": stats.weibull_min(1 / SCALE, scale=np.exp(1.0)),
        "log_normal": stats.lognorm(SCALE, scale=np.exp(1.0)),
        "gompertz": stats.gompertz(np.exp(-1.8) / SHAPE, scale=1 / SHAPE),
    }[law]
    area = integrate.quad(lambda t: float(at.sf(t)), 0, HORIZON)[0]
    effect = -EFFECT if law == "gompertz" else EFFECT
    return np.array([effect, at.median(), at.sf(DAY), area])


def one_trial(law, rng):
    """Draw a trial and fit it: estimate, error and limits of the four numbers, shape (4, 4)."""
    x = rng.integers(0, 2, 3 * ROWS).astype(float)
    time = times_of(law, rng, x)
    entry = np.where(rng.random(x.size) < 0.3, rng.uniform(0, 1, x.size), 0.0)
    stop = rng.uniform(1, 5, x.size)
    keep = np.flatnonzero((time > entry) & (stop > entry))[:ROWS]
    time, entry, stop, x = time[keep], entry[keep], stop[keep], x[keep]
    fit = parametric_survival(np.minimum(time, stop), time <= stop, law, x, entry=entry)
    (low, high), alone = fit.interval, fit.at([0.0])
    median, mean = fitted_quantile(alone, 0.5), fitted_restricted_mean(alone, HORIZON)
    later = fitted_survival(alone, [DAY])
    return np.array(
        [
            [fit.coef[1], fit.std_error[1], low[1], high[1]],
            [median.estimate, median.std_error, median.ci_low, median.ci_high],
            [later.estimate[0], later.std_error[0], later.ci_low[0], later.ci_high[0]],
            [mean.estimate, mean.std_error, mean.ci_low, mean.ci_high],
        ]
    )


@cache
def summary():
    """Each law and number with truth, bias, ratio of errors and coverage."""
    lines = []
    for place, law in enumerate(("weibull", "log_normal", "gompertz")):
        rng = np.random.default_rng([2026, place])
        found = np.array([one_trial(law, rng) for _ in range(TRIALS)])
        truth = truth_of(law)
        estimate, error, low, high = (found[:, :, i] for i in range(4))
        inside = ((low <= truth) & (truth <= high)).mean(axis=0)
        bias = estimate.mean(axis=0) - truth
        ratio = error.mean(axis=0) / estimate.std(axis=0, ddof=1)
        names = ("effect", "median", f"survival at {DAY:g} years", f"mean up to {HORIZON:g} years")
        lines += list(zip([law] * 4, names, truth, bias, ratio, inside, strict=True))
    return lines


def page():
    head = HEAD.format(trials=f"{TRIALS:,}", rows=ROWS, effect=EFFECT, day=DAY, horizon=HORIZON)
    mcse = np.sqrt(0.95 * 0.05 / TRIALS)
    return head + "".join(
        f"| `{law}` | {name} | {truth:.4f} | {bias:+.4f} | {ratio:.3f} | {inside:.1%} | {mcse:.1%} |\n"
        for law, name, truth, bias, ratio, inside in summary()
    )


def test_intervals_cover_and_the_page_says_so():
    assert PAGE.read_text("utf-8") == page()
    assert [line for line in summary() if not 0.93 <= line[-1] <= 0.97] == []
    assert [line for line in summary() if not 0.9 <= line[-2] <= 1.1] == []


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
