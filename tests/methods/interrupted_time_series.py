"""Interrupted series: yearly Nile flow at Aswan, cut at 1899, beside statsmodels 0.15."""

import numpy as np
import statsmodels.api as sm
import statsmodels.datasets as shipped

from tasks.stats.interrupted_series import prais_winsten, segmented_regression, series
from tests.methods.pages import Witness

_FLOW = shipped.nile.load_pandas().data.volume.to_numpy()
_YEAR = np.arange(_FLOW.size)
_ON = _YEAR >= 28
_DATA = series(_YEAR, _FLOW, _ON)
_FOUND = segmented_regression(_DATA, lag=4)
_X = np.column_stack([np.ones(_FLOW.size), _YEAR, _ON, _ON * (_YEAR - 28)])
_HAC = sm.OLS(_FLOW, _X).fit(cov_type="HAC", cov_kwds={"maxlags": 4, "use_correction": True})
_PRAIS = prais_winsten(_DATA)
_GLS = sm.GLS(_FLOW, _X, sigma=_PRAIS.rho ** abs(_YEAR[:, None] - _YEAR)).fit()
_CALL = "sm.OLS(...).fit(cov_type='HAC', maxlags=4, use_correction=True)"

WITNESSES = [
    Witness(
        "level change of 1899", _CALL, float(_HAC.params[2]), lambda: float(_FOUND.fit.coef[2])
    ),
    Witness(
        "its Newey-West error",
        _CALL,
        float(_HAC.bse[2]),
        lambda: float(np.sqrt(_FOUND.covariances[0].matrix[2, 2])),
    ),
    Witness("slope change", _CALL, float(_HAC.params[3]), lambda: float(_FOUND.fit.coef[3])),
    Witness(
        "Prais-Winsten level change",
        "sm.GLS at our rho",
        float(_GLS.params[2]),
        lambda: float(_PRAIS.coef[2]),
    ),
    Witness(
        "its error",
        "sm.GLS at our rho",
        float(_GLS.bse[2]),
        lambda: float(np.sqrt(_PRAIS.covariance[2, 2])),
    ),
]
