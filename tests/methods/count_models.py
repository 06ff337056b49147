"""Counts: Gill's executions by R's glm, and Quine's absences as MASS::glm.nb prints them."""

import numpy as np
import statsmodels.datasets as shipped

from tasks.stats.glm import glm, negative_binomial
from tests.methods.pages import Witness
from tests.reference.outcome_data import quine_design

_DATA = shipped.cpunish.load_pandas().data
_POISSON = glm(
    _DATA.drop(columns="EXECUTIONS").assign(VC100k96=np.log(_DATA.VC100k96)),
    _DATA.EXECUTIONS,
    "poisson",
)
_QUINE = negative_binomial(*quine_design())
_GILL = "Gill (2000), glm(EXECUTIONS ~ ., poisson)"
_MASS = "summary(glm.nb(Days ~ Eth + Sex + Age + Lrn, quine))"

WITNESSES = [
    Witness("poisson: SOUTH", _GILL, 2.301183, lambda: float(_POISSON.coef[5])),
    Witness(
        "its standard error", _GILL, 0.4283826, lambda: float(np.sqrt(_POISSON.covariance[5, 5]))
    ),
    Witness("negative binomial: EthN", _MASS, -0.56937, lambda: float(_QUINE.coef[1]), 1e-5),
    Witness(
        "its standard error", _MASS, 0.15333, lambda: float(np.sqrt(_QUINE.covariance[1, 1])), 4e-5
    ),
    Witness("theta", _MASS, 1.275, lambda: float(_QUINE.theta), 4e-4),
    Witness("its standard error", _MASS, 0.161, lambda: float(_QUINE.theta_std_error), 3e-3),
    Witness("2 x log-likelihood", _MASS, -1093.151, lambda: 2 * _QUINE.log_likelihood),
]
