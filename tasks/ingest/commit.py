"""One delivery, one transaction: rows, ledger and delivery record become one snapshot."""

# ruff: noqa: S608 - only names of the model and quoted names are formatted into SQL

import os
import shutil
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

import pyarrow as pa

from tasks.core.duck import identifier, quoted
from tasks.core.errors import LakeError
from tasks.core.fhir import CLINICAL_FORMATS, TABLES_OF, tables_filled
from tasks.core.lake import Connection, open_lake
from tasks.core.omop import Table, omop_tables
from tasks.core.paths import Home
from tasks.core.site import SiteSettings
from tasks.ingest.bind import NEW_IN_54
from tasks.ingest.corrections import clear_resources, note_resources
from tasks.ingest.device_rules import VERSIONED
from tasks.ingest.linkage import tables_of_others
from tasks.ingest.manifest import MANIFEST, Manifest
from tasks.ingest.model import (
    DeliveryOutcome,
    DeliveryStatus,
    FileOutcome,
    FileStatus,
    Finding,
    codes_of,
)
from tasks.ingest.quarantine import write_quarantine
from tasks.ingest.rules import finding
from tasks.ingest.stage import Staged
from tasks.ingest.standing import lake_if_any, snapshot_of, standing
from tasks.ingest.turn import private_folder

_SAID = ("kind", "format", "data_cutoff", "data_class", "vocabulary_version")


def commit_delivery(
    home: Home,
    site: SiteSettings,
    staged: Staged,
    judged: list[Finding],
    quality_json: str,
    *,
    blocked: bool | None = None,
) -> DeliveryOutcome:
    """Write a staged delivery into the lake, or record why it was not; clear its staging.

    Call under `ingest_turn`: one ingest writes the lake of a home at a time.

    Args:
        home: The working home.
        site: Settings of the site.
        staged: From `stage_delivery`.
        judged: What the quality gate found.
        quality_json: The verdict of the gate, stored with the delivery.
        blocked: Whether the gate holds the delivery back; by default, whether it found an error.

    Raises:
        LakeError: The lake took another number of rows than were staged; nothing is committed.
    """
    if blocked is None:
        blocked = any(item.severity == "error" for item in judged)
    staged = replace(staged, findings=(*staged.findings, *judged))
    outcome = _commit(home, site, staged, blocked, quality_json)
    if outcome.status not in {"rejected", "blocked"}:
        _put_away(home, staged)
    shutil.rmtree(staged.work, ignore_errors=True)
    return outcome


def _commit(
    home: Home, site: SiteSettings, staged: Staged, blocked: bool, quality_json: str
) -> DeliveryOutcome:
    if staged.status == "noop":
        return _known(home, site, staged)
    with open_lake(home, site, write=True) as con:
        late = _late(con, staged)
        if codes_of(late) == ("I_DUPLICATE_DELIVERY",):
            return _known(home, site, staged, late)
        if late or blocked or staged.status == "rejected":
            status: DeliveryStatus = "blocked" if blocked and not late else "rejected"
            outcome = staged.outcome(status, None, late)
            _record_refusal(con, staged, outcome, quality_json)
            return outcome
        write_quarantine(home, staged)
        outcome = _write(con, staged, quality_json)
        return replace(outcome, snapshot_id=snapshot_of(con, _manifest(staged)))


def _manifest(staged: Staged) -> Manifest:
    assert staged.manifest is not None  # noqa: S101 - whatever was staged has one
    return staged.manifest


def _known(
    home: Home, site: SiteSettings, staged: Staged, late: Sequence[Finding] = ()
) -> DeliveryOutcome:
    with lake_if_any(home, site) as con:
        snapshot = snapshot_of(con, _manifest(staged)) if con else None
    known = replace(staged, findings=tuple(late) or staged.findings)
    return known.outcome("noop", snapshot)


def _late(con: Connection, staged: Staged) -> list[Finding]:
    """Look again, now that nobody else can write: was something committed since staging?"""
    if staged.status != "staged":
        return []
    return standing(con, _manifest(staged), str(staged.content), _filled_by(staged, "loaded"))


def status_of(staged: Staged) -> DeliveryStatus:
    """Return the status that a staged delivery gets when it is committed."""
    if any(file.status == "rejected" for file in staged.files):
        return "partial"
    remarks = any(item.severity != "info" for item in staged.findings)
    return "accepted_with_warnings" if remarks else "accepted"


