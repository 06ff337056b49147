"""What a person or a program reads: progress, tables, messages, JSON."""

import json
import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tasks.core.errors import Message

WIDTH = None if sys.stdout.isatty() else 160
out = Console(highlight=False, width=WIDTH)
err = Console(stderr=True, highlight=False, soft_wrap=True)


@contextmanager
def progress(title: str) -> Iterator[None]:
    """Name each step on standard error while it runs."""
    log = logging.getLogger("causeway")
    handler = _Steps(title)
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    log.propagate = False
    try:
        with handler.display:
            yield
    finally:
        log.removeHandler(handler)


class _Steps(logging.Handler):
    """Turns the log of steps into one line with a spinner."""

    def __init__(self, title: str) -> None:
        super().__init__()
        self.title, self.display = title, err.status(title)

    def emit(self, record: logging.LogRecord) -> None:
        self.display.update(f"{self.title}: {record.getMessage()}")


def print_json(document: object) -> None:
    """Print one JSON document on standard output."""
    sys.stdout.write(json.dumps(document, ensure_ascii=False, indent=2, default=str) + "\n")


def message_json(message: Message) -> dict[str, str]:
    """Return a message as the contract of `--json` shows it."""
    return {
        "code": message.code,
        "where": message.where,
        "what": message.what,
        "fix": message.fix,
    }


def show_messages(messages: tuple[Message, ...]) -> None:
    """Print messages on standard error."""
    for message in messages:
        err.print(str(message), markup=False)


def show_delivery(outcome: Any) -> None:
    """Print what became of a delivery."""
    out.print(
        f"Delivery {outcome.delivery_id} of {outcome.site_id}: {outcome.status}"
        + (f", snapshot {outcome.snapshot_id}" if outcome.snapshot_id else ""),
        markup=False,
    )
    show_table(
        "Files",
        [
            {
                "file": file.file,
                "status": file.status,
                "rows in": f"{file.rows_in:,}",
                "loaded": f"{file.rows_loaded:,}",
                "quarantined": f"{file.rows_quarantined:,}",
                "deduplicated": f"{file.rows_deduplicated:,}",
                "codes": ", ".join(file.codes),
            }
            for file in outcome.files
        ],
    )
    for line in _in_brief(outcome.messages):
        err.print(line, markup=False)


def _in_brief(findings: Sequence[Any]) -> list[str]:
    """One line for each code and file: where many rows are named, the line that counts them."""
    groups: dict[object, list[Any]] = {}
    for finding in findings:
        groups.setdefault((finding.code, finding.file) if finding.file else finding, []).append(
            finding
        )
    return [
        next((f.message for f in group if len(group) > 1 and f.line is None), None)
        or group[0].message + (f" [and {len(group) - 1} more rows]" if len(group) > 1 else "")
        for group in groups.values()
    ]


def show_run(outcome: Any) -> None:
    """Print how a run ended and where its report is."""
    known = " (published before; nothing to do)" if outcome.was_known else ""
    out.print(f"Study {outcome.study_id}: {outcome.status}{known}, run {outcome.run_id}")
    for gate in outcome.gates:
        out.print(
            f"  gate {gate['name']} ({gate.get('adjustment', 'none')}): {gate['verdict']} "
            f"(value {_number(gate['value'])}, threshold {_number(gate['threshold'])})"
        )
    if outcome.status == "published":
        for file in outcome.reports:
            out.print(f"  {file}", markup=False)
    show_messages(tuple(outcome.messages))


def show_rows(rows: list[dict[str, object]], as_json: bool, title: str) -> None:
    """Print rows as JSON or as a table."""
    if as_json:
        print_json(rows)
    else:
        show_table(title, rows)


def show_table(title: str, rows: list[dict[str, Any]]) -> None:
    """Print rows as a table, or that there are none."""
    if not rows:
        out.print(f"{title}: none")
        return
    table = Table(title=title, title_justify="left")
    for name in rows[0]:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*(_cell(name, value) for name, value in row.items()))
    out.print(table)


def _cell(name: str, value: object) -> str:
    """Show a value; a checksum by its first 12 digits."""
    text = "" if value is None else escape(str(value))
    return text[:12] if name.endswith("sha256") else text


def _number(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, int | float) else "-"
