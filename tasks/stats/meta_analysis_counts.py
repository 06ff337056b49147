"""Effects of sites from their counts, and pooling of the counts themselves.

Cells are those of each site: events and persons of the target arm, and of the comparator.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from tasks.core.errors import EstimationError
from tasks.stats.inference import chi_square_p
from tasks.stats.inputs import FloatArray
from tasks.stats.meta_analysis import MIN_SITES

Measure = Literal["odds_ratio", "risk_ratio", "risk_difference"]
Transformation = Literal["logit", "freeman_tukey", "raw"]
CORRECTION = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class Tables:
    """Two-by-two tables: events (`a`, `c`) and persons (`n1`, `n2`) of both arms, shape (k,)."""

    a: FloatArray
    n1: FloatArray
    c: FloatArray
    n2: FloatArray

    @property
    def b(self) -> FloatArray:
        """Persons of the target arm without the event."""
        return self.n1 - self.a

    @property
    def d(self) -> FloatArray:
        """Persons of the comparator arm without the event."""
        return self.n2 - self.c


@dataclass(frozen=True, slots=True, eq=False)
class Effects:
    """An effect and its sampling variance a site; ratios and odds as logarithms."""

    effects: FloatArray
    variances: FloatArray


@dataclass(frozen=True, slots=True)
class PooledCounts:
    """Counts pooled over sites without a variance between them; a ratio as its logarithm.

    `cmh` is the test of Cochran, Mantel and Haenszel (of odds ratios), `tarone` that of Breslow
    and Day for equal odds ratios with Tarone's correction; both None elsewhere.
    """

    estimate: float
    std_error: float
    q: float
    df: int
    p_value: float
    i2: float
    h2: float
    cmh: float | None
    tarone: float | None

    @property
    def cmh_p(self) -> float | None:
        """p-value of the test of Cochran, Mantel and Haenszel."""
        return None if self.cmh is None else chi_square_p(self.cmh, 1)

    @property
    def tarone_p(self) -> float | None:
        """p-value of Tarone's test."""
        return None if self.tarone is None or not self.df else chi_square_p(self.tarone, self.df)


def tables(a: ArrayLike, n1: ArrayLike, c: ArrayLike, n2: ArrayLike) -> Tables:
    """Return checked two-by-two tables.

    Raises:
        EstimationError: More events than persons, or an arm without persons.
    """
    found = Tables(*(np.asarray(part, np.float64) for part in (a, n1, c, n2)))
    bad = (found.a > found.n1) | (found.c > found.n2) | (found.n1 <= 0) | (found.n2 <= 0)
    if bad.any():
        what = f"{int(bad.sum())} of {bad.size} sites have no persons in an arm, or more events"
        raise EstimationError("counts", what, "correct the counts, or leave these sites out.")
    return found


def with_both_outcomes(counts: Tables) -> Tables:
    """Return the sites where somebody has the event and somebody has not."""
    tells = (counts.a + counts.c > 0) & (counts.b + counts.d > 0)
    return Tables(counts.a[tells], counts.n1[tells], counts.c[tells], counts.n2[tells])


def effects_of(counts: Tables, measure: Measure) -> Effects:
    """Return log odds ratios, log risk ratios or risk differences of sites.

    Where a cell of a site is 0, one half is added to each of its cells, as R's `escalc` does.
    """
    add = CORRECTION * _has_zero(counts)
    a, b, c, d = (cell + add for cell in (counts.a, counts.b, counts.c, counts.d))
    n1, n2 = a + b, c + d
    if measure == "odds_ratio":
        return Effects(np.log(a * d / (b * c)), 1 / a + 1 / b + 1 / c + 1 / d)
    if measure == "risk_ratio":
        return Effects(np.log(a / n1) - np.log(c / n2), 1 / a - 1 / n1 + 1 / c - 1 / n2)
    return Effects(a / n1 - c / n2, a * b / n1**3 + c * d / n2**3)


