"""The nightly order of work: take in every waiting delivery, then bring every study up to date."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from flows.work.delivery import deliver
from flows.work.study import RunOutcome, study_run
from tasks.core.errors import CausewayError, LakeError, Message
from tasks.core.lake import newest_snapshot, open_lake
from tasks.core.paths import Home
from tasks.core.site import load_site
from tasks.core.spec import study_ids
from tasks.ingest.model import DeliveryOutcome

Deliver = Callable[[Path], DeliveryOutcome]
Run = Callable[[str], RunOutcome]


@dataclass(slots=True)
class RefreshOutcome:
    """What a refresh did; one failure stops nothing else, and is never lost."""

    deliveries: list[DeliveryOutcome] = field(default_factory=list)
    runs: list[RunOutcome] = field(default_factory=list)
    failures: list[Message] = field(default_factory=list)
    exit_code: int = 0

    def note(self, code: int) -> None:
        """Keep the highest exit code seen."""
        self.exit_code = max(self.exit_code, code)


def waiting_deliveries(home: Home) -> list[Path]:
    """Return the deliveries in the inbox whose manifest has been written, in a fixed order."""
    return sorted(file.parent for file in home.inbox.glob("*/*/manifest.json"))


def refresh(
    home: Home, deliver_one: Deliver | None = None, run_one: Run | None = None
) -> RefreshOutcome:
    """Ingest what waits in the inbox, then run every study; unchanged studies cost nothing.

    Args:
        home: The working home.
        deliver_one: How one delivery is taken in; in this process when absent.
        run_one: How one study is run; in this process when absent.
    """
    take_in = deliver_one or (lambda path: deliver(home, path))
    run = run_one or (lambda study: study_run(home, study))
    outcome = RefreshOutcome()
    for path in waiting_deliveries(home):
        _attempt(outcome, lambda path=path: outcome.deliveries.append(take_in(path)))
    for study in study_ids() if _has_data(home) else ():
        _attempt(outcome, lambda study=study: outcome.runs.append(run(study)))
    for done in (*outcome.deliveries, *outcome.runs):
        outcome.note(done.exit_code)
    return outcome


def _has_data(home: Home) -> bool:
    try:
        with open_lake(home, load_site(home)) as con:
            return newest_snapshot(con) > 0
    except LakeError:
        return False


def _attempt(outcome: RefreshOutcome, work: Callable[[], None]) -> None:
    try:
        work()
    except CausewayError as exc:
        outcome.failures.extend(exc.messages)
        outcome.note(exc.exit_code)
