"""From a delivery to the lake: one commit or none, replacement, upsert, crashes, two at once."""

import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

import pytest

from tasks.core.errors import BusyError, Message
from tasks.core.lake import deliveries_in_force, newest_snapshot, open_lake
from tasks.ingest.ledger import export_table, ledger_rows, quarantine_rows
from tasks.ingest.turn import ingest_turn
from tests.ingest_world import (
    BASE,
    DEATH,
    PERIOD,
    PERSON,
    SITE,
    a_home,
    counts,
    ingest,
    lake_rows,
    person_ids,
    text,
    write_delivery,
)

BAD_DEATH = text(DEATH) + "9,2024-07-01,32817\n3,soon,32817\n1,2024-05-01,32817\n"
OUTCOME_KEYS = ["delivery_id", "site_id", "status", "snapshot_id", "codes", "files", "messages"]
FILE_KEYS = ["file", "table", "status", "rows_in", "rows_loaded", "rows_quarantined"]
LEDGER_KEYS = [
    "delivery_id", "site_id", "file", "sha256", "rows_in", "rows_loaded", "rows_quarantined",
    "rows_deduplicated", "status", "code", "snapshot_id",
]  # fmt: skip


@pytest.fixture(scope="module")
def taken_in(tmp_path_factory):
    """A home after one delivery with bad rows, sent through the inbox."""
    home = a_home(tmp_path_factory.mktemp("taken"))
    folder = home.inbox / "siteA" / "first"
    write_delivery(folder, BASE | {"death": BAD_DEATH}, note="kept")
    return home, ingest(home, folder), folder


def test_outcome_is_the_documented_object(taken_in):
    _, outcome, _ = taken_in
    shown = outcome.as_json()
    assert list(shown) == OUTCOME_KEYS
    assert list(shown["files"][0]) == [*FILE_KEYS, "rows_deduplicated", "codes"]
    assert list(shown["messages"][0]) == ["code", "severity", "file", "line", "column", "message"]
    assert (shown["status"], shown["snapshot_id"], outcome.exit_code) == (
        "accepted_with_warnings", 2, 0,
    )  # fmt: skip
    assert counts(outcome, "death") == (5, 2, 2, 1)


def test_ledger_balances_and_names_its_snapshot(taken_in):
    home, _, _ = taken_in
    rows = ledger_rows(home, SITE)
    assert [list(row) for row in rows] == [LEDGER_KEYS] * 3
    death = next(row for row in rows if row["file"] == "death.csv")
    assert [death[key] for key in LEDGER_KEYS[4:]] == [
        5, 2, 2, 1, "loaded", "E_DATE_FORMAT,E_ORPHAN,W_DUPLICATE_ROW", 2,
    ]  # fmt: skip
    with open_lake(home, SITE) as con:
        assert newest_snapshot(con) == 2
        assert [row["delivery_id"] for row in deliveries_in_force(con)] == ["D-1"]


def test_quarantine_says_where_and_why_and_nothing_else(taken_in):
    home, _, _ = taken_in
    rows = quarantine_rows(home, "D-1")
    assert [(r["file"], r["line"], r["column"], r["code"]) for r in rows] == [
        ("death.csv", 4, "person_id", "E_ORPHAN"),
        ("death.csv", 5, "death_date", "E_DATE_FORMAT"),
        ("death.csv", 6, "person_id", "W_DUPLICATE_ROW"),
    ]
    assert list(rows[0]) == ["delivery_id", "file", "line", "column", "code", "row_sha256"]
    assert rows == quarantine_rows(home)
    assert quarantine_rows(home, "D-2") == []
    assert (home.restricted / "quarantine").stat().st_mode & 0o077 == 0


def test_accepted_delivery_leaves_the_inbox_and_no_staging(taken_in):
    home, _, folder = taken_in
    assert not folder.exists()
    assert (home.deliveries / "siteA" / "D-1" / "manifest.json").exists()
    assert not [path for path in home.work.iterdir() if path.is_dir()]


def test_same_delivery_again_changes_nothing(taken_in):
    home, _, _ = taken_in
    before = ledger_rows(home, SITE)
    again = ingest(home, home.deliveries / "siteA" / "D-1")
    assert (again.status, again.codes, again.snapshot_id) == ("noop", ("I_DUPLICATE_DELIVERY",), 2)
    assert again.exit_code == 0
    assert "D-1" in again.messages[0].message
    assert ledger_rows(home, SITE) == before
    assert lake_rows(home, "select max(snapshot_id) from ducklake_snapshots('lake')") == [(2,)]


def test_export_is_ordered_and_complete(taken_in, tmp_path):
    home, _, _ = taken_in
    assert export_table(home, SITE, "person", None, tmp_path / "p.parquet") == 3
    assert [path.name for path in tmp_path.iterdir()] == ["p.parquet"]


