"""Regressions of an analysis table but Cox's: numbers, outcomes of 0 and 1, counts, clusters."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from tasks.analysis.design_columns import DesignColumns, design_columns
from tasks.analysis.people import FloatArray, IntArray
from tasks.analysis.table_asked import AskedOfTable, Row, as_text, ratio_of
from tasks.analysis.table_models import logistic_model
from tasks.core.errors import EstimationError
from tasks.core.results import BEHIND
from tasks.core.spec.table_fields import reads_time
from tasks.stats.gee import FEW_CLUSTERS, GeeFit, gee
from tasks.stats.glm import GlmFit, glm, negative_binomial
from tasks.stats.inference import chi_square_p, two_sided_p, z_quantile
from tasks.stats.sandwich import (
    Covariance,
    CrKind,
    cluster_covariance,
    heteroskedastic_covariance,
    model_covariance,
)
from tasks.stats.students_t import t_quantile, two_sided_t

LEVEL = 0.95
_FEW = 10
_WEIGHTS = {
    ("linear", "model"): "weights are taken as precisions, as lm does",
    ("", "model"): "weights are taken as numbers of persons",
    ("", "robust"): "weights are taken as sampling weights that are known",
}


@dataclass(frozen=True, slots=True)
class Coefficients:
    """Coefficients with their covariance, and how their rows are written."""

    names: tuple[str, ...]
    coef: FloatArray
    covariance: Covariance
    ratio_name: str  # of the estimate of a term; empty where coefficients stay as they are
    df: float | None  # of Student's t; the normal distribution where None
    note: str | None


def linear_model(asked: AskedOfTable) -> list[Row]:
    """Return the coefficients of a linear model, and its fit."""
    design = design_columns(asked.rows)
    with _named(design):
        fit = glm(design.x, _outcome(asked), weights=asked.rows.weights)
        covariance = _covariance(asked, fit, "CR1S")
    df = None if asked.analysis.interval == "z" else covariance.df
    return [*_rows(asked, _of(asked, design, fit, covariance, "", df)), *_fit_rows(asked, fit, 1)]


def logistic_regression(asked: AskedOfTable) -> list[Row]:
    """Return odds ratios, with the model's, robust or clustered standard errors."""
    if asked.analysis.std_error != "robust" and asked.analysis.cluster is None:
        return [_with_note(row, _about_weights(asked, "model")) for row in logistic_model(asked)]
    design = design_columns(asked.rows)
    with _named(design):
        fit = glm(design.x, _outcome(asked), "binomial", weights=asked.rows.weights)
        covariance = _covariance(asked, fit, "CR1")
    made = _rows(asked, _of(asked, design, fit, covariance, "odds_ratio", None))
    return [*made, *_fit_rows(asked, fit, 0)]


def poisson_model(asked: AskedOfTable) -> list[Row]:
    """Return rate ratios of counts or events (risk ratios of an outcome of 0 and 1)."""
    design = design_columns(asked.rows)
    with _named(design):
        y, offset = _counts(asked)
        fit = glm(design.x, y, "poisson", weights=asked.rows.weights, offset=offset)
        covariance = _covariance(asked, fit, "CR1")
    made = _rows(asked, _of(asked, design, fit, covariance, _ratio_name(asked), None))
    rows = [*made, *_fit_rows(asked, fit, 0), _dispersion(asked, fit)]
    return [_counted(asked, row) for row in rows]


def negative_binomial_model(asked: AskedOfTable) -> list[Row]:
    """Return rate ratios of overdispersed counts, and theta."""
    design = design_columns(asked.rows)
    with _named(design):
        y, offset = _counts(asked)
        fit = negative_binomial(design.x, y, weights=asked.rows.weights, offset=offset)
        covariance = _covariance(asked, fit, "CR1")
    made = _rows(asked, _of(asked, design, fit, covariance, "rate_ratio", None))
    rows = [*made, _theta(asked, fit), *_fit_rows(asked, fit, 1), _dispersion(asked, fit)]
    return [_counted(asked, row) for row in rows]


