"""Diagnostics of an adjusted registry table: balance, overlap, weights, model of the score."""

import numpy as np

from tasks.analysis.design_columns import DesignColumns, design_columns
from tasks.analysis.people import BoolArray, FloatArray
from tasks.analysis.table_adjust import Adjusted, Arms, arms_of
from tasks.analysis.table_asked import AskedOfTable, Row, finite
from tasks.analysis.table_rows import TableRows
from tasks.core.spec.columns import Category
from tasks.core.spec.terms import Factor, columns_in
from tasks.stats.balance_measures import ks_statistics, variance_ratios
from tasks.stats.estimated_weights import EstimatedScore
from tasks.stats.inference import two_sided_p, z_quantile
from tasks.stats.propensity import (
    area_under_curve,
    effective_sample_size,
    equipoise,
    standardised_mean_difference,
)

_PROBABILITIES = (0.05, 0.25, 0.5, 0.75, 0.95)
_BALANCE = {"method": "balance"}
_PROPENSITY = {"method": "propensity"}


def diagnostics(adjusted: Adjusted, arms: Arms) -> list[Row]:
    """Return what a reader needs to judge an adjustment; `arms` are those before it."""
    made = _balance(adjusted, arms)
    if adjusted.score is not None:
        treated = arms.treated[adjusted.scored]
        made += _overlap(adjusted.asked, adjusted.score, treated)
        made += _scores(adjusted.asked, adjusted.score, arms, treated)
        if adjusted.asked.analysis.show_propensity:
            made += propensity_model(adjusted.asked, adjusted.score, adjusted.names)
    if adjusted.asked.rows.weights is not None:
        made += _weights(adjusted.asked)
    return made


def _balance(adjusted: Adjusted, arms: Arms) -> list[Row]:
    """Return balance of each covariate, and the worst of all, before and after."""
    asked, design = adjusted.asked, covariate_columns(adjusted.before)
    weights = adjusted.full_weights
    made: list[Row] = []
    for scenario, weight in (("before", None), ("after", weights)):
        where = {"scenario": scenario, **_BALANCE}
        smd = standardised_mean_difference(design.x, arms.treated, weight)
        of_treated = smd * _in_treated(design.x, arms)
        ratios = variance_ratios(design.x, arms.treated, weight)
        ks = ks_statistics(design.x, arms.treated, weight)
        for i, name in enumerate(design.names):
            named = {"term": name, **where}
            made.append(_number(asked, "smd", smd[i], unit="SD of both arms", **named))
            made.append(_number(asked, "smd", of_treated[i], unit="SD of the target", **named))
            made.append(_number(asked, "variance_ratio", ratios[i], **named))
            made.append(_number(asked, "ks_statistic", ks[i], **named))
        made.append(_number(asked, "max_smd", float(abs(smd).max()), **where))
    return made


def _in_treated(x: FloatArray, arms: Arms) -> FloatArray:
    """The SD of both arms in units of the SD of the treated, one a column."""
    one, other = (x[a].var(axis=0, ddof=1) for a in (arms.treated, ~arms.treated))
    both = np.sqrt((one + other) / 2)
    undefined = np.full(both.size, np.nan)
    return np.asarray(np.divide(both, np.sqrt(one), out=undefined, where=one > 0))


def covariate_columns(rows: TableRows) -> DesignColumns:
    """Return each column of the model of the treatment once, as it stands, with all its levels.

    A category of two levels has one column.
    """
    names = columns_in(rows.analysis.propensity_terms)
    design = design_columns(rows, tuple((Factor(name),) for name in names))
    made = list(zip(design.names, design.x.T, strict=True))
    for name in names:
        kind = rows.source.columns[name]
        if isinstance(kind, Category) and len(kind.category) > 2:
            first = kind.category[0]
            column = (rows.values[f"x_{name}"] == first).astype(np.float64)
            made.append((f"{name}={first}", column))
    return DesignColumns(
        np.column_stack([column for _, column in made]),
        tuple(name for name, _ in made),
        np.arange(len(made)),
        tuple(name for name, _ in made),
    )


def _number(asked: AskedOfTable, name: str, value: float, **values: object) -> Row:
    """Return a row of one number; one that is not defined says so."""
    known = {"n_events": None, **values}
    if finite(value) is None:
        note = "the covariate does not vary"
        return asked.row(name, status="not_estimable", note=note, **known)
    return asked.row(name, estimate=float(value), **known)


def _overlap(asked: AskedOfTable, score: EstimatedScore, treated: BoolArray) -> list[Row]:
    return [
        _number(asked, "auc", area_under_curve(score.fitted, treated), **_PROPENSITY),
        _number(asked, "equipoise", equipoise(score.fitted, treated), **_PROPENSITY),
    ]


def _scores(
    asked: AskedOfTable, score: EstimatedScore, arms: Arms, treated: BoolArray
) -> list[Row]:
    """Return inner quantiles of the score in each arm: how far the arms overlap.

    They name no number of rows: that of an adjustment is the number that it keeps.
    """
    of_arms = ((arms.reference, ~treated), (arms.target, treated))
    return [
        _number(
            asked,
            "quantile",
            float(value),
            term="score",
            at=probability,
            at_kind="probability",
            n=None,
            **_PROPENSITY,
            **asked.of_arm(level),
        )
        for level, mine in of_arms
        for probability, value in zip(
            _PROBABILITIES, np.quantile(score.fitted[mine], _PROBABILITIES), strict=True
        )
    ]


def _weights(asked: AskedOfTable) -> list[Row]:
    """Return mean and inner quantiles of the weights, and the effective size of each arm."""
    weight = asked.rows.weights
    assert weight is not None  # noqa: S101 - asked by the caller
    how = {"term": "weight", **_PROPENSITY}
    made = [_number(asked, "mean", float(weight.mean()), **how)]
    for probability, value in zip(_PROBABILITIES, np.quantile(weight, _PROBABILITIES), strict=True):
        at = {"at": probability, "at_kind": "probability"}
        made.append(_number(asked, "quantile", float(value), **at, **how))
    treated = arms_of(asked)
    for level, mine in ((treated.reference, ~treated.treated), (treated.target, treated.treated)):
        made.append(
            asked.row(
                "ess",
                unit="rows",
                estimate=effective_sample_size(weight[mine]),
                n_events=None,
                **_PROPENSITY | {"n": int(mine.sum())},
                **asked.of_arm(level),
            )
        )
    return made


def propensity_model(
    asked: AskedOfTable, score: EstimatedScore, names: tuple[str, ...]
) -> list[Row]:
    """Return the coefficients of the model of the treatment."""
    z = z_quantile(0.95)
    return [
        asked.row(
            "coefficient",
            term=name,
            estimate=float(coef),
            estimate_scale="identity",
            std_error=float(error),
            se_scale="identity",
            se_method="model",
            ci_low=float(coef - z * error),
            ci_high=float(coef + z * error),
            ci_level=0.95,
            ci_method="wald",
            statistic_name="z",
            statistic=float(coef / error),
            p_value=two_sided_p(float(coef / error)),
            outcome=asked.treatment,
            n_events=None,
            **_PROPENSITY,
        )
        for name, coef, error in zip(
            ("intercept", *names), score.coef, score.std_error, strict=True
        )
    ]
