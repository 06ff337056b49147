"""A run keeps the study that it ran, and a locked study refuses to change in silence."""

import json

import pytest

from flows.orders.lock import lock_study
from flows.orders.study import study_run
from flows.orders.templates import study_template, template_kinds, write_template
from tasks.core.audit import first_broken_line
from tasks.core.errors import NoDataError, SpecError, UsageError
from tasks.core.paths import Home
from tasks.core.spec import load_study, study_file
from tasks.core.spec.locks import lock_file, read_locks, state_of, with_lock
from tasks.core.spec.written import write_study, written_study
from tests.study_files import COHORTS, DEVICE, NEW_USER, REGISTRY, changed

WHEN = "2026-01-01T00:00:00+00:00"


@pytest.mark.parametrize("study", [NEW_USER, DEVICE, COHORTS, REGISTRY])
def test_a_written_study_is_the_study(tmp_path, study):
    spec = load_study(study)
    write_study(spec, tmp_path)
    assert written_study(tmp_path) == spec
    assert written_study(tmp_path).spec_hash == spec.spec_hash


def test_values_that_yaml_readers_disagree_on_survive_the_writing(tmp_path):
    quoted = ('versions: ["1.0", "2.0"]', 'versions: ["1e5", "NO", "2024-01-01", "0x1F", "null"]')
    small = ("min_share: 0.001", "min_share: 0.0000001")
    spec = load_study(changed(tmp_path, DEVICE, quoted, small))
    write_study(spec, tmp_path / "run")
    assert written_study(tmp_path / "run") == spec


def test_the_files_that_a_study_names_are_written_with_it(tmp_path):
    (tmp_path / "sql").mkdir()
    (tmp_path / "sql" / "mine.sql").write_text("select 1 as person_id\n")
    named = ("cohorts:\n", "cohorts:\n  - {id: by_hand, sql: sql/mine.sql}\n")
    spec = load_study(changed(tmp_path, COHORTS, named))
    write_study(spec, tmp_path / "run")
    assert written_study(tmp_path / "run").spec_hash == spec.spec_hash
    assert written_study(tmp_path) is None


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path / "home").prepare()


def test_a_lock_holds_until_the_version_is_raised_and_locked_anew(tmp_path, home):
    study = changed(tmp_path, NEW_USER)
    first = lock_study(home, study)
    assert lock_study(home, study) == first
    assert state_of(load_study(study), read_locks(study_file(study))) == "locked"
    assert load_study(study).spec_hash == first.in_force.spec_hash

    edit = ("prior_observation_days: 183", "prior_observation_days: 365")
    changed(tmp_path, NEW_USER, edit)
    with pytest.raises(SpecError, match="changed after its lock") as refused:
        study_run(home, study)
    [message] = refused.value.messages
    assert (message.code, refused.value.exit_code) == ("E_SPEC_LOCKED", 11)
    assert "raise study.version" in message.fix
    with pytest.raises(SpecError, match=r"version 1\.0 is locked, and the file is version 1\.0"):
        lock_study(home, study)

    changed(tmp_path, NEW_USER, edit, ('version: "1.0"', 'version: "1.1"'))
    with pytest.raises(SpecError, match="changed after its lock"):
        study_run(home, study)
    second = lock_study(home, study)
    assert second.locks[0] == first.in_force
    assert [lock.version for lock in second.locks] == ["1.0", "1.1"]
    with pytest.raises(NoDataError):  # as locked: it gets as far as the data
        study_run(home, study)

    events = [json.loads(line) for line in (home.audit / "log.jsonl").read_text().splitlines()]
    assert [e["spec_hash"] for e in events if e["event"] == "study-locked"] == [
        first.in_force.spec_hash, second.in_force.spec_hash
    ]  # fmt: skip
    assert first_broken_line(home) is None


def test_versions_count_as_numbers(tmp_path):
    study = changed(tmp_path, NEW_USER, ('version: "1.0"', 'version: "1.9"'))
    locks = with_lock(load_study(study), study_file(study), WHEN)
    lock_file(study_file(study)).write_text(locks.model_dump_json())
    later = changed(tmp_path, NEW_USER, ('version: "1.0"', 'version: "1.10"'))
    assert with_lock(load_study(later), study_file(later), WHEN).in_force.version == "1.10"


def test_a_changed_description_is_refused_as_well(tmp_path, home):
    study = changed(tmp_path, COHORTS)
    lock_study(home, study)
    changed(tmp_path, COHORTS, ("limit: first", "limit: last"))
    with pytest.raises(SpecError, match="changed after its lock"):
        study_run(home, study)


def test_a_damaged_lock_is_refused(tmp_path):
    study = changed(tmp_path, NEW_USER)
    lock_file(study_file(study)).write_text('{"study_id": "x", "locks": []}')
    with pytest.raises(SpecError, match="is not a lock"):
        read_locks(study_file(study))


@pytest.mark.parametrize("kind", template_kinds())
def test_each_template_is_a_valid_study_with_comments_in_both_languages(tmp_path, kind):
    file = write_template(kind, "a_new_one", tmp_path / "a_new_one.yaml")
    assert load_study(str(file)).study.id == "a_new_one"
    text = file.read_text(encoding="utf-8")
    comments = [line.partition("# ")[2] for line in text.splitlines() if "# " in line]
    assert sum(any("가" <= sign <= "힣" for sign in comment) for comment in comments) >= 5
    with pytest.raises(UsageError, match="exists already"):
        write_template(kind, "a_new_one", file)


def test_there_are_templates_of_these_kinds():
    assert set(template_kinds()) >= {"cohorts", "new_user", "device_shown_or_not", "analysis_table"}
    with pytest.raises(UsageError, match=r"kinds: .*cohorts"):
        study_template("nothing")
    with pytest.raises(UsageError, match="no id"):
        study_template("cohorts", "../x")
