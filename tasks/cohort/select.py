"""A cohort that a study gives as a SELECT of its own: read, checked, and run over `clean` only.

The SELECT is judged by its syntax tree: it may name the tables of `clean` and a few of `cohort`,
and call functions that give the same answer each time. Then it is bound to empty tables, so that a
wrong column is told before any data are there.
"""

import json
from collections.abc import Iterator
from functools import cache

import duckdb

from tasks.core.errors import Message, SpecError
from tasks.core.omop import omop_tables

_SPAN = ("person_id", "start_date", "end_date")
_LISTS = {
    "code_list": "code_list_id varchar, concept_id bigint",
    "source_code": "code_list_id varchar, vocabulary_id varchar, code varchar, "
    "valid_from date, valid_to date, is_prefix boolean",
    "born": "person_id bigint, site_id varchar, gender_concept_id bigint, "
    "year_of_birth integer, birth_date date",
    "observed": "person_id bigint, observed_from date, observed_to date",
    "cohort": "cohort_id varchar, person_id bigint, start_date date, end_date date",
}
_NOT_SOURCES = {"TABLE_FUNCTION", "SHOW_REF", "PIVOT", "COLUMN_DATA", "DELIM_GET"}
# Written without brackets they look like columns.
_CLOCKS = set(
    "current_date current_time current_timestamp localtime localtimestamp user current_user "
    "session_user current_schema current_catalog".split()
)
_CLOCK_WORDS = {"today", "now", "yesterday", "tomorrow", "epoch"}
# Steady within a query, but of the clock or the session; or it may give any of several values.
_UNSTEADY = frozenset(
    "now current_date today current_localtime current_localtimestamp get_current_time "
    "get_current_timestamp transaction_timestamp txid_current age current_setting getenv "
    "getvariable any_value first last arbitrary query query_table".split()
)
_FIX = "write one SELECT of person_id, start_date, end_date over tables of schema clean."


def tables_of_select(name: str, text: str) -> set[str]:
    """Return the tables of the lake that a SELECT reads.

    Raises:
        SpecError: It is not one SELECT, reads or calls what a cohort may not, or names a column
            that is not there.
    """
    with duckdb.connect() as con:
        found = list(_faults(con, text)) or list(_unbound(con, text))
        if found:
            raise SpecError([Message("E_SPEC_SQL", name, what, _FIX) for what in found])
        tree = _tree(con, text)
    named = {str(n["table_name"]).lower() for n in _tables(tree) if _schema(n) == "clean"}
    return named & set(omop_tables())


def build_select(con: duckdb.DuckDBPyConnection, cohort_id: str, name: str, text: str) -> int:
    """Add the spans of a SELECT to cohort.cohort; return their number.

    Raises:
        SpecError: It gives spans of nobody, without a day, or that end before they start.
    """
    con.execute(f"create or replace temp table selected as {_spans(text)}")
    wrong = con.execute(
        "select count(*) filter (where person_id not in (select person_id from clean.person)), "
        "count(*) filter (where person_id is null or start_date is null or end_date is null), "
        "count(*) filter (where end_date < start_date) from selected"
    ).fetchone() or (0, 0, 0)
    faults = ("of persons who are not in the study", "without person or day", "that end too early")
    if told := [what for n, what in zip(wrong, faults, strict=True) if n]:
        fix = "join clean.person, and leave out rows without days or with end before start."
        what = f"gives spans {', and '.join(told)}"
        raise SpecError([Message("E_SPEC_SQL", name, what, fix)])
    found = con.execute(
        "insert into cohort.cohort select distinct $cohort, * from selected order by all",
        {"cohort": cohort_id},
    ).fetchone()
    con.execute(
        "insert into cohort.cohort_attrition select $cohort, 1, 'spans', count(*), "
        "count(distinct person_id) from cohort.cohort where cohort_id = $cohort",
        {"cohort": cohort_id},
    )
    return int(found[0]) if found else 0


def _spans(text: str) -> str:
    query = text.strip().removesuffix(";")
    return (
        "select person_id::bigint as person_id, start_date::date as start_date, "  # noqa: S608 - checked
        f"end_date::date as end_date from (\n{query}\n) as spans"
    )


def _faults(con: duckdb.DuckDBPyConnection, text: str) -> Iterator[str]:
    """Yield what the syntax tree of a query says that a cohort may not."""
    try:
        parsed = con.extract_statements(text)
        if len(parsed) != 1 or parsed[0].type != duckdb.StatementType.SELECT:
            yield f"holds {len(parsed)} statements, or another than SELECT"
            return
        tree = _tree(con, text)
    except duckdb.Error as exc:
        yield f"is not valid SQL ({type(exc).__name__})"
        return
    if tree.get("error"):
        yield "is not a SELECT that can be checked"
        return
    yield from _misread(tree)
    yield from _misused(tree)


