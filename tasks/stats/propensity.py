"""Propensity scores: model, weights, matching, balance and overlap."""

from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy import special, stats

from tasks.core.errors import EstimationError
from tasks.stats.balance_measures import balance_rows, is_binary, moments
from tasks.stats.inputs import BoolArray, FloatArray, case_weights, flags
from tasks.stats.logistic import LogisticFit, logistic
from tasks.stats.matching import MatchedPairs, match_nearest

__all__ = [
    "LogisticFit",
    "MatchedPairs",
    "area_under_curve",
    "ate_weights",
    "att_weights",
    "effective_sample_size",
    "equipoise",
    "logistic",
    "match_nearest",
    "overlap_weights",
    "preference_score",
    "standardised_mean_difference",
    "within_bounds",
]

_ROUNDING = 1e-12


def ate_weights(ps: ArrayLike, treated: ArrayLike, stabilised: bool = True) -> FloatArray:
    """Inverse-probability weights for the average effect in everyone, shape (n,).

    Args:
        ps: Propensity scores, shape (n,), each in (0, 1).
        treated: True for the treated, shape (n,).
        stabilised: Whether each arm is multiplied by its share of the persons.

    Returns:
        1 / ps for the treated and 1 / (1 - ps) for the others, stabilised or not.

    Raises:
        EstimationError: A score is not in (0, 1), or an arm is empty.
    """
    score, arm = _scores(ps, treated)
    share = arm.mean() if stabilised else 1.0
    other = 1 - arm.mean() if stabilised else 1.0
    return np.where(arm, share / score, other / (1 - score))


def att_weights(ps: ArrayLike, treated: ArrayLike) -> FloatArray:
    """Weights for the average effect in the treated: 1, and the odds of treatment, shape (n,).

    Raises:
        EstimationError: A score is not in (0, 1), or an arm is empty.
    """
    score, arm = _scores(ps, treated)
    return np.where(arm, 1.0, score / (1 - score))


def overlap_weights(ps: ArrayLike, treated: ArrayLike) -> FloatArray:
    """Weights for the average effect in the overlap: probability of the other arm, shape (n,).

    Raises:
        EstimationError: A score is not in (0, 1), or an arm is empty.

    Source:
        Li, Morgan & Zaslavsky (2018) JASA 113.
    """
    score, arm = _scores(ps, treated)
    return np.where(arm, 1 - score, score)


def within_bounds(ps: ArrayLike, low: float, high: float) -> BoolArray:
    """Who is kept when scores outside [low, high] are trimmed, shape (n,).

    Raises:
        EstimationError: Not 0 <= low < high <= 1.
    """
    if not 0 <= low < high <= 1:
        raise EstimationError("trimming", f"bounds {low:g}, {high:g}", "give 0 <= low < high <= 1.")
    score = np.asarray(ps, dtype=np.float64)
    return np.asarray((score >= low) & (score <= high))


def effective_sample_size(weights: ArrayLike) -> float:
    """Kish's effective sample size: square of the sum of weights over the sum of squares.

    Raises:
        EstimationError: A weight is not finite and positive.
    """
    weight = np.sort(case_weights(weights, np.size(weights)))
    return float(weight.sum() ** 2 / (weight**2).sum())


def standardised_mean_difference(
    x: Any,
    treated: ArrayLike,
    weights: ArrayLike | None = None,
    binary_variance: Literal["sample", "bernoulli"] = "sample",
) -> FloatArray:
    """Difference of means, treated less others, in units of the unweighted pooled SD.

    Args:
        x: Covariates, an array or a scipy sparse matrix, shape (n, p).
        treated: True for the treated, shape (n,).
        weights: Weight of each person, shape (n,), 0 for who is left out; for the means only:
            the denominator stays as before weighting, so that it cannot hide an imbalance.
        binary_variance: Variance of columns of zeros and ones: of the sample, as of any other
            column, or p (1 - p), as R cobalt has it; they differ by n / (n - 1).

    Returns:
        One difference a column, shape (p,). The pooled SD is the root of the mean of the arms'
        variances; NaN where the column is constant in both arms and the means differ, 0 where
        they do not.

    Raises:
        EstimationError: An arm is empty, or an input is not usable.

    Source:
        Austin (2009) Stat Med 28.
    """
    matrix, arm, weight = balance_rows(x, _arms(treated, np.size(treated)), weights)
    means = [moments(matrix[a], weight[a]).mean for a in (arm, ~arm)]
    binary = is_binary(matrix) & (binary_variance == "bernoulli")
    pooled = np.sqrt((_variance(matrix[arm], binary) + _variance(matrix[~arm], binary)) / 2)
    gap = means[0] - means[1]
    undefined = np.where(abs(gap) <= _ROUNDING * abs(means[1]), 0.0, np.nan)
    return np.divide(gap, pooled, out=undefined, where=pooled > 0)


def area_under_curve(ps: ArrayLike, treated: ArrayLike) -> float:
    """Chance that a treated person's score is higher than another's, ties half: c-statistic.

    Raises:
        EstimationError: A score is not in (0, 1), or an arm is empty.
    """
    score, arm = _scores(ps, treated)
    n_treated = int(arm.sum())
    ranks = float(stats.rankdata(score)[arm].sum())
    return (ranks - n_treated * (n_treated + 1) / 2) / (n_treated * (arm.size - n_treated))


def preference_score(ps: ArrayLike, treated: ArrayLike) -> FloatArray:
    """Propensity score with the odds of treatment in the whole sample divided out, shape (n,).

    Raises:
        EstimationError: A score is not in (0, 1), or an arm is empty.

    Source:
        Walker et al. (2013) Comparative Effectiveness Research 3.
    """
    score, arm = _scores(ps, treated)
    return np.asarray(special.expit(special.logit(score) - special.logit(arm.mean())))


def equipoise(ps: ArrayLike, treated: ArrayLike, low: float = 0.3, high: float = 0.7) -> float:
    """Share of persons whose preference score lies in [low, high].

    Raises:
        EstimationError: A score is not in (0, 1), an arm is empty, or the bounds are not.
    """
    return float(within_bounds(preference_score(ps, treated), low, high).mean())


def _scores(ps: ArrayLike, treated: ArrayLike) -> tuple[FloatArray, BoolArray]:
    score = np.asarray(ps, dtype=np.float64)
    arm = _arms(treated, score.size)
    if bad := int((~((score > 0) & (score < 1))).sum()) or score.ndim != 1:
        raise EstimationError(
            "propensity score",
            f"{int(bad)} of {score.size} scores are not inside (0, 1)",
            "drop covariates that decide the treatment; nobody may be sure to get it, or not.",
        )
    return score, arm


def _arms(treated: ArrayLike, n: int) -> BoolArray:
    arm = flags(treated, (n,), "treated")
    if not 0 < arm.sum() < n:
        raise EstimationError(
            "treated",
            f"{int(arm.sum())} of {n} persons are treated",
            "compare two arms that both have members.",
        )
    return arm


def _variance(x: Any, binary: BoolArray) -> FloatArray:
    found = moments(x, np.ones(x.shape[0]))
    return np.where(binary, found.mean * (1 - found.mean), found.variance)
