"""The section of accuracy: outputs without a result count in its first table as the study says."""

import polars as pl

from tasks.analysis.attrition import ATTRITION_SCHEMA
from tasks.analysis.balance import BALANCE_SCHEMA
from tasks.core.results import SCHEMA, results_frame
from tasks.core.spec import load_study
from tasks.report.context import Context
from tasks.report.model import ReportInputs
from tasks.report.sections.tables import estimates
from tests.reference.test_accuracy import PAIRED, TEST, drawn
from tests.reference.test_registry_tables import results
from tests.unit.test_report_corrected import lines
from tests.unit.test_report_world import IDENTITY

STUDY = """
spec_version: 1
study: {id: s, title: {en: S, ko: 에스}}
sources:
  - {id: t, kind: reading_table, site_id: S, table: r, missing: complete_case,
     roles: {case_id: case, truth: truth, score: score, modality: modality, output: output},
     columns: {modality: {category: [old, new]}}}
analyses:
  - {id: acc, role: primary, source: t, method: accuracy, index_test: {threshold: 0.5}}
"""


def test_the_first_table_counts_what_has_no_result_as_the_study_says(tmp_path):
    file = tmp_path / "s.yaml"
    file.write_text(STUDY, "utf-8")
    spec, frame = load_study(file), drawn()
    source = {**PAIRED, "roles": {**PAIRED["roles"], "output": "output"}}
    found = results(frame, source, method="accuracy", index_test=TEST, id="acc")
    rows = [{k: v for k, v in row.items() if k in SCHEMA} for row in found]
    rows = [row | {"population": "t"} for row in rows if row["analysis_id"] == "acc"]
    inputs = ReportInputs(
        spec, results_frame(rows, IDENTITY), pl.DataFrame(schema=ATTRITION_SCHEMA),
        pl.DataFrame(schema=BALANCE_SCHEMA), [], [], [], {"data_cutoff": "2026-07-03"},
    )  # fmt: skip
    first = lines(estimates(Context(inputs, "en")).blocks, "table_acc")
    new = frame[(frame.modality == "new") & (frame.truth == 1)]
    hits = ((new.score >= 0.5) & (new.output == 0)).sum()
    assert first[0].startswith("Sensitivity")
    assert f"{hits}/{len(new)}" in first[0]
