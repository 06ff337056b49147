"""G-computation: lifelines' copy of Rossi's data; numbers of R 4.2.2, `d` the same table."""

from tasks.stats.outcome_models import OutcomeDesign, g_computation
from tasks.stats.weighted_effects import contrast_means
from tests.methods.pages import Witness
from tests.reference.data import rossi

_X = ["age", "race", "wexp", "mar", "prio"]
_CALL = "predict(glm(arrest ~ fin + ..., binomial), fin = 1 and 0), stacked equations in R"


def _effect():
    d = rossi()
    made = [d[["fin", *_X]].assign(fin=arm) for arm in (d.fin, 1, 0)]
    design = OutcomeDesign(*(frame.to_numpy(float) for frame in made))
    means = g_computation(d.arrest, d.fin, design, "logistic")
    return contrast_means(means, "difference")


WITNESSES = [
    Witness("risk difference", _CALL, -0.07893520918763, lambda: _effect().estimate),
    Witness("its error", _CALL, 0.04148588245490, lambda: float(_effect().std_error or 0)),
]
