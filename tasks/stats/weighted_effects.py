"""Means of two arms under weights that were themselves estimated, and contrasts of them."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from tasks.core.errors import EstimationError
from tasks.stats.estimated_weights import EstimatedWeights
from tasks.stats.inference import Contrast, difference, ratio
from tasks.stats.inputs import BoolArray, FloatArray, IntArray, codes, flags

Measure = Literal["difference", "ratio", "odds_ratio"]


@dataclass(frozen=True, slots=True, eq=False)
class ArmMeans:
    """Means of the treated and of the others, and the influence of each row on both, (n, 2)."""

    treated: float
    other: float
    influence: FloatArray
    se_method: str

    @property
    def covariance(self) -> FloatArray:
        """Covariance of both means, shape (2, 2)."""
        sizes = np.argsort(abs(self.influence).sum(axis=1), kind="stable")
        sorted_rows = self.influence[sizes]
        return np.asarray(sorted_rows.T @ sorted_rows)

    def by_cluster(self, cluster: ArrayLike) -> "ArmMeans":
        """Return the means with the influence of whole clusters."""
        members = codes(cluster, self.influence.shape[0], "cluster")[1]
        return ArmMeans(self.treated, self.other, clustered(self.influence, members), "cluster")


def clustered(influence: FloatArray, members: IntArray) -> FloatArray:
    """Sum of influence in each cluster, shape (clusters, k)."""
    return np.stack([np.bincount(members, column) for column in influence.T], axis=1)


def weighted_means(
    outcome: ArrayLike, treated: ArrayLike, weights: EstimatedWeights, fitted: bool = True
) -> ArmMeans:
    """Weighted mean of each arm, with weights that were fitted, or are taken as known.

    Args:
        outcome: Outcome of each row, shape (n,), finite.
        treated: True for the treated, shape (n,).
        weights: The weights and what their fit adds.
        fitted: Whether the variance counts the fit of the weights (M-estimation), or not (HC0).

    Raises:
        EstimationError: An arm is empty or without weight, or an outcome is missing.

    Source:
        Lunceford & Davidian (2004) Stat Med 23; White (1980) for HC0.
    """
    y = np.asarray(outcome, dtype=np.float64)
    arm = flags(treated, y.shape, "treated")
    _check(y, arm)
    residual, means = np.zeros((y.size, 2)), []
    for place, mine in enumerate((arm, ~arm)):
        order = np.lexsort((weights.weight[mine], y[mine]))
        weight = weights.weight[mine][order]
        share = weight / weight.sum()
        mean = float((share * y[mine][order]).sum())
        residual[mine, place] = (y[mine] - mean) / float(weight.sum())
        means.append(mean)
    influence = weights.corrected(residual) if fitted else weights.fixed(residual)
    return ArmMeans(means[0], means[1], influence, "m_estimation" if fitted else "hc0")


def contrast_means(means: ArmMeans, measure: Measure, level: float = 0.95) -> Contrast:
    """Contrast the mean of the treated with that of the others, by the delta method.

    Raises:
        EstimationError: A ratio is asked of means that are 0, or odds of means outside (0, 1).
    """
    pair = np.array([means.treated, means.other])
    if measure == "difference":
        gradient, value = np.array([1.0, -1.0]), float(pair[0] - pair[1])
        return difference(value, _std_error(means, gradient), level)
    odds = measure == "odds_ratio"
    if (pair <= 0).any() or (odds and (pair >= 1).any()):
        raise EstimationError(
            measure, "a risk is 0 or 1 in an arm", "report the risk difference instead."
        )
    if odds:
        gradient = np.array([1.0, -1.0]) / (pair * (1 - pair))
        value = float(np.log(pair[0] / (1 - pair[0])) - np.log(pair[1] / (1 - pair[1])))
    else:
        gradient, value = np.array([1.0, -1.0]) / pair, float(np.log(pair[0] / pair[1]))
    return ratio(value, _std_error(means, gradient), level)


def _std_error(means: ArmMeans, gradient: FloatArray) -> float:
    variance = float(gradient @ means.covariance @ gradient)
    return float(np.sqrt(max(variance, 0.0)))


def _check(y: FloatArray, arm: BoolArray) -> None:
    missing = int((~np.isfinite(y)).sum())
    if missing or not 0 < arm.sum() < y.size:
        raise EstimationError(
            "means of arms",
            f"{missing} outcomes missing, {int(arm.sum())} treated of {y.size}",
            "drop or impute missing outcomes, and compare two arms that both have members.",
        )
    if np.ptp(y) == 0:
        raise EstimationError(
            "means of arms", "every outcome is the same", "choose an outcome that varies."
        )
