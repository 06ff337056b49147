"""Fine and Gray's model of the subdistribution hazard, as R fits it in two ways.

Whoever has a competing event stays at risk, with a weight that falls as the others are censored:
G(t-) / G(T-), G the Kaplan-Meier curve of censoring and T the time of the competing event. The
weights are a product of a part of the person and a part of the moment, so that the risk sets are
running sums and no row is ever multiplied: one evaluation costs O(n p^2).
"""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from tasks.core.errors import EstimationError
from tasks.stats import partial_likelihood as likelihood
from tasks.stats.cox_core import (
    clusters_of,
    cox_follow_up,
    fit_partial_likelihood,
    sandwich,
)
from tasks.stats.inference import two_sided_p, z_quantile
from tasks.stats.inputs import FloatArray, IntArray, row_order, same_shape
from tasks.stats.newton import Maximum
from tasks.stats.partial_likelihood import FollowUp, Moments, RiskSets, StillAtRisk, Ties

Variant = Literal["crr", "finegray_cluster"]

_TIES: dict[Variant, Ties] = {"crr": "breslow", "finegray_cluster": "efron"}


@dataclass(frozen=True, slots=True, eq=False)
class FineGrayFit:
    """Log subdistribution hazard ratios of p covariates; arrays (p,), the covariance (p, p)."""

    coef: FloatArray
    std_error: FloatArray
    ci_low: FloatArray
    ci_high: FloatArray
    z: FloatArray
    p_value: FloatArray
    covariance: FloatArray
    wald_statistic: float
    log_likelihood: float
    log_likelihood_null: float
    variant: Variant
    level: float
    n: int
    events: int
    competing: int
    n_clusters: int | None


@dataclass(frozen=True, slots=True, eq=False)
class _Sorted:
    """Rows in the order of the risk sets, each of shape (n,); `left` is G just before its time."""

    time: FloatArray
    cause: IntArray
    stratum: IntArray
    left: FloatArray


def fine_gray(
    durations: ArrayLike,
    cause: ArrayLike,
    covariates: ArrayLike,
    variant: Variant,
    weights: ArrayLike | None = None,
    cluster: ArrayLike | None = None,
    strata: ArrayLike | None = None,
    level: float = 0.95,
) -> FineGrayFit:
    """Fit the proportional subdistribution hazards model of cause 1.

    Args:
        durations: Follow-up of each person, shape (n,), any one unit, all > 0.
        cause: How follow-up ended, shape (n,): 0 censored, 1 the event, other a competing one.
        covariates: Covariates, shape (n, p), no missing values.
        variant: `crr`: Breslow's ties, and the variance of Fine and Gray with the part of the
            estimated censoring curve. `finegray_cluster`: a weighted Cox model with Efron's ties
            and the robust variance of persons or clusters, the censoring curve taken as known.
        weights: Case weights, shape (n,), all > 0; `finegray_cluster` only.
        cluster: Label of the cluster of each person, shape (n,); `finegray_cluster` only.
        strata: Label of the stratum of each person, with its own baseline and its own
            censoring curve, shape (n,); `finegray_cluster` only.
        level: Confidence level.

    Returns:
        The fit. Rows in another order give the same bits.

    Raises:
        EstimationError: No events, a constant or collinear covariate, a monotone likelihood,
            or an input that is not usable or that the variant does not take.

    Source:
        Fine & Gray (1999) JASA 94; Geskus (2011) Biometrics 67. Agrees with R cmprsk `crr`, and
        with R survival `finegray` and `coxph(weights=, cluster=)`.
    """
    _check_variant(variant, weights=weights, cluster=cluster, strata=strata)
    kind = _causes(cause, durations)
    data = cox_follow_up(durations, kind == 1, covariates, weights, strata)
    order = row_order((data.stratum, data.time, data.event, kind, data.weight), data.x)
    rows = _sort(data, kind, order, variant)
    sets = likelihood.sort_into_risk_sets(data, order, _TIES[variant])
    sets = replace(sets, still=_still_at_risk(sets, rows))
    found = fit_partial_likelihood(sets)
    at = likelihood.moments(sets, found.coef)
    members = clusters_of(cluster, order, data.x.shape[1])
    influence = sets.weight[:, None] * likelihood.score_residuals(sets, at)
    if variant == "crr":
        influence += _of_censoring(sets, at, rows)
    bread = np.asarray(np.linalg.inv(likelihood.information(sets, at)))
    covariance = sandwich(influence, members, bread)
    competing = int((kind > 1).sum())
    return _report(sets, found, covariance, variant, level, competing, members)


def _check_variant(variant: Variant, **given: ArrayLike | None) -> None:
    if variant not in _TIES:
        fix = f"choose one of {', '.join(_TIES)}."
        raise EstimationError("fine_gray", f"variant `{variant}` is unknown", fix)
    refused = [name for name, value in given.items() if value is not None]
    if variant == "crr" and refused:
        what = f"variant crr takes no {' and no '.join(refused)}"
        raise EstimationError("fine_gray", what, "use variant finegray_cluster.")


