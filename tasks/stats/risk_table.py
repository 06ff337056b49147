"""How many persons leave at each distinct time, how, and how many are then at risk."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.stats.inputs import FloatArray, IntArray

_GRID_SLACK = 100_000


@dataclass(frozen=True, slots=True, eq=False)
class RiskTable:
    """Exits by kind (0 censored, 1 event, 2 other event) at each of t distinct times.

    `counts`, `weight` and `weight_sq` have shape (3, t): persons, and sums of their weights
    and of their squared weights.
    """

    time: FloatArray
    counts: IntArray
    weight: FloatArray
    weight_sq: FloatArray

    @property
    def n_at_risk(self) -> IntArray:
        """Persons at risk just before each time, shape (t,)."""
        return _from_here_on(self.counts.sum(axis=0))

    @property
    def at_risk(self) -> FloatArray:
        """Weight at risk just before each time, shape (t,)."""
        return _from_here_on(self.weight.sum(axis=0))

    @property
    def weight_sq_after(self) -> FloatArray:
        """Squared weight of those still followed after each time, shape (t,)."""
        return np.append(_from_here_on(self.weight_sq.sum(axis=0))[1:], 0.0)


def build_risk_table(time: FloatArray, kind: NDArray[Any], weights: FloatArray | None) -> RiskTable:
    """Tally exits by distinct time and kind.

    Args:
        time: Follow-up, shape (n,).
        kind: 0 censored, 1 event, 2 other event, shape (n,).
        weights: Case weights, shape (n,), or None.

    Returns:
        The table; the same for any order of the rows.
    """
    if weights is not None:
        order = np.lexsort((weights, kind, time))
        time, kind, weights = time[order], kind[order], weights[order]
    distinct, index = distinct_times(time)
    cell = kind.astype(np.int64) * distinct.size + index
    counts = _tally(cell, distinct.size, None)
    if weights is None:
        whole = counts.astype(np.float64)
        return RiskTable(distinct, counts.astype(np.int64), whole, whole)
    weight, squares = (_tally(cell, distinct.size, w) for w in (weights, weights**2))
    return RiskTable(distinct, counts.astype(np.int64), weight, squares)


def distinct_times(time: FloatArray) -> tuple[FloatArray, IntArray]:
    """Distinct times in ascending order, and the place of each person's time among them.

    Whole days on a short calendar are counted without sorting.

    Args:
        time: Follow-up, shape (n,), all > 0.

    Returns:
        Distinct times, shape (t,), and an index into them, shape (n,).
    """
    if time.max() <= time.size + _GRID_SLACK:
        days = time.astype(np.int64)
        if np.array_equal(days, time):
            present = np.bincount(days) > 0
            return np.flatnonzero(present).astype(np.float64), (np.cumsum(present) - 1)[days]
    distinct, index = np.unique(time, return_inverse=True)
    return distinct, index.astype(np.int64)


def _tally(cell: IntArray, width: int, weights: FloatArray | None) -> NDArray[Any]:
    return np.bincount(cell, weights, minlength=3 * width).reshape(3, width)


def _from_here_on(sums: NDArray[Any]) -> NDArray[Any]:
    return sums[::-1].cumsum()[::-1]
