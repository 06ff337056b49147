"""Keys of an analysis that say what is modelled and how: models, errors, curves, series.

A key that a method does not use is refused by `Analysis`; which method uses what stands in
`methods.py`.
"""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from tasks.core.spec.base import AS_TUPLE, Frozen
from tasks.core.spec.columns import Cell, ColumnName, Names
from tasks.core.spec.terms import MAX_LENGTH

DayOfCurve = Annotated[
    int | float,
    Field(ge=0, le=36_500, description="Days, parts of days too: 5 years are 1826.25."),
]
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


class ModelKeys(Frozen):
    """The model of an outcome: its terms, its law, what it predicts."""

    terms: Annotated[
        str | None,
        Field(max_length=MAX_LENGTH, description="Columns with + : * log exp sqrt and powers."),
    ] = None
    variant: Annotated[
        Literal["crr", "finegray_cluster"] | None,
        Field(description="Of fine_gray: cmprsk's crr, or survival's finegray and coxph."),
    ] = None
    ties: Literal["breslow", "efron", "exact"] | None = None
    predict: Prediction | None = None
    penalty: Penalty | None = None
    strata: Names = ()
    exposure: Annotated[
        ColumnName | None, Field(description="Column of person-time, or of what counts are of.")
    ] = None
    family: Annotated[
        Literal["gaussian", "binomial", "poisson", "quasi_poisson"] | None,
        Field(description="Distribution of the outcome; the link is its canonical one."),
    ] = None
    distribution: Annotated[
        Distribution | None, Field(description="The law of times of parametric_survival.")
    ] = None
    distributions: Annotated[
        tuple[Distribution, ...],
        AS_TUPLE,
        Field(max_length=7, description="Several laws, compared and ranked by AIC and BIC."),
    ] = ()
    model_per_arm: Annotated[
        bool | None,
        Field(description="A Cox model of terms in each arm, not one with the treatment in it."),
    ] = None
    censoring_terms: Annotated[
        str | None,
        Field(max_length=MAX_LENGTH, description="Columns that may tell of loss to follow-up."),
    ] = None


class ErrorKeys(Frozen):
    """Standard errors and intervals of a model, and what rows are correlated within."""

    std_error: Literal["model", "robust", "profile_likelihood", "bootstrap"] | None = None
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
    cluster: ColumnName | None = None
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


class CurveKeys(Frozen):
    """Curves, the days at which they are read, and the tests of curves."""

    by: Annotated[
        ColumnName | None,
        Field(description="Column of groups; the treatment of the table when absent."),
    ] = None
    horizon_days: (
        Annotated[
            int | float,
            Field(gt=0, le=36_500, description="Days, parts of days too: 10 years are 3652.5."),
        ]
        | None
    ) = None
    table_days: Annotated[tuple[DayOfCurve, ...], AS_TUPLE] = ()
    landmark_days: Annotated[
        int | None,
        Field(gt=0, le=36_500, description="Only who is followed so long; time counts from there."),
    ] = None
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


class SeriesKeys(Frozen):
    """Series of periods and of sites."""

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
