"""What a home holds at this moment, without person rows."""

from datetime import UTC, date, datetime
from typing import Any

from filelock import FileLock, Timeout

from flows.orders.refresh import waiting_deliveries
from tasks.core.errors import NoDataError
from tasks.core.lake import deliveries_in_force, open_lake, snapshots
from tasks.core.paths import Home
from tasks.core.runs import published_run_id, read_manifest, run_folder
from tasks.core.site import load_site

_SHOWN = (
    "site_id",
    "delivery_id",
    "controller",
    "kind",
    "format",
    "data_cutoff",
    "data_class",
    "status",
)


def status_of(home: Home) -> dict[str, Any]:
    """Return home, lake, deliveries in force with their age, published and running runs."""
    commits, deliveries = _lake(home)
    newest = commits[-1]["snapshot_id"] if commits else None
    return {
        "home": str(home.root),
        "lake": {"newest_snapshot": newest, "snapshots": commits},
        "deliveries": deliveries,
        "waiting": [str(path.relative_to(home.inbox)) for path in waiting_deliveries(home)],
        "published": _published(home),
        "running": _running(home),
    }


def _lake(home: Home) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The snapshots that can be pinned, oldest first, and the deliveries in force."""
    try:
        with open_lake(home, load_site(home)) as con:
            return snapshots(con), [_fresh(row) for row in deliveries_in_force(con)]
    except NoDataError:
        return [], []


def _fresh(row: dict[str, object]) -> dict[str, Any]:
    cutoff = row["data_cutoff"]
    today = datetime.now(UTC).date()
    days = (today - cutoff).days if isinstance(cutoff, date) else None
    return {name: row[name] for name in _SHOWN} | {"days_since_cutoff": days}


def _published(home: Home) -> list[dict[str, Any]]:
    found = []
    for link in sorted(home.published.glob("[!.]*")):
        run_id = published_run_id(home, link.name)
        manifest = read_manifest(run_folder(home, link.name, run_id)) if run_id else None
        if manifest:
            names = ("study_id", "run_id", "snapshot_id", "data_cutoff")
            found.append({name: manifest[name] for name in names})
    return found


def _running(home: Home) -> list[dict[str, Any]]:
    """Runs whose lock is held by a live process."""
    running = []
    for file in sorted(home.work.glob("*.lock")):
        lock = FileLock(file, timeout=0)
        try:
            lock.acquire()
            lock.release()
        except Timeout:
            running.append({"run_id": file.stem})
    return running
