"""Effects of a table's treatment: adjusted analyses, and methods that adjust by a model."""

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from tasks.analysis import fitted_curves
from tasks.analysis.design_columns import design_columns
from tasks.analysis.people import FloatArray
from tasks.analysis.populations import ESTIMAND
from tasks.analysis.table_adjust import Adjusted, Arms, adjust, arms_of, fitted_score, with_names
from tasks.analysis.table_asked import AskedOfTable, Row, ratio_of
from tasks.analysis.table_balance import diagnostics, propensity_model
from tasks.analysis.table_rows import TableRows
from tasks.core.errors import EstimationError
from tasks.core.spec.sources import AnalysisTable
from tasks.stats.estimated_weights import EstimatedScore, EstimatedWeights
from tasks.stats.inference import Contrast, difference, z_quantile
from tasks.stats.instrumental import InstrumentalFit, two_stage_least_squares
from tasks.stats.outcome_models import Family, OutcomeDesign, aipw, g_computation, tmle
from tasks.stats.stratified_effects import (
    mantel_haenszel,
    strata_weights,
    stratified_difference,
)
from tasks.stats.structural_mean import g_estimation
from tasks.stats.weighted_cox import cox_estimated_weights
from tasks.stats.weighted_curves import WeightedArms
from tasks.stats.weighted_effects import ArmMeans, Measure, contrast_means, weighted_means

TableMethod = Callable[[AskedOfTable], list[Row]]
_RATIOS: tuple[tuple[str, Measure], ...] = (
    ("risk_ratio", "ratio"),
    ("odds_ratio", "odds_ratio"),
)
_CONDITIONAL = ("cox", "log_rank")


def adjusted_rows(asked: AskedOfTable, method: TableMethod) -> list[Row]:
    """Return the rows of a method in arms made alike, and the diagnostics of that.

    Raises:
        EstimationError: The arms cannot be made alike, or the method cannot be estimated.
    """
    arms = arms_of(asked)
    adjusted = adjust(asked)
    if asked.analysis.method == "mean_difference":
        made = _adjusted_means(adjusted)
    else:
        made = method(adjusted.asked)
        if asked.analysis.method == "cox" and adjusted.weights is not None:
            made += _fitted_weights(adjusted, made)
        made += _fitted_curves(adjusted, arms, made)
    is_conditional = adjusted.stratum is not None and asked.analysis.method in _CONDITIONAL
    estimand = "conditional" if is_conditional else ESTIMAND[asked.analysis.adjustment]
    return [row | {"estimand": estimand} for row in [*made, *diagnostics(adjusted, arms)]]


def _fitted_weights(adjusted: Adjusted, made: list[Row]) -> list[Row]:
    """Return the hazard ratios again, with errors that count the fit of the weights."""
    asked, weights = adjusted.asked, adjusted.weights
    if asked.analysis.cluster or weights is None:
        return []
    rows = asked.rows
    fit = cox_estimated_weights(
        rows.time,
        rows.has_event,
        design_columns(rows).x,
        weights,
        ties=asked.analysis.ties or "efron",
        entry=rows.entry,
        strata=rows.labels(*(f"label_{name}" for name in asked.analysis.strata)),
    )
    plain = [row for row in made if row["estimate_name"] == "hazard_ratio"]
    return [
        row
        | {
            "std_error": float(fit.std_error[i]),
            "se_method": fit.se_method,
            "ci_low": ratio_of(fit.ci_low[i]),
            "ci_high": ratio_of(fit.ci_high[i]),
            "statistic": float(fit.z[i]),
            "p_value": float(fit.p_value[i]),
        }
        for i, row in enumerate(plain)
    ]


def _fitted_curves(adjusted: Adjusted, arms: Arms, made: list[Row]) -> list[Row]:
    """Return rows of curves and means again, with errors that count the fit of the weights."""
    asked, weights = adjusted.asked, adjusted.weights
    if weights is None or asked.analysis.method not in fitted_curves.METHODS:
        return []
    rows = asked.rows
    competes = asked.analysis.method == "cumulative_incidence"
    cause = rows.event if competes else rows.has_event.astype(np.int64)
    both = WeightedArms(rows.time, cause, arms_of(asked).treated, weights, rows.entry)
    return fitted_curves.fitted_rows(
        made, asked.analysis, both, lambda row: row.get("arm") == arms.target
    )


