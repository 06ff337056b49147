"""Cox's model under fitted weights: a sandwich that counts the fit of the weights."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from tasks.stats import partial_likelihood as likelihood
from tasks.stats.cox_core import cox_follow_up, fit_partial_likelihood, sort_rows
from tasks.stats.estimated_weights import EstimatedWeights
from tasks.stats.inference import two_sided_p, z_quantile
from tasks.stats.inputs import FloatArray
from tasks.stats.partial_likelihood import Ties


@dataclass(frozen=True, slots=True, eq=False)
class WeightedCoxFit:
    """Log hazard ratios, shape (p,), with errors that count the fit of the weights, or do not."""

    coef: FloatArray
    std_error: FloatArray
    fixed_std_error: FloatArray
    ci_low: FloatArray
    ci_high: FloatArray
    z: FloatArray
    p_value: FloatArray
    level: float
    ties: Ties
    n: int
    events: int
    se_method: str = "m_estimation"


def cox_estimated_weights(
    durations: ArrayLike,
    observed: ArrayLike,
    covariates: ArrayLike,
    weights: EstimatedWeights,
    ties: Ties = "efron",
    level: float = 0.95,
    entry: ArrayLike | None = None,
    strata: ArrayLike | None = None,
) -> WeightedCoxFit:
    """Fit Cox's model with weights that a model made, and count that model in the variance.

    Args:
        durations: Follow-up of each row, shape (n,), all > 0.
        observed: True where follow-up ended in the event, shape (n,).
        covariates: Covariates, shape (n, p).
        weights: The weights, all > 0, and what their fit adds.
        ties: Approximation for tied deaths.
        level: Confidence level.
        entry: Time after which each row is at risk, shape (n,).
        strata: Label of the stratum of each row, shape (n,), each with its own baseline.

    Raises:
        EstimationError: As `cox`.

    Source:
        Lin & Wei (1989) and Binder (1992) for known weights; Shu et al. (2021) Stat Med 40 and
        Hajage et al. (2018) Biometrical Journal 60 for fitted ones.
    """
    data = cox_follow_up(durations, observed, covariates, weights.weight, strata, entry)
    order = sort_rows(data)
    sets = likelihood.sort_into_risk_sets(data, order, ties)
    found = fit_partial_likelihood(sets)
    at = likelihood.moments(sets, found.coef)
    bread = np.linalg.inv(likelihood.information(sets, at))
    sorted_weights = weights.only(order)
    residual = likelihood.score_residuals(sets, at)
    errors = [
        np.sqrt(((part @ bread) ** 2).sum(axis=0)) / sets.scale
        for part in (sorted_weights.corrected(residual), sorted_weights.fixed(residual))
    ]
    coef, margin = found.coef / sets.scale, z_quantile(level) * errors[0]
    z = coef / errors[0]
    return WeightedCoxFit(
        coef, errors[0], errors[1], coef - margin, coef + margin, z,
        np.array([two_sided_p(value) for value in z]), level, ties,
        data.time.size, int(data.event.sum()),
    )  # fmt: skip
