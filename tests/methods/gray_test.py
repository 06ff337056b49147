"""Gray's test: prints of cmprsk's own test."""

import numpy as np

from tasks.stats.gray_test import gray_test
from tests.methods.pages import Witness
from tests.reference.r_random import cmprsk_test_data

_TIME, _GROUP, _CAUSE, _STRATA = map(np.array, cmprsk_test_data())
_CALL = "cmprsk tests/test.Rout.save: cuminc(ss, cc, gg, strt)"


def _test(cause):
    kind = np.where(np.equal(_CAUSE, cause), 1, np.where(_CAUSE > 0, 2, 0))
    return gray_test(_TIME, kind, _GROUP, strata=_STRATA)


WITNESSES = [
    Witness("statistic, cause 1", _CALL, 3.393977, lambda: _test(1).statistic, 2e-7),
    Witness("p, cause 1", _CALL, 0.1832345, lambda: _test(1).p_value, 3e-7),
    Witness("statistic, cause 2", _CALL, 1.989511, lambda: _test(2).statistic, 3e-7),
    Witness("p, cause 2", _CALL, 0.3698139, lambda: _test(2).p_value, 2e-7),
]
