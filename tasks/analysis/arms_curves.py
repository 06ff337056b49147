"""Curves and contrasts of the two arms of a study of the lake; names shared with tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np

from tasks.analysis.arms_adjusted import strata_of_test
from tasks.analysis.arms_bootstrap import bootstrapped_rows
from tasks.analysis.day_counts import of_quantile, on_days
from tasks.analysis.people import FloatArray
from tasks.analysis.table_asked import finite
from tasks.core.results import AT_RISK, BEHIND
from tasks.core.spec import Analysis
from tasks.stats.curve_intervals import ConfType
from tasks.stats.gray_test import gray_test
from tasks.stats.inference import Contrast, TestResult
from tasks.stats.log_rank import log_rank
from tasks.stats.nelson_aalen import CumulativeHazard, hazard_at, nelson_aalen
from tasks.stats.restricted_means import restricted_mean_ratio, time_lost, time_lost_ratio
from tasks.stats.survival import (
    RestrictedMean,
    SurvivalCurve,
    restricted_mean,
    restricted_mean_difference,
    survival_quantile,
)

if TYPE_CHECKING:
    from tasks.analysis.estimates import Asked
    from tasks.analysis.populations import Population

Row = dict[str, object]
_TIME = {"at_kind": "time_days"}


def name_of_test(analysis: Analysis) -> str:
    """Return the name of a test of the log-rank family: its weighting, or its powers."""
    if analysis.weighting:
        return analysis.weighting
    if analysis.rho or analysis.gamma:
        return f"fleming_harrington({analysis.rho or 0:g},{analysis.gamma or 0:g})"
    return "log_rank"


def survival_scale(analysis: Analysis) -> ConfType:
    """Return the scale of the intervals of survival; a check of the study refuses cloglog."""
    asked = analysis.conf_type
    return "log-log" if asked is None or asked == "cloglog" else asked


def mean_values(found: RestrictedMean) -> Row:
    """Return the columns of a row that hold a restricted mean."""
    return {
        "unit": "days",
        "estimate": found.estimate,
        "estimate_scale": "identity",
        "std_error": found.std_error,
        "se_scale": "identity",
        "se_method": found.se_method,
        "ci_low": found.ci_low,
        "ci_high": found.ci_high,
        "ci_level": found.level,
        "ci_method": "wald",
    }


def mean_contrasts(
    a: RestrictedMean, b: RestrictedMean
) -> Iterator[tuple[str, str | None, Contrast]]:
    """Yield each contrast of two restricted means with its name and unit; the ratios if defined.

    Raises:
        EstimationError: Neither arm has an event by the horizon.
    """
    yield "rmst_difference", "days", restricted_mean_difference(a, b)
    yield "rmst_ratio", None, restricted_mean_ratio(a, b)
    lost_a, lost_b = time_lost(a), time_lost(b)
    yield "rmtl_difference", "days", restricted_mean_difference(lost_a, lost_b)
    if min(lost_a.estimate, lost_b.estimate) > 0:
        yield "rmtl_ratio", None, time_lost_ratio(a, b)


def arms_rmst(asked: Asked, people: Population) -> list[Row]:
    """Return restricted means of time lived and lost of each arm, and their contrasts."""
    horizon = float(asked.analysis.horizon_days or 0)
    where: dict[str, object] = {"at": horizon, **_TIME}
    rows: list[Row] = []
    means = []
    for arm, members in asked.each_arm(people):
        found = restricted_mean(
            members.follow_up_days, members.has_outcome, horizon, members.weights
        )
        means.append(found)
        rows += [
            asked.row(members, name, arm=arm, **mean_values(mean), **where)
            | {BEHIND: (int((members.has_outcome & (members.follow_up_days <= horizon)).sum()),)}
            for name, mean in (("rmst", found), ("rmtl", time_lost(found)))
        ]
    rows += [
        asked.contrast(people, name, found, unit=unit, se_method=means[0].se_method, **where)
        for name, unit, found in mean_contrasts(means[0], means[1])
    ]
    return bootstrapped_rows(asked, people, rows)


def arms_quantiles(asked: Asked, members: Population, arm: str, curve: SurvivalCurve) -> list[Row]:
    """Return the day by which each share asked for of an arm has had the outcome."""
    made = []
    for share in asked.analysis.quantiles:
        found = survival_quantile(curve, share)
        day = found.estimate
        until = members.has_outcome & (members.follow_up_days <= (np.inf if day is None else day))
        made.append(
            asked.row(
                members,
                "quantile",
                arm=arm,
                at=share,
                at_kind="probability",
                unit="days",
                estimate=day,
                ci_low=found.ci_low,
                ci_high=found.ci_high,
                ci_method=curve.ci_method,
                n_events=int(until.sum()),
                status="ok" if day is not None else "not_estimable",
                note=None if day is not None else f"survival stays above {1 - share:g}",
            )
            | on_days(of_quantile(found), members.follow_up_days, members.has_outcome)
        )
    return made


def arms_hazard(asked: Asked, people: Population) -> list[Row]:
    """Return the cumulative hazard of each arm, at its steps and on the days asked for."""
    analysis = asked.analysis
    rows: list[Row] = []
    for arm, members in asked.each_arm(people):
        curve = nelson_aalen(
            members.follow_up_days,
            members.has_outcome,
            members.weights,
            conf_type="plain" if analysis.conf_type == "plain" else "log",
            variance="greenwood" if analysis.variance == "greenwood" else "poisson",
            ctype=analysis.ctype or 1,
        )
        how = {"arm": arm, "se_method": curve.se_method, "ci_method": curve.ci_method}
        steps = np.union1d([0.0], np.append(curve.time[curve.n_events > 0], curve.time[-1]))
        table = np.asarray(analysis.table_days, float)
        for term, days in (("curve", steps), ("table", table[table <= curve.time[-1]])):
            rows += _hazard_steps(asked, members, curve, days, {"term": term, **how})
        rows += [
            asked.row(
                members,
                "cumulative_hazard",
                **{**how, "se_method": None, "ci_method": None},
                at=float(day),
                term="table",
                n_events=None,
                ci_level=None,
                status="not_estimable",
                note="beyond the follow-up of this arm",
                **_TIME,
            )
            for day in table[table > curve.time[-1]]
        ]
    return rows


def _hazard_steps(
    asked: Asked,
    members: Population,
    curve: CumulativeHazard,
    days: FloatArray,
    how: Mapping[str, object],
) -> list[Row]:
    """One row a time; `n_events` counts the outcomes of the arm up to it."""
    so_far = np.sort(members.follow_up_days[members.has_outcome])
    ends = np.sort(members.follow_up_days)
    found = hazard_at(curve, days)
    return [
        asked.row(
            members,
            "cumulative_hazard",
            at=float(found.time[i]),
            unit="cumulative hazard",
            estimate=float(found.estimate[i]),
            estimate_scale="identity",
            std_error=finite(found.std_error[i]),
            se_scale="identity",
            ci_low=finite(found.ci_low[i]),
            ci_high=finite(found.ci_high[i]),
            n_events=int(np.searchsorted(so_far, found.time[i], side="right")),
            **_TIME,
            **how,
        )
        | {AT_RISK: int(ends.size - np.searchsorted(ends, found.time[i]))}
        for i in range(found.time.size)
    ]


def arms_log_rank(asked: Asked, people: Population) -> list[Row]:
    """Return the test of the log-rank family that the analysis names."""
    analysis = asked.analysis
    found = log_rank(
        people.follow_up_days,
        people.has_outcome,
        people.is_target,
        rho=analysis.rho or 0.0,
        gamma=analysis.gamma or 0.0,
        weighting=analysis.weighting or "log_rank",
        strata=strata_of_test(people),
    )
    return [_test(asked, people, name_of_test(analysis), found)]


def arms_gray(asked: Asked, people: Population) -> list[Row]:
    """Return Gray's test of the two arms."""
    found = gray_test(
        people.follow_up_days,
        people.cause,
        people.is_target,
        rho=asked.analysis.rho or 0.0,
        strata=strata_of_test(people),
    )
    return [_test(asked, people, "gray", found)]


def _test(asked: Asked, people: Population, name: str, found: TestResult) -> Row:
    return asked.row(
        people,
        "test",
        ci_level=None,
        statistic_name=name,
        statistic=found.statistic,
        df1=float(found.df),
        p_value=found.p_value,
    )
