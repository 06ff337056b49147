"""Nelson-Aalen: Freireich's 6-MP, fractions counted by hand; R's survival gives the same."""

import math

from tasks.stats.nelson_aalen import hazard_at, nelson_aalen
from tests.methods.pages import Witness
from tests.reference.data import RELAPSED_6MP, WEEKS_6MP

_SUM = "3/21 + 1/17 + 1/15"
_SQUARES = "sqrt(3/21^2 + 1/17^2 + 1/15^2)"
_SPLIT = "1/21 + 1/20 + 1/19 + 1/17 + 1/15"
_GREEN = "sqrt(3/(21 18) + 1/(17 16) + 1/(15 14))"


def _at_10(**more):
    return hazard_at(nelson_aalen(WEEKS_6MP, RELAPSED_6MP, **more), [10.0])


WITNESSES = [
    Witness(
        "hazard by week 10", _SUM, 3 / 21 + 1 / 17 + 1 / 15, lambda: float(_at_10().estimate[0])
    ),
    Witness(
        "its error, poisson", _SQUARES, math.sqrt(3 / 21**2 + 1 / 17**2 + 1 / 15**2),
        lambda: float(_at_10().std_error[0]),
    ),
    Witness(
        "its error, greenwood", _GREEN, math.sqrt(3 / (21 * 18) + 1 / (17 * 16) + 1 / (15 * 14)),
        lambda: float(_at_10(variance="greenwood").std_error[0]),
    ),
    Witness(
        "hazard by week 10, ctype 2", _SPLIT, 1 / 21 + 1 / 20 + 1 / 19 + 1 / 17 + 1 / 15,
        lambda: float(_at_10(ctype=2).estimate[0]),
    ),
]  # fmt: skip
