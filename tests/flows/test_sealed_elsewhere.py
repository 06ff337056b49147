"""What one study keeps sealed another may tell: the run says so, and the audit log."""

import json

import pytest

from flows.orders.sealed_elsewhere import told_elsewhere
from tasks.core.outcome_marks import outcome_marks
from tasks.core.paths import Home
from tasks.core.runs import RunIdentity, begin, finish
from tasks.core.spec import load_study
from tests.study_files import DEVICE, changed


def finished(home, study_id, spec_hash, marks, seals, status="published"):
    """Write a run with these marks; return what is said of other studies."""
    identity = RunIdentity(study_id, "1.0", spec_hash, 1, "data", "2026-01-01", "code")
    waiting = {"sealed": [{"analysis_id": "main", "why": "gate"}]} if seals else {}
    details = {"outcomes": marks, **waiting}
    finish(home, identity, begin(home, identity), status, details)
    found = told_elsewhere(home, identity, marks, seals=seals)
    assert {message.code for message in found} <= {"W_SEALED_ELSEWHERE"}
    return [f"{message.where} {message.what}" for message in found]


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path / "home").prepare()


HERE = "study gated keeps the outcome sealed that this run tells by arm"


@pytest.mark.parametrize("status", ["published", "blocked"])
def test_a_study_that_tells_what_another_seals_is_warned_of(home, status):
    assert finished(home, "gated", "a", ["x", "y"], seals=True, status=status) == []
    assert finished(home, "free", "b", ["x"], seals=False) == [HERE]
    assert finished(home, "of_something_else", "c", ["z"], seals=False) == []
    log = [json.loads(line) for line in (home.audit / "log.jsonl").read_text().splitlines()]
    [noted] = [line for line in log if line["event"] == "sealed-outcome-told"]
    assert (noted["study_id"], noted["other_study"]) == ("free", "gated")


def test_gates_that_come_after_another_study_was_published(home):
    assert finished(home, "free", "b", ["x"], seals=False) == []
    assert finished(home, "gated", "a", ["x"], seals=True) == [
        "study free has published the outcome by arm that this run keeps sealed"
    ]
    assert finished(home, "also_gated", "c", ["x"], seals=True) != []


def test_a_study_that_waits_for_nothing_any_more_is_not_in_the_way(home):
    finished(home, "gated", "a", ["x"], seals=True)
    finished(home, "gated", "a", ["x"], seals=False)
    assert finished(home, "free", "b", ["x"], seals=False) == []


def test_a_later_version_without_gates_is_warned_of(home):
    finished(home, "gated", "a", ["x"], seals=True)
    assert finished(home, "gated", "b", ["x"], seals=False) == [
        "study gated kept this outcome sealed in version 1.0, and tells it now"
    ]


def marks(folder, name, *changes):
    return outcome_marks(load_study(changed(folder, DEVICE, *changes, name=name)))


def test_a_comparison_is_known_by_what_it_means(tmp_path):
    one = marks(tmp_path, DEVICE)
    assert len(one) == 1
    text = load_study(DEVICE)
    renamed = text.model_copy(update={"study": text.study.model_copy(update={"id": "x"})})
    assert outcome_marks(renamed) == one
    other_list = text.model_copy(
        update={
            "code_lists": tuple(
                item.model_copy(update={"concepts": (1,)})
                if item.id == text.trial.outcome.id
                else item.model_copy(update={"source": "another"})
                for item in text.code_lists
            )
        }
    )
    assert outcome_marks(other_list) != one
    swapped = text.model_copy(update={"target": text.comparator, "comparator": text.target})
    assert outcome_marks(swapped) == one
