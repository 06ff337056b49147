"""Agreement of readers: R psych 2.2.9, and the table of Fleiss (1971)."""

import numpy as np

from tasks.stats.diagnostic.agreement import agreement
from tasks.stats.diagnostic.reliability import intraclass
from tests.methods.pages import Witness
from tests.reference.test_agreement import CASES, PAIR, PSYCH, SHROUT_FLEISS, diagnoses

_KAPPA = "cohen.kappa(cbind(FIRST, SECOND)), psych 2.2.9"
_ICC = "ICC(matrix, lmer = FALSE), psych 2.2.9"


def _kappa(weighting, side):
    return lambda: getattr(agreement("conger", PAIR, CASES, weighting=weighting), side)


def _fleiss():
    return agreement("fleiss", diagnoses()[1], np.arange(30)).estimate


def _icc(name, side):
    found = {one.name: one for one in intraclass(SHROUT_FLEISS)}
    return lambda: getattr(found[name], side)


WITNESSES = [
    Witness("Cohen's kappa", _KAPPA, 0.545454545455, _kappa("none", "estimate"), 1e-9),
    Witness("its standard error", _KAPPA, 0.151154717795, _kappa("none", "std_error"), 1e-9),
    Witness("quadratic weights", _KAPPA, 0.782608695652, _kappa("quadratic", "estimate"), 1e-9),
    Witness("linear weights", _KAPPA, 0.666666666667, _kappa("linear", "estimate"), 1e-9),
    Witness("Fleiss' kappa", "Fleiss (1971), p. 380", 0.430, _fleiss, 2e-3),
    *(
        Witness(f"{name}{said}", _ICC, values[place], _icc(name, side), 1e-8)
        for name, values in PSYCH.items()
        for place, (said, side) in enumerate(
            (("", "estimate"), (", lower", "ci_low"), (", upper", "ci_high"))
        )
    ),
]
