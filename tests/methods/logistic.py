"""Logistic models: robust errors beside those of statsmodels 0.15, Rossi's data."""

import numpy as np
import statsmodels.api as sm

from tasks.stats.glm import glm
from tasks.stats.sandwich import cluster_covariance, heteroskedastic_covariance
from tests.methods.pages import Witness
from tests.reference.data import rossi

_DATA = rossi()
_X, _Y = _DATA[["fin", "age", "prio"]].to_numpy(dtype=float), _DATA.arrest.to_numpy(dtype=float)
_FIT = glm(_X, _Y, "binomial")
_MODEL = sm.GLM(_Y, sm.add_constant(_X), family=sm.families.Binomial())
_GROUP = _DATA.age.to_numpy()


def _error(covariance):
    return lambda: float(np.sqrt(covariance.matrix[3, 3]))


WITNESSES = [
    Witness(
        "log odds ratio of prio",
        "sm.GLM(arrest ~ fin + age + prio, Binomial)",
        float(_MODEL.fit().params[3]),
        lambda: float(_FIT.coef[3]),
    ),
    Witness(
        "HC0 error",
        "the same, cov_type='HC0'",
        float(_MODEL.fit(cov_type="HC0").bse[3]),
        _error(heteroskedastic_covariance(_FIT, "HC0")),
        1e-4,
    ),
    Witness(
        "CR1S error, by age",
        "the same, cov_type='cluster'",
        float(_MODEL.fit(cov_type="cluster", cov_kwds={"groups": _GROUP}).bse[3]),
        _error(cluster_covariance(_FIT, _GROUP, "CR1S")),
        1e-4,
    ),
]
