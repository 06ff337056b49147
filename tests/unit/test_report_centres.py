"""The sections of accuracy across centres: pictures, tables, what is withheld, both languages."""

import polars as pl
import pytest

from tasks.analysis.attrition import ATTRITION_SCHEMA
from tasks.analysis.balance import BALANCE_SCHEMA
from tasks.core.disclosure_tables import release_tables
from tasks.core.results import SCHEMA, results_frame
from tasks.core.spec import load_study
from tasks.report.blocks import plain
from tasks.report.context import Context
from tasks.report.figures import chart_svg
from tasks.report.model import ReportInputs
from tasks.report.sections import table_centres
from tasks.report.sections.tables import estimates
from tests.reference.auditc import FRAME
from tests.reference.test_accuracy_meta import OUT, READINGS, TABLE, drawn
from tests.reference.test_registry_tables import results
from tests.unit.test_report_world import IDENTITY

STUDY = """
spec_version: 1
study: {id: s, title: {en: S, ko: 에스}}
sources:
  - {id: counts, kind: two_by_two_table, site_id: S, table: c, missing: refuse,
     roles: {tp: tp, fp: fp, fn: fn, tn: tn, study: study}}
  - {id: readings, kind: reading_table, site_id: S, table: r, missing: complete_case,
     roles: {case_id: case, truth: truth, score: score, site: site},
     columns: {scanner: {category: [A, B]}}}
analyses:
  - {id: reitsma, role: primary, source: counts, method: accuracy_meta,
     across_centres: {model: reml}}
  - {id: new, role: secondary, source: readings, method: leave_one_centre_out,
     index_test: {threshold: 0.5}, subgroups: [scanner],
     hypothesis: {claim: equivalence, margin: 0.05}}
"""
CLAIM = {"subgroups": ["scanner"], "hypothesis": {"claim": "equivalence", "margin": 0.05}}


def rows_of(frame=FRAME):
    asked = {"method": "accuracy_meta", "across_centres": {"model": "reml"}}
    made = [row | {"population": "counts"} for row in results(frame, TABLE, id="reitsma", **asked)]
    made += [
        row | {"population": "readings"}
        for row in results(drawn(), READINGS, id="new", **OUT, **CLAIM)
    ]
    return [row for row in made if row["analysis_id"] != "attrition"]


def section(tmp_path, language="en", k=None, frame=FRAME):
    file = tmp_path / "s.yaml"
    file.write_text(STUDY, "utf-8")
    empty = pl.DataFrame(schema=ATTRITION_SCHEMA)
    shown, _, _ = release_tables(rows_of(frame), empty, k)
    rows = [{key: v for key, v in row.items() if key in SCHEMA} for row in shown]
    inputs = ReportInputs(
        load_study(file), results_frame(rows, IDENTITY), empty,
        pl.DataFrame(schema=BALANCE_SCHEMA), [], [], [], {"data_cutoff": "2026-07-03"},
    )  # fmt: skip
    blocks = estimates(Context(inputs, language)).blocks
    found = [b for block in blocks for b in (block.blocks if block.kind == "details" else [block])]
    return {getattr(b, "id", b.kind): b for b in found}


def lines(table):
    return [" | ".join(plain(cell) for cell in row) for row in table.rows]


@pytest.fixture(autouse=True)
def _without_drawing(monkeypatch):
    monkeypatch.setattr(table_centres, "chart_svg", lambda chart, figure: "")


@pytest.mark.parametrize(("language", "pooled"), [("en", "Pooled"), ("ko", "통합")])
def test_centres_stand_side_by_side_with_what_is_pooled(tmp_path, language, pooled):
    found = section(tmp_path, language)
    points = found["forest_reitsma"].chart["data"]["values"]
    assert [p["kind"] for p in points] == ["site"] * 14 + ["pooled", "prediction"]
    assert [p["label"] for p in points[:3]] == ["1", "2", "3"]
    assert points[0]["sensitivity_text"].startswith("83.9% (72.2")
    assert points[14]["label"] == pooled
    said = points[6]["sensitivity_text"]
    assert said in chart_svg(found["forest_reitsma"].chart, "forest_reitsma")
    assert points[14]["sensitivity_estimate"] == pytest.approx(0.890878, rel=1e-5)
    titles = [panel["layer"][1]["encoding"]["x"]["axis"]["title"] for panel in found["forest_reitsma"].chart["hconcat"]]  # fmt: skip
    assert titles == (["Sensitivity", "Specificity"] if language == "en" else ["민감도", "특이도"])
    assert not any("??" in line or "_" in line for t in found.values() if t.kind == "table" for line in lines(t))  # fmt: skip


