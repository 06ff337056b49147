"""Proportional hazards: Rossi's arrests, numbers of R's survival 3.5-3."""

from functools import cache

from tasks.stats.proportional_hazards import proportional_hazards_test
from tests.methods.pages import Witness
from tests.reference.data import rossi

_CALL = "cox.zph(coxph(Surv(week, arrest) ~ fin + age + race + wexp + mar + paro + prio, rossi))"


@cache
def _test():
    r = rossi()
    x = r[["fin", "age", "race", "wexp", "mar", "paro", "prio"]].to_numpy(float)
    return proportional_hazards_test(r.week, r.arrest, x)


WITNESSES = [
    Witness("chi-square of fin", _CALL, 0.062429750089376, lambda: float(_test().statistic[0]), 1e-8),
    Witness("chi-square of age", _CALL, 5.9739816611519, lambda: float(_test().statistic[1]), 1e-8),
    Witness("chi-square of all", _CALL, 17.6944152960279, lambda: _test().global_statistic, 1e-8),
]  # fmt: skip
