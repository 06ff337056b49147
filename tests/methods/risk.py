"""Risks: Newcombe's table of intervals, Koopman's example, and Fisher's tea."""

from tasks.stats.binary_contrasts import (
    TwoRisks,
    exact_odds_ratio,
    risk_difference_of,
    risk_ratio_of,
)
from tasks.stats.stratified_tests import cochran_mantel_haenszel
from tests.methods.pages import Witness
from tests.reference.test_stratified_tests import BERKELEY, rows

_TRIAL, _KOOPMAN = TwoRisks(56, 70, 48, 80), TwoRisks(36, 40, 16, 80)
_TABLE = "Newcombe (1998), table II, 56/70 - 48/80"


def _difference(method, side):
    return lambda: getattr(risk_difference_of(_TRIAL, method), side)


_STRATA = "mantelhaen.test(UCBAdmissions, correct = FALSE)"

WITNESSES = [
    Witness(
        "Cochran-Mantel-Haenszel chi-square",
        _STRATA,
        1.524606660443,
        lambda: cochran_mantel_haenszel(*rows(BERKELEY))[1].statistic,
    ),
    Witness(
        "newcombe, lower", f"{_TABLE}, method 10", 0.0524, _difference("newcombe", "ci_low"), 1e-3
    ),
    Witness(
        "newcombe, upper", f"{_TABLE}, method 10", 0.3339, _difference("newcombe", "ci_high"), 2e-4
    ),
    Witness(
        "miettinen_nurminen, lower",
        f"{_TABLE}, method 6",
        0.0528,
        _difference("miettinen_nurminen", "ci_low"),
        1e-3,
    ),
    Witness(
        "miettinen_nurminen, upper",
        f"{_TABLE}, method 6",
        0.3382,
        _difference("miettinen_nurminen", "ci_high"),
        2e-4,
    ),
    Witness(
        "koopman, lower",
        "Koopman (1984), 36/40 and 16/80",
        2.94,
        lambda: risk_ratio_of(_KOOPMAN, "koopman").ci_low,
        2e-3,
    ),
    Witness(
        "koopman, upper",
        "Koopman (1984), 36/40 and 16/80",
        7.15,
        lambda: risk_ratio_of(_KOOPMAN, "koopman").ci_high,
        2e-3,
    ),
    Witness(
        "exact odds ratio",
        "fisher.test(matrix(c(3, 1, 1, 3), 2))",
        6.408309,
        lambda: exact_odds_ratio(TwoRisks(3, 4, 1, 4)).estimate,
        2e-6,
    ),
]
