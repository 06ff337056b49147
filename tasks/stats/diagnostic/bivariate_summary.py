"""What a bivariate fit of accuracy says: ratios, curve, regions, and how far centres differ."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from tasks.core.errors import EstimationError
from tasks.stats.diagnostic.bivariate import Bivariate, Counts
from tasks.stats.inference import chi_square_p, z_quantile
from tasks.stats.inputs import FloatArray

_WHERE = "accuracy across centres"
_TURN = 72
_GRID = 400
_LEAST_TO_CORRELATE = 4


@dataclass(frozen=True, slots=True)
class Summary:
    """A pooled value with its interval; of a ratio the standard error is of its logarithm."""

    name: str
    estimate: float
    std_error: float
    ci_low: float
    ci_high: float
    prediction_low: float | None = None
    prediction_high: float | None = None


@dataclass(frozen=True, slots=True)
class Hsroc:
    """The hierarchical summary ROC model that is the same as a bivariate fit."""

    theta: float
    lambda_: float
    beta: float
    sigma2_theta: float
    sigma2_alpha: float


def shares(fit: Bivariate, level: float = 0.95) -> tuple[Summary, ...]:
    """Return sensitivity, false-positive rate and specificity, with the limits of a new centre.

    Standard errors are those of the share (delta method); limits are made on the logit scale.
    """
    z = z_quantile(level)
    error = np.sqrt(np.diag(fit.mean_covariance))
    reach = np.sqrt(np.diag(fit.between) + error**2)
    found = []
    for name, place, sign in (("sensitivity", 0, 1), ("fpr", 1, 1), ("specificity", 1, -1)):
        middle = sign * fit.mean[place]
        margins = np.array([0, -error[place], error[place], -reach[place], reach[place]])
        value, *limits = (float(v) for v in special.expit(middle + z * margins))
        spread = float(value * (1 - value) * error[place])
        found.append(Summary(name, value, spread, *limits))
    return tuple(found)


def ratios(fit: Bivariate, level: float = 0.95) -> tuple[Summary, ...]:
    """Return the likelihood ratios and the diagnostic odds ratio at the summary point."""
    hit, false = special.expit(fit.mean)
    told = {
        "lr_positive": (np.log(hit / false), (1 - hit, false - 1)),
        "lr_negative": (np.log((1 - hit) / (1 - false)), (-hit, false)),
        "diagnostic_odds_ratio": (fit.mean[0] - fit.mean[1], (1.0, -1.0)),
    }
    z, found = z_quantile(level), []
    for name, (log_value, slope) in told.items():
        gradient = np.array(slope)
        error = float(np.sqrt(gradient @ fit.mean_covariance @ gradient))
        value, low, high = np.exp(log_value + z * error * np.array([0, -1, 1]))
        found.append(Summary(name, float(value), error, float(low), float(high)))
    return tuple(found)


def hsroc(fit: Bivariate) -> Hsroc:
    """Return the parameters of Rutter and Gatsonis that the fit implies.

    Source: Harbord et al. (2007) Biostatistics 8:239.
    """
    a, b = fit.sd
    covariance, ratio = fit.between[0, 1], np.sqrt(b / a)
    first, second = ratio * fit.mean[0], fit.mean[1] / ratio
    return Hsroc(
        float((first + second) / 2), float(first - second), float(np.log(b / a)),
        float((a * b + covariance) / 2), float(2 * (a * b - covariance)),
    )  # fmt: skip


def sroc(fit: Bivariate, fpr: ArrayLike) -> FloatArray:
    """Return the sensitivity of the summary ROC curve at false-positive rates."""
    slope = fit.sd[0] / fit.sd[1]
    logit = special.logit(np.asarray(fpr, np.float64))
    return np.asarray(special.expit(fit.mean[0] + slope * (logit - fit.mean[1])))


def area(fit: Bivariate, low: float = 0.0, high: float = 1.0) -> float:
    """Return the mean height of the summary ROC curve between two false-positive rates."""
    if not high > low:
        raise EstimationError(_WHERE, "all centres have the same false-positive rate", "leave it.")
    node, weight = np.polynomial.legendre.leggauss(_GRID)
    # The substitution squares the ends away, where the curve may be steep.
    turn = np.pi * (node + 1) / 2
    part, slope = (1 - np.cos(turn)) / 2, np.pi / 4 * np.sin(turn)
    return float((weight * slope * sroc(fit, low + (high - low) * part)).sum())


def region(fit: Bivariate, kind: str, level: float = 0.95) -> FloatArray:
    """Return the outline of a region as false-positive rates and sensitivities, shape (73, 2).

    Args:
        fit: The fit.
        kind: `confidence` holds the mean of all centres, `prediction` the truth of a new one.
        level: Its probability.
    """
    spread = fit.mean_covariance + (fit.between if kind == "prediction" else 0)
    size, axes = np.linalg.eigh(spread)
    radius = np.sqrt(-2 * np.log(1 - level))
    angle = np.linspace(0, 2 * np.pi, _TURN + 1)
    circle = np.column_stack([np.cos(angle), np.sin(angle)]) * np.sqrt(np.maximum(size, 0))
    return np.asarray(special.expit(fit.mean + radius * circle @ axes.T)[:, ::-1])


def inconsistency(fit: Bivariate, counts: Counts) -> dict[str, float]:
    """Return I squared of both together, of sensitivity, and of specificity, in per cent.

    Source: Zhou & Dendukuri (2014) Stat Med 33:2701.
    """
    trials, tau2 = counts.trials, np.diag(fit.between)
    inverse = np.array([np.mean(1 / part[part > 0]) for part in trials.T])
    typical = (np.exp(tau2 / 2 + fit.mean) + np.exp(tau2 / 2 - fit.mean) + 2) * inverse
    alone = 100 * tau2 / (tau2 + typical)
    joint, within = np.sqrt(np.linalg.det(fit.between)), np.sqrt(np.prod(typical))
    both = float(100 * joint / (joint + within))
    return {"both": both, "sensitivity": float(alone[0]), "specificity": float(alone[1])}


@dataclass(frozen=True, slots=True)
class Equality:
    """Pearson's chi-square test that a share is the same in all centres."""

    statistic: float
    df: int
    p_value: float


