"""The quality gate: every suite on one staged delivery, and one verdict."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any, Literal

from tasks.core.omop import omop_tables
from tasks.core.paths import EXPECTATIONS_DIR
from tasks.quality.gx import Outcome, opened, run_checks
from tasks.quality.model import CheckResult, Status, Verdict
from tasks.quality.stage import Stage, read_stage
from tasks.quality.suites import CUTOFF, ROW_COUNT, Check, Suite, load_suites

NOT_DELIVERED = "table not delivered"


@dataclass(frozen=True, slots=True)
class _Delivery:
    """What the checks must know about the delivery beside its rows."""

    stage: Stage
    kind: Literal["full", "increment"]
    data_cutoff: date | None


def judge(
    stage_file: Path,
    expectations_dir: Path = EXPECTATIONS_DIR,
    *,
    kind: Literal["full", "increment"] = "full",
    data_cutoff: date | None = None,
) -> Verdict:
    """Judge one staged delivery.

    Args:
        stage_file: DuckDB file with schemas delivered, loadable and delivery; opened read-only,
            so no connection of this process may hold it open with another configuration.
        expectations_dir: Folder of the suites.
        kind: An increment does not hold whole tables: checks across tables do not apply to it.
        data_cutoff: Last day that the delivery may speak of; checks of it need it.

    Raises:
        SpecError: A suite is refused.
        GateError: The stage file cannot be opened, or Great Expectations is not the known one.
    """
    suites = load_suites(expectations_dir)
    delivery = _Delivery(read_stage(stage_file), kind, data_cutoff)
    with opened(stage_file) as source:
        found = [result for suite in suites for result in _judged(source, suite, delivery)]
    return Verdict(tuple(found))


def _judged(source: Any, suite: Suite, delivery: _Delivery) -> list[CheckResult]:
    if not _is_delivered(suite.name, delivery.stage) and suite.table.startswith("loadable."):
        return [_skipped_suite(suite)]
    obstacles = {check.id: _obstacle(check, suite, delivery) for check in suite.expectations}
    outcomes = dict[str, Outcome]()
    for table in dict.fromkeys(suite.source(check.on) for check in suite.expectations):
        ready = [c for c in suite.expectations if suite.source(c.on) == table]
        ready = [c for c in ready if obstacles[c.id] is None]
        outcomes |= _run(source, table, ready, delivery)
    return [
        _result(suite, check, obstacles[check.id] or outcomes[check.id], delivery.stage)
        for check in suite.expectations
    ]


def _run(
    source: Any, table: str, checks: Sequence[Check], delivery: _Delivery
) -> dict[str, Outcome]:
    """Run the checks of one table; if the validation breaks, each of them is an error."""
    if not checks:
        return {}
    missing = Outcome(passed=False, cause="NoResult")
    try:
        outcomes = run_checks(source, table, checks, delivery.data_cutoff)
    except Exception as exc:
        missing, outcomes = Outcome(passed=False, cause=type(exc).__name__), {}
    return {check.id: outcomes.get(check.id, missing) for check in checks}


def _is_delivered(name: str, stage: Stage) -> bool:
    return f"loadable.{name}" in stage or f"delivered.{name}" in stage


@dataclass(frozen=True, slots=True)
class _Obstacle:
    """Why a check is not run."""

    status: Literal["error", "not_applicable"]
    cause: str


def _obstacle(check: Check, suite: Suite, delivery: _Delivery) -> _Obstacle | None:
    """Tell a check that does not apply from one that cannot run; None when it can."""
    if (check.only_full and delivery.kind != "full") or (
        CUTOFF in check.query and delivery.data_cutoff is None
    ):
        return _Obstacle("not_applicable", "needs a full delivery or its data cut-off")
    absent = [t for t in sorted(check.tables_read) if not _is_delivered(t, delivery.stage)]
    if any(name in omop_tables() for name in absent):
        return _Obstacle("not_applicable", f"{absent[0]} not delivered")
    return _column_obstacle(check, suite, delivery.stage)


def _column_obstacle(check: Check, suite: Suite, stage: Stage) -> _Obstacle | None:
    table = stage.get(suite.source(check.on))
    if table is None or table.n_rows is None:
        return _Obstacle("error", "table missing or unreadable")
    absent = [name for name in check.columns if name not in table.columns]
    if not absent:
        return None
    optional = _optional_columns(suite.name)
    if all(name in optional for name in absent):
        return _Obstacle("not_applicable", "optional column not delivered")
    return _Obstacle("error", "column missing")


def _optional_columns(name: str) -> frozenset[str]:
    model = omop_tables().get(name)
    columns = model.columns if model else ()
    return frozenset(column.name for column in columns if not column.required)


def _skipped_suite(suite: Suite) -> CheckResult:
    """One row for a suite whose table was not delivered, numbered 000."""
    first = _unrun(suite, suite.expectations[0])
    return replace(
        first,
        check_id=f"{first.check_id[:3]}-000",
        expectation="suite",
        severity="info",
        threshold="",
        reason_en=suite.reason.en,
        reason_ko=suite.reason.ko,
        cause=NOT_DELIVERED,
    )


def _unrun(suite: Suite, check: Check) -> CheckResult:
    """What is known of a check before it runs."""
    return CheckResult(
        check_id=check.id,
        table=suite.table,
        column=",".join(check.columns),
        expectation=check.expect,
        severity=check.severity,
        on=check.on,
        status="not_applicable",
        threshold=check.threshold,
        reason_en=check.reason.en,
        reason_ko=check.reason.ko,
        code=check.code or "",
    )


def _result(suite: Suite, check: Check, found: Outcome | _Obstacle, stage: Stage) -> CheckResult:
    """Return what one check found, in counts."""
    n_rows, n_unexpected = _sizes(suite, check, found, stage)
    return replace(
        _unrun(suite, check),
        status=_status(found),
        n_rows=n_rows,
        n_unexpected=n_unexpected,
        share=round(n_unexpected / n_rows, 6) if n_rows and n_unexpected is not None else None,
        cause=found.cause,
    )


def _status(found: Outcome | _Obstacle) -> Status:
    if isinstance(found, _Obstacle):
        return found.status
    if found.cause:
        return "error"
    return "pass" if found.passed else "fail"


def _sizes(
    suite: Suite, check: Check, found: Outcome | _Obstacle, stage: Stage
) -> tuple[int | None, int | None]:
    """Rows looked at and rows that broke the rule; a query looks at its whole table."""
    if isinstance(found, _Obstacle) or found.cause:
        return None, None
    if found.n_rows is None or check.expect == ROW_COUNT:
        return stage[suite.source(check.on)].n_rows, found.n_unexpected
    return found.n_rows, found.n_unexpected
