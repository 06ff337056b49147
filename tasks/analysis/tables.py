"""All estimates of a study's registry tables: one function a kind of table and method."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import duckdb
import numpy as np
import polars as pl
from threadpoolctl import threadpool_limits

from tasks.analysis.attrition import ATTRITION_SCHEMA
from tasks.analysis.gates import GateVerdict, judge_table_gates
from tasks.analysis.readings.accuracy import accuracy, accuracy_of_tables
from tasks.analysis.readings.accuracy_meta import accuracy_meta
from tasks.analysis.readings.agreement import reader_agreement
from tasks.analysis.readings.calibration import calibration
from tasks.analysis.readings.centres_out import leave_one_centre_out
from tasks.analysis.readings.decision_curve import decision_curve
from tasks.analysis.readings.latent import latent_class
from tasks.analysis.readings.mrmc import reader_study
from tasks.analysis.readings.operating_point import operating_point
from tasks.analysis.readings.reading_time import reading_times
from tasks.analysis.readings.roc import roc
from tasks.analysis.readings.verification import verification_bias
from tasks.analysis.sensitivity import sensitivity_rows
from tasks.analysis.table_asked import AskedOfTable, Row, events_of, outcome_sd
from tasks.analysis.table_bias import bias_analysis
from tasks.analysis.table_causal import (
    adjusted_rows,
    instrumental_variable,
    mean_difference,
    structural_mean,
    targeted_learning,
)
from tasks.analysis.table_curves import gray_tests, hazard_curves
from tasks.analysis.table_describe import describe
from tasks.analysis.table_effects import calibrated_effects, e_values
from tasks.analysis.table_hazards import fine_gray_model
from tasks.analysis.table_landmark import from_landmark
from tasks.analysis.table_meta import pooled_effects
from tasks.analysis.table_missing import analyse_with_missing
from tasks.analysis.table_models import cox_model
from tasks.analysis.table_parametric import parametric_models
from tasks.analysis.table_planned import planned_rows
from tasks.analysis.table_regression import (
    gee_model,
    linear_model,
    logistic_regression,
    negative_binomial_model,
    poisson_model,
)
from tasks.analysis.table_risk import risks
from tasks.analysis.table_rows import attrition_of, attrition_results, read_rows
from tasks.analysis.table_series import difference_in_differences, interrupted_time_series
from tasks.analysis.table_subgroups import subgroup_rows
from tasks.analysis.table_survival import (
    incidence_curves,
    incidence_rates,
    kaplan_meier_curves,
    log_rank_test,
    restricted_means,
)
from tasks.analysis.table_survival_effects import doubly_robust, standardised
from tasks.analysis.table_time import clone_censor_weights
from tasks.analysis.table_trials import nested_trials
from tasks.core.errors import EstimationError
from tasks.core.spec import StudySpec
from tasks.core.spec.table_fields import may_lack

TableMethod = Callable[[AskedOfTable], list[Row]]

METHODS: Mapping[str, Mapping[str, TableMethod]] = {
    "analysis_table": {
        "cox": cox_model,
        "fine_gray": fine_gray_model,
        "logistic": logistic_regression,
        "kaplan_meier": kaplan_meier_curves,
        "nelson_aalen": hazard_curves,
        "log_rank": log_rank_test,
        "gray_test": gray_tests,
        "rmst": restricted_means,
        "cumulative_incidence": incidence_curves,
        "incidence_rate": incidence_rates,
        "parametric_survival": parametric_models,
        "risk": risks,
        "linear": linear_model,
        "poisson": poisson_model,
        "negative_binomial": negative_binomial_model,
        "gee": gee_model,
        "clone_censor_weight": clone_censor_weights,
        "sequential_trials": nested_trials,
        "bias_analysis": bias_analysis,
        "describe": describe,
        "mean_difference": mean_difference,
        "g_computation": standardised,
        "aipw": doubly_robust,
        "tmle": targeted_learning,
        "g_estimation": structural_mean,
        "instrumental_variable": instrumental_variable,
    },
    "reading_table": {
        "accuracy": accuracy,
        "roc": roc,
        "operating_point": operating_point,
        "mrmc": reader_study,
        "agreement": reader_agreement,
        "reading_time": reading_times,
        "verification_bias": verification_bias,
        "latent_class": latent_class,
        "calibration": calibration,
        "decision_curve": decision_curve,
        "accuracy_meta": accuracy_meta,
        "leave_one_centre_out": leave_one_centre_out,
        "describe": describe,
    },
    "two_by_two_table": {
        "accuracy": accuracy_of_tables,
        "accuracy_meta": accuracy_meta,
        "leave_one_centre_out": leave_one_centre_out,
        "describe": describe,
    },
    "effect_table": {
        "describe": describe,
        "empirical_calibration": calibrated_effects,
        "e_value": e_values,
        "meta_analysis": pooled_effects,
        "bias_analysis": bias_analysis,
    },
    "cost_history_table": {"describe": describe},
    "psa_table": {"describe": describe},
    "series_table": {
        "interrupted_time_series": interrupted_time_series,
        "difference_in_differences": difference_in_differences,
        "describe": describe,
    },
}
"""The methods of each kind; `tasks.core.spec.methods` names the same."""


@dataclass(frozen=True, slots=True, eq=False)
class TableEvidence:
    """What the registry tables of a study show, before anything is withheld."""

    rows: list[Row]
    attrition: pl.DataFrame
    gates: list[GateVerdict] = field(default_factory=list)


NO_TABLES = TableEvidence([], pl.DataFrame(schema=ATTRITION_SCHEMA))


def analyse_tables(con: duckdb.DuckDBPyConnection, spec: StudySpec) -> TableEvidence:
    """Estimate everything that a study asks of its registry tables.

    Args:
        con: The workspace, with the tables that `tasks.cohort.tables` has made.
        spec: The study.
    """
    found: list[Row] = []
    judged: list[tuple[AskedOfTable, list[Row]]] = []
    steps = [NO_TABLES.attrition]
    with threadpool_limits(limits=1):
        for analysis, source in spec.table_analyses:
            if analysis.missing_data is not None:
                lost, made = analyse_with_missing(con, source, analysis, _estimated)
                steps.append(lost)
                found += made
                continue
            rows = from_landmark(read_rows(con, source, analysis, may_lack(source, analysis)))
            attrition = attrition_of(rows)
            steps.append(attrition)
            found += attrition_results(rows, attrition)
            asked = AskedOfTable(con, rows)
            estimates = _estimated(asked)
            found += estimates + planned_rows(asked)
            judged.append((asked, estimates))
    gates = [
        verdict
        for asked, estimates in judged
        for verdict in judge_table_gates(
            spec, asked.analysis, asked.sizes(), events_of(asked.rows), estimates, found
        )
    ]
    return TableEvidence(found, pl.concat(steps), gates)


def _estimated(asked: AskedOfTable) -> list[Row]:
    """Return the rows of one analysis; a row that says why where it cannot be estimated."""
    try:
        if not asked.rows.n:
            fix = "read the attrition: it tells why rows are left out."
            raise EstimationError(asked.rows.source.id, "no row of the table can be used", fix)
        return _made(asked)
    except EstimationError as exc:
        note = f"{exc.where}: {exc.what}"
    except (ArithmeticError, np.linalg.LinAlgError):
        note = f"{asked.analysis.method}: a number is too large, too small or constant to go on"
    return [asked.row(asked.analysis.rule.estimate, status="not_estimable", note=note)]


def _has_effects(asked: AskedOfTable) -> bool:
    """Whether subgroups are made of effects of treatment; other methods make their own."""
    return bool(asked.analysis.subgroups) and asked.rows.source.kind == "analysis_table"


def _made(asked: AskedOfTable) -> list[Row]:
    run = METHODS[asked.rows.source.kind][asked.analysis.method]
    found = run(asked) if asked.analysis.adjustment == "none" else adjusted_rows(asked, run)
    beside = subgroup_rows(asked, _estimated) if _has_effects(asked) else []
    return found + beside + sensitivity_rows(asked.analysis, found, outcome_sd(asked.rows))
