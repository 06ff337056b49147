"""Empirical calibration: systematic error learnt from controls whose true effect is known."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize, special

from tasks.core.errors import EstimationError
from tasks.stats.inference import two_sided_p, z_quantile
from tasks.stats.inputs import FloatArray, same_shape

MIN_CONTROLS = 5
"""Fewer controls than this tell nothing about the spread of systematic error."""
_LARGEST = 1e6
_GRID = 400


@dataclass(frozen=True, slots=True)
class SystematicError:
    """Distribution of the systematic error of an analysis: normal, on the scale of the effects.

    `n` controls made it; `ease` is the expected absolute systematic error.
    """

    mean: float
    sd: float
    ease: float
    log_likelihood: float
    n: int


@dataclass(frozen=True, slots=True)
class Calibrated:
    """An effect with the systematic error taken out, on the scale on which it was given."""

    estimate: float
    std_error: float
    ci_low: float
    ci_high: float
    z: float
    p_value: float
    level: float


def fit_systematic_error(
    estimates: ArrayLike, std_errors: ArrayLike, minimum: int = MIN_CONTROLS
) -> SystematicError:
    r"""Distribution of systematic error, by maximum likelihood.

    The estimate of control i is taken as normal with mean :math:`\mu` and variance
    :math:`\sigma^2 + s_i^2`, where :math:`s_i` is its standard error.

    Args:
        estimates: Estimates less the true effects, shape (n,); logarithms of ratios.
        std_errors: Their standard errors, shape (n,), all > 0.
        minimum: Fewest controls that are taken.

    Returns:
        Mean, standard deviation, and the expected absolute systematic error.

    Raises:
        EstimationError: There are too few controls, or a value is not usable.

    Source:
        Schuemie et al. (2014) Stat Med 33:209. Agrees with R EmpiricalCalibration `fitNull`.
    """
    y, s = _controls(estimates, std_errors, minimum)
    variance = _likeliest_variance(y, s)
    weight = 1 / (s**2 + variance)
    mean, sd = float((weight * y).sum() / weight.sum()), float(np.sqrt(variance))
    likelihood = float(0.5 * (np.log(weight / (2 * np.pi)) - weight * (y - mean) ** 2).sum())
    return SystematicError(mean, sd, expected_absolute_error(mean, sd), likelihood, y.size)


def expected_absolute_error(mean: float, sd: float) -> float:
    """Expected absolute value of a normal systematic error (EASE): the mean of a folded normal.

    Source:
        Leone, Nelson & Nottingham (1961) Technometrics 3:543. Agrees with R EmpiricalCalibration
        `computeExpectedAbsoluteSystematicError`.
    """
    if sd == 0:
        return abs(mean)
    z = mean / sd
    density = float(np.exp(-(z**2) / 2)) / np.sqrt(2 * np.pi)
    return float(2 * sd * density + mean * (1 - 2 * special.ndtr(-z)))


def calibrate(
    estimate: float, std_error: float, error: SystematicError, level: float = 0.95
) -> Calibrated:
    """Estimate, interval and p-value with the systematic error taken out.

    The error is taken to be the same whatever the true effect.

    Args:
        estimate: The estimate, on the scale of the controls (the logarithm of a ratio).
        std_error: Its standard error, > 0.
        error: Distribution of the systematic error.
        level: Confidence level.

    Returns:
        The calibrated effect. Its p-value is that of Schuemie et al. (2014).

    Raises:
        EstimationError: The estimate has no positive standard error.

    Source:
        Schuemie et al. (2018) PNAS 115:2571. Agrees with R EmpiricalCalibration `calibrateP`, and
        `calibrateConfidenceInterval` after `convertNullToErrorModel`.
    """
    if not (np.isfinite(estimate) and np.isfinite(std_error) and std_error > 0):
        what = f"the estimate has no standard error above 0: {std_error:g}"
        raise EstimationError("calibration", what, "calibrate an estimate that has an interval.")
    middle, total = estimate - error.mean, float(np.hypot(std_error, error.sd))
    margin, z = z_quantile(level) * total, middle / total
    return Calibrated(middle, total, middle - margin, middle + margin, z, two_sided_p(z), level)


def _controls(
    estimates: ArrayLike, std_errors: ArrayLike, minimum: int
) -> tuple[FloatArray, FloatArray]:
    y = np.asarray(estimates, dtype=np.float64)
    s = np.asarray(std_errors, dtype=np.float64)
    same_shape(y, s.shape, "controls")
    if y.size < minimum:
        what = f"{y.size} controls could be estimated; {minimum} are needed"
        fix = "add controls that occur more often, or follow more people for longer."
        raise EstimationError("calibration", what, fix)
    if not (np.isfinite(y).all() and np.isfinite(s).all() and (s > 0).all()):
        what = "a control has no finite estimate, or a standard error that is not above 0"
        raise EstimationError("calibration", what, "leave out controls that have no estimate.")
    if abs(y).max() > _LARGEST or s.max() > _LARGEST or s.min() < 1 / _LARGEST:
        what = f"a control, or its standard error, is beyond {_LARGEST:.0g} or 1/{_LARGEST:.0g}"
        raise EstimationError("calibration", what, "look for faults of unit and scale.")
    order = np.lexsort((s, y))
    return y[order], s[order]


def _likeliest_variance(y: FloatArray, s: FloatArray) -> float:
    """Variance of the error that is likeliest, the mean being the likeliest for it.

    The likelihood may have more than one peak: a grid finds the highest, and the root of its slope
    the peak itself.
    """
    reach = float(np.ptp(y)) ** 2
    if reach == 0:
        return 0.0
    grid = reach * np.linspace(0, 1, _GRID + 1) ** 3
    best = int(np.argmax(_log_likelihoods(grid, y, s)))
    low, high = grid[max(best - 1, 0)], grid[min(best + 1, _GRID)]
    if _slope(low, y, s) <= 0:
        return float(low)
    root = optimize.brentq(_slope, low, high, args=(y, s), xtol=1e-15 * reach, rtol=1e-14)
    return float(root)


def _log_likelihoods(variances: FloatArray, y: FloatArray, s: FloatArray) -> FloatArray:
    """Log-likelihood at each variance, but for a constant, shape (variances,)."""
    weight = 1 / (s**2 + variances[:, None])
    mean = (weight * y).sum(axis=1) / weight.sum(axis=1)
    gone = weight * (y - mean[:, None]) ** 2
    return np.asarray(0.5 * (np.log(weight) - gone).sum(axis=1))


def _slope(variance: float, y: FloatArray, s: FloatArray) -> float:
    weight = 1 / (s**2 + variance)
    rest = y - (weight * y).sum() / weight.sum()
    return float(((weight * rest) ** 2 - weight).sum())
