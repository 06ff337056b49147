"""A fitted hazard, and what each row adds to whatever is made of it.

The hazard is Cox's, or without covariates that of the Kaplan-Meier curve. An estimate built on
it depends on its increments and on its coefficients; with the gradient of the estimate in both,
the influence of every row follows by stacked estimating equations, also where the model is wrong.
"""

from dataclasses import dataclass

import numpy as np

from tasks.core.errors import EstimationError
from tasks.stats import partial_likelihood as likelihood
from tasks.stats.cox_core import cox_follow_up, fit_partial_likelihood, sort_rows
from tasks.stats.inputs import BoolArray, FloatArray, IntArray, linear_predictor
from tasks.stats.partial_likelihood import Moments, RiskSets, Ties

_FARTHEST = 100.0


@dataclass(frozen=True, slots=True, eq=False)
class Hazard:
    """A hazard fitted to some rows of n: increments at its k times, and how rows move it.

    Arrays of times have shape (k,). `level` is minus the logarithm of baseline survival, `step`
    the baseline hazard, `slope` the derivative of the level's increments in the steps.
    """

    time: FloatArray
    step: FloatArray
    level: FloatArray
    slope: FloatArray
    coef: FloatArray
    n: int
    _members: IntArray
    _sets: RiskSets
    _at: Moments
    _sums: FloatArray
    _influence: FloatArray
    _centre: FloatArray
    _highest: float

    @property
    def has_covariates(self) -> bool:
        """Whether it is Cox's model, not a curve."""
        return self.coef.size > 0

    def scaled(self, x: FloatArray) -> FloatArray:
        """Covariates in the units of the coefficients' influence, shape (m, p)."""
        if not self.has_covariates:
            return np.zeros((x.shape[0], 0))
        return np.asarray((x - self._centre) / self._sets.scale)

    def relative(self, x: FloatArray) -> FloatArray:
        """Hazard of covariates against the baseline, shape (m,).

        Raises:
            EstimationError: Covariates lie too far from those of the rows.
        """
        if not self.has_covariates:
            return np.ones(x.shape[0])
        distance = linear_predictor(self.coef, x) - self._highest
        if not distance.max() <= _FARTHEST:
            what = "the covariates lie too far from those of the rows"
            raise EstimationError("model of the hazard", what, "drop terms that decide the arm.")
        return np.asarray(np.exp(distance))

    def influence(self, of_steps: FloatArray, of_coef: FloatArray) -> FloatArray:
        """What each of the n rows adds to an estimate by way of the fit, shape (n,).

        Args:
            of_steps: Gradient of the estimate in the steps, shape (k,).
            of_coef: Gradient in the coefficients of the scaled covariates, shape (p,).
        """
        sets, sums = self._sets, self._sums
        died = np.flatnonzero(sets.event)
        deaths = np.bincount(sets.death, minlength=sets.time.size)
        added = -likelihood.row_hazards(sets, self._at, of_steps * sums[2], of_steps * sums[3])
        added[died] += (of_steps * sums[0] / deaths)[sets.death]
        if self.has_covariates:
            of_fit = sums[2, :, None] * self._at.at_risk_x - sums[3, :, None] * self._at.dying_x
            added += self._influence @ (of_coef - of_steps @ of_fit)
        result = np.zeros(self.n)
        result[self._members] = added
        return result


def fit_hazard(
    time: FloatArray, event: BoolArray, x: FloatArray | None, members: BoolArray, ties: Ties
) -> Hazard:
    """Fit a hazard to some of the rows.

    Args:
        time: Follow-up of all rows, shape (n,).
        event: True where it ended in the event, shape (n,).
        x: Covariates, shape (n, p); None for the curve alone.
        members: Rows of the fit, shape (n,).
        ties: Ties of Cox's model; those of a curve are all at once.

    Raises:
        EstimationError: Among the members there is no event, or as `cox`.
    """
    rows = np.flatnonzero(members)
    given = np.zeros((rows.size, 1)) if x is None else x[rows]
    data = cox_follow_up(time[rows], event[rows], given, None, None)
    order = sort_rows(data)
    sets = likelihood.sort_into_risk_sets(data, order, ties if x is not None else "breslow")
    if x is None:
        beta, coef = np.zeros(1), np.zeros(0)
    else:
        beta = fit_partial_likelihood(sets).coef
        coef = beta / sets.scale
    at = likelihood.moments(sets, beta)
    sums = likelihood.term_sums(sets, at)
    step = sums[0]
    slope = np.ones(step.size)
    if x is None:
        slope = 1 / np.where(step < 1, 1 - step, np.inf)
    return Hazard(
        time=sets.time,
        step=step,
        level=np.cumsum(step if x is not None else -np.log1p(-np.minimum(step, 1 - 1e-15))),
        slope=slope,
        coef=coef,
        n=time.size,
        _members=rows[order],
        _sets=sets,
        _at=at,
        _sums=sums,
        _influence=_of_coefficients(sets, at) if x is not None else np.zeros((rows.size, 0)),
        _centre=data.x[order].mean(axis=0),
        _highest=float(linear_predictor(coef, data.x).max()) if x is not None else 0.0,
    )


def _of_coefficients(sets: RiskSets, at: Moments) -> FloatArray:
    """Influence of each sorted row on the scaled coefficients, shape (m, p)."""
    information = likelihood.information(sets, at)
    return np.asarray(np.linalg.solve(information, likelihood.score_residuals(sets, at).T).T)
