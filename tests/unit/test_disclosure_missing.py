"""Complete cases beside imputed rows: shown only where few could not be told by subtraction."""

import polars as pl
import pytest

from tasks.analysis.attrition import ATTRITION_SCHEMA
from tasks.core.disclosure_tables import release_tables
from tasks.core.results import result_row

K = 11


def made(n, events, complete_n, complete_events, lacking):
    return [
        result_row("a", "primary", "hazard_ratio", population="t", term="age", estimate=1.2, n=n,
                   n_events=events, scenario="multiple_imputation"),
        result_row("a", "sensitivity", "hazard_ratio", population="t", term="age", estimate=1.3,
                   n=complete_n, n_events=complete_events, scenario="complete_case"),
        result_row("a", "descriptive", "missing_fraction", population="t", term="age", estimate=0.1,
                   n=n, n_events=lacking, stratum_name="missing_column", stratum_level="age"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("sizes", "shown"),
    [
        ((500, 100, 450, 80, 50), ["multiple_imputation", "complete_case", "missing_fraction"]),
        ((500, 100, 500, 100, 0), ["multiple_imputation", "complete_case", "missing_fraction"]),
        ((500, 100, 495, 98, 5), ["multiple_imputation"]),
        ((500, 100, 450, 97, 50), ["multiple_imputation", "missing_fraction"]),
        ((500, 100, 450, 55, 50), ["multiple_imputation", "missing_fraction"]),
    ],
)
def test_few_who_lack_a_value_are_not_told(sizes, shown):
    rows, _, _ = release_tables(made(*sizes), pl.DataFrame(schema=ATTRITION_SCHEMA), K)
    assert [r.get("scenario") or r["estimate_name"] for r in rows if r["status"] == "ok"] == shown
