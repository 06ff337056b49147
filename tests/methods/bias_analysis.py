"""Bias analysis: what R episensr prints of Chu et al. (2006) and Tyndall et al. (1996)."""

import math

import numpy as np

from tasks.stats.bias import Counts, confounded, exposure_misclassified, outcome_misclassified, wald
from tests.methods.pages import Witness

_CHU, _TYNDALL = Counts(126, 197, 92, 316), Counts(105, 632, 85, 178)


def _of(correct, counts, **parameters):
    return correct(counts, {name: np.array([value]) for name, value in parameters.items()})


def _exposure():
    return _of(exposure_misclassified, _CHU, sensitivity_events=0.94, sensitivity_non_events=0.94,
               specificity_events=0.97, specificity_non_events=0.97)  # fmt: skip


def _outcome():
    return _of(outcome_misclassified, _CHU, sensitivity_target=0.85, sensitivity_comparator=0.85,
               specificity_target=0.87, specificity_comparator=0.87)  # fmt: skip


def _confounder():
    return _of(confounded, _TYNDALL, prevalence_target=0.8, prevalence_comparator=0.05, ratio=0.63)


def _ratio(found, name):
    return math.exp(found.log_ratio[name][0])


def _high():
    found = _exposure()
    return wald(float(found.log_ratio["odds_ratio"][0]), float(found.std_error["odds_ratio"][0]))[1]


_E = "misclassification(chu, type = 'exposure', bias_parms = c(.94, .94, .97, .97))"
_O = "misclassification(chu, type = 'outcome', bias_parms = c(.85, .85, .87, .87))"
_C = "confounders(tyndall, type = 'RR', bias_parms = c(.63, .8, .05))"

WITNESSES = [
    Witness(
        "exposure told with error: RR", _E, 2.377254, lambda: _ratio(_exposure(), "risk_ratio")
    ),
    Witness("its OR", _E, 5.024508, lambda: _ratio(_exposure(), "odds_ratio")),
    Witness("upper limit of the OR", _E, 7.690912, _high),
    Witness("outcome told with error: RR", _O, 3.162445, lambda: _ratio(_outcome(), "risk_ratio")),
    Witness("its OR", _O, 8.399786, lambda: _ratio(_outcome(), "odds_ratio")),
    Witness(
        "unmeasured confounder: RR", _C, 0.4851, lambda: _ratio(_confounder(), "risk_ratio"), 2e-4
    ),
]
