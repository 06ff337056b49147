"""A cohort that a study gives as a SELECT of its own: read, checked, and run over `clean` only."""

import json
from collections.abc import Iterator

import duckdb

from tasks.core.errors import Message, SpecError
from tasks.core.omop import omop_tables

_SPAN = ("person_id", "start_date", "end_date")
_LISTS = {"cohort.code_list", "cohort.source_code", "cohort.born", "cohort.cohort"}
# What would read beside the study, or give another answer each time.
_FORBIDDEN = frozenset(
    "random gen_random_uuid uuid setseed now current_timestamp today current_date get_current_time "
    "transaction_timestamp getenv current_setting query query_table nextval currval".split()
)


def tables_of_select(name: str, text: str) -> set[str]:
    """Return the tables of the lake that a SELECT reads.

    Raises:
        SpecError: It is not one SELECT, or reads or calls what a cohort may not.
    """
    faults = list(_faults(text))
    if faults:
        fix = "write one SELECT of person_id, start_date, end_date over tables of schema clean."
        raise SpecError([Message("E_SPEC_SQL", name, what, fix) for what in faults])
    read = {t.removeprefix("clean.") for t in _names(text) if t.startswith("clean.")}
    return read & set(omop_tables())


def build_select(con: duckdb.DuckDBPyConnection, cohort_id: str, name: str, text: str) -> int:
    """Add the spans of a SELECT to cohort.cohort; return their number.

    Raises:
        SpecError: The SELECT does not run, or gives other columns than those of a span.
    """
    query = text.strip().removesuffix(";")
    fix = "give person_id (a number), start_date and end_date (dates, in this order of time)."
    try:
        found = con.execute(f"describe {query}").fetchall()
        if missing := sorted(set(_SPAN) - {str(row[0]) for row in found}):
            what = f"selects no {', '.join(missing)}"
            raise SpecError([Message("E_SPEC_SQL", name, what, fix)])
        con.execute(
            "insert into cohort.cohort "  # noqa: S608 - one SELECT, checked by `tables_of_select`
            "select distinct $cohort, person_id::bigint, start_date::date, end_date::date "
            f"from ({query}) as t where end_date >= start_date order by all",
            {"cohort": cohort_id},
        )
    except duckdb.Error as exc:  # its text may hold a value
        what = f"does not run ({type(exc).__name__})"
        raise SpecError([Message("E_SPEC_SQL", name, what, fix)]) from None
    counted = con.execute(
        "select count(*) from cohort.cohort where cohort_id = $cohort", {"cohort": cohort_id}
    ).fetchone()
    return int(counted[0]) if counted else 0


def _faults(text: str) -> Iterator[str]:
    with duckdb.connect() as con:
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
    called = {str(node.get("function_name", "")).lower() for node in _nodes(tree)}
    if any(node.get("type") == "TABLE_FUNCTION" for node in _nodes(tree)):
        yield "reads a function as if it were a table"
    if forbidden := sorted(called & _FORBIDDEN):
        yield f"calls {', '.join(forbidden)}"
    allowed = {f"clean.{table}" for table in omop_tables()} | _LISTS
    if unknown := sorted(_names(text) - allowed):
        yield f"reads {', '.join(unknown)[:80]}"


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


def _names(text: str) -> set[str]:
    """Return the tables that a query names, `schema.table`, without its own steps."""
    with duckdb.connect() as con:
        names = con.get_table_names(text, qualified=True)
    return {name.replace('"', "").lower() for name in names}
