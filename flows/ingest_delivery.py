"""Ingest one delivery: verify and stage, ask the quality gate, commit."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from tasks.core.errors import Message
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
    """Judge a staged OMOP delivery; a registry table has no suites and no verdict."""
    from tasks.quality.gate import judge  # loads Great Expectations, which takes seconds

    if staged.manifest is None or staged.stage_file is None or staged.manifest.format != "omop":
        return None
    manifest = staged.manifest
    return judge(staged.stage_file, kind=manifest.kind, data_cutoff=manifest.data_cutoff)


def ingest_delivery(home: Home, path: Path, gate: Gate = quality_gate) -> DeliveryOutcome:
    """Take in one delivery; the lake changes once, completely, or not at all.

    Args:
        home: The working home; created where it is missing.
        path: Folder or archive of the delivery.
        gate: Judges the staged delivery; None from it means that no rule applies.

    Raises:
        UsageError: There is no such delivery.
        BusyError: Another ingest did not end in time.
    """
    site = load_site(home)
    with ingest_turn(home):
        staged = stage_delivery(home, site, path)
        verdict = gate(staged) if staged.status == "staged" else None
        found = [gate_finding(message) for message in verdict.messages()] if verdict else []
        blocked = bool(verdict and verdict.blocked)
        quality = verdict.as_json() if verdict else ""
        return commit_delivery(home, site, staged, found, quality, blocked=blocked)
