"""Parametric laws of survival, fitted to an analysis table and read beyond its follow-up."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from tasks.analysis.design_columns import design_columns
from tasks.analysis.people import FloatArray
from tasks.analysis.table_asked import TIME, AskedOfTable, Row, finite
from tasks.analysis.table_rows import TableRows
from tasks.core.errors import EstimationError
from tasks.core.spec.keys_of_models import Distribution
from tasks.stats.inference import chi_square_p, two_sided_p, z_quantile
from tasks.stats.parametric import ParametricFit, parametric_survival
from tasks.stats.parametric_estimates import (
    FittedSurvival,
    FittedTime,
    fitted_difference,
    fitted_mean,
    fitted_quantile,
    fitted_restricted_mean,
    fitted_survival,
)
from tasks.stats.survival import kaplan_meier, survival_at

_POINTS = 100
_QUARTERS = (0.25, 0.75)
_EXTRAPOLATED = "extrapolated: beyond the follow-up of this group"
_DAYS = {"unit": "days", "estimate_scale": "identity", "se_scale": "identity"}


@dataclass(frozen=True, slots=True, eq=False)
class _Fitted:
    """One law fitted to one group."""

    level: str | None
    rows: TableRows
    distribution: Distribution
    fit: ParametricFit

    @property
    def followed(self) -> float:
        """The last day on which anybody of the group was seen."""
        return float(self.rows.time.max())

    @property
    def method(self) -> str:
        """The law as a method of results."""
        return f"parametric_{self.distribution}"

    def note_at(self, day: float) -> str | None:
        """Say so where a day lies beyond the follow-up."""
        return _EXTRAPOLATED if day > self.followed else None


def parametric_models(asked: AskedOfTable) -> list[Row]:
    """Return, of each group and law: parameters, fit, curve, survival, quantiles and means.

    The Kaplan-Meier curve of each group stands beside them. A law that cannot be fitted has a
    row that says why.
    """
    failed: list[tuple[Row, EstimationError]] = []
    fitted: list[_Fitted] = []
    made: list[Row] = []
    for level, rows in asked.groups():
        made += _observed(asked, level, rows)
        for distribution in _laws(asked):
            try:
                fitted.append(_Fitted(level, rows, distribution, _fit(rows, distribution)))
            except EstimationError as exc:
                failed.append((_not_fitted(asked, level, rows, distribution, exc), exc))
    if not fitted:
        raise failed[0][1]
    made += [row for row, _ in failed]
    made += _criteria(asked, fitted)
    for one in fitted:
        made += _of_fit(asked, one)
    return [*made, *_differences(asked, fitted)]


def _laws(asked: AskedOfTable) -> tuple[Distribution, ...]:
    one = asked.analysis.distribution
    return (one,) if one else asked.analysis.distributions


def _fit(rows: TableRows, distribution: Distribution) -> ParametricFit:
    analysis = rows.analysis
    design = design_columns(rows) if analysis.terms is not None else None
    return parametric_survival(
        rows.time,
        rows.has_event,
        distribution,
        design.x if design else None,
        weights=rows.weights,
        robust=analysis.std_error == "robust",
        cluster=rows.labels(f"label_{analysis.cluster}") if analysis.cluster else None,
        entry=rows.entry,
        names=design.names if design else (),
    )


def _not_fitted(
    asked: AskedOfTable,
    level: str | None,
    rows: TableRows,
    distribution: Distribution,
    exc: EstimationError,
) -> Row:
    said = {"status": "not_estimable", "note": f"{exc.where}: {exc.what}"}
    method = f"parametric_{distribution}"
    return asked.row("coefficient", rows, method=method, **said, **asked.of_group(level))


def _observed(asked: AskedOfTable, level: str | None, rows: TableRows) -> list[Row]:
    """Return the steps of the Kaplan-Meier curve; none of rows that enter late."""
    if rows.entry is not None:
        return []
    curve = kaplan_meier(rows.time, rows.has_event, rows.weights)
    steps = np.union1d([0.0], np.append(curve.time[curve.n_events > 0], curve.time[-1]))
    found = survival_at(curve, steps)
    so_far = np.searchsorted(np.sort(rows.time[rows.has_event]), steps, side="right")
    return [
        asked.row(
            "survival",
            rows,
            method="kaplan_meier",
            at=float(steps[i]),
            term="curve",
            unit="probability",
            estimate=float(found.estimate[i]),
            estimate_scale="identity",
            std_error=finite(found.std_error[i]),
            se_scale="identity",
            se_method=curve.se_method,
            ci_low=finite(found.ci_low[i]),
            ci_high=finite(found.ci_high[i]),
            ci_level=curve.level,
            ci_method=curve.ci_method,
            n_events=int(so_far[i]),
            **TIME,
            **asked.of_group(level),
        )
        for i in range(steps.size)
    ]


def _criteria(asked: AskedOfTable, fitted: list[_Fitted]) -> Iterator[Row]:
    """Yield the criteria of each law, ranked within its group where there are several."""
    for name in ("aic", "bic"):
        for one in fitted:
            value = getattr(one.fit, name)
            peers = [getattr(p.fit, name) for p in fitted if p.level == one.level]
            rank = {"statistic_name": "rank", "statistic": 1.0 + sum(p < value for p in peers)}
            yield _row(asked, one, name, estimate=value, **(rank if len(peers) > 1 else {}))


def _row(asked: AskedOfTable, one: _Fitted, name: str, /, **values: object) -> Row:
    return asked.row(
        name, one.rows, **{"method": one.method, **asked.of_group(one.level), **values}
    )


def _of_fit(asked: AskedOfTable, one: _Fitted) -> list[Row]:
    made = [_parameter(asked, one, i) for i in range(len(one.fit.coef))]
    made += [_on_its_own_scale(asked, one, i) for i in _logarithms(one.fit)]
    made += _likelihoods(asked, one)
    made += _curve(asked, one)
    made += _table(asked, one)
    made += _times(asked, one)
    return made


def _parameter(asked: AskedOfTable, one: _Fitted, i: int) -> Row:
    """Return a parameter; of a covariate of the hazard, the hazard ratio."""
    fit, low_high = one.fit, one.fit.interval
    covariates = range(1, len(fit.coef) - len(fit.law.further))
    is_ratio = fit.is_hazard and i in covariates
    write = math.exp if is_ratio else float
    coef, error = float(fit.coef[i]), float(fit.std_error[i])
    return _row(
        asked,
        one,
        "hazard_ratio" if is_ratio else "coefficient",
        term=fit.parameters[i],
        estimate=write(coef),
        estimate_scale="ratio" if is_ratio else "identity",
        std_error=error,
        se_scale="log" if is_ratio else "identity",
        se_method=fit.se_method,
        ci_low=write(float(low_high[0][i])),
        ci_high=write(float(low_high[1][i])),
        ci_level=fit.level,
        ci_method="wald",
        statistic_name="z",
        statistic=coef / error,
        p_value=two_sided_p(coef / error),
        n_clusters=fit.n_clusters,
    )


def _logarithms(fit: ParametricFit) -> list[int]:
    first = len(fit.parameters) - len(fit.law.further)
    return [first + i for i, name in enumerate(fit.law.further) if name.startswith("log_")]


def _on_its_own_scale(asked: AskedOfTable, one: _Fitted, i: int) -> Row:
    """Return a scale or shape itself, with the limits of its logarithm."""
    fit = one.fit
    value, error = math.exp(fit.coef[i]), float(fit.std_error[i])
    factor = math.exp(z_quantile(fit.level) * error)
    return _row(
        asked,
        one,
        "coefficient",
        term=fit.parameters[i].removeprefix("log_"),
        estimate=value,
        estimate_scale="identity",
        std_error=value * error,
        se_scale="identity",
        se_method=fit.se_method,
        ci_low=value / factor,
        ci_high=value * factor,
        ci_level=fit.level,
        ci_method="log",
        n_clusters=fit.n_clusters,
    )


def _likelihoods(asked: AskedOfTable, one: _Fitted) -> Iterator[Row]:
    fit = one.fit
    yield _row(asked, one, "log_likelihood", term="model", estimate=fit.log_likelihood)
    if df := len(fit.coef) - 1 - len(fit.law.further):
        yield _row(asked, one, "log_likelihood", term="null", estimate=fit.log_likelihood_null)
        if one.rows.weights is None:
            gain = 2 * (fit.log_likelihood - fit.log_likelihood_null)
            of_test = {"statistic_name": "likelihood_ratio", "df1": float(df)}
            p = chi_square_p(gain, df)
            yield _row(asked, one, "test", statistic=gain, p_value=p, **of_test)


def _curve(asked: AskedOfTable, one: _Fitted) -> Iterator[Row]:
    days = np.linspace(0.0, _last_day(asked, one), _POINTS + 1)
    yield from _survivals(asked, one, days, "")


def _last_day(asked: AskedOfTable, one: _Fitted) -> float:
    """Return how far a curve is drawn: a round number where the study names no day."""
    asked_for = [*asked.analysis.table_days, asked.analysis.horizon_days or 0]
    step = 10.0 ** (math.floor(math.log10(one.followed)) - 1)
    return float(max(*asked_for, math.ceil(one.followed / step) * step))


def _table(asked: AskedOfTable, one: _Fitted) -> Iterator[Row]:
    yield from _survivals(asked, one, np.asarray(asked.analysis.table_days, float), "table")


def _survivals(asked: AskedOfTable, one: _Fitted, days: FloatArray, term: str) -> Iterator[Row]:
    """Yield survival on days; of a curve, `term` says on which side of the follow-up."""
    found = fitted_survival(one.fit, days)
    for i, day in enumerate(days.tolist()):
        note = one.note_at(day)
        side = "extrapolated" if note else "fitted"
        yield _survival(asked, one, found, i, term=term or side, note=note)


def _survival(
    asked: AskedOfTable, one: _Fitted, found: FittedSurvival, i: int, **values: object
) -> Row:
    """Return a point of the fitted curve.

    It is a function of the parameters alone and not a step of the data, so it counts no events
    of its own: the gate at the exit thins steps by the events so far.
    """
    return _row(
        asked,
        one,
        "survival",
        at=float(found.time[i]),
        unit="probability",
        estimate=float(found.estimate[i]),
        estimate_scale="identity",
        std_error=finite(found.std_error[i]),
        se_scale="identity",
        se_method=one.fit.se_method,
        ci_low=finite(found.ci_low[i]),
        ci_high=finite(found.ci_high[i]),
        ci_level=found.level,
        ci_method=found.ci_method,
        n_events=None,
        **TIME,
        **values,
    )


def _times(asked: AskedOfTable, one: _Fitted) -> Iterator[Row]:
    """Yield the median, quartiles, the mean, and the mean up to the horizon."""
    never = "the law leaves more than this share without the event for ever"
    median = fitted_quantile(one.fit, 0.5)
    yield _time(asked, one, "median_survival", median, never)
    for share in _QUARTERS:
        at = {"at": share, "at_kind": "probability"}
        found = fitted_quantile(one.fit, share)
        yield _time(asked, one, "quantile", found, never, **at)
    endless = "the mean of this law is infinite"
    yield _time(asked, one, "mean", fitted_mean(one.fit), endless, note=_EXTRAPOLATED)
    if asked.analysis.horizon_days is not None:
        horizon = float(asked.analysis.horizon_days)
        found = fitted_restricted_mean(one.fit, horizon)
        yield _time(asked, one, "rmst", found, at=horizon, note=one.note_at(horizon), **TIME)


def _time(
    asked: AskedOfTable,
    one: _Fitted,
    name: str,
    found: FittedTime | None,
    absent: str = "",
    **values: object,
) -> Row:
    if found is None:
        said = {**values, "status": "not_estimable", "note": absent, "unit": "days"}
        return _row(asked, one, name, **said)
    return _row(
        asked,
        one,
        name,
        **{
            "note": one.note_at(found.estimate),
            "estimate": found.estimate,
            "std_error": found.std_error,
            "se_method": one.fit.se_method,
            "ci_low": found.ci_low,
            "ci_high": found.ci_high,
            "ci_level": found.level,
            "ci_method": found.ci_method,
            **_DAYS,
            **values,
        },
    )


def _differences(asked: AskedOfTable, fitted: list[_Fitted]) -> Iterator[Row]:
    """Yield, by law, the restricted mean of each group less that of the first."""
    horizon = asked.analysis.horizon_days
    if horizon is None:
        return
    for law in dict.fromkeys(one.distribution for one in fitted):
        base, *others = [one for one in fitted if one.distribution == law]
        least = fitted_restricted_mean(base.fit, float(horizon))
        for one in others:
            mean = fitted_restricted_mean(one.fit, float(horizon))
            yield asked.contrast(
                "rmst_difference",
                fitted_difference(mean, least),
                method=one.method,
                at=float(horizon),
                unit="days",
                se_method=one.fit.se_method,
                note=one.note_at(float(horizon)) or base.note_at(float(horizon)),
                **TIME,
                **asked.of_contrast(one.level, base.level),
            )
