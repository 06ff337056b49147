"""What a pooled effect leans on: each site, the order of sites, small sites, missing ones."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import special, stats

from tasks.core.errors import EstimationError
from tasks.stats.inference import two_sided_p
from tasks.stats.inputs import FloatArray
from tasks.stats.meta_analysis import MIN_SITES, KnappHartung, Pooled, fit
from tasks.stats.meta_analysis_tau2 import Tau2Method, WeightedModel
from tasks.stats.students_t import two_sided_t

Estimator = Literal["l0", "r0"]
Side = Literal["left", "right"]
_MAX_ROUNDS = 100
_OUTLIER = 0.5


@dataclass(frozen=True, slots=True)
class Asymmetry:
    """A test of the funnel: Student's t of Egger's regression, or Kendall's tau of Begg's test."""

    estimate: float
    std_error: float | None
    statistic: float
    df: float | None
    p_value: float


@dataclass(frozen=True, slots=True)
class TrimFill:
    """The effect with the sites filled in that the funnel seems to lack on one side."""

    missing: int
    side: Side
    pooled: Pooled
    filled_effects: tuple[float, ...]
    filled_variances: tuple[float, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Influence:
    """How much each site moves the pooled effect, as R's `influence` of metafor; shape (k,)."""

    rstudent: FloatArray
    dffits: FloatArray
    cook: FloatArray
    hat: FloatArray
    is_influential: tuple[bool, ...]


def egger(y: FloatArray, v: FloatArray) -> Asymmetry:
    """Egger's regression of effects on their standard errors, weighted by 1 / v.

    Raises:
        EstimationError: Fewer than 3 sites, or all with the same standard error.
    """
    _check(y)
    errors = np.sqrt(v)
    if np.ptp(errors) <= 1e-12 * errors.max():
        what = "all sites have the same standard error"
        raise EstimationError("egger", what, "read the funnel: it has one level.")
    model = WeightedModel(y, np.column_stack([np.ones_like(y), errors]), 1 / v)
    df = y.size - 2
    std_error = float(np.sqrt(model.rss / df * model.inverse[1, 1]))
    if std_error <= 0:
        raise EstimationError("egger", "the sites lie on one line", "add sites.")
    t = float(model.beta[1]) / std_error
    return Asymmetry(float(model.beta[1]), std_error, t, float(df), two_sided_t(t, df))


def begg(y: FloatArray, v: FloatArray) -> Asymmetry:
    """Begg and Mazumdar's rank correlation of standardised effects and variances (Kendall).

    The p-value is exact without ties, as metafor's `ranktest`; normal with them.

    Raises:
        EstimationError: Fewer than 3 sites, or all alike.
    """
    _check(y)
    w = 1 / v
    mean, spread = float((w * y).sum() / w.sum()), v - 1 / w.sum()
    standardised = (y - mean) / np.sqrt(spread)
    pairs = np.triu_indices(y.size, 1)
    signs = np.sign(np.subtract.outer(standardised, standardised)[pairs])
    signs = signs * np.sign(np.subtract.outer(v, v)[pairs])
    is_tied = any(np.unique(part).size < y.size for part in (standardised, v))
    if not is_tied:
        found = stats.kendalltau(standardised, v, method="exact")
        return Asymmetry(float(signs.sum()) / signs.size, None, float(signs.sum()), None,
                         float(found.pvalue))  # fmt: skip
    return _begg_with_ties(standardised, v, float(signs.sum()))


def _begg_with_ties(one: FloatArray, other: FloatArray, score: float) -> Asymmetry:
    n = one.size
    sizes = [np.unique(part, return_counts=True)[1].astype(np.float64) for part in (one, other)]
    pairs = n * (n - 1) / 2
    free = [pairs - float((t * (t - 1)).sum()) / 2 for t in sizes]
    if min(free) <= 0:
        raise EstimationError("begg", "all sites have the same rank", "add sites.")
    spread = n * (n - 1) * (2 * n + 5) - sum(
        float((t * (t - 1) * (2 * t + 5)).sum()) for t in sizes
    )
    thrice = [float((t * (t - 1) * (t - 2)).sum()) for t in sizes]
    twice = [float((t * (t - 1)).sum()) for t in sizes]
    variance = spread / 18 + thrice[0] * thrice[1] / (9 * n * (n - 1) * (n - 2))
    variance += twice[0] * twice[1] / (2 * n * (n - 1))
    z = score / float(np.sqrt(variance))
    return Asymmetry(score / float(np.sqrt(free[0] * free[1])), None, z, None, two_sided_p(z))


def trim_and_fill(
    y: FloatArray,
    v: FloatArray,
    method: Tau2Method,
    *,
    estimator: Estimator = "l0",
    side: Side | None = None,
    knapp_hartung: KnappHartung = "none",
    level: float = 0.95,
) -> TrimFill:
    """Fill in the sites that a lopsided funnel lacks (Duval and Tweedie 2000).

    Args:
        y: Effects, shape (k,).
        v: Sampling variances.
        method: Of pooling, in every round.
        estimator: How many are missing.
        side: Where they are missing; where the slope of effects on standard errors points away
            from when left out.
        knapp_hartung: Errors of the filled fit.
        level: Confidence level.

    Raises:
        EstimationError: Fewer than 3 sites, or the rounds do not end.
    """
    _check(y)
    side = side or _thin_side(y, v, method)
    sign = -1.0 if side == "right" else 1.0
    order = np.argsort(sign * y, kind="stable")
    y, v = sign * y[order], v[order]
    missing, centre = _rounds(y, v, method, estimator)
    filled = 2 * centre - y[y.size - missing :]
    all_y, all_v = np.append(y, filled), np.append(v, v[y.size - missing :])
    pooled = _mean(sign * all_y, all_v, method, knapp_hartung, level)
    added = tuple(float(sign * value) for value in filled)
    return TrimFill(missing, side, pooled, added, tuple(float(x) for x in v[y.size - missing :]))


