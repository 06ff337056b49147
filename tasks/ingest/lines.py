"""Where the rows that were not loaded stand: physical lines, found in a second reading.

Only files that have such rows are read again. Nothing of their content is kept, but the sha256
of the row's bytes.
"""

# ruff: noqa: S608 - only names of the model and quoted names are formatted into SQL

import csv
import hashlib
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import duckdb

from tasks.ingest.ndjson import lines_of
from tasks.ingest.parse import parquet_source
from tasks.ingest.reading import TextFile, text_lines
from tasks.ingest.rules import MAX_LINES_SHOWN


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that is not loaded: its place, why, and the sha256 of its bytes.

    `line` is the physical line on which it starts (header = 1); in a Parquet file, its number.
    `fields` is how many fields it has where that is the fault.
    """

    line: int
    column: str | None
    code: str
    row_sha256: str
    fields: int | None = None


@dataclass(frozen=True, slots=True)
class BadRows:
    """The rows of a file that are not loaded: how many of each code, and the first of them."""

    counts: dict[str, int] = field(default_factory=dict)
    rows: tuple[BadRow, ...] = ()

    @property
    def total(self) -> int:
        """How many they are."""
        return sum(self.counts.values())


def bad_rows_of_text(
    file: TextFile, width: int, faults: Mapping[int, tuple[str, str | None]]
) -> Iterator[BadRow]:
    """Find rows of a text file again.

    Args:
        file: The delivered file.
        width: How many fields a row has.
        faults: Code and column by position among the rows that have `width` fields, from 0.
    """
    position = 0
    for line, cells, text in _records(file):
        if len(cells) != width:
            yield BadRow(line, None, "E_FIELD_COUNT", _sha256(text, file.encoding), len(cells))
            continue
        if fault := faults.get(position):
            yield BadRow(line, fault[1], fault[0], _sha256(text, file.encoding))
        position += 1


def bad_rows_of_parquet(
    con: duckdb.DuckDBPyConnection, path: Path, faults: Mapping[int, tuple[str, str | None]]
) -> Iterator[BadRow]:
    """Find rows of a Parquet file again; their bytes are those of the row as JSON."""
    source = parquet_source(path, numbered=True)
    found = con.execute(
        f"select file_row_number, sha256(to_json(t)::varchar) from {source} as t "
        "semi join (select unnest($numbers) as file_row_number) using (file_row_number) order by 1",
        {"numbers": sorted(faults)},
    ).fetchall()
    for number, digest in found:
        code, column = faults[number]
        yield BadRow(number + 1, column, code, digest)


def quarantine_lines(con: duckdb.DuckDBPyConnection, file: TextFile) -> BadRows:
    """List lines of an NDJSON file in delivery.quarantine; return how many they are, and a few.

    Args:
        con: The stage, with `fault (line, code, column_name)` in it, one row a line.
        file: The delivered file.
    """
    with lines_of(con, file):
        con.execute(
            """
            insert into delivery.quarantine
            select $file, line, column_name, code, sha256(rtrim(body, E'\\r\\n'))
            from lines join fault using (line)
            """,
            {"file": file.name},
        )
    counted = con.execute("select code, count(*) from fault group by code").fetchall()
    found = con.execute(
        """
        select line, "column", code, row_sha256 from delivery.quarantine where file = $file
        qualify row_number() over (partition by code order by line) <= $limit order by line
        """,
        {"file": file.name, "limit": MAX_LINES_SHOWN},
    ).fetchall()
    return BadRows(dict(counted), tuple(BadRow(*row) for row in found))


def _records(file: TextFile) -> Iterator[tuple[int, list[str], str]]:
    """Yield first line, cells and text of each record below the header."""
    taken: list[str] = []
    reader = csv.reader(_kept(text_lines(file), taken), delimiter=file.delimiter)
    start, header = 1, True
    for cells in reader:
        if cells and not header:
            yield start, cells, "".join(taken)
        header = header and not cells
        start = reader.line_num + 1
        taken.clear()


def _kept(lines: io.TextIOWrapper, taken: list[str]) -> Iterator[str]:
    for line in lines:
        taken.append(line)
        yield line


def _sha256(text: str, encoding: str) -> str:
    plain = "utf-8" if encoding == "utf-8-sig" else encoding
    return hashlib.sha256(text.rstrip("\r\n").encode(plain)).hexdigest()
