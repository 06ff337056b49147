"""How many persons leave at each distinct time, how, and how many are then at risk."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.stats.inputs import FloatArray, IntArray

_GRID_SLACK = 100_000


@dataclass(frozen=True, slots=True, eq=False)
class RiskTable:
    """Exits by kind (0 censored, 1 event, 2 other event) at each of t distinct times.

    `counts`, `weight` and `weight_sq` have shape (3, t): persons, and sums of their weights
    and of their squared weights. `late` and `late_weight` tell who has not entered yet at each
    time, shape (t,); None where everybody is at risk from 0 on.
    """

    time: FloatArray
    counts: IntArray
    weight: FloatArray
    weight_sq: FloatArray
    late: IntArray | None = None
    late_weight: FloatArray | None = None

    @property
    def n_at_risk(self) -> IntArray:
        """Persons at risk just before each time, shape (t,)."""
        present = _from_here_on(self.counts.sum(axis=0))
        return present if self.late is None else np.asarray(present - self.late)

    @property
    def at_risk(self) -> FloatArray:
        """Weight at risk just before each time, shape (t,); exact where all of it has an event."""
        present = _from_here_on(self.weight.sum(axis=0))
        if self.late_weight is None:
            return present
        gone = self.counts[1] + self.counts[2] == self.n_at_risk
        return np.where(gone, self.weight[1] + self.weight[2], present - self.late_weight)

    @property
    def weight_sq_after(self) -> FloatArray:
        """Squared weight of those still followed after each time, shape (t,)."""
        return np.append(_from_here_on(self.weight_sq.sum(axis=0))[1:], 0.0)


def build_risk_table(
    time: FloatArray,
    kind: NDArray[Any],
    weights: FloatArray | None,
    entry: FloatArray | None = None,
) -> RiskTable:
    """Tally exits by distinct time and kind.

    Args:
        time: Follow-up, shape (n,).
        kind: 0 censored, 1 event, 2 other event, shape (n,).
        weights: Case weights, shape (n,), or None.
        entry: Time after which each row is at risk, shape (n,), or None for 0.

    Returns:
        The table; the same for any order of the rows.
    """
    if entry is not None:
        return _with_entry(build_risk_table(time, kind, weights), entry, weights)
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


def places_after(time: FloatArray, entry: FloatArray) -> IntArray:
    """Place of the first of `time` at which a row that enters at `entry` is at risk, shape (n,)."""
    return np.searchsorted(time, entry, side="right").astype(np.int64)


def _with_entry(table: RiskTable, entry: FloatArray, weights: FloatArray | None) -> RiskTable:
    place, size = places_after(table.time, entry), table.time.size + 1
    late = _from_here_on(np.bincount(place, minlength=size))[1:]
    if weights is None:
        return replace(table, late=late, late_weight=late.astype(np.float64))
    order = np.lexsort((weights, place))
    waiting = _from_here_on(np.bincount(place[order], weights[order], minlength=size))[1:]
    return replace(table, late=late, late_weight=waiting)


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