def gee_model(asked: AskedOfTable) -> list[Row]:
    """Return coefficients or ratios of estimating equations, and the working correlation."""
    design, analysis, rows = design_columns(asked.rows), asked.analysis, asked.rows
    family = analysis.family
    offset = _exposure(asked) if analysis.exposure else None
    with _named(design):
        if family is None or family == "quasi_poisson":
            raise EstimationError("gee", f"no family {family}", "choose another family.")
        fit = gee(
            design.x, _outcome(asked), _clusters(asked), family,
            correlation=analysis.correlation or "independence",
            small_sample=analysis.small_sample or "none",
            weights=rows.weights, offset=offset,
            time=rows.numbers(f"x_{analysis.wave}") if analysis.wave else None,
        )  # fmt: skip
    return _gee_rows(asked, design, fit)


_RATIOS = {"gaussian": "", "binomial": "odds_ratio", "poisson": "rate_ratio"}


def _gee_rows(asked: AskedOfTable, design: DesignColumns, fit: GeeFit) -> list[Row]:
    few = fit.n_clusters < FEW_CLUSTERS
    wanted = asked.analysis.interval or ("t" if few else "z")
    df = float(fit.df) if wanted == "t" else None
    covariance = Covariance(fit.covariance, fit.se_method, fit.df, fit.n_clusters)
    note = None
    if few and asked.analysis.small_sample is None:
        note = f"{fit.n_clusters} clusters: small_sample would correct the standard errors"
    found = Coefficients(
        ("intercept", *design.names), fit.coef, covariance, _RATIOS[fit.family], df, note
    )
    common = {"term": "scale", "estimate": fit.scale, "n_clusters": fit.n_clusters}
    made = [*_rows(asked, found), asked.row("coefficient", **common)]
    if fit.alpha is not None:
        common |= {"term": f"correlation {fit.correlation}", "estimate": fit.alpha}
        made.append(asked.row("coefficient", **common))
    for pair in fit.pairs:
        common |= {"term": f"correlation {pair.name}", "estimate": pair.alpha}
        behind = {BEHIND: (pair.n_clusters,)}
        made.append(asked.row("coefficient", **common) | behind)
    return [_counted(asked, row) for row in made]


def coefficient_row(asked: AskedOfTable, found: Coefficients, i: int, **values: object) -> Row:
    """Return the row of one coefficient; the intercept never is a ratio."""
    coef, error = float(found.coef[i]), math.sqrt(float(found.covariance.matrix[i, i]))
    if not error > 0 or not math.isfinite(error):
        what = f"the standard error of {found.names[i]} is not above 0"
        raise EstimationError("coefficient", what, "look for a term that repeats the outcome.")
    is_ratio = bool(found.ratio_name) and found.names[i] != "intercept"
    write = ratio_of if is_ratio else float
    z, df = coef / error, found.df
    margin = (z_quantile(LEVEL) if df is None else t_quantile(LEVEL, df)) * error
    named = {
        "term": found.names[i],
        "estimate": write(coef),
        "estimate_scale": "ratio" if is_ratio else "identity",
        "std_error": error,
        "se_scale": "log" if is_ratio else "identity",
        "se_method": found.covariance.kind,
        "ci_low": write(coef - margin),
        "ci_high": write(coef + margin),
        "ci_level": LEVEL,
        "ci_method": "wald" if df is None else "wald t",
        "statistic_name": "z" if df is None else "t",
        "statistic": z,
        "df2": df,
        "p_value": two_sided_p(z) if df is None else two_sided_t(z, df),
        "n_clusters": found.covariance.n_clusters,
        "note": found.note,
    }
    return asked.row(found.ratio_name if is_ratio else "coefficient", **named | values)


def _rows(asked: AskedOfTable, found: Coefficients) -> list[Row]:
    return [coefficient_row(asked, found, i) for i in range(len(found.names))]


def _of(
    asked: AskedOfTable,
    design: DesignColumns,
    fit: GlmFit,
    covariance: Covariance,
    ratio_name: str,
    df: float | None,
) -> Coefficients:
    clusters = covariance.n_clusters
    note = _about_weights(asked, "model" if covariance.kind == "model" else "robust")
    if clusters is not None and clusters < _FEW:
        few = f"{clusters} clusters: intervals may be too short"
        note = few if note is None else f"{note}; {few}"
    names = ("intercept", *design.names)
    return Coefficients(names, fit.coef, covariance, ratio_name, df, note)


