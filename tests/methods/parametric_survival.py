"""Parametric survival: ovarian cancer, as flexsurv prints it, and a closed form."""

from functools import cache

import numpy as np

from tasks.stats.parametric import parametric_survival
from tasks.stats.parametric_estimates import fitted_mean
from tests.methods.pages import Witness
from tests.reference.ovarian import DAYS, DIED, RX

_CALL = "flexsurvreg(Surv(futime, fustat) ~ {}, ovarian, dist = '{}')"


@cache
def _fit(law, treated=False):
    return parametric_survival(DAYS, DIED, law, np.array(RX) - 1.0 if treated else None)


WITNESSES = [
    Witness("Weibull scale", _CALL.format("1", "weibull"), 1225.419, lambda: float(np.exp(_fit("weibull").coef[0])), 1e-6),
    Witness("Weibull shape", _CALL.format("1", "weibull"), 1.108, lambda: float(np.exp(-_fit("weibull").coef[1])), 5e-4),
    Witness("Weibull AIC", _CALL.format("1", "weibull"), 199.9078, lambda: _fit("weibull").aic, 1e-6),
    Witness("Weibull log-likelihood by treatment", _CALL.format("factor(rx)", "weibull"), -97.3641506645869, lambda: _fit("weibull", True).log_likelihood, 1e-9),
    Witness("log-normal log-likelihood", _CALL.format("1", "lnorm"), -97.12174204265681, lambda: _fit("log_normal").log_likelihood, 1e-9),
    Witness("generalised gamma log-likelihood", _CALL.format("1", "gengamma"), -96.94907, lambda: _fit("generalised_gamma").log_likelihood, 1e-7),
    Witness("generalised gamma sigma", _CALL.format("1", "gengamma"), 1.426, lambda: float(np.exp(_fit("generalised_gamma").coef[1])), 5e-4),
    Witness("exponential mean: days by events", "sum(futime) / sum(fustat)", 15588 / 12, lambda: fitted_mean(_fit("exponential")).estimate, 1e-9),
]  # fmt: skip
