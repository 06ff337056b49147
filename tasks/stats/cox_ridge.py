"""Cox's model with a ridge penalty, as R's `coxph(Surv() ~ ridge(x, theta = ))`."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from tasks.core.errors import EstimationError
from tasks.stats import partial_likelihood as likelihood
from tasks.stats.cox_core import cox_follow_up, point_at, sort_rows
from tasks.stats.inference import two_sided_p, z_quantile
from tasks.stats.inputs import FloatArray
from tasks.stats.newton import Bounds, Point, maximise
from tasks.stats.partial_likelihood import RiskSets, Ties

_TOLERANCE = 1e-12


@dataclass(frozen=True, slots=True, eq=False)
class RidgeFit:
    """Penalised log hazard ratios of p covariates; arrays have shape (p,).

    `std_error` is from the inverse of the penalised information (R's `se(coef)`), and so are
    the intervals; `sandwich_std_error` has the plain information between two of its inverses
    (R's `se2`). `effective_df` is the trace of the plain information times that inverse.
    """

    coef: FloatArray
    std_error: FloatArray
    sandwich_std_error: FloatArray
    ci_low: FloatArray
    ci_high: FloatArray
    z: FloatArray
    p_value: FloatArray
    effective_df: float
    log_likelihood: float
    log_likelihood_null: float
    penalty: float
    theta: float
    level: float
    ties: Ties
    n: int
    events: int

    @property
    def likelihood_ratio(self) -> float:
        """Twice the gain of the likelihood itself, the penalty aside."""
        return 2 * (self.log_likelihood - self.log_likelihood_null)


def cox_ridge(
    durations: ArrayLike,
    observed: ArrayLike,
    covariates: ArrayLike,
    theta: float,
    ties: Ties = "efron",
    strata: ArrayLike | None = None,
    entry: ArrayLike | None = None,
    level: float = 0.95,
) -> RidgeFit:
    r"""Fit Cox's model under a penalty that shrinks every coefficient.

    .. math:: \ell(\beta) - \frac{\theta}{2} \sum_j \mathrm{var}(x_j) \beta_j^2

    Args:
        durations: As `cox`.
        observed: As `cox`.
        covariates: As `cox`, shape (n, p); columns may be collinear.
        theta: How strong the penalty is, > 0; it is per standard deviation of a covariate.
        ties: As `cox`, without `exact`.
        strata: As `cox`.
        entry: As `cox`.
        level: Confidence level.

    Returns:
        The fit. Intervals are around the shrunken, and so biased, coefficients.

    Raises:
        EstimationError: As `cox`, or `theta` is not above 0, or ties are exact.

    Source:
        Gray (1992) JASA 87; Therneau & Grambsch (2000), section 5.5. `ridge(scale = TRUE)`.
    """
    if not (theta > 0 and np.isfinite(theta)) or ties == "exact":
        what = "exact ties have no penalty" if ties == "exact" else "theta is not above 0"
        raise EstimationError("penalty", what, "give theta above 0, and ties: efron or breslow.")
    data = cox_follow_up(durations, observed, covariates, None, strata, entry)
    sets = likelihood.sort_into_risk_sets(data, sort_rows(data), ties)
    ridge = theta * (data.x / sets.scale).var(axis=0, ddof=1)
    found = maximise(
        lambda beta: _penalised(point_at(sets, beta), beta, ridge),
        lambda beta: likelihood.log_likelihood(sets, beta) - _penalty(beta, ridge),
        np.zeros(ridge.size),
        Bounds("cox", float(sets.term_weight.sum()), np.ptp(sets.x, axis=0), _TOLERANCE),
    )
    return _report(sets, found.coef, ridge, theta, ties, level)


def _penalty(beta: FloatArray, ridge: FloatArray) -> float:
    return float(ridge @ beta**2) / 2


def _penalised(point: Point, beta: FloatArray, ridge: FloatArray) -> Point:
    return Point(
        point.log_likelihood - _penalty(beta, ridge),
        point.score - ridge * beta,
        point.information + np.diag(ridge),
    )


def _report(
    sets: RiskSets, beta: FloatArray, ridge: FloatArray, theta: float, ties: Ties, level: float
) -> RidgeFit:
    plain = point_at(sets, beta)
    inverse = np.linalg.inv(plain.information + np.diag(ridge))
    sandwich = inverse @ plain.information @ inverse
    coef, error = beta / sets.scale, np.sqrt(np.diag(inverse)) / sets.scale
    margin, z = z_quantile(level) * error, coef / error
    return RidgeFit(
        coef, error, np.sqrt(np.diag(sandwich)) / sets.scale, coef - margin, coef + margin, z,
        np.array([two_sided_p(value) for value in z]),
        float(np.trace(plain.information @ inverse)), plain.log_likelihood,
        likelihood.log_likelihood(sets, np.zeros_like(beta)), _penalty(beta, ridge),
        theta, level, ties, sets.weight.size, int(sets.event.sum()),
    )  # fmt: skip