def mean_difference(asked: AskedOfTable) -> list[Row]:
    """Return means, or risks, of both arms as they are, and their contrasts."""
    arms, y = arms_of(asked), _outcome(asked.rows)
    means = weighted_means(y, arms.treated, _known(asked.rows), fitted=False)
    made = _mean_rows(asked, arms, means) + _contrasts(asked, arms, means)
    if _is_number(asked) and asked.rows.weights is None:
        made.append(_pooled(asked, arms, y))
    return [row | {"estimand": "unadjusted"} for row in made]


def _known(rows: TableRows) -> EstimatedWeights:
    """Return weights that no model made: those of the table, or ones."""
    weight = np.ones(rows.n) if rows.weights is None else rows.weights
    return EstimatedWeights(weight, np.zeros((rows.n, 1)), np.zeros((rows.n, 1)))


def _pooled(asked: AskedOfTable, arms: Arms, y: FloatArray) -> Row:
    """Return the difference with the variance of least squares, one for both arms."""
    parts = [y[a] for a in (arms.treated, ~arms.treated)]
    left = sum(float(((part - part.mean()) ** 2).sum()) for part in parts)
    error = math.sqrt(left / (y.size - 2) * sum(1 / part.size for part in parts))
    found = difference(float(parts[0].mean() - parts[1].mean()), error, 0.95)
    named = asked.of_arms(arms.target, arms.reference)
    return asked.contrast("mean_difference", found, se_method="model", **named)


def _adjusted_means(adjusted: Adjusted) -> list[Row]:
    """Return means and contrasts, with every variance that is known by a name."""
    asked = adjusted.asked
    arms, y = arms_of(asked), _outcome(asked.rows)
    if adjusted.stratum is not None:
        return _stratified(adjusted, arms, y)
    if adjusted.weights is None:
        members = adjusted.matched_set
        assert members is not None  # noqa: S101 - neither weights nor strata: matched sets
        means = weighted_means(y, arms.treated, _known(asked.rows), fitted=False)
        means = means.by_cluster(members)
        more = {"n_clusters": int(members.max()) + 1}
        return _mean_rows(asked, arms, means) + _contrasts(asked, arms, means, **more)
    fitted = weighted_means(y, arms.treated, adjusted.weights)
    fixed = weighted_means(y, arms.treated, adjusted.weights, fitted=False)
    survey = replace(
        fixed,
        influence=fixed.influence * math.sqrt(y.size / (y.size - 1)),
        se_method="linearisation",
    )
    made = _mean_rows(asked, arms, fitted)
    for means in (fitted, fixed, survey):
        made += _contrasts(asked, arms, means)
    return made


def _stratified(adjusted: Adjusted, arms: Arms, y: FloatArray) -> list[Row]:
    asked, stratum = adjusted.asked, adjusted.stratum
    assert stratum is not None  # noqa: S101 - asked by the caller
    weight = strata_weights(stratum, arms.treated)
    known = EstimatedWeights(weight, np.zeros((y.size, 1)), np.zeros((y.size, 1)))
    made = _mean_rows(asked, arms, weighted_means(y, arms.treated, known, fitted=False))
    named = asked.of_arms(arms.target, arms.reference)
    found = stratified_difference(y, arms.treated, stratum)
    made.append(asked.contrast(_difference_name(asked), found, se_method="stratified", **named))
    if not _is_number(asked):
        pooled = mantel_haenszel(y, arms.treated, stratum)
        made += [
            asked.contrast(measure, contrast, se_method="mantel_haenszel", **named)
            for measure, contrast in pooled.items()
        ]
    return made


def standardisation(asked: AskedOfTable) -> list[Row]:
    """Return means under both treatments by a model of the outcome, and their contrasts."""
    effect = asked.analysis.effect or "ate"
    arms, y = arms_of(asked), _outcome(asked.rows)
    try:
        means = g_computation(y, arms.treated, counterfactual_design(asked), _family(asked), effect)
    except EstimationError as exc:
        raise with_names(exc, design_columns(asked.rows)) from None
    return _modelled(asked, arms, means, effect)


