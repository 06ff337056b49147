"""Sensitivity, predictive values, likelihood ratios and their differences, from one count matrix.

Every reading is one of four cells: true and false positive, false and true negative. The cells of
each unit (a case, or a person with several) are summed for each modality, shape (units, 4 m); all
standard errors come from the totals of that matrix and its cross-product by the delta method. So
paired, unpaired and half-paired modalities, several readers of a case, several cases of a person
and weights are one and the same computation.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy import special

from tasks.core.errors import EstimationError
from tasks.stats.inference import z_quantile
from tasks.stats.inputs import BoolArray, FloatArray, IntArray
from tasks.stats.proportions import IntervalMethod, proportion

TP, FP, FN, TN = np.eye(4)
_LOOK = "look at the counts of true and false results, or analyse more cases."
Value = tuple[float, FloatArray]
"""A measure and its gradient in the four totals, shape (4,)."""


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """Totals of the four cells of each modality, shape (4 m,), and their cross-product over units.

    Args:
        totals: Sums of weights in tp, fp, fn, tn of each modality in turn.
        cross: Sum over units of the outer product of their cells, shape (4 m, 4 m).
        readings: Readings in each cell, unweighted, shape (4 m,).
        units: How many units there are.
        is_simple: Each unit is read once a modality, with weight 1: counts are binomial.
    """

    totals: FloatArray
    cross: FloatArray
    readings: IntArray
    units: int
    is_simple: bool

    def of(self, modality: int) -> FloatArray:
        """Return the totals of one modality, shape (4,)."""
        return self.totals[4 * modality : 4 * modality + 4]

    def variance(self, gradient: FloatArray) -> float:
        """Return the variance of what has this gradient in the totals, shape (4 m,)."""
        found = float(gradient @ self.cross @ gradient)
        return found if self.is_simple else found * self.units / max(self.units - 1, 1)


def cells_of(
    positive: BoolArray,
    truth: BoolArray,
    units: IntArray,
    modality: IntArray,
    weights: FloatArray | None = None,
) -> Cells:
    """Count the cells of readings.

    Args:
        positive: Whether each reading is positive, shape (n,).
        truth: Whether its case has the condition, shape (n,).
        units: Number of its unit, from 0, shape (n,).
        modality: Number of its modality, from 0, shape (n,).
        weights: Its weight, shape (n,); 1 when left out.
    """
    cell = np.where(truth, np.where(positive, 0, 2), np.where(positive, 1, 3))
    width = 4 * (int(modality.max(initial=0)) + 1)
    column = 4 * modality + cell
    _, unit = np.unique(units, return_inverse=True)
    size = int(unit.max(initial=-1)) + 1
    weight: FloatArray = np.ones(cell.size) if weights is None else weights
    summed = np.bincount(unit * width + column, weight, size * width).astype(np.float64)
    sums = summed.reshape(size, width)
    read = np.bincount(unit * (width // 4) + modality, minlength=size * width // 4)
    is_simple = weights is None and bool((read <= 1).all())
    counted = np.bincount(column, minlength=width)
    return Cells(sums.sum(axis=0), sums.T @ sums, counted, size, is_simple)


def cells_of_table(tp: int, fp: int, fn: int, tn: int) -> Cells:
    """Return the cells of a two-by-two table of independent cases."""
    counts = np.array([tp, fp, fn, tn])
    totals = counts.astype(np.float64)
    return Cells(totals, np.diag(totals), np.asarray(counts, np.int64), int(counts.sum()), True)


@dataclass(frozen=True, slots=True)
class Measure:
    """A measure of one modality. A ratio has its standard error on the log scale."""

    name: str
    estimate: float
    std_error: float
    is_ratio: bool
    se_method: str
    ci_low: float
    ci_high: float
    level: float
    ci_method: str
    count: int
    n: int
    units: int


@dataclass(frozen=True, slots=True)
class Gap:
    """A measure of one modality less (a ratio: over) that of another, with Wald's interval."""

    name: str
    estimate: float
    std_error: float
    is_ratio: bool
    ci_low: float
    ci_high: float
    level: float
    n: int
    units: int


def _share(part: FloatArray, whole: FloatArray, totals: FloatArray) -> Value:
    above, below = float(part @ totals), float(whole @ totals)
    if not below > 0:
        raise EstimationError("accuracy", "no case is counted in the denominator", _LOOK)
    value = above / below
    return value, (part - value * whole) / below


