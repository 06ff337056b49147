"""Weighting: lifelines' copy of Rossi's data; numbers of R 4.2.2, `d` the same table."""

from tasks.stats.estimated_weights import estimated_score, score_weights
from tasks.stats.weighted_effects import contrast_means, weighted_means
from tests.methods.pages import Witness
from tests.reference.data import rossi

_X = ["age", "race", "wexp", "mar", "prio"]
_CALL = "svyglm(arrest ~ fin, svydesign(~1, weights = w, data = d))"
_STACK = "stacked equations of glm and weighted means, written out in R"


def _effect(fitted):
    d = rossi()
    weights = score_weights(estimated_score(d[_X], d.fin), d.fin, "iptw_ate")
    return contrast_means(weighted_means(d.arrest, d.fin, weights, fitted), "difference")


WITNESSES = [
    Witness("risk difference", _CALL, -0.08126182161139, lambda: _effect(True).estimate),
    Witness("error, HC0", _STACK, 0.04271792490599, lambda: float(_effect(False).std_error or 0)),
    Witness(
        "error, M-estimation", _STACK, 0.04153459899435, lambda: float(_effect(True).std_error or 0)
    ),
]
