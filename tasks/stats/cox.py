"""Cox's proportional hazards model: fit, robust variance, profile likelihood.

The test of proportional hazards and the concordance stand in their own modules and are
offered here too.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize

from tasks.core.errors import EstimationError
from tasks.stats import partial_likelihood as likelihood
from tasks.stats.concordance import Concordance, concordance
from tasks.stats.cox_core import (
    clusters_of,
    cox_follow_up,
    fit_partial_likelihood,
    point_at,
    sandwich,
    sort_rows,
)
from tasks.stats.inference import two_sided_p, z_quantile
from tasks.stats.inputs import FloatArray, IntArray, linear_predictor
from tasks.stats.newton import Maximum
from tasks.stats.partial_likelihood import RiskSets, Ties
from tasks.stats.proportional_hazards import ProportionalHazardsTest, proportional_hazards_test

__all__ = [
    "Concordance",
    "CoxFit",
    "ProfileInterval",
    "ProportionalHazardsTest",
    "Ties",
    "concordance",
    "cox",
    "linear_predictor",
    "profile_likelihood_interval",
    "proportional_hazards_test",
]

_MAX_DOUBLINGS = 20

_NO_VARIANCE = 1e-20
"""Robust variance below this share of the model's is none."""


@dataclass(frozen=True, slots=True, eq=False)
class CoxFit:
    """Log hazard ratios of p covariates; arrays have shape (p,), matrices (p, p).

    `std_error`, `covariance` and the intervals follow `se_method`; `model_std_error` is
    always from the information. Statistics are chi-square on p degrees of freedom.
    """

    coef: FloatArray
    std_error: FloatArray
    ci_low: FloatArray
    ci_high: FloatArray
    z: FloatArray
    p_value: FloatArray
    covariance: FloatArray
    model_std_error: FloatArray
    se_method: Literal["model", "robust", "bootstrap"]
    log_likelihood: float
    log_likelihood_null: float
    score_statistic: float
    wald_statistic: float
    likelihood_ratio: float
    level: float
    ties: Ties
    n: int
    events: int
    n_clusters: int | None
    iterations: int
    converged: bool

    @property
    def hazard_ratio(self) -> FloatArray:
        """Exponential of the coefficients, shape (p,)."""
        return np.asarray(np.exp(self.coef))


@dataclass(frozen=True, slots=True)
class ProfileInterval:
    """Profile-likelihood interval of one log hazard ratio.

    `implied_std_error` is (ci_high - ci_low) / (2 z): the standard error of the normal curve
    as wide as this interval, for pooling; not a standard error of its own.
    """

    estimate: float
    ci_low: float
    ci_high: float
    implied_std_error: float
    level: float
    index: int


def cox(
    durations: ArrayLike,
    observed: ArrayLike,
    covariates: ArrayLike,
    ties: Ties = "efron",
    weights: ArrayLike | None = None,
    robust: bool = False,
    cluster: ArrayLike | None = None,
    strata: ArrayLike | None = None,
    level: float = 0.95,
    entry: ArrayLike | None = None,
) -> CoxFit:
    """Fit Cox's proportional hazards model by Newton's method.

    Args:
        durations: Follow-up of each row, shape (n,), any one unit, all > 0.
        observed: True where follow-up ended in the event, shape (n,).
        covariates: Covariates, shape (n, p), no missing values.
        ties: Approximation for tied deaths, or `exact`: those who die at one time are one
            choice among those at risk, without weights and robust variance.
        weights: Case weights, shape (n,), all > 0. With inverse-probability weights ask for
            `robust` too: the model's standard errors are then wrong.
        robust: Whether standard errors come from the rows' (or clusters') influence.
        cluster: Label of the cluster of each row, shape (n,); makes the fit robust.
        strata: Label of the stratum of each row, shape (n,), each with its own baseline.
        level: Confidence level.
        entry: Time after which each row is at risk, shape (n,), before its duration; several
            rows of a person, one an interval, make covariates that change with time.

    Returns:
        The fit. Rows in another order give the same bits.

    Raises:
        EstimationError: No events, a constant or collinear covariate, a monotone likelihood,
            no convergence, or an input that is not usable.

    Source:
        Cox (1972); Efron (1977); Gail, Lubin & Rubinstein (1981) for exact ties; Lin & Wei
        (1989) for the robust variance. Agrees with R survival `coxph(ties=, weights=, robust=,
        cluster=)`, `strata()` and, with entry, `Surv(start, stop, event)`.
    """
    _check_exact(ties, robust, weights=weights, cluster=cluster)
    data = cox_follow_up(durations, observed, covariates, weights, strata, entry)
    order = sort_rows(data)
    sets = likelihood.sort_into_risk_sets(data, order, ties)
    found = fit_partial_likelihood(sets)
    model = _model_covariance(sets, found)
    members = clusters_of(cluster, order, data.x.shape[1])
    used = _robust(sets, found, model, members) if robust or cluster is not None else model
    return CoxFit(
        **_report(sets, found, model, used, level),
        se_method="model" if used is model else "robust",
        level=level, ties=ties, n=data.time.size, events=int(data.event.sum()),
        n_clusters=None if members is None else int(members.max()) + 1,
        iterations=found.iterations, converged=True,
    )  # fmt: skip


