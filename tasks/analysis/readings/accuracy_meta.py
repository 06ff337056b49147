"""Sensitivity and specificity of centres, pooled together, and how far centres differ."""

from collections.abc import Iterator

import numpy as np

from tasks.analysis.design_columns import design_columns
from tasks.analysis.readings.centres import Centres, centres_of, moderators_of
from tasks.analysis.table_asked import AskedOfTable, Row
from tasks.core.errors import EstimationError
from tasks.core.spec.index_tests import AcrossCentres
from tasks.stats.diagnostic.bivariate import Bivariate, pool_accuracy
from tasks.stats.diagnostic.bivariate_summary import (
    Summary,
    area,
    correlation,
    hsroc,
    inconsistency,
    ratios,
    region,
    same_share,
    shares,
    sroc,
)
from tasks.stats.diagnostic.measures import RATIOS, SHARES, Cells, measure, wilson
from tasks.stats.inference import chi_square_p, two_sided_p, z_quantile
from tasks.stats.inputs import FloatArray

LEVEL = 0.95
_CURVE = np.concatenate([[0.001, 0.005], np.arange(1, 100) / 100, [0.995, 0.999]])
_POOLED = ("sensitivity", "specificity", "fpr")
_LOGITS = ("logit_sensitivity", "logit_fpr")
_HALF = "half_added"


def accuracy_meta(asked: AskedOfTable) -> list[Row]:
    """Return each centre, the bivariate fit with all that follows from it, and its checks.

    Centres are shown also where they cannot be pooled; the pooled rows then say why.
    """
    made: list[Row] = []
    for centres in centres_of(asked):
        made += [*centres.site_rows(), *_ratios_of_sites(centres), *_described(centres)]
        try:
            made += _pooled(centres)
        except EstimationError as exc:
            why: Row = {"status": "not_estimable", "note": exc.what}
            made += [centres.row(name, **why) for name in _POOLED]
    return made


def _asked(centres: Centres) -> AcrossCentres:
    return centres.asked.analysis.across_centres or AcrossCentres()


def _pooled(centres: Centres) -> list[Row]:
    if centres.no_result:
        raise EstimationError("accuracy across centres", centres.no_result, "give a threshold.")
    asked, terms = _asked(centres), centres.asked.analysis.parsed_terms
    design = design_columns(centres.asked.rows) if terms else None
    fit = pool_accuracy(
        centres.counts,
        asked.model,
        moderators=moderators_of(centres, design.x) if design else None,
        correction=asked.add_half,
    )
    made = [*_logits(centres, fit), *_between(centres, fit)]
    if design is not None:
        return [*made, *_coefficients(centres, fit, design.names), *_moderators(centres, fit)]
    made += [row for found in shares(fit, LEVEL) for row in _of_share(centres, found)]
    made += [_of_ratio(centres, found) for found in ratios(fit, LEVEL)]
    return [
        *made, *_hsroc(centres, fit), *_curve(centres, fit), *_without_each(centres, fit)
    ]  # fmt: skip


def _how(centres: Centres) -> Row:
    model = _asked(centres).model
    return {
        "se_method": model,
        "ci_level": LEVEL,
        "inference_space": "random_centres_random_cases",
    }


def _logits(centres: Centres, fit: Bivariate) -> Iterator[Row]:
    z = z_quantile(LEVEL)
    for place, name in enumerate(_LOGITS):
        value = float(fit.mean[place])
        error = float(np.sqrt(fit.mean_covariance[place, place]))
        yield centres.row(
            name, estimate=value, estimate_scale="logit", std_error=error, se_scale="logit",
            ci_low=value - z * error, ci_high=value + z * error, ci_method="wald", **_how(centres),
        )  # fmt: skip


def _between(centres: Centres, fit: Bivariate) -> Iterator[Row]:
    """Yield the variances between centres, their correlation, and I squared."""
    found = {"tau2_sens": fit.between[0, 0], "tau2_fpr": fit.between[1, 1], "rho": fit.rho}
    how = {"se_method": _asked(centres).model}
    for name, value in found.items():
        yield centres.row(name, estimate=float(value), **how)
    yield centres.row("log_likelihood", estimate=fit.log_likelihood, **how)
    if fit.coefficients.shape[1] == 1:
        for term, value in inconsistency(fit, centres.counts).items():
            yield centres.row("i2", estimate=value, unit="percent", term=term, **how)


