"""Every cohort of a study, whichever way it is written, as spans of persons."""

from collections.abc import Iterator, Mapping

import duckdb

from tasks.cohort.circe import build_circe, circe_attrition, tables_of
from tasks.cohort.language.build import build_native, create_cohort_tables
from tasks.cohort.language.statements import statements_of
from tasks.cohort.select import build_select, tables_of_select
from tasks.core.spec import StudySpec
from tasks.core.spec.cohorts import CirceCohort, Cohort, EraEnd, NativeCohort, SqlCohort, events_in

ALWAYS_READ = ("person", "observation_period")


def tables_of_cohorts(spec: StudySpec) -> set[str]:
    """Return the tables of the lake that the cohorts of a study read."""
    return {name for cohort in spec.cohorts for name in _tables_of(cohort, spec.files)}


def _tables_of(cohort: Cohort, files: Mapping[str, str]) -> Iterator[str]:
    yield from ALWAYS_READ
    match cohort:
        case NativeCohort():
            for events in events_in(cohort):
                yield events.domain
                if events.visit:
                    yield "visit_occurrence"
            if isinstance(cohort.end, EraEnd):
                yield "drug_exposure"
        case SqlCohort():
            yield from tables_of_select(cohort.sql, files[cohort.sql])
        case CirceCohort():
            yield from tables_of(files[cohort.circe], cohort.circe)


def build_cohorts(con: duckdb.DuckDBPyConnection, spec: StudySpec) -> dict[str, int]:
    """Build every cohort of a study; return the number of spans of each.

    Args:
        con: A workspace with schema clean and the resolved code lists of the study.
        spec: The study.

    Raises:
        CausewayError: A cohort cannot be built; it is named.
    """
    create_cohort_tables(con)
    return {cohort.id: _build(con, spec, cohort) for cohort in spec.cohorts}


def _build(con: duckdb.DuckDBPyConnection, spec: StudySpec, cohort: Cohort) -> int:
    match cohort:
        case NativeCohort():
            return build_native(con, cohort, spec.with_codes)
        case SqlCohort():
            return build_select(con, cohort.id, cohort.sql, spec.files[cohort.sql])
        case CirceCohort():
            text = spec.files[cohort.circe]
            circe_attrition(con, cohort.id, text, cohort.circe)
            return build_circe(con, cohort.id, text, cohort.circe)


def cohort_sql(spec: StudySpec) -> dict[str, str]:
    """Return the SQL of the native cohorts of a study by file name, as a run folder shows it."""
    return {
        f"{cohort.id}/{place:02d}_{statement.table.partition('__')[2]}.sql": statement.text
        for cohort in spec.cohorts
        if isinstance(cohort, NativeCohort)
        for place, statement in enumerate(statements_of(cohort, spec.with_codes), 1)
    }
