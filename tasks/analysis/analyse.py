"""All estimates of one study from one workspace: attrition, balance, results, gates."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import duckdb
import numpy as np
import polars as pl
from threadpoolctl import threadpool_limits

from tasks.analysis.attrition import ATTRITION_SCHEMA, attrition_rows, attrition_table
from tasks.analysis.balance import BALANCE_SCHEMA, balance_table, max_smd
from tasks.analysis.characterise import characterise
from tasks.analysis.cohorts import cohort_attrition, cohort_attrition_rows, cohort_rows
from tasks.analysis.estimates import estimate
from tasks.analysis.gates import GateVerdict, judge_gates
from tasks.analysis.people import People, load_people
from tasks.analysis.populations import Population, PropensityModel, make_populations
from tasks.analysis.sites import site_rows
from tasks.analysis.tables import NO_TABLES, TableEvidence
from tasks.core.errors import EstimationError
from tasks.core.results import result_row
from tasks.core.spec import StudySpec
from tasks.stats.propensity import area_under_curve, effective_sample_size, equipoise

Row = dict[str, object]


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """What a study found, before anything is withheld."""

    rows: list[Row]
    attrition: pl.DataFrame
    balance: pl.DataFrame
    gates: list[GateVerdict]
    tables: TableEvidence = field(default=NO_TABLES)

    @property
    def all_rows(self) -> list[Row]:
        """Rows of results of cohorts and of registry tables."""
        return [*self.rows, *self.tables.rows]


def analyse(con: duckdb.DuckDBPyConnection, spec: StudySpec) -> Evidence:
    """Estimate everything that the study asks for.

    Linear algebra runs on one thread: a sum must not depend on how many cores a site has.

    Raises:
        EstimationError: An arm is empty.
    """
    with threadpool_limits(limits=1):
        parts = []
        if spec.cohorts:
            attrition = cohort_attrition(con, spec)
            rows = cohort_rows(con, spec) + cohort_attrition_rows(attrition)
            parts.append(Evidence(rows, attrition, pl.DataFrame(schema=BALANCE_SCHEMA), []))
        if spec.has_trial:
            parts.append(_compare(con, spec))
        elif spec.characterisation:
            parts.append(_only_describe(con, spec))
    return joined(parts)


def joined(parts: list[Evidence]) -> Evidence:
    """Return the evidence of several parts of a study as one."""
    return Evidence(
        [row for part in parts for row in part.rows],
        pl.concat([part.attrition for part in parts]),
        pl.concat([part.balance for part in parts]),
        [gate for part in parts for gate in part.gates],
    )


def _only_describe(con: duckdb.DuckDBPyConnection, spec: StudySpec) -> Evidence:
    """Describe what a study without a comparison asks for."""
    nothing = pl.DataFrame(schema=ATTRITION_SCHEMA), pl.DataFrame(schema=BALANCE_SCHEMA)
    return Evidence(characterise(con, spec), *nothing, [])


def _compare(con: duckdb.DuckDBPyConnection, spec: StudySpec) -> Evidence:
    """Compare the two arms of a study."""
    people = load_people(con, spec)
    _check_arms(people, spec)
    populations, model = make_populations(people, spec.adjustments)
    attrition = attrition_table(con, spec)
    balance = balance_table(people, populations)
    rows = attrition_rows(attrition, spec) + _describe(spec, populations)
    rows += site_rows(con, spec)
    rows += _diagnose(spec, people, populations, model, balance)
    for analysis in spec.lake_analyses:
        name = "crude" if analysis.adjustment == "none" else analysis.adjustment
        rows += estimate(spec, analysis, populations.get(name))
    rows += characterise(con, spec, populations)
    gates = judge_gates(spec.gates, people, balance, model)
    return Evidence(rows, attrition, balance, gates)


def failed_primary(rows: list[Row]) -> list[Row]:
    """Return the rows of primary analyses that could not be estimated."""
    return [r for r in rows if r["role"] == "primary" and r["status"] == "not_estimable"]


def _check_arms(people: People, spec: StudySpec) -> None:
    for is_target, arm in ((True, spec.trial.target), (False, spec.trial.comparator)):
        if not (people.is_target == is_target).any():
            raise EstimationError(
                f"{spec.study.id}: arm {arm.id}",
                "nobody is left in it",
                "read the attrition in the workspace, then widen the design or add data.",
            )


def _common(spec: StudySpec, population: Population) -> Row:
    return {
        "target": spec.trial.target.id,
        "comparator": spec.trial.comparator.id,
        "population": population.name,
        "estimand": population.estimand,
        "unit_of_analysis": "person",
    }


def _describe(spec: StudySpec, populations: Mapping[str, Population]) -> list[Row]:
    """People, outcomes and person-days of each arm, in each population that leaves people out."""
    names = {True: spec.trial.target.id, False: spec.trial.comparator.id}
    return [
        result_row(
            "follow_up",
            "descriptive",
            "count",
            method="count",
            outcome=spec.trial.outcome.code_list,
            arm=names[is_target],
            unit="persons",
            estimate=float(arm.rows.size),
            n=int(arm.rows.size),
            n_events=int(arm.has_outcome.sum()),
            person_time=float(arm.follow_up_days.sum()),
            note="person_time in days",
            **_common(spec, population),
        )
        for population in populations.values()
        if population.name in {"crude", "matched"}
        for is_target in (True, False)
        for arm in (population.arm(is_target),)
    ]


def _diagnose(
    spec: StudySpec,
    people: People,
    populations: Mapping[str, Population],
    model: PropensityModel | None,
    balance: pl.DataFrame,
) -> list[Row]:
    rows = [
        result_row(
            "balance",
            "descriptive",
            "max_smd",
            method="balance",
            estimate=max_smd(balance, "none" if name == "crude" else name),
            n=int(population.rows.size),
            **_common(spec, population),
        )
        for name, population in populations.items()
        if people.covariates
    ]
    if model is None:
        return rows
    found = {
        "auc": float(area_under_curve(model.score, people.is_target)),
        "equipoise": float(equipoise(model.score, people.is_target)),
    }
    note = f"{model.used.size} covariates used; redundant: {', '.join(model.dropped) or 'none'}"
    rows += [
        result_row(
            "propensity",
            "descriptive",
            name,
            method="propensity",
            estimate=value,
            n=int(people.is_target.size),
            note=note,
            **_common(spec, populations["crude"]),
        )
        for name, value in found.items()
    ]
    return rows + _sizes(spec, populations)


def _sizes(spec: StudySpec, populations: Mapping[str, Population]) -> list[Row]:
    """Effective sample size of each arm in each weighted population."""
    names = {True: spec.trial.target.id, False: spec.trial.comparator.id}
    return [
        result_row(
            "propensity",
            "descriptive",
            "ess",
            method="propensity",
            arm=names[is_target],
            unit="persons",
            estimate=float(effective_sample_size(arm.weights)),
            n=int(arm.rows.size),
            **_common(spec, population),
        )
        for population in populations.values()
        for is_target in (True, False)
        for arm in (population.arm(is_target),)
        if arm.weights is not None and np.all(np.isfinite(arm.weights))
    ]
