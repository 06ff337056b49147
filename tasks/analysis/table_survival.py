"""Follow-up of an analysis table, overall or by group: curves, means, risks, rates and tests."""

from collections.abc import Callable, Mapping

import numpy as np

from tasks.analysis.estimates import DAYS_PER_1000_PERSON_YEARS, TIME
from tasks.analysis.people import FloatArray
from tasks.analysis.table_asked import AskedOfTable, Row, finite
from tasks.analysis.table_rows import TableRows
from tasks.stats.competing_risks import CumulativeIncidence, cumulative_incidence, incidence_at
from tasks.stats.log_rank import log_rank
from tasks.stats.rates import Rate, incidence_rate, rate_difference, rate_ratio
from tasks.stats.risks import risk_difference, risk_ratio
from tasks.stats.step_curves import StepValues, SurvivalCurve
from tasks.stats.survival import (
    RestrictedMean,
    kaplan_meier,
    median_survival,
    restricted_mean,
    restricted_mean_difference,
    survival_at,
)

_PER = {"unit": "per 1000 person-years"}


def kaplan_meier_curves(asked: AskedOfTable) -> list[Row]:
    """Return the curve of each group, its values on the days asked for, and its median."""
    made: list[Row] = []
    for level, rows in asked.groups():
        time = rows.numbers("follow_up_days")
        curve = kaplan_meier(time, rows.has_event, rows.weights)
        made += _curve_rows(asked, level, rows, curve, "survival", survival_at)
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
        )
    return made


def incidence_curves(asked: AskedOfTable) -> list[Row]:
    """Return the cumulative incidence of each group, and the risks compared on the last day."""
    made: list[Row] = []
    curves: dict[str | None, CumulativeIncidence] = {}
    for level, rows in asked.groups():
        curve = cumulative_incidence(
            rows.numbers("follow_up_days"), rows.event, weights=rows.weights
        )
        curves[level] = curve
        made += _curve_rows(asked, level, rows, curve, "cumulative_incidence", incidence_at)
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


def _curve_rows(
    asked: AskedOfTable,
    level: str | None,
    rows: TableRows,
    curve: SurvivalCurve | CumulativeIncidence,
    name: str,
    read: Callable[..., StepValues],
) -> list[Row]:
    """Return a row for each step of a curve, and for each day asked for with those at risk."""
    steps = np.union1d([0.0], np.append(curve.time[curve.n_events > 0], curve.time[-1]))
    table = np.asarray(asked.analysis.table_days, float)
    within, beyond = table[table <= curve.time[-1]], table[table > curve.time[-1]]
    made = _steps(asked, level, rows, read(curve, steps), name, "curve", curve)
    if within.size:
        found = read(curve, within)
        made += _steps(asked, level, rows, found, name, "table", curve)
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
    curve: SurvivalCurve | CumulativeIncidence,
) -> list[Row]:
    so_far = np.sort(rows.numbers("follow_up_days")[rows.has_event])
    return [
        asked.row(
            name,
            rows,
            at=float(found.time[i]),
            term=term,
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
            n_events=int(np.searchsorted(so_far, found.time[i], side="right")),
            **TIME,
            **asked.of_group(level),
        )
        for i in range(found.time.size)
    ]


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
    found = log_rank(rows.numbers("follow_up_days"), rows.has_event, group, strata=strata)
    by = {"stratum_name": asked.group_column}
    made = [asked.test("log_rank", found.statistic, found.df, found.p_value, **by)]
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
    horizon = float(asked.analysis.horizon_days or 0)
    where: dict[str, object] = {"at": horizon, "unit": "days", **TIME}
    made: list[Row] = []
    means: dict[str | None, RestrictedMean] = {}
    for level, rows in asked.groups():
        time = rows.numbers("follow_up_days")
        found = restricted_mean(time, rows.has_event, horizon, rows.weights)
        means[level] = found
        made.append(
            asked.row(
                "rmst",
                rows,
                estimate=found.estimate,
                estimate_scale="identity",
                std_error=found.std_error,
                se_scale="identity",
                se_method=found.se_method,
                ci_low=found.ci_low,
                ci_high=found.ci_high,
                ci_level=found.level,
                ci_method="wald",
                **where,
                **asked.of_group(level),
            )
        )
    (reference, base), *others = means.items()
    for level, found in others:
        contrast = restricted_mean_difference(found, base)
        named = asked.of_contrast(level, reference)
        made.append(
            asked.contrast("rmst_difference", contrast, se_method=found.se_method, **where, **named)
        )
    return made


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