def _balanced(totals: FloatArray) -> Value:
    (first, to), (second, by) = (f(totals) for f in (_SENSITIVITY, _SPECIFICITY))
    return (first + second) / 2, (to + by) / 2


def _quotient(parts: Sequence[tuple[int, FloatArray]], totals: FloatArray) -> Value:
    """Return a product of sums of cells to the powers 1 and -1, and its gradient."""
    sums = [float(part @ totals) for _, part in parts]
    if min(sums) <= 0:
        raise EstimationError("accuracy", "a cell that it divides by, or its own, is empty", _LOOK)
    log_value = sum(power * np.log(found) for (power, _), found in zip(parts, sums, strict=True))
    value = float(np.exp(log_value))
    slopes = [power * part / found for (power, part), found in zip(parts, sums, strict=True)]
    return value, value * np.sum(slopes, axis=0)


_SENSITIVITY = partial(_share, TP, TP + FN)
_SPECIFICITY = partial(_share, TN, TN + FP)
SHARES: Mapping[str, tuple[FloatArray, FloatArray]] = {
    "sensitivity": (TP, TP + FN),
    "specificity": (TN, TN + FP),
    "ppv": (TP, TP + FP),
    "npv": (TN, TN + FN),
    "prevalence": (TP + FN, TP + FP + FN + TN),
    "accuracy": (TP + TN, TP + FP + FN + TN),
    "f1": (2 * TP, 2 * TP + FP + FN),
}
"""Measures that are a share: the cells that are counted, and those that they are of."""
RATIOS: Mapping[str, tuple[tuple[int, FloatArray], ...]] = {
    "lr_positive": ((1, TP), (-1, TP + FN), (-1, FP), (1, FP + TN)),
    "lr_negative": ((1, FN), (-1, TP + FN), (-1, TN), (1, FP + TN)),
    "diagnostic_odds_ratio": ((1, TP), (1, TN), (-1, FP), (-1, FN)),
}
OF_PREVALENCE = frozenset({"ppv", "npv", "prevalence", "accuracy", "f1"})
"""Measures that mean nothing where cases are drawn by their truth."""
_FUNCTIONS: Mapping[str, Callable[[FloatArray], Value]] = {
    **{name: partial(_share, *cells) for name, cells in SHARES.items()},
    "balanced_accuracy": _balanced,
    **{name: partial(_quotient, parts) for name, parts in RATIOS.items()},
}
MEASURES = tuple(_FUNCTIONS)


def measure(
    name: str,
    cells: Cells,
    modality: int = 0,
    *,
    interval: IntervalMethod = "wilson",
    level: float = 0.95,
) -> Measure:
    """Estimate a measure of one modality.

    A share of independent cases has Wilson's or the exact interval; of clustered or weighted ones
    Wilson's with as many cases as would give the same standard error. Balanced accuracy and F1
    have an interval on the logit scale, ratios on the log scale.

    Args:
        name: One of MEASURES.
        cells: Counts of all modalities.
        modality: Which of them.
        interval: Interval of a share.
        level: Confidence level.

    Raises:
        EstimationError: A denominator is 0; of a ratio, any of its cells.

    Source:
        Delta method on cluster totals: Genders et al. (2012) Radiology 265:910, for proportions;
        Simel et al. (1991) J Clin Epidemiol 44:763, for likelihood ratios.
    """
    value, slope = _FUNCTIONS[name](cells.of(modality))
    gradient = np.zeros(cells.totals.size)
    gradient[4 * modality : 4 * modality + 4] = slope
    error = float(np.sqrt(cells.variance(gradient)))
    is_ratio = name in RATIOS
    read = cells.readings[4 * modality : 4 * modality + 4]
    part, whole = SHARES.get(name, (TP + TN, TP + FP + FN + TN))
    count, n = int((part > 0) @ read), int((whole > 0) @ read)
    method, low, high = _interval(name, value, error, (count, n), cells, interval, level)
    se_method = "binomial" if cells.is_simple else "cluster_robust"
    return Measure(
        name, value, error / value if is_ratio else error, is_ratio, se_method, low, high, level,
        method, count, n, cells.units,
    )  # fmt: skip