def augmented_weighting(asked: AskedOfTable) -> list[Row]:
    """Return means under both treatments by AIPW, and their contrasts."""
    effect = asked.analysis.effect or "ate"
    arms, y = arms_of(asked), _outcome(asked.rows)
    score, names = fitted_score(asked.rows, arms.treated)
    means = aipw(y, arms.treated, counterfactual_design(asked), score, _family(asked), effect)
    return _modelled(asked, arms, means, effect) + score_rows(asked, score, names)


def targeted_learning(asked: AskedOfTable) -> list[Row]:
    """Return means under both treatments by TMLE, and their contrasts."""
    arms, y = arms_of(asked), _outcome(asked.rows)
    score, names = fitted_score(asked.rows, arms.treated)
    means = tmle(y, arms.treated, counterfactual_design(asked), score, _family(asked))
    return _modelled(asked, arms, means, "ate") + score_rows(asked, score, names)


def structural_mean(asked: AskedOfTable) -> list[Row]:
    """Return the effect of a structural nested mean model, by g-estimation."""
    rows, arms = asked.rows, arms_of(asked)
    score, names = fitted_score(rows, arms.treated)
    modifiers = design_columns(rows) if asked.analysis.terms else None
    fit = g_estimation(
        _outcome(rows), arms.treated, score, None if modifiers is None else modifiers.x,
        rows.weights,
    )  # fmt: skip
    named: Row = {"estimand": "ate", "se_method": "m_estimation"}
    named |= asked.of_arms(arms.target, arms.reference)
    terms = (None, *(modifiers.names if modifiers else ()))
    made = [
        asked.contrast(
            _difference_name(asked) if term is None else "coefficient",
            difference(float(fit.psi[i]), float(fit.std_error[i]), fit.level),
            term=term if term is None else f"{asked.treatment}:{term}",
            **named,
        )
        for i, term in enumerate(terms)
    ]
    if fit.score_interval is not None:
        low, high = fit.score_interval
        of_test = {"ci_low": low, "ci_high": high, "ci_method": "score"}
        made.append(made[0] | of_test | {"statistic_name": None, "statistic": None})
    return made + score_rows(asked, score, names)


def instrumental_variable(asked: AskedOfTable) -> list[Row]:
    """Return the effect by two-stage least squares, and how strong the instrument is."""
    rows, analysis = asked.rows, asked.analysis
    treatment, named = _instrumented(asked)
    instruments = design_columns(rows, analysis.instrument_terms)
    covariates = design_columns(rows).x if analysis.terms else None
    fit = two_stage_least_squares(_outcome(rows), treatment, instruments.x, covariates)
    weak = "weak instrument: first-stage F below 10; read the Anderson-Rubin interval"
    named |= {"note": weak if fit.is_weak else None}
    made = [
        asked.contrast(
            _difference_name(asked),
            difference(fit.estimate, error, 0.95),
            se_method=how,
            **named,
        )
        for how, error in (("hc0", fit.std_error), ("model", fit.model_std_error))
    ]
    return [*made, _anderson_rubin(asked, fit, named), *_first_stage(asked, fit)]


def _instrumented(asked: AskedOfTable) -> tuple[FloatArray, Row]:
    """Return the treatment that instruments move, and the columns that name its effect."""
    source = asked.rows.source
    if source.columns[asked.treatment] == "number":
        effect = {"term": asked.treatment, "unit": f"per unit of {asked.treatment}"}
        return asked.rows.numbers(f"x_{asked.treatment}"), {"estimand": "late", **effect}
    arms = arms_of(asked)
    named = {"estimand": "late", **asked.of_arms(arms.target, arms.reference)}
    return arms.treated.astype(np.float64), named


def _anderson_rubin(asked: AskedOfTable, fit: InstrumentalFit, named: Row) -> Row:
    low, high = fit.anderson_rubin or (None, None)
    what = {"ci_low": low, "ci_high": high, "ci_level": 0.95, "ci_method": "anderson_rubin"}
    if fit.anderson_rubin is None:
        what["note"] = f"Anderson-Rubin: {fit.anderson_rubin_shape}"
    scale = {"estimate": fit.estimate, "estimate_scale": "difference"}
    return asked.row(_difference_name(asked), **named | scale | what)


