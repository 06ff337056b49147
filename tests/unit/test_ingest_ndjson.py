"""Tables of the model as NDJSON: flat objects, one a line, under the rules of any other table."""

import gzip
import hashlib
import json

import pytest

from tasks.ingest import ndjson as lines_module
from tasks.ingest import reading
from tasks.ingest.ledger import quarantine_rows
from tasks.ingest.ndjson import count_lines, keys_of
from tasks.ingest.reading import TextFile
from tests.ingest_world import (
    BASE,
    PERSON,
    a_home,
    counts,
    file_of,
    ingest,
    lake_rows,
    lines,
    ndjson,
    staged_outcome,
    write_delivery,
)

DEATHS = [
    {"person_id": 1, "death_date": "2024-05-01", "death_type_concept_id": 32817},
    {"PERSON_ID": "2", "death_date": "2024-06-01", "death_type_concept_id": None},
]


def staged(tmp_path, content, name="death.ndjson", entries=None, **manifest):
    folder = write_delivery(tmp_path / "delivery", BASE | {name: content}, entries, **manifest)
    return staged_outcome(a_home(tmp_path), folder)


def death(person_id, date="2024-05-01", **more):
    return {"person_id": person_id, "death_date": date, "death_type_concept_id": 32817} | more


def test_values_are_those_of_the_same_table_as_csv(tmp_path):
    folder = write_delivery(
        tmp_path / "delivery", BASE | {"death.ndjson": ndjson(death(1), death("2", "2024-06-01"))}
    )
    home = a_home(tmp_path)
    assert ingest(home, folder).status == "accepted"
    found = lake_rows(home, "select person_id, death_date::varchar from lake.omop.death order by 1")
    assert found == [(1, "2024-05-01"), (2, "2024-06-01")]


@pytest.mark.parametrize("name", ["death.ndjson", "death.ndjson.gz", "DEATH.NDJSON"])
def test_lines_layout_and_packing_play_no_part(tmp_path, name):
    content = ndjson(death(1), death(2)).replace(b"\n", b"\r\n") + b" \t\r\n\n"
    content = b"\xef\xbb\xbf\n" + content.rstrip(b"\n\r")
    content = gzip.compress(content) if name.endswith(".gz") else content
    outcome = staged(tmp_path, content, name, {name: {"rows": 2}})
    assert counts(outcome, "death") == (2, 2, 0, 0)
    assert outcome.status == "accepted"


BAD_LINES = {
    "no JSON": (b"{person_id: 3}", "E_JSON", None),
    "cut off": (b'{"person_id": 3, "death_date"', "E_JSON", None),
    "an array": (b'[{"person_id": 3}]', "E_JSON", None),
    "a number": (b"3", "E_JSON", None),
    "null": (b"null", "E_JSON", None),
    "two objects": (json.dumps(death(3)).encode() * 2, "E_JSON", None),
    "a control byte": (b'{"person_id": 3, "death_date": "2024-\x0105-01"}', "E_JSON", None),
    "nested value": (death({"id": 3}), "E_TYPE", "person_id"),
    "list": (death(3, ["2024-05-01"]), "E_TYPE", "death_date"),
    "nested text": (death(3, cause_source_value={"x": 1}), "E_TYPE", "cause_source_value"),
    "text in a number": (death("x"), "E_TYPE", "person_id"),
    "true": (death(True), "E_TYPE", "person_id"),
    "required is missing": ({"death_date": "2024-05-01"}, "E_REQUIRED_NULL", "person_id"),
    "required is null": (death(None), "E_REQUIRED_NULL", "person_id"),
    "no such day": (death(3, "2024-02-30"), "E_DATE_INVALID", "death_date"),
    "escaped control": (
        death(3, cause_source_value="a\x1bb"),
        "E_CONTROL_CHAR",
        "cause_source_value",
    ),
    "nobody": (death(99), "E_ORPHAN", "person_id"),
    "no key": ({}, "E_REQUIRED_NULL", "person_id"),
}


def test_each_fault_with_its_line_and_the_hash_of_its_bytes(tmp_path):
    drawn = [line for line, _, _ in BAD_LINES.values()]
    content = ndjson(death(1, cause_source_value="x"), b"", *drawn)
    folder = write_delivery(tmp_path / "delivery", BASE | {"death.ndjson": content})
    home = a_home(tmp_path)
    outcome = staged_outcome(home, folder)
    wanted = [
        (line, code, column) for line, (_, code, column) in enumerate(BAD_LINES.values(), start=3)
    ]
    found = sorted(
        (m.line, m.code, m.column) for m in outcome.messages if m.file == "death.ndjson" and m.line
    )
    assert found == wanted
    assert counts(outcome, "death") == (len(wanted) + 1, 1, len(wanted), 0)
    assert not any("2024" in m.message for m in outcome.messages)

    assert ingest(home, folder).status == "accepted_with_warnings"
    hashes = {row["line"]: row["row_sha256"] for row in quarantine_rows(home)}
    for number, line in enumerate(content.split(b"\n"), start=1):
        if number in hashes:
            assert hashes[number] == hashlib.sha256(line).hexdigest()
    assert len(hashes) == len(wanted)


