"""The sections of corrected accuracy and of planned numbers: tables, caveat, both languages."""

import polars as pl
import pytest

from tasks.analysis.attrition import ATTRITION_SCHEMA
from tasks.analysis.balance import BALANCE_SCHEMA
from tasks.core.paths import STUDIES_DIR
from tasks.core.results import SCHEMA, results_frame, withheld
from tasks.core.spec import load_study
from tasks.report.blocks import plain
from tasks.report.context import Context
from tasks.report.model import ReportInputs
from tasks.report.sections.tables import estimates
from tests.reference.test_registry_tables import results
from tests.reference.test_verification import BY_X, frame
from tests.unit.test_report_world import IDENTITY

SPEC = load_study(str(STUDIES_DIR / "examples" / "partial_verification.yaml"))


def section(language="en", change=lambda row: row):
    table = frame(BY_X).rename(columns={"score": "result", "truth": "disease"})
    table["age_group"] = table.x.map({0: "under 60", 1: "60 or more"})
    source = SPEC.tables[0].model_dump(mode="json", exclude_none=True)
    kept = {"kind": source["kind"], "columns": source["columns"]}
    kept["roles"] = {
        "case_id": "case", "score": "result", "truth": "disease", "verified": "verified",
        "verification_covariates": ["age_group"],
    }  # fmt: skip
    rows = []
    for analysis in SPEC.analyses:
        asked = analysis.model_dump(mode="json", exclude_unset=True)
        asked.pop("source", None)
        found = results(table, kept, **asked)
        rows += [r | {"population": "readings"} for r in found if r["analysis_id"] != "attrition"]
    rows = [{k: v for k, v in change(row).items() if k in SCHEMA} for row in rows]
    inputs = ReportInputs(
        SPEC, results_frame(rows, IDENTITY), pl.DataFrame(schema=ATTRITION_SCHEMA),
        pl.DataFrame(schema=BALANCE_SCHEMA), [], [], [], {"data_cutoff": "2026-07-03"},
    )  # fmt: skip
    return estimates(Context(inputs, language)).blocks


def lines(blocks, name):
    (table,) = (block for block in blocks if getattr(block, "id", "") == name)
    return [" | ".join(plain(cell) for cell in row) for row in table.rows]


@pytest.mark.parametrize(
    ("language", "naive", "corrected"),
    [
        ("en", "Verified cases only (naive)", "Begg and Greenes"),
        ("ko", "확인된 증례만(보정 전)", "Begg-Greenes"),
    ],
)
def test_naive_values_stand_first_and_corrected_ones_below(language, naive, corrected):
    found = lines(section(language), "table_corrected")
    assert found[0].startswith(naive)
    assert "87.2% (81.3%–91.4%) | 277" in found[0]
    assert found[1].startswith(corrected)
    assert "80.8% (73.5%–86.4%) | 452" in found[1]
    assert not any("_" in line for line in found)


@pytest.mark.parametrize(
    ("language", "said"), [("en", "A sensitivity analysis."), ("ko", "민감도 분석이다.")]
)
def test_the_caveat_stands_before_values_without_a_right_reference(language, said):
    blocks = section(language)
    texts = [plain(block.text) for block in blocks if block.kind == "paragraph"]
    assert any(text.startswith(said) for text in texts)
    assert len(lines(blocks, "table_imperfect")) == 6


def test_planned_numbers_are_held_against_what_was_reached():
    found = lines(section(), "planned_corrected")
    assert found == [
        "Cases | 500 | 452 | not reached",
        "Cases with the condition | 150 | 172 | reached",
    ]


def test_what_is_withheld_is_no_number():
    blocks = section(change=withheld)
    for name in ("table_corrected", "verified_corrected", "table_imperfect"):
        assert not any("%" in line.split(" | ", 1)[1] for line in lines(blocks, name))
    assert not any("reached" in line for line in lines(blocks, "planned_corrected"))
