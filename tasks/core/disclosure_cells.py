"""Small cells of descriptions: what is withheld with a small count, so that nothing gives it away.

- Table 1: a covariate is shown for all columns or for none; so are all levels of a category.
- Incidence, prevalence: of a series, cells are withheld until what is withheld adds up to k; strata
  of it are shown all or none, and none where the series itself has a gap. Where two descriptions
  count the same event in the same population, one with a gap is withheld wholly, and so is one
  that differs from the other by few.
- Time to event: as a series; a bin is shown only where as many are seen as in the bins that are
  shown, or at least k fewer or more.
- Treatment patterns: rare orders are one, `other`, of at least k persons.
- Missingness: each cell by itself.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

import polars as pl

from tasks.core.results import withheld

Row = dict[str, object]
Places = list[int]
OTHER = "other"
_SERIES = ("incidence", "prevalence")


def is_small(count: object, k: int) -> bool:
    """Whether a count is from 1 to k-1."""
    return isinstance(count, int | float) and 0 < count < k


def protect_cells(rows: list[Row], k: int) -> list[Row]:
    """Return the rows with small cells of descriptions withheld, in their places."""
    out = list(rows)
    groups: dict[tuple[str, str], Places] = defaultdict(list)
    for place, row in enumerate(rows):
        if row.get("method") in _RULES:
            groups[str(row["method"]), str(row["analysis_id"])].append(place)
    for (method, _), places in groups.items():
        hidden = _RULES[method](rows, places, k)
        _withhold(out, hidden)
    _withhold(out, _told_by_another(rows, out, groups, k))
    return _with_others(rows, out, groups)


def is_dropped(row: Row) -> bool:
    """Whether a withheld row may not even say that it is there."""
    return row.get("method") == "treatment_patterns" and row["status"] == "suppressed"


def small_covariates(
    balance: pl.DataFrame, sizes: Mapping[tuple[object, object], int], k: int
) -> set[str]:
    """Covariates that few have, or few lack, in some arm of an unweighted population.

    Levels of a category go together; the level that is left out counts as well.
    """
    small: set[str] = set()
    for population in ("crude", "matched"):
        adjustment = "none" if population == "crude" else population
        arms = [n for (name, _), n in sizes.items() if name == population]
        left: dict[str, list[int]] = {}
        levels: dict[str, set[str]] = defaultdict(set)
        for row in balance.filter(pl.col("adjustment") == adjustment).iter_rows(named=True):
            counts = _having(row, arms)
            if any(
                is_small(c, k) or is_small(n - c, k) for c, n in zip(counts, arms, strict=False)
            ):
                small.add(row["covariate"])
            if row["kind"] == "category":
                group = row["covariate"].partition("=")[0]
                levels[group].add(row["covariate"])
                rest = left.setdefault(group, list(arms))
                left[group] = [a - b for a, b in zip(rest, counts, strict=False)]
        for group, members in levels.items():
            if members & small or any(is_small(n, k) for n in left[group]):
                small |= members
    return small


def _having(row: Mapping[str, object], arms: list[int]) -> list[int]:
    """How many of each arm have a covariate; nothing where that is not a count."""
    if row["kind"] == "continuous":
        counts = (row["target_count"], row["comparator_count"])
        return [whole(c) for c in counts] if None not in counts else []
    means = (row["target_mean"], row["comparator_mean"])
    return [round(m * n) for m, n in zip(means, arms, strict=False) if isinstance(m, float)]


def _withhold(out: list[Row], places: Iterable[int]) -> None:
    for place in places:
        out[place] = withheld(out[place])


def _with_event(row: Row) -> object:
    """Persons with the event: events may repeat, persons do not."""
    return row.get("n_events") if row.get("n_clusters") is None else row["n_clusters"]


def _is_small_cell(row: Row, k: int) -> bool:
    having, n = _with_event(row), row.get("n")
    without = whole(n) - whole(having) if having is not None and n is not None else 0
    return any(is_small(count, k) for count in (n, having, without))


def _table_one(rows: list[Row], places: Places, k: int) -> set[int]:
    """Hide a covariate in all columns where it is small in one, and its whole category."""
    mine = [rows[p] for p in places]
    sizes = {(r["population"], r.get("arm")): r["n"] for r in mine if r.get("term") is None}
    if any(is_small(n, k) for n in sizes.values()):
        return set(places)
    told = [row for row in mine if row.get("term")]
    small = {r["term"] for r in told if _is_small_cell(r, k) or _few_unmeasured(r, sizes, k)}
    groups = {row.get("stratum_name") for row in told if row["term"] in small} - {None}
    return {
        p for p in places if rows[p].get("term") in small or rows[p].get("stratum_name") in groups
    }


def _few_unmeasured(row: Row, sizes: Mapping[tuple[object, object], object], k: int) -> bool:
    """Whether a covariate describes all of a group but a few."""
    size = sizes.get((row["population"], row.get("arm")))
    return size is not None and is_small(whole(size) - whole(row["n"]), k)


def _series(rows: list[Row], places: Places, k: int) -> set[int]:
    main = [p for p in places if rows[p].get("stratum_name") is None]
    hidden = _with_complement(rows, main, {p for p in main if _is_small_cell(rows[p], k)}, k)
    has_gap = bool(hidden)
    strata: dict[object, Places] = defaultdict(list)
    for p in places:
        if p not in main:
            strata[rows[p].get("stratum_name")].append(p)
    for members in strata.values():
        if has_gap or any(_is_small_cell(rows[p], k) for p in members):
            hidden |= set(members)
    return hidden


def _with_complement(rows: list[Row], places: Places, hidden: set[int], k: int) -> set[int]:
    """Withhold further cells until at least two, and k events, are withheld together."""
    left = sorted((p for p in places if p not in hidden), key=lambda p: (_cell(rows[p]), p))
    while hidden and left and not _is_safe(rows, hidden, k):
        hidden = hidden | {left.pop(0)}
    return hidden


def _is_safe(rows: list[Row], hidden: set[int], k: int) -> bool:
    return len(hidden) > 1 and sum(_cell(rows[p]) for p in hidden) >= k


def _cell(row: Row) -> int:
    return whole(_with_event(row))


def _bins(rows: list[Row], places: Places, k: int) -> set[int]:
    cells = [p for p in places if rows[p].get("at") is not None]
    hidden = {p for p in cells if _is_small_cell(rows[p], k)}
    shown = [whole(rows[p]["n"]) for p in places if rows[p].get("at") is None]
    for p in sorted(cells, key=lambda p: -whole(rows[p]["n"])):
        n = whole(rows[p]["n"])
        if any(is_small(abs(n - other), k) for other in shown):
            hidden.add(p)
        elif p not in hidden:
            shown.append(n)
    few_in_all = any(p not in cells and is_small(rows[p]["n"], k) for p in places)
    return set(places) if few_in_all else _with_complement(rows, cells, hidden, k)


def _paths(rows: list[Row], places: Places, k: int) -> set[int]:
    named = [p for p in places if rows[p].get("term") not in {None, OTHER}]
    small = {p for p in named if is_small(rows[p]["n_events"], k)}
    total = any(is_small(rows[p]["n"], k) for p in places)
    return set(places) if total else _with_complement(rows, named, small, k)


def _each(rows: list[Row], places: Places, k: int) -> set[int]:
    return {p for p in places if _is_small_cell(rows[p], k)}


_RULES = {
    "table_one": _table_one,
    "incidence": _series,
    "prevalence": _series,
    "time_to_event": _bins,
    "treatment_patterns": _paths,
    "missingness": _each,
}


def _told_by_another(
    rows: list[Row], out: list[Row], groups: Mapping[tuple[str, str], Places], k: int
) -> set[int]:
    """Descriptions of the same event in the same population tell about one another."""
    alike: dict[tuple[object, ...], list[Places]] = defaultdict(list)
    for (method, _), places in groups.items():
        if method in _SERIES:
            first = rows[places[0]]
            alike[method, first.get("population"), first.get("outcome")].append(places)
    hidden: set[int] = set()
    for several in alike.values():
        if len(several) > 1:
            hidden |= set(_of_alike(rows, out, several, k))
    return hidden


def _of_alike(rows: list[Row], out: list[Row], several: list[Places], k: int) -> Iterator[int]:
    for number, places in enumerate(several):
        has_gap = any(out[p]["status"] == "suppressed" for p in places)
        earlier = [_by_cell(rows, other) for other in several[:number]]
        mine = _by_cell(rows, places)
        if has_gap or any(_differ_by_few(mine, other, k) for other in earlier):
            yield from places


def _by_cell(rows: list[Row], places: Places) -> dict[tuple[object, ...], tuple[int, int]]:
    names = ("term", "stratum_name", "stratum_level")
    return {
        tuple(rows[p].get(name) for name in names): (whole(rows[p]["n"]), _cell(rows[p]))
        for p in places
    }


def _differ_by_few(
    mine: Mapping[tuple[object, ...], tuple[int, int]],
    other: Mapping[tuple[object, ...], tuple[int, int]],
    k: int,
) -> bool:
    return any(
        is_small(abs(a - b), k)
        for cell in mine.keys() & other.keys()
        for a, b in zip(mine[cell], other[cell], strict=True)
    )


def _with_others(
    rows: list[Row], out: list[Row], groups: Mapping[tuple[str, str], Places]
) -> list[Row]:
    """Count the withheld orders of treatments together in the row `other`."""
    for (method, _), places in groups.items():
        if method != "treatment_patterns":
            continue
        lost = [p for p in places if out[p]["status"] == "suppressed"]
        for p in places:
            if rows[p].get("term") == OTHER and p not in lost:
                count = sum(_cell(rows[q]) for q in lost)
                out[p] = {**out[p], "estimate": float(count), "n_events": count}
    return out


def whole(value: object) -> int:
    """Return a count; 0 where there is none."""
    return int(value) if isinstance(value, int | float) else 0
