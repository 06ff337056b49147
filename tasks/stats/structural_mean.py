"""G-estimation of a linear structural nested mean model of one treatment, in closed form."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from tasks.core.errors import EstimationError
from tasks.stats.estimated_weights import EstimatedScore
from tasks.stats.inference import z_quantile
from tasks.stats.inputs import FloatArray, case_weights, flags


@dataclass(frozen=True, slots=True, eq=False)
class StructuralMean:
    """Effect of treatment psi, shape (q,), and its covariance.

    `score_interval` holds the values that the test of no association leaves, where q is 1;
    None where they have no end.
    """

    psi: FloatArray
    covariance: FloatArray
    score_interval: tuple[float, float] | None
    level: float

    @property
    def std_error(self) -> FloatArray:
        """Standard errors, shape (q,)."""
        return np.sqrt(np.diag(self.covariance))


def g_estimation(
    outcome: ArrayLike,
    treated: ArrayLike,
    score: EstimatedScore,
    modifiers: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    level: float = 0.95,
) -> StructuralMean:
    """Solve sum w (A - e) v (Y - A v'psi) = 0 for psi, with v = (1, modifiers).

    Args:
        outcome: Outcome, shape (n,).
        treated: True for the treated, shape (n,).
        score: The propensity score, fitted with the same weights.
        modifiers: Columns with which the effect changes linearly, shape (n, m).
        weights: Case weights, such as those of the uncensored, shape (n,), taken as known.
        level: Confidence level.

    Returns:
        The effect, with the variance of stacked estimating equations.

    Raises:
        EstimationError: An arm is empty, or treatment hardly varies beyond its score.

    Source:
        Robins (1989); Hernan & Robins, What If, technical point 14.2.
    """
    y = np.asarray(outcome, dtype=np.float64)
    arm = flags(treated, y.shape, "treated").astype(np.float64)
    weight = np.ones(y.size) if weights is None else case_weights(weights, y.size)
    more = np.empty((y.size, 0)) if modifiers is None else np.asarray(modifiers, dtype=np.float64)
    v = np.column_stack([np.ones(y.size), more.reshape(y.size, -1)])
    rest = weight * (arm - score.fitted)
    bread = (rest * arm * v.T) @ v
    size = np.sqrt(abs(np.diag(bread)))
    if (size == 0).any() or np.linalg.cond(bread / np.outer(size, size)) > 1e12:
        raise EstimationError(
            "g_estimation", "the treatment does not vary beyond its score", "drop modifiers."
        )
    psi = np.linalg.solve(bread, v.T @ (rest * y))
    # Influence of psi, linear in the residual y - a v'psi; also for the residual's two parts.
    parts = [_moment(v, rest, weight, part, score) for part in (y, arm)]
    total = _moment(v, rest, weight, y - arm * (v @ psi), score)
    influence = np.linalg.solve(bread, total.T).T
    interval = _score_interval(parts[0][:, 0], parts[1][:, 0], level) if v.shape[1] == 1 else None
    return StructuralMean(
        np.asarray(psi, dtype=np.float64), influence.T @ influence, interval, level
    )


def _moment(
    v: FloatArray, rest: FloatArray, weight: FloatArray, left: FloatArray, score: EstimatedScore
) -> FloatArray:
    """Estimating function of each row, with the part that comes from fitting the score."""
    own = (rest * left)[:, None] * v
    slope = weight * score.fitted * (1 - score.fitted) * left
    gradient = (slope[:, None] * v).T @ score.design
    return np.asarray(own - score.influence @ gradient.T)


def _score_interval(y: FloatArray, a: FloatArray, level: float) -> tuple[float, float] | None:
    """Values of psi at which (sum of y - psi a)^2 <= z^2 times the sum of squares."""
    z2 = z_quantile(level) ** 2
    square = float(a.sum() ** 2 - z2 * (a @ a))
    middle = float(y.sum() * a.sum() - z2 * (y @ a))
    rest = float(y.sum() ** 2 - z2 * (y @ y))
    inside = middle**2 - square * rest
    if square <= 0 or inside < 0:
        return None
    root = float(np.sqrt(inside))
    return (middle - root) / square, (middle + root) / square
