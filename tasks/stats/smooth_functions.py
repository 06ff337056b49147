"""Functions that are smooth where their formulas divide 0 by 0."""

import numpy as np
from scipy import special

from tasks.stats.inputs import FloatArray

_SERIES = 1.0  # below it a power series, above it the formula
_TERMS = 22
_POWERS = np.arange(_TERMS, dtype=np.float64)
_BERNOULLI = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156)
_STIRLING_FROM = 11.0
_HALF_LOG_2PI = 0.5 * float(np.log(2 * np.pi))


def exp_ratio(x: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return (exp(x) - 1) / x with its first and second derivative."""
    e = np.exp(x)
    safe = np.where(abs(x) < _SERIES, 1.0, x)
    formulas = (
        (e - 1) / safe,
        (e * (safe - 1) + 1) / safe**2,
        (e * (safe**2 - 2 * safe + 2) - 2) / safe**3,
    )
    return _by_series(x, 1, formulas)


def exp_second_ratio(x: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return (exp(x) - 1 - x) / x^2 with its first and second derivative."""
    e = np.exp(x)
    safe = np.where(abs(x) < _SERIES, 1.0, x)
    formulas = (
        (e - 1 - safe) / safe**2,
        (e * (safe - 2) + safe + 2) / safe**3,
        (e * (safe**2 - 4 * safe + 6) - 2 * safe - 6) / safe**4,
    )
    return _by_series(x, 2, formulas)


def _by_series(
    x: FloatArray, order: int, formulas: tuple[FloatArray, FloatArray, FloatArray]
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Take sum of x^k / (k + order)! and its derivatives where x is small."""
    small = abs(x) < _SERIES
    inner = np.where(small, x, 0.0)
    weights = 1 / special.factorial(_POWERS + order)
    first = (weights * _POWERS)[1:]
    second = (weights * _POWERS * (_POWERS - 1))[2:]
    sums = (np.polynomial.polynomial.polyval(inner, c) for c in (weights, first, second))
    value, slope, curvature = (
        np.where(small, series, formula) for series, formula in zip(sums, formulas, strict=True)
    )
    return value, slope, curvature


def stirling_error(k: float) -> tuple[float, float, float]:
    """Return what Stirling's formula leaves of log gamma at k > 0, and two derivatives by k."""
    if k < _STIRLING_FROM:
        value = special.gammaln(k) - (k - 0.5) * np.log(k) + k - _HALF_LOG_2PI
        slope = special.digamma(k) - np.log(k) + 0.5 / k
        return float(value), float(slope), float(special.polygamma(1, k) - 1 / k - 0.5 / k**2)
    powers = [-(2 * i + 1) for i in range(len(_BERNOULLI))]
    pairs = list(zip(_BERNOULLI, powers, strict=True))
    return (
        sum(b * k**p for b, p in pairs),
        sum(b * p * k ** (p - 1) for b, p in pairs),
        sum(b * p * (p - 1) * k ** (p - 2) for b, p in pairs),
    )
