"""What a study of registry tables adds to a run: its deliveries, its evidence, its protection."""

from collections.abc import Mapping, Set
from dataclasses import replace

import duckdb
import polars as pl

from tasks.analysis.tables import NO_TABLES, TableEvidence, analyse_tables
from tasks.core.disclosure import Released
from tasks.core.disclosure_tables import hide_table_sizes, release_tables
from tasks.core.errors import NoDataError
from tasks.core.lake import registry_tables_in_force
from tasks.core.spec import StudySpec

Row = dict[str, object]
Delivery = Mapping[str, object]


def table_deliveries(
    con: duckdb.DuckDBPyConnection, spec: StudySpec, in_force: list[dict[str, object]]
) -> list[dict[str, object]]:
    """Return the deliveries in force behind the registry tables of a study.

    Raises:
        NoDataError: A table has not been delivered; all that are missing are named.
    """
    there = {
        (site, table.lower()): snapshots
        for (site, table), snapshots in registry_tables_in_force(con).items()
    }
    wanted = [(source.site_id, source.table.lower()) for source in spec.tables]
    if missing := [f"{site}/{table}" for site, table in wanted if (site, table) not in there]:
        what = f"no delivery in force of table {', '.join(missing)}"
        fix = "ingest one with `format: table`: `causeway ingest PATH`."
        raise NoDataError(spec.study.id, what, fix)
    used = {snapshot for key in wanted for snapshot in there[key]}
    return [delivery for delivery in in_force if delivery["snapshot_id"] in used]


def table_evidence(con: duckdb.DuckDBPyConnection, spec: StudySpec) -> TableEvidence:
    """Estimate what a study asks of its registry tables; nothing where it has none."""
    return analyse_tables(con, spec) if spec.tables else NO_TABLES


def protected(released: Released, tables: TableEvidence, k: int | None) -> Released:
    """Return what may leave, with what may leave of the registry tables."""
    rows, attrition, messages = release_tables(tables.rows, tables.attrition, k)
    told = {row["analysis_id"] for row in rows if row["status"] == "ok"}
    tables_ids = {row["analysis_id"] for row in tables.rows}
    hidden = tables_ids - told if k is not None else set()
    uneven = {
        row["analysis_id"]
        for row in rows
        if row["estimate_name"] == "max_smd" and row["status"] == "suppressed"
    }
    return replace(
        released,
        rows=[*released.rows, *rows],
        gates=[_gate_shown(gate, hidden, uneven) for gate in released.gates],
        attrition=pl.concat([released.attrition, attrition]),
        messages=[*released.messages, *messages],
    )


def _gate_shown(gate: Row, hidden: Set[object], uneven: Set[object]) -> Row:
    """Return a verdict as it may leave: without the size it was judged on, or a hidden value.

    Sizes of analyses that differ by few would tell about those few. `uneven` are the analyses whose
    largest difference of a covariate is withheld.
    """
    names = gate.get("analyses")
    of = set(names) if isinstance(names, list) else set()
    is_hidden = bool(of) and (of <= hidden or (gate["name"] == "max_smd" and bool(of & uneven)))
    shown = {key: value for key, value in gate.items() if key != "n"}
    return {**shown, "value": None} if is_hidden else shown


def quality_shown(quality: list[Row], spec: StudySpec, released: Released) -> list[Row]:
    """Withhold sizes of registry tables that, beside the rows used, would tell of few rows.

    The size of a table is the first step of attrition; it is shown where an analysis shows it.
    """
    is_shown = (pl.col("step") == 0) & (pl.col("status") == "ok")
    arms = set(released.attrition.filter(is_shown)["arm"])
    told = {source.table for analysis, source in spec.table_analyses if analysis.id in arms}
    hidden = {source.table for source in spec.tables} - told
    return hide_table_sizes(quality, hidden) if released.messages else quality
