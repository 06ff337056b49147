"""What every block of a study is made of: frozen, strict values and the names that may be given."""

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, GetCoreSchemaHandler
from pydantic_core import core_schema

from tasks.core.explain import Said, misfit


def _parts_names_once(name: str) -> str:
    """Refuse what tables of a workspace keep for their steps: `<cohort>__<step>`."""
    if "__" in name:
        raise misfit(Said((), "holds two underscores in a row", "keep one of them."))
    return name


Id = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,47}$"), AfterValidator(_parts_names_once)]
SiteId = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,39}$")]
ConceptId = Annotated[int, Field(ge=0, le=2_147_483_647)]
Days = Annotated[int, Field(ge=0, le=36_500)]
Offset = Annotated[int, Field(ge=-36_500, le=36_500)]
LocalFile = Annotated[
    str,
    Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}(/[A-Za-z0-9][A-Za-z0-9_.-]{0,99}){0,9}$",
        max_length=200,
        description="A file beside the study, or in a folder below it.",
    ),
]


MAX_ITEMS = 1000


class _AsTuple:
    """Takes a list of a file for the tuple that a frozen value holds; what is in it stays strict.

    A list that says nothing else holds at most MAX_ITEMS.
    """

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        schema = handler(source)
        for part in (schema, *schema.get("choices", ()), schema.get("schema", {})):
            if part.get("type") == "tuple":
                part["strict"] = False
                part.setdefault("max_length", MAX_ITEMS)
        return schema


AS_TUPLE = _AsTuple()


class Frozen(BaseModel):
    """A block that cannot be changed, takes no unknown key and converts nothing silently."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Text(Frozen):
    """One text in both languages of the report."""

    en: Annotated[str, Field(min_length=1, max_length=2000)]
    ko: Annotated[str, Field(min_length=1, max_length=2000)]

    def in_language(self, language: str) -> str:
        """Return the text in `en` or `ko`."""
        return self.ko if language == "ko" else self.en
