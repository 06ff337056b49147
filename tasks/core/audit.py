"""The audit log: one line an event, each line sealed by the hash of the line before it."""

import getpass
import hashlib
import json
from datetime import UTC, datetime

from filelock import FileLock

from tasks.core.paths import Home

_START = "0" * 64


def record(home: Home, event: str, **details: str | int) -> None:
    """Append one event to the log of this home; wait for other writers.

    Args:
        home: The working home.
        event: What happened, in a word or two: `run-published`, `delivery-accepted`.
        **details: Ids and counts; never a patient's value.
    """
    file = home.audit / "log.jsonl"
    with FileLock(home.audit / ".lock"):
        last = _last_line(file.read_text(encoding="utf-8")) if file.exists() else None
        entry: dict[str, object] = {
            "seq": int(last["seq"]) + 1 if last else 1,
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "who": getpass.getuser(),
            "event": event,
            **details,
            "previous": last["hash"] if last else _START,
        }
        entry["hash"] = _seal(entry)
        with file.open("a", encoding="utf-8") as log:
            log.write(json.dumps(entry, ensure_ascii=False) + "\n")


def first_broken_line(home: Home) -> int | None:
    """Return the number of the first line that was changed, or None when the log is whole."""
    file = home.audit / "log.jsonl"
    previous = _START
    for number, line in enumerate(file.read_text("utf-8").splitlines() if file.exists() else [], 1):
        try:
            entry = json.loads(line)
            seal = entry.pop("hash")
            is_whole = entry["previous"] == previous and seal == _seal(entry)
        except (ValueError, KeyError, TypeError, AttributeError):
            return number
        if not is_whole:
            return number
        previous = seal
    return None


def _last_line(text: str) -> dict[str, str] | None:
    lines = text.rstrip("\n").rsplit("\n", 1)
    return json.loads(lines[-1]) if lines[-1] else None


def _seal(entry: dict[str, object]) -> str:
    return hashlib.sha256(
        json.dumps(entry, sort_keys=True, ensure_ascii=False).encode()
    ).hexdigest()