def _causes(cause: ArrayLike, durations: ArrayLike) -> IntArray:
    given = np.asarray(cause)
    same_shape(given, np.shape(durations), "cause")
    if bad := int((~np.isin(given, (0, 1)) & ~(given > 1)).sum()):
        what = f"{bad} of {given.size} values are no cause"
        raise EstimationError("cause", what, "code 0 censored, 1 the event, 2 a competing event.")
    return np.asarray(np.minimum(given, 2), dtype=np.int64)


def _sort(data: FollowUp, kind: IntArray, order: IntArray, variant: Variant) -> _Sorted:
    time, cause, stratum = data.time[order], kind[order], data.stratum[order]
    left = np.ones(time.size)
    for rows in np.split(np.arange(time.size), np.flatnonzero(np.diff(stratum)) + 1):
        left[rows] = _censoring_left(time[rows], cause[rows], variant)
    return _Sorted(time, cause, stratum, left)


def _censoring_left(time: FloatArray, cause: IntArray, variant: Variant) -> FloatArray:
    """Kaplan-Meier curve of censoring just before each of the sorted times, shape (n,).

    Who has an event at a time is at risk of censoring then for `crr`, and is not for `finegray`.
    """
    _, first, place = np.unique(time, return_index=True, return_inverse=True)
    censored = np.bincount(place, cause == 0)
    at_risk = (time.size - first).astype(np.float64)
    if variant == "finegray_cluster":
        at_risk -= np.bincount(place, cause != 0)
    falls = censored / np.where(censored > 0, at_risk, 1.0)
    return np.asarray(np.append(1.0, np.cumprod(1 - falls))[place])


def _still_at_risk(sets: RiskSets, rows: _Sorted) -> StillAtRisk:
    first_row = sets.edges[sets.first]
    of_moment = rows.stratum[first_row]
    end = np.searchsorted(of_moment, rows.stratum, side="right")
    row = np.flatnonzero((rows.cause == 2) & (sets.passed < end))
    start = np.searchsorted(of_moment, of_moment)
    level = rows.left[first_row]
    return StillAtRisk(row, 1 / rows.left[row], sets.passed[row], end[row], level, start)


def _of_censoring(sets: RiskSets, at: Moments, rows: _Sorted) -> FloatArray:
    """What each row adds to the score through the estimated censoring curve, shape (n, p)."""
    begins = np.append(True, np.diff(rows.time) != 0)
    first, place = np.flatnonzero(begins), begins.cumsum() - 1
    at_risk = rows.time.size - first
    censored = rows.cause == 0
    slope = _slope(sets, at, rows, first) / at_risk[:, None]
    falls = np.cumsum(slope * (np.bincount(place, censored) / at_risk)[:, None], axis=0)
    return np.asarray(censored[:, None] * slope[place] - falls[place])


def _slope(sets: RiskSets, at: Moments, rows: _Sorted, first: IntArray) -> FloatArray:
    """Derivative of the score by the hazard of censoring at each distinct time, shape (u, p)."""
    p, still = sets.x.shape[1], sets.still
    share = np.where(rows.cause == 2, at.risk / rows.left, 0.0)
    before = np.zeros((rows.time.size + 1, p + 1))
    parts = share[:, None] * np.column_stack([np.ones_like(share), sets.x])
    np.cumsum(parts, axis=0, out=before[1:])
    hazard = likelihood.term_sums(sets, at)[0] * (1.0 if still is None else still.level)
    mean = at.at_risk_x / at.denominator[:, None]
    later = np.zeros((hazard.size + 1, p + 1))
    parts = hazard[:, None] * np.column_stack([np.ones_like(hazard), mean])
    later[:-1] = parts[::-1].cumsum(axis=0)[::-1]
    from_here = later[np.searchsorted(sets.time, rows.time[first])]
    past = before[first]
    return np.asarray(past[:, 1:] * from_here[:, :1] - past[:, :1] * from_here[:, 1:])


def _report(
    sets: RiskSets,
    found: Maximum,
    covariance: FloatArray,
    variant: Variant,
    level: float,
    competing: int,
    members: IntArray | None,
) -> FineGrayFit:
    coef = found.coef / sets.scale
    std_error = np.sqrt(np.diag(covariance)) / sets.scale
    margin, z = z_quantile(level) * std_error, coef / std_error
    return FineGrayFit(
        coef, std_error, coef - margin, coef + margin, z,
        np.array([two_sided_p(value) for value in z]),
        covariance / np.outer(sets.scale, sets.scale),
        float(found.coef @ np.linalg.solve(covariance, found.coef)),
        found.log_likelihood, found.start.log_likelihood, variant, level,
        sets.weight.size, int(sets.event.sum()), competing,
        None if members is None else int(members.max()) + 1,
    )  # fmt: skip
