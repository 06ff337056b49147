"""Figures and words of registry tables: what a reader sees of curves, models, roll-outs, controls."""

from xml.etree import ElementTree

import numpy as np
import polars as pl
import pytest

from tasks.analysis.attrition import ATTRITION_SCHEMA
from tasks.core.results import results_frame
from tasks.core.spec import StudySpec
from tasks.report.blocks import Details, Figure, Paragraph, Table, plain
from tasks.report.content import build_content
from tasks.report.figures import chart_svg
from tasks.report.model import ReportInputs
from tasks.report.notes import said_note
from tasks.report.texts import Words
from tests.reference.outcome_data import roll_out
from tests.reference.test_cox_more import rossi
from tests.reference.test_registry_tables import results
from tests.reference.test_series import one_series
from tests.unit.test_report_world import IDENTITY, provenance

FOLLOWED = {
    "kind": "analysis_table",
    "roles": {"follow_up": {"column": "week", "unit": "weeks"}, "event": "arrest", "treatment": "fin"},
    "columns": {"fin": {"category": ["0", "1"]}, "race": {"category": ["0", "1"]}, "age": "number", "prio": "number"},
}  # fmt: skip
SERIES = {
    "kind": "series_table",
    "roles": {"time": "time", "value": "value", "intervention": "on"},
    "columns": {"time": "number"},
}
EFFECTS = {
    "kind": "effect_table",
    "roles": {"study": "drug", "estimate": "y", "std_error": "se", "scale": "log"},
    "columns": {"is_control": "boolean"},
}


def blocks(frame, source, language="en", **analysis):
    """Return the blocks of the section of estimates of a study with one analysis."""
    rows = [r for r in results(frame, source, **analysis) if r["analysis_id"] == "a1"]
    public = [{key: value for key, value in row.items() if key in pl_columns()} for row in rows]
    text = {"en": "x", "ko": "x"}
    spec = StudySpec.model_validate({
        "spec_version": 1, "study": {"id": "reference", "title": text, "question": text},
        "sources": [{"id": "t", "site_id": "S", "table": "r", "missing": "complete_case", "na": ["NA"]} | source],
        "analyses": [{"id": "a1", "role": "primary", "source": "t"} | analysis],
    })  # fmt: skip
    inputs = ReportInputs(
        spec=spec, results=results_frame(public, IDENTITY), attrition=pl.DataFrame(schema=ATTRITION_SCHEMA),
        balance=pl.DataFrame(), quality=[], deliveries=[], gates=[], provenance=provenance(),
    )  # fmt: skip
    [section] = [s for s in build_content(inputs, language).sections if s.id == "table-estimates"]
    return section.blocks


def pl_columns():
    return set(results_frame([], IDENTITY).columns)


def figure(found, name):
    [drawn] = [block for block in found if isinstance(block, Figure) and block.id == name]
    ElementTree.fromstring(drawn.svg)
    return drawn


def cells(found, name):
    [table] = [block for block in found if isinstance(block, Table) and block.id == name]
    return [[plain(cell) for cell in row] for row in table.rows]


COX = {"method": "cox", "ties": "efron", "terms": "fin + age"}


@pytest.mark.parametrize(("language", "said"), [("en", "effect over time"), ("ko", "쇤펠트")])
def test_effects_over_time_are_drawn_by_span_and_told_in_words(language, said):
    found = blocks(rossi(), FOLLOWED, language, **COX)
    drawn = figure(found, "in_time_a1")
    assert said in drawn.caption
    assert drawn.alt.count("fin=1") == 5
    panels = drawn.chart["vconcat"]
    assert [panel["title"]["text"] for panel in panels] == ["age", "fin=1"]
    points = [point for panel in panels for point in panel["data"]["values"]]
    assert len(points) == 10  # five spans of 20 deaths or more: never one person
    assert [len(panel["layer"][1]["data"]["values"]) for panel in panels] == [1, 1]
    assert {row[0] for row in cells(found, "table_a1")} <= {"Hazard ratio", "위험비"}
    [numbers] = [block for block in found if isinstance(block, Details)]
    assert len(numbers.blocks[0].rows) == 10
    assert chart_svg(drawn.chart, drawn.id) == drawn.svg


def test_a_cumulative_hazard_has_its_numbers_at_risk_beneath():
    found = blocks(rossi(), FOLLOWED, method="nelson_aalen", table_days=[140, 280])
    drawn = figure(found, "curve_a1")
    curves, at_risk = drawn.chart["vconcat"]
    assert curves["layer"][1]["encoding"]["y"]["axis"]["format"] == "~g"
    assert at_risk["height"] == 44
    shown = {(p["arm"], p["day"]): p["label"] for p in at_risk["data"]["values"]}
    counted = ((rossi().week >= 20) & (rossi().fin == 1)).sum()
    assert shown["fin 1", 140.0] == str(counted)
    assert curves["encoding"]["x"]["axis"]["values"] == [0.0, 140.0, 280.0]


