"""`causeway serve` as a program: one at a time, quiet to the outside, and gone when it is told."""

import re
import signal
import urllib.request

import pytest

from tests.flows.served import STUDY, causeway, free_port, is_free, wait_for, without_prefect

pytestmark = pytest.mark.xdist_group("serve")


def refused(served, home, port, report_port):
    """Start a serve that must not come up; return its exit code and what it says."""
    options = ("--home", home, "--port", port, "--report-port", report_port)
    second = causeway("serve", *options, env=without_prefect(served.environment()))
    said = second.communicate(timeout=60)[1]
    return second.returncode, said


def test_a_second_one_on_the_same_home_is_refused(served):
    code, said = refused(served, served.home.root, free_port(), free_port())
    assert code == 16
    assert "another `causeway serve` is running" in said


def test_a_port_in_use_is_refused_and_nothing_stays(served, tmp_path):
    free = free_port()
    for ports, option in (
        ((served.port, free), "--port"),
        ((free, served.report_port), "--report-port"),
    ):
        code, said = refused(served, tmp_path / "other", *ports)
        assert code == 16
        assert f"choose another port with {option}." in said
        assert is_free(free)


def test_pages_of_the_ui_may_speak_to_this_machine_only(served):
    request = urllib.request.Request(
        f"http://127.0.0.1:{served.port}/v2/dashboard", headers={"accept": "text/html"}
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        page = answer.read().decode()
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)[1]
    assert policy.startswith("default-src 'self'")
    hosts = re.findall(r"(?:https?|ws)://([^:\s]+)", policy)
    assert set(hosts) == {"127.0.0.1", "localhost"}


def test_it_ends_in_the_middle_of_a_run_and_the_next_start_closes_that_run(served):
    served.forget_runs()
    run = served.submit("run-study", study=STUDY)
    wait_for(served.is_working)
    code, family, left = served.stop()
    assert code == 0
    assert "Stopped." in served.log.read_text()
    assert len(family) >= 3
    assert left == []
    assert is_free(served.port)
    assert is_free(served.report_port)

    served.wait_until_ready(served.start())
    assert served.state(run)["type"] == "CRASHED"
    limit = served.deployment("run-study")["global_concurrency_limit"]
    assert limit["active_slots"] == 0


def test_sigterm_ends_it_too_and_nothing_called_out_or_was_pickled(served):
    code, _, left = served.stop(signal.SIGTERM)
    assert (code, left) == (0, [])
    lines = served.calls.read_text().splitlines()
    for part in ("prefect server start", "prefect worker start", "prefect.engine"):
        assert any(part in line for line in lines), part
    assert [line for line in lines if not line.startswith("started")] == []
    stored = (served.home.root / "prefect" / "storage").rglob("*")
    assert [file for file in stored if file.is_file() and b"pickle" in file.read_bytes()] == []
