"""The demonstration: a delivery of OHDSI's GiBleed data, taken in and studied, end to end."""

from dataclasses import dataclass

from flows.orders.delivery import deliver
from flows.orders.study import RunOutcome, study_run
from tasks.core.errors import NoDataError
from tasks.core.lake import open_lake
from tasks.core.paths import Home
from tasks.core.site import load_site
from tasks.ingest.eunomia import DELIVERY_ID, SITE_ID, write_eunomia_delivery
from tasks.ingest.model import DeliveryOutcome

STUDIES = ("gibleed_celecoxib_diclofenac",)


@dataclass(frozen=True, slots=True)
class DemoOutcome:
    """What the demonstration did; `delivery` is None when the data were there already."""

    delivery: DeliveryOutcome | None
    note: str
    runs: tuple[RunOutcome, ...]

    @property
    def exit_code(self) -> int:
        """The highest exit code of its parts."""
        codes = [run.exit_code for run in self.runs]
        return max([*codes, self.delivery.exit_code if self.delivery else 0])


def demo(home: Home) -> DemoOutcome:
    """Bring the demonstration up to date; a second call changes nothing.

    Raises:
        CausewayError: The data package is missing, or a step failed.
    """
    home.prepare()
    delivery, note = None, ""
    if not _has_demo_data(home):
        written = write_eunomia_delivery(home.inbox / SITE_ID / DELIVERY_ID)
        delivery, note = deliver(home, written.folder), written.note
    runs = tuple(study_run(home, study) for study in STUDIES)
    return DemoOutcome(delivery, note, runs)


def _has_demo_data(home: Home) -> bool:
    query = (
        "select 1 from lake.meta.delivery "
        "where site_id = $site and delivery_id = $id and status like 'accepted%'"
    )
    try:
        with open_lake(home, load_site(home)) as con:
            return con.execute(query, {"site": SITE_ID, "id": DELIVERY_ID}).fetchone() is not None
    except NoDataError:
        return False
