"""From the text of a Circe expression to a checked document, whatever is wrong with the text.

No part of circepy is needed here: the structure of the language stands in `support.yaml`.
"""

import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from tasks.cohort.circe.support import EventKind, support
from tasks.core.errors import Message, SpecError

MAX_BYTES = 2_000_000
MAX_DEPTH = 80
MAX_EVENTS = 1000
_UNSUPPORTED, _PARSE, _LIMIT = "E_CIRCE_UNSUPPORTED", "E_CIRCE_PARSE", "E_CIRCE_LIMIT"
_LEAVE_OUT = "take it out of the definition in ATLAS, or write the cohort in SQL."
_EXPORT = "export the cohort definition from ATLAS again, as JSON."
_ALWAYS = ("person", "observation_period")

Node = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Expression:
    """One checked Circe expression.

    Attributes:
        name: The file it comes from.
        document: The expression with the spelling of keys that ATLAS uses, nothing empty.
        tables: Tables of the CDM that it reads, `person` and the vocabulary left out.
    """

    name: str
    document: Node
    tables: frozenset[str]

    @property
    def rules(self) -> list[Node]:
        """The inclusion rules that hold a condition, in order."""
        rules: list[Node] = self.document.get("InclusionRules", [])
        return [rule for rule in rules if not is_empty(rule.get("expression"))]


@dataclass
class _Reading:
    """What was found while a document is walked."""

    name: str
    faults: list[Message] = field(default_factory=list)
    tables: set[str] = field(default_factory=set)
    sets: list[tuple[str, int]] = field(default_factory=list)
    events: int = 0

    def fault(self, path: str, what: str, fix: str, code: str = _PARSE) -> None:
        self.faults.append(Message(code, self.name, f"{path}: {what}" if path else what, fix))


def read_expression(text: str, name: str = "expression") -> Expression:
    """Read one Circe expression, or the definition of a cohort that holds one.

    Args:
        text: JSON as ATLAS, WebAPI or CohortGenerator write it.
        name: The file, as it is named in messages.

    Raises:
        SpecError: The text is no Circe expression, or asks for what is not understood; every fault
            is named.
    """
    reading = _Reading(name)
    raw = _unwrapped(_loaded(text, name), name)
    document = _structure(reading, "Expression", raw, "")
    if not reading.faults:
        _check_whole(reading, document)
    if reading.faults:
        raise SpecError(reading.faults)
    collapse = {"CollapseType": "ERA", "EraPad": 0}
    document["CollapseSettings"] = collapse | document.get("CollapseSettings", {})
    if "CustomEra" in document.get("EndStrategy", {}):
        reading.tables.add("drug_exposure")
    return Expression(name, document, frozenset(reading.tables | set(_ALWAYS)))


def tables_of(text: str, name: str = "expression") -> set[str]:
    """Return the tables of the CDM that the text of an expression reads.

    Raises:
        SpecError: The expression is refused; see `read_expression`.
    """
    return set(read_expression(text, name).tables)


def is_empty(group: Node | None) -> bool:
    """Whether a group of criteria holds no condition."""
    keys = ("CriteriaList", "DemographicCriteriaList", "Groups")
    return group is None or not any(group.get(key) for key in keys)


def says_nothing(value: object) -> bool:
    """Whether a field that holds this is as good as left out; the number 0 says something."""
    return value is None or value is False or value in ([], {})


def _loaded(text: str, name: str) -> object:
    """Return what the text holds; refuse what is too large, too deep, or says a thing twice."""
    if len(text.encode("utf-8", errors="replace")) > MAX_BYTES:
        what = f"is larger than {MAX_BYTES:,} bytes"
        raise SpecError([Message(_LIMIT, name, what, "split the definition.")])
    if _depth(text) > MAX_DEPTH:
        what = f"is nested more than {MAX_DEPTH} deep"
        raise SpecError([Message(_LIMIT, name, what, "write the groups of criteria flatter.")])
    try:
        return json.loads(text, object_pairs_hook=_once, parse_constant=_no_constant)
    except json.JSONDecodeError as exc:
        what = f"line {exc.lineno}: is no JSON: {exc.msg}"
    except (ValueError, RecursionError) as exc:
        what = f"is no JSON: {exc}"
    raise SpecError([Message(_PARSE, name, what, _EXPORT)])


