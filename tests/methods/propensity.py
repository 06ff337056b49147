"""Propensity score: lifelines' copy of Rossi's data; numbers of R 4.2.2, `d` the same table."""

from tasks.stats.estimated_weights import estimated_score
from tests.methods.pages import Witness
from tests.reference.data import rossi

_X = ["age", "race", "wexp", "mar", "prio"]
_CALL = "coef(summary(glm(fin ~ age + race + wexp + mar + prio, binomial, d)))"


def _age():
    d = rossi()
    return estimated_score(d[_X], d.fin)


WITNESSES = [
    Witness("coefficient of age", _CALL, 0.02377990270663, lambda: float(_age().coef[1]), 1e-7),
    Witness("its error", _CALL, 0.01714210392573, lambda: float(_age().std_error[1]), 1e-7),
]