def proportions_of(events: ArrayLike, totals: ArrayLike, how: Transformation) -> Effects:
    """Return proportions of sites as logits, double arcsines or as they are.

    Raises:
        EstimationError: More events than persons, or no persons.
    """
    x, n = np.asarray(events, np.float64), np.asarray(totals, np.float64)
    if bad := int(((x > n) | (n <= 0)).sum()):
        what = f"{bad} of {n.size} sites have no persons, or more events than persons"
        raise EstimationError("counts", what, "correct the counts, or leave these sites out.")
    if how == "freeman_tukey":
        angles = np.arcsin(np.sqrt(x / (n + 1))) + np.arcsin(np.sqrt((x + 1) / (n + 1)))
        return Effects(angles / 2, 1 / (4 * n + 2))
    add = CORRECTION * ((x == 0) | (x == n))
    x, n = x + add, n + 2 * add
    if how == "logit":
        return Effects(np.log(x / (n - x)), 1 / x + 1 / (n - x))
    return Effects(x / n, x * (n - x) / n**3)


def proportion_from(value: float, how: Transformation, totals: ArrayLike) -> float:
    """Return the proportion that a pooled value stands for.

    Double arcsines are turned back with the harmonic mean of the persons of sites (Miller 1978).
    """
    if how == "raw":
        return value
    if how == "logit":
        return float(special.expit(value))
    n = np.asarray(totals, np.float64)
    return _from_arcsine(value, float(n.size / (1 / n).sum()))


def _from_arcsine(angle: float, n: float) -> float:
    lowest = (np.arcsin(0.0) + np.arcsin(np.sqrt(1 / (n + 1)))) / 2
    highest = (np.arcsin(np.sqrt(n / (n + 1))) + np.arcsin(1.0)) / 2
    if not lowest < angle < highest:
        return 0.0 if angle <= lowest else 1.0
    sine = np.sin(2 * angle)
    inner = 1 - (sine + (sine - 1 / sine) / n) ** 2
    return float(0.5 * (1 - np.sign(np.cos(2 * angle)) * np.sqrt(max(0.0, inner))))


def mantel_haenszel(counts: Tables, measure: Measure) -> PooledCounts:
    """Pool tables with Mantel-Haenszel weights.

    Errors: Robins, Breslow and Greenland (odds ratio), Greenland and Robins (risk ratio), Sato
    (risk difference). Cells are not corrected; Q takes the effects of `effects_of`, of the sites
    where somebody has the event and somebody has not.

    Raises:
        EstimationError: Fewer than 3 sites, or an arm without any event.
    """
    _check_sites(counts)
    estimate, std_error = _MANTEL_HAENSZEL[measure](counts)
    if not (np.isfinite(estimate) and np.isfinite(std_error) and std_error > 0):
        raise _no_events()
    telling = with_both_outcomes(counts)
    of_sites = effects_of(telling, measure)
    q = float(((of_sites.effects - estimate) ** 2 / of_sites.variances).sum())
    is_odds = measure == "odds_ratio"
    cmh = _cmh(counts) if is_odds else None
    tarone = _tarone(counts, float(np.exp(estimate))) if is_odds else None
    return _pooled(estimate, std_error, q, telling.a.size, cmh, tarone)


def peto(counts: Tables) -> PooledCounts:
    """Pool log odds ratios by the one-step method of Peto.

    Raises:
        EstimationError: Fewer than 3 sites, or no site with both outcomes.
    """
    _check_sites(counts)
    gap, variance = _gaps(counts)
    total = float(variance.sum())
    if total <= 0:
        raise _no_events()
    tells = variance > 0
    squares = float((gap[tells] ** 2 / variance[tells]).sum())
    q = max(0.0, squares - float(gap.sum()) ** 2 / total)
    return _pooled(float(gap.sum()) / total, total**-0.5, q, int(tells.sum()), None, None)


def peto_effects(counts: Tables) -> Effects:
    """Return the one-step log odds ratio of each site; sites without both outcomes have none."""
    gap, variance = _gaps(counts)
    with np.errstate(divide="ignore", invalid="ignore"):
        return Effects(gap / variance, 1 / variance)


def _pooled(
    estimate: float, std_error: float, q: float, k: int, cmh: float | None, tarone: float | None
) -> PooledCounts:
    df = k - 1
    i2 = max(0.0, 100 * (q - df) / q) if q > 0 else 0.0
    p = chi_square_p(q, df) if df else 1.0
    return PooledCounts(estimate, std_error, q, df, p, i2, q / df if df else 1.0, cmh, tarone)


