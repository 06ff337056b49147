"""The sections of calibration and decision curves: tables, pictures, both languages."""

import polars as pl
import pytest

from tasks.analysis.attrition import ATTRITION_SCHEMA
from tasks.analysis.balance import BALANCE_SCHEMA
from tasks.core.disclosure_points import hide_thin_points
from tasks.core.paths import STUDIES_DIR
from tasks.core.results import SCHEMA, results_frame, withheld
from tasks.core.spec import load_study
from tasks.report.blocks import plain
from tasks.report.context import Context
from tasks.report.figures import chart_svg
from tasks.report.model import ReportInputs
from tasks.report.sections import table_probabilities
from tasks.report.sections.tables import estimates
from tests.reference.test_net_benefit import FOLLOWED, PAIRED, drawn, two_modalities
from tests.reference.test_registry_tables import results
from tests.unit.test_report_world import IDENTITY

SPEC = load_study(str(STUDIES_DIR / "examples" / "score_as_probability.yaml"))
KEYS = ("method", "calibration", "decision_curve", "hypothesis", "horizon_days", "seed")


def made():
    """The rows of each analysis of the example, of drawn readings."""
    rows = []
    for analysis in SPEC.analyses:
        asked = analysis.model_dump(exclude_none=True)
        follows = analysis.horizon_days is not None
        frame, source = (drawn(300), FOLLOWED) if follows else (two_modalities(drawn(300), 1), PAIRED)  # fmt: skip
        asked = {key: asked[key] for key in KEYS if key in asked} | {"replicates": 200}
        if analysis.method == "decision_curve":
            asked.setdefault("decision_curve", {})["thresholds"] = [0.1, 0.15, 0.2, 0.3, 0.5]
        rows += [r | {"analysis_id": analysis.id} for r in results(frame, source, **asked)]
    return [
        row for row in rows if row["estimate_name"] != "count" or row.get("term") == "score_bin"
    ]


@pytest.fixture(scope="module")
def rows():
    return made()


def section(rows, language="en", change=lambda row: row):
    told = [{k: v for k, v in change(row).items() if k in SCHEMA} for row in rows]
    inputs = ReportInputs(
        SPEC, results_frame(told, IDENTITY), pl.DataFrame(schema=ATTRITION_SCHEMA),
        pl.DataFrame(schema=BALANCE_SCHEMA), [], [], [], {"data_cutoff": "2026-01-01"},
    )  # fmt: skip
    return {getattr(b, "id", b.kind): b for b in estimates(Context(inputs, language)).blocks}


def lines(table):
    return [" | ".join(plain(cell) for cell in row) for row in table.rows]


@pytest.fixture(autouse=True)
def _without_drawing(monkeypatch):
    monkeypatch.setattr(table_probabilities, "chart_svg", lambda chart, figure: "")


@pytest.mark.parametrize(
    ("language", "slope"), [("en", "Calibration slope"), ("ko", "보정 기울기")]
)
def test_numbers_and_pictures_of_calibration(rows, language, slope):
    found = section(rows, language)
    table = lines(found["table_calibration"])
    assert any(line.startswith(slope) for line in table)
    assert len(table[0].split(" | ")) == 3  # the number, then each modality
    assert len(lines(found["groups_calibration"])) == 19  # the lowest scores of one are tied
    assert {"calibration_calibration_0", "calibration_calibration_1"} <= found.keys()
    assert not any("??" in line for b in found.values() if b.kind == "table" for line in lines(b))


def test_the_decision_curve_has_each_modality_all_and_none(rows):
    found = section(rows)
    points = found["decision_net_benefit"].chart["data"]["values"]
    assert {p["line"] for p in points} == {"old", "new", "Acting on all", "Acting on none"}
    assert {p["line"] for p in points if p["low"] is not None} == {"old", "new"}
    of_time = found["decision_net_benefit_of_follow_up"].chart["data"]["values"]
    assert {p["line"] for p in of_time} == {"Acting by the score", "Acting on all", "Acting on none"}  # fmt: skip
    shown = lines(found["compare_net_benefit"])
    assert len(shown) == 5
    assert all("superiority" in line.lower() for line in shown)


@pytest.mark.parametrize("figure", ["calibration_calibration_0", "decision_net_benefit"])
def test_the_pictures_can_be_drawn(rows, figure):
    assert "<svg" in chart_svg(section(rows)[figure].chart, figure)


def test_old_habits_are_told_as_such(rows):
    (line, *_) = [line for line in lines(section(rows)["fit_calibration"]) if "Hosmer" in line]
    assert "old habits" in line
    (line, *_) = [line for line in lines(section(rows, "ko")["fit_calibration"]) if "Hosmer" in line]  # fmt: skip
    assert "관행" in line


def test_what_is_withheld_is_not_drawn(rows):
    found = section(hide_thin_points(rows, 11))
    points = found["decision_net_benefit"].chart["data"]["values"]
    drawn_at = {p["at"] for p in points if p["line"] == "new"}
    assert drawn_at < {p["at"] for p in points if p["line"] == "Acting on all"}
    nothing = section(rows, change=lambda row: withheld(row))
    assert "decision_net_benefit" not in nothing
    assert "calibration_calibration_0" not in nothing
