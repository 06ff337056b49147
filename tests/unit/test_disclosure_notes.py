"""A reason in words tells no number of few persons, and no last day of one."""

import pytest

from tasks.core.disclosure_notes import HIDDEN, told_safely, without_numbers
from tasks.core.disclosure_tables import release_tables
from tasks.core.errors import EstimationError, GateError
from tasks.core.results import result_row
from tasks.core.spec import load_study
from tests.unit.test_arms_curves import found, people
from tests.unit.test_disclosure import BIG, K, released
from tests.unit.test_disclosure_tables import steps


def noted(note, status="not_estimable", n=200):
    return result_row(
        "a", "secondary", "rmst", method="rmst", population="crude", outcome="bleed", arm=None,
        note=note, status=status, n=n, n_events=40,
    )  # fmt: skip


NOTES = {
    "rates: 3 events in 57.5 person-time": f"rates: {HIDDEN} events in {HIDDEN} person-time",
    "horizon 60 is not in (0, 1,057], the follow-up": f"horizon {HIDDEN} is not in "
    f"({HIDDEN}, {HIDDEN}], the follow-up",
    "column x2 has one value": "column x2 has one value",
}


@pytest.mark.parametrize(("note", "told"), NOTES.items())
def test_a_reason_tells_no_number(note, told):
    assert released([*BIG, noted(note)]).rows[-1]["note"] == told
    kept, _, _ = release_tables([noted(note)], steps(a=[300, 200]), K)
    assert kept[-1]["note"] == told
    assert released([*BIG, noted(note)], k=None).rows[-1]["note"] == note


def test_a_withheld_number_leaves_none_in_its_note():
    kept, _, _ = release_tables([noted("3 rows of 7 are left", "ok", n=7)], steps(a=[9, 7]), K)
    assert (kept[-1]["status"], kept[-1]["note"]) == (
        "suppressed", f"{HIDDEN} rows of {HIDDEN} are left",
    )  # fmt: skip


def test_the_largest_weight_and_the_lowest_probability_are_of_one_person():
    note = "weights up to 57.31, cut at 0.99; lowest probability of staying 0.0123; doubtful"
    shown = released([*BIG, noted(note, "ok")]).rows[-1]["note"]
    assert shown == (
        f"weights up to {HIDDEN}, cut at 0.99; lowest probability of staying {HIDDEN}; doubtful"
    )


def test_the_longest_follow_up_of_an_arm_is_in_no_reason():
    spec = load_study("gibleed_celecoxib_diclofenac")
    rows = found(spec, people(), method="rmst", horizon_days=900)
    assert "52" in rows[0]["note"]
    kept = released([*BIG, *rows]).rows[2:]
    assert kept
    assert not any(char.isdigit() for row in kept for char in str(row["note"]))


def test_an_error_of_an_estimate_is_told_without_numbers_and_others_as_they_are():
    error = EstimationError("propensity", "3 of 200 persons are treated", "add data.")
    assert told_safely(error, K).what == without_numbers(error.what)
    assert told_safely(error, K).exit_code == 14
    assert told_safely(error, None) is error
    gate = GateError("study", "gate missed: events 20", "read the gates.")
    assert told_safely(gate, K) is gate
