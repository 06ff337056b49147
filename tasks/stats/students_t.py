"""Student's t: two-sided quantiles and p-values."""

from scipy import special

from tasks.stats.inputs import check_level


def t_quantile(level: float, df: float) -> float:
    """Two-sided quantile of Student's t.

    Raises:
        EstimationError: `level` is not in (0, 1).
    """
    check_level(level)
    return float(special.stdtrit(df, 0.5 + level / 2))


def two_sided_t(t: float, df: float) -> float:
    """Two-sided p-value of Student's t."""
    return float(2 * special.stdtr(df, -abs(t)))
