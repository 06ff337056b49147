"""Flows on a real Prefect server: what ends Completed, what ends Failed, and what people are told."""

import json
import re
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from tasks.core.errors import CausewayError, UsageError
from tasks.core.paths import PROJECT_ROOT, Home
from tests.flows.served import STUDY, TITLE, causeway, wait_for

# Prefect's own timeout of a flow and the default of pytest-timeout use the same alarm.
pytestmark = [pytest.mark.xdist_group("serve"), pytest.mark.timeout(600, method="thread")]


@pytest.fixture
def at_server(served, monkeypatch):
    """Run flows of this process on the server, each with the home it is given."""
    from prefect.events.worker import EventsWorker
    from prefect.logging.handlers import APILogWorker
    from prefect.settings import PREFECT_API_URL, PREFECT_HOME, temporary_settings

    def use(home):
        monkeypatch.setenv("CAUSEWAY_HOME", str(home.root))
        return home.prepare()

    own = {PREFECT_API_URL: served.api, PREFECT_HOME: served.home.root / "prefect"}
    with temporary_settings(own):
        yield use
        EventsWorker.drain_all(timeout=30)
        APILogWorker.drain_all(timeout=30)


@pytest.fixture
def copied(served, tmp_path):
    """A home of its own with the data of the served one, and nothing published."""
    home = Home(tmp_path / "copied").prepare()
    ignored = shutil.ignore_patterns("*.lock", ".turn")
    for name in ("lake", "restricted", "audit"):
        source, target = served.home.root / name, home.root / name
        shutil.copytree(source, target, ignore=ignored, dirs_exist_ok=True)
    return home


def ended_failed(served, name, *parts):
    """Check that the last run of this name is Failed and says `parts`; return its id."""
    run = served.latest(name)
    assert run["state_type"] == "FAILED"
    for part in parts:
        assert part in run["state"]["message"]
    return run["id"]


def test_nightly_is_scheduled_at_two_in_seoul(served):
    nightly = served.deployment("nightly-refresh")["id"]
    wanted = {"deployments": {"id": {"any_": [nightly]}}}
    runs = wait_for(lambda: served.flow_runs(**wanted))
    assert {run["state_type"] for run in runs} == {"SCHEDULED"}
    planned = sorted(datetime.fromisoformat(run["expected_start_time"]) for run in runs)
    assert {(at.astimezone(UTC).hour, at.minute, at.second) for at in planned} == {(17, 0, 0)}
    assert timedelta(0) < planned[0] - datetime.now(UTC) <= timedelta(days=1)


def test_forms_have_an_enum_and_help(served):
    schema = served.deployment("run-study")["parameter_openapi_schema"]
    assert STUDY in schema["definitions"]["Study"]["enum"]
    assert TITLE in schema["definitions"]["Study"]["description"]
    assert schema["required"] == ["study"]
    snapshot = schema["properties"]["snapshot"]
    assert (snapshot["type"], snapshot["minimum"], snapshot["default"]) == ("integer", 0, 0)
    delivery = served.deployment("ingest-delivery")["parameter_openapi_schema"]
    for described in (snapshot, delivery["properties"]["delivery"]):
        assert len(described["description"]) > 20


def test_runs_that_may_not_overlap_are_limited(served):
    limits = {
        name: (
            served.deployment(name)["global_concurrency_limit"]["limit"],
            served.deployment(name)["concurrency_options"]["collision_strategy"],
        )
        for name in (
            "run-study", "comparative-effectiveness", "ingest-delivery", "nightly-refresh",
        )
    }  # fmt: skip
    assert limits == {
        "run-study": (2, "ENQUEUE"),
        "comparative-effectiveness": (2, "ENQUEUE"),
        "ingest-delivery": (1, "ENQUEUE"),
        "nightly-refresh": (1, "CANCEL_NEW"),
    }


