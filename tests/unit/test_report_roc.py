"""The sections of ROC curves and operating points: picture, tables, what is withheld, languages."""

import numpy as np
import pandas as pd
import polars as pl
import pytest

from tasks.analysis.attrition import ATTRITION_SCHEMA
from tasks.analysis.balance import BALANCE_SCHEMA
from tasks.core.disclosure_tables import release_tables
from tasks.core.paths import STUDIES_DIR
from tasks.core.results import SCHEMA, results_frame, withheld
from tasks.core.spec import load_study
from tasks.report.blocks import plain
from tasks.report.context import Context
from tasks.report.figures import chart_svg
from tasks.report.model import ReportInputs
from tasks.report.sections import table_roc
from tasks.report.sections.tables import estimates
from tests.reference.test_registry_tables import results
from tests.unit.test_report_world import IDENTITY

SPEC = load_study(str(STUDIES_DIR / "examples" / "device_roc.yaml"))
SOURCE = SPEC.sources[0].model_dump(mode="json", exclude_defaults=True) | {
    "id": "t",
    "site_id": "S",
    "table": "r",
}
KEYS = "method index_test hypothesis subgroups seed roc operating_point".split()


def images(n=900, seed=4):
    """Two versions of a device, three centres, persons with two images, outputs that are none."""
    rng = np.random.default_rng(seed)
    cancer = rng.random(n) < 0.35
    parts = []
    for version, shift in (("v1", 1.3), ("v2", 1.9)):
        state = np.where(rng.random(n) < 0.03, "failed", "scored")
        probability = 1 / (1 + np.exp(-rng.normal(cancer * shift - shift / 2))).round(4)
        parts.append(pd.DataFrame({
            "image": np.arange(n), "patient": np.arange(n) // 2, "version": version, "state": state,
            "probability": np.where(state == "failed", np.nan, probability), "cancer": cancer * 1,
            "centre": np.array(["A", "B", "C"])[np.arange(n) // 2 % 3],
            "sex": np.where(np.arange(n) // 2 % 2, "F", "M"),
            "phase": np.where(np.arange(n) < n // 2, "tuning", "testing"),
        }))  # fmt: skip
    return pd.concat(parts)


@pytest.fixture(scope="module")
def found():
    rows = []
    for analysis in SPEC.analyses:
        asked = analysis.model_dump(mode="json", exclude_none=True)
        asked = {key: asked[key] for key in KEYS if asked.get(key)} | {"replicates": 200}
        made = results(images(), SOURCE, **asked)
        rows += [r | {"analysis_id": analysis.id} for r in made if r["analysis_id"] != "attrition"]
    return rows


def section(rows, language="en"):
    rows = [{k: v for k, v in row.items() if k in SCHEMA} for row in rows]
    inputs = ReportInputs(
        SPEC, results_frame(rows, IDENTITY), pl.DataFrame(schema=ATTRITION_SCHEMA),
        pl.DataFrame(schema=BALANCE_SCHEMA), [], [], [], {"data_cutoff": "2026-01-01"},
    )  # fmt: skip
    return {getattr(b, "id", b.kind): b for b in estimates(Context(inputs, language)).blocks}


def lines(table):
    return [" | ".join(plain(cell) for cell in row) for row in table.rows]


@pytest.fixture(autouse=True)
def _without_drawing(monkeypatch):
    monkeypatch.setattr(table_roc, "chart_svg", lambda chart, figure: "")


def values(chart):
    return [layer["data"]["values"] for layer in chart["layer"]]


@pytest.mark.parametrize("language", ["en", "ko"])
def test_each_version_has_a_curve_a_band_and_a_point(found, language):
    chart = section(found, language)["roc_discrimination"].chart
    _, _, band, curve, _, marks = values(chart)
    names = {point["line"] for point in curve}
    assert [name[:3] for name in sorted(names)] == ["v1:", "v2:"]
    assert {point["line"] for point in band} == {point["line"] for point in marks} == names
    assert all(0 <= p["low"] <= p["high"] <= 1 for p in band)
    for name in names:
        mine = [p for p in curve if p["line"] == name]
        assert (mine[0]["up"], mine[-1]["up"]) == (0, 1)
        assert [p["across"] for p in mine] == sorted(p["across"] for p in mine)


@pytest.mark.parametrize("language", ["en", "ko"])
def test_no_word_is_missing(found, language):
    for block in section(found, language).values():
        if block.kind == "table":
            text = " ".join(lines(block))
            assert "_" not in text.replace("operating_point", ""), text


def test_tables_name_what_was_compared_and_shown(found):
    of = section(found)
    gaps = lines(of["compare_discrimination"])
    assert any("non-inferiority is shown (margin 0.050)" in line for line in gaps)
    assert any(
        line.startswith("Difference of partial areas, specificity 90% to 100%") for line in gaps
    )
    levels = lines(of["levels_discrimination"])
    assert any("sex: M\u00a0-\u00a0F, v1" in line for line in levels)
    assert any("largest gap" in line and "Bonferroni" in line for line in levels)
    table = lines(of["table_discrimination"])
    assert len(table) == 6
    assert all("–" in part for line in table for part in line.split(" | ")[2:5])
    fixed = lines(of["fixed_discrimination"])
    assert any(line.startswith("Sensitivity at a specificity of 90%") for line in fixed)
    assert len(lines(of["parts_discrimination"])) == 5
    assert len(lines(of["without_discrimination"])) == 6


def test_a_threshold_stands_with_both_sets(found):
    of = section(found)
    limits = lines(of["threshold_threshold"])
    assert [line[:2] for line in limits] == ["v1", "v2"]
    assert "percentiles, bootstrap" in limits[0]
    head = [column.label for column in of["sets_threshold"].columns]
    assert head.index("Where it is judged") < head.index("Where it was chosen")
    assert any(line.startswith("Sensitivity | v1") for line in lines(of["sets_threshold"]))


def test_the_picture_can_be_drawn(found):
    svg = chart_svg(section(found)["roc_discrimination"].chart, "roc_x")
    assert ">chance</text>" in svg
    assert "v2: " in svg


def test_withheld_points_are_not_drawn(found):
    kept, _, _ = release_tables(found, pl.DataFrame(schema=ATTRITION_SCHEMA), 10)
    whole = values(section(found)["roc_discrimination"].chart)[3]
    part = values(section(kept)["roc_discrimination"].chart)[3]
    assert 10 < len(part) < len(whole)


def test_nothing_is_drawn_of_what_is_all_withheld(found):
    of = section([withheld(row) for row in found if row.get("term") != "curve"])
    assert "roc_discrimination" not in of
    assert all("0." not in line for line in lines(of["compare_discrimination"]))
