"""The tables that circepy reads: views of schema `clean` under the names of the CDM.

What circepy joins by an id of the site alone (providers, places of care) gets an id of the study,
so that two sites that number alike never mix; visits it joins together with the person.
"""

from collections.abc import Iterable

import duckdb

from tasks.cohort.circe.read import Expression, events_in
from tasks.cohort.circe.support import support
from tasks.core.sql import build_table

SCHEMA = "circe_cdm"
_KEYED = {"provider": "provider_id", "care_site": "care_site_id"}
_ABNORMAL = "4155142, 4155143"  # above and below the normal range, as OHDSI's Circe has it
_MORE = {
    "range_low_ratio": "value_as_number / nullif(range_low, 0) as range_low_ratio",
    "range_high_ratio": "value_as_number / nullif(range_high, 0) as range_high_ratio",
    "is_abnormal": "case when value_as_number < range_low or value_as_number > range_high "
    f"or value_as_concept_id in ({_ABNORMAL}) then 1 else 0 end as is_abnormal",
    "discharge_to_concept_id": "discharged_to_concept_id as discharge_to_concept_id",
}


def make_views(con: duckdb.DuckDBPyConnection, expression: Expression) -> None:
    """Make schema `circe_cdm` with every table that an expression reads."""
    con.execute(f"create schema {SCHEMA}")
    keyed = sorted(set(_KEYED) & expression.tables)
    for table in keyed:
        _key(con, table)
    for table in ("cohort.observed", "cohort.observed_stretch"):
        build_table(con, table)
    con.execute(f"create view {SCHEMA}.observation_period as from cohort.observed_stretch")
    for table in sorted({*expression.tables, "person"} - {*_KEYED, "observation_period"}):
        _view(con, table, keyed, _more(expression, table))
    _vocabulary(con, expression)


def _key(con: duckdb.DuckDBPyConnection, table: str) -> None:
    """Make the table with one number of the study for each row of all sites."""
    key, concept = _KEYED[table], _concept_of(table)
    con.execute(
        f"create table {SCHEMA}.{table} as "
        f"select row_number() over (order by site_id, {key}) as {key}, {concept}, site_id, "
        f"{key} as source_key from clean.{table}"
    )


def _concept_of(table: str) -> str:
    return "specialty_concept_id" if table == "provider" else "place_of_service_concept_id"


def _view(
    con: duckdb.DuckDBPyConnection, table: str, keyed: Iterable[str], more: list[str]
) -> None:
    columns = {row[0] for row in con.execute(f"describe clean.{table}").fetchall()}
    joined = [name for name in keyed if _KEYED[name] in columns and table != "person"]
    replaced = ", ".join(f"{SCHEMA}.{name}.{_KEYED[name]} as {_KEYED[name]}" for name in joined)
    joins = " ".join(
        f"left join {SCHEMA}.{name} on {name}.site_id = event.site_id "
        f"and {name}.source_key = event.{_KEYED[name]}"
        for name in joined
    )
    star = f"event.* replace ({replaced})" if joined else "event.*"
    con.execute(
        f"create view {SCHEMA}.{table} as "
        f"select {', '.join([star, *more])} from clean.{table} as event {joins}"
    )


def _more(expression: Expression, table: str) -> list[str]:
    """Columns that circepy or `filters.py` asks for beyond those of the CDM."""
    asked = {
        support().events[name].fields[key].kind + support().events[name].fields[key].column
        for name, fields in events_in(expression.document)
        for key in fields
        if support().events[name].table == table
    }
    wanted = {
        "range_low_ratio": "ratiorange_low" in asked,
        "range_high_ratio": "ratiorange_high" in asked,
        "is_abnormal": "abnormal" in asked,
        "discharge_to_concept_id": any("discharged_to" in name for name in asked),
    }
    return [_MORE[name] for name, is_wanted in wanted.items() if is_wanted]


def _vocabulary(con: duckdb.DuckDBPyConnection, expression: Expression) -> None:
    """Show the vocabulary; a concept that is named belongs to it though none was delivered."""
    named = sorted(
        {
            item["concept"]["CONCEPT_ID"]
            for group in expression.document.get("ConceptSets", [])
            for item in group.get("expression", {}).get("items", [])
        }
    )
    con.execute(
        f"create view {SCHEMA}.concept as select concept_id, invalid_reason from clean.concept "
        f"union all select concept_id, null from unnest({named}::bigint[]) as named (concept_id) "
        "where concept_id not in (select concept_id from clean.concept)"
    )
    for table in ("concept_ancestor", "concept_relationship"):
        con.execute(f"create view {SCHEMA}.{table} as select * from clean.{table}")
