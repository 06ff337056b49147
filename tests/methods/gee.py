"""Estimating equations beside statsmodels 0.15, at our exchangeable correlation."""

import numpy as np
import statsmodels.api as sm
from statsmodels.genmod.cov_struct import Exchangeable

from tasks.stats.gee import gee
from tests.methods.pages import Witness
from tests.reference.outcome_data import ohio, repeated

_DATA = repeated()
_X = _DATA[["x", "arm"]].to_numpy(dtype=float)
_FITS = {
    name: gee(
        _X, _DATA.yes, _DATA.person, "binomial", correlation="exchangeable", small_sample=name
    )
    for name in ("none", "mancl_derouen")
}
_SAME = Exchangeable()
_SAME.dep_params = _FITS["none"].alpha
_MODEL = sm.GEE(
    _DATA.yes.to_numpy(),
    sm.add_constant(_X),
    groups=_DATA.person.to_numpy(),
    family=sm.families.Binomial(),
    cov_struct=_SAME,
    update_dep=False,
)
_ROBUST = _MODEL.fit(ctol=1e-12, maxiter=200)
_REDUCED = _MODEL.fit(ctol=1e-12, maxiter=200, cov_type="bias_reduced", scaling_factor=1)


def _error(name):
    return lambda: float(np.sqrt(_FITS[name].covariance[2, 2]))


_CHILD = ohio()
_TERMS = np.column_stack([_CHILD.age, _CHILD.smoke, _CHILD.age * _CHILD.smoke])
_WHEEZE = gee(_TERMS, _CHILD.resp, _CHILD.id, "binomial", correlation="exchangeable")
_FREE = gee(_TERMS, _CHILD.resp, _CHILD.id, "binomial", correlation="unstructured", time=_CHILD.age)
_WAVES = "geeglm(resp ~ age * smoke, binomial, ohio, id, age + 3, corstr = 'unstructured')"
_PRINT = "geese(resp ~ age * smoke, id, ohio, binomial, corstr = 'exch')"

WITNESSES = [
    Witness("log odds ratio of age, wheeze", _PRINT, -0.14123592, lambda: float(_WHEEZE.coef[1])),
    Witness("its san.se", _PRINT, 0.05820089, lambda: float(np.sqrt(_WHEEZE.covariance[1, 1]))),
    Witness("unstructured: age", _WAVES, -0.14183359516, lambda: float(_FREE.coef[1])),
    Witness("its san.se", _WAVES, 0.05851084806, lambda: float(np.sqrt(_FREE.covariance[1, 1]))),
    Witness("correlation 2:3", _WAVES, 0.4693634209, lambda: _FREE.pairs[3].alpha),
    Witness(
        "log odds ratio of arm, drawn visits",
        "sm.GEE(...).fit()",
        float(_ROBUST.params[2]),
        lambda: float(_FITS["none"].coef[2]),
    ),
    Witness("its robust error", "sm.GEE(...).fit()", float(_ROBUST.bse[2]), _error("none")),
    Witness(
        "mancl_derouen error",
        "cov_type='bias_reduced'",
        float(_REDUCED.bse[2]),
        _error("mancl_derouen"),
    ),
]
