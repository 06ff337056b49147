"""Accuracy across centres on AUDIT-C: R's metafor 3.8-1 and lme4 1.1-31."""

import numpy as np

from tasks.stats.diagnostic.bivariate import Counts, pool_accuracy
from tasks.stats.diagnostic.bivariate_summary import hsroc, shares
from tests.methods.pages import Witness
from tests.reference.auditc import FN, FP, TN, TP

_COUNTS = Counts.of(TP, FP, FN, TN)
_RMA = "rma.mv(yi, vi, mods = ~ 0 + g, random = ~ g | site, struct = 'UN', method = '{}')"
_GLMER = "glmer(cbind(y, n - y) ~ 0 + sens + fpr + (0 + sens + fpr | site), binomial)"
_PRINTED = {
    ("reml", 15): (_RMA.format("REML"), 2.09974262903, 0.337851247422, -1.26369092760, 0.854274583),
    ("ml", 15): (_RMA.format("ML"), 2.07625899095, 0.319865202574, -1.26244709154, 0.861056848),
    ("glmm", 1): (_GLMER, 2.51116078735, 0.461778927195, -1.27619762792, 0.817851863),
}


def _of(model, points, place):
    def ours():
        fit = pool_accuracy(_COUNTS, model, points=points)
        error = float(np.sqrt(fit.covariance[0, 0]))
        return (float(fit.mean[0]), error, float(fit.mean[1]), fit.rho)[place]

    return ours


_NAMES = ("logit of sensitivity", "its standard error", "logit of the false-positive rate", "rho")
_SAID = {"reml": "REML", "ml": "ML", "glmm": "binomial, one point (Laplace)"}

WITNESSES = [
    *(
        Witness(f"{_SAID[model]}: {name}", source, printed[place], _of(model, points, place), 1e-5)
        for (model, points), (source, *printed) in _PRINTED.items()
        for place, name in enumerate(_NAMES)
    ),
    Witness(
        "sensitivity (REML)", "plogis(2.09974262903)", 0.890878161,
        lambda: shares(pool_accuracy(_COUNTS, "reml"))[0].estimate, 1e-6,
    ),
    Witness(
        "Lambda (REML)", "Harbord's identity, of rma.mv's mean, tau2 and rho", 3.262132,
        lambda: hsroc(pool_accuracy(_COUNTS, "reml")).lambda_, 1e-6,
    ),
]  # fmt: skip
