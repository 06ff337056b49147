"""Cox's model with the bootstrap of persons or clusters, on one sorted copy of the rows."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from tasks.core.errors import EstimationError
from tasks.stats import partial_likelihood as likelihood
from tasks.stats.bootstrap import Plan, Progress, Resampled, Statistic, jackknife, of_rows, resample
from tasks.stats.cox import CoxFit, cox
from tasks.stats.cox_core import cox_follow_up, point_at, sort_rows
from tasks.stats.inference import two_sided_p, z_quantile
from tasks.stats.inputs import FloatArray, IntArray, codes
from tasks.stats.partial_likelihood import FollowUp, Ties

Refit = Callable[[FloatArray], FloatArray]

_MAX_STEPS = 12
_SETTLED = 1e-5  # a Newton step this small leaves an error of its square


@dataclass(frozen=True, slots=True, eq=False)
class CoxBootstrap:
    """Log hazard ratios with standard errors from resamples; arrays have shape (p,)."""

    fit: CoxFit
    resampled: Resampled
    n_clusters: int | None
    n_units: int
    statistic: Statistic


def cox_bootstrap(
    durations: ArrayLike,
    observed: ArrayLike,
    covariates: ArrayLike,
    plan: Plan,
    ties: Ties = "efron",
    weights: ArrayLike | None = None,
    cluster: ArrayLike | None = None,
    strata: ArrayLike | None = None,
    level: float = 0.95,
    entry: ArrayLike | None = None,
    refit: Refit | None = None,
    progress: Progress | None = None,
) -> CoxBootstrap:
    """Fit Cox's model, with standard errors from multinomial weights of persons or clusters.

    Args:
        durations: As `cox`.
        observed: As `cox`.
        covariates: As `cox`, shape (n, p).
        plan: Replicates, seed, name and threads of the bootstrap.
        ties: As `cox`; within a resample, rows drawn twice are one row of weight two.
        weights: As `cox`; taken as known.
        cluster: Label of what is drawn; rows themselves without. Rows of one person, or of one
            site, must share it.
        strata: As `cox`.
        level: Confidence level of the normal interval.
        entry: As `cox`.
        refit: Makes the rows' weights anew in each resample, as from a propensity model: from how
            often each row is drawn, (n,), in the order of the rows given, to weights, (n,). Used
            for the estimate too, with ones; instead of `weights`.
        progress: As `resample`.

    Returns:
        The fit whose `std_error`, `covariance`, intervals and tests are the bootstrap's, with
        the coefficients of each resample.

    Raises:
        EstimationError: As `cox` and `resample`.

    Source:
        Efron & Tibshirani (1986) Statistical Science 1; as R `coxph(weights = m, subset = m > 0)`
        with multinomial m, a fit a resample.
    """
    if refit is not None:
        weights = refit(np.ones(np.size(durations)))
    fit = cox(durations, observed, covariates, ties, weights, False, None, strata, level, entry)
    data = cox_follow_up(durations, observed, covariates, weights, strata, entry)
    order = sort_rows(data)
    unit = None if cluster is None else _numbered(cluster, order)
    data = _sorted(data, order)
    n_units = data.time.size if unit is None else int(unit.max()) + 1

    def statistic(times: FloatArray) -> FloatArray:
        drawn = of_rows(times, unit)
        return np.stack([_one(data, column, ties, fit.coef, order, refit) for column in drawn.T])

    found = resample(statistic, n_units, plan, progress)
    clusters = None if unit is None else n_units
    return CoxBootstrap(_with_errors(fit, found), found, clusters, n_units, statistic)


def cox_jackknife(drawn: CoxBootstrap) -> FloatArray:
    """Coefficients without each unit in turn, shape (units, p), for BCa intervals."""
    return jackknife(drawn.statistic, drawn.n_units)


def _numbered(cluster: ArrayLike, order: IntArray) -> IntArray:
    """Number clusters by where they first stand among sorted rows: the same for any shuffle."""
    number = codes(cluster, order.size, "cluster")[1][order]
    _, first, place = np.unique(number, return_index=True, return_inverse=True)
    return np.asarray(np.argsort(np.argsort(first))[place], dtype=np.int64)


def _sorted(data: FollowUp, order: IntArray) -> FollowUp:
    entry = None if data.entry is None else data.entry[order]
    return FollowUp(
        data.time[order], data.event[order], np.ascontiguousarray(data.x[order]),
        data.weight[order], data.stratum[order], entry,
    )  # fmt: skip


def _one(
    data: FollowUp, times: FloatArray, ties: Ties, start: FloatArray, order: IntArray,
    refit: Refit | None,
) -> FloatArray:  # fmt: skip
    """Coefficients of one resample, with weights fitted anew where there is a model of them."""
    if refit is None:
        return _coefficients(data, times, ties, start)
    in_order_given = np.empty_like(times)
    in_order_given[order] = times
    try:
        weights = refit(in_order_given)[order]
    except EstimationError:
        return np.full(start.size, np.nan)
    return _coefficients(replace(data, weight=weights), times, ties, start)


def _coefficients(data: FollowUp, times: FloatArray, ties: Ties, start: FloatArray) -> FloatArray:
    """Coefficients of one resample, shape (p,); NaN where it has no maximum."""
    chosen = np.flatnonzero(times)
    failed = np.full(start.size, np.nan)
    if not data.event[chosen].any():
        return failed
    sets = likelihood.sort_into_risk_sets(_chosen(data, chosen, times), _all(chosen), ties)
    beta = start * sets.scale
    for _ in range(_MAX_STEPS):
        point = point_at(sets, beta)
        try:
            step = np.linalg.solve(point.information, point.score)
        except np.linalg.LinAlgError:
            return failed
        beta = beta + step
        size = abs(step).max()
        if not np.isfinite(size):
            return failed
        if size < _SETTLED:
            return np.asarray(beta / sets.scale)
    return failed


def _chosen(data: FollowUp, chosen: IntArray, times: FloatArray) -> FollowUp:
    stratum = np.unique(data.stratum[chosen], return_inverse=True)[1].astype(np.int64)
    entry = None if data.entry is None else data.entry[chosen]
    return FollowUp(
        data.time[chosen], data.event[chosen], data.x[chosen],
        data.weight[chosen] * times[chosen], stratum, entry,
    )  # fmt: skip


def _all(chosen: IntArray) -> IntArray:
    return np.arange(chosen.size, dtype=np.int64)


def _with_errors(fit: CoxFit, found: Resampled) -> CoxFit:
    covariance = np.atleast_2d(np.cov(found.values, rowvar=False))
    error = np.sqrt(np.diag(covariance))
    margin, z = z_quantile(fit.level) * error, fit.coef / error
    return replace(
        fit,
        std_error=error, covariance=covariance, se_method="bootstrap",
        ci_low=fit.coef - margin, ci_high=fit.coef + margin, z=z,
        p_value=np.array([two_sided_p(value) for value in z]),
        wald_statistic=float(fit.coef @ np.linalg.solve(covariance, fit.coef)),
    )  # fmt: skip
