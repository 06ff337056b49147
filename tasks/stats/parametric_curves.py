"""Survival, hazard, means and quantiles of a fitted law, with their derivatives by its parameters.

All are of the mean curve over patterns of covariates, each with its share.
"""

from dataclasses import dataclass

import numpy as np
from scipy import optimize

from tasks.core.errors import EstimationError
from tasks.stats.inputs import FloatArray
from tasks.stats.parametric_laws import Gompertz, Law, Parts

_HALVINGS = 30
_PANELS = 2
_NODES = 12
_CELLS = 2_000_000  # times by patterns that are held at once
_MANY = 2_000  # patterns from which on they are brought to points
_NARROW = 1e-9
_POINTS = 200
_ROWS = 8_192
_FAR = 700.0  # log times beyond which none is looked for
_STEP = 1e-4
_FIRST = np.array([1, -8, 8, -1]) / (12 * _STEP)


@dataclass(frozen=True, slots=True, eq=False)
class Mixture:
    """A law averaged over linear predictors.

    Args:
        law: The law.
        further: Its parameters besides the linear predictor.
        eta: Linear predictors, shape (m,).
        share: Weight of each in a mean, shape (m,).
        moments: Weight of each in the mean times the design, shape (m, p).
    """

    law: Law
    further: FloatArray
    eta: FloatArray
    share: FloatArray
    moments: FloatArray

    @property
    def size(self) -> int:
        """How many parameters a gradient is by."""
        return int(self.moments.shape[1] + self.further.size)

    def survival(self, times: FloatArray) -> FloatArray:
        """Survival at times >= 0, shape (t,)."""
        return self.survival_and_gradient(times)[0]

    def survival_and_gradient(self, times: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Survival at times >= 0, shape (t,), and its derivatives, shape (t, p)."""
        found = [self._of_block(block) for block in _blocks(times, self.share.size)]
        value = np.concatenate([value for value, _ in found])
        return value, np.concatenate([gradient for _, gradient in found])

    def _of_block(self, times: FloatArray) -> tuple[FloatArray, FloatArray]:
        value, gradient = np.ones(times.size), np.zeros((times.size, self.size))
        after = times > 0
        if after.any():
            with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
                at = self.law.log_survival(times[after, None], self.eta[None], self.further)
            value[after], gradient[after] = self._averaged(at)
        return value, gradient

    def _averaged(self, at: Parts) -> tuple[FloatArray, FloatArray]:
        each = np.exp(at.value)
        by_eta, by_further = (_where_alive(each, part) for part in (at.eta, at.further))
        gradient = [by_eta @ self.moments, (by_further @ self.share).T]
        return each @ self.share, np.concatenate(gradient, axis=1)

    def density(self, times: FloatArray) -> FloatArray:
        """Density at times > 0, shape (t,)."""
        found = []
        for block in _blocks(times, self.share.size):
            with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
                at = self.law.log_density(block[:, None], self.eta[None], self.further)
            found.append(np.exp(at.value) @ self.share)
        return np.concatenate(found)

    def area_and_gradient(self, horizon: float) -> tuple[float, FloatArray]:
        """Area under the survival curve on [0, horizon], and its derivatives, shape (p,)."""
        times, widths = _quadrature(horizon)
        value, gradient = self.survival_and_gradient(times)
        return float(widths @ value), np.asarray(widths @ gradient)

    def mean_and_gradient(self) -> tuple[float, FloatArray] | None:
        """Mean time and its derivatives; nothing where it is infinite."""
        if isinstance(self.law, Gompertz):
            longest = self.law.longest(self.eta, self.further)
            return None if longest is None else self.area_and_gradient(longest)
        mean = self.law.mean(self.eta, self.further)
        if not np.isfinite(mean).all():
            return None
        by_eta = self._slope(1.0, np.zeros(self.further.size))
        by_further = [self._slope(0.0, unit) @ self.share for unit in np.eye(self.further.size)]
        return float(mean @ self.share), np.append(by_eta @ self.moments, by_further)

    def _slope(self, along_eta: float, along_further: FloatArray) -> FloatArray:
        """Derivative of each pattern's mean along a direction, by differences of fourth order."""
        steps = (_STEP * np.array([-2.0, -1.0, 1.0, 2.0])).tolist()
        means = [
            self.law.mean(self.eta + h * along_eta, self.further + h * along_further) for h in steps
        ]
        return np.asarray(_FIRST @ np.stack(means))

    def quantile(self, probability: float) -> float | None:
        """Time by which a share has had the event; nothing where it never has."""
        low, high = self._bracket(probability)
        if self._excess(high, probability) > 0:
            return None
        root = optimize.brentq(self._excess, low, high, args=(probability,), xtol=1e-14, rtol=1e-14)
        return float(np.exp(root))

    def _excess(self, log_time: float, probability: float) -> float:
        return float(self.survival(np.exp([log_time]))[0]) - (1 - probability)

    def _bracket(self, probability: float) -> tuple[float, float]:
        low, high = -1.0, 1.0
        while self._excess(low, probability) < 0 and low > -_FAR:
            low = max(2 * low, -_FAR)
        while self._excess(high, probability) > 0 and high < _FAR:
            high = min(2 * high, _FAR)
        return low, high


def mixture(law: Law, coef: FloatArray, patterns: FloatArray, share: FloatArray) -> Mixture:
    """Return the mean of a law over patterns of covariates.

    Many patterns are brought to a few linear predictors: all functions that are averaged are
    smooth in it, and an interpolation at Chebyshev's points weighs those points once for all.

    Args:
        law: The law.
        coef: Parameters, the coefficients of the design first.
        patterns: Rows of the design, shape (m, p).
        share: Share of each row, shape (m,), summing to 1.
    """
    p = patterns.shape[1]
    eta, further = patterns @ coef[:p], coef[p:]
    low, high = float(eta.min()), float(eta.max())
    if eta.size <= _MANY or high - low < _NARROW:
        return Mixture(law, further, eta, share, share[:, None] * patterns)
    angles = (2 * np.arange(_POINTS) + 1) * np.pi / (2 * _POINTS)
    weights, moments = np.zeros(_POINTS), np.zeros((_POINTS, p))
    for begin in range(0, eta.size, _ROWS):
        rows = slice(begin, begin + _ROWS)
        at = np.clip((2 * eta[rows] - low - high) / (high - low), -1.0, 1.0)
        basis = share[rows, None] * _cardinal(at, angles)
        weights += basis.sum(axis=0)
        moments += basis.T @ patterns[rows]
    points = (low + high + (high - low) * np.cos(angles)) / 2
    return Mixture(law, further, points, weights, moments)


def _cardinal(at: FloatArray, angles: FloatArray) -> FloatArray:
    """Polynomials that are 1 at one of Chebyshev's points and 0 at the others, (rows, points)."""
    points = np.cos(angles)
    signs = np.sin(angles) * (-1.0) ** np.arange(angles.size)
    gaps = at[:, None] - points
    hits = gaps == 0
    terms = signs / np.where(hits, 1.0, gaps)
    basis = terms / terms.sum(axis=1, keepdims=True)
    on_point = hits.any(axis=1)
    basis[on_point] = hits[on_point]
    return np.asarray(basis)


def _blocks(times: FloatArray, patterns: int) -> list[FloatArray]:
    """Cut times so that times by patterns fit into memory."""
    per = max(1, _CELLS // patterns)
    return [times[begin : begin + per] for begin in range(0, max(times.size, 1), per)]


def _where_alive(each: FloatArray, part: FloatArray) -> FloatArray:
    """Derivative of survival: 0 where it has come down to 0, whatever its logarithm does."""
    return np.where(each > 0, each * np.where(each > 0, part, 0.0), 0.0)


def _quadrature(horizon: float) -> tuple[FloatArray, FloatArray]:
    """Gauss-Legendre nodes and widths on panels that halve towards 0, where curves are steep."""
    if not 0 < horizon < np.inf:
        what = f"horizon {horizon:g} is not above 0 and finite"
        raise EstimationError("restricted_mean", what, "give a number of days.")
    edges = np.append(0.0, horizon * 2.0 ** -np.arange(_HALVINGS, -1.0 / _PANELS, -1.0 / _PANELS))
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    half, middle = np.diff(edges) / 2, (edges[1:] + edges[:-1]) / 2
    return (middle[:, None] + half[:, None] * nodes).ravel(), (half[:, None] * weights).ravel()
