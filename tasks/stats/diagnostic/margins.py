"""Superiority, non-inferiority and equivalence: one-sided tests against a margin."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from scipy import special

Claim = Literal["superiority", "non_inferiority", "equivalence"]
Statistic = Callable[[float], float]
"""The normal statistic of a gap against a value that it is held against."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a test against a margin has shown; `p_value` is one-sided."""

    claim: Claim
    margin: float
    statistic: float
    p_value: float
    is_shown: bool


def judge(
    claim: Claim,
    margin: float,
    statistic: Statistic,
    alpha: float = 0.025,
    df: float = float("inf"),
) -> Verdict:
    """Test whether a gap (larger is better) is above a margin, or within two.

    Args:
        claim: `superiority`: above `margin`; `non_inferiority`: above `-margin`; `equivalence`:
            within both, by two one-sided tests.
        margin: In the unit of the gap, not negative.
        statistic: The normal statistic of the gap against a value.
        alpha: One-sided level.
        df: Degrees of freedom of Student's t; infinite where the statistic is normal.

    Source:
        ICH E9 (1998), 3.3.2; Schuirmann (1987) for two one-sided tests.
    """
    above = statistic(margin if claim == "superiority" else -margin)
    if claim == "equivalence":
        above = min(above, -statistic(margin))
    tail = special.ndtr(-above) if df == float("inf") else special.stdtr(df, -above)
    p_value = float(tail)
    return Verdict(claim, margin, float(above), p_value, p_value <= alpha)


def wald(estimate: float, std_error: float) -> Statistic:
    """Return Wald's statistic of an estimate against any value."""
    return lambda value: (estimate - value) / std_error
