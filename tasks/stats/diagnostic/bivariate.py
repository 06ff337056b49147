"""Sensitivity and false-positive rate of centres, pooled together: both vary, one with the other.

With y the positive results among n diseased (and, second, among n healthy) of a centre, the
binomial-normal model has logits X b + L z, z standard normal. Its likelihood is integrated centre
by centre by Gauss-Hermite quadrature around the mode: `points` 1 is the approximation of Laplace,
which R's glmer takes; with 15 a side the integral is exact to the digits that are shown. Reitsma's
model takes the two logits of a centre as normal with their sampling variances.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from tasks.core.errors import EstimationError
from tasks.stats.inputs import FloatArray

Model = Literal["glmm", "reml", "ml"]
Correction = Literal["if_any_zero", "everywhere", "centres_with_zero", "none"]
Values = Callable[[FloatArray], FloatArray]
"""Log-likelihood at several parameters, shape (m, q), as shape (m,)."""

MIN_CENTRES = 5
POINTS = 15
_WHERE = "accuracy across centres"
_STEP = 1e-3
_MAX_STEPS = 200
_SD_OF_BOUNDARY = 1e-3
_RHO_OF_BOUNDARY = 0.999
_SHOW = "show the centres by themselves."


@dataclass(frozen=True, slots=True, eq=False)
class Counts:
    """Two-by-two counts of centres, shape (k,) each."""

    tp: FloatArray
    fp: FloatArray
    fn: FloatArray
    tn: FloatArray

    @classmethod
    def of(cls, tp: ArrayLike, fp: ArrayLike, fn: ArrayLike, tn: ArrayLike) -> "Counts":
        """Return counts from anything like arrays."""
        return cls(*(np.asarray(cell, np.float64) for cell in (tp, fp, fn, tn)))

    @property
    def positives(self) -> FloatArray:
        """Positive results among diseased and healthy, shape (k, 2)."""
        return np.column_stack([self.tp, self.fp])

    @property
    def trials(self) -> FloatArray:
        """Diseased and healthy, shape (k, 2)."""
        return np.column_stack([self.tp + self.fn, self.fp + self.tn])

    def corrected(self, how: Correction = "if_any_zero") -> "Counts":
        """Return the counts with a half added to all four cells, where `how` says."""
        cells = np.array([self.tp, self.fp, self.fn, self.tn])
        has_zero = (cells == 0).any(axis=0)
        where = {
            "if_any_zero": np.full(has_zero.shape, has_zero.any()),
            "everywhere": np.ones_like(has_zero),
            "centres_with_zero": has_zero,
            "none": np.zeros_like(has_zero),
        }[how]
        return Counts(*(cells + 0.5 * where))

    def without(self, place: int) -> "Counts":
        """Return the counts of all centres but one."""
        cells = (self.tp, self.fp, self.fn, self.tn)
        return Counts(*(np.delete(cell, place) for cell in cells))


@dataclass(frozen=True, slots=True, eq=False)
class Bivariate:
    """The pooled logits of sensitivity and of the false-positive rate.

    Args:
        model: How it was fitted.
        coefficients: Of both logits (rows) by column of the model, shape (2, p).
        covariance: Of the coefficients, row by row, shape (2 p, 2 p).
        between: Variance of the true logits between centres, shape (2, 2).
        log_likelihood: At its maximum.
        k: Centres.
        parameters: Where the maximum is, to start another fit from.
    """

    model: Model
    coefficients: FloatArray
    covariance: FloatArray
    between: FloatArray
    log_likelihood: float
    k: int
    parameters: FloatArray

    @property
    def mean(self) -> FloatArray:
        """Pooled logit of sensitivity and of the false-positive rate, shape (2,)."""
        return np.asarray(self.coefficients[:, 0])

    @property
    def mean_covariance(self) -> FloatArray:
        """Covariance of `mean`, shape (2, 2)."""
        p = self.coefficients.shape[1]
        return np.asarray(self.covariance[::p, ::p])

    @property
    def sd(self) -> FloatArray:
        """Standard deviations between centres, shape (2,)."""
        return np.asarray(np.sqrt(np.diag(self.between)))

    @property
    def rho(self) -> float:
        """Correlation of the true logits of sensitivity and false-positive rate."""
        spread = float(np.prod(self.sd))
        return float(self.between[0, 1] / spread) if spread > 0 else 0.0

    @property
    def boundary(self) -> str:
        """Which variance or correlation lies on its boundary, in words; empty if none does."""
        for sd, name in zip(self.sd, ("sensitivity", "the false-positive rate"), strict=True):
            if sd < _SD_OF_BOUNDARY:
                return f"the variance of {name} between centres is 0"
        return "the correlation between centres is 1 or -1" if self._is_on_a_line else ""

    @property
    def _is_on_a_line(self) -> bool:
        return abs(self.rho) > _RHO_OF_BOUNDARY


def pool_accuracy(
    counts: Counts,
    model: Model = "glmm",
    *,
    moderators: ArrayLike | None = None,
    correction: Correction = "if_any_zero",
    points: int = POINTS,
    strict: bool = True,
    start: FloatArray | None = None,
) -> Bivariate:
    """Pool sensitivity and the false-positive rate of centres.

    Args:
        counts: Two-by-two counts of the centres.
        model: `glmm` binomial-normal by maximum likelihood; `reml` and `ml` Reitsma's model.
        moderators: Columns that explain differences, shape (k, p), without intercept.
        correction: Where the normal model adds a half; the binomial one never does.
        points: Points of quadrature a side.
        strict: Whether few centres and a fit at the boundary are refused.
        start: Parameters of a similar fit.

    Raises:
        EstimationError: Fewer than 5 centres, a fit at the boundary, no maximum, or moderators
            that cannot be told apart.

    Source:
        Chu & Cole (2006) J Clin Epidemiol 59:1331; Reitsma et al. (2005) J Clin Epidemiol 58:982.
        Agrees with R lme4 `glmer` (`points` 1) and metafor `rma.mv`.
    """
    k = int((counts.trials > 0).sum(axis=0).min())
    if strict and k < MIN_CENTRES:
        what = f"{k} centres with both truths are too few to pool; {MIN_CENTRES} are needed"
        raise EstimationError(_WHERE, what, _SHOW)
    x = _design(counts.tp.size, moderators)
    fit = _binomial if model == "glmm" else _normal
    found = fit(counts, x, model, correction, points, start)
    if strict and found.boundary:
        raise EstimationError(_WHERE, f"the fit is at a boundary: {found.boundary}", _SHOW)
    return found


def _design(k: int, moderators: ArrayLike | None) -> FloatArray:
    ones = np.ones((k, 1))
    if moderators is None:
        return ones
    x = np.column_stack([ones, np.asarray(moderators, np.float64).reshape(k, -1)])
    if np.linalg.matrix_rank(x) < x.shape[1] or k <= x.shape[1] + 1:
        what = "a moderator is constant, follows from the others, or there are too many"
        raise EstimationError(_WHERE, what, "take it out.")
    return x


def _binomial(
    counts: Counts,
    x: FloatArray,
    model: Model,
    correction: Correction,  # noqa: ARG001 - counts are taken as they are
    points: int,
    start: FloatArray | None,
) -> Bivariate:
    hits, of = counts.positives.sum(axis=0), counts.trials.sum(axis=0)
    if ((hits == 0) | (hits == of)).any():
        what = "all results of the diseased, or of the healthy, are the same"
        raise EstimationError(_WHERE, what, _SHOW)
    first = _first(counts, x) if start is None else start
    values = binomial_likelihood(counts, x, points)
    at, best, curvature = _climb(values, first)
    p = x.shape[1]
    covariance: FloatArray = np.asarray(np.linalg.inv(-curvature)[: 2 * p, : 2 * p], np.float64)
    between = _between(at[None, -3:])[0]
    coefficients = at[: 2 * p].reshape(2, p)
    return Bivariate(model, coefficients, covariance, between, best, x.shape[0], at)


def _first(counts: Counts, x: FloatArray) -> FloatArray:
    """Return where to start: least squares of the corrected logits, and their spread."""
    logit, _ = _logits(counts.corrected("everywhere"))
    beta = np.linalg.lstsq(x, logit, rcond=None)[0]
    rest = logit - x @ beta
    spread = rest.T @ rest / max(x.shape[0] - x.shape[1], 1) * 0.8 + 0.02 * np.eye(2)
    low = np.linalg.cholesky(spread)
    return np.concatenate([beta.T.ravel(), [low[0, 0], low[1, 0], low[1, 1]]])


def _logits(counts: Counts) -> tuple[FloatArray, FloatArray]:
    """Return logits of sensitivity and false-positive rate and their variances, (k, 2) each."""
    hits, misses = counts.positives, counts.trials - counts.positives
    if min(hits.min(), misses.min()) <= 0:
        what = "a cell of a centre is 0, and no half is added"
        raise EstimationError(_WHERE, what, "take another correction, or the binomial model.")
    return np.log(hits / misses), 1 / hits + 1 / misses


def _factor(params: FloatArray) -> FloatArray:
    """Return L of each set of three parameters, shape (m, 2, 2)."""
    made = np.zeros((params.shape[0], 2, 2))
    made[:, 0, 0], made[:, 1, 0], made[:, 1, 1] = params.T
    return made


def _between(params: FloatArray) -> FloatArray:
    low = _factor(params)
    return np.asarray(low @ low.transpose(0, 2, 1))


def binomial_likelihood(counts: Counts, x: FloatArray, points: int = POINTS) -> Values:
    """Return the log-likelihood of the binomial-normal model.

    Parameters are the coefficients of both logits and the three of L, in this order.
    """
    y, n, p = counts.positives, counts.trials, x.shape[1]
    ways = special.gammaln(n + 1) - special.gammaln(y + 1) - special.gammaln(n - y + 1)
    nodes, weights = np.polynomial.hermite.hermgauss(points)
    grid = np.array([(a, b) for a in nodes for b in nodes])
    log_weight = np.log(np.outer(weights, weights)).ravel() + (grid**2).sum(axis=1)

    def values(params: FloatArray) -> FloatArray:
        beta = params[:, : 2 * p].reshape(-1, 2, p)
        fixed, low = np.einsum("kp,mjp->mkj", x, beta), _factor(params[:, 2 * p :])
        mode, root = _modes(y, n, fixed, low)
        z = mode[..., None] + np.sqrt(2) * (root @ grid.T)
        eta = fixed[..., None] + low[:, None] @ z
        told = y[..., None] * eta - n[..., None] * np.logaddexp(0, eta) - z**2 / 2
        log_term = told[:, :, 0] + told[:, :, 1] + log_weight
        area = np.log(root[..., 0, 0] * root[..., 1, 1]) - np.log(np.pi)
        return np.asarray((special.logsumexp(log_term, axis=2) + area).sum(axis=1) + ways.sum())

    return values


def _modes(
    y: FloatArray, n: FloatArray, fixed: FloatArray, low: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return the most likely z of each centre, (m, k, 2), and a root of its inverse curvature."""
    z = np.zeros_like(fixed)
    for _ in range(_MAX_STEPS):
        share = special.expit(fixed + np.einsum("mij,mkj->mki", low, z))
        slope = np.einsum("mji,mkj->mki", low, y - n * share) - z
        curvature = np.einsum("mji,mkj,mjl->mkil", low, n * share * (1 - share), low) + np.eye(2)
        step = np.linalg.solve(curvature, slope[..., None])[..., 0]
        moved = abs(np.einsum("mij,mkj->mki", low, step)).max(axis=-1, keepdims=True)
        z = z + step / (1 + moved)
        if abs(step).max() < 1e-10:
            break
    root = np.linalg.inv(np.linalg.cholesky(curvature)).transpose(0, 1, 3, 2)
    return z, root