def _depth(text: str) -> int:
    """How deep brackets are nested outside of strings."""
    depth = deepest = 0
    in_string = escaped = False
    for sign in text:
        if in_string:
            in_string, escaped = (escaped or sign != '"'), (sign == "\\" and not escaped)
        elif sign == '"':
            in_string = True
        elif sign in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif sign in "]}":
            depth -= 1
    return deepest


def _once(pairs: list[tuple[str, Any]]) -> Node:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = next(key for key, _ in pairs if sum(other == key for other, _ in pairs) > 1)
        raise ValueError(f"key {twice[:60]!r} is given twice")
    return found


def _no_constant(text: str) -> None:
    raise ValueError(f"{text} is no number")


def _unwrapped(raw: object, name: str) -> object:
    """Return the expression of a cohort definition, or the value as it is."""
    if isinstance(raw, dict) and "expression" in raw and "PrimaryCriteria" not in raw:
        inner = raw["expression"]
        return _loaded(inner, name) if isinstance(inner, str) else inner
    return raw


def _structure(reading: _Reading, kind: str, value: object, path: str) -> Node:
    """Return an object with the keys of its kind, and note what does not belong to it."""
    if not isinstance(value, Mapping):
        reading.fault(path, f"is no {kind} of a Circe expression", _EXPORT)
        return {}
    return _fields(reading, support().structures[kind], value, path, kind)


def _fields(
    reading: _Reading, kinds: Mapping[str, str], value: Mapping[str, Any], path: str, owner: str
) -> Node:
    known = {key.lower(): key for key in kinds}
    found: Node = {}
    for raw, item in value.items():
        key, at = known.get(raw.lower()), f"{path}.{raw[:60]}".lstrip(".")
        if key is None:
            if owner != "Concept" and not says_nothing(item):
                reading.fault(at, f"{owner} has no such field", _LEAVE_OUT, _UNSUPPORTED)
        elif item is not None:
            found[key] = _value(reading, kinds[key], item, at)
    return found


def _value(reading: _Reading, kind: str, value: object, path: str) -> Any:
    if kind.startswith("["):
        if not isinstance(value, list):
            reading.fault(path, "is no list", _EXPORT)
            return []
        return [_value(reading, kind[1:-1], item, f"{path}[{i}]") for i, item in enumerate(value)]
    if kind == "Criterion":
        return _criterion(reading, value, path)
    if kind in support().structures:
        found = _structure(reading, kind, value, path)
        _AFTER.get(kind, _nothing)(reading, found, path)
        return found
    return _scalar(reading, kind, value, path)


def _scalar(reading: _Reading, kind: str, value: object, path: str) -> Any:
    if kind in support().choices:
        return _choice(reading, support().choices[kind], value, path)
    if kind != "any" and not _SCALARS[kind](value):
        reading.fault(path, f"holds no {_WORDS.get(kind, kind)}", _EXPORT)
    return value


def _choice(reading: _Reading, words: list[str], value: object, path: str) -> str:
    by_lower = {word.lower(): word for word in words}
    word = by_lower.get(str(value).lower().removesuffix("_id"), by_lower.get(str(value).lower()))
    if word is None:
        what = f"{str(value)[:40]!r} is none of {', '.join(words)}"
        reading.fault(path, what, _LEAVE_OUT, _UNSUPPORTED)
    return word or words[0]


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**62


def _is_number(value: object) -> bool:
    return _is_int(value) or (isinstance(value, float) and math.isfinite(value))


def _is_date(value: object) -> bool:
    try:
        return isinstance(value, str) and len(value) == 10 and bool(date.fromisoformat(value))
    except ValueError:
        return False


