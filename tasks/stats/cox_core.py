"""What every use of Cox's likelihood shares: input checks, sorting, and the search for the top."""

import numpy as np
from numpy.typing import ArrayLike

from tasks.core.errors import EstimationError
from tasks.stats import exact_ties
from tasks.stats import partial_likelihood as likelihood
from tasks.stats.inputs import (
    FloatArray,
    IntArray,
    case_weights,
    codes,
    design_matrix,
    entry_times,
    follow_up,
    row_order,
)
from tasks.stats.newton import Bounds, Maximum, Point, maximise
from tasks.stats.partial_likelihood import FollowUp, RiskSets

_TOLERANCE = 1e-10
_NO_VARIANCE = 1e-12


def cox_follow_up(
    durations: ArrayLike,
    observed: ArrayLike,
    covariates: ArrayLike,
    weights: ArrayLike | None,
    strata: ArrayLike | None,
    entry: ArrayLike | None = None,
) -> FollowUp:
    """Checked follow-up; weights are 1 and there is one stratum when none are given.

    Raises:
        EstimationError: There is no event, or an input is not usable.
    """
    time, event = follow_up(durations, observed)
    if not event.any():
        raise EstimationError("cox", "there is no event", "widen the cohort or the follow-up.")
    weight = np.ones(time.size) if weights is None else case_weights(weights, time.size)
    stratum = codes(np.zeros(time.size) if strata is None else strata, time.size, "strata")[1]
    entered = None if entry is None else entry_times(entry, time)
    return FollowUp(time, event, design_matrix(covariates, time.size), weight, stratum, entered)


def clusters_of(cluster: ArrayLike | None, order: IntArray, p: int) -> IntArray | None:
    """Number of the cluster of each sorted row, shape (n,); None where rows are independent.

    Raises:
        EstimationError: There are no more clusters than covariates.
    """
    if cluster is None:
        return None
    members = codes(cluster, order.size, "cluster")[1][order]
    if (found := int(members.max()) + 1) <= p:
        what = f"{found} cluster(s) cannot tell the variance of {p} coefficient(s)"
        raise EstimationError("cluster", what, "name a column of more clusters, or fewer terms.")
    return members


def sandwich(influence: FloatArray, members: IntArray | None, bread: FloatArray) -> FloatArray:
    """Variance from the influence of rows, (n, p), on the score, summed by cluster, (p, p).

    Raises:
        EstimationError: The influences leave some combination of coefficients without variance.
    """
    spread = summed_by_cluster(influence, members) @ bread
    variance = np.asarray(spread.T @ spread)
    against = np.diag(variance) / np.diag(bread)
    error = np.sqrt(np.diag(variance))
    if against.min() > _NO_VARIANCE:
        share = np.linalg.eigvalsh(variance / np.outer(error, error))
        if share.min() > _NO_VARIANCE:
            return variance
    what = "rows or clusters are too few or too alike for a robust variance"
    raise EstimationError("robust variance", what, "use std_error: model, or fewer terms.")


def summed_by_cluster(influence: FloatArray, members: IntArray | None) -> FloatArray:
    """Influence of each cluster: the sum of its rows, shape (g, p); of each row without them."""
    if members is None:
        return influence
    return np.stack([np.bincount(members, column) for column in influence.T], axis=1)


def sort_rows(data: FollowUp) -> IntArray:
    """Rows by stratum and time, then by all they hold, shape (n,): the same for any shuffle."""
    entry = () if data.entry is None else (data.entry,)
    return row_order((data.stratum, data.time, data.event, data.weight, *entry), data.x)


def fit_partial_likelihood(sets: RiskSets, start: FloatArray | None = None) -> Maximum:
    """The maximum of the partial likelihood over scaled coefficients, from `start` or 0.

    Raises:
        EstimationError: A covariate is constant or collinear, or there is no finite maximum.
    """
    if sets.exact:
        exact_ties.check_size(sets)
    begin = np.zeros(sets.x.shape[1]) if start is None else start
    size = float(sets.term_weight.sum())
    bounds = Bounds("cox", size, np.ptp(sets.x, axis=0), _TOLERANCE)
    value = exact_ties.log_likelihood if sets.exact else likelihood.log_likelihood
    return maximise(
        lambda beta: point_at(sets, beta),
        lambda beta: value(sets, beta),
        begin,
        bounds,
    )


def point_at(sets: RiskSets, beta: FloatArray) -> Point:
    """Log partial likelihood, score and information at scaled coefficients."""
    if sets.exact:
        return exact_ties.point_at(sets, beta)
    at = likelihood.moments(sets, beta)
    score = likelihood.score_by_moment(sets, at).sum(axis=0)
    return Point(at.log_likelihood, score, likelihood.information(sets, at))
