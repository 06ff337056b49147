"""Is a delivery what its manifest says? Each refusal with its code, before a row is loaded."""

import gzip
import json
import os
import zipfile

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.core.errors import UsageError
from tasks.ingest.stage import stage_delivery
from tests.ingest_world import (
    BASE,
    DEATH,
    PERIOD,
    PERSON,
    SITE,
    a_home,
    counts,
    file_of,
    lines,
    staged_outcome,
    text,
    write_delivery,
)


def staged(tmp_path, tables=BASE, entries=None, change=lambda folder: None, **manifest):
    folder = write_delivery(tmp_path / "delivery", tables, entries, **manifest)
    change(folder)
    return staged_outcome(a_home(tmp_path), folder)


def edit(**changes):
    """Change the manifest after it was written."""

    def change(folder):
        file = folder / "manifest.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | changes))

    return change


def write(text):
    return lambda folder: (folder / "manifest.json").write_text(text)


MANIFESTS = {
    "missing": (lambda f: (f / "manifest.json").unlink(), "E_MANIFEST_MISSING"),
    "not JSON": (write("{"), "E_MANIFEST_PARSE"),
    "not an object": (write("[]"), "E_MANIFEST_PARSE"),
    "duplicate key": (write('{"site_id": "a", "site_id": "b"}'), "E_MANIFEST_PARSE"),
    "NaN": (write('{"site_id": NaN}'), "E_MANIFEST_PARSE"),
    "nested": (write('{"files":' + "[" * 100_000), "E_MANIFEST_PARSE"),
    "unknown key": (edit(sites="A"), "E_MANIFEST_PARSE"),
    "number as text": (edit(manifest_version="1"), "E_MANIFEST_PARSE"),
    "impossible day": (edit(data_cutoff="2025-02-30"), "E_MANIFEST_PARSE"),
    "unknown encoding": (edit(encoding="klingon"), "E_MANIFEST_PARSE"),
    "no text encoding": (edit(encoding="rot13"), "E_MANIFEST_PARSE"),
    "unknown zone": (edit(timezone="Mars/Olympus"), "E_MANIFEST_PARSE"),
    "half a date format": (edit(date_format="%Y-%m"), "E_MANIFEST_PARSE"),
    "site outside": (edit(site_id="../../x"), "E_ID_FORMAT"),
    "delivery with a line end": (edit(delivery_id="D-1\n"), "E_ID_FORMAT"),
    "format of later": (edit(format="hl7v2"), "E_MANIFEST_PARSE"),
}


@pytest.mark.parametrize(("change", "code"), MANIFESTS.values(), ids=MANIFESTS)
def test_manifest_is_strict(tmp_path, change, code):
    outcome = staged(tmp_path, change=change)
    assert (outcome.status, outcome.codes, outcome.exit_code) == ("rejected", (code,), 12)
    assert "manifest.json" in outcome.messages[0].message
    assert "To fix: " in outcome.messages[0].message


def test_named_optional_keys_pass(tmp_path):
    outcome = staged(
        tmp_path,
        vocabulary_version="v5.0",
        birth_precision="year",
        pseudonymisation={"method": "hmac-sha256", "key_id": "k1"},
        governance={"controller": "H", "combining_agency_case": None},
        withdrawals=[],
        note="second try",
        x_batch=7,
    )
    assert outcome.status == "accepted"


def remove(name):
    return lambda folder: (folder / name).unlink()


def add(name, content=b"x"):
    return lambda folder: (folder / name).write_bytes(content)


def link(folder):
    (folder / "death.csv").symlink_to("/etc/passwd")


def test_listed_file_is_missing(tmp_path):
    outcome = staged(tmp_path, change=remove("person.csv"))
    assert lines(outcome, "E_FILE_MISSING") == [("person.csv", None, None)]


def test_unlisted_file_is_never_read(tmp_path):
    outcome = staged(tmp_path, change=add("notes.csv"))
    assert outcome.status == "accepted_with_warnings"
    assert lines(outcome, "W_FILE_UNLISTED") == [("notes.csv", None, None)]
    assert {file.file for file in outcome.files} == {"person.csv", "observation_period.csv"}


def test_a_changed_byte(tmp_path):
    outcome = staged(tmp_path, change=add("person.csv", text(PERSON).encode()[:-2] + b"d\n"))
    assert outcome.codes == ("E_CHECKSUM",)
    assert "sha256" in outcome.messages[0].message
    assert counts(outcome, "person") == (0, 0, 0, 0)


def test_rows_are_counted(tmp_path):
    outcome = staged(tmp_path, entries={"person.csv": {"rows": 4}})
    assert (outcome.status, outcome.codes) == ("rejected", ("E_ROWCOUNT",))
    assert "says 4 rows, the file holds 3" in outcome.messages[0].message


