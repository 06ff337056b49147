"""The whole pipeline in real processes: no-op, same bytes, kills, neighbours, gates, privacy."""

import json
import os
import shutil
import signal
import time

import polars as pl
import pytest

from tasks.core.lake import open_lake
from tasks.core.paths import STUDIES_DIR
from tasks.core.runs import read_manifest
from tasks.core.site import SiteSettings
from tests.homes import (
    STUDY,
    called,
    causeway,
    copy_of,
    delivered,
    published,
    published_bytes,
    shuffled_delivery,
)
from tests.needs import need


def variant(tmp_path, *changes):
    """A changed copy of the demonstration study."""
    text = (STUDIES_DIR / f"{STUDY}.yaml").read_text(encoding="utf-8")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    file = tmp_path / "variant.yaml"
    file.write_text(text, encoding="utf-8")
    return file


def test_the_demonstration_publishes_a_report_in_both_languages(demo_home):
    folder = published(demo_home)
    names = {file.name for file in folder.iterdir()}
    assert names >= {
        "results.parquet", "results.csv", "attrition.parquet", "balance.parquet", "manifest.json",
        "report.en.html", "report.ko.html", "report.en.pdf", "report.ko.pdf",
    }  # fmt: skip
    manifest = read_manifest(folder)
    assert manifest["status"] == "published"
    assert {gate["verdict"] for gate in manifest["gates"]} == {"pass"}


def test_a_second_demonstration_is_a_no_op(demo_home, tmp_path):
    home = copy_of(demo_home, tmp_path / "home", with_runs=True)
    before = {file: file.stat().st_mtime_ns for file in published(home).rglob("*")}
    ran = called("demo", "--study", STUDY, home=home.root)
    assert ran.returncode == 0
    assert "nothing to do" in ran.stdout
    assert {file: file.stat().st_mtime_ns for file in published(home).rglob("*")} == before


def test_threads_and_the_order_of_rows_change_no_byte(demo_home, tmp_path):
    folder = shuffled_delivery(delivered(demo_home), tmp_path / "delivery", seed=5)
    home = tmp_path / "home"
    env = {"CAUSEWAY_THREADS": "1", "TZ": "America/St_Johns", "LC_ALL": "C"}
    took_in = causeway("ingest", folder, "--json", home=home, env=env)
    assert took_in.returncode == 0, took_in.stderr
    ran = causeway("run", STUDY, "--json", home=home, env=env)
    assert ran.returncode == 0, ran.stderr
    outcome = json.loads(ran.stdout)
    assert outcome["run_id"] == published(demo_home).name
    other = type(demo_home)(home)
    expected, got = published_bytes(demo_home), published_bytes(other)
    assert [name for name in expected if got.get(name) != expected[name]] == []
    assert got.keys() == expected.keys()


def killed_and_run_again(demo_home, folder, seconds):
    """Kill a run after so many seconds, run it again; return what it publishes."""
    home = copy_of(demo_home, folder)
    first = causeway("run", STUDY, home=home.root, wait=False)
    time.sleep(seconds)
    os.killpg(first.pid, signal.SIGKILL)
    first.communicate()
    again = causeway("run", STUDY, home=home.root)
    assert again.returncode == 0, again.stderr
    got = published_bytes(home)
    shutil.rmtree(folder)
    return got


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [3.0])
def test_a_killed_run_is_done_again_to_the_same_bytes(demo_home, tmp_path, seconds):
    assert killed_and_run_again(demo_home, tmp_path / "home", seconds) == published_bytes(demo_home)


@pytest.mark.slow
def test_two_runs_and_an_ingest_at_once_do_not_disturb_one_another(demo_home, tmp_path):
    home = copy_of(demo_home, tmp_path / "home")
    other = delivery_of_another_site(demo_home, tmp_path / "other")
    words = ("run", STUDY, "--snapshot", "2", "--json")
    started = [causeway(*words, home=home.root, wait=False) for _ in range(2)]
    started.append(causeway("ingest", other, "--json", home=home.root, wait=False))
    ended = [process.communicate(timeout=300) for process in started]
    assert [process.returncode for process in started] == [0, 0, 0], ended
    outcomes = [json.loads(out) for out, _ in ended]
    assert {outcome.get("status") for outcome in outcomes[:2]} == {"published"}
    assert outcomes[2]["deliveries"][0]["status"].startswith("accepted")
    assert published_bytes(home) == published_bytes(demo_home)


