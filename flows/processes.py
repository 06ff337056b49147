"""Child processes that leave nothing behind: each ends with its group and all its children."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from tasks.core.paths import PROJECT_ROOT

PROC = Path("/proc")
PATIENCE_SECONDS = 15.0


@contextmanager
def python_process(
    arguments: list[str], env: Mapping[str, str], log: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """Run `python -m …` while the block lasts, then end it and every process it started.

    Args:
        arguments: What follows `python -m`.
        env: The whole environment of the process.
        log: File that its output is appended to.
    """
    with log.open("ab") as stream:
        process = subprocess.Popen(  # noqa: S603 - our own interpreter and fixed words
            [sys.executable, "-m", *arguments],
            env=dict(env),
            cwd=PROJECT_ROOT,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            end(process)


def end(process: subprocess.Popen[bytes]) -> None:
    """Ask a process to end, then insist; then kill what is left of its group and its children.

    A Prefect worker starts each flow run in a session of its own, so the group alone would miss
    them.
    """
    family = descendants(process.pid)
    for number, patience in ((signal.SIGINT, PATIENCE_SECONDS), (signal.SIGTERM, 5.0)):
        if process.poll() is None:
            process.send_signal(number)
            with suppress(subprocess.TimeoutExpired):
                process.wait(patience)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    _kill(family)


def descendants(pid: int) -> dict[int, str]:
    """Return every living child, grandchild, … of a process, with the time it started.

    Empty where there is no /proc.
    """
    found: dict[int, str] = {}
    parents, started = _processes()
    waiting = [pid]
    while waiting:
        parent = waiting.pop()
        children = [child for child, of in parents.items() if of == parent]
        found |= {child: started[child] for child in children}
        waiting += children
    return found


def _kill(family: dict[int, str]) -> None:
    """Kill what still lives of a family, and wait until it is gone; never a pid used again."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        _, started = _processes()
        living = [pid for pid, since in family.items() if started.get(pid) == since]
        if not living:
            return
        for pid in living:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)


def _processes() -> tuple[dict[int, int], dict[int, str]]:
    """Return the parent and the start time of every process that is not a zombie."""
    parents: dict[int, int] = {}
    started: dict[int, str] = {}
    for file in PROC.glob("[0-9]*/stat"):
        with suppress(OSError):
            words = file.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
            if words[0] not in "ZX":
                pid = int(file.parent.name)
                parents[pid], started[pid] = int(words[1]), words[19]
    return parents, started
