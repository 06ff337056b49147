"""The value of a gate does not tell what is withheld of the rows that it was read from."""

import polars as pl
import pytest

from flows.orders.study_tables import protected
from tasks.analysis.attrition import ATTRITION_SCHEMA
from tasks.analysis.balance import BALANCE_SCHEMA
from tasks.analysis.tables import TableEvidence
from tasks.core.disclosure import Released
from tasks.core.results import LEVELS, result_row


@pytest.mark.parametrize(("fewest", "value"), [(3, None), (30, 0.4)])
def test_the_largest_difference_of_a_rare_covariate_is_not_told_by_its_gate(fewest, value):
    levels = {LEVELS: {"terms": {}, "balance": {"sex": (100, fewest)}}}
    row = result_row("a", "primary", "max_smd", population="t", n=400, estimate=0.4) | levels
    effect = result_row("a", "primary", "hazard_ratio", population="t", n=400, n_events=200)
    steps = pl.DataFrame(schema=ATTRITION_SCHEMA)
    gate = {"name": "max_smd", "analyses": ["a"], "value": 0.4, "n": 400}
    released = Released([], steps, pl.DataFrame(schema=BALANCE_SCHEMA), [gate], [])
    [shown] = protected(released, TableEvidence([row, effect | levels], steps), 11).gates
    assert shown == {"name": "max_smd", "analyses": ["a"], "value": value}