def delivery_of_another_site(demo_home, target):
    """A few tables of the demonstration's delivery, sent by another site."""
    import hashlib

    source = delivered(demo_home)
    manifest = json.loads((source / "manifest.json").read_text(encoding="utf-8"))
    kept = ("person", "drug_era", "concept", "observation_period")
    manifest["files"] = [entry for entry in manifest["files"] if entry["table"] in kept]
    manifest |= {"site_id": "elsewhere", "delivery_id": "E-1"}
    target.mkdir()
    for entry in manifest["files"]:
        shutil.copyfile(source / entry["name"], target / entry["name"])
        assert hashlib.sha256((target / entry["name"]).read_bytes()).hexdigest() == entry["sha256"]
    (target / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    return target


def test_a_missed_gate_blocks_publication(demo_home, tmp_path):
    home = copy_of(demo_home, tmp_path / "home", with_runs=True)
    study = variant(tmp_path, ("{name: events, threshold: 20,", "{name: events, threshold: 2000,"))
    ran = called("run", study, "--json", home=home.root)
    outcome = json.loads(ran.stdout)
    assert (ran.returncode, outcome["status"]) == (13, "blocked")
    assert "events 159 (threshold 2000)" in outcome["messages"][0]["what"]
    assert published(home).name == published(demo_home).name
    assert not (home.runs / STUDY / outcome["run_id"] / "results.parquet").exists()


def test_a_primary_analysis_that_cannot_be_estimated_fails_the_run(demo_home, tmp_path):
    home = copy_of(demo_home, tmp_path / "home", with_runs=True)
    study = variant(
        tmp_path,
        ("summary_measure: hazard_ratio", "summary_measure: rmst_difference"),
        ("role: primary, method: cox", "role: secondary, method: cox"),
        ("{id: rmst_overlap, role: secondary, method: rmst, adjustment: overlap, horizon_days: 30}",
         "{id: rmst_overlap, role: primary, method: rmst, adjustment: overlap, horizon_days: 900}"),
    )  # fmt: skip
    ran = called("run", study, "--json", home=home.root)
    assert ran.stdout, ran.stderr
    outcome = json.loads(ran.stdout)
    assert (ran.returncode, outcome["status"]) == (14, "failed")
    assert "horizon 900" in outcome["messages"][0]["what"]
    assert published(home).name == published(demo_home).name


def test_patient_data_are_published_without_small_cells(demo_home, tmp_path):
    home = copy_of(demo_home, tmp_path / "home")
    with open_lake(home, SiteSettings(), write=True) as con:
        con.execute("update lake.meta.delivery set data_class = 'patient'")
    ran = called("run", STUDY, "--json", home=home.root)
    assert ran.returncode == 0, ran.stderr
    assert {m["code"] for m in json.loads(ran.stdout)["messages"]} == {"P_SMALL_CELL"}
    results = pl.read_parquet(published(home) / "results.parquet")
    shown = results.filter(pl.col("status") == "ok")
    for name in ("n", "n_events"):
        assert not shown.filter(pl.col(name).is_between(1, 10)).height
    hidden = results.filter(pl.col("status") == "suppressed")
    assert hidden.height > 20
    assert hidden["estimate"].null_count() == hidden.height
    steps = pl.read_parquet(published(home) / "attrition.parquet")
    assert steps.filter(pl.col("excluded").is_between(1, 10)).height == 0


def test_a_gate_that_only_reports_does_not_stop_publication(demo_home, tmp_path):
    home = copy_of(demo_home, tmp_path / "home", with_runs=True)
    study = variant(
        tmp_path,
        ("{name: equipoise, threshold: 0.2,", "{name: equipoise, threshold: 0.99,"),
        ("Gastrointestinal bleeding after celecoxib and after diclofenac", "Bleeding \U0001fac0"),
    )
    ran = called("run", study, "--json", home=home.root)
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout)["gates"][-1]["verdict"] == "miss"


@pytest.mark.slow
def test_a_raised_threshold_is_obeyed_by_a_known_run(demo_home, tmp_path):
    home = copy_of(demo_home, tmp_path / "home")
    with open_lake(home, SiteSettings(), write=True) as con:
        con.execute("update lake.meta.delivery set data_class = 'patient'")
    shown = []
    for k in (5, 40):
        home.site_file.write_text(f"disclosure_threshold: {k}\n")
        ran = called("run", STUDY, "--json", home=home.root)
        assert ran.returncode == 0, ran.stderr
        results = pl.read_parquet(published(home) / "results.parquet")
        shown.append(results.filter(pl.col("status") == "ok").height)
    assert shown[0] > shown[1]


def test_a_refused_study_and_an_unknown_one_have_their_exit_codes(tmp_path):
    bad = tmp_path / "bad.yaml"
    bad.write_text("spec_version: 1\nstudy: {id: NO}\n")
    refused = causeway("study", "check", bad)
    assert refused.returncode == 11
    assert "bad.yaml:2" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert called("run", "nothing", home=tmp_path / "h").returncode == 2
    assert called("run", STUDY, home=tmp_path / "h").returncode == 10


def test_an_unforeseen_error_shows_no_text_of_its_own(demo_home, tmp_path):
    """A library's message may hold a patient's value: it stays on the restricted side."""
    home = copy_of(demo_home, tmp_path / "home")
    victim = next((home.lake / "data" / "omop" / "person").rglob("*.parquet"))
    victim.write_bytes(b"kim chulsoo 880101-1234567")
    ran = called("run", STUDY, home=home.root)
    assert ran.returncode == 10
    assert "chulsoo" not in ran.stdout + ran.stderr
    assert "Traceback" not in ran.stderr
    assert list((home.restricted / "errors").iterdir())


@pytest.mark.slow
def test_the_demonstration_runs_with_the_network_blocked(tmp_path):
    unshare = shutil.which("unshare")
    need("network", unshare and os.system("unshare -rn true 2>/dev/null") == 0, "no `unshare -n`")
    ran = causeway("demo", "--study", STUDY, home=tmp_path / "home", prefix=(unshare, "-rn"))
    assert ran.returncode == 0, ran.stderr
