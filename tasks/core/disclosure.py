"""What may leave the restricted store: nothing that tells about fewer than `k` people.

The rules are conservative and simple enough to check by hand:

- a count from 1 to k-1, or whose complement is, is withheld with every number that it can be
  worked out from;
- curves are thinned until at least k outcomes lie between two points that are shown, and end where
  fewer than k are at risk: so neither the longest follow-up of a person nor a step of few is told;
- a share of persons (equipoise, positivity) is withheld where it, or the rest, is of few;
- numbers of sites are shown when none of any site need be withheld, else none is;
- numbers at risk and attrition are shown only where they differ by 0 or by k and more from the
  last that is shown; where both arms still have the same count, so must its distance from the sum
  of the arms after it;
- nothing is shown of a population within the study (rows with a stratum) when an arm of it, its
  outcomes, or what it leaves out of everybody or of another such population are few; its curves
  and numbers at risk never are, for their differences from everybody's would tell.

Withheld is never 0: the number is null and the row says `suppressed`. Only data that every
delivery in force declares `synthetic_public` pass untouched.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import polars as pl

from tasks.core.disclosure_cells import is_dropped, is_small, protect_cells, small_covariates
from tasks.core.disclosure_controls import protect_controls
from tasks.core.disclosure_levels import hide_contrasts
from tasks.core.errors import DisclosureError, Message
from tasks.core.results import AT_RISK, BEHIND, withheld
from tasks.core.spec.methods import ADJUSTMENT_OPTIONS

__all__ = ["Released", "is_small", "release", "release_quality", "threshold"]
Row = dict[str, object]
_CURVES = ("survival", "cumulative_incidence", "cumulative_hazard", "quantile")
_OF_COHORT = "arm_"
"""Before the name of a cohort: the arm whose persons are those of the cohort."""
_FIRST_OF_ARMS = ("00_in_cohort",)
_COUNTS_OF_GATES = ("events", "persons_per_arm", "ess")
_OF_EVENTS = ("events", "events_per_parameter")
_SHARES = ("equipoise", "positivity")
_HIDDEN_COUNTS = ("records", "remaining", "excluded")
_BALANCE_OF_FILE = ("rows_in", "rows_loaded", "rows_quarantined", "rows_deduplicated")
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
    gates: list[Row]
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
    rows: list[Row],
    attrition: pl.DataFrame,
    balance: pl.DataFrame,
    gates: list[Row],
    k: int | None,
) -> Released:
    """Withhold every number that could tell about fewer than `k` people.

    Raises:
        DisclosureError: An arm has fewer than `k` people, so that nothing can be published.
    """
    if k is None:
        return Released(rows, attrition, balance, gates, [])
    _check_arms(rows, k)
    everybody = [row for row in rows if _stratum(row) is None]
    hidden = _hidden_populations(everybody, k)
    closed = _hidden_strata(rows, hidden, k)
    guarded = protect_controls(rows, k)
    kept = [_hide_stratum(_hide_small(row, hidden, k), closed) for row in guarded]
    kept = hide_contrasts(_thin_at_risk(_thin_curves(kept, k), k))
    told = _told_of_cohorts(rows, attrition, k)
    shown_attrition = _thin_attrition(attrition, k, told)
    kept = _hide_sites(_follow_attrition(kept, shown_attrition), k)
    kept = [_hide_of_cohort(row, told) for row in kept]
    kept = [_hide_shares(_hide_mapping(row, k), k) for row in kept]
    shown_balance = _hide_balance(balance, everybody, hidden, k)
    kept = protect_cells(kept, k)
    kept = [_over_what_is_shown(row, shown_balance) for row in kept]
    messages = _messages(rows, kept, k)
    # A withheld point of a curve still tells its day: it is left out, not only emptied.
    kept = [row for row in kept if row["status"] != "suppressed" or not _tells_by_itself(row)]
    kept = [row for row in kept if not is_dropped(row)]
    shown_gates = [_mask_gate(gate, shown_balance, hidden, k) for gate in gates]
    return Released(kept, shown_attrition, shown_balance, shown_gates, messages)


def _over_what_is_shown(row: Row, balance: pl.DataFrame) -> Row:
    """Take the largest difference over the covariates that are shown: another would tell."""
    if row["estimate_name"] != "max_smd" or row["status"] != "ok":
        return row
    if _stratum(row) is not None:
        return withheld(row)  # which of its covariates may be shown is not known here
    return {**row, "estimate": _largest(balance, row["population"])}


def _mask_gate(gate: Row, balance: pl.DataFrame, hidden: set[object], k: int) -> Row:
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
    rest = _whole(n) - _whole(value) if isinstance(n, int) else 0
    return is_small(value, k) or is_small(rest, k)


def _is_of_few(share: object, n: object, k: int) -> bool:
    """Whether a share, or what it leaves, is of few persons."""
    if not isinstance(share, int | float) or not isinstance(n, int):
        return False
    count = round(share * n)
    return is_small(count, k) or is_small(n - count, k)


def _hide_shares(row: Row, k: int) -> Row:
    is_share = row["estimate_name"] in _SHARES and row["status"] == "ok"
    return withheld(row) if is_share and _is_of_few(row["estimate"], row.get("n"), k) else row


def _largest(balance: pl.DataFrame, population: object) -> float | None:
    adjustment = "none" if population == "crude" else population
    shown = balance.filter(pl.col("adjustment") == adjustment)["smd"].abs().max()
    return float(str(shown)) if shown is not None else None


def release_quality(quality: list[Row], k: int | None) -> list[Row]:
    """Withhold counts of few rows in quality verdicts and row balances, and names of files.

    Where a part of a file's balance is withheld, every count of that table is: the size of a table
    before and after tells the part between. A file is named by its table, for a site may write
    anything into a file name.

    Args:
        quality: One entry a delivery, with `checks` (n_rows, n_unexpected, share) and `files`
            (rows_in, rows_loaded, rows_quarantined, rows_deduplicated).
        k: Smallest count that may be shown; None when nothing need be withheld.
    """
    return quality if k is None else [_mask_quality(entry, k) for entry in quality]


def _mask_quality(entry: Row, k: int) -> Row:
    files = [mask_file(file, k) for file in _entries(entry["files"])]
    hidden = {file["table_name"] for file in files if file["rows_in"] is None}
    return {
        **entry,
        "checks": [_mask_check(check, hidden, k) for check in _entries(entry["checks"])],
        "files": [{**file, "file": file["table_name"] or "-"} for file in files],
    }


def mask_file(file: Row, k: int) -> Row:
    """Withhold the balance of a file in which any part is of few rows."""
    if any(is_small(file[name], k) for name in _BALANCE_OF_FILE):
        return {**file, **dict.fromkeys(_BALANCE_OF_FILE)}
    return file


def _mask_check(check: Row, hidden: set[object], k: int) -> Row:
    failed, rows = check["n_unexpected"], check["n_rows"]
    table = str(check["table"]).rsplit(".", 1)[-1]
    few = is_small(rows, k) or is_small(failed, k)
    if few or is_small(_whole(rows) - _whole(failed), k) or table in hidden:
        return {**check, "n_rows": None, "n_unexpected": None, "share": None}
    return check


def _entries(value: object) -> list[Row]:
    return list(value) if isinstance(value, list) else []


def _check_arms(rows: list[Row], k: int) -> None:
    for row in rows:
        if row["analysis_id"] != "follow_up" or _stratum(row) is not None:
            continue
        if is_small(row["n"], k):
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
    of_everybody = set(ADJUSTMENT_OPTIONS) - {population for population, _ in counts}
    return hidden | of_everybody if "crude" in hidden else hidden


def _stratum(row: Row) -> object:
    """Return the population within the study that a row is about; None for everybody."""
    return row.get("stratum_level") if row.get("stratum_name") == "population" else None


Sizes = dict[tuple[object, object], tuple[int, int]]


def _hidden_strata(rows: list[Row], hidden: set[object], k: int) -> set[object]:
    """Populations within the study of which nothing may be shown.

    Each is held against everybody and against the populations before it that are shown.
    """
    sizes: dict[object, Sizes] = defaultdict(dict)
    for row in rows:
        if row["analysis_id"] == "follow_up":
            place = (row["population"], row["arm"])
            sizes[_stratum(row)][place] = (_whole(row["n"]), _whole(row["n_events"]))
    everyone, shown = sizes.pop(None, {}), list[Sizes]()
    closed: set[object] = {_stratum(row) for row in rows} - sizes.keys() - {None}
    for name, mine in sizes.items():
        others = [_crude(everyone), *map(_crude, shown)]
        if "crude" in hidden or any(is_small(gap, k) for gap in _gaps(mine, others)):
            closed.add(name)
        else:
            shown.append(mine)
    return closed


def _crude(sizes: Sizes) -> dict[object, tuple[int, int]]:
    return {arm: size for (population, arm), size in sizes.items() if population == "crude"}


def _gaps(mine: Sizes, others: list[dict[object, tuple[int, int]]]) -> Iterator[int]:
    """Every number of people that could be told from the sizes of a population within the study."""
    own = _crude(mine)
    for (_, arm), (n, events) in mine.items():
        yield from (n, events, n - events)
        for other in (*others, own):
            if arm in other:
                yield abs(other[arm][0] - n)
                yield abs(other[arm][1] - events)


def _hide_stratum(row: Row, closed: set[object]) -> Row:
    if _stratum(row) is None:
        return row
    over_time = row["estimate_name"] in {*_CURVES, "n_at_risk"}
    return withheld(row) if over_time or _stratum(row) in closed else row


def _hide_small(row: Row, hidden: set[object], k: int) -> Row:
    if any(is_small(count, k) for count in _behind(row)):
        return withheld(row)
    if _stratum(row) is not None:
        return row
    about_outcome = row.get("outcome") is not None and row["population"] in hidden
    about_matched = row.get("population") in hidden & {"matched"}
    if about_outcome or about_matched or is_small(row.get("n"), k):
        return withheld(row)
    return row


def _behind(row: Row) -> tuple[object, ...]:
    """Return the counts of persons or outcomes that a number rests on and no column holds."""
    found = row.get(BEHIND)
    return found if isinstance(found, tuple) else ()


def _hide_sites(rows: list[Row], k: int) -> list[Row]:
    """Withhold the counts of all sites when those of one tell about few: sums would tell them."""
    if not any(_tells_of_few(row, k) for row in rows if _is_of_a_site(row)):
        return rows
    return [withheld(row) if _is_of_a_site(row) else row for row in rows]


def _is_of_a_site(row: Row) -> bool:
    """Whether a row is a part of a pooled one; shares of mapped records are pooled nowhere."""
    return row["site_id"] != "pooled" and row["analysis_id"] != "mapping"


@dataclass(frozen=True, slots=True)
class _Told:
    """Which cohorts may be told of at all, and which sizes of steps stand beside one another."""

    cohorts: frozenset[str]
    hidden: frozenset[str]
    sizes: frozenset[int]

    def may_show(self, arm: object, size: int) -> bool:
        """Whether a step of a cohort may be shown; an arm of a comparison is judged elsewhere."""
        return arm not in self.cohorts or (arm not in self.hidden and size in self.sizes)


def _told_of_cohorts(rows: list[Row], attrition: pl.DataFrame, k: int) -> _Told:
    """Show sizes of cohorts, and of their steps, only 0 or k and more apart: one may hold another.

    A cohort whose size is withheld is withheld everywhere, for each description counts it again.
    """
    sizes = {
        str(row["population"]): _whole(row["n"]) for row in rows if row["analysis_id"] == "cohorts"
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
    return _Told(frozenset(sizes), hidden, frozenset(apart))


def _hide_of_cohort(row: Row, told: _Told) -> Row:
    """Withhold every number of a cohort that may not be told of."""
    about = {row.get("population"), row.get("arm")} & told.hidden
    return withheld(row) if about and row["status"] != "suppressed" else row


def _hide_mapping(row: Row, k: int) -> Row:
    """Withhold shares of mapped records, and codes, behind which few persons or records stand."""
    if row["analysis_id"] != "mapping":
        return row
    n, mapped = _whole(row["n"]), _whole(row.get("n_events"))
    counts = (n, mapped, n - mapped, row.get("n_clusters"))
    is_few = row["status"] == "suppressed" or any(is_small(count, k) for count in counts)
    return {**(withheld(row) if is_few else row), "n_clusters": None}


def _tells_by_itself(row: Row) -> bool:
    """Whether a row tells something without its number: the day of a curve, a rare code."""
    return row.get("term") == "curve" or row.get("stratum_name") == "unmapped_code"


def _tells_of_few(row: Row, k: int) -> bool:
    n, events = _whole(row["n"]), _whole(row["n_events"])
    is_hidden = row["status"] == "suppressed"
    return is_hidden or any(is_small(count, k) for count in (n, events, n - events))


def _people(row: Row) -> str:
    """Who is counted: weighting changes nobody's place in the counts, matching does."""
    return "matched" if row["population"] == "matched" else "all"


