"""Empirical calibration: prints of OHDSI's EmpiricalCalibration, and the integral itself."""

import numpy as np

from tasks.stats.calibration import (
    SystematicError,
    calibrate,
    expected_absolute_error,
    fit_systematic_error,
)
from tests.methods.pages import Witness

_NULL = SystematicError(0.7920, 0.2835, 0.0, 0.0, 46)
_CALL = "calibrateP(null, 0.7326235, 0.07371708), null printed as 0.7920, 0.2835"
_Y = [0.4339021, 0.6363184, 0.9297549, 1.6919273, 0.5261691, 0.8581890]
_S = [0.7617538, 0.1839892, 0.2979802, 0.5955222, 0.1967199, 0.1308460]
_W = 1 / np.array(_S) ** 2

WITNESSES = [
    Witness("p of sertraline", _CALL, 0.839405, lambda: calibrate(0.7326235, 0.07371708, _NULL).p_value, 1e-4),
    Witness("calibrated log ratio of sertraline", "EmpiricalCalibration tests", -0.0593,
            lambda: calibrate(0.7326235, 0.07371708, _NULL).estimate, 2e-3),
    Witness("EASE of that null", "EmpiricalCalibration tests: the mean within 1e-3", 0.7920,
            lambda: expected_absolute_error(0.7920, 0.2835), 1e-3),
    Witness("mean of the first six controls, of no spread", "sum(w y) / sum(w), w = 1/se^2",
            float((_W * _Y).sum() / _W.sum()), lambda: fit_systematic_error(_Y, _S).mean, 1e-9),
]  # fmt: skip
