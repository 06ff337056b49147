"""Cox: Freireich's remissions and Rossi's arrests, numbers of R's survival 3.5-3 and lifelines."""

from functools import cache

import numpy as np

from tasks.stats.cox import cox, profile_likelihood_interval
from tasks.stats.cox_ridge import cox_ridge
from tests.methods.pages import Witness
from tests.reference.brute_hazards import exact_log_likelihood
from tests.reference.data import PLACEBO, RELAPSED, WEEKS, age_weight, rossi

_CALL = "coxph(Surv(time, cens) ~ treat, gehan)"
_CLUSTER = "coxph(Surv(week, arrest) ~ fin + age + prio + strata(wexp) + cluster(age), rossi, weights = 0.5 + (age %% 7) / 4)"
_RIDGE = "lifelines CoxPHFitter(penalizer=20/432).fit(rossi)"


@cache
def _weighted():
    r = rossi()
    return cox(
        r.week, r.arrest, r[["fin", "age", "prio"]],
        weights=age_weight(r.age), cluster=r.age, strata=r.wexp,
    )  # fmt: skip


@cache
def _exact():
    return cox(WEEKS, RELAPSED, PLACEBO, "exact")


def _enumerated():
    return exact_log_likelihood(_exact().coef, WEEKS, RELAPSED, PLACEBO[:, None])


def _profile_low():
    return profile_likelihood_interval(WEEKS, RELAPSED, PLACEBO, 0).ci_low


def _ridge():
    r = rossi()
    return float(np.exp(cox_ridge(r.week, r.arrest, r[["fin", "age", "prio"]], 20.0).coef[0]))


WITNESSES = [
    Witness("coefficient, Efron", _CALL, 1.57212514882907,
            lambda: float(cox(WEEKS, RELAPSED, PLACEBO).coef[0]), 1e-9),
    Witness("its standard error", _CALL, 0.412396717709455,
            lambda: float(cox(WEEKS, RELAPSED, PLACEBO).std_error[0]), 1e-9),
    Witness("coefficient, Breslow", _CALL[:-1] + ', ties = "breslow")', 1.50919141258588,
            lambda: float(cox(WEEKS, RELAPSED, PLACEBO, "breslow").coef[0]), 1e-9),
    Witness("log-likelihood, exact ties", "every choice of tied deaths, one by one",
            _enumerated(), lambda: _exact().log_likelihood, 1e-12),
    Witness("lower profile limit of the coefficient", "uniroot() of coxph(~ offset())$loglik",
            0.795059370303554, _profile_low, 1e-8),
    Witness("robust error: weights, strata, clusters", _CLUSTER, 0.18490868417025,
            lambda: float(_weighted().std_error[0]), 1e-8),
    Witness("hazard ratio of fin, ridge", _RIDGE, 0.741940, _ridge, 1e-3),
]  # fmt: skip
