"""Plan and difference on the demonstration: what is stale and why, and what a change did."""

import json
import shutil
from dataclasses import replace

import polars as pl
import pytest

from flows.cli import app
from flows.orders import plan as planning
from flows.orders.compare import compare, newest_run, published_name
from flows.orders.plan import plan_study
from tasks.core.errors import UsageError
from tasks.core.paths import home_from
from tasks.core.runs import read_manifest
from tasks.core.site import load_site
from tasks.core.spec import load_study
from tasks.core.spec.written import written_study
from tests.homes import STUDY, copy_of, published
from tests.study_files import DEVICE, changed

EDITS = (
    ('version: "1.0"', 'version: "1.1"'),
    ("{id: rmst_crude, role: secondary, method: rmst, adjustment: none, horizon_days: 30}",
     "{id: rmst_crude, role: secondary, method: rmst, adjustment: none, horizon_days: 20}"),
)  # fmt: skip


def test_a_published_run_keeps_the_study_that_it_ran(demo_home):
    written = written_study(published(demo_home))
    assert written == load_study(STUDY)
    assert f"study/{STUDY}.yaml" in read_manifest(published(demo_home))["files"]


@pytest.fixture(scope="module")
def data(demo_home):
    """The data of the demonstration, hashed once."""
    return planning.pin(demo_home, load_site(demo_home), load_study(STUDY), None)


@pytest.fixture
def pinned(monkeypatch, data):
    """Pin what was hashed already; the specification is that of the study that is planned."""

    def pin(home, site, spec, snapshot):
        identity = replace(data.identity, spec_hash=spec.spec_hash)
        return replace(data, identity=identity)

    monkeypatch.setattr(planning, "pin", pin)


def test_nothing_to_do_where_data_spec_and_code_are_those_of_the_published_run(demo_home, pinned):
    plan = plan_study(demo_home, STUDY)
    assert (plan.state, plan.reasons) == ("nothing_to_do", [])
    assert plan.run_id == plan.published_run_id == published(demo_home).name
    assert not any(step.stale for step in plan.steps)


def test_a_changed_analysis_makes_only_its_own_steps_stale(demo_home, pinned, tmp_path):
    plan = plan_study(demo_home, changed(tmp_path, STUDY, *EDITS))
    [reason] = plan.reasons
    assert plan.state == "run"
    assert reason.kind == "spec"
    assert "Analyses: rmst_crude: horizon in days: 30 → 20" in reason.details
    stale = {step.name for step in plan.steps if step.stale}
    assert stale == {"analysis rmst_crude", "gates", "protect", "report", "publish"}


def test_it_names_the_code_lists_of_eligibility_and_censoring(tmp_path):
    more = (
        "eligibility:\n    - id: copd\n      exclude: {events: {domain: condition_occurrence, "
        "code_list: copd}, at_least: 1, within: {from_days: -365, to_days: -1}}\n"
        "  censor_events: [{domain: condition_occurrence, code_list: stroke}]"
    )
    file = changed(tmp_path, DEVICE, ("eligibility: []", more))
    plan = plan_study(home_from(tmp_path / "home").prepare(), file)
    [people] = [step for step in plan.steps if step.name == "people of the comparison"]
    assert people.reads[-2:] == ("code list copd", "code list stroke")


def forged(home, **values):
    """Change the manifest of the published run."""
    file = published(home) / "manifest.json"
    manifest = json.loads(file.read_text()) | values
    file.write_text(json.dumps(manifest))


def test_new_data_and_new_code_make_every_step_stale(demo_home, pinned, tmp_path):
    home = copy_of(demo_home, tmp_path / "home", with_runs=True)
    manifest = read_manifest(published(home))
    [delivery] = manifest["deliveries"]
    earlier = [{**delivery, "sha256": "0" * 64}, {**delivery, "delivery_id": "gone"}]
    forged(home, content_hash="0" * 64, code_hash="0" * 64, run_id="0" * 12, deliveries=earlier)
    published(home).rename(published(home).with_name("0" * 12))
    (home.published / STUDY).unlink()
    (home.published / STUDY).symlink_to(f"../runs/{STUDY}/{'0' * 12}")
    plan = plan_study(home, STUDY)
    assert [reason.kind for reason in plan.reasons] == ["data", "code"]
    assert plan.reasons[0].details == (
        f"delivery {delivery['delivery_id']} of {delivery['site_id']}: changed",
        f"delivery gone of {delivery['site_id']}: no longer in force",
    )
    assert all(step.stale == ("code", "data") for step in plan.steps)