_SCALARS: dict[str, Callable[[object], bool]] = {
    "int": _is_int,
    "days": lambda value: _is_int(value) and 0 <= int(str(value)) <= 100_000,
    "flag": lambda value: isinstance(value, bool),
    "number": _is_number,
    "date": _is_date,
}
_WORDS = {
    "int": "whole number",
    "days": "number of days from 0 to 100,000",
    "flag": "true or false",
    "date": "date as YYYY-MM-DD",
}


def _criterion(reading: _Reading, value: object, path: str) -> Node:
    """Return one kind of event by its name, and note the tables that it reads."""
    if not isinstance(value, Mapping) or len(value) != 1:
        reading.fault(path, "is no criterion of a Circe expression", _EXPORT)
        return {}
    ((name, body),) = value.items()
    at = f"{path}.{name[:60]}"
    kind = support().events.get(name)
    if kind is None:
        why = support().refused.get(name, "is no kind of event that is known")
        reading.fault(at, f"{name[:60]} cannot be built: {why}", _LEAVE_OUT, _UNSUPPORTED)
        return {}
    reading.events += 1
    return {name: _event(reading, kind, body if body is not None else {}, at)}


def _event(reading: _Reading, kind: EventKind, body: object, path: str) -> Node:
    if not isinstance(body, Mapping):
        reading.fault(path, "is no criterion of a Circe expression", _EXPORT)
        return {}
    refused = {key.lower(): why for key, why in kind.refused.items()}
    kept = {}
    for key, item in body.items():
        if key.lower() in refused and not says_nothing(item):
            why = f"{key} cannot be asked for: {refused[key.lower()]}"
            reading.fault(f"{path}.{key}", why, _LEAVE_OUT, _UNSUPPORTED)
        elif key.lower() not in refused:
            kept[key] = item
    holders = support().holders
    kinds = {key: holders.get(item.kind, item.kind) for key, item in kind.fields.items()}
    found = _fields(reading, kinds, kept, path, kind.name)
    _note(reading, kind, found, path)
    return found


def _note(reading: _Reading, kind: EventKind, found: Node, path: str) -> None:
    """Note which tables and concept sets a kind of event reads."""
    if kind.table:
        reading.tables.add(kind.table)
    for key, value in found.items():
        if says_nothing(value):
            continue
        item = kind.fields[key]
        reading.tables |= item.tables
        if item.kind in ("codeset", "source_codeset", "codeset_of"):
            reading.sets.append((f"{path}.{key}", value))
    if kind.table is None:
        _check_custom_era(reading, found, path)


def _check_custom_era(reading: _Reading, found: Node, path: str) -> None:
    if not found.get("CriteriaList"):
        reading.fault(path, "CustomEra names no events", _EXPORT)
    for inner in found.get("CriteriaList", []):
        for name, body in inner.items():
            if body.get("CorrelatedCriteria"):
                what = f"CorrelatedCriteria of {name} inside a CustomEra is passed over by circepy"
                reading.fault(path, what, _LEAVE_OUT, _UNSUPPORTED)


def _nothing(reading: _Reading, found: Node, path: str) -> None:
    """Check nothing more."""


def _check_range(reading: _Reading, found: Node, path: str) -> None:
    if "Value" not in found or "Op" not in found:
        reading.fault(path, "needs Op and Value", _EXPORT)
    if found.get("Op") == "bt" and "Extent" not in found:
        reading.fault(path, "between needs Extent", _EXPORT)


def _check_bound(reading: _Reading, found: Node, path: str) -> None:
    if found.get("Coeff") not in (-1, 1):
        reading.fault(path, "Coeff is neither -1 nor 1", _EXPORT)


def _check_group(reading: _Reading, found: Node, path: str) -> None:
    kind = found.setdefault("Type", "ALL")
    counted = kind.startswith("AT_")
    if counted and found.setdefault("Count", 0) < 0:
        reading.fault(path, "Count is below 0", _EXPORT)
    if kind == "AT_LEAST" and found["Count"] == 0 and not is_empty(found):
        what = "Type AT_LEAST with Count 0 asks for nothing, and circepy asks for one"
        reading.fault(path, what, "leave the group out.", _UNSUPPORTED)


