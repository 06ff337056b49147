"""Areas under ROC curves, whole or in part, of several modalities, with one covariance.

Each row moves an area by its placement value (for a part, by its pseudo-value). These are summed
within each unit (a case, or a person with several), apart for diseased and healthy rows, and the
covariance is that of the sums. So DeLong's variance, his paired and unpaired tests, Obuchowski's
variance for clustered data and sampling weights are one computation.
"""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from scipy import optimize, special

from tasks.core.errors import EstimationError
from tasks.stats.diagnostic.margins import Statistic
from tasks.stats.diagnostic.roc_steps import placements, polyline, steps_of
from tasks.stats.inference import two_sided_p, z_quantile
from tasks.stats.inputs import BoolArray, FloatArray, IntArray
from tasks.stats.students_t import t_quantile, two_sided_t

Axis = Literal["specificity", "sensitivity"]
AreaInterval = Literal["wald", "wald_logit", "newcombe"]
_TINY = 1e-12
_LOOK = "analyse more cases, or look at the scores."


@dataclass(frozen=True, slots=True)
class Part:
    """The part of a curve whose specificity (or sensitivity) lies between two values.

    `is_corrected` puts the area on McClish's scale: 0.5 by chance, 1 at best.
    """

    axis: Axis = "specificity"
    low: float = 0.0
    high: float = 1.0
    is_corrected: bool = False

    @property
    def across(self) -> tuple[float, float]:
        """The part of the axis of false results, from and to."""
        return 1 - self.high, 1 - self.low

    @property
    def width(self) -> float:
        """The largest area that the part can have."""
        return self.high - self.low

    @property
    def by_chance(self) -> float:
        """The area of the part under a test that says nothing."""
        low, high = self.across
        return (high**2 - low**2) / 2

    def scaled(self, area: FloatArray) -> FloatArray:
        """Return areas on McClish's scale.

        Source:
            McClish (1989) Med Decis Making 9:190. Agrees with R pROC `partial.auc.correct`.
        """
        return (1 + (area - self.by_chance) / (self.width - self.by_chance)) / 2


WHOLE = Part()


@dataclass(frozen=True, slots=True, eq=False)
class Areas:
    """Areas of modalities, shape (m,), and their covariance, shape (m, m).

    Args:
        estimates: The areas.
        covariance: Their covariance.
        diseased: Rows with the condition of each modality, shape (m,).
        healthy: Rows without, shape (m,).
        shared: Units that each two modalities have both read, shape (m, m).
        is_simple: Each unit is read once a modality, with weight 1.
        part: Which part of the curve.
    """

    estimates: FloatArray
    covariance: FloatArray
    diseased: IntArray
    healthy: IntArray
    shared: IntArray
    is_simple: bool
    part: Part


@dataclass(frozen=True, slots=True)
class Area:
    """One area with its interval."""

    estimate: float
    std_error: float
    ci_low: float
    ci_high: float
    level: float
    ci_method: AreaInterval
    n: int
    events: int
    units: int


@dataclass(frozen=True, slots=True)
class AreaGap:
    """The area of one modality less that of another; `df` where the two share no unit."""

    estimate: float
    std_error: float
    ci_low: float
    ci_high: float
    level: float
    statistic: float
    df: float | None
    p_value: float
    design: str
    n: int
    events: int
    units: int

    def against(self, value: float) -> float:
        """Return the normal statistic of the gap against a value."""
        found = (self.estimate - value) / self.std_error
        return found if self.df is None else float(special.ndtri(special.stdtr(self.df, found)))

    @property
    def as_statistic(self) -> Statistic:
        """The normal statistic of the gap, as tests against a margin take it."""
        return self.against


