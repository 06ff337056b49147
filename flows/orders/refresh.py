"""The nightly order of work: take in every waiting delivery, then bring every study up to date."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeVar

from flows.orders.delivery import deliver, named
from flows.orders.outcome import RunOutcome
from flows.orders.pinned import ensure_served
from flows.orders.study import study_run
from tasks.core.errors import CausewayError, Message, NoDataError
from tasks.core.lake import newest_snapshot, open_lake
from tasks.core.paths import Home
from tasks.core.site import load_site
from tasks.core.spec import study_ids
from tasks.ingest.model import DeliveryOutcome

Given = TypeVar("Given")
Done = TypeVar("Done")
Deliver = Callable[[Path], DeliveryOutcome]
Run = Callable[[str], RunOutcome]


@dataclass(slots=True)
class RefreshOutcome:
    """What a refresh did; one failure stops nothing else, and is never lost."""

    deliveries: list[DeliveryOutcome] = field(default_factory=list)
    runs: list[RunOutcome] = field(default_factory=list)
    failures: list[Message] = field(default_factory=list)
    waiting: list[Message] = field(default_factory=list)
    exit_code: int = 0

    def note(self, code: int) -> None:
        """Keep the highest exit code seen."""
        self.exit_code = max(self.exit_code, code)


def waiting_deliveries(home: Home) -> list[Path]:
    """Return the deliveries in the inbox whose manifest has been written, in the order of time.

    By site, then data cut-off, then full before increment: an increment follows what it adds to.
    """
    found = [file.parent for file in home.inbox.glob("*/*/manifest.json")]
    return sorted(found, key=lambda folder: (folder.parent.name, *_turn(folder), folder.name))


def _turn(folder: Path) -> tuple[str, str]:
    try:
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        return str(manifest["data_cutoff"]), str(manifest["kind"] != "full")
    except (OSError, ValueError, KeyError, TypeError):
        return "", ""  # its faults are told when it is taken in


def refresh(
    home: Home, deliver_one: Deliver | None = None, run_one: Run | None = None
) -> RefreshOutcome:
    """Ingest what waits in the inbox, then run every study; unchanged studies cost nothing.

    Args:
        home: The working home.
        deliver_one: How one delivery is taken in; in this process when absent.
        run_one: How one study is run; in this process when absent.
    """
    take_in = deliver_one or (lambda path: named(deliver(home, path), path))
    run = run_one or partial(study_run, home)
    outcome = RefreshOutcome()
    for path in waiting_deliveries(home):
        if delivered := _attempt(outcome, take_in, path):
            outcome.deliveries.append(delivered)
    for study in study_ids() if _has_data(home) else ():
        done = None if _waits(outcome, home, study) else _attempt(outcome, run, study)
        if done:
            outcome.runs.append(done)
    codes = [*(d.exit_code for d in outcome.deliveries), *(r.exit_code for r in outcome.runs)]
    outcome.note(max(codes, default=0))
    return outcome


def _has_data(home: Home) -> bool:
    try:
        with open_lake(home, load_site(home)) as con:
            return newest_snapshot(con) > 0
    except NoDataError:
        return False


def _waits(outcome: RefreshOutcome, home: Home, study: str) -> bool:
    """Whether a study waits for data; noted, and not started. Any fault is told by its run."""
    try:
        ensure_served(home, study)
    except NoDataError as exc:
        outcome.waiting.extend(exc.messages)
        return True
    except CausewayError:
        return False
    return False


def _attempt(outcome: RefreshOutcome, work: Callable[[Given], Done], given: Given) -> Done | None:
    """Do one thing; a failure is noted and returns None."""
    try:
        return work(given)
    except CausewayError as exc:
        outcome.failures.extend(exc.messages)
        outcome.note(exc.exit_code)
        return None
