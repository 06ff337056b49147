"""Net benefit of acting on a probability, against acting on all and on none.

At a threshold t a false positive costs t / (1 - t) of what a true positive is worth. Each number
comes with the influence of each reading on it, so that differences, several cases of a person and
modalities that share cases are one computation. Follow-up is in `net_benefit_survival`.
"""

from dataclasses import dataclass

import numpy as np

from tasks.core.errors import EstimationError
from tasks.stats.diagnostic.units import error_of
from tasks.stats.inference import z_quantile
from tasks.stats.inputs import BoolArray, FloatArray, IntArray

_LOOK = "analyse cases with and without the condition."


@dataclass(frozen=True, slots=True, eq=False)
class Influenced:
    """A number, and the influence of each reading on it, shape (n,)."""

    estimate: float
    influence: FloatArray

    def less(self, other: "Influenced", by: float = 1.0) -> "Influenced":
        """Return this less another, over a constant."""
        gap = (self.estimate - other.estimate) / by
        return Influenced(gap, (self.influence - other.influence) / by)


@dataclass(frozen=True, slots=True)
class Interval:
    """A number with Wald's interval."""

    estimate: float
    std_error: float
    ci_low: float
    ci_high: float
    level: float


def odds_of(threshold: float) -> float:
    """Return what a false positive costs at a threshold, in true positives."""
    return threshold / (1 - threshold)


def net_benefit(
    positive: BoolArray, truth: BoolArray, threshold: float, prevalence: float | None = None
) -> Influenced:
    """Return the net benefit of acting where `positive` is True, per case.

    Args:
        positive: Whether each case is acted on, shape (n,).
        truth: Whether it has the condition, shape (n,).
        threshold: The probability at which acting is worth it, above 0 and below 1.
        prevalence: How common the condition is where the test is used; needed where cases were
            drawn by their truth. As common as among the cases when left out.

    Raises:
        EstimationError: A prevalence is given, and all cases or none have the condition.

    Source:
        Vickers & Elkin (2006) Med Decis Making 26:565; with a prevalence, Pfeiffer & Gail (2020).
        Agrees with R dcurves `dca(prevalence = )`.
    """
    odds, n = odds_of(threshold), truth.size
    if prevalence is None:
        gain = np.where(positive, np.where(truth, 1.0, -odds), 0.0)
        value = float(gain.mean())
        return Influenced(value, (gain - value) / n)
    sick = int(truth.sum())
    if not 0 < sick < n:
        what = f"{sick} of {n} cases have the condition"
        raise EstimationError("net benefit", what, _LOOK)
    hits, alarms = float(positive[truth].mean()), float(positive[~truth].mean())
    pull = np.where(
        truth,
        prevalence * (positive - hits) / sick,
        -(1 - prevalence) * odds * (positive - alarms) / (n - sick),
    )
    return Influenced(prevalence * hits - (1 - prevalence) * odds * alarms, pull)


def standardised(found: Influenced, truth: BoolArray, prevalence: float | None) -> Influenced:
    """Return net benefit as a share of the most it could be: the prevalence.

    Args:
        found: Net benefit.
        truth: Whether each case has the condition, shape (n,).
        prevalence: As `net_benefit` took it.

    Raises:
        EstimationError: No case has the condition.

    Source:
        Kerr et al. (2016) J Clin Oncol 34:2534.
    """
    if prevalence is not None:
        return Influenced(found.estimate / prevalence, found.influence / prevalence)
    share = float(truth.mean())
    if not share > 0:
        raise EstimationError("net benefit", "no case has the condition", _LOOK)
    pull = found.influence / share - found.estimate / share**2 * (truth - share) / truth.size
    return Influenced(found.estimate / share, pull)


def interval_of(found: Influenced, units: IntArray, level: float = 0.95) -> Interval:
    """Return the number with its standard error over units, and Wald's interval.

    Args:
        found: The number.
        units: Number of the unit of each reading, from 0, shape (n,).
        level: Confidence level.
    """
    error = error_of(found.influence, units)
    reach = z_quantile(level) * error
    return Interval(found.estimate, error, found.estimate - reach, found.estimate + reach, level)
