"""Points of ROC curves: shown only where k cases of either truth lie between any two of them.

A point tells how many diseased and how many healthy cases score above a threshold; two points tell
how many score between. Points that a study asks for (at its threshold, at a fixed specificity)
come before those of the curve, and those that sensitivity and specificity tell elsewhere before
all. A difference of two modalities at a point goes with the point of either. Where few outputs are
without a result, what the area would be without them, or with them counted otherwise, is withheld.
"""

from collections import defaultdict

from tasks.core.disclosure_cells import is_small, whole
from tasks.core.results import ASIDE, ROC_COUNTS, withheld

Row = dict[str, object]
Key = tuple[object, ...]
Point = tuple[int, int]
_SHARES = ("sensitivity", "specificity")


def thin_roc(rows: list[Row], k: int) -> list[Row]:
    """Withhold points of ROC curves with fewer than k cases of a truth between them and others."""
    rows = [withheld(row) if _is_beside_few(row, k) else row for row in rows]
    asked = [row for row in rows if _points(row) and not row.get("target")]
    shown: dict[Key, set[Point]] = defaultdict(set)
    for key, point in _told_elsewhere(rows):
        shown[key].add(point)
    for is_curve in (False, True):
        for row in (row for row in asked if (row.get("term") == "curve") == is_curve):
            above_ill, above_well, ill, well = _points(row)[0]
            point, key = (above_ill, above_well), _whose(row, row.get("arm"))
            if _is_apart(point, shown[key] | {(0, 0), (ill, well)}, k):
                shown[key].add(point)
    return [row if _may_be_shown(row, shown) else withheld(row) for row in rows]


def _is_beside_few(row: Row, k: int) -> bool:
    counts = row.get(ASIDE)
    return isinstance(counts, tuple) and any(is_small(count, k) for count in counts)


def _may_be_shown(row: Row, shown: dict[Key, set[Point]]) -> bool:
    points = _points(row)
    if not points:
        return True
    is_gap = bool(row.get("target"))
    arms = (row["target"], row.get("comparator")) if is_gap else (row.get("arm"),)
    return all(
        (ill, well) in shown[_whose(row, arm)] or (not is_gap and _is_end(point))
        for point, arm in zip(points, arms, strict=True)
        for ill, well in (point[:2],)
    )


def _points(row: Row) -> tuple[tuple[int, ...], ...]:
    points = row.get(ROC_COUNTS)
    return points if isinstance(points, tuple) and row["status"] == "ok" else ()


def _is_end(point: tuple[int, ...]) -> bool:
    """Whether a point is where each curve begins or ends."""
    return point[:2] in ((0, 0), point[2:])


def _is_apart(point: Point, others: set[Point], k: int) -> bool:
    return all(point == other or _distance(point, other) >= k for other in others)


def _distance(one: Point, other: Point) -> int:
    """Return how many cases lie between two points: of the truth that has fewer."""
    return min(abs(one[0] - other[0]), abs(one[1] - other[1]))


def _whose(row: Row, arm: object) -> Key:
    level = None if row.get("target") else row.get("stratum_level")
    return row["population"], arm, row.get("stratum_name"), level


def _told_elsewhere(rows: list[Row]) -> list[tuple[Key, Point]]:
    """Return the points that shares with their counts tell: true and false positives."""
    counts: dict[Key, dict[object, Point]] = defaultdict(dict)
    for row in rows:
        name = row["estimate_name"]
        is_count = row.get("n_events") is not None and row.get("n") is not None
        if name in _SHARES and is_count and row["status"] == "ok" and not _points(row):
            key = (*_whose(row, row.get("arm")), row["analysis_id"], row.get("scenario"))
            counts[key][name] = whole(row["n_events"]), whole(row["n"])
    return [
        (key[:4], (found["sensitivity"][0], found["specificity"][1] - found["specificity"][0]))
        for key, found in counts.items()
        if len(found) == len(_SHARES)
    ]
