"""Follow-up of an analysis table, overall or by group: curves, means, risks, rates and tests."""

from collections.abc import Callable, Mapping

import numpy as np

from tasks.analysis.arms_curves import mean_contrasts, mean_values, name_of_test, survival_scale
from tasks.analysis.day_counts import of_quantile, on_days, until
from tasks.analysis.design_columns import design_columns
from tasks.analysis.estimates import DAYS_PER_1000_PERSON_YEARS
from tasks.analysis.people import FloatArray, IntArray
from tasks.analysis.table_asked import TIME, AskedOfTable, Row, finite
from tasks.analysis.table_loss import curves_weighted_for_loss, means_weighted_for_loss
from tasks.analysis.table_rows import TableRows
from tasks.core.errors import EstimationError
from tasks.core.results import AT_RISK
from tasks.stats.competing_risks import CumulativeIncidence, cumulative_incidence, incidence_at
from tasks.stats.inference import TestResult
from tasks.stats.log_rank import log_rank
from tasks.stats.nelson_aalen import CumulativeHazard
from tasks.stats.rates import Rate, incidence_rate, rate_difference, rate_ratio
from tasks.stats.restricted_means import Measure, adjusted_restricted_means, time_lost
from tasks.stats.risks import risk_difference, risk_ratio
from tasks.stats.step_curves import StepValues, SurvivalCurve
from tasks.stats.survival import (
    RestrictedMean,
    kaplan_meier,
    median_survival,
    restricted_mean,
    survival_at,
    survival_quantile,
)

Curve = SurvivalCurve | CumulativeIncidence | CumulativeHazard

_PER = {"unit": "per 1000 person-years"}


def kaplan_meier_curves(asked: AskedOfTable) -> list[Row]:
    """Return the curve of each group, its values on the days asked for, and its median."""
    if asked.analysis.censoring_terms is not None:
        return curves_weighted_for_loss(asked)
    made: list[Row] = []
    for level, rows in asked.groups():
        curve = kaplan_meier(
            rows.time,
            rows.has_event,
            rows.weights_of_curve,
            conf_type=survival_scale(asked.analysis),
            entry=rows.entry,
            cluster=rows.clusters,
        )
        made += curve_rows(asked, level, rows, curve, "survival", survival_at)
        made += quantile_rows(asked, level, rows, curve)
        found = median_survival(curve)
        reached = found.estimate is not None
        made.append(
            asked.row(
                "median_survival",
                rows,
                unit="days",
                estimate=found.estimate,
                ci_low=found.ci_low,
                ci_high=found.ci_high,
                ci_level=found.level,
                status="ok" if reached else "not_estimable",
                note=None if reached else "survival stays above one half",
                **asked.of_group(level),
            )
            | on_days(of_quantile(found), rows.time, rows.has_event, rows.entry)
        )
    return made


def incidence_curves(asked: AskedOfTable) -> list[Row]:
    """Return the cumulative incidence of each group, and the risks compared on the last day."""
    made: list[Row] = []
    curves: dict[str | None, CumulativeIncidence] = {}
    for level, rows in asked.groups():
        curve = cumulative_incidence(
            rows.time,
            rows.event,
            weights=rows.weights,
            conf_type=asked.analysis.conf_type or "cloglog",
            variance="aalen" if asked.analysis.variance == "aalen" else "ij",
            entry=rows.entry,
            cluster=rows.persons,
        )
        curves[level] = curve
        made += curve_rows(asked, level, rows, curve, "cumulative_incidence", incidence_at)
    followed = min(float(curve.time[-1]) for curve in curves.values())
    reached = [day for day in asked.analysis.table_days if day <= followed]
    if reached and len(curves) > 1:
        made += _compared_risks(asked, curves, float(max(reached)))
    return made


def _compared_risks(
    asked: AskedOfTable, curves: Mapping[str | None, CumulativeIncidence], day: float
) -> list[Row]:
    (reference, base), *others = curves.items()
    return [
        asked.contrast(
            name,
            compare(curve, base, day),
            at=day,
            se_method=curve.se_method,
            **TIME,
            **asked.of_contrast(level, reference),
        )
        for level, curve in others
        for name, compare in (("risk_difference", risk_difference), ("risk_ratio", risk_ratio))
    ]


def quantile_rows(
    asked: AskedOfTable, level: str | None, rows: TableRows, curve: SurvivalCurve
) -> list[Row]:
    """Return the day by which each share asked for has had the event, with its limits."""
    made = []
    for share in asked.analysis.quantiles:
        found = survival_quantile(curve, share)
        day = found.estimate
        until = rows.has_event & (rows.time <= (np.inf if day is None else day))
        made.append(
            asked.row(
                "quantile",
                rows,
                at=share,
                at_kind="probability",
                unit="days",
                estimate=day,
                ci_low=found.ci_low,
                ci_high=found.ci_high,
                ci_level=found.level,
                ci_method=curve.ci_method,
                n_events=int(until.sum()),
                status="ok" if day is not None else "not_estimable",
                note=None if day is not None else f"survival stays above {1 - share:g}",
                **asked.of_group(level),
            )
            | on_days(of_quantile(found), rows.time, rows.has_event, rows.entry)
        )
    return made


