"""Flow `nightly-refresh`: every new delivery, then every study whose inputs changed."""

from pathlib import Path

from prefect import flow

from flows.artifacts import show_delivery, show_run
from flows.crashed import watched
from flows.steps_prefect import as_task
from flows.work.delivery import deliver
from flows.work.refresh import refresh
from flows.work.study import RunOutcome, study_run
from tasks.core.errors import CausewayError
from tasks.core.paths import Home, home_from
from tasks.core.site import load_site
from tasks.ingest.model import DeliveryOutcome


@flow(name="nightly-refresh", flow_run_name="nightly-refresh", timeout_seconds=6 * 3600)
def nightly_refresh() -> dict[str, int]:
    """Take in what waits in the inbox, then bring every study up to date. 야간 갱신.

    One delivery or study that fails stops none of the others; the run then ends as Failed and
    says which. What was published before stays in force.
    """
    home = home_from().prepare()
    with watched(home):
        outcome = refresh(home, lambda path: _deliver(home, path), lambda study: _run(home, study))
    if outcome.failures or outcome.exit_code:
        failed = [m for r in (*outcome.runs,) for m in r.messages if r.exit_code]
        failed += outcome.failures
        what = (
            "; ".join(f"{m.code} {m.where}: {m.what}" for m in failed) or "a delivery was rejected"
        )
        raise CausewayError("nightly-refresh", what, "read the artifacts of this run.")
    return {"deliveries": len(outcome.deliveries), "studies": len(outcome.runs)}


def _deliver(home: Home, path: Path) -> DeliveryOutcome:
    outcome = deliver(home, path, as_task)
    show_delivery(outcome)
    return outcome


def _run(home: Home, study: str) -> RunOutcome:
    outcome = study_run(home, study, None, as_task)
    show_run(outcome, load_site(home))
    return outcome
