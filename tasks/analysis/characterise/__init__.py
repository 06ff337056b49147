"""Descriptions of a study: Table 1, incidence, prevalence, courses, completeness."""

from collections.abc import Mapping

import duckdb

from tasks.analysis.characterise.completeness import missingness
from tasks.analysis.characterise.courses import time_to_event, treatment_patterns
from tasks.analysis.characterise.frequency import incidence, prevalence
from tasks.analysis.characterise.table_one import Row, table_one_of_arms, table_one_of_cohorts
from tasks.analysis.populations import Population
from tasks.core.spec import StudySpec
from tasks.core.spec.characterisation import TableOne

__all__ = ["characterise"]


def characterise(
    con: duckdb.DuckDBPyConnection,
    spec: StudySpec,
    populations: Mapping[str, Population] | None = None,
) -> list[Row]:
    """Return everything that the block `characterisation` asks for, as rows of the results.

    Args:
        con: The workspace, with cohort.cohort and, for a Table 1, cohort.covariate.
        spec: The study.
        populations: Populations of the comparison, by name; None where the study compares nothing.
    """
    block = spec.characterisation
    if block is None:
        return []
    found: list[list[Row]] = [
        *(_table_one(con, spec, item, populations or {}) for item in block.table_one),
        *(incidence(con, spec, item) for item in block.incidence),
        *(prevalence(con, item) for item in block.prevalence),
        *(time_to_event(con, item) for item in block.time_to_event),
        *(treatment_patterns(con, item) for item in block.treatment_patterns),
        *(missingness(con, item) for item in block.missingness),
    ]
    return [row for rows in found for row in rows]


def _table_one(
    con: duckdb.DuckDBPyConnection,
    spec: StudySpec,
    item: TableOne,
    populations: Mapping[str, Population],
) -> list[Row]:
    if item.of == "arms":
        return table_one_of_arms(con, spec, item, populations)
    return table_one_of_cohorts(con, spec, item)