def _write(con: Connection, staged: Staged, quality_json: str) -> DeliveryOutcome:
    """Put the rows of a staged delivery in force, record it, commit; return what became of it."""
    manifest, kept = _manifest(staged), list[str]()
    con.execute(f"attach {quoted(staged.stage_file)} as stage (read_only)")
    loaded = [file.table for file in staged.files if file.status == "loaded"]
    corrects = manifest.format == "fhir" and manifest.kind == "increment"
    if corrects:
        note_resources(con, loaded)
    con.execute("begin")
    if corrects:
        clear_resources(con, manifest, loaded)
    if manifest.format in CLINICAL_FORMATS and manifest.kind == "full":
        con.register("versions_before", _versions(con, manifest.site_id))
        kept = _clear_replaced(con, staged)
    for table, rows in staged.tables:
        taken = _put_table(con, manifest, table)
        if taken != rows:
            what = f"{table}: {rows:,} rows were staged, {taken:,} arrived"
            raise LakeError("lake", what, "nothing was committed; report this as a fault.")
    orphans = tuple(_drop_orphans(con, manifest.site_id, kept))
    unversioned = tuple(_without_version(con, manifest.site_id, kept))
    staged = replace(staged, findings=(*staged.findings, *orphans, *unversioned))
    outcome = staged.outcome(status_of(staged), None)
    _record(con, staged, outcome, quality_json)
    con.execute("commit")
    return outcome


def _clear_replaced(con: Connection, staged: Staged) -> list[str]:
    """Delete what a full delivery replaces; return the tables that may hold rows from before.

    Those stay whose file was rejected, and those of another controller that it does not bring:
    the rule of `lake.deliveries_in_force`.
    """
    manifest, loaded = _manifest(staged), _filled_by(staged, "loaded")
    kept = _filled_by(staged, "rejected")
    kept |= {held.table for held in tables_of_others(con, manifest, loaded)} - loaded
    filled = con.execute(
        "select table_name from ducklake_table_info('lake') where file_count > 0"
    ).fetchall()
    for table in omop_tables():
        if table not in kept and (table,) in filled:
            query = f"delete from lake.omop.{table} where site_id = $site_id"
            con.execute(query, {"site_id": manifest.site_id})
    return [table for table in omop_tables() if table in kept and (table,) in filled]


def _filled_by(staged: Staged, status: FileStatus) -> set[str]:
    """Return the tables that the files of this status fill."""
    files = (file for file in staged.files if file.status == status)
    return {table for file in files for table in _tables_of(file, staged)}


def _tables_of(file: FileOutcome, staged: Staged) -> Collection[str]:
    """Return the tables that a file fills: of resources that were loaded, those that got rows."""
    filled = tables_filled(file.table) if file.table else ()
    if file.status != "loaded" or file.table not in TABLES_OF:
        return filled
    rows = dict(staged.tables)
    return [table for table in filled if rows.get(table)]


def _drop_orphans(con: Connection, site_id: str, kept: Sequence[str]) -> Iterator[Finding]:
    """Delete rows of kept tables whose person left with this delivery; count them by table."""
    for table in kept:
        if not omop_tables()[table].has("person_id"):
            continue
        gone = _rows(
            con,
            f"delete from lake.omop.{table} where site_id = $site_id and person_id not in "
            "(select person_id from lake.omop.person where site_id = $site_id)",
            site_id,
        )
        if gone:
            yield finding("W_LINK_ORPHANS", table=table, count=f"{gone:,}")


def _versions(con: Connection, site_id: str) -> pa.Table:
    query = "select udi_di, model_version from lake.omop.device_version where site_id = $site_id"
    return con.execute(query, {"site_id": site_id}).to_arrow_table()


def _without_version(con: Connection, site_id: str, kept: Sequence[str]) -> Iterator[Finding]:
    """Count rows of kept tables whose version of a device ended with this delivery, by table."""
    for table in kept:
        if table not in VERSIONED:
            continue
        [(count,)] = con.execute(
            f"select count(*) from lake.omop.{table} "
            "semi join versions_before using (udi_di, model_version) "
            "anti join (from lake.omop.device_version where site_id = $site_id) as now "
            "using (udi_di, model_version) where site_id = $site_id",
            {"site_id": site_id},
        ).fetchall()
        if count:
            yield finding("W_LINK_VERSIONS", table=table, count=f"{count:,}")


def _put_table(con: Connection, manifest: Manifest, table: str) -> int:
    """Put the loadable rows of one table in force; return how many arrived."""
    if manifest.format == "table":
        return _put_registry_table(con, manifest.site_id, table)
    model = omop_tables()[table]
    if manifest.kind == "increment":
        _delete_same(con, model, manifest.site_id)
    columns = ", ".join(map(identifier, model.names))
    order = ", ".join(map(identifier, dict.fromkeys((*model.key, *model.names))))
    return _rows(
        con,
        f"insert into lake.omop.{table} (site_id, {columns}) "
        f"select $site_id, {columns} from stage.loadable.{table} order by {order}",
        manifest.site_id,
    )


def _delete_same(con: Connection, model: Table, site_id: str) -> None:
    """Delete the rows that an increment brings again: same key, or all the same without a key."""
    by_key = model.key and model.name not in NEW_IN_54
    fields = ", ".join(map(identifier, model.key if by_key else model.names))
    same = f"to_json(row({fields}))" if not by_key or len(model.key) > 1 else fields
    con.execute(
        f"delete from lake.omop.{model.name} where site_id = $site_id "
        f"and {same} in (select {same} from stage.loadable.{model.name})",
        {"site_id": site_id},
    )


