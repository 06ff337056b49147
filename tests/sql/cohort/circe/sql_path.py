"""The other way through circepy: its SQL (the one that OHDSI's Java writes), read as T-SQL.

circepy renders T-SQL; sqlglot turns it into DuckDB's. It reads the views that the ibis way reads.
"""

import logging

import sqlglot
from circe.api import build_cohort_query
from circe.cohortdefinition import BuildExpressionQueryOptions
from circe.sqlrender import render, split_sql

from tasks.cohort.circe.build import _expression
from tasks.cohort.circe.read import read_expression
from tasks.cohort.circe.views import SCHEMA, make_views


def spans_by_sql(con, text):
    """Spans of an expression by circepy's SQL, as text, in order."""
    expression = read_expression(text)
    options = BuildExpressionQueryOptions()
    options.cdm_schema = options.vocabulary_schema = SCHEMA
    options.result_schema, options.target_table, options.cohort_id = "by_sql", "by_sql.cohort", 1
    query = render(build_cohort_query(_expression(expression.document, "test"), options))
    con.execute(
        "drop schema if exists by_sql cascade; create schema by_sql; create table by_sql.cohort "
        "(cohort_definition_id int, subject_id bigint, cohort_start_date date, cohort_end_date date)"
    )
    make_views(con, expression)
    try:
        for (name,) in con.execute(
            "select table_name from duckdb_tables() where temporary"
        ).fetchall():
            con.execute(f"drop table temp.{name}")
        for statement in _statements(query):
            con.execute(statement)
    finally:
        con.execute(f"drop schema {SCHEMA} cascade")
    rows = con.execute("select * exclude (cohort_definition_id) from by_sql.cohort order by all")
    return [" ".join(map(str, row)) for row in rows.fetchall()]


def _statements(query):
    logging.getLogger("sqlglot").setLevel(logging.ERROR)
    kept = [s for s in split_sql(query) if "UPDATE STATISTICS" not in s]
    return sqlglot.transpile(";\n".join(kept), read="tsql", write="duckdb")
