"""From a Circe expression to a cohort in our own language, wherever both say the same.

What has no equal is named and the expression stays what it is. The result is data as a study file
holds it: nothing here decides more than the expression says, but that age is the difference of
calendar years, which is how Circe counts.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any, Literal

from tasks.cohort.circe.read import Expression, Node, is_empty, says_nothing
from tasks.cohort.circe.slugs import slugs
from tasks.cohort.circe.support import EventKind, Field, support
from tasks.core.domains import Domain, domains

Block = dict[str, Any]
# How Circe ends a record that has no end of its own: the day after its start, or the same day.
_DAY_AFTER = ("procedure_occurrence", "measurement", "observation", "death")
_SAME_DAY = ("specimen",)
_SEX = {8507: "male", 8532: "female"}
_CODED = ("codeset", "source_codeset", "codeset_of")


@dataclass(frozen=True, slots=True)
class Translation:
    """What became of an expression.

    Attributes:
        code_lists: Its concept sets, as blocks of a study.
        cohort: The native cohort without id and name; None where something has no equal.
        kept: What has no equal, by its place in the expression; empty when there is a cohort.
    """

    code_lists: tuple[Block, ...]
    cohort: Block | None
    kept: tuple[str, ...]


class _NoEqual(Exception):
    """A part of the expression says what our language does not."""


@dataclass
class _Lists:
    """Code lists by the number of their concept set, and those that stand for listed concepts."""

    sets: dict[int, Node]
    ids: dict[int, str]
    file: str
    more: list[Block] = field(default_factory=list)

    def named(self, number: int) -> str:
        """Return the id of the code list of a concept set."""
        if not any(not i.get("isExcluded") for i in _items(self.sets[number])):
            raise _NoEqual(f"concept set {number} includes no concept")
        return self.ids[number]

    def plain(self, number: int) -> list[int]:
        """Return the concepts of a set that needs no vocabulary."""
        items = _items(self.sets[number])
        if not items or any(len(_entry_of(item)) > 1 for item in items):
            raise _NoEqual(f"concept set {number} needs the vocabulary, and is held to a column")
        return [item["concept"]["CONCEPT_ID"] for item in items]

    def listed(self, concepts: list[int]) -> str:
        """Return the id of a code list of these concepts, made when it is new."""
        same = [item["id"] for item in self.more if item["concepts"] == concepts]
        if same:
            return str(same[0])
        number, taken = len(self.more) + 1, set(self.ids.values())
        while (name := f"listed_{number}") in taken:
            number += len(taken)
        source = f"listed in {self.file}"
        self.more.append(
            {"id": name, "concepts": concepts, "include_descendants": False, "source": source}
        )
        return name


def translate(expression: Expression) -> Translation:
    """Translate a checked expression.

    Args:
        expression: As `read_expression` gives it.
    """
    document = expression.document
    sets = {int(item["id"]): item for item in document.get("ConceptSets", [])}
    names = [str(item.get("name") or f"set {number}") for number, item in sets.items()]
    ids = dict(zip(sets, slugs(names, "set"), strict=True))
    lists = _Lists(sets, ids, expression.name)
    parts, kept = _parts(document, expression.rules, lists)
    written = [_code_list(lists, number) for number in sets if _items(sets[number])]
    cohort = None if kept else _used_only(parts)
    return Translation((*written, *lists.more), cohort, tuple(kept))


def _parts(document: Node, rules: list[Node], lists: _Lists) -> tuple[Block, list[str]]:
    """Return every key of the cohort, and what could not be said of each part."""
    primary = document["PrimaryCriteria"]["CriteriaList"]
    steps: list[tuple[str, str, Callable[[], Any]]] = [
        ("entry", "PrimaryCriteria", lambda: _entry(document, lists)),
        ("rules", "AdditionalCriteria", lambda: _additional(document, primary, lists)),
        *((_RULE, _label(rule), _rule(rule, primary, lists)) for rule in rules),
        ("keep", "ExpressionLimit", lambda: _keep(document, rules)),
        ("end", "EndStrategy", lambda: _end(document, primary, lists)),
        ("censor_at", "CensoringCriteria", lambda: _censoring(document, lists)),
        ("collapse_gap_days", "CollapseSettings", lambda: _pad(document)),
        ("clip", "CensorWindow", lambda: _clip(document)),
    ]
    parts: Block = {"rules": []}
    kept: list[str] = []
    for key, place, make in steps:
        try:
            made = make()
        except _NoEqual as exc:
            kept.append(f"{place}: {exc}")
            continue
        if key in ("rules", _RULE):
            parts["rules"] += made
        else:
            parts[key] = made
    _name_rules(parts["rules"])
    return parts, kept


_RULE = "rule"


def _label(rule: Node) -> str:
    return f"InclusionRules {str(rule.get('name') or 'without name')!r}"


def _used_only(parts: Block) -> Block:
    order = ("entry", "rules", "keep", "end", "censor_at", "collapse_gap_days", "clip")
    return {key: parts[key] for key in order if parts.get(key) not in (None, [], {}, 0)}


def _name_rules(rules: list[Block]) -> None:
    for rule, name in zip(rules, slugs([r["id"] for r in rules], "rule"), strict=True):
        rule["id"] = name


# Parts of the cohort


def _entry(document: Node, lists: _Lists) -> Block:
    primary = document["PrimaryCriteria"]
    around = primary.get("ObservationWindow", {})
    limit = primary.get("PrimaryCriteriaLimit", {}).get("Type", "All")
    observation = {"prior_days": around.get("PriorDays", 0), "post_days": around.get("PostDays", 0)}
    return {
        "any": [_events(item, lists) for item in primary["CriteriaList"]],
        "observation": observation,
        "limit": limit.lower(),
    }


def _additional(document: Node, primary: list[Node], lists: _Lists) -> list[Block]:
    group = document.get("AdditionalCriteria")
    if is_empty(group):
        return []
    return [{"id": "additional criteria", "require": _group(group or {}, _ends(primary), lists)}]


def _rule(rule: Node, primary: list[Node], lists: _Lists) -> Callable[[], list[Block]]:
    def made() -> list[Block]:
        name = str(rule.get("name") or "")
        shown = {"name": {"en": name[:2000], "ko": name[:2000]}} if name else {}
        required = _group(rule["expression"], _ends(primary), lists)
        return [{"id": name or "rule", **shown, "require": required}]

    return made


def _keep(document: Node, rules: list[Node]) -> str:
    last: str = document.get("ExpressionLimit", {}).get("Type", "All").lower()
    qualified: str = document.get("QualifiedLimit", {}).get("Type", "All").lower()
    if is_empty(document.get("AdditionalCriteria")) or qualified == "all":
        return last
    if not rules:
        return qualified
    raise _NoEqual("QualifiedLimit chooses events after AdditionalCriteria, before the rules")


def _end(document: Node, primary: list[Node], lists: _Lists) -> Block:
    end = document.get("EndStrategy", {})
    if "CustomEra" in end:
        return _era(end["CustomEra"], primary, lists)
    if "DateOffset" not in end:
        return {"type": "observation_end"}
    fixed, anchor, days = end["DateOffset"], "start", end["DateOffset"]["Offset"]
    if fixed["DateField"] == "EndDate":
        anchor, shift = _said(_ends(primary), "the entry")
        days += shift
    return {"type": "fixed", "anchor": anchor, "offset_days": days}


def _era(era: Node, primary: list[Node], lists: _Lists) -> Block:
    offset = era.get("Offset", 0)
    inside = all(
        item.get("DrugExposure", {}).get("CodesetId") == era["DrugCodesetId"] for item in primary
    )
    if not inside:
        raise _NoEqual("an entry outside of the drug era ends with observation in Circe only")
    # Circe lets the days after the era bridge gaps too.
    found = {
        "type": "era",
        "code_list": lists.named(era["DrugCodesetId"]),
        "gap_days": era.get("GapDays", 0) + offset,
        "surveillance_days": offset,
    }
    days = era.get("DaysSupplyOverride")
    return found | ({"days_supply": days} if days else {})


def _censoring(document: Node, lists: _Lists) -> list[Block]:
    return [_events(item, lists) for item in document.get("CensoringCriteria", [])]


def _pad(document: Node) -> int:
    return int(document.get("CollapseSettings", {}).get("EraPad", 0))


def _clip(document: Node) -> Block | None:
    window = document.get("CensorWindow", {})
    dates = {"start": window.get("StartDate"), "end": window.get("EndDate")}
    return {key: date.fromisoformat(day) for key, day in dates.items() if day} or None


def _ends(events: list[Node]) -> tuple[Literal["start", "end"], int]:
    """How the end of an index is said: its start or end, and how many days later."""
    found = {_end_of(name) for item in events for name in item}
    if len(found) > 1 or None in found:
        return ("end", _UNSAID)
    anchor = found.pop()
    return anchor if anchor else ("end", _UNSAID)


_UNSAID = 1_000_000


def _end_of(name: str) -> tuple[Literal["start", "end"], int] | None:
    table = support().events[name].table
    if table in _DAY_AFTER:
        return ("start", 1)
    if table in _SAME_DAY:
        return ("start", 0)
    domain = domains().get(table or "")
    if domain is None or domain.end is None or not _required(domain, domain.end):
        return None  # where the end is empty, Circe takes the day after the start
    return ("end", 0)


def _required(domain: Domain, column: str) -> bool:
    return any(c.name == column and c.required for c in domain.table.columns)


# Conditions


def _group(group: Node, ends: tuple[str, int], lists: _Lists) -> Block:
    parts = [
        *(_counted(item, ends, lists) for item in group.get("CriteriaList", [])),
        *(_demographic(item, lists) for item in group.get("DemographicCriteriaList", [])),
        *(_group(item, ends, lists) for item in group.get("Groups", []) if not is_empty(item)),
    ]
    kind, count = group["Type"], group.get("Count", 0)
    if kind == "AT_LEAST":
        return {"of": parts, "at_least": count}
    if kind == "AT_MOST":
        return {"of": parts, "at_most": count} if count else {"none": parts}
    return parts[0] if len(parts) == 1 else {kind.lower(): parts}


def _counted(item: Node, ends: tuple[str, int], lists: _Lists) -> Block:
    said = item["Occurrence"]
    unobserved = bool(item.get("IgnoreObservationPeriod"))
    (name,) = item["Criteria"]
    counted: Block = {"events": _events(item["Criteria"], lists, unobserved=unobserved)}
    counted[("exactly", "at_most", "at_least")[said["Type"]]] = said["Count"]
    if said["Type"] == 2 and said["Count"] == 0:
        raise _NoEqual("at least 0 events is always true")
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
        raise _NoEqual(f"counts different values of {column}")
    return words[column]


def _window(
    window: Node, is_end: bool, name: str, ends: tuple[str, int], unobserved: bool
) -> Block:
    """Return one window; days move where Circe's end of a record lies beside ours."""
    of_index, of_event = ("start", 0), ("start", 0)
    if window.get("UseIndexEnd"):
        of_index = _said(ends, "the entry")
    if window.get("UseEventEnd", is_end):
        of_event = _said(_end_of(name) or ("end", _UNSAID), name)
    shift = of_index[1] - of_event[1]
    bounds = _bounds(window, shift, of_event[0] == "end" and not unobserved)
    if not bounds:
        return {}
    if bounds.get("from_days", -40_000) > bounds.get("to_days", 40_000):
        raise _NoEqual("a window ends before it begins")
    sides = {"index": of_index[0], "event": of_event[0]}
    return bounds | {key: side for key, side in sides.items() if side != "start"}


