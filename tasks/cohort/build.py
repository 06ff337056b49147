"""From the lake's tables to the people of one study; each step is a query of sql/."""

from collections.abc import Mapping
from dataclasses import dataclass

import duckdb

from tasks.cohort.code_lists import resolve_code_lists
from tasks.cohort.cohorts import build_cohorts, tables_of_cohorts
from tasks.cohort.covariates import build_covariates, make_missing_tables, tables_described
from tasks.cohort.delivered import count_delivered
from tasks.cohort.eligibility import (
    NOT_STARTED,
    find_censoring,
    judge_populations,
    judge_rules,
    tables_of_design,
)
from tasks.cohort.workspace import open_workspace
from tasks.core.duck import single
from tasks.core.spec import (
    NOT_SHOWN,
    SHOWN,
    CohortArm,
    CohortDesign,
    CohortOutcome,
    Design,
    DeviceShownDesign,
    GraceDesign,
    LakeSource,
    NewUserDesign,
    StudySpec,
)
from tasks.core.spec.design import ENDS, Anchor
from tasks.core.sql import build_table


@dataclass(frozen=True, slots=True)
class Entering:
    """How people enter a study of one type of design.

    `read` are the tables of the lake that only this type needs; `first` is the cohort table that
    finds the entry of each person, if there is one; `raw_steps` are the steps of the attrition
    before anyone enters, `entry` is the entry, `after` those of the entry that follow observation.
    """

    read: tuple[str, ...]
    first: str | None
    raw_steps: tuple[str, ...]
    entry: str
    after: tuple[str, ...]

    def steps(self, rules: tuple[str, ...]) -> tuple[str, ...]:
        """Return the steps from the entry on, with the rules of eligibility in their place."""
        return (
            self.entry,
            "in_observation",
            *self.after,
            "has_prior_observation",
            *rules,
            "has_no_prior_outcome",
            "has_time_at_risk",
        )


_OF_TWO_ENTRIES = ("in_one_arm", "in_common_period")
ENTERING = {
    "new_user_active_comparator": Entering(
        read=("drug_era",),
        first="cohort.first_era",
        raw_steps=("records", "with_code"),
        entry="first_era",
        after=_OF_TWO_ENTRIES,
    ),
    "device_shown_or_not": Entering(
        read=("procedure_occurrence", "device_inference"),
        first="cohort.first_image",
        raw_steps=("records", "with_code"),
        entry="first_image",
        after=(),
    ),
    "comparative_cohort": Entering(
        read=(), first=None, raw_steps=("in_cohort",), entry="first_span", after=_OF_TWO_ENTRIES
    ),
    "start_within_grace": Entering(
        read=(),
        first="cohort.treatment_start",
        raw_steps=("in_cohort",),
        entry="first_span",
        after=(NOT_STARTED,),
    ),
}
_KEPT_OF_EXPOSURES = ("subject", "population", "covariate_index", "covariate", "index_image")
_IS_THERE = (
    "select count(*) from duckdb_tables() where schema_name = 'cohort' and table_name = $table"
)
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
        build_control_exposures(con, spec)
        build_subjects(con, spec)
        build_controls(con, spec)
    build_covariates(con, spec)
    people = "cohort.subject" if spec.has_trial else "cohort.cohort"
    found = single(con, f"select count(distinct person_id) from {people}")  # noqa: S608
    return int(str(found))


def steps_of_arms(spec: StudySpec) -> tuple[str, ...]:
    """Return the ids of the steps of the attrition of both arms, from the entry on."""
    design = spec.trial.design
    return ENTERING[design.type].steps(tuple(rule.id for rule in design.eligibility))


def open_study(con: duckdb.DuckDBPyConnection, spec: StudySpec, source: LakeSource) -> None:
    """Show what a study reads of the attached lake, and resolve its code lists."""
    open_workspace(con, source, tables_read(spec))
    resolve_code_lists(con, spec)


def tables_read(spec: StudySpec) -> tuple[str, ...]:
    """Return the tables of the lake that a study reads."""
    read = tables_of_cohorts(spec) | tables_described(spec)
    if spec.has_trial:
        design = spec.trial.design
        read |= {*_READ_BY_ALL, *ENTERING[design.type].read, *tables_of_design(design)}
    return tuple(sorted(read))


