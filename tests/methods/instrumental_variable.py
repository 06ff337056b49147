"""Instrumental variable: lifelines' copy of Rossi's data; numbers of R 4.2.2, `d` the same table."""

from tasks.stats.instrumental import two_stage_least_squares
from tests.methods.pages import Witness
from tests.reference.data import rossi

_CALL = "ivreg(week ~ fin + age + prio | race + mar + age + prio, data = d)"


def _fit():
    d = rossi()
    return two_stage_least_squares(d.week, d.fin, d[["race", "mar"]], d[["age", "prio"]])


WITNESSES = [
    Witness("effect", _CALL, -36.09197272214, lambda: _fit().estimate),
    Witness("error, HC0", _CALL, 25.58985076299, lambda: _fit().std_error),
    Witness("error, model", _CALL, 28.24184745795, lambda: _fit().model_std_error),
    Witness("first-stage F", _CALL, 1.2952628403596, lambda: _fit().first_stage_f),
]
