"""Everything an analyst needs on one machine: Prefect server, worker, deployments, report site."""

import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from rich.console import Console

from flows.report_site import report_server
from tasks.core.errors import CausewayError
from tasks.core.paths import PROJECT_ROOT, Home
from tasks.core.site import load_site

POOL = "causeway"
START_SECONDS = 120


def serve(home: Home, port: int, report_port: int) -> None:
    """Start all parts, print their addresses, and end them all on Ctrl-C or SIGTERM.

    Args:
        home: The working home; Prefect's own state and the logs live in it too.
        port: Port of the Prefect server on 127.0.0.1.
        report_port: Port of the report site on 127.0.0.1.

    Raises:
        CausewayError: A part did not start, or ended on its own.
    """
    console = Console(highlight=False, soft_wrap=True)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    env = serve_environment(home, port)
    with ExitStack() as parts:
        console.print("Starting the Prefect server …")
        server = parts.enter_context(_process(home, env, "server", _server_command(port)))
        _wait_until_healthy(server, env["PREFECT_API_URL"], home, stop)
        if not stop.is_set():
            console.print("Registering the deployments …")
            register(env, home)
            worker = parts.enter_context(_process(home, env, "worker", _worker_command()))
            parts.enter_context(_site(home, report_port))
            console.print(_addresses(home, port, report_port))
            _wait(stop, {"server": server, "worker": worker}, home)
    console.print("Stopped.")


def serve_environment(home: Home, port: int) -> dict[str, str]:
    """Return the environment of every part: one home, one server, no calls outside."""
    own = {
        "PREFECT_HOME": str(home.root / "prefect"),
        "PREFECT_API_URL": f"http://127.0.0.1:{port}/api",
        "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "false",
        "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
        "CAUSEWAY_ROOT": str(PROJECT_ROOT),
        "CAUSEWAY_HOME": str(home.root),
    }
    return {**os.environ, **own}


def register(env: dict[str, str], home: Home) -> None:
    """Create the work pool and register every deployment of prefect.yaml, anew at each start.

    Raises:
        CausewayError: Prefect refused.
    """
    for command in (
        ["work-pool", "create", POOL, "--type", "process", "--overwrite"],
        ["--no-prompt", "deploy", "--all"],
    ):
        done = subprocess.run(  # noqa: S603 - our own interpreter and fixed words
            [sys.executable, "-m", "prefect", *command],
            env=env,
            cwd=PROJECT_ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            log = _log(home, "deploy")
            log.write_text(done.stdout + done.stderr, encoding="utf-8")
            what = f"`prefect {' '.join(command)}` ended with exit code {done.returncode}"
            raise CausewayError("serve", what, f"read {log}, then start again.")


def _server_command(port: int) -> list[str]:
    return ["server", "start", "--host", "127.0.0.1", "--port", str(port)]


def _worker_command() -> list[str]:
    return ["worker", "start", "--pool", POOL, "--name", "causeway-worker"]


@contextmanager
def _process(
    home: Home, env: dict[str, str], name: str, command: list[str]
) -> Iterator[subprocess.Popen[bytes]]:
    """Run one part in a process group of its own; end the whole group at the close."""
    with _log(home, name).open("ab") as log:
        process = subprocess.Popen(  # noqa: S603 - our own interpreter and fixed words
            [sys.executable, "-m", "prefect", *command],
            env=env,
            cwd=PROJECT_ROOT,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            _end(process)


def _end(process: subprocess.Popen[bytes], seconds: float = 15) -> None:
    """Ask a process group to end, then insist."""
    for number, patience in ((signal.SIGINT, seconds), (signal.SIGTERM, 5.0)):
        if process.poll() is None:
            os.killpg(process.pid, number)
            deadline = time.monotonic() + patience
            while process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.1)
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    process.wait()


def _wait_until_healthy(
    server: subprocess.Popen[bytes], url: str, home: Home, stop: threading.Event
) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not stop.is_set():
        if server.poll() is not None or time.monotonic() > deadline:
            fix = f"read {_log(home, 'server')}; is another server using the port?"
            raise CausewayError("serve", "the Prefect server did not start", fix)
        try:
            with urllib.request.urlopen(f"{url}/health", timeout=2):  # noqa: S310 - loopback
                return
        except (urllib.error.URLError, OSError):
            stop.wait(0.5)


@contextmanager
def _site(home: Home, port: int) -> Iterator[None]:
    site = report_server(home, port)
    thread = threading.Thread(target=site.serve_forever, daemon=True)
    thread.start()
    try:
        yield
    finally:
        site.shutdown()
        site.server_close()
        thread.join(timeout=5)


def _addresses(home: Home, port: int, report_port: int) -> str:
    configured = load_site(home).report_url
    lines = [
        f"Prefect UI    http://127.0.0.1:{port}",
        f"Reports       http://127.0.0.1:{report_port}",
        f"Logs          {home.root / 'logs'}",
        "Ready. Ctrl-C ends everything.",
    ]
    if not configured.endswith(f":{report_port}"):
        lines.insert(2, f"Links in the UI go to {configured} (report_url in site.yaml).")
    return "\n".join(lines)


def _wait(stop: threading.Event, parts: dict[str, subprocess.Popen[bytes]], home: Home) -> None:
    while not stop.wait(0.5):
        for name, process in parts.items():
            if process.poll() is not None:
                fix = f"read {_log(home, name)}, then start again."
                raise CausewayError("serve", f"the {name} ended on its own", fix)


def _log(home: Home, name: str) -> Path:
    folder = home.root / "logs"
    folder.mkdir(exist_ok=True)
    return folder / f"{name}.log"