def _about_weights(asked: AskedOfTable, kind: str) -> str | None:
    if asked.rows.weights is None:
        return None
    return _WEIGHTS.get((asked.analysis.method, kind)) or _WEIGHTS["", kind]


def _with_note(row: Row, note: str | None) -> Row:
    return row if note is None else row | {"note": note}


def _covariance(asked: AskedOfTable, fit: GlmFit, by_cluster: CrKind) -> Covariance:
    analysis = asked.analysis
    if analysis.cluster is not None:
        return cluster_covariance(fit, _clusters(asked), analysis.cr or by_cluster)
    if analysis.std_error == "robust":
        return heteroskedastic_covariance(fit, analysis.hc or "HC0")
    return model_covariance(fit)


def _fit_rows(asked: AskedOfTable, fit: GlmFit, more: int) -> list[Row]:
    """Return log-likelihoods and criteria; `more` parameters stand beside the coefficients."""
    parameters = fit.coef.size + more
    bic = math.log(fit.n) * parameters - 2 * fit.log_likelihood
    return [
        asked.row("log_likelihood", term="model", estimate=fit.log_likelihood),
        asked.row("log_likelihood", term="null", estimate=fit.log_likelihood_null),
        asked.row("aic", estimate=2 * parameters - 2 * fit.log_likelihood),
        asked.row("bic", estimate=bic),
    ]


def _dispersion(asked: AskedOfTable, fit: GlmFit) -> Row:
    """Return Pearson's chi-square of the fit; over its degrees of freedom it is the dispersion."""
    statistic, df = fit.dispersion * fit.df_residual, fit.df_residual
    p = chi_square_p(statistic, df)
    values = {"term": "dispersion", "estimate": fit.dispersion}
    return asked.test("pearson_chi_square", statistic, df, p, **values)


def _theta(asked: AskedOfTable, fit: GlmFit) -> Row:
    return asked.row(
        "coefficient",
        term="theta",
        estimate=fit.theta,
        estimate_scale="identity",
        std_error=fit.theta_std_error,
        se_scale="identity",
        se_method="observed information",
    )


def _outcome(asked: AskedOfTable) -> FloatArray:
    return asked.rows.numbers("outcome")


def _clusters(asked: AskedOfTable) -> IntArray:
    labels = asked.rows.labels(f"label_{asked.analysis.cluster}")
    if labels is None:
        raise EstimationError("clusters", "no cluster is named", "name the column of clusters.")
    return labels


def _ratio_name(asked: AskedOfTable) -> str:
    """An outcome of 0 and 1 has a risk; counts and events of person-time have a rate."""
    source = asked.rows.source
    is_coded = "outcome" in asked.rows.values and not getattr(source, "outcome_is_number", False)
    return "risk_ratio" if is_coded and asked.analysis.exposure is None else "rate_ratio"


def _counts(asked: AskedOfTable) -> tuple[FloatArray, FloatArray | None]:
    """Return counts, and the logarithm of what they are of: person-time in days, or exposure."""
    rows = asked.rows
    if reads_time(rows.source, asked.analysis):
        entry = rows.entry
        spent = rows.time if entry is None else rows.time - entry
        return rows.has_event.astype(np.float64), np.asarray(np.log(spent))
    return _outcome(asked), _exposure(asked) if asked.analysis.exposure else None


def _exposure(asked: AskedOfTable) -> FloatArray:
    return np.asarray(np.log(asked.rows.numbers(f"exposure_{asked.analysis.exposure}")))


def _counted(asked: AskedOfTable, row: Row) -> Row:
    """Count the rows that have any event, where the outcome is a count."""
    if row.get("n_events") is not None or asked.analysis.family == "gaussian":
        return row
    return row | {"n_events": int((_outcome(asked) > 0).sum())}


@contextmanager
def _named(design: DesignColumns) -> Iterator[None]:
    """Say which columns an estimator means, which counts them from 0."""
    try:
        yield
    except EstimationError as exc:
        if "counted from 0" not in exc.what:
            raise
        named = as_text(f"{i} = {name}" for i, name in enumerate(design.names))
        raise EstimationError(exc.where, f"{exc.what}: {named}", exc.fix) from None
