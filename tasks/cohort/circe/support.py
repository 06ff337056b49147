"""What of the Circe language is understood, as `support.yaml` lists it."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

# Tables that a kind of field reads beside that of its event.
_BESIDE = {"provider": "provider", "care_site": "care_site", "visit": "visit_occurrence"}


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a kind of event: what kind it is and which column it asks of.

    `kind` is a word of `holders` in support.yaml, or a structure; `column` may be empty.
    """

    kind: str
    column: str

    @property
    def tables(self) -> set[str]:
        """Tables that the field reads beside that of its event."""
        table = _BESIDE.get(self.kind.removesuffix("_selection"))
        return {table} if table else set()


@dataclass(frozen=True, slots=True)
class EventKind:
    """One kind of event: its table (None for an era made of others) and its fields."""

    name: str
    table: str | None
    fields: dict[str, Field]
    refused: dict[str, str]


@dataclass(frozen=True, slots=True)
class Support:
    """The whole of what is understood."""

    events: dict[str, EventKind]
    refused: dict[str, str]
    structures: dict[str, dict[str, str]]
    choices: dict[str, list[str]]
    holders: dict[str, str]


@cache
def support() -> Support:
    """Return what is understood of the Circe language."""
    text = Path(__file__).with_suffix(".yaml").read_text(encoding="utf-8")
    body = yaml.safe_load(text)
    events = {name: _event(name, item) for name, item in body["criteria"].items()}
    return Support(events, *(body[key] for key in ("refused", "structures", "choices", "holders")))


def _event(name: str, item: dict[str, dict[str, str]]) -> EventKind:
    fields = {key: _field(text) for key, text in item["fields"].items()}
    # Every kind of event may be narrowed by others around it, and moved in time.
    fields |= {"CorrelatedCriteria": _field("Group"), "DateAdjustment": _field("DateAdjustment")}
    table = item["table"]
    return EventKind(name, str(table) if table else None, fields, item.get("refused", {}))


def _field(text: str) -> Field:
    kind, _, column = text.partition(" ")
    return Field(kind, column)
