"""How a run of a study ended."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from tasks.core.errors import CausewayError, Message


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """How a run ended, for a person, a program and the flow's artifacts."""

    study_id: str
    run_id: str
    status: Literal["published", "blocked", "failed"]
    snapshot_id: int
    folder: Path
    was_known: bool = False
    gates: list[dict[str, object]] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)
    exit_code: int = 0

    @property
    def reports(self) -> list[Path]:
        """The report files of the run, HTML first."""
        return sorted(self.folder.glob("report.*"), key=lambda f: (f.suffix, f.name))

    def as_json(self) -> dict[str, object]:
        """Return the outcome in the form of `causeway run --json`."""
        published = self.status == "published"
        return {
            "study_id": self.study_id,
            "run_id": self.run_id,
            "status": self.status,
            "snapshot_id": self.snapshot_id,
            "results": str(self.folder / "results.parquet") if published else None,
            "reports": [str(file) for file in self.reports] if published else [],
            "gates": [
                {key: gate[key] for key in ("name", "verdict", "value", "threshold")}
                for gate in self.gates
            ],
            "messages": [
                {"code": m.code, "where": m.where, "what": m.what, "fix": m.fix}
                for m in self.messages
            ],
        }


class RunNotPublishedError(CausewayError):
    """A run ended blocked or failed; carries the outcome."""

    def __init__(self, outcome: RunOutcome) -> None:
        first = outcome.messages[0]
        super().__init__(first.where, first.what, first.fix, first.code)
        self.outcome = outcome
        self.exit_code = outcome.exit_code
