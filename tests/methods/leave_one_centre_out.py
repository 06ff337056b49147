"""Each centre left out, on AUDIT-C: R's metafor 3.8-1."""

from scipy import special

from tasks.stats.meta_analysis import pool
from tasks.stats.meta_analysis_counts import proportions_of
from tests.methods.pages import Witness
from tests.reference.auditc import FN, TP

_RMA = 'rma(measure = "PLO", xi = TP, ni = TP + FN, method = "REML")'


def _pooled(left_out=None):
    pairs = [(tp, tp + fn) for i, (tp, fn) in enumerate(zip(TP, FN, strict=True)) if i != left_out]
    hits, trials = zip(*pairs, strict=True)
    found = proportions_of([float(h) for h in hits], [float(t) for t in trials], "logit")
    return pool(found.effects, found.variances, "reml", tight=True)


WITNESSES = [
    Witness("logit of sensitivity", _RMA, 2.20533698889, lambda: _pooled().estimate),
    Witness("its standard error", _RMA, 0.352394276594, lambda: _pooled().std_error),
    *(
        Witness(
            f"sensitivity without study {place + 1}", f"leave1out({_RMA}, transf = plogis)", theirs,
            lambda place=place: float(special.expit(_pooled(place).estimate)),
        )
        for place, theirs in ((0, 0.908284795), (2, 0.911524411057), (7, 0.871388982309))
    ),
]  # fmt: skip
