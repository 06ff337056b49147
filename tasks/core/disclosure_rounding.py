"""Counts rounded to a base, where a site or a study asks for it, after what is few is withheld.

A rounded count is of little use beside the exact share that it came from. So shares of counts are
made again from the rounded counts, without interval; curves step by whole multiples of the base; a
rate moves with its events; person-time keeps three digits; a median or another quantile is
told in whole weeks. Contrasts stay as they are.
"""

import math
from collections.abc import Sequence
from dataclasses import replace

import polars as pl

from tasks.core.disclosure import Released
from tasks.core.disclosure_curves import QUANTILES

Row = dict[str, object]
_COUNTS = ("count", "n_at_risk")
_SHARES = ("proportion", "missing_fraction", "record_fraction", "mapped_fraction")
_CURVES = ("survival", "cumulative_incidence")
_OF_SCORES = ("equipoise", "positivity")
_GATES = ("events", "persons_per_arm", "events_per_parameter")
_DIGITS_OF_TIME = 3
_WEEK = 7
_OF_INTERVAL = ("std_error", "ci_low", "ci_high", "statistic", "p_value")


def to_base(value: float, base: int) -> int:
    """Return the nearest multiple of a base; the higher one from the middle on."""
    return math.floor(value / base + 0.5) * base


def rounded(released: Released, base: int) -> Released:
    """Return what may leave with every count rounded; as it is where the base is 0 or 1."""
    if base < 2:
        return released
    return replace(
        released,
        rows=[_row(row, base) for row in released.rows],
        attrition=_attrition(released.attrition, base),
        balance=_balance(released.balance, base),
        gates=[_gate(gate, base) for gate in released.gates],
    )


def _row(row: Row, base: int) -> Row:
    if row["status"] not in {"ok", "not_estimable"}:
        return row
    counts: Row = {
        name: to_base(value, base)
        for name in ("n", "n_events", "n_clusters")
        if isinstance(value := row.get(name), int | float)
    }
    time = row.get("person_time")
    if isinstance(time, int | float):
        counts["person_time"] = _digits(float(time), _DIGITS_OF_TIME)
    return {**row, **counts, **_estimate(row, counts, base)}


def _estimate(row: Row, counts: Row, base: int) -> Row:
    """Return the numbers of a row that would tell the exact count."""
    name, value = row["estimate_name"], row.get("estimate")
    if not isinstance(value, int | float):
        return {}
    if name in QUANTILES and row.get("unit") == "days":
        return {k: _in_weeks(row.get(k)) for k in ("estimate", "ci_low", "ci_high")}
    if name in _COUNTS:
        return {"estimate": float(to_base(value, base))}
    if name in _SHARES:
        return _share(counts, float(value))
    if name in _OF_SCORES:
        return {"estimate": round(value, 2)}
    if name in _CURVES:
        step = base / max(_number(row.get("n")), 1)
        kept = {k: _snapped(row.get(k), step) for k in ("estimate", "ci_low", "ci_high")}
        return {**kept, "std_error": None}
    if name == "incidence_rate" and (events := _number(row.get("n_events"))):
        ratio = _number(counts["n_events"]) / events
        return {
            k: _times(row.get(k), ratio) for k in ("estimate", "std_error", "ci_low", "ci_high")
        }
    return {}


def _share(counts: Row, exact: float) -> Row:
    n, events = counts.get("n"), counts.get("n_events")
    is_known = isinstance(n, int) and isinstance(events, int) and n > 0
    share = _number(events) / _number(n) if is_known else round(exact, 2)
    return {"estimate": share, **dict.fromkeys(_OF_INTERVAL)}


def _snapped(value: object, step: float) -> float | None:
    if not isinstance(value, int | float):
        return None
    return min(max(math.floor(value / step + 0.5) * step, 0.0), 1.0)


def _in_weeks(value: object) -> float | None:
    return float(to_base(value, _WEEK)) if isinstance(value, int | float) else None


def _times(value: object, ratio: float) -> float | None:
    return float(value) * ratio if isinstance(value, int | float) else None


def _digits(value: float, digits: int) -> float:
    return float(f"{value:.{digits}g}")


def _attrition(attrition: pl.DataFrame, base: int) -> pl.DataFrame:
    """Round what remains; what a step excludes is the difference of what is shown."""
    out: list[Row] = []
    last: dict[object, int | None] = {}
    for step in attrition.to_dicts():
        left = None if step["remaining"] is None else to_base(step["remaining"], base)
        before = last.get(step["arm"])
        gone = step["excluded"]
        if gone is not None:
            gone = to_base(gone, base) if None in (before, left) else _less(before, left)
        records = {
            name: to_base(step[name], base)
            for name in ("records",)
            if isinstance(step.get(name), int)
        }
        out.append({**step, **records, "remaining": left, "excluded": gone})
        last[step["arm"]] = left
    return pl.DataFrame(out, schema=attrition.schema)


def _less(before: int | None, left: int | None) -> int:
    return max((before or 0) - (left or 0), 0)


def _balance(balance: pl.DataFrame, base: int) -> pl.DataFrame:
    """Round counts, and means of what persons have or have not to two places."""
    count = [pl.col(f"{arm}_count") for arm in ("target", "comparator")]
    mean = [pl.col(f"{arm}_{what}") for arm in ("target", "comparator") for what in ("mean", "sd")]
    is_share = pl.col("kind") != "continuous"
    return balance.with_columns(
        *(((c / base + 0.5).floor() * base).cast(pl.Int64) for c in count),
        *(pl.when(is_share).then(m.round(2)).otherwise(m) for m in mean),
    )


def _gate(gate: Row, base: int) -> Row:
    value = gate["value"]
    if gate["name"] not in (*_GATES, *_OF_SCORES) or not isinstance(value, int | float):
        return gate
    if gate["name"] in _OF_SCORES:
        return {**gate, "value": round(value, 2)}
    if gate["name"] == "events_per_parameter":
        return {**gate, "value": _digits(float(value), 2)}
    return {**gate, "value": float(to_base(value, base))}


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0


def bases(asked: Sequence[int | None]) -> int:
    """Return the coarsest of the bases that site and study ask for; 0 where none does."""
    return max((base or 0 for base in asked), default=0)
