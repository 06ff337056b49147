"""Partial verification: Begg and Greenes's hepatic scintigraphy, and stacked scores in R."""

import numpy as np

from tasks.stats.diagnostic.verification import (
    PartlyVerified,
    begg_greenes,
    begg_greenes_by_model,
    inverse_probability,
)
from tests.methods.pages import Witness

_HEPATIC = ((1, 1, 1, 231), (1, 1, 0, 32), (0, 1, 1, 27), (0, 1, 0, 54), (1, 0, 0, 166), (0, 0, 0, 140))  # fmt: skip
_BY_X = (
    ((1, 1, 1, 60), (1, 1, 0, 20), (0, 1, 1, 10), (0, 1, 0, 40), (1, 0, 0, 15), (0, 0, 0, 80)),
    ((1, 1, 1, 90), (1, 1, 0, 15), (0, 1, 1, 12), (0, 1, 0, 30), (1, 0, 0, 50), (0, 0, 0, 30)),
)


def _cases(*parts):
    rows = [np.repeat([[*key, x]], n, axis=0) for x, p in enumerate(parts) for *key, n in p]
    positive, verified, truth, x = np.vstack(rows).T
    covariates = x[:, None].astype(float) if len(parts) > 1 else np.empty((x.size, 0))
    return PartlyVerified(
        positive == 1, truth == 1, verified == 1, np.arange(x.size), x, covariates
    )


def _of(make, parts, name, side):
    return lambda: getattr(make(_cases(*parts)).share(name), side)


_PVB = "acc_bg(hepatic_pvb), PVBcorrect"
_R = "stacked scores, numDeriv, R 4.2.2"
WITNESSES = [
    *(
        Witness(f"Begg-Greenes {name}, {side}", _PVB, value, _of(begg_greenes, (_HEPATIC,), name, side), 1e-10)
        for name, side, value in (
            ("sensitivity", "estimate", 0.836466715435),
            ("sensitivity", "std_error", 0.0244980312632),
            ("specificity", "estimate", 0.738398018167),
            ("specificity", "std_error", 0.0388626799225),
            ("ppv", "estimate", 0.878326996198),
            ("npv", "estimate", 0.666666666667),
        )
    ),
    *(
        Witness(f"{said} sensitivity, {side}", _R, value, _of(make, _BY_X, "sensitivity", side), 1e-4)
        for said, make, side, value in (
            ("model of the truth,", begg_greenes_by_model, "estimate", 0.815759097388),
            ("model of the truth,", begg_greenes_by_model, "std_error", 0.032441582953),
            ("weights,", inverse_probability, "estimate", 0.807190541992),
            ("weights,", inverse_probability, "std_error", 0.032675871936),
        )
    ),
]  # fmt: skip
