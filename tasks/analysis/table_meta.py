"""Meta-analysis: the effects of sites or studies, pooled, and how far they differ."""

import math
from collections.abc import Callable, Iterator

import numpy as np

from tasks.analysis.design_columns import design_columns
from tasks.analysis.table_asked import AskedOfTable, Row, finite
from tasks.analysis.table_meta_sites import LEVEL, Sites, sites_of
from tasks.core.errors import EstimationError
from tasks.stats.inference import two_sided_p, z_quantile
from tasks.stats.inputs import FloatArray
from tasks.stats.meta_analysis import MIN_SITES, Heterogeneity, KnappHartung, Pooled, pool
from tasks.stats.meta_analysis_checks import (
    Asymmetry,
    Estimator,
    begg,
    cumulative,
    egger,
    influence,
    leave_one_out,
    trim_and_fill,
)
from tasks.stats.meta_analysis_counts import Measure, PooledCounts, Tables, mantel_haenszel, peto
from tasks.stats.meta_analysis_tau2 import Tau2Method

_CI_METHODS = {"none": "wald", "plain": "knapp_hartung", "modified": "knapp_hartung_modified"}
_ESTIMATORS: tuple[Estimator, ...] = ("l0", "r0")


def pooled_effects(asked: AskedOfTable) -> list[Row]:
    """Return the effects of sites, the pooled one, and all that says how far it can be trusted.

    Sites are shown also where nothing can be pooled; the row of the pooled effect says why.
    """
    sites = sites_of(asked)
    try:
        if asked.analysis.pooling in ("mantel_haenszel", "peto"):
            return _pooled_counts(sites)
        return _pooled(sites)
    except EstimationError as exc:
        note = f"{exc.where}: {exc.what}"
        failed = sites.row(sites.measure, status="not_estimable", note=note)
        return [*sites.site_rows(None), failed]


def _pooled(sites: Sites) -> list[Row]:
    analysis = sites.asked.analysis
    moderators = None
    if analysis.parsed_terms:
        design = design_columns(sites.asked.rows)
        moderators = design.x[sites.order]
    found = pool(
        sites.y,
        sites.v,
        _method(sites),
        moderators=moderators,
        knapp_hartung=_knapp_hartung(sites),
        prediction=analysis.prediction or "as_interval",
        level=LEVEL,
    )
    rows = sites.site_rows(found.weights) + _heterogeneity(sites, found.heterogeneity)
    if moderators is not None:
        return rows + _coefficients(sites, found, design.names) + _moderators(sites, found)
    rows += [_mean(sites, found), *_prediction(sites, found), *_asymmetry(sites)]
    return rows + _filled(sites) + _without_each(sites) + _one_after_another(sites)


def _method(sites: Sites) -> Tau2Method:
    pooling = sites.asked.analysis.pooling
    if pooling is None or pooling in ("mantel_haenszel", "peto"):
        raise AssertionError(f"{pooling}: the checks of the study refuse it")
    return pooling  # type: ignore[return-value]


def _knapp_hartung(sites: Sites) -> KnappHartung:
    asked = sites.asked.analysis.knapp_hartung
    return "modified" if asked == "modified" else "plain" if asked else "none"


def _mean(sites: Sites, found: Pooled, place: int | None = None, /, **values: object) -> Row:
    """Return the row of a pooled effect; `place` names the site that it leaves out, or adds."""
    limits = (float(found.ci_low[0]), float(found.ci_high[0]))
    made = sites.effect(found.estimate, found.std_error, limits)
    if place is not None:
        made |= _of_site(sites, place)
    return made | {**_tested(sites, found, 0), "n_sites": found.k, **values}


def _of_site(sites: Sites, place: int) -> Row:
    """Return what marks a row as telling of one site: its name, and the counts behind it."""
    made = sites.row("count", place)
    return {
        name: made[name]
        for name in ("stratum_name", "stratum_level", "n", "n_events", "behind")
        if name in made
    }


def _tested(sites: Sites, found: Pooled, i: int) -> Row:
    return {
        "se_method": found.method,
        "ci_method": _CI_METHODS[_knapp_hartung(sites)],
        "statistic_name": "z" if found.df is None else "t",
        "statistic": float(found.statistics[i]),
        "df2": found.df,
        "p_value": float(found.p_values[i]),
    }