def curve_rows(
    asked: AskedOfTable,
    level: str | None,
    rows: TableRows,
    curve: Curve,
    name: str,
    read: Callable[..., StepValues],
) -> list[Row]:
    """Return a row for each step of a curve, and for each day asked for with those at risk."""
    steps = np.union1d([0.0], np.append(curve.time[curve.n_events > 0], curve.time[-1]))
    unit = "cumulative hazard" if isinstance(curve, CumulativeHazard) else "probability"
    table = np.asarray(asked.analysis.table_days, float)
    # A curve that has come down to 0 on its last day is known ever after.
    is_down = isinstance(curve, SurvivalCurve) and curve.survival[-1] == 0
    known = np.inf if is_down else curve.time[-1]
    within, beyond = table[table <= known], table[table > known]
    made = _steps(asked, level, rows, read(curve, steps), name, "curve", curve, unit)
    if within.size:
        found = read(curve, within)
        made += _steps(asked, level, rows, found, name, "table", curve, unit)
        made += _at_risk(asked, level, rows, found)
    return made + [
        asked.row(
            name,
            rows,
            at=float(day),
            term="table",
            status="not_estimable",
            note="beyond the follow-up of this group",
            **TIME,
            **asked.of_group(level),
        )
        for day in beyond
    ]


def _steps(
    asked: AskedOfTable,
    level: str | None,
    rows: TableRows,
    found: StepValues,
    name: str,
    term: str,
    curve: Curve,
    unit: str,
) -> list[Row]:
    so_far, ends = np.sort(rows.time[rows.has_event]), np.sort(rows.time)
    entries = np.sort(rows.entry) if rows.entry is not None else np.empty(0)
    empty = _emptied_on(curve)
    # Rows, not weights: those who have not left yet, without those who have not entered yet.
    left = np.searchsorted(ends, found.time)
    waiting = entries.size - np.searchsorted(entries, found.time)
    at_risk = np.maximum(ends.size - left - waiting, 0)
    return [
        asked.row(
            name,
            rows,
            at=float(found.time[i]),
            term=term,
            unit=unit,
            estimate=float(found.estimate[i]),
            estimate_scale="identity",
            std_error=finite(found.std_error[i]),
            se_scale="identity",
            se_method=curve.se_method,
            ci_low=finite(found.ci_low[i]),
            ci_high=finite(found.ci_high[i]),
            ci_level=curve.level,
            ci_method=curve.ci_method,
            n_events=int(np.searchsorted(so_far, found.time[i], side="right")),
            note=_EMPTIED if found.time[i] >= empty else None,
            **TIME,
            **asked.of_group(level),
        )
        | {AT_RISK: int(at_risk[i])}
        for i in range(found.time.size)
    ]


_EMPTIED = "all then at risk had the event before others entered; the curve stays at 0"


def _emptied_on(curve: Curve) -> float:
    """Return the day on which survival comes down to 0 with others still to enter; or never."""
    if not isinstance(curve, SurvivalCurve) or curve.entries is None:
        return float("inf")
    down = np.flatnonzero(curve.survival == 0)
    # On the last day everybody has left: 0 is then what is observed.
    return float(curve.time[down[0]]) if down.size > 1 else float("inf")


def _at_risk(
    asked: AskedOfTable, level: str | None, rows: TableRows, found: StepValues
) -> list[Row]:
    return [
        asked.row(
            "n_at_risk",
            rows,
            at=float(found.time[i]),
            term="table",
            unit="rows",
            estimate=float(found.n_at_risk[i]),
            n_events=None,
            **TIME,
            **asked.of_group(level),
        )
        for i in range(found.time.size)
    ]


def log_rank_test(asked: AskedOfTable) -> list[Row]:
    """Return the test, and the observed and expected events of each group."""
    rows = asked.rows
    group = rows.labels(f"x_{asked.group_column}")
    assert group is not None  # noqa: S101 - a check of the study asks for groups
    strata = rows.labels(*(f"label_{name}" for name in asked.analysis.strata))
    analysis = asked.analysis
    found = log_rank(
        rows.time,
        rows.has_event,
        group,
        strata=strata,
        rho=analysis.rho or 0.0,
        gamma=analysis.gamma or 0.0,
        weighting=analysis.weighting or "log_rank",
        entry=rows.entry,
    )
    return rows_of_test(asked, name_of_test(analysis), found, group)


