"""Restricted means: Freireich's remissions and Rossi's arrests, numbers of R's survival 3.5-3."""

import numpy as np

from tasks.stats.restricted_means import restricted_mean_ratio
from tasks.stats.survival import restricted_mean
from tests.methods.pages import Witness
from tests.reference.data import RELAPSED_6MP, WEEKS_6MP, WEEKS_PLACEBO, age_weight, rossi

_CALL = "summary(survfit(Surv(time, cens) ~ treat, gehan), rmean = 35)$table"
_WEIGHTED = "residuals(survfit(Surv(week, arrest) ~ 1, rossi, weights = w), 52, type = 'rmst')"
_RATIO = "23.2873949579832 / 8.66666666666667"


def _arms():
    placebo = restricted_mean(WEEKS_PLACEBO, np.ones(21), 35)
    return restricted_mean(WEEKS_6MP, RELAPSED_6MP, 35), placebo


def _weighted():
    r = rossi()
    return restricted_mean(r.week, r.arrest, 52, weights=age_weight(r.age))


WITNESSES = [
    Witness("weeks of 35, 6-MP", _CALL, 23.2873949579832, lambda: _arms()[0].estimate),
    Witness("its standard error", _CALL, 2.82746762337144, lambda: _arms()[0].std_error),
    Witness("weeks of 35, placebo", _CALL, 8.66666666666667, lambda: _arms()[1].estimate),
    Witness("its standard error", _CALL, 1.37739004126455, lambda: _arms()[1].std_error),
    Witness("ratio", _RATIO, 2.68700711053652, lambda: restricted_mean_ratio(*_arms()).estimate),
    Witness("weighted, weeks of 52", _WEIGHTED, 45.3118811881188, lambda: _weighted().estimate),
    Witness("its robust error", _WEIGHTED, 0.688534432637, lambda: _weighted().std_error),
]
