"""The domains of events: in which table they stand, on which day, under which code."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

from tasks.core.omop import Table, omop_tables

# Free text and names of people never become a condition of a study.
_NEVER_ASKED = ("note_text", "sig", "lexical_variant", "provider_name", "lot_number")


@dataclass(frozen=True, slots=True)
class Domain:
    """One kind of event: its table of the lake and the columns that place and code it.

    `end`, `concept`, `source_concept`, `source_value` and `visit` are None where there is none.
    """

    name: str
    key: str
    start: str
    end: str | None = None
    concept: str | None = None
    source_concept: str | None = None
    source_value: str | None = None
    visit: str | None = None

    @property
    def table(self) -> Table:
        """The table of the data model that holds these events."""
        return omop_tables()[self.name]

    def type_of(self, column: str) -> str | None:
        """DuckDB type of a column that a condition may name; None where it may not, or is none."""
        if column == "person_id" or column in _NEVER_ASKED:
            return None
        return next((c.type for c in self.table.columns if c.name == column), None)


@cache
def domains() -> dict[str, Domain]:
    """Return every domain of events by its name, which is that of its table."""
    text = Path(__file__).with_suffix(".yaml").read_text(encoding="utf-8")
    return {name: Domain(name, **columns) for name, columns in yaml.safe_load(text).items()}