def _thin_curves(rows: list[Row], k: int) -> list[Row]:
    """Show a point of a curve only where k outcomes, or none, lie since the last one shown."""
    groups: dict[tuple[object, ...], list[int]] = defaultdict(list)
    for place, row in enumerate(rows):
        if row["estimate_name"] in _CURVES and row["status"] == "ok" and not ends_thin(row, k):
            groups[_people(row), row["arm"]].append(place)
    out = [withheld(row) if ends_thin(row, k) else row for row in rows]
    for places in groups.values():
        shown = _spaced(
            {_whole(rows[p]["n_events"]) for p in places}, _whole(rows[places[0]]["n"]), k
        )
        for place in places:
            if _whole(rows[place]["n_events"]) not in shown:
                out[place] = withheld(rows[place])
    return out


def ends_thin(row: Row, k: int) -> bool:
    """Whether a point of a curve is shown that fewer than k persons reach."""
    at_risk = row.get(AT_RISK)
    return row["status"] == "ok" and isinstance(at_risk, int) and at_risk < k


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
            groups[_people(row), row["arm"]].append(place)
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


def _thin_attrition(attrition: pl.DataFrame, k: int, told: _Told) -> pl.DataFrame:
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


def _thin_flow(arms: list[list[Row]], k: int, told: _Told) -> list[Row]:
    """Thin the steps of arms that pass the same ones; a step that counts no persons stays."""
    counted = [[step for step in steps if step["remaining"] is not None] for steps in arms]
    counts = [[_whole(step["remaining"]) for step in steps] for steps in counted]
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


