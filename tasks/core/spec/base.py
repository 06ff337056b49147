"""What every block of a study is made of: frozen, strict values and the names that may be given."""

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

Id = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,47}$")]
SiteId = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,39}$")]
ConceptId = Annotated[int, Field(ge=0, le=2_147_483_647)]
Days = Annotated[int, Field(ge=0, le=36_500)]
Offset = Annotated[int, Field(ge=-36_500, le=36_500)]


def as_tuple(value: object) -> object:
    """Take a list of a file for the tuple that a frozen value holds."""
    return tuple(value) if isinstance(value, list) else value


AS_TUPLE = BeforeValidator(as_tuple)


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
