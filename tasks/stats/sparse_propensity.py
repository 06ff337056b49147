"""Propensity scores of thousands of sparse covariates: L1 logistic regression, cross-validated."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse, special

from tasks.core.errors import EstimationError
from tasks.stats.inputs import BoolArray, FloatArray, IntArray, flags

Rule = Literal["minimum", "one_standard_error"]
_TOLERANCE = 1e-6
_SMALLEST = 0.01  # of the penalty at which every coefficient is 0
_LEAST_SCORE = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class SparseScore:
    """A penalised propensity score, and how its penalty was chosen.

    `coef` are of the columns as given, shape (p,); `penalties`, descending, `loss` and
    `loss_error`, the mean deviance left out and its standard error, have shape (m,).
    """

    fitted: FloatArray
    logit: FloatArray
    intercept: float
    coef: FloatArray
    penalty: float
    penalties: FloatArray
    loss: FloatArray
    loss_error: FloatArray
    rule: Rule
    n_folds: int
    seed: int

    @property
    def n_used(self) -> int:
        """How many covariates have a coefficient."""
        return int(np.count_nonzero(self.coef))


def sparse_score(
    x: Any,
    treated: ArrayLike,
    rule: Rule = "one_standard_error",
    n_folds: int = 10,
    n_penalties: int = 30,
    seed: int = 1,
) -> SparseScore:
    """Fit a logistic regression with an L1 penalty chosen by cross-validation.

    Args:
        x: Covariates, a scipy sparse matrix or an array, shape (n, p). Each column is divided by
            its standard deviation, so that the penalty treats all alike.
        treated: True for the treated, shape (n,).
        rule: The penalty with the least deviance in the folds left out, or the largest within
            one standard error of it.
        n_folds: Folds, each with its share of both arms.
        n_penalties: Penalties tried, from the least that leaves nothing down to its hundredth.
        seed: Of the folds. Rows must come in an order of their own.

    Returns:
        The fit; the intercept is not penalised.

    Raises:
        EstimationError: An arm has fewer rows than there are folds, or no column varies.

    Source:
        Tibshirani (1996); Friedman, Hastie & Tibshirani (2010) J Stat Softw 33. Solved by skglm
        (Bertrand et al. 2022).
    """
    arm = flags(treated, (x.shape[0],), "treated")
    matrix, scale = _scaled(x)
    _check(arm, scale, n_folds)
    penalties = _penalties(matrix, arm, n_penalties)
    loss = np.stack(
        [
            _left_out(matrix, arm, fold, penalties)
            for fold in _folds(arm, n_folds, np.random.default_rng(seed))
        ]
    )
    mean, error = loss.mean(axis=0), loss.std(axis=0, ddof=1) / np.sqrt(n_folds)
    chosen = _chosen(mean, error, rule)
    path = list(_path(matrix, arm, penalties[: chosen + 1]))
    weights = path[-1]
    logit = np.asarray(matrix @ weights[:-1] + weights[-1])
    fitted = np.clip(special.expit(logit), _LEAST_SCORE, 1 - _LEAST_SCORE)
    coef = np.divide(weights[:-1], scale, out=np.zeros(scale.size), where=scale > 0)
    return SparseScore(
        fitted, logit, float(weights[-1]), coef, float(penalties[chosen]), penalties,
        mean, error, rule, n_folds, seed,
    )  # fmt: skip


def objective(
    x: Any, treated: ArrayLike, intercept: float, coef: FloatArray, penalty: float
) -> float:
    """Mean negative log-likelihood and penalty times the sum of |coef| times the column's SD."""
    arm = flags(treated, (x.shape[0],), "treated")
    _, scale = _scaled(x)
    logit = np.asarray(x @ coef + intercept)
    loss = np.logaddexp(0, logit) - arm * logit
    return float(loss.mean() + penalty * (scale @ abs(coef)))


def _scaled(x: Any) -> tuple[Any, FloatArray]:
    matrix = sparse.csc_matrix(x, dtype=np.float64)
    mean = np.asarray(matrix.mean(axis=0)).ravel()
    square = np.asarray(matrix.multiply(matrix).mean(axis=0)).ravel()
    scale = np.sqrt(np.maximum(square - mean**2, 0.0))
    scale[scale <= 1e-9 * np.sqrt(square)] = 0.0
    back = np.divide(1.0, scale, out=np.zeros(scale.size), where=scale > 0)
    return sparse.csc_matrix(matrix @ sparse.diags(back)), scale


def _check(arm: BoolArray, scale: FloatArray, n_folds: int) -> None:
    few = min(int(arm.sum()), int((~arm).sum()))
    if few < n_folds or not (scale > 0).any():
        raise EstimationError(
            "sparse propensity score",
            f"the smaller arm has {few} rows for {n_folds} folds; {int((scale > 0).sum())} columns"
            " vary",
            "use fewer folds, or a study with more persons.",
        )


def _penalties(matrix: Any, arm: BoolArray, m: int) -> FloatArray:
    largest = float(abs(matrix.T @ (arm - arm.mean())).max()) / arm.size
    return np.asarray(largest * np.geomspace(1.0, _SMALLEST, m))


def _folds(arm: BoolArray, n_folds: int, rng: np.random.Generator) -> Iterator[BoolArray]:
    """Who is left out in each fold; both arms are dealt out evenly."""
    fold: IntArray = np.empty(arm.size, dtype=np.int64)
    for mine in (arm, ~arm):
        fold[mine] = rng.permutation(np.arange(int(mine.sum())) % n_folds)
    for number in range(n_folds):
        yield fold == number


def _left_out(matrix: Any, arm: BoolArray, out: BoolArray, penalties: FloatArray) -> FloatArray:
    """Mean deviance of those left out, one a penalty."""
    rows = matrix.tocsr()
    inside, outside = sparse.csc_matrix(rows[~out]), rows[out]
    found = []
    for weights in _path(inside, arm[~out], penalties):
        logit = np.asarray(outside @ weights[:-1] + weights[-1])
        found.append(2 * float((np.logaddexp(0, logit) - arm[out] * logit).mean()))
    return np.array(found)


def _path(matrix: Any, arm: BoolArray, penalties: FloatArray) -> Iterator[FloatArray]:
    """Coefficients, the intercept last, at each penalty, each from where the last one ended."""
    from skglm.datafits import Logistic
    from skglm.penalties import L1
    from skglm.solvers import ProxNewton

    y = np.where(arm, 1.0, -1.0)
    solver = ProxNewton(max_iter=100, tol=_TOLERANCE, fit_intercept=True, warm_start=True)
    weights = np.zeros(matrix.shape[1] + 1)
    weights[-1] = special.logit(arm.mean())
    for penalty in penalties:
        start = np.asarray(matrix @ weights[:-1] + weights[-1])
        weights = solver.solve(matrix, y, Logistic(), L1(float(penalty)), weights.copy(), start)[0]
        yield np.asarray(weights, dtype=np.float64)


def _chosen(mean: FloatArray, error: FloatArray, rule: Rule) -> int:
    best = int(np.argmin(mean))
    if rule == "minimum":
        return best
    return int(np.flatnonzero(mean <= mean[best] + error[best])[0])
