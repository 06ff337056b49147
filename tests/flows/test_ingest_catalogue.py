"""The catalogue of bad inputs in ../shared/bad_inputs: every id whose code ingest knows by now."""

import json
import subprocess
import sys

import pytest
import yaml

from tasks.core.duck import duck
from tasks.ingest.commit import status_of
from tasks.ingest.rules import RULES
from tasks.ingest.stage import stage_delivery
from tests.ingest_world import SITE, a_home, ingest
from tests.needs import SHARED, shared

STATUSES = {
    "accept": {"accepted", "accepted_with_warnings"},
    "accept_warn": {"accepted_with_warnings"},
    "quarantine_rows": {"accepted_with_warnings"},
    "reject_file": {"partial"},
    "reject_delivery": {"rejected"},
    "noop": {"noop"},
}
CATALOGUE = SHARED / "bad_inputs" / "catalogue.yaml"
LATER = {
    "G03": "spellings of units are brought together in the clean layer",
    "G16": "which event is the outcome is known to a study, not to ingest",
}
LISTED = 50  # EXPECT.json names so many lines of a table


def entries():
    """Entries of the catalogue that ingest alone answers for."""
    if not CATALOGUE.exists():
        return []
    known = yaml.safe_load(CATALOGUE.read_text(encoding="utf-8"))["inputs"]
    return [
        entry
        for entry in known
        if entry["action"] in STATUSES and (not entry["code"] or entry["code"] in RULES)
    ]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The clean delivery and one folder an id."""
    program = shared("bad_inputs/make_bad_inputs.py")
    out = tmp_path_factory.mktemp("bad_inputs")
    only = ",".join(entry["id"] for entry in entries())
    clean = ["--demo", out / "clean", "--people", "60", "--clean", out / "clean"]
    command = [sys.executable, program, *clean, "--out", out / "made", "--only", only]
    subprocess.run([str(part) for part in command], check=True, capture_output=True)
    return out


def contents(staged):
    """Rows and an order-free hash of each loadable table."""
    with duck(staged.stage_file, read_only=True) as con:
        tables = con.execute(
            "select view_name from duckdb_views() where schema_name = 'loadable'"
        ).fetchall()
        query = "select count(*), sum(hash(t)::hugeint) from loadable.{} as t"
        return {table: con.execute(query.format(table)).fetchall() for (table,) in tables}


@pytest.fixture(scope="module")
def clean(made, tmp_path_factory):
    staged = stage_delivery(a_home(tmp_path_factory.mktemp("clean")), SITE, made / "clean")
    assert status_of(staged) == "accepted"
    assert {item.code for item in staged.findings} == {"I_UDI_LOT"}  # its UDIs name a lot
    return contents(staged)


def played(home, folder, steps):
    """Play the steps of an id; only the last one is looked at, and only staged."""
    for step in steps[:-1]:
        ingest(home, folder / step["name"])
    staged = stage_delivery(home, SITE, folder / steps[-1]["name"])
    status = status_of(staged) if staged.status == "staged" else staged.status
    return staged, staged.outcome(status, None)


def expect_rows(outcome, rows):
    files = {file.table: file for file in outcome.files}
    for table, expected in rows.items():
        file = files.get(table)
        if file and file.status == "loaded":
            assert file.rows_in == expected["rows_in"], table
            assert file.rows_loaded == expected.get("rows_loaded", file.rows_loaded), table


def expect_lines(staged, code, bad_lines):
    with duck(staged.stage_file, read_only=True) as con:
        query = "select line from delivery.quarantine where file = ? and code = ? order by line"
        for table, expected in bad_lines.items():
            found = con.execute(query, [f"{table}.csv", code]).fetchall()
            assert [line for (line,) in found][:LISTED] == expected, table


def expect_messages(outcome, expect, wanted):
    said = [m.message for m in outcome.messages if expect["code"] in (None, m.code)]
    missing = [part for part in wanted if not any(part in text for text in said)]
    assert not missing
    shown = "\n".join(m.message for m in outcome.messages)
    assert not [part for part in expect["msg_not"] or () if part in shown]


@pytest.mark.parametrize("entry", entries(), ids=lambda entry: entry["id"])
def test_every_bad_input_gets_its_answer(tmp_path, made, clean, entry):
    if entry["id"] in LATER:
        pytest.skip(LATER[entry["id"]])
    folder = made / "made" / entry["id"]
    if not folder.exists():
        pytest.skip("the small clean extract has no row for this input")
    expect = json.loads((folder / "EXPECT.json").read_text(encoding="utf-8"))
    staged, outcome = played(a_home(tmp_path), folder, expect["steps"])
    allowed = set[str]().union(
        *(STATUSES.get(a, set()) for a in [expect["action"], *(expect["also_ok"] or [])])
    )
    assert outcome.status in allowed
    assert expect["code"] is None or expect["code"] in outcome.codes
    last = expect["steps"][-1]
    expect_messages(outcome, expect, last["msg"])
    for file in outcome.files:
        held = file.rows_loaded + file.rows_quarantined + file.rows_deduplicated
        assert file.rows_in == held, file.file
    expect_rows(outcome, last["rows"])
    if expect["action"] == "quarantine_rows":
        expect_lines(staged, expect["code"], last["bad_lines"])
    if expect["same_as_clean"]:
        assert contents(staged) == clean


def test_the_catalogue_is_there():
    shared("bad_inputs/catalogue.yaml")
    assert len(entries()) > 60
