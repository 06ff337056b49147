"""From one delivered file to one staged Parquet file: typed by name in a single pass.

The staged file keeps every row that has the right number of fields, with `_row` (its place
among them in the delivery, from 0), `_fault` ('CODE/column', empty when good) and `_warned`
('CODE/column …'). The order of the staged rows themselves means nothing: DuckDB with two threads
does not keep the order of an Arrow stream.
"""

# ruff: noqa: S608 - only names of the model and quoted names are formatted into SQL

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv

from tasks.core.duck import identifier, quoted
from tasks.core.omop import Column, Table
from tasks.ingest.bind import NEW_IN_54, Binding
from tasks.ingest.cast import Cast, Reading, cast_native, cast_of
from tasks.ingest.model import FileRefusedError
from tasks.ingest.ndjson import fields_of_lines, lines_of
from tasks.ingest.reading import TextFile, byte_stream
from tasks.ingest.rules import finding

_BLOCKS = (1 << 23, 1 << 26, 1 << 29)
_BLANKS = "E' \\t\\r\\n\\v\\f'"
_PAIRS = (("valid_from", "valid_to"), ("consent_date", "withdrawn_date"))


@dataclass(frozen=True, slots=True)
class Parsed:
    """How many rows of a file were staged, and how many had the wrong number of fields."""

    staged: int
    misshapen: int


@dataclass(frozen=True, slots=True)
class _Field:
    """One column to load: where its value stands in the source, and how it is cast."""

    column: Column
    source: str
    native: Cast | None
    required: bool


def stage_csv(
    con: duckdb.DuckDBPyConnection,
    file: TextFile,
    skip_lines: int,
    binding: Binding,
    select: str,
    out: Path,
) -> Parsed:
    """Parse a text file, run `select` over its fields (`src.f0`, `f1`, …) into Parquet `out`.

    Raises:
        FileRefusedError: A row is longer than any sound row.
    """
    for block in _BLOCKS:
        misshapen: list[int] = []
        try:
            con.register("src", _numbered(_reader(file, skip_lines, binding, block, misshapen)))
            staged = copied(con, select, out)
        except (pa.ArrowInvalid, duckdb.Error) as exc:
            if "try to increase block size" in str(exc):
                continue
            raise
        finally:
            con.unregister("src")
        return Parsed(staged, len(misshapen))
    raise FileRefusedError(finding("E_QUOTE", file.name))


def stage_parquet(
    con: duckdb.DuckDBPyConnection, path: Path, binding: Binding, select: str, out: Path
) -> Parsed:
    """Run `select` over the columns of a Parquet file into Parquet `out`."""
    names = ", ".join(f"{identifier(n)} as f{i}" for i, n in enumerate(binding.header))
    source = parquet_source(path, numbered=True)
    con.execute(f"create temp view src as select {names}, file_row_number as _row from {source}")
    try:
        return Parsed(copied(con, select, out), 0)
    finally:
        con.execute("drop view temp.src")


def stage_ndjson(
    con: duckdb.DuckDBPyConnection, file: TextFile, binding: Binding, select: str, out: Path
) -> Parsed:
    """Run `select` over the keys of an NDJSON file into Parquet `out`; `_row` is the line."""
    with lines_of(con, file):
        con.execute(f"create temp view src as {fields_of_lines(binding)}")
        try:
            return Parsed(copied(con, select, out), 0)
        finally:
            con.execute("drop view temp.src")


def parquet_source(path: Path, *, numbered: bool = False) -> str:
    """Return the SQL that reads one Parquet file, with `file_row_number` if `numbered`."""
    number = ", file_row_number = true" if numbered else ""
    return f"read_parquet({quoted(path)}, hive_partitioning = false{number})"


def copied(con: duckdb.DuckDBPyConnection, select: str, out: Path) -> int:
    """Write what `select` gives into Parquet `out`; return how many rows it is."""
    query = f"copy ({select}) to {quoted(out)} (format parquet, row_group_size 100_000)"
    [(rows,)] = con.execute(query).fetchall()
    return int(rows)


