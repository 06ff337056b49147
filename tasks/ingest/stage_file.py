"""The DuckDB file of one staged delivery: views over Parquet, verdicts, counts, bad rows."""

# ruff: noqa: S608 - only names of the model and quoted names are formatted into SQL

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
from tasks.ingest.lines import BadRow, bad_rows_of_parquet, bad_rows_of_text
from tasks.ingest.model import DeliveryRefusedError, FileOutcome, FileRefusedError
from tasks.ingest.parse import (
    Parsed,
    parquet_source,
    select_typed,
    select_verbatim,
    stage_csv,
    stage_parquet,
)
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
    def table(self) -> str:
        """Name of its table in the stage."""
        return str(self.item.listed.table)

    @property
    def file(self) -> str:
        """Name of the delivered file."""
        return self.item.listed.name

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns that were delivered."""
        return tuple(self.binding.fields)


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
    if model:
        select = select_typed(model, item.binding, reading, item.physical)
    else:
        select = select_verbatim(item.binding, item.physical)
    parsed = _parse(con, item, item.binding, select, out)
    if parsed.staged + parsed.misshapen != item.rows:
        raise FileRefusedError(finding("E_QUOTE", item.listed.name))
    staged = StagedFile(item, item.binding, model, reading, parsed)
    _create_staged_view(con, staged, out)
    _refuse_uniform_fault(con, staged)
    return staged


def create_views(con: Connection, staged: StagedFile) -> None:
    """Make delivered.<table> and loadable.<table> of a table whose verdicts are final."""
    table, columns = identifier(staged.table), ", ".join(map(identifier, _columns(staged)))
    verdict = f"(from delivery.verdict where table_name = {quoted(staged.table)})"
    judged = single(con, f"select count(*) from {verdict}")
    code, join = "split_part(_fault, '/', 1)", ""
    if judged:
        code = f"coalesce({code}, verdict.code)"
        join = f"left join {verdict} as verdict on verdict.row = _row"
    con.execute(
        f"create view delivered.{table} as "
        f"select {columns}, _row, {code} as _code from staged.{table} {join}"
    )
    con.execute(
        f"create view loadable.{table} as "
        f"select {columns} from delivered.{table} where _code is null"
    )


def settle(con: Connection, staged: StagedFile) -> tuple[FileOutcome, list[BadRow]]:
    """Find the bad rows of a file again, write its balance, and return both.

    Raises:
        DeliveryRefusedError: The second reading finds other rows than the first.
    """
    faults = _faults(con, staged)
    bad = _bad_rows(con, staged, faults)
    duplicates = sum(code == "W_DUPLICATE_ROW" for code, _ in faults.values())
    quarantined = staged.parsed.misshapen + len(faults) - duplicates
    loadable = int(str(single(con, f"select count(*) from loadable.{identifier(staged.table)}")))
    rows_in = staged.item.rows
    if len(bad) != quarantined + duplicates or rows_in != loadable + len(bad):
        raise DeliveryRefusedError(finding("E_QUOTE", staged.file))
    _write_bad(con, staged.file, bad)
    share = quarantined / rows_in if rows_in else 0.0
    con.execute(
        "insert into delivery.file_balance values (?, ?, ?, ?, ?, ?, ?)",
        [staged.table, staged.file, rows_in, loadable, quarantined, duplicates, share],
    )
    outcome = FileOutcome(
        staged.file, staged.table, "loaded", rows_in, loadable, quarantined, duplicates, ()
    )
    return outcome, bad


def warnings_of(con: Connection, staged: StagedFile) -> list[tuple[str, int]]:
    """Return how many values each 'CODE/column' of a tolerated spelling has, in good rows."""
    return con.execute(f"""
        select note, count(*) from (
            select unnest(string_split(_warned, ' ')) as note
            from staged.{identifier(staged.table)} where _fault is null and _warned is not null
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
    return stage_csv(con, item.text, item.skip_lines, binding, select, out)


def _columns(staged: StagedFile) -> tuple[str, ...]:
    return staged.model.names if staged.model else staged.columns


def _create_staged_view(con: Connection, staged: StagedFile, out: Path) -> None:
    columns: Sequence[Column] = staged.model.columns if staged.model else ()
    absent = [f"null::{c.type} as {c.name}" for c in columns if c.name not in staged.columns]
    delivered = [identifier(name) for name in staged.columns]
    names = ", ".join([*delivered, *absent])
    con.execute(
        f"create view staged.{identifier(staged.table)} as "
        f"select {names}, _row, _fault, _warned from {parquet_source(out)}"
    )


def _refuse_uniform_fault(con: Connection, staged: StagedFile) -> None:
    """Refuse a file all of whose rows have the same fault of form: the file is wrong, not they."""
    if staged.model is None or staged.parsed.staged < _MIN_ROWS_OF_ANOTHER_FORM:
        return
    found = con.execute(
        f"select any_value(_fault) from staged.{staged.table} "
        "having count(distinct coalesce(_fault, '')) = 1"
    ).fetchone()
    code, _, name = str(found[0] if found else "").partition("/")
    if code == "E_DATE_FORMAT":
        column = next(column for column in staged.model.columns if column.name == name)
        expected = expected_of(column, staged.reading)
        raise FileRefusedError(finding(code, staged.file, column=name, expected=expected))
    if code == "E_TYPE" and name in (*staged.model.key, "person_id"):
        raise DeliveryRefusedError(finding("E_SCHEMA_DRIFT", staged.file, column=name))


def _faults(con: Connection, staged: StagedFile) -> dict[int, tuple[str, str | None]]:
    """Return code and column of every staged row that is not loadable."""
    rows = con.execute(
        f"""
        select _row, split_part(_fault, '/', 1), nullif(split_part(_fault, '/', 2), '')
        from staged.{identifier(staged.table)} where _fault is not null
        union all
        select row, code, column_name from delivery.verdict where table_name = $table
        """,
        {"table": staged.table},
    ).fetchall()
    return {row: (code, column) for row, code, column in rows}


def _bad_rows(
    con: Connection, staged: StagedFile, faults: dict[int, tuple[str, str | None]]
) -> list[BadRow]:
    if not faults and not staged.parsed.misshapen:
        return []
    if staged.item.text is None:
        return list(bad_rows_of_parquet(con, staged.item.listed.path, faults))
    return list(bad_rows_of_text(staged.item.text, len(staged.binding.header), faults))


def _write_bad(con: Connection, file: str, bad: list[BadRow]) -> None:
    if not bad:
        return
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
