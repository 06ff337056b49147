"""What stands beside an effect to say how far it may be wrong: E-values, detectable ratios."""

import math
from collections.abc import Iterable

from tasks.analysis.people import BoolArray
from tasks.core.errors import EstimationError
from tasks.core.results import result_row
from tasks.core.spec import Analysis
from tasks.stats.evalue import COMMON, EValue, Measure, e_value, e_value_of_difference
from tasks.stats.power import minimal_detectable_ratio

Row = dict[str, object]

MEASURES: dict[str, Measure] = {
    "hazard_ratio": "hazard_ratio",
    "subdistribution_hazard_ratio": "hazard_ratio",
    "odds_ratio": "odds_ratio",
    "risk_ratio": "risk_ratio",
    "rate_ratio": "rate_ratio",
}
DIFFERENCES = ("mean_difference", "coefficient", "ate", "att", "ato")
_KEPT = (
    "population target comparator outcome site_id unit_of_analysis stratum_name stratum_level "
    "estimand method term at at_kind n n_events"
).split()


def sensitivity_rows(
    analysis: Analysis, rows: Iterable[Row], outcome_sd: float | None = None
) -> list[Row]:
    """Return the E-values that an analysis asks for.

    Args:
        analysis: The analysis.
        rows: Its rows of results.
        outcome_sd: Standard deviation of an outcome that is a number; differences have E-values
            only with it.
    """
    if not analysis.e_value:
        return []
    found = []
    for row in _distinct(rows):
        found += _e_values(analysis, row, outcome_sd)
    return found


def detectable_row(analysis: Analysis, rows: Iterable[Row], is_target: BoolArray) -> list[Row]:
    """Return the smallest ratio that an analysis of two arms would have found.

    Args:
        analysis: The analysis.
        rows: Its rows of results; the ratio with most events tells of which outcome and day.
        is_target: Who of its people is in the target arm.
    """
    ratios = [r for r in rows if r["estimate_name"] in MEASURES and r["status"] == "ok"]
    if not ratios:
        return []
    row = max(ratios, key=lambda ratio: int(str(ratio["n_events"])))
    kept = {name: row.get(name) for name in _KEPT if row.get(name) is not None}
    what = {"note": "two-sided alpha 0.05, power 0.8", "estimate_scale": "ratio"}
    found = minimal_detectable_ratio(int(str(row["n_events"])), float(is_target.mean()))
    return [result_row(analysis.id, "descriptive", "mdrr", estimate=found, **what, **kept)]


def _distinct(rows: Iterable[Row]) -> list[Row]:
    """Return the effects that can be shown, each once where it has several standard errors."""
    seen: dict[tuple[object, ...], Row] = {}
    for row in rows:
        key = tuple(row.get(name) for name in ("estimate_name", *_KEPT))
        if row["status"] == "ok" and row.get("estimate") is not None:
            seen.setdefault(key, row)
    return list(seen.values())


def _e_values(analysis: Analysis, row: Row, outcome_sd: float | None) -> list[Row]:
    try:
        found = _e_value(row, outcome_sd)
    except EstimationError as exc:
        why = {"status": "not_estimable", "note": exc.what}
        return [_row(analysis, row, "estimate", None) | why]
    if found is None:
        return []
    note = _note(row, found)
    return [
        _row(analysis, row, scenario, value) | {"note": note}
        for scenario, value in (("estimate", found.estimate), ("limit", found.limit))
        if value is not None
    ]


def _e_value(row: Row, outcome_sd: float | None) -> EValue | None:
    name, estimate = str(row["estimate_name"]), _number(row["estimate"])
    if name in MEASURES and estimate is not None:
        return e_value(
            estimate,
            _number(row.get("ci_low")),
            _number(row.get("ci_high")),
            measure=MEASURES[name],
            is_common=_is_common(row),
        )
    if name in DIFFERENCES and outcome_sd is not None and estimate is not None:
        if row.get("term") == "intercept":
            return None
        return e_value_of_difference(estimate, _number(row.get("std_error")), outcome_sd)
    return None


def _is_common(row: Row) -> bool:
    events, n = _number(row.get("n_events")), _number(row.get("n"))
    return bool(events is not None and n and events / n >= COMMON)


def _note(row: Row, found: EValue) -> str:
    if row["estimate_name"] in DIFFERENCES:
        return f"E-value of {row['estimate_name']}, as a standardised difference"
    how = "converted to a risk ratio: the outcome is common" if found.is_converted else "as it is"
    return f"E-value of {row['estimate_name']}, {how}"


def _row(analysis: Analysis, row: Row, scenario: str, value: float | None) -> Row:
    kept = {name: row.get(name) for name in _KEPT if row.get(name) is not None}
    return result_row(
        analysis.id,
        "sensitivity",
        "e_value",
        scenario=scenario,
        estimate=value,
        estimate_scale="ratio",
        statistic_name=str(row["estimate_name"]),
        **kept,
    )


def _number(value: object) -> float | None:
    found = float(value) if isinstance(value, int | float) else math.nan
    return found if math.isfinite(found) else None
