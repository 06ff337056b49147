"""What may leave the restricted store: nothing that tells about fewer than `k` people.

The rules are conservative and simple enough to check by hand:

- a count from 1 to k-1, or whose complement is, is withheld with every number that it can be
  worked out from;
- curves are thinned until at least k outcomes lie between two points that are shown;
- numbers at risk and attrition are shown only where they differ by 0 or by k and more from the
  last that is shown.

Withheld is never 0: the number is null and the row says `suppressed`. Only data that every
delivery in force declares `synthetic_public` pass untouched.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import polars as pl

from tasks.core.errors import DisclosureError, Message
from tasks.core.results import withheld

Row = dict[str, object]
_CURVES = ("survival", "cumulative_incidence")
_HIDDEN_COUNTS = ("remaining", "excluded")
_HIDDEN_BALANCE = (
    "target_mean",
    "target_sd",
    "comparator_mean",
    "comparator_sd",
    "target_count",
    "comparator_count",
    "smd",
)


@dataclass(frozen=True, slots=True, eq=False)
class Released:
    """Tables that may be published, and a message for each kind of number withheld."""

    rows: list[Row]
    attrition: pl.DataFrame
    balance: pl.DataFrame
    messages: list[Message]


def threshold(site: int, study: int | None, data_classes: Iterable[object]) -> int | None:
    """Return the smallest count that may be shown; None when nothing need be withheld.

    Args:
        site: The site's threshold.
        study: The study's own, which can only be higher.
        data_classes: `data_class` of every delivery in force.
    """
    if set(data_classes) == {"synthetic_public"}:
        return None
    return max(site, study or 0)


def release(
    rows: list[Row], attrition: pl.DataFrame, balance: pl.DataFrame, k: int | None
) -> Released:
    """Withhold every number that could tell about fewer than `k` people.

    Raises:
        DisclosureError: An arm has fewer than `k` people, so that nothing can be published.
    """
    if k is None:
        return Released(rows, attrition, balance, [])
    _check_arms(rows, k)
    hidden = _hidden_populations(rows, k)
    kept = _thin_at_risk(_thin_curves([_hide_small(row, hidden, k) for row in rows], k), k)
    shown_attrition = _thin_attrition(attrition, k)
    kept = _follow_attrition(kept, shown_attrition)
    shown_balance = _hide_balance(balance, rows, k)
    return Released(kept, shown_attrition, shown_balance, _messages(rows, kept, k))


def release_quality(quality: list[Row], k: int | None) -> list[Row]:
    """Withhold counts of rows from 1 to k-1 in quality verdicts and row balances.

    Args:
        quality: One entry a delivery, with `checks` (n_rows, n_unexpected, share) and `files`
            (rows_in, rows_loaded, rows_quarantined, rows_deduplicated).
        k: Smallest count that may be shown; None when nothing need be withheld.
    """
    if k is None:
        return quality
    return [
        {
            **entry,
            "checks": [_mask_check(check, k) for check in _entries(entry["checks"])],
            "files": [mask_file(file, k) for file in _entries(entry["files"])],
        }
        for entry in quality
    ]


def mask_file(file: Row, k: int) -> Row:
    """Withhold what was loaded and what was not, where the difference is of few rows."""
    parts = ("rows_loaded", "rows_quarantined", "rows_deduplicated")
    if any(is_small(file[name], k) for name in parts):
        return {**file, **dict.fromkeys(parts)}
    return file


def _mask_check(check: Row, k: int) -> Row:
    failed, rows = check["n_unexpected"], check["n_rows"]
    if is_small(failed, k) or is_small(_whole(rows) - _whole(failed), k):
        return {**check, "n_unexpected": None, "share": None}
    return check


def _entries(value: object) -> list[Row]:
    return list(value) if isinstance(value, list) else []


def is_small(count: object, k: int) -> bool:
    """Whether a count is from 1 to k-1."""
    return isinstance(count, int | float) and 0 < count < k


def _check_arms(rows: list[Row], k: int) -> None:
    for row in rows:
        if row["analysis_id"] == "follow_up" and is_small(row["n"], k):
            what = f"has fewer than {k} people"
            fix = "add data, or widen the design; nothing about this study may be published."
            raise DisclosureError(f"arm {row['arm']}", what, fix, "P_SMALL_SITE")


def _hidden_populations(rows: list[Row], k: int) -> set[object]:
    """Populations in which an arm's outcomes are few, or differ by few from the crude ones."""
    counts = {
        (row["population"], row["arm"]): (_whole(row["n"]), _whole(row["n_events"]))
        for row in rows
        if row["analysis_id"] == "follow_up"
    }
    hidden: set[object] = set()
    for (population, arm), (n, events) in counts.items():
        crude_n, crude_events = counts["crude", arm]
        gaps = (events, n - events, crude_n - n, crude_events - events)
        if any(is_small(gap, k) for gap in gaps):
            hidden.add(population)
    return hidden | {"iptw_ate", "overlap"} if "crude" in hidden else hidden


def _hide_small(row: Row, hidden: set[object], k: int) -> Row:
    about_outcome = row.get("outcome") is not None and row["population"] in hidden
    about_matched = row["population"] in hidden - {"crude"} and row["analysis_id"] == "follow_up"
    if about_outcome or about_matched or is_small(row.get("n"), k):
        return withheld(row)
    return row