def _odds_ratio(t: Tables) -> tuple[float, float]:
    n = t.n1 + t.n2
    p, q = (t.a + t.d) / n, (t.b + t.c) / n
    r, s = t.a * t.d / n, t.b * t.c / n
    top, bottom = r.sum(), s.sum()
    if top <= 0 or bottom <= 0:
        return np.nan, np.nan
    parts = (
        (p * r).sum() / top**2,
        (p * s + q * r).sum() / (top * bottom),
        (q * s).sum() / bottom**2,
    )
    return float(np.log(top / bottom)), float(np.sqrt(sum(parts) / 2))


def _risk_ratio(t: Tables) -> tuple[float, float]:
    n = t.n1 + t.n2
    top, bottom = (t.a * t.n2 / n).sum(), (t.c * t.n1 / n).sum()
    if top <= 0 or bottom <= 0:
        return np.nan, np.nan
    spread = ((t.n1 * t.n2 * (t.a + t.c) - t.a * t.c * n) / n**2).sum()
    return float(np.log(top / bottom)), float(np.sqrt(spread / (top * bottom)))


def _risk_difference(t: Tables) -> tuple[float, float]:
    n = t.n1 + t.n2
    weight = float((t.n1 * t.n2 / n).sum())
    estimate = float(((t.a * t.n2 - t.c * t.n1) / n).sum()) / weight
    one = t.c * (t.n1 / n) ** 2 - t.a * (t.n2 / n) ** 2 + t.n1 * t.n2 * (t.n2 - t.n1) / (2 * n**2)
    two = (t.a * t.d + t.c * t.b) / n / 2
    spread = estimate * float(one.sum()) + float(two.sum())
    return estimate, float(np.sqrt(max(spread, 0.0))) / weight


_MANTEL_HAENSZEL: Mapping[Measure, Callable[[Tables], tuple[float, float]]] = {
    "odds_ratio": _odds_ratio,
    "risk_ratio": _risk_ratio,
    "risk_difference": _risk_difference,
}


def _gaps(t: Tables) -> tuple[FloatArray, FloatArray]:
    """Return events of the target arm above those expected, and their hypergeometric variance."""
    n, events = t.n1 + t.n2, t.a + t.c
    variance = t.n1 * t.n2 * events * (n - events) / (n**2 * np.maximum(n - 1, 1))
    return t.a - t.n1 * events / n, variance


def _cmh(t: Tables) -> float | None:
    gap, variance = _gaps(t)
    total = float(variance.sum())
    return (abs(float(gap.sum())) - CORRECTION) ** 2 / total if total > 0 else None


def _tarone(t: Tables, odds_ratio: float) -> float | None:
    """Breslow and Day's statistic for equal odds ratios, less Tarone's correction."""
    t = with_both_outcomes(t)
    a, n1, n2, events = t.a, t.n1, t.n2, t.a + t.c
    expected = _expected(n1, n2, events, odds_ratio)
    inverse = 1 / expected + 1 / (n1 - expected) + 1 / (events - expected)
    variance = 1 / (inverse + 1 / (n2 - events + expected))
    gap = a - expected
    return float((gap**2 / variance).sum() - gap.sum() ** 2 / variance.sum())


def _expected(n1: FloatArray, n2: FloatArray, events: FloatArray, ratio: float) -> FloatArray:
    """Return events of the target arm that give the common odds ratio, with the margins kept."""
    square, linear = 1 - ratio, n2 - events + ratio * (n1 + events)
    root = np.sqrt(linear**2 + 4 * square * ratio * n1 * events)
    # The root inside the margins, written so that nothing cancels near a ratio of 1.
    return np.asarray(2 * ratio * n1 * events / (linear + root))


def _has_zero(t: Tables) -> FloatArray:
    has_zero = (t.a == 0) | (t.b == 0) | (t.c == 0) | (t.d == 0)
    return np.asarray(has_zero, np.float64)


def _check_sites(t: Tables) -> None:
    if t.a.size < MIN_SITES:
        what = f"{t.a.size} sites are too few to pool; {MIN_SITES} are needed"
        raise EstimationError("meta-analysis", what, "show the sites by themselves.")


def _no_events() -> EstimationError:
    what = "an arm has no event at any site, or everybody has it"
    return EstimationError("meta-analysis", what, "choose measure: risk_difference.")
