"""The bootstrap of persons or clusters by multinomial weights, and its intervals.

Nobody is drawn twice as a row: a resample is a weight for each unit on one sorted copy of the
data. Resamples are made in blocks, each with a seed of its own that is told by the study's seed,
a name and the number of the block, so the result is the same for any number of threads.

Never for nearest-neighbour matching: the bootstrap of matched estimates is not valid
(Abadie & Imbens 2008, Econometrica 76); cluster the variance on matched sets there.
"""

import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from scipy import special

from tasks.core.errors import EstimationError
from tasks.stats.inference import two_sided_p, z_quantile
from tasks.stats.inputs import FloatArray, IntArray

Interval = Literal["normal", "percentile", "bca"]
Statistic = Callable[[FloatArray], FloatArray]
Progress = Callable[[int, int], None]

_BLOCK = 64
_CELLS = 4_000_000  # weights of one block
_MAX_FAILED = 0.05
MIN_REPLICATES = 200


@dataclass(frozen=True, slots=True)
class Plan:
    """How often to resample, from which seed and name, and on how many threads.

    A name keeps the draws of two analyses apart that share a seed.
    """

    replicates: int
    seed: int
    name: str
    threads: int = 2


@dataclass(frozen=True, slots=True, eq=False)
class Resampled:
    """Statistics of each resample that could be estimated, shape (b, q); how many could not."""

    values: FloatArray
    failed: int

    @property
    def std_error(self) -> FloatArray:
        """Standard deviation of each statistic over the resamples, shape (q,)."""
        return np.asarray(self.values.std(axis=0, ddof=1))


@dataclass(frozen=True, slots=True)
class BootstrapInterval:
    """One estimate with its bootstrap standard error, limits and test of the value 0."""

    estimate: float
    std_error: float
    ci_low: float
    ci_high: float
    p_value: float
    level: float
    ci_method: Interval
    replicates: int


def multinomial_weights(n_units: int, count: int, plan: Plan, block: int) -> FloatArray:
    """How often each unit is drawn in each resample of a block, shape (n_units, count)."""
    key = [plan.seed, zlib.crc32(plan.name.encode()), block]
    rng = np.random.default_rng(np.random.SeedSequence(key))
    drawn = rng.integers(0, n_units, size=(count, n_units))
    drawn += np.arange(count)[:, None] * n_units
    times = np.bincount(drawn.ravel(), minlength=count * n_units)
    return np.ascontiguousarray(times.reshape(count, n_units).T, dtype=np.float64)


def stratified_weights(strata: IntArray, count: int, plan: Plan, block: int) -> FloatArray:
    """The same within strata of units, whose sizes each resample keeps, shape (n_units, count).

    Args:
        strata: Number of the stratum of each unit, shape (n_units,).
        count: Resamples of the block.
        plan: Seed and name; each stratum draws by itself.
        block: Number of the block.
    """
    weights = np.empty((strata.size, count))
    for stratum in np.unique(strata):
        mine = np.flatnonzero(strata == stratum)
        own = replace(plan, name=f"{plan.name}/stratum {stratum}")
        weights[mine] = multinomial_weights(mine.size, count, own, block)
    return weights