def test_the_plane_has_centres_regions_and_the_curve(tmp_path):
    chart = section(tmp_path)["sroc_reitsma"].chart
    _, prediction, confidence, curve, circles, summary = chart["layer"]
    assert len(prediction["data"]["values"]) == len(confidence["data"]["values"]) == 73
    assert len(circles["data"]["values"]) == 14
    largest = max(circles["data"]["values"], key=lambda p: p["size"])
    assert (largest["label"], largest["n"]) == ("8", 6955)
    rates = [p["fpr"] for p in curve["data"]["values"]]
    assert 0.04 < min(rates) < max(rates) < 0.6
    (point,) = summary["data"]["values"]
    assert (point["sensitivity"], point["fpr"]) == pytest.approx((0.890878, 0.220339), rel=1e-5)


def test_pictures_can_be_drawn(tmp_path):
    found = section(tmp_path, "ko")
    assert "예측구간" in chart_svg(found["forest_reitsma"].chart, "forest_reitsma")
    assert "위양성률" in chart_svg(found["sroc_reitsma"].chart, "sroc_reitsma")


def test_tables_tell_the_numbers(tmp_path):
    found = section(tmp_path)
    summary = lines(found["table_reitsma"])
    assert (
        "Sensitivity | 89.1% (80.8%–94.1%) | 42.7% to 98.9% | Wald on the logit scale | " in summary
    )
    assert any(line.startswith("HSROC: accuracy (Λ) | 3.262") for line in summary)
    assert any(line.startswith("Equal sensitivity in all centres (a half added to each cell) | 272.36 (df 13)") for line in summary)  # fmt: skip
    assert lines(found["sites_reitsma"])[6].startswith("7 | 100.0%")
    without = lines(found["without_reitsma"])
    assert len(without) == 28
    assert without[0].startswith("Sensitivity | 1 | 83.9%")
    validated = lines(found["without_new"])
    assert len(validated) == 18
    starred = [line.split(" | ")[:2] for line in validated if line.endswith("*")]
    assert ["Sensitivity", "H5"] in starred
    assert ["Sensitivity", "H2"] not in starred
    assert any(line.startswith("AUC | ") for line in lines(found["table_new"]))
    assert any(line.startswith("AUC: change with the share") for line in lines(found["table_new"]))


def test_gaps_of_subgroups_stand_beneath_their_levels(tmp_path):
    found = lines(section(tmp_path)["subgroups_new"])
    assert [line.split(" | ")[0] for line in found] == [
        "scanner: A",
        "scanner: B",
        "scanner: B - A",
    ]
    for verdict in ("Sensitivity: not shown", "AUC: not shown"):
        assert verdict in found[2]


def test_small_cells_hide_every_centre_and_no_pooled_value(tmp_path):
    found = section(tmp_path, k=11)
    assert "forest_reitsma" not in found
    assert all("withheld" in line for line in lines(found["sites_reitsma"]))
    assert found["sroc_reitsma"].chart["layer"][4]["data"]["values"] == []
    assert any(line.startswith("Sensitivity | 89.1%") for line in lines(found["table_reitsma"]))


def test_few_centres_are_drawn_without_a_pooled_line_and_say_why(tmp_path):
    found = section(tmp_path, "ko", frame=FRAME[:4])
    points = found["forest_reitsma"].chart["data"]["values"]
    assert {p["kind"] for p in points} == {"site"}
    assert "sroc_reitsma" not in found
