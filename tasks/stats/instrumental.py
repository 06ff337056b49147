"""Two-stage least squares with one treatment, and how strong its instruments are."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from tasks.core.errors import EstimationError
from tasks.stats.inputs import FloatArray, check_level, design_matrix

_COLLINEAR = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class InstrumentalFit:
    """Effect of the treatment by two-stage least squares.

    `anderson_rubin` is the interval that stays right under weak instruments; None where the
    values it leaves are no interval, and `anderson_rubin_shape` says what they are.
    """

    estimate: float
    std_error: float  # HC0
    model_std_error: float
    first_stage_f: float
    first_stage_f_robust: float
    df1: int
    df2: int
    anderson_rubin: tuple[float, float] | None
    anderson_rubin_shape: str
    n: int

    @property
    def is_weak(self) -> bool:
        """Whether the first-stage F is below 10, the usual mark."""
        return self.first_stage_f < 10


def two_stage_least_squares(
    outcome: ArrayLike,
    treatment: ArrayLike,
    instruments: ArrayLike,
    covariates: ArrayLike | None = None,
    level: float = 0.95,
) -> InstrumentalFit:
    """Effect of a treatment that instruments move, given covariates.

    Args:
        outcome: Outcome, shape (n,).
        treatment: Treatment, shape (n,).
        instruments: Instruments, shape (n, k), k of 1 or more.
        covariates: Covariates of both stages, shape (n, p).
        level: Confidence level of the Anderson-Rubin interval.

    Raises:
        EstimationError: Instruments repeat covariates, or do not move the treatment at all.

    Source:
        Anderson & Rubin (1949); Staiger & Stock (1997); White (1982) for HC0. Agrees with R
        `ivreg` and statsmodels `IV2SLS`.
    """
    check_level(level)
    y = np.asarray(outcome, dtype=np.float64)
    a = np.asarray(treatment, dtype=np.float64)
    z = design_matrix(instruments, y.size)
    w = np.ones((y.size, 1))
    if covariates is not None:
        w = np.column_stack([w, design_matrix(covariates, y.size)])
    basis = _basis(w, "covariates")
    y, a = (v - basis @ (basis.T @ v) for v in (y, a))
    z_basis = _basis(_scaled(z - basis @ (basis.T @ z), z), "instruments")
    k, df = z.shape[1], y.size - w.shape[1] - z.shape[1]
    fitted = z_basis @ (z_basis.T @ a)
    power = float(fitted @ fitted)
    if df < 1 or np.ptp(a) == 0 or power <= 1e-14 * float(a @ a):
        raise EstimationError(
            "instrumental_variable", "the instrument does not move the treatment", "drop it."
        )
    estimate = float(fitted @ y) / power
    left = y - estimate * a
    robust = float(np.sqrt(((fitted * left) ** 2).sum())) / power
    if robust == 0:
        raise EstimationError("instrumental_variable", "the outcome does not vary", "change it.")
    model = float(np.sqrt(left @ left / (df + k - 1) / power))
    noise = a - fitted
    f = power / k / (float(noise @ noise) / df) if noise.any() else np.inf
    shape, interval = _anderson_rubin(y, a, z_basis, df, level)
    return InstrumentalFit(
        estimate, robust, model, f, _robust_f(z_basis, a, noise), k, df, interval, shape, y.size
    )


def _scaled(rest: FloatArray, given: FloatArray) -> FloatArray:
    return np.asarray(rest / np.maximum(np.sqrt((given**2).sum(axis=0)), 1e-300))


def _basis(x: FloatArray, what: str) -> FloatArray:
    scaled = x / np.maximum(np.sqrt((x**2).sum(axis=0)), 1e-300) if what == "covariates" else x
    q, r = np.linalg.qr(scaled)
    if (abs(np.diag(r)) <= _COLLINEAR).any():
        raise EstimationError(
            "instrumental_variable",
            f"{what} repeat one another, the constant or the covariates",
            "drop those that add nothing.",
        )
    return np.asarray(q)


def _robust_f(z_basis: FloatArray, a: FloatArray, noise: FloatArray) -> float:
    coef = z_basis.T @ a
    moments = z_basis * noise[:, None]
    meat = moments.T @ moments
    if np.linalg.matrix_rank(meat) < coef.size:
        return float("inf")
    return float(coef @ np.linalg.solve(meat, coef) / coef.size)


def _anderson_rubin(
    y: FloatArray, a: FloatArray, z_basis: FloatArray, df: int, level: float
) -> tuple[str, tuple[float, float] | None]:
    """Values b at which y - b a is unrelated to the instruments: a quadratic in b."""
    k = z_basis.shape[1]
    limit = k * float(stats.f.ppf(level, k, df)) / df

    def excess(u: FloatArray, v: FloatArray) -> float:
        inside = float((z_basis.T @ u) @ (z_basis.T @ v))
        return float(inside - limit * (float(u @ v) - inside))

    square, middle, rest = excess(a, a), excess(a, y), excess(y, y)
    inner = middle**2 - square * rest
    if square > 0 and inner >= 0:
        root = float(np.sqrt(inner))
        return "interval", ((middle - root) / square, (middle + root) / square)
    if square > 0:
        return "no value is left", None
    return ("two half lines" if inner > 0 else "every value is left"), None
