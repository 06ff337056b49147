"""The OMOP tables that a delivery may hold: columns, types, keys. Read once from omop_cdm.yaml."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import yaml

CDM_FILE = Path(__file__).with_name("omop_cdm.yaml")


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table: its name, DuckDB type, and whether it may be empty."""

    name: str
    type: str
    required: bool


@dataclass(frozen=True, slots=True)
class Table:
    """One table of the common data model.

    `key` is empty where rows have no key of their own; `renamed` maps CDM 5.3 names to these.
    """

    name: str
    kind: Literal["clinical", "vocabulary"]
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    renamed: dict[str, str]

    @property
    def names(self) -> tuple[str, ...]:
        """Column names, in the order of the model."""
        return tuple(column.name for column in self.columns)

    def has(self, name: str) -> bool:
        """Whether the table has a column of this name."""
        return name in self.names


@cache
def omop_tables() -> dict[str, Table]:
    """Return every table of CDM 5.4 by its lower-case name."""
    model = yaml.safe_load(CDM_FILE.read_text(encoding="utf-8"))
    return {
        name: Table(
            name=name,
            kind=body["kind"],
            key=tuple(body["key"]),
            columns=tuple(_column(*item) for item in body["columns"].items()),
            renamed=model["renamed"].get(name, {}),
        )
        for name, body in model["tables"].items()
    }


def _column(name: str, text: str) -> Column:
    return Column(name, text.rstrip("!").upper(), text.endswith("!"))
