"""Rubin's rules: one estimate and interval from those of several imputed data sets."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from tasks.core.errors import EstimationError
from tasks.stats.inputs import check_level, same_shape


@dataclass(frozen=True, slots=True)
class Pooled:
    """An estimate over `m` imputations.

    `fraction_missing` is the fraction of missing information; `mcse` the standard error of the
    estimate that is due to drawing few imputations.
    """

    estimate: float
    std_error: float
    ci_low: float
    ci_high: float
    df: float
    statistic: float
    p_value: float
    within: float
    between: float
    fraction_missing: float
    mcse: float
    m: int
    level: float


def pool(
    estimates: ArrayLike,
    std_errors: ArrayLike,
    df_complete: float = np.inf,
    level: float = 0.95,
) -> Pooled:
    r"""Pool the estimates of several imputed data sets.

    With U the mean variance, B the variance between the m estimates, :math:`T = U + (1 + 1/m) B`
    and :math:`\lambda = (1 + 1/m) B / T`, the degrees of freedom are

    .. math:: \nu = \Big(\frac{\lambda^2}{m - 1} + \frac{\nu_c + 3}{\nu_c (\nu_c + 1)(1 - \lambda)}
              \Big)^{-1}

    Args:
        estimates: Estimate of each data set, shape (m,), on a scale where it is nearly normal.
        std_errors: Their standard errors, shape (m,), all > 0.
        df_complete: Degrees of freedom had nothing been missing.
        level: Confidence level.

    Returns:
        Pooled estimate, its interval and test from the t distribution.

    Raises:
        EstimationError: There are fewer than two imputations, or a value is not usable.

    Source:
        Rubin (1987); Barnard & Rubin (1999) Biometrika 86:948. Agrees with R mice `pool`.
    """
    q, s = np.asarray(estimates, np.float64), np.asarray(std_errors, np.float64)
    same_shape(q, s.shape, "imputations")
    check_level(level)
    _check(q, s, df_complete)
    order = np.lexsort((s, q))
    m, middle, within = q.size, float(q[order].mean()), float((s[order] ** 2).mean())
    between = float(((q[order] - middle) ** 2).sum() / (m - 1))
    total = within + (1 + 1 / m) * between
    share = (1 + 1 / m) * between / total
    df = _degrees_of_freedom(share, m, df_complete)
    std_error = float(np.sqrt(total))
    margin = _t_quantile(df, level) * std_error
    t = middle / std_error
    return Pooled(
        middle, std_error, middle - margin, middle + margin, df, t, _two_sided(t, df), within,
        between, _fraction_missing(share, df), float(np.sqrt(between / m)), m, level,
    )  # fmt: skip


def _check(q: np.ndarray, s: np.ndarray, df_complete: float) -> None:
    usable = np.isfinite(q).all() and np.isfinite(s).all() and (s > 0).all()
    if q.size < 2 or not usable or not df_complete > 0:
        what = f"{q.size} imputations, or an estimate without a standard error above 0"
        raise EstimationError("Rubin's rules", what, "impute at least twice; simplify the model.")


def _degrees_of_freedom(share: float, m: int, df_complete: float) -> float:
    """Degrees of freedom of Barnard and Rubin; infinite where nothing is missing or limits it."""
    observed = 0.0
    if np.isfinite(df_complete):
        observed = (df_complete + 3) / (df_complete * (df_complete + 1) * (1 - share))
    inverse = share**2 / (m - 1) + observed
    return 1 / inverse if inverse > 0 else float("inf")


def _fraction_missing(share: float, df: float) -> float:
    """Fraction of missing information, with the spread of few imputations."""
    if share == 0:
        return 0.0
    r = share / (1 - share)
    return float((r + 2 / (df + 3)) / (r + 1))


def _t_quantile(df: float, level: float) -> float:
    if np.isinf(df):
        return float(special.ndtri(0.5 + level / 2))
    return float(special.stdtrit(df, 0.5 + level / 2))


def _two_sided(t: float, df: float) -> float:
    if np.isinf(df):
        return float(2 * special.ndtr(-abs(t)))
    return float(2 * special.stdtr(df, -abs(t)))
