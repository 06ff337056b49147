"""Proportions with Wilson's and the exact interval."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import special

from tasks.core.errors import EstimationError
from tasks.stats.inference import z_quantile

IntervalMethod = Literal["wilson", "exact"]


@dataclass(frozen=True, slots=True)
class Proportion:
    """Share of `n` that are counted in `count`; the standard error is that of the binomial."""

    estimate: float
    std_error: float
    ci_low: float
    ci_high: float
    level: float
    ci_method: IntervalMethod
    count: int
    n: int


def proportion(
    count: int, n: int, method: IntervalMethod = "wilson", level: float = 0.95
) -> Proportion:
    """Proportion of a count with an interval that stays within 0 and 1.

    Args:
        count: How many are counted, from 0 to `n`.
        n: Of how many, 1 or more.
        method: `wilson` (score, without correction) or `exact` (Clopper-Pearson).
        level: Confidence level.

    Returns:
        Share, standard error and interval.

    Raises:
        EstimationError: `n` is 0, or `count` is not from 0 to `n`.

    Source:
        Wilson (1927) JASA 22; Clopper & Pearson (1934) Biometrika 26. Agrees with R
        `prop.test(correct = FALSE)` and `binom.test`.
    """
    if n < 1 or not 0 <= count <= n:
        what = f"{count} of {n} is no proportion"
        raise EstimationError("proportion", what, "give a count from 0 to n, and n of 1 or more.")
    share = count / n
    low, high = (_wilson if method == "wilson" else _exact)(count, n, level)
    error = float(np.sqrt(share * (1 - share) / n))
    return Proportion(share, error, low, high, level, method, count, n)


def _wilson(count: int, n: int, level: float) -> tuple[float, float]:
    z2 = z_quantile(level) ** 2
    share = count / n
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    margin = float(np.sqrt(z2 * (share * (1 - share) / n + z2 / (4 * n**2)))) / (1 + z2 / n)
    low = 0.0 if count == 0 else centre - margin
    return low, 1.0 if count == n else centre + margin


def _exact(count: int, n: int, level: float) -> tuple[float, float]:
    z_quantile(level)  # refuses a level outside (0, 1)
    tail = (1 - level) / 2
    low = float(special.betaincinv(count, n - count + 1, tail)) if count else 0.0
    high = float(special.betaincinv(count + 1, n - count, 1 - tail)) if count < n else 1.0
    return low, high
