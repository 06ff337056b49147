"""What a study planned, against what its table has: persons, cases, readers, events."""

import numpy as np

from tasks.analysis.people import IntArray
from tasks.analysis.table_asked import AskedOfTable, Row, events_of
from tasks.analysis.table_rows import TableRows

PLANNED = "planned"
"""`at_kind` of a row that counts what was reached; `at` is what was planned."""


def planned_rows(asked: AskedOfTable) -> list[Row]:
    """Return a count for each number that the study planned; `at` is the planned number."""
    sizes = asked.analysis.sample_size
    if sizes is None:
        return []
    made = []
    for name, planned in sizes.planned.items():
        reached, behind = _reached(name, asked.rows)
        counts: Row = {"at": float(planned), "at_kind": PLANNED, "term": name, "unit": name}
        if reached is not None:
            counts["estimate"] = float(reached)
            made.append(asked.row("count", **counts, **behind))
    return made


def _reached(name: str, rows: TableRows) -> tuple[int | None, Row]:
    """Return a count, and the sizes that disclosure control judges it by."""
    if name == "events":
        return events_of(rows), {}
    if name == "persons":
        persons = _distinct(rows, "person_id", "case_id")
        return persons, {"n": persons}
    if name == "readers":
        return _distinct(rows, "reader"), {}
    first, cases = _cases(rows)
    if name == "cases":
        return cases, {"n": cases, "n_events": None}
    is_there = (rows.values["truth"] == 1)[first]
    missing = rows.values.get("truth__missing", np.zeros(rows.n, dtype=bool))
    verified = rows.values.get("verified", np.ones(rows.n))
    is_known = ((verified == 1) & ~missing)[first]
    wanted = is_there if name == "with_condition" else ~is_there
    count = int((wanted & is_known).sum())
    return count, {"n": cases, "n_events": count}


def _distinct(rows: TableRows, *fields: str) -> int:
    """Return how many differ in the first of these fields that the table has; else its rows."""
    named = next((field for field in fields if field in rows.values), None)
    if named is None:
        return rows.n
    site = ("site",) if "site" in rows.values and named != "reader" else ()
    return int(np.unique(_labels(rows, *site, named)).size)


def _cases(rows: TableRows) -> tuple[IntArray, int]:
    """Return a row of each case, and how many there are."""
    named = (name for name in ("site", "case_id") if name in rows.values)
    _, first = np.unique(_labels(rows, *named), return_index=True)
    return np.asarray(first, dtype=np.int64), int(first.size)


def _labels(rows: TableRows, *fields: str) -> IntArray:
    labels = rows.labels(*fields)
    assert labels is not None  # noqa: S101 - there are fields
    return labels
