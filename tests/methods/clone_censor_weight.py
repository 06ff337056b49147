"""Clone, censor, weight: 120 drawn persons, cloned row by row in pandas and weighted by hand."""

from functools import cache

from tests.methods.pages import Witness
from tests.reference.test_clone_censor_weight import DAY, GRACE, PLAN, clone_censor_weight, drawn

_CALL = "clones in pandas; lifelines CoxPHFitter of starts, statsmodels Logit at day 30"
_NAMES = [
    f"{what} under {strategy}"
    for strategy in ("start", "do_not_start")
    for what in ("risk by day 150", "mean to day 150")
]
_THEIRS = [0.3972999587847831, 111.95613721502694, 0.4805708927985962, 103.05473818847646]


@cache
def _found():
    time, event, start, z = drawn(120, 3)
    return clone_censor_weight(time, event, start, z[:, :2], GRACE, [DAY], PLAN, horizon=DAY)


def _ours(place):
    return lambda: float(_found().statistics[place])


WITNESSES = [
    Witness(name, _CALL, theirs, _ours(place), 1e-7)
    for place, (name, theirs) in enumerate(zip(_NAMES, _THEIRS, strict=True))
]
