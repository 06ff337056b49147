"""Words beside numbers: a reason may count few persons, or name the last day of one.

- In the note of a row that tells no estimate every number is replaced: such a note is a reason
  (`3 events in 57 days`), and what it counts is nowhere else held against the threshold.
- Of a note beside an estimate the largest weight and the lowest probability go: each is one
  person's.
- An estimate that ends a run says why without numbers too.
"""

import re

from tasks.core.errors import CausewayError, EstimationError

Row = dict[str, object]
HIDDEN = "…"
_NUMBER = re.compile(r"(?<!\w)\d+(?:,\d{3})*(?:\.\d+)?(?:e[-+]?\d+)?%?")
_OF_ONE = re.compile(r"(weights up to|lowest probability of staying) [\d.e+-]+\d")


def without_numbers(text: str) -> str:
    """Return a text with every number in it replaced; numbers within words stay."""
    return _NUMBER.sub(HIDDEN, text)


def safe_notes(rows: list[Row]) -> list[Row]:
    """Return the rows with notes that tell of no few persons."""
    return [
        {**row, "note": _safe(row, str(row["note"]))} if row.get("note") else row for row in rows
    ]


def _safe(row: Row, note: str) -> str:
    return _OF_ONE.sub(rf"\1 {HIDDEN}", note) if row["status"] == "ok" else without_numbers(note)


def told_safely(exc: CausewayError, k: int | None) -> CausewayError:
    """Return an error as it may be told: that of an estimate counts persons in its reason.

    Args:
        exc: The error.
        k: Smallest count that may be shown; None when nothing need be withheld.
    """
    if k is None or not isinstance(exc, EstimationError):
        return exc
    return EstimationError(exc.where, without_numbers(exc.what), exc.fix, exc.code)
