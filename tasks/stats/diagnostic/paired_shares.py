"""Two tests on the same cases: how often only one of them is right."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import optimize, special

from tasks.core.errors import EstimationError
from tasks.stats.inference import chi_square_p, z_quantile
from tasks.stats.inputs import BoolArray, FloatArray, IntArray

_LOOK = "look at the counts of the cases in which the two tests differ."


@dataclass(frozen=True, slots=True)
class Discordance:
    """Cases in which only the new test, or only the old, is right; of n cases."""

    only_new: int
    only_old: int
    n: int

    @property
    def difference(self) -> float:
        """Share right by the new test less that by the old."""
        return (self.only_new - self.only_old) / self.n

    def tango(self, gap: float) -> float:
        """Return the score statistic of the difference against `gap`.

        Source:
            Tango (1998) Stat Med 17:891; non-inferiority as Liu et al. (2002) Stat Med 21:231.
        """
        b, c, n = float(self.only_new), float(self.only_old), float(self.n)
        slope = -b - c + (2 * n - b + c) * gap
        root = np.sqrt(max(slope * slope - 8 * n * (-c * gap * (1 - gap)), 0.0))
        share = (root - slope) / (4 * n)
        variance = n * (2 * share + gap * (1 - gap))
        top = b - c - n * gap
        if variance <= 0:
            return 0.0 if top == 0 else float(np.copysign(np.inf, top))
        return float(top / np.sqrt(variance))

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Return Tango's score interval of the difference."""
        z = z_quantile(level)
        found = self.difference
        low = _root(lambda gap: self.tango(gap) - z, -1.0, found)
        return low, _root(lambda gap: self.tango(gap) + z, found, 1.0)


def discordance(new: BoolArray, old: BoolArray) -> Discordance:
    """Count the cases in which one test is right and the other is not, shape (n,) each."""
    return Discordance(int((new & ~old).sum()), int((old & ~new).sum()), int(new.size))


def _root(function: Callable[[float], float], low: float, high: float) -> float:
    edge = 1e-12
    low, high = max(low, -1 + edge), min(high, 1 - edge)
    first, last = function(low), function(high)
    if first * last > 0:
        return low if low < -0.5 else high
    return float(optimize.brentq(function, low, high, xtol=1e-14))


@dataclass(frozen=True, slots=True)
class McNemar:
    """McNemar's test: chi-square without and with continuity correction, exact and mid-p."""

    statistic: float
    p_value: float
    corrected: float
    corrected_p_value: float
    exact_p_value: float
    mid_p_value: float
    only_new: int
    only_old: int


def mcnemar(pairs: Discordance) -> McNemar:
    """Test whether two tests on the same cases are right equally often.

    Raises:
        EstimationError: The two never differ.

    Source:
        McNemar (1947); Fagerland et al. (2013) BMC Med Res Methodol 13:91, for mid-p. Agrees
        with R `mcnemar.test` and `binom.test`.
    """
    b, c = pairs.only_new, pairs.only_old
    if not b + c:
        raise EstimationError("mcnemar", "the two tests are right in the same cases", _LOOK)
    plain = (b - c) ** 2 / (b + c)
    corrected = (max(abs(b - c) - 1, 0)) ** 2 / (b + c)
    tail = float(special.bdtr(min(b, c), b + c, 0.5))
    exact = min(2 * tail, 1.0)
    point = float(np.exp(_log_binomial(b + c, b) - (b + c) * np.log(2)))
    mid = 2 * tail - point if b != c else 1 - point
    return McNemar(
        plain, chi_square_p(plain, 1), corrected, chi_square_p(corrected, 1), exact, mid, b, c
    )


def _log_binomial(n: int, k: int) -> float:
    return float(special.gammaln(n + 1) - special.gammaln(k + 1) - special.gammaln(n - k + 1))


def generalised_score(
    counted: BoolArray, is_new: BoolArray, right: BoolArray, units: IntArray
) -> tuple[float, float]:
    """Test whether two predictive values are equal.

    Args:
        counted: Readings with the result whose predictive value it is, shape (n,).
        is_new: Whether a reading is by the new test, shape (n,).
        right: Whether the truth agrees with the result, shape (n,).
        units: Number of the unit (case or person), shape (n,).

    Returns:
        Chi-square with one degree of freedom, and its p-value.

    Raises:
        EstimationError: One test has no such result, or all results are right, or all wrong.

    Source:
        Leisenring, Alonzo & Pepe (2000) Biometrics 56:345.
    """
    new = is_new[counted].astype(np.float64)
    hit = right[counted].astype(np.float64)
    if not 0 < new.sum() < new.size or not 0 < hit.sum() < hit.size:
        what = "one test has no such result, or the results are all right or all wrong"
        raise EstimationError("generalised score", what, _LOOK)
    parts: FloatArray = (new - new.mean()) * (hit - hit.mean())
    _, place = np.unique(units[counted], return_inverse=True)
    sums = np.bincount(place, parts)
    statistic = float(sums.sum() ** 2 / (sums**2).sum())
    return statistic, chi_square_p(statistic, 1)
