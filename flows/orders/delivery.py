"""One delivery: verify and stage, ask the quality gate, commit. The lake changes once or not."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Protocol

from flows.orders.steps import Caller, directly, guarded
from tasks.core.audit import record
from tasks.core.errors import Message
from tasks.core.fhir import CLINICAL_FORMATS
from tasks.core.lake import ensure_lake
from tasks.core.paths import Home
from tasks.core.site import load_site
from tasks.ingest.commit import commit_delivery
from tasks.ingest.model import DeliveryOutcome
from tasks.ingest.rules import gate_finding
from tasks.ingest.stage import Staged, stage_delivery
from tasks.ingest.turn import ingest_turn


class GateVerdict(Protocol):
    """What the quality gate says about a staged delivery."""

    @property
    def blocked(self) -> bool:
        """Whether the delivery is held back."""

    def messages(self) -> Sequence[Message]:
        """Return what a person must read, what blocks first."""

    def as_json(self) -> str:
        """Return the verdict as one JSON document."""


Gate = Callable[[Staged], GateVerdict | None]


def quality_gate(staged: Staged) -> GateVerdict | None:
    """Judge a staged delivery of the data model; a registry table has no suites and no verdict."""
    from tasks.quality.gate import judge  # loads Great Expectations, which takes seconds

    manifest = staged.manifest
    if manifest is None or staged.stage_file is None or manifest.format not in CLINICAL_FORMATS:
        return None
    return judge(staged.stage_file, kind=manifest.kind, data_cutoff=manifest.data_cutoff)


def deliver(
    home: Home, path: Path, call: Caller = directly, gate: Gate = quality_gate
) -> DeliveryOutcome:
    """Take in one delivery; the lake changes once, completely, or not at all.

    Args:
        home: The working home; created where it is missing.
        path: Folder or archive of the delivery.
        call: How each step is called.
        gate: Judges the staged delivery; None from it means that no rule applies.

    Raises:
        UsageError: There is no such delivery.
        BusyError: Another ingest did not end in time.
    """
    step, site = guarded(home.prepare(), call), load_site(home)
    with ingest_turn(home):
        step("open lake", ensure_lake, home, site)
        staged = step("verify and stage", stage_delivery, home, site, path)
        verdict = step("judge quality", gate, staged) if staged.status == "staged" else None
        found = [gate_finding(message) for message in verdict.messages()] if verdict else []
        blocked = bool(verdict and verdict.blocked)
        quality = verdict.as_json() if verdict else ""
        commit = partial(commit_delivery, blocked=blocked)
        outcome: DeliveryOutcome = step("commit", commit, home, site, staged, found, quality)
    if outcome.status != "noop":
        record(home, f"delivery-{outcome.status}", delivery_id=outcome.delivery_id or "unknown")
    return outcome


def named(outcome: DeliveryOutcome, path: Path) -> DeliveryOutcome:
    """Return the outcome named after its folder where its manifest could not be read."""
    site_id = outcome.site_id or path.parent.name
    return replace(outcome, site_id=site_id, delivery_id=outcome.delivery_id or path.name)
