"""Messages about rows: a few lines for each code of a file, and how many there are in all."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from tasks.core.omop import Table
from tasks.ingest.cast import Reading, expected_of
from tasks.ingest.lines import BadRow, BadRows
from tasks.ingest.model import Finding, severity_of
from tasks.ingest.rules import MAX_LINES_SHOWN, RULES, finding


def row_findings(
    file: str, bad: BadRows, expected: Mapping[str, str], width: int = 0
) -> list[Finding]:
    """Return the messages of the rows of one file that are not loaded.

    Args:
        file: Its name.
        bad: The rows.
        expected: How a value of a column is to be written, by column.
        width: How many fields a row has.
    """
    rows_of: dict[str, list[BadRow]] = defaultdict(list)
    for row in bad.rows:
        rows_of[row.code].append(row)
    out: list[Finding] = []
    for code, found in sorted(rows_of.items()):
        for row in found[:MAX_LINES_SHOWN]:
            wanted = expected.get(row.column or "", width)
            detail = {"expected": wanted, "found": row.fields}
            out.append(finding(code, file, row.line, row.column, **detail))
        out += _count(file, code, bad.counts[code])
    return out


def expected_values(models: Sequence[Table], reading: Reading) -> dict[str, str]:
    """Return how the values of the columns of some tables are to be written, by column."""
    return {c.name: expected_of(c, reading) for model in models for c in model.columns}


def warning_findings(file: str, counts: Sequence[tuple[str, int]]) -> Iterator[Finding]:
    """Return one message for each 'CODE/column' with its number of values."""
    for key, count in counts:
        code, _, column = key.partition("/")
        yield finding(code, file, column=column, count=f"{count:,}")


def _count(file: str, code: str, count: int) -> list[Finding]:
    if count <= MAX_LINES_SHOWN:
        return []
    text = (
        f"{code} {file}: {count:,} rows in all; the first {MAX_LINES_SHOWN} are named, "
        f"`causeway quarantine` lists every one. To fix: {RULES[code].fix}"
    )
    return [Finding(code, severity_of(code), file, None, None, text)]