def test_duplicates_and_conflicts(tmp_path):
    content = ndjson(death(1), death(2), death(1), death(2, "2024-07-01"))
    outcome = staged(tmp_path, content)
    assert counts(outcome, "death") == (4, 1, 2, 1)
    assert lines(outcome, "W_DUPLICATE_ROW") == [("death.ndjson", 3, "person_id")]
    assert [line for _, line, _ in lines(outcome, "E_KEY_CONFLICT")] == [2, 4]


def test_keys_that_no_line_has_refuse_the_file(tmp_path):
    outcome = staged(tmp_path, ndjson({"person_id": 1, "when": "x", "day": "y"}))
    assert outcome.status == "partial"
    assert lines(outcome, "E_COLUMN_MISSING") == [("death.ndjson", None, "death_date")]
    assert file_of(outcome, "death").rows_quarantined == 1
    none = staged(tmp_path / "none", b"[1]\n2\n")
    assert {place[2] for place in lines(none, "E_COLUMN_MISSING")} == {"person_id", "death_date"}


def test_unknown_keys_are_named_and_not_loaded(tmp_path):
    outcome = staged(tmp_path, ndjson(death(1, remark="SECRET", other={"a": 1}), death(2)))
    assert counts(outcome, "death") == (2, 2, 0, 0)
    [message] = [m.message for m in outcome.messages if m.code == "W_COLUMN_UNKNOWN"]
    assert "2 column(s)" in message
    assert "SECRET" not in message


def test_a_key_in_two_spellings_is_refused(tmp_path):
    assert "E_COLUMN_DUPLICATE" in staged(tmp_path, ndjson(*DEATHS)).codes


def test_rows_are_counted(tmp_path):
    outcome = staged(tmp_path, ndjson(death(1)), entries={"death.ndjson": {"rows": 2}})
    assert (outcome.status, outcome.codes) == ("rejected", ("E_ROWCOUNT",))


def test_an_empty_table_has_no_bytes(tmp_path):
    outcome = staged(tmp_path, b"")
    assert (outcome.status, outcome.codes) == ("accepted_with_warnings", ("W_NO_ROWS",))


def test_bytes_that_are_not_utf8_refuse_the_file_whatever_the_others_are(tmp_path):
    content = ndjson(death(1)) + '{"person_id": 2, "cause_source_value": "암"}\n'.encode("cp949")
    outcome = staged(tmp_path, content, encoding="cp949")
    assert outcome.status == "partial"
    assert lines(outcome, "E_ENCODING") == [("death.ndjson", 2, None)]


@pytest.mark.parametrize(
    ("content", "code"), [(gzip.compress(b"{}", mtime=0), "E_MAGIC"), (b"PAR1xxxx", "E_MAGIC")]
)
def test_content_is_what_the_name_says(tmp_path, content, code):
    assert staged(tmp_path, content, entries={"death.ndjson": {"rows": None}}).codes == (code,)


def test_a_line_without_end_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "CHUNK", 100)
    monkeypatch.setattr(lines_module, "MAX_LINE", 1000)
    assert staged(tmp_path, ndjson({"person_id": "1" * 2000})).codes == ("E_MAGIC",)


def test_a_registry_table_takes_keys_as_they_are(tmp_path):
    content = ndjson({"case": "a", "score": 0.5}, {"case": "b", "score": [1]})
    folder = write_delivery(tmp_path / "d", {"reads.ndjson": content}, format="table")
    outcome = staged_outcome(a_home(tmp_path), folder)
    assert counts(outcome, "reads") == (2, 1, 1, 0)
    assert lines(outcome, "E_TYPE") == [("reads.ndjson", 2, "score")]


def test_persons_as_ndjson(tmp_path):
    header, *rows = [line.split(",") for line in PERSON.split()]
    content = ndjson(*(dict(zip(header, row, strict=True)) for row in rows))
    delivered = {"person.ndjson": content, "observation_period": BASE["observation_period"]}
    outcome = staged_outcome(a_home(tmp_path), write_delivery(tmp_path / "d", delivered))
    assert (outcome.status, counts(outcome, "person")) == ("accepted", (3, 3, 0, 0))


@pytest.mark.parametrize("chunk", [1, 3, 7, 64, 1 << 20])
def test_lines_are_the_same_however_the_bytes_come(tmp_path, monkeypatch, chunk):
    monkeypatch.setattr(reading, "CHUNK", chunk)
    path = tmp_path / "x.ndjson"
    path.write_bytes('\n{"b": 1}\r\n \r\n{"a": "한"}\n\n{}'.encode())
    file = TextFile(path, "utf-8", "")
    assert count_lines(file) == 3
    assert keys_of(file) == ["b", "a"]
