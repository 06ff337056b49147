"""Calibration: scores drawn in tests/reference/test_calibration_of_scores.py, in R with rms."""

from functools import cache

import numpy as np

from tasks.stats.diagnostic.local_regression import lowess
from tasks.stats.diagnostic.recalibration import (
    Predictions,
    calibration_numbers,
    distances,
    groups_of,
    hosmer_lemeshow,
    spiegelhalter,
)
from tests.methods.pages import Witness
from tests.reference.test_calibration_of_scores import NUMBERS, drawn

_R = {
    "calibration_slope": "glm(y ~ qlogis(p), binomial)",
    "calibration_intercept": "glm(y ~ offset(qlogis(p)), binomial)",
    "oe_ratio": "sum(y) / sum(p)",
    "brier": "rms::val.prob(p, y)",
    "ici": "rms::val.prob(p, y), Eavg",
    "e90": "rms::val.prob(p, y), E90",
    "emax": "rms::val.prob(p, y), Emax",
}


@cache
def _of():
    frame = drawn()
    return Predictions(frame.score.to_numpy(), frame.truth.to_numpy() == 1, np.arange(len(frame)))


def _number(name):
    if name in ("ici", "e90", "emax"):
        return lambda: distances(lowess(_of().p, _of().y), _of().p)[name]
    find = next(find for this, find in calibration_numbers(_of()) if this == name)
    return lambda: find().estimate


_TERMS = {"calibration_slope": "slope", "calibration_intercept": "in the large"}
WITNESSES = [
    *(
        Witness(name, call, NUMBERS[name, _TERMS.get(name)][0], _number(name), 1e-6)
        for name, call in _R.items()
    ),
    Witness("Spiegelhalter's z", "rms::val.prob(p, y), S:z", 3.1433067960561965, lambda: spiegelhalter(_of())[0], 1e-9),
    Witness("Hosmer-Lemeshow", "sum((O - E)^2 / (E * (1 - E / n)))", 19.090616607849110, lambda: hosmer_lemeshow(groups_of(_of()))[0], 1e-9),
]  # fmt: skip
