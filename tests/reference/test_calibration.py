"""Empirical calibration against the prints of OHDSI's EmpiricalCalibration, and brute force.

EmpiricalCalibration 3.1.4, vignette "Empirical calibration of p-values", data(sccs):
    null <- fitNull(negatives$logRr, negatives$seLogRr)   # Mean 0.7920, SD 0.2835
    calibrateP(null, 0.7326235, 0.07371708)               # 0.839405 (sertraline)
Its tests: `calibrateConfidenceInterval` of sertraline gives logRr -0.0593, EASE of sccs is the mean
within 1e-3; fitNull(c(1, 2), c(0, 0)) has mean 1.5; with a null of 0 and 0, calibrateP(.2, .2) is
the traditional p-value, and c(0.1, 0.3), c(0.05, 0.1) give 0.045500266 and 0.002699796.
"""

import numpy as np
import pytest
from scipy import integrate, optimize, stats

from tasks.core.errors import EstimationError
from tasks.stats.calibration import (
    SystematicError,
    calibrate,
    expected_absolute_error,
    fit_systematic_error,
)

SCCS = SystematicError(0.7920, 0.2835, expected_absolute_error(0.7920, 0.2835), 0.0, 46)
SERTRALINE = (0.7326235, 0.07371708)


def test_the_printed_calibration_of_sertraline():
    found = calibrate(*SERTRALINE, SCCS)
    assert found.p_value == pytest.approx(0.839405, abs=1e-4)  # the null is printed to 4 digits
    assert found.estimate == pytest.approx(-0.0593, abs=1e-4)
    assert SCCS.ease == pytest.approx(0.7920, abs=1e-3)


def test_without_systematic_error_nothing_changes():
    none = SystematicError(0.0, 0.0, 0.0, 0.0, 5)
    assert calibrate(0.1, 0.05, none).p_value == pytest.approx(0.045500266, rel=1e-7)
    assert calibrate(0.3, 0.1, none).p_value == pytest.approx(0.002699796, rel=1e-6)
    found = calibrate(0.2, 0.2, none)
    assert (found.estimate, found.std_error) == (0.2, 0.2)
    assert found.ci_high - found.ci_low == pytest.approx(2 * 1.959963985 * 0.2)


def drawn(n, mean, sd, seed):
    rng = np.random.default_rng(seed)
    s = rng.uniform(0.05, 0.5, n)
    return rng.normal(mean, np.hypot(sd, s)), s


@pytest.mark.parametrize(
    ("n", "mean", "sd"), [(5, 0.3, 0.3), (12, -0.4, 0.2), (40, 0.25, 0.25), (60, 0.0, 0.05)]
)
def test_the_likelihood_is_at_its_peak(n, mean, sd):
    for seed in range(4):
        y, s = drawn(n, mean, sd, seed)
        found = fit_systematic_error(y, s)

        def less(theta, y=y, s=s):
            return -stats.norm.logpdf(y, theta[0], np.hypot(theta[1], s)).sum()

        starts = ([0.0, 0.1], [mean, 1.0], [y.mean(), 1e-3])
        tried = [
            optimize.minimize(
                less, x, method="Nelder-Mead", options={"xatol": 1e-10, "fatol": 1e-13}
            )
            for x in starts
        ]
        best = min(tried, key=lambda one: one.fun)
        assert found.log_likelihood >= -best.fun - 1e-10
        assert found.mean == pytest.approx(best.x[0], abs=1e-5)
        assert found.sd == pytest.approx(abs(best.x[1]), abs=1e-4)
        assert found.n == n


@pytest.mark.parametrize(("mean", "sd"), [(0.3, 0.2), (-0.1, 0.4), (0.0, 0.1), (2.0, 0.01)])
def test_ease_is_the_integral(mean, sd):
    reach = (mean - 12 * sd, mean + 12 * sd)
    brute, _ = integrate.quad(
        lambda x: abs(x) * stats.norm.pdf(x, mean, sd), *reach, points=[0.0], limit=200
    )
    assert expected_absolute_error(mean, sd) == pytest.approx(brute, rel=1e-7)
    assert expected_absolute_error(mean, 0.0) == abs(mean)


def test_the_order_of_controls_does_not_matter():
    y, s = drawn(20, 0.2, 0.2, 3)
    mixed = np.random.default_rng(0).permutation(20)
    assert fit_systematic_error(y, s) == fit_systematic_error(y[mixed], s[mixed])


def test_equal_estimates_have_no_spread():
    found = fit_systematic_error([0.2] * 6, [0.1] * 6)
    assert (found.mean, found.sd, found.ease) == (pytest.approx(0.2), 0.0, pytest.approx(0.2))


@pytest.mark.parametrize(
    ("y", "s", "says"),
    [
        ([], [], "0 controls could be estimated; 5 are needed"),
        ([0.1] * 4, [0.1] * 4, "4 controls"),
        ([0.1] * 5, [0.1] * 4 + [0.0], "not above 0"),
        ([0.1] * 4 + [np.nan], [0.1] * 5, "no finite estimate"),
    ],
)
def test_what_cannot_be_fitted_is_refused(y, s, says):
    with pytest.raises(EstimationError, match=says):
        fit_systematic_error(y, s)


@pytest.mark.parametrize("std_error", [0.0, -1.0, np.nan, np.inf])
def test_an_estimate_without_error_cannot_be_calibrated(std_error):
    with pytest.raises(EstimationError, match="standard error above 0"):
        calibrate(0.1, std_error, SCCS)


def test_calibrated_intervals_cover_and_others_do_not():
    """400 estimates with true effects of any size and the error of 30 controls; seed 1."""
    rng = np.random.default_rng(1)
    hits, naive = [], []
    for _ in range(400):
        y, s = rng.normal(0.25, 0.2, 30), rng.uniform(0.05, 0.3, 30)
        error = fit_systematic_error(y + rng.normal(0, s), s)
        truth, std_error = rng.normal(0, 0.5), 0.15
        estimate = truth + rng.normal(0.25, 0.2) + rng.normal(0, std_error)
        found = calibrate(estimate, std_error, error)
        hits.append(found.ci_low <= truth <= found.ci_high)
        naive.append(abs(estimate - truth) < 1.96 * std_error)
    assert 0.92 <= np.mean(hits) <= 0.98
    assert np.mean(naive) < 0.7
