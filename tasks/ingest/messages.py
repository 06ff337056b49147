"""Messages about rows: a few lines for each code of a file, and how many there are in all."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

from tasks.core.omop import Table
from tasks.ingest.cast import Reading, expected_of
from tasks.ingest.lines import BadRow
from tasks.ingest.model import Finding, severity_of
from tasks.ingest.rules import MAX_LINES_SHOWN, RULES, finding


def row_findings(
    file: str, rows: Sequence[BadRow], model: Table | None, reading: Reading, width: int
) -> list[Finding]:
    """Return the messages of the rows of one file that are not loaded."""
    rows_of: dict[str, list[BadRow]] = defaultdict(list)
    for row in rows:
        rows_of[row.code].append(row)
    expected = {c.name: expected_of(c, reading) for c in model.columns} if model else {}
    out: list[Finding] = []
    for code, found in sorted(rows_of.items()):
        for row in found[:MAX_LINES_SHOWN]:
            wanted = expected.get(row.column or "", width)
            detail = {"expected": wanted, "found": row.fields}
            out.append(finding(code, file, row.line, row.column, **detail))
        out += _count(file, code, len(found))
    return out


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
