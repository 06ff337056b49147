"""Multiple imputation: Rubin's rules worked out in fractions."""

from fractions import Fraction

from tasks.stats.rubin import pool
from tests.methods.pages import Witness

_TOTAL, _SHARE = Fraction(7, 3), Fraction(4, 7)
_OLD, _SEEN = 2 / _SHARE**2, Fraction(11, 13) * 10 * (1 - _SHARE)
_DF = _OLD * _SEEN / (_OLD + _SEEN)
_CALL = "pool.scalar(Q = 1:3, U = c(1, 1, 1), n = 11, k = 1)"


def _pooled():
    return pool([1.0, 2.0, 3.0], [1.0, 1.0, 1.0], 10)


WITNESSES = [
    Witness("estimate", f"{_CALL}, by hand", 2.0, lambda: _pooled().estimate, 1e-12),
    Witness(
        "standard error", "sqrt(7/3)", float(_TOTAL) ** 0.5, lambda: _pooled().std_error, 1e-12
    ),
    Witness(
        "degrees of freedom",
        "Barnard and Rubin, in fractions",
        float(_DF),
        lambda: _pooled().df,
        1e-12,
    ),
]
