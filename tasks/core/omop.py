"""The tables that a delivery may hold: the OMOP CDM, and the device tables that it lacks."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import yaml

MODEL_FILES = tuple(
    Path(__file__).with_name(f"{name}.yaml") for name in ("omop_cdm", "device_model")
)


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table: its name, DuckDB type, and whether it may be empty."""

    name: str
    type: str
    required: bool


@dataclass(frozen=True, slots=True)
class Table:
    """One table of the data model.

    `key` is empty where rows have no key of their own; `renamed` maps CDM 5.3 names to these.
    """

    name: str
    kind: Literal["clinical", "vocabulary", "device"]
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
    """Return every table of CDM 5.4 and every device table by its lower-case name."""
    return {table.name: table for file in MODEL_FILES for table in _tables(file)}


def _tables(file: Path) -> Iterator[Table]:
    model = yaml.safe_load(file.read_text(encoding="utf-8"))
    for name, body in model["tables"].items():
        yield Table(
            name=name,
            kind=body["kind"],
            key=tuple(body["key"]),
            columns=tuple(_column(*item) for item in body["columns"].items()),
            renamed=model["renamed"].get(name, {}),
        )


def _column(name: str, text: str) -> Column:
    return Column(name, text.rstrip("!").upper(), text.endswith("!"))
