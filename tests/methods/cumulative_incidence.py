"""Cumulative incidence: prints of cmprsk's own test, and R's survfit of Rossi's arrests."""

import numpy as np

from tasks.stats.competing_risks import cumulative_incidence, incidence_at
from tests.methods.pages import Witness
from tests.reference.data import rossi
from tests.reference.r_random import cmprsk_test_data

_TIME, _, _CAUSE, _ = map(np.array, cmprsk_test_data())
_CALL = "cmprsk tests/test.Rout.save: cuminc(ss, cc), cause 1, time 1"
_ROSSI = "survfit(Surv(week, factor(cause)) ~ 1, rossi), week 26"


def _drawn():
    return incidence_at(cumulative_incidence(_TIME, _CAUSE, variance="aalen"), [1.0])


def _rossi():
    r = rossi()
    cause = np.where(r.arrest == 0, 0, np.where(r.paro == 1, 1, 2))
    return incidence_at(cumulative_incidence(r.week, cause), [26.0])


WITNESSES = [
    Witness("incidence", _CALL, 0.2352861, lambda: float(_drawn().estimate[0]), 3e-7),
    Witness(
        "its variance, aalen", _CALL, 0.002062112, lambda: float(_drawn().std_error[0]) ** 2, 3e-7
    ),
    Witness("incidence", _ROSSI, 0.078703703703704, lambda: float(_rossi().estimate[0])),
    Witness("its error, ij", _ROSSI, 0.012955535668613, lambda: float(_rossi().std_error[0])),
]
