"""Complete cases beside imputed rows: the difference of two sizes tells who lacks a value."""

from collections import defaultdict

from tasks.core.disclosure_cells import is_small
from tasks.core.results import withheld

Row = dict[str, object]
COMPLETE = "complete_case"


def hide_complete_cases(rows: list[Row], k: int) -> list[Row]:
    """Withhold complete cases whose rows or events differ by few from those of their analysis.

    Args:
        rows: Rows of results of registry tables.
        k: Smallest count that may be shown.
    """
    of_all: dict[object, tuple[int, int]] = defaultdict(lambda: (0, 0))
    for row in rows:
        if row.get("scenario") != COMPLETE and row.get("stratum_name") is None:
            n, events = of_all[row["analysis_id"]]
            size = max(n, _whole(row.get("n"))), max(events, _whole(row.get("n_events")))
            of_all[row["analysis_id"]] = size
    return [withheld(row) if _tells(row, of_all, k) else row for row in rows]


def _tells(row: Row, of_all: dict[object, tuple[int, int]], k: int) -> bool:
    if row.get("scenario") != COMPLETE or row.get("stratum_name") is not None:
        return False
    n, events = of_all[row["analysis_id"]]
    rows, with_event = n - _whole(row.get("n")), events - _whole(row.get("n_events"))
    return any(is_small(count, k) for count in (rows, with_event, rows - with_event))


def _whole(value: object) -> int:
    return round(value) if isinstance(value, int | float) else 0
