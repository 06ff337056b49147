"""Robust variances of curves when persons enter late, weigh unequally, or have several rows.

A person's influence on a curve is piecewise linear in a few functions of time (the basis): one
piece while a row is at risk, one after it has left. Sums of squares over persons are then sums of
products of coefficients, kept by differences: O(rows + times), without a loop over persons.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from tasks.stats.inputs import FloatArray, IntArray, codes
from tasks.stats.risk_table import RiskTable, places_after


@dataclass(frozen=True, slots=True, eq=False)
class Spells:
    """Rows at risk, ordered by person and entry; arrays have shape (n,).

    `begin` is the first place of the risk table's times at which a row is at risk, `end` the
    place of its exit, `kind` how it leaves; `following` is where the next row of the same
    person begins, or the number of times. `overlap` tells that rows of a person, or of a cluster
    of persons, are at risk at once.
    """

    begin: IntArray
    end: IntArray
    following: IntArray
    kind: IntArray
    weight: FloatArray
    person: IntArray
    overlap: bool = False

    def before(self, gains: FloatArray) -> FloatArray:
        """What earlier rows of the same person have gained, shape (n,); 0 where rows overlap."""
        if self.overlap:
            return np.zeros_like(gains)
        total = np.append(0.0, gains.cumsum())
        first = np.searchsorted(self.person, self.person, side="left")
        return np.asarray(total[:-1] - total[first])

    def at_begin(self, curve: FloatArray) -> FloatArray:
        """Value of a step curve on which each row enters, shape (n,); 0 before the first time."""
        return np.append(0.0, curve)[self.begin]

    def by_person(self, gains: FloatArray) -> FloatArray:
        """Sums of gains, one a person."""
        return np.asarray(np.bincount(self.person, gains), dtype=np.float64)


def spells(
    table: RiskTable,
    time: FloatArray,
    kind: ArrayLike,
    weights: FloatArray | None,
    entry: FloatArray | None,
    cluster: ArrayLike | None,
) -> Spells:
    """Order rows by person and entry, and place them among the times of a risk table.

    Args:
        table: The risk table of the same rows.
        time: End of each row, shape (n,).
        kind: How each row ends: 0 censored, 1 event, 2 other event, shape (n,).
        weights: Case weights, shape (n,), or None for 1.
        entry: Time after which each row is at risk, shape (n,), or None for 0.
        cluster: Label of the person or cluster of each row, shape (n,), or None for a person a
            row.
    """
    n = time.size
    start = np.zeros(n) if entry is None else entry
    weight = np.ones(n) if weights is None else weights
    how = np.asarray(kind).astype(np.int64)
    person = np.zeros(n, np.int64) if cluster is None else codes(cluster, n, "cluster")[1]
    order = np.lexsort((weight, how, time, start, person))
    person = np.arange(n) if cluster is None else person[order]
    begin = places_after(table.time, start[order])
    end = np.searchsorted(table.time, time[order]).astype(np.int64)
    is_last = np.append(person[1:] != person[:-1], True)
    following = np.where(is_last, table.time.size, np.append(begin[1:], table.time.size))
    overlap = bool((following <= end).any())
    return Spells(begin, end, following, how[order], weight[order], person, overlap)


def sum_of_squares(
    basis: tuple[FloatArray, ...], rows: Spells, at_risk: list[FloatArray], gone: list[FloatArray]
) -> FloatArray:
    """Sum over persons of squared influence at each time, shape (t,).

    Args:
        basis: Functions of time besides the constant, each of shape (t,).
        rows: The rows.
        at_risk: Coefficients while a row is at risk, of the constant and of each function.
        gone: The same once it has left, until the person's next row.
    """
    terms = (np.ones_like(basis[0]), *basis)
    if rows.overlap:
        return _of_overlapping(terms, rows, np.stack(at_risk), np.stack(gone))
    total = np.zeros_like(basis[0])
    for coefs, first, last in ((at_risk, rows.begin, rows.end), (gone, rows.end, rows.following)):
        for i in range(len(coefs)):
            for j in range(i, len(coefs)):
                product = coefs[i] * coefs[j] * (1 if i == j else 2)
                total += _active(product, first, last, total.size) * terms[i] * terms[j]
    return np.maximum(total, 0.0)


def _of_overlapping(
    terms: tuple[FloatArray, ...], rows: Spells, at_risk: FloatArray, gone: FloatArray
) -> FloatArray:
    """The same where rows of a cluster are at risk at once: their coefficients add up."""
    person, place = np.tile(rows.person, 2), np.append(rows.begin, rows.end)
    order = np.lexsort((place, person))
    person, place = person[order], place[order]
    change = np.hstack([at_risk, gone - at_risk])[:, order]
    total = np.hstack([np.zeros((len(terms), 1)), change.cumsum(axis=1)])
    first = total[:, np.searchsorted(person, person, side="left")]
    before, after = total[:, :-1] - first, total[:, 1:] - first
    size, found = terms[0].size, np.zeros_like(terms[0])
    for i, left in enumerate(terms):
        for j, right in enumerate(terms):
            gained = np.bincount(place, after[i] * after[j] - before[i] * before[j], size)
            found += gained.cumsum()[:size] * left * right
    return np.maximum(found, 0.0)


def _active(values: FloatArray, first: IntArray, last: IntArray, size: int) -> FloatArray:
    """Sum of the values of the rows that are active at each place: first <= place < last."""
    change = np.bincount(first, values, size + 1) - np.bincount(last, values, size + 1)
    return np.asarray(change.cumsum()[:size])
