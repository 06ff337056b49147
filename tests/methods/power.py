"""Sizes: R's power.prop.test, pROC, epiR, and what RJafroc prints for Van Dyke's data."""

from tasks.stats.sizes.auc import one_auc
from tasks.stats.sizes.proportions import against_goal_exactly, two_shares
from tasks.stats.sizes.readers import Components, cases_of_readers, reader_study_power
from tasks.stats.sizes.survival import share_with_event
from tests.methods.pages import Witness

_PILOT = Components(
    0.00020040252358145843,
    0.0008022882655720671,
    0.00034661370944073214,
    0.0003440748288608891,
    0.0002390283708921537,
    114,
)
_GAP = 0.0438003220612


def _cases(readers):
    return lambda: cases_of_readers(_PILOT, difference=_GAP, readers=readers).sizes["cases"]


WITNESSES = [
    Witness(
        "persons a group, 0.75 and 0.5, power 0.9",
        "power.prop.test(p1 = .5, p2 = .75, power = .9), R 4.2.2",
        76.70692845,
        lambda: two_shares(0.75, 0.5, power=0.9).exact,
        1e-8,
    ),
    Witness(
        "persons a group, margin 0.05",
        "epi.ssninfb(.85, .8, .05, power = .8), epiR 2.0.57",
        177.748520421,
        lambda: two_shares(0.85, 0.8, margin=0.05, alpha=0.05, sides=1).exact,
        1e-9,
    ),
    Witness(
        "cases, area 0.8, power 0.9",
        "power.roc.test(auc = .8, power = .9), pROC 1.18.0",
        16.6191992021,
        lambda: one_auc(0.8, power=0.9).exact,
        1e-9,
    ),
    Witness(
        "power of 137 cases, 0.9 against 0.8",
        "1 - pbinom(qbinom(.975, 137, .8), 137, .9), R 4.2.2",
        0.910009477951,
        lambda: against_goal_exactly(0.9, 0.8, n=137).power,
        1e-9,
    ),
    *(
        Witness(f"cases of {readers} readers", "SsPowerTable(dataset02), RJafroc", k, _cases(readers), 1e-9)
        for readers, k in ((4, 1089), (6, 251), (10, 163), (20, 126))
    ),
    Witness(
        "power of 6 readers, 111 cases",
        "SsPowerGivenJK(dataset02, J = 6, K = 111), RJafroc",
        0.5526116,
        lambda: reader_study_power(_PILOT, difference=_GAP, readers=6, cases=111),
        1e-6,
    ),
    Witness(
        "share with the event",
        "integrate() over times and entries, R 4.2.2",
        0.310618054032,
        lambda: share_with_event(0.1, follow_up=3, accrual=2, loss_hazard=0.03),
        1e-9,
    ),
]  # fmt: skip
