"""Augmented inverse-probability weighting: lifelines' copy of Rossi's data; numbers of R 4.2.2, `d` the same table.

Of follow-up: as tests/reference/test_survival_effects.py. riskRegression augments by the martingale of
loss, which is the same but for terms of the size of one person.
"""

from tasks.stats.estimated_weights import estimated_score
from tasks.stats.outcome_models import OutcomeDesign, aipw
from tasks.stats.survival_effects import aipw_survival
from tasks.stats.weighted_effects import contrast_means
from tests.methods.pages import Witness
from tests.reference.data import rossi
from tests.reference.test_survival_effects import design, error, nothing, share_alone, untied

_X = ["age", "race", "wexp", "mar", "prio"]
_CALL = "mean and sd / sqrt(n) of the AIPW terms of two glm, in R"


def _effect():
    d = rossi()
    made = [d[["fin", *_X]].assign(fin=arm) for arm in (d.fin, 1, 0)]
    design = OutcomeDesign(*(frame.to_numpy(float) for frame in made))
    score = estimated_score(d[_X], d.fin)
    means = aipw(d.arrest, d.fin, design, score, "logistic")
    return contrast_means(means, "difference")


_KM = "summary(survfit(Surv(week, arrest) ~ fin), times = 40, rmean = 50), fin = 1"
_ATE = "riskRegression::ate(event, treatment, censor, times = 50, estimator = 'AIPTW')"


def _alone():
    d = rossi()
    asked = (d.week, d.arrest, d.fin, nothing(len(d)), share_alone(d.fin))
    return aipw_survival(*asked, [40], 50.0, per_arm=True)


def _of_follow_up():
    d, time, event = untied()
    score = estimated_score(d[_X], d.fin)
    found = aipw_survival(time, event, d.fin, design(d), score, [50], ties="breslow")
    return contrast_means(found.risks[0], "difference")


WITNESSES = [
    Witness("risk difference", _CALL, -0.08026391704025, lambda: _effect().estimate),
    Witness("its error", _CALL, 0.04159083041317, lambda: float(_effect().std_error or 0)),
    Witness(
        "of follow-up without covariates, risk by day 40", _KM, 0.166666666666667,
        lambda: _alone().risks[0].treated,
    ),
    Witness("its error", _KM, 0.0253575258104243, lambda: error(_alone().risks[0], 1, 0)),
    Witness(
        "error of its restricted mean to day 50", _KM, 0.747494648542656,
        lambda: error(_alone().rmst, 1, 0),
    ),
    Witness(
        "of follow-up, risk difference by day 50", _ATE, -0.066058005967500,
        lambda: _of_follow_up().estimate, 1e-2,
    ),
    Witness(
        "of follow-up, its error", _ATE, 0.062414209425224,
        lambda: float(_of_follow_up().std_error or 0), 2e-3,
    ),
]  # fmt: skip
