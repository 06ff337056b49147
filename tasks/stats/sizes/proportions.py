"""Sizes for shares: by the width of an interval, against a goal, and two shares compared."""

from math import ceil, sqrt

import numpy as np
from scipy import special

from tasks.core.errors import EstimationError
from tasks.stats.inference import z_quantile
from tasks.stats.inputs import FloatArray, IntArray
from tasks.stats.sizes.solve import Plan, check_shares, phi, smallest, tail, whole

_LONGEST_SEARCH = 200_000
_STAYS = 200


def by_width(share: float, width: float, level: float = 0.95, interval: str = "wilson") -> Plan:
    """Cases that make the interval of a share no wider than a width.

    Args:
        share: The share that is expected.
        width: Largest distance of the two limits.
        level: Confidence level.
        interval: `wald` (as Buderer), `wilson` or `exact`.

    Raises:
        EstimationError: The share or the width is not above 0 and below 1.

    Source:
        Buderer (1996) Acad Emerg Med 3:895, for `wald`; the others by search over the width of
        the interval at the expected share.
    """
    check_shares(expected_share=share, width=width)
    z = z_quantile(level)
    if interval == "wald":
        exact = z * z * share * (1 - share) / (width / 2) ** 2
    else:
        widths = _wilson_width if interval == "wilson" else _exact_width
        exact = smallest(lambda n: 1 - widths(share, n, level), 1 - width)
    return Plan(None, {"cases": whole(exact)}, exact, f"{interval} width")


def _wilson_width(share: float, n: float, level: float) -> float:
    z2 = z_quantile(level) ** 2
    return float(2 * np.sqrt(z2 * (share * (1 - share) / n + z2 / (4 * n * n))) / (1 + z2 / n))


def _exact_width(share: float, n: float, level: float) -> float:
    hits, low = share * n, (1 - level) / 2
    lower = special.betaincinv(hits, n - hits + 1, low)
    return float(special.betaincinv(hits + 1, n - hits, 1 - low) - lower)


def against_goal(
    share: float, goal: float, *, alpha: float = 0.025, power: float = 0.8, n: int | None = None
) -> Plan:
    r"""Cases that show by a score test that a share is above a goal, or the power of so many.

    .. math:: n = \Big(\frac{z_{1-\alpha}\sqrt{p_0 (1 - p_0)} + z_{power}\sqrt{p_1 (1 - p_1)}}
              {p_1 - p_0}\Big)^2

    Args:
        share: The share that is expected.
        goal: The share that it has to exceed (fall below, where it is expected lower).
        alpha: One-sided level.
        power: Power that is asked for.
        n: Cases, to be told their power instead.

    Raises:
        EstimationError: A share is not above 0 and below 1, or the two are equal.

    Source:
        Fleiss, Levin & Paik (2003) 3rd ed., sec. 2.6.
    """
    check_shares(expected_share=share, goal=goal)
    z, gap = tail(alpha, 1), abs(share - goal)
    held, expected = sqrt(goal * (1 - goal)), sqrt(share * (1 - share))

    def power_of(cases: float) -> float:
        return phi((gap * sqrt(cases) - z * held) / expected)

    exact = float(n) if n else smallest(power_of, power)
    cases = whole(exact)
    return Plan(power_of(cases), {"cases": cases}, exact, "score test, normal")


def against_goal_exactly(
    share: float, goal: float, *, alpha: float = 0.025, power: float = 0.8, n: int | None = None
) -> Plan:
    """Cases that show by the exact binomial test that a share is above a goal.

    The power of an exact test goes up and down with the cases. The number is the smallest from
    which on it stays above what is asked for, in the next cases at least; `first` is the smallest
    number that reaches it at all, and `at_least` the hits that are then needed.

    Args:
        share: The share that is expected, above the goal.
        goal: The share that it has to exceed.
        alpha: One-sided level.
        power: Power that is asked for.
        n: Cases, to be told their power instead.

    Raises:
        EstimationError: The share is not above the goal, or no number below 200,000 is enough.

    Source:
        A'Hern (2001) Stat Med 20:859.
    """
    check_shares(expected_share=share, goal=goal, power=power)
    tail(alpha, 1)
    if share <= goal:
        what = f"an expected share of {share:g} does not exceed a goal of {goal:g}"
        raise EstimationError("power", what, "expect a higher share, or set a lower goal.")
    if n is None:
        first, cases = _first_that_stays(share, goal, alpha, power)
    else:
        first = cases = n
    found = _power_of_binomial(share, goal, alpha, np.array([cases]))
    needed = float(_critical(goal, alpha, np.array([cases]))[0])
    values = {"first": float(first), "at_least": needed}
    return Plan(float(found[0]), {"cases": cases}, float(cases), "exact binomial test", values)


def _first_that_stays(share: float, goal: float, alpha: float, power: float) -> tuple[int, int]:
    """Return the first number that reaches the power, and the first that is followed by such."""
    near = int(against_goal(share, goal, alpha=alpha, power=power).exact)
    longest = min(4 * near + 2 * _STAYS, _LONGEST_SEARCH)
    numbers = np.arange(1, longest)
    enough = _power_of_binomial(share, goal, alpha, numbers) >= power
    if not enough.any() or not enough[-1]:
        what = "more than 200,000 cases would be needed"
        raise EstimationError("power", what, "expect a higher share, or plan by the normal test.")
    lacking = np.flatnonzero(~enough)
    stays = int(lacking[-1]) + 1 if lacking.size else 0
    return int(numbers[np.argmax(enough)]), int(numbers[stays])


