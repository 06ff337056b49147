"""Spans and attrition of Circe expressions, by circepy's ibis engine on an open workspace.

circepy and ibis take half a second to import, so they are imported where they are used.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import duckdb

from tasks.cohort.circe.filters import complete_circepy
from tasks.cohort.circe.read import Expression, Node, events_in, is_empty, read_expression
from tasks.cohort.circe.slugs import slugs
from tasks.cohort.circe.support import support
from tasks.cohort.circe.views import SCHEMA, make_views
from tasks.core.errors import Message, SpecError

_WORK = "circe_work"
_COHORT = "cohort_id varchar, person_id bigint, start_date date, end_date date"
_STEPS = "cohort_id varchar, step integer, step_id varchar, records bigint, persons bigint"
_SETTINGS = ("timezone", "python_enable_replacements")


def build_circe(
    con: duckdb.DuckDBPyConnection, cohort_id: str, expression_text: str, name: str = "expression"
) -> int:
    """Build the spans of one Circe expression into `cohort.cohort`.

    Args:
        con: The workspace, with the tables of `tables_of` in schema `clean`.
        cohort_id: Id of the cohort; its earlier rows are replaced.
        expression_text: The expression, as JSON.
        name: The file it comes from, as it is named in messages.

    Returns:
        The number of spans.

    Raises:
        SpecError: The expression is refused; nothing was run.
    """
    expression = read_expression(expression_text, name)
    _prepare(con, "cohort", _COHORT, cohort_id)
    with _engine(con, expression) as engine:
        con.execute(
            "insert into cohort.cohort select $id, person_id, start_date, end_date "
            f"from ({engine.spans_of(expression.document)}) "
            "order by person_id, start_date, end_date",
            {"id": cohort_id},
        )
    return _count(con, "select count(*) from cohort.cohort where cohort_id = $id", cohort_id)


def circe_attrition(
    con: duckdb.DuckDBPyConnection, cohort_id: str, expression_text: str, name: str = "expression"
) -> int:
    """Count what is left after each part of one expression, into `cohort.cohort_attrition`.

    Steps are the records of the tables that can open a span (`records_in_lake`), the entry events
    (`entry_events`), the additional criteria (`additional`), each inclusion rule in order, and the
    spans that come out (`spans`). Arguments as of `build_circe`.

    Returns:
        The number of steps.
    """
    expression = read_expression(expression_text, name)
    _prepare(con, "cohort_attrition", _STEPS, cohort_id)
    with _engine(con, expression) as engine:
        _step(con, cohort_id, 1, "records_in_lake", _records(expression))
        for step, (step_id, document) in enumerate(_stages(expression), 2):
            _step(con, cohort_id, step, step_id, engine.spans_of(document))
            engine.forget()
    query = "select count(*) from cohort.cohort_attrition where cohort_id = $id"
    return _count(con, query, cohort_id)


def _step(
    con: duckdb.DuckDBPyConnection, cohort_id: str, step: int, step_id: str, select: str
) -> None:
    con.execute(
        "insert into cohort.cohort_attrition "
        "select $id, $step, $step_id, count(*), count(distinct person_id) "
        f"from ({select})",
        {"id": cohort_id, "step": step, "step_id": step_id},
    )


def _records(expression: Expression) -> str:
    entries = events_in(expression.document["PrimaryCriteria"]["CriteriaList"])
    tables = sorted({str(table) for name, _ in entries if (table := support().events[name].table)})
    return " union all ".join(f"select person_id from clean.{table}" for table in tables)


def _stages(expression: Expression) -> Iterator[tuple[str, Node]]:
    """Yield id and document of each step; each document goes one step further."""
    document, rules = expression.document, expression.rules
    # Without settings to collapse, circepy joins no spans.
    dropped = {"EndStrategy", "CensoringCriteria", "CensorWindow", "CollapseSettings"}
    dropped |= {"ExpressionLimit", "InclusionRules"}
    bare = {key: value for key, value in document.items() if key not in dropped}
    alone = {key: value for key, value in bare.items() if key != "AdditionalCriteria"}
    yield "entry_events", alone
    if not is_empty(bare.get("AdditionalCriteria")):
        yield "additional", bare
    ids = slugs([str(rule.get("name") or "rule") for rule in rules], "rule")
    for number, step_id in enumerate(ids, 1):
        yield step_id, bare | {"InclusionRules": rules[:number]}
    yield "spans", document


class _Engine:
    """circepy on one connection; its tables lie in a schema of their own."""

    def __init__(self, con: duckdb.DuckDBPyConnection, backend: Any, name: str) -> None:
        self._con, self._backend, self._name = con, backend, name

    def spans_of(self, document: Node) -> str:
        """Return the query that gives the spans of a document; valid until the next one.

        The censor window cuts what is collapsed, as OHDSI's Circe has it; circepy would cut first.
        """
        from circe.execution import ExecutionError, build_cohort

        whole = {key: value for key, value in document.items() if key != "CensorWindow"}
        try:
            relation = build_cohort(
                _expression(whole, self._name),
                backend=self._backend,
                cdm_schema=SCHEMA,
                results_schema=_WORK,
                session_prefix="circe_",
            )
        except ExecutionError as exc:
            fix = "take it out of the definition in ATLAS, or write the cohort in SQL."
            raise SpecError([Message("E_CIRCE_UNSUPPORTED", self._name, str(exc), fix)]) from None
        return _clipped(str(self._backend.compile(relation)), document.get("CensorWindow", {}))

    def forget(self) -> None:
        """Drop what the last build left."""
        self._con.execute(f"drop schema {_WORK} cascade; create schema {_WORK}")


def _clipped(spans: str, window: Node) -> str:
    start, end = window.get("StartDate"), window.get("EndDate")
    first = f"greatest(start_date, date '{start}')" if start else "start_date"
    last = f"least(end_date, date '{end}')" if end else "end_date"
    return (
        f"select person_id, {first} as start_date, {last} as end_date "
        f"from ({spans}) where {first} <= {last}"
    )


def _expression(document: Node, name: str) -> Any:
    """Return circepy's value of a checked document."""
    from circe.cohortdefinition import CohortExpression

    try:
        return CohortExpression.model_validate(document)
    except ValueError as exc:
        errors: list[Any] = getattr(exc, "errors", list)()
        at = ".".join(str(part) for part in errors[0]["loc"]) if errors else "document"
        what = f"{at}: is not what a Circe expression holds there"
        fix = "export the cohort definition from ATLAS again, as JSON."
        raise SpecError([Message("E_CIRCE_PARSE", name, what, fix)]) from None


