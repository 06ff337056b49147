"""How far readers agree on categories: kappa and its family, with errors over cases.

Every coefficient is (a - e) / (1 - e): the agreement that is seen, and the one expected by chance.
The standard error is that of the sum of what each case adds to the coefficient (its influence),
by case or by person: of two readers that of Fleiss, Cohen and Everitt, of more that of Gwet.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np

from tasks.core.errors import EstimationError
from tasks.stats.inference import z_quantile
from tasks.stats.inputs import FloatArray, IntArray

Weighting = Literal["none", "linear", "quadratic"]
Coefficient = Literal["percent_agreement", "fleiss", "conger", "light", "ac1"]
COEFFICIENTS: tuple[Coefficient, ...] = ("percent_agreement", "fleiss", "conger", "light", "ac1")


@dataclass(frozen=True, slots=True)
class Agreement:
    """A coefficient of agreement with Wald's interval."""

    name: str
    estimate: float
    std_error: float
    ci_low: float
    ci_high: float
    level: float
    cases: int
    units: int


def weights_of(categories: int, weighting: Weighting) -> FloatArray:
    """Return how far each pair of categories agrees, shape (q, q): 1 on the diagonal."""
    place = np.arange(categories, dtype=np.float64)
    gap = np.abs(place[:, None] - place) / max(categories - 1, 1)
    if weighting == "none":
        return np.asarray((gap == 0).astype(np.float64))
    return np.asarray(1 - gap if weighting == "linear" else 1 - gap**2)


@dataclass(frozen=True, slots=True, eq=False)
class _Counts:
    """Of n cases, r readers and q categories: shape (n, r, q), and the weights (q, q)."""

    is_of: FloatArray
    weights: FloatArray

    @property
    def readers(self) -> int:
        return int(self.is_of.shape[1])

    @property
    def shares(self) -> FloatArray:
        """Share of each category in each reader, shape (r, q)."""
        return np.asarray(self.is_of.mean(axis=0))

    @property
    def by_case(self) -> FloatArray:
        """How many readers put each case into each category, shape (n, q)."""
        return np.asarray(self.is_of.sum(axis=1))

    def seen(self) -> FloatArray:
        """Agreement of pairs of readers in each case, shape (n,)."""
        count, r = self.by_case, self.readers
        return np.asarray((count * (count @ self.weights - 1)).sum(axis=1) / (r * (r - 1)))


Chance = tuple[float, FloatArray]
"""Agreement by chance, and what each case adds to it, shape (n,)."""


def _fleiss(counts: _Counts) -> Chance:
    share = counts.by_case / counts.readers
    mean = share.mean(axis=0)
    expected = float(mean @ counts.weights @ mean)
    return expected, 2 * (share @ counts.weights @ mean - expected)


def _conger(counts: _Counts) -> Chance:
    r, shares = counts.readers, counts.shares
    others = (shares.sum(axis=0) - shares) @ counts.weights
    expected = float((shares * others).sum() / (r * (r - 1)))
    moved = ((counts.is_of - shares) * others).sum(axis=(1, 2))
    return expected, 2 * moved / (r * (r - 1))


def _ac1(counts: _Counts) -> Chance:
    share = counts.by_case / counts.readers
    mean, q = share.mean(axis=0), share.shape[1]
    factor = counts.weights.sum() / (q * (q - 1))
    expected = float(factor * (mean * (1 - mean)).sum())
    return expected, factor * ((share - mean) * (1 - 2 * mean)).sum(axis=1)


def _none(counts: _Counts) -> Chance:
    return 0.0, np.zeros(counts.is_of.shape[0])


_CHANCE: Mapping[str, Callable[[_Counts], Chance]] = {
    "percent_agreement": _none,
    "fleiss": _fleiss,
    "conger": _conger,
    "ac1": _ac1,
}


def _with_influence(name: str, counts: _Counts) -> tuple[float, FloatArray]:
    """Return a coefficient, and what each case adds to it, shape (n,)."""
    if name == "light":
        pairs = [
            _with_influence("conger", _Counts(counts.is_of[:, [a, b]], counts.weights))
            for a, b in combinations(range(counts.readers), 2)
        ]
        values, added = zip(*pairs, strict=True)
        return float(np.mean(values)), np.asarray(np.mean(added, axis=0))
    each = counts.seen()
    seen, (expected, moved) = float(each.mean()), _CHANCE[name](counts)
    if not expected < 1:
        what = "all readings are of one category: chance alone makes them agree"
        raise EstimationError("agreement", what, "analyse cases of several categories.")
    value = (seen - expected) / (1 - expected)
    return value, (each - seen - (1 - value) * moved) / (1 - expected)


def agreement(
    name: Coefficient,
    ratings: IntArray,
    units: IntArray,
    *,
    weighting: Weighting = "none",
    categories: int | None = None,
    level: float = 0.95,
) -> Agreement:
    """Estimate a coefficient of agreement of readers who all read all cases.

    Of two readers, `conger` is Cohen's kappa (weighted by `weighting`); of more, his
    generalisation with the margins of each reader. `light` is the mean of Cohen's over pairs.

    Args:
        name: Which coefficient.
        ratings: Category of each case by each reader, from 0, shape (n, r).
        units: Number of the case, or of its person where persons have several, shape (n,).
        weighting: How far neighbouring categories agree.
        categories: How many categories there are; those that occur, where it is left out.
        level: Confidence level.

    Raises:
        EstimationError: Fewer than two cases or readers, or agreement by chance alone.

    Source:
        Cohen (1960, 1968); Fleiss, Cohen & Everitt (1969) Psychol Bull 72:323; Fleiss (1971);
        Conger (1980); Light (1971); Gwet (2008) Br J Math Stat Psychol 61:29.
    """
    n, r = ratings.shape
    _, unit = np.unique(units, return_inverse=True)
    size = int(unit.max(initial=-1)) + 1
    if r < 2 or size < 2:
        what = "agreement needs two readers and two cases that both have read"
        raise EstimationError("agreement", what, "let readers read the same cases.")
    width = max(categories or 0, int(ratings.max()) + 1, 2)
    counts = _Counts(np.eye(width)[ratings], weights_of(width, weighting))
    value, added = _with_influence(name, counts)
    sums = np.bincount(unit, added, size)
    is_cohen = name == "conger" and r == 2 and size == n
    factor = 1.0 if is_cohen else size / (size - 1)
    error = float(np.sqrt(factor * (sums @ sums)) / n)
    reach = z_quantile(level) * error
    low, high = max(value - reach, -1.0), min(value + reach, 1.0)
    return Agreement(name, value, error, low, high, level, n, size)
