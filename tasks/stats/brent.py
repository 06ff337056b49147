"""A root inside an interval, found as R's `uniroot` finds it: same steps, same stop.

Where an estimate is defined by a root and R stops early, only the same steps give the same digits.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

_EPSILON = float(np.finfo(np.float64).eps)
TOLERANCE = _EPSILON**0.25
"""Width at which `uniroot` stops unless told otherwise: about 0.00012."""
MAX_STEPS = 1_000


@dataclass(slots=True)
class _Bracket:
    """`b` is the best guess, `a` the one before, and the root lies between `b` and `c`."""

    a: float
    b: float
    c: float
    fa: float
    fb: float
    fc: float


def find_root(
    function: Callable[[float], float], low: float, high: float, tolerance: float = TOLERANCE
) -> float:
    """Return where `function` crosses 0 between `low` and `high`.

    Args:
        function: A continuous function with opposite signs at both ends.
        low: Lower end.
        high: Upper end.
        tolerance: Width of the interval at which the search stops.

    Source: Brent (1973) Algorithms for Minimization without Derivatives, chapter 4.
    """
    fa, fb = function(low), function(high)
    if fa == 0:
        return low
    at = _Bracket(low, high, low, fa, fb, fa)
    for _ in range(MAX_STEPS):
        before = at.b - at.a
        _keep_best(at)
        least = 2 * _EPSILON * abs(at.b) + tolerance / 2
        half = (at.c - at.b) / 2
        if abs(half) <= least or at.fb == 0:
            break
        step = _step(at, before, half, least)
        at.a, at.fa = at.b, at.fb
        at.b += step if abs(step) >= least else np.copysign(least, step)
        at.fb = function(at.b)
        if at.fb * at.fc > 0:
            at.c, at.fc = at.a, at.fa
    return float(at.b)


def _keep_best(at: _Bracket) -> None:
    if abs(at.fc) < abs(at.fb):
        at.a, at.b, at.c = at.b, at.c, at.b
        at.fa, at.fb, at.fc = at.fb, at.fc, at.fb


def _step(at: _Bracket, before: float, half: float, least: float) -> float:
    """Return an interpolated step where it is short enough, half of the interval otherwise."""
    if abs(before) < least or abs(at.fa) <= abs(at.fb):
        return half
    p, q = _interpolated(at)
    q, p = (-q, p) if p > 0 else (q, -p)
    is_inside = p < 0.75 * (at.c - at.b) * q - abs(least * q) / 2
    return p / q if is_inside and p < abs(before * q / 2) else half


def _interpolated(at: _Bracket) -> tuple[float, float]:
    """Return numerator and denominator of a secant or an inverse quadratic step."""
    width, ratio = at.c - at.b, at.fb / at.fa
    if at.a == at.c:
        return width * ratio, 1 - ratio
    q, r = at.fa / at.fc, at.fb / at.fc
    p = ratio * (width * q * (q - r) - (at.b - at.a) * (r - 1))
    return p, (q - 1) * (r - 1) * (ratio - 1)
