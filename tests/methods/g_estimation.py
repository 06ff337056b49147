"""G-estimation: lifelines' copy of Rossi's data; numbers of R 4.2.2, `d` the same table."""

from tasks.stats.estimated_weights import estimated_score
from tasks.stats.structural_mean import g_estimation
from tests.methods.pages import Witness
from tests.reference.data import rossi

_X = ["age", "race", "wexp", "mar", "prio"]
_CALL = "sum((a - e) * week) / sum((a - e) * a), stacked equations in R"


def _fit():
    d = rossi()
    return g_estimation(d.week, d.fin, estimated_score(d[_X], d.fin))


WITNESSES = [
    Witness("weeks gained", _CALL, 2.158081782390, lambda: float(_fit().psi[0])),
    Witness("its error", _CALL, 1.201350037968, lambda: float(_fit().std_error[0])),
]
