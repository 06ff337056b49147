"""Sets of concepts and of source codes that a study names, each with where it comes from.

`docs/code_lists.md` shows them by example; `code_list_files` reads those that stand in files.
"""

from datetime import date
from pathlib import PurePosixPath
from typing import Annotated, Self

from pydantic import Field, model_validator

from tasks.core.explain import Said, misfit
from tasks.core.spec.base import AS_TUPLE, ConceptId, Frozen, Id, LocalFile, Text

# Days on which a code system is in force, where a record must be read by its day.
IN_FORCE: dict[str, tuple[date | None, date | None]] = {
    "KCD8": (None, date(2025, 12, 31)),
    "KCD9": (date(2026, 1, 1), None),
}
MAX_MEMBERS = 20_000

Vocabulary = Annotated[
    str,
    Field(
        pattern=r"^[A-Za-z][A-Za-z0-9_.-]{0,39}$",
        description="Code system, such as KCD8, KCD9, EDI, ATC, LOINC. KCD8 counts until "
        "2025-12-31 and KCD9 from 2026-01-01 by themselves.",
    ),
]
Code = Annotated[
    str,
    Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9./ _+-]{0,48}\*?$",
        description="A code as the source writes it; with a star at its end, all that start so.",
    ),
]
Codes = Annotated[tuple[Code, ...], AS_TUPLE, Field(max_length=MAX_MEMBERS)]


class ConceptItem(Frozen):
    """A concept that belongs to a list, or does not, with what stands below it or maps to it."""

    concept: ConceptId
    include_descendants: Annotated[
        bool | None, Field(description="Concepts below it too; as the list says when left out.")
    ] = None
    include_mapped: Annotated[
        bool, Field(description="Source concepts that map to it, or to one below it, too.")
    ] = False
    exclude: Annotated[bool, Field(description="Taken out of the list, after all else.")] = False


class SourceCodes(Frozen):
    """Codes of one code system as the sources write them, and the days on which they count."""

    vocabulary: Vocabulary
    codes: Annotated[Codes, Field(min_length=1)]
    exclude: Annotated[
        Codes, Field(description="Codes that do not count, though a star takes them in.")
    ] = ()
    valid_from: date | None = None
    valid_to: date | None = None

    @property
    def in_force(self) -> tuple[date | None, date | None]:
        """First and last day on which these codes count; None where open."""
        first, last = IN_FORCE.get(self.vocabulary.upper(), (None, None))
        return self.valid_from or first, self.valid_to or last

    @model_validator(mode="after")
    def _is_in_force_at_all(self) -> Self:
        first, last = self.in_force
        if first and last and last < first:
            what = f"{self.vocabulary} would count from {first} to {last}, which is no day"
            key = "valid_to" if self.valid_to else "valid_from"
            raise misfit(Said((key,), what, "correct the days, or name another code system."))
        return self


class CodeList(Frozen):
    """A set of concepts, of source codes, or of both, written out or in a file."""

    id: Id
    name: Annotated[Text | None, Field(description="What the report calls it.")] = None
    version: Annotated[
        str | None, Field(min_length=1, max_length=40, description="Version of the list.")
    ] = None
    source: Annotated[
        str,
        Field(
            min_length=1,
            max_length=1000,
            description="Who made the list, from what, when, with which version of the vocabulary.",
        ),
    ]
    concepts: Annotated[
        tuple[ConceptId | ConceptItem, ...], AS_TUPLE, Field(max_length=MAX_MEMBERS)
    ] = ()
    include_descendants: Annotated[
        bool | None,
        Field(description="Whether concepts below the listed ones belong to the list too."),
    ] = None
    codes: Annotated[tuple[SourceCodes, ...], AS_TUPLE, Field(max_length=50)] = ()
    file: Annotated[
        LocalFile | None, Field(description="A CSV file beside the study that holds the list.")
    ] = None
    concept_set: Annotated[
        LocalFile | None, Field(description="A concept set of ATLAS, in JSON, beside the study.")
    ] = None

    @model_validator(mode="after")
    def _says_what_it_holds(self) -> Self:
        faults = [*self._of_members(), *self._of_files()]
        if faults:
            raise misfit(*faults)
        return self

    def _of_members(self) -> list[Said]:
        if not (self.concepts or self.codes or self.file or self.concept_set):
            fix = "add concepts, codes, file or concept_set."
            return [Said((), f"code list {self.id} holds nothing", fix)]
        is_open = any(item.include_descendants is None for item in self.items)
        if is_open and self.include_descendants is None:
            what = "the key is missing: whether concepts below the listed ones belong to the list"
            return [Said(("include_descendants",), what, "add `include_descendants`.")]
        return []

    def _of_files(self) -> list[Said]:
        wanted = (("file", self.file, ".csv"), ("concept_set", self.concept_set, ".json"))
        return [
            Said((key,), f"names no {kind} file", f"name a {kind} file beside the study.")
            for key, name, kind in wanted
            if name and PurePosixPath(name).suffix != kind
        ]

    @property
    def items(self) -> tuple[ConceptItem, ...]:
        """The concepts that are written out, each as an item."""
        return tuple(
            item if isinstance(item, ConceptItem) else ConceptItem(concept=item)
            for item in self.concepts
        )

    @property
    def files(self) -> tuple[tuple[str, str], ...]:
        """Key and name of every file that the list names."""
        named = (("file", self.file), ("concept_set", self.concept_set))
        return tuple((key, name) for key, name in named if name)
