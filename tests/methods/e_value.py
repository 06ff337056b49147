"""E-values: the examples of VanderWeele and Ding, as R EValue 4.1.3 prints them."""

from tasks.stats.evalue import e_value
from tests.methods.pages import Witness


def _limit(*ratio):
    return float(e_value(*ratio).limit or 0)


WITNESSES = [
    Witness("RR 3.9 (1.8, 8.7)", "evalues.RR(3.9, 1.8, 8.7)", 7.263034, lambda: e_value(3.9).estimate),
    Witness("its limit", "evalues.RR(3.9, 1.8, 8.7)", 3.0, lambda: _limit(3.9, 1.8, 8.7)),
    Witness("RR 0.80 (0.71, 0.91)", "evalues.RR(0.80, 0.71, 0.91)", 1.809017, lambda: e_value(0.8).estimate),
    Witness("its limit", "evalues.RR(0.80, 0.71, 0.91)", 1.428571, lambda: _limit(0.80, 0.71, 0.91)),
    Witness("RR 10.73 (8.02, 14.36)", "evalues.RR(10.73, 8.02, 14.36)", 20.94777,
            lambda: e_value(10.73).estimate),
]  # fmt: skip
