"""Curves, restricted means and their contrasts again, with errors that count fitted weights."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from tasks.analysis.arms_curves import survival_scale
from tasks.analysis.people import FloatArray
from tasks.analysis.table_asked import finite
from tasks.core.spec import Analysis
from tasks.stats.competing_risks import incidence_limits
from tasks.stats.curve_intervals import curve_interval
from tasks.stats.inference import Contrast, z_quantile
from tasks.stats.weighted_curves import (
    METHOD,
    WeightedArms,
    influence_on_incidence,
    influence_on_mean,
)
from tasks.stats.weighted_effects import ArmMeans, Measure, contrast_means

Row = dict[str, object]
IsTarget = Callable[[Row], bool]
METHODS = ("kaplan_meier", "cumulative_incidence", "rmst")
_LEVEL = 0.95
_OF_ARMS = ("survival", "cumulative_incidence", "rmst", "rmtl")
_CONTRASTS: Mapping[str, tuple[str, Measure]] = {
    "risk_difference": ("cumulative_incidence", "difference"),
    "risk_ratio": ("cumulative_incidence", "ratio"),
    "rmst_difference": ("rmst", "difference"),
    "rmst_ratio": ("rmst", "ratio"),
    "rmtl_difference": ("rmtl", "difference"),
    "rmtl_ratio": ("rmtl", "ratio"),
}


@dataclass(frozen=True, slots=True)
class _Point:
    """A number of one arm on one day."""

    name: str
    is_target: bool
    day: float


def fitted_rows(
    made: Iterable[Row], analysis: Analysis, arms: WeightedArms, is_target: IsTarget
) -> list[Row]:
    """Return rows on days asked for again, with errors that count the fit of the weights.

    Args:
        made: Rows of the analysis, whose errors take the weights as known.
        analysis: The analysis: `kaplan_meier`, `cumulative_incidence` or `rmst`.
        arms: The rows of both arms; events that compete are 2 for `cumulative_incidence` only.
        is_target: Whether a row of an arm is of the treated.
    """
    rows = [row for row in made if row["status"] == "ok" and row.get("std_error") is not None]
    of_arms = {
        _Point(str(row["estimate_name"]), is_target(row), _number(row, "at")): row
        for row in rows
        if row["estimate_name"] in _OF_ARMS and row.get("term") != "curve"
    }
    influence = _influences(of_arms, arms)
    again = [row | _of_point(row, analysis, influence[at]) for at, row in of_arms.items()]
    for row in rows:
        if row["estimate_name"] in _CONTRASTS and row.get("term") is None:
            again.append(row | _of_contrast(row, of_arms, influence))
    return again


def _influences(points: Iterable[_Point], arms: WeightedArms) -> dict[_Point, FloatArray]:
    """Return the influence of each row on each number, shape (n,)."""
    found: dict[_Point, FloatArray] = {}
    for name, is_target in sorted({(point.name, point.is_target) for point in points}):
        days = sorted(p.day for p in points if (p.name, p.is_target) == (name, is_target))
        if name in ("rmst", "rmtl"):
            columns = np.hstack([influence_on_mean(arms, is_target, day) for day in days])
        else:
            columns = influence_on_incidence(arms, is_target, days)
        sign = -1.0 if name in ("survival", "rmtl") else 1.0
        for day, column in zip(days, columns.T, strict=True):
            found[_Point(name, is_target, day)] = sign * column
    return found


def _of_point(row: Row, analysis: Analysis, influence: FloatArray) -> Row:
    """Return error and interval of a number of an arm."""
    error = float(np.sqrt(np.sort(influence**2).sum()))
    low, high = _limits(str(row["estimate_name"]), _number(row, "estimate"), error, analysis)
    return {
        "std_error": error,
        "se_method": METHOD,
        "ci_low": finite(low),
        "ci_high": finite(high),
    }


def _limits(name: str, estimate: float, error: float, analysis: Analysis) -> tuple[float, float]:
    """Return limits on the scale that the analysis names; those of means are Wald's."""
    value, spread = np.array([estimate]), np.array([error])
    if name == "survival":
        low, high = curve_interval(value, spread, survival_scale(analysis), _LEVEL)
    elif name == "cumulative_incidence":
        low, high = incidence_limits(value, spread, analysis.conf_type or "cloglog", _LEVEL)
    else:
        low, high = value - z_quantile(_LEVEL) * spread, value + z_quantile(_LEVEL) * spread
    return float(low[0]), float(high[0])


def _of_contrast(
    row: Row, points: Mapping[_Point, Row], influence: Mapping[_Point, FloatArray]
) -> Row:
    """Return error, interval and test of a contrast; arms share the model of the weights."""
    name, measure = _CONTRASTS[str(row["estimate_name"])]
    pair = [_Point(name, is_target, _number(row, "at")) for is_target in (True, False)]
    target, other = (_number(points[point], "estimate") for point in pair)
    both = np.column_stack([influence[point] for point in pair])
    found: Contrast = contrast_means(ArmMeans(target, other, both, METHOD), measure, _LEVEL)
    return {
        "std_error": found.std_error,
        "se_method": METHOD,
        "ci_low": finite(found.ci_low),
        "ci_high": finite(found.ci_high),
        "statistic": found.z,
        "p_value": found.p_value,
    }


def _number(row: Row, column: str) -> float:
    return float(str(row[column]))
