"""Kaplan-Meier: Freireich's remissions and Rossi's arrests, numbers of R's survival 3.5-3."""

from tasks.stats.survival import kaplan_meier, median_survival, survival_at
from tests.methods.pages import Witness
from tests.reference.data import RELAPSED_6MP, WEEKS_6MP, age_weight, rossi

_CALL = "summary(survfit(Surv(time, cens) ~ 1, gehan[gehan$treat == '6-MP', ]), times = 10)"
_WEIGHTED = "survfit(Surv(week, arrest) ~ 1, rossi, weights = 0.5 + (age %% 7) / 4, robust = TRUE)"


def _at_10():
    return survival_at(kaplan_meier(WEEKS_6MP, RELAPSED_6MP, conf_type="log-log"), [10.0])


def _weighted():
    r = rossi()
    return survival_at(kaplan_meier(r.week, r.arrest, weights=age_weight(r.age)), [26.0])


def _median():
    return median_survival(kaplan_meier(WEEKS_6MP, RELAPSED_6MP))


WITNESSES = [
    Witness(
        "survival at 10 weeks", _CALL, 0.752941176470588, lambda: float(_at_10().estimate[0]), 1e-6
    ),
    Witness(
        "its standard error", _CALL, 0.0963496529943205, lambda: float(_at_10().std_error[0]), 1e-6
    ),
    Witness("its lower limit", _CALL, 0.503199510799957, lambda: float(_at_10().ci_low[0])),
    Witness("median, weeks", "summary(s)$table", 23.0, lambda: float(_median().estimate or 0)),
    Witness(
        "lower limit of the median", "summary(s)$table", 13.0, lambda: float(_median().ci_low or 0)
    ),
    Witness(
        "weighted survival at 26 weeks", _WEIGHTED, 0.86678667866787,
        lambda: float(_weighted().estimate[0]),
    ),
    Witness(
        "its robust standard error", _WEIGHTED, 0.018028161506088,
        lambda: float(_weighted().std_error[0]),
    ),
]  # fmt: skip
