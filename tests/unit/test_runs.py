"""A run appears whole or not at all, and what died is closed by the next start."""

import json
import subprocess
import sys
from dataclasses import replace

import pytest

from tasks.core.audit import first_broken_line, record
from tasks.core.errors import BusyError
from tasks.core.paths import Home
from tasks.core.runs import (
    RunIdentity,
    begin,
    code_hash,
    finish,
    is_intact,
    published_run_id,
    read_manifest,
    run_folder,
    run_lock,
    switch_published,
)


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path / "home").prepare()


def identity(content="c"):
    return RunIdentity("study", "1.0", "s", 2, content, "2026-01-01", "k")


def run(home, who, text="x", status="published"):
    work = begin(home, who)
    (work.outputs / "results.parquet").write_text(text)
    return finish(home, who, work, status, {})


def test_the_same_question_on_the_same_data_with_the_same_code_is_the_same_run():
    assert identity().run_id == identity().run_id
    assert identity().run_id != identity("other").run_id
    assert len(identity().run_id) == 12


def test_publishing_switches_to_the_new_run_and_keeps_the_old(home):
    first, second = identity("one"), identity("two")
    run(home, first)
    assert published_run_id(home, "study") == first.run_id
    run(home, second)
    assert published_run_id(home, "study") == second.run_id
    assert is_intact(run_folder(home, "study", first.run_id))


def test_looking_back_does_not_take_the_newest_evidence_away(home):
    old, new = replace(identity("old"), snapshot_id=2), replace(identity("new"), snapshot_id=5)
    run(home, new)
    work = begin(home, old)
    finish(home, old, work, "published", {}, shown="if_newest")
    assert published_run_id(home, "study") == new.run_id
    switch_published(home, old)
    assert published_run_id(home, "study") == old.run_id


def test_a_part_of_a_study_leaves_what_is_published_alone(home):
    whole, part = identity("whole"), identity("part")
    run(home, whole)
    folder = finish(home, part, begin(home, part), "published", {}, shown="nowhere")
    assert published_run_id(home, "study") == whole.run_id
    assert read_manifest(folder)["status"] == "published"


@pytest.mark.parametrize("status", ["blocked", "failed"])
def test_what_is_not_published_leaves_the_last_good_run_in_force(home, status):
    good, bad = identity("good"), identity("bad")
    run(home, good)
    run(home, bad, status=status)
    assert published_run_id(home, "study") == good.run_id
    assert not is_intact(run_folder(home, "study", bad.run_id))


def test_a_changed_byte_is_noticed_and_the_run_is_done_again(home):
    folder = run(home, identity(), "good")
    assert is_intact(folder)
    (folder / "results.parquet").write_text("evil")
    assert not is_intact(folder)
    assert is_intact(run(home, identity(), "good"))


def test_what_a_dead_run_left_is_removed_and_written_down(home):
    left = begin(home, identity())
    (left.outputs / "half.txt").write_text("half")
    (left.private / "study.duckdb").write_text("half")
    fresh = begin(home, identity())
    assert list(fresh.outputs.iterdir()) == list(fresh.private.iterdir()) == []
    events = [json.loads(line)["event"] for line in (home.audit / "log.jsonl").open()]
    assert events == ["run-closed-as-crashed"]


def test_private_folders_are_closed_to_others(home):
    work = begin(home, identity())
    assert home.restricted.stat().st_mode & 0o777 == home.lake.stat().st_mode & 0o777 == 0o700
    assert work.private.stat().st_mode & 0o777 == 0o700


def test_the_manifest_holds_no_clock_host_or_user(home):
    first = (run(home, identity()) / "manifest.json").read_bytes()
    second = (run(home, identity()) / "manifest.json").read_bytes()
    assert first == second


def test_a_second_start_of_the_same_run_waits(home):
    code = (
        "import sys; from pathlib import Path; from tasks.core.paths import Home\n"
        "from tasks.core.runs import run_lock\n"
        "with run_lock(Home(Path(sys.argv[1])), 'r'): print('held', flush=True); sys.stdin.read()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(home.root)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(BusyError) as caught, run_lock(home, "r", seconds=0.2):
        pass
    assert caught.value.exit_code == 16
    holder.kill()
    holder.wait()
    with run_lock(home, "r", seconds=5):
        pass


def test_the_code_hash_sees_every_file_that_decides_a_result(tmp_path):
    for name in ("flows", "tasks", "sql", "expectations"):
        (tmp_path / name).mkdir()
    (tmp_path / "requirements.lock").write_text("a==1")
    before = code_hash(tmp_path)
    (tmp_path / "sql" / "q.sql").write_text("select 1")
    between = code_hash(tmp_path)
    (tmp_path / "requirements.lock").write_text("a==2")
    assert len({before, between, code_hash(tmp_path)}) == 3


def test_the_audit_log_tells_which_line_was_changed(home):
    for number in range(5):
        record(home, "event", number=number)
    assert first_broken_line(home) is None
    log = home.audit / "log.jsonl"
    log.write_text(log.read_text().replace('"number": 2', '"number": 3'))
    assert first_broken_line(home) == 3