def select_typed(
    table: Table,
    binding: Binding,
    reading: Reading,
    physical: Sequence[str] | None = None,
    *,
    broken: bool = False,
) -> str:
    """Return the query that types the columns of an OMOP file and judges its rows.

    Args:
        table: The table of the model.
        binding: Which field is which column.
        reading: How texts are to be understood.
        physical: Types of the fields where they have some; None for text.
        broken: Whether the source tells in `_broken` what was wrong with a row before its fields.
    """
    fields = [_field(table, name, place, physical) for name, place in binding.fields.items()]
    casts = {field.column.name: _cast(field, reading) for field in fields}
    raw = ", ".join(f"{_trimmed(field, reading)} as {_v(field)}" for field in fields)
    typed = ", ".join(f"{casts[field.column.name].value} as {_t(field)}" for field in fields)
    codes = ", ".join(
        f"case when _suspect then {_code(field, casts)} end as {_f(field)}" for field in fields
    )
    values = ", ".join(
        f"{_value(field, casts)} as {identifier(field.column.name)}" for field in fields
    )
    first = "_broken" if broken else None if physical else _header_again(binding, fields)
    suspect = [*_suspicions(fields, casts), *(["_broken is not null"] if broken else [])]
    return f"""
        with raw as (select {raw}, _row{", _broken" if broken else ""} from src),
        typed as (select *, {typed} from raw),
        sifted as (select *, ({" or ".join(suspect)}) as _suspect from typed),
        judged as (select *, {codes} from sifted)
        select
            {values},
            _row,
            case when _suspect then {_fault(fields, first)} end as _fault,
            case when _suspect then {_warned(fields)} end as _warned,
        from judged
    """


def select_verbatim(
    binding: Binding, physical: Sequence[str] | None = None, *, broken: bool = False
) -> str:
    """Return the query that takes every named column of a registry table as it is."""
    values = [
        f"{f'f{place}' if physical else _empty_is_null(place)} as {identifier(name)}"
        for name, place in binding.fields.items()
    ]
    nothing = "null::varchar"
    fault = "_broken" if broken else nothing if physical else _header_verbatim(binding)
    return f"select {', '.join(values)}, _row, {fault} as _fault, {nothing} as _warned from src"


def _empty_is_null(place: int) -> str:
    return f"nullif(f{place}, '')"


def _reader(
    file: TextFile, skip_lines: int, binding: Binding, block: int, misshapen: list[int]
) -> Any:
    def skip(row: Any) -> str:
        misshapen.append(row.actual_columns)
        return "skip"

    names = [f"f{place}" for place in range(len(binding.header))]
    wanted = [f"f{place}" for place in sorted(binding.fields.values())]
    return pacsv.open_csv(
        byte_stream(file),
        read_options=pacsv.ReadOptions(
            column_names=names, skip_rows=skip_lines, block_size=block, use_threads=False
        ),
        parse_options=pacsv.ParseOptions(
            delimiter=file.delimiter, newlines_in_values=True, invalid_row_handler=skip
        ),
        convert_options=pacsv.ConvertOptions(
            include_columns=wanted,
            column_types=dict.fromkeys(wanted, pa.string()),
            strings_can_be_null=False,
        ),
    )


def _numbered(reader: Any) -> Any:
    """Give each row of a stream of batches its number, from 0, as `_row`."""
    schema = reader.schema.append(pa.field("_row", pa.int64()))

    def batches() -> Iterator[Any]:
        start = 0
        for batch in reader:
            numbers = pa.array(np.arange(start, start + batch.num_rows))
            yield pa.RecordBatch.from_arrays([*batch.columns, numbers], schema=schema)
            start += batch.num_rows

    return pa.RecordBatchReader.from_batches(schema, batches())


def _field(table: Table, name: str, place: int, physical: Sequence[str] | None) -> _Field:
    column = next(item for item in table.columns if item.name == name)
    native = cast_native(column, physical[place]) if physical else None
    required = column.required and name not in NEW_IN_54.get(table.name, set())
    return _Field(column, f"f{place}", native, required)


def _v(field: _Field) -> str:
    return identifier(f"{field.column.name}__v")


def _t(field: _Field) -> str:
    return identifier(f"{field.column.name}__t")


def _f(field: _Field) -> str:
    return identifier(f"{field.column.name}__f")


