"""Interrupted time series: segmented regression, its counterfactual, and what it rests on."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from tasks.core.errors import EstimationError
from tasks.stats.glm import GlmFit, glm
from tasks.stats.inputs import FloatArray, IntArray, codes
from tasks.stats.sandwich import (
    Covariance,
    cluster_covariance,
    model_covariance,
    newey_west_covariance,
    scaled_covariance,
)

SeriesFamily = Literal["gaussian", "poisson", "quasi_poisson"]
LEVEL, SLOPE = 2, 3
"""Places of the change of level and of slope among the coefficients."""
_LEAST = 3
_MAX_STEPS = 200
_TOLERANCE = 1e-10


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """Rows of one or more series, all of shape (n,); `time` counts periods from the first."""

    time: FloatArray
    value: FloatArray
    after: FloatArray
    site: IntArray
    denominator: FloatArray | None = None

    @property
    def sites(self) -> int:
        """How many series there are."""
        return int(self.site.max(initial=-1)) + 1


@dataclass(frozen=True, slots=True, eq=False)
class Segmented:
    """A segmented regression: intercept, slope, change of level, change of slope, the rest.

    `fitted` and `counterfactual` are the means with the interruption and without it, by row, per
    unit of the denominator where there is one; the first covariance is the one to report.
    """

    fit: GlmFit
    covariances: tuple[Covariance, ...]
    fitted: FloatArray
    counterfactual: FloatArray
    residual: FloatArray


@dataclass(frozen=True, slots=True)
class PraisWinsten:
    """The same regression with errors that follow an autoregression of order 1."""

    coef: FloatArray
    covariance: FloatArray
    rho: float
    df: int
    iterations: int


def series(
    time: ArrayLike,
    value: ArrayLike,
    after: ArrayLike,
    site: ArrayLike | None = None,
    denominator: ArrayLike | None = None,
) -> Series:
    """Check rows of series.

    Args:
        time: Period of each row, whole numbers from 0, shape (n,).
        value: Value or count, shape (n,).
        after: Whether the intervention is on, shape (n,).
        site: Number of the series of each row, from 0; one series where absent.
        denominator: Such as persons at risk, all > 0, shape (n,).

    Raises:
        EstimationError: A time stands twice in a series; the intervention is switched off, is
            never on, or on from the start; fewer than 3 times before or after it.
    """
    when, on = np.asarray(time, dtype=np.float64), np.asarray(after) == 1
    place = np.zeros(when.size, dtype=np.int64) if site is None else codes(site, when.size, "s")[1]
    if np.unique(np.column_stack([place, when]), axis=0).shape[0] != when.size:
        raise _refused("a time stands twice in a series", "name the role site, or sum the rows.")
    order = np.lexsort((when, place))
    same = place[order][1:] == place[order][:-1]
    if (same & on[order][:-1] & ~on[order][1:]).any():
        raise _refused("the intervention is switched off again", "end the series before.")
    changed = np.bincount(place, on) > 0
    before = np.bincount(place, ~on)
    if not changed.any() or (np.bincount(place, on)[changed] < _LEAST).any():
        raise _refused(f"fewer than {_LEAST} times after the interruption", "lengthen the series.")
    if (before < _LEAST).any():
        raise _refused(f"fewer than {_LEAST} times before the interruption", "lengthen the series.")
    below = None if denominator is None else np.asarray(denominator, dtype=np.float64)
    return Series(when, np.asarray(value, np.float64), on.astype(np.float64), place, below)


def segmented_regression(
    data: Series,
    family: SeriesFamily = "gaussian",
    *,
    season_terms: int = 0,
    season_period: float = 12,
    lag: int | None = None,
) -> Segmented:
    """Fit level and trend before an interruption, and how both change with it.

    The change of level is at the first period of the interruption; the change of slope counts
    periods from there. Several series have each a level of their own and all else in common.

    Args:
        data: The series.
        family: gaussian for values (over the denominator where there is one); poisson and
            quasi_poisson for counts with the log of the denominator as offset.
        season_terms: Pairs of sine and cosine.
        season_period: Periods of a season.
        lag: Lag of Newey and West; 4 (n / 100)^(2/9), cut to a whole number, where None.

    Returns:
        The fit. Covariances of one series: Newey-West, and the model's (times the dispersion
        for quasi_poisson); of several: by cluster, CR1S.

    Raises:
        EstimationError: Too few times for the coefficients, no residual, or as `glm`.

    Source:
        Bernal, Cummins & Gasparrini (2017) Int J Epidemiol 46:348; Newey & West (1987).
    """
    design = _design(data, season_terms, season_period)
    is_count = family != "gaussian"
    offset = _offset(data, is_count)
    value = data.value if is_count or data.denominator is None else data.value / data.denominator
    fit = glm(design, value, "poisson" if is_count else "gaussian", offset=offset)
    linear = np.column_stack([np.ones(data.time.size), design]) @ fit.coef
    without = linear - design[:, LEVEL - 1 : SLOPE] @ fit.coef[LEVEL : SLOPE + 1]
    mean, other = (np.exp(linear), np.exp(without)) if is_count else (linear, without)
    residual = value - mean * (np.exp(offset) if offset is not None else 1.0)
    return Segmented(fit, _covariances(data, fit, family, lag), mean, other, residual)


def prais_winsten(data: Series, season_terms: int = 0, season_period: float = 12) -> PraisWinsten:
    """Fit one series of values by iterated Prais-Winsten, the first time kept.

    Raises:
        EstimationError: Several series, a time is lacking, or rho does not settle below 1.

    Source:
        Prais & Winsten (1954). Agrees with R `prais::prais_winsten`.
    """
    order = np.argsort(data.time)
    if data.sites > 1 or (np.diff(data.time[order]) != 1).any():
        raise _refused("an autoregression needs one series without gaps", "fill the series.")
    value = data.value if data.denominator is None else data.value / data.denominator
    x = np.column_stack([np.ones(order.size), _design(data, season_terms, season_period)])[order]
    y, rho = value[order], 0.0
    for iteration in range(1, _MAX_STEPS + 1):
        flat, rest = _quasi_differenced(x, rho), _quasi_differenced(y[:, None], rho)[:, 0]
        coef = np.asarray(np.linalg.lstsq(flat, rest, rcond=None)[0], dtype=np.float64)
        left = y - x @ coef
        before, rho = rho, float(left[1:] @ left[:-1] / (left[:-1] @ left[:-1]))
        if not abs(rho) < 1:
            break
        if abs(rho - before) < _TOLERANCE:
            return _prais_fit(flat, rest, coef, before, iteration)
    raise _refused("the autoregression does not settle", "use more times, or fewer terms.")


def durbin_watson(data: Series, residual: FloatArray) -> float:
    """Durbin and Watson's statistic over all series: 2 where neighbours are uncorrelated."""
    order = np.lexsort((data.time, data.site))
    left, site = residual[order], data.site[order]
    step = np.diff(left)[np.diff(site) == 0]
    return float(step @ step / (left @ left))


