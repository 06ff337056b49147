"""Flow `nightly-refresh`: every new delivery, then every study whose inputs changed."""

from pathlib import Path
from zoneinfo import ZoneInfo

from prefect import flow
from prefect.runtime import flow_run

from flows.artifacts import (
    failed_parts,
    failure_shown,
    show_delivery,
    show_refresh,
    show_run,
)
from flows.crashed import watched
from flows.orders.delivery import deliver, named
from flows.orders.outcome import RunOutcome
from flows.orders.refresh import refresh
from flows.orders.status import status_of
from flows.orders.study import study_run
from flows.steps_prefect import as_task_of
from tasks.core.errors import CausewayError
from tasks.core.paths import Home, home_from
from tasks.core.site import load_site
from tasks.ingest.model import DeliveryOutcome


def _name() -> str:
    """Name a run after the night it was planned for, in the site's time zone."""
    zone = ZoneInfo(load_site(home_from()).time_zone)
    return f"nightly-refresh/{flow_run.scheduled_start_time.astimezone(zone):%Y-%m-%d}"


@flow(name="nightly-refresh", flow_run_name=_name, timeout_seconds=6 * 3600)
def nightly_refresh() -> dict[str, int]:
    """Take in what waits in the inbox, then bring every study up to date. 야간 갱신.

    One delivery or study that fails stops none of the others; the run then ends as Failed and
    says which. What was published before stays in force.
    """
    home = home_from().prepare()
    with watched(home):
        outcome = refresh(home, lambda path: _deliver(home, path), lambda study: _run(home, study))
        show_refresh(outcome, status_of(home)["deliveries"])
    if failed := failed_parts(outcome):
        fix = "read the artifacts of this run; what was published before stays in force."
        raise CausewayError("nightly-refresh", "; ".join(failed), fix)
    return {"deliveries": len(outcome.deliveries), "studies": len(outcome.runs)}


def _deliver(home: Home, path: Path) -> DeliveryOutcome:
    with failure_shown(f"delivery-{path.name}"):
        outcome = named(deliver(home, path, as_task_of(path.name)), path)
    show_delivery(outcome, load_site(home))
    return outcome


def _run(home: Home, study: str) -> RunOutcome:
    with failure_shown(study):
        outcome = study_run(home, study, None, as_task_of(study))
    show_run(outcome, load_site(home))
    return outcome
