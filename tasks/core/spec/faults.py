"""What a check finds wrong, or doubtful, in a study: the key at fault and how to mend it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tasks.core.spec.whole import StudySpec

KeyPath = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong with a study, or (`is_warning`) doubtful, and how to mend it."""

    path: KeyPath
    what: str
    fix: str = "correct the value; the schema stands in docs/study.schema.json."
    code: str = "E_SPEC_PARSE"
    is_warning: bool = False


@dataclass(frozen=True, slots=True)
class Check:
    """A check and the blocks of the study that it reads.

    `in_part`: those of them in which `Unread` entries may stand when it runs.
    """

    blocks: tuple[str, ...]
    find: Callable[[StudySpec], Iterator[Fault]]
    in_part: tuple[str, ...] = ()
