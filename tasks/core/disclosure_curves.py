"""Curves and numbers at risk: shown only in steps of k, and never beyond the last k at risk."""

from collections import defaultdict
from collections.abc import Collection

from tasks.core.disclosure_cells import is_small, whole
from tasks.core.results import AT_RISK, DAYS, withheld

Row = dict[str, object]
CURVES = ("survival", "cumulative_incidence", "cumulative_hazard")
QUANTILES = ("quantile", "median_survival")
_DAYS_OF_QUANTILE = ("estimate", "ci_low", "ci_high")


def _people(row: Row) -> str:
    """Who is counted: weighting changes nobody's place in the counts, matching does."""
    return "matched" if row["population"] == "matched" else "all"


def thin_curves(rows: list[Row], k: int) -> list[Row]:
    """Show a point of a curve only where k outcomes, or none, lie since the last one shown."""
    rows = safe_days(rows, k)
    ends: dict[tuple[object, ...], int] = {
        (_people(row), row["arm"]): whole(row["n_events"])
        for row in rows
        if row["analysis_id"] == "follow_up" and row.get("stratum_name") is None
    }
    groups: dict[tuple[object, ...], list[int]] = defaultdict(list)
    for place, row in enumerate(rows):
        if so_far(row) is not None:
            groups[_people(row), row["arm"]].append(place)
    out = list(rows)
    for whose, places in groups.items():
        steps = [rows[place] for place in places]
        shown = spaced_steps(steps, (whole(steps[0]["n"]), ends.get(whose, 0)), k)
        for place in places:
            if so_far(rows[place]) not in shown:
                out[place] = withheld(rows[place])
    return out


def safe_days(rows: list[Row], k: int) -> list[Row]:
    """Withhold points that few reach, and days of quantiles with few events by or at risk on them.

    A quantile and its limits are days on which somebody had the event.
    """
    ended = [withheld(row) if ends_thin(row, k) else row for row in rows]
    return [_with_safe_days(row, k) for row in ended]


def _with_safe_days(row: Row, k: int) -> Row:
    if row["estimate_name"] not in QUANTILES or row.get("method") != "kaplan_meier":
        return row
    counts = row.get(DAYS)
    known = counts if isinstance(counts, dict) else {}
    is_safe = {name: min(known.get(name, (0, 0))) >= k for name in _DAYS_OF_QUANTILE}
    if row["status"] == "ok" and not is_safe["estimate"]:
        return withheld(row)
    return {**row, **{name: None for name, safe in is_safe.items() if not safe}}


def so_far(row: Row) -> int | None:
    """Return the events by the day that a row tells of; None where it tells of no step."""
    if row["status"] != "ok":
        return None
    if row["estimate_name"] in CURVES:
        return whole(row.get("n_events"))
    counts = row.get(DAYS)
    return counts["estimate"][0] if isinstance(counts, dict) and "estimate" in counts else None


def spaced_steps(rows: list[Row], known: tuple[int, int], k: int) -> set[int]:
    """Choose totals of events that may be shown: first those of quantiles, then of curves.

    Args:
        rows: Points of the curves of one group, and its quantiles.
        known: Persons of the group and all of its events, which are told elsewhere.
        k: Smallest distance.
    """
    n, events = known
    totals = {is_day: set[int]() for is_day in (True, False)}
    for row in rows:
        if (total := so_far(row)) is not None:
            totals[row["estimate_name"] in QUANTILES].add(total)
    days = spaced(totals[True], n, k, {events})
    return spaced(totals[False], n, k, days)


def ends_thin(row: Row, k: int) -> bool:
    """Whether a point of a curve is shown that fewer than k persons reach."""
    at_risk = row.get(AT_RISK)
    return row["status"] == "ok" and isinstance(at_risk, int) and at_risk < k


def spaced(totals: set[int], n: int, k: int, shown: Collection[int] = ()) -> set[int]:
    """Choose totals that lie 0 or at least k apart from one another, from 0 and from n.

    Args:
        totals: Totals to choose from; the lowest come first.
        n: The most that there can be.
        k: Smallest distance.
        shown: Totals that are shown already.
    """
    chosen, fixed = set(shown), (0, n)
    for total in sorted(totals):
        if not any(is_small(abs(total - other), k) for other in (*chosen, *fixed)):
            chosen.add(total)
    return chosen


def thin_at_risk(rows: list[Row], k: int) -> list[Row]:
    """Show a number at risk only where it lies 0 or at least k below the last one shown."""
    groups: dict[tuple[object, ...], list[int]] = defaultdict(list)
    for place, row in enumerate(rows):
        if row["estimate_name"] == "n_at_risk":
            groups[_people(row), row["arm"]].append(place)
    out = list(rows)
    for places in groups.values():
        shown = _spaced_down({whole(rows[p]["estimate"]) for p in places}, rows[places[0]]["n"], k)
        for place in places:
            if whole(rows[place]["estimate"]) not in shown:
                out[place] = withheld(rows[place])
    return out


def _spaced_down(values: set[int], start: object, k: int) -> set[int]:
    shown, last = set(), whole(start)
    for value in sorted(values, reverse=True):
        if value == last or (last - value >= k and not is_small(value, k)):
            shown.add(value)
            last = value
    return shown