def test_full_delivery_replaces_and_the_earlier_state_stays_readable(tmp_path):
    home = a_home(tmp_path)
    first = ingest(home, write_delivery(tmp_path / "1", BASE | {"death": DEATH}))
    fewer = {key: "\n".join(text(d).splitlines()[:-1]) + "\n" for key, d in BASE.items()}
    second = ingest(
        home,
        write_delivery(tmp_path / "2", fewer, delivery_id="D-2", data_cutoff="2025-02-01"),
    )
    assert person_ids(home) == [1, 2]
    assert lake_rows(home, "select count(*) from lake.omop.death") == [(0,)]
    assert person_ids(home, snapshot=first.snapshot_id) == [1, 2, 3]
    late = ingest(home, write_delivery(tmp_path / "3", BASE, delivery_id="D-3"))
    assert (late.status, late.codes) == ("rejected", ("E_OUT_OF_ORDER",))
    assert all(word in late.messages[0].message for word in ("D-2", "D-3", "2025-02-01"))
    assert second.snapshot_id == first.snapshot_id + 1


def test_increment_adds_and_corrects_by_key(tmp_path):
    home = a_home(tmp_path)
    ingest(home, write_delivery(tmp_path / "1", BASE | {"death": DEATH}))
    relation = (
        "domain_concept_id_1,fact_id_1,domain_concept_id_2,fact_id_2,relationship_concept_id\n"
    )
    more = {
        "death": "person_id,death_date,death_type_concept_id\n2,2024-09-09,1\n3,2024-08-08,1\n4,2024-01-01,1\n",
        "person": text(PERSON).splitlines()[0] + "\n4,8507,1980,0,0,dd\n",
        "fact_relationship": relation + "1,1,2,2,3\n",
    }
    for number, name in enumerate(("D-2", "D-3")):
        folder = write_delivery(tmp_path / name, more, kind="increment", delivery_id=name)
        outcome = ingest(home, folder)
        assert outcome.status == "accepted", number
        assert counts(outcome, "death") == (3, 3, 0, 0)
    deaths = "select person_id, death_date::varchar from lake.omop.death order by 1"
    assert lake_rows(home, deaths) == [
        (1, "2024-05-01"), (2, "2024-09-09"), (3, "2024-08-08"), (4, "2024-01-01"),
    ]  # fmt: skip
    assert lake_rows(home, "select count(*) from lake.omop.fact_relationship") == [(1,)]
    assert person_ids(home) == [1, 2, 3, 4]
    assert len(lake_rows(home, "select * from lake.omop.observation_period")) == 3


def test_a_rejected_file_leaves_its_last_version_in_force(tmp_path):
    home = a_home(tmp_path)
    ingest(home, write_delivery(tmp_path / "1", BASE | {"death": DEATH}))
    broken = text(DEATH).replace("death_date", "day")
    outcome = ingest(
        home, write_delivery(tmp_path / "2", BASE | {"death": broken}, delivery_id="D-2")
    )
    assert (outcome.status, outcome.exit_code) == ("partial", 12)
    assert lake_rows(home, "select count(*) from lake.omop.death") == [(2,)]
    assert counts(outcome, "death") == (2, 0, 2, 0)


def test_rejected_delivery_is_recorded_once_and_may_be_mended(tmp_path):
    home = a_home(tmp_path)
    bad = write_delivery(home.inbox / "siteA" / "1", BASE, {"person.csv": {"rows": 5}})
    for _ in range(2):
        assert ingest(home, bad).status == "rejected"
    assert bad.exists()
    [person] = [row for row in ledger_rows(home, SITE) if row["file"] == "person.csv"]
    assert (person["status"], person["code"], person["snapshot_id"]) == (
        "rejected", "E_ROWCOUNT", None,
    )  # fmt: skip
    assert person_ids(home) == []
    assert ingest(home, write_delivery(tmp_path / "mended", BASE)).status == "accepted"
    changed = BASE | {"death": DEATH}
    reused = ingest(home, write_delivery(tmp_path / "reused", changed))
    assert (reused.status, reused.codes) == ("rejected", ("E_DELIVERY_ID_REUSED",))


@dataclass
class Shut:
    """A gate that lets nothing through."""

    blocked: bool = True

    def messages(self):
        return [Message("E_DQ_VOLUME", "loadable.person", "too few.", "send more.")]

    def as_json(self):
        return "{}"


def test_a_gate_holds_the_delivery_back(tmp_path):
    home = a_home(tmp_path)
    folder = write_delivery(tmp_path / "1", BASE)
    held = ingest(home, folder, gate=lambda staged: Shut())
    assert (held.status, held.exit_code, held.snapshot_id) == ("blocked", 13, None)
    assert held.codes == ("E_DQ_VOLUME",)
    assert counts(held, "person") == (3, 0, 3, 0)
    assert person_ids(home) == []
    assert ingest(home, folder, gate=lambda staged: Shut(blocked=False)).status == (
        "accepted_with_warnings"
    )