def same_share(hits: FloatArray, trials: FloatArray) -> Equality:
    """Test that a share is the same in all centres, shape (k,) each.

    Raises:
        EstimationError: Fewer than 2 centres have trials, or all trials end alike.
    """
    there = trials > 0
    y, n = hits[there], trials[there]
    share = y.sum() / n.sum() if n.size > 1 else 0.0
    if not 0 < share < 1:
        raise EstimationError(_WHERE, "a share does not vary, or is of one centre", "leave it.")
    statistic = float(((y - n * share) ** 2 / (n * share * (1 - share))).sum())
    return Equality(statistic, n.size - 1, chi_square_p(statistic, n.size - 1))


def correlation(counts: Counts, level: float = 0.95) -> tuple[float, float, float]:
    """Return the correlation of observed sensitivity and false-positive rate, with Fisher's limits.

    Raises:
        EstimationError: Fewer than 4 centres, or one of both is the same everywhere.
    """
    there = (counts.trials > 0).all(axis=1)
    share = counts.positives[there] / counts.trials[there]
    if share.shape[0] < _LEAST_TO_CORRELATE or (np.ptp(share, axis=0) == 0).any():
        raise EstimationError(
            _WHERE, "too few centres, or no difference, to correlate", "leave it."
        )
    rho = float(np.asarray(np.corrcoef(share.T))[0, 1])
    reach = z_quantile(level) / np.sqrt(share.shape[0] - 3)
    middle = np.arctanh(min(max(rho, -1 + 1e-12), 1 - 1e-12))
    return rho, float(np.tanh(middle - reach)), float(np.tanh(middle + reach))
