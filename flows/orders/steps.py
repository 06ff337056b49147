"""How one step of an order of work is called: directly, or as a task of a Prefect flow."""

import logging
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Protocol, TypeVar

from tasks.core.errors import CausewayError
from tasks.core.paths import Home

T = TypeVar("T")
log = logging.getLogger("causeway")


class Caller(Protocol):
    """Calls one step and returns what it returns."""

    def __call__(self, name: str, work: Callable[..., T], *args: Any) -> T:
        """Call `work(*args)` as the step `name`."""


def directly(name: str, work: Callable[..., T], *args: Any) -> T:
    """Call a step in this process, without Prefect."""
    log.info("%s", name)
    return work(*args)


def guarded(home: Home, call: Caller) -> Caller:
    """Return a caller under which no unforeseen error shows its text outside `restricted`.

    A library's message may hold a patient's value (DuckDB prints the whole line of a CSV file),
    so it is written to the restricted store, and a message without it is raised in its place.
    """

    def step(name: str, work: Callable[..., T], *args: Any) -> T:
        return call(name, _sealed(home, name, work), *args)

    return step


def _sealed(home: Home, name: str, work: Callable[..., T]) -> Callable[..., T]:
    def run(*args: Any) -> T:
        try:
            return work(*args)
        except CausewayError:
            raise
        except Exception as exc:  # every fault of every library ends here, once
            sealed = _error(home, name, exc)
        raise sealed

    return run


def _error(home: Home, name: str, exc: Exception) -> CausewayError:
    """Return what may be said of an unforeseen error; its text goes to the restricted store."""
    what = f"stopped by {type(exc).__name__}"
    try:
        file = _keep(home, name, "".join(traceback.format_exception(exc)))
    except OSError as full:
        what += f"; its text could not be kept ({full.strerror})"
        return CausewayError(f"step {name}", what, "check disk space and rights of the home.")
    fix = f"read {file} on the restricted side, then mend the cause and start again."
    return CausewayError(f"step {name}", what, fix)


def _keep(home: Home, name: str, text: str) -> str:
    folder = home.restricted / "errors"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%f")
    file = folder / f"{stamp}-{name.replace(' ', '-').replace('/', '-')}.txt"
    file.write_text(text, encoding="utf-8")
    return str(file)
