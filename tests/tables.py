"""Tables drawn as text, so that a test shows its whole world."""

from textwrap import dedent


def given(con, table, drawing):
    """Create `table` from a drawing: a `name:type | …` header, then one line a row."""
    header, *rows = [line.split("|") for line in dedent(drawing).strip().splitlines()]
    names, types = zip(*(cell.strip().split(":") for cell in header), strict=True)
    con.execute(f"create schema if not exists {table.split('.')[0]}")
    columns = ", ".join(f"{name} {kind}" for name, kind in zip(names, types, strict=True))
    con.execute(f"create or replace table {table} ({columns})")
    marks = ", ".join("?" * len(names))
    for row in rows:
        values = [cell.strip() or None for cell in row]
        con.execute(f"insert into {table} values ({marks})", values)


def rows_of(con, query):
    """Return what a query selects, dates as text."""
    return [
        tuple(str(v) if hasattr(v, "isoformat") else v for v in row)
        for row in con.execute(query).fetchall()
    ]
