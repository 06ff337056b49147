"""The first step of every attrition: the rows that hospitals sent, before any was refused."""

import duckdb

from tasks.cohort.cohorts import ALWAYS_READ, tables_of_cohorts
from tasks.core.lake import LEDGER, deliveries_in_force
from tasks.core.spec import LakeSource, StudySpec
from tasks.core.spec.cohorts import Cohort, NativeCohort


def count_delivered(con: duckdb.DuckDBPyConnection, spec: StudySpec, source: LakeSource) -> None:
    """Add, as step 0 of each cohort, the rows delivered for the tables of its entry.

    Rows of the deliveries in force count, those that were quarantined or were duplicates too. A
    file of FHIR resources counts for every table that it fills.
    """
    rows = _rows_of_tables(con, source)
    for cohort in spec.cohorts:
        delivered = sum(rows.get(table, 0) for table in _tables(spec, cohort))
        con.execute(
            "insert into cohort.cohort_attrition "
            "values ($cohort, 0, 'records_delivered', $records, null)",
            {"cohort": cohort.id, "records": delivered},
        )


def _tables(spec: StudySpec, cohort: Cohort) -> set[str]:
    """Tables from which spans are opened; of a cohort that cannot be read so far, all it reads."""
    if isinstance(cohort, NativeCohort):
        return {events.domain for events in cohort.entry.any}
    return tables_of_cohorts(
        spec.model_copy(update={"cohorts": (cohort,)}).with_files(spec.files)
    ) - {*ALWAYS_READ}


def _rows_of_tables(con: duckdb.DuckDBPyConnection, source: LakeSource) -> dict[str, int]:
    """Return the rows in of every table, over the deliveries that make up the snapshot."""
    delivered = [d for d in deliveries_in_force(con) if source.takes(d["site_id"])]
    snapshots = [int(str(d["snapshot_id"])) for d in delivered]
    found = con.execute(
        "select coalesce(tables, table_name), rows_in "  # noqa: S608 - LEDGER is a constant
        f"from {LEDGER} "
        "where list_contains($snapshots, snapshot_id)",
        {"snapshots": snapshots},
    )
    rows: dict[str, int] = {}
    for tables, rows_in in found.fetchall():
        for table in str(tables or "").split(","):
            rows[table] = rows.get(table, 0) + int(rows_in or 0)
    return rows
