"""Studies of registry tables, from a delivery to a published report."""

import json
import re

import lifelines.datasets
import polars as pl
import pytest

from flows.orders.pinned import ensure_served
from flows.orders.refresh import refresh
from tasks.core.errors import NoDataError
from tests.ingest_world import ingest, write_delivery
from tests.table_world import PUBLIC, csv_with_id, home_with, run, written

pytestmark = pytest.mark.xdist_group("table_study")

ROSSI = {
    "spec_version": 1,
    "study": {"id": "rossi", "title": {"en": "Arrest after release", "ko": "출소 후 재체포"}},
    "sources": [
        {
            "id": "t", "kind": "analysis_table", "site_id": "S", "table": "rossi", "missing": "complete_case",
            "na": ["NA"],
            "roles": {"person_id": "id", "follow_up": {"column": "week", "unit": "weeks"}, "event": "arrest", "treatment": "fin"},
            "columns": {"fin": {"category": ["0", "1"]}, "age": "number", "prio": "number"},
        }
    ],
    "analyses": [
        {"id": "a1", "role": "primary", "source": "t", "method": "cox", "terms": "fin + age + prio", "ties": "efron"},
        {"id": "km", "role": "secondary", "source": "t", "method": "kaplan_meier", "by": "fin", "table_days": [182]},
        {"id": "rate", "role": "secondary", "source": "t", "method": "incidence_rate", "by": "fin"},
        {"id": "test", "role": "secondary", "source": "t", "method": "log_rank", "by": "fin"},
        {"id": "weighted", "role": "secondary", "source": "t", "method": "cox", "terms": "fin", "ties": "efron",
         "std_error": "robust", "adjustment": "overlap", "propensity": "age + prio", "show_propensity": True},
    ],
}  # fmt: skip
CURVES = ROSSI | {
    "analyses": [
        *ROSSI["analyses"],
        {"id": "late", "role": "secondary", "source": "t", "method": "kaplan_meier", "landmark_days": 91, "quantiles": [0.1]},
        {"id": "hazard", "role": "secondary", "source": "t", "method": "nelson_aalen", "table_days": [182]},
        {"id": "gray", "role": "secondary", "source": "t", "method": "gray_test", "by": "fin"},
        {"id": "lost", "role": "secondary", "source": "t", "method": "rmst", "by": "fin", "horizon_days": 300, "terms": "age"},
    ]
}  # fmt: skip


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    rossi = lifelines.datasets.load_rossi()
    rossi.loc[:2, "age"] = None
    return home_with(tmp_path_factory.mktemp("tables"), rossi=csv_with_id(rossi))


@pytest.fixture(scope="module")
def published(home, tmp_path_factory):
    return run(home, written(tmp_path_factory.mktemp("study"), CURVES))


def test_it_is_published_with_a_report_in_both_languages(published):
    outcome, rows = published
    assert (outcome.status, outcome.messages) == ("published", [])
    assert {file.name for file in outcome.reports} == {
        f"report.{language}.{kind}" for language in ("en", "ko") for kind in ("html", "pdf")
    }
    [age] = [r for r in rows if r["term"] == "age" and r["estimate_name"] == "hazard_ratio"]
    assert (age["n"], age["population"], age["outcome"]) == (429, "t", "arrest")
    pages = {
        language: (outcome.folder / f"report.{language}.html").read_text(encoding="utf-8")
        for language in ("en", "ko")
    }
    assert "age: missing" in pages["en"]
    assert "age: 결측" in pages["ko"]
    assert f"{age['estimate']:.3f}" in pages["en"]
    for language, said in (
        (
            "en",
            (
                "balance of the arms before and after",
                "Model of the treatment",
                "fitted models counted",
            ),
        ),
        ("ko", ("보정 전후 군 간 균형", "처치 모형", "적합 모형 반영")),
        ("en", ("per 1,000 person-years", "in days", "null model", "fin 1, expected")),
        ("ko", ("1,000인년당", "단위: 일", "영모형", "fin 1, 기대 사건 수")),
        ("en", ("longer than the landmark", "10% with the event", "Gray", "mean time lost")),
        ("ko", ("기준 시점보다", "사건 발생 10%", "누적위험", "제한평균손실시간")),
    ):
        assert all(words in pages[language] for words in said)


def test_every_row_of_the_table_is_in_the_attrition(published):
    outcome, _ = published
    steps = pl.read_parquet(outcome.folder / "attrition.parquet").filter(pl.col("arm") == "a1")
    assert steps["remaining"].to_list() == [432, 429, 429]
    assert steps["excluded"].to_list() == [0, 3, 0]


def test_it_rests_on_the_delivery_of_its_table_alone(home, published, tmp_path):
    outcome, _ = published
    manifest = json.loads((outcome.folder / "manifest.json").read_text(encoding="utf-8"))
    assert [(d["site_id"], d["delivery_id"]) for d in manifest["deliveries"]] == [("S", "D-1")]
    again, _ = run(home, written(tmp_path, CURVES))
    assert (again.was_known, again.run_id) == (True, outcome.run_id)


def test_a_study_waits_for_its_table(home, tmp_path):
    other = json.loads(json.dumps(ROSSI).replace('"table": "rossi"', '"table": "lung"'))
    with pytest.raises(NoDataError, match="no delivery in force of table S/lung"):
        ensure_served(home, written(tmp_path, other))


def test_examples_are_not_refreshed(home):
    done = refresh(home, run_one=lambda study: pytest.fail(study))
    assert not {message.where for message in done.waiting} & {"registry_survival", "model_draws"}


def test_a_newer_delivery_replaces_the_table_and_few_are_withheld(home, published, tmp_path):
    """The same table as of patients: three rows too few to be told of, and so is its size."""
    folder = home.inbox / "S" / "D-2"
    rossi = lifelines.datasets.load_rossi()
    rossi.loc[:2, "age"] = None
    tables = {"rossi": csv_with_id(rossi)}
    write_delivery(folder, tables, **(PUBLIC | {"delivery_id": "D-2", "data_class": "patient"}))
    assert ingest(home, folder).status.startswith("accepted")
    study = written(tmp_path, ROSSI | {"report": {"languages": ["en"]}})
    outcome, rows = run(home, study)
    assert {m.code for m in outcome.messages} == {"P_SMALL_CELL"}
    state = {r["analysis_id"]: r["status"] for r in rows if r["estimate_name"] != "test"}
    assert (state["a1"], state["km"]) == ("ok", "suppressed")
    page = (outcome.folder / "report.en.html").read_text(encoding="utf-8")
    assert "429" in page
    # The size: neither digits of an estimate nor the 12 hours (432e5) of the chart library.
    assert re.findall(r"(?<![\d.])432(?![\de])", page) == []
    [quality] = [json.loads(f.read_text("utf-8")) for f in (outcome.folder / "quality").iterdir()]
    assert quality["files"][0]["rows_in"] is None
