"""The empirical curve of one modality: rows by falling score, and what each adds to the curve.

The curve runs through the share of healthy cases (across) and of diseased cases (up) at or above
each score. Cases with one score make one sloping line, so a tie counts half.
"""

from dataclasses import dataclass

import numpy as np

from tasks.core.errors import EstimationError
from tasks.stats.inputs import BoolArray, FloatArray, IntArray

_EDGE = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class Steps:
    """Rows by falling score; those with one score are a group.

    Args:
        order: Rows by falling score, shape (n,).
        first: Place in `order` of the first row of each group, shape (g,).
        group: Number of the group of each row, in the order of the rows, shape (n,).
        scores: Score of each group, falling, shape (g,).
        truth: Whether each row has the condition, shape (n,).
    """

    order: IntArray
    first: IntArray
    group: IntArray
    scores: FloatArray
    truth: BoolArray

    def masses(self, weights: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the weights of diseased and of healthy rows in each group, shape (g, …).

        Args:
            weights: Weights of the rows, shape (n,) or (n, b).
        """
        sorted_ = weights[self.order]
        truth = self.truth[self.order]
        shown = truth if weights.ndim == 1 else truth[:, None]
        up = np.where(shown, sorted_, 0.0)
        across = np.where(shown, 0.0, sorted_)
        if self.first.size == self.order.size:
            return up, across
        return np.add.reduceat(up, self.first), np.add.reduceat(across, self.first)

    def counts(self) -> tuple[FloatArray, FloatArray]:
        """Return how many diseased and healthy rows each group has, shape (g,) each."""
        size = self.first.size
        total = np.diff(np.append(self.first, self.order.size)).astype(np.float64)
        up = np.bincount(self.group[self.truth], minlength=size).astype(np.float64)
        return up, total - up


def steps_of(score: FloatArray, truth: BoolArray, weights: FloatArray | None = None) -> Steps:
    """Sort the rows of one modality.

    Args:
        score: Higher is more suspicious, shape (n,); may be infinite.
        truth: Whether each row has the condition, shape (n,).
        weights: Weights of the rows, shape (n,): sums over a group are then taken in their order.

    Raises:
        EstimationError: There is no row with the condition, or none without, or a score is NaN.
    """
    _check(score, truth)
    order = np.argsort(-score) if weights is None else np.lexsort((weights, truth, -score))
    falling = score[order]
    is_first = np.append(True, falling[1:] != falling[:-1])
    first = np.flatnonzero(is_first)
    group = np.empty(score.size, dtype=np.int64)
    group[order] = np.cumsum(is_first) - 1
    return Steps(np.asarray(order, np.int64), first, group, falling[first], truth)


def _check(score: FloatArray, truth: BoolArray) -> None:
    fix = "look at the truth of the cases, or analyse more of them."
    for has_it, what in ((truth.any(), "with"), ((~truth).any(), "without")):
        if not has_it:
            raise EstimationError("roc", f"no case {what} the condition has a score", fix)
    if np.isnan(score).any():
        raise EstimationError("roc", "a score is not a number", "drop it, or declare output.")


@dataclass(frozen=True, slots=True, eq=False)
class Polyline:
    """Corners of a curve from (0, 0) to (1, 1), shape (g + 1, …): across and up."""

    across: FloatArray
    up: FloatArray

    def height(self, at: float) -> FloatArray:
        """Return how high the curve is, at the top of a rise; one number a column."""
        shape = self.across.shape[1:]
        columns = self.across.reshape(self.across.shape[0], -1).T
        heights = self.up.reshape(self.up.shape[0], -1).T
        found = [_height(x, y, at) for x, y in zip(columns, heights, strict=True)]
        return np.array(found).reshape(shape)


def _height(across: FloatArray, up: FloatArray, at: float) -> float:
    place = int(np.searchsorted(across, at + _EDGE, side="right"))
    if place >= across.size:
        return 1.0
    width = across[place] - across[place - 1]
    share = max(at - across[place - 1], 0.0) / width
    return float(up[place - 1] + share * (up[place] - up[place - 1]))


def polyline(up: FloatArray, across: FloatArray) -> Polyline:
    """Return the corners from the masses of each group, shape (g,) or (g, b)."""
    zero = np.zeros((1, *up.shape[1:]))
    with np.errstate(invalid="ignore"):
        corners = [np.cumsum(part, axis=0) / part.sum(axis=0) for part in (across, up)]
    return Polyline(*(np.concatenate([zero, part]) for part in corners))


def area_between(line: Polyline, low: float = 0.0, high: float = 1.0) -> FloatArray:
    """Return the area under a curve between two places across, one number a column."""
    before, after = line.across[:-1], line.across[1:]
    if (low, high) == (0.0, 1.0):
        found = (after - before) * (line.up[1:] + line.up[:-1])
        return np.asarray(found.sum(axis=0) / 2)
    first, last = _within(before, after, low, high)
    width = (last - first) * (after - before)
    rise = line.up[1:] - line.up[:-1]
    middle = line.up[:-1] + rise * (first + last) / 2
    return np.asarray((width * middle).sum(axis=0))


def _within(
    before: FloatArray, after: FloatArray, low: float, high: float
) -> tuple[FloatArray, FloatArray]:
    """Return where, as shares of each step across, the part between two places begins and ends."""
    width = after - before
    with np.errstate(divide="ignore", invalid="ignore"):
        first = np.where(width > 0, (np.clip(low, before, after) - before) / width, 0.0)
        last = np.where(width > 0, (np.clip(high, before, after) - before) / width, 0.0)
    return first, last


def placements(
    line: Polyline, low: float = 0.0, high: float = 1.0
) -> tuple[FloatArray, FloatArray]:
    """Return what a diseased and what a healthy row of each group adds to an area, shape (g,).

    The area between `low` and `high` is the mean of the first over the diseased; a healthy row
    moves it by the second less its mean. Over the whole curve both are placement values.
    """
    before, after = line.across[:-1], line.across[1:]
    if (low, high) == (0.0, 1.0):
        return 1 - (before + after) / 2, (line.up[1:] + line.up[:-1]) / 2
    first, last = _within(before, after, low, high)
    half = (last**2 - first**2) / 2
    of_diseased = high - np.clip(after, low, high) + (after - before) * half
    rise = line.up[1:] - line.up[:-1]
    top = line.up[:-1] + rise * last
    top = np.where(after <= low, _height(line.across, line.up, low), top)
    top = np.where(before >= high, _height(line.across, line.up, high), top)
    return of_diseased, top - rise * half