def test_a_killed_run_is_closed_by_the_next_and_the_next_publishes(served, at_server):
    from flows.remote import run_through_prefect

    served.forget_runs()
    command = ("run", STUDY, "--home", served.home.root, "--json")
    first = causeway(*command, env=served.environment())
    wait_for(served.is_working)
    first.kill()
    first.communicate()
    dead = served.latest(f"run-study/{STUDY}")
    assert dead["state_type"] == "RUNNING"

    second = run_through_prefect(at_server(served.home), STUDY, None, None)
    assert second.as_json()["status"] == "published"
    assert served.state(dead["id"])["type"] == "CRASHED"
    assert served.latest(f"run-study/{STUDY}")["state_type"] == "COMPLETED"
    assert served.latest("comparative-effectiveness")["state_type"] == "COMPLETED"
    assert (served.home.published / STUDY / "report.en.html").is_file()
    assert not served.is_working()


def test_a_study_without_data_ends_failed_and_says_what_to_do(served, tmp_path, at_server):
    from flows.remote import run_through_prefect

    with pytest.raises(CausewayError) as refused:
        run_through_prefect(at_server(Home(tmp_path / "empty")), STUDY, None, None)
    assert refused.value.exit_code == 10
    failed = ended_failed(served, f"run-study/{STUDY}", "NoDataError", "To fix:")
    summary = served.artifacts(failed)[f"{STUDY.replace('_', '-')}-summary"]
    assert "E_LAKE" in summary["data"]
    assert "To fix:" in summary["data"]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A checkout of a site that added studies of its own: one misses a gate, one is faulty."""
    root = tmp_path_factory.mktemp("checkout")
    for name in ("flows", "tasks", "sql", "expectations"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(PROJECT_ROOT / name, root / name, ignore=ignored)
    shutil.copy(PROJECT_ROOT / "requirements.lock", root)
    studies = root / "data" / "studies"
    studies.mkdir(parents=True)
    text = (PROJECT_ROOT / "data" / "studies" / f"{STUDY}.yaml").read_text()
    strict = text.replace("name: events, threshold: 20", "name: events, threshold: 100000")
    assert strict != text
    (studies / "too_few_events.yaml").write_text(
        strict.replace(f"id: {STUDY}", "id: too_few_events")
    )
    faulty = text.replace("ties:", "tise:").replace(f"id: {STUDY}", "id: faulty")
    assert faulty.count("tise:")
    (studies / "faulty.yaml").write_text(faulty)
    return root


def test_a_study_that_misses_a_gate_ends_failed_and_publishes_nothing(served, copied, checkout):
    env = served.environment(copied) | {"PYTHONPATH": str(checkout)}
    run = causeway("run", "too_few_events", "--json", env=env, cwd=checkout)
    told, complained = run.communicate(timeout=120)
    assert run.returncode == 13, complained
    assert json.loads(told)["status"] == "blocked"
    failed = ended_failed(served, "run-study/too_few_events", "gate missed: events")
    gates = json.loads(served.artifacts(failed)["too-few-events-gates"]["data"])
    assert [gate["verdict"] for gate in gates if gate["gate"] == "events"] != ["pass"]
    assert not list(copied.published.iterdir())


@pytest.mark.slow  # in a process of its own; `make test` has other flows that are refused
def test_a_refused_study_ends_failed(served, copied, checkout):
    env = served.environment(copied) | {"PYTHONPATH": str(checkout)}
    run = causeway("run", "faulty", env=env, cwd=checkout)
    _, complained = run.communicate(timeout=120)
    assert run.returncode == 11, complained
    failed = ended_failed(served, "run-study/faulty", "tise")
    assert "tise" in served.artifacts(failed)["faulty-summary"]["data"]


def test_a_file_of_ones_own_is_refused_where_a_server_is_set(tmp_path):
    from flows.remote import run_through_prefect

    mine = tmp_path / "mine.yaml"
    shutil.copy(PROJECT_ROOT / "data" / "studies" / f"{STUDY}.yaml", mine)
    with pytest.raises(UsageError, match="unset PREFECT_API_URL"):
        run_through_prefect(Home(tmp_path / "home"), str(mine), None, None)


def test_an_unforeseen_error_shows_no_data(served, copied, at_server, monkeypatch):
    from flows.run_study import Study, run_study

    def burst(*_):
        raise duckdb.InvalidInputException("could not read line: 900101-1234567,Hong Gildong")

    at_server(copied)
    monkeypatch.setattr("flows.orders.study.cohort", burst)
    with pytest.raises(CausewayError, match="stopped by InvalidInputException"):
        run_study(Study(STUDY))
    failed = ended_failed(served, f"run-study/{STUDY}", "InvalidInputException")
    wait_for(lambda: "Finished in state Failed" in served.logged(failed))
    said = json.dumps([served.call(f"/flow_runs/{failed}"), served.artifacts(failed)])
    assert "Gildong" not in served.logged(failed) + said


def broken_delivery(home, site, delivery):
    folder = home.inbox / site / delivery
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text("{ this is no JSON")
    return folder


def test_a_rejected_delivery_ends_failed_with_its_findings(served, tmp_path, at_server):
    from flows.ingest_delivery import ingest_delivery

    broken_delivery(at_server(Home(tmp_path / "home")), "siteA", "D-1")
    with pytest.raises(CausewayError, match="rejected"):
        ingest_delivery("siteA/D-1")
    failed = ended_failed(served, "ingest-delivery/siteA/D-1", "rejected", "To fix:")
    (artifact,) = served.artifacts(failed).values()
    assert "rejected" in artifact["description"]
    assert re.search(r"- \*\*E_\w+\*\* manifest.json", artifact["data"])


def test_a_delivery_that_is_not_there_ends_failed(served, tmp_path, at_server):
    from flows.ingest_delivery import ingest_delivery

    at_server(Home(tmp_path / "home"))
    with pytest.raises(CausewayError):
        ingest_delivery("siteA/none")
    ended_failed(served, "ingest-delivery/siteA/none", "To fix:")


def test_nightly_with_nothing_to_do_is_completed(served, tmp_path, at_server):
    from flows.nightly_refresh import nightly_refresh

    at_server(Home(tmp_path / "home"))
    assert nightly_refresh() == {"deliveries": 0, "studies": 0}
    run = max(
        (r for r in served.flow_runs() if r["name"].startswith("nightly-refresh/")),
        key=lambda r: r["start_time"] or "",
    )
    assert run["state_type"] == "COMPLETED"
    assert re.fullmatch(r"nightly-refresh/\d{4}-\d\d-\d\d", run["name"])
    summary = served.artifacts(run["id"])["nightly-refresh"]["data"]
    assert "Nothing was waiting" in summary


def test_nightly_with_a_rejected_delivery_does_the_rest_and_says_which(served, copied, at_server):
    from flows.nightly_refresh import nightly_refresh

    at_server(copied)
    for name in ("runs", "published"):
        source, target = served.home.root / name, copied.root / name
        shutil.copytree(source, target, symlinks=True, dirs_exist_ok=True)
    broken_delivery(copied, "aaa", "D-bad")
    (known,) = Path(copied.deliveries).glob("*/*/manifest.json")
    shutil.copytree(known.parent, copied.inbox / "eunomia" / known.parent.name)
    with pytest.raises(CausewayError, match="delivery aaa/D-bad rejected"):
        nightly_refresh()
    failed = max(
        (r for r in served.flow_runs() if r["name"].startswith("nightly-refresh/")),
        key=lambda r: r["start_time"] or "",
    )
    assert failed["state_type"] == "FAILED"
    assert "D-bad" in failed["state"]["message"]
    summary = served.artifacts(failed["id"])["nightly-refresh"]["data"]
    for part in ("D-bad", "rejected", "noop", STUDY, "published", "days since"):
        assert part in summary
