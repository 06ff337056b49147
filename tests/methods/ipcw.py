"""Weights for loss: 120 drawn persons, weighted by hand with pandas and lifelines."""

from functools import cache

from tests.methods.pages import Witness
from tests.reference.test_ipcw import PLAN, drawn, survival_weighted_for_loss

_CALL = "lifelines CoxPHFitter of loss; Breslow hazards and a walk through the days in pandas"


@cache
def _found():
    return survival_weighted_for_loss(*drawn(120, 1), [200.0], PLAN, horizon=200.0)


WITNESSES = [
    Witness("survival by day 200", _CALL, 0.212612652, lambda: float(_found().statistics[0])),
    Witness("mean to day 200", _CALL, 93.43828199, lambda: float(_found().statistics[1])),
]
