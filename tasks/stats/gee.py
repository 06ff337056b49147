"""Generalised estimating equations: means of outcomes that are correlated within clusters."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize

from tasks.core.errors import EstimationError
from tasks.stats.families import FAMILIES, Family, FamilyName
from tasks.stats.glm import GlmFit, glm
from tasks.stats.inputs import FloatArray, IntArray, case_weights, codes
from tasks.stats.sandwich import check_clusters, corrected_scores, sums_by

Correlation = Literal["independence", "exchangeable", "ar1"]
SmallSample = Literal["none", "kauermann_carroll", "mancl_derouen"]
MIN_CLUSTERS = 10
FEW_CLUSTERS = 40
_MAX_STEPS = 100
_TOLERANCE = 1e-11
_POWER = {"kauermann_carroll": 0.5, "mancl_derouen": 1.0}
_EDGE = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class GeeFit:
    """Coefficients, intercept first, with robust and model-based covariances.

    `df` is the number of clusters less that of coefficients.
    """

    family: FamilyName
    coef: FloatArray
    covariance: FloatArray
    model_covariance: FloatArray
    correlation: Correlation
    alpha: float | None
    scale: float
    se_method: str
    df: int
    n: int
    n_clusters: int
    largest_cluster: int


@dataclass(frozen=True, slots=True, eq=False)
class _Rows:
    x: FloatArray
    y: FloatArray
    weight: FloatArray
    offset: FloatArray
    cluster: IntArray
    gap: FloatArray  # time since the row before of the same cluster; infinite for the first
    time: FloatArray
    sizes: FloatArray


_Whitener = Callable[[FloatArray], FloatArray]


def gee(
    x: ArrayLike,
    y: ArrayLike,
    cluster: ArrayLike,
    family: FamilyName = "gaussian",
    *,
    correlation: Correlation = "independence",
    small_sample: SmallSample = "none",
    weights: ArrayLike | None = None,
    offset: ArrayLike | None = None,
    time: ArrayLike | None = None,
) -> GeeFit:
    """Solve the estimating equations of Liang and Zeger with the canonical link.

    Args:
        x: Covariates without intercept, shape (n, p).
        y: Outcome, shape (n,).
        cluster: Label of the cluster of each row, shape (n,).
        family: gaussian, binomial or poisson.
        correlation: Working correlation within clusters. `ar1` is alpha to the power of the
            distance in `time`.
        small_sample: Correction of the robust covariance for few clusters.
        weights: Weights of rows, shape (n,), all > 0.
        offset: What is added to the linear predictor.
        time: Time of each row, no two alike in a cluster, shape (n,); for `ar1`.

    Returns:
        The fit. Scale is the mean of squared Pearson residuals; alpha solves moment equations
        over all pairs within clusters, without correction for the coefficients.

    Raises:
        EstimationError: Fewer than 10 clusters, or fewer than coefficients; repeated times; a
            working correlation that is not positive definite; or as `glm`.

    Source:
        Liang & Zeger (1986) Biometrika 73. Agrees with R `geepack::geeglm` for independence and
        exchangeable.
    """
    start = glm(x, y, family, weights=weights, offset=offset)
    labels, index = codes(cluster, start.n, "cluster")
    check_clusters(labels.size, max(MIN_CLUSTERS, start.coef.size + 1))
    rows = _sorted(start, y, index, weights, offset, time)
    if correlation == "ar1":
        _check_times(rows, time is not None)
    coef, alpha, scale = _solve(rows, FAMILIES[family], start.coef, correlation)
    whiten = _whitener(rows, correlation, alpha)
    flat, rest = _whitened(rows, FAMILIES[family], coef, whiten)
    bread = np.asarray(np.linalg.inv(flat.T @ flat), dtype=np.float64)
    scores = sums_by(flat * rest[:, None], rows.cluster, labels.size)
    if small_sample != "none":
        grams = _grams(flat, rows.cluster, labels.size)
        scores = corrected_scores(bread, scores, grams, _POWER[small_sample])
    half = scores @ bread
    name = "robust" if small_sample == "none" else f"robust_{small_sample}"
    return GeeFit(
        family, coef, np.asarray(half.T @ half), np.asarray(scale * bread),
        correlation, alpha, scale, name,
        labels.size - coef.size, start.n, labels.size, int(rows.sizes.max()),
    )  # fmt: skip


def _sorted(
    start: GlmFit,
    y: ArrayLike,
    index: IntArray,
    weights: ArrayLike | None,
    offset: ArrayLike | None,
    time: ArrayLike | None,
) -> _Rows:
    """Rows by cluster and time, else by content, so that no order of delivery matters."""
    base, n = start.order, start.n
    when = np.zeros(n) if time is None else np.asarray(time, dtype=np.float64)
    order = base[np.lexsort((when[base], index[base]))]
    place = np.empty(n, dtype=np.int64)
    place[base] = np.arange(n)
    group, when = index[order], when[order]
    first = np.append(True, np.diff(group) > 0)
    gap = np.where(first, np.inf, np.append(0.0, np.diff(when)))
    weight = np.ones(n) if weights is None else case_weights(weights, n)[order]
    added = np.zeros(n) if offset is None else np.asarray(offset, dtype=np.float64)[order]
    return _Rows(
        start.x[place[order]], np.asarray(y, dtype=np.float64)[order], weight, added, group, gap,
        when, np.bincount(group).astype(np.float64),
    )  # fmt: skip


def _check_times(rows: _Rows, given: bool) -> None:
    repeated = int((rows.gap <= 0).sum())
    if not given or repeated:
        what = f"{repeated} rows have the time of another row of their cluster"
        raise EstimationError("gee", what, "name a column of times that tells rows apart.")


def _solve(
    rows: _Rows, family: Family, coef: FloatArray, correlation: Correlation
) -> tuple[FloatArray, float | None, float]:
    reach = abs(rows.x).max(axis=0)
    for _ in range(_MAX_STEPS):
        pearson = _pearson(rows, family, coef)
        scale = float((pearson**2).mean())
        alpha = _alpha(rows, pearson, scale, correlation)
        flat, rest = _whitened(rows, family, coef, _whitener(rows, correlation, alpha))
        step = np.linalg.solve(flat.T @ flat, flat.T @ rest)
        coef = np.asarray(coef + step, dtype=np.float64)
        if (abs(step) * reach).max() <= _TOLERANCE * (1 + (abs(coef) * reach).max()):
            return coef, alpha, scale
    what = f"the estimating equations were not solved in {_MAX_STEPS} steps"
    raise EstimationError("gee", what, "use correlation: independence, or fewer terms.")


def _pearson(rows: _Rows, family: Family, coef: FloatArray) -> FloatArray:
    mean = family.mean(rows.x @ coef + rows.offset)
    variance = family.variance(mean)
    if not np.isfinite(mean).all() or (variance <= 0).any():
        raise EstimationError("gee", "the means run to infinity", "use fewer terms.")
    return np.asarray((rows.y - mean) * np.sqrt(rows.weight / variance))


def _alpha(
    rows: _Rows, pearson: FloatArray, scale: float, correlation: Correlation
) -> float | None:
    if correlation == "independence":
        return None
    pairs = float((rows.sizes * (rows.sizes - 1) / 2).sum())
    if not pairs:
        what = "no cluster has two rows: there is no correlation to estimate"
        raise EstimationError("gee", what, "use correlation: independence.")
    if correlation == "ar1":
        return _alpha_ar1(rows, pearson, scale)
    sums = np.bincount(rows.cluster, pearson)
    alpha = (float(sums @ sums) - float(pearson @ pearson)) / 2 / pairs / scale
    if not -1 / (rows.sizes.max() - 1) < alpha < 1:
        what = f"the common correlation {alpha:.3g} is not possible in clusters of this size"
        raise EstimationError("gee", what, "use correlation: independence.")
    return alpha


def _alpha_ar1(rows: _Rows, pearson: FloatArray, scale: float) -> float:
    """Least squares of products of pairs on alpha to the power of their distance."""
    products, distances = [], []
    for lag in range(1, int(rows.sizes.max())):
        same = rows.cluster[lag:] == rows.cluster[:-lag]
        products.append((pearson[lag:] * pearson[:-lag])[same] / scale)
        distances.append((rows.time[lag:] - rows.time[:-lag])[same])
    product, distance = np.concatenate(products), np.concatenate(distances)
    levels, index = np.unique(distance, return_inverse=True)
    count, total = np.bincount(index), np.bincount(index, product)

    def slope(alpha: float) -> float:
        return float((levels * alpha ** (levels - 1)) @ (total - count * alpha**levels))

    grid = np.linspace(_EDGE, 1 - _EDGE, 200)
    lost = [float(count @ (total / count - a**levels) ** 2) for a in grid]
    best = int(np.argmin(lost))
    if best in (0, grid.size - 1):
        what = "the correlation of neighbours is not between 0 and 1"
        raise EstimationError("gee", what, "use correlation: independence or exchangeable.")
    return float(optimize.brentq(slope, grid[best - 1], grid[best + 1], xtol=1e-14))


def _whitener(rows: _Rows, correlation: Correlation, alpha: float | None) -> _Whitener:
    """Return the map that makes rows of a cluster uncorrelated, of columns, shape (n,)."""
    if correlation == "independence" or alpha is None:
        return np.asarray
    if correlation == "ar1":
        power = np.where(np.isinf(rows.gap), 0.0, alpha**rows.gap)
        left = np.sqrt(1 - power**2)
        return lambda values: (values - power * np.append(0.0, values[:-1])) / left
    apart = 1 / np.sqrt(1 - alpha)
    together = 1 / np.sqrt(1 + (rows.sizes - 1) * alpha)

    def exchangeable(values: FloatArray) -> FloatArray:
        means = np.bincount(rows.cluster, values) / rows.sizes
        return np.asarray(values * apart + (means * (together - apart))[rows.cluster])

    return exchangeable


def _whitened(
    rows: _Rows, family: Family, coef: FloatArray, whiten: _Whitener
) -> tuple[FloatArray, FloatArray]:
    """Derivatives of the means and residuals, both uncorrelated and of one variance."""
    mean = family.mean(rows.x @ coef + rows.offset)
    root = np.sqrt(rows.weight / family.variance(mean))
    slope = root * family.slope(mean)
    columns = [whiten(slope * column) for column in rows.x.T]
    return np.column_stack(columns), whiten(root * (rows.y - mean))


def _grams(x: FloatArray, cluster: IntArray, count: int) -> FloatArray:
    p = x.shape[1]
    flat = (x[:, :, None] * x[:, None, :]).reshape(-1, p * p)
    return sums_by(flat, cluster, count).reshape(count, p, p)
