"""What adjusted arms of cohorts need beyond the estimates of plain ones."""

import math
from dataclasses import replace

import numpy as np

from tasks.analysis.people import IntArray
from tasks.analysis.populations import Population
from tasks.stats.partial_likelihood import Ties
from tasks.stats.stratified_effects import strata_weights
from tasks.stats.weighted_cox import cox_estimated_weights

Row = dict[str, object]
_WITH_STRATA = ("cox", "log_rank")


def by_strata(method: str, people: Population) -> Population:
    """Return people in strata of the score with weights, where a method has no strata."""
    if people.stratum is None or method in _WITH_STRATA:
        return people
    weights = strata_weights(people.stratum, people.is_target)
    return replace(people, weights=weights)


def strata_of_test(people: Population) -> IntArray | None:
    """Return the strata of a test without weights: of the score, or the sets of several."""
    if people.stratum is not None or people.weights is None:
        return people.stratum
    return people.cluster


def fitted_weights(people: Population, wald: Row, ties: Ties) -> list[Row]:
    """Return the hazard ratio again, with an error that counts the fit of the weights."""
    if people.estimated is None:
        return []
    fit = cox_estimated_weights(
        people.follow_up_days,
        people.has_outcome,
        people.is_target.astype(np.float64),
        people.estimated,
        ties,
    )
    return [
        wald
        | {
            "std_error": float(fit.std_error[0]),
            "se_method": fit.se_method,
            "ci_low": math.exp(fit.ci_low[0]),
            "ci_high": math.exp(fit.ci_high[0]),
            "statistic": float(fit.z[0]),
            "p_value": float(fit.p_value[0]),
        }
    ]