def build_subjects(con: duckdb.DuckDBPyConnection, spec: StudySpec) -> int:
    """Build everything up to cohort.subject from schema `clean`; return the number of people.

    Where an arm or the outcome is a cohort, cohort.cohort has been made before.
    """
    design, params = spec.trial.design, cohort_params(spec)
    build_table(con, "cohort.observed")
    entering = ENTERING[design.type]
    if entering.first is not None:
        build_table(con, entering.first, params)
    build_table(con, "cohort.raw_count", params, variant=design.type)
    build_table(con, "cohort.entry", params, variant=design.type)
    by = "cohort" if isinstance(spec.trial.outcome, CohortOutcome) else "conditions"
    build_table(con, "cohort.outcome_event", params, variant=by)
    for table in ("born", "observed", "common_period", "entry_index"):
        build_table(con, f"cohort.{table}", params)
    judge_rules(con, spec)
    find_censoring(con, spec)
    for table in ("candidate", "attrition", "arm_rule_mask"):
        build_table(con, f"cohort.{table}", params)
    people = build_table(con, "cohort.subject", params)
    judge_populations(con, spec)
    return people


def build_controls(con: duckdb.DuckDBPyConnection, spec: StudySpec) -> None:
    """Build cohort.control_outcome: every negative control of the people, in one pass."""
    if not spec.negative_controls:
        return
    of_cohorts = [c.id for c in spec.negative_controls if isinstance(c, CohortOutcome)]
    params = {
        **cohort_params(spec),
        "control_lists": [c.id for c in spec.negative_controls if c.id not in of_cohorts],
        "control_cohorts": of_cohorts,
    }
    make_missing_tables(con)
    build_table(con, "cohort.control_event", params)
    build_table(con, "cohort.control_follow_up", params)
    build_table(con, "cohort.control_outcome", params)


def build_control_exposures(con: duckdb.DuckDBPyConnection, spec: StudySpec) -> None:
    """Build the people of each pair of arms that is a negative control, in a schema of its own.

    They are made as those of the study are, by the same tables, which the study's own then replace.
    """
    for schema, _, alike in spec.exposed:
        build_subjects(con, alike)
        build_covariates(con, alike)
        con.execute(f"create schema if not exists {schema}")
        for table in _KEPT_OF_EXPOSURES:
            if single(con, _IS_THERE, {"table": table}):
                con.execute(f"create or replace table {schema}.{table} as from cohort.{table}")


def cohort_params(spec: StudySpec) -> Mapping[str, object]:
    """Return every parameter that the cohort queries take, by its name in SQL."""
    design = spec.trial.design
    entering = ENTERING[design.type]
    return {
        "target": spec.trial.target.id,
        "comparator": spec.trial.comparator.id,
        "outcome": spec.trial.outcome.id,
        "raw_steps": list(entering.raw_steps),
        "steps": list(entering.steps(tuple(rule.id for rule in design.eligibility))),
        "is_split_by_entry": isinstance(design, DeviceShownDesign | GraceDesign),
        "prior_observation_days": design.prior_observation_days,
        "prior_outcome_days": design.prior_outcome_days,
        "risk_start_anchor": _anchor(design.risk_start),
        "risk_start_offset_days": design.risk_start.offset_days,
        "risk_end_anchor": _anchor(design.risk_end),
        "risk_end_offset_days": design.risk_end.offset_days,
        "competing": design.competing,
        **_entry_params(spec, design),
    }


def _entry_params(spec: StudySpec, design: Design) -> Mapping[str, object]:
    if isinstance(design, NewUserDesign | CohortDesign):
        arms = {"target": spec.target, "comparator": spec.comparator}
        return {
            "common_period": design.common_period,
            "keep_first": design.in_both_arms == "keep_first",
            **{f"{k}_cohort": a.cohort for k, a in arms.items() if isinstance(a, CohortArm)},
        }
    if isinstance(design, GraceDesign):
        return {
            "common_period": False,
            "keep_first": False,
            "entry_cohort": design.entry_cohort,
            "treatment_cohort": design.treatment_cohort,
            "grace_period_days": design.grace_period_days,
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


def _anchor(anchor: Anchor) -> str:
    """Return the same day in terms of the entry into an arm."""
    return "entry_end" if anchor.anchor in ENDS else "entry_start"
