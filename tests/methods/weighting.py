"""Weighting: lifelines' copy of Rossi's data; numbers of R 4.2.2, `d` the same table."""

from tasks.stats.estimated_weights import estimated_score, score_weights
from tasks.stats.weighted_curves import WeightedArms, weighted_restricted_means
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


_DAYS = "residuals(survfit(.., weights = w), 300, type = 'rmst') stacked with estfun(glm)"


def _of_means():
    d = rossi()
    score = estimated_score(d[_X], d.fin)
    arms = WeightedArms(
        7.0 * d.week.to_numpy(float), d.arrest.to_numpy(), (d.fin == 1).to_numpy(),
        score_weights(score, d.fin, "iptw_ate"),
    )  # fmt: skip
    return contrast_means(weighted_restricted_means(arms, 300.0), "difference").std_error


WITNESSES = [
    Witness("risk difference", _CALL, -0.08126182161139, lambda: _effect(True).estimate),
    Witness("error, HC0", _STACK, 0.04271792490599, lambda: float(_effect(False).std_error or 0)),
    Witness(
        "error, M-estimation", _STACK, 0.04153459899435, lambda: float(_effect(True).std_error or 0)
    ),
    Witness("error of the difference of restricted means", _DAYS, 6.323733037, _of_means),
]