@contextmanager
def _engine(con: duckdb.DuckDBPyConnection, expression: Expression) -> Iterator[_Engine]:
    """Open circepy on a connection; take away its schemas and settings at the end."""
    import ibis

    complete_circepy()
    before = {name: _setting(con, name) for name in _SETTINGS}
    _drop(con)
    try:
        make_views(con, expression)
        con.execute(f"create schema {_WORK}")
        yield _Engine(con, ibis.duckdb.from_connection(con), expression.name)
    finally:
        _drop(con)
        for name, value in before.items():
            con.execute(f"set {name} = '{value}'")


def _drop(con: duckdb.DuckDBPyConnection) -> None:
    for schema in (_WORK, SCHEMA):
        con.execute(f"drop schema if exists {schema} cascade")


def _setting(con: duckdb.DuckDBPyConnection, name: str) -> str:
    row = con.execute("select current_setting($name)", {"name": name}).fetchone()
    return str(row[0]) if row else ""


def _prepare(con: duckdb.DuckDBPyConnection, table: str, columns: str, cohort_id: str) -> None:
    con.execute(
        f"create schema if not exists cohort; create table if not exists cohort.{table} ({columns})"
    )
    con.execute(f"delete from cohort.{table} where cohort_id = $id", {"id": cohort_id})


def _count(con: duckdb.DuckDBPyConnection, query: str, cohort_id: str) -> int:
    row = con.execute(query, {"id": cohort_id}).fetchone()
    return int(row[0]) if row else 0
