"""The tables of the lake as one study sees them: schema `raw` of its sites, `clean` of its persons.

`clean` has the tables of the CDM and of the devices with every column but the ids of the source:
`person_id` is the study's own number of a person, and `site_id` stands beside it. Ids of visits and
of records are those of the site, so they are compared together with `person_id`.
"""

from collections.abc import Iterable

import duckdb

from tasks.core.duck import quoted
from tasks.core.omop import Table, omop_tables
from tasks.core.spec import LakeSource
from tasks.core.sql import build_table

VOCABULARY = ("concept", "concept_ancestor", "concept_relationship")
# Text that a source wrote of a person; no study asks for it.
_HIDDEN = (
    *("person_source_value", "note_text", "family_source_value", "specimen_source_id"),
    *("provider_name", "npi", "dea", "provider_source_value"),
)


def open_workspace(
    con: duckdb.DuckDBPyConnection, source: LakeSource, tables: Iterable[str]
) -> None:
    """Show the tables of the attached lake that a study reads, as schemas `raw` and `clean`.

    Args:
        con: The workspace, with the lake attached as `lake`.
        source: Tells which sites belong to the study.
        tables: Names of CDM and device tables; `person` and the vocabulary are always there.
    """
    open_raw(con, source, tables)
    open_clean(con, tables)


def open_raw(con: duckdb.DuckDBPyConnection, source: LakeSource, tables: Iterable[str]) -> None:
    """Show tables of the attached lake as schema `raw`, of the sites of a source."""
    where = _of_sites(source)
    con.execute("create schema if not exists raw")
    for table in sorted({*tables, "person", *VOCABULARY}):
        select = f"select * from lake.omop.{table} {where}"  # noqa: S608 - ids checked by pattern
        con.execute(f"create or replace view raw.{table} as {select}")


def open_clean(con: duckdb.DuckDBPyConnection, tables: Iterable[str]) -> None:
    """Show tables of schema `raw` as schema `clean`, with the study's own number of a person."""
    build_table(con, "clean.person_key")
    for table in VOCABULARY:
        build_table(con, f"clean.{table}")
    for table in sorted({*tables, "person"} - set(VOCABULARY)):
        con.execute(_keyed(omop_tables()[table]))


def _keyed(table: Table) -> str:
    """Return the query that makes the view of one table in `clean`."""
    if not table.has("person_id"):
        shown = ", ".join(["site_id", *(n for n in table.names if n not in _HIDDEN)])
        select = f"select {shown} from raw.{table.name}"  # noqa: S608 - names of the model
        return f"create or replace view clean.{table.name} as {select}"
    columns = [n for n in table.names if n not in _HIDDEN and n != "person_id"]
    listed = ",\n    ".join(f"{table.name}.{name}" for name in columns)
    return (
        f"create or replace view clean.{table.name} as\n"
        f"select\n    person_key.person_id,\n    person_key.site_id,\n    {listed},\n"
        f"from raw.{table.name}\n"
        "inner join clean.person_key\n"
        f"    on {table.name}.site_id = person_key.site_id\n"
        f"    and {table.name}.person_id = person_key.source_person_id"
    )


def _of_sites(source: LakeSource) -> str:
    if source.site_prefix:
        return f"where starts_with(site_id, {quoted(source.site_prefix)})"
    sites = ", ".join(quoted(site) for site in source.sites)
    return f"where site_id in ({sites})" if sites else ""
