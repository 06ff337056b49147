"""Entries of a block that are not valid: they keep their place and name, so that others are read.

Checks that say so (`Check.in_part`) run on a block with such entries; all others wait until every
entry is valid.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pydantic import TypeAdapter, ValidationError

from tasks.core.spec.base import Id

BLOCKS_IN_PART = ("code_lists", "cohorts", "covariates", "analyses")
"""Blocks of which some entries can be read when others are not valid."""
KEYS_OF_LISTS = frozenset({"code_list", "visit"})
_ID: TypeAdapter[str] = TypeAdapter(Id)


@dataclass(frozen=True, slots=True)
class Unread:
    """Stands for an entry that is not valid, whose name can be read."""

    id: str
    raw: object
    files: tuple[tuple[str, str], ...] = ()
    lists_named: tuple[str, ...] = ()


def unread(raw: object) -> Unread | None:
    """Return what stands for an entry that is not valid; None where its name cannot be read."""
    name = raw.get("id") if isinstance(raw, Mapping) else None
    return Unread(name, raw) if isinstance(name, str) and _is_id(name) else None


def lists_in_raw(
    raw: object, path: tuple[str | int, ...]
) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Yield every code list that an entry as written names, with its place; its tests aside."""
    if isinstance(raw, Mapping):
        for key, value in raw.items():
            if key in KEYS_OF_LISTS and isinstance(value, str) and _is_id(value):
                yield (*path, key), value
            elif key != "tests":
                yield from lists_in_raw(value, (*path, key))
    elif isinstance(raw, list):
        for place, value in enumerate(raw):
            yield from lists_in_raw(value, (*path, place))


def _is_id(name: str) -> bool:
    try:
        return bool(_ID.validate_python(name))
    except ValidationError:
        return False
