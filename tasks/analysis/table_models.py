"""Models of an analysis table: Cox's and the logistic, one row of results a term."""

import math
from collections.abc import Callable
from functools import partial

from tasks.analysis.design_columns import DesignColumns, design_columns
from tasks.analysis.people import IntArray
from tasks.analysis.table_asked import AskedOfTable, Row, as_text, ratio_of
from tasks.analysis.table_bootstrap import bootstrapped_cox, with_limits
from tasks.analysis.table_prediction import coefficient_rows, predicted_rows
from tasks.analysis.table_ridge import ridge_rows
from tasks.core.errors import EstimationError
from tasks.stats.concordance import Concordance, concordance
from tasks.stats.cox import CoxFit, cox, linear_predictor, profile_likelihood_interval
from tasks.stats.inference import chi_square_p, two_sided_p, z_quantile
from tasks.stats.logistic import logistic
from tasks.stats.proportional_hazards import ProportionalHazardsTest, proportional_hazards_test


def cox_model(asked: AskedOfTable) -> list[Row]:
    """Return hazard ratios, tests of the model and of its assumption, and its fit."""
    design = design_columns(asked.rows)
    try:
        return _cox_rows(asked, design)
    except EstimationError as exc:
        raise with_names(exc, design) from None


def _cox_rows(asked: AskedOfTable, design: DesignColumns) -> list[Row]:
    rows, analysis = asked.rows, asked.analysis
    if analysis.penalty is not None:
        return ridge_rows(asked, design, analysis.penalty.theta)
    ties = analysis.ties or "efron"
    strata = rows.labels(*(f"label_{name}" for name in analysis.strata))
    cluster = rows.labels(f"label_{analysis.cluster}") if analysis.cluster else None
    time, entry = rows.time, rows.entry
    drawn = None
    if analysis.std_error == "bootstrap":
        drawn = bootstrapped_cox(asked, design, strata)
    fit = (
        drawn.fit
        if drawn is not None
        else cox(
            time,
            rows.has_event,
            design.x,
            ties=ties,
            weights=rows.weights,
            robust=analysis.std_error == "robust",
            cluster=cluster,
            strata=strata,
            entry=entry,
        )
    )
    method = f"cox_{ties}"
    made = [_hazard_ratio(asked, method, fit, name, i) for i, name in enumerate(design.names)]
    if drawn is not None:
        made = [with_limits(analysis, drawn, row, i) for i, row in enumerate(made)]
    if analysis.std_error == "profile_likelihood":
        made += [_profile(asked, design, row, i, strata) for i, row in enumerate(made)]
    made += _model_rows(asked, method, fit, len(design.names))
    test = partial(
        proportional_hazards_test,
        time, rows.has_event, design.x, ties=ties, weights=rows.weights, strata=strata,
        terms=design.term_of, entry=entry,
    )  # fmt: skip
    made += _proportional_hazards(asked, method, design, test)
    made += coefficient_rows(asked, method, design)
    made += predicted_rows(asked, method, fit, design)
    return [*made, _concordance(asked, method, fit, design)]


def _proportional_hazards(
    asked: AskedOfTable,
    method: str,
    design: DesignColumns,
    test: Callable[[], ProportionalHazardsTest],
) -> list[Row]:
    """Return the tests of proportional hazards; the hazard ratios stand without them."""
    name = "proportional_hazards"
    try:
        found = test()
    except EstimationError as exc:
        what = {"method": method, "statistic_name": name, "ci_level": None, "note": exc.what}
        return [asked.row("test", status="not_estimable", **what)]
    each = zip(design.terms, found.statistic, found.df, found.p_value, strict=True)
    together = (None, found.global_statistic, found.global_df, found.global_p_value)
    return [
        asked.test(name, statistic, df, p, method=method, term=term)
        for term, statistic, df, p in [*each, together]
    ]


def _hazard_ratio(asked: AskedOfTable, method: str, fit: CoxFit, name: str, i: int) -> Row:
    return asked.row(
        "hazard_ratio",
        method=method,
        term=name,
        estimate=ratio_of(fit.coef[i]),
        estimate_scale="ratio",
        std_error=float(fit.std_error[i]),
        se_scale="log",
        se_method=fit.se_method,
        ci_low=ratio_of(fit.ci_low[i]),
        ci_high=ratio_of(fit.ci_high[i]),
        ci_level=fit.level,
        ci_method="wald",
        statistic_name="z",
        statistic=float(fit.z[i]),
        p_value=float(fit.p_value[i]),
        n_clusters=fit.n_clusters,
    )


