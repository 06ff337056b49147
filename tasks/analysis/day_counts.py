"""Counts on the days that results tell of, for disclosure control: a day is that of a person."""

from collections.abc import Mapping

from tasks.analysis.people import BoolArray, FloatArray
from tasks.analysis.table_rows import TableRows
from tasks.core.results import BEHIND, DAYS


def on_days(
    days: Mapping[str, float | None],
    time: FloatArray,
    has_event: BoolArray,
    entry: FloatArray | None = None,
) -> dict[str, object]:
    """Return, under the key `DAYS`, how many have had the event by each day, and are at risk on it.

    Args:
        days: Days of the time to the event, by the column of results that holds them.
        time: Day on which each person leaves, shape (n,).
        has_event: Whether with the event, shape (n,).
        entry: Day after which each person is at risk, shape (n,); all from 0 when absent.
    """
    known = {name: day for name, day in days.items() if day is not None}
    return {
        DAYS: {
            name: (
                int((has_event & (time <= day)).sum()),
                int(((time >= day) & (True if entry is None else entry < day)).sum()),
            )
            for name, day in known.items()
        }
    }


def of_quantile(found: object) -> dict[str, float | None]:
    """Return the days of a quantile and of its limits, by the column that holds them."""
    names = ("estimate", "ci_low", "ci_high")
    return {name: getattr(found, name, None) for name in names}


def until(horizon: float, rows: TableRows) -> dict[str, object]:
    """Return the events up to a horizon, with the persons where rows may be of the same one."""
    events = int((rows.has_event & (rows.time <= horizon)).sum())
    persons = rows.persons if "person_id" in rows.values else None
    few = () if persons is None else (int(persons.max(initial=-1)) + 1,)
    return {BEHIND: (*few, events)}
