"""Drawn persons that a study names for each cohort, with the spans that must come out."""

from datetime import date
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from tasks.core.domains import domains
from tasks.core.explain import Said, misfit
from tasks.core.spec.base import AS_TUPLE, ConceptId, Frozen, Id
from tasks.core.spec.conditions import Column, DomainName, Period, Scalar


class TestEvent(Frozen):
    """One record of a drawn person; other columns of its table by their names."""

    __test__ = False
    domain: DomainName
    start: date
    end: date | None = None
    concept: ConceptId = 0
    source: Annotated[str, Field(max_length=100)] | None = None
    columns: dict[Column, Scalar | None] = Field(default_factory=dict, max_length=60)

    @model_validator(mode="after")
    def _fits_its_table(self) -> Self:
        domain = domains().get(self.domain)
        if domain is None:
            return self
        faults = [
            Said((key,), f"{self.domain} has no {key}", f"remove {key}.")
            for key, given, column in (
                ("end", self.end, domain.end),
                ("concept", self.concept, domain.concept),
                ("source", self.source, domain.source_value),
            )
            if given and column is None
        ]
        placed = {"person_id", domain.key, domain.start, domain.end}
        faults += [
            Said(("columns", name), f"{name} is no other column of {self.domain}", "correct it.")
            for name in self.columns
            if name in placed or not domain.table.has(name)
        ]
        if faults:
            raise misfit(*faults)
        return self


class TestPerson(Frozen):
    """One person of a drawn world, and what the cohort must say of them."""

    __test__ = False
    id: Id
    born: date
    sex: Literal["female", "male"] = "female"
    observed: Annotated[tuple[Period, ...], AS_TUPLE] = ()
    events: Annotated[tuple[TestEvent, ...], AS_TUPLE] = ()
    expect: Annotated[
        tuple[Period, ...] | Literal["in", "out"],
        AS_TUPLE,
        Field(description="in, out, or the spans that must come out."),
    ]

    @model_validator(mode="after")
    def _expects_whole_spans(self) -> Self:
        spans = () if isinstance(self.expect, str) else self.expect
        if any(span.start is None or span.end is None for span in spans):
            fix = "give start and end of each span."
            raise misfit(Said(("expect",), "a span without its first or last day", fix))
        return self


class CohortTest(Frozen):
    """A drawn world with the members that must come out; run by `causeway study check`."""

    id: Id
    persons: Annotated[tuple[TestPerson, ...], AS_TUPLE, Field(min_length=1, max_length=200)]