def _normal(
    counts: Counts,
    x: FloatArray,
    model: Model,
    correction: Correction,
    points: int,  # noqa: ARG001 - there is nothing to integrate
    start: FloatArray | None,
) -> Bivariate:
    logit, variance = _logits(counts.corrected(correction))
    first = _first(counts, x)[-3:] if start is None else start
    at, best, _ = _climb(normal_likelihood(logit, variance, x, model), first)
    between = _between(at[None])
    beta, information, _, _ = _gls(logit, variance, x, between)
    coefficients = beta[0].reshape(2, x.shape[1])
    inverse = np.linalg.inv(information[0])
    return Bivariate(model, coefficients, inverse, between[0], best, x.shape[0], at)


def normal_likelihood(
    logit: FloatArray, variance: FloatArray, x: FloatArray, model: Model
) -> Values:
    """Return the (restricted) log-likelihood of Reitsma's model at the three parameters of L."""
    (k, p), both = x.shape, np.linalg.slogdet(x.T @ x)[1]

    def values(params: FloatArray) -> FloatArray:
        _, information, squares, log_det = _gls(logit, variance, x, _between(params))
        found = -(squares + log_det + 2 * k * np.log(2 * np.pi)) / 2
        if model == "ml":
            return np.asarray(found)
        rest = np.linalg.slogdet(information)[1] / 2 - both
        return np.asarray(found - rest + p * np.log(2 * np.pi))

    return values


