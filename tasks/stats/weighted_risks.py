"""Risks of groups under weights or in clusters, with the covariance of their influence."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from tasks.core.errors import EstimationError
from tasks.stats.inference import Contrast, difference, ratio, z_quantile
from tasks.stats.inputs import FloatArray, case_weights, codes, flags
from tasks.stats.sandwich import check_clusters, sums_by


@dataclass(frozen=True, slots=True, eq=False)
class WeightedRisks:
    """Weighted risk of each group, shape (g,), and their covariance, shape (g, g)."""

    risk: FloatArray
    covariance: FloatArray
    se_method: str
    n_clusters: int | None


def weighted_risks(
    outcome: ArrayLike,
    group: ArrayLike,
    weights: ArrayLike | None = None,
    cluster: ArrayLike | None = None,
) -> WeightedRisks:
    """Weighted share with the outcome in each group, taking the weights as known.

    Args:
        outcome: True for persons with the outcome, shape (n,).
        group: Number of the group of each person, 0 to g - 1, shape (n,).
        weights: Weights, shape (n,), all > 0.
        cluster: Label of the cluster of each person, shape (n,); clusters may span groups.

    Returns:
        Risks; covariance HC0, or by cluster times G / (G - 1).

    Raises:
        EstimationError: A group is empty, or there is one cluster.
    """
    place = np.asarray(group, dtype=np.int64)
    event = flags(outcome, place.shape, "outcome").astype(np.float64)
    weight = np.ones(event.size) if weights is None else case_weights(weights, event.size)
    _, index = codes(np.arange(event.size) if cluster is None else cluster, event.size, "cluster")
    order = np.lexsort((weight, event, place) if cluster is None else (weight, event, place, index))
    place, event, weight = place[order], event[order], weight[order]
    sizes = np.bincount(place, weight)
    if not sizes.size or not sizes.all():
        raise EstimationError("risk", "a group is empty", "compare groups that have members.")
    risk = np.bincount(place, weight * event) / sizes
    influence = np.zeros((event.size, sizes.size))
    influence[np.arange(event.size), place] = weight * (event - risk[place]) / sizes[place]
    if cluster is None:
        return WeightedRisks(risk, influence.T @ influence, "HC0", None)
    count = int(index.max()) + 1
    check_clusters(count, 2)
    totals = sums_by(influence, index[order], count)
    return WeightedRisks(risk, count / (count - 1) * totals.T @ totals, "CR1", count)


def risk_interval(found: WeightedRisks, place: int, level: float = 0.95) -> tuple[float, float]:
    """Wald interval of a risk on the logit scale.

    Raises:
        EstimationError: Nobody or everybody of the group has the outcome.
    """
    risk, error = float(found.risk[place]), float(np.sqrt(found.covariance[place, place]))
    _check_inside(risk)
    margin = z_quantile(level) * error / (risk * (1 - risk))
    low, high = special.expit(special.logit(risk) + np.array([-margin, margin]))
    return float(low), float(high)


def risk_contrasts(
    found: WeightedRisks, place: int, reference: int, level: float = 0.95
) -> dict[str, Contrast]:
    """Difference, ratio and odds ratio of two groups, by the delta method.

    Raises:
        EstimationError: Nobody or everybody of a group has the outcome.
    """
    p, q = float(found.risk[place]), float(found.risk[reference])
    for risk in (p, q):
        _check_inside(risk)
    both = found.covariance[np.ix_([place, reference], [place, reference])]

    def error(a: float, b: float) -> float:
        slope = np.array([a, -b])
        return float(np.sqrt(slope @ both @ slope))

    odds = float(special.logit(p) - special.logit(q))
    return {
        "risk_difference": difference(p - q, error(1, 1), level),
        "risk_ratio": ratio(float(np.log(p / q)), error(1 / p, 1 / q), level),
        "odds_ratio": ratio(odds, error(1 / (p * (1 - p)), 1 / (q * (1 - q))), level),
    }


def _check_inside(risk: float) -> None:
    if not 0 < risk < 1:
        what = "nobody or everybody of a group has the outcome"
        raise EstimationError("risk", what, "report the unweighted risk with Wilson's interval.")
