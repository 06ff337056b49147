"""Keys of an analysis that say whose effect it is: adjustment, strategies, draws, sensitivity.

A key that neither the method nor the adjustment uses is refused by `Analysis`.
"""

from typing import Annotated, Literal

from pydantic import Field

from tasks.core.spec.base import AS_TUPLE, Frozen
from tasks.core.spec.bias import Bias
from tasks.core.spec.columns import ColumnName, Names
from tasks.core.spec.missing import MissingData
from tasks.core.spec.terms import MAX_LENGTH

Share = Annotated[float, Field(ge=0, le=1)]
Bounds = Annotated[tuple[Share, Share], AS_TUPLE]
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


class AdjustmentKeys(Frozen):
    """How arms or groups are made alike: the score, weights, matches, strata."""

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


class StrategyKeys(Frozen):
    """Strategies that are followed over time: clones, nested trials, their weights."""

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


class ResamplingKeys(Frozen):
    """Draws and resamples."""

    draws: Annotated[
        int | None, Field(ge=999, le=1_000_000, description="Random draws of a simulation.")
    ] = None
    seed: Annotated[
        int | None, Field(ge=0, lt=2**31, description="Seed of draws: same seed, same numbers.")
    ] = None
    replicates: Annotated[
        int | None, Field(ge=200, le=20_000, description="Resamples of a bootstrap; 500 if absent.")
    ] = None
    bootstrap_interval: Annotated[
        Literal["normal", "percentile", "bca"] | None,
        Field(description="How a bootstrap makes its interval; normal if absent."),
    ] = None


class PoolingKeys(Frozen):
    """How sites or studies are pooled."""

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


class SensitivityKeys(Frozen):
    """What an estimate would be if something were wrong: controls, confounding, bias, gaps."""

    alpha: Annotated[
        float | None, Field(gt=0, lt=0.5, description="Level of the test; 0.05 when left out.")
    ] = None
    control: Annotated[
        ColumnName | None,
        Field(description="Boolean column: true where a row is a negative control."),
    ] = None
    measure: Annotated[
        Measure | None, Field(description="What the estimates of an effect table are.")
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
    bias: Annotated[
        Bias | None, Field(description="What is taken to be wrong with the counts.")
    ] = None
    missing_data: Annotated[
        MissingData | None,
        Field(description="What is done about columns of `terms` that rows lack."),
    ] = None