def _of_share(centres: Centres, found: Summary) -> Iterator[Row]:
    yield centres.row(
        found.name, estimate=found.estimate, estimate_scale="identity", std_error=found.std_error,
        se_scale="identity", ci_low=found.ci_low, ci_high=found.ci_high, ci_method="wald_logit",
        **_how(centres),
    )  # fmt: skip
    limits = {"prediction_low": found.prediction_low, "prediction_high": found.prediction_high}
    for name, value in limits.items():
        how: Row = {"ci_level": LEVEL, "ci_method": "normal", "term": found.name}
        yield centres.row(name, estimate=value, estimate_scale="identity", **how)


def _of_ratio(centres: Centres, found: Summary) -> Row:
    return centres.row(
        found.name, estimate=found.estimate, estimate_scale="ratio", std_error=found.std_error,
        se_scale="log", ci_low=found.ci_low, ci_high=found.ci_high, ci_method="wald_log",
        **_how(centres),
    )  # fmt: skip


def _coefficients(centres: Centres, fit: Bivariate, names: tuple[str, ...]) -> Iterator[Row]:
    """Yield what each column changes of both logits."""
    z, p = z_quantile(LEVEL), fit.coefficients.shape[1]
    error = np.sqrt(np.diag(fit.covariance)).reshape(2, p)
    for row, outcome in enumerate(_LOGITS):
        for column, name in enumerate(("intercept", *names)):
            value, spread = float(fit.coefficients[row, column]), float(error[row, column])
            yield centres.row(
                "coefficient", term=f"{outcome}: {name}", estimate=value, estimate_scale="logit",
                std_error=spread, se_scale="logit", ci_low=value - z * spread,
                ci_high=value + z * spread, ci_method="wald", statistic_name="z",
                statistic=value / spread, p_value=two_sided_p(value / spread), **_how(centres),
            )  # fmt: skip


def _moderators(centres: Centres, fit: Bivariate) -> Iterator[Row]:
    """Yield the likelihood ratio test of all columns; restricted likelihoods have none."""
    asked, df = _asked(centres), 2 * (fit.coefficients.shape[1] - 1)
    if asked.model == "reml":
        return
    try:
        alone = pool_accuracy(
            centres.counts, asked.model, correction=asked.add_half, strict=False
        )  # fmt: skip
    except EstimationError:
        return
    statistic = 2 * (fit.log_likelihood - alone.log_likelihood)
    yield centres.row(
        "test", statistic_name="likelihood_ratio", statistic=statistic, df1=float(df),
        p_value=chi_square_p(statistic, df), term="moderators",
    )  # fmt: skip


def _hsroc(centres: Centres, fit: Bivariate) -> Iterator[Row]:
    found = hsroc(fit)
    told = {
        "hsroc_theta": found.theta,
        "hsroc_lambda": found.lambda_,
        "hsroc_beta": found.beta,
        "hsroc_sigma2_theta": found.sigma2_theta,
        "hsroc_sigma2_alpha": found.sigma2_alpha,
    }
    for term, value in told.items():
        yield centres.row("coefficient", term=term, estimate=value, se_method=_asked(centres).model)


def _curve(centres: Centres, fit: Bivariate) -> Iterator[Row]:
    """Yield the area under the summary curve, the curve, and the outlines of both regions."""
    counts = centres.counts
    rate = counts.fp / np.maximum(counts.fp + counts.tn, 1)
    yield centres.row("sauc", estimate=area(fit), term="whole")
    if np.ptp(rate) > 0:
        low, high = float(rate.min()), float(rate.max())
        yield centres.row("sauc", estimate=area(fit, low, high), term="observed")
    for at, value in zip(_CURVE, sroc(fit, _CURVE), strict=True):
        yield centres.row(
            "sensitivity", term="sroc", at=float(at), at_kind="fpr", estimate=float(value)
        )
    for kind in ("confidence", "prediction"):
        for turn, (rate_at, height) in enumerate(region(fit, kind, LEVEL)):
            yield centres.row(
                "sensitivity", term=f"{kind}_region", at=float(turn), at_kind="outline",
                at2=float(rate_at), at2_kind="fpr", estimate=float(height), ci_level=LEVEL,
            )  # fmt: skip