def resample(
    statistic: Statistic,
    n_units: int,
    plan: Plan,
    progress: Progress | None = None,
    strata: IntArray | None = None,
) -> Resampled:
    """Compute statistics in each resample of units; a row of NaN is a resample that failed.

    Args:
        statistic: From weights of the units, shape (n_units, b), to statistics, shape (b, q).
            Whatever is estimated (propensity, censoring, imputation) it estimates anew.
            It runs on several threads at once: it must not change what it holds.
        n_units: Persons, or clusters where units are not independent.
        plan: Replicates, seed, name and threads.
        progress: Called with the resamples done so far and in all, after each block.
        strata: Number of the stratum of each unit, shape (n_units,), whose sizes are kept.

    Returns:
        The same values for any number of threads.

    Raises:
        EstimationError: Fewer than 200 replicates, one unit, or over 5 in 100 resamples fail.
    """
    _check(n_units, plan)
    size = max(1, min(_BLOCK, _CELLS // n_units))
    begins = range(0, plan.replicates, size)

    def compute(number: int) -> FloatArray:
        count = min(size, plan.replicates - begins[number])
        if strata is not None:
            return statistic(stratified_weights(strata, count, plan, number))
        return statistic(multinomial_weights(n_units, count, plan, number))

    found: list[FloatArray] = []
    with ThreadPoolExecutor(plan.threads) as pool:
        for values in pool.map(compute, range(len(begins))):
            found.append(values)
            if progress is not None:
                progress(sum(map(len, found)), plan.replicates)
    return _usable(np.concatenate(found))


def jackknife(statistic: Statistic, n_units: int) -> FloatArray:
    """Statistics without each unit in turn, shape (n_units, q)."""
    size = max(1, min(_BLOCK, _CELLS // n_units))
    units = np.arange(n_units)
    parts = [
        statistic((units[:, None] != units[None, begin : begin + size]).astype(np.float64))
        for begin in range(0, n_units, size)
    ]
    return np.concatenate(parts)


def interval(
    estimate: float,
    resampled: FloatArray,
    method: Interval = "normal",
    level: float = 0.95,
    without_each: FloatArray | None = None,
) -> BootstrapInterval:
    """Limits of one estimate from its resamples.

    Args:
        estimate: Of the data themselves.
        resampled: The statistic in each resample, shape (b,).
        method: `normal` (estimate and standard error), `percentile`, or `bca` (bias-corrected
            and accelerated).
        level: Confidence level.
        without_each: For `bca`, the statistic without each unit in turn, shape (n,).

    Raises:
        EstimationError: The resamples do not vary, or `bca` lacks what it needs.

    Source:
        Efron & Tibshirani (1993), An Introduction to the Bootstrap, ch. 13 and 14.
    """
    error = float(resampled.std(ddof=1))
    if not error > abs(estimate) * 1e-12:
        what = "the statistic is the same in all resamples"
        raise EstimationError("bootstrap", what, "look for an arm without events, or one unit.")
    margin = z_quantile(level) * error
    low, high = estimate - margin, estimate + margin
    if method != "normal":
        shares = np.array([(1 - level) / 2, (1 + level) / 2])
        if method == "bca":
            shares = _bca_shares(estimate, resampled, shares, without_each)
        low, high = (float(value) for value in np.quantile(resampled, shares))
    p = two_sided_p(estimate / error)
    return BootstrapInterval(estimate, error, low, high, p, level, method, resampled.size)


def _bca_shares(
    estimate: float, resampled: FloatArray, shares: FloatArray, without_each: FloatArray | None
) -> FloatArray:
    below = float((resampled < estimate).mean() + (resampled == estimate).mean() / 2)
    if without_each is None or not 0 < below < 1:
        what = "bca needs the statistic without each unit, and resamples on both sides of it"
        raise EstimationError("bootstrap", what, "use percentile, or normal.")
    away = without_each.mean() - without_each
    spread = float((away**2).sum())
    acceleration = float((away**3).sum()) / (6 * spread**1.5) if spread > 0 else 0.0
    bias = float(special.ndtri(below))
    moved = bias + special.ndtri(shares)
    return np.asarray(special.ndtr(bias + moved / (1 - acceleration * moved)))


def of_rows(weights: FloatArray, unit: IntArray | None) -> FloatArray:
    """Weights of units as weights of rows, shape (n, b); `unit` numbers that of each row."""
    return weights if unit is None else np.asarray(weights[unit])


def _check(n_units: int, plan: Plan) -> None:
    if plan.replicates < MIN_REPLICATES:
        what = f"{plan.replicates} replicates are too few for an interval"
        raise EstimationError("bootstrap", what, f"ask for {MIN_REPLICATES} or more.")
    if n_units < 2:
        what = f"there is {n_units} unit to draw from"
        raise EstimationError("bootstrap", what, "draw persons, or have more clusters.")


def _usable(values: FloatArray) -> Resampled:
    is_good = np.isfinite(values).all(axis=1)
    failed = int((~is_good).sum())
    if failed > _MAX_FAILED * is_good.size:
        what = f"{failed} of {is_good.size} resamples could not be estimated"
        fix = "use fewer terms, or a longer follow-up: too few persons carry the estimate."
        raise EstimationError("bootstrap", what, fix)
    return Resampled(values[is_good], failed)
