"""Families of generalised linear models: mean, variance, deviance and likelihood."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import special

from tasks.stats.inputs import FloatArray

FamilyName = Literal["gaussian", "binomial", "poisson", "negative_binomial"]
_Pair = Callable[[FloatArray, FloatArray], FloatArray]


@dataclass(frozen=True, slots=True)
class Family:
    """A family with its link; every function takes and gives arrays of shape (n,).

    Args:
        name: Name of the family.
        link: Mean to linear predictor.
        mean: Linear predictor to mean.
        slope: Derivative of the mean by the linear predictor, from the mean.
        variance: Variance of an outcome, from the mean.
        start: Means to start from, of outcomes and weights.
        deviance: Deviance of each outcome at its mean.
        log_likelihood: Log-likelihood of each outcome at its mean.
        is_ratio: Whether a coefficient is the logarithm of a ratio.
    """

    name: FamilyName
    link: Callable[[FloatArray], FloatArray]
    mean: Callable[[FloatArray], FloatArray]
    slope: Callable[[FloatArray], FloatArray]
    variance: Callable[[FloatArray], FloatArray]
    start: _Pair
    deviance: _Pair
    log_likelihood: _Pair
    is_ratio: bool = True


def _same(values: FloatArray) -> FloatArray:
    return values


def _bernoulli(mean: FloatArray) -> FloatArray:
    return mean * (1 - mean)


def _log_bernoulli(y: FloatArray, mean: FloatArray) -> FloatArray:
    return np.asarray(special.xlogy(y, mean) + special.xlog1py(1 - y, -mean))


def _log_poisson(y: FloatArray, mean: FloatArray) -> FloatArray:
    return np.asarray(special.xlogy(y, mean) - mean - special.gammaln(y + 1))


GAUSSIAN = Family(
    "gaussian", _same, _same, np.ones_like, np.ones_like,
    lambda y, _: y, lambda y, m: (y - m) ** 2, lambda y, m: -((y - m) ** 2) / 2, is_ratio=False,
)  # fmt: skip
BINOMIAL = Family(
    "binomial", special.logit, special.expit, _bernoulli, _bernoulli,
    lambda y, w: (w * y + 0.5) / (w + 1), lambda y, m: -2 * _log_bernoulli(y, m), _log_bernoulli,
)  # fmt: skip
POISSON = Family(
    "poisson", np.log, np.exp, _same, _same, lambda y, _: y + 0.1,
    lambda y, m: np.asarray(2 * (special.xlogy(y, y) - special.xlogy(y, m) - (y - m))),
    _log_poisson,
)  # fmt: skip
FAMILIES = {family.name: family for family in (GAUSSIAN, BINOMIAL, POISSON)}


def negative_binomial_family(theta: float) -> Family:
    """Return the family with log link and variance mean + mean² / theta."""

    def log_likelihood(y: FloatArray, mean: FloatArray) -> FloatArray:
        gammas = special.gammaln(theta + y) - special.gammaln(theta) - special.gammaln(y + 1)
        return np.asarray(
            gammas + special.xlogy(y, mean) - (theta + y) * np.log1p(mean / theta)
            - y * np.log(theta)
        )  # fmt: skip

    def deviance(y: FloatArray, mean: FloatArray) -> FloatArray:
        whole = (y + theta) * np.log((y + theta) / (mean + theta))
        return np.asarray(2 * (special.xlogy(y, y) - special.xlogy(y, mean) - whole))

    return Family(
        "negative_binomial", np.log, np.exp, _same, lambda m: m + m**2 / theta,
        lambda y, _: y + (y == 0) / 6, deviance, log_likelihood,
    )  # fmt: skip