def _rounds(
    y: FloatArray, v: FloatArray, method: Tau2Method, estimator: Estimator
) -> tuple[int, float]:
    """Trim as many as seem missing, until that number stays; return it and the trimmed mean."""
    k, missing = y.size, 0
    for _ in range(_MAX_ROUNDS):
        centre = _mean(y[: k - missing], v[: k - missing], method).estimate
        found = _missing(y - centre, estimator)
        if found == missing:
            return missing, centre
        missing = min(found, k - 1)
    raise EstimationError("trim and fill", "the rounds do not end", "take the other estimator.")


def _missing(gaps: FloatArray, estimator: Estimator) -> int:
    k = gaps.size
    ranks = np.empty(k)
    ranks[np.argsort(np.abs(gaps), kind="stable")] = np.arange(1, k + 1)
    if estimator == "r0":
        below = ranks[gaps < 0]
        return max(0, k - int(below.max(initial=0)) - 1)
    above = float(ranks[gaps > 0].sum())
    return max(0, int(np.rint((4 * above - k * (k + 1)) / (2 * k - 1))))


def _thin_side(y: FloatArray, v: FloatArray, method: Tau2Method) -> Side:
    errors = np.sqrt(v)
    if np.ptp(errors) <= 1e-12 * errors.max():
        return "left"
    found = fit(y, v, np.column_stack([np.ones_like(y), errors]), method, profile=False)
    slope = found.coefficients[1]
    return "right" if slope < 0 else "left"


def leave_one_out(
    y: FloatArray,
    v: FloatArray,
    method: Tau2Method,
    *,
    knapp_hartung: KnappHartung = "none",
    level: float = 0.95,
) -> list[Pooled]:
    """Pool all sites but one, for each site.

    Raises:
        EstimationError: Fewer than 3 sites.
    """
    _check(y)
    places = range(y.size)
    return [_mean(np.delete(y, i), np.delete(v, i), method, knapp_hartung, level) for i in places]


def cumulative(
    y: FloatArray,
    v: FloatArray,
    method: Tau2Method,
    *,
    knapp_hartung: KnappHartung = "none",
    level: float = 0.95,
) -> list[Pooled]:
    """Pool the first site, the first two, and so on, in the order given.

    Raises:
        EstimationError: Fewer than 3 sites.
    """
    _check(y)
    first = _mean(y[:1], v[:1], method, "none", level)
    sizes = range(2, y.size + 1)
    return [first, *(_mean(y[:m], v[:m], method, knapp_hartung, level) for m in sizes)]


def influence(
    y: FloatArray, v: FloatArray, method: Tau2Method, *, knapp_hartung: KnappHartung = "none"
) -> Influence:
    """Return how far the pooled effect moves when a site is left out (Viechtbauer 2010).

    Raises:
        EstimationError: Fewer than 3 sites.
    """
    _check(y)
    whole = _mean(y, v, method, knapp_hartung)
    without = leave_one_out(y, v, method, knapp_hartung=knapp_hartung)
    hat = whole.weights / 100
    estimate = np.array([one.estimate for one in without])
    error = np.array([one.std_error for one in without])
    tau2 = np.array([one.heterogeneity.tau2 for one in without])
    totals = np.array([float((1 / (v + t)).sum()) for t in tau2])
    others = np.array([float((1 / (np.delete(v, i) + t)).sum()) for i, t in enumerate(tau2)])
    scale = error**2 * others
    gap = whole.estimate - estimate
    rstudent = (y - estimate) / np.sqrt(scale * (v + tau2) + error**2)
    dffits = gap / np.sqrt(scale * hat * (v + tau2))
    cook, dfbeta = gap**2 / whole.std_error**2, gap / np.sqrt(scale / totals)
    moved = (np.abs(dffits) > 3 * np.sqrt(1 / (y.size - 1))) | (special.chdtr(1, cook) > _OUTLIER)
    moved |= (hat > 3 / y.size) | (np.abs(dfbeta) > 1)
    return Influence(rstudent, dffits, cook, hat, tuple(bool(flag) for flag in moved))


def _mean(
    y: FloatArray,
    v: FloatArray,
    method: Tau2Method,
    knapp_hartung: KnappHartung = "none",
    level: float = 0.95,
) -> Pooled:
    ones = np.ones((y.size, 1))
    return fit(y, v, ones, method, knapp_hartung=knapp_hartung, level=level, profile=False)


def _check(y: FloatArray) -> None:
    if y.size < MIN_SITES:
        what = f"{y.size} sites are too few; {MIN_SITES} are needed"
        raise EstimationError("meta-analysis", what, "show the sites by themselves.")