def rows_of_test(asked: AskedOfTable, name: str, found: TestResult, group: IntArray) -> list[Row]:
    """Return a test of groups, and the observed and expected events of each."""
    rows = asked.rows
    by = {"stratum_name": asked.group_column}
    made = [asked.test(name, found.statistic, found.df, found.p_value, **by)]
    for level, members in asked.groups():
        place = int(group[_first_of(rows, members, asked)])
        for term, values in (("observed", found.observed), ("expected", found.expected)):
            made.append(
                asked.row(
                    "count",
                    members,
                    term=term,
                    unit="events",
                    estimate=float(values[place]),
                    **asked.of_group(level),
                )
            )
    return made


def _first_of(rows: TableRows, members: TableRows, asked: AskedOfTable) -> int:
    """Return the first row of a group among all rows."""
    name = f"x_{asked.group_column}"
    return int(np.flatnonzero(rows.values[name] == members.values[name][0])[0])


def restricted_means(asked: AskedOfTable) -> list[Row]:
    """Return the restricted mean of each group, and its difference from the first."""
    if asked.analysis.censoring_terms is not None:
        return means_weighted_for_loss(asked)
    horizon = float(asked.analysis.horizon_days or 0)
    where: dict[str, object] = {"at": horizon, **TIME}
    made: list[Row] = []
    means: dict[str | None, RestrictedMean] = {}
    for level, rows in asked.groups():
        found = restricted_mean(
            rows.time, rows.has_event, horizon, rows.weights, entry=rows.entry, cluster=rows.persons
        )
        means[level] = found
        made += [
            asked.row(name, rows, **mean_values(mean), **where, **asked.of_group(level))
            | until(horizon, rows)
            for name, mean in (("rmst", found), ("rmtl", time_lost(found)))
        ]
    (reference, base), *others = means.items()
    for level, found in others:
        named = asked.of_contrast(level, reference)
        for name, unit, contrast in mean_contrasts(found, base):
            how = {"se_method": found.se_method, "unit": unit}
            made.append(asked.contrast(name, contrast, **how, **where, **named))
    return made + (_adjusted_means(asked, horizon) if asked.analysis.terms else [])


def _adjusted_means(asked: AskedOfTable, horizon: float) -> list[Row]:
    """Return the same contrasts given the terms, by the regression of restricted means."""
    rows, levels = asked.rows, [level for level, _ in asked.groups()]
    member = np.zeros(rows.n, dtype=np.int64)
    for place, (_, members) in enumerate(asked.groups()):
        name = f"x_{asked.group_column}"
        member[rows.values[name] == members.values[name][0]] = place
    x = design_columns(rows).x
    made: list[Row] = []
    for name, measure in _ADJUSTED.items():
        where = {"term": "adjusted", "at": horizon, **TIME}
        try:
            found = adjusted_restricted_means(
                rows.time, rows.has_event, member, x, horizon, measure=measure
            )
        except EstimationError as exc:  # the other measures stand without it
            note = f"{exc.where}: {exc.what}"
            made.append(asked.row(name, status="not_estimable", note=note, **where))
            continue
        made += [
            asked.contrast(
                name,
                one.contrast,
                unit="days" if measure == "difference" else None,
                se_method="robust",
                **where,
                **asked.of_contrast(levels[int(one.group)], levels[0]),
            )
            for one in found
        ]
    return made


_ADJUSTED: Mapping[str, Measure] = {
    "rmst_difference": "difference",
    "rmst_ratio": "ratio",
    "rmtl_ratio": "lost_ratio",
}


def incidence_rates(asked: AskedOfTable) -> list[Row]:
    """Return the rate of each group, and its ratio and difference to the first."""
    made: list[Row] = []
    rates: dict[str | None, Rate] = {}
    for level, rows in asked.groups():
        days = float(_days_at_risk(rows).sum())
        found = incidence_rate(int(rows.has_event.sum()), days / DAYS_PER_1000_PERSON_YEARS)
        rates[level] = found
        made.append(
            asked.row(
                "incidence_rate",
                rows,
                estimate=found.estimate,
                estimate_scale="identity",
                std_error=found.std_error,
                se_scale="identity",
                se_method="poisson",
                ci_low=found.ci_low,
                ci_high=found.ci_high,
                ci_level=found.level,
                ci_method=found.ci_method,
                person_time=days,
                note="person_time in days",
                **_PER,
                **asked.of_group(level),
            )
        )
    (reference, base), *others = rates.items()
    for level, found in others:
        named = asked.of_contrast(level, reference)
        made.append(asked.contrast("rate_ratio", rate_ratio(found, base), **named))
        made.append(
            asked.contrast("rate_difference", rate_difference(found, base), **_PER, **named)
        )
    return made


def _days_at_risk(rows: TableRows) -> FloatArray:
    return rows.time if rows.entry is None else rows.time - rows.entry
