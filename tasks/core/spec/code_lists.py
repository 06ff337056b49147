"""Sets of concepts and codes that a study names."""

from typing import Annotated

from pydantic import Field

from tasks.core.spec.base import AS_TUPLE, ConceptId, Frozen, Id, Text


class CodeList(Frozen):
    """A set of standard concepts."""

    id: Id
    name: Annotated[Text | None, Field(description="What the report calls it.")] = None
    concepts: Annotated[tuple[ConceptId, ...], AS_TUPLE, Field(min_length=1)]
    include_descendants: bool
    source: Annotated[str, Field(min_length=1)]
