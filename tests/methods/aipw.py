"""Augmented inverse-probability weighting: lifelines' copy of Rossi's data; numbers of R 4.2.2, `d` the same table."""

from tasks.stats.estimated_weights import estimated_score
from tasks.stats.outcome_models import OutcomeDesign, aipw
from tasks.stats.weighted_effects import contrast_means
from tests.methods.pages import Witness
from tests.reference.data import rossi

_X = ["age", "race", "wexp", "mar", "prio"]
_CALL = "mean and sd / sqrt(n) of the AIPW terms of two glm, in R"


def _effect():
    d = rossi()
    made = [d[["fin", *_X]].assign(fin=arm) for arm in (d.fin, 1, 0)]
    design = OutcomeDesign(*(frame.to_numpy(float) for frame in made))
    score = estimated_score(d[_X], d.fin)
    means = aipw(d.arrest, d.fin, design, score, "logistic")
    return contrast_means(means, "difference")


WITNESSES = [
    Witness("risk difference", _CALL, -0.08026391704025, lambda: _effect().estimate),
    Witness("its error", _CALL, 0.04159083041317, lambda: float(_effect().std_error or 0)),
]