@pytest.mark.parametrize("table", ["person", "observation_period"])
def test_required_tables_have_rows(tmp_path, table):
    header = text(BASE[table]).splitlines()[0] + "\n"
    outcome = staged(tmp_path, BASE | {table: header})
    assert (outcome.status, outcome.codes) == ("rejected", ("E_NO_ROWS",))


def test_a_full_delivery_names_its_persons(tmp_path):
    outcome = staged(tmp_path, {"death": DEATH})
    assert (outcome.status, outcome.codes) == ("rejected", ("E_NO_ROWS",))


def test_other_tables_may_be_empty(tmp_path):
    outcome = staged(tmp_path, BASE | {"death": text(DEATH).splitlines()[0] + "\n"})
    assert (outcome.status, outcome.codes) == ("accepted_with_warnings", ("W_NO_ROWS",))
    assert counts(outcome, "death") == (0, 0, 0, 0)


def test_zero_bytes(tmp_path):
    assert staged(tmp_path, BASE | {"death": b""}).codes == ("E_EMPTY",)


def test_two_files_for_one_table(tmp_path):
    zipped = gzip.compress(text(PERSON).encode())
    entries = {"person.csv.gz": {"table": None, "rows": None}}
    outcome = staged(tmp_path, BASE | {"person.csv.gz": zipped}, entries)
    assert (outcome.status, outcome.codes) == ("rejected", ("E_TABLE_AMBIGUOUS",))


@pytest.mark.parametrize("name", ["../person.csv", "/etc/passwd", "a/b.csv", "a\\b.csv", ".."])
def test_names_stay_in_the_folder(tmp_path, name):
    outcome = staged(tmp_path, entries={"person.csv": {"name": name}})
    assert (outcome.status, outcome.codes) == ("rejected", ("E_MANIFEST_PATH",))


def test_links_are_not_followed(tmp_path):
    assert "E_NOT_REGULAR" in staged(tmp_path, change=link).codes


def test_pipes_do_not_block(tmp_path):
    outcome = staged(tmp_path, change=lambda folder: os.mkfifo(folder / "death.csv"))
    assert outcome.codes == ("E_NOT_REGULAR",)


HEADERS = {
    "required column": ("gender_concept_id", "sex", "E_COLUMN_MISSING", "gender_concept_id"),
    "column twice": ("person_source_value", "PERSON_ID", "E_COLUMN_DUPLICATE", "person_id"),
    "no header": (text(PERSON).splitlines()[0] + "\n", "", "E_NO_HEADER", None),
    "comment first": ("person_id", "# exported\nperson_id", "E_NO_HEADER", None),
    "other delimiter": (",", ";", "E_DELIMITER", None),
    "long name": ("person_source_value", "x" * 10_000, "E_COLUMN_NAME", None),
}


@pytest.mark.parametrize(("old", "new", "code", "column"), HEADERS.values(), ids=HEADERS)
def test_faults_of_the_header_refuse_the_file(tmp_path, old, new, code, column):
    content = text(PERSON).replace(old, new, 1 if code != "E_DELIMITER" else -1)
    outcome = staged(tmp_path, BASE | {"person": content.encode()})
    assert (outcome.status, outcome.exit_code) == ("partial", 12)
    assert lines(outcome, code) == [("person.csv", None, column)]
    file = file_of(outcome, "person")
    assert (file.status, file.rows_loaded, file.rows_in) == ("rejected", 0, file.rows_quarantined)


def test_unknown_and_optional_columns_warn(tmp_path):
    content = text(PERSON).replace("person_source_value", 'flag"); DROP TABLE x; --')
    outcome = staged(tmp_path, BASE | {"person": content.replace(',flag"', ",flag''").encode()})
    assert outcome.status == "accepted_with_warnings"
    assert outcome.codes == ("W_COLUMN_MISSING_OPTIONAL", "W_COLUMN_UNKNOWN")
    assert lines(outcome, "W_COLUMN_MISSING_OPTIONAL")[0][2] == "person_source_value"


def test_upper_case_names_of_cdm_53(tmp_path):
    visit = (
        "VISIT_OCCURRENCE_ID,PERSON_ID,VISIT_CONCEPT_ID,VISIT_START_DATE,VISIT_END_DATE,"
        "VISIT_TYPE_CONCEPT_ID,ADMITTING_SOURCE_CONCEPT_ID,PRECEDING_VISIT_OCCURRENCE_ID\n"
        "1,1,9201,2024-01-01,2024-01-02,32817,8717,\n"
    )
    outcome = staged(tmp_path, BASE | {"VISIT_OCCURRENCE": visit.encode()})
    assert (outcome.status, outcome.codes) == ("accepted", ("I_COLUMN_RENAMED",))
    assert counts(outcome, "visit_occurrence") == (1, 1, 0, 0)