def _put_registry_table(con: Connection, site_id: str, table: str) -> int:
    """Replace a registry table; a `site_id` of its own stays as delivered."""
    name = f"lake.tables.{identifier(f'{site_id}__{table}')}"
    source = f"stage.loadable.{identifier(table)}"
    columns = [str(row[0]) for row in con.execute(f"describe {source}").fetchall()]
    own = any(column.lower() == "site_id" for column in columns)
    values = (
        f"{'' if own else f'{quoted(site_id)} as site_id, '}{', '.join(map(identifier, columns))}"
    )
    con.execute(f"create or replace table {name} as select {values} from {source} limit 0")
    return _rows(con, f"insert into {name} select {values} from {source} order by all", None)


def _rows(con: Connection, insert: str, site_id: str | None) -> int:
    [(rows,)] = con.execute(insert, {"site_id": site_id} if site_id else None).fetchall()
    return int(rows)


def _record_refusal(
    con: Connection, staged: Staged, outcome: DeliveryOutcome, quality_json: str
) -> None:
    """Record a refusal once: the same delivery refused again for the same reasons adds nothing."""
    known = con.execute(
        "select count(*) from lake.meta.delivery where status = $status and codes = $codes "
        "and site_id is not distinct from $site_id "
        "and delivery_id is not distinct from $delivery_id "
        "and content_sha256 is not distinct from $content "
        "and governance is not distinct from $governance",
        {
            "status": outcome.status,
            "codes": ",".join(outcome.codes),
            "site_id": outcome.site_id,
            "delivery_id": outcome.delivery_id,
            "content": staged.content,
            "governance": _governed(staged.manifest)["governance"],
        },
    ).fetchone()
    if known and known[0]:
        return
    con.execute("begin")
    _record(con, staged, outcome, quality_json)
    con.execute("commit")


def _record(con: Connection, staged: Staged, outcome: DeliveryOutcome, quality_json: str) -> None:
    """Write the ledger, one row a file, and the delivery, one row."""
    manifest = staged.manifest
    ids = {"delivery_id": outcome.delivery_id, "site_id": outcome.site_id}
    sha256 = {entry.name: entry.sha256.lower() for entry in manifest.files} if manifest else {}
    files = outcome.files or (_unread(outcome),)
    rows = [
        {**ids, **_ledger_row(file, sha256.get(file.file)), "tables": _recorded(file, staged)}
        for file in files
    ]
    _insert(con, "ledger", rows)
    said = manifest.model_dump() if manifest else {}
    delivery = {key: said.get(key) for key in _SAID} | {
        **ids,
        **_governed(manifest),
        "content_sha256": staged.content,
        "status": outcome.status,
        "codes": ",".join(outcome.codes),
        "quality": quality_json,
    }
    _insert(con, "delivery", [delivery])


def _governed(manifest: Manifest | None) -> dict[str, object]:
    governance = manifest.governance if manifest else None
    return {
        "controller": governance.controller if governance else None,
        "governance": governance.as_json() if governance else None,
    }


def _unread(outcome: DeliveryOutcome) -> FileOutcome:
    """What the ledger says of a delivery whose files are not known."""
    return FileOutcome(MANIFEST, None, "rejected", 0, 0, 0, 0, outcome.codes)


def _ledger_row(file: FileOutcome, sha256: str | None) -> dict[str, object]:
    return {
        "file": file.file,
        "table_name": file.table,
        "sha256": sha256,
        "rows_in": file.rows_in,
        "rows_loaded": file.rows_loaded,
        "rows_quarantined": file.rows_quarantined,
        "rows_deduplicated": file.rows_deduplicated,
        "status": file.status,
        "code": ",".join(file.codes) or None,
    }


def _recorded(file: FileOutcome, staged: Staged) -> str | None:
    """What the ledger says a file of resources filled; None where its table says it."""
    if file.status != "loaded" or file.table not in TABLES_OF:
        return None
    return ",".join(_tables_of(file, staged))


def _insert(con: Connection, table: str, rows: list[dict[str, object]]) -> None:
    con.register("new_rows", pa.Table.from_pylist(rows))
    con.execute(f"insert into lake.meta.{table} by name select * from new_rows")
    con.unregister("new_rows")


def _put_away(home: Home, staged: Staged) -> None:
    """Move an accepted delivery out of the inbox; one that lies elsewhere stays there."""
    if not staged.path.resolve().is_relative_to(home.inbox.resolve()):
        return
    manifest = _manifest(staged)
    suffix = "".join(staged.path.suffixes[-2:]) if staged.path.is_file() else ""
    target = home.deliveries / manifest.site_id / f"{manifest.delivery_id}{suffix}"
    private_folder(target.parent)
    if staged.path.exists() and not target.exists():
        os.rename(staged.path, target)  # noqa: PTH104 - never copies