def _thin_curves(rows: list[Row], k: int) -> list[Row]:
    """Show a point of a curve only where k outcomes, or none, lie since the last one shown."""
    groups: dict[tuple[object, ...], list[int]] = defaultdict(list)
    for place, row in enumerate(rows):
        if row["estimate_name"] in _CURVES and row["status"] == "ok":
            groups[row["population"], row["arm"]].append(place)
    out = list(rows)
    for places in groups.values():
        shown = _spaced(
            {_whole(rows[p]["n_events"]) for p in places}, _whole(rows[places[0]]["n"]), k
        )
        for place in places:
            if _whole(rows[place]["n_events"]) not in shown:
                out[place] = withheld(rows[place])
    return out


def _spaced(totals: set[int], n: int, k: int) -> set[int]:
    """Choose totals that lie 0 or at least k apart from one another, from 0 and from n."""
    shown, last = set(), 0
    for total in sorted(totals):
        if total == last or (total - last >= k and not is_small(n - total, k)):
            shown.add(total)
            last = total
    return shown


def _thin_at_risk(rows: list[Row], k: int) -> list[Row]:
    """Show a number at risk only where it lies 0 or at least k below the last one shown."""
    groups: dict[tuple[object, ...], list[int]] = defaultdict(list)
    for place, row in enumerate(rows):
        if row["estimate_name"] == "n_at_risk":
            groups[row["analysis_id"], row["arm"]].append(place)
    out = list(rows)
    for places in groups.values():
        shown = _spaced_down({_whole(rows[p]["estimate"]) for p in places}, rows[places[0]]["n"], k)
        for place in places:
            if _whole(rows[place]["estimate"]) not in shown:
                out[place] = withheld(rows[place])
    return out


def _spaced_down(values: set[int], start: object, k: int) -> set[int]:
    shown, last = set(), _whole(start)
    for value in sorted(values, reverse=True):
        if value == last or (last - value >= k and not is_small(value, k)):
            shown.add(value)
            last = value
    return shown


def _thin_attrition(attrition: pl.DataFrame, k: int) -> pl.DataFrame:
    """Show, from the last step back, only counts that lie 0 or at least k above the next shown."""
    rows: list[dict[str, object]] = []
    for arm in attrition["arm"].unique(maintain_order=True):
        steps = attrition.filter(pl.col("arm") == arm).to_dicts()
        counts = [_whole(step["remaining"]) for step in steps]
        shown = _spaced_up(counts, k)
        rows += [_step(steps, counts, shown, place) for place in range(len(steps))]
    return pl.DataFrame(rows, schema=attrition.schema)


def _spaced_up(counts: list[int], k: int) -> set[int]:
    """Places, from the last to the first, whose count lies 0 or at least k above the one kept."""
    shown, last = set(), counts[-1]
    for place in range(len(counts) - 1, -1, -1):
        if not is_small(counts[place] - last, k):
            shown.add(place)
            last = counts[place]
    return shown


def _step(
    steps: list[dict[str, object]], counts: list[int], shown: set[int], place: int
) -> dict[str, object]:
    if place not in shown:
        return {**steps[place], **dict.fromkeys(_HIDDEN_COUNTS), "status": "suppressed"}
    before = [other for other in shown if other < place]
    lost = counts[max(before)] - counts[place] if before else 0
    return {**steps[place], "excluded": lost}


def _follow_attrition(rows: list[Row], attrition: pl.DataFrame) -> list[Row]:
    hidden = {
        (row["arm"], f"{row['step']:02d}_{row['step_id']}")
        for row in attrition.filter(pl.col("status") == "suppressed").iter_rows(named=True)
    }
    return [
        withheld(row)
        if row["analysis_id"] == "attrition" and (row["arm"], row["term"]) in hidden
        else row
        for row in rows
    ]


def _hide_balance(balance: pl.DataFrame, rows: list[Row], k: int) -> pl.DataFrame:
    """Hide a binary covariate wholly when either arm has few with it, or few without."""
    sizes = {
        row["arm"]: _whole(row["n"])
        for row in rows
        if row["analysis_id"] == "follow_up" and row["population"] == "crude"
    }
    target, comparator = list(sizes.values())[:2]
    counted = balance.filter(pl.col("target_count").is_not_null())
    small = {
        row["covariate"]
        for row in counted.iter_rows(named=True)
        for count, n in ((row["target_count"], target), (row["comparator_count"], comparator))
        if is_small(count, k) or is_small(n - count, k)
    }
    is_hidden = pl.col("covariate").is_in(sorted(small))
    return balance.with_columns(
        *(pl.when(is_hidden).then(None).otherwise(pl.col(c)).alias(c) for c in _HIDDEN_BALANCE),
        pl.when(is_hidden).then(pl.lit("suppressed")).otherwise(pl.col("status")).alias("status"),
    )


def _messages(before: list[Row], after: list[Row], k: int) -> list[Message]:
    count: dict[str, int] = defaultdict(int)
    for old, new in zip(before, after, strict=True):
        if new["status"] == "suppressed" and old["status"] != "suppressed":
            count[str(new["analysis_id"])] += 1
    fix = "nothing to do; the numbers stay in the restricted store."
    return [
        Message("P_SMALL_CELL", name, f"{number} numbers withheld: fewer than {k} people", fix)
        for name, number in sorted(count.items())
    ]


def _whole(value: object) -> int:
    return int(value) if isinstance(value, int | float) else 0
