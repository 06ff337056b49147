"""Incidence rates: events per unit of person-time, with exact Poisson intervals."""

from dataclasses import dataclass

import numpy as np
from scipy import special, stats

from tasks.core.errors import EstimationError
from tasks.stats.inference import Contrast, difference
from tasks.stats.inputs import check_level


@dataclass(frozen=True, slots=True)
class Rate:
    """Events per unit of the person-time given."""

    estimate: float
    std_error: float
    ci_low: float
    ci_high: float
    level: float
    ci_method: str
    events: int
    person_time: float


def incidence_rate(events: int, person_time: float, level: float = 0.95) -> Rate:
    """Incidence rate with the exact (Garwood) Poisson interval.

    Args:
        events: Number of events, 0 or more.
        person_time: Time at risk, > 0, in any unit; the rate is per that unit.
        level: Confidence level.

    Returns:
        Rate, its standard error (square root of events over person-time) and interval. With
        no event the standard error is 0 and only the interval is informative.

    Raises:
        EstimationError: Events are negative or not whole, or person-time is not positive.

    Source:
        Garwood (1936) Biometrika 28. Agrees with R `poisson.test`.
    """
    _check_counts(events, person_time)
    check_level(level)
    tail = (1 - level) / 2
    low = float(special.gammaincinv(events, tail)) if events else 0.0
    high = float(special.gammainccinv(events + 1, tail))
    scale = 1 / person_time
    return Rate(
        events * scale, float(np.sqrt(events)) * scale, low * scale, high * scale, level,
        "exact poisson", int(events), float(person_time),
    )  # fmt: skip


def rate_ratio(a: Rate, b: Rate) -> Contrast:
    """Rate of `a` over rate of `b`, interval and p-value exact given the sum of events.

    Returns:
        The ratio; 0 or infinite where one side has no event, with `std_error` None.

    Raises:
        EstimationError: No event at all, or the levels differ.

    Source:
        Conditional binomial (Clopper-Pearson). Agrees with R `poisson.test`.
    """
    total = a.events + b.events
    if not total or a.level != b.level:
        raise EstimationError(
            "rate_ratio",
            f"{total} events in all, levels {a.level:g} and {b.level:g}",
            "compare rates of one level that have an event between them.",
        )
    test = stats.binomtest(a.events, total, a.person_time / (a.person_time + b.person_time))
    low, high = test.proportion_ci(a.level, method="exact")
    scale = b.person_time / a.person_time
    both = a.events > 0 and b.events > 0
    log_error = float(np.sqrt(1 / a.events + 1 / b.events)) if both else None
    return Contrast(
        a.estimate / b.estimate if b.events else np.inf, log_error,
        _odds(low) * scale, _odds(high) * scale,
        None, float(test.pvalue), a.level, "ratio", "log", "exact conditional",
    )  # fmt: skip


def rate_difference(a: Rate, b: Rate) -> Contrast:
    """Rate of `a` less rate of `b`, in events per unit of person-time, Wald interval.

    Raises:
        EstimationError: The levels differ, or neither side has an event.
    """
    if a.level != b.level:
        raise EstimationError("rate_difference", "levels differ", "use one level for both rates.")
    return difference(a.estimate - b.estimate, float(np.hypot(a.std_error, b.std_error)), a.level)


def _odds(share: float) -> float:
    return float(share / (1 - share)) if share < 1 else float("inf")


def _check_counts(events: int, person_time: float) -> None:
    if events < 0 or events != int(events) or not 0 < person_time < np.inf:
        raise EstimationError(
            "incidence_rate",
            f"{events} events in {person_time:g} person-time",
            "give a whole number of events and a positive person-time.",
        )
