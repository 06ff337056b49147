"""Columns of a delivered table, and what is read from them.

A registry names its columns as it likes, in any script, with blanks and dots. A name is printable,
at most 63 characters, and holds no quotes, backslashes or control characters; it reaches SQL as a
quoted identifier only.
"""

import unicodedata
from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from tasks.core.spec.base import AS_TUPLE, Frozen


def _as_it_stands(name: str) -> str:
    if name != name.strip():
        raise ValueError("a column name has blanks around it; write it without them")
    if not name.isprintable():
        raise ValueError("a column name holds what cannot be printed")
    return unicodedata.normalize("NFC", name)


ColumnName = Annotated[
    str, Field(pattern=r"""^[^"'`\\\x00-\x1f\x7f-\x9f]{1,63}$"""), AfterValidator(_as_it_stands)
]
TableName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,62}$")]
Cell = Annotated[str, Field(max_length=100, pattern=r"^[^\x00-\x1f\x7f-\x9f]*$")]
Unit = Literal["days", "weeks", "months", "years"]
Event = Annotated[int, Field(ge=0, le=2)]

DAYS_IN: Mapping[str, float] = {"days": 1.0, "weeks": 7.0, "months": 30.4375, "years": 365.25}


class Category(Frozen):
    """A column of named levels; the first level is the reference."""

    category: Annotated[tuple[Cell, ...], AS_TUPLE, Field(min_length=2, max_length=200)]

    @model_validator(mode="after")
    def _levels_differ(self) -> Self:
        if len(set(self.category)) < len(self.category):
            raise ValueError("a level stands twice; keep one of them")
        return self


ColumnType = Literal["number", "boolean", "date"] | Category
Columns = Annotated[Mapping[ColumnName, ColumnType], Field(max_length=2000)]


class TimeColumn(Frozen):
    """A column that counts time from the start of follow-up, in one unit."""

    column: ColumnName
    unit: Unit


class FollowUpColumn(TimeColumn):
    """Time from the start of follow-up to its end."""

    zero: Annotated[
        Literal["leave_out", "keep"],
        Field(description="Whether who has the event, or leaves, at time 0 is used."),
    ] = "leave_out"


class CodedColumn(Frozen):
    """A column whose values stand for 0, 1 or 2: nothing, the event, a competing event."""

    column: ColumnName
    codes: Annotated[
        Mapping[Cell, Event] | None,
        Field(
            max_length=100, description="What each value stands for; 0, 1 and 2 as written if null."
        ),
    ] = None

    @property
    def meanings(self) -> Mapping[str, int]:
        """What each value stands for."""
        return self.codes if self.codes is not None else {"0": 0, "1": 1, "2": 2}


def _as_coded(value: object) -> object:
    return {"column": value} if isinstance(value, str) else value


Coded = Annotated[CodedColumn, BeforeValidator(_as_coded)]
"""A coded column, or its bare name where its values are 0, 1 and 2 already."""
Names = Annotated[tuple[ColumnName, ...], AS_TUPLE, Field(max_length=2000)]
