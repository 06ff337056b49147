"""Suites of expectations: strict YAML files, one a table, all faults of all files at once."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from tasks.core.errors import Message, SpecError
from tasks.core.omop import omop_tables
from tasks.core.strict_yaml import read_yaml
from tasks.core.validate import validated
from tasks.quality.model import Rows, Severity

ROW_COUNT = "expect_table_row_count_to_be_between"
NOT_NULL = "expect_column_values_to_not_be_null"
BETWEEN = "expect_column_values_to_be_between"
QUERY = "unexpected_rows_expectation"
CUTOFF = "{data_cutoff}"

# Rules whose results hold counts only. Others, such as those of a column's maximum, report values.
Rule = Literal[
    "expect_table_row_count_to_be_between",
    "expect_column_values_to_not_be_null",
    "expect_column_values_to_be_unique",
    "expect_compound_columns_to_be_unique",
    "expect_column_values_to_be_between",
    "expect_column_values_to_be_in_set",
    "expect_column_values_to_not_be_in_set",
    "expect_column_pair_values_a_to_be_greater_than_b",
    "unexpected_rows_expectation",
]
_TABLE = re.compile(r"\b(?:loadable|delivered|delivery)\.([a-z_]+)")
_QUERY_START = "select 1 as unexpected from "

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
Sentence = Annotated[str, Field(min_length=15, max_length=300)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Reason(_Strict):
    """Why a check matters, for the people who read the verdict."""

    en: Sentence
    ko: Annotated[Sentence, Field(pattern="[가-힣]")]


class Check(_Strict):
    """One expectation of a suite.

    Attributes:
        needs: Columns that the query reads and the data model does not require.
        only_full: The check compares tables that only a full delivery holds whole.
    """

    id: Annotated[str, Field(pattern=r"^[A-Z]{3}-[0-9]{3}$")]
    expect: Rule
    kwargs: dict[str, object]
    severity: Severity
    reason: Reason
    on: Rows = "loadable"
    needs: list[Name] = []
    only_full: bool = False
    code: Annotated[str, Field(pattern=r"^[EWI]_[A-Z_]+$")] | None = None

    @model_validator(mode="after")
    def _query_selects_no_value(self) -> Self:
        if self.expect == QUERY and not self.query.startswith(_QUERY_START):
            raise ValueError(f"kwargs.unexpected_rows_query must start with `{_QUERY_START}`")
        return self

    @property
    def query(self) -> str:
        """The query of a custom check; empty for others."""
        return str(self.kwargs.get("unexpected_rows_query", "")).strip()

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of its own table that the check names."""
        listed = self.kwargs.get("column_list")
        single = [self.kwargs.get(key) for key in ("column", "column_A", "column_B")]
        named = [*single, *(listed if isinstance(listed, list) else []), *self.needs]
        return tuple(str(name) for name in named if name is not None)

    @property
    def tables_read(self) -> frozenset[str]:
        """Tables that the query reads beside its own."""
        return frozenset(_TABLE.findall(self.query))

    @property
    def threshold(self) -> str:
        """What passes, in words."""
        if self.expect == ROW_COUNT:
            return f"at least {self.kwargs.get('min_value', 0)} rows"
        mostly = self.kwargs.get("mostly")
        if isinstance(mostly, int | float) and mostly < 1:
            return f"at most {1 - mostly:.0%} of rows"
        if self.expect == BETWEEN:
            low, high = self.kwargs.get("min_value", "any"), self.kwargs.get("max_value", "any")
            return f"no row outside {low} to {high}"
        return "no row"


class Suite(_Strict):
    """The expectations of one table."""

    table: Annotated[str, Field(pattern=r"^(loadable|delivery)\.[a-z][a-z0-9_]*$")]
    reason: Reason
    expectations: Annotated[list[Check], Field(min_length=2)]

    @model_validator(mode="after")
    def _counts_rows_and_gaps_first(self) -> Self:
        rules = [check.expect for check in self.expectations[:2]]
        if rules != [ROW_COUNT, NOT_NULL]:
            raise ValueError("expectations must begin with the row count and completeness")
        return self

    @property
    def name(self) -> str:
        """Name of the table without its schema."""
        return self.table.partition(".")[2]

    def source(self, rows: Rows) -> str:
        """Return the table or view that holds these rows."""
        return f"{rows}.{self.name}" if self.table.startswith("loadable.") else self.table


@dataclass(frozen=True, slots=True)
class _Seen:
    """A suite and the file it came from."""

    file: str
    suite: Suite


def load_suites(folder: Path) -> tuple[Suite, ...]:
    """Return every suite of a folder, in the order of its files.

    Raises:
        SpecError: A file is refused, an id stands twice, or there is no suite; all faults at once.
    """
    seen, faults = list[_Seen](), list[Message]()
    for file in sorted(folder.glob("*/*.yaml")):
        try:
            seen.append(_Seen(file.name, validated(Suite, read_yaml(file))))
        except SpecError as error:
            faults.extend(error.messages)
    faults.extend(_across(seen))
    if not seen and not faults:
        faults.append(_fault(str(folder), "holds no suite", "name the folder of the suites."))
    if faults:
        raise SpecError(faults)
    return tuple(item.suite for item in seen)


def _across(seen: list[_Seen]) -> list[Message]:
    """Faults that show only across files and against the data model."""
    faults, ids = list[Message](), set[str]()
    for file, suite in ((item.file, item.suite) for item in seen):
        if file != f"{suite.name}.yaml":
            faults.append(_fault(file, "is named after another table", "rename the file."))
        if suite.table.startswith("loadable.") and suite.name not in omop_tables():
            faults.append(_fault(file, "table: is not of the data model", "correct the name."))
        for check in suite.expectations:
            if check.id in ids:
                faults.append(_fault(file, f"id {check.id} stands twice", "give it a new number."))
            ids.add(check.id)
    return faults


def _fault(where: str, what: str, fix: str) -> Message:
    return Message("E_SPEC_PARSE", where, what, fix)
