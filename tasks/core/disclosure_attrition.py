"""Attrition and sizes of cohorts: shown only where they stand 0, or k and more, apart."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import polars as pl

from tasks.core.disclosure_cells import is_small, whole
from tasks.core.results import withheld

Row = dict[str, object]
_OF_COHORT = "arm_"
"""Before the name of a cohort: the arm whose persons are those of the cohort."""
_FIRST_OF_ARMS = ("00_in_cohort",)
_HIDDEN_COUNTS = ("records", "remaining", "excluded")


@dataclass(frozen=True, slots=True)
class Told:
    """Which cohorts may be told of at all, and which sizes of steps stand beside one another."""

    cohorts: frozenset[str]
    hidden: frozenset[str]
    sizes: frozenset[int]

    def may_show(self, arm: object, size: int) -> bool:
        """Whether a step of a cohort may be shown; an arm of a comparison is judged elsewhere."""
        return arm not in self.cohorts or (arm not in self.hidden and size in self.sizes)


def told_of_cohorts(rows: list[Row], attrition: pl.DataFrame, k: int) -> Told:
    """Show sizes of cohorts, and of their steps, only 0 or k and more apart: one may hold another.

    A cohort whose size is withheld is withheld everywhere, for each description counts it again.
    """
    sizes = {
        str(row["population"]): whole(row["n"]) for row in rows if row["analysis_id"] == "cohorts"
    }
    falling = sorted(set(sizes.values()), reverse=True)
    shown = {falling[place] for place in _spaced_up(falling, k)}
    hidden = frozenset(cohort for cohort, size in sizes.items() if size not in shown)
    steps = attrition.filter(
        pl.col("arm").is_in(sorted(sizes.keys() - hidden)), pl.col("remaining").is_not_null()
    )
    apart = sorted(shown)
    for size in sorted(set(steps["remaining"].to_list()) - shown):
        place = bisect_left(apart, size)
        if not any(is_small(abs(size - near), k) for near in apart[max(place - 1, 0) : place + 1]):
            apart.insert(place, size)
    return Told(frozenset(sizes), hidden, frozenset(apart))


def hide_of_cohort(row: Row, told: Told) -> Row:
    """Withhold every number of a cohort that may not be told of."""
    about = {row.get("population"), row.get("arm")} & told.hidden
    return withheld(row) if about and row["status"] != "suppressed" else row


def thin_attrition(attrition: pl.DataFrame, k: int, told: Told) -> pl.DataFrame:
    """Show, from the last step back, only counts that lie 0 or at least k above the next shown."""
    of_arm = {
        str(arm): attrition.filter(pl.col("arm") == arm).to_dicts()
        for arm in attrition["arm"].unique(maintain_order=True)
    }
    flows: dict[tuple[object, ...], list[list[Row]]] = defaultdict(list)
    for arm in of_arm:
        if f"{_OF_COHORT}{arm}" not in of_arm:
            # A cohort that is an arm is one flow with it: its last count is the arm's first.
            steps = [*of_arm.get(arm.removeprefix(_OF_COHORT), []), *of_arm[arm]]
            steps = steps if arm.startswith(_OF_COHORT) else of_arm[arm]
            flows[tuple(step["step_id"] for step in steps)].append(steps)
    thinned = [step for arms in flows.values() for step in _thin_flow(arms, k, told)]
    order = {arm: place for place, arm in enumerate(of_arm)}
    thinned.sort(key=lambda step: order[str(step["arm"])])
    return pl.DataFrame(thinned, schema=attrition.schema)


def _thin_flow(arms: list[list[Row]], k: int, told: Told) -> list[Row]:
    """Thin the steps of arms that pass the same ones; a step that counts no persons stays."""
    counted = [[step for step in steps if step["remaining"] is not None] for steps in arms]
    counts = [[whole(step["remaining"]) for step in steps] for steps in counted]
    shown = [
        {
            place
            for place in _spaced_up(of_arm, k)
            if told.may_show(arm[place]["arm"], of_arm[place])
        }
        for arm, of_arm in zip(counted, counts, strict=True)
    ]
    for place in _told_by_sums(counted, shown, k):
        for places in shown:
            places.discard(place)
    rows: list[Row] = []
    for everything, steps, of_arm, places in zip(arms, counted, counts, shown, strict=True):
        rows += [
            {**step, "records": None, "status": "suppressed"}
            if step["arm"] in told.hidden
            else step
            for step in everything
            if step["remaining"] is None
        ]
        thinned = [_step(steps, of_arm, places, place) for place in range(len(steps))]
        rows += _spaced_records(thinned, k)
    return rows


def _told_by_sums(arms: list[list[Row]], shown: list[set[int]], k: int) -> Iterator[int]:
    """Yield places where nobody is in an arm yet, a few above the sum of the arms after it."""
    common = [place for place, steps in enumerate(zip(*arms, strict=False)) if _is_common(steps)]
    for place in common:
        after = [
            whole(steps[min(later)]["remaining"])
            for steps, places in zip(arms, shown, strict=True)
            if (later := {p for p in places if p > place and p not in common})
        ]
        gap = whole(arms[0][place]["remaining"]) - sum(after)
        if len(after) == len(arms) and is_small(gap, k):
            yield place


def _is_common(steps: tuple[Row, ...]) -> bool:
    """Whether a step counts records before anyone is in an arm: the same in all arms."""
    same = {(step.get("records"), step["remaining"]) for step in steps}
    return len(same) == 1 and steps[0].get("records") is not None


def _spaced_records(steps: list[Row], k: int) -> list[Row]:
    """Withhold numbers of records that are few, or a few above the persons or the next shown."""
    out, last = list(steps), 0
    for place in range(len(steps) - 1, -1, -1):
        records = steps[place].get("records")
        if records is None:
            continue
        few = (whole(records), whole(records) - whole(steps[place]["remaining"]))
        if any(is_small(count, k) for count in (*few, whole(records) - last)):
            out[place] = {**steps[place], "records": None}
        else:
            last = whole(records)
    return out


def _spaced_up(counts: list[int], k: int) -> set[int]:
    """Places, from the last to the first, whose count lies 0 or at least k above the one kept.

    The last is held against nobody at all: few at the end are withheld too.
    """
    shown, last = set(), 0
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
    last = max((other for other in shown if other < place), default=None)
    since = steps[place : place + 1] if last is None else steps[last + 1 : place + 1]
    if any(step["excluded"] is None for step in since):  # the entry into the arms lies between
        return {**steps[place], "excluded": None}
    return {**steps[place], "excluded": 0 if last is None else counts[last] - counts[place]}


def follow_attrition(rows: list[Row], attrition: pl.DataFrame) -> list[Row]:
    """Withhold rows of results of steps that the attrition does not show."""
    hidden = {
        (row["arm"], f"{row['step']:02d}_{row['step_id']}")
        for row in attrition.filter(pl.col("status") == "suppressed").iter_rows(named=True)
    }
    told = {str(arm).removeprefix(_OF_COHORT) for arm, term in hidden if term in _FIRST_OF_ARMS}
    return [
        withheld(row)
        if (row["analysis_id"] == "attrition" and (row["arm"], row["term"]) in hidden)
        or (row["analysis_id"] == "cohorts" and row["population"] in told)
        else row
        for row in rows
    ]
