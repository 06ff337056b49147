"""Flow `ingest-delivery`: check, stage, judge and commit one delivery."""

from pathlib import Path
from typing import Annotated

from prefect import flow
from pydantic import Field, WithJsonSchema

from flows.artifacts import failure_shown, show_delivery
from flows.crashed import watched
from flows.orders.delivery import deliver, named
from flows.steps_prefect import as_task
from tasks.core.errors import DeliveryError
from tasks.core.paths import home_from
from tasks.core.site import load_site

_DELIVERY = {
    "type": "string",
    "minLength": 1,
    "maxLength": 500,
    "description": "Folder or archive of the delivery, such as siteA/D-0001: below the inbox of "
    "the home, or a whole path on this machine. 납품 폴더 또는 압축 파일.",
}
Delivery = Annotated[str, Field(min_length=1, max_length=500), WithJsonSchema(_DELIVERY)]


@flow(name="ingest-delivery", flow_run_name="ingest-delivery/{delivery}", timeout_seconds=6 * 3600)
def ingest_delivery(delivery: Delivery) -> dict[str, object]:
    """Take in one delivery: checks, quarantine, quality gate, one commit. 납품 자료를 받아들인다.

    A delivery that is known already changes nothing. One that is rejected or held back by the
    gate ends the run as Failed, and the last good state stays in force.
    """
    home = home_from().prepare()
    below_inbox = home.inbox / delivery
    path = below_inbox if below_inbox.exists() else Path(delivery)
    with watched(home):
        with failure_shown(f"delivery-{path.name}"):
            outcome = named(deliver(home, path, as_task), path)
        show_delivery(outcome, load_site(home))
    if outcome.exit_code:
        what = f"{outcome.status}: {', '.join(outcome.codes)}"
        raise DeliveryError(delivery, what, "read the artifact of this run, then send it again.")
    return outcome.as_json()