def _said(end: tuple[str, int], of: str) -> tuple[str, int]:
    if end[1] == _UNSAID:
        raise _NoEqual(f"the end of {of} is the day after its start in Circe where it is empty")
    return end


def _bounds(window: Node, shift: int, ends_count: bool) -> dict[str, int]:
    found = {}
    for key, side, open_way in (("from_days", "Start", -1), ("to_days", "End", 1)):
        bound = window.get(side)
        if bound is None:
            continue
        if bound.get("Days") is not None:
            found[key] = bound["Coeff"] * bound["Days"] + shift
            if abs(found[key]) > 36_500:
                raise _NoEqual("a window reaches further than 36,500 days")
        elif bound["Coeff"] != open_way or (ends_count and side == "End"):
            raise _NoEqual("a window is bounded by the observation period")
    return found


def _demographic(item: Node, lists: _Lists) -> Block:
    parts: list[Block] = []
    for key, value in item.items():
        match key:
            case "Age":
                parts.append({"age": _age(value)})
            case "Gender" if value:
                parts.append({"sex": _sexes([c["CONCEPT_ID"] for c in value])})
            case "GenderCS":
                parts.append({"sex": _sexes(_included(value, lists))})
            case "Gender" | "Race" | "Ethnicity" if not value:
                continue
            case _:
                raise _NoEqual(f"asks for {key}")
    if not parts:
        raise _NoEqual("a demographic criterion says nothing")
    return parts[0] if len(parts) == 1 else {"all": parts}


