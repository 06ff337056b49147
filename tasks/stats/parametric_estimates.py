"""What a fitted law says, with standard errors by the delta method and intervals."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from tasks.core.errors import EstimationError
from tasks.stats.curve_intervals import curve_interval
from tasks.stats.inference import Contrast, difference, z_quantile
from tasks.stats.inputs import FloatArray
from tasks.stats.parametric import ParametricFit


@dataclass(frozen=True, slots=True, eq=False)
class FittedSurvival:
    """Survival at times with pointwise limits on the log-log scale; arrays have shape (t,)."""

    time: FloatArray
    estimate: FloatArray
    std_error: FloatArray
    ci_low: FloatArray
    ci_high: FloatArray
    level: float
    ci_method: str = "log-log"


@dataclass(frozen=True, slots=True)
class FittedTime:
    """A time: a quantile, a mean or a restricted mean, in the unit of the durations."""

    estimate: float
    std_error: float
    ci_low: float
    ci_high: float
    level: float
    ci_method: str


def fitted_survival(fit: ParametricFit, times: ArrayLike) -> FittedSurvival:
    """Survival at times >= 0, which may lie beyond the follow-up.

    Args:
        fit: The fit.
        times: Times, shape (t,), all finite and >= 0.
    """
    at = np.atleast_1d(np.asarray(times, dtype=np.float64))
    value, gradient = fit.curve.survival_and_gradient(at)
    std_error = _delta(fit, gradient)
    low, high = curve_interval(value, std_error, "log-log", fit.level)
    start = at == 0
    return FittedSurvival(
        at, value, std_error, np.where(start, 1.0, low), np.where(start, 1.0, high), fit.level
    )


def fitted_quantile(fit: ParametricFit, probability: float) -> FittedTime | None:
    """Time by which a share of persons has had the event; nothing where it never has.

    Raises:
        EstimationError: `probability` is not in (0, 1).
    """
    if not 0 < probability < 1:
        raise EstimationError("probability", f"{probability:g} is not in (0, 1)", "give a share.")
    curve = fit.curve
    time = curve.quantile(probability)
    if time is None:
        return None
    at = np.array([time])
    slope = curve.survival_and_gradient(at)[1] / curve.density(at)[:, None]
    return _on_log_scale(fit, time, float(_delta(fit, slope)[0]))


def fitted_mean(fit: ParametricFit) -> FittedTime | None:
    """Mean time to the event, all of it extrapolated; nothing where it is infinite."""
    found = fit.curve.mean_and_gradient()
    if found is None:
        return None
    mean, gradient = found
    return _on_log_scale(fit, mean, float(_delta(fit, gradient[None])[0]))


def fitted_restricted_mean(fit: ParametricFit, horizon: float) -> FittedTime:
    """Mean time free of the event up to a horizon, which may lie beyond the follow-up.

    Raises:
        EstimationError: The horizon is not above 0 and finite.
    """
    area, gradient = fit.curve.area_and_gradient(horizon)
    return _on_log_scale(fit, area, float(_delta(fit, gradient[None])[0]))


def fitted_difference(one: FittedTime, other: FittedTime) -> Contrast:
    """Difference of two times that were fitted to different persons."""
    std_error = float(np.hypot(one.std_error, other.std_error))
    return difference(one.estimate - other.estimate, std_error, one.level)


def _delta(fit: ParametricFit, gradient: FloatArray) -> FloatArray:
    """Standard error of each row of a gradient, shape (t, p)."""
    variance = np.einsum("tp,pq,tq->t", gradient, fit.covariance, gradient)
    return np.asarray(np.sqrt(np.maximum(variance, 0.0)))


def _on_log_scale(fit: ParametricFit, time: float, std_error: float) -> FittedTime:
    factor = float(np.exp(z_quantile(fit.level) * std_error / time))
    return FittedTime(time, std_error, time / factor, time * factor, fit.level, "log")
