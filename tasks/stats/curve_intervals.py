"""Pointwise confidence intervals of a survival probability on several scales."""

from collections.abc import Callable
from typing import Literal, get_args

import numpy as np

from tasks.core.errors import EstimationError
from tasks.stats.inference import z_quantile
from tasks.stats.inputs import FloatArray

ConfType = Literal["log-log", "log", "plain", "logit", "arcsin"]
Limits = tuple[FloatArray, FloatArray]


def curve_interval(
    survival: FloatArray, std_error: FloatArray, conf_type: ConfType, level: float
) -> Limits:
    """Lower and upper limits, clipped to [0, 1].

    Args:
        survival: Probabilities, shape (t,).
        std_error: Their standard errors, shape (t,).
        conf_type: Scale on which the interval is symmetric.
        level: Confidence level, such as 0.95.

    Returns:
        Two arrays of shape (t,). Where survival is 1 both limits are 1; where it is 0, or
        the standard error is undefined, both are NaN, as in R.

    Raises:
        EstimationError: `conf_type` is unknown, or `level` is not in (0, 1).

    Source:
        Kalbfleisch & Prentice (2002), sec. 1.4. Agrees with R survival `survfit(conf.type=)`.
    """
    if conf_type not in get_args(ConfType):
        known = ", ".join(get_args(ConfType))
        raise EstimationError("conf_type", f"`{conf_type}` is unknown", f"choose one of {known}.")
    low, high = np.full_like(survival, np.nan), np.full_like(survival, np.nan)
    low[survival >= 1] = high[survival >= 1] = 1.0
    inside = (survival > 0) & (survival < 1)
    s, margin = survival[inside], z_quantile(level) * std_error[inside]
    low[inside], high[inside] = np.clip(_SCALES[conf_type](s, margin), 0.0, 1.0)
    return low, high


def _plain(s: FloatArray, margin: FloatArray) -> Limits:
    return s - margin, s + margin


def _log(s: FloatArray, margin: FloatArray) -> Limits:
    return s * np.exp(-margin / s), s * np.exp(margin / s)


def _log_log(s: FloatArray, margin: FloatArray) -> Limits:
    centre, half = np.log(-np.log(s)), margin / (s * np.log(s))
    with np.errstate(over="ignore"):  # exp(-inf) is the limit 0 that is meant
        return np.exp(-np.exp(centre - half)), np.exp(-np.exp(centre + half))


def _logit(s: FloatArray, margin: FloatArray) -> Limits:
    centre, half = np.log(s / (1 - s)), margin / (s * (1 - s))
    return 1 / (1 + np.exp(half - centre)), 1 / (1 + np.exp(-half - centre))


def _arcsin(s: FloatArray, margin: FloatArray) -> Limits:
    centre, half = np.arcsin(np.sqrt(s)), margin / (2 * np.sqrt(s * (1 - s)))
    low, high = np.maximum(centre - half, 0), np.minimum(centre + half, np.pi / 2)
    return np.sin(low) ** 2, np.sin(high) ** 2


_SCALES: dict[str, Callable[[FloatArray, FloatArray], Limits]] = {
    "plain": _plain,
    "log": _log,
    "log-log": _log_log,
    "logit": _logit,
    "arcsin": _arcsin,
}
