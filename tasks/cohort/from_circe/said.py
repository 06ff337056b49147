"""Ranges, ages, sexes and ends of records: what Circe says, as our language says it."""

from datetime import date, timedelta
from typing import Any, Literal

from tasks.cohort.circe.read import Node
from tasks.cohort.circe.support import support
from tasks.cohort.from_circe.lists import Block, Lists, NoEqualError
from tasks.core.domains import Domain, domains

End = tuple[Literal["start", "end"], int]

# How Circe ends a record that has no end of its own: the day after its start, or the same day.
_DAY_AFTER = ("procedure_occurrence", "measurement", "observation", "death")
_SAME_DAY = ("specimen",)
_SEX = {8507: "male", 8532: "female"}
UNSAID = 1_000_000


def ends_of(events: list[Node]) -> End:
    """How the end of an index is said: its start or end, and how many days later."""
    found = {end_of(name) for item in events for name in item}
    if len(found) > 1 or None in found:
        return ("end", UNSAID)
    anchor = found.pop()
    return anchor if anchor else ("end", UNSAID)


def end_of(name: str) -> End | None:
    """Return how the end of a record is said; None where an empty end is a day after the start."""
    table = support().events[name].table
    if table in _DAY_AFTER:
        return ("start", 1)
    if table in _SAME_DAY:
        return ("start", 0)
    domain = domains().get(table or "")
    if domain is None or domain.end is None or not is_required(domain, domain.end):
        return None  # where the end is empty, Circe takes the day after the start
    return ("end", 0)


def is_required(domain: Domain, column: str) -> bool:
    """Whether a column of a domain is never empty."""
    return any(c.name == column and c.required for c in domain.table.columns)


def told(end: tuple[str, int], of: str) -> tuple[str, int]:
    """Return an end that can be said, or raise."""
    if end[1] == UNSAID:
        raise NoEqualError(f"the end of {of} is the day after its start in Circe where it is empty")
    return end


def included(selection: Node, lists: Lists) -> list[int]:
    """Return the concepts of a selection that needs no vocabulary."""
    if selection.get("IsExclusion"):
        raise NoEqualError("excludes a concept set of sexes")
    return lists.plain(selection["CodesetId"])


def sexes(concepts: list[int]) -> list[str | int]:
    """Return concepts of gender as a study writes them."""
    return [_SEX.get(concept, concept) for concept in concepts]


def age_bounds(value: Node) -> Block:
    """Return a range of ages: the difference of calendar years, as Circe counts."""
    bounds = bounds_of(value)
    if any(not isinstance(n, int) or not 0 <= n <= 150 for n in bounds.values()):
        raise NoEqualError("an age is no whole number from 0 to 150")
    return {"method": "calendar_year"} | bounds


def _whole(number: Any) -> Any:
    return int(number) if isinstance(number, float) and number.is_integer() else number


def bounds_of(value: Node) -> dict[str, Any]:
    """Return the bounds of a range of numbers."""
    low, high = (
        _whole(value[key]) for key in ("Value", "Extent" if "Extent" in value else "Value")
    )
    words = {"gt": "more_than", "gte": "at_least", "lt": "less_than", "lte": "at_most"}
    if value["Op"] in words:
        return {words[value["Op"]]: low}
    if value["Op"] == "eq":
        return {"at_least": low, "at_most": low}
    return {"at_least": min(low, high), "at_most": max(low, high)}


def period_of(value: Node) -> Block:
    """Return a range of dates as days that both belong to it."""
    low = date.fromisoformat(value["Value"])
    high = date.fromisoformat(value.get("Extent") or value["Value"])
    day = timedelta(days=1)
    return {
        "gt": {"start": low + day},
        "gte": {"start": low},
        "lt": {"end": low - day},
        "lte": {"end": low},
        "eq": {"start": low, "end": low},
        "bt": {"start": min(low, high), "end": max(low, high)},
    }[value["Op"]]
