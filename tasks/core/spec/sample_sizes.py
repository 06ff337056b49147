"""How many persons, cases or events an analysis was planned with: a block of analyses."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from tasks.core.spec.base import Frozen

_Size = Annotated[int | None, Field(ge=1, le=1_000_000_000)]


class SampleSize(Frozen):
    """Planned numbers, told beside those that were reached; `causeway power` computes them."""

    persons: Annotated[_Size, Field(description="Persons that the plan asks for.")] = None
    cases: Annotated[_Size, Field(description="Cases read, of a table of readings.")] = None
    with_condition: Annotated[
        _Size, Field(description="Cases in which the condition is there, of a table of readings.")
    ] = None
    without_condition: Annotated[
        _Size, Field(description="Cases in which it is not, of a table of readings.")
    ] = None
    readers: Annotated[_Size, Field(description="Readers, of a table of readings.")] = None
    events: Annotated[_Size, Field(description="Events, or persons with the outcome.")] = None

    @property
    def planned(self) -> dict[str, int]:
        """The numbers that are planned, by name."""
        return {name: int(size) for name, size in self.model_dump().items() if size is not None}

    @model_validator(mode="after")
    def _plans_something(self) -> Self:
        if not self.planned:
            raise ValueError("sample_size names no number; give one, or remove it")
        return self
