"""Concept sets of a Circe expression as code lists of a study."""

from dataclasses import dataclass, field
from typing import Any

from tasks.cohort.circe.read import Node

Block = dict[str, Any]


class NoEqualError(Exception):
    """A part of the expression says what our language does not."""


@dataclass
class Lists:
    """Code lists by the number of their concept set, and those that stand for listed concepts."""

    sets: dict[int, Node]
    ids: dict[int, str]
    file: str
    more: list[Block] = field(default_factory=list)

    def named(self, number: int) -> str:
        """Return the id of the code list of a concept set."""
        if not any(not i.get("isExcluded") for i in items_of(self.sets[number])):
            raise NoEqualError(f"concept set {number} includes no concept")
        return self.ids[number]

    def plain(self, number: int) -> list[int]:
        """Return the concepts of a set that needs no vocabulary."""
        items = items_of(self.sets[number])
        if not items or any(len(entry_of(item)) > 1 for item in items):
            raise NoEqualError(
                f"concept set {number} needs the vocabulary, and is held to a column"
            )
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


def items_of(group: Node) -> list[Node]:
    """Return the items of a concept set."""
    items: list[Node] = group.get("expression", {}).get("items", [])
    return items


def code_list(lists: Lists, number: int) -> Block:
    """Return a concept set as a code list of a study."""
    group = lists.sets[number]
    entries = [entry_of(item) for item in items_of(group)]
    source = f"concept set {number} of {lists.file}: {group.get('name') or 'without name'}"
    head = {"id": lists.ids[number]}
    shapes = {tuple(sorted(entry.items() - {("concept", entry["concept"])})) for entry in entries}
    ids = [entry["concept"] for entry in entries]
    if shapes == {()}:
        return head | {"concepts": ids, "include_descendants": False, "source": source}
    if shapes == {(("include_descendants", True),)}:
        return head | {"concepts": ids, "include_descendants": True, "source": source}
    return head | {"concepts": entries, "include_descendants": False, "source": source}


def entry_of(item: Node) -> Block:
    """Return an item of a concept set as an entry of a code list."""
    flags = {
        "include_descendants": item.get("includeDescendants"),
        "include_mapped": item.get("includeMapped"),
        "exclude": item.get("isExcluded"),
    }
    return {"concept": item["concept"]["CONCEPT_ID"]} | {k: True for k, v in flags.items() if v}
