"""Flow runs whose process died: Prefect shows them as running for ever, so the next start asks.

While a flow works it holds a lock file that the kernel lets go when the process dies. A lock
that can be taken belongs to a dead run; its state is then set to Crashed.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

from filelock import FileLock, Timeout
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import FlowRunFilter
from prefect.client.schemas.objects import StateType
from prefect.exceptions import ObjectNotFound
from prefect.logging import get_run_logger
from prefect.runtime import flow_run
from prefect.states import Crashed

from tasks.core.paths import Home

MESSAGE = "The process ended without a word; closed by the next start."
OPEN = [StateType.RUNNING, StateType.PENDING, StateType.CANCELLING]


@contextmanager
def watched(home: Home) -> Iterator[None]:
    """Close what died before, then hold this flow run's own lock while it works."""
    folder = _folder(home)
    lock = FileLock(folder / f"{flow_run.id}.lock")
    with _turn(folder):
        for closed in _close_unheld(folder):
            get_run_logger().warning("flow run %s had crashed; its state is closed", closed)
        lock.acquire()
    try:
        yield
    finally:
        Path(lock.lock_file).unlink(missing_ok=True)
        lock.release()


def close_abandoned(home: Home) -> list[str]:
    """Close every flow run that the server takes for alive and that no process holds.

    For the start of a server, when nothing has begun to work; a run that died before it took
    its lock is found too.
    """
    folder = _folder(home)
    with _turn(folder), get_client(sync_client=True) as client:
        closed = _close_unheld(folder)
        alive = FlowRunFilter.model_validate({"state": {"type": {"any_": OPEN}}})
        for run in client.read_flow_runs(flow_run_filter=alive):
            if not (folder / f"{run.id}.lock").exists() and _crash(client, str(run.id)):
                closed.append(str(run.id))
    return closed


def _folder(home: Home) -> Path:
    folder = home.work / "flow-runs"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _turn(folder: Path) -> FileLock:
    """One at a time, so that nobody takes a lock that is about to be held for one left behind."""
    return FileLock(folder / ".turn")


def _close_unheld(folder: Path) -> list[str]:
    """Set every flow run whose lock can be taken to Crashed; return the ids of those that were."""
    closed = []
    for file in sorted(folder.glob("*.lock")):
        lock = FileLock(file, timeout=0)
        try:
            lock.acquire()
        except Timeout:
            continue
        try:
            with get_client(sync_client=True) as client:
                if _crash(client, file.stem):
                    closed.append(file.stem)
            file.unlink(missing_ok=True)
        finally:
            lock.release()
    return closed


def _crash(client: SyncPrefectClient, flow_run_id: str) -> bool:
    """Set a flow run that is not over to Crashed; tell whether it was so."""
    try:
        run = client.read_flow_run(UUID(flow_run_id))
    except ObjectNotFound:
        return False
    if run.state is None or run.state.is_final():
        return False
    client.set_flow_run_state(run.id, Crashed(message=MESSAGE), force=True)
    return True
