"""Points of calibration and decision curves, and the groups and bins of scores behind them.

- A point of a curve is shown where at least k cases of each truth are acted on (of a smooth curve:
  lie on either side of it), and none or at least k of each are not; and where from every other
  point shown none or at least k have moved. All modalities and levels go together.
- A group of scores is shown where it holds k cases of each truth, a bin where it holds k; more
  are withheld until those that are withheld hold none or k together.
"""

from collections import defaultdict

from tasks.core.disclosure_cells import is_small
from tasks.core.results import PART, POINT, withheld

Row = dict[str, object]
Key = tuple[object, ...]
Counts = dict[Key, tuple[int, ...]]


def hide_thin_points(rows: list[Row], k: int) -> list[Row]:
    """Return the rows with points, groups and bins withheld that tell of fewer than `k`."""
    hidden = _thin_points(rows, k) | _thin_parts(rows, k)
    return [withheld(row) if place in hidden else row for place, row in enumerate(rows)]


def is_part(row: Row) -> bool:
    """Whether a row is one of the parts that add up to a whole."""
    return PART in row


def _thin_points(rows: list[Row], k: int) -> set[int]:
    curves: dict[Key, dict[float, list[int]]] = defaultdict(lambda: defaultdict(list))
    for place, row in enumerate(rows):
        if POINT in row:
            whose = (row["population"], row["analysis_id"], row.get("stratum_name"))
            curves[whose][_number(row.get("at"))].append(place)
    return {
        place
        for points in curves.values()
        for at in _hidden_points(rows, points, k)
        for place in points[at]
    }


def _hidden_points(rows: list[Row], points: dict[float, list[int]], k: int) -> set[float]:
    """Return the places on the axis at which nothing is shown; round places are kept first."""
    shown: dict[float, Counts] = {}
    for at in sorted(points, key=lambda at: (_roughness(at), at)):
        counts = _counts(rows, points[at])
        told = shown.values()
        if not _is_thin(counts, k) and not any(_moved_by_few(counts, one, k) for one in told):
            shown[at] = counts
    return points.keys() - shown.keys()


def _roughness(at: float) -> int:
    """Return 0 for a multiple of a tenth, 1 of a twentieth, 2 of a fiftieth, else 3."""
    steps = (0.1, 0.05, 0.02)
    return next((i for i, step in enumerate(steps) if abs(at / step - round(at / step)) < 1e-9), 3)


def _counts(rows: list[Row], places: list[int]) -> Counts:
    names = ("arm", "stratum_level", "estimate_name")
    found: Counts = {}
    for place in places:
        point = rows[place][POINT]
        if isinstance(point, tuple) and point:
            found[tuple(rows[place].get(name) for name in names)] = point
    return found


def _is_thin(counts: Counts, k: int) -> bool:
    return any(
        any(count < k for count in point[:2]) or any(is_small(count, k) for count in point[2:])
        for point in counts.values()
    )


def _moved_by_few(counts: Counts, last: Counts, k: int) -> bool:
    return any(
        is_small(abs(now - before), k)
        for key in counts.keys() & last.keys()
        for now, before in zip(counts[key], last[key], strict=True)
    )


def _thin_parts(rows: list[Row], k: int) -> set[int]:
    wholes: dict[Key, list[int]] = defaultdict(list)
    for place, row in enumerate(rows):
        if is_part(row):
            names = ("population", "analysis_id", "arm", "estimate_name", "term")
            wholes[tuple(row.get(name) for name in names)].append(place)
    return {place for places in wholes.values() for place in _hidden_parts(rows, places, k)}


def _hidden_parts(rows: list[Row], places: list[int], k: int) -> set[int]:
    cells = {place: _cells(rows[place]) for place in places}
    hidden = {place for place in places if min(cells[place]) < k}
    left = sorted((p for p in places if p not in hidden), key=lambda p: (min(cells[p]), p))
    while hidden and left and not _is_enough([cells[p] for p in hidden], k):
        hidden.add(left.pop(0))
    return hidden


def _cells(row: Row) -> tuple[int, ...]:
    """Return the cases of each truth in a part, or all where it does not tell the truth."""
    n, events = int(_number(row.get("n"))), row.get("n_events")
    return (n,) if events is None else (int(_number(events)), n - int(_number(events)))


def _is_enough(cells: list[tuple[int, ...]], k: int) -> bool:
    return len(cells) > 1 and all(sum(part) >= k for part in zip(*cells, strict=True))


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
