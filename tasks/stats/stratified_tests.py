"""Tests over strata of two-by-two tables: that two arms do not differ, that strata do not."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from tasks.core.errors import EstimationError
from tasks.stats.inference import chi_square_p
from tasks.stats.inputs import FloatArray
from tasks.stats.stratified_effects import stratified_counts

_HALF = 0.5  # Yates's correction, left out where the sum is nearer to its expectation, as in R


@dataclass(frozen=True, slots=True)
class StratifiedTest:
    """A chi-square statistic of strata of tables."""

    name: str
    statistic: float
    df: int
    p_value: float


def cochran_mantel_haenszel(
    outcome: ArrayLike, treated: ArrayLike, stratum: ArrayLike
) -> tuple[StratifiedTest, StratifiedTest]:
    """Test that the odds ratio is 1 in all strata: with continuity correction, and without.

    Args:
        outcome: True for rows with the event, shape (n,).
        treated: True for rows of the first arm, shape (n,).
        stratum: Label of the stratum of each row, shape (n,).

    Raises:
        EstimationError: No event, or only events; or no stratum has both arms and both outcomes.

    Source:
        Cochran (1954) Biometrics 10; Mantel & Haenszel (1959). Agrees with R `mantelhaen.test`.
    """
    a, b, c, d = stratified_counts(outcome, treated, stratum)
    n = a + b + c + d
    spread = (a + b) * (c + d) * (a + c) * (b + d) / (n**2 * np.maximum(n - 1, 1))
    variance = float(spread.sum())
    if variance <= 0:
        what = "no stratum has both arms and both outcomes"
        raise EstimationError("cochran_mantel_haenszel", what, "make fewer strata.")
    gap = abs(float((a - (a + b) * (a + c) / n).sum()))
    less = _HALF if gap >= _HALF else 0.0
    return (
        _test("cochran_mantel_haenszel_corrected", (gap - less) ** 2 / variance, 1),
        _test("cochran_mantel_haenszel", gap**2 / variance, 1),
    )


def homogeneous_odds(
    outcome: ArrayLike, treated: ArrayLike, stratum: ArrayLike
) -> tuple[StratifiedTest, StratifiedTest]:
    """Test that all strata have one odds ratio: Breslow and Day's test, and with Tarone's term.

    Strata without both arms and both outcomes say nothing and have no degree of freedom.

    Raises:
        EstimationError: Fewer than two strata say something, or the pooled odds ratio is 0 or
            has no bound.

    Source:
        Breslow & Day (1980), sec. 4.4; Tarone (1985) Biometrika 72. The pooled odds ratio is
        Mantel and Haenszel's. Agrees with statsmodels `StratifiedTable.test_equal_odds`.
    """
    tables = np.stack(stratified_counts(outcome, treated, stratum))
    a, b, c, d = tables[:, ((tables[:2].sum(axis=0) * tables[2:].sum(axis=0)) > 0)
                        & ((tables[0] + tables[2]) * (tables[1] + tables[3]) > 0)]  # fmt: skip
    n = a + b + c + d
    up, down = float((a * d / n).sum()), float((b * c / n).sum())
    if a.size < 2 or min(up, down) <= 0:
        what = f"{a.size} strata with both arms and both outcomes, or no finite odds ratio"
        raise EstimationError("breslow_day", what, "read the pooled estimates alone.")
    wanted = _expected(up / down, a + b, c + d, a + c)
    gap = a - wanted
    spread = 1 / (1 / wanted + 1 / (a + b - wanted) + 1 / (a + c - wanted) + 1 / (d - a + wanted))
    plain = float((gap**2 / spread).sum())
    tarone = plain - float(gap.sum()) ** 2 / float(spread.sum())
    return _test("breslow_day", plain, a.size - 1), _test("tarone", tarone, a.size - 1)


def _expected(odds: float, n1: FloatArray, n0: FloatArray, events: FloatArray) -> FloatArray:
    """Events of the first arm at an odds ratio, the margins given: the root inside the table."""
    if abs(odds - 1) < 1e-12:
        return np.asarray(n1 * events / (n1 + n0))
    middle = n0 - events + odds * (n1 + events)
    root = np.sqrt(middle**2 - 4 * (odds - 1) * odds * n1 * events)
    return np.asarray(2 * odds * n1 * events / (middle + root))


def _test(name: str, statistic: float, df: int) -> StratifiedTest:
    return StratifiedTest(name, statistic, df, chi_square_p(statistic, df))
