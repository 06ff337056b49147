"""Time to read: the mixed model of R 4.2.2, lme4 1.1-31, of six cases by four readers.

lmer(y ~ mod + (1 | reader) + (1 | case) + (1 | reader:mod) + (1 | case:mod)
     + (1 | reader:case))
"""

import numpy as np

from tasks.stats.diagnostic.reader_figures import CellReadings, figures_of
from tasks.stats.diagnostic.reader_study import ReaderStudy
from tests.methods.pages import Witness

_SECONDS = """
23.45 18.15 23.06 20.67 18.39 23.60 22.91 15.19 21.52 18.46 18.30 22.04
22.85 19.90 24.04 22.43 19.69 22.84 25.11 18.67 24.30 24.14 22.38 25.17
17.26 10.92 15.07 14.34 11.33 16.47 18.09 11.59 17.05 13.36 11.86 17.65
16.68 12.78 16.53 16.59 12.75 15.71 20.18 14.80 19.22 18.47 15.75 20.64
"""
_CASE = np.arange(6)
_CALL = "lmer(y ~ mod + (1|reader) + (1|case) + …), lme4 1.1-31"


def _of(side):
    values = np.array(_SECONDS.split(), float).reshape(8, 6)
    cells = [CellReadings(_CASE, _CASE, _CASE < 3, row) for row in values]
    found = figures_of(cells, is_area=False)
    study = ReaderStudy(found.value.reshape(2, 4), found.covariance)
    return lambda: getattr(study.difference(1, 0, "random_readers_random_cases"), side)


WITNESSES = [
    Witness("difference of means", _CALL, -5.92375, _of("estimate"), 1e-9),
    Witness("standard error, random readers and cases", _CALL, 0.5778928835, _of("std_error"), 1e-5),
]  # fmt: skip
