"""The lake: DuckDB tables in Parquet under one versioned catalogue. Ingest writes, runs read.

Schema `omop` holds the CDM and device tables plus `site_id`; `tables` holds registry tables, one
per site and name; `meta` holds the ledger and the deliveries. Every commit is a snapshot.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb

from tasks.core.duck import duck, identifier, load_extensions, quoted
from tasks.core.errors import LakeError, NoDataError
from tasks.core.fhir import TABLES_OF
from tasks.core.omop import Table, omop_tables
from tasks.core.paths import Home
from tasks.core.site import SiteSettings

Connection = duckdb.DuckDBPyConnection

LEDGER_COLUMNS = {
    "delivery_id": "varchar",
    "site_id": "varchar",
    "file": "varchar",
    "table_name": "varchar",
    "sha256": "varchar",
    "rows_in": "bigint",
    "rows_loaded": "bigint",
    "rows_quarantined": "bigint",
    "rows_deduplicated": "bigint",
    "status": "varchar",
    "code": "varchar",
    "tables": "varchar",
}
DELIVERY_COLUMNS = {
    "delivery_id": "varchar",
    "site_id": "varchar",
    "content_sha256": "varchar",
    "kind": "varchar",
    "format": "varchar",
    "data_cutoff": "date",
    "data_class": "varchar",
    "vocabulary_version": "varchar",
    "status": "varchar",
    "codes": "varchar",
    "quality": "varchar",
    "controller": "varchar",
    "governance": "varchar",
}
_META = {"ledger": LEDGER_COLUMNS, "delivery": DELIVERY_COLUMNS}
_SAID = ("site_id", "delivery_id", "data_class", "data_cutoff", "vocabulary_version")
COMMITTED = ("accepted", "accepted_with_warnings", "partial")


def same_controller(one: str, other: str) -> str:
    """Return SQL for whether two names, whatever their blanks, form and case, are of one."""
    names = (f"lower(nfc_normalize(trim({name}::varchar)))" for name in (one, other))
    return f"({' is not distinct from '.join(names)})"


LEDGER = """(
    select snapshot_id, * from lake.meta.ledger
    union all by name
    select null::varchar as tables where false
)"""
"""The ledger with every column. `tables`: what a file of resources filled; older rows have none."""

_FILLED = ", ".join(
    f"({quoted(resource)}, {quoted(table)})"
    for resource, tables in TABLES_OF.items()
    for table in tables
)
# A full delivery ends the files of its site that came before it: those of the tables that it
# loads, and in the OMOP family all of its own controller, but for the tables whose file it
# rejected. One that loads `person` has as its own what came without the name of a controller.
# `commit._clear_replaced` deletes by the same rule.
_FILES_IN_FORCE = f"""
    with delivery as (
        select snapshot_id, * from lake.meta.delivery
        union all by name
        select null::varchar as controller, null::varchar as governance where false
    ),
    committed as (
        select *, if(format = 'table', 'table', 'omop') as family,
        from delivery where list_contains($accepted, status)
    ),
    files as (
        select
            committed.*,
            if(
                ledger.tables is null,
                coalesce(filled.table_name, ledger.table_name),
                filled.table_name
            ) as table_name,
            coalesce(ledger.status, 'loaded') as file_status,
        from committed
        left join {LEDGER} as ledger
            on committed.site_id = ledger.site_id
            and committed.delivery_id = ledger.delivery_id
            and committed.snapshot_id = ledger.snapshot_id
        left join (values {_FILLED}) as filled (resource, table_name)
            on ledger.table_name = filled.resource
            and (
                ledger.tables is null
                or list_contains(string_split(ledger.tables, ','), filled.table_name)
            )
    ),
    brought as (
        select
            site_id,
            snapshot_id,
            table_name,
            bool_or(file_status = 'loaded') as is_loaded,
            bool_or(file_status = 'rejected') as is_rejected,
        from files group by all
    ),
    with_persons as (
        select distinct snapshot_id from brought where table_name = 'person' and is_loaded
    ),
    ended as (
        select distinct files.snapshot_id, files.table_name
        from files
        inner join committed as later
            on files.site_id = later.site_id
            and files.family = later.family
            and later.kind = 'full'
            and later.snapshot_id > files.snapshot_id
        left join brought
            on later.site_id = brought.site_id
            and later.snapshot_id = brought.snapshot_id
            and files.table_name = brought.table_name
        left join with_persons on later.snapshot_id = with_persons.snapshot_id
        where
            not coalesce(brought.is_rejected, false)
            and (
                coalesce(brought.is_loaded, false)
                or (
                    later.family = 'omop'
                    and (
                        {same_controller("later.controller", "files.controller")}
                        or (files.controller is null and with_persons.snapshot_id is not null)
                    )
                )
            )
    ),
    in_force as (
        select files.* from files
        left join ended
            on files.snapshot_id = ended.snapshot_id
            and files.table_name is not distinct from ended.table_name
        where ended.snapshot_id is null and files.file_status = 'loaded'
    )
