"""One run of one study: its identity, its private workspace, and the one atomic switch at its end.

A run that died is never repaired: the next start of the same question removes what it left and
does the work again. What is published appears whole or not at all.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Literal

from filelock import FileLock, Timeout

from tasks.core.audit import record
from tasks.core.errors import BusyError
from tasks.core.paths import CODE_ROOTS, PROJECT_ROOT, Home

PACKAGES = (
    "duckdb",
    "great-expectations",
    "lifelines",
    "numpy",
    "polars",
    "prefect",
    "pyarrow",
    "scipy",
)
Status = Literal["published", "blocked", "failed"]
Shown = Literal["always", "if_newest", "nowhere"]


@dataclass(frozen=True, slots=True)
class RunIdentity:
    """What makes a run the run it is: the question, the data and the code."""

    study_id: str
    study_version: str
    spec_hash: str
    snapshot_id: int
    content_hash: str
    data_cutoff: str
    code_hash: str

    @property
    def run_id(self) -> str:
        """12 hex digits; the same question on the same data with the same code is the same run."""
        text = f"{self.spec_hash}\n{self.content_hash}\n{self.code_hash}"
        return hashlib.sha256(text.encode()).hexdigest()[:12]


@dataclass(frozen=True, slots=True)
class Workspace:
    """Where a run works: `private` holds person rows, `outputs` will be published."""

    private: Path
    outputs: Path

    @property
    def database(self) -> Path:
        """The run's own DuckDB file."""
        return self.private / "study.duckdb"


def code_hash(root: Path = PROJECT_ROOT) -> str:
    """Return the hash of everything that decides a result: flows, tasks, SQL, suites, lock file."""
    digest = hashlib.sha256()
    for name in CODE_ROOTS:
        for file in sorted([root / name] if (root / name).is_file() else (root / name).rglob("*")):
            if file.is_file() and "__pycache__" not in file.parts:
                digest.update(f"{file.relative_to(root)}\n".encode() + file.read_bytes())
    return digest.hexdigest()


def lock_hash() -> str:
    """Return the checksum of the lock file."""
    return _sha256(PROJECT_ROOT / "requirements.lock")


def run_folder(home: Home, study_id: str, run_id: str) -> Path:
    """Folder of a finished run."""
    return home.runs / study_id / run_id


def read_manifest(folder: Path) -> dict[str, object] | None:
    """Return the manifest of a run folder, or None where there is none that can be read."""
    try:
        found = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def is_intact(
    folder: Path, disclosure_threshold: int | None = None, round_counts_to: int = 0
) -> bool:
    """Whether a run is published under this policy, and every file has its checksum still."""
    manifest = read_manifest(folder)
    if not manifest or manifest["status"] != "published":
        return False
    if manifest.get("disclosure_threshold") != disclosure_threshold:
        return False
    if manifest.get("round_counts_to", 0) != round_counts_to:
        return False
    files = manifest["files"]
    return isinstance(files, dict) and all(
        (folder / name).is_file() and _sha256(folder / name) == sha for name, sha in files.items()
    )


@contextmanager
def run_lock(home: Home, run_id: str, seconds: float = 3600) -> Iterator[None]:
    """Hold the one right to work on this run; a second start of it waits.

    Raises:
        BusyError: The other start did not end within `seconds`.
    """
    lock = FileLock(home.work / f"{run_id}.lock", timeout=seconds)
    try:
        lock.acquire()
    except Timeout:
        what = f"the same run has been going on for {seconds:g} seconds"
        raise BusyError(
            f"run {run_id}", what, "wait for it, or end it, then start again."
        ) from None
    try:
        yield
    finally:
        lock.release()


def begin(home: Home, identity: RunIdentity) -> Workspace:
    """Return an empty workspace; what an earlier, half-done start left is closed and removed.

    Call under `run_lock`: whoever holds the lock knows that nobody else is at work here.
    """
    run_id = identity.run_id
    outputs = home.runs / identity.study_id / f".{run_id}.partial"
    private = home.work / run_id
    if outputs.exists():
        record(home, "run-closed-as-crashed", study_id=identity.study_id, run_id=run_id)
    for folder in (outputs, private):
        shutil.rmtree(folder, ignore_errors=True)
    outputs.mkdir(parents=True)
    private.mkdir(parents=True, mode=0o700)
    return Workspace(private, outputs)


def finish(
    home: Home,
    identity: RunIdentity,
    workspace: Workspace,
    status: Status,
    details: Mapping[str, object],
    *,
    shown: Shown = "always",
) -> Path:
    """Write the manifest, move the outputs to their place and, if published, switch to them.

    Args:
        home: The working home.
        identity: The run.
        workspace: As returned by `begin`.
        status: `published` switches published/<study>; the others leave it as it is.
        details: What else the manifest tells: deliveries, gates, seeds.
        shown: Where to show a published run: `if_newest` leaves published/<study> alone where it
            shows a newer snapshot, `nowhere` always.

    Returns:
        The run folder.
    """
    _write_manifest(identity, workspace.outputs, status, details)
    folder = run_folder(home, identity.study_id, identity.run_id)
    _sync(workspace.outputs)
    if folder.exists():
        shutil.rmtree(folder)
    workspace.outputs.rename(folder)
    if status == "published" and shown != "nowhere":
        switch_published(home, identity, keep_newer=shown == "if_newest")
    record(home, f"run-{status}", study_id=identity.study_id, run_id=identity.run_id)
    return folder


def switch_published(home: Home, identity: RunIdentity, *, keep_newer: bool = False) -> None:
    """Let published/<study_id> point at this run, in one atomic step.

    With `keep_newer`, a run on an older snapshot than the one shown does not take its place: who
    looks back does not take the newest evidence away from others.
    """
    study_id = identity.study_id
    if keep_newer and _published_snapshot(home, study_id) > identity.snapshot_id:
        return
    link, fresh = home.published / study_id, home.published / f".{study_id}.{os.getpid()}"
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(Path("..") / "runs" / study_id / identity.run_id)
    fresh.replace(link)


def _published_snapshot(home: Home, study_id: str) -> int:
    run_id = published_run_id(home, study_id)
    manifest = read_manifest(run_folder(home, study_id, run_id)) if run_id else None
    return int(str(manifest["snapshot_id"])) if manifest else 0


def published_run_id(home: Home, study_id: str) -> str | None:
    """Return the run that published/<study_id> points at."""
    link = home.published / study_id
    return link.resolve().name if link.is_symlink() else None


def package_versions() -> dict[str, str]:
    """Return the versions of the packages that numbers come from."""
    return {name: version(name) for name in PACKAGES}


def _write_manifest(
    identity: RunIdentity, folder: Path, status: Status, details: Mapping[str, object]
) -> None:
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    manifest = {
        "run_id": identity.run_id,
        "study_id": identity.study_id,
        "study_version": identity.study_version,
        "spec_hash": identity.spec_hash,
        "snapshot_id": identity.snapshot_id,
        "content_hash": identity.content_hash,
        "data_cutoff": identity.data_cutoff,
        "code_hash": identity.code_hash,
        "lock_hash": lock_hash(),
        "packages": package_versions(),
        "status": status,
        **details,
        "files": {str(file.relative_to(folder)): _sha256(file) for file in files},
    }
    text = json.dumps(manifest, indent=2, ensure_ascii=False, sort_keys=True)
    (folder / "manifest.json").write_text(text + "\n", encoding="utf-8")


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _sync(folder: Path) -> None:
    """Bring every file of a folder to disk before the folder gets its final name."""
    for path in (*folder.rglob("*"), folder):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
