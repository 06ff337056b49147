"""What is asked, under which name, and what the pages show."""

from typing import Annotated, Any, Literal

from pydantic import Field

from tasks.core.spec.base import AS_TUPLE, Frozen, Id, Text


def _title(data: dict[str, Any]) -> Text:
    """Return the title, which is the question of a study that states no other."""
    title: Text = data.get("title") or Text(en="-", ko="-")  # without one the study is refused
    return title


class Study(Frozen):
    """What is asked, and under which name."""

    id: Id
    version: Annotated[str, Field(pattern=r"^[0-9]{1,6}\.[0-9]{1,6}$")] = "1.0"
    title: Text
    question: Annotated[
        Text,
        Field(default_factory=_title, description="What is asked; the title when absent."),
    ]
    registration: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    notice: Annotated[Text | None, Field(description="Shown on every page of the report.")] = None
    limits: Annotated[tuple[Text, ...], AS_TUPLE] = ()


class Privacy(Frozen):
    """May only tighten what the site demands."""

    disclosure_threshold: Annotated[int, Field(ge=5, le=1000)]
    round_counts_to: Annotated[
        int | None,
        Field(ge=2, le=1000, description="Counts are multiples of it; the site's if coarser."),
    ] = None


class Report(Frozen):
    """What the pages show beyond the numbers."""

    languages: Annotated[tuple[Literal["en", "ko"], ...], AS_TUPLE, Field(min_length=1)] = (
        "en",
        "ko",
    )
