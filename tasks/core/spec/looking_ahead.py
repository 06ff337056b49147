"""Whether a condition on time zero asks for what happens after it: the seed of immortal time."""

from collections.abc import Iterator
from dataclasses import dataclass

from tasks.core.spec.cohorts import Condition, Counted, Events, Group, ObservedRule, Window

Place = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Ahead:
    """A part of a condition that looks after time zero: where it stands, and what it asks for."""

    place: Place
    what: str


def ahead(condition: Condition, latest: int = 0) -> Iterator[Ahead]:
    """Yield what in a condition looks after time zero.

    Args:
        condition: A condition on an index.
        latest: Last day, relative to time zero, on which the index may start.
    """
    match condition:
        case Group():
            for name in ("all", "any", "none", "of"):
                for place, part in enumerate(getattr(condition, name)):
                    yield from _within(ahead(part, latest), (name, place))
        case Counted():
            yield from _counted(condition, latest)
        case ObservedRule():
            days = condition.observation.post_days
            if days + latest > 0:
                yield Ahead(("observation", "post_days"), f"asks for {days} days of observation")


def ahead_of_event(events: Events, latest: int) -> Iterator[Ahead]:
    """Yield what in the description of an event looks after time zero, itself aside."""
    if events.having is not None:
        yield from _within(ahead(events.having, latest), ("having",))


def last_day(counted: Counted) -> int | None:
    """Return the last day after the index on which a counted event may start; None: no limit."""
    bounds = [bound for window in counted.within if (bound := _bound(window)) is not None]
    return min(bounds, default=None)


def _bound(window: Window) -> int | None:
    """Latest start of an event in a window; its end lies on the same day or later."""
    return window.to_days if window.index == "start" else None


def _counted(condition: Counted, latest: int) -> Iterator[Ahead]:
    last = last_day(condition)
    if last is None:
        yield Ahead(("within",), "has no window that ends at or before time zero")
    elif last + latest > 0:
        yield Ahead(("within",), f"reaches to day {last + latest}")
    else:
        found = ahead_of_event(condition.events, last + latest)
        yield from _within(found, ("events",))


def _within(found: Iterator[Ahead], place: Place) -> Iterator[Ahead]:
    for item in found:
        yield Ahead((*place, *item.place), item.what)
