"""Generalised linear models: linear, logistic, Poisson, negative binomial."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from tasks.core.errors import EstimationError
from tasks.stats.families import FAMILIES, Family, FamilyName, negative_binomial_family
from tasks.stats.inputs import FloatArray, IntArray, case_weights, row_order
from tasks.stats.newton import Bounds, check_estimable

_BLOCK = 65_536
_MAX_STEPS = 60
_MAX_HALVINGS = 30
_TOLERANCE = 1e-8
_CONSTANT = 1e-12
_RUNAWAY = 1e-2
_MAX_THETA = 1e6
_THETA_STEP = float(np.finfo(np.float64).eps) ** 0.25


@dataclass(frozen=True, slots=True, eq=False)
class GlmFit:
    """A fitted model, intercept first. Arrays of rows are in the sorted order `order`.

    `working` and `residual` are the working weights and residuals, whose product times `x` are
    the scores; `bread` is the inverse of X'WX; `dispersion` is Pearson's over the degrees of
    freedom; `scale` is what model-based variances are multiplied by.
    """

    family: FamilyName
    coef: FloatArray
    bread: FloatArray
    x: FloatArray
    working: FloatArray
    residual: FloatArray
    order: IntArray
    fitted: FloatArray
    log_likelihood: float
    log_likelihood_null: float
    deviance: float
    dispersion: float
    scale: float
    df_residual: int
    n: int
    iterations: int
    theta: float | None = None
    theta_std_error: float | None = None

    @property
    def scores(self) -> FloatArray:
        """Score of each row, shape (n, p), in sorted order."""
        return np.asarray(self.x * (self.working * self.residual)[:, None])

    @property
    def covariance(self) -> FloatArray:
        """Model-based covariance of the coefficients."""
        return np.asarray(self.scale * self.bread)


@dataclass(frozen=True, slots=True, eq=False)
class _Rows:
    x: FloatArray  # standardised, with intercept
    raw: FloatArray
    y: FloatArray
    weight: FloatArray
    offset: FloatArray
    back: FloatArray
    order: IntArray


@dataclass(frozen=True, slots=True, eq=False)
class _End:
    coef: FloatArray
    eta: FloatArray
    working: FloatArray
    deviance: float
    iterations: int


def glm(
    x: ArrayLike,
    y: ArrayLike,
    family: FamilyName = "gaussian",
    *,
    weights: ArrayLike | None = None,
    offset: ArrayLike | None = None,
) -> GlmFit:
    """Fit a generalised linear model with intercept and canonical link.

    Args:
        x: Covariates without intercept, shape (n, p); p may be 0.
        y: Outcome, shape (n,): a number, 0 or 1, or a count, as the family demands.
        family: gaussian (identity link), binomial (logit) or poisson (log).
        weights: Case weights, shape (n,), all > 0.
        offset: What is added to the linear predictor, such as the log of person-time.

    Returns:
        The fit. As in R, `bread` is of the working weights of the last step.

    Raises:
        EstimationError: The outcome is not of the family or does not vary, a covariate is
            constant or collinear or separates the outcomes, or there are too few rows.

    Source:
        McCullagh & Nelder (1989). Agrees with R `glm` and `lm`.
    """
    rows = _rows(x, y, weights, offset)
    _check_outcome(rows.y, family)
    return _fit_of(rows, FAMILIES[family], _iterate(rows, FAMILIES[family]))


def negative_binomial(
    x: ArrayLike,
    y: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    offset: ArrayLike | None = None,
) -> GlmFit:
    """Fit counts whose variance is mean + mean² / theta, theta by maximum likelihood.

    Returns:
        The fit; coefficients' errors take theta as known, as it is orthogonal to them.

    Raises:
        EstimationError: As `glm`; and the counts are not overdispersed.

    Source:
        Lawless (1987) Can J Stat 15. Agrees with R `MASS::glm.nb`.
    """
    rows = _rows(x, y, weights, offset)
    _check_outcome(rows.y, "poisson")
    end = _iterate(rows, FAMILIES["poisson"])
    theta, information = _theta(rows, np.exp(end.eta))
    unit = np.sqrt(2 * max(1, rows.y.size - rows.x.shape[1]))
    reached, gain = _of_counts(rows, end, theta), np.inf
    for _ in range(_MAX_STEPS):
        if gain <= _TOLERANCE:
            break
        mean, used, before = np.exp(end.eta), theta, reached
        end = _iterate(rows, negative_binomial_family(used), end.eta)
        theta, information = _theta(rows, mean)  # of the means before, as glm.nb has it
        reached = _of_counts(rows, end, theta)
        gain = abs(before - reached) / unit + abs(used - theta)
    else:
        raise _not_reached("negative_binomial")
    found = _fit_of(rows, negative_binomial_family(theta), end)
    return replace(found, theta=theta, theta_std_error=float(1 / np.sqrt(information)))


def _of_counts(rows: _Rows, end: _End, theta: float) -> float:
    family = negative_binomial_family(theta)
    return float(rows.weight @ family.log_likelihood(rows.y, family.mean(end.eta)))


def _rows(x: ArrayLike, y: ArrayLike, weights: ArrayLike | None, offset: ArrayLike | None) -> _Rows:
    outcome = np.asarray(y, dtype=np.float64)
    n = outcome.size
    matrix = np.asarray(x, dtype=np.float64).reshape(n, -1) if n else np.zeros((0, 0))
    weight = np.ones(n) if weights is None else case_weights(weights, n)
    added = np.zeros(n) if offset is None else np.asarray(offset, dtype=np.float64)
    numbers = (outcome.sum(), matrix.sum(), added.sum())
    if n <= matrix.shape[1] + 1 or not np.isfinite(numbers).all():
        what = f"{n} rows for {matrix.shape[1] + 1} coefficients, or values that are not finite"
        raise EstimationError("glm", what, "use fewer terms, and rows without missing values.")
    order = row_order((outcome, weight, added), matrix)
    matrix, weight = matrix[order], weight[order]
    centre, scale = _centre_and_scale(matrix, weight)
    back = np.diag(np.append(1.0, 1 / scale))
    back[0, 1:] = -centre / scale
    ones = np.ones(n)
    return _Rows(
        np.column_stack([ones, (matrix - centre) / scale]), np.column_stack([ones, matrix]),
        outcome[order], weight, added[order], back, order,
    )  # fmt: skip


def _centre_and_scale(x: FloatArray, weight: FloatArray) -> tuple[FloatArray, FloatArray]:
    share = weight / weight.sum()
    centre = share @ x
    scale = np.sqrt(share @ (x - centre) ** 2)
    scale[scale <= _CONSTANT * abs(centre)] = 1.0
    return centre, scale


def _check_outcome(y: FloatArray, family: FamilyName) -> None:
    if family == "poisson" and ((y < 0) | (y != np.floor(y))).any():
        what = "there are counts that are negative or not whole"
        raise EstimationError(family, what, "give counts, with `exposure` for person-time.")
    if family == "binomial" and ((y != 0) & (y != 1)).any():
        raise EstimationError(family, "there are outcomes that are not 0 or 1", "recode them.")
    if np.ptp(y) == 0 and (family != "poisson" or not y.any()):
        what = f"the outcome has one value in all {y.size} rows"
        raise EstimationError(family, what, "compare groups in which the outcome varies.")


def _iterate(rows: _Rows, family: Family, eta: FloatArray | None = None) -> _End:
    """Fisher scoring with the start and the stopping rule of R's `glm`.

    It starts 0 and 1 from `(w y + 1/2) / (w + 1)`, which with large weights is so near to 0 or 1
    that it may run away; then from weights of mean 1, as R's `svyglm` does.
    """
    try:
        return _scored(rows, family, eta, rows.weight)
    except EstimationError:
        if family.name != "binomial" or rows.weight.mean() <= 1:
            raise
        return _scored(rows, family, eta, rows.weight / rows.weight.mean())


def _scored(rows: _Rows, family: Family, eta: FloatArray | None, start_weight: FloatArray) -> _End:
    coef, deviance = np.zeros(rows.x.shape[1]), np.inf
    if eta is None:
        eta = family.link(family.start(rows.y, start_weight))
    else:
        deviance = float(rows.weight @ family.deviance(rows.y, family.mean(eta)))
    for iteration in range(1, _MAX_STEPS + 1):
        working, target = _working(rows, family, eta)
        information = _gram(rows.x, working)
        check_estimable(information[1:, 1:], _bounds(rows, family.name, working))
        new = _solved(information, rows.x.T @ (working * target), family.name)
        if iteration == 1:
            coef = new
        step, eta, reached = _no_overshoot(rows, family, coef, new)
        last, coef = abs(step), coef + step
        if abs(reached - deviance) < _TOLERANCE * (abs(reached) + 0.1):
            _check_finite(last, rows, family.name)
            return _End(coef, eta, working, reached, iteration)
        deviance = reached
    raise _not_reached(family.name)


def _solved(information: FloatArray, score: FloatArray, where: str) -> FloatArray:
    try:
        return np.asarray(np.linalg.solve(information, score), dtype=np.float64)
    except np.linalg.LinAlgError:
        raise _separated(where, "the means") from None


def _working(rows: _Rows, family: Family, eta: FloatArray) -> tuple[FloatArray, FloatArray]:
    mean = family.mean(eta)
    slope = family.slope(mean)
    with np.errstate(invalid="ignore", divide="ignore"):
        working = rows.weight * slope**2 / family.variance(mean)
    if not np.isfinite(working).all() or (slope <= 0).any():
        raise _separated(family.name, "the means")
    return working, eta - rows.offset + (rows.y - mean) / slope


def _no_overshoot(
    rows: _Rows, family: Family, coef: FloatArray, new: FloatArray
) -> tuple[FloatArray, FloatArray, float]:
    step = new - coef
    for _ in range(_MAX_HALVINGS):
        eta = rows.x @ (coef + step) + rows.offset
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            reached = float(rows.weight @ family.deviance(rows.y, family.mean(eta)))
        if np.isfinite(reached):
            return step, eta, reached
        step = step / 2
    raise _not_reached(family.name)


def _bounds(rows: _Rows, where: str, working: FloatArray) -> Bounds:
    spread = np.ptp(rows.x[:, 1:], axis=0)
    return Bounds(where, float(working.sum()), spread, _TOLERANCE)


def _check_finite(step: FloatArray, rows: _Rows, where: str) -> None:
    """Refuse a deviance that keeps falling as a coefficient grows without bound."""
    spread = np.append(1.0, np.ptp(rows.x[:, 1:], axis=0))
    if where != "gaussian" and (runaway := np.flatnonzero(step * spread > _RUNAWAY)).size:
        names = ", ".join(str(place - 1) for place in runaway if place)
        raise _separated(where, f"covariate(s) {names} (counted from 0)")


def _separated(where: str, what: str) -> EstimationError:
    return EstimationError(
        where,
        f"{what} run to infinity, since they separate the outcomes completely",
        "merge or drop the categories in which the outcome never occurs.",
    )


def _not_reached(where: str) -> EstimationError:
    what = f"no maximum of the likelihood was reached in {_MAX_STEPS} steps"
    return EstimationError(where, what, "look for extreme values or categories without events.")


def _fit_of(rows: _Rows, family: Family, end: _End) -> GlmFit:
    mean = family.mean(end.eta)
    slope = family.slope(mean)
    n, p = rows.x.shape
    pearson = float(rows.weight @ ((rows.y - mean) ** 2 / family.variance(mean)))
    dispersion = pearson / (n - p)
    is_gaussian = family.name == "gaussian"
    if is_gaussian and end.deviance <= _CONSTANT * float(rows.weight @ rows.y**2):
        what = "the terms fit the outcome without any residual"
        raise EstimationError("gaussian", what, "look for a term that repeats the outcome.")
    log_likelihood, null = _log_likelihoods(rows, family, end)
    fitted = np.empty(n)
    fitted[rows.order] = mean
    return GlmFit(
        family.name, rows.back @ end.coef,
        rows.back @ np.linalg.inv(_gram(rows.x, end.working)) @ rows.back.T,
        rows.raw, end.working, (rows.y - mean) / slope, rows.order, fitted,
        log_likelihood, null, end.deviance, dispersion, dispersion if is_gaussian else 1.0,
        n - p, n, end.iterations,
    )  # fmt: skip


def _log_likelihoods(rows: _Rows, family: Family, end: _End) -> tuple[float, float]:
    """Log-likelihood of the model and of the intercept alone (with the same theta)."""
    alone = replace(rows, x=rows.x[:, :1])
    null = end if rows.x.shape[1] == 1 else _iterate(alone, family)
    if family.name == "gaussian":
        return _normal(rows, end.deviance), _normal(rows, null.deviance)
    values = [family.log_likelihood(rows.y, family.mean(e.eta)) for e in (end, null)]
    return float(rows.weight @ values[0]), float(rows.weight @ values[1])


def _normal(rows: _Rows, deviance: float) -> float:
    n = rows.y.size
    return float(
        (np.log(rows.weight).sum() - n * (np.log(2 * np.pi) + 1 + np.log(deviance / n))) / 2
    )


def _gram(x: FloatArray, weight: FloatArray) -> FloatArray:
    """Weighted cross-product X'WX in blocks of rows, so that no copy of `x` is needed."""
    result = np.zeros((x.shape[1], x.shape[1]))
    for begin in range(0, x.shape[0], _BLOCK):
        block = slice(begin, begin + _BLOCK)
        result += x[block].T @ (weight[block, None] * x[block])
    return np.asarray((result + result.T) / 2)


