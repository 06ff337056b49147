"""Matching and strata: lifelines' copy of Rossi's data; numbers of R 4.2.2, `d` the same table."""

import numpy as np

from tasks.stats.estimated_weights import estimated_score
from tasks.stats.matching import match_sets
from tasks.stats.stratified_effects import mantel_haenszel
from tests.methods.pages import Witness
from tests.reference.data import rossi

_X = ["age", "race", "wexp", "mar", "prio"]
_LOOP = "while (any(D <= caliper)) take the closest pair left (ties: first treated, first control), in R"
_MH = "mantelhaen.test(table(d$fin, d$arrest, cut(d$age, c(0, 20, 24, 30, 99))))"


def _sets():
    d = rossi()
    score = estimated_score(d[_X], d.fin)
    return match_sets(score.logit, d.fin), score.logit


def _distance():
    sets, logit = _sets()
    pairs = logit[sets.row].reshape(-1, 2)
    return float(abs(pairs[:, 0] - pairs[:, 1]).sum())


def _odds():
    d = rossi()
    stratum = np.digitize(d.age, [20.5, 24.5, 30.5])
    return mantel_haenszel(d.arrest, d.fin, stratum)["odds_ratio"].estimate


WITNESSES = [
    Witness("pairs", _LOOP, 197, lambda: float(_sets()[0].n_sets), 1e-12),
    Witness("sum of distances", _LOOP, 0.8361713906409, _distance, 1e-6),
    Witness("odds ratio over strata", _MH, 0.6879938477203, _odds, 1e-9),
]