def _included(selection: Node, lists: _Lists) -> list[int]:
    if selection.get("IsExclusion"):
        raise _NoEqual("excludes a concept set of sexes")
    return lists.plain(selection["CodesetId"])


def _sexes(concepts: list[int]) -> list[str | int]:
    return [_SEX.get(concept, concept) for concept in concepts]


def _age(value: Node) -> Block:
    bounds = _range(value)
    if any(not isinstance(n, int) or not 0 <= n <= 150 for n in bounds.values()):
        raise _NoEqual("an age is no whole number from 0 to 150")
    return {"method": "calendar_year"} | bounds


def _range(value: Node) -> dict[str, Any]:
    """Return the bounds of a range of numbers."""
    low, high = value["Value"], value.get("Extent", value["Value"])
    whole = [int(n) if isinstance(n, float) and n.is_integer() else n for n in (low, high)]
    low, high = whole
    words = {"gt": "more_than", "gte": "at_least", "lt": "less_than", "lte": "at_most"}
    if value["Op"] in words:
        return {words[value["Op"]]: low}
    if value["Op"] == "eq":
        return {"at_least": low, "at_most": low}
    return {"at_least": min(low, high), "at_most": max(low, high)}


# Events


def _events(criterion: Node, lists: _Lists, *, unobserved: bool = False) -> Block:
    """Return one kind of event with all that narrows it."""
    ((name, body),) = criterion.items()
    kind = support().events[name]
    if kind.table is None:
        raise _NoEqual(f"{name} is made of other events")
    found: Block = {"domain": kind.table}
    having: list[Block] = []
    where: list[Block] = []
    for key, value in body.items():
        if says_nothing(value):
            continue
        _narrow(kind, key, value, _Narrowed(found, having, where, body, lists, unobserved))
    if found.get("first_ever") and (where or "visit" in found):
        raise _NoEqual(f"First of {name} is taken before its other conditions")
    if where:
        found["where"] = where
    if having:
        found["having"] = having[0] if len(having) == 1 else {"all": having}
    return found


