"""DuckDB connections that reach for nothing outside: extensions come from site-packages."""

import importlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import duckdb

_OFFLINE: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
}
_EXTENSION_OF = {
    "sqlite_scanner": "duckdb_extension_sqlite_scanner",
    "postgres_scanner": "duckdb_extension_postgres_scanner",
    "ducklake": "duckdb_extension_ducklake",
}


@contextmanager
def duck(
    file: Path | str = ":memory:", *, read_only: bool = False
) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open a DuckDB connection and close it at the end.

    Args:
        file: Database file; in memory when absent. Spilled data stay beside the file.
        read_only: Open an existing file without a write lock.

    The number of threads is $CAUSEWAY_THREADS when set; results never depend on it.
    """
    config: dict[str, str | bool | int | float | list[str]] = _OFFLINE | {
        "allow_unsigned_extensions": "true",  # signatures are checked by `_signed`, once a process
    }
    if threads := os.environ.get("CAUSEWAY_THREADS"):
        config["threads"] = threads
    if file != ":memory:":
        config["temp_directory"] = f"{file}.tmp"
        config["checkpoint_threshold"] = "1GB"  # written when closed, not in the middle of work
    connection = duckdb.connect(str(file), read_only=read_only, config=config)
    try:
        yield connection
    finally:
        connection.close()


def load_extensions(con: duckdb.DuckDBPyConnection, *names: str) -> None:
    """Load extensions by path from the installed packages; writes nothing outside."""
    for name in names:
        con.execute(f"load {quoted(_signed(name))}")


@cache
def _signed(name: str) -> Path:
    """Return the file of an extension whose signature DuckDB has accepted in this process.

    DuckDB hashes the whole file at each load; a run opens the lake many times.
    """
    package = importlib.import_module(_EXTENSION_OF[name])
    [binary] = Path(next(iter(package.__path__))).rglob(f"{name}.duckdb_extension")
    with duckdb.connect(config=_OFFLINE) as con:
        con.execute(f"load {quoted(binary)}")
    return binary


def quoted(value: object) -> str:
    """Return `value` as an SQL string literal, for the few places that take no parameter."""
    return "'" + str(value).replace("'", "''") + "'"


def identifier(name: str) -> str:
    """Return `name` as a quoted SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def single(con: duckdb.DuckDBPyConnection, query: str, params: object = None) -> object:
    """Return the one value that `query` selects."""
    row = con.execute(query, params).fetchone()
    return row[0] if row else None