def _profile(
    asked: AskedOfTable, design: DesignColumns, wald: Row, index: int, strata: IntArray | None
) -> Row:
    rows = asked.rows
    found = profile_likelihood_interval(
        rows.time, rows.has_event, design.x, index,
        ties=asked.analysis.ties or "efron", strata=strata, entry=rows.entry,
    )  # fmt: skip
    z = found.estimate / found.implied_std_error
    return wald | {
        "std_error": found.implied_std_error,
        "se_method": "profile_likelihood",
        "ci_low": ratio_of(found.ci_low),
        "ci_high": ratio_of(found.ci_high),
        "ci_method": "profile_likelihood",
        "statistic": z,
        "p_value": two_sided_p(z),
    }


def _model_rows(asked: AskedOfTable, method: str, fit: CoxFit, p: int) -> list[Row]:
    tests = {
        "likelihood_ratio": fit.likelihood_ratio,
        "wald": fit.wald_statistic,
        "score": fit.score_statistic,
    }
    return [
        *_likelihoods(asked, method, fit.log_likelihood, fit.log_likelihood_null, p),
        *(
            asked.test(name, value, p, chi_square_p(value, p), method=method)
            for name, value in tests.items()
        ),
    ]


def _likelihoods(
    asked: AskedOfTable, method: str, model: float, null: float, parameters: int
) -> list[Row]:
    """Return the log-likelihood of the model and of none, and Akaike's criterion."""
    return [
        asked.row("log_likelihood", method=method, term="model", estimate=model),
        asked.row("log_likelihood", method=method, term="null", estimate=null),
        asked.row("aic", method=method, estimate=2 * parameters - 2 * model),
    ]


def _concordance(asked: AskedOfTable, method: str, fit: CoxFit, design: DesignColumns) -> Row:
    try:
        found = _concordance_of(asked, fit, design)
    except EstimationError as exc:  # the hazard ratios stand without it
        what = {"method": method, "ci_level": None, "note": exc.what}
        return asked.row("concordance", status="not_estimable", **what)
    return asked.row(
        "concordance",
        method=method,
        estimate=found.estimate,
        estimate_scale="identity",
        std_error=found.std_error,
        se_scale="identity",
        se_method="infinitesimal jackknife",
        ci_low=found.ci_low,
        ci_high=found.ci_high,
        ci_level=found.level,
        ci_method="wald",
    )


def _concordance_of(asked: AskedOfTable, fit: CoxFit, design: DesignColumns) -> Concordance:
    rows, analysis = asked.rows, asked.analysis
    return concordance(
        rows.time,
        rows.has_event,
        linear_predictor(fit.coef, design.x),
        strata=rows.labels(*(f"label_{name}" for name in analysis.strata)),
        cluster=rows.labels(f"label_{analysis.cluster}") if analysis.cluster else None,
        weights=rows.weights,
        entry=rows.entry,
    )


def logistic_model(asked: AskedOfTable) -> list[Row]:
    """Return odds ratios, the intercept as a coefficient, and the fit of the model."""
    design = design_columns(asked.rows)
    outcome = asked.rows.values["outcome"] == 1
    try:
        fit = logistic(design.x, outcome, asked.rows.weights)
    except EstimationError as exc:
        raise with_names(exc, design) from None
    z = z_quantile(0.95)
    made = []
    for i, name in enumerate(("intercept", *design.names)):
        coef, error = float(fit.coef[i]), float(fit.std_error[i])
        is_ratio = i > 0
        write = ratio_of if is_ratio else float
        made.append(
            asked.row(
                "odds_ratio" if is_ratio else "coefficient",
                term=name,
                estimate=write(coef),
                estimate_scale="ratio" if is_ratio else "identity",
                std_error=error,
                se_scale="log" if is_ratio else "identity",
                se_method="model",
                ci_low=write(coef - z * error),
                ci_high=write(coef + z * error),
                ci_level=0.95,
                ci_method="wald",
                statistic_name="z",
                statistic=coef / error,
                p_value=two_sided_p(coef / error),
            )
        )
    likelihoods = (fit.log_likelihood, fit.log_likelihood_null)
    made += _likelihoods(asked, "logistic", *likelihoods, len(fit.coef))
    bic = math.log(asked.rows.n) * len(fit.coef) - 2 * fit.log_likelihood
    return [*made, asked.row("bic", method="logistic", estimate=bic)]


def with_names(exc: EstimationError, design: DesignColumns) -> EstimationError:
    """Say which columns an estimator means, which counts them from 0."""
    if "counted from 0" not in exc.what:
        return exc
    named = as_text(f"{i} = {name}" for i, name in enumerate(design.names))
    return EstimationError(exc.where, f"{exc.what}: {named}", exc.fix)
