"""Contrasts of restricted means: difference and ratio, of time lived and of time lost, adjusted."""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike

from tasks.core.errors import EstimationError
from tasks.stats.inference import Contrast, difference, ratio, z_quantile
from tasks.stats.inputs import BoolArray, FloatArray, IntArray, codes, design_matrix, follow_up
from tasks.stats.risk_table import distinct_times
from tasks.stats.survival import RestrictedMean, check_horizon

Measure = Literal["difference", "ratio", "lost_ratio"]
_MAX_STEPS = 50


@dataclass(frozen=True, slots=True)
class AdjustedContrast:
    """One group against the first, given the covariates."""

    group: str
    contrast: Contrast


def restricted_mean_ratio(a: RestrictedMean, b: RestrictedMean) -> Contrast:
    """Restricted mean of arm `a` over that of arm `b`, Wald interval on the log scale.

    Raises:
        EstimationError: The horizons or levels differ, or neither arm has an event.
    """
    _check_alike(a, b)
    return _ratio(a.estimate, a.std_error, b.estimate, b.std_error, a.level)


def time_lost(mean: RestrictedMean) -> RestrictedMean:
    """Restricted mean time lost, the horizon less the restricted mean; its errors are the same."""
    estimate, margin = mean.horizon - mean.estimate, z_quantile(mean.level) * mean.std_error
    return RestrictedMean(
        estimate, mean.std_error, estimate - margin, estimate + margin, mean.level, mean.horizon,
        mean.n, mean.events, mean.se_method,
    )  # fmt: skip


def time_lost_ratio(a: RestrictedMean, b: RestrictedMean) -> Contrast:
    """Restricted mean time lost of arm `a` over that of arm `b`; both arms need an event.

    Raises:
        EstimationError: As `restricted_mean_ratio`; or an arm has no event by the horizon.
    """
    _check_alike(a, b)
    lost_a, lost_b = a.horizon - a.estimate, b.horizon - b.estimate
    if min(lost_a, lost_b) <= 0:
        what = f"an arm has lost no time by {a.horizon:g}"
        raise EstimationError("rmtl_ratio", what, "report the difference, or a later horizon.")
    return _ratio(lost_a, a.std_error, lost_b, b.std_error, a.level)


def adjusted_restricted_means(
    durations: ArrayLike,
    observed: ArrayLike,
    group: ArrayLike,
    covariates: ArrayLike,
    horizon: float,
    measure: Measure = "difference",
    level: float = 0.95,
) -> tuple[AdjustedContrast, ...]:
    r"""Groups compared in restricted mean time, given covariates.

    A regression of min(T, horizon) on the groups and covariates: linear (difference), or
    log-linear of the time lived (ratio) or lost (lost_ratio). Those whose time is known weigh the
    inverse of the Kaplan-Meier estimate that they are not censored, made in each group.

    Args:
        durations: Follow-up of each person, shape (n,), any one unit, all > 0.
        observed: True where follow-up ended in the event, shape (n,).
        group: Label of each person's group, shape (n,); the first in order is the reference.
        covariates: Shape (n, p).
        horizon: Upper limit of the mean, > 0, in the unit of `durations`.
        measure: What is compared.
        level: Confidence level.

    Returns:
        A contrast for each other group. The robust variance takes the estimated weights into
        account.

    Raises:
        EstimationError: A group is not followed to `horizon`, the columns are dependent, nobody
            known remains where someone is censored, or the fit does not converge.

    Source:
        Tian, Zhao & Wei (2014) Biostatistics 15:222. Agrees with R survRM2 `rmst2(covariates=)`.
    """
    if measure not in get_args(Measure):
        what = f"measure `{measure}` is unknown"
        raise EstimationError("adjusted_rmst", what, "choose difference, ratio or lost_ratio.")
    time, event = follow_up(durations, observed)
    labels, member = codes(group, time.size, "group")
    if labels.size < 2:
        raise EstimationError("adjusted_rmst", "there is one group", "compare two or more.")
    for place in range(labels.size):
        check_horizon(time[member == place], event[member == place], horizon)
    if not (event & (time < horizon)).any():
        what = f"no event before {horizon:g}"
        raise EstimationError("adjusted_rmst", what, "set a later `horizon_days`.")
    x = _design(member, labels.size, design_matrix(covariates, time.size))
    order = np.lexsort((*x.T, event, time, member))
    y, known = np.minimum(time, horizon), event | (time >= horizon)
    return _contrasts(
        y[order], known[order], member[order], x[order], horizon, measure, level, labels
    )


