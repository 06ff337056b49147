"""A planned size: the smallest number that reaches a power, and what a number of them gives."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import ceil

from scipy import special

from tasks.core.errors import EstimationError

_LARGEST = 1e12
_STEPS = 200
_NEARLY_WHOLE = 1e-9


@dataclass(frozen=True, slots=True)
class Plan:
    """What a design needs.

    Args:
        power: Power that the sizes give; None where a width is planned, not a test.
        sizes: Whole numbers by name, such as `cases` and `persons`.
        exact: The number before it is rounded up, as other programs print it.
        formula: Name of the formula.
        values: What was computed on the way, by name.
    """

    power: float | None
    sizes: Mapping[str, int]
    exact: float
    formula: str
    values: Mapping[str, float] = field(default_factory=dict)


def z_of(share: float) -> float:
    """Return the standard normal quantile of a share."""
    return float(special.ndtri(share))


def phi(z: float) -> float:
    """Return the standard normal distribution function."""
    return float(special.ndtr(z))


def tail(alpha: float, sides: int) -> float:
    """Return the upper quantile of a test of one or two sides.

    Raises:
        EstimationError: `alpha` is not above 0 and below 0.5, or `sides` is neither 1 nor 2.
    """
    if not 0 < alpha < 0.5 or sides not in (1, 2):
        fix = "give an alpha above 0 and below 0.5, and one or two sides."
        raise EstimationError("power", f"alpha {alpha:g} of {sides} sides", fix)
    return -z_of(alpha / sides)


def check_shares(**shares: float) -> None:
    """Refuse a share that is not above 0 and below 1.

    Raises:
        EstimationError: One of them is not.
    """
    for name, share in shares.items():
        if not 0 < share < 1:
            what = f"{name.replace('_', ' ')} is {share:g}"
            raise EstimationError("power", what, "give a number above 0 and below 1.")


def whole(number: float) -> int:
    """Return the smallest whole number that is no smaller but for rounding error."""
    return ceil(number - _NEARLY_WHOLE * max(1.0, number))


def smallest(power_of: Callable[[float], float], power: float, start: float = 1.0) -> float:
    """Return the number, not whole, at which a power that grows with it is reached.

    Args:
        power_of: Power of a number of cases.
        power: What is to be reached.
        start: The smallest number that makes sense.

    Raises:
        EstimationError: The power is not above 0 and below 1, or no number reaches it.
    """
    check_shares(power=power)
    low, high = start, 2 * start
    while power_of(high) < power:
        low, high = high, 2 * high
        if high > _LARGEST:
            what = "no number reaches this power: the assumed values do not differ from what "
            fix = "assume a larger difference, or a wider margin."
            raise EstimationError("power", what + "is tested", fix)
    for _ in range(_STEPS):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        low, high = (middle, high) if power_of(middle) < power else (low, middle)
    return high


def design_effect(mean_size: float, correlation: float, size_cv: float = 0.0) -> float:
    r"""How much a clustered sample has to be larger than an independent one.

    .. math:: 1 + ((1 + cv^2) m - 1) \rho

    Args:
        mean_size: Mean number of units in a cluster (lesions of a person, persons of a site), m.
        correlation: Correlation of two units of a cluster.
        size_cv: Coefficient of variation of the sizes of clusters.

    Raises:
        EstimationError: A cluster has fewer than one unit, or the correlation is no share.

    Source:
        Kish (1965); Eldridge et al. (2006) Int J Epidemiol 35:1292, for unequal sizes.
    """
    if mean_size < 1 or not 0 <= correlation <= 1 or size_cv < 0:
        what = f"clusters of {mean_size:g}, correlation {correlation:g}, variation {size_cv:g}"
        raise EstimationError(
            "design effect", what, "give a size of 1 or more, a share, 0 or more."
        )
    return 1 + ((1 + size_cv**2) * mean_size - 1) * correlation


def inflated(n: float, effect: float, loss: float = 0.0) -> int:
    """Return a number times a design effect, divided by the share that is not lost.

    Raises:
        EstimationError: All are lost.
    """
    if not 0 <= loss < 1:
        raise EstimationError("power", f"loss is {loss:g}", "give a share below 1.")
    return whole(n * effect / (1 - loss))
