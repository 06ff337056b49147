"""Named estimates, and the gates that they have to pass."""

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from tasks.core.spec.base import AS_TUPLE, Frozen, Id
from tasks.core.spec.bias import Bias
from tasks.core.spec.columns import Cell, ColumnName, Names
from tasks.core.spec.gates import CEILINGS, OF_ADJUSTMENT, DeclaredGates, GateName, Planned
from tasks.core.spec.index_tests import Hypothesis, IndexTest
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
from tasks.core.spec.missing import MissingData
from tasks.core.spec.terms import MAX_LENGTH, Term, parse_terms

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
Share = Annotated[float, Field(ge=0, le=1)]
DayOfCurve = Annotated[
    int | float,
    Field(ge=0, le=36_500, description="Days, parts of days too: 5 years are 1826.25."),
]
Bounds = Annotated[tuple[Share, Share], AS_TUPLE]


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
Measure = Literal[
    "risk_ratio",
    "rate_ratio",
    "odds_ratio",
    "hazard_ratio",
    "mean_difference",
    "risk_difference",
    "rate_difference",
    "rmst_difference",
    "proportion",
]
Pooling = Literal["fixed", "dl", "pm", "reml", "ml", "sj", "he", "eb", "mantel_haenszel", "peto"]
Distribution = Literal[
    "exponential",
    "weibull",
    "weibull_ph",
    "log_normal",
    "log_logistic",
    "gompertz",
    "generalised_gamma",
]


class Prediction(Frozen):
    """Where a Cox model predicts survival: a value a column of terms and strata, and days."""

    at: Annotated[
        Mapping[ColumnName, bool | float | Cell],
        Field(min_length=1, max_length=200, description="A level of a category is a text."),
    ]
    days: Annotated[tuple[DayOfCurve, ...], AS_TUPLE, Field(min_length=1, max_length=100)]


class Penalty(Frozen):
    """Shrinks all coefficients of a Cox model, each per standard deviation of its column."""

    kind: Literal["ridge"]
    theta: Annotated[
        float,
        Field(gt=0, le=1e9, description="theta / 2 times the sum of squares is taken off."),
    ]


