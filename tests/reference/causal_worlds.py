"""Drawn studies with a planted effect, and how often intervals hold it.

Two covariates drive treatment and outcome. Survival: exponential times, conditional hazard ratio
0.75, censoring at random and at the end. The truth is the marginal log hazard ratio: Cox's model
of 10^6 persons, each followed under both treatments, with the study's own censoring.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy import special

from tasks.stats.cox import cox
from tasks.stats.estimated_weights import estimated_score, score_weights, truncated
from tasks.stats.outcome_models import OutcomeDesign, aipw, g_computation, tmle
from tasks.stats.weighted_cox import cox_estimated_weights
from tasks.stats.weighted_effects import contrast_means, weighted_means

N, LOG_HAZARD_RATIO, END = 600, np.log(0.75), 2.5
_TRUTH_SIZE = 1_000_000
_Z = 1.959963984540054


@dataclass(frozen=True)
class Line:
    """What many replicates of one estimator show."""

    what: str
    truth: float
    estimates: np.ndarray
    errors: np.ndarray

    @property
    def coverage(self):
        return float((abs(self.estimates - self.truth) <= _Z * self.errors).mean())

    @property
    def bias(self):
        return float(self.estimates.mean() - self.truth)

    @property
    def error_ratio(self):
        return float(self.errors.mean() / self.estimates.std(ddof=1))

    @property
    def mcse(self):
        return float(np.sqrt(0.95 * 0.05 / self.estimates.size))

    def __str__(self):
        return (
            f"| {self.what} | {self.truth:.4f} | {self.bias:+.4f} | {self.estimates.std(ddof=1):.4f} "
            f"| {self.error_ratio:.3f} | {100 * self.coverage:.1f} % | {100 * self.mcse:.1f} |"
        )


HEAD = (
    "| estimator | truth | bias | SD of estimates | mean error / SD | coverage of 95 % | mcse |\n"
    "|---|---:|---:|---:|---:|---:|---:|"
)


def covariates(n, rng):
    x = rng.normal(size=(n, 2))
    x[:, 1] = x[:, 1] > 0.3
    return x


def treated(x, rng):
    return rng.random(len(x)) < special.expit(-0.3 + 0.7 * x[:, 0] - 0.5 * x[:, 1])


def survival(x, arm, rng):
    hazard = 0.5 * np.exp(LOG_HAZARD_RATIO * arm + 1.0 * x[:, 0] + 0.8 * x[:, 1])
    time = rng.exponential(1 / hazard)
    censored = np.minimum(rng.exponential(5.0, size=len(x)), END)
    return np.minimum(time, censored), time <= censored


def risk(x, arm):
    return special.expit(-0.6 + 0.5 * arm + 0.8 * x[:, 0] - 0.7 * x[:, 1])


@cache
def marginal_log_hazard_ratio():
    rng = np.random.default_rng(99)
    x = covariates(_TRUTH_SIZE, rng)
    both = [survival(x, np.full(_TRUTH_SIZE, a), rng) for a in (1.0, 0.0)]
    time, event = (np.concatenate(parts) for parts in zip(*both, strict=True))
    arm = np.repeat([1.0, 0.0], _TRUTH_SIZE)
    return float(cox(time, event, arm, ties="breslow").coef[0])


@cache
def marginal_risk_difference():
    x = covariates(_TRUTH_SIZE, np.random.default_rng(98))
    return float((risk(x, 1.0) - risk(x, 0.0)).mean())


def survival_lines(replicates, seed=1):
    rng = np.random.default_rng(seed)
    kinds = {"stabilised": None, "stabilised, truncated at 1 and 99 %": (0.01, 0.99)}
    found = {name: [] for name in kinds}
    for _ in range(replicates):
        x = covariates(N, rng)
        arm = treated(x, rng)
        time, event = survival(x, arm, rng)
        plain = score_weights(estimated_score(x, arm), arm, "iptw_ate", True)
        for name, cut in kinds.items():
            weights = truncated(plain, *cut) if cut else plain
            fit = cox_estimated_weights(time, event, arm.astype(float), weights)
            found[name].append((fit.coef[0], fit.std_error[0], fit.fixed_std_error[0]))
    lines = []
    for name, rows in found.items():
        estimate, fitted, fixed = np.array(rows).T
        truth = marginal_log_hazard_ratio()
        lines.append(Line(f"IPTW Cox, {name}: m_estimation", truth, estimate, fitted))
        lines.append(Line(f"IPTW Cox, {name}: robust, weights known", truth, estimate, fixed))
    return lines


def _design(x, arm):
    made = (np.column_stack([a, x]) for a in (arm, np.ones(len(x)), np.zeros(len(x))))
    return OutcomeDesign(*made)


def _means(x, arm, y):
    """Every estimator of the risk difference, with right and with wrong models."""
    right, poor = _design(x, arm.astype(float)), _design(x[:, 1:], arm.astype(float))
    score, poor_score = estimated_score(x, arm), estimated_score(x[:, 1:], arm)
    weights = score_weights(score, arm, "iptw_ate")
    return {
        "AIPW: influence": aipw(y, arm, right, score, "logistic"),
        "AIPW, model of the outcome wrong": aipw(y, arm, poor, score, "logistic"),
        "AIPW, model of the treatment wrong": aipw(y, arm, right, poor_score, "logistic"),
        "TMLE: influence": tmle(y, arm, right, score, "logistic"),
        "g-computation: m_estimation": g_computation(y, arm, right, "logistic"),
        "IPTW risk difference: m_estimation": weighted_means(y, arm, weights),
        "IPTW risk difference: hc0": weighted_means(y, arm, weights, fitted=False),
    }


def risk_lines(replicates, seed=2):
    rng = np.random.default_rng(seed)
    found = {}
    for _ in range(replicates):
        x = covariates(N, rng)
        arm = treated(x, rng)
        y = rng.random(N) < risk(x, arm)
        for name, means in _means(x, arm, y).items():
            contrast = contrast_means(means, "difference")
            found.setdefault(name, []).append((contrast.estimate, contrast.std_error))
    truth = marginal_risk_difference()
    return [Line(name, truth, *np.array(rows).T) for name, rows in found.items()]
