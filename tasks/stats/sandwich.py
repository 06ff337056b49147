"""Robust covariances of regression coefficients: by row, by cluster, by time."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from tasks.core.errors import EstimationError
from tasks.stats.glm import GlmFit
from tasks.stats.inputs import FloatArray, IntArray, codes

HcKind = Literal["HC0", "HC1", "HC2", "HC3", "HC4", "HC4m", "HC5"]
CrKind = Literal["CR0", "CR1", "CR1S", "CR2", "CR3"]
_FULL_LEVERAGE = 1e-10


@dataclass(frozen=True, slots=True, eq=False)
class Covariance:
    """A covariance, shape (p, p), how it was made, and the degrees of freedom of its tests."""

    matrix: FloatArray
    kind: str
    df: float
    n_clusters: int | None = None


def model_covariance(fit: GlmFit) -> Covariance:
    """Return the covariance that holds where the model of the variance does."""
    return Covariance(fit.covariance, "model", float(fit.df_residual))


def scaled_covariance(fit: GlmFit) -> Covariance:
    """Return the model's covariance times Pearson's dispersion, as R's quasi families do."""
    return Covariance(fit.dispersion * fit.bread, "quasi", float(fit.df_residual))


def heteroskedastic_covariance(fit: GlmFit, kind: HcKind = "HC0") -> Covariance:
    """Return the sandwich that takes rows as independent, of any variance.

    Raises:
        EstimationError: HC2 and above where a row alone decides a coefficient.

    Source:
        White (1980); MacKinnon & White (1985); Cribari-Neto (2004) and others for HC4, HC4m and
        HC5. Agrees with R `sandwich::vcovHC`.
    """
    factor = fit.n / fit.df_residual if kind == "HC1" else 1.0
    scores = fit.scores
    if kind not in ("HC0", "HC1"):
        left = 1 - fit.working * ((fit.x @ fit.bread) * fit.x).sum(axis=1)
        _check_leverage(left, "row")
        scores = scores / (left ** (_power_of_leverage(left, kind) / 2))[:, None]
    return Covariance(factor * _filled(fit.bread, scores), kind, float(fit.df_residual))


def _power_of_leverage(left: FloatArray, kind: HcKind) -> FloatArray:
    """By what power of 1 - leverage squared residuals are divided."""
    leverage = 1 - left
    relative = leverage * left.size / np.rint(leverage.sum())
    if kind == "HC4":
        return np.asarray(np.minimum(4, relative))
    if kind == "HC4m":
        return np.asarray(np.minimum(1, relative) + np.minimum(1.5, relative))
    if kind == "HC5":
        return np.asarray(np.minimum(relative, max(4.0, 0.7 * float(relative.max()))) / 2)
    return np.full(left.size, 1.0 if kind == "HC2" else 2.0)


def cluster_covariance(fit: GlmFit, cluster: ArrayLike, kind: CrKind = "CR1") -> Covariance:
    """Return the sandwich that takes clusters as independent.

    Args:
        fit: The fit.
        cluster: Label of the cluster of each row as given to `glm`, shape (n,).
        kind: CR0 without correction, CR1 times G / (G - 1), CR1S times (n - 1) / (n - p) too;
            CR2 and CR3 free the residuals of a cluster from its pull on the fit, by the root
            of it or by the whole.

    Raises:
        EstimationError: There is one cluster; CR2 and CR3 where one decides a coefficient.

    Source:
        Liang & Zeger (1986); Bell & McCaffrey (2002). Agrees with R `sandwich::vcovCL`: CR0 is
        `type = "HC0", cadjust = FALSE`, CR1 is `type = "HC0"`, CR1S is `type = "HC1"`; of linear
        models without weights CR2 is `type = "HC2"` and CR3 `type = "HC3"`.
    """
    labels, index = codes(cluster, fit.n, "cluster")
    count = labels.size
    check_clusters(count, 2)
    factor = count / (count - 1) if kind in ("CR1", "CR1S") else 1.0
    if kind == "CR1S":
        factor *= (fit.n - 1) / fit.df_residual
    group = index[fit.order]
    totals = sums_by(fit.scores, group, count)
    if kind in ("CR2", "CR3"):
        grams = grams_by(fit.x * np.sqrt(fit.working)[:, None], group, count)
        totals = corrected_scores(fit.bread, totals, grams, 0.5 if kind == "CR2" else 1.0)
    return Covariance(factor * _filled(fit.bread, totals), kind, count - 1.0, count)


