"""Accuracy: the example of epiR's `epi.tests`, and R's tests of McNemar."""

from tasks.stats.diagnostic.measures import cells_of_table, measure
from tasks.stats.diagnostic.paired_shares import Discordance, mcnemar
from tests.methods.pages import Witness

_CELLS = cells_of_table(670, 202, 74, 640)
_EPI = "epi.tests(c(670, 202, 74, 640)), epiR 2.0.57"
_PRINTED = {
    "sensitivity": (0.900537634408602, 0.876746176795711),
    "specificity": (0.760095011876485, 0.729776463203555),
    "ppv": (0.768348623853211, 0.738892627379757),
    "lr_positive": (3.75372617906952, 3.32068843550748),
    "diagnostic_odds_ratio": (28.6861118544287, 21.5181916566352),
}


def _of(name, side):
    return lambda: getattr(measure(name, _CELLS, interval="exact"), side)


def _mcnemar(side):
    return lambda: getattr(mcnemar(Discordance(59, 41, 300)), side)


WITNESSES = [
    *(
        Witness(f"{name}{said}", _EPI, printed[place], _of(name, side), 1e-9)
        for name, printed in _PRINTED.items()
        for place, (said, side) in enumerate((("", "estimate"), (", lower", "ci_low")))
    ),
    Witness(
        "McNemar, corrected",
        "mcnemar.test(matrix(c(100, 41, 59, 100), 2))",
        2.89,
        _mcnemar("corrected"),
        1e-9,
    ),
    Witness("McNemar, exact p", "binom.test(59, 100)", 0.08862608, _mcnemar("exact_p_value"), 1e-6),
]
