"""Two groups and an outcome that is there or not: contrasts of their risks, from four counts."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import optimize, special, stats

from tasks.core.errors import EstimationError
from tasks.stats.inference import Contrast, difference, ratio, two_sided_p, z_quantile
from tasks.stats.inputs import BoolArray, FloatArray
from tasks.stats.proportions import proportion

DifferenceInterval = Literal["wald", "newcombe", "miettinen_nurminen"]
RatioInterval = Literal["log", "koopman"]
_TINY = 1e-12
_FAR = 40.0  # logarithms of ratios are sought within these bounds
_LARGE = 1e9


@dataclass(frozen=True, slots=True)
class TwoRisks:
    """Events and persons of a target group and of the group that it is compared with.

    Raises:
        EstimationError: A group is empty, or has more events than persons.
    """

    events: int
    n: int
    reference_events: int
    reference_n: int

    def __post_init__(self) -> None:
        """Refuse counts that are no risks."""
        pairs = ((self.events, self.n), (self.reference_events, self.reference_n))
        if any(n < 1 or not 0 <= events <= n for events, n in pairs):
            what = f"events of persons are {pairs[0]} and {pairs[1]}"
            raise EstimationError("risk", what, "compare two groups that both have members.")

    @property
    def risks(self) -> tuple[float, float]:
        """Risk of the target and of the reference."""
        return self.events / self.n, self.reference_events / self.reference_n

    @property
    def non_events(self) -> tuple[int, int]:
        """Persons without the event, of the target and of the reference."""
        return self.n - self.events, self.reference_n - self.reference_events


@dataclass(frozen=True, slots=True)
class NumberNeeded:
    """Persons for whom one event is fewer, or more: the inverse of a risk difference.

    Where the interval of the difference holds 0 there are two ranges, from `fewer_from` and
    from `more_from` to infinity, and no single interval (Altman 1998).
    """

    estimate: float
    is_fewer: bool
    ci_low: float | None
    ci_high: float | None
    fewer_from: float | None
    more_from: float | None


def risk_difference_of(
    risks: TwoRisks, method: DifferenceInterval = "wald", level: float = 0.95
) -> Contrast:
    """Risk of the target less that of the reference.

    Args:
        risks: The four counts.
        method: `wald`; `newcombe` (hybrid score from two Wilson intervals, method 10);
            `miettinen_nurminen` (score, variance times N / (N - 1)).
        level: Confidence level.

    Returns:
        The difference; the test beside both score intervals is Miettinen and Nurminen's.

    Raises:
        EstimationError: Wald, and the standard error is zero.

    Source:
        Newcombe (1998) Stat Med 17:873; Miettinen & Nurminen (1985) Stat Med 4:213. Wald agrees
        with R `prop.test(correct = FALSE)`.
    """
    one, other = risks.risks
    gap = one - other
    error = float(np.hypot(*(np.sqrt(p * (1 - p) / n) for p, n in _pairs(risks))))
    if method == "wald":
        return difference(gap, error, level)
    z = z_quantile(level)
    limits = _newcombe(risks, level) if method == "newcombe" else _miettinen_nurminen(risks, z)
    score = _score_z(risks, 0.0)
    return Contrast(
        gap, error, *limits, score, two_sided_p(score), level, "difference", "identity", method
    )


def risk_ratio_of(risks: TwoRisks, method: RatioInterval = "log", level: float = 0.95) -> Contrast:
    """Risk of the target over that of the reference.

    Args:
        risks: The four counts.
        method: `log` (Wald on the log scale) or `koopman` (score; limits exist without events
            in one group).
        level: Confidence level.

    Raises:
        EstimationError: Nobody has the event; with `log`, nobody in one of the groups.

    Source:
        Katz et al. (1978) Biometrics 34; Koopman (1984) Biometrics 40:513.
    """
    one, other = risks.risks
    if not risks.events + risks.reference_events or (method == "log" and not min(one, other)):
        raise EstimationError("risk_ratio", "a group has no event", "report the risk difference.")
    if method == "log":
        parts = ((1 - p) / (p * n) for p, n in _pairs(risks))
        return ratio(float(np.log(one / other)), float(np.sqrt(sum(parts))), level)
    low, high = _koopman(risks, z_quantile(level) ** 2)
    p_value = float(special.chdtrc(1, _koopman_chi(risks, 1.0))) if sum(risks.non_events) else 1.0
    return Contrast(
        one / other if other else np.inf, None, low, high, None, p_value, level,
        "ratio", "log", "koopman",
    )  # fmt: skip


def odds_ratio_of(risks: TwoRisks, level: float = 0.95) -> Contrast:
    """Odds of the target over those of the reference, Woolf's interval.

    Raises:
        EstimationError: One of the four cells is empty.

    Source:
        Woolf (1955) Ann Hum Genet 19. Agrees with R `glm(family = binomial)` of one binary term.
    """
    cells = (risks.events, risks.non_events[0], risks.reference_events, risks.non_events[1])
    if not min(cells):
        fix = "report the exact odds ratio, or the risk difference."
        raise EstimationError("odds_ratio", "one of the four cells is empty", fix)
    a, b, c, d = cells
    error = float(np.sqrt(sum(1 / cell for cell in cells)))
    return ratio(float(np.log(a * d / (b * c))), error, level)


def exact_odds_ratio(risks: TwoRisks, level: float = 0.95) -> Contrast:
    """Conditional maximum-likelihood odds ratio, exact interval and Fisher's p-value.

    Returns:
        The ratio; 0 or infinite where a cell is empty.

    Raises:
        EstimationError: Everybody or nobody has the event: the table tells nothing.

    Source:
        Fisher (1935); Cornfield (1956). Agrees with R `fisher.test`.
    """
    z_quantile(level)
    support, base, seen = _noncentral(risks)
    if support.size < 2:
        what = "everybody or nobody has the event, or a group is empty"
        raise EstimationError("odds_ratio", what, "report the risks alone.")
    tail = (1 - level) / 2
    at_low, at_high = seen == support[0], seen == support[-1]
    low = 0.0 if at_low else _odds_at(support, base, support >= seen, tail)
    high = np.inf if at_high else _odds_at(support, base, support <= seen, tail)
    middle = 0.0 if at_low else np.inf if at_high else _conditional(support, base, seen)
    table = np.array(
        [[risks.events, risks.non_events[0]], [risks.reference_events, risks.non_events[1]]]
    )
    p_value = float(stats.fisher_exact(table).pvalue)
    return Contrast(
        middle, None, low, high, None, p_value, level, "ratio", "log", "exact conditional"
    )


def number_needed(gap: Contrast) -> NumberNeeded:
    """Inverse of a risk difference, with an interval that is right when it crosses 0.

    Raises:
        EstimationError: The difference is 0: the number is infinite.

    Source:
        Altman (1998) BMJ 317:1309.
    """
    if abs(gap.estimate) <= _TINY:
        raise EstimationError("nnt", "the risk difference is 0: the number is infinite", "")
    low, high = gap.ci_low, gap.ci_high
    if low < 0 < high:
        return NumberNeeded(
            1 / abs(gap.estimate), gap.estimate < 0, None, None, 1 / abs(low), 1 / high
        )
    near, far = sorted((abs(low), abs(high)))
    return NumberNeeded(
        1 / abs(gap.estimate), gap.estimate < 0, 1 / far, 1 / near if near else None, None, None
    )


def _pairs(risks: TwoRisks) -> tuple[tuple[float, int], tuple[float, int]]:
    one, other = risks.risks
    return (one, risks.n), (other, risks.reference_n)


def _newcombe(risks: TwoRisks, level: float) -> tuple[float, float]:
    one, other = risks.risks
    a = proportion(risks.events, risks.n, "wilson", level)
    b = proportion(risks.reference_events, risks.reference_n, "wilson", level)
    return (
        one - other - float(np.hypot(one - a.ci_low, b.ci_high - other)),
        one - other + float(np.hypot(a.ci_high - one, other - b.ci_low)),
    )


def _restricted(risks: TwoRisks, gap: float) -> float:
    """Risk of the reference of highest likelihood, the difference given (closed form)."""
    m, n, x, y = risks.n, risks.reference_n, risks.events, risks.reference_events
    total = m + n
    l2 = (m + 2 * n) * gap - total - x - y
    l1 = (n * gap - total - 2 * y) * gap + x + y
    l0 = y * gap * (1 - gap)
    base = l2 / (3 * total)
    q = base**3 - l1 * l2 / (6 * total**2) + l0 / (2 * total)
    p = np.copysign(np.sqrt(max(base**2 - l1 / (3 * total), 0.0)), q)
    angle = np.arccos(np.clip(q / p**3, -1, 1)) if p else np.pi / 2
    found = 2 * p * np.cos((np.pi + angle) / 3) - base
    return float(np.clip(found, max(0.0, -gap), min(1.0, 1 - gap)))


def _score_z(risks: TwoRisks, gap: float) -> float:
    """Miettinen and Nurminen's statistic of a difference."""
    one, other = risks.risks
    q = _restricted(risks, gap)
    p = q + gap
    total = risks.n + risks.reference_n
    variance = (p * (1 - p) / risks.n + q * (1 - q) / risks.reference_n) * total / (total - 1)
    away = one - other - gap
    if variance <= _TINY:
        return 0.0 if abs(away) <= _TINY else float(np.copysign(np.inf, away))
    return float(away / np.sqrt(variance))


