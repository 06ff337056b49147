"""The section of a meta-analysis: figures, tables, what is withheld, both languages."""

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
from tasks.report.sections import table_meta
from tasks.report.sections.tables import estimates
from tests.unit.test_meta_study import made
from tests.unit.test_report_world import IDENTITY

SPEC = load_study(str(STUDIES_DIR / "examples" / "trials_effects.yaml"))


def section(language="en", change=lambda row: row):
    rows = []
    for name, more in (("pooled", {}), ("by_latitude", {"terms": "ablat"})):
        found = made(measure="risk_ratio", **more)
        rows += [row | {"analysis_id": name} for row in found if row["analysis_id"] != "attrition"]
    rows = [{k: v for k, v in change(row).items() if k in SCHEMA} for row in rows]
    inputs = ReportInputs(
        SPEC, results_frame(rows, IDENTITY), pl.DataFrame(schema=ATTRITION_SCHEMA),
        pl.DataFrame(schema=BALANCE_SCHEMA), [], [], [], {"data_cutoff": "2019-07-03"},
    )  # fmt: skip
    return {getattr(b, "id", b.kind): b for b in estimates(Context(inputs, language)).blocks}


def lines(table):
    return [" | ".join(plain(cell) for cell in row) for row in table.rows]


@pytest.fixture(autouse=True)
def _without_drawing(monkeypatch):
    monkeypatch.setattr(table_meta, "chart_svg", lambda chart, figure: "")


@pytest.mark.parametrize(
    ("language", "prediction"), [("en", "Prediction interval"), ("ko", "예측구간")]
)
def test_sites_and_what_is_pooled_are_drawn(language, prediction):
    found = section(language)
    points = found["forest_pooled"].chart["data"]["values"]
    assert [p["label"] for p in points[:3]] == ["1", "2", "3"]
    assert [p["kind"] for p in points] == ["site"] * 13 + ["pooled", "prediction"]
    assert points[0]["value_text"] == "0.41 (0.13–1.26)"
    assert points[13]["value_text"] == "0.49 (0.34–0.70)"
    assert any(line.startswith(prediction) for line in lines(found["table_pooled"]))
    assert "funnel_pooled" in found
    assert "funnel_by_latitude" not in found


def test_the_forest_can_be_drawn():
    """Its text has no weight of its own: print would draw it thin."""
    svg = chart_svg(section()["forest_pooled"].chart, "forest_pooled")
    assert "0.49 (0.34–0.70)" in svg
    assert 'font-weight="normal"' not in svg


def test_tables_tell_the_numbers():
    found = section()
    summary = lines(found["table_pooled"])
    assert "Risk ratio | 0.489 (0.344–0.696) | 13 | Wald | <0.001" in summary
    assert "Prediction interval | 0.155 to 1.549 | 13 | normal | " in summary
    assert "I² | 92.2% | 13 |  | –" in summary
    assert "Egger's test, t | −1.401 (df 11) | 13 |  | 0.19" in summary
    by_latitude = lines(found["table_by_latitude"])
    assert any(line.startswith("ablat | −0.029 (−0.043 to −0.015)") for line in by_latitude)
    assert any(line.startswith("Test of the moderators | 16.357 (df 1)") for line in by_latitude)
    without = found["details"].blocks[0]
    assert lines(without)[0] == "1 | 0.493 (0.340–0.716) | 93.2% | 0.336 | −0.22 | 0.00"


def test_withheld_sites_leave_no_picture():
    found = section(change=lambda row: withheld(row) if row.get("stratum_level") else row)
    assert "forest_pooled" not in found
    assert "funnel_pooled" not in found
    assert all("withheld" in line for line in lines(found["sites_pooled"]))
