"""From the lake's tables to the people of one study; each step is a query of sql/."""

from collections.abc import Mapping

import duckdb

from tasks.core.duck import quoted
from tasks.core.spec import ConditionCovariates, StudySpec
from tasks.core.sql import build_table

_RAW = ("person", "observation_period", "drug_era", "condition_occurrence", "death", "concept")
RAW_TABLES = (*_RAW, "concept_ancestor")
CLEAN_TABLES = (
    "clean.person_key",
    "clean.person",
    "clean.observation_period",
    "clean.drug_era",
    "clean.condition_occurrence",
    "clean.death",
    "clean.concept",
    "clean.concept_ancestor",
)
COHORT_TABLES = (
    "cohort.code_list",
    "cohort.first_era",
    "cohort.common_period",
    "cohort.candidate",
    "cohort.attrition",
    "cohort.subject",
)


def open_raw(con: duckdb.DuckDBPyConnection, sites: tuple[str, ...]) -> None:
    """Show the attached lake as schema `raw`, for these sites only (all when empty)."""
    where = f"where site_id in ({', '.join(quoted(site) for site in sites)})" if sites else ""
    con.execute("create schema if not exists raw")
    for table in RAW_TABLES:
        select = f"select * from lake.omop.{table} {where}"  # noqa: S608 - ids checked by pattern
        con.execute(f"create or replace view raw.{table} as {select}")


def build_cohort(con: duckdb.DuckDBPyConnection, spec: StudySpec) -> int:
    """Build every cohort table of a study in an opened workspace; return the number of people."""
    open_raw(con, spec.sources[0].sites)
    params = cohort_params(spec)
    for table in (*CLEAN_TABLES, *COHORT_TABLES):
        people = build_table(con, table, params)
    for covariate in spec.covariates:
        if isinstance(covariate, ConditionCovariates):
            build_table(con, "cohort.condition_covariate", _window(covariate))
    return people


def cohort_params(spec: StudySpec) -> Mapping[str, object]:
    """Return every parameter that the cohort queries take, by its name in SQL."""
    design = spec.design
    named = [(item, concept) for item in spec.code_lists for concept in item.concepts]
    return {
        "code_list_ids": [item.id for item, _ in named],
        "concept_ids": [concept for _, concept in named],
        "include_descendants": [item.include_descendants for item, _ in named],
        "target": spec.target.code_list,
        "comparator": spec.comparator.code_list,
        "outcome": spec.outcome.code_list,
        "common_period": design.common_period,
        "keep_first": design.in_both_arms == "keep_first",
        "prior_observation_days": design.prior_observation_days,
        "prior_outcome_days": design.prior_outcome_days,
        "risk_start_anchor": design.risk_start.anchor,
        "risk_start_offset_days": design.risk_start.offset_days,
        "risk_end_anchor": design.risk_end.anchor,
        "risk_end_offset_days": design.risk_end.offset_days,
        "competing": design.competing,
    }


def _window(covariate: ConditionCovariates) -> Mapping[str, object]:
    return {
        "window_start_days": covariate.window_start_days,
        "window_end_days": covariate.window_end_days,
        "min_share": covariate.min_share,
        "excluded": list(covariate.exclude),
    }
