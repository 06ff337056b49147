"""Weights made by a fitted model, and what the fit adds to the variance of what is weighted.

An estimate that solves sum_i w_i r_i = 0 depends on the parameters of the weights too. With
stacked estimating equations its influence is bread (w_i r_i + G' psi_i), where G is the sum of
(gradient of w_i) times r_i, and psi_i the influence of row i on those parameters.
"""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from tasks.core.errors import EstimationError
from tasks.stats.inputs import BoolArray, FloatArray, IntArray, design_matrix, flags
from tasks.stats.logistic import logistic

Weighting = Literal["iptw_ate", "iptw_att", "overlap"]


@dataclass(frozen=True, slots=True, eq=False)
class EstimatedScore:
    """A propensity score, and the influence of each row on its q coefficients.

    `fitted` has shape (n,), `design` (with intercept) and `influence` have shape (n, q).
    """

    fitted: FloatArray
    logit: FloatArray
    design: FloatArray
    influence: FloatArray
    coef: FloatArray
    std_error: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class EstimatedWeights:
    """Weights, shape (n,); their gradient and the influence on its q parameters, (n, q)."""

    weight: FloatArray
    gradient: FloatArray
    influence: FloatArray

    def corrected(self, residual: FloatArray) -> FloatArray:
        """Return w_i r_i with the part that comes from fitting the weights, shape (n, k).

        Args:
            residual: Estimating function of each row at weight one, shape (n, k).
        """
        added = self.influence @ (self.gradient.T @ residual)
        return np.asarray(self.weight[:, None] * residual + added)

    def fixed(self, residual: FloatArray) -> FloatArray:
        """Return w_i r_i, the weights taken as known, shape (n, k)."""
        return np.asarray(self.weight[:, None] * residual)

    def only(self, kept: BoolArray | IntArray) -> "EstimatedWeights":
        """Return the weights of some of the rows, or of rows in another order."""
        return EstimatedWeights(self.weight[kept], self.gradient[kept], self.influence[kept])


def estimated_score(
    x: ArrayLike, treated: ArrayLike, weights: ArrayLike | None = None
) -> EstimatedScore:
    """Fit a logistic propensity score, with the influence of each row on its coefficients.

    Args:
        x: Covariates without intercept, shape (n, p).
        treated: True for the treated, shape (n,).
        weights: Case weights, shape (n,).

    Raises:
        EstimationError: One arm is empty, or the covariates separate the arms or repeat.
    """
    matrix = design_matrix(x, np.size(treated))
    arm = flags(treated, (matrix.shape[0],), "treated")
    given = np.ones(arm.size) if weights is None else np.asarray(weights, dtype=np.float64)
    fit = logistic(matrix, arm, weights)
    _check_scores(fit.fitted)
    design = np.column_stack([np.ones(arm.size), matrix])
    spread = given * fit.fitted * (1 - fit.fitted)
    scale = np.sqrt(np.maximum(spread @ design**2, 1e-300))  # columns of unlike size
    scaled = design / scale
    score = (given * (arm - fit.fitted))[:, None] * scaled
    influence = np.linalg.solve(scaled.T @ (spread[:, None] * scaled), score.T).T / scale
    return EstimatedScore(
        fit.fitted, fit.linear_predictor, design, influence, fit.coef, fit.std_error
    )


def score_weights(
    score: EstimatedScore, treated: ArrayLike, kind: Weighting, stabilised: bool = False
) -> EstimatedWeights:
    """Return weights of a propensity score, with their gradient.

    Args:
        score: The fitted score.
        treated: True for the treated, shape (n,).
        kind: For the effect in everybody, in the treated, or in the overlap.
        stabilised: Whether `iptw_ate` weights are multiplied by the share of the person's arm,
            and `iptw_att` weights of the others by the odds of their share.

    Source:
        Lunceford & Davidian (2004) Stat Med 23; Stefanski & Boos (2002) Am Stat 56.
    """
    arm = flags(treated, score.fitted.shape, "treated")
    weight, slope = _WEIGHTS[kind](score.fitted, arm)
    plain = EstimatedWeights(weight, slope[:, None] * score.design, score.influence)
    return _stabilised(plain, arm, kind) if stabilised and kind != "overlap" else plain


def truncated(weights: EstimatedWeights, low: float, high: float) -> EstimatedWeights:
    """Cut weights off at their quantiles; a weight cut off no longer moves with the model.

    Raises:
        EstimationError: Not 0 <= low < high <= 1.
    """
    if not 0 <= low < high <= 1:
        raise EstimationError("truncate", f"{low:g}, {high:g}", "give 0 <= low < high <= 1.")
    bounds = np.quantile(weights.weight, [low, high])
    weight = np.clip(weights.weight, *bounds)
    moves = weight == weights.weight
    return replace(weights, weight=weight, gradient=weights.gradient * moves[:, None])


def _ate(e: FloatArray, arm: BoolArray) -> tuple[FloatArray, FloatArray]:
    odds = np.where(arm, (1 - e) / e, e / (1 - e))
    return 1 + odds, np.where(arm, -odds, odds)


def _att(e: FloatArray, arm: BoolArray) -> tuple[FloatArray, FloatArray]:
    odds = e / (1 - e)
    return np.where(arm, 1.0, odds), np.where(arm, 0.0, odds)


def _overlap(e: FloatArray, arm: BoolArray) -> tuple[FloatArray, FloatArray]:
    return np.where(arm, 1 - e, e), np.where(arm, -1.0, 1.0) * e * (1 - e)


_WEIGHTS = {"iptw_ate": _ate, "iptw_att": _att, "overlap": _overlap}


def _stabilised(plain: EstimatedWeights, arm: BoolArray, kind: Weighting) -> EstimatedWeights:
    p = float(arm.mean())
    if kind == "iptw_ate":
        factor, slope = np.where(arm, p, 1 - p), np.where(arm, 1.0, -1.0)
    else:
        factor, slope = np.where(arm, 1.0, (1 - p) / p), np.where(arm, 0.0, -1 / p**2)
    of_share = (arm - p) / arm.size
    return EstimatedWeights(
        plain.weight * factor,
        np.column_stack([plain.gradient * factor[:, None], plain.weight * slope]),
        np.column_stack([plain.influence, of_share]),
    )


def _check_scores(fitted: FloatArray) -> None:
    bad = int((~((fitted > 0) & (fitted < 1))).sum())
    if bad:
        raise EstimationError(
            "propensity score",
            f"{bad} of {fitted.size} scores are not inside (0, 1)",
            "drop covariates that decide the treatment; nobody may be sure to get it, or not.",
        )
