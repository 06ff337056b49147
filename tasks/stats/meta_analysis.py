"""Pool the effects of sites or studies, each an estimate with its sampling variance.

`pool(effects, variances, method="reml")` is all that sites of a consortium need: each gives one
number and its error, and nothing of its persons.
"""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from tasks.core.errors import EstimationError
from tasks.stats.inference import chi_square_p, two_sided_p, z_quantile
from tasks.stats.inputs import FloatArray
from tasks.stats.meta_analysis_tau2 import (
    Tau2,
    Tau2Method,
    WeightedModel,
    estimate_tau2,
    q_profile,
)
from tasks.stats.students_t import t_quantile, two_sided_t

KnappHartung = Literal["none", "plain", "modified"]
Prediction = Literal["as_interval", "higgins"]
MIN_SITES = 3
_RANK_TOLERANCE = 1e-7
_EXACT_FIT = 1e-24


@dataclass(frozen=True, slots=True)
class Heterogeneity:
    """How far effects differ beyond their sampling errors; I squared in per cent."""

    q: float
    df: int
    p_value: float
    i2: float
    h2: float
    tau2: float
    tau2_std_error: float | None
    tau2_low: float | None
    tau2_high: float | None


@dataclass(frozen=True, slots=True)
class OmnibusTest:
    """Test of all moderators at once: chi-square, or F where `df2` is a number; R2 in per cent."""

    statistic: float
    df1: int
    df2: float | None
    p_value: float
    r2: float | None


@dataclass(frozen=True, slots=True, eq=False)
class Pooled:
    """The pooled effect, first of the coefficients, with what it rests on.

    `weights` are per cent, one a site. `df` is of Student's t, None where intervals are normal.
    `prediction` limits hold the true effect of a new site; None with moderators and where effects
    are held to be the same everywhere.
    """

    method: Tau2Method
    coefficients: FloatArray
    covariance: FloatArray
    df: float | None
    level: float
    heterogeneity: Heterogeneity
    weights: FloatArray
    prediction_low: float | None
    prediction_high: float | None
    prediction_df: float | None
    moderators: OmnibusTest | None
    k: int

    @property
    def estimate(self) -> float:
        """The pooled effect."""
        return float(self.coefficients[0])

    @property
    def std_errors(self) -> FloatArray:
        """Standard error of each coefficient."""
        return np.asarray(np.sqrt(np.diag(self.covariance)))

    @property
    def std_error(self) -> float:
        """Standard error of the pooled effect."""
        return float(self.std_errors[0])

    @property
    def statistics(self) -> FloatArray:
        """Each coefficient over its standard error."""
        return np.asarray(self.coefficients / self.std_errors)

    @property
    def p_values(self) -> FloatArray:
        """Two-sided p-value of each coefficient."""
        df = self.df
        p = [two_sided_p(z) if df is None else two_sided_t(z, df) for z in self.statistics]
        return np.array(p)

    @property
    def ci_low(self) -> FloatArray:
        """Lower limit of each coefficient."""
        return np.asarray(self.coefficients - _quantile(self.level, self.df) * self.std_errors)

    @property
    def ci_high(self) -> FloatArray:
        """Upper limit of each coefficient."""
        return np.asarray(self.coefficients + _quantile(self.level, self.df) * self.std_errors)


def pool(
    effects: ArrayLike,
    variances: ArrayLike,
    method: Tau2Method = "reml",
    *,
    moderators: ArrayLike | None = None,
    knapp_hartung: KnappHartung = "none",
    prediction: Prediction = "as_interval",
    level: float = 0.95,
    tight: bool = False,
) -> Pooled:
    """Pool effects under one true effect (`fixed`), or under true effects that vary.

    Args:
        effects: One effect a site, shape (k,); ratios as logarithms.
        variances: Their sampling variances, shape (k,), all > 0.
        method: How the variance between sites is estimated.
        moderators: Columns that explain differences, shape (k, p), without intercept.
        knapp_hartung: Errors scaled by what is left unexplained, with Student's t on k - p degrees
            of freedom; `modified` never makes them smaller.
        prediction: `as_interval` has the quantile of the interval (normal, or t on k - p with
            Knapp-Hartung; R's metafor); `higgins` has t on k - 2 (R's meta).
        level: Confidence level.
        tight: Whether tau squared is found to the last digits, not where R stops.

    Raises:
        EstimationError: Fewer than 3 sites, unusable numbers, or moderators that cannot be told
            apart.
    """
    y, v = _checked(effects, variances)
    if y.size < MIN_SITES:
        what = f"{y.size} sites are too few to pool; {MIN_SITES} are needed"
        raise EstimationError("meta-analysis", what, "show the sites by themselves.")
    x = _design(y.size, moderators)
    found = fit(y, v, x, method, knapp_hartung=knapp_hartung, level=level, tight=tight)
    return _with_prediction(found, prediction) if x.shape[1] == 1 else found