def _check_occurrence(reading: _Reading, found: Node, path: str) -> None:
    if found.get("Type") not in (0, 1, 2) or found.get("Count", -1) < 0:
        reading.fault(path, "needs Type 0, 1 or 2 and a Count from 0", _EXPORT)


def _check_selection(reading: _Reading, found: Node, path: str) -> None:
    if "CodesetId" in found:
        reading.sets.append((path, found["CodesetId"]))


def _check_correlated(reading: _Reading, found: Node, path: str) -> None:
    if not found.get("Criteria"):
        reading.fault(path, "names no criterion", _EXPORT)
    found.setdefault("Occurrence", {"Type": 2, "Count": 1, "IsDistinct": False})


def _check_adjustment(reading: _Reading, found: Node, path: str) -> None:
    if not {"StartOffset", "EndOffset"} <= set(found):
        reading.fault(path, "needs StartOffset and EndOffset", _EXPORT)


def _check_end(reading: _Reading, found: Node, path: str) -> None:
    if len(found) > 1:
        reading.fault(path, "names two ways to end", _EXPORT)
    if "DateOffset" in found and not {"DateField", "Offset"} <= set(found["DateOffset"]):
        reading.fault(path, "DateOffset needs DateField and Offset", _EXPORT)
    if "CustomEra" in found:
        if "DrugCodesetId" not in found["CustomEra"]:
            reading.fault(path, "CustomEra needs DrugCodesetId", _EXPORT)
        else:
            reading.sets.append((path, found["CustomEra"]["DrugCodesetId"]))


def _check_concept(reading: _Reading, found: Node, path: str) -> None:
    if "CONCEPT_ID" not in found:
        reading.fault(path, "a concept has no CONCEPT_ID", _EXPORT)


def _check_item(reading: _Reading, found: Node, path: str) -> None:
    if "concept" not in found:
        reading.fault(path, "names no concept", _EXPORT)


_AFTER: dict[str, Callable[[_Reading, Node, str], None]] = {
    "NumericRange": _check_range,
    "DateRange": _check_range,
    "Bound": _check_bound,
    "Group": _check_group,
    "Occurrence": _check_occurrence,
    "Selection": _check_selection,
    "Correlated": _check_correlated,
    "DateAdjustment": _check_adjustment,
    "EndStrategy": _check_end,
    "Concept": _check_concept,
    "ConceptSetItem": _check_item,
}


def _check_whole(reading: _Reading, document: Node) -> None:
    """Check what the parts of an expression must be to one another."""
    if not document.get("PrimaryCriteria", {}).get("CriteriaList"):
        what = "has no PrimaryCriteria with a criterion: is no Circe expression"
        reading.fault("", what, _EXPORT)
    if reading.events > MAX_EVENTS:
        reading.fault("", f"has more than {MAX_EVENTS} criteria", "split the definition.", _LIMIT)
    _check_sets(reading, document)
    for at, event in enumerate(document.get("CensoringCriteria", [])):
        for name, body in event.items():
            if not is_empty(body.get("CorrelatedCriteria")):
                path = f"CensoringCriteria[{at}].{name}.CorrelatedCriteria"
                what = "is passed over by circepy"
                reading.fault(path, what, _LEAVE_OUT, _UNSUPPORTED)


def _check_sets(reading: _Reading, document: Node) -> None:
    ids = [item.get("id") for item in document.get("ConceptSets", [])]
    if len(set(ids)) < len(ids) or None in ids:
        reading.fault("ConceptSets", "has no id for each, or one id twice", _EXPORT)
    for path, number in reading.sets:
        if number not in ids:
            reading.fault(path, f"concept set {number} is not among ConceptSets", _EXPORT)


def events_in(value: object) -> Iterator[tuple[str, Node]]:
    """Yield every kind of event of a checked document with its fields, whatever it stands in."""
    if isinstance(value, list):
        for item in value:
            yield from events_in(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            if key in support().events and len(value) == 1 and "DrugCodesetId" not in item:
                yield key, item
            yield from events_in(item)