"""  # noqa: S608 - constants of our own


@dataclass(frozen=True, slots=True)
class TableInForce:
    """One table of a site, and a delivery whose rows in it are in force.

    `is_own`: it came from the controller who was asked for.
    """

    table: str
    delivery_id: str
    controller: str | None
    governance: str | None
    is_own: bool


@contextmanager
def open_lake(
    home: Home,
    site: SiteSettings,
    *,
    snapshot: int | None = None,
    write: bool = False,
    workspace: Path | None = None,
) -> Iterator[Connection]:
    """Open a DuckDB with the lake attached as `lake`.

    Args:
        home: The working home.
        site: Tells where the catalogue is.
        snapshot: Pin the lake at this snapshot; the newest when absent.
        write: Attach for writing (only ingest does); creates the lake on first use.
        workspace: DuckDB file to work in; in memory when absent.

    Raises:
        NoDataError: There is no lake yet.
        LakeError: The lake cannot be read, or the snapshot does not exist.
    """
    if not write and site.catalogue_url == "sqlite" and not (home.lake / "catalog.sqlite").exists():
        raise NoDataError(
            str(home.lake), "no lake yet", "ingest a delivery: `causeway ingest PATH`."
        )
    with duck(workspace or ":memory:") as con:
        con.execute(f"set temp_directory = {quoted(home.work / 'spill')}")
        _attach(con, home, site, snapshot, write)
        if write:
            _create_missing(con)
        yield con


def ensure_lake(home: Home, site: SiteSettings) -> None:
    """Create the schemas and tables that are missing; needs the right to write.

    Files that an ingest left when it was killed, a day ago or more, are removed: no commit names
    them, and they may hold person rows.
    """
    with open_lake(home, site, write=True) as con:
        con.execute(
            "call ducklake_delete_orphaned_files('lake', older_than => now() - interval '1 day')"
        )


def newest_snapshot(con: Connection) -> int:
    """Return the newest snapshot that an accepted delivery made.

    Raises:
        NoDataError: No delivery has been accepted yet.
    """
    found = con.execute(
        "select max(snapshot_id) from lake.meta.delivery where list_contains($accepted, status)",
        {"accepted": list(COMMITTED)},
    ).fetchone()
    if not found or found[0] is None:
        raise NoDataError("lake", "holds no accepted delivery", "run `causeway ingest PATH` first.")
    return int(found[0])


def snapshots(con: Connection) -> list[dict[str, object]]:
    """Return the snapshots that accepted deliveries made, oldest first."""
    found = con.execute(
        "select snapshot_id, site_id, delivery_id from lake.meta.delivery "
        "where list_contains($accepted, status) order by snapshot_id",
        {"accepted": list(COMMITTED)},
    ).fetchall()
    return [dict(zip(("snapshot_id", "site_id", "delivery_id"), row, strict=True)) for row in found]


def content_hash(con: Connection) -> str:
    """Return a hash of all study data of the attached snapshot that ignores the order of rows.

    What the deliveries in force say of themselves (class, cut-off) belongs to the data: it decides
    what may be shown and how it is labelled.
    """
    tables = con.execute(
        # Not `tables`: DuckLake counts the rows of each table where that is asked.
        "select distinct table_schema, table_name from information_schema.columns "
        "where table_catalog = 'lake' and table_schema in ('omop', 'tables') order by all"
    ).fetchall()
    digest = hashlib.sha256()
    said = [[str(delivery[name]) for name in _SAID] for delivery in deliveries_in_force(con)]
    for delivery in sorted(said):  # the same rows are the same data, whichever site came first
        digest.update(repr(delivery).encode())
    for schema, table in tables:
        name = f"lake.{identifier(schema)}.{identifier(table)}"
        query = f"select count(*), sum(hash(t)::hugeint) from {name} as t"  # noqa: S608
        rows, total = con.execute(query).fetchall()[0]
        if rows:
            digest.update(f"{schema}.{table}:{rows}:{total}\n".encode())
    return digest.hexdigest()


def deliveries_in_force(con: Connection) -> list[dict[str, object]]:
    """Return the deliveries whose rows make up the attached snapshot, oldest first.

    A full delivery ends what its controller sent before for the site, in whichever format of the
    model it came, and the tables that it loads whoever sent them, but for the tables whose file it
    rejected. One with persons also ends what came without the name of a controller. Increments
    add to it.
    """
    query = (
        f"{_FILES_IN_FORCE} select * exclude (family) from committed "  # noqa: S608 - a constant
        "where snapshot_id in (select snapshot_id from in_force) order by snapshot_id"
    )
    found = con.execute(query, {"accepted": list(COMMITTED)})
    names = [column[0] for column in found.description or []]
    return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def tables_in_force(
    con: Connection, site_id: str, controller: str | None = None
) -> list[TableInForce]:
    """Return the OMOP and device tables of a site with the deliveries that are in force there.

    Args:
        con: The lake.
        site_id: The site.
        controller: Whose tables are marked as own; by default those of nobody named.
    """
    query = (
        f"{_FILES_IN_FORCE} select distinct table_name, delivery_id, controller, governance, "  # noqa: S608 - constants
        f"{same_controller('controller', '$controller')} as is_own "
        "from in_force where site_id = $site_id and family = 'omop' and table_name is not null "
        "order by all"
    )
    asked = {"accepted": list(COMMITTED), "site_id": site_id, "controller": controller}
    found = con.execute(query, asked).fetchall()
    return [TableInForce(*row) for row in found]


def registry_tables_in_force(con: Connection) -> dict[tuple[str, str], set[int]]:
    """Return the snapshots of the deliveries in force behind each registry table.

    Keys are the site and the name of the table as it was delivered.
    """
    query = (
        f"{_FILES_IN_FORCE} select distinct site_id, table_name, snapshot_id "  # noqa: S608
        "from in_force where family = 'table' and table_name is not null order by all"
    )
    found: dict[tuple[str, str], set[int]] = {}
    for site_id, table, snapshot in con.execute(query, {"accepted": list(COMMITTED)}).fetchall():
        found.setdefault((str(site_id), str(table)), set()).add(int(snapshot))
    return found


def ledger_of(con: Connection, snapshot_ids: list[int]) -> list[dict[str, object]]:
    """Return the ledger rows of these commits, without checksums, by site, delivery and file."""
    found = con.execute(
        "select snapshot_id, columns(c -> c not in ('sha256', 'tables')) from lake.meta.ledger "
        "where list_contains($ids, snapshot_id) "
        "order by site_id, delivery_id, file, snapshot_id",
        {"ids": snapshot_ids},
    )
    names = [column[0] for column in found.description or []]
    return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def _attach(
    con: Connection, home: Home, site: SiteSettings, snapshot: int | None, write: bool
) -> None:
    if site.catalogue_url == "sqlite":
        load_extensions(con, "sqlite_scanner", "ducklake")
        catalogue = f"ducklake:sqlite:{home.lake / 'catalog.sqlite'}"
    else:
        load_extensions(con, "postgres_scanner", "ducklake")
        catalogue = f"ducklake:{site.catalogue_url}"
    options = [f"data_path {quoted(f'{home.lake}/data/')}", "override_data_path true"]
    options += ["data_inlining_row_limit 0"] if write else ["read_only"]
    options += [f"snapshot_version {snapshot:d}"] if snapshot is not None else []
    try:
        con.execute(f"attach {quoted(catalogue)} as lake ({', '.join(options)})")
    except duckdb.InvalidInputException as exc:
        if snapshot is None and not write:
            raise NoDataError("lake", "no lake yet", "ingest a delivery first.") from None
        raise _unreadable(snapshot, exc) from None
    except duckdb.Error as exc:
        raise _unreadable(snapshot, exc) from None


def _unreadable(snapshot: int | None, exc: Exception) -> LakeError:
    at = snapshot if snapshot is not None else "newest"
    what = f"cannot be attached at snapshot {at} ({type(exc).__name__})"
    fix = "check catalogue_url in site.yaml and the snapshot number (`causeway status`)."
    return LakeError("lake", what, fix)


def _create_missing(con: Connection) -> None:
    """Create what a new lake needs, or an older one lacks, in one commit; else do nothing."""
    query = (
        "select table_schema || '.' || table_name, column_name "
        "from information_schema.columns where table_catalog = 'lake'"
    )
    found = set(con.execute(query).fetchall())
    present = {name for name, _ in found}
    wanted = {f"omop.{t.name}": _columns_of(t) for t in omop_tables().values()}
    wanted |= {f"meta.{name}": columns for name, columns in _META.items()}
    orders = [
        f"create table lake.{name} ({', '.join(f'{identifier(c)} {k}' for c, k in of.items())})"
        for name, of in wanted.items()
        if name not in present
    ]
    orders += [
        f"alter table lake.{name} add column {identifier(column)} {kind}"
        for name, of in wanted.items()
        if name in present
        for column, kind in of.items()
        if (name, column) not in found
    ]
    if not orders:
        return
    con.execute("begin")
    for schema in ("omop", "tables", "meta"):
        con.execute(f"create schema if not exists lake.{schema}")
    for order in orders:
        con.execute(order)
    con.execute("commit")


def _columns_of(table: Table) -> dict[str, str]:
    return {"site_id": "varchar"} | {column.name: column.type for column in table.columns}