def test_two_sites_may_use_the_same_ids(tmp_path):
    home = a_home(tmp_path)
    for site in ("siteA", "siteB"):
        assert ingest(home, write_delivery(tmp_path / site, BASE, site_id=site)).exit_code == 0
    again = write_delivery(tmp_path / "3", BASE | {"death": DEATH}, delivery_id="D-2")
    ingest(home, again)
    assert person_ids(home, "siteB") == person_ids(home, "siteA") == [1, 2, 3]


def test_registry_tables_are_taken_as_they_are(tmp_path):
    home = a_home(tmp_path)
    lung = "time,status,sex\n306,2,M \n455,,M \n455,,M \n(footer)\n"
    outcome = ingest(home, write_delivery(tmp_path / "1", {"lung": lung}, format="table"))
    assert outcome.status == "accepted_with_warnings"
    assert counts(outcome, "lung") == (4, 3, 1, 0)
    assert lake_rows(home, 'select * from lake.tables."siteA__lung"') == [
        ("siteA", "306", "2", "M "), ("siteA", "455", None, "M "), ("siteA", "455", None, "M "),
    ]  # fmt: skip
    other = write_delivery(tmp_path / "2", {"lung": "day\n1\n"}, format="table", delivery_id="D-2")
    assert ingest(home, other).status == "accepted"
    assert lake_rows(home, 'select day from lake.tables."siteA__lung"') == [("1",)]
    bad = write_delivery(tmp_path / "3", {"Lung.csv": "a\n1\n"}, {"Lung.csv": {"table": "Lung-1"}}, format="table")  # fmt: skip
    assert ingest(home, bad).codes == ("E_ID_FORMAT",)


def test_order_of_rows_and_columns_leaves_no_trace(tmp_path):
    rows = [line.split(",") for line in text(PERIOD).splitlines()]
    shuffled = [rows[0][::-1], *[row[::-1] for row in rows[:0:-1]]]
    drawings = (PERIOD, "\n".join(",".join(row) for row in shuffled) + "\n")
    found = []
    for number, drawing in enumerate(drawings):
        home = a_home(tmp_path / str(number))
        ingest(
            home, write_delivery(tmp_path / f"d{number}", BASE | {"observation_period": drawing})
        )
        [file] = (home.lake / "data" / "omop" / "observation_period").glob("*.parquet")
        found.append(file.read_bytes())
    assert found[0] == found[1]


DIE = """
import os, sys
from pathlib import Path
import tasks.ingest.commit as commit
from tests.ingest_world import ingest
from tasks.core.paths import Home
setattr(commit, sys.argv[3], lambda *args, **more: os._exit(9))
ingest(Home(Path(sys.argv[1])), Path(sys.argv[2]))
"""


def run(code, *args):
    root = Path(__file__).resolve().parents[2]
    return subprocess.Popen([sys.executable, "-c", code, *map(str, args)], cwd=root)


@pytest.mark.parametrize("step", ["write_quarantine", "_record", "_put_away"])
def test_killed_in_the_middle_then_started_again(tmp_path, step):
    home = a_home(tmp_path)
    first = ingest(home, write_delivery(home.inbox / "siteA" / "1", BASE))
    folder = home.inbox / "siteA" / "2"
    write_delivery(folder, BASE | {"death": BAD_DEATH}, delivery_id="D-2")
    assert run(DIE, home.root, folder, step).wait() == 9
    committed = step == "_put_away"
    assert lake_rows(home, "select count(*) from lake.omop.death") == [(2 if committed else 0,)]
    assert list(home.work.glob("ingest-*"))
    again = ingest(home, folder)
    assert again.status == ("noop" if committed else "accepted_with_warnings")
    assert again.snapshot_id == first.snapshot_id + 1
    assert not folder.exists()
    assert not list(home.work.glob("ingest-*"))
    assert len(quarantine_rows(home, "D-2")) == 3


def test_two_at_once_both_arrive(tmp_path):
    home = a_home(tmp_path)
    code = DIE.replace("setattr(commit, sys.argv[3], lambda *args, **more: os._exit(9))", "")
    started = [
        run(code, home.root, write_delivery(tmp_path / site, BASE, site_id=site))
        for site in ("siteA", "siteB")
    ]
    assert [process.wait() for process in started] == [0, 0]
    rows = ledger_rows(home, SITE)
    assert sorted({(row["site_id"], row["status"]) for row in rows}) == [
        ("siteA", "loaded"), ("siteB", "loaded"),
    ]  # fmt: skip
    assert len({row["snapshot_id"] for row in rows}) == 2


def test_waiting_has_an_end(tmp_path):
    home = a_home(tmp_path)
    with ingest_turn(home):
        failed = []

        def second():
            try:
                with ingest_turn(home, seconds=0.2):
                    pass
            except BusyError as exc:
                failed.append(exc.exit_code)

        other = threading.Thread(target=second)
        other.start()
        other.join()
    assert failed == [16]
    assert [path.name for path in home.work.iterdir()] == [".ingest.lock"]
