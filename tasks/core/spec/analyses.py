"""Named estimates, and the gates that they have to pass."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from tasks.core.spec.base import Frozen, Id
from tasks.core.spec.columns import Names
from tasks.core.spec.gates import CEILINGS, OF_ADJUSTMENT, DeclaredGates, GateName, Planned
from tasks.core.spec.index_tests import ReadingKeys
from tasks.core.spec.keys_of_effects import (
    AdjustmentKeys,
    PoolingKeys,
    ResamplingKeys,
    SensitivityKeys,
    StrategyKeys,
)
from tasks.core.spec.keys_of_models import CurveKeys, ErrorKeys, ModelKeys, SeriesKeys
from tasks.core.spec.methods import (
    ADJUSTMENT_KEYS,
    ADJUSTMENT_OPTIONS,
    INITIATION,
    METHOD_KEYS,
    RULES,
    TABLE_KEYS,
    WEIGHTED,
    MethodRule,
)
from tasks.core.spec.terms import Term, parse_terms

Adjustment = Literal[
    "none",
    "iptw_ate",
    "iptw_att",
    "overlap",
    "matched",
    "stratified",
    "entropy_balanced",
    "initiation_weights",
]
_OF_ARMS = tuple(name for name in ADJUSTMENT_OPTIONS if name != INITIATION)

Method = Literal[
    "cox",
    "fine_gray",
    "logistic",
    "kaplan_meier",
    "nelson_aalen",
    "log_rank",
    "gray_test",
    "rmst",
    "cumulative_incidence",
    "incidence_rate",
    "parametric_survival",
    "risk",
    "linear",
    "poisson",
    "negative_binomial",
    "gee",
    "interrupted_time_series",
    "difference_in_differences",
    "clone_censor_weight",
    "sequential_trials",
    "accuracy",
    "roc",
    "operating_point",
    "mrmc",
    "agreement",
    "reading_time",
    "verification_bias",
    "latent_class",
    "calibration",
    "decision_curve",
    "accuracy_meta",
    "leave_one_centre_out",
    "describe",
    "empirical_calibration",
    "meta_analysis",
    "e_value",
    "bias_analysis",
    "mean_difference",
    "g_computation",
    "aipw",
    "tmle",
    "g_estimation",
    "instrumental_variable",
]


class RoleKeys(Frozen):
    """What an analysis is: its name, its part, its method, and in whom."""

    id: Id
    role: Literal["primary", "secondary", "sensitivity", "exploratory", "replication"]
    source: Annotated[Id | None, Field(description="The registry table that is analysed.")] = None
    method: Method
    adjustment: Annotated[
        Adjustment,
        Field(
            description="How arms are made alike; needed where cohorts of the lake are compared."
        ),
    ] = "none"
    estimand: Annotated[
        Id | None,
        Field(description="Which estimand it serves; may be left out where there is one."),
    ] = None
    population: Annotated[
        Id | None,
        Field(description="Population of the design to restrict it to; everybody when left out."),
    ] = None


class Analysis(
    ReadingKeys,
    PoolingKeys,
    SensitivityKeys,
    ResamplingKeys,
    StrategyKeys,
    SeriesKeys,
    CurveKeys,
    ErrorKeys,
    ModelKeys,
    AdjustmentKeys,
    RoleKeys,
):
    """One named estimate: a method, and the part it plays.

    An analysis of cohorts of the lake says how its arms are adjusted; one of a registry table
    names its `source`, and with `terms` the model, or with `by` the groups. Its keys lie flat in a
    study; here they stand in the groups that it inherits.
    """

    subgroups: Annotated[
        Names,
        Field(description="Columns in each level of which the effect is estimated by itself."),
    ] = ()
    gates: DeclaredGates = ()
    planned: Annotated[
        Planned | None, Field(description="When a primary analysis may be looked at.")
    ] = None

    @property
    def rule(self) -> MethodRule:
        """What its method takes."""
        return RULES[self.method]

    @property
    def parsed_terms(self) -> tuple[Term, ...]:
        """The terms of the model; none where the method has no model."""
        return parse_terms(self.terms) if self.terms is not None else ()

    @property
    def parsed_censoring_terms(self) -> tuple[Term, ...]:
        """The terms of the model of loss to follow-up; none where there is no such model."""
        return parse_terms(self.censoring_terms) if self.censoring_terms is not None else ()

    @property
    def propensity_terms(self) -> tuple[Term, ...]:
        """The terms of the model of the treatment; none without one."""
        return parse_terms(self.propensity) if self.propensity is not None else ()

    @property
    def instrument_terms(self) -> tuple[Term, ...]:
        """The instruments of the treatment; none without one."""
        return parse_terms(self.instrument) if self.instrument is not None else ()

    @model_validator(mode="after")
    def _says_what_its_method_needs(self) -> Self:
        if missing := [name for name in self._needed() if getattr(self, name) is None]:
            raise ValueError(f"method {self.method} needs {' and '.join(missing)}")
        unweighted = self.adjustment in {"none", "stratified"}
        of_weights = ("robust",) if self.source else ("robust", "bootstrap")
        if self.method == "cox" and not unweighted and self.std_error not in of_weights:
            raise ValueError("weighted and matched Cox models need std_error: robust")
        if not self.rule.takes_weights and self.adjustment in WEIGHTED:
            raise ValueError(f"method {self.method} has no weighted form; use none or matched")
        return self

    def _needed(self) -> tuple[str, ...]:
        return self.rule.lake_needs if self.source is None else self.rule.table_needs

    @model_validator(mode="after")
    def _says_nothing_that_its_method_ignores(self) -> Self:
        given = {name for name in METHOD_KEYS if getattr(self, name)}
        if idle := sorted(given - set(self.rule.keys)):
            raise ValueError(f"method {self.method} does not use {' and '.join(idle)}")
        if self.source is None and (idle := sorted(given & set(TABLE_KEYS))):
            what = f"{' and '.join(idle)} belong to the analysis of a table"
            raise ValueError(f"{what}; name its source, or remove them")
        return self

    @model_validator(mode="after")
    def _has_terms_that_can_be_read(self) -> Self:
        _ = self.parsed_terms, self.parsed_censoring_terms
        _ = self.propensity_terms, self.instrument_terms
        return self

    @model_validator(mode="after")
    def _says_how_it_adjusts(self) -> Self:
        if self.source is None and "adjustment" not in self.model_fields_set:
            raise ValueError(f"adjustment is missing: one of {', '.join(ADJUSTMENT_OPTIONS)}")
        if self.source is not None and self.adjustment != "none" and not self.rule.adjusts:
            raise ValueError(f"method {self.method} takes no adjustment; adjust it by its terms")
        fits = ("none", INITIATION) if self.rule.takes_start else _OF_ARMS
        if self.adjustment not in fits:
            what = f"adjustment {self.adjustment} is not one of method {self.method}"
            raise ValueError(f"{what}; write one of {', '.join(fits)}")
        return self

    @model_validator(mode="after")
    def _says_nothing_that_its_adjustment_ignores(self) -> Self:
        given = {name for name in ADJUSTMENT_KEYS if getattr(self, name) not in (None, ())}
        used = set(ADJUSTMENT_OPTIONS[self.adjustment]) | set(self.rule.keys)
        if idle := sorted(given - used):
            what = f"adjustment {self.adjustment} of {self.method}"
            raise ValueError(f"{what} does not use {' and '.join(idle)}")
        for name in ("truncate", "trim"):
            bounds = getattr(self, name)
            if bounds is not None and not bounds[0] < bounds[1]:
                raise ValueError(f"{name} needs a lower and a higher number")
        return self


class Gate(Frozen):
    """A diagnostic with a threshold, and what happens when it is missed."""

    name: GateName
    threshold: Annotated[
        float | None,
        Field(
            ge=0,
            description="What the value may not fall below; for max_smd, ease and mdrr, exceed. "
            "ess: up to 1 a share of the persons, above it a number. Only convergence has none.",
        ),
    ] = None
    adjustment: Adjustment = "none"
    on_miss: Literal["block", "report"]

    @model_validator(mode="after")
    def _has_a_threshold(self) -> Self:
        if (self.threshold is None) != (self.name == "convergence"):
            takes = "takes no threshold" if self.threshold is not None else "needs a threshold"
            raise ValueError(f"gate {self.name} {takes}")
        return self

    @property
    def limit(self) -> float:
        """The threshold; 1 for convergence, whose value is 1 where every model converged."""
        return 1.0 if self.threshold is None else self.threshold

    @property
    def is_ceiling(self) -> bool:
        """Whether a value above the threshold is missed, not one below it."""
        return self.name in CEILINGS

    def judges(self, analysis: Analysis) -> bool:
        """Whether the gate looks at what an analysis rests on."""
        return self.name not in OF_ADJUSTMENT or self.adjustment == analysis.adjustment

    def is_declared_by(self, analysis: Analysis) -> bool:
        """Whether an analysis has to pass the gate."""
        is_named = analysis.gates == "all" or self.name in analysis.gates
        return is_named and self.judges(analysis)
