"""Whether a condition on time zero asks for what happens after it: the seed of immortal time.

A condition stands on an index (time zero, or an event before it). Of an index it is known by which
day, relative to time zero, it starts, and perhaps by which it has ended. A condition is clean when
the events that it counts start at or before time zero, and when nothing in it asks for more.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from tasks.core.domains import domains
from tasks.core.spec.conditions import Condition, Counted, Events, Group, ObservedRule, Window

Place = tuple[str | int, ...]
_LATER = re.compile(
    r".*_end_date(time)?|discharged?_to_.*|stop_reason.*"
    r"|drug_exposure_count|condition_occurrence_count|gap_days"
)
"""Columns that are written when an event is over, not when it starts."""


@dataclass(frozen=True, slots=True)
class Index:
    """What an event is judged by: the last days, relative to time zero, of its start and end.

    `end` is None where nothing says when it ends.
    """

    start: int = 0
    end: int | None = None


TIME_ZERO = Index()


@dataclass(frozen=True, slots=True)
class Ahead:
    """A part of a condition that looks after time zero: where it stands, and what it asks for."""

    place: Place
    what: str


def ahead(condition: Condition, index: Index = TIME_ZERO) -> Iterator[Ahead]:
    """Yield what in a condition looks after time zero.

    Args:
        condition: A condition on an index.
        index: When that starts and ends at the latest.
    """
    match condition:
        case Group():
            for place, part in _parts(condition):
                yield from _within(ahead(part, index), place)
        case Counted():
            yield from _counted(condition, index)
        case ObservedRule():
            days = condition.observation.post_days
            if days + index.start > 0:
                yield Ahead(("observation", "post_days"), f"asks for {days} days of observation")


def ahead_of_event(events: Events, index: Index) -> Iterator[Ahead]:
    """Yield what in the description of an event looks after time zero, itself aside."""
    if events.having is not None:
        yield from _within(ahead(events.having, index), ("having",))


def known_later(condition: Condition, index: Index = TIME_ZERO) -> Iterator[tuple[Place, str]]:
    """Yield the columns that a condition asks for and that are written after time zero.

    Args:
        condition: A condition on an index.
        index: When that starts and ends at the latest.
    """
    if isinstance(condition, Group):
        for place, part in _parts(condition):
            yield from (((*place, *at), name) for at, name in known_later(part, index))
    elif isinstance(condition, Counted):
        found = known_later_of_event(condition.events, _latest(condition, index))
        yield from ((("events", *at), name) for at, name in found)


def known_later_of_event(events: Events, index: Index = TIME_ZERO) -> Iterator[tuple[Place, str]]:
    """Yield the columns that an event asks for and that are written after time zero.

    Args:
        events: The description of an event.
        index: When the event itself starts and ends at the latest.
    """
    if index.end is None or index.end > 0:
        for place, where in enumerate(events.where):
            for key, name in where.named.items():
                if _LATER.fullmatch(name) or name == domains()[events.domain].end:
                    yield ("where", place, key), name
    if events.having is not None:
        found = known_later(events.having, index)
        yield from ((("having", *at), name) for at, name in found)


def last_day(counted: Counted, index: Index = TIME_ZERO) -> int | None:
    """Return the last day, relative to time zero, on which a counted event may start.

    None: there is no limit.
    """
    days = [_last(window, index) for window in counted.within]
    return min((day for day in days if day is not None), default=None)


def _latest(counted: Counted, index: Index) -> Index:
    """Return what the windows say of the counted events; no limit of the start is time zero."""
    of_ends = [_last(window, index) for window in counted.within if window.event == "end"]
    end = min((day for day in of_ends if day is not None), default=None)
    start = last_day(counted, index)
    return Index(0 if start is None else start, end)


def _last(window: Window, index: Index) -> int | None:
    """Last day of a window; what ends by a day has started by then."""
    zero = index.start if window.index == "start" else index.end
    return None if window.to_days is None or zero is None else zero + window.to_days


def _counted(condition: Counted, index: Index) -> Iterator[Ahead]:
    last = last_day(condition, index)
    if last is None:
        yield Ahead(("within",), "has no window that ends at or before time zero")
        return
    if last > 0:
        yield Ahead(("within",), f"reaches to day {last}")
        return
    asked = [what for window in condition.within if (what := _asks(window, condition, index))]
    yield from (Ahead(("within",), what) for what in dict.fromkeys(asked))
    yield from _within(ahead_of_event(condition.events, _latest(condition, index)), ("events",))


def _asks(window: Window, counted: Counted, index: Index) -> str | None:
    """Return what a window asks for after time zero, of events that start before it."""
    zero = index.start if window.index == "start" else index.end
    if zero is None or (window.index == "end" and zero > 0):
        return "counts from the end of the index, which is not known yet"
    if window.from_days is not None and zero + window.from_days > 0:
        return f"asks for what happens from day {zero + window.from_days} on"
    end = _latest(counted, index).end
    if window.event == "end" and end is not None and end > 0:
        return f"asks whether the event ends by day {end}"
    return None


def _parts(group: Group) -> Iterator[tuple[Place, Condition]]:
    for name in ("all", "any", "none", "of"):
        yield from (((name, place), part) for place, part in enumerate(getattr(group, name)))


def _within(found: Iterator[Ahead], place: Place) -> Iterator[Ahead]:
    for item in found:
        yield Ahead((*place, *item.place), item.what)