def _trimmed(field: _Field, reading: Reading) -> str:
    """The value without blanks around it; text keeps its tabs and line ends."""
    if field.native:
        return field.source
    text = f"{field.source}::varchar"
    if reading.padded:
        text = f"trim({text})" if field.column.type == "VARCHAR" else f"trim({text}, {_BLANKS})"
    return f"nullif({text}, '')"


def _cast(field: _Field, reading: Reading) -> Cast:
    return (field.native or cast_of(field.column, reading)).of(_v(field))


def _code(field: _Field, casts: dict[str, Cast]) -> str:
    """Code of one column of a row; null when its value is good."""
    code = casts[field.column.name].code or "null::varchar"
    if field.column.type != "VARCHAR":
        code = f"case when {_t(field)} is null then {code} end"
    if not field.required:
        return f"case when {_v(field)} is not null then {code} end"
    missing = quoted(casts[field.column.name].missing)
    code = code.replace("'W_NULL_TOKEN'", missing)
    return f"case when {_v(field)} is null then {missing} else {code} end"


def _suspicions(fields: Sequence[_Field], casts: dict[str, Cast]) -> list[str]:
    """When a row needs a closer look: cheap to say for all rows, and false for nearly all."""
    tests: list[str] = []
    for field in fields:
        if field.column.type != "VARCHAR":
            tests.append(f"({_v(field)} is null) <> ({_t(field)} is null)")
        elif code := casts[field.column.name].code:
            tests.append(f"({code}) is not null")
        if field.required:
            tests.append(f"{_v(field)} is null")
    tests += [f"coalesce({_t(end)} < {_t(start)}, false)" for start, end in _date_pairs(fields)]
    return tests or ["false"]


def _value(field: _Field, casts: dict[str, Cast]) -> str:
    if field.column.type == "VARCHAR":
        return _t(field)
    tolerated = casts[field.column.name].tolerated
    return f"case when starts_with({_f(field)}, 'W') then {tolerated} else {_t(field)} end"


def _fault(fields: Sequence[_Field], first: str | None) -> str:
    """`first`, else the first code in the order of the model, then dates that run backwards."""
    coded = [first] if first else []
    coded += [
        f"case when starts_with({_f(field)}, 'E') then {_f(field)} || '/{field.column.name}' end"
        for field in fields
    ]
    coded += [
        f"case when {_t(end)} < {_t(start)} then 'E_END_BEFORE_START/{end.column.name}' end"
        for start, end in _date_pairs(fields)
    ]
    return f"coalesce({', '.join(coded)}, null::varchar)"


def _warned(fields: Sequence[_Field]) -> str:
    notes = [
        f"case when {_f(field)}[1] in ('W', 'I') then {_f(field)} || '/{field.column.name}' end"
        for field in fields
    ]
    return f"nullif(concat_ws(' ', {', '.join(notes)}), '')"


def _date_pairs(fields: Sequence[_Field]) -> Iterator[tuple[_Field, _Field]]:
    """Pairs of dates of which the second must not come before the first."""
    named = {field.column.name: field for field in fields if field.column.type == "DATE"}
    for name, end in named.items():
        if name.endswith("_end_date"):
            starts = (name.replace("_end_date", "_start_date"), name.replace("_end_date", "_date"))
            for start in starts:
                if start in named:
                    yield named[start], end
    for start, name in _PAIRS:
        if start in named and name in named:
            yield named[start], named[name]


def _header_again(binding: Binding, fields: Sequence[_Field]) -> str:
    """The code of a row that says what the header says, in every loaded column."""
    tests = [
        f"lower({_v(field)}) = {quoted(_heading(binding, int(field.source[1:])))}"
        for field in fields
    ]
    return f"case when {' and '.join(tests)} then 'E_HEADER_REPEATED/' end"


def _header_verbatim(binding: Binding) -> str:
    places = list(binding.fields.values())
    tests = [f"lower(trim(f{place})) = {quoted(_heading(binding, place))}" for place in places]
    fault = f"case when {' and '.join(tests)} then 'E_HEADER_REPEATED/' end"
    return f"case when {tests[0]} then {fault} end"


def _heading(binding: Binding, place: int) -> str:
    return binding.header[place].strip().lower()
