"""Events and conditions of a Circe expression as blocks of our language; each holds the other."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tasks.cohort.circe.read import Node, is_empty, says_nothing
from tasks.cohort.circe.support import EventKind, Field, support
from tasks.cohort.from_circe.lists import Block, Lists, NoEqualError
from tasks.cohort.from_circe.said import (
    UNSAID,
    End,
    age_bounds,
    bounds_of,
    end_of,
    included,
    is_required,
    period_of,
    sexes,
    told,
)
from tasks.core.domains import domains


def group_block(group: Node, ends: End, lists: Lists) -> Block:
    """Return a group of criteria as one condition.

    Args:
        group: As a checked document holds it, not empty.
        ends: How the end of the index is said.
        lists: Code lists of the expression.
    """
    parts = [
        *(_counted(item, ends, lists) for item in group.get("CriteriaList", [])),
        *(_demographic(item, lists) for item in group.get("DemographicCriteriaList", [])),
        *(group_block(item, ends, lists) for item in group.get("Groups", []) if not is_empty(item)),
    ]
    kind, count = group["Type"], group.get("Count", 0)
    if kind == "AT_LEAST":
        return {"of": parts, "at_least": count}
    if kind == "AT_MOST":
        return {"of": parts, "at_most": count} if count else {"none": parts}
    return parts[0] if len(parts) == 1 else {kind.lower(): parts}


def _counted(item: Node, ends: End, lists: Lists) -> Block:
    said = item["Occurrence"]
    unobserved = bool(item.get("IgnoreObservationPeriod"))
    (name,) = item["Criteria"]
    counted: Block = {"events": events_block(item["Criteria"], lists, unobserved=unobserved)}
    counted[("exactly", "at_most", "at_least")[said["Type"]]] = said["Count"]
    if said["Type"] == 2 and said["Count"] == 0:
        raise NoEqualError("at least 0 events is always true")
    if distinct := _distinct(said):
        counted["distinct"] = distinct
    windows = [
        _window(item[key], is_end, name, ends, unobserved)
        for key, is_end in (("StartWindow", False), ("EndWindow", True))
        if item.get(key)
    ]
    if within := [window for window in windows if window]:
        counted["within"] = within
    if item.get("RestrictVisit"):
        counted["same_visit"] = True
    return counted | ({"observed_only": False} if unobserved else {})


def _distinct(said: Node) -> str | None:
    if not said.get("IsDistinct"):
        return None
    column = said.get("CountColumn", "DOMAIN_CONCEPT")
    words = {"DOMAIN_CONCEPT": "concept", "START_DATE": "day", "VISIT_ID": "visit"}
    if column not in words:
        raise NoEqualError(f"counts different values of {column}")
    return words[column]


def _window(window: Node, is_end: bool, name: str, ends: End, unobserved: bool) -> Block:
    """Return one window; days move where Circe's end of a record lies beside ours."""
    of_index, of_event = ("start", 0), ("start", 0)
    if window.get("UseIndexEnd"):
        of_index = told(ends, "the entry")
    if window.get("UseEventEnd", is_end):
        of_event = told(end_of(name) or ("end", UNSAID), name)
    shift = of_index[1] - of_event[1]
    bounds = _bounds(window, shift, of_event[0] == "end" and not unobserved)
    if not bounds:
        return {}
    if bounds.get("from_days", -40_000) > bounds.get("to_days", 40_000):
        raise NoEqualError("a window ends before it begins")
    sides = {"index": of_index[0], "event": of_event[0]}
    return bounds | {key: side for key, side in sides.items() if side != "start"}


def _bounds(window: Node, shift: int, ends_count: bool) -> dict[str, int]:
    found = {}
    for key, side, open_way in (("from_days", "Start", -1), ("to_days", "End", 1)):
        bound = window.get(side)
        if bound is None:
            continue
        if bound.get("Days") is not None:
            found[key] = bound["Coeff"] * bound["Days"] + shift
            if abs(found[key]) > 36_500:
                raise NoEqualError("a window reaches further than 36,500 days")
        elif bound["Coeff"] != open_way or (ends_count and side == "End"):
            raise NoEqualError("a window is bounded by the observation period")
    return found


def _demographic(item: Node, lists: Lists) -> Block:
    parts: list[Block] = []
    for key, value in item.items():
        match key:
            case "Age":
                parts.append({"age": age_bounds(value)})
            case "Gender" if value:
                parts.append({"sex": sexes([c["CONCEPT_ID"] for c in value])})
            case "GenderCS":
                parts.append({"sex": sexes(included(value, lists))})
            case "Gender" | "Race" | "Ethnicity" if not value:
                continue
            case _:
                raise NoEqualError(f"asks for {key}")
    if not parts:
        raise NoEqualError("a demographic criterion says nothing")
    return parts[0] if len(parts) == 1 else {"all": parts}


def events_block(criterion: Node, lists: Lists, *, unobserved: bool = False) -> Block:
    """Return one kind of event with all that narrows it.

    Args:
        criterion: The kind of event by its name, with its fields.
        lists: Code lists of the expression.
        unobserved: Whether events outside of observation count.
    """
    ((name, body),) = criterion.items()
    kind = support().events[name]
    if kind.table is None:
        raise NoEqualError(f"{name} is made of other events")
    narrowed = _Narrowed({"domain": kind.table}, body, lists, unobserved)
    for key, value in body.items():
        if not says_nothing(value):
            _narrow(_Asked(kind, key, value, narrowed))
    if "first_ever" in narrowed.found and (narrowed.where or "visit" in narrowed.found):
        raise NoEqualError(f"First of {name} is taken before its other conditions")
    return narrowed.block