def newey_west_covariance(fit: GlmFit, time: ArrayLike, lag: int) -> Covariance:
    """Return the sandwich that allows autocorrelation up to `lag`, with Bartlett's weights.

    Args:
        fit: The fit of one series.
        time: Time of each row as given to `glm`, shape (n,), equally spaced.
        lag: Longest lag, from 0.

    Returns:
        Covariance times n / (n - p), as R `sandwich::NeweyWest(lag, prewhite = FALSE, adjust =
        TRUE)`.

    Raises:
        EstimationError: The lag is negative or as long as the series.
    """
    if not 0 <= lag < fit.n:
        what = f"lag {lag} of a series of {fit.n} times"
        raise EstimationError("newey_west", what, "choose a lag from 0, shorter than the series.")
    scores = fit.scores[np.argsort(np.asarray(time)[fit.order], kind="stable")]
    meat = scores.T @ scores
    for step in range(1, lag + 1):
        lagged = scores[step:].T @ scores[:-step]
        meat += (1 - step / (lag + 1)) * (lagged + lagged.T)
    matrix = fit.n / fit.df_residual * fit.bread @ meat @ fit.bread
    return Covariance(matrix, f"newey_west(lag={lag})", float(fit.df_residual))


def corrected_scores(
    bread: FloatArray, scores: FloatArray, grams: FloatArray, power: float
) -> FloatArray:
    """Return scores of clusters freed of the pull of each cluster on its own fit.

    Args:
        bread: Inverse information, shape (p, p).
        scores: Score of each cluster, shape (g, p).
        grams: Information of each cluster, shape (g, p, p).
        power: 1 for Mancl and DeRouen, one half for Kauermann and Carroll.

    Raises:
        EstimationError: A cluster alone decides a coefficient.
    """
    values, vectors = np.linalg.eigh(bread)
    root = (vectors * np.sqrt(values)) @ vectors.T
    back = (vectors / np.sqrt(values)) @ vectors.T
    pull, axes = np.linalg.eigh(root @ grams @ root)
    _check_leverage(1 - pull, "cluster")
    turned = np.einsum("gji,gj->gi", axes, scores @ root) / (1 - pull) ** power
    return np.asarray(np.einsum("gij,gj->gi", axes, turned) @ back)


def sums_by(values: FloatArray, index: IntArray, count: int) -> FloatArray:
    """Return the sums of rows of `values`, shape (n, p), within `count` groups."""
    columns = [np.bincount(index, column, count) for column in values.T]
    return np.asarray(np.column_stack(columns))


def grams_by(x: FloatArray, index: IntArray, count: int) -> FloatArray:
    """Return the cross-products of the rows of each of `count` groups, shape (count, p, p)."""
    p = x.shape[1]
    flat = (x[:, :, None] * x[:, None, :]).reshape(-1, p * p)
    return sums_by(flat, index, count).reshape(count, p, p)


def check_clusters(count: int, least: int) -> None:
    """Refuse fewer clusters than a method needs.

    Raises:
        EstimationError: There are fewer.
    """
    if count < least:
        what = f"{count} cluster(s); {least} or more are needed"
        raise EstimationError("clusters", what, "name a column with more clusters.")


def _filled(bread: FloatArray, scores: FloatArray) -> FloatArray:
    half = scores @ bread
    return np.asarray(half.T @ half)


def _check_leverage(left: FloatArray, of: str) -> None:
    if (left <= _FULL_LEVERAGE).any():
        what = f"a coefficient is decided by one {of} alone"
        raise EstimationError("leverage", what, f"merge the category that only one {of} has.")