def _miettinen_nurminen(risks: TwoRisks, z: float) -> tuple[float, float]:
    one, other = risks.risks
    gap = one - other
    edge = 1 - 1e-9

    def off(value: float, side: float) -> float:
        return float(np.clip(_score_z(risks, value), -1e6, 1e6)) - side * z

    low = -1.0 if gap <= -edge else _root(lambda v: off(v, 1), -edge, gap)
    high = 1.0 if gap >= edge else _root(lambda v: off(v, -1), gap, edge)
    return low, high


def _root(function: Callable[[float], float], low: float, high: float) -> float:
    return float(optimize.brentq(function, low, high, xtol=1e-13, rtol=1e-13))


def _koopman_chi(risks: TwoRisks, theta: float) -> float:
    """Koopman's score statistic of a ratio of risks."""
    m, n, x, y = risks.n, risks.reference_n, risks.events, risks.reference_events
    b = theta * (m + y) + x + n
    root = np.sqrt(max(b**2 - 4 * theta * (m + n) * (x + y), 0.0))
    p = min(2 * theta * (x + y) / (b + root), 1.0)  # of the target, the ratio given
    q = min(p / theta, 1.0)
    away = x / m - theta * y / n
    variance = p * (1 - p) / m + theta**2 * q * (1 - q) / n
    if variance <= 0:
        return 0.0 if abs(away) <= _TINY else np.inf
    return float(away**2 / variance)