def command(*words):
    """Run a command of the command line in this process."""
    return app([str(word) for word in words], standalone_mode=False)


def test_a_study_that_waits_says_for_what(tmp_path, capsys):
    command("study", "plan", STUDY, "--json", "--home", tmp_path / "home")
    plan = json.loads(capsys.readouterr().out)
    assert plan["state"] == "waits"
    assert plan["reasons"][0]["kind"] == "no_data"


def test_the_effect_on_counts_is_told_where_both_versions_were_run(demo_home, tmp_path, capsys):
    home = copy_of(demo_home, tmp_path / "home", with_runs=True)
    other = changed(tmp_path, STUDY, *EDITS)
    assert compare(home, STUDY, other).counts == []
    second = published(home).with_name("1" * 12)
    shutil.copytree(published(home), second)
    attrition = pl.read_parquet(second / "attrition.parquet")
    fewer = attrition.with_columns(
        remaining=pl.when(pl.col("step") == pl.col("step").max()).then(700).otherwise("remaining")
    )
    fewer.write_parquet(second / "attrition.parquet")
    manifest = read_manifest(second) | {"spec_hash": load_study(other).spec_hash}
    (second / "manifest.json").write_text(json.dumps(manifest))
    found = compare(home, STUDY, other, "ko")
    assert newest_run(home, load_study(other)) == second
    assert found.is_same_data
    differing = [row for row in found.counts if row["before"] != row["after"]]
    assert [(row["group"], row["before"], row["after"]) for row in differing] == [
        ("celecoxib", 1797, 700), ("diclofenac", 830, 700)
    ]  # fmt: skip
    assert [row["change"] for row in differing] == [700 - 1797, 700 - 830]
    assert [change.section for change in found.changes] == ["study", "analyses"]
    words = ["study", "diff", STUDY, other, "--home", home.root]
    hidden = len(found.counts) - len(differing)
    command(*words, "--language", "ko")
    short = capsys.readouterr().out
    assert f"변화가 없는 단계 {hidden}개" in short
    assert all(name in short for name in ("이전", "이후", "변화", "-1097"))
    command(*words, "--all")
    whole = capsys.readouterr().out
    assert "did not change" not in whole
    assert whole.count("\n") > short.count("\n")


def test_a_run_can_be_compared_with_the_file(demo_home):
    name = published_name(demo_home, STUDY)
    assert compare(demo_home, name, STUDY).changes == []
    assert compare(demo_home, str(published(demo_home)), STUDY).counts == []
    with pytest.raises(UsageError, match="no such run"):
        compare(demo_home, f"{STUDY}@000000000000", STUDY)


def test_commands_write_what_they_say(tmp_path, capsys):
    folder, picture = tmp_path / "protocol", tmp_path / "design.svg"
    command("study", "protocol", STUDY, "--language", "ko", "--out", folder)
    assert {f.name for f in folder.iterdir()} == {"protocol.ko.html", "protocol.ko.md", "figures"}
    command("study", "diagram", STUDY, "--out", picture)
    assert picture.read_text(encoding="utf-8").count("<svg") == 1
    file = tmp_path / "mine.yaml"
    command("study", "new", "cohorts", "--id", "mine", "--out", file)
    command("study", "check", file, "--json")
    shown = capsys.readouterr().out
    assert json.loads(shown[shown.index("{") :])["lock"] == "unlocked"
    command("study", "diff", STUDY, changed(tmp_path, STUDY, *EDITS))
    assert "Analyses\n  rmst_crude: horizon in days: 30 → 20\n" in capsys.readouterr().out
    with pytest.raises(UsageError, match="needs two versions"):
        command("study", "diff", STUDY)
