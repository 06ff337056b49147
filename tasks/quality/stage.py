"""What a stage file holds: its tables, their columns and row counts. Read once, then closed."""

from dataclasses import dataclass
from pathlib import Path

import duckdb

from tasks.core.duck import duck, identifier
from tasks.core.errors import GateError

_COLUMNS = """
select schema_name || '.' || table_name as name, list(column_name)
from duckdb_columns()
where schema_name in ('delivered', 'loadable', 'delivery')
group by all
"""


@dataclass(frozen=True, slots=True)
class StagedTable:
    """One table or view of a stage file; `n_rows` is None where it cannot be read."""

    columns: frozenset[str]
    n_rows: int | None


Stage = dict[str, StagedTable]


def read_stage(file: Path) -> Stage:
    """Return the tables of a stage file by `schema.name`.

    Raises:
        GateError: The file is not there or is no DuckDB database.
    """
    if not file.is_file():
        raise _unreadable(file, "is not there")
    try:
        with duck(file, read_only=True) as con:
            found = con.execute(_COLUMNS).fetchall()
            return {name: StagedTable(frozenset(cols), _count(con, name)) for name, cols in found}
    except duckdb.Error as exc:
        raise _unreadable(file, f"cannot be opened ({type(exc).__name__})") from None


def _count(con: duckdb.DuckDBPyConnection, name: str) -> int | None:
    table = ".".join(map(identifier, name.split(".", 1)))
    try:
        row = con.execute(f"select count(*) from {table}").fetchone()  # noqa: S608 - own catalogue
    except duckdb.Error:
        return None
    return int(row[0]) if row else None


def _unreadable(file: Path, what: str) -> GateError:
    return GateError(file.name, what, "ingest the delivery again.", "E_DQ_ERROR")
