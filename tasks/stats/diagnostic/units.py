"""Standard errors of what is a sum over units: a unit is a case, or a person with several."""

import numpy as np

from tasks.stats.inputs import FloatArray, IntArray


def error_of(influence: FloatArray, units: IntArray) -> float:
    """Return the standard error of an estimate from the influence of each reading on it.

    Args:
        influence: Influence of each reading, shape (n,), summing to 0.
        units: Number of its unit, from 0, shape (n,).

    Source:
        Linearisation; the sum of squares of the units times g / (g - 1).
    """
    sums = np.bincount(units, influence)
    g = how_many(units)
    return float(np.sqrt(sums @ sums * g / max(g - 1, 1)))


def how_many(units: IntArray) -> int:
    """Return how many units occur; `units` are numbers from 0, some of which may be missing."""
    return int(np.count_nonzero(np.bincount(units)))


def numbered(units: IntArray) -> IntArray:
    """Return the units numbered from 0 without gaps, shape (n,)."""
    return np.unique(units, return_inverse=True)[1].astype(np.int64)


def is_clustered(units: IntArray) -> bool:
    """Whether some unit has several readings."""
    return how_many(units) < units.size
