"""Locks of a study: which specification was settled, when. They lie beside the study file.

A lock is no part of the study: it does not count in `spec_hash`. Earlier locks stay in the file.
"""

import json
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from tasks.core.errors import Message, SpecError
from tasks.core.spec.base import AS_TUPLE, Frozen, Id
from tasks.core.spec.whole import StudySpec

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
State = Literal["unlocked", "locked", "changed"]


class Lock(Frozen):
    """One settled version; `locked_at` is a time with its zone."""

    version: Annotated[str, Field(pattern=r"^[0-9]+\.[0-9]+$")]
    spec_hash: Sha256
    locked_at: Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d([+-]\d\d:\d\d|Z)$")]


class Locks(Frozen):
    """Every lock of a study, oldest first; the last one is in force."""

    study_id: Id
    locks: Annotated[tuple[Lock, ...], AS_TUPLE, Field(min_length=1)]

    @property
    def in_force(self) -> Lock:
        """The newest lock."""
        return self.locks[-1]


def lock_file(study_file: Path) -> Path:
    """Return where the locks of a study file lie: <study>.lock.json beside it."""
    return study_file.with_name(f"{study_file.stem}.lock.json")


def read_locks(study_file: Path) -> Locks | None:
    """Return the locks of a study; None where it was never locked.

    Raises:
        SpecError: The lock file is not as `study lock` writes it.
    """
    file = lock_file(study_file)
    if not file.exists():
        return None
    try:
        return Locks.model_validate(json.loads(file.read_text(encoding="utf-8")))
    except (ValueError, ValidationError):
        what = "is not a lock as `causeway study lock` writes it"
        fix = "restore the file from your version control."
        raise SpecError([Message("E_SPEC_LOCKED", file.name, what, fix)]) from None


def state_of(spec: StudySpec, locks: Locks | None) -> State:
    """Say whether a study is locked, and whether it still says what was locked."""
    if locks is None:
        return "unlocked"
    return "locked" if locks.in_force.spec_hash == spec.spec_hash else "changed"


def ensure_as_locked(spec: StudySpec, study_file: Path) -> None:
    """Do nothing where a study may estimate outcomes: never locked, or as locked.

    Raises:
        SpecError: It was changed after the lock.
    """
    locks = read_locks(study_file)
    if locks is None or state_of(spec, locks) != "changed":
        return
    held = locks.in_force
    what = (
        f"version {held.version} is locked with spec_hash {held.spec_hash[:12]}, "
        f"the file has {spec.spec_hash[:12]}"
    )
    raise SpecError([_refused(study_file, what)])


def with_lock(spec: StudySpec, study_file: Path, locked_at: str) -> Locks:
    """Return the locks of a study with this version locked; the same where it is already.

    Raises:
        SpecError: The version was locked with another content, or is not above the locked one.
    """
    locks, version = read_locks(study_file), spec.study.version
    if locks is not None and state_of(spec, locks) == "locked":
        return locks
    if locks is not None and _number(version) <= _number(locks.in_force.version):
        what = f"version {locks.in_force.version} is locked, and the file is version {version}"
        raise SpecError([_refused(study_file, what)])
    lock = Lock(version=version, spec_hash=spec.spec_hash, locked_at=locked_at)
    return Locks(study_id=spec.study.id, locks=(*(locks.locks if locks else ()), lock))


def write_locks(locks: Locks, study_file: Path) -> Path:
    """Write the locks of a study; return their file."""
    file = lock_file(study_file)
    text = json.dumps(locks.model_dump(mode="json"), indent=2, ensure_ascii=False)
    fresh = file.with_name(f".{file.name}.new")
    fresh.write_text(text + "\n", encoding="utf-8", newline="\n")
    fresh.replace(file)
    return file


def _refused(study_file: Path, what: str) -> Message:
    fix = "raise study.version and lock it anew with `causeway study lock`, or restore the file."
    return Message("E_SPEC_LOCKED", study_file.name, f"changed after its lock: {what}", fix)


def _number(version: str) -> tuple[int, int]:
    major, minor = version.split(".")
    return int(major), int(minor)
