"""kill -9 at many moments of a run and of an ingest: the next start ends in the same bytes."""

import os
import shutil
import signal
import time

import pytest

from tasks.core.paths import Home
from tests.homes import STUDY, causeway, copy_of, delivered, published_bytes

pytestmark = pytest.mark.slow
MOMENTS = 10


def seconds_of(*words, home):
    started = time.monotonic()
    assert causeway(*words, home=home).returncode == 0
    return time.monotonic() - started


def kill_after(seconds, *words, home):
    """Start a command and kill its process group; return whether it was still at work."""
    process = causeway(*words, home=home, wait=False)
    time.sleep(seconds)
    alive = process.poll() is None
    if alive:
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    return alive


def table(title, lines):
    print(f"\n{title}\n| moment (s) | killed at work | again | same bytes |\n|---|---|---|---|")
    for line in lines:
        print("| {:.1f} | {} | exit {} | {} |".format(*line))


@pytest.mark.timeout(1800)
def test_a_run_killed_at_ten_moments(demo_home, tmp_path):
    whole = copy_of(demo_home, tmp_path / "whole")
    length = seconds_of("run", STUDY, home=whole.root)
    expected, lines = published_bytes(demo_home), []
    for i in range(MOMENTS):
        moment = length * (i + 1) / (MOMENTS + 0.5)
        home = copy_of(demo_home, tmp_path / f"home{i}")
        alive = kill_after(moment, "run", STUDY, home=home.root)
        again = causeway("run", STUDY, home=home.root)
        lines.append((moment, alive, again.returncode, published_bytes(home) == expected))
        shutil.rmtree(home.root)
    table("Killed runs", lines)
    assert sum(alive for _, alive, *_ in lines) >= MOMENTS - 1
    assert all(code == 0 and same for _, _, code, same in lines)


@pytest.mark.timeout(1800)
def test_an_ingest_killed_at_ten_moments(demo_home, tmp_path):
    source, expected, lines = delivered(demo_home), published_bytes(demo_home), []
    length = seconds_of("ingest", source, home=tmp_path / "whole")
    for i in range(MOMENTS):
        moment = length * (i + 1) / (MOMENTS + 0.5)
        home = Home(tmp_path / f"home{i}")
        alive = kill_after(moment, "ingest", source, home=home.root)
        again = causeway("ingest", source, home=home.root)
        ran = causeway("run", STUDY, home=home.root)
        same = ran.returncode == 0 and published_bytes(home) == expected
        lines.append((moment, alive, again.returncode, same))
        shutil.rmtree(home.root)
    table("Killed ingests", lines)
    assert sum(alive for _, alive, *_ in lines) >= MOMENTS - 1
    assert all(code == 0 and same for _, _, code, same in lines)
