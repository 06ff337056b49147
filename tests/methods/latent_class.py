"""Imperfect reference: Hui and Walter's tuberculosis tests, by R's optim."""

import numpy as np

from tasks.stats.diagnostic.latent_class import latent_classes
from tests.methods.pages import Witness

_PATTERNS = np.array([[1, 1], [1, 0], [0, 1], [0, 0]], dtype=bool)
_COUNTS = ((14, 4, 9, 528), (887, 31, 37, 367))
_NAMES = ("sensitivity", "specificity", "prevalence")
_ESTIMATES = (0.966124158063, 0.9688277339257, 0.9933186226323, 0.9841357210841, 0.0268395951617, 0.716792136001)  # fmt: skip
_ERRORS = (0.00694661032651, 0.00622862350279, 0.0038024857529, 0.00561550542764, 0.00712879334474, 0.0127940766641)  # fmt: skip


def _fit():
    rows = np.vstack([np.repeat(_PATTERNS, counts, axis=0) for counts in _COUNTS])
    return latent_classes(rows, np.repeat([0, 1], [sum(counts) for counts in _COUNTS]))


def _of(place, side):
    return lambda: getattr(getattr(_fit(), _NAMES[place // 2])[place % 2], side)


WITNESSES = [
    Witness(f"{_NAMES[i // 2]} {i % 2 + 1}{said}", "optim(nll, hessian = TRUE), R 4.2.2", values[i], _of(i, side), 1e-5)
    for said, side, values in (("", "estimate", _ESTIMATES), (", error", "std_error", _ERRORS))
    for i in range(6)
]  # fmt: skip