def _contrasts(
    y: FloatArray,
    known: BoolArray,
    member: IntArray,
    x: FloatArray,
    horizon: float,
    measure: Measure,
    level: float,
    labels: np.ndarray,
) -> tuple[AdjustedContrast, ...]:
    groups = [np.flatnonzero(member == place) for place in range(labels.size)]
    weight = np.zeros(y.size)
    for rows in groups:
        weight[rows] = _inverse_of_censoring(y[rows], known[rows])
    response = horizon - y if measure == "lost_ratio" else y
    _check_known(response, x, weight, groups)
    coef = _fit(response, x, weight, is_log=measure != "difference")
    mean = x @ coef if measure == "difference" else np.exp(x @ coef)
    score = x * (weight * (response - mean))[:, None]
    influence = np.vstack([_with_censoring(score[r], y[r], known[r]) for r in groups])
    slope = x if measure == "difference" else x * mean[:, None]
    bread = np.linalg.inv(slope.T @ x)
    covariance = bread @ (influence.T @ influence) @ bread
    make = difference if measure == "difference" else ratio
    return tuple(
        AdjustedContrast(
            str(labels[k]), make(float(coef[k]), float(covariance[k, k] ** 0.5), level)
        )
        for k in range(1, labels.size)
    )


def _check_known(
    response: FloatArray, x: FloatArray, weight: FloatArray, groups: list[IntArray]
) -> None:
    """Those whose time is known must tell the columns apart, and each group has some time."""
    if np.linalg.matrix_rank(x[weight > 0]) < x.shape[1]:
        what = "too few persons have a known time for the groups and terms"
        raise EstimationError("adjusted_rmst", what, "use fewer terms, or an earlier horizon.")
    if min(float((weight[rows] * response[rows]).sum()) for rows in groups) <= 0:
        what = "a group has lost no time by the horizon"
        raise EstimationError("adjusted_rmst", what, "report the difference, or a later horizon.")


def _design(member: IntArray, groups: int, covariates: FloatArray) -> FloatArray:
    """A constant, a column for each group but the first, and the covariates."""
    dummies = [member == place for place in range(1, groups)]
    x = np.column_stack([np.ones(member.size), *dummies, covariates])
    if np.linalg.matrix_rank(x) < x.shape[1]:
        what = "the groups and terms are linearly dependent"
        raise EstimationError("adjusted_rmst", what, "remove the term that repeats others.")
    return x


def _inverse_of_censoring(y: FloatArray, known: BoolArray) -> FloatArray:
    """Weights of one group: 1 over the chance of being uncensored by y; 0 where censored."""
    _, index = distinct_times(y)
    exits = np.bincount(index)
    at_risk = exits[::-1].cumsum()[::-1]
    chance = np.cumprod(1 - np.bincount(index, ~known) / at_risk)[index]
    if (chance[known] <= 0).any():
        what = "somebody is censored when nobody else is left in a group"
        raise EstimationError("adjusted_rmst", what, "set an earlier `horizon_days`.")
    return np.asarray(np.divide(1.0, chance, out=np.zeros(y.size), where=known))


def _fit(y: FloatArray, x: FloatArray, weight: FloatArray, *, is_log: bool) -> FloatArray:
    """Weighted least squares, or the log-linear model by Newton's method."""
    if not is_log:
        return np.asarray(np.linalg.solve((x * weight[:, None]).T @ x, x.T @ (weight * y)))
    coef = np.zeros(x.shape[1])
    coef[0] = np.log(max(float((weight * y).sum() / weight.sum()), np.finfo(float).tiny))
    for _ in range(_MAX_STEPS):
        mean = np.exp(x @ coef)
        step = np.linalg.solve((x * (weight * mean)[:, None]).T @ x, x.T @ (weight * (y - mean)))
        coef = coef + np.clip(step, -5, 5)
        if np.abs(step).max() < 1e-10 * (1 + np.abs(coef).max()):
            return np.asarray(coef)
    what = f"the log-linear model does not converge in {_MAX_STEPS} steps"
    raise EstimationError("adjusted_rmst", what, "look for a group or level that loses no time.")


def _with_censoring(score: FloatArray, y: FloatArray, known: BoolArray) -> FloatArray:
    """Influence of each person of one group, the estimated weights taken into account."""
    distinct, index = distinct_times(y)
    exits = np.bincount(index)
    at_risk = exits[::-1].cumsum()[::-1][index]
    tally = np.stack([np.bincount(index, column, minlength=distinct.size) for column in score.T], 1)
    later = tally[::-1].cumsum(axis=0)[::-1][index]
    own = later * (~known / at_risk)[:, None]
    per_time = np.stack(
        [np.bincount(index, c, minlength=distinct.size) for c in (own / at_risk[:, None]).T], 1
    )
    return np.asarray(score + own - per_time.cumsum(axis=0)[index])


def _check_alike(a: RestrictedMean, b: RestrictedMean) -> None:
    if (a.horizon, a.level) != (b.horizon, b.level):
        what = f"horizons {a.horizon:g}, {b.horizon:g} or levels {a.level:g}, {b.level:g} differ"
        fix = "estimate both arms with one `horizon` and one `level`."
        raise EstimationError("restricted_mean_ratio", what, fix)


def _ratio(a: float, error_a: float, b: float, error_b: float, level: float) -> Contrast:
    return ratio(float(np.log(a / b)), float(np.hypot(error_a / a, error_b / b)), level)
