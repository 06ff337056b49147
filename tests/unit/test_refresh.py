"""Deliveries are taken in by time, not by name; a study that waits for data is no failure."""

import json

from flows.orders.refresh import refresh, waiting_deliveries
from tasks.core.paths import Home
from tasks.core.spec import study_ids
from tests.ingest_world import BASE, a_home, ingest, write_delivery


def waiting(home, name, cutoff, kind):
    folder = home.inbox / "siteA" / name
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text(json.dumps({"data_cutoff": cutoff, "kind": kind}))


def test_the_inbox_is_read_in_the_order_of_time(tmp_path):
    home = Home(tmp_path / "home").prepare()
    waiting(home, "D-10", "2024-02-01", "increment")
    waiting(home, "D-9", "2024-02-01", "full")
    waiting(home, "D-11", "2024-01-01", "full")
    assert [folder.name for folder in waiting_deliveries(home)] == ["D-11", "D-9", "D-10"]


def test_an_empty_home_has_nothing_to_do(tmp_path):
    done = refresh(Home(tmp_path / "home").prepare())
    assert (done.exit_code, done.runs, done.failures) == (0, [], [])


def test_a_study_without_data_waits_and_is_not_started(tmp_path, monkeypatch):
    home, started = a_home(tmp_path), []
    ingest(home, write_delivery(home.inbox / "siteA" / "D-1", BASE))
    monkeypatch.setattr("flows.orders.refresh.waiting_deliveries", lambda home: [])
    done = refresh(home, run_one=lambda study: started.append(study))
    assert (done.exit_code, started, done.failures) == (0, [], [])
    assert {message.where for message in done.waiting} == set(study_ids())
