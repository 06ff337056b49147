"""Run one SQL file, build one table. The only way a query becomes a table of a workspace."""

import re
from collections.abc import Mapping
from pathlib import Path

import duckdb

from tasks.core.duck import single
from tasks.core.errors import SqlContractError
from tasks.core.paths import SQL_DIR

LAYERS = ("fhir", "mapped", "raw", "clean", "cohort", "result", "econ", "synth", "report")


def build_table(
    con: duckdb.DuckDBPyConnection,
    table: str,
    params: Mapping[str, object] | None = None,
    sql_dir: Path = SQL_DIR,
    *,
    variant: str = "",
) -> int:
    """Replace `table` by what `sql/<schema>/<name>.sql` selects; return its number of rows.

    Args:
        con: Open connection; the caller owns the transaction.
        table: `schema.name`, the name of both the table and the file.
        params: Values for the file's `$name` placeholders; names that it lacks are ignored.
        sql_dir: Root of the SQL files; tests pass their own.
        variant: Take `<name>.<variant>.sql`, where the table is made in one way or another.

    Raises:
        SqlContractError: A placeholder has no value.
    """
    schema, name = table.split(".")
    file = f"{name}.{variant}.sql" if variant else f"{name}.sql"
    query = (sql_dir / schema / file).read_text(encoding="utf-8")
    given = params or {}
    wanted = con.extract_statements(query)[0].named_parameters
    if missing := sorted(wanted - given.keys()):
        raise SqlContractError(
            f"sql/{schema}/{file}",
            f"no value for ${', $'.join(missing)}",
            f"pass {', '.join(missing)} from the task that builds {table}.",
        )
    con.execute(f"create schema if not exists {schema}")
    kind = "view" if re.search(r"^-- Kind:\s+view$", query, re.MULTILINE) else "table"
    con.execute(
        f"create or replace {kind} {table} as {query}", {key: given[key] for key in wanted} or None
    )
    rows = single(con, f"select count(*) from {table}")  # noqa: S608 - name of our own file
    return int(str(rows))