def _critical(goal: float, alpha: float, n: IntArray) -> IntArray:
    """Return the fewest hits whose tail at the goal is no more than alpha, shape (n,)."""
    hits = np.maximum(np.ceil(special.bdtrik(1 - alpha, n, goal)), 0).astype(np.int64) + 1
    hits -= special.bdtrc(hits - 2, n, goal) <= alpha  # the quantile may be off by rounding
    hits += special.bdtrc(hits - 1, n, goal) > alpha
    return np.asarray(hits)


def _power_of_binomial(share: float, goal: float, alpha: float, n: IntArray) -> FloatArray:
    hits = _critical(goal, alpha, n)
    return np.asarray(np.where(hits > n, 0.0, special.bdtrc(hits - 1, n, share)))


def two_shares(
    target: float,
    comparator: float,
    *,
    margin: float = 0.0,
    ratio: float = 1.0,
    alpha: float = 0.05,
    sides: int = 2,
    power: float = 0.8,
    n: int | None = None,
) -> Plan:
    """Persons of two independent groups that show a difference, or non-inferiority.

    Without a margin the error under the null is that of the pooled share, as R's
    `power.prop.test`; with a margin both errors are those of the assumed shares.

    Args:
        target: Share expected in the group that is judged; higher is better.
        comparator: Share expected in the other.
        margin: How much lower the first may be; 0 of superiority.
        ratio: Persons of the first group for one of the other.
        alpha: Level of the test.
        sides: 1 or 2; non-inferiority is a one-sided claim.
        power: Power that is asked for.
        n: Persons of the comparator, to be told their power instead.

    Raises:
        EstimationError: A share is not above 0 and below 1, or nothing can be shown.

    Source:
        Fleiss, Levin & Paik (2003) sec. 4.3; with a margin Blackwelder (1982) Control Clin Trials
        3:345.
    """
    check_shares(share_of_the_target=target, share_of_the_comparator=comparator)
    z = tail(alpha, sides)
    gap = target - comparator + margin if margin else abs(target - comparator)
    apart = target * (1 - target) / ratio + comparator * (1 - comparator)
    together = (ratio * target + comparator) / (1 + ratio)
    null = apart if margin else together * (1 - together) * (1 + 1 / ratio)

    def power_of(persons: float) -> float:
        return phi((gap * sqrt(persons) - z * sqrt(null)) / sqrt(apart))

    exact = float(n) if n else smallest(power_of, power)
    sizes = {"target": whole(ratio * exact), "comparator": whole(exact)}
    sizes |= {"persons": sum(sizes.values())}
    formula = "difference of independent shares"
    return Plan(power_of(whole(exact)), sizes, exact, formula, {"difference": target - comparator})


def two_paired_shares(
    only_target: float,
    only_comparator: float,
    *,
    margin: float = 0.0,
    alpha: float = 0.05,
    sides: int = 2,
    power: float = 0.8,
    n: int | None = None,
) -> Plan:
    r"""Cases read by both tests that show a difference by McNemar's test, or non-inferiority.

    .. math:: n = \Big(\frac{z_\alpha \sqrt{\psi} + z_{power}\sqrt{\psi - \delta^2}}{\delta}\Big)^2

    with :math:`\psi` the share of discordant cases and :math:`\delta` the difference; with a
    margin m :math:`\delta + m` stands below and both errors are :math:`\sqrt{\psi - \delta^2}`.

    Args:
        only_target: Share of cases that are right by the judged test alone.
        only_comparator: Share right by the other alone.
        margin: How much lower the share right by the judged test may be; 0 of superiority.
        alpha: Level of the test.
        sides: 1 or 2.
        power: Power that is asked for.
        n: Cases, to be told their power instead.

    Raises:
        EstimationError: The shares are not usable, or nothing can be shown.

    Source:
        Connor (1987) Biometrics 43:207; with a margin Liu et al. (2002) Stat Med 21:231, their
        Wald statistic.
    """
    discordant, gap = only_target + only_comparator, only_target - only_comparator
    if min(only_target, only_comparator) < 0 or not 0 < discordant <= 1:
        what = f"{discordant:g} of the cases are discordant"
        raise EstimationError("power", what, "give two shares whose sum is above 0, at most 1.")
    z, spread = tail(alpha, sides), sqrt(discordant - gap * gap)
    shown = gap + margin if margin else abs(gap)
    null = spread if margin else sqrt(discordant)

    def power_of(cases: float) -> float:
        return phi((shown * sqrt(cases) - z * null) / max(spread, 1e-12))

    exact = float(n) if n else smallest(power_of, power)
    cases = whole(exact)
    values = {"discordant": discordant, "difference": gap}
    return Plan(power_of(cases), {"cases": cases}, exact, "McNemar, unconditional", values)


def discordant_of(target: float, comparator: float, agreement: float = 0.0) -> tuple[float, float]:
    """Return the shares right by one test only, from what each is right in.

    Args:
        target: Share right by the judged test.
        comparator: Share right by the other.
        agreement: Correlation of being right, 0 where the two are independent.

    Raises:
        EstimationError: The correlation cannot be had with these shares.
    """
    check_shares(share_of_the_target=target, share_of_the_comparator=comparator)
    spread = sqrt(target * (1 - target) * comparator * (1 - comparator))
    both = target * comparator + agreement * spread
    if not max(0.0, target + comparator - 1) <= both <= min(target, comparator):
        what = f"shares of {target:g} and {comparator:g} cannot have correlation {agreement:g}"
        raise EstimationError("power", what, "assume a correlation that is nearer to 0.")
    return target - both, comparator - both


def with_prevalence(cases: int, prevalence: float, have_it: bool) -> int:
    """Return the persons to enrol so that so many with, or without, the condition are expected.

    Raises:
        EstimationError: The prevalence is not above 0 and below 1.
    """
    check_shares(prevalence=prevalence)
    return ceil(cases / (prevalence if have_it else 1 - prevalence) - 1e-9)
