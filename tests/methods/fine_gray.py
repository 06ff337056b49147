"""Fine and Gray: the printed results of cmprsk's own tests."""

from functools import cache

from tasks.stats.cox import cox
from tasks.stats.fine_gray import fine_gray
from tests.methods.pages import Witness
from tests.reference import brute_hazards
from tests.reference.crr_data import CAUSE, COVARIATES, TIME

_CALL = "crr(ss, cc, cv), cmprsk tests/test.Rout.save"
_ROWS = "finegray() row by row, then coxph(weights = fgwt, cluster = id)"


@cache
def _fit(variant):
    return fine_gray(TIME, CAUSE, COVARIATES, variant)


@cache
def _expanded():
    person, start, stop, event, weight = brute_hazards.finegray(TIME, CAUSE)
    x = COVARIATES[person]
    return cox(stop, event, x, weights=weight, cluster=person, entry=start)


WITNESSES = [
    *(
        Witness(f"coefficient {i + 1}, crr", _CALL, value, lambda i=i: float(_fit("crr").coef[i]), 2e-4)
        for i, value in enumerate((-0.29130, -0.06346, -0.47510))
    ),
    *(
        Witness(f"standard error {i + 1}, crr", _CALL, value,
                lambda i=i: float(_fit("crr").std_error[i]), 2e-4)
        for i, value in enumerate((0.3698, 0.3566, 0.3544))
    ),
    Witness("coefficient 1, finegray_cluster", _ROWS, float(_expanded().coef[0]),
            lambda: float(_fit("finegray_cluster").coef[0]), 1e-9),
    Witness("standard error 1, finegray_cluster", _ROWS, float(_expanded().std_error[0]),
            lambda: float(_fit("finegray_cluster").std_error[0]), 1e-9),
]  # fmt: skip