def test_subgroups_stand_below_all_rows():
    found = blocks(rossi(), FOLLOWED, **COX, subgroups=["race"])
    points = figure(found, "subgroups_a1").chart["data"]["values"]
    assert [point["label"] for point in points] == ["All rows", "race 0", "race 1"]
    assert [point["is_primary"] for point in points] == [True, False, False]
    assert "race" in {row[1].split(",")[0] for row in cells(found, "fit_a1")}


def test_balance_is_drawn_before_and_after():
    how = {"adjustment": "iptw_ate", "propensity": "age + prio", "std_error": "robust"}
    found = blocks(rossi(), FOLLOWED, **COX, **how)
    points = figure(found, "love_a1").chart["data"]["values"]
    assert {point["adjustment"] for point in points} == {"before", "after"}
    scores = figure(found, "overlap_a1").chart["data"]["values"]
    assert [point["arm"] for point in scores] == ["fin 0", "fin 1"]
    assert all(0 < p["p5"] < p["p25"] < p["p50"] < p["p75"] < p["p95"] < 1 for p in scores)
    smd = {row[0]: row[1:3] for row in cells(found, "balance_a1")}
    assert {p["label"]: p["value_text"] for p in points if p["adjustment"] == "before"} == {
        name: values[0].lstrip("−") for name, values in smd.items()
    }
    assert "Quantile" in {row[0] for row in cells(found, "score_a1")}


def test_a_roll_out_is_drawn_by_time_since_adoption():
    source = SERIES | {"roles": SERIES["roles"] | {"site": "site"}}
    how = {"method": "difference_in_differences", "controls": "never_treated", "inference": "permutation"}  # fmt: skip
    found = blocks(roll_out(), source, **how)
    points = figure(found, "adoption_a1").chart["data"]["values"]
    assert [point["at"] for point in points] == list(range(-3, 4))
    assert "−3 periods since adoption" in {row[1] for row in cells(found, "table_a1")}
    [parts] = [block for block in found if isinstance(block, Details)]
    assert plain(parts.blocks[0].rows[0][0]).startswith("adopted in period ")


def test_controls_are_drawn_against_their_errors():
    pandas = pytest.importorskip("pandas")
    y, se = np.linspace(-0.2, 0.4, 12), np.linspace(0.1, 0.3, 12)
    frame = pandas.DataFrame({"drug": [f"c{i}" for i in range(12)], "y": y, "se": se})
    frame["is_control"] = ["yes"] * 11 + ["no"]
    how = {"method": "empirical_calibration", "control": "is_control", "measure": "risk_ratio"}
    drawn = figure(blocks(frame, EFFECTS, **how), "funnel_a1")
    *_, points = drawn.chart["layer"]
    kinds = [point["kind"] for point in points["data"]["values"]]
    assert (kinds.count("Negative controls"), kinds.count("Other effects")) == (11, 1)


def test_a_series_names_the_lag_of_its_errors():
    time, value, on = one_series()
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"time": time, "value": value, "on": on.astype(int)})
    found = blocks(frame, SERIES, method="interrupted_time_series", family="gaussian")
    assert any("Newey-West (lag 3)" in row[1] for row in cells(found, "table_a1"))
    dots = figure(found, "series_a1").chart["layer"][0]["data"]["values"]
    assert [dot["estimate"] for dot in dots] == pytest.approx(value)


def test_a_time_without_an_upper_limit_says_so():
    found = blocks(rossi(), FOLLOWED, method="kaplan_meier", quantiles=[0.2])
    values = {row[1]: row[2] for row in cells(found, "table_a1") if "20% with" in row[1]}
    assert values["fin 1, 20% with the event"].endswith("no upper limit)")
    assert "–" in values["fin 0, 20% with the event"]


def test_a_score_without_an_adjustment_is_not_called_one():
    source = FOLLOWED | {"roles": {"outcome": "arrest", "treatment": "fin"}}
    found = blocks(rossi(), source, method="aipw", terms="fin + age", propensity="age")
    said = [plain(block.text) for block in found if isinstance(block, Paragraph)]
    assert "Model of the treatment: age." in said


@pytest.mark.parametrize(
    ("note", "korean"),
    [
        ("3 imputations", "대체 자료 3개"),
        ("from 30 negative controls of 32 effects", "효과 32개 중 음성대조 30개로 추정"),
        ("200 resamples; the weights are fitted anew in each", "재표본 200회; 재표본마다 가중치를 다시 추정"),
        ("of hazard_ratio; 2 tests of interaction in this analysis", "위험비; 이 분석의 교호작용 검정 2개"),
        ("something new of a_column", "something new of a_column"),
    ],
)  # fmt: skip
def test_notes_are_said_in_korean(note, korean):
    assert said_note(Words("ko"), note) == korean


def test_notes_name_estimates_not_codes():
    assert said_note(Words("en"), "E-value of hazard_ratio, as it is; x_y") == "E-value of hazard ratio, as it is; x_y"  # fmt: skip
