"""One real `causeway serve` for all tests that need a Prefect server, on a home that holds data.

Every Python process of it writes to a file where it connects or looks up a name outside this
machine.
"""

import functools
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import mkdtemp

from flows.processes import descendants
from tasks.core.paths import Home
from tests.homes import STUDY, copy_of

TITLE = "Gastrointestinal bleeding after celecoxib and after diclofenac"
CAUSEWAY = [sys.executable, "-c", "from flows.cli import main; main()"]
FINAL = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}
PATIENCE_SECONDS = 150
_SERVED: list["Served"] = []

WATCH = """
import os, sys

_file = os.environ["CAUSEWAY_TEST_CALLS"]

def _note(text):
    with open(_file, "a") as stream:
        stream.write(text + "\\n")

def _hook(event, args):
    if event in ("socket.connect", "socket.sendto"):
        address = args[1]
        host = address[0] if isinstance(address, tuple) else "unix"
    elif event in ("socket.getaddrinfo", "socket.gethostbyname"):
        host = args[0]
    else:
        return
    host = host.decode() if isinstance(host, bytes) else str(host)
    if host not in ("127.0.0.1", "::1", "localhost", "unix", "None", ""):
        _note(f"outside {event} {host} {sys.argv}")

sys.addaudithook(_hook)
_note(f"started {' '.join(sys.orig_argv)}")
"""


@dataclass
class Served:
    """A running `causeway serve` and the home it works on."""

    folder: Path
    home: Home
    port: int = 0
    report_port: int = 0
    process: subprocess.Popen = None
    started_seconds: float = 0.0
    log: Path = None
    deployments: dict = field(default_factory=dict)

    @property
    def api(self):
        return f"http://127.0.0.1:{self.port}/api"

    @property
    def calls(self):
        """Where the processes note what they reach for outside."""
        return self.folder / "calls.txt"

    def environment(self, home=None):
        """Environment for a program that uses this server."""
        return {
            **os.environ,
            "PREFECT_HOME": str(self.home.root / "prefect"),
            "PREFECT_API_URL": self.api,
            "CAUSEWAY_HOME": str((home or self.home).root),
            "CAUSEWAY_TEST_CALLS": str(self.calls),
            "PYTHONPATH": str(self.folder / "watch"),
        }

    def start(self):
        """Start, from a folder that is not the project, and wait for the word Ready."""
        self.port, self.report_port = free_port(), free_port()
        self.log = self.folder / f"serve-{self.port}.log"
        options = ["--home", self.home.root, "--port", self.port, "--report-port", self.report_port]
        began = time.monotonic()
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [Path(sys.executable).parent / "causeway", "serve", *map(str, options)],
                env=without_prefect(self.environment()),
                cwd=self.folder,
                stdout=log,
                stderr=log,
            )
        return began

    def wait_until_ready(self, began):
        wait_for(lambda: "Ready" in self.log.read_text() or self.process.poll() is not None)
        assert self.process.poll() is None, self.log.read_text()
        self.started_seconds = time.monotonic() - began

    def stop(self, number=signal.SIGINT):
        """Ask it to end; return its exit code and the processes that are left."""
        family = descendants(self.process.pid)
        if self.process.poll() is None:
            self.process.send_signal(number)
        code = self.process.wait(90)
        return code, family, [pid for pid in family if is_running(pid)]

    def call(self, path, body=None):
        """Ask Prefect's API."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"content-type": "application/json"}
        request = urllib.request.Request(f"{self.api}{path}", data=data, headers=headers)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def deployment(self, name):
        return self.call(f"/deployments/name/{name}/{name}")

    def submit(self, name, **parameters):
        """Start a deployment on the worker; return the id of the flow run."""
        path = f"/deployments/{self.deployment(name)['id']}/create_flow_run"
        return self.call(path, {"parameters": parameters})["id"]

    def flow_runs(self, *, limit=20, **filters):
        """Return flow runs, the latest to be expected first."""
        body = {"sort": "EXPECTED_START_TIME_DESC", "limit": limit, **filters}
        return self.call("/flow_runs/filter", body)

    def state(self, run_id):
        return self.call(f"/flow_runs/{run_id}")["state"]

    def ended(self, run_id):
        """Wait until a flow run is over; return its state."""
        wait_for(lambda: self.state(run_id)["type"] in FINAL)
        return self.state(run_id)

    def latest(self, name):
        """Return the flow run of this name that started last."""
        runs = [r for r in self.flow_runs(limit=100) if r["name"] == name and r["start_time"]]
        return max(runs, key=lambda run: run["start_time"])

    def logged(self, run_id):
        """Return the text of all log lines of a flow run."""
        body = {"logs": {"flow_run_id": {"any_": [run_id]}}, "limit": 200}
        return "\n".join(line["message"] for line in self.call("/logs/filter", body))

    def artifacts(self, run_id):
        """Return the artifacts of a flow run by key."""
        body = {"artifacts": {"flow_run_id": {"any_": [run_id]}}}
        return {a["key"]: a for a in self.call("/artifacts/filter", body) if a["key"]}

    def is_working(self):
        """Whether a study run is in the middle of its work."""
        return any((self.home.runs / STUDY).glob(".*.partial"))

    def forget_runs(self):
        """Remove what was published, so that the next run has to work."""
        for folder in (self.home.runs / STUDY).glob("*"):
            folder.rename(self.folder / f"forgotten-{time.monotonic_ns()}")
        (self.home.published / STUDY).unlink(missing_ok=True)


@functools.cache
def serve_once(demo_home):
    """Return the served home of this test process, with the data of `demo_home`."""
    folder = Path(mkdtemp(prefix="causeway-served-"))
    (folder / "watch").mkdir()
    (folder / "watch" / "sitecustomize.py").write_text(WATCH)
    served = Served(folder, copy_of(demo_home, folder / "home"))
    _SERVED.append(served)
    began = served.start()
    try:
        served.wait_until_ready(began)
    except BaseException:
        stop_served()
        raise
    return served


def running(demo_home):
    """Return the served home, started again where a test has ended it."""
    served = serve_once(demo_home)
    if served.process.poll() is not None:
        served.wait_until_ready(served.start())
    return served


def stop_served():
    """End what `serve_once` started, and remove its folder."""
    while _SERVED:
        served = _SERVED.pop()
        served.stop()
        shutil.rmtree(served.folder)
    serve_once.cache_clear()


def without_prefect(env):
    """Return an environment without a server of its own, as a user's terminal has it."""
    return {name: value for name, value in env.items() if not name.startswith("PREFECT_")}


def causeway(*arguments, env, cwd=None):
    """Start the command line in a process of its own."""
    return subprocess.Popen(
        [*CAUSEWAY, *map(str, arguments)],
        env=env,
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for(condition, seconds=PATIENCE_SECONDS):
    """Ask until the answer is true, and return it."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            if found := condition():
                return found
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            pass
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.1)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def is_free(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def is_running(pid):
    """Whether a process lives; one that only waits to be collected does not."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return status not in "ZX"
