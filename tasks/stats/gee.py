"""Generalised estimating equations: means of outcomes that are correlated within clusters."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from tasks.core.errors import EstimationError
from tasks.stats.families import FAMILIES, Family, FamilyName
from tasks.stats.glm import GlmFit, glm
from tasks.stats.inputs import FloatArray, IntArray, case_weights, codes
from tasks.stats.sandwich import check_clusters, corrected_scores, grams_by, sums_by
from tasks.stats.wave_correlations import Waves, waves_of, whitener_of_waves

Correlation = Literal["independence", "exchangeable", "ar1", "unstructured"]
SmallSample = Literal["none", "kauermann_carroll", "mancl_derouen"]
MIN_CLUSTERS = 10
FEW_CLUSTERS = 40
_NOTHING_LEFT = 1e-20
_MAX_STEPS = 100
_POWER = {"kauermann_carroll": 0.5, "mancl_derouen": 1.0}


@dataclass(frozen=True, slots=True, eq=False)
class GeeFit:
    """Coefficients, intercept first, with robust and model-based covariances.

    `df` is the number of clusters less that of coefficients. `alpha` is the one correlation of
    exchangeable and ar1; `pairs` are those of unstructured waves.
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
    pairs: tuple["PairOfWaves", ...] = ()


@dataclass(frozen=True, slots=True)
class PairOfWaves:
    """Working correlation of two waves, by their ranks from 1, and the clusters that have both."""

    name: str
    alpha: float
    n_clusters: int


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


@dataclass(frozen=True, slots=True, eq=False)
class _Structure:
    correlation: Correlation
    waves: Waves | None


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
    tolerance: float = 1e-4,
) -> GeeFit:
    """Solve the estimating equations of Liang and Zeger with the canonical link.

    Args:
        x: Covariates without intercept, shape (n, p).
        y: Outcome, shape (n,).
        cluster: Label of the cluster of each row, shape (n,).
        family: gaussian, binomial or poisson.
        correlation: Working correlation within clusters. `ar1` is alpha to the power of the
            distance in `time`; `unstructured` has one alpha a pair of times.
        small_sample: Correction of the robust covariance for few clusters.
        weights: Weights of rows, shape (n,), all > 0.
        offset: What is added to the linear predictor.
        time: Time of each row, no two alike in a cluster, shape (n,); for `ar1`
            and `unstructured`, whose waves are the distinct times.
        tolerance: Largest step of any parameter at which it stops; that of geepack if absent.

    Returns:
        The fit. Scale is the weighted mean of squared Pearson residuals; alpha solves moment
        equations over all pairs within clusters, each with the product of its weights, without
        correction for the coefficients.

    Raises:
        EstimationError: Fewer than 10 clusters, or no more than coefficients (with those of
            `unstructured`); repeated times, or one wave; a working correlation that is not
            positive definite; or as `glm`.

    Source:
        Liang & Zeger (1986) Biometrika 73. Agrees with R `geepack::geeglm`.
    """
    start = glm(x, y, family, weights=weights, offset=offset)
    labels, index = codes(cluster, start.n, "cluster")
    check_clusters(labels.size, max(MIN_CLUSTERS, start.coef.size + 1))
    rows = _sorted(start, y, index, weights, offset, time)
    waves = None
    if correlation in ("ar1", "unstructured"):
        _check_times(rows, time is not None)
    if correlation == "unstructured":
        waves = waves_of(rows.time, rows.cluster, start.coef.size)
    structure = _Structure(correlation, waves)
    coef, alpha, scale = _solve(rows, FAMILIES[family], start.coef, structure, tolerance)
    whiten = _whitener(rows, structure, alpha)
    flat, rest = _whitened(rows, FAMILIES[family], coef, whiten)
    bread = np.asarray(np.linalg.inv(flat.T @ flat), dtype=np.float64)
    scores = sums_by(flat * rest[:, None], rows.cluster, labels.size)
    if small_sample != "none":
        grams = grams_by(flat, rows.cluster, labels.size)
        scores = corrected_scores(bread, scores, grams, _POWER[small_sample])
    half = scores @ bread
    name = "robust" if small_sample == "none" else f"robust_{small_sample}"
    return GeeFit(
        family, coef, np.asarray(half.T @ half), np.asarray(scale * bread),
        correlation, float(alpha[0]) if alpha.size and waves is None else None, scale, name,
        labels.size - coef.size, start.n, labels.size, int(rows.sizes.max()),
        _named_pairs(waves, alpha),
    )  # fmt: skip


def _named_pairs(waves: Waves | None, alpha: FloatArray) -> tuple[PairOfWaves, ...]:
    if waves is None:
        return ()
    return tuple(
        PairOfWaves(name, float(value), int(count))
        for name, value, count in zip(waves.names, alpha, waves.together, strict=True)
    )


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
    rows: _Rows, family: Family, coef: FloatArray, structure: _Structure, tolerance: float
) -> tuple[FloatArray, FloatArray, float]:
    """Steps of coefficients, scale and correlation in turn, stopped where geepack stops."""
    pairs = None if structure.correlation == "independence" else _pairs(rows, structure)
    residual = _pearson(rows, family, coef)
    scale = float((residual**2).mean())
    alpha = np.zeros(0) if pairs is None else _first_alpha(pairs, residual, scale)
    for _ in range(_MAX_STEPS):
        before = np.concatenate([coef, [scale], alpha])
        flat, rest = _whitened(rows, family, coef, _whitener(rows, structure, alpha))
        coef = np.asarray(coef + np.linalg.solve(flat.T @ flat, flat.T @ rest), dtype=np.float64)
        residual = _pearson(rows, family, coef)
        scale = float(rows.weight @ residual**2 / rows.weight.sum())
        if pairs is not None:
            alpha = _next_alpha(rows, pairs, residual, scale, alpha)
        if abs(np.concatenate([coef, [scale], alpha]) - before).max() <= tolerance:
            return coef, alpha, scale
    what = f"the estimating equations were not solved in {_MAX_STEPS} steps"
    raise EstimationError("gee", what, "use correlation: independence, or fewer terms.")


