"""What may leave of a registry table: nothing that tells about fewer than `k` rows.

- Where a group of an analysis has few rows, few with the event, or few without, every row of
  results by that grouping is withheld, in all analyses of the table: the others would tell.
- Analyses of one table whose rows differ by few tell about those few: the first of the study is
  shown, and those that differ from one shown by 1 to k-1 rows or events are withheld.
- Complete cases that differ by few from all rows of their analysis are withheld.
- Curves and numbers at risk are thinned as those of cohorts are; where a method contrasts
  arms on each day, the contrast of a day goes with the risk of an arm that is withheld.
- A model that leaves fewer than `k` degrees of freedom (rows less parameters) is withheld whole.
- Of a column of which a level has few rows no coefficient and no balance is shown.
- A number of a period or a site of a series is withheld where few persons or events are behind it;
  of a series that counts nobody, what is told of a single site is.
- A difference or ratio of risks on a day is shown where both risks of that day are.
- Predictions in one stratum are withheld where it, or all others together, has few rows, few
  with the event or few without.
- Points, groups and bins of scores: see `disclosure_points`.
- Points of ROC curves are shown where k cases of either truth lie between any two of them.
- Steps of attrition are shown where they lie 0 or at least k from every count that is shown.
"""

from collections import defaultdict
from collections.abc import Iterable
from itertools import pairwise

import polars as pl

from tasks.core.disclosure_cells import is_small
from tasks.core.disclosure_curves import CURVES, QUANTILES, safe_days, so_far, spaced, spaced_steps
from tasks.core.disclosure_levels import hide_contrasts, hide_rare_levels
from tasks.core.disclosure_missing import hide_complete_cases
from tasks.core.disclosure_notes import safe_notes
from tasks.core.disclosure_points import hide_thin_points, is_part
from tasks.core.disclosure_roc import thin_roc
from tasks.core.disclosure_series import hide_small_periods
from tasks.core.errors import Message
from tasks.core.results import BEHIND, OBSERVED_MEAN, withheld

Row = dict[str, object]
Key = tuple[object, ...]
_OF_STEPS = (*CURVES, *QUANTILES, "n_at_risk")
_TELL_DAYS = ("curve", "fitted", "extrapolated")
_OF_MODELS = (
    "hazard_ratio",
    "subdistribution_hazard_ratio",
    "odds_ratio",
    "rate_ratio",
    "coefficient",
)
_OF_FILES = ("rows_in", "rows_loaded", "rows_quarantined", "rows_deduplicated")


def release_tables(
    rows: list[Row], attrition: pl.DataFrame, k: int | None
) -> tuple[list[Row], pl.DataFrame, list[Message]]:
    """Withhold every number of registry tables that could tell about fewer than `k` rows.

    Args:
        rows: Rows of results; `population` names the table, `stratum_name` the grouping.
        attrition: The attrition of each analysis, `arm` its id.
        k: Smallest count that may be shown; None when nothing need be withheld.

    Returns:
        Rows, attrition, and a message for each analysis of which something is withheld.
    """
    if k is None or not rows:
        return rows, attrition, []
    estimates = [row for row in rows if row["analysis_id"] != "attrition"]
    hidden = _small_groupings(estimates, k)
    apart = _too_alike([row for row in estimates if _grouping(row) not in hidden], k)
    apart |= _saturated(estimates, k)
    kept = [
        withheld(row) if _grouping(row) in hidden or row["analysis_id"] in apart else row
        for row in estimates
    ]
    few = {row["analysis_id"] for row in kept if _is_span(row) and _is_few(row, k)}
    kept = [withheld(r) if _is_span(r) and r["analysis_id"] in few else r for r in kept]
    kept = hide_rare_levels(
        hide_complete_cases(hide_small_periods(hide_thin_points(kept, k), k), k), k
    )
    kept = thin_roc(hide_contrasts(_thinned(kept, k)), k)
    shown = _shown_attrition(attrition, kept, k)
    messages = _messages(estimates, kept, k)
    kept = [r for r in kept if r["status"] != "suppressed" or r.get("term") not in _TELL_DAYS]
    return safe_notes([*_attrition_rows(rows, shown), *kept]), shown, messages


def hide_table_sizes(quality: list[Row], tables: Iterable[str]) -> list[Row]:
    """Return quality verdicts without the numbers of rows of these tables."""
    names = {name.lower() for name in tables}
    return [
        {
            **entry,
            "files": [_without_size(file, names) for file in _entries(entry["files"])],
            "checks": [_without_counts(check, names) for check in _entries(entry["checks"])],
        }
        for entry in quality
    ]


def _without_size(file: Row, names: set[str]) -> Row:
    is_theirs = str(file["table_name"]).lower() in names
    return {**file, **dict.fromkeys(_OF_FILES)} if is_theirs else file


