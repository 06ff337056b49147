"""The DuckDB file of one staged delivery: views over Parquet, verdicts, counts, bad rows."""

# ruff: noqa: S608 - only names of the model and quoted names are formatted into SQL

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa

from tasks.core.duck import identifier, quoted, single
from tasks.core.omop import Column, Table
from tasks.ingest.bind import Binding
from tasks.ingest.cast import Reading, expected_of
from tasks.ingest.inspection import Inspected
from tasks.ingest.lines import (
    BadRow,
    BadRows,
    bad_rows_of_parquet,
    bad_rows_of_text,
    quarantine_lines,
)
from tasks.ingest.model import DeliveryRefusedError, FileOutcome, FileRefusedError
from tasks.ingest.parse import (
    Parsed,
    parquet_source,
    select_typed,
    select_verbatim,
    stage_csv,
    stage_ndjson,
    stage_parquet,
)
from tasks.ingest.row_rules import StagedTable
from tasks.ingest.rules import finding

Connection = duckdb.DuckDBPyConnection

_MIN_ROWS_OF_ANOTHER_FORM = 20
_SCHEMA = """
    create schema staged;
    create schema delivered;
    create schema loadable;
    create schema delivery;
    create table delivery.verdict (
        table_name varchar, row bigint, code varchar, column_name varchar
    );
    create table delivery.person (person_id bigint);
    create table delivery.device_version (udi_di varchar, model_version varchar);
    create table delivery.quarantine (
        file varchar, line bigint, "column" varchar, code varchar, row_sha256 varchar
    );
    create table delivery.file_balance (
        table_name varchar, file varchar, rows_in bigint, rows_loadable bigint,
        rows_quarantined bigint, rows_deduplicated bigint, quarantined_share double
    );
"""


@dataclass(frozen=True, slots=True)
class StagedFile:
    """A file whose rows are staged: what it is, how it was read, and its name in the stage."""

    item: Inspected
    binding: Binding
    model: Table | None
    reading: Reading
    parsed: Parsed

    @property
    def file(self) -> str:
        """Name of the delivered file."""
        return self.item.listed.name

    @property
    def table(self) -> StagedTable:
        """Its table in the stage."""
        return StagedTable(str(self.item.listed.table), self.model, tuple(self.binding.fields))


def prepare(con: Connection) -> None:
    """Create what every stage has."""
    con.execute(_SCHEMA)


def stage_rows(
    con: Connection, work: Path, item: Inspected, model: Table | None, reading: Reading
) -> StagedFile:
    """Type the rows of one file into Parquet, and make them staged.<table>.

    Raises:
        FileRefusedError: Its rows cannot be told apart, or all its dates have another form.
        DeliveryRefusedError: The Parquet data are damaged, or an id has become text.
    """
    assert item.binding is not None  # noqa: S101 - only usable files come here
    out = work / f"{item.listed.table}.parquet"
    broken = item.listed.is_ndjson
    if model:
        select = select_typed(model, item.binding, reading, item.physical, broken=broken)
    else:
        select = select_verbatim(item.binding, item.physical, broken=broken)
    parsed = _parse(con, item, item.binding, select, out)
    if parsed.staged + parsed.misshapen != item.rows:
        raise FileRefusedError(finding("E_QUOTE", item.listed.name))
    staged = StagedFile(item, item.binding, model, reading, parsed)
    create_staged(con, staged.table, out)
    _refuse_uniform_fault(con, staged)
    return staged


def create_staged(con: Connection, table: StagedTable, out: Path) -> None:
    """Make staged.<table> of its typed rows; columns of the model that it lacks are empty."""
    columns: Sequence[Column] = table.model.columns if table.model else ()
    absent = [f"null::{c.type} as {c.name}" for c in columns if c.name not in table.columns]
    names = ", ".join([*map(identifier, table.columns), *absent])
    con.execute(
        f"create view staged.{identifier(table.name)} as "
        f"select {names}, _row, _fault, _warned from {parquet_source(out)}"
    )


def create_views(con: Connection, table: StagedTable) -> int:
    """Make delivered.<table> and loadable.<table> of a table whose verdicts are final.

    Returns:
        How many of its rows can be loaded.
    """
    name = identifier(table.name)
    columns = ", ".join(map(identifier, table.model.names if table.model else table.columns))
    code, join = "split_part(_fault, '/', 1)", ""
    if single(con, f"select count(*) from {table.verdicts}"):
        code = f"coalesce({code}, verdict.code)"
        join = f"left join {table.verdicts} as verdict on verdict.row = _row"
    con.execute(
        f"create view delivered.{name} as "
        f"select {columns}, _row, {code} as _code from staged.{name} {join}"
    )
    con.execute(
        f"create view loadable.{name} as select {columns} from delivered.{name} where _code is null"
    )
    return int(str(single(con, f"select count(*) from loadable.{name}")))


