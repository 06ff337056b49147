"""From the lake's tables to the people of one study; each step is a query of sql/."""

from collections.abc import Mapping
from dataclasses import dataclass

import duckdb

from tasks.cohort.cohorts import build_cohorts, tables_of_cohorts
from tasks.cohort.covariates import build_covariates, tables_described
from tasks.cohort.delivered import count_delivered
from tasks.cohort.workspace import open_workspace
from tasks.core.duck import single
from tasks.core.spec import (
    NOT_SHOWN,
    SHOWN,
    DeviceShownDesign,
    EraAnchor,
    LakeSource,
    NewUserDesign,
    StudySpec,
    ZeroAnchor,
)
from tasks.core.sql import build_table


@dataclass(frozen=True, slots=True)
class Entering:
    """How people enter a study of one type of design.

    `read` are the tables of the lake that only this type needs; `first` is the cohort table that
    finds the entry of each person; `steps` are the steps of the attrition, in order.
    """

    read: tuple[str, ...]
    first: str
    steps: tuple[str, ...]


_LOOKED_AT = ("has_prior_observation", "has_no_prior_outcome", "has_time_at_risk")
ENTERING = {
    "new_user_active_comparator": Entering(
        read=("drug_era",),
        first="cohort.first_era",
        steps=("first_era", "in_observation", "in_one_arm", "in_common_period", *_LOOKED_AT),
    ),
    "device_shown_or_not": Entering(
        read=("procedure_occurrence", "device_inference"),
        first="cohort.first_image",
        steps=("first_image", "in_observation", *_LOOKED_AT),
    ),
}
_READ_BY_ALL = ("person", "observation_period", "condition_occurrence", "death")


def build_cohort(con: duckdb.DuckDBPyConnection, spec: StudySpec) -> int:
    """Build every cohort table of a study in an opened workspace; return the number of people."""
    if spec.lake is None:
        return 0
    open_study(con, spec, spec.lake)
    if spec.cohorts:
        build_cohorts(con, spec)
        count_delivered(con, spec, spec.lake)
    if spec.has_trial:
        build_subjects(con, spec)
    build_covariates(con, spec)
    people = "cohort.subject" if spec.has_trial else "cohort.cohort"
    found = single(con, f"select count(distinct person_id) from {people}")  # noqa: S608
    return int(str(found))


def open_study(con: duckdb.DuckDBPyConnection, spec: StudySpec, source: LakeSource) -> None:
    """Show what a study reads of the attached lake, and resolve its code lists."""
    open_workspace(con, source, tables_read(spec))
    resolve_code_lists(con, spec)


def resolve_code_lists(con: duckdb.DuckDBPyConnection, spec: StudySpec) -> None:
    """Make the tables of the concepts and codes that each list of a study stands for."""
    build_table(con, "cohort.code_list", _code_lists(spec))


def tables_read(spec: StudySpec) -> tuple[str, ...]:
    """Return the tables of the lake that a study reads."""
    read = tables_of_cohorts(spec) | tables_described(spec)
    if spec.has_trial:
        read |= {*_READ_BY_ALL, *ENTERING[spec.trial.design.type].read}
    return tuple(sorted(read))


def build_subjects(con: duckdb.DuckDBPyConnection, spec: StudySpec) -> int:
    """Build everything up to cohort.subject from schema `clean`; return the number of people."""
    kind, params = spec.trial.design.type, cohort_params(spec)
    build_table(con, ENTERING[kind].first, params)
    build_table(con, "cohort.entry", params, variant=kind)
    for table in ("common_period", "candidate", "attrition"):
        build_table(con, f"cohort.{table}", params)
    return build_table(con, "cohort.subject", params)


def _code_lists(spec: StudySpec) -> Mapping[str, object]:
    named = [(item, concept) for item in spec.code_lists for concept in item.concepts]
    return {
        "code_list_ids": [item.id for item, _ in named],
        "concept_ids": [concept for _, concept in named],
        "include_descendants": [item.include_descendants for item, _ in named],
    }


def cohort_params(spec: StudySpec) -> Mapping[str, object]:
    """Return every parameter that the cohort queries take, by its name in SQL."""
    design = spec.trial.design
    return {
        "target": spec.trial.target.id,
        "comparator": spec.trial.comparator.id,
        "outcome": spec.trial.outcome.code_list,
        "steps": list(ENTERING[design.type].steps),
        "prior_observation_days": design.prior_observation_days,
        "prior_outcome_days": design.prior_outcome_days,
        "risk_start_anchor": _anchor(design.risk_start),
        "risk_start_offset_days": design.risk_start.offset_days,
        "risk_end_anchor": _anchor(design.risk_end),
        "risk_end_offset_days": design.risk_end.offset_days,
        "competing": design.competing,
        **_entry_params(spec, design),
    }


def _entry_params(
    spec: StudySpec, design: NewUserDesign | DeviceShownDesign
) -> Mapping[str, object]:
    if isinstance(design, NewUserDesign):
        return {
            "common_period": design.common_period,
            "keep_first": design.in_both_arms == "keep_first",
        }
    device = spec.device
    return {
        "common_period": False,
        "keep_first": False,
        "image": design.image,
        "enrolment_start": design.enrolment.start,
        "enrolment_end": design.enrolment.end,
        "udi_di": device.udi_di if device else None,
        "versions": list(device.versions) if device else [],
        "shown_arm": SHOWN,
        "not_shown_arm": NOT_SHOWN,
    }


def _anchor(anchor: EraAnchor | ZeroAnchor) -> str:
    """Return the same day in terms of the entry into an arm."""
    return "entry_end" if anchor.anchor == "era_end" else "entry_start"
