"""Survival and cumulative hazard that a Cox model predicts at given covariates."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from tasks.core.errors import EstimationError
from tasks.stats import partial_likelihood as likelihood
from tasks.stats.cox import CoxFit
from tasks.stats.cox_core import cox_follow_up, sort_rows
from tasks.stats.inference import z_quantile
from tasks.stats.inputs import FloatArray, IntArray, linear_predictor

_FARTHEST = 100.0


@dataclass(frozen=True, slots=True, eq=False)
class PredictedSurvival:
    """Predictions at t times; arrays have shape (t,). Intervals are on the log scale."""

    time: FloatArray
    survival: FloatArray
    std_error: FloatArray
    ci_low: FloatArray
    ci_high: FloatArray
    cumulative_hazard: FloatArray
    std_error_hazard: FloatArray
    events: IntArray
    level: float


def predicted_survival(
    fit: CoxFit,
    durations: ArrayLike,
    observed: ArrayLike,
    covariates: ArrayLike,
    at: ArrayLike,
    times: ArrayLike,
    weights: ArrayLike | None = None,
    entry: ArrayLike | None = None,
) -> PredictedSurvival:
    r"""Survival by some times at one set of covariates, by the baseline of the fitted model.

    .. math:: \hat S(t|x) = \exp(-\hat\Lambda_0(t) e^{x'\hat\beta})

    Args:
        fit: The fit to the same rows; one with strata predicts in that whose rows are given.
        durations: As `cox`, of all rows of the fit or of one stratum.
        observed: As `cox`.
        covariates: As `cox`, shape (n, p).
        at: Covariates to predict at, shape (p,).
        times: Times to predict at, shape (t,), none after the longest follow-up.
        weights: As `cox`.
        entry: As `cox`; the risk sets of the baseline respect it.

    Returns:
        Predictions. The baseline is Breslow's for Breslow's and exact ties and Efron's for
        Efron's; its variance includes that of the coefficients, robust if that of the fit is.

    Raises:
        EstimationError: A time lies after the longest follow-up, the covariates are far from
            those of the rows, or as `cox`.

    Source:
        Breslow (1972); Tsiatis (1981) Ann Stat 9; Therneau & Grambsch (2000), section 10.2.
        Agrees with R survival `survfit(coxph(), newdata=)`.
    """
    data = cox_follow_up(durations, observed, covariates, weights, None, entry)
    wanted, place = np.asarray(times, dtype=np.float64), np.asarray(at, dtype=np.float64)
    if bad := int((wanted > data.time.max()).sum()):
        what = f"{bad} of {wanted.size} times lie after the longest follow-up"
        raise EstimationError("predict", what, "ask for earlier days.")
    sets = likelihood.sort_into_risk_sets(data, sort_rows(data), fit.ties)
    moments = likelihood.moments(sets, fit.coef * sets.scale)
    sums = likelihood.term_sums(sets, moments)
    linear = linear_predictor(fit.coef, data.x)
    relative = _relative(float(place @ fit.coef - linear.max()))
    centre = (data.weight @ data.x) / data.weight.sum()
    mean = sums[2, :, None] * moments.at_risk_x - sums[3, :, None] * moments.dying_x
    lean = sums[0, :, None] * ((place - centre) / sets.scale) - mean
    steps = np.searchsorted(sets.time, wanted, side="right")
    hazard = relative * _running(sums[0])[steps]
    drift = relative * _running(lean)[steps]
    covariance = fit.covariance * np.outer(sets.scale, sets.scale)
    variance = relative**2 * _running(sums[2])[steps] + ((drift @ covariance) * drift).sum(axis=1)
    error, survival = np.sqrt(variance), np.exp(-hazard)
    margin = z_quantile(fit.level) * error
    return PredictedSurvival(
        wanted, survival, survival * error,
        np.exp(-hazard - margin), np.minimum(np.exp(-hazard + margin), 1.0),
        hazard, error, np.append(0, np.bincount(sets.death).cumsum())[steps], fit.level,
    )  # fmt: skip


def _relative(distance: float) -> float:
    """Hazard relative to the highest of the rows.

    Raises:
        EstimationError: It is too far from what the rows hold to say anything.
    """
    if not abs(distance) <= _FARTHEST:
        what = "the covariates lie too far from those of the rows"
        raise EstimationError("predict", what, "predict within the range of the data.")
    return float(np.exp(distance))


def _running(values: FloatArray) -> FloatArray:
    """Running sums down the first axis, from 0."""
    return np.concatenate([np.zeros((1, *values.shape[1:])), values.cumsum(axis=0)])
