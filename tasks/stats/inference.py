"""From an estimate and its standard error to intervals, tests and contrasts."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import special

from tasks.core.errors import EstimationError
from tasks.stats.inputs import FloatArray, check_level

Scale = Literal["difference", "ratio"]


@dataclass(frozen=True, slots=True)
class Contrast:
    """One arm against another. A ratio is stored as itself, its standard error as of its log."""

    estimate: float
    std_error: float | None
    ci_low: float
    ci_high: float
    z: float | None
    p_value: float
    level: float
    estimate_scale: Scale
    se_scale: Literal["identity", "log"]
    ci_method: str


@dataclass(frozen=True, slots=True, eq=False)
class TestResult:
    """A chi-square test; `observed` and `expected` hold one number a group, as `groups` lists."""

    __test__ = False  # not a pytest class, whatever its name

    statistic: float
    df: int
    p_value: float
    observed: FloatArray
    expected: FloatArray
    groups: tuple[str, ...]
    n: int
    events: int


def z_quantile(level: float) -> float:
    """Two-sided standard normal quantile of a confidence level: 1.96 for 0.95.

    Raises:
        EstimationError: `level` is not in (0, 1).
    """
    check_level(level)
    return float(special.ndtri(0.5 + level / 2))


def two_sided_p(z: float) -> float:
    """Two-sided p-value of a standard normal statistic."""
    return float(2 * special.ndtr(-abs(z)))


def chi_square_p(statistic: float, df: int) -> float:
    """Upper tail of the chi-square distribution."""
    return float(special.chdtrc(df, statistic))


def difference(estimate: float, std_error: float, level: float) -> Contrast:
    """Wald interval and test of a difference.

    Raises:
        EstimationError: The standard error is zero or undefined.
    """
    _check_std_error("difference", std_error)
    margin, z = z_quantile(level) * std_error, estimate / std_error
    return Contrast(
        estimate, std_error, estimate - margin, estimate + margin, z, two_sided_p(z), level,
        "difference", "identity", "wald",
    )  # fmt: skip


def ratio(log_estimate: float, log_std_error: float, level: float) -> Contrast:
    """Wald interval and test of a ratio, both made on the log scale.

    Raises:
        EstimationError: The standard error is zero or undefined.
    """
    _check_std_error("ratio", log_std_error)
    margin, z = z_quantile(level) * log_std_error, log_estimate / log_std_error
    low, middle, high = np.exp([log_estimate - margin, log_estimate, log_estimate + margin])
    return Contrast(
        float(middle), log_std_error, float(low), float(high), z, two_sided_p(z), level,
        "ratio", "log", "wald",
    )  # fmt: skip


def _check_std_error(where: str, std_error: float) -> None:
    if not (np.isfinite(std_error) and std_error > 0):
        raise EstimationError(
            where,
            f"the standard error is {std_error:g}",
            "report the arms alone: one of them has no event, or nobody left at risk.",
        )