class Analysis(Frozen):
    """One named estimate: a method, and the part it plays.

    An analysis of cohorts of the lake says how its arms are adjusted; one of a registry table
    names its `source`, and with `terms` the model, or with `by` the groups.
    """

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
    propensity: Annotated[
        str | None,
        Field(max_length=MAX_LENGTH, description="Terms of the model of a table's treatment."),
    ] = None
    show_propensity: Annotated[
        bool | None, Field(description="Whether the coefficients of that model are results too.")
    ] = None
    score_penalty: Annotated[
        Literal["minimum", "one_standard_error"] | None,
        Field(description="Of cohorts: L1 penalty of the score, chosen by cross-validation."),
    ] = None
    stabilised: Annotated[
        bool | None,
        Field(description="Weights times the share of the arm; yes for iptw_ate when left out."),
    ] = None
    truncate: Annotated[
        Bounds | None,
        Field(description="Quantiles at which weights are cut off, such as 0.01, 0.99."),
    ] = None
    trim: Annotated[
        Bounds | None, Field(description="Persons with scores outside are left out; 0.1, 0.9.")
    ] = None
    caliper_sd: Annotated[
        float | None, Field(gt=0, le=100, description="Widest match, in SD of the logit; 0.2.")
    ] = None
    ratio: Annotated[
        int | None, Field(ge=1, le=100, description="Most controls matched to one of the treated.")
    ] = None
    exact: Annotated[Names, Field(description="Columns in which matched rows must agree.")] = ()
    n_strata: Annotated[
        int | None, Field(ge=2, le=100, description="Strata of the score, of equal size; 5.")
    ] = None
    effect: Annotated[
        Literal["ate", "att"] | None, Field(description="In everybody, or in the treated.")
    ] = None
    instrument: Annotated[
        str | None,
        Field(max_length=MAX_LENGTH, description="Terms that move the treatment, nothing else."),
    ] = None
    estimand: Annotated[
        Id | None,
        Field(description="Which estimand it serves; may be left out where there is one."),
    ] = None
    population: Annotated[
        Id | None,
        Field(description="Population of the design to restrict it to; everybody when left out."),
    ] = None
    ties: Literal["breslow", "efron", "exact"] | None = None
    std_error: Literal["model", "robust", "profile_likelihood", "bootstrap"] | None = None
    horizon_days: (
        Annotated[
            int | float,
            Field(gt=0, le=36_500, description="Days, parts of days too: 10 years are 3652.5."),
        ]
        | None
    ) = None
    table_days: Annotated[tuple[DayOfCurve, ...], AS_TUPLE] = ()
    terms: Annotated[
        str | None,
        Field(max_length=MAX_LENGTH, description="Columns with + : * log exp sqrt and powers."),
    ] = None
    variant: Annotated[
        Literal["crr", "finegray_cluster"] | None,
        Field(description="Of fine_gray: cmprsk's crr, or survival's finegray and coxph."),
    ] = None
    predict: Prediction | None = None
    penalty: Penalty | None = None
    strata: Names = ()
    cluster: ColumnName | None = None
    by: Annotated[
        ColumnName | None,
        Field(description="Column of groups; the treatment of the table when absent."),
    ] = None
    distribution: Annotated[
        Distribution | None, Field(description="The law of times of parametric_survival.")
    ] = None
    distributions: Annotated[
        tuple[Distribution, ...],
        AS_TUPLE,
        Field(max_length=7, description="Several laws, compared and ranked by AIC and BIC."),
    ] = ()

    conf_type: Annotated[
        Literal["log-log", "log", "plain", "logit", "arcsin", "cloglog"] | None,
        Field(description="Scale of the intervals of a curve, as R's survfit names it."),
    ] = None
    quantiles: Annotated[
        tuple[Annotated[float, Field(gt=0, lt=1)], ...],
        AS_TUPLE,
        Field(max_length=20, description="Shares with the event whose days are asked for."),
    ] = ()
    variance: Annotated[
        Literal["ij", "aalen", "poisson", "greenwood"] | None,
        Field(description="cumulative_incidence: ij, aalen; nelson_aalen: poisson, greenwood."),
    ] = None
    ctype: Annotated[
        Literal[1, 2] | None, Field(description="Ties of nelson_aalen, as R's survfit names them.")
    ] = None
    rho: Annotated[
        float | None, Field(ge=0, le=10, description="Power of survival in a weighted test.")
    ] = None
    gamma: Annotated[
        float | None, Field(ge=0, le=10, description="Power of 1 - survival in a weighted test.")
    ] = None
    weighting: Annotated[
        Literal["gehan", "tarone_ware", "peto_peto"] | None,
        Field(description="Another weighting of log_rank than by rho and gamma."),
    ] = None
    landmark_days: Annotated[
        int | None,
        Field(gt=0, le=36_500, description="Only who is followed so long; time counts from there."),
    ] = None
    hc: Annotated[
        Literal["HC0", "HC1", "HC2", "HC3", "HC4", "HC4m", "HC5"] | None,
        Field(description="Kind of robust standard errors; HC0 when left out."),
    ] = None
    cr: Annotated[
        Literal["CR0", "CR1", "CR1S", "CR2", "CR3"] | None,
        Field(description="Kind of errors by cluster; CR1S of linear, CR1 of others left out."),
    ] = None
    interval: Annotated[
        Literal["t", "z"] | None,
        Field(description="Whether intervals are of Student's t or of the normal distribution."),
    ] = None
    exposure: Annotated[
        ColumnName | None, Field(description="Column of person-time, or of what counts are of.")
    ] = None
    family: Annotated[
        Literal["gaussian", "binomial", "poisson", "quasi_poisson"] | None,
        Field(description="Distribution of the outcome; the link is its canonical one."),
    ] = None
    correlation: Annotated[
        Literal["independence", "exchangeable", "ar1", "unstructured"] | None,
        Field(description="Working correlation within clusters."),
    ] = None
    small_sample: Annotated[
        Literal["kauermann_carroll", "mancl_derouen"] | None,
        Field(description="Correction of robust standard errors for few clusters."),
    ] = None
    wave: Annotated[
        ColumnName | None, Field(description="Number column that orders the rows of a cluster.")
    ] = None
    season_terms: Annotated[
        int | None, Field(gt=0, le=12, description="Pairs of sine and cosine for the season.")
    ] = None
    season_period: Annotated[
        float | None, Field(gt=1, le=10_000, description="Periods of a season; 12 left out.")
    ] = None
    lag: Annotated[
        int | None, Field(ge=0, le=1_000, description="Lag of Newey-West standard errors.")
    ] = None
    controls: Annotated[
        Literal["never_treated", "not_yet_treated"] | None,
        Field(description="Sites that adopters are compared with."),
    ] = None
    inference: Annotated[
        Literal["permutation", "wild_bootstrap"] | None,
        Field(description="How effects on few sites are tested."),
    ] = None
    draws: Annotated[
        int | None, Field(ge=999, le=1_000_000, description="Random draws of a simulation.")
    ] = None
    seed: Annotated[
        int | None, Field(ge=0, lt=2**31, description="Seed of draws: same seed, same numbers.")
    ] = None
    alpha: Annotated[
        float | None, Field(gt=0, lt=0.5, description="Level of the test; 0.05 when left out.")
    ] = None
    censoring_terms: Annotated[
        str | None,
        Field(max_length=MAX_LENGTH, description="Columns that may tell of loss to follow-up."),
    ] = None
    model_per_arm: Annotated[
        bool | None,
        Field(description="A Cox model of terms in each arm, not one with the treatment in it."),
    ] = None
    grace_days: Annotated[
        int | None,
        Field(gt=0, le=3_650, description="Days within which a strategy may be taken up."),
    ] = None
    interval_days: Annotated[
        int | None,
        Field(gt=0, le=3_650, description="Days between nested trials; the last days of grace."),
    ] = None
    truncate_weights: Annotated[
        float | None,
        Field(gt=0.5, lt=1, description="Share of the weights at which larger ones are cut."),
    ] = None
    replicates: Annotated[
        int | None, Field(ge=200, le=20_000, description="Resamples of a bootstrap; 500 if absent.")
    ] = None
    bootstrap_interval: Annotated[
        Literal["normal", "percentile", "bca"] | None,
        Field(description="How a bootstrap makes its interval; normal if absent."),
    ] = None
    control: Annotated[
        ColumnName | None,
        Field(description="Boolean column: true where a row is a negative control."),
    ] = None
    measure: Annotated[
        Measure | None, Field(description="What the estimates of an effect table are.")
    ] = None
    pooling: Annotated[
        Pooling | None,
        Field(description="One true effect (fixed), or how their variance is estimated (reml)."),
    ] = None
    transformation: Annotated[
        Literal["logit", "freeman_tukey", "raw"] | None,
        Field(description="Scale on which proportions are pooled; logit when left out."),
    ] = None
    knapp_hartung: Annotated[
        bool | Literal["modified"] | None,
        Field(description="Errors by what is left unexplained, with Student's t."),
    ] = None
    prediction: Annotated[
        Literal["as_interval", "higgins"] | None,
        Field(description="Quantile of the prediction interval: of the interval, or t(k - 2)."),
    ] = None
    cumulative: Annotated[
        ColumnName | None,
        Field(description="Number column by which sites are added one after another."),
    ] = None
    outcome_is_common: Annotated[
        bool | None,
        Field(description="The outcome occurs in 15 % or more by the end of follow-up."),
    ] = None
    calibrate: Annotated[
        bool | None,
        Field(description="Calibrate its ratios and differences by the study's negative controls."),
    ] = None
    e_value: Annotated[
        bool | None,
        Field(description="Say how strong an unmeasured confounder would have to be."),
    ] = None

    index_test: Annotated[
        IndexTest | None, Field(description="When the score of a reading is a positive result.")
    ] = None
    hypothesis: Annotated[
        Hypothesis | None, Field(description="The margin of a comparison, and what it shows.")
    ] = None
    bias: Annotated[
        Bias | None, Field(description="What is taken to be wrong with the counts.")
    ] = None
    subgroups: Annotated[
        Names,
        Field(description="Columns in each level of which the effect is estimated by itself."),
    ] = ()
    missing_data: Annotated[
        MissingData | None,
        Field(description="What is done about columns of `terms` that rows lack."),
    ] = None
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
