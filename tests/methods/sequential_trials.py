"""Sequential trials: 150 drawn persons, their trials made one by one, fitted by lifelines."""

from functools import cache

from tests.methods.pages import Witness
from tests.reference.test_sequential_trials import asked, drawn

_CALL = "rows made person by person; lifelines CoxTimeVaryingFitter(strata='trial')"


@cache
def _found(seed):
    return asked(drawn(150, seed, effect=-0.5))


WITNESSES = [
    Witness(
        "log hazard ratio, itt", _CALL, -0.12438566641877025, lambda: float(_found(1).itt.coef[0])
    ),
    Witness(
        "log hazard ratio, per protocol",
        _CALL,
        -0.6517143417888958,
        lambda: float(_found(2).per_protocol.coef[0]),
        1e-5,
    ),
]