def default_lag(n: int) -> int:
    """Lag of Newey and West for a series of `n` times: 4 (n / 100)^(2/9), cut."""
    return int(4 * (n / 100) ** (2 / 9))


def _prais_fit(
    x: FloatArray, y: FloatArray, coef: FloatArray, rho: float, iterations: int
) -> PraisWinsten:
    df = y.size - coef.size
    left = y - x @ coef
    covariance = np.asarray(float(left @ left) / df * np.linalg.inv(x.T @ x), dtype=np.float64)
    return PraisWinsten(coef, covariance, rho, df, iterations)


def _quasi_differenced(values: FloatArray, rho: float) -> FloatArray:
    first = np.sqrt(1 - rho**2) * values[:1]
    return np.vstack([first, values[1:] - rho * values[:-1]])


def _design(data: Series, season_terms: int, period: float) -> FloatArray:
    """Columns without intercept: time, level, slope, seasons, series."""
    never = float(data.time.max()) + 1
    starts = np.full(data.sites, never)
    np.minimum.at(starts, data.site, np.where(data.after == 1, data.time, never))
    since = data.after * (data.time - starts[data.site])
    angles = [2 * np.pi * k * data.time / period for k in range(1, season_terms + 1)]
    waves = [wave(angle) for angle in angles for wave in (np.sin, np.cos)]
    levels = [(data.site == place).astype(np.float64) for place in range(1, data.sites)]
    return np.column_stack([data.time, data.after, since, *waves, *levels])


def _offset(data: Series, is_count: bool) -> FloatArray | None:
    if not is_count or data.denominator is None:
        return None
    if (data.denominator <= 0).any():
        raise _refused("a denominator is not above 0", "leave these times out.")
    return np.asarray(np.log(data.denominator))


def _covariances(
    data: Series, fit: GlmFit, family: SeriesFamily, lag: int | None
) -> tuple[Covariance, ...]:
    if data.sites > 1 and lag is not None:
        raise _refused("a lag is of one series, and errors of several are by site", "remove lag.")
    if data.sites > 1:
        return (cluster_covariance(fit, data.site, "CR1S"),)
    chosen = default_lag(fit.n) if lag is None else lag
    plain = scaled_covariance(fit) if family == "quasi_poisson" else model_covariance(fit)
    return (newey_west_covariance(fit, data.time, chosen), plain)


def _refused(what: str, fix: str) -> EstimationError:
    return EstimationError("interrupted_time_series", what, fix)
