"""Reading back what ingest wrote: the ledger, the quarantine, a table of the lake."""

# ruff: noqa: S608 - only names of the model and quoted names are formatted into SQL

import os
from pathlib import Path

from tasks.core.duck import duck, identifier, quoted
from tasks.core.errors import UsageError
from tasks.core.lake import COMMITTED, Connection, open_lake
from tasks.core.omop import omop_tables
from tasks.core.paths import Home
from tasks.core.site import SiteSettings
from tasks.ingest.standing import lake_if_any

_LEDGER = """
    select
        ledger.delivery_id,
        ledger.site_id,
        file,
        sha256,
        rows_in,
        rows_loaded,
        rows_quarantined,
        rows_deduplicated,
        ledger.status,
        code,
        case when list_contains($committed, delivery.status) then ledger.snapshot_id end
            as snapshot_id,
    from (select snapshot_id, * from lake.meta.ledger) as ledger
    join (select snapshot_id, * from lake.meta.delivery) as delivery
        on delivery.snapshot_id = ledger.snapshot_id
        and delivery.site_id is not distinct from ledger.site_id
        and delivery.delivery_id is not distinct from ledger.delivery_id
    order by ledger.snapshot_id, file
"""


def ledger_rows(home: Home, site: SiteSettings) -> list[dict[str, object]]:
    """Return one row a file of every delivery, oldest first; no snapshot where it was refused."""
    with lake_if_any(home, site) as con:
        return _dicts(con, _LEDGER, {"committed": list(COMMITTED)}) if con else []


def quarantine_rows(home: Home, delivery_id: str | None = None) -> list[dict[str, object]]:
    """Return every row that was not loaded, of one delivery or of all.

    Rows of duplicates are listed too (W_DUPLICATE_ROW); the ledger counts them apart.
    """
    folder = home.restricted / "quarantine"
    name = f"{delivery_id}.parquet" if delivery_id else "*.parquet"
    files = sorted(str(path) for path in folder.glob("*/*.parquet") if path.match(name))
    if not files:
        return []
    query = (
        'select delivery_id, file, line, "column", code, row_sha256 '
        "from read_parquet($files, hive_partitioning = false) "
        "order by site_id, delivery_id, file, line, code"
    )
    with duck() as con:
        return _dicts(con, query, {"files": files})


def export_table(
    home: Home, site: SiteSettings, table: str, snapshot: int | None, out: Path
) -> int:
    """Write an OMOP table of the lake into one Parquet file, ordered by site and key.

    Args:
        home: The working home.
        site: Settings of the site.
        table: Name of the OMOP table, or of a registry table as `<site_id>__<table>`.
        snapshot: Which state of the lake; the newest when None.
        out: The file to write, replaced at once when complete.

    Returns:
        How many rows were written.

    Raises:
        UsageError: There is no such table.
        LakeError: There is no such snapshot.
    """
    with open_lake(home, site, snapshot=snapshot) as con:
        source, order = _source(con, table)
        return write_person_rows(con, f"select * from {source} order by {order}", out)


def write_person_rows(con: Connection, query: str, target: Path) -> int:
    """Write what `query` selects into a Parquet file for this user only, replaced when complete."""
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        copy = f"copy ({query}) to {quoted(draft)} (format parquet)"
        [(rows,)] = con.execute(copy).fetchall()
        draft.chmod(0o600)
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)
    return int(rows)


def _source(con: Connection, table: str) -> tuple[str, str]:
    if model := omop_tables().get(table.lower()):
        order = ", ".join(map(identifier, dict.fromkeys(("site_id", *model.key, *model.names))))
        return f"lake.omop.{model.name}", order
    names = {
        str(row[0])
        for row in con.execute(
            "select table_name from information_schema.tables "
            "where table_catalog = 'lake' and table_schema = 'tables'"
        ).fetchall()
    }
    if table not in names:
        fix = "name a table of the OMOP model, or <site_id>__<table>."
        raise UsageError(table, "is no table of the lake", fix)
    return f"lake.tables.{identifier(table)}", "all"


def _dicts(con: Connection, query: str, params: dict[str, object]) -> list[dict[str, object]]:
    found = con.execute(query, params)
    names = [column[0] for column in found.description or []]
    return [dict(zip(names, row, strict=True)) for row in found.fetchall()]
