"""E-values: how strongly an unmeasured confounder would have to act to explain a result away."""

import math
from dataclasses import dataclass
from typing import Literal

from tasks.core.errors import EstimationError

Measure = Literal["risk_ratio", "rate_ratio", "odds_ratio", "hazard_ratio"]
_LOG_2 = math.log(2)
COMMON = 0.15
"""From this share of people with the outcome on, odds and hazard ratios are no risk ratios."""


@dataclass(frozen=True, slots=True)
class EValue:
    """An effect as a risk ratio, and the E-values of it and of the limit nearer to no effect.

    `is_converted` is True where the risk ratio is an approximation from another measure.
    """

    estimate: float
    limit: float | None
    risk_ratio: float
    is_converted: bool


def e_value(
    estimate: float,
    ci_low: float | None = None,
    ci_high: float | None = None,
    *,
    measure: Measure = "risk_ratio",
    is_common: bool = False,
) -> EValue:
    r"""E-value of a ratio, and of its confidence limit nearer to 1.

    With a risk ratio R of 1 or more, :math:`E = R + \sqrt{R (R - 1)}`; below 1, that of 1/R.

    Args:
        estimate: The ratio, > 0.
        ci_low: Lower confidence limit, if there is one.
        ci_high: Upper confidence limit, if there is one.
        measure: What ratio it is. A rate ratio is taken as a risk ratio.
        is_common: The outcome occurs in 15 % or more by the end of follow-up: an odds ratio is
            then taken to the square root, a hazard ratio to
            :math:`(1 - 0.5^{\sqrt{HR}}) / (1 - 0.5^{\sqrt{1/HR}})`.

    Returns:
        E-values; that of the limit is 1 where the interval holds 1.

    Raises:
        EstimationError: A ratio or a limit is not above 0.

    Source:
        VanderWeele & Ding (2017) Ann Intern Med 167:268. Agrees with R EValue `evalues.RR`,
        `evalues.OR` and `evalues.HR`.
    """
    given = [ratio for ratio in (estimate, ci_low, ci_high) if ratio is not None]
    if any(not (math.isfinite(ratio) and ratio > 0) for ratio in given):
        what = "the ratio, or a limit of it, is not above 0"
        raise EstimationError("E-value", what, "give ratios as they are, not their logarithms.")
    ratio = _risk_ratio(estimate, measure, is_common)
    near = ci_low if ratio >= 1 else ci_high
    limit = None if near is None else _beyond_null(_risk_ratio(near, measure, is_common), ratio)
    is_converted = is_common and measure in ("odds_ratio", "hazard_ratio")
    return EValue(_e_value(ratio), limit, ratio, is_converted)


def e_value_of_difference(estimate: float, std_error: float | None, outcome_sd: float) -> EValue:
    """E-value of a difference of means, by way of the standardised difference.

    Args:
        estimate: Difference of means.
        std_error: Its standard error, if the E-value of its limit is asked for.
        outcome_sd: Standard deviation of the outcome, > 0.

    Returns:
        E-values, from the risk ratio exp(0.91 d) with limits exp(0.91 d ± 1.78 s).

    Raises:
        EstimationError: The standard deviation is not above 0.

    Source:
        VanderWeele & Ding (2017), table 2; Chinn (2000). Agrees with R EValue `evalues.OLS`.
    """
    if not (math.isfinite(outcome_sd) and outcome_sd > 0):
        what = "the outcome does not vary, so that a difference cannot be standardised"
        raise EstimationError("E-value", what, "look at the outcome column.")
    middle = 0.91 * estimate / outcome_sd
    margin = None if std_error is None else 1.78 * std_error / outcome_sd
    low = None if margin is None else math.exp(middle - margin)
    high = None if margin is None else math.exp(middle + margin)
    found = e_value(math.exp(middle), low, high)
    return EValue(found.estimate, found.limit, found.risk_ratio, True)


def _risk_ratio(ratio: float, measure: Measure, is_common: bool) -> float:
    if not is_common or measure in ("risk_ratio", "rate_ratio"):
        return ratio
    if measure == "odds_ratio":
        return math.sqrt(ratio)
    return math.expm1(-_LOG_2 * math.sqrt(ratio)) / math.expm1(-_LOG_2 / math.sqrt(ratio))


def _beyond_null(limit: float, estimate: float) -> float:
    """E-value of a limit; 1 where it lies on the other side of no effect."""
    crosses = limit <= 1 if estimate >= 1 else limit >= 1
    return 1.0 if crosses else _e_value(limit)


def _e_value(ratio: float) -> float:
    above = max(ratio, 1 / ratio)
    return above + math.sqrt(above * (above - 1))
