"""All estimates of one study from one workspace: attrition, balance, results, gates."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import duckdb
import numpy as np
import polars as pl
from threadpoolctl import threadpool_limits

from tasks.analysis.arms_strategies import cloned
from tasks.analysis.attrition import ATTRITION_SCHEMA, attrition_rows, attrition_table
from tasks.analysis.balance import BALANCE_SCHEMA, balance_table, max_smd
from tasks.analysis.calibrated import calibrated
from tasks.analysis.characterise import characterise
from tasks.analysis.cohorts import cohort_attrition, cohort_attrition_rows, cohort_rows
from tasks.analysis.controls import (
    Comparison,
    control_counts,
    exposure_counts,
    exposure_effects,
    load_controls,
)
from tasks.analysis.estimates import estimate, stratum
from tasks.analysis.gates import GateVerdict, Judged, judge_gates
from tasks.analysis.people import People, load_members, load_people
from tasks.analysis.populations import Population, PropensityModel, make_populations
from tasks.analysis.sensitivity import detectable_row, sensitivity_rows
from tasks.analysis.sites import site_rows
from tasks.analysis.tables import NO_TABLES, TableEvidence
from tasks.core.errors import EstimationError, Message
from tasks.core.results import result_row
from tasks.core.spec import Analysis, StudySpec
from tasks.stats.propensity import area_under_curve, effective_sample_size, equipoise

Row = dict[str, object]


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """What a study found, before anything is withheld."""

    rows: list[Row]
    attrition: pl.DataFrame
    balance: pl.DataFrame
    gates: list[GateVerdict]
    messages: list[Message] = field(default_factory=list)
    tables: TableEvidence = field(default=NO_TABLES)

    @property
    def all_gates(self) -> list[GateVerdict]:
        """Verdicts on cohorts and on registry tables."""
        return [*self.gates, *self.tables.gates]

    @property
    def all_rows(self) -> list[Row]:
        """Rows of results of cohorts and of registry tables."""
        return [*self.rows, *self.tables.rows]


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """Everybody (`id` None), or a population of the design, with the populations made in it.

    `why` says why an adjustment is missing among `populations`.
    """

    id: str | None
    people: People
    populations: Mapping[str, Population]
    model: PropensityModel | None
    why: str


def describe_cohorts(con: duckdb.DuckDBPyConnection, spec: StudySpec) -> Evidence:
    """Return the cohorts of a study, and what it describes where it compares no arms."""
    parts = [_nothing()]
    with threadpool_limits(limits=1):
        if spec.cohorts:
            attrition = cohort_attrition(con, spec)
            rows = cohort_rows(con, spec) + cohort_attrition_rows(attrition)
            parts.append(Evidence(rows, attrition, pl.DataFrame(schema=BALANCE_SCHEMA), []))
        if spec.characterisation and not spec.has_trial:
            parts.append(replace(_nothing(), rows=characterise(con, spec)))
    return joined(parts)


def compare_arms(con: duckdb.DuckDBPyConnection, spec: StudySpec) -> Evidence:
    """Compare the two arms of a study: all analyses of its cohorts, with their diagnostics.

    Linear algebra runs on one thread: a sum must not depend on how many cores a site has.

    Raises:
        EstimationError: An arm is empty.
    """
    with threadpool_limits(limits=1):
        return _compare(con, spec)


def _nothing() -> Evidence:
    empty = pl.DataFrame(schema=ATTRITION_SCHEMA), pl.DataFrame(schema=BALANCE_SCHEMA)
    return Evidence([], *empty, [])


def joined(parts: list[Evidence]) -> Evidence:
    """Return the evidence of several parts of a study as one; the first brings the tables."""
    return Evidence(
        [row for part in parts for row in part.rows],
        pl.concat([part.attrition for part in parts]),
        pl.concat([part.balance for part in parts]),
        [gate for part in parts for gate in part.gates],
        [message for part in parts for message in part.messages],
        parts[0].tables,
    )


def _compare(con: duckdb.DuckDBPyConnection, spec: StudySpec) -> Evidence:
    """Compare the two arms of a study."""
    people = load_people(con, spec)
    _check_arms(people, spec)
    whole = _group(people, None, spec.adjustments, spec.adjusting(None))
    groups = {None: whole, **_restricted(con, spec, people)}
    attrition = attrition_table(con, spec)
    balance = balance_table(people, whole.populations)
    rows = attrition_rows(attrition, spec) + site_rows(con, spec)
    for group in groups.values():
        rows += _describe(spec, group) + _diagnose(spec, group)
    exposed = exposed_rows(con, spec)
    for analysis in spec.lake_analyses:
        group = groups[analysis.population]
        found = estimate(spec, analysis, _population(group, analysis), group.why)
        rows += found + _beside(con, spec, analysis, group, found, exposed)
    rows += _of_controls(con, spec, whole, exposed)
    rows += characterise(con, spec, whole.populations)
    gates = judge_gates(spec, _judged(spec, groups, balance), rows)
    return Evidence(rows, attrition, balance, gates, _without_a_column(people, spec))


def _population(group: Group, analysis: Analysis) -> Population | None:
    """Return where an analysis is made; nothing where its adjustment could not be."""
    if analysis.rule.takes_start and group.populations:
        return cloned(group.people, analysis.adjustment)
    return group.populations.get("crude" if analysis.adjustment == "none" else analysis.adjustment)


def _beside(
    con: duckdb.DuckDBPyConnection,
    spec: StudySpec,
    analysis: Analysis,
    group: Group,
    found: list[Row],
    exposed: list[Row],
) -> list[Row]:
    """Return what an analysis asks for beside its own rows: calibration, E-values."""
    name = "crude" if analysis.adjustment == "none" else analysis.adjustment
    beside = sensitivity_rows(analysis, found)
    if name in group.populations and not analysis.rule.takes_start:
        beside += detectable_row(analysis, found, group.populations[name].is_target)
    if analysis.calibrate:
        controls = load_controls(con, spec, group.people)
        pairs = [row for row in exposed if row.get("term") == analysis.id]
        comparison = Comparison(group.populations, controls)
        beside += calibrated(spec, analysis, comparison, found, pairs)
    return beside


def _of_controls(
    con: duckdb.DuckDBPyConnection, spec: StudySpec, whole: Group, exposed: list[Row]
) -> list[Row]:
    """Return people and events of every negative control."""
    controls = load_controls(con, spec, whole.people)
    of_outcomes = control_counts(spec, Comparison(whole.populations, controls))
    return of_outcomes + [row for row in exposed if row["estimate_name"] == "count"]


def exposed_rows(con: duckdb.DuckDBPyConnection, spec: StudySpec) -> list[Row]:
    """Return counts of each pair of arms that is a negative control, and what analyses find there.

    Its people, scores and weights are its own; all else is as in the study.
    """
    rows: list[Row] = []
    for schema, pair, alike in spec.exposed:
        people = load_people(con, alike, schema)
        whole = _adjusted_group(people, None, alike)
        groups = {None: whole, **_restricted(con, alike, people, schema)}
        rows += exposure_counts(alike, pair, people)
        for analysis in (a for a in alike.lake_analyses if a.calibrate):
            name = "crude" if analysis.adjustment == "none" else analysis.adjustment
            group = groups[analysis.population]
            population = group.populations.get(name)
            rows += exposure_effects(alike, analysis, pair, population, group.why)
    return rows


def _judged(
    spec: StudySpec, groups: Mapping[str | None, Group], balance: pl.DataFrame
) -> dict[str | None, Judged]:
    """Return what gates look at, by population of the design; `balance` is that of everybody."""
    asks = {analysis.population for g in spec.gates for analysis in spec.bound_by(g)} - {None}
    return {
        name: Judged(
            group.people,
            balance_table(group.people, group.populations) if name in asks else balance,
            group.populations,
            group.model,
        )
        for name, group in groups.items()
    }


def failed_primary(rows: list[Row]) -> list[Row]:
    """Return the rows of primary analyses that could not be estimated."""
    return [
        r
        for r in rows
        if r["role"] == "primary" and r["status"] == "not_estimable" and not _is_beside(r)
    ]


def _is_beside(row: Row) -> bool:
    """Whether a row stands beside an estimate, and is none itself."""
    is_prediction = row.get("term") == "predicted" and row["estimate_name"] == "survival"
    if row["estimate_name"] in _BESIDE or row.get("scenario") in _OTHER_WAYS:
        return True
    return is_prediction or row.get("statistic_name") == "proportional_hazards"


_BESIDE = ("concordance", "median_survival", "quantile")
"""The first is of a model; the others are read off a curve that may never come down so far."""


_OTHER_WAYS = (
    *("naive", "extended_begg_greenes", "begg_greenes_by_model", "inverse_probability"),
    *("multiple_imputation", "not_at_random", "known_reference"),
)
"""Ways to correct accuracy that stand beside that of Begg and Greenes, or beside each other."""


def _check_arms(people: People, spec: StudySpec) -> None:
    for is_target, arm in ((True, spec.trial.target), (False, spec.trial.comparator)):
        if not (people.is_target == is_target).any():
            raise EstimationError(
                f"{spec.study.id}: arm {arm.id}",
                "nobody is left in it",
                "read the attrition in the workspace, then widen the design or add data.",
            )


def _group(
    people: People,
    stratum_id: str | None,
    adjustments: tuple[str, ...],
    options: Mapping[str, Analysis],
) -> Group:
    """Make the populations of some people: a propensity model of their own, fitted in them."""
    populations, model = make_populations(people, adjustments, options)
    why = "the propensity model could not be fitted"
    if adjustments and model is None:
        why += _separating(people)
    return Group(stratum_id, people, populations, model, why)


def _separating(people: People) -> str:
    """Name the covariates of which somebody has a level in one arm only: they end the model."""
    arms = (people.matrix[people.is_target], people.matrix[~people.is_target])
    in_target, in_comparator = (np.asarray(abs(arm).sum(axis=0)).ravel() > 0 for arm in arms)
    alone = {
        covariate.id.partition("=")[0]
        for covariate, one, other in zip(people.covariates, in_target, in_comparator, strict=True)
        if covariate.is_binary and one != other
    }
    if not alone:
        return ""
    named = ", ".join(sorted(alone))
    return (
        f": levels of {named} occur in one arm only (raise min_share, take a coarser unit or "
        "wider bands, or leave the covariate out)"
    )


def _without_a_column(people: People, spec: StudySpec) -> list[Message]:
    """Name the covariates that the study asks for and of which nothing is left to adjust for."""
    made = {covariate.id.partition("=")[0] for covariate in people.covariates}
    what = "nobody, or everybody, has it in the window: it adjusts for nothing"
    fix = "check code lists, window and min_share; Charlson's own codes are of ICD-10 and KCD."
    return [
        Message("W_COVARIATE_EMPTY", f"{spec.study.id}: covariate {asked.id}", what, fix)
        for asked in spec.covariates
        if asked.id not in made
    ]


def _restricted(
    con: duckdb.DuckDBPyConnection, spec: StudySpec, people: People, schema: str = "cohort"
) -> dict[str | None, Group]:
    """Return the populations of the design that analyses ask for, in the order of the design."""
    used = {analysis.population for analysis in spec.analyses}
    found: dict[str | None, Group] = {}
    for population in spec.trial.design.populations:
        if population.id in used:
            some = people.only(load_members(con, population.id, schema))
            found[population.id] = _adjusted_group(some, population.id, spec)
    return found


def _adjusted_group(people: People, population: str | None, spec: StudySpec) -> Group:
    """Make the populations that analyses of some people ask for; none where an arm is empty."""
    if people.is_target.any() and not people.is_target.all():
        adjustments, options = spec.adjustments_in(population), spec.adjusting(population)
        return _group(people, population, adjustments, options)
    why = "an arm has nobody" + (f" in population {population}" if population else "")
    return Group(population, people, {}, None, why)


def _common(spec: StudySpec, group: Group, population: Population) -> Row:
    return {
        "target": spec.trial.target.id,
        "comparator": spec.trial.comparator.id,
        "population": population.name,
        "estimand": population.estimand,
        "unit_of_analysis": "person",
        **stratum(group.id),
    }


def _describe(spec: StudySpec, group: Group) -> list[Row]:
    """People, outcomes and person-days of each arm, in each population that leaves people out."""
    names = {True: spec.trial.target.id, False: spec.trial.comparator.id}
    return [
        result_row(
            "follow_up",
            "descriptive",
            "count",
            method="count",
            outcome=spec.trial.outcome.id,
            arm=names[is_target],
            unit="persons",
            estimate=float(arm.rows.size),
            n=int(arm.rows.size),
            n_events=int(arm.has_outcome.sum()),
            person_time=float(arm.follow_up_days.sum()),
            note="person_time in days",
            **_common(spec, group, population),
        )
        for population in group.populations.values()
        if population.name == "crude" or population.rows.size < group.people.person_id.size
        for is_target in (True, False)
        for arm in (population.arm(is_target),)
    ]


def _diagnose(spec: StudySpec, group: Group) -> list[Row]:
    people, model = group.people, group.model
    if not people.covariates or not group.populations:
        return []
    balance = balance_table(people, group.populations)
    rows = [
        result_row(
            "balance",
            "descriptive",
            "max_smd",
            method="balance",
            estimate=max_smd(balance, "none" if name == "crude" else name),
            n=int(population.rows.size),
            **_common(spec, group, population),
        )
        for name, population in group.populations.items()
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
            **_common(spec, group, group.populations["crude"]),
        )
        for name, value in found.items()
    ]
    return rows + _sizes(spec, group)


def _sizes(spec: StudySpec, group: Group) -> list[Row]:
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
            **_common(spec, group, population),
        )
        for population in group.populations.values()
        for is_target in (True, False)
        for arm in (population.arm(is_target),)
        if arm.weights is not None and np.all(np.isfinite(arm.weights))
    ]
