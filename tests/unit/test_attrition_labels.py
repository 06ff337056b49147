"""What the step of earlier outcomes is called: it says no more than what it leaves out."""

import duckdb
import pytest

from tasks.analysis.attrition import attrition_table
from tests.design_world import loaded

COLUMNS = "arm varchar, arm_order int, step int, step_id varchar, records int, remaining int, excluded int"


@pytest.mark.parametrize(
    ("days", "start", "en", "ko"),
    [
        (30, 0, "No outcome in the 30 days before time zero", "기준일 이전 30일 동안 결과 사건 없음"),
        (0, 0, "Prior outcomes are not excluded", "이전 결과 사건은 제외하지 않음"),
        (0, 1, "No outcome from time zero to the risk window; prior outcomes are not excluded",
         "기준일부터 위험 기간 전까지 결과 사건 없음(이전 결과 사건은 제외하지 않음)"),
    ],
)  # fmt: skip
def test_a_washout_of_no_days_leaves_prior_outcomes_in(tmp_path, days, start, en, ko):
    changes = {"design.prior_outcome_days": days, "design.risk_start.offset_days": start}
    spec = loaded(tmp_path, "drug", changes)
    con = duckdb.connect()
    con.execute("create schema cohort")
    con.execute(f"create table cohort.attrition ({COLUMNS})")
    con.execute(
        "insert into cohort.attrition values ('a', 0, 1, 'has_no_prior_outcome', null, 9, 0)"
    )
    [row] = attrition_table(con, spec).to_dicts()
    assert (row["label_en"], row["label_ko"]) == (en, ko)