def _without_counts(check: Row, names: set[str]) -> Row:
    is_theirs = str(check["table"]).rsplit(".", 1)[-1].lower() in names
    return {**check, "n_rows": None, "n_unexpected": None, "share": None} if is_theirs else check


def _entries(value: object) -> list[Row]:
    return list(value) if isinstance(value, list) else []


def _grouping(row: Row) -> Key:
    """What must be hidden together: a grouping of a table, or one analysis without groups."""
    grouping = row.get("stratum_name")
    return (row["population"], grouping) if grouping else (row["population"], row["analysis_id"])


def _cell(row: Row) -> Key:
    """Whom a row is about; a contrast of groups is about all of them."""
    level = None if row.get("target") else row.get("stratum_level")
    return row["population"], row["analysis_id"], row.get("stratum_name"), level


def _sizes(rows: list[Row]) -> dict[Key, tuple[int, int]]:
    """Return rows and events of each group of each analysis: the most that any number says."""
    found: dict[Key, tuple[int, int]] = {}
    for row in rows:
        if row.get("statistic_name") == OBSERVED_MEAN:  # its numbers are of one period
            continue
        n, events = found.get(_cell(row), (0, 0))
        found[_cell(row)] = max(n, _whole(row.get("n"))), max(events, _whole(row.get("n_events")))
    return found


def _small_groupings(rows: list[Row], k: int) -> set[Key]:
    hidden = {
        _grouping(row)
        for row in rows
        if row["estimate_name"] not in _OF_STEPS and not _is_apart(row) and _is_few(row, k)
    }
    hidden |= {_grouping(row) for row in rows if _is_of_stratum(row) and _others_are_few(row, k)}
    of_cells = {_cell(row): _grouping(row) for row in rows}
    return hidden | {
        of_cells[cell] for cell, (n, m) in _sizes(rows).items() if _any_small((n, m, n - m), k)
    }


def _is_span(row: Row) -> bool:
    """Whether a row is of a span of time, or a period: those of an analysis go where one is few."""
    return row.get("statistic_name") in ("scaled_schoenfeld", OBSERVED_MEAN)


def _is_apart(row: Row) -> bool:
    """Whether a row is judged beside those like it, and does not withhold its whole grouping."""
    return _is_span(row) or is_part(row)


def _is_of_stratum(row: Row) -> bool:
    """Whether a row predicts in one stratum: with the whole model it tells of all other strata."""
    return row.get("term") == "predicted" and row.get("stratum_name") is not None


def _others_are_few(row: Row, k: int) -> bool:
    behind = row.get(BEHIND)
    return isinstance(behind, tuple) and _any_small(behind, k)


def _saturated(rows: list[Row], k: int) -> set[object]:
    """Return the analyses whose model has nearly as many parameters as rows."""
    terms: dict[object, set[object]] = defaultdict(set)
    sizes: dict[object, int] = {}
    for row in rows:
        if row.get("n") is None:
            continue  # a model of the effects of sites, not of persons
        if row.get("term") is not None and row["estimate_name"] in _OF_MODELS:
            terms[row["analysis_id"]].add(row["term"])
            sizes[row["analysis_id"]] = max(sizes.get(row["analysis_id"], 0), _whole(row["n"]))
    return {name for name, found in terms.items() if sizes[name] - len(found) < k}


def _is_few(row: Row, k: int) -> bool:
    n, events = row.get("n"), row.get("n_events")
    behind = row.get(BEHIND)
    more = behind if isinstance(behind, tuple) else ()
    return _any_small([_whole(n), _whole(events), _whole(n) - _whole(events), *more], k)


def _any_small(counts: Iterable[int], k: int) -> bool:
    return any(is_small(abs(count), k) for count in counts)


def _too_alike(rows: list[Row], k: int) -> set[object]:
    """Return the analyses whose groups differ by few from those of one that is shown."""
    profiles: dict[tuple[object, object], dict[Key, tuple[int, int]]] = defaultdict(dict)
    for (table, analysis, *cell), size in _sizes(rows).items():
        profiles[table, analysis][tuple(cell)] = size
    hidden: set[object] = set()
    shown: dict[object, list[dict[Key, tuple[int, int]]]] = defaultdict(list)
    for (of_table, name), profile in profiles.items():
        if any(_differ_by_few(profile, other, k) for other in shown[of_table]):
            hidden.add(name)
        else:
            shown[of_table].append(profile)
    return hidden


def _differ_by_few(
    one: dict[Key, tuple[int, int]], other: dict[Key, tuple[int, int]], k: int
) -> bool:
    pairs = [(one[cell], other[cell]) for cell in one.keys() & other.keys()]
    pairs.append((_all_of(one), _all_of(other)))
    return any(_any_small((n - m, e - f, (n - e) - (m - f)), k) for (n, e), (m, f) in pairs)


