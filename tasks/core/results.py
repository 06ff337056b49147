"""The results table: one row an estimate, one schema, one vocabulary, one place.

Report, dossier, site bundle and tests read results.parquet; nothing else holds an estimate.
A ratio is stored as itself with its standard error on the log scale. Withheld is never 0: the
number is null and `status` is `suppressed`.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq

from tasks.core.errors import CausewayError

TEXT, NUMBER, WHOLE = pl.String(), pl.Float64(), pl.Int64()

_IDENTITY = ("study_id", "spec_hash", "run_id")
_WHAT = (
    "population target comparator arm strategy outcome site_id model_version unit_of_analysis "
    "stratum_name stratum_level estimand method inference_space scenario perspective price_year "
    "term"
).split()

SCHEMA: dict[str, pl.DataType] = {
    **dict.fromkeys(_IDENTITY, TEXT),
    "snapshot_id": WHOLE,
    "data_cutoff": TEXT,
    "analysis_id": TEXT,
    "role": TEXT,
    **dict.fromkeys(_WHAT, TEXT),
    "estimate_name": TEXT,
    "at": NUMBER,
    "at_kind": TEXT,
    "at2": NUMBER,
    "at2_kind": TEXT,
    "unit": TEXT,
    "estimate": NUMBER,
    "estimate_scale": TEXT,
    "std_error": NUMBER,
    "se_scale": TEXT,
    "se_method": TEXT,
    "ci_low": NUMBER,
    "ci_high": NUMBER,
    "ci_level": NUMBER,
    "ci_method": TEXT,
    "statistic_name": TEXT,
    "statistic": NUMBER,
    "df1": NUMBER,
    "df2": NUMBER,
    "p_value": NUMBER,
    "margin": NUMBER,
    "alternative": TEXT,
    "mcse": NUMBER,
    "n": WHOLE,
    "n_events": WHOLE,
    "person_time": NUMBER,
    "n_clusters": WHOLE,
    "n_sites": WHOLE,
    "information_fraction": NUMBER,
    "status": TEXT,
    "note": TEXT,
}

ROLES = ("primary", "secondary", "sensitivity", "exploratory", "replication", "descriptive")
STATUSES = ("ok", "suppressed", "blinded", "not_estimable")

VOCABULARY: dict[str, tuple[str, ...]] = {
    "survival and effects": tuple(
        "hazard_ratio subdistribution_hazard_ratio survival cumulative_incidence median_survival "
        "rmst rmst_difference rmst_ratio rmtl rmtl_difference rmtl_ratio "
        "risk risk_difference risk_ratio odds_ratio nnt "
        "incidence_rate rate_ratio rate_difference mean mean_difference ate att ato coefficient "
        "test cumulative_hazard quantile n_at_risk concordance log_likelihood aic bic smd max_smd "
        "ess equipoise e_value ease mdrr tipping_point level_change slope_change att_group_time "
        "count".split()
    ),
    "validation": tuple(
        "sensitivity specificity ppv npv lr_positive lr_negative accuracy balanced_accuracy f1 "
        "partial_auc_difference operating_threshold "
        "prevalence auc partial_auc auc_difference sensitivity_difference specificity_difference "
        "diagnostic_odds_ratio net_benefit net_intervention_avoided calibration_slope "
        "calibration_intercept brier ici eci oe_ratio verified_fraction failure_rate "
        "indeterminate_rate kappa icc reading_time ppv_difference npv_difference "
        "accuracy_difference balanced_accuracy_difference f1_difference lr_positive_ratio "
        "lr_negative_ratio diagnostic_odds_ratio_ratio var_reader var_reader_modality var_error "
        "cov1 cov2 cov3 weighted_kappa ac1 percent_agreement agreement_limit "
        "reading_time_difference reading_time_ratio calibration_curve scaled_brier e50 e90 emax "
        "net_benefit_difference standardised_net_benefit".split()
    ),
    "pooling": tuple(
        "tau2 i2 q h2 prediction_low prediction_high logit_sensitivity logit_fpr fpr rho tau2_sens "
        "tau2_fpr egger sauc weight r2".split()
    ),
    "economics": tuple(
        "mean_cost mean_qaly life_years incremental_cost incremental_qaly icer nmb inmb nhb inhb "
        "prob_cost_effective ceaf_optimal quadrant_probability evpi evppi evsi threshold_price "
        "eligible_population budget_impact".split()
    ),
    "balance": ("variance_ratio", "ks_statistic"),
    "data": ("mapped_fraction",),
    "description": ("proportion", "missing_fraction", "record_fraction"),
    "adoption and safety": tuple(
        "eligible run shown acted_upon overridden uptake time_to_report downtime consent_ratio "
        "claims_ratio adverse_event_rate".split()
    ),
}
ESTIMATE_NAMES = frozenset(name for names in VOCABULARY.values() for name in names)

_SORT = (
    "analysis_id role method estimate_name site_id population arm term stratum_name stratum_level "
    "scenario at at2 se_method ci_method statistic_name"
).split()
_NUMBERS = (
    "estimate",
    "std_error",
    "ci_low",
    "ci_high",
    "statistic",
    "df2",
    "p_value",
    "n",
    "n_events",
    "person_time",
)

Row = Mapping[str, object]
UNBOUNDED: Row = {
    "status": "not_estimable",
    "note": "no finite value: the side that it is compared with has no event",
}
"""What a row says of a contrast that is infinite."""
AT_RISK = "at_risk"
"""Key of a row beside the columns: persons at risk at a step, for disclosure control alone."""
BEHIND = "behind"
"""Another: counts of persons or events that a number rests on and no column holds."""
OBSERVED_MEAN = "observed_mean"
"""Statistic of a row that is one period of a series as it was observed, not as it was fitted."""
DAYS = "days"
"""Another: by column that holds a day, how many had the event by then, and were at risk then."""
CELLS = "cells"
"""Another: counts of the periods and sites that a number is of; few of one withhold its row."""
POINT = "point"
"""Another: counts behind a point of a curve: those acted on, or beyond it, with k or more of each;
then those that are not, none or k. Points are shown together, where none tells of few."""
PART = "part"
"""Another: that a row is one of the parts that add up to what the other rows are of."""
ROC_COUNTS = "roc_counts"
"""Another: of points of ROC curves, diseased and healthy cases at or above each, and of all."""
ASIDE = "aside"
"""Another: counts of cases that a row counts otherwise than the study does; few withhold it."""
LEVELS = "levels"
"""Another: by use (`terms`, `balance`), rows with each level of a column, as counts by column."""


class ResultsContractError(CausewayError):
    """A row does not fit the results contract; a fault of the code, never of the data."""

    default_code = "E_RESULTS_CONTRACT"


def result_row(
    analysis_id: str, role: str, estimate_name: str, **values: object
) -> dict[str, object]:
    """Return one checked row of the results table.

    Args:
        analysis_id: Name of the analysis in the study.
        role: One of ROLES.
        estimate_name: A word of VOCABULARY.
        **values: Any other column of SCHEMA; `status` is `ok` unless told.

    Raises:
        ResultsContractError: A column, role, status or estimate name is not in the contract.
    """
    row = {"site_id": "pooled", "status": "ok", **values}
    row |= {"analysis_id": analysis_id, "role": role, "estimate_name": estimate_name}
    unknown = sorted(row.keys() - SCHEMA.keys())
    if unknown or role not in ROLES or row["status"] not in STATUSES:
        raise _broken(analysis_id, f"columns {unknown}, role {role!r}, status {row['status']!r}")
    if estimate_name not in ESTIMATE_NAMES:
        raise _broken(analysis_id, f"estimate name {estimate_name!r} is not in the vocabulary")
    return row


def results_frame(rows: Iterable[Row], identity: Mapping[str, object]) -> pl.DataFrame:
    """Return rows as the results table, in an order that depends on their content alone.

    Args:
        rows: Rows made by `result_row`.
        identity: study_id, spec_hash, run_id, snapshot_id, data_cutoff; the same in every row.
    """
    frame = pl.DataFrame([{**row, **identity} for row in rows], schema=SCHEMA, strict=False)
    return frame.sort(_SORT, nulls_last=False, maintain_order=True)


def withheld(row: Row) -> dict[str, object]:
    """Return the row with every number taken out and `status` suppressed."""
    return {**row, **dict.fromkeys(_NUMBERS), "status": "suppressed"}


def write_table(frame: pl.DataFrame, file: Path) -> None:
    """Write a frame as Parquet whose bytes depend on its content alone."""
    pq.write_table(frame.to_arrow(), file, compression="zstd", store_schema=False)


def read_results(folder: Path) -> pl.DataFrame:
    """Return results.parquet of a run folder."""
    return pl.read_parquet(folder / "results.parquet")


def _broken(analysis_id: str, what: str) -> ResultsContractError:
    fix = "correct the analysis, or extend tasks/core/results.py."
    return ResultsContractError(
        f"analysis {analysis_id}", f"breaks the results contract: {what}", fix
    )
