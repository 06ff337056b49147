"""What is asked, under which name, and what the pages show."""

from typing import Annotated, Literal

from pydantic import Field

from tasks.core.spec.base import AS_TUPLE, Frozen, Id, Text


class Study(Frozen):
    """What is asked, and under which name."""

    id: Id
    version: Annotated[str, Field(pattern=r"^[0-9]{1,6}\.[0-9]{1,6}$")]
    title: Text
    question: Text
    registration: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    notice: Annotated[Text | None, Field(description="Shown on every page of the report.")] = None
    limits: Annotated[tuple[Text, ...], AS_TUPLE] = ()


class Privacy(Frozen):
    """May only tighten what the site demands."""

    disclosure_threshold: Annotated[int, Field(ge=5, le=1000)]


class Report(Frozen):
    """What the pages show beyond the numbers."""

    languages: Annotated[tuple[Literal["en", "ko"], ...], AS_TUPLE, Field(min_length=1)] = (
        "en",
        "ko",
    )
