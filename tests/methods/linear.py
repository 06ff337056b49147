"""Linear models: Longley as NIST certifies it, robust errors as statsmodels 0.15 gives them."""

import numpy as np
import statsmodels.api as sm
import statsmodels.datasets as shipped

from tasks.stats.glm import glm
from tasks.stats.sandwich import cluster_covariance, heteroskedastic_covariance
from tests.methods.pages import Witness

_DATA = shipped.longley.load_pandas().data
_X, _Y = _DATA.drop(columns="TOTEMP").to_numpy(), _DATA.TOTEMP.to_numpy()
_BLOCK = np.arange(16) // 4
_FIT = glm(_X, _Y)
_MODEL = sm.OLS(_Y, sm.add_constant(_X))


def _error(covariance):
    return lambda: float(np.sqrt(covariance.matrix[2, 2]))


WITNESSES = [
    Witness(
        "coefficient of GNP",
        "NIST StRD, Longley",
        -0.358191792925910e-01,
        lambda: float(_FIT.coef[2]),
    ),
    Witness(
        "its standard error",
        "NIST StRD, Longley",
        0.334910077722432e-01,
        lambda: float(np.sqrt(_FIT.covariance[2, 2])),
    ),
    *(
        Witness(
            f"{kind} error of GNP",
            f"sm.OLS(...).fit().{kind}_se",
            float(getattr(_MODEL.fit(), f"{kind}_se")[2]),
            _error(heteroskedastic_covariance(_FIT, kind)),
        )
        for kind in ("HC0", "HC1", "HC2", "HC3")
    ),
    Witness(
        "CR1S error of GNP, blocks of 4 years",
        "sm.OLS(...).fit(cov_type='cluster')",
        float(_MODEL.fit(cov_type="cluster", cov_kwds={"groups": _BLOCK}).bse[2]),
        _error(cluster_covariance(_FIT, _BLOCK, "CR1S")),
    ),
]