def test_other_encoding_refuses_the_file(tmp_path):
    for content in (
        text(DEATH).encode("utf-16"),
        text(DEATH).replace("1,", "é,").encode("latin-1"),
    ):
        folder = tmp_path / str(len(content))
        outcome = staged(folder, BASE | {"death": content}, {"death.csv": {"rows": 2}})
        assert file_of(outcome, "death").codes == ("E_ENCODING",)
        assert outcome.status == "partial"


GZIPS = {
    "truncated": (lambda g: g[:-12], "E_GZIP_TRUNCATED"),
    "wrong checksum": (lambda g: g[:-8] + bytes([g[-8] ^ 255]) + g[-7:], "E_GZIP_CRC"),
    "bytes behind": (lambda g: g + b"GARBAGE", "E_GZIP_TRAILING"),
    "not gzip": (lambda g: gzip.decompress(g), "E_NOT_GZIP"),
    "bomb": (lambda g: gzip.compress(b"," * 5_000_000), "E_SIZE_LIMIT"),
}


@pytest.mark.parametrize(("damage", "code"), GZIPS.values(), ids=GZIPS)
def test_damaged_gzip_refuses_the_delivery(tmp_path, damage, code):
    content = damage(gzip.compress(text(DEATH).encode()))
    outcome = staged(tmp_path, BASE | {"death.csv.gz": content}, {"death.csv.gz": {"rows": None}})
    assert (outcome.status, outcome.codes) == ("rejected", (code,))


@pytest.mark.parametrize(
    ("content", "code"),
    [(gzip.compress(b"x"), "E_MAGIC"), (b"PK\x03\x04x", "E_MAGIC"), (b"\x7fELF", "E_FILE_TYPE")],
    ids=["gzip", "zip", "program"],
)
def test_content_is_what_the_name_says(tmp_path, content, code):
    outcome = staged(tmp_path, BASE | {"death": content}, {"death.csv": {"rows": None}})
    assert (outcome.status, outcome.codes) == ("rejected", (code,))


def parquet(tmp_path, columns):
    file = tmp_path / "some.parquet"
    pq.write_table(pa.table(columns), file)
    return file.read_bytes()


def test_parquet_with_types_of_its_own(tmp_path):
    table = {
        "PERSON_ID": pa.array([1.0, 2.0, 3.5, None]),
        "death_date": pa.array([1_700_000_000_000] * 4, pa.timestamp("ms")),
        "death_type_concept_id": pa.array([1, 2, 3, 4], pa.int32()),
    }
    entries = {"death.parquet": {"rows": 4}}
    outcome = staged(tmp_path, BASE | {"death.parquet": parquet(tmp_path, table)}, entries)
    assert counts(outcome, "death") == (4, 2, 2, 0)
    assert lines(outcome, "E_TYPE") == [("death.parquet", 3, "person_id")]
    assert lines(outcome, "E_REQUIRED_NULL") == [("death.parquet", 4, "person_id")]
    assert {"W_INTEGRAL_FLOAT", "W_DATE_HAS_TIME"} <= set(outcome.codes)


def test_tables_that_are_not_read_are_skipped(tmp_path):
    outcome = staged(tmp_path, BASE | {"cohort": "cohort_definition_id\n1\n"})
    assert (outcome.status, outcome.codes) == ("accepted_with_warnings", ("W_TABLE_UNKNOWN",))
    assert file_of(outcome, "cohort").status == "skipped"


def packed(folder, target, extra=None):
    with zipfile.ZipFile(target, "w") as archive:
        for path in sorted(folder.iterdir()):
            archive.write(path, f"delivery/{path.name}")
        if extra:
            archive.writestr(extra, "x")
    return target


def test_a_delivery_in_one_archive(tmp_path):
    folder = write_delivery(tmp_path / "d", BASE)
    good = packed(folder, tmp_path / "good.zip")
    assert staged_outcome(a_home(tmp_path), good).status == "accepted"
    bad = packed(folder, tmp_path / "bad.zip", "../../evil.csv")
    outcome = staged_outcome(a_home(tmp_path), bad)
    assert (outcome.status, outcome.codes) == ("rejected", ("E_ARCHIVE_PATH",))
    assert not list(tmp_path.rglob("evil.csv"))


def test_no_such_delivery(tmp_path):
    with pytest.raises(UsageError, match="neither a folder nor"):
        stage_delivery(a_home(tmp_path), SITE, tmp_path / "nothing")


def test_all_faults_are_told_at_once(tmp_path):
    outcome = staged(tmp_path, BASE | {"death": b""}, change=remove("person.csv"))
    assert outcome.codes == ("E_EMPTY", "E_FILE_MISSING")
    assert {m.file for m in outcome.messages} == {"death.csv", "person.csv"}


def test_period_is_needed_for_nobody(tmp_path):
    outcome = staged(tmp_path, {"person": PERSON})
    assert (outcome.status, outcome.codes) == ("accepted_with_warnings", ("W_NO_OBS_PERIOD",))
    assert "3 person(s)" in outcome.messages[0].message
    assert PERIOD  # drawn, and left out on purpose