@dataclass(frozen=True, slots=True)
class _Narrowed:
    """One kind of event while its fields are read."""

    found: Block
    having: list[Block]
    where: list[Block]
    body: Node
    lists: _Lists
    unobserved: bool


def _narrow(kind: EventKind, key: str, value: Any, into: _Narrowed) -> None:
    item = kind.fields[key]
    handler = _NARROW.get(item.kind)
    if handler is None:
        raise _NoEqual(f"{kind.name}.{key}")
    handler(kind, item, value, into, key)


def _narrow_code(kind: EventKind, item: Field, value: Any, into: _Narrowed, key: str) -> None:
    domain = domains()[str(kind.table)]
    by = {"codeset": domain.concept, "source_codeset": domain.source_concept}.get(
        item.kind, item.column
    )
    if "code_list" in into.found or by not in (domain.concept, domain.source_concept):
        into.where.append({"column": by, "is_in": into.lists.plain(value)})
        return
    into.found["code_list"] = into.lists.named(value)
    if by == domain.source_concept:
        into.found["by"] = "source_concept"


def _narrow_first(kind: EventKind, item: Field, value: Any, into: _Narrowed, key: str) -> None:
    into.found["first_ever"] = True


def _narrow_dates(kind: EventKind, item: Field, value: Any, into: _Narrowed, key: str) -> None:
    into.found["calendar"] = _period(value)


def _period(value: Node) -> Block:
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


def _narrow_end_dates(kind: EventKind, item: Field, value: Any, into: _Narrowed, key: str) -> None:
    domain = domains()[str(kind.table)]
    if _end_of(kind.name) != ("end", 0):
        raise _NoEqual(f"{kind.name}.{key}: an empty end is the day after the start in Circe")
    period = _period(value)
    bounds = {"at_least": period.get("start"), "at_most": period.get("end")}
    kept = {word: day for word, day in bounds.items() if day}
    into.where.append({"column": domain.end} | kept)


