"""The bootstrap: Efron's law schools, against his prints and scipy's own BCa intervals."""

from functools import cache

from tests.methods.pages import Witness
from tests.reference.test_arms_bootstrap import R_ERRORS, weighted
from tests.reference.test_bootstrap import law_schools

_SCIPY = "scipy.stats.bootstrap(paired=True, method='BCa', confidence_level=.9, random_state=1)"
_BOOK = "Efron and Tibshirani (1993), table 6.1, B = 3200"

_R = "4,000 resamples in R, glm and survfit(weights = w) in each"


@cache
def error(name):
    """Error of weighted arms, the score fitted anew in each resample."""
    return weighted(name, 400)["std_error"]


WITNESSES = [
    Witness("error of a correlation", _BOOK, 0.132, lambda: law_schools().std_error, 2e-2),
    Witness("BCa, lower", _SCIPY, 0.44026397974449205, lambda: law_schools().ci_low, 2e-2),
    Witness("BCa, upper", _SCIPY, 0.9278093064382844, lambda: law_schools().ci_high, 5e-3),
    Witness("error of an IPTW risk difference", _R, R_ERRORS["risk"], lambda: error("risk"), 0.1),
    Witness(
        "error of an IPTW log hazard ratio", _R, R_ERRORS["hazard"], lambda: error("hazard"), 0.1
    ),
]
