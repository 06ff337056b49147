"""What an ingest tells: findings, the outcome of each file, the outcome of the delivery."""

from dataclasses import dataclass, replace
from typing import Literal

Severity = Literal["error", "warning", "info"]
FileStatus = Literal["loaded", "rejected", "skipped"]
DeliveryStatus = Literal[
    "accepted", "accepted_with_warnings", "partial", "rejected", "blocked", "noop"
]

_SEVERITY: dict[str, Severity] = {"E": "error", "W": "warning", "I": "info"}
_EXIT_CODE = {"partial": 12, "rejected": 12, "blocked": 13}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to tell about a delivery: code, place, and a sentence without any cell value."""

    code: str
    severity: Severity
    file: str | None
    line: int | None
    column: str | None
    message: str

    def as_json(self) -> dict[str, object]:
        """Return the message object of `ingest --json`."""
        return {
            "code": self.code,
            "severity": self.severity,
            "file": self.file,
            "line": self.line,
            "column": self.column,
            "message": self.message,
        }


@dataclass(frozen=True, slots=True)
class FileOutcome:
    """What became of one file. Rows in = rows loaded + rows quarantined + rows deduplicated.

    A file that was read but not loaded counts all its rows as quarantined; a file that was not
    read counts none.
    """

    file: str
    table: str | None
    status: FileStatus
    rows_in: int
    rows_loaded: int
    rows_quarantined: int
    rows_deduplicated: int
    codes: tuple[str, ...]

    def held_back(self, status: FileStatus) -> "FileOutcome":
        """Return this outcome with nothing loaded."""
        return replace(
            self,
            status=status,
            rows_loaded=0,
            rows_quarantined=self.rows_in,
            rows_deduplicated=0,
        )

    def as_json(self) -> dict[str, object]:
        """Return the file object of `ingest --json`."""
        return {
            "file": self.file,
            "table": self.table,
            "status": self.status,
            "rows_in": self.rows_in,
            "rows_loaded": self.rows_loaded,
            "rows_quarantined": self.rows_quarantined,
            "rows_deduplicated": self.rows_deduplicated,
            "codes": list(self.codes),
        }


@dataclass(frozen=True, slots=True)
class DeliveryOutcome:
    """What became of one delivery; ids are None where the manifest could not be read.

    `is_patient_data` is True unless the manifest declares the data synthetic and public.
    """

    delivery_id: str | None
    site_id: str | None
    status: DeliveryStatus
    snapshot_id: int | None
    codes: tuple[str, ...]
    files: tuple[FileOutcome, ...]
    messages: tuple[Finding, ...]
    is_patient_data: bool = True

    @property
    def exit_code(self) -> int:
        """Exit code of `causeway ingest` for this delivery."""
        return _EXIT_CODE.get(self.status, 0)

    def as_json(self) -> dict[str, object]:
        """Return the delivery object of `ingest --json`."""
        return {
            "delivery_id": self.delivery_id,
            "site_id": self.site_id,
            "status": self.status,
            "snapshot_id": self.snapshot_id,
            "codes": list(self.codes),
            "files": [file.as_json() for file in self.files],
            "messages": [finding.as_json() for finding in self.messages],
        }


class FileRefusedError(Exception):
    """Internal: one file cannot be used; carries why."""

    def __init__(self, *findings: Finding) -> None:
        self.findings = findings
        super().__init__(findings[0].message)


class DeliveryRefusedError(Exception):
    """Internal: nothing of the delivery may be used; carries why."""

    def __init__(self, *findings: Finding) -> None:
        self.findings = findings
        super().__init__(findings[0].message)


def severity_of(code: str) -> Severity:
    """Return the severity that the first letter of a code stands for."""
    return _SEVERITY[code[0]]


def codes_of(findings: tuple[Finding, ...] | list[Finding]) -> tuple[str, ...]:
    """Return the codes of `findings`, each once, sorted."""
    return tuple(sorted({finding.code for finding in findings}))
