"""The flexible calibration curve: local linear regression of the outcome on the probability."""

from dataclasses import dataclass

import numpy as np

from tasks.core.errors import EstimationError
from tasks.stats.inputs import FloatArray

SPAN = 2 / 3
STEP = 0.01
"""How far apart lines are fitted, as a share of the range."""
_NEAR, _FAR, _FLAT = 0.001, 0.999, 0.001


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """A curve: points in rising order, shape (m,), and its height there."""

    at: FloatArray
    height: FloatArray

    def of(self, at: FloatArray) -> FloatArray:
        """Return the height at any points inside, between points by a straight line."""
        return np.interp(at, self.at, self.height)


def lowess(x: FloatArray, y: FloatArray, span: float = SPAN, step: float = STEP) -> Curve:
    """Smooth y over x by local lines with tricube weights, without robustness steps.

    Lines are fitted at points a step apart; the curve is straight between them.

    Args:
        x: Where, shape (n,), in rising order.
        y: What is smoothed, shape (n,).
        span: Share of the points that a line is fitted to.
        step: How far apart lines are fitted, as a share of the range.

    Raises:
        EstimationError: All x are the same.

    Source:
        Cleveland (1979) JASA 74:829. Agrees with R `lowess(x, y, f = span, iter = 0)`.
    """
    spread = float(x[-1] - x[0])
    if not spread > 0:
        what = "all probabilities are the same"
        raise EstimationError("calibration curve", what, "look at the scores.")
    size = max(2, min(x.size, int(span * x.size + 1e-7)))
    places = _places(x, step * spread)
    height = [_line(x, y, float(x[place]), size, spread) for place in places]
    return Curve(x[places], np.array(height))


def _places(x: FloatArray, step: float) -> list[int]:
    """Return where lines are fitted: the last point within a step of the one before, or the next.

    A point that ties with the one before has its height, and is not fitted again.
    """
    found, last = [0], 0
    while True:
        last = int(np.searchsorted(x, x[last], "right")) - 1
        if last >= x.size - 1:
            return found
        within = int(np.searchsorted(x, x[last] + step, "right")) - 1
        last = max(last + 1, within)
        found.append(last)


def _line(x: FloatArray, y: FloatArray, at: float, size: int, spread: float) -> float:
    first = _window(x, at, size)
    reach = max(at - x[first], x[first + size - 1] - at)
    begin = int(np.searchsorted(x, at - _FAR * reach, "left"))
    end = int(np.searchsorted(x, at + _FAR * reach, "right"))
    near, value = x[begin:end], y[begin:end]
    distance = np.abs(near - at)
    weight = np.where(distance > _NEAR * reach, (1 - (distance / max(reach, 1e-300)) ** 3) ** 3, 1)
    weight = weight / weight.sum()
    centre = float(weight @ near)
    variance = float(weight @ (near - centre) ** 2)
    if reach > 0 and np.sqrt(variance) > _FLAT * spread:
        weight = weight * (1 + (at - centre) / variance * (near - centre))
    return float(weight @ value)


def _window(x: FloatArray, at: float, size: int) -> int:
    """Return the first of the `size` points nearest to a point."""
    low, high = 0, x.size - size
    while low < high:
        middle = (low + high) // 2
        if at - x[middle] > x[middle + size] - at:
            low = middle + 1
        else:
            high = middle
    return low