def _first_stage(asked: AskedOfTable, fit: InstrumentalFit) -> list[Row]:
    values = {"first_stage_f": fit.first_stage_f, "first_stage_f_robust": fit.first_stage_f_robust}
    return [
        asked.row(
            "test",
            statistic_name=name,
            statistic=value if math.isfinite(value) else None,
            df1=float(fit.df1),
            df2=float(fit.df2),
            n_events=None,
        )
        for name, value in values.items()
    ]


def score_rows(asked: AskedOfTable, score: EstimatedScore, names: tuple[str, ...]) -> list[Row]:
    """Return the coefficients of the propensity score, where they are asked for."""
    return propensity_model(asked, score, names) if asked.analysis.show_propensity else []


def counterfactual_design(asked: AskedOfTable) -> OutcomeDesign:
    """Return the columns of the outcome's model as they are, all treated, and none treated."""
    (_, reference), (_, target) = asked.treatment_levels()
    field = f"x_{asked.treatment}"
    column = asked.rows.values[field]
    made = [design_columns(asked.rows).x]
    for value in (target, reference):
        same = np.full(column.shape, value, dtype=column.dtype)
        rows = replace(asked.rows, values={**asked.rows.values, field: same})
        made.append(design_columns(rows).x)
    return OutcomeDesign(*made)


def _modelled(asked: AskedOfTable, arms: Arms, means: ArmMeans, effect: str) -> list[Row]:
    made = _mean_rows(asked, arms, means) + _contrasts(asked, arms, means)
    return [row | {"estimand": effect} for row in made]


def _mean_rows(asked: AskedOfTable, arms: Arms, means: ArmMeans) -> list[Row]:
    """Return the mean, or risk, of each arm, the reference first."""
    name, z = "mean" if _is_number(asked) else "risk", z_quantile(0.95)
    errors = np.sqrt(np.diag(means.covariance))
    made = []
    for level, value, error in (
        (arms.reference, means.other, float(errors[1])),
        (arms.target, means.treated, float(errors[0])),
    ):
        mine = arms.treated == (level == arms.target)
        events = None if _is_number(asked) else int((asked.rows.values["outcome"][mine] == 1).sum())
        made.append(
            asked.row(
                name,
                estimate=value,
                estimate_scale="identity",
                std_error=error,
                se_scale="identity",
                se_method=means.se_method,
                ci_low=value - z * error,
                ci_high=value + z * error,
                ci_level=0.95,
                ci_method="wald",
                n=int(mine.sum()),
                n_events=events,
                **asked.of_arm(level),
            )
        )
    return made


def _contrasts(asked: AskedOfTable, arms: Arms, means: ArmMeans, **more: object) -> list[Row]:
    named = {"se_method": means.se_method, **asked.of_arms(arms.target, arms.reference), **more}
    found: Contrast = contrast_means(means, "difference")
    if _is_number(asked):
        return [asked.contrast("mean_difference", found, **named)]
    made = [asked.contrast("risk_difference", found, **named)]
    for name, measure in _RATIOS:
        try:
            made.append(asked.contrast(name, contrast_means(means, measure), **named))
        except EstimationError as exc:
            made.append(asked.row(name, status="not_estimable", note=exc.what, **named))
    return made


def _outcome(rows: TableRows) -> FloatArray:
    if _number_outcome(rows):
        return rows.numbers("outcome")
    return np.asarray(rows.values["outcome"] == 1, dtype=np.float64)


def _number_outcome(rows: TableRows) -> bool:
    return isinstance(rows.source, AnalysisTable) and rows.source.outcome_is_number


def _is_number(asked: AskedOfTable) -> bool:
    return _number_outcome(asked.rows)


def _difference_name(asked: AskedOfTable) -> str:
    return "mean_difference" if _is_number(asked) else "risk_difference"


def _family(asked: AskedOfTable) -> Family:
    return "linear" if _is_number(asked) else "logistic"