@dataclass(frozen=True, slots=True)
class _Narrowed:
    """One kind of event while its fields are read."""

    found: Block
    body: Node
    lists: Lists
    unobserved: bool
    having: list[Block] = field(default_factory=list)
    where: list[Block] = field(default_factory=list)

    @property
    def block(self) -> Block:
        """What a study says of the event."""
        where = {"where": self.where} if self.where else {}
        if not self.having:
            return self.found | where
        single = self.having[0] if len(self.having) == 1 else {"all": self.having}
        return self.found | where | {"having": single}


@dataclass(frozen=True, slots=True)
class _Asked:
    """One field of a kind of event, and what has been read of that event."""

    kind: EventKind
    key: str
    value: Any
    into: _Narrowed

    @property
    def item(self) -> Field:
        """What the field is."""
        return self.kind.fields[self.key]


def _narrow(asked: _Asked) -> None:
    handler = _NARROW.get(asked.item.kind)
    if handler is None:
        raise NoEqualError(f"{asked.kind.name}.{asked.key}")
    handler(asked)


def _narrow_code(asked: _Asked) -> None:
    domain = domains()[str(asked.kind.table)]
    by = {"codeset": domain.concept, "source_codeset": domain.source_concept}.get(
        asked.item.kind, asked.item.column
    )
    if "code_list" in asked.into.found or by not in (domain.concept, domain.source_concept):
        asked.into.where.append({"column": by, "is_in": asked.into.lists.plain(asked.value)})
        return
    asked.into.found["code_list"] = asked.into.lists.named(asked.value)
    if by == domain.source_concept:
        asked.into.found["by"] = "source_concept"


def _narrow_first(asked: _Asked) -> None:
    asked.into.found["first_ever"] = True


def _narrow_dates(asked: _Asked) -> None:
    asked.into.found["calendar"] = period_of(asked.value)


def _narrow_end_dates(asked: _Asked) -> None:
    domain = domains()[str(asked.kind.table)]
    if end_of(asked.kind.name) != ("end", 0):
        raise NoEqualError(
            f"{asked.kind.name}.{asked.key}: an empty end is the day after the start in Circe"
        )
    period = period_of(asked.value)
    bounds = {"at_least": period.get("start"), "at_most": period.get("end")}
    kept = {word: day for word, day in bounds.items() if day}
    asked.into.where.append({"column": domain.end} | kept)


def _narrow_concepts(asked: _Asked) -> None:
    excludes = bool(asked.into.body.get(f"{asked.key}Exclude"))
    _hold(asked, [c["CONCEPT_ID"] for c in asked.value], excludes)


def _narrow_selection(asked: _Asked) -> None:
    excludes = bool(
        asked.into.body.get(f"{asked.key.removesuffix('CS')}Exclude")
    ) or asked.value.get("IsExclusion")
    _hold(asked, asked.into.lists.plain(asked.value["CodesetId"]), bool(excludes))


def _hold(asked: _Asked, concepts: list[int], excludes: bool) -> None:
    domain = domains()[str(asked.kind.table)]
    if excludes and not is_required(domain, asked.item.column):
        raise NoEqualError(
            f"{asked.kind.name} without {asked.item.column} is not excluded by Circe"
        )
    asked.into.where.append(
        {"column": asked.item.column, "not_in" if excludes else "is_in": concepts}
    )


def _narrow_numbers(asked: _Asked) -> None:
    asked.into.where.append({"column": asked.item.column} | bounds_of(asked.value))


def _narrow_text(asked: _Asked) -> None:
    if asked.value.get("Op", "eq") != "eq":
        raise NoEqualError(f"{asked.kind.name}.{asked.key} looks for a part of a text")
    asked.into.where.append({"column": asked.item.column, "equals": str(asked.value["Text"])})


def _narrow_age(asked: _Asked) -> None:
    asked.into.found["age"] = age_bounds(asked.value)


def _narrow_sex(asked: _Asked) -> None:
    concepts = (
        included(asked.value, asked.into.lists)
        if asked.item.kind == "sex_selection"
        else [c["CONCEPT_ID"] for c in asked.value]
    )
    asked.into.having.append({"sex": sexes(concepts)})


def _narrow_visit(asked: _Asked) -> None:
    if "visit" in asked.into.found:
        raise NoEqualError(f"{asked.kind.name} asks for its visit twice")
    if asked.item.kind == "visit":
        asked.into.found["visit"] = asked.into.lists.listed([c["CONCEPT_ID"] for c in asked.value])
    elif asked.value.get("IsExclusion"):
        raise NoEqualError(f"{asked.kind.name}.{asked.key} excludes visits")
    else:
        asked.into.found["visit"] = asked.into.lists.named(asked.value["CodesetId"])


def _narrow_around(asked: _Asked) -> None:
    if is_empty(asked.value):
        return
    ends = end_of(asked.kind.name) or ("end", UNSAID)
    asked.into.having.append(group_block(asked.value, ends, asked.into.lists))
    if asked.into.unobserved:  # Circe judges what stands around an event in its observation only.
        asked.into.having.append({"observation": {"prior_days": 0, "post_days": 0}})


def _pass(asked: _Asked) -> None:
    """Pass over what is read together with another field."""


_NARROW: dict[str, Callable[[_Asked], None]] = {
    **dict.fromkeys(("codeset", "source_codeset", "codeset_of"), _narrow_code),
    "flag": _narrow_first,
    "start_dates": _narrow_dates,
    "end_dates": _narrow_end_dates,
    "concepts": _narrow_concepts,
    "selection": _narrow_selection,
    "excludes": _pass,
    "numbers": _narrow_numbers,
    "text": _narrow_text,
    "age": _narrow_age,
    "sex": _narrow_sex,
    "sex_selection": _narrow_sex,
    "visit": _narrow_visit,
    "visit_selection": _narrow_visit,
    "Group": _narrow_around,
}
