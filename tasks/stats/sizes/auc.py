"""Sizes for areas under the ROC curve: one against a value, two of the same cases compared."""

from collections.abc import Callable
from math import exp, sqrt
from typing import Literal

from tasks.core.errors import EstimationError
from tasks.stats.inference import z_quantile
from tasks.stats.sizes.solve import Plan, check_shares, phi, smallest, tail, whole, z_of

Variance = Literal["obuchowski", "hanley_mcneil"]
_VARIANCE_OF_CHANCE = 0.0792
"""Obuchowski's variance at an area of one half, as it is printed and used by R pROC."""


def variance_of_auc(
    auc: float, cases: float, controls: float, variance: Variance = "hanley_mcneil"
) -> float:
    """Variance of an area that is expected.

    Args:
        auc: The area, above 0 and below 1.
        cases: How many have the condition.
        controls: How many have not.
        variance: Of exponential scores (`hanley_mcneil`) or binormal ones (`obuchowski`).

    Raises:
        EstimationError: The area is not above 0 and below 1.

    Source:
        Hanley & McNeil (1982) Radiology 143:29; Obuchowski (1994), as given by Obuchowski,
        Lieber & Wians (2004) Clin Chem 50:1118.
    """
    check_shares(area=auc)
    if variance == "obuchowski":
        a2 = (1.414 * z_of(auc)) ** 2
        ratio = controls / cases
        return 0.0099 * exp(-a2 / 2) * ((5 * a2 + 8) + (a2 + 8) / ratio) / cases
    first, second, square = auc / (2 - auc), 2 * auc * auc / (1 + auc), auc * auc
    spread = (cases - 1) * (first - square) + (controls - 1) * (second - square)
    return (auc * (1 - auc) + spread) / (cases * controls)


def one_auc(
    auc: float,
    against: float = 0.5,
    *,
    ratio: float = 1.0,
    alpha: float = 0.05,
    sides: int = 2,
    power: float = 0.8,
    n: int | None = None,
    variance: Variance = "obuchowski",
) -> Plan:
    """Cases and controls that show that an area exceeds a value.

    Args:
        auc: The area that is expected.
        against: The area that it is held against.
        ratio: Controls for one case.
        alpha: Level of the test.
        sides: 1 or 2.
        power: Power that is asked for.
        n: Cases, to be told their power instead.
        variance: How the variance is made.

    Raises:
        EstimationError: The two areas are equal, or not above 0 and below 1.

    Source:
        Obuchowski & McClish (1997) Stat Med 16:1529. As R pROC `power.roc.test` against 0.5.
    """
    check_shares(area=auc, area_held_against=against)
    z, gap = tail(alpha, sides), abs(auc - against)

    def power_of(cases: float) -> float:
        null = _held(against, cases, ratio, variance)
        spread = variance_of_auc(auc, cases, ratio * cases, variance)
        return phi((gap - z * sqrt(null)) / sqrt(spread))

    return _planned(power_of, power, ratio, n, f"one area, {variance}")


def _held(auc: float, cases: float, ratio: float, variance: Variance) -> float:
    """Variance under the null; of an area of one half by Obuchowski's own constant."""
    if variance == "obuchowski" and auc == 0.5:
        return _VARIANCE_OF_CHANCE * (1 + 1 / ratio) / cases
    return variance_of_auc(auc, cases, ratio * cases, variance)


def two_aucs(
    target: float,
    comparator: float,
    *,
    correlation: float = 0.0,
    margin: float = 0.0,
    ratio: float = 1.0,
    alpha: float = 0.05,
    sides: int = 2,
    power: float = 0.8,
    n: int | None = None,
    variance: Variance = "obuchowski",
) -> Plan:
    """Cases and controls read by both tests that show a difference of areas, or non-inferiority.

    Without a margin the variance under the null is that of two areas as the comparator's.

    Args:
        target: Area expected of the judged test.
        comparator: Area expected of the other.
        correlation: Correlation of the two estimates; 0 of separate cases.
        margin: How much lower the first may be; 0 of superiority.
        ratio: Controls for one case.
        alpha: Level of the test.
        sides: 1 or 2.
        power: Power that is asked for.
        n: Cases, to be told their power instead.
        variance: How the variances are made.

    Raises:
        EstimationError: An area or the correlation is not usable, or nothing can be shown.

    Source:
        Hanley & McNeil (1983) Radiology 148:839; Obuchowski & McClish (1997) Stat Med 16:1529.
    """
    check_shares(area_of_the_target=target, area_of_the_comparator=comparator)
    if not -1 < correlation < 1:
        what = f"the correlation is {correlation:g}"
        raise EstimationError("power", what, "give a number between -1 and 1.")
    z = tail(alpha, sides)
    gap = target - comparator + margin if margin else abs(target - comparator)

    def power_of(cases: float) -> float:
        new, old = (
            variance_of_auc(a, cases, ratio * cases, variance) for a in (target, comparator)
        )
        spread = new + old - 2 * correlation * sqrt(new * old)
        null = spread if margin else 2 * old * (1 - correlation)
        return phi((gap - z * sqrt(null)) / sqrt(spread))

    return _planned(power_of, power, ratio, n, f"two areas, {variance}")


def auc_by_width(
    auc: float,
    width: float,
    *,
    ratio: float = 1.0,
    level: float = 0.95,
    variance: Variance = "hanley_mcneil",
) -> Plan:
    """Cases and controls that make Wald's interval of an area no wider than a width.

    Args:
        auc: The area that is expected.
        width: Largest distance of the two limits.
        ratio: Controls for one case.
        level: Confidence level.
        variance: How the variance is made.

    Raises:
        EstimationError: The area or the width is not above 0 and below 1.
    """
    check_shares(area=auc, width=width)
    z = z_quantile(level)

    def narrow(cases: float) -> float:
        return 1 - 2 * z * sqrt(variance_of_auc(auc, cases, ratio * cases, variance))

    exact = smallest(narrow, 1 - width)
    return Plan(None, _sizes(exact, ratio), exact, f"width of an area, {variance}")


def _planned(
    power_of: Callable[[float], float], power: float, ratio: float, n: int | None, formula: str
) -> Plan:
    exact = float(n) if n else smallest(power_of, power)
    return Plan(power_of(whole(exact)), _sizes(exact, ratio), exact, formula)


def _sizes(exact: float, ratio: float) -> dict[str, int]:
    sizes = {"cases": whole(exact), "controls": whole(ratio * exact)}
    return {**sizes, "persons": sum(sizes.values())}