def areas(
    score: FloatArray,
    truth: BoolArray,
    units: IntArray,
    modality: IntArray,
    weights: FloatArray | None = None,
    part: Part = WHOLE,
) -> Areas:
    """Estimate the areas under the curves of modalities together.

    Args:
        score: Higher is more suspicious, shape (n,).
        truth: Whether the case has the condition, shape (n,).
        units: Number of the unit of each row, from 0, shape (n,).
        modality: Number of the modality of each row, from 0, shape (n,).
        weights: Weights of the rows, shape (n,); 1 when left out.
        part: Which part of the curve; the whole unless told.

    Raises:
        EstimationError: A modality has no case with the condition, or none without, or one unit
            alone of either.

    Source:
        DeLong, DeLong & Clarke-Pearson (1988) Biometrics 44:837; Sun & Xu (2014) IEEE Signal
        Process Lett 21:1389 (midranks); Obuchowski (1997) Biometrics 53:567 (clusters); parts by
        the derivative of the curve between its corners. Agrees with R pROC `roc.test`, `var`.
    """
    m, size = int(modality.max(initial=0)) + 1, int(units.max(initial=-1)) + 1
    # A range of sensitivity is one of specificity with the two truths, and the score, turned round.
    is_turned = part.axis == "sensitivity"
    found, columns = [], []
    for place in range(m):
        mine = modality == place if m > 1 else slice(None)
        weight = None if weights is None else weights[mine]
        one = (-score[mine], ~truth[mine]) if is_turned else (score[mine], truth[mine])
        estimate, moved = _moved(*one, weight, part)
        columns.append(_sums(moved, one[1], units[mine], size))
        found.append(estimate)
    sums = _Sums(*(np.column_stack(kind) for kind in zip(*columns, strict=True)))
    if is_turned:
        sums = _Sums(sums.healthy, sums.diseased, sums.n_healthy, sums.n_diseased)
    _check_units(sums)
    is_simple = weights is None and bool((sums.n_diseased + sums.n_healthy <= 1).all())
    there = (sums.n_diseased + sums.n_healthy) > 0
    made = Areas(
        np.array(found), _covariance(sums, is_simple),
        np.asarray(sums.n_diseased.sum(axis=0), np.int64),
        np.asarray(sums.n_healthy.sum(axis=0), np.int64),
        _common(there, there), is_simple, part,
    )  # fmt: skip
    return _corrected(made) if part.is_corrected else made


@dataclass(frozen=True, slots=True, eq=False)
class _Sums:
    """What each unit moves each area by, and how many rows it has, shape (units, m) each."""

    diseased: FloatArray
    healthy: FloatArray
    n_diseased: FloatArray
    n_healthy: FloatArray


def _moved(
    score: FloatArray, truth: BoolArray, weights: FloatArray | None, part: Part
) -> tuple[float, FloatArray]:
    """Return the area of one modality, and by how much each row moves it, shape (n,)."""
    steps = steps_of(score, truth, weights)
    up, across = steps.counts() if weights is None else steps.masses(weights)
    of_diseased, of_healthy = placements(polyline(up, across), *part.across)
    estimate = float(up @ of_diseased / up.sum())
    middle = float(across @ of_healthy / across.sum())
    first = (of_diseased - estimate) / up.sum()
    second = (of_healthy - middle) / across.sum()
    moved = np.where(truth, first[steps.group], second[steps.group])
    return estimate, moved if weights is None else moved * weights


