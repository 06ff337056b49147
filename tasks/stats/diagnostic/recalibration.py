"""Whether probabilities mean what they say: recalibration, O:E, Brier score, smooth curve.

Standard errors are of units: several readings of a person count together.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import special, stats

from tasks.core.errors import EstimationError
from tasks.stats.diagnostic.local_regression import SPAN, Curve, lowess
from tasks.stats.diagnostic.units import error_of, is_clustered, numbered
from tasks.stats.inference import z_quantile
from tasks.stats.inputs import BoolArray, FloatArray, IntArray
from tasks.stats.logistic import logistic

_ROUNDS, _TOLERANCE = 100, 1e-12
_STEP_OF_RESAMPLES = 0.025
_LOOK = "look at the scores and how many cases have the condition."
OF_CURVE = ("ici", "e50", "e90", "emax", "eci")


@dataclass(frozen=True, slots=True)
class Found:
    """One number of calibration. A ratio has its standard error on the log scale."""

    name: str
    estimate: float
    std_error: float | None
    ci_low: float | None
    ci_high: float | None
    se_method: str | None
    is_ratio: bool = False
    term: str | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """Readings with neighbouring probabilities: their mean, and how many have the condition."""

    mean: float
    n: int
    events: int


class Predictions:
    """Probabilities of readings, in rising order, with their truth and units; shape (n,) each."""

    def __init__(self, probability: FloatArray, truth: BoolArray, units: IntArray) -> None:
        """Sort the readings, so that results do not depend on their order.

        Raises:
            EstimationError: A probability outside 0 to 1, or one truth only.
        """
        outside = int(((probability < 0) | (probability > 1) | np.isnan(probability)).sum())
        if outside:
            what = f"{outside} scores lie outside 0 to 1: they are no probabilities"
            raise EstimationError("calibration", what, "give a score from 0 to 1.")
        if not 0 < truth.sum() < truth.size:
            what = f"{int(truth.sum())} of {truth.size} cases have the condition"
            raise EstimationError("calibration", what, "analyse cases with and without it.")
        order = np.lexsort((units, truth, probability))
        self.p, self.y = probability[order], truth[order].astype(np.float64)
        self.units = numbered(units[order])
        self.n, self.events = self.p.size, int(truth.sum())
        self.is_clustered = is_clustered(self.units)

    @property
    def logit(self) -> FloatArray:
        """Log odds of the probabilities.

        Raises:
            EstimationError: A probability is 0 or 1.
        """
        certain = int(np.isin(self.p, (0.0, 1.0)).sum())
        if certain:
            what = f"{certain} scores are 0 or 1, and their log odds infinite"
            raise EstimationError("calibration", what, "round scores less, or keep off 0 and 1.")
        return np.asarray(special.logit(self.p))


def calibration_numbers(
    of: Predictions, level: float = 0.95
) -> list[tuple[str, Callable[[], Found]]]:
    """Return the name of each number that needs no resampling, and what makes it.

    Args:
        of: The predictions.
        level: Confidence level.

    Source:
        Cox (1958) Biometrika 45:562 (recalibration); Brier (1950); Debray et al. (2017) BMJ
        356:i6460 (O:E); Spiegelhalter (1986) Stat Med 5:421. Agrees with R rms `val.prob` and
        `glm(y ~ offset(qlogis(p)))`.
    """
    return [
        ("calibration_intercept", lambda: _in_the_large(of, level)),
        ("calibration_slope", lambda: _recalibrated(of, 1, level)),
        ("calibration_intercept", lambda: _recalibrated(of, 0, level)),
        ("oe_ratio", lambda: _observed_to_expected(of, level)),
        ("brier", lambda: _brier(of, level)),
        ("scaled_brier", lambda: _scaled_brier(of, level)),
    ]


def _wald(
    of: Predictions, name: str, value: float, error: float, level: float, term: str | None = None
) -> Found:
    reach = z_quantile(level) * error
    method = "cluster_robust" if of.is_clustered else "model"
    return Found(name, value, error, value - reach, value + reach, method, term=term)


def _in_the_large(of: Predictions, level: float) -> Found:
    offset, value = of.logit, 0.0
    for _ in range(_ROUNDS):
        fitted = special.expit(offset + value)
        information = float(fitted @ (1 - fitted))
        if not information > 0:
            break
        step = float((of.y - fitted).sum()) / information
        value += float(np.clip(step, -5, 5))
        if abs(step) < _TOLERANCE:
            break
    else:
        raise EstimationError("calibration intercept", "no intercept was found", _LOOK)
    fitted = special.expit(offset + value)
    information = float(fitted @ (1 - fitted))
    robust = error_of((of.y - fitted) / information, of.units)
    error = robust if of.is_clustered else float(1 / np.sqrt(information))
    return _wald(of, "calibration_intercept", value, error, level, term="in the large")


def _recalibrated(of: Predictions, place: int, level: float) -> Found:
    x = of.logit
    fit = logistic(x[:, None], of.y == 1)
    error = float(fit.std_error[place])
    if of.is_clustered:
        design = np.column_stack([np.ones(of.n), x])
        weight = fit.fitted * (1 - fit.fitted)
        bread = np.linalg.inv(design.T @ (weight[:, None] * design))
        error = error_of((of.y - fit.fitted) * (design @ bread)[:, place], of.units)
    name, term = (("calibration_intercept", "recalibration"), ("calibration_slope", "slope"))[place]
    return _wald(of, name, float(fit.coef[place]), error, level, term=term)


def _observed_to_expected(of: Predictions, level: float) -> Found:
    ratio, share = of.events / float(of.p.sum()), of.events / of.n
    error = float(np.sqrt((1 - share) / of.events))
    if of.is_clustered:
        error = error_of((of.y - share) / of.events, of.units)
    reach = z_quantile(level) * error
    low, high = ratio * np.exp([-reach, reach])
    method = "cluster_robust" if of.is_clustered else "binomial"
    return Found("oe_ratio", ratio, error, float(low), float(high), method, is_ratio=True)


def _brier(of: Predictions, level: float) -> Found:
    loss = (of.p - of.y) ** 2
    value = float(loss.mean())
    return _wald(of, "brier", value, error_of((loss - value) / of.n, of.units), level)


def _scaled_brier(of: Predictions, level: float) -> Found:
    loss, share = (of.p - of.y) ** 2, of.events / of.n
    value, chance = float(loss.mean()), share * (1 - share)
    slope = value / chance**2 * (1 - 2 * share)
    influence = (-(loss - value) / chance + slope * (of.y - share)) / of.n
    return _wald(of, "scaled_brier", 1 - value / chance, error_of(influence, of.units), level)


def spiegelhalter(of: Predictions) -> tuple[float, float]:
    """Return Spiegelhalter's z and its two-sided p.

    Raises:
        EstimationError: Every probability is 0, 0.5 or 1; or persons have several readings.
    """
    if of.is_clustered:
        raise EstimationError("spiegelhalter", "cases of a person are not independent", _LOOK)
    variance = float(((1 - 2 * of.p) ** 2) @ (of.p * (1 - of.p)))
    if not variance > 0:
        raise EstimationError("spiegelhalter", "the statistic has no variance", _LOOK)
    z = float((of.y - of.p) @ (1 - 2 * of.p)) / float(np.sqrt(variance))
    return z, float(2 * stats.norm.sf(abs(z)))


def groups_of(of: Predictions, count: int = 10) -> list[Group]:
    """Return the readings in groups between quantiles of their probability.

    As R `cut(p, quantile(p, 0:count / count), include.lowest = TRUE)`: ties stay together.
    """
    edges = np.unique(np.quantile(of.p, np.linspace(0, 1, count + 1)))
    member = np.clip(np.searchsorted(edges, of.p, "left") - 1, 0, None)
    _, member = np.unique(member, return_inverse=True)
    sizes = np.bincount(member)
    means, events = np.bincount(member, of.p) / sizes, np.bincount(member, of.y)
    return [Group(float(m), int(n), int(e)) for m, n, e in zip(means, sizes, events, strict=True)]


def hosmer_lemeshow(groups: list[Group]) -> tuple[float, int, float]:
    """Return the statistic, its degrees of freedom (the groups: nothing was fitted), and p.

    Raises:
        EstimationError: In a group all probabilities are 0 or all are 1.
    """
    expected = [group.n * group.mean * (1 - group.mean) for group in groups]
    if not min(expected) > 0:
        raise EstimationError("hosmer_lemeshow", "a group expects none, or all", _LOOK)
    terms = [
        (group.events - group.n * group.mean) ** 2 / below
        for group, below in zip(groups, expected, strict=True)
    ]
    value = float(sum(terms))
    return value, len(groups), float(stats.chi2.sf(value, len(groups)))


def decomposition(of: Predictions, groups: list[Group]) -> dict[str, float]:
    """Return Murphy's parts of the Brier score; it is reliability - resolution + uncertainty.

    Probabilities differ inside of groups: what is left of the score is `within groups`.
    """
    share = of.events / of.n
    sizes, means = (np.array([getattr(g, name) for g in groups]) for name in ("n", "mean"))
    rates = np.array([g.events / g.n for g in groups])
    reliability = float(sizes @ (means - rates) ** 2) / of.n
    resolution = float(sizes @ (rates - share) ** 2) / of.n
    uncertainty = share * (1 - share)
    whole = float(((of.p - of.y) ** 2).mean())
    left = whole - (reliability - resolution + uncertainty)
    return {
        "reliability": reliability, "resolution": resolution, "uncertainty": uncertainty,
        "within groups": left,
    }  # fmt: skip


def distances(curve: Curve, p: FloatArray) -> dict[str, float]:
    """Return how far the curve lies from the probabilities: ICI, E50, E90, Emax, ECI.

    Source:
        Austin & Steyerberg (2019) Stat Med 38:4051; Van Hoorde et al. (2015) J Biomed Inform
        54:283 (ECI: 100 times the mean square). Agrees with R rms `val.prob` (Eavg, E90, Emax).
    """
    gap = np.abs(curve.of(p) - p)
    middle, high = np.quantile(gap, (0.5, 0.9))
    values = (gap.mean(), middle, high, gap.max(), 100 * (gap**2).mean())
    return dict(zip(OF_CURVE, map(float, values), strict=True))


@dataclass(frozen=True, slots=True, eq=False)
class Smooth:
    """The curve at the points asked for, its distances, and percentile limits of both.

    Args:
        height: Height of the curve, shape (m,).
        band: Lower and upper limits, shape (2, m).
        distances: ICI and the others.
        limits: Lower and upper limit of each.
        errors: Standard deviation of each over resamples.
    """

    height: FloatArray
    band: FloatArray
    distances: dict[str, float]
    limits: dict[str, tuple[float, float]]
    errors: dict[str, float]


def smooth(
    of: Predictions,
    at: FloatArray,
    *,
    replicates: int,
    rng: np.random.Generator,
    span: float = SPAN,
    level: float = 0.95,
) -> Smooth:
    """Fit the calibration curve; limits are percentiles over resamples of units.

    Args:
        of: The predictions.
        at: Where the curve is told, shape (m,).
        replicates: Resamples.
        rng: What draws them.
        span: Share of the readings that a line is fitted to.
        level: Confidence level.

    Raises:
        EstimationError: All probabilities are the same.
    """
    curve = lowess(of.p, of.y, span)
    found = distances(curve, of.p)
    size = int(of.units.max()) + 1
    heights, gaps = np.empty((replicates, at.size)), np.empty((replicates, len(OF_CURVE)))
    for place in range(replicates):
        counts = rng.multinomial(size, np.full(size, 1 / size))[of.units]
        p, y = np.repeat(of.p, counts), np.repeat(of.y, counts)
        drawn = lowess(p, y, span, _STEP_OF_RESAMPLES) if p.size > 1 and p[0] < p[-1] else curve
        heights[place] = drawn.of(at)
        gaps[place] = list(distances(drawn, p).values())
    tails = ((1 - level) / 2, (1 + level) / 2)
    low, high = np.quantile(gaps, tails, axis=0)
    spread = gaps.std(axis=0, ddof=1)
    limits = {n: (float(low[i]), float(high[i])) for i, n in enumerate(OF_CURVE)}
    errors = {name: float(spread[i]) for i, name in enumerate(OF_CURVE)}
    return Smooth(curve.of(at), np.quantile(heights, tails, axis=0), found, limits, errors)
