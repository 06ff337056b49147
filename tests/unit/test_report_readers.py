"""The sections of reader studies: tables, the picture, what is withheld, both languages."""

from itertools import pairwise

import polars as pl
import pytest

from tasks.analysis.attrition import ATTRITION_SCHEMA
from tasks.analysis.balance import BALANCE_SCHEMA
from tasks.core.paths import STUDIES_DIR
from tasks.core.results import SCHEMA, results_frame, withheld
from tasks.core.spec import load_study
from tasks.report.blocks import plain
from tasks.report.context import Context
from tasks.report.figures import chart_svg
from tasks.report.model import ReportInputs
from tasks.report.sections import table_readers
from tasks.report.sections.tables import estimates
from tests.reference.test_mrmc import ROLES, drawn
from tests.reference.test_registry_tables import results
from tests.unit.test_report_world import IDENTITY

SPEC = load_study(str(STUDIES_DIR / "examples" / "reader_study.yaml"))
SOURCE = {"kind": "reading_table", "roles": {**ROLES, "reading_seconds": "seconds"}}
KEYS = ("method", "index_test", "reader_study", "agreement", "hypothesis")


def section(language="en", change=lambda row: row):
    rows = []
    for analysis in SPEC.analyses[1:]:
        asked = analysis.model_dump(exclude_none=True)
        found = results(drawn(), SOURCE, **{key: asked[key] for key in KEYS if key in asked})
        rows += [r | {"analysis_id": analysis.id} for r in found if r["analysis_id"] != "attrition"]
    rows = [{k: v for k, v in change(row).items() if k in SCHEMA} for row in rows]
    inputs = ReportInputs(
        SPEC, results_frame(rows, IDENTITY), pl.DataFrame(schema=ATTRITION_SCHEMA),
        pl.DataFrame(schema=BALANCE_SCHEMA), [], [], [], {"data_cutoff": "2026-01-01"},
    )  # fmt: skip
    return {getattr(b, "id", b.kind): b for b in estimates(Context(inputs, language)).blocks}


def lines(table):
    return [" | ".join(plain(cell) for cell in row) for row in table.rows]


@pytest.fixture(autouse=True)
def _without_drawing(monkeypatch):
    monkeypatch.setattr(table_readers, "chart_svg", lambda chart, figure: "")


@pytest.mark.parametrize(("language", "mean"), [("en", "Mean"), ("ko", "평균")])
def test_readers_and_their_mean_are_drawn(language, mean):
    found = section(language)
    points = found["readers_auc_readers"].chart["data"]["values"]
    assert [p["kind"] for p in points] == ["reader"] * 6 + ["mean"] * 2
    assert {p["reader"] for p in points} == {"r0", "r1", "r2", mean}
    assert "readers_sensitivity_readers" in found
    assert "readers_specificity_readers" not in found  # readers of b are all alike: no mean
    assert "readers_reading_time_seconds" in found
    assert not any("??" in line for table in found.values() if table.kind == "table" for line in lines(table))  # fmt: skip


def test_the_picture_can_be_drawn():
    chart = section()["readers_auc_readers"].chart
    assert ">r2</text>" in chart_svg(chart, "readers_auc_readers")


def test_names_of_readers_lie_apart():
    points = section()["readers_auc_readers"].chart["data"]["values"]
    places = sorted(p["name_at"] for p in points if "name_at" in p)
    assert len(places) == 4
    assert min(b - a for a, b in pairwise(places)) > 0.01


def test_tables_name_the_space_and_what_is_shown():
    found = section()
    gaps = lines(found["compare_readers"])
    auc = [line for line in gaps if line.startswith("Difference of areas")]
    assert "readers and cases like these" in "".join(auc)
    assert "these readers, cases like these" in "".join(auc)
    assert "non-inferiority" in auc[0]
    assert any("Ratio of times (geometric mean)" in line for line in lines(found["compare_seconds"]))  # fmt: skip
    agreed = lines(found["table_agreement"])
    assert any(line.startswith("Kappa: Fleiss | a, all readers") for line in agreed)
    assert any("reader r0 with the truth" in line for line in agreed)
    assert len(lines(found["components_readers"])) == 18


def test_what_is_withheld_is_not_drawn():
    found = section(change=withheld)
    assert not [name for name in found if name.startswith("readers_")]
    assert all("0." not in line for line in lines(found["compare_readers"]))