def _pearson(rows: _Rows, family: Family, coef: FloatArray) -> FloatArray:
    mean = family.mean(rows.x @ coef + rows.offset)
    variance = family.variance(mean)
    if not np.isfinite(mean).all() or (variance <= 0).any():
        raise EstimationError("gee", "the means run to infinity", "use fewer terms.")
    return np.asarray((rows.y - mean) / np.sqrt(variance))


@dataclass(frozen=True, slots=True, eq=False)
class _Pairs:
    """All pairs of rows of a cluster, shape (m,); `distance` is 1 throughout without times.

    `kind` is the pair of waves of each, None where there is one correlation.
    """

    left: IntArray
    right: IntArray
    weight: FloatArray
    distance: FloatArray
    is_ar1: bool
    kind: IntArray | None = None

    @property
    def are_whole(self) -> bool:
        """Whether every distance is a whole number, and some neighbours are 1 apart."""
        return bool((self.distance == np.floor(self.distance)).all() and self.distance.min() == 1)


def _pairs(rows: _Rows, structure: _Structure) -> _Pairs:
    """Pairs of a cluster, found lag by lag; those of exchangeable rows have no distance."""
    left, n = [np.zeros(0, dtype=np.int64)], rows.y.size
    right = list(left)
    for lag in range(1, int(rows.sizes.max())):
        first = np.flatnonzero(rows.cluster[lag:] == rows.cluster[: n - lag])
        left.append(first)
        right.append(first + lag)
    i, j = np.concatenate(left), np.concatenate(right)
    if not i.size:
        what = "no cluster has two rows: there is no correlation to estimate"
        raise EstimationError("gee", what, "use correlation: independence.")
    is_ar1, waves = structure.correlation == "ar1", structure.waves
    distance = rows.time[j] - rows.time[i] if is_ar1 else np.ones(i.size)
    kind = None if waves is None else waves.pair(i, j)
    return _Pairs(i, j, rows.weight[i] * rows.weight[j], distance, is_ar1, kind)


def _check_something_is_left(scale: float) -> None:
    if scale < _NOTHING_LEFT:
        what = "the model leaves nothing unexplained: there is no correlation to estimate"
        raise EstimationError("gee", what, "use correlation: independence.")


def _first_alpha(pairs: _Pairs, residual: FloatArray, scale: float) -> FloatArray:
    """0, as geepack; where distances are not whole, which it cannot have, the best of a grid."""
    _check_something_is_left(scale)
    if pairs.are_whole:
        return np.zeros(1 if pairs.kind is None else int(pairs.kind.max()) + 1)
    product = residual[pairs.left] * residual[pairs.right] / scale
    levels, index = np.unique(pairs.distance, return_inverse=True)
    count = np.bincount(index, pairs.weight)
    mean = np.bincount(index, pairs.weight * product) / count
    grid = np.linspace(0, 1, 202)[1:-1]
    return grid[[np.argmin([count @ (mean - a**levels) ** 2 for a in grid])]]


def _next_alpha(
    rows: _Rows, pairs: _Pairs, residual: FloatArray, scale: float, alpha: FloatArray
) -> FloatArray:
    """One Gauss-Newton step of the products of pairs on alpha to the power of their distance."""
    _check_something_is_left(scale)
    product = residual[pairs.left] * residual[pairs.right] / scale
    if pairs.kind is not None:
        return _means_of_waves(pairs.kind, pairs.weight, product)
    slope = pairs.distance * alpha ** (pairs.distance - 1)
    left = product - alpha**pairs.distance
    weighted = pairs.weight * slope
    found = float(alpha[0] + weighted @ left / (weighted @ slope))
    lowest = -1.0 if pairs.is_ar1 else -1 / (rows.sizes.max() - 1)
    if pairs.is_ar1 and not pairs.are_whole:
        lowest = 0.0
    if not lowest < found < 1:
        what = f"the working correlation {found:.3g} is not possible in clusters of this size"
        raise EstimationError("gee", what, "use another correlation, such as independence.")
    return np.array([found])


def _means_of_waves(kind: IntArray, weight: FloatArray, product: FloatArray) -> FloatArray:
    """Mean product of each pair of waves: where its estimating equation is solved."""
    return np.asarray(np.bincount(kind, weight * product) / np.bincount(kind, weight))


def _whitener(rows: _Rows, structure: _Structure, alpha: FloatArray) -> _Whitener:
    """Return the map that makes rows of a cluster uncorrelated, of columns, shape (n,)."""
    if structure.correlation == "independence":
        return np.asarray
    if structure.waves is not None:
        return whitener_of_waves(structure.waves, alpha)
    if structure.correlation == "ar1":
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
