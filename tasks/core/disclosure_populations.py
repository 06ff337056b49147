"""Populations, and populations within the study: which may be shown beside which others."""

from collections import defaultdict
from collections.abc import Iterator

from tasks.core.disclosure_cells import is_small, whole
from tasks.core.disclosure_curves import CURVES, QUANTILES
from tasks.core.results import BEHIND, withheld
from tasks.core.spec.methods import ADJUSTMENT_OPTIONS

Row = dict[str, object]


def hidden_populations(rows: list[Row], k: int) -> set[object]:
    """Populations in which an arm's outcomes are few, or differ by few from the crude ones."""
    counts = {
        (row["population"], row["arm"]): (whole(row["n"]), whole(row["n_events"]))
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


def stratum(row: Row) -> object:
    """Return the population within the study that a row is about; None for everybody."""
    return row.get("stratum_level") if row.get("stratum_name") == "population" else None


Sizes = dict[tuple[object, object], tuple[int, int]]


def hidden_strata(rows: list[Row], hidden: set[object], k: int) -> set[object]:
    """Populations within the study of which nothing may be shown.

    Each is held against everybody and against the populations before it that are shown.
    """
    sizes: dict[object, Sizes] = defaultdict(dict)
    for row in rows:
        if row["analysis_id"] == "follow_up":
            place = (row["population"], row["arm"])
            sizes[stratum(row)][place] = (whole(row["n"]), whole(row["n_events"]))
    everyone, shown = sizes.pop(None, {}), list[Sizes]()
    closed: set[object] = {stratum(row) for row in rows} - sizes.keys() - {None}
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


def hide_stratum(row: Row, closed: set[object]) -> Row:
    """Withhold curves of a population within the study, and all of one that is closed."""
    if stratum(row) is None:
        return row
    over_time = row["estimate_name"] in {*CURVES, *QUANTILES, "n_at_risk"}
    return withheld(row) if over_time or stratum(row) in closed else row


def hide_small(row: Row, hidden: set[object], k: int) -> Row:
    """Withhold a row of few persons or events, or of the outcome of a hidden population."""
    behind = row.get(BEHIND)
    for count in behind if isinstance(behind, tuple) else ():
        if is_small(count, k) or is_small(whole(row["n"]) - count, k):
            return withheld(row)
    if stratum(row) is not None:
        return row
    about_outcome = row.get("outcome") is not None and row["population"] in hidden
    about_matched = row.get("population") in hidden & {"matched"}
    if about_outcome or about_matched or is_small(row.get("n"), k):
        return withheld(row)
    return row