def _narrow_concepts(kind: EventKind, item: Field, value: Any, into: _Narrowed, key: str) -> None:
    excludes = bool(into.body.get(f"{key}Exclude"))
    _hold(kind, item, [c["CONCEPT_ID"] for c in value], excludes, into)


def _narrow_selection(kind: EventKind, item: Field, value: Any, into: _Narrowed, key: str) -> None:
    excludes = bool(into.body.get(f"{key.removesuffix('CS')}Exclude")) or value.get("IsExclusion")
    _hold(kind, item, into.lists.plain(value["CodesetId"]), bool(excludes), into)


def _hold(
    kind: EventKind, item: Field, concepts: list[int], excludes: bool, into: _Narrowed
) -> None:
    domain = domains()[str(kind.table)]
    if excludes and not _required(domain, item.column):
        raise _NoEqual(f"{kind.name} without {item.column} is not excluded by Circe")
    into.where.append({"column": item.column, "not_in" if excludes else "is_in": concepts})


def _narrow_numbers(kind: EventKind, item: Field, value: Any, into: _Narrowed, key: str) -> None:
    into.where.append({"column": item.column} | _range(value))


def _narrow_text(kind: EventKind, item: Field, value: Any, into: _Narrowed, key: str) -> None:
    if value.get("Op", "eq") != "eq":
        raise _NoEqual(f"{kind.name}.{key} looks for a part of a text")
    into.where.append({"column": item.column, "equals": str(value["Text"])})


def _narrow_age(kind: EventKind, item: Field, value: Any, into: _Narrowed, key: str) -> None:
    into.found["age"] = _age(value)


def _narrow_sex(kind: EventKind, item: Field, value: Any, into: _Narrowed, key: str) -> None:
    concepts = (
        _included(value, into.lists)
        if item.kind == "sex_selection"
        else [c["CONCEPT_ID"] for c in value]
    )
    into.having.append({"sex": _sexes(concepts)})


def _narrow_visit(kind: EventKind, item: Field, value: Any, into: _Narrowed, key: str) -> None:
    if "visit" in into.found:
        raise _NoEqual(f"{kind.name} asks for its visit twice")
    if item.kind == "visit":
        into.found["visit"] = into.lists.listed([c["CONCEPT_ID"] for c in value])
    elif value.get("IsExclusion"):
        raise _NoEqual(f"{kind.name}.{key} excludes visits")
    else:
        into.found["visit"] = into.lists.named(value["CodesetId"])


def _narrow_around(kind: EventKind, item: Field, value: Any, into: _Narrowed, key: str) -> None:
    if is_empty(value):
        return
    ends = _end_of(kind.name) or ("end", _UNSAID)
    into.having.append(_group(value, ends, into.lists))
    if into.unobserved:  # Circe judges what stands around an event in its observation only.
        into.having.append({"observation": {"prior_days": 0, "post_days": 0}})


def _pass(kind: EventKind, item: Field, value: Any, into: _Narrowed, key: str) -> None:
    """Pass over what is read together with another field."""


_NARROW: dict[str, Callable[[EventKind, Field, Any, _Narrowed, str], None]] = {
    **dict.fromkeys(_CODED, _narrow_code),
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


# Code lists


def _items(group: Node) -> list[Node]:
    items: list[Node] = group.get("expression", {}).get("items", [])
    return items


def _code_list(lists: _Lists, number: int) -> Block:
    group = lists.sets[number]
    entries = [_entry_of(item) for item in _items(group)]
    source = f"concept set {number} of {lists.file}: {group.get('name') or 'without name'}"
    head = {"id": lists.ids[number]}
    shapes = {tuple(sorted(entry.items() - {("concept", entry["concept"])})) for entry in entries}
    ids = [entry["concept"] for entry in entries]
    if shapes == {()}:
        return head | {"concepts": ids, "include_descendants": False, "source": source}
    if shapes == {(("include_descendants", True),)}:
        return head | {"concepts": ids, "include_descendants": True, "source": source}
    return head | {"concepts": entries, "include_descendants": False, "source": source}


def _entry_of(item: Node) -> Block:
    flags = {
        "include_descendants": item.get("includeDescendants"),
        "include_mapped": item.get("includeMapped"),
        "exclude": item.get("isExcluded"),
    }
    return {"concept": item["concept"]["CONCEPT_ID"]} | {k: True for k, v in flags.items() if v}
