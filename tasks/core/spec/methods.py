"""Every method of `analyses`: what it takes, and what it may and must be told.

One table, read by the checks of a study, by the fields of a registry table and by the analysis.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Outcome = Literal[
    "none", "time", "binary", "number", "binary or number", "count or time", "outcome or time"
]


@dataclass(frozen=True, slots=True)
class MethodRule:
    """One method.

    Args:
        estimate: The estimate name of the row that says why nothing can be estimated.
        kinds: Kinds of registry tables that it analyses.
        outcome: Which roles of an analysis table it reads: follow-up and event, or the outcome,
            coded 0 and 1 (`binary`) or declared a number (`number`); `count or time` is the
            outcome where the table has one, else events and person-time; `outcome or time`
            is the outcome, or follow-up where days are asked for or the table has no outcome.
        keys: Keys of an analysis that it uses besides those of all methods.
        table_needs: Keys without which it cannot analyse a table.
        lake_needs: Keys without which it cannot analyse cohorts of the lake.
        lake_estimate: The same for the arms of a study of the lake; empty where it compares none.
        is_grouped: It compares or shows the levels of `by`.
        takes_weights: It takes the weights of a table, and weighted arms.
        takes_entry: It takes rows with a late entry, and intervals.
        adjusts: It takes an `adjustment` of a table's treatment.
        models_groups: With `terms` its groups are those of `by` alone: a treatment is a term.
        takes_start: It reads when treatment started: the role treatment_start.
        reads: Fields of a reading table that it uses, where the table has them, besides the
            case and its truth.
        may_lack: Those of them that a row may lack.
    """

    estimate: str
    kinds: tuple[str, ...] = ("analysis_table",)
    outcome: Outcome = "time"
    keys: tuple[str, ...] = ()
    table_needs: tuple[str, ...] = ()
    lake_needs: tuple[str, ...] = ()
    lake_estimate: str = ""
    is_grouped: bool = False
    takes_weights: bool = True
    takes_entry: bool = False
    adjusts: bool = False
    models_groups: bool = False
    takes_start: bool = False
    reads: tuple[str, ...] = ()
    may_lack: tuple[str, ...] = ()

    @property
    def of_lake(self) -> bool:
        """Whether it compares the arms of a study of the lake."""
        return bool(self.lake_estimate)


ALL_KINDS = (
    "analysis_table",
    "reading_table",
    "two_by_two_table",
    "effect_table",
    "cost_history_table",
    "psa_table",
    "series_table",
)

_GEE = ("terms", "family", "correlation", "cluster")
OF_LOSS = ("censoring_terms", "replicates", "seed", "bootstrap_interval")
"""Keys of a method that may weight for informative loss to follow-up."""
_EITHER: Outcome = "binary or number"
_OR_TIME: Outcome = "outcome or time"
OF_SURVIVAL = ("table_days", "horizon_days", "ties", "model_per_arm")
"""Keys of a method of an outcome that are used where it follows persons instead."""
_SCORE = ("propensity", "show_propensity", "score_penalty", "trim")
_OF_SCORE = ("propensity", "show_propensity")
ADJUSTMENT_OPTIONS: Mapping[str, tuple[str, ...]] = {
    "none": (),
    "iptw_ate": (*_SCORE, "stabilised", "truncate"),
    "iptw_att": (*_SCORE, "stabilised", "truncate"),
    "overlap": _SCORE,
    "matched": (*_SCORE, "caliper_sd", "ratio", "exact"),
    "stratified": (*_SCORE, "n_strata"),
    "entropy_balanced": ("propensity",),
    "initiation_weights": (),
}
"""The keys of an analysis that each adjustment uses."""
ADJUSTMENT_KEYS = tuple(dict.fromkeys(key for keys in ADJUSTMENT_OPTIONS.values() for key in keys))
INITIATION = "initiation_weights"
"""The adjustment of strategies with a grace period: for who starts when."""
WEIGHTED = ("iptw_ate", "iptw_att", "overlap", "entropy_balanced")

_WHOSE = ("person_id", "reader", "modality", "site", "weight")
_READ_BY = ("person_id", "reader", "modality", "site")
_CONDUCT = ("reference_standard", "reference_uses_index", "reference_delay_days", "treated_between")

RULES: Mapping[str, MethodRule] = {
    "cox": MethodRule(
        "hazard_ratio",
        keys=(
            *("ties", "std_error", "terms", "strata", "cluster", "predict", "penalty"),
            *("landmark_days", "replicates", "seed", "bootstrap_interval"),
        ),
        table_needs=("ties", "terms"),
        lake_needs=("ties", "std_error"),
        lake_estimate="hazard_ratio",
        takes_entry=True,
        adjusts=True,
    ),
    "fine_gray": MethodRule(
        "subdistribution_hazard_ratio",
        keys=("terms", "variant", "strata", "cluster"),
        table_needs=("terms", "variant"),
        lake_needs=("variant",),
        lake_estimate="subdistribution_hazard_ratio",
    ),
    "logistic": MethodRule(
        "odds_ratio",
        outcome="binary",
        keys=("terms", "std_error", "hc", "cluster", "cr"),
        table_needs=("terms",),
    ),
    "kaplan_meier": MethodRule(
        "survival",
        keys=(
            *("table_days", "by", "conf_type", "quantiles", "landmark_days", "cluster"),
            *("std_error", *OF_LOSS),
        ),
        lake_estimate="survival",
        is_grouped=True,
        takes_entry=True,
        adjusts=True,
    ),
    "nelson_aalen": MethodRule(
        "cumulative_hazard",
        keys=("table_days", "by", "conf_type", "variance", "ctype", "landmark_days", "cluster"),
        lake_estimate="cumulative_hazard",
        is_grouped=True,
        takes_entry=True,
    ),
    "log_rank": MethodRule(
        "test",
        keys=("strata", "by", "rho", "gamma", "weighting", "landmark_days"),
        lake_estimate="test",
        is_grouped=True,
        takes_weights=False,
        takes_entry=True,
        adjusts=True,
    ),
    "gray_test": MethodRule(
        "test",
        keys=("strata", "by", "rho", "landmark_days"),
        lake_estimate="test",
        is_grouped=True,
        takes_weights=False,
    ),
    "rmst": MethodRule(
        "rmst",
        keys=("horizon_days", "by", "terms", "landmark_days", "std_error", *OF_LOSS),
        table_needs=("horizon_days",),
        lake_needs=("horizon_days",),
        lake_estimate="rmst_difference",
        is_grouped=True,
        takes_entry=True,
        adjusts=True,
    ),
    "cumulative_incidence": MethodRule(
        "cumulative_incidence",
        keys=(
            *("table_days", "by", "conf_type", "variance", "landmark_days"),
            *("std_error", "replicates", "seed", "bootstrap_interval"),
        ),
        lake_estimate="cumulative_incidence",
        is_grouped=True,
        takes_entry=True,
        adjusts=True,
    ),
    "incidence_rate": MethodRule(
        "incidence_rate",
        keys=("by",),
        lake_estimate="rate_ratio",
        is_grouped=True,
        takes_weights=False,
        takes_entry=True,
    ),
    "parametric_survival": MethodRule(
        "coefficient",
        keys=(
            "distribution",
            "distributions",
            "terms",
            "by",
            "horizon_days",
            "table_days",
            "std_error",
            "cluster",
        ),
        is_grouped=True,
        takes_entry=True,
        models_groups=True,
    ),
    "risk": MethodRule("risk", outcome="binary", keys=("by", "cluster", "strata"), is_grouped=True),
    "linear": MethodRule(
        "coefficient",
        outcome="number",
        keys=("terms", "std_error", "hc", "cluster", "cr", "interval"),
        table_needs=("terms",),
    ),
    "poisson": MethodRule(
        "rate_ratio",
        outcome="count or time",
        keys=("terms", "exposure", "std_error", "hc", "cluster", "cr"),
        table_needs=("terms",),
        takes_entry=True,
    ),
    "negative_binomial": MethodRule(
        "rate_ratio",
        outcome="count or time",
        keys=("terms", "exposure", "std_error", "hc", "cluster", "cr"),
        table_needs=("terms",),
        takes_entry=True,
    ),
    "gee": MethodRule(
        "coefficient",
        outcome="binary or number",
        keys=(*_GEE, "small_sample", "exposure", "wave", "interval"),
        table_needs=_GEE,
    ),
    "interrupted_time_series": MethodRule(
        "level_change",
        kinds=("series_table",),
        outcome="none",
        keys=("family", "season_terms", "season_period", "lag"),
        table_needs=("family",),
    ),
    "difference_in_differences": MethodRule(
        "att",
        kinds=("series_table",),
        outcome="none",
        keys=("controls", "inference", "draws", "seed", "alpha"),
        table_needs=("controls", "inference"),
    ),
    "clone_censor_weight": MethodRule(
        "risk_difference",
        keys=(
            *("grace_days", "terms", "table_days", "horizon_days", "truncate_weights"),
            *("interval_days", "replicates", "seed", "bootstrap_interval"),
        ),
        table_needs=("grace_days", "seed"),
        lake_needs=("seed",),
        lake_estimate="risk_difference",
        takes_start=True,
        takes_entry=True,
    ),
    "sequential_trials": MethodRule(
        "hazard_ratio",
        keys=("interval_days", "terms", "ties", "truncate_weights"),
        table_needs=("interval_days", "terms", "ties"),
        takes_weights=False,
        takes_entry=True,
    ),
    "empirical_calibration": MethodRule(
        "ease",
        kinds=("effect_table",),
        outcome="none",
        keys=("control", "measure"),
        table_needs=("control",),
    ),
    "meta_analysis": MethodRule(
        "coefficient",
        kinds=("effect_table",),
        outcome="none",
        keys=(
            *("pooling", "measure", "transformation", "knapp_hartung", "prediction", "terms"),
            "cumulative",
        ),
        table_needs=("pooling",),
        takes_weights=False,
    ),
    "e_value": MethodRule(
        "e_value",
        kinds=("effect_table",),
        outcome="none",
        keys=("measure", "outcome_is_common"),
        table_needs=("measure",),
    ),
    "bias_analysis": MethodRule(
        "risk_ratio",
        kinds=("analysis_table", "effect_table"),
        outcome="binary",
        keys=("bias", "draws", "seed", "by"),
        table_needs=("bias",),
        is_grouped=True,
        takes_weights=False,
    ),
    "describe": MethodRule("count", kinds=ALL_KINDS, outcome="none", takes_entry=True),
    "mean_difference": MethodRule("mean_difference", outcome=_EITHER, adjusts=True),
    "g_computation": MethodRule(
        "mean_difference",
        outcome=_OR_TIME,
        keys=("terms", "effect", *OF_SURVIVAL),
        table_needs=("terms",),
        lake_estimate="risk_difference",
        takes_weights=False,
    ),
    "aipw": MethodRule(
        "mean_difference",
        outcome=_OR_TIME,
        keys=("terms", "effect", *_OF_SCORE, *OF_SURVIVAL, "censoring_terms"),
        table_needs=("terms", "propensity"),
        lake_estimate="risk_difference",
        takes_weights=False,
    ),
    "tmle": MethodRule(
        "mean_difference",
        outcome=_EITHER,
        keys=("terms", *_OF_SCORE),
        table_needs=("terms", "propensity"),
        takes_weights=False,
    ),
    "g_estimation": MethodRule(
        "mean_difference",
        outcome=_EITHER,
        keys=("terms", *_OF_SCORE),
        table_needs=("propensity",),
    ),
    "instrumental_variable": MethodRule(
        "mean_difference",
        outcome=_EITHER,
        keys=("terms", "instrument"),
        table_needs=("instrument",),
        takes_weights=False,
    ),
    "accuracy": MethodRule(
        "accuracy",
        kinds=("reading_table", "two_by_two_table"),
        outcome="none",
        keys=("index_test", "hypothesis"),
        reads=(*_WHOSE, *_CONDUCT, "score", "output", "verified"),
    ),
    "mrmc": MethodRule(
        "auc",
        kinds=("reading_table",),
        outcome="none",
        keys=("reader_study", "index_test", "hypothesis"),
        takes_weights=False,
        reads=(*_READ_BY, "score", "output", "verified"),
    ),
    "agreement": MethodRule(
        "kappa",
        kinds=("reading_table",),
        outcome="none",
        keys=("agreement", "index_test"),
        takes_weights=False,
        reads=(*_READ_BY, "score", "output", "verified"),
        may_lack=("truth",),
    ),
    "reading_time": MethodRule(
        "reading_time",
        kinds=("reading_table",),
        outcome="none",
        keys=("reader_study", "hypothesis"),
        takes_weights=False,
        reads=(*_READ_BY, "reading_seconds"),
    ),
    "verification_bias": MethodRule(
        "sensitivity",
        kinds=("reading_table",),
        outcome="none",
        keys=("index_test", "verification"),
        takes_weights=False,
        reads=(*_READ_BY, "score", "output", "verified", "verification_covariates"),
        may_lack=("truth",),
    ),
    "latent_class": MethodRule(
        "sensitivity",
        kinds=("reading_table",),
        outcome="none",
        keys=("index_test", "imperfect_reference"),
        takes_weights=False,
        reads=(*_READ_BY, "score", "output", "verified"),
        may_lack=("truth",),
    ),
    "calibration": MethodRule(
        "calibration_slope",
        kinds=("reading_table",),
        outcome="none",
        keys=("calibration", "replicates", "seed"),
        takes_weights=False,
        reads=(*_READ_BY, "score", "output", "verified"),
    ),
    "decision_curve": MethodRule(
        "net_benefit",
        kinds=("reading_table",),
        outcome="none",
        keys=("decision_curve", "index_test", "hypothesis", "horizon_days", "replicates", "seed"),
        takes_weights=False,
        reads=(*_READ_BY, "score", "output", "verified", "event", "time_days"),
    ),
    "accuracy_meta": MethodRule(
        "sensitivity",
        kinds=("reading_table", "two_by_two_table"),
        outcome="none",
        keys=("index_test", "across_centres", "terms"),
        reads=("person_id", "modality", "site", "score", "output", "verified"),
        takes_weights=False,
    ),
    "leave_one_centre_out": MethodRule(
        "sensitivity",
        kinds=("reading_table", "two_by_two_table"),
        outcome="none",
        keys=("index_test", "hypothesis", "knapp_hartung"),
        reads=("person_id", "modality", "site", "score", "output", "verified"),
        takes_weights=False,
    ),
    "roc": MethodRule(
        "auc",
        kinds=("reading_table",),
        outcome="none",
        keys=("index_test", "hypothesis", "roc", "replicates", "seed", "bootstrap_interval"),
        reads=(*_WHOSE, "score", "output", "verified"),
    ),
    "operating_point": MethodRule(
        "operating_threshold",
        kinds=("reading_table",),
        outcome="none",
        keys=("index_test", "hypothesis", "operating_point", "replicates", "seed"),
        table_needs=("operating_point", "seed"),
        reads=(*_WHOSE, "score", "output", "verified"),
    ),
}


def methods_of_kind(kind: str) -> tuple[str, ...]:
    """Return the methods that analyse a kind of registry table."""
    return tuple(name for name, rule in RULES.items() if kind in rule.kinds)


def methods_of_lake() -> tuple[str, ...]:
    """Return the methods that compare the arms of a study of the lake."""
    return tuple(name for name, rule in RULES.items() if rule.of_lake)


def users_of_key(key: str) -> tuple[str, ...]:
    """Return the methods that use a key of an analysis."""
    return tuple(name for name, rule in RULES.items() if key in rule.keys)


METHOD_KEYS: tuple[str, ...] = tuple(
    dict.fromkeys(key for rule in RULES.values() for key in rule.keys if key not in ADJUSTMENT_KEYS)
)
"""Keys of an analysis that belong to some methods only."""
TABLE_KEYS = (
    *("terms", "strata", "cluster", "by", "predict", "penalty", "landmark_days", "hc", "cr"),
    *("exposure", "wave", "censoring_terms", "cumulative", "grace_days"),
)
"""Those that only the analysis of a registry table has."""
BY_MODELS = ("g_computation", "aipw")
"""Those that adjust two arms of the lake by models that have its covariates."""
METHODS_OF_TREATMENT = (
    "mean_difference",
    "g_computation",
    "aipw",
    "tmle",
    "g_estimation",
    "instrumental_variable",
)
"""Those that need the treatment of the table, which has two levels."""