def settle(con: Connection, staged: StagedFile, loadable: int) -> tuple[FileOutcome, BadRows]:
    """Find the bad rows of a file again, write its balance, and return both.

    Raises:
        DeliveryRefusedError: The second reading finds other rows than the first.
    """
    bad = _bad_lines(con, staged) if staged.item.listed.is_ndjson else _bad_rows(con, staged)
    rows_in = staged.item.rows
    if rows_in != loadable + bad.total:
        raise DeliveryRefusedError(finding("E_QUOTE", staged.file))
    return balanced(con, staged.item, staged.table.name, bad), bad


def balanced(con: Connection, item: Inspected, table: str, bad: BadRows) -> FileOutcome:
    """Write the balance of a file that is loaded, and return it."""
    listed, rows_in = item.listed, item.rows
    duplicates = bad.counts.get("W_DUPLICATE_ROW", 0)
    quarantined = bad.total - duplicates
    loaded = rows_in - bad.total
    share = quarantined / rows_in if rows_in else 0.0
    con.execute(
        "insert into delivery.file_balance values (?, ?, ?, ?, ?, ?, ?)",
        [table, listed.name, rows_in, loaded, quarantined, duplicates, share],
    )
    counts = (rows_in, loaded, quarantined, duplicates)
    return FileOutcome(listed.name, listed.table, "loaded", *counts, ())


def warnings_of(con: Connection, staged: StagedFile) -> list[tuple[str, int]]:
    """Return how many values each 'CODE/column' of a tolerated spelling has, in good rows."""
    return con.execute(f"""
        select note, count(*) from (
            select unnest(string_split(_warned, ' ')) as note
            from staged.{identifier(staged.table.name)}
            where _fault is null and _warned is not null
        ) group by note order by note
    """).fetchall()


def _parse(con: Connection, item: Inspected, binding: Binding, select: str, out: Path) -> Parsed:
    if item.text is None:
        try:
            return stage_parquet(con, item.listed.path, binding, select, out)
        except duckdb.Error as exc:
            found = f"damaged ({type(exc).__name__})"
            name = item.listed.name
            raise DeliveryRefusedError(
                finding("E_MAGIC", name, expected="Parquet", found=found)
            ) from None
    if item.listed.is_ndjson:
        return stage_ndjson(con, item.text, binding, select, out)
    return stage_csv(con, item.text, item.skip_lines, binding, select, out)


def _refuse_uniform_fault(con: Connection, staged: StagedFile) -> None:
    """Refuse a file all of whose rows have the same fault of form: the file is wrong, not they."""
    if staged.model is None or staged.parsed.staged < _MIN_ROWS_OF_ANOTHER_FORM:
        return
    found = con.execute(
        f"select any_value(_fault) from staged.{staged.table.name} "
        "having count(distinct coalesce(_fault, '')) = 1"
    ).fetchone()
    code, _, name = str(found[0] if found else "").partition("/")
    if code == "E_DATE_FORMAT":
        column = next(column for column in staged.model.columns if column.name == name)
        expected = expected_of(column, staged.reading)
        raise FileRefusedError(finding(code, staged.file, column=name, expected=expected))
    if code == "E_TYPE" and name in (*staged.model.key, "person_id"):
        raise DeliveryRefusedError(finding("E_SCHEMA_DRIFT", staged.file, column=name))


def _faults(staged: StagedFile) -> str:
    """SQL of the place, code and column of every staged row that is not loadable."""
    return f"""
        select _row, split_part(_fault, '/', 1) as code,
            nullif(split_part(_fault, '/', 2), '') as column_name
        from staged.{identifier(staged.table.name)} where _fault is not null
        union all
        select row, code, column_name from delivery.verdict
        where table_name = {quoted(staged.table.name)}
    """


def _bad_lines(con: Connection, staged: StagedFile) -> BadRows:
    assert staged.item.text is not None  # noqa: S101 - NDJSON is text
    con.execute(
        f"create or replace temp table fault as select _row as line, * from ({_faults(staged)})"
    )
    return quarantine_lines(con, staged.item.text)


def _bad_rows(con: Connection, staged: StagedFile) -> BadRows:
    """Find rows of a CSV or Parquet file again and list them.

    Raises:
        DeliveryRefusedError: The second reading finds other rows than the first.
    """
    found = con.execute(_faults(staged)).fetchall()
    faults = {row: (code, column) for row, code, column in found}
    if not faults and not staged.parsed.misshapen:
        return BadRows()
    if staged.item.text is None:
        bad = list(bad_rows_of_parquet(con, staged.item.listed.path, faults))
    else:
        bad = list(bad_rows_of_text(staged.item.text, len(staged.binding.header), faults))
    if len(bad) != len(faults) + staged.parsed.misshapen:
        raise DeliveryRefusedError(finding("E_QUOTE", staged.file))
    _write_bad(con, staged.file, bad)
    return BadRows(Counter(row.code for row in bad), tuple(bad))


def _write_bad(con: Connection, file: str, bad: list[BadRow]) -> None:
    rows = pa.table(
        {
            "file": [file] * len(bad),
            "line": [row.line for row in bad],
            "column": [row.column for row in bad],
            "code": [row.code for row in bad],
            "row_sha256": [row.row_sha256 for row in bad],
        }
    )
    con.register("bad", rows)
    con.execute("insert into delivery.quarantine select * from bad")
    con.unregister("bad")
