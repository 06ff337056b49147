"""Kaplan-Meier: Freireich's remissions, numbers of R's survival 3.5-3."""

from tasks.stats.survival import kaplan_meier, survival_at
from tests.methods.pages import Witness
from tests.reference.data import RELAPSED_6MP, WEEKS_6MP

_CALL = "summary(survfit(Surv(time, cens) ~ 1, gehan[gehan$treat == '6-MP', ]), times = 10)"


def _at_10():
    return survival_at(kaplan_meier(WEEKS_6MP, RELAPSED_6MP, conf_type="log-log"), [10.0])


WITNESSES = [
    Witness(
        "survival at 10 weeks", _CALL, 0.752941176470588, lambda: float(_at_10().estimate[0]), 1e-6
    ),
    Witness(
        "its standard error", _CALL, 0.0963496529943205, lambda: float(_at_10().std_error[0]), 1e-6
    ),
]
