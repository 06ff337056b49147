"""One ingest at a time in one home; what a crashed one left behind is cleared by the next."""

import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from tasks.core.errors import BusyError
from tasks.core.paths import Home

_PREFIX = "ingest-"


@contextmanager
def ingest_turn(home: Home, seconds: float = 600) -> Iterator[None]:
    """Hold the right to ingest into this home; clear what an earlier one left in restricted/work.

    Raises:
        BusyError: Another ingest holds it for longer than `seconds`.
    """
    lock = FileLock(home.prepare().work / ".ingest.lock", timeout=seconds)
    try:
        lock.acquire()
    except Timeout:
        what = f"another ingest has been running for {seconds:g} seconds"
        raise BusyError(str(home.work), what, "wait for it to end, then start again.") from None
    try:
        clear_leftovers(home)
        yield
    finally:
        lock.release()


def new_work_folder(home: Home) -> Path:
    """Return a new private folder for the staging of one delivery."""
    folder = home.work / f"{_PREFIX}{uuid.uuid4().hex[:12]}"
    folder.mkdir(mode=0o700)
    return folder


def private_folder(path: Path) -> Path:
    """Create a folder and what is missing above it, for this user only; return it."""
    for folder in reversed((path, *path.parents)):
        if not folder.exists():
            folder.mkdir(mode=0o700, exist_ok=True)
    return path


def clear_leftovers(home: Home) -> int:
    """Remove the staging of ingests that ended without cleaning up; return how many."""
    left = [path for path in home.work.glob(f"{_PREFIX}*") if path.is_dir()]
    for path in left:
        shutil.rmtree(path)
    return len(left)
