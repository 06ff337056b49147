"""The demonstrations: data that are public or simulated, taken in and studied, end to end."""

import logging
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from flows.orders.delivery import deliver
from flows.orders.outcome import RunOutcome
from flows.orders.study import study_run
from tasks.core.errors import NoDataError, UsageError
from tasks.core.lake import open_lake
from tasks.core.paths import Home
from tasks.core.site import load_site
from tasks.ingest.eunomia import DELIVERY_ID, SITE_ID, write_eunomia_delivery
from tasks.ingest.model import DeliveryOutcome
from tasks.simulate.consortium import simulate_consortium

log = logging.getLogger("causeway")

PERSONS, SITES, SEED, SCENARIO = 6_000, 6, 1, "consortium"


@dataclass(frozen=True, slots=True)
class Taken:
    """The deliveries of one demonstration and what to know about them; none if taken before."""

    deliveries: tuple[DeliveryOutcome, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class DemoOutcome:
    """What the demonstrations did."""

    taken: tuple[Taken, ...]
    runs: tuple[RunOutcome, ...]

    @property
    def exit_code(self) -> int:
        """The highest exit code of its parts."""
        codes = [delivery.exit_code for taken in self.taken for delivery in taken.deliveries]
        return max([*codes, *(run.exit_code for run in self.runs)], default=0)


def demo(home: Home, studies: Sequence[str] = ()) -> DemoOutcome:
    """Bring the demonstrations up to date; a second call changes nothing.

    Args:
        home: The working home.
        studies: Which of them; all when empty.

    Raises:
        CausewayError: There is no such demonstration, data are missing, or a step failed.
    """
    chosen = tuple(studies) or tuple(DEMONSTRATIONS)
    if unknown := sorted(set(chosen) - set(DEMONSTRATIONS)):
        what = f"no such demonstration; there are {', '.join(DEMONSTRATIONS)}"
        raise UsageError(unknown[0], what, "name one of them, or none for all.")
    home.prepare()
    taken = tuple(DEMONSTRATIONS[study](home) for study in chosen)
    return DemoOutcome(taken, tuple(study_run(home, study) for study in chosen))


def _eunomia(home: Home) -> Taken:
    """Take in OHDSI's GiBleed data, from the package that ships them."""
    if _has(home, SITE_ID, DELIVERY_ID):
        return Taken()
    written = write_eunomia_delivery(home.inbox / SITE_ID / DELIVERY_ID)
    return Taken((deliver(home, written.folder),), written.note)


def _consortium(home: Home) -> Taken:
    """Take in a simulated consortium; its deliveries and its truth stay to be looked at."""
    folder = home.restricted / "simulated"
    last = f"sim-{SITES:02d}"
    if _has(home, last, f"{last}-full"):
        return Taken()
    shutil.rmtree(folder, ignore_errors=True)
    made = simulate_consortium(
        folder, PERSONS, SITES, SEED, SCENARIO, progress=lambda text: log.info("%s", text)
    )
    note = f"the consortium is simulated; what was planted stands in {made.truth}."
    return Taken(tuple(deliver(home, path) for path in made.deliveries), note)


DEMONSTRATIONS: Mapping[str, Callable[[Home], Taken]] = {
    "gibleed_celecoxib_diclofenac": _eunomia,
    "ai_cxr_triage": _consortium,
}


def _has(home: Home, site_id: str, delivery_id: str) -> bool:
    query = (
        "select 1 from lake.meta.delivery "
        "where site_id = $site and delivery_id = $id and status like 'accepted%'"
    )
    try:
        with open_lake(home, load_site(home)) as con:
            return con.execute(query, {"site": site_id, "id": delivery_id}).fetchone() is not None
    except NoDataError:
        return False
