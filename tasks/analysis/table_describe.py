"""What a registry table holds: rows, persons, events, and what is missing or wrong in each role."""

from tasks.analysis.table_asked import AskedOfTable, Row
from tasks.analysis.table_rows import REASONS, workspace_table
from tasks.core.duck import identifier, single
from tasks.core.spec.table_fields import TableField, column_field, role_fields

_THINGS = ("person_id", "case_id", "reader", "modality", "study", "site", "draw", "strategy")


def describe(asked: AskedOfTable) -> list[Row]:
    """Return counts of a table, one row a count; `n` is the number of rows."""
    source = asked.rows.source
    roles = {field.name: field for field in role_fields(source)}
    made = [_count(asked, "rows", asked.rows.delivered, None)]
    made += [
        _count(asked, f"distinct {name}", _distinct(asked, name), None)
        for name in _THINGS
        if name in roles
    ]
    for name in ("event", "outcome", "truth"):
        if name in roles and roles[name].type == "code":
            events = _number(asked, f"count(*) filter ({identifier(name)} = 1)")
            made.append(_count(asked, f"{name} = 1", events, events))
    declared = [column_field(name, source.columns) for name in sorted(source.columns)]
    for field in (*roles.values(), *declared):
        made += _faults(asked, field)
    return made


def _faults(asked: AskedOfTable, field: TableField) -> list[Row]:
    """Return how many rows miss a field, and how many have any other fault in it."""
    fault = identifier(f"{field.name}__fault")
    found = dict(
        asked.con.execute(
            f"select {fault}, count(*) from {workspace_table(asked.rows.source)} "  # noqa: S608
            f"where {fault} is not null group by 1"
        ).fetchall()
    )
    reasons = ["missing", *(reason for reason in REASONS if reason in found)]
    return [
        _count(asked, f"{field.name}: {reason}", found.get(reason, 0), found.get(reason, 0))
        for reason in dict.fromkeys(reasons)
    ]


def _count(asked: AskedOfTable, term: str, count: int, part: int | None) -> Row:
    return asked.row("count", term=term, unit="rows", estimate=float(count), n_events=part)


def _distinct(asked: AskedOfTable, name: str) -> int:
    return _number(asked, f"count(distinct {identifier(name)})")


def _number(asked: AskedOfTable, expression: str) -> int:
    query = f"select {expression} from {workspace_table(asked.rows.source)}"  # noqa: S608
    return int(str(single(asked.con, query)))