def _all_of(profile: dict[Key, tuple[int, int]]) -> tuple[int, int]:
    """Return rows and events of all groups together."""
    whole = [size for (_, level), size in profile.items() if level is None]
    parts = [size for (_, level), size in profile.items() if level is not None]
    return max(
        max(whole, default=(0, 0)), (sum(n for n, _ in parts), sum(events for _, events in parts))
    )


def _thinned(rows: list[Row], k: int) -> list[Row]:
    """Show steps only where k events, or k at risk, or none lie since the last one shown."""
    groups: dict[Key, list[int]] = defaultdict(list)
    rows = safe_days(rows, k)
    for place, row in enumerate(rows):
        if _left(row) is not None or so_far(row) is not None:
            name = "n_at_risk" if row["estimate_name"] == "n_at_risk" else "curve"
            groups[name, row["population"], row.get("stratum_name"), row.get("arm")].append(place)
    out = list(rows)
    ends = _most_events(rows)
    for (kind, *whose), places in groups.items():
        steps = [rows[place] for place in places]
        n = max(_whole(step.get("n")) for step in steps)
        is_curve = kind == "curve"
        gone = [so_far(step) if is_curve else n - (_left(step) or 0) for step in steps]
        totals = {total for total in gone if total is not None}
        shown = (
            spaced_steps(steps, (n, ends.get(tuple(whose), 0)), k)
            if is_curve
            else spaced(totals, n, k)
        )
        for place, total in zip(places, gone, strict=True):
            if total not in shown:
                out[place] = withheld(rows[place])
    return out


def _most_events(rows: list[Row]) -> dict[Key, int]:
    """Return the most events that any number says of a group, by table, grouping and group."""
    found: dict[Key, int] = defaultdict(int)
    for row in rows:
        whose = row["population"], row.get("stratum_name"), row.get("arm")
        if row["status"] == "ok":
            found[whose] = max(found[whose], _whole(row.get("n_events")))
    return found


def _left(row: Row) -> int | None:
    """Return how many a row says are still at risk."""
    is_told = row["estimate_name"] == "n_at_risk" and row["status"] == "ok"
    return _whole(row.get("estimate")) if is_told else None


def _shown_attrition(attrition: pl.DataFrame, rows: list[Row], k: int) -> pl.DataFrame:
    """Show steps that lie 0 or at least k from all counts shown; `excluded` only beside them."""
    hidden = {row["analysis_id"] for row in rows} - {
        row["analysis_id"] for row in rows if row["status"] != "suppressed"
    }
    steps = attrition.to_dicts()
    last = {step["arm"]: step for step in steps}
    told = _sizes_told(rows)
    ends = {s["remaining"] for s in last.values() if s["arm"] not in hidden}
    shown = told | {end for end in ends if not _any_small([end - size for size in told], k)}
    out: list[Row] = []
    for step in steps:
        count = step["remaining"]
        if step["arm"] in hidden or _any_small([count, *(count - other for other in shown)], k):
            out.append({**step, "remaining": None, "excluded": None, "status": "suppressed"})
        else:
            shown.add(count)
            out.append(step)
    for before, step in pairwise(out):
        if before["remaining"] is None and step["step"]:
            step["excluded"] = None
    return pl.DataFrame(out, schema=attrition.schema)


def _sizes_told(rows: list[Row]) -> set[int]:
    """Return how many rows results are of: fewer than are used, where an adjustment leaves some."""
    return {
        _whole(row["n"])
        for row in rows
        if row["status"] != "suppressed"
        and row.get("n") is not None
        and not is_part(row)
        and (row.get("target") or not row.get("stratum_name"))
    }


def _attrition_rows(rows: list[Row], attrition: pl.DataFrame) -> list[Row]:
    hidden = {
        (step["arm"], f"{step['step']:02d}_{step['step_id']}")
        for step in attrition.filter(pl.col("status") == "suppressed").iter_rows(named=True)
    }
    of_steps = [row for row in rows if row["analysis_id"] == "attrition"]
    return [withheld(r) if (r["arm"], r["term"]) in hidden else r for r in of_steps]


def _messages(before: list[Row], after: list[Row], k: int) -> list[Message]:
    touched = {
        str(new["analysis_id"])
        for old, new in zip(before, after, strict=True)
        if new["status"] == "suppressed" and old["status"] != "suppressed"
    }
    what = f"numbers that could tell about fewer than {k} rows are withheld"
    fix = "nothing to do; the numbers stay in the restricted store."
    return [Message("P_SMALL_CELL", name, what, fix) for name in sorted(touched)]


def _whole(value: object) -> int:
    return round(value) if isinstance(value, int | float) else 0
