"""Quantitative bias analysis of a two-by-two table: what a known error would have hidden."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from tasks.core.errors import EstimationError
from tasks.stats.inference import z_quantile
from tasks.stats.inputs import FloatArray

Name = Literal["risk_ratio", "odds_ratio"]
NAMES: tuple[Name, ...] = ("risk_ratio", "odds_ratio")
Parameters = Mapping[str, FloatArray]


@dataclass(frozen=True, slots=True)
class Counts:
    """People of two arms, with and without the outcome."""

    target_events: float
    target_total: float
    comparator_events: float
    comparator_total: float


@dataclass(frozen=True, slots=True, eq=False)
class Corrected:
    """Ratios for each draw of the bias parameters, with the standard error of their logarithms.

    A draw that the data exclude (a count below 0) has NaN.
    """

    log_ratio: Mapping[Name, FloatArray]
    std_error: Mapping[Name, FloatArray]


@dataclass(frozen=True, slots=True)
class Simulated:
    """Median and interval of a ratio over draws; `used` of `draws` were possible."""

    estimate: float
    ci_low: float
    ci_high: float
    std_error: float
    used: int
    draws: int
    level: float


def observed(counts: Counts) -> Corrected:
    """Return the ratios as they stand, with Wald standard errors.

    Raises:
        EstimationError: A cell is not above 0.
    """
    a, n1, b, n0 = _cells(counts)
    c, d = n1 - a, n0 - b
    ratio = {"risk_ratio": math.log(a / n1 / (b / n0)), "odds_ratio": math.log(a * d / (b * c))}
    variance = {
        "risk_ratio": 1 / a - 1 / n1 + 1 / b - 1 / n0,
        "odds_ratio": 1 / a + 1 / b + 1 / c + 1 / d,
    }
    return Corrected(
        {name: np.array([ratio[name]]) for name in NAMES},
        {name: np.sqrt(np.array([variance[name]])) for name in NAMES},
    )


def outcome_misclassified(counts: Counts, parameters: Parameters) -> Corrected:
    r"""Return the ratios had the outcome been told without error.

    With sensitivity Se and specificity Sp in an arm, the true risk is
    :math:`(p^* - 1 + Sp) / (Se + Sp - 1)`. Standard errors take Se and Sp as known.

    Args:
        counts: The table as observed.
        parameters: `sensitivity_target`, `specificity_target`, and the same of `comparator`;
            shape (draws,) each.

    Source:
        Lash, Fox & Fink (2009), chapter 6. Agrees with R episensr `misclassification`.
    """
    a, n1, b, n0 = _cells(counts)
    p1, v1 = _true_share(a / n1, n1, parameters, "target")
    p0, v0 = _true_share(b / n0, n0, parameters, "comparator")
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = np.log(p1 / p0)
        odds = np.log(p1 / (1 - p1) / (p0 / (1 - p0)))
        of_ratio = np.sqrt(v1 / p1**2 + v0 / p0**2)
        of_odds = np.sqrt(v1 / (p1 * (1 - p1)) ** 2 + v0 / (p0 * (1 - p0)) ** 2)
    return _made(ratio, odds, of_ratio, of_odds)


def exposure_misclassified(counts: Counts, parameters: Parameters) -> Corrected:
    """Return the ratios had the treatment been told without error.

    Args:
        counts: The table as observed; its columns are what treatment was told to be.
        parameters: `sensitivity_events`, `specificity_events` of the treatment of those with the
            outcome, and the same of `non_events`; shape (draws,) each.

    Source:
        Lash, Fox & Fink (2009), chapter 6; standard error of the odds ratio as Chu et al. (2006)
        Ann Epidemiol 16:834. Agrees with R episensr `misclassification`.
    """
    a, n1, b, n0 = _cells(counts)
    cases, others = a + b, n1 + n0 - a - b
    p1, v1 = _true_share(a / cases, cases, parameters, "events")
    p0, v0 = _true_share((n1 - a) / others, others, parameters, "non_events")
    with np.errstate(invalid="ignore", divide="ignore"):
        odds = np.log(p1 / (1 - p1) / (p0 / (1 - p0)))
        of_odds = np.sqrt(v1 / (p1 * (1 - p1)) ** 2 + v0 / (p0 * (1 - p0)) ** 2)
        t, c = cases * p1 + others * p0, cases * (1 - p1) + others * (1 - p0)
        ratio = np.log(cases * p1 / t) - np.log(cases * (1 - p1) / c)
        by_1 = 1 / p1 - cases / t + 1 / (1 - p1) - cases / c
        by_0 = others / t + others / c
        of_ratio = np.sqrt(by_1**2 * v1 + by_0**2 * v0)
    return _made(ratio, odds, of_ratio, of_odds)


def confounded(counts: Counts, parameters: Parameters) -> Corrected:
    r"""Return the ratios without the part that an unmeasured binary confounder makes.

    A ratio is divided by :math:`(1 + p_1 (R - 1)) / (1 + p_0 (R - 1))`: R is the confounder's
    ratio with the outcome, p its prevalence in an arm.

    Args:
        counts: The table as observed.
        parameters: `prevalence_target`, `prevalence_comparator`, `ratio`; shape (draws,) each.

    Source:
        Lash, Fox & Fink (2009), chapter 5; Miettinen (1972). Agrees with R episensr `confounders`.
    """
    plain = observed(counts)
    p1, p0 = parameters["prevalence_target"], parameters["prevalence_comparator"]
    share = np.log(bias_factor(p1, p0, parameters["ratio"]))
    return Corrected(
        {name: plain.log_ratio[name] - share for name in NAMES},
        {name: plain.std_error[name] + np.zeros_like(share) for name in NAMES},
    )


def bias_factor(
    prevalence_target: FloatArray, prevalence_comparator: FloatArray, ratio: FloatArray
) -> FloatArray:
    """By how much an unmeasured binary confounder multiplies a ratio."""
    return np.asarray(
        (1 + prevalence_target * (ratio - 1)) / (1 + prevalence_comparator * (ratio - 1))
    )


def tipping_prevalence(limit: float, prevalence_comparator: float, ratio: float) -> float | None:
    """Prevalence of a confounder in the target arm that moves a ratio, or its limit, to 1.

    Args:
        limit: The ratio, or the confidence limit that is nearer to 1, > 0.
        prevalence_comparator: Prevalence in the comparator arm, in [0, 1].
        ratio: Ratio of the confounder with the outcome, > 0, not 1.

    Returns:
        The prevalence; None where no prevalence from 0 to 1 does it.

    Source:
        The formula of `confounded`, solved. Agrees with R tipr `tip_with_binary`.
    """
    if ratio == 1:
        return None
    found = (limit * (1 + prevalence_comparator * (ratio - 1)) - 1) / (ratio - 1)
    return found if 0 <= found <= 1 else None


def simulate(
    found: Corrected,
    name: Name,
    random_error: FloatArray | None = None,
    std_error: float = 0.0,
    level: float = 0.95,
) -> Simulated:
    """Return median and interval of a ratio over draws of the bias parameters.

    Args:
        found: Ratios, one a draw.
        name: Which ratio.
        random_error: Standard normal draws, shape (draws,), to add sampling error to each.
        std_error: Standard error that they are multiplied by: that of the observed ratio.
        level: Share of draws between the limits.

    Raises:
        EstimationError: The data exclude nine in ten draws or more.

    Source:
        Lash, Fox & Fink (2009), chapter 8. As R episensr `probsens`.
    """
    ratio = found.log_ratio[name]
    if random_error is not None:
        ratio = ratio + random_error * std_error
    usable = np.sort(ratio[np.isfinite(ratio)])
    if usable.size < max(0.1 * ratio.size, 2):
        gone = ratio.size - usable.size
        what = f"the data exclude {gone} of {ratio.size} draws: counts fall below 0"
        raise EstimationError("bias analysis", what, "narrow the distributions to what can be.")
    low, middle, high = np.exp(np.quantile(usable, [0.5 - level / 2, 0.5, 0.5 + level / 2]))
    spread = float(usable.std(ddof=1))
    return Simulated(
        float(middle), float(low), float(high), spread, int(usable.size), ratio.size, level
    )


def wald(log_ratio: float, std_error: float, level: float = 0.95) -> tuple[float, float]:
    """Return the Wald limits of a ratio."""
    margin = z_quantile(level) * std_error
    return math.exp(log_ratio - margin), math.exp(log_ratio + margin)


def _cells(counts: Counts) -> tuple[float, float, float, float]:
    a, n1 = float(counts.target_events), float(counts.target_total)
    b, n0 = float(counts.comparator_events), float(counts.comparator_total)
    if min(a, b, n1 - a, n0 - b) <= 0:
        what = "an arm has no event, or nobody without one"
        raise EstimationError("bias analysis", what, "give a table whose four cells are above 0.")
    return a, n1, b, n0


def _true_share(
    share: float, n: float, parameters: Parameters, group: str
) -> tuple[FloatArray, FloatArray]:
    """Return the true share and its variance; NaN where it is not between 0 and 1."""
    sensitivity, specificity = (
        parameters[f"sensitivity_{group}"],
        parameters[f"specificity_{group}"],
    )
    youden = sensitivity + specificity - 1
    with np.errstate(invalid="ignore", divide="ignore"):
        true = (share - (1 - specificity)) / youden
        variance = share * (1 - share) / (n * youden**2)
    is_possible = (youden > 0) & (true > 0) & (true < 1)
    return np.where(is_possible, true, np.nan), variance


def _made(
    ratio: FloatArray, odds: FloatArray, of_ratio: FloatArray, of_odds: FloatArray
) -> Corrected:
    return Corrected(
        {"risk_ratio": ratio, "odds_ratio": odds}, {"risk_ratio": of_ratio, "odds_ratio": of_odds}
    )


def draw_trapezoid(
    low: float, mode_low: float, mode_high: float, high: float, uniform: FloatArray
) -> FloatArray:
    """Turn uniform draws into those of a trapezoidal distribution, by its inverse.

    With equal modes it is triangular; with modes at the ends, uniform.
    """
    height = 2 / (high + mode_high - low - mode_low)
    rising, flat = height * (mode_low - low) / 2, height * (mode_high - mode_low)
    up = low + np.sqrt(2 * uniform * (mode_low - low) / height)
    across = mode_low + (uniform - rising) / height
    down = high - np.sqrt(np.maximum(2 * (1 - uniform) * (high - mode_high) / height, 0))
    return np.where(uniform < rising, up, np.where(uniform < rising + flat, across, down))
