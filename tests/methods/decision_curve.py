"""Decision curves: follow-up drawn in tests/reference/test_net_benefit.py, in R survival."""

from functools import cache

import numpy as np

from tasks.stats.diagnostic.net_benefit import net_benefit
from tasks.stats.diagnostic.net_benefit_survival import benefits, follow_up_of
from tests.methods.pages import Witness
from tests.reference.test_net_benefit import R_ALONE, R_COMPETING, drawn


@cache
def _frame():
    return drawn()


def _of_follow_up(who, competes):
    def ours():
        frame = _frame()
        event = frame.event.to_numpy() if competes else (frame.event.to_numpy() == 1) * 1
        of = follow_up_of(frame.time.to_numpy(), event, 365.0)
        positive = np.ones(len(frame), bool) if who == "all" else frame.score.to_numpy() >= 0.25
        return float(benefits(positive, of, 1 / 3, np.ones((1, len(frame))))[0][0])

    return ours


def _by_hand(prevalence):
    """Sixty of a hundred sick and ten of four hundred others are acted on at 25 %."""
    truth = np.repeat([True, False], [100, 400])
    positive = np.concatenate([np.arange(100) < 60, np.arange(400) < 10])
    return lambda: net_benefit(positive, truth, 0.25, prevalence).estimate


WITNESSES = [
    *(
        Witness(f"follow-up, {who}", "survfit(Surv(time, event == 1) ~ 1), 25 %", value, _of_follow_up(who, False), 1e-9)
        for who, value in R_ALONE.items()
    ),
    *(
        Witness(f"competing event, {who}", "survfit(Surv(time, factor(event)) ~ 1), 25 %", value, _of_follow_up(who, True), 1e-9)
        for who, value in R_COMPETING.items()
    ),
    Witness("truth", "(60 - 10 / 3) / 500", 0.11333333333333333, _by_hand(None), 1e-9),
    Witness("prevalence of 1 %", "0.01 * 0.6 - 0.99 * 0.025 / 3", -0.00225, _by_hand(0.01), 1e-9),
]  # fmt: skip
