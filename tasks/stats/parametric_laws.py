"""Distributions of times to an event: log density and log survival, with their derivatives.

Each law has one linear predictor a row (`eta`) and further parameters that all rows share. Both
logarithms come with first and second derivatives, so that Newton's method and the delta method
read them from one place.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy import special

from tasks.stats.inputs import FloatArray
from tasks.stats.parametric_shapes import EXTREME, LOGISTIC, NORMAL, GeneralGamma, Shape
from tasks.stats.smooth_functions import exp_ratio

_MEAN_FROM = 45.0  # cumulative hazard beyond which survival adds nothing


@dataclass(frozen=True, slots=True, eq=False)
class Parts:
    """A term of the log-likelihood of rows, and its derivatives.

    Shapes: rows r; `further` (k, r) and `mixed` (k, r) with `eta`; `second` (k, k, r).
    """

    value: FloatArray
    eta: FloatArray
    eta_eta: FloatArray
    further: FloatArray
    mixed: FloatArray
    second: FloatArray

    def scaled(self, factor: FloatArray | float) -> "Parts":
        """Return every part times a factor a row."""
        return Parts(*(np.asarray(factor * getattr(self, name)) for name in self.__slots__))


class Law(Protocol):
    """A distribution of times above 0."""

    @property
    def further(self) -> tuple[str, ...]:
        """Names of the parameters that all rows share."""

    @property
    def direction(self) -> int:
        """1 where `eta` is a log time, -1 where it is a log rate."""

    def log_density(self, time: FloatArray, eta: FloatArray, further: FloatArray) -> Parts:
        """Log density at times, with its derivatives."""

    def log_survival(self, time: FloatArray, eta: FloatArray, further: FloatArray) -> Parts:
        """Log survival at times, with its derivatives."""

    def mean(self, eta: FloatArray, further: FloatArray) -> FloatArray:
        """Mean time of each `eta`; infinite where the law has none."""


@dataclass(frozen=True, slots=True)
class LocationScale:
    """Log time = eta + scale * error: the accelerated failure time laws.

    Args:
        shape: Distribution of the error.
        further: `log_scale`, and `q` where the error has a shape; empty for a scale of one.
    """

    shape: Shape
    further: tuple[str, ...] = ("log_scale",)
    direction: int = 1

    def log_density(self, time: FloatArray, eta: FloatArray, further: FloatArray) -> Parts:
        """Log density at times, with its derivatives."""
        log_scale, q = self._read(further)
        z = (np.log(time) - eta) / np.exp(log_scale)
        parts = self._chained(self.shape.log_density(z, q), z, log_scale)
        rate = np.zeros_like(parts.further)
        rate[:1] = 1.0
        value = parts.value - log_scale - np.log(time)
        return Parts(
            value, parts.eta, parts.eta_eta, parts.further - rate, parts.mixed, parts.second
        )

    def log_survival(self, time: FloatArray, eta: FloatArray, further: FloatArray) -> Parts:
        """Log survival at times, with its derivatives."""
        log_scale, q = self._read(further)
        z = (np.log(time) - eta) / np.exp(log_scale)
        return self._chained(self.shape.log_survival(z, q), z, log_scale)

    def mean(self, eta: FloatArray, further: FloatArray) -> FloatArray:
        """Mean time of each `eta`; infinite where the law has none."""
        log_scale, q = self._read(further)
        return np.asarray(np.exp(eta + self.shape.log_mean(float(np.exp(log_scale)), q)))

    def _read(self, further: FloatArray) -> tuple[float, float]:
        given = [*further, 0.0, 0.0]
        return float(given[0]), float(given[1])

    def _chained(self, at: FloatArray, z: FloatArray, log_scale: float) -> Parts:
        """From derivatives by the error and its shape to those by eta, log scale and shape."""
        value, dz, dzz, dq, dqq, dzq = at
        per = float(np.exp(-log_scale))
        k = len(self.further)
        further = np.stack([-z * dz, dq])[:k]
        mixed = np.stack([(dz + z * dzz) * per, -dzq * per])[:k]
        second = np.stack([np.stack([z * dz + z**2 * dzz, -z * dzq]), np.stack([-z * dzq, dqq])])
        return Parts(value, -dz * per, dzz * per**2, further, mixed, second[:k, :k])


@dataclass(frozen=True, slots=True)
class WeibullHazards:
    """Hazard exp(eta) * a * t^(a - 1), a = exp(log_shape): Weibull with proportional hazards."""

    further: tuple[str, ...] = ("log_shape",)
    direction: int = -1

    def log_density(self, time: FloatArray, eta: FloatArray, further: FloatArray) -> Parts:
        """Log density at times, with its derivatives."""
        survival = self.log_survival(time, eta, further)
        power = np.exp(further[0]) * np.log(time) + 0.0 * eta
        return Parts(
            survival.value + eta + further[0] + power - np.log(time),
            survival.eta + 1, survival.eta_eta, survival.further + 1 + power,
            survival.mixed, survival.second + power,
        )  # fmt: skip

    def log_survival(self, time: FloatArray, eta: FloatArray, further: FloatArray) -> Parts:
        """Log survival at times, with its derivatives."""
        power = np.exp(further[0]) * np.log(time) + 0.0 * eta
        value = -np.exp(eta + power)
        first, second = value * power, value * power * (1 + power)
        return Parts(value, value, value, first[None], first[None], second[None, None])

    def mean(self, eta: FloatArray, further: FloatArray) -> FloatArray:
        """Mean time of each `eta`."""
        per = float(np.exp(-further[0]))
        return np.asarray(np.exp(-eta * per + special.gammaln(1 + per)))


@dataclass(frozen=True, slots=True)
class Gompertz:
    """Hazard exp(eta + shape * t); a negative shape leaves some without the event for ever."""

    further: tuple[str, ...] = ("shape",)
    direction: int = -1

    def log_density(self, time: FloatArray, eta: FloatArray, further: FloatArray) -> Parts:
        """Log density at times, with its derivatives."""
        survival = self.log_survival(time, eta, further)
        return Parts(
            survival.value + eta + further[0] * time,
            survival.eta + 1, survival.eta_eta, survival.further + time,
            survival.mixed, survival.second,
        )  # fmt: skip

    def log_survival(self, time: FloatArray, eta: FloatArray, further: FloatArray) -> Parts:
        """Log survival at times, with its derivatives."""
        rate = np.exp(eta)
        levels = exp_ratio(further[0] * time)
        value, first, second = (
            -rate * time ** (order + 1) * level for order, level in enumerate(levels)
        )
        return Parts(value, value, value, first[None], first[None], second[None, None])

    def mean(self, eta: FloatArray, further: FloatArray) -> FloatArray:  # noqa: ARG002
        """Infinite unless hazards rise; there `longest` says how far to integrate."""
        return np.full(np.shape(eta), np.inf)

    @staticmethod
    def longest(eta: FloatArray, further: FloatArray) -> float | None:
        """Return a time by which all have had the event, or nothing where some never have it."""
        shape = float(further[0])
        if shape <= 0:
            return None
        return float(np.log1p(_MEAN_FROM * shape * np.exp(-np.min(eta))) / shape)


LAWS: dict[str, Law] = {
    "exponential": LocationScale(EXTREME, ()),
    "weibull": LocationScale(EXTREME),
    "weibull_ph": WeibullHazards(),
    "log_normal": LocationScale(NORMAL),
    "log_logistic": LocationScale(LOGISTIC),
    "gompertz": Gompertz(),
    "generalised_gamma": LocationScale(GeneralGamma(), ("log_scale", "q")),
}
