"""Flow runs whose process died: Prefect shows them as running for ever, so the next start asks.

While a flow works it holds a lock file that the kernel lets go when the process dies. A lock
that can be taken belongs to a dead run; its state is then set to Crashed.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

from filelock import FileLock, Timeout
from prefect.client.orchestration import get_client
from prefect.exceptions import ObjectNotFound
from prefect.logging import get_run_logger
from prefect.runtime import flow_run
from prefect.states import Crashed

from tasks.core.paths import Home


@contextmanager
def watched(home: Home) -> Iterator[None]:
    """Close what died before, then hold this flow run's own lock while it works."""
    folder = home.work / "flow-runs"
    folder.mkdir(parents=True, exist_ok=True)
    close_crashed(folder)
    lock = FileLock(folder / f"{flow_run.id}.lock")
    with lock:
        yield
    Path(lock.lock_file).unlink(missing_ok=True)


def close_crashed(folder: Path) -> list[str]:
    """Set every flow run whose process is gone to Crashed; return their ids."""
    closed = []
    for file in sorted(folder.glob("*.lock")):
        lock = FileLock(file, timeout=0)
        try:
            lock.acquire()
        except Timeout:
            continue
        try:
            _crash(file.stem)
            closed.append(file.stem)
            file.unlink(missing_ok=True)
        finally:
            lock.release()
    return closed


def _crash(flow_run_id: str) -> None:
    message = "The process ended without a word; closed by the next run."
    with get_client(sync_client=True) as client:
        try:
            run = client.read_flow_run(UUID(flow_run_id))
        except ObjectNotFound:
            return
        if run.state and not run.state.is_final():
            client.set_flow_run_state(run.id, Crashed(message=message), force=True)
            get_run_logger().warning("flow run %s had crashed; its state is closed", flow_run_id)