def _theta(rows: _Rows, mean: FloatArray) -> tuple[float, float]:
    """Theta of highest likelihood, the means given, and its information, by R's `theta.ml`."""
    w, y = rows.weight, rows.y
    if float(w @ ((y - mean) ** 2 - y)) <= 0:
        raise _not_overdispersed()
    theta = float(w.sum() / (w @ (y / mean - 1) ** 2))
    for _ in range(_MAX_STEPS):
        score = special.digamma(theta + y) - special.digamma(theta) + np.log(theta) + 1
        score = score - np.log(theta + mean) - (y + theta) / (mean + theta)
        information = _theta_information(rows, mean, theta)
        step = float(w @ score) / information
        theta = max(theta + step, theta / 2)
        if not theta < _MAX_THETA:
            raise _not_overdispersed()
        if abs(step) <= _THETA_STEP:
            return theta, information
    raise _not_reached("negative_binomial")


def _theta_information(rows: _Rows, mean: FloatArray, theta: float) -> float:
    y = rows.y
    values = special.polygamma(1, theta) - special.polygamma(1, theta + y) - 1 / theta
    values = values + 2 / (mean + theta) - (y + theta) / (mean + theta) ** 2
    found = float(rows.weight @ values)
    return found if found > 0 else float(rows.weight.sum()) / theta**2


def _not_overdispersed() -> EstimationError:
    what = "the counts vary no more than a Poisson count would: theta has no finite estimate"
    return EstimationError("negative_binomial", what, "use method poisson.")
