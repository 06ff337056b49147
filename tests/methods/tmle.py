"""Targeted maximum likelihood: lifelines' copy of Rossi's data; numbers of R 4.2.2, `d` the same table."""

from tasks.stats.estimated_weights import estimated_score
from tasks.stats.outcome_models import OutcomeDesign, tmle
from tasks.stats.weighted_effects import contrast_means
from tests.methods.pages import Witness
from tests.reference.data import rossi

_X = ["age", "race", "wexp", "mar", "prio"]
_CALL = "glm(y ~ -1 + offset(qlogis(q1)) + I(1/e), binomial) an arm, in R"


def _effect():
    d = rossi()
    made = [d[["fin", *_X]].assign(fin=arm) for arm in (d.fin, 1, 0)]
    design = OutcomeDesign(*(frame.to_numpy(float) for frame in made))
    score = estimated_score(d[_X], d.fin)
    means = tmle(d.arrest, d.fin, design, score, "logistic")
    return contrast_means(means, "difference")


WITNESSES = [
    Witness("risk difference", _CALL, -0.08028520077824, lambda: _effect().estimate),
    Witness("its error", _CALL, 0.04158932653994, lambda: float(_effect().std_error or 0)),
]