def _without_each(centres: Centres, fit: Bivariate) -> Iterator[Row]:
    """Yield the pooled sensitivity and specificity without each centre."""
    asked, counts = _asked(centres), centres.counts
    for place in range(len(centres.names)):
        named: Row = {"scenario": "leave_one_out", "n_sites": len(centres.names) - 1}
        try:
            left = pool_accuracy(
                counts.without(place), asked.model, correction=asked.add_half, points=5,
                start=fit.parameters,
            )  # fmt: skip
        except EstimationError as exc:
            for name in _POOLED[:2]:
                why: Row = {"status": "not_estimable", "note": exc.what}
                yield centres.row(name, place, **named | why)
            continue
        for found in shares(left, LEVEL):
            if found.name in _POOLED[:2]:
                yield centres.row(
                    found.name, place, estimate=found.estimate, estimate_scale="identity",
                    std_error=found.std_error, se_scale="identity", ci_low=found.ci_low,
                    ci_high=found.ci_high, ci_method="wald_logit", **_how(centres) | named,
                )  # fmt: skip


def _ratios_of_sites(centres: Centres) -> Iterator[Row]:
    """Yield the ratios of each centre; with a half in each cell where any centre has a zero.

    Where a half is added, sensitivity and specificity with it stand beside.
    """
    half = centres.counts.corrected()
    is_changed = bool((half.tp != centres.counts.tp).any())
    table = np.column_stack([half.tp, half.fp, half.fn, half.tn])
    for place, counts in enumerate(table):
        cells = _half_cells(counts) if is_changed else centres.cells[place]
        if is_changed:
            yield from _half_shares(centres, place, cells)
        for name in RATIOS:
            try:
                found = measure(name, cells)
            except EstimationError:
                continue
            yield centres.row(
                name, place, scenario=_HALF if is_changed else "site", estimate=found.estimate,
                estimate_scale="ratio", std_error=found.std_error, se_scale="log",
                ci_low=found.ci_low, ci_high=found.ci_high, ci_level=found.level,
                ci_method=found.ci_method,
            )  # fmt: skip


def _half_cells(counts: FloatArray) -> Cells:
    return Cells(counts, np.diag(counts), np.rint(counts).astype(np.int64), 1, True)


def _half_shares(centres: Centres, place: int, cells: Cells) -> Iterator[Row]:
    for name in _POOLED[:2]:
        part, whole = (float(cell @ cells.totals) for cell in SHARES[name])
        low, high = wilson(part / whole, whole, z_quantile(LEVEL))
        yield centres.row(
            name, place, scenario=_HALF, estimate=part / whole, estimate_scale="identity",
            ci_low=low, ci_high=high, ci_level=LEVEL, ci_method="wilson",
        )  # fmt: skip


def _described(centres: Centres) -> Iterator[Row]:
    """Yield tests that a share is the same everywhere, and the correlation of both shares.

    As counted; where a centre has an empty cell, with a half in each cell beside.
    """
    raw = centres.counts
    half = raw.corrected()
    several = [(None, raw)] + ([(_HALF, half)] if (half.tp != raw.tp).any() else [])
    for scenario, counts in several:
        for column, name in enumerate(_POOLED[:2]):
            try:
                found = same_share(counts.positives[:, column], counts.trials[:, column])
            except EstimationError:
                continue
            yield centres.row(
                "test", statistic_name=f"equal_{name}", statistic=found.statistic,
                df1=float(found.df), p_value=found.p_value, scenario=scenario,
            )  # fmt: skip
        try:
            rho, low, high = correlation(counts, LEVEL)
        except EstimationError:
            continue
        yield centres.row(
            "rho", term="observed", estimate=rho, ci_low=low, ci_high=high, ci_level=LEVEL,
            ci_method="fisher_z", scenario=scenario,
        )  # fmt: skip