def _heterogeneity(sites: Sites, found: Heterogeneity) -> list[Row]:
    """Return Q with its test, I squared (per cent), H squared and tau squared."""
    tested: Row = {
        "statistic_name": "chi_squared",
        "statistic": found.q,
        "df1": float(found.df),
        "p_value": found.p_value,
    }
    interval: Row = {}
    if found.tau2_low is not None or found.tau2_high is not None:
        interval = {
            "ci_low": found.tau2_low,
            "ci_high": found.tau2_high,
            "ci_level": LEVEL,
            "ci_method": "q_profile",
        }
        if found.tau2_high is None:
            interval["note"] = "the upper limit of tau squared lies beyond the search"
    spread: Row = {"std_error": found.tau2_std_error, "se_scale": "identity"}
    return [
        sites.row("q", estimate=found.q, **tested),
        sites.row("i2", estimate=found.i2, unit="percent"),
        sites.row("h2", estimate=found.h2),
        sites.row("tau2", estimate=found.tau2, **spread | interval),
    ]


def _prediction(sites: Sites, found: Pooled) -> list[Row]:
    if found.prediction_low is None or found.prediction_high is None:
        return []
    limits = {"prediction_low": found.prediction_low, "prediction_high": found.prediction_high}
    df = found.prediction_df
    how: Row = {
        "estimate_scale": "ratio" if sites.scale == "log" else "identity",
        "ci_level": LEVEL,
        "ci_method": "normal" if df is None else "students_t",
        "df2": df,
    }
    return [sites.row(name, estimate=sites.write()(x), **how) for name, x in limits.items()]


def _coefficients(sites: Sites, found: Pooled, names: tuple[str, ...]) -> list[Row]:
    return [
        sites.row(
            "coefficient",
            term=term,
            estimate=float(found.coefficients[i]),
            estimate_scale=sites.scale,
            std_error=float(found.std_errors[i]),
            se_scale=sites.scale,
            ci_low=float(found.ci_low[i]),
            ci_high=float(found.ci_high[i]),
            ci_level=LEVEL,
            **_tested(sites, found, i),
        )
        for i, term in enumerate(("intercept", *names))
    ]


def _moderators(sites: Sites, found: Pooled) -> list[Row]:
    test = found.moderators
    if test is None:
        return []
    made: Row = {"statistic": test.statistic, "df1": float(test.df1), "df2": test.df2}
    rows = [sites.row("test", statistic_name="moderators", p_value=test.p_value, **made)]
    if test.r2 is not None:
        rows.append(sites.row("r2", estimate=test.r2, unit="percent"))
    return rows


def _asymmetry(sites: Sites) -> list[Row]:
    """Return Egger's and Begg's tests of the funnel."""
    rows: list[Row] = []
    if found := _attempt(sites, "egger", lambda: egger(sites.y, sites.v), rows):
        slope: Row = {"estimate": found.estimate, "std_error": found.std_error}
        test: Row = {"statistic_name": "t", "statistic": found.statistic, "df1": found.df}
        rows.append(sites.row("egger", p_value=found.p_value, **slope | test))
    if found := _attempt(sites, "test", lambda: begg(sites.y, sites.v), rows, "begg"):
        named: Row = {"statistic_name": "begg", "statistic": found.estimate}
        rows.append(sites.row("test", p_value=found.p_value, **named))
    return rows


def _attempt(
    sites: Sites,
    name: str,
    make: Callable[[], Asymmetry],
    rows: list[Row],
    statistic: str | None = None,
) -> Asymmetry | None:
    """Return what a test found; a row that says why there is none goes to `rows`."""
    try:
        return make()
    except EstimationError as exc:
        why: Row = {"status": "not_estimable", "note": f"{exc.where}: {exc.what}"}
        rows.append(sites.row(name, statistic_name=statistic, **why))
        return None


def _filled(sites: Sites) -> list[Row]:
    """Return the effect by trim and fill, and how many sites the funnel lacks."""
    rows: list[Row] = []
    for estimator in _ESTIMATORS:
        scenario = f"trim_and_fill_{estimator}"
        try:
            found = trim_and_fill(
                sites.y,
                sites.v,
                _method(sites),
                estimator=estimator,
                knapp_hartung=_knapp_hartung(sites),
                level=LEVEL,
            )
        except EstimationError as exc:
            why: Row = {"status": "not_estimable", "note": f"{exc.where}: {exc.what}"}
            rows.append(sites.row(sites.measure, scenario=scenario, **why))
            continue
        lacking: Row = {"term": "missing_sites", "unit": "sites", "scenario": scenario}
        side = f"on the {found.side} of the funnel"
        rows.append(_mean(sites, found.pooled, scenario=scenario))
        rows.append(sites.row("count", estimate=float(found.missing), note=side, **lacking))
    return rows


