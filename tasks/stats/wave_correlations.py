"""Unstructured working correlations: one for each pair of waves, whatever waves a cluster has."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tasks.core.errors import EstimationError
from tasks.stats.inputs import FloatArray, IntArray

_LEAST = 1e-10  # smallest eigenvalue of a correlation matrix
_FIX = "use another correlation, such as exchangeable, or fewer waves."


@dataclass(frozen=True, slots=True, eq=False)
class Waves:
    """Which waves the rows of clusters are of.

    `wave` has shape (n,), from 0; `names` holds the ranks of each pair from 1, such as 1:2, and
    `together` how many clusters have both. `patterns` are the clusters that have the same waves:
    their rows, shape (clusters, waves), and the waves.
    """

    wave: IntArray
    count: int
    names: tuple[str, ...]
    together: IntArray
    patterns: tuple[tuple[IntArray, IntArray], ...]

    def pair(self, left: IntArray, right: IntArray) -> IntArray:
        """Number of the pair of waves of pairs of rows, the earlier first, shape (m,)."""
        first, second = self.wave[left], self.wave[right]
        return np.asarray(first * (2 * self.count - first - 1) // 2 + second - first - 1)

    def matrix(self, alpha: FloatArray) -> FloatArray:
        """Correlation of all waves, shape (waves, waves)."""
        made = np.eye(self.count)
        made[np.triu_indices(self.count, 1)] = alpha
        return np.asarray(np.triu(made) + np.triu(made, 1).T)


def waves_of(time: FloatArray, cluster: IntArray, parameters: int) -> Waves:
    """Find the waves of rows that are sorted by cluster and time.

    Args:
        time: Time of each row, no two alike in a cluster, shape (n,).
        cluster: Number of the cluster of each row, shape (n,).
        parameters: How many coefficients the model has besides.

    Raises:
        EstimationError: One wave; no more clusters than parameters; or a pair of waves that
            fewer than two clusters have.
    """
    distinct, wave = np.unique(time, return_inverse=True)
    count, clusters = distinct.size, int(cluster[-1]) + 1
    pairs = count * (count - 1) // 2
    if count < 2 or clusters <= pairs + parameters:
        what = f"{clusters} clusters, {count} waves: {pairs} correlations beside {parameters} terms"
        raise EstimationError("gee unstructured", what, _FIX)
    has = np.zeros((clusters, count), dtype=bool)
    has[cluster, wave] = True
    first, second = np.triu_indices(count, 1)
    together = (has.T.astype(np.int64) @ has)[first, second]
    if together.min() < 2:
        what = f"{int((together < 2).sum())} pairs of waves that fewer than two clusters have"
        raise EstimationError("gee unstructured", what, _FIX)
    names = tuple(f"{i + 1}:{j + 1}" for i, j in zip(first, second, strict=True))
    return Waves(wave.astype(np.int64), count, names, together, _patterns(has, cluster))


def _patterns(has: FloatArray, cluster: IntArray) -> tuple[tuple[IntArray, IntArray], ...]:
    kinds, kind = np.unique(has, axis=0, return_inverse=True)
    start = np.searchsorted(cluster, np.arange(has.shape[0]))
    found = []
    for place, which in enumerate(kinds):
        waves = np.flatnonzero(which)
        mine = start[kind.reshape(-1) == place]
        found.append((mine[:, None] + np.arange(waves.size), waves))
    return tuple(found)


def whitener_of_waves(waves: Waves, alpha: FloatArray) -> Callable[[FloatArray], FloatArray]:
    """Return the map that makes rows of a cluster uncorrelated, of columns, shape (n,).

    Raises:
        EstimationError: The correlations are not possible together.
    """
    matrix = waves.matrix(alpha)
    parts = [matrix[np.ix_(which, which)] for _, which in waves.patterns]
    if min(np.linalg.eigvalsh(part).min() for part in parts) < _LEAST:
        what = "the working correlations of the waves are not possible together"
        raise EstimationError("gee unstructured", what, _FIX)
    roots = [np.linalg.inv(np.linalg.cholesky(part)) for part in parts]

    def whiten(values: FloatArray) -> FloatArray:
        made = np.empty_like(values)
        for (rows, _), root in zip(waves.patterns, roots, strict=True):
            made[rows] = values[rows] @ root.T
        return made

    return whiten
