"""Everything an analyst needs on one machine: Prefect server, worker, deployments, report site."""

import os
import signal
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from filelock import FileLock, Timeout
from rich.console import Console

from flows.processes import python_process
from flows.report_site import report_server
from tasks.core.errors import BusyError, CausewayError
from tasks.core.paths import PROJECT_ROOT, Home
from tasks.core.site import load_site

POOL = "causeway"
START_SECONDS = 120
LOOPBACK = "127.0.0.1"
WORKER = ["prefect", "worker", "start", "--pool", POOL, "--name", "causeway-worker"]
DEPLOY = ["prefect", "--no-prompt", "deploy", "--all"]


def serve(home: Home, port: int, report_port: int) -> None:
    """Start all parts, print their addresses, and end them all on Ctrl-C or SIGTERM.

    Args:
        home: The working home; Prefect's own state and the logs live in it too.
        port: Port of the Prefect server on 127.0.0.1.
        report_port: Port of the report site on 127.0.0.1.

    Raises:
        BusyError: A port, or the home, is in use by another process.
        CausewayError: A part did not start, or ended on its own.
    """
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: stop.set())
    env = serve_environment(home, port, report_port)
    os.environ.update(env)
    console = Console(highlight=False, soft_wrap=True)
    with ExitStack() as parts:
        parts.enter_context(_only_one(home))
        _require_free(port, "--port")
        parts.enter_context(_site(home, report_port))
        console.print("Starting the Prefect server …")
        server = parts.enter_context(python_process(_server(port), env, _log(home, "server")))
        if _is_healthy(server, env["PREFECT_API_URL"], home, stop):
            console.print("Registering the deployments …")
            _prepare(home, env)
        if not stop.is_set() and register(home, env, stop):
            worker = parts.enter_context(python_process(WORKER, env, _log(home, "worker")))
            console.print(_addresses(home, port, report_port))
            _wait(stop, {"server": server, "worker": worker}, home)
        console.print("Stopping …")
    console.print("Stopped.")


def serve_environment(home: Home, port: int, report_port: int) -> dict[str, str]:
    """Return the environment of every part: one home, one server, no calls outside."""
    own = {
        "PREFECT_HOME": str(home.root / "prefect"),
        "PREFECT_API_URL": f"http://{LOOPBACK}:{port}/api",
        "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "false",
        "PREFECT_SERVER_UI_STATIC_DIRECTORY": str(home.root / "prefect" / "ui"),
        "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
        "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
        "PREFECT_WORKER_QUERY_SECONDS": "3",
        "CAUSEWAY_ROOT": str(PROJECT_ROOT),
        "CAUSEWAY_HOME": str(home.root),
        "CAUSEWAY_REPORT_URL": report_address(home, report_port),
    }
    return {**os.environ, **own}


def report_address(home: Home, report_port: int) -> str:
    """Return where links to reports go: what site.yaml says, or this machine's own site."""
    configured = load_site(home).report_url
    is_local = urlsplit(configured).hostname in (LOOPBACK, "localhost")
    return f"http://{LOOPBACK}:{report_port}" if is_local else configured


def register(home: Home, env: dict[str, str], stop: threading.Event) -> bool:
    """Register every deployment of prefect.yaml, anew at each start; False when stopped.

    Raises:
        CausewayError: Prefect refused.
    """
    log = _log(home, "deploy")
    with python_process(DEPLOY, env, log) as process:
        while process.poll() is None:
            if stop.wait(0.1):
                return False
    if process.returncode:
        what = f"`prefect deploy --all` ended with exit code {process.returncode}"
        raise CausewayError("serve", what, f"read {log}, then start again.")
    return True


def keep_inside(page: Path, report_url: str) -> None:
    """Forbid a page of Prefect's UI to speak to any host but this machine and the report site.

    The UI asks an analytics host for its settings even where analytics are off.
    """
    hosts = f"http://{LOOPBACK}:* http://localhost:* ws://{LOOPBACK}:* ws://localhost:*"
    policy = f"default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob: {hosts} {report_url}"
    meta = f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
    text = page.read_text(encoding="utf-8")
    if meta not in text:
        fresh = page.with_suffix(".fresh")
        fresh.write_text(text.replace("<head>", f"<head>{meta}", 1), encoding="utf-8")
        fresh.replace(page)


def _prepare(home: Home, env: dict[str, str]) -> None:
    """Make the server ready for work: its pages, its work pool, what an earlier one left open."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.actions import WorkPoolCreate
    from prefect.workers.process import ProcessWorker

    from flows.crashed import close_abandoned

    for page in Path(env["PREFECT_SERVER_UI_STATIC_DIRECTORY"]).glob("v*/index.html"):
        keep_inside(page, env["CAUSEWAY_REPORT_URL"])
    template = ProcessWorker.get_default_base_job_template()
    pool = WorkPoolCreate(name=POOL, type="process", base_job_template=template)
    with get_client(sync_client=True) as client:
        client.create_work_pool(pool, overwrite=True)
    close_abandoned(home)


def _server(port: int) -> list[str]:
    return ["prefect", "server", "start", "--host", LOOPBACK, "--port", str(port)]


@contextmanager
def _only_one(home: Home) -> Iterator[None]:
    """Hold the one right to serve a home: two servers would share one Prefect database."""
    file = home.root / "prefect" / "serve.lock"
    file.parent.mkdir(exist_ok=True)
    lock = FileLock(file, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        what = f"another `causeway serve` is running on {home.root}"
        raise BusyError("serve", what, "use that one, or end it first.") from None
    try:
        yield
    finally:
        lock.release()


def _require_free(port: int, option: str) -> None:
    """Refuse a port that somebody listens on."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except (OSError, OverflowError) as exc:
            raise _port_error(port, option) from exc


def _port_error(port: int, option: str) -> BusyError:
    fix = f"end the program that uses it, or choose another port with {option}."
    return BusyError("serve", f"port {port} of {LOOPBACK} is in use or not allowed", fix)


def _is_healthy(
    server: subprocess.Popen[bytes], url: str, home: Home, stop: threading.Event
) -> bool:
    """Wait until the server answers; False when stopped before."""
    deadline = time.monotonic() + START_SECONDS
    while not stop.is_set():
        if server.poll() is not None or time.monotonic() > deadline:
            fix = f"read {_log(home, 'server')}, then start again."
            raise CausewayError("serve", "the Prefect server did not start", fix)
        try:
            with urllib.request.urlopen(f"{url}/health", timeout=2):  # noqa: S310 - loopback
                return True
        except (urllib.error.URLError, OSError):
            stop.wait(0.2)
    return False


@contextmanager
def _site(home: Home, port: int) -> Iterator[None]:
    try:
        site = report_server(home, port)
    except (OSError, OverflowError) as exc:
        raise _port_error(port, "--report-port") from exc
    thread = threading.Thread(target=site.serve_forever, daemon=True)
    thread.start()
    try:
        yield
    finally:
        site.shutdown()
        site.server_close()
        thread.join(timeout=5)


def _addresses(home: Home, port: int, report_port: int) -> str:
    own, linked = f"http://{LOOPBACK}:{report_port}", report_address(home, report_port)
    elsewhere = [f"Links go to   {linked} (report_url in site.yaml)"] if linked != own else []
    lines = [
        f"Prefect UI    http://{LOOPBACK}:{port}",
        f"Reports       {own}",
        *elsewhere,
        f"Logs          {home.root / 'logs'}",
        "Ready. Ctrl-C ends everything.",
    ]
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
