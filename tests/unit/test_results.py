"""The results contract: its words, its order, its bytes, and its other form for OMOP tools."""

import csv
import random

import polars as pl
import pytest

from tasks.core.results import (
    SCHEMA,
    ResultsContractError,
    result_row,
    results_frame,
    withheld,
    write_table,
)
from tasks.core.summarised import COLUMNS, write_summarised

IDENTITY = {"study_id": "s", "spec_hash": "h", "run_id": "r", "snapshot_id": 2, "data_cutoff": "d"}
ROWS = [
    result_row(
        "a", "primary", "hazard_ratio", estimate=1.5, std_error=0.1, n=10, population="crude"
    ),
    result_row("a", "primary", "survival", at=3.0, estimate=0.9, arm="x", population="crude"),
    result_row("a", "primary", "survival", at=1.0, estimate=0.95, arm="x", population="crude"),
    result_row("b", "secondary", "count", estimate=7.0, arm="y", outcome="=cmd()"),
]


@pytest.mark.parametrize(
    "wrong",
    [
        {"estimate_name": "hazard_ration"},
        {"role": "main"},
        {"status": "fine"},
        {"hazard": 1.0},
    ],
)
def test_a_row_outside_the_contract_is_refused(wrong):
    values = {"analysis_id": "a", "role": "primary", "estimate_name": "count"} | wrong
    with pytest.raises(ResultsContractError):
        result_row(**values)


def test_the_order_of_rows_depends_on_their_content_alone(tmp_path):
    shuffled = ROWS.copy()
    random.Random(1).shuffle(shuffled)
    write_table(results_frame(ROWS, IDENTITY), tmp_path / "a.parquet")
    write_table(results_frame(shuffled, IDENTITY), tmp_path / "b.parquet")
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()
    frame = pl.read_parquet(tmp_path / "a.parquet")
    assert dict(frame.schema) == SCHEMA
    assert frame.filter(pl.col("estimate_name") == "survival")["at"].to_list() == [1.0, 3.0]


def test_withheld_is_never_zero():
    hidden = withheld(ROWS[0])
    assert hidden["status"] == "suppressed"
    assert hidden["estimate"] is hidden["std_error"] is hidden["n"] is None


def test_the_omop_form_has_its_13_columns_and_no_formula(tmp_path):
    rows = [*ROWS, withheld(ROWS[0])]
    write_summarised(results_frame(rows, IDENTITY), tmp_path / "r.csv")
    with (tmp_path / "r.csv").open(encoding="utf-8", newline="") as stream:
        read = list(csv.DictReader(stream))
    assert tuple(read[0]) == COLUMNS
    assert {row["estimate_value"] for row in read} >= {"1.5", "0.9", "-"}
    assert not any(cell.startswith(("=", "+", "@")) for row in read for cell in row.values())
    assert [r["estimate_value"] for r in read if r["estimate_name"] == "result_type"] == [
        "causeway_results"
    ]
