import os
import tempfile

import pytest

import flows  # noqa: F401 - switches off everything that calls out, before any library starts
from tasks.core.duck import duck
from tests.homes import made_once

os.environ.setdefault("CAUSEWAY_THREADS", "2")
# A key of the tests' own: they must not make one in the folder of whoever runs them.
_KEYS = f"{tempfile.gettempdir()}/causeway-test-keys-{os.getuid()}"
os.environ.setdefault("CAUSEWAY_KEYS", _KEYS)


def pytest_terminal_summary(terminalreporter, config):
    """Of `make test-slow` print what ran, how it ended and how long it took."""
    if config.option.markexpr != "slow":
        return
    ran = [
        (report.duration, outcome, report.nodeid)
        for outcome in ("passed", "failed", "skipped")
        for report in terminalreporter.getreports(outcome)
        if report.when == "call" or outcome == "skipped"
    ]
    terminalreporter.section("slow tests")
    terminalreporter.write_line("| seconds | ended | test |\n|---:|---|---|")
    for seconds, outcome, name in sorted(ran, reverse=True):
        terminalreporter.write_line(f"| {seconds:.1f} | {outcome} | {name} |")


@pytest.fixture
def con():
    with duck() as connection:
        yield connection


@pytest.fixture(scope="session")
def demo_home(tmp_path_factory):
    """A home in which the demonstration has run; shared by all workers, so never write to it."""
    shared = tmp_path_factory.getbasetemp().parent if "PYTEST_XDIST_WORKER" in os.environ else None
    return made_once(shared or tmp_path_factory.getbasetemp())


@pytest.fixture(scope="session")
def serving():
    """Ends the Prefect server of this process, where a test has started one."""
    from tests.flows.served import stop_served

    yield
    stop_served()


@pytest.fixture
def served(serving, demo_home):
    """A running `causeway serve` on a copy of the demonstration's data, nothing published."""
    from tests.flows.served import running

    return running(demo_home)
