"""Meta-analysis: thirteen trials of a vaccine, numbers of R's metafor 3.8-1."""

import numpy as np

from tasks.stats.meta_analysis import pool
from tasks.stats.meta_analysis_checks import begg, egger, leave_one_out, trim_and_fill
from tasks.stats.meta_analysis_counts import (
    effects_of,
    mantel_haenszel,
    peto,
    proportion_from,
    proportions_of,
    tables,
)
from tests.methods.pages import Witness
from tests.reference.bcg import ABLAT, CNEG, CPOS, TNEG, TPOS

_COUNTS = tables(TPOS, np.add(TPOS, TNEG), CPOS, np.add(CPOS, CNEG))
_BCG = effects_of(_COUNTS, "risk_ratio")
_Y, _V = _BCG.effects, _BCG.variances
_TAU2 = {
    "dl": 0.3087602628624,
    "pm": 0.318093711863,
    "reml": 0.3132433259809,
    "ml": 0.2800281710496,
    "sj": 0.3455157015986,
    "he": 0.3285638579958,
    "eb": 0.3180685157713,
}


def _tau2(method):
    return Witness(
        f"tau², {method}",
        f"rma(yi, vi, data = e, method = '{method.upper()}')$tau2",
        _TAU2[method],
        lambda: pool(_Y, _V, method).heterogeneity.tau2,
    )


def _share():
    totals = np.add(TPOS, TNEG)
    sites = proportions_of(TPOS, totals, "logit")
    return proportion_from(pool(sites.effects, sites.variances).estimate, "logit", totals)


_R, _HK = "rma(yi, vi, data = e)", "rma(yi, vi, data = e, test = 'knha')"
_MODS = "rma(yi, vi, mods = ~ ablat, data = e)"

WITNESSES = [
    Witness("one effect, log risk ratio", "rma(yi, vi, data = e, method = 'FE')", -0.4302851636541,
            lambda: pool(_Y, _V, "fixed").estimate),
    *[_tau2(method) for method in _TAU2],
    Witness("tau², upper limit", f"confint({_R})", 1.111486262215,
            lambda: float(pool(_Y, _V).heterogeneity.tau2_high or 0)),
    Witness("I², %", f"{_R}$I2", 92.221386074966, lambda: pool(_Y, _V).heterogeneity.i2),
    Witness("log risk ratio, REML", f"{_R}$b", -0.7145323483651, lambda: pool(_Y, _V).estimate),
    Witness("its standard error", f"{_R}$se", 0.1797815317804, lambda: pool(_Y, _V).std_error),
    Witness("the same, Knapp-Hartung", f"{_HK}$se", 0.1807917455191,
            lambda: pool(_Y, _V, knapp_hartung="plain").std_error),
    Witness("prediction, upper limit", f"predict({_R})$pi.ub", 0.4376276498769,
            lambda: float(pool(_Y, _V).prediction_high or 0)),
    Witness("coefficient of latitude", f"{_MODS}$b", -0.02910166092801,
            lambda: float(pool(_Y, _V, moderators=ABLAT).coefficients[1])),
    Witness("R², %", f"{_MODS}$R2", 75.624478361491,
            lambda: float(pool(_Y, _V, moderators=ABLAT).moderators.r2 or 0)),
    Witness("Mantel-Haenszel, log odds ratio", "rma.mh(measure = 'OR', …)$b", -0.4734109883886,
            lambda: mantel_haenszel(_COUNTS, "odds_ratio").estimate),
    Witness("Mantel-Haenszel, risk difference, error", "rma.mh(measure = 'RD', …)$se", 0.00028665674852737,
            lambda: mantel_haenszel(_COUNTS, "risk_difference").std_error),
    Witness("Peto, log odds ratio", "rma.peto(…)$b", -0.47444631094064, lambda: peto(_COUNTS).estimate),
    Witness("Egger, t", "regtest(e, model = 'lm')", -1.401282002289, lambda: egger(_Y, _V).statistic),
    Witness("Begg, p", "ranktest(rma(yi, vi, data = e))", 0.95236190796087, lambda: begg(_Y, _V).p_value),
    Witness("trim and fill, L0", "trimfill(rma(yi, vi, data = e, method = 'DL'))", -0.6560732129886,
            lambda: trim_and_fill(_Y, _V, "dl").pooled.estimate),
    Witness("without the first trial", f"leave1out({_R})", -0.7070837880314,
            lambda: leave_one_out(_Y, _V, "reml")[0].estimate),
    Witness("share with the event, vaccinated", "predict(rma(measure = 'PLO', …), transf = transf.ilogit)",
            0.00746918846645, _share),
]  # fmt: skip
