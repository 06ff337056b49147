"""The bootstrap: Efron's law schools, against his prints and scipy's own BCa intervals."""

from tests.methods.pages import Witness
from tests.reference.test_bootstrap import law_schools

_SCIPY = "scipy.stats.bootstrap(paired=True, method='BCa', confidence_level=.9, random_state=1)"
_BOOK = "Efron and Tibshirani (1993), table 6.1, B = 3200"

WITNESSES = [
    Witness("error of a correlation", _BOOK, 0.132, lambda: law_schools().std_error, 2e-2),
    Witness("BCa, lower", _SCIPY, 0.44026397974449205, lambda: law_schools().ci_low, 2e-2),
    Witness("BCa, upper", _SCIPY, 0.9278093064382844, lambda: law_schools().ci_high, 5e-3),
]
