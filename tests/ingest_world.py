"""Deliveries drawn in a test: a folder with its files and a manifest that tells the truth."""

import atexit
import csv
import gzip
import hashlib
import io
import json
import shutil
import tempfile
from functools import cache
from pathlib import Path
from textwrap import dedent

from flows.orders.delivery import deliver
from tasks.core.lake import ensure_lake, open_lake
from tasks.core.paths import Home
from tasks.core.site import SiteSettings
from tasks.ingest.commit import status_of
from tasks.ingest.stage import stage_delivery

SITE = SiteSettings()

PERSON = """
    person_id,gender_concept_id,year_of_birth,race_concept_id,ethnicity_concept_id,person_source_value
    1,8507,1950,0,0,aa
    2,8532,1960,0,0,bb
    3,8532,1970,0,0,cc
"""
PERIOD = """
    observation_period_id,person_id,observation_period_start_date,observation_period_end_date,period_type_concept_id
    1,1,2020-01-01,2025-01-01,32817
    2,2,2020-01-01,2025-01-01,32817
    3,3,2020-01-01,2025-01-01,32817
"""
DEATH = """
    person_id,death_date,death_type_concept_id
    1,2024-05-01,32817
    2,2024-06-01,32817
"""
DEVICE = """
    udi_di,device_name,manufacturer
    08801234567893,Chest AI,Maker
"""
DEVICE_VERSION = """
    udi_di,model_version,threshold,valid_from
    08801234567893,2.1.0,0.5,2020-01-01
    08801234567893,2.2.0,0.5,2024-06-01
"""
INFERENCE = """
    device_inference_id,person_id,study_id,udi_di,model_version,acquisition_datetime,inference_datetime,score,decision,shown
    i1,1,s1,08801234567893,2.1.0,2024-03-01 09:00,2024-03-01 09:01,0.91,positive,true
    i2,2,s2,08801234567893,2.1.0,2024-03-02 09:00,2024-03-02 09:01,0.12,negative,true
    i3,3,s3,08801234567893,2.2.0,2024-07-03 09:00,2024-07-03 09:01,0.55,positive,false
"""
LINKED = {
    "controller": "Maker",
    "legal_basis": "PIPA art. 28-3",
    "purpose": "Effectiveness of the device in use",
    "irb": "IRB-2024-7",
    "irb_date": "2024-02-01",
    "drb_date": "2024-02-15",
    "retention_until": "2030-12-31",
    "combining_agency_case": "KDCA-2024-11",
}
BASE = {"person": PERSON, "observation_period": PERIOD}


def text(drawing):
    """Return a drawing as the text of a file."""
    return dedent(drawing).lstrip("\n")


def rows_in(content, encoding="utf-8", ndjson=False):
    """Count the rows below the header (NDJSON has none), with a reader of its own."""
    plain = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
    if ndjson:
        return sum(1 for line in plain.split(b"\n") if line.strip(b" \t\r"))
    try:
        lines = io.StringIO(plain.decode(encoding), newline="")
        return max(0, sum(1 for row in csv.reader(lines) if row) - 1)
    except UnicodeDecodeError:
        return None


def ndjson(*resources):
    """Return objects as NDJSON; what is bytes already is a line as it is."""
    lines = [
        r if isinstance(r, bytes) else json.dumps(r, ensure_ascii=False).encode() for r in resources
    ]
    return b"".join(line + b"\n" for line in lines)


def write_delivery(folder, tables, entries=None, **manifest):
    """Write a delivery folder.

    Args:
        folder: Created.
        tables: Drawing or bytes by table, or by file name where it has a suffix.
        entries: Changes to the manifest's entry of a file, by file name.
        manifest: Changes to the manifest; a key of value None is left out.
    """
    folder.mkdir(parents=True)
    files = []
    for key, drawing in tables.items():
        name = key if "." in key else f"{key}.csv"
        content = drawing if isinstance(drawing, bytes) else text(drawing).encode()
        (folder / name).write_bytes(content)
        entry = {
            "name": name,
            "table": name.split(".")[0].lower(),
            "rows": None,
            "bytes": len(content),
            "sha256": hashlib.sha256(content).hexdigest(),
        }
        if manifest.get("format") == "fhir" and name[0].isupper():
            del entry["table"]  # as bulk export does
        said = (entries or {}).get(name, {})
        if "rows" not in said and not name.endswith(".parquet"):
            entry["rows"] = rows_in(content, ndjson=".ndjson" in name)
        files.append(entry | said)
    said = {
        "manifest_version": 1,
        "delivery_id": "D-1",
        "site_id": "siteA",
        "kind": "full",
        "data_cutoff": "2025-01-01",
        "files": files,
    } | manifest
    said = {key: value for key, value in said.items() if value is not None}
    (folder / "manifest.json").write_text(json.dumps(said), encoding="utf-8")
    return folder


def a_home(folder):
    """Return a prepared working home with an empty lake, copied: making one takes a second."""
    home = Home(Path(folder) / "home").prepare()
    shutil.copytree(_empty_lake(), home.lake, dirs_exist_ok=True)
    return home


@cache
def _empty_lake():
    kept = tempfile.TemporaryDirectory(prefix="causeway-empty-lake-")
    atexit.register(kept.cleanup)
    home = Home(Path(kept.name)).prepare()
    ensure_lake(home, SITE)
    return home.lake


def staged_outcome(home, folder):
    """Stage a delivery without committing it; return the outcome that it would have."""
    staged = stage_delivery(home, SITE, folder)
    if staged.status != "staged":
        return staged.outcome(staged.status, None)
    return staged.outcome(status_of(staged), None)


def ingest(home, folder, gate=lambda staged: None):
    """Ingest a delivery for good; no quality gate unless one is given."""
    return deliver(home, folder, gate=gate)


def lake_rows(home, query, snapshot=None):
    """Return what a query on the lake selects."""
    with open_lake(home, SITE, snapshot=snapshot) as con:
        return con.execute(query).fetchall()


def person_ids(home, site_id="siteA", snapshot=None):
    """Return the persons of a site in the lake."""
    query = f"select person_id from lake.omop.person where site_id = '{site_id}' order by 1"
    return [row[0] for row in lake_rows(home, query, snapshot)]


def file_of(outcome, table):
    """Return the outcome of the file of a table."""
    [found] = [file for file in outcome.files if file.table == table]
    return found


def counts(outcome, table):
    """Return rows in, loaded, quarantined, deduplicated of a table; they must balance."""
    file = file_of(outcome, table)
    assert file.rows_in == file.rows_loaded + file.rows_quarantined + file.rows_deduplicated
    return file.rows_in, file.rows_loaded, file.rows_quarantined, file.rows_deduplicated


def lines(outcome, code):
    """Return file, line and column of the messages of a code."""
    return [(m.file, m.line, m.column) for m in outcome.messages if m.code == code]
