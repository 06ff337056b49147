"""Run the statements of every native cohort, and count who is left after each."""

import duckdb

from tasks.cohort.language.statements import Statement, statements_of
from tasks.core.spec.cohorts import NativeCohort
from tasks.core.sql import build_table

_TABLES = {
    "cohort.cohort": "cohort_id varchar, person_id bigint, start_date date, end_date date",
    "cohort.cohort_attrition": (
        "cohort_id varchar, step integer, step_id varchar, records bigint, persons bigint"
    ),
    "cohort.lake_records": "domain varchar, records bigint",
}


def create_cohort_tables(con: duckdb.DuckDBPyConnection) -> None:
    """Create the tables that every cohort of a study reads, and those it adds to, empty.

    `cohort.born` and `cohort.observed` hold birth and observation of every person;
    `cohort.lake_records` the records of each domain that a cohort has counted so far.

    `cohort.cohort` has one row a span; `cohort.cohort_attrition` one row a step, with what is left
    after it: records, and different persons. A cohort with rules leaves `cohort.<id>__mask`, one
    row an opening, bit n of `mask` set when it passes rule n.
    """
    con.execute("create schema if not exists cohort")
    build_table(con, "cohort.born")
    build_table(con, "cohort.observed")
    for table, columns in _TABLES.items():
        con.execute(f"create or replace table {table} ({columns})")


def build_native(
    con: duckdb.DuckDBPyConnection,
    cohort: NativeCohort,
    with_codes: frozenset[str] = frozenset(),
) -> int:
    """Add a native cohort to the tables of `create_cohort_tables`; return its number of spans.

    Args:
        con: A workspace with schema clean, and cohort.code_list and cohort.source_code resolved.
        cohort: The cohort.
        with_codes: Ids of the code lists that hold source codes.
    """
    statements = statements_of(cohort, with_codes)
    con.execute("begin")
    for statement in statements:
        con.execute(statement.create)
    spans = _store(con, cohort, statements[-1].table)
    _count(con, cohort, statements)
    con.execute("commit")
    return spans


def _store(con: duckdb.DuckDBPyConnection, cohort: NativeCohort, table: str) -> int:
    found = con.execute(
        "insert into cohort.cohort select $cohort, person_id, start_date, end_date "
        f"from cohort.{table} order by person_id, start_date",
        {"cohort": cohort.id},
    ).fetchone()
    return int(found[0]) if found else 0


def _count(
    con: duckdb.DuckDBPyConnection, cohort: NativeCohort, statements: tuple[Statement, ...]
) -> None:
    """Add the steps of a cohort to its attrition, from the records of its tables on."""
    counts = list[tuple[str, str]]()
    for statement in statements:
        if statement.step_id == "spans":
            counts.append(("spans", f"(from cohort.cohort where cohort_id = '{cohort.id}')"))
        elif statement.counts:
            counts.append((statement.step_id, f"cohort.{statement.table}"))
        elif statement.step_id == "rules":
            counts += [
                (rule.id, f"({_passing(cohort, place + 1)})")
                for place, rule in enumerate(cohort.rules)
            ]
    counted = " union all ".join(
        f"select $cohort, {step}, '{step_id}', count(*), {_persons(cohort, step_id)} from {of} as t"
        for step, (step_id, of) in enumerate(counts, 2)
    )
    con.execute(
        "insert into cohort.cohort_attrition "
        f"select $cohort, 1, 'records_in_lake', $records, null union all {counted}",
        {"cohort": cohort.id, "records": _records_in_lake(con, cohort)},
    )


def _records_in_lake(con: duckdb.DuckDBPyConnection, cohort: NativeCohort) -> int:
    """Return the records of the domains that can open a span; each domain is counted once."""
    domains = {events.domain for events in cohort.entry.any}
    known = dict(con.execute("from cohort.lake_records").fetchall())
    for domain in sorted(domains - known.keys()):
        found = con.execute(f"select $domain, count(*) from clean.{domain}", {"domain": domain})
        known.update(found.fetchall())
        con.execute("insert into cohort.lake_records values (?, ?)", [domain, known[domain]])
    return sum(known[domain] for domain in domains)


def _persons(cohort: NativeCohort, step_id: str) -> str:
    """How persons are counted: by rows where each has one at most; a limit loses nobody."""
    if step_id == "in_observation" and cohort.entry.limit in {"first", "last"}:
        return f"(select count(*) from cohort.{cohort.id}__opened)"
    one_each = {"limit", "spans", *(rule.id for rule in cohort.rules)}
    is_one = cohort.entry.limit != "all" and step_id in one_each
    return "count(*)" if is_one else "count(distinct person_id)"


def _passing(cohort: NativeCohort, rules: int) -> str:
    """Openings that pass the first so many rules."""
    passed = (1 << rules) - 1
    return f"select person_id from cohort.{cohort.id}__mask where mask & {passed} = {passed}"
