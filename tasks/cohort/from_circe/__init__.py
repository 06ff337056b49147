"""From a Circe expression to a cohort in our own language, wherever both say the same.

What has no equal is named and the expression stays what it is. The result is data as a study file
holds it: nothing here decides more than the expression says, but that age is the difference of
calendar years, which is how Circe counts.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Any

from tasks.cohort.circe.read import Expression, Node, is_empty
from tasks.cohort.circe.slugs import slugs
from tasks.cohort.from_circe.events import events_block, group_block
from tasks.cohort.from_circe.lists import Block, Lists, NoEqualError, code_list, items_of
from tasks.cohort.from_circe.said import ends_of, told


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


def translate(expression: Expression) -> Translation:
    """Translate a checked expression.

    Args:
        expression: As `read_expression` gives it.
    """
    document = expression.document
    sets = {int(item["id"]): item for item in document.get("ConceptSets", [])}
    names = [str(item.get("name") or f"set {number}") for number, item in sets.items()]
    ids = dict(zip(sets, slugs(names, "set"), strict=True))
    lists = Lists(sets, ids, expression.name)
    parts, kept = _parts(document, expression.rules, lists)
    written = [code_list(lists, number) for number in sets if items_of(sets[number])]
    cohort = None if kept else _used_only(parts)
    return Translation((*written, *lists.more), cohort, tuple(kept))


def _parts(document: Node, rules: list[Node], lists: Lists) -> tuple[Block, list[str]]:
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
        except NoEqualError as exc:
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


def _entry(document: Node, lists: Lists) -> Block:
    primary = document["PrimaryCriteria"]
    around = primary.get("ObservationWindow", {})
    limit = primary.get("PrimaryCriteriaLimit", {}).get("Type", "All")
    observation = {"prior_days": around.get("PriorDays", 0), "post_days": around.get("PostDays", 0)}
    return {
        "any": [events_block(item, lists) for item in primary["CriteriaList"]],
        "observation": observation,
        "limit": limit.lower(),
    }


def _additional(document: Node, primary: list[Node], lists: Lists) -> list[Block]:
    group = document.get("AdditionalCriteria")
    if is_empty(group):
        return []
    return [
        {"id": "additional criteria", "require": group_block(group or {}, ends_of(primary), lists)}
    ]


def _rule(rule: Node, primary: list[Node], lists: Lists) -> Callable[[], list[Block]]:
    def made() -> list[Block]:
        name = str(rule.get("name") or "")
        shown = {"name": {"en": name[:2000], "ko": name[:2000]}} if name else {}
        required = group_block(rule["expression"], ends_of(primary), lists)
        return [{"id": name or "rule", **shown, "require": required}]

    return made


def _keep(document: Node, rules: list[Node]) -> str:
    last: str = document.get("ExpressionLimit", {}).get("Type", "All").lower()
    qualified: str = document.get("QualifiedLimit", {}).get("Type", "All").lower()
    if is_empty(document.get("AdditionalCriteria")) or qualified == "all":
        return last
    if not rules:
        return qualified
    raise NoEqualError("QualifiedLimit chooses events after AdditionalCriteria, before the rules")


def _end(document: Node, primary: list[Node], lists: Lists) -> Block:
    end = document.get("EndStrategy", {})
    if "CustomEra" in end:
        return _era(end["CustomEra"], primary, lists)
    if "DateOffset" not in end:
        return {"type": "observation_end"}
    fixed, anchor, days = end["DateOffset"], "start", end["DateOffset"]["Offset"]
    if fixed["DateField"] == "EndDate":
        anchor, shift = told(ends_of(primary), "the entry")
        days += shift
    return {"type": "fixed", "anchor": anchor, "offset_days": days}


def _era(era: Node, primary: list[Node], lists: Lists) -> Block:
    offset = era.get("Offset", 0)
    inside = all(
        item.get("DrugExposure", {}).get("CodesetId") == era["DrugCodesetId"] for item in primary
    )
    if not inside:
        raise NoEqualError("an entry outside of the drug era ends with observation in Circe only")
    # Circe lets the days after the era bridge gaps too.
    found = {
        "type": "era",
        "code_list": lists.named(era["DrugCodesetId"]),
        "gap_days": era.get("GapDays", 0) + offset,
        "surveillance_days": offset,
    }
    days = era.get("DaysSupplyOverride")
    return found | ({"days_supply": days} if days else {})


def _censoring(document: Node, lists: Lists) -> list[Block]:
    return [events_block(item, lists) for item in document.get("CensoringCriteria", [])]


def _pad(document: Node) -> int:
    return int(document.get("CollapseSettings", {}).get("EraPad", 0))


def _clip(document: Node) -> Block | None:
    window = document.get("CensorWindow", {})
    dates = {"start": window.get("StartDate"), "end": window.get("EndDate")}
    return {key: date.fromisoformat(day) for key, day in dates.items() if day} or None
