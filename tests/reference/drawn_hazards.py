"""Persons drawn from a subdistribution model, and what fits to many such draws show.

F1(t | x) = 1 - (1 - p (1 - exp(-t)))^exp(x'b), the model of Fine and Gray (1999), section 5;
whoever does not have the event has the competing one after an exponential time.
"""

from dataclasses import dataclass

import numpy as np

from tasks.stats.fine_gray import fine_gray

TRUTH = np.array([0.5, -0.5])
_SHARE = 0.4  # p: with the event in the end, at x = 0


@dataclass(frozen=True)
class Coverage:
    """Of one coefficient over replicates; `mcse` is of the coverage."""

    bias: float
    bias_mcse: float
    sd: float
    mean_se: float
    coverage: float
    mcse: float


def persons(rng, n):
    """Time, cause and covariates of n persons; about a third are censored."""
    x = np.column_stack([rng.integers(0, 2, n), rng.normal(size=n)]).astype(float)
    power = np.exp(x @ TRUTH)
    in_the_end = 1 - (1 - _SHARE) ** power
    is_event = rng.random(n) < in_the_end
    u = rng.random(n) * in_the_end
    event = -np.log(1 - (1 - (1 - u) ** (1 / power)) / _SHARE)
    competing = rng.exponential(np.exp(-0.3 * x[:, 0]))
    end, censored = np.where(is_event, event, competing), rng.uniform(0, 3, n)
    cause = np.where(end <= censored, np.where(is_event, 1, 2), 0)
    return np.minimum(end, censored), cause, x


def simulate(variant, n, replicates, seed):
    """Coverage of both coefficients over seeded replicates."""
    rng = np.random.default_rng(seed)
    fits = [fine_gray(*persons(rng, n), variant) for _ in range(replicates)]
    coef = np.array([fit.coef for fit in fits])
    error = np.array([fit.std_error for fit in fits])
    low, high = (np.array([getattr(fit, side) for fit in fits]) for side in ("ci_low", "ci_high"))
    covered = ((low <= TRUTH) & (high >= TRUTH)).mean(axis=0)
    sd = coef.std(axis=0, ddof=1)
    return [
        Coverage(
            coef[:, j].mean() - TRUTH[j], sd[j] / replicates**0.5, sd[j], error[:, j].mean(),
            covered[j], (covered[j] * (1 - covered[j]) / replicates) ** 0.5,
        )
        for j in range(TRUTH.size)
    ]  # fmt: skip
