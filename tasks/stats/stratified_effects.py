"""Strata of a propensity score, and effects pooled over strata."""

import numpy as np
from numpy.typing import ArrayLike

from tasks.core.errors import EstimationError
from tasks.stats.inference import Contrast, difference, ratio
from tasks.stats.inputs import FloatArray, IntArray, codes, flags


def score_strata(ps: ArrayLike, treated: ArrayLike, n_strata: int = 5) -> IntArray:
    """Stratum of each row by quantiles of the score among all rows, from 0, shape (n,).

    Raises:
        EstimationError: A stratum lacks an arm, or scores are too few to be cut so often.
    """
    score = np.asarray(ps, dtype=np.float64)
    arm = flags(treated, score.shape, "treated")
    bounds = np.quantile(score, np.arange(1, n_strata) / n_strata)
    stratum = np.searchsorted(bounds, score, side="left").astype(np.int64)
    of_arms = [np.bincount(stratum[a], minlength=n_strata) for a in (arm, ~arm)]
    lacking = int((np.minimum(*of_arms) == 0).sum())
    if lacking:
        raise EstimationError(
            "strata of the score",
            f"{lacking} of {n_strata} strata lack an arm",
            "make fewer strata, or trim the scores.",
        )
    return stratum


def strata_weights(stratum: ArrayLike, treated: ArrayLike) -> FloatArray:
    """Weights that give each arm the strata of everybody, shape (n,).

    Source:
        Hong (2010) J Educ Behav Stat 35, marginal mean weighting through stratification.
    """
    arm = flags(treated, np.shape(stratum), "treated")
    member = codes(stratum, arm.size, "stratum")[1]
    size = np.bincount(member)
    mine = [np.bincount(member[a], minlength=size.size) for a in (~arm, arm)]
    share = np.array([1 - arm.mean(), arm.mean()])[arm.astype(int)]
    return np.asarray(share * size[member] / np.stack(mine)[arm.astype(int), member])


def stratified_difference(
    outcome: ArrayLike, treated: ArrayLike, stratum: ArrayLike, level: float = 0.95
) -> Contrast:
    """Differences of means within strata, weighted by the size of the strata.

    Raises:
        EstimationError: A stratum has fewer than two rows of an arm, or no variance at all.

    Source:
        Lunceford & Davidian (2004) Stat Med 23, section 2.
    """
    y = np.asarray(outcome, dtype=np.float64)
    arm = flags(treated, y.shape, "treated")
    member = codes(stratum, y.size, "stratum")[1]
    share = np.bincount(member) / y.size
    total = variance = 0.0
    for sign, a in ((1, arm), (-1, ~arm)):
        n, mean, spread = _moments(y[a], member[a], share.size)
        total += sign * float(share @ mean)
        variance += float(share**2 @ (spread / n))
    return difference(total, float(np.sqrt(variance)), level)


def _moments(y: FloatArray, member: IntArray, k: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    order = np.lexsort((y, member))
    y, member = y[order], member[order]
    n = np.bincount(member, minlength=k).astype(np.float64)
    if (n < 2).any():
        raise EstimationError(
            "strata of the score",
            f"{int((n < 2).sum())} strata have fewer than two rows of an arm",
            "make fewer strata.",
        )
    mean = np.bincount(member, y, minlength=k) / n
    spread = np.bincount(member, (y - mean[member]) ** 2, minlength=k) / (n - 1)
    return n, mean, spread


def mantel_haenszel(
    outcome: ArrayLike, treated: ArrayLike, stratum: ArrayLike, level: float = 0.95
) -> dict[str, Contrast]:
    """Mantel-Haenszel risk difference, risk ratio and odds ratio over strata.

    A ratio without a finite logarithm is left out.

    Raises:
        EstimationError: No event, or only events.

    Source:
        Mantel & Haenszel (1959); variances of Greenland & Robins (1985) for difference and risk
        ratio, of Robins, Breslow & Greenland (1986) for the odds ratio.
    """
    a, b, c, d = stratified_counts(outcome, treated, stratum)
    n1, n0, n = a + b, c + d, a + b + c + d
    found = {"risk_difference": _difference(a, c, n1, n0, n, level)}
    r, s = a * n0 / n, c * n1 / n
    if min(r.sum(), s.sum()) > 0:
        spread = ((a + c) * n1 * n0 - a * c * n) / n**2
        variance = spread.sum() / (r.sum() * s.sum())
        found["risk_ratio"] = ratio(np.log(r.sum() / s.sum()), float(np.sqrt(variance)), level)
    if min((a * d).sum(), (b * c).sum()) > 0:
        found["odds_ratio"] = _odds_ratio(a, b, c, d, n, level)
    return found


def stratified_counts(
    outcome: ArrayLike, treated: ArrayLike, stratum: ArrayLike
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Count the table of each stratum: treated with the event and without, others with, without.

    Raises:
        EstimationError: No event, or only events; an arm is empty.
    """
    arm = flags(treated, np.shape(outcome), "treated")
    event = flags(outcome, arm.shape, "outcome")
    if not 0 < event.sum() < event.size or not 0 < arm.sum() < arm.size:
        raise EstimationError(
            "mantel_haenszel",
            f"{int(event.sum())} of {event.size} rows have the event, {int(arm.sum())} are treated",
            "compare two arms in which the event happens to some.",
        )
    member = codes(stratum, arm.size, "stratum")[1]
    size = int(member.max()) + 1
    a, b, c, d = (
        np.bincount(member[chosen], minlength=size).astype(np.float64)
        for chosen in (arm & event, arm & ~event, ~arm & event, ~arm & ~event)
    )
    return a, b, c, d


def _difference(
    a: FloatArray, c: FloatArray, n1: FloatArray, n0: FloatArray, n: FloatArray, level: float
) -> Contrast:
    weight = n1 * n0 / n
    total = float(weight.sum())
    spread = (a * (n1 - a) * n0**3 + c * (n0 - c) * n1**3) / (n1 * n0 * n**2)
    value = float(((a * n0 - c * n1) / n).sum()) / total
    return difference(value, float(np.sqrt(spread.sum())) / total, level)


def _odds_ratio(
    a: FloatArray, b: FloatArray, c: FloatArray, d: FloatArray, n: FloatArray, level: float
) -> Contrast:
    r, s, p, q = a * d / n, b * c / n, (a + d) / n, (b + c) / n
    of_r, of_s = r.sum(), s.sum()
    variance = (
        (p * r).sum() / (2 * of_r**2)
        + (p * s + q * r).sum() / (2 * of_r * of_s)
        + (q * s).sum() / (2 * of_s**2)
    )
    return ratio(float(np.log(of_r / of_s)), float(np.sqrt(variance)), level)
