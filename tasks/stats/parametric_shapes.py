"""Standard distributions of the error in log time: extreme value, normal, logistic, log gamma.

Each gives six rows: the value, its derivatives by the error z (first, second), by the shape q
(first, second), and the mixed one; those by q are 0 where there is no shape.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy import special

from tasks.stats.inputs import FloatArray
from tasks.stats.smooth_functions import exp_ratio, exp_second_ratio, stirling_error

_HALF_LOG_2PI = 0.5 * float(np.log(2 * np.pi))
_NORMAL_BELOW = 1e-6  # shapes at which the mean is that of the log-normal law
_INTERPOLATED_BELOW = 1e-4
_NODES = (-2e-3, -1e-3, 0.0, 1e-3, 2e-3)
_TINY = -40.0  # log of an argument whose square is lost in rounding
_STEP = 2e-3
_FIRST = np.array([1, -8, 0, 8, -1]) / (12 * _STEP)
_SECOND = np.array([-1, 16, -30, 16, -1]) / (12 * _STEP**2)


class Shape(Protocol):
    """A standard distribution of the error in log time."""

    def log_density(self, z: FloatArray, q: float) -> FloatArray:
        """Six rows for the log density, shape (6, ...)."""

    def log_survival(self, z: FloatArray, q: float) -> FloatArray:
        """Six rows for the log survival, shape (6, ...)."""

    def log_mean(self, scale: float, q: float) -> float:
        """Log of the mean of exp(scale * error); infinite where there is none."""


def _six(value: FloatArray, dz: FloatArray, dzz: FloatArray) -> FloatArray:
    nothing = np.zeros_like(value)
    return np.stack([value, dz, dzz, nothing, nothing, nothing])


@dataclass(frozen=True, slots=True)
class _Extreme:
    """The smallest extreme value: Weibull and exponential times."""

    def log_density(self, z: FloatArray, q: float) -> FloatArray:  # noqa: ARG002
        e = np.exp(z)
        return _six(z - e, 1 - e, -e)

    def log_survival(self, z: FloatArray, q: float) -> FloatArray:  # noqa: ARG002
        e = np.exp(z)
        return _six(-e, -e, -e)

    def log_mean(self, scale: float, q: float) -> float:  # noqa: ARG002
        return float(special.gammaln(1 + scale))


@dataclass(frozen=True, slots=True)
class _Normal:
    """The normal: log-normal times."""

    def log_density(self, z: FloatArray, q: float) -> FloatArray:  # noqa: ARG002
        return _six(-(z**2) / 2 - _HALF_LOG_2PI, -z, -np.ones_like(z))

    def log_survival(self, z: FloatArray, q: float) -> FloatArray:  # noqa: ARG002
        value = special.log_ndtr(-z)
        hazard = np.exp(-(z**2) / 2 - _HALF_LOG_2PI - value)
        return _six(value, -hazard, -hazard * (hazard - z))

    def log_mean(self, scale: float, q: float) -> float:  # noqa: ARG002
        return scale**2 / 2


@dataclass(frozen=True, slots=True)
class _Logistic:
    """The logistic: log-logistic times."""

    def log_density(self, z: FloatArray, q: float) -> FloatArray:  # noqa: ARG002
        p = special.expit(z)
        return _six(z - 2 * np.logaddexp(0.0, z), 1 - 2 * p, -2 * p * (1 - p))

    def log_survival(self, z: FloatArray, q: float) -> FloatArray:  # noqa: ARG002
        p = special.expit(z)
        return _six(-np.logaddexp(0.0, z), -p, -p * (1 - p))

    def log_mean(self, scale: float, q: float) -> float:  # noqa: ARG002
        return float(-np.log(np.sinc(scale))) if scale < 1 else np.inf


@dataclass(frozen=True, slots=True)
class GeneralGamma:
    """Prentice's log gamma with shape q: 1 is the extreme value, 0 the normal.

    The density is smooth in q through 0. Survival is an incomplete gamma function, which has no
    closed derivative by q: that one is a central difference of fourth order, exact to about 1e-11.
    """

    def log_density(self, z: FloatArray, q: float) -> FloatArray:
        """Six rows for the log density."""
        rest, slope, curvature = _stirling_by_shape(q)
        (ratio, ratio1, _), (second, second1, second2) = exp_ratio(q * z), exp_second_ratio(q * z)
        return np.stack(
            [
                -_HALF_LOG_2PI - rest - z**2 * second,
                -z * ratio,
                -np.exp(q * z),
                -slope - z**3 * second1,
                -curvature - z**4 * second2,
                -(z**2) * ratio1,
            ]
        )

    def log_survival(self, z: FloatArray, q: float) -> FloatArray:
        """Six rows for the log survival."""
        near = [_log_survival(z, q + step * _STEP) for step in (-2, -1, 0, 1, 2)]
        dq = sum(weight * value for weight, value in zip(_FIRST, near, strict=True))
        dqq = sum(weight * value for weight, value in zip(_SECOND, near, strict=True))
        density = self.log_density(z, q)
        hazard = np.exp(density[0] - near[2])
        return np.stack(
            [
                near[2],
                -hazard,
                -hazard * (density[1] + hazard),
                dq,
                dqq,
                -hazard * (density[3] - dq),
            ]
        )

    def log_mean(self, scale: float, q: float) -> float:
        """Log of the mean of exp(scale * error); infinite where there is none."""
        if abs(q) < _NORMAL_BELOW:
            return scale**2 / 2
        k, r = q**-2, scale / q
        if k + r <= 0:
            return np.inf
        rest = stirling_error(k + r)[0] - stirling_error(k)[0]
        return float((k + r - 0.5) * np.log1p(r / k) - r + rest)


def _stirling_by_shape(q: float) -> tuple[float, float, float]:
    """Stirling's error at 1 / q^2, and its derivatives by q."""
    if abs(q) < _NORMAL_BELOW:
        return q**2 / 12, q / 6, 1 / 6
    value, slope, curvature = stirling_error(q**-2)
    by_q = -2 * q**-3
    return value, slope * by_q, curvature * by_q**2 + slope * 6 * q**-4


def _log_survival(z: FloatArray, q: float) -> FloatArray:
    if abs(q) >= _INTERPOLATED_BELOW:
        return _log_tail(z, q)
    total = np.zeros_like(z)
    for node in _NODES:
        others = [other for other in _NODES if other != node]
        weight = float(np.prod([(q - other) / (node - other) for other in others]))
        total += weight * (_log_survival(z, node) if node else special.log_ndtr(-z))
    return total


def _log_tail(z: FloatArray, q: float) -> FloatArray:
    """Log of the incomplete gamma function; by its first term where its argument is tiny."""
    k = q**-2
    log_argument = np.log(k) + q * z
    log_below = k * log_argument - special.gammaln(k + 1)
    with np.errstate(divide="ignore", over="ignore"):
        argument = np.exp(log_argument)
        if q < 0:
            first, whole = log_below, np.log(special.gammainc(k, argument))
        else:
            below = np.exp(np.minimum(log_below, 0.0))
            first, whole = np.log1p(-below), np.log(special.gammaincc(k, argument))
    return np.asarray(np.where(log_argument < _TINY, first, whole))


EXTREME, NORMAL, LOGISTIC = _Extreme(), _Normal(), _Logistic()