def _koopman(risks: TwoRisks, bound: float) -> tuple[float, float]:
    one, other = risks.risks
    middle = np.log(one / other) if one and other else -_FAR if other else _FAR

    def off(log_theta: float) -> float:
        return min(_koopman_chi(risks, float(np.exp(log_theta))), _LARGE) - bound

    low = float(np.exp(_root(off, -_FAR, middle))) if one else 0.0
    high = float(np.exp(_root(off, middle, _FAR))) if other else np.inf
    return low, high


def _noncentral(risks: TwoRisks) -> tuple[FloatArray, FloatArray, int]:
    """Possible events of the target, log of their odds-free probability, and those seen."""
    total = risks.events + risks.reference_events
    low, high = max(0, total - risks.reference_n), min(risks.n, total)
    support = np.arange(low, high + 1, dtype=np.float64)
    persons = risks.n + risks.reference_n
    return support, stats.hypergeom.logpmf(support, persons, total, risks.n), risks.events


def _probabilities(support: FloatArray, base: FloatArray, log_odds: float) -> FloatArray:
    weight = base + support * log_odds
    return np.asarray(special.softmax(weight))


def _odds_at(support: FloatArray, base: FloatArray, chosen: BoolArray, tail: float) -> float:
    """Odds ratio at which the chosen events have the probability `tail`."""

    def off(log_odds: float) -> float:
        return float(_probabilities(support, base, log_odds)[chosen].sum()) - tail

    return float(np.exp(_root(off, -_FAR, _FAR)))


def _conditional(support: FloatArray, base: FloatArray, seen: int) -> float:
    def off(log_odds: float) -> float:
        return float(_probabilities(support, base, log_odds) @ support) - seen

    return float(np.exp(_root(off, -_FAR, _FAR)))