def _interval(
    name: str,
    value: float,
    error: float,
    counted: tuple[int, int],
    cells: Cells,
    interval: IntervalMethod,
    level: float,
) -> tuple[str, float, float]:
    z = z_quantile(level)
    if name in RATIOS:
        low, high = np.exp(np.log(value) + np.array([-z, z]) * error / value)
        return "wald_log", float(low), float(high)
    if name in ("f1", "balanced_accuracy"):
        return ("wald_logit", *_on_logit(value, z * error))
    if cells.is_simple:
        found = proportion(*counted, interval, level)
        return interval, found.ci_low, found.ci_high
    size = value * (1 - value) / error**2 if error > 0 else float(min(counted[1], cells.units))
    return ("wilson_effective", *wilson(value, size, z))


def _on_logit(value: float, reach: float) -> tuple[float, float]:
    if not 0 < value < 1:
        return value, value
    middle, step = special.logit(value), reach / (value * (1 - value))
    return float(special.expit(middle - step)), float(special.expit(middle + step))


def wilson(share: float, size: float, z: float) -> tuple[float, float]:
    """Return Wilson's limits of a share of `size` cases, which need not be whole."""
    centre = (share + z * z / (2 * size)) / (1 + z * z / size)
    spread = np.sqrt(share * (1 - share) / size + z * z / (4 * size * size))
    reach = float(z * spread / (1 + z * z / size))
    low = 0.0 if share == 0 else centre - reach
    return low, 1.0 if share == 1 else centre + reach


def gap(name: str, cells: Cells, new: int, old: int, level: float = 0.95) -> Gap:
    """Compare a measure of two modalities; what they share counts by the units they share.

    Args:
        name: One of MEASURES.
        cells: Counts of all modalities.
        new: The modality that is judged.
        old: The modality that it is held against.
        level: Confidence level.

    Raises:
        EstimationError: A measure cannot be estimated, or the gap has no variance.

    Source:
        Delta method; for likelihood ratios and predictive values as Moskowitz & Pepe (2006)
        Clin Trials 3:272, there on the log scale.
    """
    is_ratio = name in RATIOS
    gradient = np.zeros(cells.totals.size)
    values = []
    for place, sign in ((new, 1.0), (old, -1.0)):
        value, slope = _FUNCTIONS[name](cells.of(place))
        gradient[4 * place : 4 * place + 4] = sign * (slope / value if is_ratio else slope)
        values.append(value)
    error = float(np.sqrt(cells.variance(gradient)))
    if not error > 0:
        what = f"{name}: the two never differ, or are always right"
        raise EstimationError("comparison", what, _LOOK)
    z = z_quantile(level)
    n = int(min(cells.readings[4 * m : 4 * m + 4].sum() for m in (new, old)))
    if is_ratio:
        middle = float(np.log(values[0] / values[1]))
        low, high = np.exp([middle - z * error, middle + z * error])
        return Gap(
            name, values[0] / values[1], error, True, float(low), float(high), level, n,
            cells.units,
        )  # fmt: skip
    middle = values[0] - values[1]
    return Gap(
        name, middle, error, False, middle - z * error, middle + z * error, level, n, cells.units
    )


def at_prevalence(
    name: str, cells: Cells, prevalence: float, modality: int = 0, level: float = 0.95
) -> Measure:
    """Predictive value at a prevalence that is given: from sensitivity and specificity alone.

    Args:
        name: `ppv` or `npv`.
        cells: Counts of all modalities.
        prevalence: Share with the condition, above 0 and below 1.
        modality: Which modality.
        level: Confidence level; the interval is made on the logit scale.

    Raises:
        EstimationError: A likelihood ratio cannot be estimated.

    Source:
        Bayes' rule; Mercaldo et al. (2007) Stat Med 26:2170: the logit of a predictive value is
        the log of a likelihood ratio plus a constant.
    """
    ratio = measure("lr_positive" if name == "ppv" else "lr_negative", cells, modality)
    odds = special.logit(prevalence) + np.log(ratio.estimate)
    odds = odds if name == "ppv" else -odds
    z = z_quantile(level)
    value, low, high = special.expit([odds, odds - z * ratio.std_error, odds + z * ratio.std_error])
    return Measure(
        name, float(value), float(ratio.std_error * value * (1 - value)), False, "delta",
        float(low), float(high), level, "wald_logit", ratio.count, ratio.n, cells.units,
    )  # fmt: skip
