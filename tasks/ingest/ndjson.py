"""NDJSON, one JSON object a line: its lines, its keys, and the query that makes fields of them."""

# ruff: noqa: S608 - only names of the model and quoted names are formatted into SQL

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from tasks.core.duck import duck, identifier, quoted
from tasks.ingest.bind import MAX_COLUMNS, Binding
from tasks.ingest.model import DeliveryRefusedError
from tasks.ingest.reading import TextFile, utf8_chunks
from tasks.ingest.rules import finding

Connection = duckdb.DuckDBPyConnection

MAX_LINE = 1 << 26
"""Longest line that is read, in bytes."""

_SCHEMA = pa.schema([("line", pa.int64()), ("body", pa.string())])
_NEWLINE = 10
_IS_TEXT = np.array([byte not in b" \t\r\n" for byte in range(256)])


def is_object(body: str = "body") -> str:
    """Return the SQL that tells whether a text is one JSON object."""
    return f"(starts_with(ltrim({body}, E' \\t\\r\\n'), '{{') and json_valid({body}))"


def count_lines(file: TextFile) -> int:
    """Count the lines of `file` that are not blank.

    Raises:
        FileRefusedError: The bytes are not UTF-8.
        DeliveryRefusedError: A line is longer than any sound line, or the gzip is damaged.
    """
    return sum(batch.num_rows for batch in _batches(file))


@contextmanager
def lines_of(con: Connection, file: TextFile) -> Iterator[None]:
    """Offer the lines that are not blank as `lines (line, body)`, to be read once."""
    con.register("lines", pa.RecordBatchReader.from_batches(_SCHEMA, _batches(file)))
    try:
        yield
    finally:
        con.unregister("lines")


def keys_of(file: TextFile) -> list[str]:
    """Return the keys of the objects of `file`, in the order of their first line."""
    query = f"""
        with keyed as (
            select unnest(case when {is_object()} then json_keys(body) end) as key, line from lines
        )
        select key from keyed group by key order by min(line), key limit {MAX_COLUMNS + 1}
    """
    with duck() as con, lines_of(con, file):
        return [str(row[0]) for row in con.execute(query).fetchall()]


def fields_of_lines(binding: Binding) -> str:
    """Return the query over `lines` that gives each bound key as a text, `f0` and so on.

    `_row` is the line; `_broken` is 'CODE/column' where a line is no object or a value is nested.
    """
    shape = quoted(json.dumps({binding.header[p]: "JSON" for p in binding.fields.values()}))
    cells = [
        f"read.{identifier(binding.header[place])}::varchar as c{place}"
        for place in binding.fields.values()
    ]
    fields = [
        f"case when starts_with(c{place}, '\"') then c{place}::json ->> '$' else c{place} end "
        f"as f{place}"
        for place in binding.fields.values()
    ]
    nested = [
        f"case when left(c{place}, 1) in ('{{', '[') then {quoted(f'E_TYPE/{name}')} end"
        for name, place in binding.fields.items()
    ]
    return f"""
        with objects as (
            select line, case when {is_object()} then from_json(body, {shape}) end as read,
            from lines
        ),
        cells as (
            select line, read is null as is_broken, {", ".join(cells)} from objects
        )
        select
            {", ".join(fields)},
            line as _row,
            case when is_broken then 'E_JSON/' else coalesce({", ".join(nested)}) end as _broken,
        from cells
    """


def _batches(file: TextFile) -> Iterator[Any]:
    """Yield line number (from 1) and text of the lines that are not blank."""
    start = 1
    for block in _whole_lines(file):
        batch, lines = _batch(block, start)
        start += lines
        yield batch


def _whole_lines(file: TextFile) -> Iterator[bytes]:
    held, size = list[bytes](), 0
    for chunk in utf8_chunks(file):
        cut = chunk.rfind(b"\n") + 1
        if cut:
            yield b"".join((*held, chunk[:cut]))
            held, size = [], 0
        held.append(chunk[cut:])
        size += len(chunk) - cut
        if size > MAX_LINE:
            found = f"a line of more than {MAX_LINE:,} bytes"
            raise DeliveryRefusedError(
                finding("E_MAGIC", file.name, expected="NDJSON", found=found)
            )
    if rest := b"".join(held):
        yield rest


def _batch(block: bytes, start: int) -> tuple[Any, int]:
    """Cut a block into lines, each with its line end: JSON does not mind it."""
    here = np.frombuffer(block, np.uint8)
    ends = np.flatnonzero(here == _NEWLINE) + 1
    if here[-1] != _NEWLINE:
        ends = np.append(ends, len(here))
    starts = np.concatenate(([0], ends[:-1]))
    offsets = np.append(starts, ends[-1]).astype(np.int32)
    body = pa.StringArray.from_buffers(len(ends), pa.py_buffer(offsets), pa.py_buffer(block))
    line = pa.array(np.arange(start, start + len(ends)), pa.int64())
    written = np.logical_or.reduceat(_IS_TEXT[here], starts)
    batch = pa.RecordBatch.from_arrays([line, body], schema=_SCHEMA)
    return (batch if written.all() else batch.filter(pa.array(written))), len(ends)