def _misread(tree: object) -> Iterator[str]:
    """Yield the sources that are no table of a study."""
    steps = {str(entry.get("key", "")).lower() for n in _nodes(tree) for entry in _steps(n)}
    for node in _tables(tree):
        schema, table = _schema(node), str(node["table_name"]).lower()
        known = (
            (schema == "clean" and table in omop_tables())
            or (schema == "cohort" and table in _LISTS)
            or (schema == "" and table in steps)
        )
        if not known or node.get("catalog_name") or node.get("at_clause"):
            parts = (str(node.get("catalog_name") or "").lower(), schema, table)
            yield f"reads {'.'.join(part for part in parts if part)}"[:100]
    if any(str(node.get("type")) in _NOT_SOURCES for node in _nodes(tree)):
        yield "reads a function or the catalogue as if it were a table"


def _misused(tree: object) -> Iterator[str]:
    """Yield what would give another answer another time."""
    called = {
        str(node["function_name"]).lower() for node in _nodes(tree) if "function_name" in node
    }
    named = {str(n).lower() for node in _nodes(tree) for n in _column(node)}
    unsteady = sorted({n for n in called if n not in steady_functions()} | (named & _CLOCKS))
    if unsteady:
        yield f"calls {', '.join(unsteady)[:80]}, which may differ from run to run, or is unknown"
    if any(node.get("sample") for node in _nodes(tree)):
        yield "takes a sample"
    for node in _nodes(tree):
        modifiers = node.get("modifiers")
        listed = modifiers if isinstance(modifiers, list) else []
        kinds = {m.get("type") for m in listed if isinstance(m, dict)}
        if "LIMIT_MODIFIER" in kinds and "ORDER_MODIFIER" not in kinds:
            yield "limits without order"
    words = {str(node.get("value", "")).strip().lower() for node in _nodes(tree)}
    if said := sorted(words & _CLOCK_WORDS):
        yield f"names a day by the clock: {', '.join(said)}"


@cache
def steady_functions() -> frozenset[str]:
    """Return the functions that give the same answer for the same arguments, today and tomorrow."""
    with duckdb.connect() as con:
        found = con.execute(
            "select function_name from duckdb_functions() "
            "where function_type in ('scalar', 'aggregate', 'macro') "
            "group by function_name "
            "having bool_and(coalesce(stability, 'CONSISTENT') = 'CONSISTENT')"
        ).fetchall()
    windows = {"row_number", "rank", "dense_rank", "lag", "lead", "ntile", "first_value"}
    return (frozenset(str(name).lower() for (name,) in found) | windows) - _UNSTEADY


def _unbound(con: duckdb.DuckDBPyConnection, text: str) -> Iterator[str]:
    """Yield what does not bind to empty tables of the same columns; no data are near."""
    con.execute("create schema clean")
    con.execute("create schema cohort")
    for table in omop_tables().values():
        columns = {"person_id": "bigint", "site_id": "varchar"}
        columns |= {column.name: column.type for column in table.columns}
        listed = ", ".join(f'"{name}" {kind}' for name, kind in columns.items())
        con.execute(f"create table clean.{table.name} ({listed})")
    for name, columns_of in _LISTS.items():
        con.execute(f"create table cohort.{name} ({columns_of})")
    try:
        found = con.execute(f"describe {text.strip().removesuffix(';')}").fetchall()
    except duckdb.Error as exc:
        yield f"does not fit the tables: {str(exc).splitlines()[0][:160]}"
        return
    if missing := sorted(set(_SPAN) - {str(row[0]) for row in found}):
        yield f"selects no {', '.join(missing)}"


def _tree(con: duckdb.DuckDBPyConnection, text: str) -> dict[str, object]:
    query = text.strip().removesuffix(";")
    found = con.execute("select json_serialize_sql($text::varchar)", {"text": query}).fetchone()
    tree = json.loads(found[0]) if found else {}
    return tree if isinstance(tree, dict) else {}


def _nodes(tree: object) -> Iterator[dict[str, object]]:
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            yield node
            waiting.extend(node.values())
        elif isinstance(node, list):
            waiting.extend(node)


def _column(node: dict[str, object]) -> list[object]:
    """Return the name of a column that stands without its table."""
    names = node.get("column_names")
    return names if isinstance(names, list) and len(names) == 1 else []


def _tables(tree: object) -> Iterator[dict[str, object]]:
    return (node for node in _nodes(tree) if node.get("type") == "BASE_TABLE")


def _schema(node: dict[str, object]) -> str:
    return str(node.get("schema_name") or "").lower()


def _steps(node: dict[str, object]) -> list[dict[str, object]]:
    """Return the named steps (`with …`) that stand in a node."""
    steps = node.get("cte_map")
    entries = steps.get("map") if isinstance(steps, dict) else None
    return [entry for entry in entries or () if isinstance(entry, dict)]
