"""How often 95 % intervals of curves hold a planted truth: data drawn, truths in closed form.

Times are exponential, censoring is uniform on [2, 12]; causes split the hazard; arms differ by
their hazard. Late: a third is there from 0 on, the others enter by day 3 if still free of the
event. Weighted: one half of the persons is drawn a quarter as often, and weighs four times. IPTW:
a normal covariate x moves the log odds of treatment by 0.6 x, the log hazard by 0.7 x; the truth
is the difference of the means over x.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tasks.stats.competing_risks import cumulative_incidence, incidence_at
from tasks.stats.estimated_weights import estimated_score, score_weights
from tasks.stats.inference import Contrast
from tasks.stats.nelson_aalen import hazard_at, nelson_aalen
from tasks.stats.restricted_means import adjusted_restricted_means, restricted_mean_ratio
from tasks.stats.step_curves import StepValues
from tasks.stats.survival import (
    kaplan_meier,
    restricted_mean,
    restricted_mean_difference,
    survival_at,
)
from tasks.stats.weighted_curves import WeightedArms, weighted_restricted_means
from tasks.stats.weighted_effects import contrast_means

DAY, HORIZON, RATES, OTHER = 5.0, 8.0, (0.10, 0.15), 0.05
Found = tuple[float, float, float, float]


@dataclass(frozen=True)
class Case:
    """A statement with an interval: its truth, and one estimate of it from drawn data.

    `is_log` says that bias and standard error are those of the logarithm.
    """

    name: str
    n: int
    truth: float
    draw: Callable[[np.random.Generator, int], Found]
    is_log: bool = False


@dataclass(frozen=True)
class Coverage:
    """What the replicates of a case show."""

    case: Case
    replicates: int
    coverage: float
    bias: float
    error_ratio: float

    @property
    def mcse(self) -> float:
        return float(np.sqrt(self.coverage * (1 - self.coverage) / self.replicates))


def _censored(rng, time):
    stop = rng.uniform(2, 12, time.size)
    return np.minimum(time, stop), time <= stop


def _at(found: StepValues) -> Found:
    return (found.estimate[0], found.std_error[0], found.ci_low[0], found.ci_high[0])


def _of(found: Contrast) -> Found:
    return (found.estimate, found.std_error, found.ci_low, found.ci_high)


def _km(conf_type):
    def draw(rng, n):
        time, event = _censored(rng, rng.exponential(1 / RATES[0], n))
        return _at(survival_at(kaplan_meier(time, event, conf_type=conf_type), DAY))

    return draw


def _km_late(rng, n):
    time = rng.exponential(1 / RATES[0], 2 * n)
    entry = np.where(rng.random(2 * n) < 1 / 3, 0.0, rng.uniform(0, 3, 2 * n))
    kept = np.flatnonzero(time > entry)[:n]
    stop = entry[kept] + rng.uniform(2, 12, n)
    curve = kaplan_meier(np.minimum(time[kept], stop), time[kept] <= stop, entry=entry[kept])
    return _at(survival_at(curve, DAY))


def _km_weighted(rng, n):
    rare = rng.random(n) < 0.2  # half of the population, drawn a quarter as often
    time, event = _censored(rng, rng.exponential(1 / np.where(rare, RATES[1], RATES[0])))
    curve = kaplan_meier(time, event, np.where(rare, 4.0, 1.0))
    return _at(survival_at(curve, DAY))


def _hazard(rng, n):
    time, event = _censored(rng, rng.exponential(1 / RATES[0], n))
    return _at(hazard_at(nelson_aalen(time, event), DAY))


def _incidence(variance):
    def draw(rng, n):
        time, event = _censored(rng, rng.exponential(1 / (RATES[0] + OTHER), n))
        cause = np.where(rng.random(n) < OTHER / (RATES[0] + OTHER), 2, 1)
        curve = cumulative_incidence(time, np.where(event, cause, 0), variance=variance)
        return _at(incidence_at(curve, DAY))

    return draw


def _means(rng, n):
    return tuple(
        restricted_mean(*_censored(rng, rng.exponential(1 / rate, n // 2)), HORIZON)
        for rate in RATES
    )


def _adjusted(rng, n):
    group, x = rng.integers(0, 2, n), rng.normal(size=n)
    time, event = _censored(rng, rng.exponential(1 / np.array(RATES)[group]))
    [found] = adjusted_restricted_means(time, event, group, x, HORIZON)
    return _of(found.contrast)


def _weighted_means(rng, n):
    x = rng.normal(size=n)
    arm = rng.random(n) < 1 / (1 + np.exp(-_CHOICE * x))
    hazard = np.where(arm, RATES[0], RATES[1]) * np.exp(_PROGNOSIS * x)
    time, event = _censored(rng, rng.exponential(1 / hazard))
    weights = score_weights(estimated_score(x[:, None], arm), arm, "iptw_ate")
    arms = WeightedArms(time, event.astype(np.int64), arm, weights)
    return _of(contrast_means(weighted_restricted_means(arms, HORIZON), "difference"))


def _marginal_mean(rate: float) -> float:
    """The restricted mean of everybody at a rate: the mean over x, by Gauss and Hermite."""
    at, share = np.polynomial.hermite_e.hermegauss(60)
    means = [_mean(rate * float(np.exp(_PROGNOSIS * x))) for x in at]
    return float(share @ np.array(means) / share.sum())


def _mean(rate: float) -> float:
    return float((1 - np.exp(-rate * HORIZON)) / rate)


_CHOICE, _PROGNOSIS = 0.6, 0.7
_FREE = float(np.exp(-RATES[0] * DAY))
_BOTH = RATES[0] + OTHER
CASES = (
    Case("Kaplan-Meier at a day, log-log", 200, _FREE, _km("log-log")),
    Case("Kaplan-Meier at a day, log", 200, _FREE, _km("log")),
    Case("Kaplan-Meier at a day, plain", 200, _FREE, _km("plain")),
    Case("Kaplan-Meier at a day, logit", 200, _FREE, _km("logit")),
    Case("Kaplan-Meier at a day, arcsin", 200, _FREE, _km("arcsin")),
    Case("Kaplan-Meier at a day, late entry", 200, _FREE, _km_late),
    Case("Kaplan-Meier at a day, weighted", 400,
         (_FREE + float(np.exp(-RATES[1] * DAY))) / 2, _km_weighted),
    Case("Nelson-Aalen at a day", 200, RATES[0] * DAY, _hazard),
    Case("cumulative incidence at a day, ij", 200,
         RATES[0] / _BOTH * float(1 - np.exp(-_BOTH * DAY)), _incidence("ij")),
    Case("cumulative incidence at a day, aalen", 200,
         RATES[0] / _BOTH * float(1 - np.exp(-_BOTH * DAY)), _incidence("aalen")),
    Case("difference of restricted means", 300, _mean(RATES[0]) - _mean(RATES[1]),
         lambda rng, n: _of(restricted_mean_difference(*_means(rng, n)))),
    Case("ratio of restricted means", 300, _mean(RATES[0]) / _mean(RATES[1]),
         lambda rng, n: _of(restricted_mean_ratio(*_means(rng, n))), is_log=True),
    Case("difference of restricted means, adjusted", 300, _mean(RATES[1]) - _mean(RATES[0]),
         _adjusted),
    Case("difference of restricted means, IPTW", 800,
         _marginal_mean(RATES[0]) - _marginal_mean(RATES[1]), _weighted_means),
)  # fmt: skip


def simulate(case: Case, replicates: int, seed: int = 20261125) -> Coverage:
    """Draw a case again and again, and count how often its interval holds the truth."""
    rng = np.random.default_rng([seed, CASES.index(case)])
    found = np.array([case.draw(rng, case.n) for _ in range(replicates)])
    estimate, error, low, high = found.T
    inside = float(((low <= case.truth) & (case.truth <= high)).mean())
    values = np.log(estimate) if case.is_log else estimate
    truth = np.log(case.truth) if case.is_log else case.truth
    ratio = float(error.mean() / values.std(ddof=1))
    return Coverage(case, replicates, inside, float(values.mean() - truth), ratio)


def table(found: list[Coverage]) -> str:
    """The coverages as a table of Markdown."""
    head = [
        "| interval | n | truth | replicates | coverage | mcse | bias | mean SE / SD |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    rows = [
        f"| {c.case.name} | {c.case.n} | {c.case.truth:.4f} | {c.replicates} | {c.coverage:.3f} "
        f"| {c.mcse:.3f} | {c.bias:+.4f} | {c.error_ratio:.3f} |"
        for c in found
    ]
    return "\n".join([*head, *rows])
