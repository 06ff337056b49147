"""Risks by a day and restricted means of two arms under fitted weights, and their influence.

An estimate is a smooth function of the weights of the rows. Its influence is w_i r_i, r_i being
the derivative by the weight of row i, and what the fit of the weights adds: the model of the
weights is one for both arms, so that the estimates of the arms are no longer independent.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from tasks.stats.competing_risks import cumulative_incidence, incidence_at, incidence_residuals
from tasks.stats.estimated_weights import EstimatedWeights
from tasks.stats.inputs import BoolArray, FloatArray, IntArray
from tasks.stats.survival import restricted_mean, restricted_mean_residuals
from tasks.stats.weighted_effects import ArmMeans

METHOD = "m_estimation"


@dataclass(frozen=True, slots=True, eq=False)
class WeightedArms:
    """Follow-up of two arms under fitted weights; arrays have shape (n,).

    `cause` is 0 where follow-up is censored, 1 for the event, 2 for one that competes; `entry`
    is the time after which each row is at risk, None where all are from 0 on.
    """

    time: FloatArray
    cause: IntArray
    treated: BoolArray
    weights: EstimatedWeights
    entry: FloatArray | None = None

    def rows_of(self, treated: bool) -> IntArray:
        """Rows of one arm."""
        return np.flatnonzero(self.treated == treated)

    def entry_of(self, rows: IntArray) -> FloatArray | None:
        """When these rows enter."""
        return None if self.entry is None else self.entry[rows]


def influence_on_incidence(arms: WeightedArms, treated: bool, days: ArrayLike) -> FloatArray:
    """Influence of each row of both arms on the cumulative incidence in one, shape (n, m).

    Without events that compete it is, with the other sign, the influence on survival.

    Args:
        arms: The arms.
        treated: Of which arm.
        days: Times in the unit of follow-up, shape (m,).

    Raises:
        EstimationError: As `cumulative_incidence`.

    Source:
        Lunceford & Davidian (2004) Stat Med 23 for stacked equations; Xie & Liu (2005) Stat Med
        24 for the weighted curve.
    """
    mine = arms.rows_of(treated)
    weight, entry = arms.weights.weight[mine], arms.entry_of(mine)
    made = np.zeros((arms.time.size, np.size(days)))
    made[mine] = incidence_residuals(arms.time[mine], arms.cause[mine], days, weight, entry)
    return arms.weights.corrected(made)


def influence_on_mean(arms: WeightedArms, treated: bool, horizon: float) -> FloatArray:
    """Influence of each row of both arms on the restricted mean of one, shape (n, 1).

    Events that compete are taken as censoring.

    Raises:
        EstimationError: As `restricted_mean`.

    Source:
        Conner et al. (2019) Stat Med 38 for the weighted mean, with the score's equations stacked.
    """
    mine = arms.rows_of(treated)
    weight, entry = arms.weights.weight[mine], arms.entry_of(mine)
    made = np.zeros((arms.time.size, 1))
    observed = arms.cause[mine] == 1
    made[mine, 0] = restricted_mean_residuals(arms.time[mine], observed, horizon, weight, entry)
    return arms.weights.corrected(made)


def weighted_incidences(arms: WeightedArms, day: float) -> ArmMeans:
    """Cumulative incidence of both arms by a day, with errors that count the fit of the weights.

    Raises:
        EstimationError: As `cumulative_incidence`, or an arm is not followed to that day.
    """
    values = []
    for treated in (True, False):
        mine = arms.rows_of(treated)
        curve = cumulative_incidence(
            arms.time[mine], arms.cause[mine], weights=arms.weights.weight[mine],
            entry=arms.entry_of(mine),
        )  # fmt: skip
        values.append(float(incidence_at(curve, day).estimate[0]))
    parts = [influence_on_incidence(arms, treated, [day]) for treated in (True, False)]
    return ArmMeans(values[0], values[1], np.hstack(parts), METHOD)


def weighted_restricted_means(arms: WeightedArms, horizon: float) -> ArmMeans:
    """Restricted mean of both arms, with errors that count the fit of the weights.

    Raises:
        EstimationError: As `restricted_mean`.
    """
    values = []
    for treated in (True, False):
        mine = arms.rows_of(treated)
        found = restricted_mean(
            arms.time[mine], arms.cause[mine] == 1, horizon, arms.weights.weight[mine],
            entry=arms.entry_of(mine),
        )  # fmt: skip
        values.append(found.estimate)
    parts = [influence_on_mean(arms, treated, horizon) for treated in (True, False)]
    return ArmMeans(values[0], values[1], np.hstack(parts), METHOD)
