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
    g = np.unique(units).size
    return float(np.sqrt(sums @ sums * g / max(g - 1, 1)))


def numbered(units: IntArray) -> IntArray:
    """Return the units numbered from 0 without gaps, shape (n,)."""
    return np.unique(units, return_inverse=True)[1].astype(np.int64)


def is_clustered(units: IntArray) -> bool:
    """Whether some unit has several readings."""
    return bool(np.unique(units).size < units.size)