def _without_each(sites: Sites) -> list[Row]:
    """Return the pooled effect without each site, and how influential that site is."""
    asked = {"knapp_hartung": _knapp_hartung(sites)}
    method = _method(sites)
    without = leave_one_out(sites.y, sites.v, method, level=LEVEL, **asked)
    moved = influence(sites.y, sites.v, method, **asked)
    rows: list[Row] = []
    for place, found in enumerate(without):
        named: Row = {**_of_site(sites, place), "scenario": "leave_one_out"}
        rows.append(_mean(sites, found, place, scenario="leave_one_out"))
        rows += [
            made | named | {"n_sites": found.k}
            for made in _heterogeneity(sites, found.heterogeneity)
            if made["estimate_name"] in ("tau2", "i2")
        ]
        note = "influential" if moved.is_influential[place] else None
        for name, values in _measures(moved.rstudent, moved.dffits, moved.cook):
            statistic: Row = {"statistic_name": name, "statistic": finite(float(values[place]))}
            what: Row = {"scenario": "influence", "note": note}
            rows.append(sites.row("test", place, **statistic | what))
    return rows


def _measures(*found: FloatArray) -> Iterator[tuple[str, FloatArray]]:
    yield from zip(("studentised_residual", "dffits", "cooks_distance"), found, strict=True)


def _one_after_another(sites: Sites) -> list[Row]:
    """Return the pooled effect of the first sites, in the order of the column that is named."""
    column = sites.asked.analysis.cumulative
    if column is None:
        return []
    values = sites.asked.rows.numbers(f"x_{column}")[sites.order]
    order = np.argsort(values, kind="stable")
    found = cumulative(
        sites.y[order],
        sites.v[order],
        _method(sites),
        knapp_hartung=_knapp_hartung(sites),
        level=LEVEL,
    )
    return [
        _mean(
            sites, one, int(place), scenario="cumulative", at=float(values[place]), at_kind=column
        )
        for place, one in zip(order, found, strict=True)
    ]


def _pooled_counts(sites: Sites) -> list[Row]:
    """Return counts pooled by Mantel-Haenszel or Peto."""
    counts = sites.tables
    if counts is None:
        raise AssertionError("the checks of the study refuse it")
    found = _of_counts(sites, counts)
    rows = [*sites.site_rows(None), _mean_of_counts(sites, found)]
    tested: Row = {"statistic_name": "chi_squared", "statistic": found.q, "df1": float(found.df)}
    rows += [
        sites.row("q", estimate=found.q, p_value=found.p_value, **tested),
        sites.row("i2", estimate=found.i2, unit="percent"),
        sites.row("h2", estimate=found.h2),
        *_tests_of_counts(sites, found),
    ]
    return rows + _counts_without_each(sites, counts)


def _of_counts(sites: Sites, counts: Tables) -> PooledCounts:
    if sites.asked.analysis.pooling == "peto":
        return peto(counts)
    measure: Measure = sites.measure  # type: ignore[assignment]
    return mantel_haenszel(counts, measure)


def _mean_of_counts(sites: Sites, found: PooledCounts, **values: object) -> Row:
    z, margin = found.estimate / found.std_error, z_quantile(LEVEL) * found.std_error
    how: Row = {
        "se_method": sites.asked.analysis.pooling,
        "ci_method": "wald",
        "statistic_name": "z",
        "statistic": z,
        "p_value": two_sided_p(z),
    }
    limits = (found.estimate - margin, found.estimate + margin)
    return sites.effect(found.estimate, found.std_error, limits) | how | values


def _tests_of_counts(sites: Sites, found: PooledCounts) -> Iterator[Row]:
    tests = {
        "cochran_mantel_haenszel": (found.cmh, 1, found.cmh_p),
        "breslow_day_tarone": (found.tarone, found.df, found.tarone_p),
    }
    for name, (statistic, of, p) in tests.items():
        if statistic is not None and math.isfinite(statistic):
            values: Row = {"statistic": statistic, "df1": float(of), "p_value": p}
            yield sites.row("test", statistic_name=name, **values)


def _counts_without_each(sites: Sites, counts: Tables) -> list[Row]:
    if len(sites.names) <= MIN_SITES:
        return []
    rows: list[Row] = []
    for place in range(len(sites.names)):
        cells = (np.delete(cell, place) for cell in (counts.a, counts.n1, counts.c, counts.n2))
        named: Row = {"scenario": "leave_one_out", "n_sites": len(sites.names) - 1}
        named |= _of_site(sites, place)
        try:
            rows.append(_mean_of_counts(sites, _of_counts(sites, Tables(*cells)), **named))
        except EstimationError as exc:
            named |= {"status": "not_estimable", "note": f"{exc.where}: {exc.what}"}
            rows.append(sites.row(sites.measure) | named)
    return rows