def _sums(
    moved: FloatArray, truth: BoolArray, units: IntArray, size: int
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    ill, well = units[truth], units[~truth]
    return (
        np.bincount(ill, moved[truth], size).astype(np.float64, copy=False),
        np.bincount(well, moved[~truth], size).astype(np.float64, copy=False),
        np.bincount(ill, minlength=size).astype(np.float64),
        np.bincount(well, minlength=size).astype(np.float64),
    )


def _covariance(sums: _Sums, is_simple: bool) -> FloatArray:
    ill, well = (sums.n_diseased > 0, sums.n_healthy > 0)
    found = _factor(ill, ill) * (sums.diseased.T @ sums.diseased)
    found = found + _factor(well, well) * (sums.healthy.T @ sums.healthy)
    if is_simple and not (ill & well).any():
        return np.asarray(found)
    across = sums.diseased.T @ sums.healthy
    any_ = ill | well
    return np.asarray(found + _factor(any_, any_) * (across + across.T))


def _factor(one: BoolArray, other: BoolArray) -> FloatArray:
    """Return G / (G - 1) of the units that each two modalities have in common, shape (m, m)."""
    common = _common(one, other).astype(np.float64)
    return np.where(common > 1, common / np.maximum(common - 1, 1), 1.0)


def _common(one: BoolArray, other: BoolArray) -> IntArray:
    """Return how many units have both, for each two modalities, shape (m, m)."""
    m = one.shape[1]
    counts = [np.count_nonzero(one[:, j] & other[:, k]) for j in range(m) for k in range(m)]
    return np.array(counts, np.int64).reshape(m, m)


def _check_units(sums: _Sums) -> None:
    for counts, what in ((sums.n_diseased, "with"), (sums.n_healthy, "without")):
        if int((counts > 0).sum(axis=0).min()) < 2:
            said = f"only one unit has a case {what} the condition"
            raise EstimationError("roc", said, _LOOK)


def _corrected(made: Areas) -> Areas:
    part = made.part
    factor = 2 * (part.width - part.by_chance)
    return replace(
        made, estimates=part.scaled(made.estimates), covariance=made.covariance / factor**2
    )


def area(
    found: Areas, modality: int = 0, interval: AreaInterval = "wald", level: float = 0.95
) -> Area:
    """Return the area of one modality with its interval.

    `wald` ends where an area can, as that of R pROC does; `wald_logit` makes it on the logit of
    the area (of a part, as a share of the largest that it can be); `newcombe` from the variance
    that each value would have, so that a curve without error has an interval too.

    Raises:
        EstimationError: The area has no variance (`wald`, `wald_logit`), or a corrected part lies
            below chance, where McClish's scale is not defined.

    Source:
        Newcombe (2006) Stat Med 25:559, method 5, for `newcombe`.
    """
    value = float(found.estimates[modality])
    if found.part.is_corrected and value < 0.5:
        what = "the part lies below chance, where McClish's scale is not defined"
        raise EstimationError("partial area", what, "read the area that is not corrected.")
    error = float(np.sqrt(max(found.covariance[modality, modality], 0.0)))
    z = z_quantile(level)
    low, high = _limits(found, modality, value, error, z, interval)
    n_ill, n_well = int(found.diseased[modality]), int(found.healthy[modality])
    units = int(found.shared[modality, modality])
    return Area(value, error, low, high, level, interval, n_ill + n_well, n_ill, units)


def _limits(
    found: Areas, modality: int, value: float, error: float, z: float, interval: AreaInterval
) -> tuple[float, float]:
    if interval == "newcombe":
        sizes = (int(found.diseased[modality]), int(found.healthy[modality]))
        shrink = int(found.shared[modality, modality]) / sum(sizes)
        return _newcombe(value, sizes[0] * shrink, sizes[1] * shrink, z)
    most = 1.0 if found.part.is_corrected else found.part.width
    if not error > 0 or not 0 < value < most:
        what = "no case is ranked otherwise than the others: the area has no variance"
        raise EstimationError("area", what, _LOOK)
    if interval == "wald":
        return max(value - z * error, 0.0), min(value + z * error, most)
    share = value / most
    middle, reach = special.logit(share), z * error / most / (share * (1 - share))
    low, high = special.expit([middle - reach, middle + reach]) * most
    return float(low), float(high)


def _newcombe(value: float, diseased: float, healthy: float, z: float) -> tuple[float, float]:
    """Solve |value - area| = z times the error that the area would have."""
    more = (diseased + healthy) / 2 - 1

    def distance(area_: float) -> float:
        part = 1 + more * ((1 - area_) / (2 - area_) + area_ / (1 + area_))
        variance = area_ * (1 - area_) * part / (diseased * healthy)
        return float((value - area_) ** 2 - z * z * variance)

    def root(first: float, last: float) -> float:
        return float(optimize.brentq(distance, first, last, xtol=1e-14))

    low = 0.0 if value <= 0 else root(0.0, min(value, 1 - _TINY))
    return low, 1.0 if value >= 1 else root(max(value, _TINY), 1.0)


def area_gap(found: Areas, new: int, old: int, level: float = 0.95) -> AreaGap:
    """Compare the areas of two modalities; what they share counts by the units they share.

    Where they share no unit, the test is by Student's t with Welch's degrees of freedom.

    Raises:
        EstimationError: The difference has no variance.

    Source:
        DeLong et al. (1988). Agrees with R pROC `roc.test(paired = TRUE)`, and `paired = FALSE`.
    """
    covariance = found.covariance
    value = float(found.estimates[new] - found.estimates[old])
    parts = (float(covariance[new, new]), float(covariance[old, old]))
    variance = sum(parts) - 2 * float(covariance[new, old])
    if not variance > 1e-14 * sum(parts):
        what = "the two rank the cases alike, or without error: the difference has no variance"
        raise EstimationError("comparison of areas", what, _LOOK)
    error = float(np.sqrt(variance))
    design = _design(found, new, old)
    units = [int(found.shared[place, place]) for place in (new, old)]
    df = _welch(parts, units) if design.startswith("unpaired") else None
    statistic = value / error
    reach = error * (z_quantile(level) if df is None else t_quantile(level, df))
    p = two_sided_p(statistic) if df is None else two_sided_t(statistic, df)
    sizes = [(int(found.diseased[j]), int(found.healthy[j])) for j in (new, old)]
    ill, well = np.sum(sizes, axis=0) if df is not None else min(sizes, key=sum)
    both = sum(units) if df is not None else int(found.shared[new, old])
    return AreaGap(
        value, error, value - reach, value + reach, level, statistic, df, p, design,
        int(ill + well), int(ill), both,
    )  # fmt: skip


def _welch(parts: tuple[float, float], units: list[int]) -> float:
    bottom = sum(part**2 / (size - 1) for part, size in zip(parts, units, strict=True))
    return float(sum(parts) ** 2 / bottom)


def _design(found: Areas, new: int, old: int) -> str:
    both = int(found.shared[new, old])
    of_each = (int(found.shared[new, new]), int(found.shared[old, old]))
    named = "paired" if of_each == (both, both) else "partly paired"
    named = "unpaired" if both == 0 else named
    return named if found.is_simple else f"{named}, clustered"
