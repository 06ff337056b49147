"""What a quality check found, in counts only, and the verdict over all of them."""

import json
from collections import Counter
from dataclasses import asdict, dataclass
from typing import Literal

from tasks.core.errors import Message

Severity = Literal["critical", "warning", "info"]
Rows = Literal["loadable", "delivered"]
Status = Literal["pass", "fail", "error", "not_applicable"]
Opinion = Literal["pass", "pass_with_warnings", "blocked"]

_DEFAULT_CODE = {"critical": "E_DQ_CRITICAL", "warning": "W_DQ", "info": "I_DQ"}
_FIX = {
    "critical": "correct these rows at the source or in the extract, then deliver again.",
    "warning": "tell the site that sent the rows; a study that needs them must say how it copes.",
    "error": "correct the suite or the staged table until the check runs; unrun is never passed.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """One check on one table, without any value of any row.

    Attributes:
        check_id: Identity of the check, as in its suite; `PER-000` stands for a whole suite.
        table: Table as the suite names it, for example `loadable.person`.
        column: Columns that the check is about, comma-separated; empty for the table itself.
        expectation: Great Expectations' name of the rule.
        on: Rows that were judged: those that would be loaded, or all that were delivered.
        n_rows: Rows that the check looked at; None where it did not look.
        n_unexpected: Rows that broke the rule; None where rows cannot be counted.
        share: n_unexpected / n_rows, rounded to six digits.
        threshold: What would have passed, in words.
        code: Code of its message; empty for the default of its severity.
        cause: Class of the exception, or why the check did not run; empty when it ran.
    """

    check_id: str
    table: str
    column: str
    expectation: str
    severity: Severity
    on: Rows
    status: Status
    n_rows: int | None = None
    n_unexpected: int | None = None
    share: float | None = None
    threshold: str
    reason_en: str
    reason_ko: str
    code: str = ""
    cause: str = ""

    @property
    def blocks(self) -> bool:
        """Whether this result alone shuts the gate."""
        return self.status == "error" or (self.status == "fail" and self.severity == "critical")

    @property
    def place(self) -> str:
        """Table and column as a person would look for them, over the rows that were judged."""
        schema, _, name = self.table.partition(".")
        table = f"{self.on if schema == 'loadable' else schema}.{name}"
        return f"{table}.{self.column}" if self.column else table

    def message(self) -> Message:
        """Return this result as one finding: counts and threshold, never a value."""
        if self.status == "error":
            what = f"{self.check_id} could not run ({self.cause}). {self.reason_en}"
            return Message("E_DQ_ERROR", self.place, what, _FIX["error"])
        code = self.code or _DEFAULT_CODE[self.severity]
        what = f"{self.check_id} {self._found()}; threshold: {self.threshold}. {self.reason_en}"
        return Message(code, self.place, what, _FIX.get(self.severity, _FIX["warning"]))

    def _found(self) -> str:
        if self.n_unexpected is None or self.share is None:
            return f"found {self.n_rows or 0:,} rows"
        return f"fails for {self.n_unexpected:,} of {self.n_rows:,} rows ({self.share:.1%})"


@dataclass(frozen=True, slots=True)
class Verdict:
    """Every check of one delivery, in the order of the suites."""

    results: tuple[CheckResult, ...]

    @property
    def blocked(self) -> bool:
        """Whether nothing of the delivery may be committed; true also when no check ran."""
        ran = any(result.status in ("pass", "fail") for result in self.results)
        return not ran or any(result.blocks for result in self.results)

    @property
    def verdict(self) -> Opinion:
        """The gate's answer in one word; failed checks of severity info do not change it."""
        if self.blocked:
            return "blocked"
        warned = any(result.severity == "warning" for result in self.failures)
        return "pass_with_warnings" if warned else "pass"

    @property
    def failures(self) -> tuple[CheckResult, ...]:
        """Checks that failed or could not run, of any severity."""
        return tuple(result for result in self.results if result.status in ("fail", "error"))

    @property
    def counts(self) -> dict[Status, int]:
        """Number of results of each status; every status is named."""
        found = Counter(result.status for result in self.results)
        states: tuple[Status, ...] = ("pass", "fail", "error", "not_applicable")
        return {status: found[status] for status in states}

    def messages(self) -> list[Message]:
        """Return what a person must read: whatever blocks first, then the warnings."""
        loud = [r for r in self.failures if r.blocks or r.severity == "warning"]
        return [result.message() for result in sorted(loud, key=lambda r: not r.blocks)]

    def as_json(self) -> str:
        """Return the verdict as JSON: same results, same bytes."""
        body = {
            "verdict": self.verdict,
            "blocked": self.blocked,
            "counts": self.counts,
            "results": [asdict(result) for result in self.results],
        }
        return json.dumps(body, ensure_ascii=False, indent=1) + "\n"
