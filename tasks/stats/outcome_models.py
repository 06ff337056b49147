"""Effects by a model of the outcome: standardisation, augmented weighting, targeted learning."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from tasks.core.errors import EstimationError
from tasks.stats.estimated_weights import EstimatedScore
from tasks.stats.inputs import BoolArray, FloatArray, flags
from tasks.stats.logistic import logistic
from tasks.stats.weighted_effects import ArmMeans

Family = Literal["linear", "logistic"]
Effect = Literal["ate", "att"]
_COLLINEAR = 1e-9
_BOUND = 5e-4  # fitted outcomes stay this far from the ends of the outcome's range
_MAX_STEPS = 100


@dataclass(frozen=True, slots=True, eq=False)
class OutcomeDesign:
    """Covariates of the outcome, shape (n, p): as they are, all treated, and all untreated."""

    observed: FloatArray
    if_treated: FloatArray
    if_not: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class _Fitted:
    """Fitted outcomes, (n,), under both treatments, their gradients, (n, q), and influence."""

    observed: FloatArray
    if_treated: FloatArray
    if_not: FloatArray
    gradient: tuple[FloatArray, FloatArray]
    influence: FloatArray


def g_computation(
    outcome: ArrayLike,
    treated: ArrayLike,
    design: OutcomeDesign,
    family: Family,
    effect: Effect = "ate",
) -> ArmMeans:
    """Means of the outcome if all were treated, and if none were, by standardisation.

    Args:
        outcome: Outcome, shape (n,); 0 and 1 for a logistic model.
        treated: True for the treated, shape (n,).
        design: Covariates of the model of the outcome, the treatment among them.
        family: Least squares or logistic regression.
        effect: Over everybody, or over the treated.

    Returns:
        Both means, with the influence of stacked estimating equations.

    Raises:
        EstimationError: An arm is empty, or the model cannot be fitted.

    Source:
        Robins (1986); Snowden, Rose & Mortimer (2011) Am J Epidemiol 173.
    """
    y, arm = _outcome_and_arm(outcome, treated)
    fit = _fit(y, design, family)
    over = arm.astype(np.float64) if effect == "att" else np.ones(y.size)
    share = over / over.sum()
    means, influence = [], []
    for fitted, gradient in zip((fit.if_treated, fit.if_not), fit.gradient, strict=True):
        mean = float(share @ fitted)
        means.append(mean)
        influence.append(share * (fitted - mean) + fit.influence @ (share @ gradient))
    return ArmMeans(means[0], means[1], np.column_stack(influence), "m_estimation")


def aipw(
    outcome: ArrayLike,
    treated: ArrayLike,
    design: OutcomeDesign,
    score: EstimatedScore,
    family: Family,
    effect: Effect = "ate",
) -> ArmMeans:
    """Means under both treatments by augmented inverse probability weighting.

    Right when the model of the outcome or that of the treatment is.

    Args:
        outcome: Outcome, shape (n,).
        treated: True for the treated, shape (n,).
        design: Covariates of the model of the outcome.
        score: The fitted propensity score.
        family: Least squares or logistic regression.
        effect: Over everybody, or over the treated.

    Returns:
        Both means; their influence is that of both models true, as is usual.

    Raises:
        EstimationError: An arm is empty, or the model cannot be fitted.

    Source:
        Robins, Rotnitzky & Zhao (1994); Glynn & Quinn (2010) Political Analysis 18.
    """
    y, arm = _outcome_and_arm(outcome, treated)
    fit = _fit(y, design, family)
    e = score.fitted
    if effect == "att":
        return _aipw_treated(y, arm, fit, e)
    one = fit.if_treated + arm / e * (y - fit.if_treated)
    none = fit.if_not + ~arm / (1 - e) * (y - fit.if_not)
    return _from_parts(one, none, "influence")


def _aipw_treated(y: FloatArray, arm: BoolArray, fit: _Fitted, e: FloatArray) -> ArmMeans:
    n_treated = float(arm.sum())
    none = np.where(arm, fit.if_not, e / (1 - e) * (y - fit.if_not))
    means = float(y[arm].sum()) / n_treated, float(none.sum()) / n_treated
    influence = np.column_stack([arm * (y - means[0]), none - arm * means[1]]) / n_treated
    return ArmMeans(*means, influence, "influence")


def tmle(
    outcome: ArrayLike,
    treated: ArrayLike,
    design: OutcomeDesign,
    score: EstimatedScore,
    family: Family,
) -> ArmMeans:
    """Means under both treatments by targeted maximum likelihood.

    A continuous outcome is scaled to [0, 1] by its range, so that means stay inside it.

    Args:
        outcome: Outcome, shape (n,).
        treated: True for the treated, shape (n,).
        design: Covariates of the model of the outcome.
        score: The fitted propensity score, not truncated.
        family: Least squares or logistic regression.

    Raises:
        EstimationError: An arm is empty, a model cannot be fitted, or the targeting has no end.

    Source:
        van der Laan & Rubin (2006); Gruber & van der Laan (2010) for continuous outcomes.
    """
    y, arm = _outcome_and_arm(outcome, treated)
    low, high = (0.0, 1.0) if family == "logistic" else (float(y.min()), float(y.max()))
    fit = _fit(y, design, family)
    scaled = (y - low) / (high - low)
    first, second = (
        special.logit(np.clip((q - low) / (high - low), _BOUND, 1 - _BOUND))
        for q in (fit.if_treated, fit.if_not)
    )
    one = _targeted(scaled, arm, first, 1 / score.fitted)
    none = _targeted(scaled, ~arm, second, 1 / (1 - score.fitted))
    parts = [
        low + (high - low) * (q + mine / p * (scaled - q))
        for q, mine, p in ((one, arm, score.fitted), (none, ~arm, 1 - score.fitted))
    ]
    return _from_parts(parts[0], parts[1], "influence")


def _targeted(y: FloatArray, mine: BoolArray, offset: FloatArray, clever: FloatArray) -> FloatArray:
    """Fitted outcomes moved along the clever covariate until its score in one arm is nought."""
    epsilon, size = 0.0, float(clever[mine].sum())
    for _ in range(_MAX_STEPS):
        q = special.expit(offset + epsilon * clever)
        score = float((clever * (y - q))[mine].sum())
        if abs(score) < 1e-12 * size:
            return np.asarray(q)
        step = score / float((clever**2 * q * (1 - q))[mine].sum())
        epsilon += float(np.clip(step, -0.5 / clever.max() * 4, 0.5 / clever.max() * 4))
    raise EstimationError(
        "tmle", "the targeting step has no end", "trim scores near 0 and 1, or use aipw."
    )


def _from_parts(one: FloatArray, none: FloatArray, se_method: str) -> ArmMeans:
    means = float(np.sort(one).mean()), float(np.sort(none).mean())
    # The sample's variance, with n - 1.
    size = np.sqrt(one.size * (one.size - 1.0))
    influence = np.column_stack([one - means[0], none - means[1]]) / size
    return ArmMeans(*means, influence, se_method)


def _outcome_and_arm(outcome: ArrayLike, treated: ArrayLike) -> tuple[FloatArray, BoolArray]:
    y = np.asarray(outcome, dtype=np.float64)
    arm = flags(treated, y.shape, "treated")
    if not 0 < arm.sum() < arm.size or not np.isfinite(y).all() or np.ptp(y) == 0:
        raise EstimationError(
            "model of the outcome",
            f"{int(arm.sum())} of {arm.size} rows are treated; or outcomes are missing or alike",
            "compare two arms that have members, on an outcome that varies.",
        )
    return y, arm


def _fit(y: FloatArray, design: OutcomeDesign, family: Family) -> _Fitted:
    made = [np.column_stack([np.ones(y.size), x]) for x in _each(design)]
    if family == "logistic":
        coef = logistic(design.observed, y == 1).coef
    else:
        coef = _least_squares(made[0], y)
    eta = [x @ coef for x in made]
    mean = [special.expit(v) for v in eta] if family == "logistic" else eta
    slope = [m * (1 - m) if family == "logistic" else np.ones(y.size) for m in mean]
    scale = np.sqrt((made[0] ** 2).sum(axis=0))
    x = made[0] / scale
    curve = x.T @ (slope[0][:, None] * x)
    influence = np.linalg.solve(curve, ((y - mean[0])[:, None] * x).T).T / scale
    gradient = (slope[1][:, None] * made[1], slope[2][:, None] * made[2])
    return _Fitted(mean[0], mean[1], mean[2], gradient, influence)


def _each(design: OutcomeDesign) -> tuple[FloatArray, FloatArray, FloatArray]:
    return design.observed, design.if_treated, design.if_not


def _least_squares(x: FloatArray, y: FloatArray) -> FloatArray:
    size = np.sqrt((x**2).sum(axis=0))
    if (size == 0).any():
        raise EstimationError("model of the outcome", "a column is all 0", "drop it from terms.")
    coef, _, rank, _ = np.linalg.lstsq(x / size, y, rcond=_COLLINEAR)
    if rank < x.shape[1]:
        raise EstimationError(
            "model of the outcome",
            f"{x.shape[1] - rank} columns repeat others or do not vary",
            "drop them from terms.",
        )
    return np.asarray(coef / size)
