"""Negative controls: what is withheld of outcomes, or pairs of arms, that few people have.

- Of a control everything is withheld when an arm has few events, few people without it, or few
  who are left out of its analysis;
- an effect is withheld when the people or events behind it are few, or differ by few from all;
- where one or two estimable controls of an analysis are withheld, those with the fewest events
  after them are too, until three are, in every effect of every analysis: mean and spread of the
  error would tell one or two.
"""

from collections import defaultdict
from collections.abc import Iterable

from tasks.core.disclosure_cells import is_small
from tasks.core.results import withheld

Row = dict[str, object]
CONTROLS = "negative_controls"
KINDS = ("negative_control", "negative_control_exposure")
_FEWEST_UNKNOWN = 3


def protect_controls(rows: list[Row], k: int) -> list[Row]:
    """Return the rows with those of negative controls that tell of few withheld, in their places.

    Args:
        rows: All rows of results, before anything else is withheld.
        k: Smallest count that may be shown.
    """
    crude = {
        row["arm"]: _whole(row["n"])
        for row in rows
        if row["analysis_id"] == "follow_up" and row.get("population") == "crude"
        if row.get("stratum_name") is None
    }
    totals = _totals(rows)
    hidden = {
        row["stratum_level"]
        for row in rows
        if _is_count(row) and any(is_small(gap, k) for gap in _gaps_of_arm(row, crude))
    }
    out = list(rows)
    for place, row in enumerate(rows):
        if _is_of_control(row) and (row["stratum_level"] in hidden or _tells(row, totals, k)):
            out[place] = _emptied(row)
    told = _told_by(rows)
    while more := {control for of in told for control in _also_hidden(out, of)}:
        for place, row in enumerate(out):
            is_more = _is_of_control(row) and row["stratum_level"] in more
            if is_more and not _is_count(row):
                out[place] = _emptied(row)
    return out


def _is_of_control(row: Row) -> bool:
    return row["analysis_id"] == CONTROLS and row.get("stratum_name") in KINDS


def _is_count(row: Row) -> bool:
    return _is_of_control(row) and row["estimate_name"] == "count"


def _gaps_of_arm(row: Row, crude: dict[object, int]) -> Iterable[int]:
    n, events = _whole(row["n"]), _whole(row["n_events"])
    return n, events, n - events, abs(crude.get(row["arm"], n) - n)


def _totals(rows: list[Row]) -> dict[object, tuple[int, int]]:
    """People and events of both arms, by control."""
    found: dict[object, tuple[int, int]] = defaultdict(lambda: (0, 0))
    for row in rows:
        if _is_count(row):
            n, events = found[row["stratum_level"]]
            found[row["stratum_level"]] = (n + _whole(row["n"]), events + _whole(row["n_events"]))
    return found


def _tells(row: Row, totals: dict[object, tuple[int, int]], k: int) -> bool:
    if _is_count(row):
        return False
    n, events = _whole(row["n"]), _whole(row["n_events"])
    all_n, all_events = totals[row["stratum_level"]]
    gaps = (n, events, n - events, all_n - n, all_events - events)
    return any(is_small(gap, k) for gap in gaps)


def _told_by(rows: list[Row]) -> list[dict[object, list[int]]]:
    """For each sum of error, of one effect of one analysis: places of what each control told."""
    found: dict[object, dict[object, list[int]]] = defaultdict(lambda: defaultdict(list))
    for place, row in enumerate(rows):
        if _is_of_control(row) and not _is_count(row) and row["status"] == "ok":
            effect = row.get("term"), row["estimate_name"], row.get("at")
            found[effect][row["stratum_level"]].append(place)
    return list(found.values())


def _also_hidden(rows: list[Row], told: dict[object, list[int]]) -> list[object]:
    """Return the controls with the fewest events that have to go with those withheld."""
    shown = [c for c, places in told.items() if rows[places[0]]["status"] == "ok"]
    shown.sort(key=lambda c: (_whole(rows[told[c][0]]["n_events"]), c))
    n_hidden = len(told) - len(shown)
    lacking = _FEWEST_UNKNOWN - n_hidden if n_hidden else 0
    return shown[: max(lacking, 0)]


def _emptied(row: Row) -> Row:
    """Return the row without numbers, and without the reason that would tell of an empty arm."""
    return {**withheld(row), "note": None}


def _whole(value: object) -> int:
    return int(value) if isinstance(value, int | float) else 0