def profile_likelihood_interval(
    durations: ArrayLike,
    observed: ArrayLike,
    covariates: ArrayLike,
    index: int,
    ties: Ties = "efron",
    weights: ArrayLike | None = None,
    strata: ArrayLike | None = None,
    level: float = 0.95,
    entry: ArrayLike | None = None,
) -> ProfileInterval:
    """Interval of one log hazard ratio where the profile likelihood falls by half a chi-square.

    Args:
        durations: As `cox`.
        observed: As `cox`.
        covariates: As `cox`, shape (n, p).
        index: Column of the covariate, from 0.
        ties: As `cox`.
        weights: As `cox`; the likelihood of weighted data is not robust.
        strata: As `cox`.
        level: Confidence level.
        entry: As `cox`.

    Returns:
        Estimate and limits of the log hazard ratio.

    Raises:
        EstimationError: As `cox`, or `index` is not a column, or a limit is infinite.

    Source:
        Venzon & Moolgavkar (1988) Applied Statistics 37.
    """
    data = cox_follow_up(durations, observed, covariates, weights, strata, entry)
    if not 0 <= index < data.x.shape[1]:
        raise EstimationError("index", f"{index} is not a column of covariates", "count from 0.")
    order = sort_rows(data)
    sets = likelihood.sort_into_risk_sets(data, order, ties)
    found = fit_partial_likelihood(sets)
    std_error = float(np.sqrt(_model_covariance(sets, found)[index, index]))
    fall = _profile_fall(sets, found, index, z_quantile(level))
    centre, scale = float(found.coef[index]), float(sets.scale[index])
    low, high = (_root(fall, centre, sign * std_error) / scale for sign in (-1, 1))
    implied = (high - low) / (2 * z_quantile(level))
    return ProfileInterval(centre / scale, low, high, implied, level, index)


def _model_covariance(sets: RiskSets, found: Maximum) -> FloatArray:
    information = point_at(sets, found.coef).information
    return np.asarray(np.linalg.inv(information), dtype=np.float64)


def _check_exact(ties: Ties, robust: bool, **given: ArrayLike | None) -> None:
    """Refuse what the exact likelihood has no form of."""
    refused = [name for name, value in given.items() if value is not None]
    refused += ["robust standard errors"] if robust else []
    if ties == "exact" and refused:
        what = f"the exact likelihood takes no {' and no '.join(refused)}"
        raise EstimationError("ties: exact", what, "use ties: efron.")


def _robust(
    sets: RiskSets, found: Maximum, model: FloatArray, members: IntArray | None
) -> FloatArray:
    """Sum over rows, or clusters, of squared weighted influence, shape (p, p)."""
    at = likelihood.moments(sets, found.coef)
    influence = sets.weight[:, None] * likelihood.score_residuals(sets, at)
    return sandwich(influence, members, model)


def _report(
    sets: RiskSets, found: Maximum, model: FloatArray, used: FloatArray, level: float
) -> dict[str, Any]:
    """The numbers of a fit, back in the units of the covariates."""
    if not (np.diag(used) > _NO_VARIANCE * np.diag(model)).all():
        what = "the robust variance is 0: all events fall on one time, so that none tells the rest"
        raise EstimationError("cox", what, "use model-based standard errors, or finer times.")
    unit = np.outer(sets.scale, sets.scale)
    coef, std_error = found.coef / sets.scale, np.sqrt(np.diag(used)) / sets.scale
    margin, z = z_quantile(level) * std_error, coef / std_error
    start = found.start
    return {
        "coef": coef,
        "std_error": std_error,
        "ci_low": coef - margin,
        "ci_high": coef + margin,
        "z": z,
        "p_value": np.array([two_sided_p(value) for value in z]),
        "covariance": used / unit,
        "model_std_error": np.sqrt(np.diag(model)) / sets.scale,
        "log_likelihood": found.log_likelihood,
        "log_likelihood_null": start.log_likelihood,
        "score_statistic": float(start.score @ np.linalg.solve(start.information, start.score)),
        "wald_statistic": float(found.coef @ np.linalg.solve(used, found.coef)),
        "likelihood_ratio": 2 * (found.log_likelihood - start.log_likelihood),
    }


def _profile_fall(sets: RiskSets, found: Maximum, index: int, z: float) -> Callable[[float], float]:
    """Twice the fall of the profile likelihood at a value of one coefficient, less z squared."""
    others = np.delete(sets.x, index, axis=1)
    start = np.delete(found.coef, index)
    top = found.log_likelihood

    def fall(value: float) -> float:
        offset = value * sets.x[:, index]
        best = fit_partial_likelihood(replace(sets, x=others, offset=offset), start)
        return 2 * (top - best.log_likelihood) - z**2

    return fall


def _root(fall: Callable[[float], float], centre: float, step: float) -> float:
    """Where `fall` crosses zero, going from `centre` in the direction of `step`."""
    for _ in range(_MAX_DOUBLINGS):
        step *= 2
        if fall(centre + step) > 0:
            return float(optimize.brentq(fall, centre, centre + step, xtol=1e-11, rtol=1e-12))
    raise EstimationError(
        "profile_likelihood_interval",
        "the likelihood does not fall on one side of the estimate",
        "report the estimate without this interval.",
    )