def fit(
    y: FloatArray,
    v: FloatArray,
    x: FloatArray,
    method: Tau2Method,
    *,
    knapp_hartung: KnappHartung = "none",
    level: float = 0.95,
    tight: bool = False,
    profile: bool = True,
) -> Pooled:
    """Pool checked effects on checked columns, the first of ones: `pool` without its minimum.

    With `profile` False the interval of tau squared is left out.
    """
    k, p = x.shape
    tau2 = estimate_tau2(y, v, x, method, tight=tight) if k > p else None
    value = tau2.value if tau2 else 0.0
    model = WeightedModel(y, x, 1 / (v + value))
    df = None if knapp_hartung == "none" else float(k - p)
    covariance: FloatArray = model.inverse * _scale(model, k - p, knapp_hartung)
    found = _heterogeneity(y, v, x, method, tau2)
    if profile and method != "fixed" and k > p:
        low, high = q_profile(y, v, x, value, level, tight=tight)
        found = replace(found, tau2_low=low, tau2_high=high)
    return Pooled(
        method, model.beta, covariance, df, level, found, 100 * model.w / model.w.sum(),
        None, None, None, _omnibus(y, v, model, covariance, df, method, value, tight), k,
    )  # fmt: skip


def _scale(model: WeightedModel, df: int, knapp_hartung: KnappHartung) -> float:
    if knapp_hartung == "none" or df < 1:
        return 1.0
    scale, fitted = model.rss / df, model.x @ model.beta
    if model.rss <= _EXACT_FIT * float((model.w * fitted**2).sum()):
        what = "all effects are the same, or on one line: Knapp-Hartung errors would be 0"
        raise EstimationError("meta-analysis", what, "take knapp_hartung: modified, or none.")
    return max(1.0, scale) if knapp_hartung == "modified" else scale


def _heterogeneity(
    y: FloatArray, v: FloatArray, x: FloatArray, method: Tau2Method, tau2: Tau2 | None
) -> Heterogeneity:
    common, df = WeightedModel(y, x, 1 / v), y.size - x.shape[1]
    q = max(0.0, common.rss)
    if tau2 is None:
        return Heterogeneity(0.0, 0, 1.0, 0.0, 1.0, 0.0, None, None, None)
    if method == "fixed":
        i2 = max(0.0, 100 * (q - df) / q) if q > 0 else 0.0
        return Heterogeneity(q, df, chi_square_p(q, df), i2, q / df, 0.0, None, None, None)
    typical = df / common.trace()
    i2, h2 = 100 * tau2.value / (typical + tau2.value), tau2.value / typical + 1
    p_value = chi_square_p(q, df)
    return Heterogeneity(q, df, p_value, i2, h2, tau2.value, tau2.std_error, None, None)


def _omnibus(
    y: FloatArray,
    v: FloatArray,
    model: WeightedModel,
    covariance: FloatArray,
    df: float | None,
    method: Tau2Method,
    tau2: float,
    tight: bool,
) -> OmnibusTest | None:
    m = model.x.shape[1] - 1
    if not m:
        return None
    beta, part = model.beta[1:], covariance[1:, 1:]
    wald = float(beta @ np.linalg.solve(part, beta))
    r2 = _explained(y, v, method, tau2, tight)
    if df is None:
        return OmnibusTest(wald, m, None, chi_square_p(wald, m), r2)
    return OmnibusTest(wald / m, m, df, float(special.fdtrc(m, df, wald / m)), r2)


def _explained(
    y: FloatArray, v: FloatArray, method: Tau2Method, tau2: float, tight: bool
) -> float | None:
    """Return how much of tau squared the moderators explain, in per cent; None of nothing."""
    if method == "fixed":
        return None
    alone = estimate_tau2(y, v, np.ones((y.size, 1)), method, tight=tight).value
    return max(0.0, 100 * (alone - tau2) / alone) if alone > 0 else None


def _with_prediction(found: Pooled, prediction: Prediction) -> Pooled:
    if found.method == "fixed":
        return found
    df = float(found.k - 2) if prediction == "higgins" else found.df
    spread = float(np.sqrt(found.heterogeneity.tau2 + found.std_error**2))
    margin = _quantile(found.level, df) * spread
    low, high = found.estimate - margin, found.estimate + margin
    return replace(found, prediction_low=low, prediction_high=high, prediction_df=df)


def _quantile(level: float, df: float | None) -> float:
    return z_quantile(level) if df is None else t_quantile(level, df)


def _checked(effects: ArrayLike, variances: ArrayLike) -> tuple[FloatArray, FloatArray]:
    y, v = np.asarray(effects, np.float64), np.asarray(variances, np.float64)
    if y.ndim != 1 or y.shape != v.shape:
        what = f"effects have shape {y.shape}, variances {v.shape}"
        raise EstimationError("meta-analysis", what, "give one effect and one variance a site.")
    if bad := int((~(np.isfinite(y) & np.isfinite(v) & (v > 0))).sum()):
        what = f"{bad} of {y.size} sites have no finite effect, or no variance above 0"
        raise EstimationError("meta-analysis", what, "leave these sites out, and say so.")
    return y, v


def _design(k: int, moderators: ArrayLike | None) -> FloatArray:
    ones = np.ones((k, 1))
    if moderators is None:
        return ones
    x = np.column_stack([ones, np.asarray(moderators, np.float64).reshape(k, -1)])
    if k <= x.shape[1]:
        what = f"{k} sites are too few for {x.shape[1]} coefficients"
        raise EstimationError("moderators", what, "take fewer moderators.")
    scaled = x / np.maximum(np.sqrt((x**2).sum(axis=0)), np.finfo(float).tiny)
    if np.linalg.svd(scaled, compute_uv=False)[-1] <= _RANK_TOLERANCE:
        what = "a moderator is constant, or follows from the others"
        raise EstimationError("moderators", what, "take it out.")
    return x
