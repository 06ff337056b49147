"""How much true effects differ from site to site: tau squared by eight methods, and its interval.

Starts, steps and stops are those of R's metafor by default, so that its digits are met where the
iterations end before the last ones. Everything is for a model with moderators; a mean is the model
with a column of ones.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import special

from tasks.core.errors import EstimationError
from tasks.stats.brent import TOLERANCE, find_root
from tasks.stats.inputs import FloatArray

Tau2Method = Literal["fixed", "dl", "pm", "reml", "ml", "sj", "he", "eb"]
THRESHOLD = 1e-5
MAX_ITERATIONS = 100
_LARGEST = 100.0
_MAD_TO_SD = 1.4826


@dataclass(frozen=True, slots=True)
class Tau2:
    """The variance of true effects between sites, and its standard error (None where fixed)."""

    value: float
    std_error: float | None


class WeightedModel:
    """Weighted least squares of effects on columns, with traces of the matrix of its residuals.

    With W the weights and M = inv(X'WX), the matrix is P = W - WXMX'W; it is never made, since the
    traces of P times diagonal matrices need its parts alone.
    """

    def __init__(self, y: FloatArray, x: FloatArray, w: FloatArray) -> None:
        """Fit `y` (k,) on `x` (k, p) with weights `w` (k,)."""
        self.w, self.x = w, x
        self.inverse: FloatArray = np.asarray(np.linalg.inv(x.T @ (w[:, None] * x)), np.float64)
        self.beta: FloatArray = self.inverse @ (x.T @ (w * y))
        self.residuals: FloatArray = y - x @ self.beta

    @property
    def rss(self) -> float:
        """Weighted sum of squared residuals: y'Py, which is Cochran's Q where w = 1 / v."""
        return float((self.w * self.residuals**2).sum())

    @property
    def rss_squared(self) -> float:
        """The same without weights on one side: y'PPy."""
        return float(((self.w * self.residuals) ** 2).sum())

    def trace(self, a: FloatArray | float = 1.0) -> float:
        """Trace of PA, with A diagonal."""
        return float((self.w * a).sum() - np.trace(self._middle(self.w**2 * a)))

    def trace2(self, a: FloatArray | float = 1.0, b: FloatArray | float = 1.0) -> float:
        """Trace of PAPB, with A and B diagonal."""
        one, other = self._middle(self.w**2 * a), self._middle(self.w**2 * b)
        both = self._middle(self.w**3 * a * b)
        return float((self.w**2 * a * b).sum() - 2 * np.trace(both) + np.trace(one @ other))

    def hat(self) -> FloatArray:
        """Leverage of each site, shape (k,)."""
        return np.asarray(self.w * ((self.x @ self.inverse) * self.x).sum(axis=1))

    def _middle(self, d: FloatArray) -> FloatArray:
        return np.asarray(self.inverse @ (self.x.T @ (d[:, None] * self.x)))


def estimate_tau2(
    y: FloatArray, v: FloatArray, x: FloatArray, method: Tau2Method, *, tight: bool = False
) -> Tau2:
    """Return tau squared by one of the methods, 0 at the least.

    Args:
        y: Effects, shape (k,).
        v: Their sampling variances, shape (k,).
        x: Columns of the model, the first of ones, shape (k, p) with p < k.
        method: `fixed` is 0.
        tight: Whether iterations go on to the last digits instead of stopping where R stops.

    Raises:
        EstimationError: The iterations do not end.
    """
    return Tau2(0.0, None) if method == "fixed" else _METHODS[method](y, v, x, tight)


def generalised_q(y: FloatArray, v: FloatArray, x: FloatArray, tau2: float) -> float:
    """Q with the weights of a tau squared; it falls as tau squared grows."""
    return WeightedModel(y, x, 1 / (v + tau2)).rss


def q_profile(
    y: FloatArray, v: FloatArray, x: FloatArray, tau2: float, level: float, *, tight: bool = False
) -> tuple[float | None, float | None]:
    """Return the interval of tau squared in which the generalised Q is not unusual.

    A limit is None where it lies above 100 (or ten times tau squared): R says so and no more.

    Source: Viechtbauer (2007) Stat Med 26:37.
    """
    df, tail = y.size - x.shape[1], (1 - level) / 2
    highest = max(_LARGEST, tau2 * 10)
    few, many = float(special.chdtri(df, 1 - tail)), float(special.chdtri(df, tail))
    low, high = (_crossing(y, v, x, target, highest, tight) for target in (many, few))
    return low, high


def _crossing(
    y: FloatArray, v: FloatArray, x: FloatArray, target: float, highest: float, tight: bool
) -> float | None:
    """Return the tau squared at which Q is `target`: 0 where it is less already, None above."""
    if generalised_q(y, v, x, 0.0) < target:
        return 0.0
    if generalised_q(y, v, x, highest) > target:
        return None
    tolerance = 1e-14 if tight else TOLERANCE
    return find_root(lambda t: generalised_q(y, v, x, t) - target, 0.0, highest, tolerance)


def _hedges(y: FloatArray, v: FloatArray, x: FloatArray, _tight: bool) -> Tau2:
    """Hedges (HE): the plain variance of effects less the mean of their sampling variances."""
    fit, df = WeightedModel(y, x, np.ones_like(y)), y.size - x.shape[1]
    expected = fit.trace(v)
    value = max(0.0, (fit.rss - expected) / df)
    spread = 2 * fit.trace2(v, v) + 4 * value * expected + 2 * value**2 * df
    return Tau2(value, float(np.sqrt(spread)) / df)


def _dersimonian_laird(y: FloatArray, v: FloatArray, x: FloatArray, _tight: bool) -> Tau2:
    fit, df = WeightedModel(y, x, 1 / v), y.size - x.shape[1]
    trace = fit.trace()
    value = max(0.0, (fit.rss - df) / trace)
    spread = 2 * df + 4 * value * trace + 2 * value**2 * fit.trace2()
    return Tau2(value, float(np.sqrt(spread)) / trace)


def _sidik_jonkman(y: FloatArray, v: FloatArray, x: FloatArray, _tight: bool) -> Tau2:
    """Sidik and Jonkman (SJ), from the variance of the effects as the first guess."""
    first, df = float(y.var()), y.size - x.shape[1]
    if np.ptp(y) == 0:
        what = "all effects are the same: the first guess of this method is 0"
        raise EstimationError("tau squared", what, "choose another pooling, such as reml.")
    fit = WeightedModel(y, x, 1 / (v + first))
    value = first * fit.rss / df
    spread = 2 * fit.trace2(v, v) + 4 * value * fit.trace2(v) + 2 * value**2 * fit.trace2()
    return Tau2(value, first * float(np.sqrt(spread)) / df)


def _paule_mandel(y: FloatArray, v: FloatArray, x: FloatArray, tight: bool) -> Tau2:
    deviation = _MAD_TO_SD * float(np.median(np.abs(y - np.median(y))))
    highest = max(_LARGEST, 10 * deviation**2)
    value = _crossing(y, v, x, float(y.size - x.shape[1]), highest, tight)
    if value is None:
        what = f"it is above {highest:g}, where the search of this method ends"
        raise EstimationError("tau squared", what, "give the effects in a smaller unit.")
    return Tau2(value, _error_of_moments(v, value, y.size - x.shape[1]))


def _error_of_moments(v: FloatArray, value: float, df: int) -> float:
    return float(v.size * np.sqrt(2 / df) / (1 / (v + value)).sum())


def _empirical_bayes(y: FloatArray, v: FloatArray, x: FloatArray, tight: bool) -> Tau2:
    df = y.size - x.shape[1]

    def step(fit: WeightedModel) -> float:
        return float(fit.rss * y.size / df - y.size) / float(fit.w.sum())

    value = _scored(y, v, x, step, tight)
    return Tau2(value, _error_of_moments(v, value, df))


def _maximum_likelihood(y: FloatArray, v: FloatArray, x: FloatArray, tight: bool) -> Tau2:
    def step(fit: WeightedModel) -> float:
        return (fit.rss_squared - float(fit.w.sum())) / float(np.square(fit.w).sum())

    value = _unless_zero_is_likelier(y, v, x, _scored(y, v, x, step, tight), restricted=False)
    return Tau2(value, float(np.sqrt(2 / (1 / (v + value) ** 2).sum())))


def _restricted_likelihood(y: FloatArray, v: FloatArray, x: FloatArray, tight: bool) -> Tau2:
    def step(fit: WeightedModel) -> float:
        return (fit.rss_squared - fit.trace()) / fit.trace2()

    value = _unless_zero_is_likelier(y, v, x, _scored(y, v, x, step, tight), restricted=True)
    return Tau2(value, float(np.sqrt(2 / WeightedModel(y, x, 1 / (v + value)).trace2())))


def _scored(
    y: FloatArray,
    v: FloatArray,
    x: FloatArray,
    step_of: Callable[[WeightedModel], float],
    tight: bool,
) -> float:
    """Return where Fisher scoring from Hedges' estimate ends; steps below 0 are halved."""
    value, threshold = _hedges(y, v, x, tight).value, 1e-14 if tight else THRESHOLD
    for _ in range(MAX_ITERATIONS * (10 if tight else 1)):
        step = step_of(WeightedModel(y, x, 1 / (v + value)))
        while value + step < 0:
            step /= 2
        value += step
        if abs(step) <= threshold:
            return value
    what = "Fisher scoring does not end"
    raise EstimationError("tau squared", what, "choose another pooling, such as dl or pm.")


def _unless_zero_is_likelier(
    y: FloatArray, v: FloatArray, x: FloatArray, value: float, *, restricted: bool
) -> float:
    at_zero = log_likelihood(y, v, x, 0.0, restricted=restricted)
    is_stuck = at_zero - log_likelihood(y, v, x, value, restricted=restricted) > TOLERANCE
    return 0.0 if is_stuck and value > THRESHOLD else value


def log_likelihood(
    y: FloatArray, v: FloatArray, x: FloatArray, tau2: float, *, restricted: bool
) -> float:
    """Log-likelihood of a tau squared up to a constant, restricted or not."""
    fit = WeightedModel(y, x, 1 / (v + tau2))
    found = -0.5 * (float(np.log(v + tau2).sum()) + fit.rss)
    return found + (0.5 * float(np.linalg.slogdet(fit.inverse)[1]) if restricted else 0.0)


_Estimator = Callable[[FloatArray, FloatArray, FloatArray, bool], Tau2]
_METHODS: Mapping[Tau2Method, _Estimator] = {
    "dl": _dersimonian_laird,
    "pm": _paule_mandel,
    "reml": _restricted_likelihood,
    "ml": _maximum_likelihood,
    "sj": _sidik_jonkman,
    "he": _hedges,
    "eb": _empirical_bayes,
}
