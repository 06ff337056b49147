"""G-computation: lifelines' copy of Rossi's data; numbers of R 4.2.2, `d` the same table.

Of follow-up: times without ties, as tests/reference/test_survival_effects.py makes them.
"""

from tasks.stats.outcome_models import OutcomeDesign, g_computation
from tasks.stats.survival_effects import g_computation_survival
from tasks.stats.weighted_effects import contrast_means
from tests.methods.pages import Witness
from tests.reference.data import rossi
from tests.reference.test_survival_effects import design, untied

_X = ["age", "race", "wexp", "mar", "prio"]
_CALL = "predict(glm(arrest ~ fin + ..., binomial), fin = 1 and 0), stacked equations in R"


def _effect():
    d = rossi()
    made = [d[["fin", *_X]].assign(fin=arm) for arm in (d.fin, 1, 0)]
    design = OutcomeDesign(*(frame.to_numpy(float) for frame in made))
    means = g_computation(d.arrest, d.fin, design, "logistic")
    return contrast_means(means, "difference")


_ATE = "riskRegression::ate(coxph(Surv(t, e) ~ fin + ...), treatment = 'fin', times = 50)"
_CURVES = "rowMeans(survfit(coxph(Surv(week, arrest) ~ fin + ...), newdata)$surv), area to 50"


def _of_follow_up(measure):
    d, time, event = untied()
    found = g_computation_survival(time, event, d.fin, design(d), [50], ties="breslow")
    return contrast_means(found.risks[0], measure)


def _mean():
    d = rossi()
    found = g_computation_survival(d.week, d.arrest, d.fin, design(d), [], 50.0)
    assert found.rmst is not None
    return found.rmst.treated


WITNESSES = [
    Witness("risk difference", _CALL, -0.07893520918763, lambda: _effect().estimate),
    Witness("its error", _CALL, 0.04148588245490, lambda: float(_effect().std_error or 0)),
    Witness(
        "of follow-up, risk difference by day 50", _ATE, -0.0648127159773041,
        lambda: _of_follow_up("difference").estimate,
    ),
    Witness(
        "of follow-up, its error", _ATE, 0.0406721574232034,
        lambda: float(_of_follow_up("difference").std_error or 0),
    ),
    Witness(
        "of follow-up, risk ratio by day 50", _ATE, 0.8464874968800628,
        lambda: _of_follow_up("ratio").estimate,
    ),
    Witness("of follow-up, restricted mean of the treated", _CURVES, 45.2889933243746370, _mean),
]  # fmt: skip
