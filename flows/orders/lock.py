"""Settle a study: write its hash with the time beside it, and into the audit log."""

from datetime import UTC, datetime

from tasks.core.audit import record
from tasks.core.paths import Home
from tasks.core.spec import load_study, study_file
from tasks.core.spec.locks import Locks, read_locks, with_lock, write_locks


def lock_study(home: Home, study: str) -> Locks:
    """Lock a study as it stands; a study that is locked so already stays as it is.

    Args:
        home: The working home, whose audit log notes the lock.
        study: Id of a study, or the path of its file.

    Raises:
        SpecError: The study is refused, or was changed after its lock without a new version.
    """
    spec, file = load_study(study), study_file(study)
    before = read_locks(file)
    locks = with_lock(spec, file, datetime.now(UTC).isoformat(timespec="seconds"))
    if locks != before:
        write_locks(locks, file)
        held = locks.in_force
        ids = {"study_id": spec.study.id, "version": held.version, "spec_hash": held.spec_hash}
        record(home, "study-locked", **ids)
    return locks
