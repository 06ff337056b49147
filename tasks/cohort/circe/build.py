"""Spans and attrition of Circe expressions, by circepy's ibis engine on an open workspace.

circepy and ibis take half a second to import, so they are imported where they are used.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import duckdb

from tasks.cohort.circe.filters import complete_circepy
from tasks.cohort.circe.read import Expression, Node, is_empty, read_expression
from tasks.cohort.circe.views import SCHEMA, make_views
from tasks.core.errors import Message, SpecError

_WORK = "circe_work"
_COHORT = "cohort_id varchar, person_id bigint, start_date date, end_date date"
_STEPS = "cohort_id varchar, step integer, step_id varchar, label varchar, records bigint, persons bigint"
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
        spans = engine.select_of(expression.document)
        con.execute(
            "insert into cohort.cohort select $id, person_id, start_date, end_date "  # noqa: S608
            f"from ({spans}) order by person_id, start_date, end_date",
            {"id": cohort_id},
        )
    return _count(con, "select count(*) from cohort.cohort where cohort_id = $id", cohort_id)


def circe_attrition(
    con: duckdb.DuckDBPyConnection, cohort_id: str, expression_text: str, name: str = "expression"
) -> int:
    """Count what is left after each part of one expression, into `cohort.cohort_attrition`.

    Steps are the entry events (`entry`), the additional criteria (`additional`), each inclusion
    rule in order, and the spans that come out (`spans`). Arguments as of `build_circe`.

    Returns:
        The number of steps.
    """
    expression = read_expression(expression_text, name)
    _prepare(con, "cohort_attrition", _STEPS, cohort_id)
    with _engine(con, expression) as engine:
        for step, (step_id, label, document) in enumerate(_stages(expression)):
            con.execute(
                "insert into cohort.cohort_attrition by name select $id as cohort_id, "  # noqa: S608
                "$step as step, $step_id as step_id, $label as label, count(*) as records, "
                "count(distinct person_id) as persons "
                f"from ({engine.select_of(document)})",
                {"id": cohort_id, "step": step, "step_id": step_id, "label": label},
            )
            engine.forget()
    return len(list(_stages(expression)))


def _stages(expression: Expression) -> Iterator[tuple[str, str, Node]]:
    """Yield id, label and document of each step; each document goes one step further."""
    document, rules = expression.document, expression.rules
    dropped = ("EndStrategy", "CensoringCriteria", "CensorWindow", "CollapseSettings")
    bare = {key: value for key, value in document.items() if key not in dropped}
    last = {"PrimaryCriteria", "ConceptSets"}
    yield "entry", "entry events", {key: bare[key] for key in last if key in bare}
    if not is_empty(bare.get("AdditionalCriteria")):
        kept = bare | {"InclusionRules": [], "ExpressionLimit": {"Type": "All"}}
        yield "additional", "additional criteria", kept
    ids = slugs([str(rule.get("name") or "rule") for rule in rules])
    for number, (step_id, rule) in enumerate(zip(ids, rules, strict=True), start=1):
        limit = bare.get("ExpressionLimit") if number == len(rules) else None
        kept = bare | {"InclusionRules": rules[:number], "ExpressionLimit": limit or {"Type": "All"}}
        yield step_id, str(rule.get("name") or step_id), kept
    yield "spans", "spans of the cohort", document


def slugs(names: list[str]) -> list[str]:
    """Return an id for each name: lower case, one underscore for all else, no id twice."""
    found: list[str] = []
    for name in names:
        words = "".join(sign if sign.isascii() and sign.isalnum() else " " for sign in name.lower())
        base = "_".join(words.split())[:40].strip("_") or "rule"
        base = base if base[0].isalpha() else f"rule_{base}"
        same = sum(other == base or other.startswith(f"{base}_n") for other in found)
        found.append(f"{base}_n{same + 1}" if same else base)
    return found


class _Engine:
    """circepy on one connection; its tables lie in a schema of their own."""

    def __init__(self, con: duckdb.DuckDBPyConnection, backend: Any, name: str) -> None:
        self._con, self._backend, self._name = con, backend, name

    def select_of(self, document: Node) -> str:
        """Return the query that gives the spans of a document; valid until the next one."""
        from circe.execution import ExecutionError, build_cohort

        try:
            relation = build_cohort(
                _expression(document, self._name),
                backend=self._backend,
                cdm_schema=SCHEMA,
                results_schema=_WORK,
                session_prefix="circe_",
            )
            return str(self._backend.compile(relation))
        except ExecutionError as exc:
            fix = "take it out of the definition in ATLAS, or write the cohort in SQL."
            raise SpecError([Message("E_CIRCE_UNSUPPORTED", self._name, str(exc), fix)]) from None

    def forget(self) -> None:
        """Drop what the last build left."""
        self._con.execute(f"drop schema {_WORK} cascade; create schema {_WORK}")


def _expression(document: Node, name: str) -> Any:
    """Return circepy's value of a checked document."""
    from circe.cohortdefinition import CohortExpression

    no_end = document.get("CollapseSettings") or {"CollapseType": "ERA", "EraPad": 0}
    whole = document | {"CollapseSettings": no_end}
    try:
        return CohortExpression.model_validate(whole)
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
    con.execute(f"create schema if not exists cohort; create table if not exists cohort.{table} ({columns})")
    con.execute(f"delete from cohort.{table} where cohort_id = $id", {"id": cohort_id})  # noqa: S608


def _count(con: duckdb.DuckDBPyConnection, query: str, cohort_id: str) -> int:
    row = con.execute(query, {"id": cohort_id}).fetchone()
    return int(row[0]) if row else 0