def _gls(
    logit: FloatArray, variance: FloatArray, x: FloatArray, between: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Return coefficients, information, weighted squares and log determinants, one a matrix."""
    total = between[:, None] + np.einsum("kj,ij->kij", variance, np.eye(2))
    inverse, p = np.linalg.inv(total), x.shape[1]
    information = np.einsum("mkij,kp,kq->mipjq", inverse, x, x).reshape(-1, 2 * p, 2 * p)
    told = np.einsum("mkij,kp,kj->mip", inverse, x, logit).reshape(-1, 2 * p)
    beta = np.linalg.solve(information, told[..., None])[..., 0]
    rest = logit - np.einsum("kp,mjp->mkj", x, beta.reshape(-1, 2, p))
    squares = np.einsum("mki,mkij,mkj->m", rest, inverse, rest)
    return beta, information, squares, np.linalg.slogdet(total)[1].sum(axis=1)


def _climb(values: Values, start: FloatArray) -> tuple[FloatArray, float, FloatArray]:
    """Return where a log-likelihood is highest, its value, and its curvature there."""
    at = np.asarray(start, np.float64)
    for _ in range(_MAX_STEPS):
        best, slope, curvature = _derivatives(values, at)
        size, axes = np.linalg.eigh(-curvature)
        bounded = np.maximum(abs(size), 1e-6 * abs(size).max())
        step = axes @ ((axes.T @ slope) / bounded)
        tried = at + np.outer(0.5 ** np.arange(25), step)
        reached = np.nan_to_num(values(tried), nan=-np.inf)
        gain = float(reached.max()) - best
        at = tried[int(reached.argmax())] if gain > 0 else at
        if gain < 1e-10 * (1 + abs(best)) and abs(step).max() < 1e-5:
            return at, max(best, best + gain), _derivatives(values, at)[2]
        if gain <= 0:
            break
    raise EstimationError(_WHERE, "no maximum of the likelihood was reached", _SHOW)


def _derivatives(values: Values, at: FloatArray) -> tuple[float, FloatArray, FloatArray]:
    """Return a value with slope and curvature, by differences of the fourth and second order."""
    q = at.size
    unit = _STEP * np.eye(q)
    single = np.concatenate([at + m * unit for m in (1, -1, 2, -2)])
    rows, columns = np.triu_indices(q, 1)
    cross = [at + a * unit[rows] + b * unit[columns] for a in (1, -1) for b in (1, -1)]
    found = values(np.concatenate([at[None], single, *cross]))
    best, rest = float(found[0]), found[1:]
    one, back, two, far = rest[: 4 * q].reshape(4, q)
    slope = (8 * (one - back) - (two - far)) / (12 * _STEP)
    curvature = np.diag((16 * (one + back) - two - far - 30 * best) / (12 * _STEP**2))
    pairs = rest[4 * q :].reshape(4, rows.size)
    curvature[rows, columns] = (pairs[0] - pairs[1] - pairs[2] + pairs[3]) / (4 * _STEP**2)
    curvature[columns, rows] = curvature[rows, columns]
    return best, slope, curvature
