"""What calibration and decision curves refuse of a study, by name and with a fix."""

import pytest
from pydantic import ValidationError

from tasks.core.spec import StudySpec
from tasks.core.spec.checks_probabilities import PROBABILITY_CHECKS

ROLES = {"case_id": "case", "truth": "truth", "score": "score"}
TIMES = {"time": {"column": "time", "unit": "days"}, "event": "event"}
CURVE, CALIBRATION = {"method": "decision_curve"}, {"method": "calibration"}


def faults(analysis, roles=ROLES, **source):
    table = {"id": "t", "kind": "reading_table", "site_id": "S", "table": "r", "missing": "refuse", "roles": roles}  # fmt: skip
    spec = StudySpec.model_validate(
        {
            "spec_version": 1,
            "study": {"id": "s", "title": {"en": "x", "ko": "x"}},
            "sources": [table | source],
            "analyses": [{"id": "a", "role": "primary", "source": "t"} | analysis],
        }
    )
    return [fault.what for check in PROBABILITY_CHECKS for fault in check.find(spec)]


REFUSED = [
    (CALIBRATION, {"roles": {"case_id": "c", "truth": "t"}}, "needs the role score"),
    (CALIBRATION, {"roles": {**ROLES, "weight": "w"}}, "no weighted form"),
    (CALIBRATION, {"sampling": "case_control"}, "drawn by their truth"),
    (CURVE, {"sampling": "case_control"}, "has to be told"),
    ({**CURVE, "decision_curve": {"thresholds": [0.1, 0.1]}}, {}, "stands twice"),
    ({**CURVE, "hypothesis": {"claim": "superiority", "goal": 0.5}}, {}, "not one of them with a goal"),
    ({**CURVE, "index_test": {"threshold": 0.5}}, {}, "without_result alone"),
    ({**CURVE, "horizon_days": 365}, {}, "needs the roles time and event"),
    ({**CURVE, "horizon_days": 365, "decision_curve": {"prevalence": 0.1}}, {"roles": {**ROLES, **TIMES}}, "follow-up tells"),
    ({**CURVE, "horizon_days": 365, "decision_curve": {"as_probability": True}}, {"roles": {**ROLES, **TIMES}}, "as_probability"),
    ({**CURVE, "horizon_days": 365, "sample_size": {"cases": 9}}, {"roles": {**ROLES, **TIMES}}, "planned numbers"),
    (CURVE, {"roles": {"case_id": "c", "score": "s", **TIMES}}, "needs the role truth"),
    ({"method": "accuracy"}, {"roles": {"case_id": "c", "score": "s", **TIMES}}, "needs the role truth"),
]  # fmt: skip


@pytest.mark.parametrize(("analysis", "source", "told"), REFUSED)
def test_what_does_not_fit_is_refused(analysis, source, told):
    assert any(told in what for what in faults(analysis, **source))


TAKEN = [
    (CALIBRATION, {}),
    ({**CURVE, "index_test": {"without_result": "positive"}}, {}),
    ({**CURVE, "decision_curve": {"prevalence": 0.1}}, {"sampling": "case_control"}),
    ({**CURVE, "horizon_days": 365}, {"roles": {"case_id": "c", "score": "s", **TIMES}}),
]


@pytest.mark.parametrize(("analysis", "source"), TAKEN)
def test_what_fits_is_taken(analysis, source):
    assert faults(analysis, **source) == []


def test_a_table_without_truth_has_time_and_event():
    with pytest.raises(ValidationError, match="truth, or those of time and event"):
        faults(CURVE, {"case_id": "c", "score": "s", "event": "e"})
