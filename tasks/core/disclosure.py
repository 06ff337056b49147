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

from collections.abc import Iterable
from dataclasses import dataclass

import polars as pl

from tasks.core.disclosure_attrition import (
    follow_attrition,
    hide_of_cohort,
    thin_attrition,
    told_of_cohorts,
)
from tasks.core.disclosure_cells import is_dropped, is_small, protect_cells, small_covariates, whole
from tasks.core.disclosure_controls import protect_controls
from tasks.core.disclosure_curves import thin_at_risk, thin_curves
from tasks.core.disclosure_gates import hide_shares, mask_gate, over_what_is_shown
from tasks.core.disclosure_levels import hide_contrasts
from tasks.core.disclosure_notes import safe_notes
from tasks.core.disclosure_populations import (
    hidden_populations,
    hidden_strata,
    hide_small,
    hide_stratum,
    stratum,
)
from tasks.core.errors import DisclosureError, Message
from tasks.core.results import withheld

__all__ = ["Released", "is_small", "release", "threshold"]
Row = dict[str, object]
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
    everybody = [row for row in rows if stratum(row) is None]
    hidden = hidden_populations(everybody, k)
    closed = hidden_strata(rows, hidden, k)
    guarded = protect_controls(rows, k)
    kept = [hide_stratum(hide_small(row, hidden, k), closed) for row in guarded]
    kept = hide_contrasts(thin_at_risk(thin_curves(kept, k), k))
    told = told_of_cohorts(rows, attrition, k)
    shown_attrition = thin_attrition(attrition, k, told)
    kept = _hide_sites(follow_attrition(kept, shown_attrition), k)
    kept = [hide_of_cohort(row, told) for row in kept]
    kept = [hide_shares(_hide_mapping(row, k), k) for row in kept]
    shown_balance = _hide_balance(balance, everybody, hidden, k)
    kept = protect_cells(kept, k)
    kept = [over_what_is_shown(row, shown_balance) for row in kept]
    messages = _messages(rows, kept, k)
    # A withheld point of a curve still tells its day: it is left out, not only emptied.
    kept = [row for row in kept if row["status"] != "suppressed" or not _tells_by_itself(row)]
    kept = [row for row in kept if not is_dropped(row)]
    shown_gates = [mask_gate(gate, shown_balance, hidden, k) for gate in gates]
    return Released(safe_notes(kept), shown_attrition, shown_balance, shown_gates, messages)


def _check_arms(rows: list[Row], k: int) -> None:
    for row in rows:
        if row["analysis_id"] != "follow_up" or stratum(row) is not None:
            continue
        if is_small(row["n"], k):
            what = f"has fewer than {k} people"
            fix = "add data, or widen the design; nothing about this study may be published."
            raise DisclosureError(f"arm {row['arm']}", what, fix, "P_SMALL_SITE")


def _hide_sites(rows: list[Row], k: int) -> list[Row]:
    """Withhold the counts of all sites when those of one tell about few: sums would tell them."""
    if not any(_tells_of_few(row, k) for row in rows if _is_of_a_site(row)):
        return rows
    return [withheld(row) if _is_of_a_site(row) else row for row in rows]


def _is_of_a_site(row: Row) -> bool:
    """Whether a row is a part of a pooled one; shares of mapped records are pooled nowhere."""
    return row["site_id"] != "pooled" and row["analysis_id"] != "mapping"


def _hide_mapping(row: Row, k: int) -> Row:
    """Withhold shares of mapped records, and codes, behind which few persons or records stand."""
    if row["analysis_id"] != "mapping":
        return row
    n, mapped = whole(row["n"]), whole(row.get("n_events"))
    counts = (n, mapped, n - mapped, row.get("n_clusters"))
    is_few = row["status"] == "suppressed" or any(is_small(count, k) for count in counts)
    return {**(withheld(row) if is_few else row), "n_clusters": None}


def _tells_by_itself(row: Row) -> bool:
    """Whether a row tells something without its number: the day of a curve, a rare code."""
    return row.get("term") == "curve" or row.get("stratum_name") == "unmapped_code"


def _tells_of_few(row: Row, k: int) -> bool:
    n, events = whole(row["n"]), whole(row["n_events"])
    is_hidden = row["status"] == "suppressed"
    return is_hidden or any(is_small(count, k) for count in (n, events, n - events))


def _hide_balance(
    balance: pl.DataFrame, rows: list[Row], hidden: set[object], k: int
) -> pl.DataFrame:
    """Hide a covariate wholly when in any unweighted arm few have it, or few do not."""
    sizes = {
        (row["population"], row["arm"]): whole(row["n"])
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
