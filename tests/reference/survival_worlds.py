"""Drawn follow-up with a planted effect on risks, and how often intervals hold it.

Two covariates drive treatment, outcome and loss; the hazard given them is that of Cox's model.
The truth is the mean, over a million persons, of the exponential survival of each under both
treatments: the marginal risk difference by day 1, and that of means up to day 2.
"""

from functools import cache

import numpy as np

from tasks.stats.estimated_weights import estimated_score
from tasks.stats.outcome_models import OutcomeDesign
from tasks.stats.survival_effects import aipw_survival, g_computation_survival
from tasks.stats.weighted_effects import contrast_means
from tests.reference.causal_worlds import LOG_HAZARD_RATIO, Line, covariates, treated

N, DAY, HORIZON, END = 600, 1.0, 2.0, 2.5
_TRUTH_SIZE = 1_000_000


def hazard(x, arm):
    return 0.5 * np.exp(LOG_HAZARD_RATIO * arm + 0.8 * x[:, 0] + 0.6 * x[:, 1])


def followed(x, arm, rng):
    time = rng.exponential(1 / hazard(x, arm))
    lost = rng.exponential(1 / (0.25 * np.exp(0.5 * x[:, 0] - 0.4 * arm)))
    lost = np.minimum(lost, END)
    return np.minimum(time, lost), time <= lost


def design(x, arm):
    made = (np.column_stack([a, x]) for a in (arm, np.ones(len(x)), np.zeros(len(x))))
    return OutcomeDesign(*made)


@cache
def truth():
    """Risk difference, log risk ratio and difference of restricted means."""
    x = covariates(_TRUTH_SIZE, np.random.default_rng(97))
    risk, mean = [], []
    for arm in (1.0, 0.0):
        rate = hazard(x, arm)
        risk.append(-np.expm1(-rate * DAY).mean())
        mean.append((-np.expm1(-rate * HORIZON) / rate).mean())
    return {
        "risk_difference": float(risk[0] - risk[1]),
        "log_risk_ratio": float(np.log(risk[0] / risk[1])),
        "rmst_difference": float(mean[0] - mean[1]),
    }


def effects(x, arm, time, event):
    """Every estimator of one drawn study, with right and with wrong models."""
    a = arm.astype(float)
    right, poor = design(x, a), design(x[:, 1:], a)
    alone = OutcomeDesign(x, x, x)
    score, poor_score = estimated_score(x, arm), estimated_score(x[:, 1:], arm)
    by = ([DAY], HORIZON)
    return {
        "g-computation": g_computation_survival(time, event, arm, right, *by),
        "g-computation, a model per arm": g_computation_survival(
            time, event, arm, alone, *by, per_arm=True
        ),
        "AIPW": aipw_survival(time, event, arm, right, score, *by, x),
        "AIPW, model of the outcome wrong": aipw_survival(time, event, arm, poor, score, *by, x),
        "AIPW, model of the treatment wrong": aipw_survival(
            time, event, arm, right, poor_score, *by, x
        ),
    }


def measured(found):
    """Estimate and error of each measure; the ratio on its log scale."""
    [risk] = found.risks
    difference, ratio = (contrast_means(risk, m) for m in ("difference", "ratio"))
    mean = contrast_means(found.rmst, "difference")
    return {
        "risk_difference": (difference.estimate, difference.std_error),
        "log_risk_ratio": (np.log(ratio.estimate), ratio.std_error),
        "rmst_difference": (mean.estimate, mean.std_error),
    }


def lines(replicates, seed=5, n=N):
    rng = np.random.default_rng(seed)
    found = {}
    for _ in range(replicates):
        x = covariates(n, rng)
        arm = treated(x, rng)
        time, event = followed(x, arm.astype(float), rng)
        for name, made in effects(x, arm, time, event).items():
            for measure, pair in measured(made).items():
                found.setdefault((name, measure), []).append(pair)
    return [
        Line(f"{name}: {measure.replace('_', ' ')}", truth()[measure], *np.array(pairs).T)
        for (name, measure), pairs in found.items()
    ]
