"""Gates and shares of persons: judged on all, told over what is shown."""

import polars as pl

from tasks.core.disclosure_cells import is_small, whole
from tasks.core.disclosure_populations import stratum
from tasks.core.results import withheld

Row = dict[str, object]
_COUNTS_OF_GATES = ("events", "persons_per_arm", "ess")
_OF_EVENTS = ("events", "events_per_parameter")
_SHARES = ("equipoise", "positivity")


def over_what_is_shown(row: Row, balance: pl.DataFrame) -> Row:
    """Take the largest difference over the covariates that are shown: another would tell."""
    if row["estimate_name"] != "max_smd" or row["status"] != "ok":
        return row
    if stratum(row) is not None:
        return withheld(row)  # which of its covariates may be shown is not known here
    return {**row, "estimate": _largest(balance, row["population"])}


def mask_gate(gate: Row, balance: pl.DataFrame, hidden: set[object], k: int) -> Row:
    """Return a verdict without a value that would tell of few."""
    value = gate["value"]
    if gate["name"] == "max_smd":
        value = _largest(balance, gate["adjustment"])
    elif gate["name"] in _OF_EVENTS and "crude" in hidden:
        value = None
    if gate["name"] in _COUNTS_OF_GATES and _is_count_of_few(value, gate.get("n"), k):
        value = None
    if gate["name"] == "events_per_parameter" and isinstance(value, float) and value < k:
        value = None  # times the parameters, which the study tells, it is a count
    if gate["name"] in _SHARES and _is_of_few(value, gate.get("n"), k):
        value = None
    return {**gate, "value": value}


def _is_count_of_few(value: object, n: object, k: int) -> bool:
    rest = whole(n) - whole(value) if isinstance(n, int) else 0
    return is_small(value, k) or is_small(rest, k)


def _is_of_few(share: object, n: object, k: int) -> bool:
    """Whether a share, or what it leaves, is of few persons."""
    if not isinstance(share, int | float) or not isinstance(n, int):
        return False
    count = round(share * n)
    return is_small(count, k) or is_small(n - count, k)


def hide_shares(row: Row, k: int) -> Row:
    """Withhold a share of persons that, or whose rest, is of few."""
    is_share = row["estimate_name"] in _SHARES and row["status"] == "ok"
    return withheld(row) if is_share and _is_of_few(row["estimate"], row.get("n"), k) else row


def _largest(balance: pl.DataFrame, population: object) -> float | None:
    adjustment = "none" if population == "crude" else population
    shown = balance.filter(pl.col("adjustment") == adjustment)["smd"].abs().max()
    return float(str(shown)) if shown is not None else None