def _untold(step: Row) -> Row:
    return {**step, "records": None, "status": "suppressed"}


def _told_by_sums(arms: list[list[Row]], shown: list[set[int]], k: int) -> Iterator[int]:
    """Yield places where nobody is in an arm yet, a few above the sum of the arms after it."""
    common = [place for place, steps in enumerate(zip(*arms, strict=False)) if _is_common(steps)]
    for place in common:
        after = [
            _whole(steps[min(later)]["remaining"])
            for steps, places in zip(arms, shown, strict=True)
            if (later := {p for p in places if p > place and p not in common})
        ]
        gap = _whole(arms[0][place]["remaining"]) - sum(after)
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
        few = (_whole(records), _whole(records) - _whole(steps[place]["remaining"]))
        if any(is_small(count, k) for count in (*few, _whole(records) - last)):
            out[place] = {**steps[place], "records": None}
        else:
            last = _whole(records)
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


def _follow_attrition(rows: list[Row], attrition: pl.DataFrame) -> list[Row]:
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


def _hide_balance(
    balance: pl.DataFrame, rows: list[Row], hidden: set[object], k: int
) -> pl.DataFrame:
    """Hide a covariate wholly when in any unweighted arm few have it, or few do not."""
    sizes = {
        (row["population"], row["arm"]): _whole(row["n"])
        for row in rows
        if row["analysis_id"] == "follow_up"
    }
    small = small_covariates(balance, sizes, k)
    is_hidden = pl.col("covariate").is_in(sorted(small))
    if "matched" in hidden:
        is_hidden = is_hidden | (pl.col("adjustment") == "matched")
    return balance.with_columns(
        *(pl.when(is_hidden).then(None).otherwise(pl.col(c)).alias(c) for c in _HIDDEN_BALANCE),
        pl.when(is_hidden).then(pl.lit("suppressed")).otherwise(pl.col("status")).alias("status"),
    )


def _messages(before: list[Row], after: list[Row], k: int) -> list[Message]:
    """One message for each analysis of which something is withheld; how much would tell."""
    touched = {
        str(new["analysis_id"])
        for old, new in zip(before, after, strict=True)
        if new["status"] == "suppressed" and old["status"] != "suppressed"
    }
    what = f"numbers that could tell about fewer than {k} people are withheld"
    fix = "nothing to do; the numbers stay in the restricted store."
    return [Message("P_SMALL_CELL", name, what, fix) for name in sorted(touched)]


def _whole(value: object) -> int:
    return int(value) if isinstance(value, int | float) else 0
