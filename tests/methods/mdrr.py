"""Minimum detectable relative risk: the events that it needs are those there are."""

import math

from tasks.stats.power import minimal_detectable_ratio
from tests.methods.pages import Witness

_SHARE = 1797 / 2627
_Z = 1.959963984540054 + 0.8416212335729143


def _events():
    return _Z**2 / (_SHARE * (1 - _SHARE) * math.log(minimal_detectable_ratio(159, _SHARE)) ** 2)


WITNESSES = [
    Witness("events that GiBleed's MDRR needs", "Schoenfeld (1983), 159 events", 159.0, _events, 1e-9),
    Witness("MDRR of 100 events, half treated", "exp(sqrt((1.959964 + 0.841621)^2 / 25))",
            math.exp(_Z / 5), lambda: minimal_detectable_ratio(100, 0.5), 1e-12),
]  # fmt: skip
