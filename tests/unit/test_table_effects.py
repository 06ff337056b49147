"""Tables of published effects as a study reads them: calibrated by controls, and E-values."""

import math

import numpy as np
import pandas as pd
import pytest

from tasks.stats.calibration import calibrate, fit_systematic_error
from tests.reference.test_registry_tables import results, some

RNG = np.random.default_rng(5)
S = RNG.uniform(0.05, 0.3, 32)
Y = RNG.normal(0.3, np.hypot(0.15, S))
FRAME = pd.DataFrame(
    {
        "drug": [f"d{i:02d}" for i in range(32)],
        "log_rr": Y,
        "se": S,
        "is_control": ["false", "false"] + ["true"] * 30,
    }
)
SOURCE = {
    "kind": "effect_table",
    "roles": {"study": "drug", "estimate": "log_rr", "std_error": "se", "scale": "log"},
    "columns": {"is_control": "boolean"},
}


def made(frame=FRAME, source=SOURCE, **analysis):
    return results(
        frame, source, **{"method": "empirical_calibration", "control": "is_control"} | analysis
    )


def test_effects_are_calibrated_by_the_controls_of_their_table():
    rows = made(measure="risk_ratio")
    error = fit_systematic_error(Y[2:], S[2:])
    [ease] = some(rows, "ease")
    assert ease["estimate"] == pytest.approx(error.ease)
    assert ease["note"] == "from 30 negative controls of 32 effects"
    for place in (0, 1):
        before, after = some(rows, "risk_ratio", stratum_level=f"d{place:02d}")
        want = calibrate(Y[place], S[place], error)
        assert before["estimate"] == pytest.approx(math.exp(Y[place]))
        assert (before["term"], after["term"]) == (None, "calibrated")
        assert after["estimate"] == pytest.approx(math.exp(want.estimate))
        assert after["ci_low"] == pytest.approx(math.exp(want.ci_low))
        assert after["p_value"] == pytest.approx(want.p_value)
    assert len(some(rows, "risk_ratio", term="control")) == 30


def test_rows_in_another_order_give_the_same():
    assert made() == made(FRAME.sample(frac=1, random_state=1))


def test_four_controls_are_too_few():
    [row] = some(made(FRAME.iloc[:6]), "ease")
    assert row["status"] == "not_estimable"
    assert "4 controls could be estimated; 5 are needed" in row["note"]


def test_differences_are_calibrated_as_they_are():
    rows = made(source=SOURCE | {"roles": SOURCE["roles"] | {"scale": "identity"}})
    before, after = some(rows, "coefficient", stratum_level="d00")
    assert before["estimate"] == pytest.approx(Y[0])
    assert after["estimate_scale"] == "identity"
    measured = {"source": SOURCE | {"roles": SOURCE["roles"] | {"scale": "identity"}}}
    named = made(measure="rmst_difference", **measured)
    before, after = some(named, "rmst_difference", stratum_level="d00")
    error = fit_systematic_error(Y[2:], S[2:])
    assert after["estimate"] == pytest.approx(Y[0] - error.mean, rel=1e-12)
    assert after["std_error"] == pytest.approx(math.hypot(S[0], error.sd), rel=1e-12)
    assert (before["se_scale"], after["se_scale"]) == ("identity", "identity")


def test_e_values_of_a_table_of_effects():
    """RR 3.9 with limits 1.8 and 8.7: E-values 7.263 and 3.0 (VanderWeele & Ding 2017).

    The limits are not quite symmetric around 3.9; the table has the standard error of the lower.
    """
    error = (math.log(3.9) - math.log(1.8)) / 1.959963984540054
    frame = pd.DataFrame({"drug": ["a"], "log_rr": [math.log(3.9)], "se": [error]})
    source = SOURCE | {"columns": {}}
    rows = results(frame, source, method="e_value", measure="risk_ratio")
    value, limit = some(rows, "e_value")
    assert (value["scenario"], limit["scenario"]) == ("estimate", "limit")
    assert value["estimate"] == pytest.approx(7.26303434416, rel=1e-9)
    assert limit["estimate"] == pytest.approx(3.0, rel=1e-9)
    common = results(frame, source, method="e_value", measure="odds_ratio", outcome_is_common=True)
    root = math.sqrt(3.9)
    assert some(common, "e_value")[0]["estimate"] == pytest.approx(
        root + math.sqrt(root * (root - 1))
    )
