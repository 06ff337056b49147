"""Entropy balancing: lifelines' copy of Rossi's data; numbers of R 4.2.2, `d` the same table."""

import numpy as np

from tasks.stats.entropy_balancing import entropy_balanced
from tasks.stats.propensity import effective_sample_size
from tests.methods.pages import Witness
from tests.reference.data import rossi

_X = ["age", "race", "wexp", "mar", "prio"]
_CALL = "optim(0, log(sum(exp(C %*% l))), method = 'BFGS') and its weights, in R"


def _weights():
    d = rossi()
    return entropy_balanced(d[_X], d.fin).weight


def _effect():
    d = rossi()
    w, treated = _weights(), (d.fin == 1).to_numpy()
    y = d.arrest.to_numpy(float)
    return float(y[treated].mean() - np.average(y[~treated], weights=w[~treated]))


def _size():
    return effective_sample_size(_weights()[(rossi().fin == 0).to_numpy()])


WITNESSES = [
    Witness("risk difference in the treated", _CALL, -0.08687037019288, _effect),
    Witness("effective size of the others", _CALL, 207.62921999829496, _size),
]
