"""What every use of Cox's likelihood shares: input checks, sorting, and the search for the top."""

import numpy as np
from numpy.typing import ArrayLike

from tasks.core.errors import EstimationError
from tasks.stats import partial_likelihood as likelihood
from tasks.stats.inputs import (
    FloatArray,
    IntArray,
    case_weights,
    codes,
    design_matrix,
    follow_up,
    row_order,
    same_shape,
)
from tasks.stats.newton import Bounds, Maximum, Point, maximise
from tasks.stats.partial_likelihood import FollowUp, RiskSets

_TOLERANCE = 1e-10


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
    entered = None if entry is None else _entries(entry, time)
    return FollowUp(time, event, design_matrix(covariates, time.size), weight, stratum, entered)


def _entries(entry: ArrayLike, time: FloatArray) -> FloatArray:
    """Times of entry as floats, all before the time of the same row."""
    result = np.asarray(entry, dtype=np.float64)
    same_shape(result, time.shape, "entry")
    if bad := int((~(result < time)).sum()):
        what = f"{bad} of {time.size} rows do not enter before their follow-up ends"
        raise EstimationError("entry", what, "drop or repair them, where attrition is counted.")
    return result


def sort_rows(data: FollowUp) -> IntArray:
    """Rows by stratum and time, then by all they hold, shape (n,): the same for any shuffle."""
    entry = () if data.entry is None else (data.entry,)
    return row_order((data.stratum, data.time, data.event, data.weight, *entry), data.x)


def fit_partial_likelihood(sets: RiskSets, start: FloatArray | None = None) -> Maximum:
    """The maximum of the partial likelihood over scaled coefficients, from `start` or 0.

    Raises:
        EstimationError: A covariate is constant or collinear, or there is no finite maximum.
    """
    begin = np.zeros(sets.x.shape[1]) if start is None else start
    size = float(sets.term_weight.sum())
    bounds = Bounds("cox", size, np.ptp(sets.x, axis=0), _TOLERANCE)
    return maximise(
        lambda beta: point_at(sets, beta),
        lambda beta: likelihood.log_likelihood(sets, beta),
        begin,
        bounds,
    )


def point_at(sets: RiskSets, beta: FloatArray) -> Point:
    """Log partial likelihood, score and information at scaled coefficients."""
    at = likelihood.moments(sets, beta)
    score = likelihood.score_by_moment(sets, at).sum(axis=0)
    return Point(at.log_likelihood, score, likelihood.information(sets, at))
