"""Every case of `cases.yaml` by circepy's ibis engine, and by its SQL where that works."""

import pytest

from tasks.cohort.circe import build_circe, tables_of
from tests.sql.cohort.circe.sql_path import spans_by_sql
from tests.sql.cohort.circe.world import cases, draw, expression_of, spans_of

# Where circepy's SQL does not say what the case derives, and why.
SQL_DIFFERS = {}


@pytest.mark.parametrize("name", cases())
def test_members_are_those_derived_by_hand(con, name):
    case = cases()[name]
    text = expression_of(case)
    draw(con, case["tables"], tables_of(text))
    assert build_circe(con, name, text) == len(case["expect"])
    assert spans_of(con, name) == case["expect"]


@pytest.mark.parametrize("name", cases())
def test_both_ways_through_circepy_agree(con, name):
    case = cases()[name]
    text = expression_of(case)
    draw(con, case["tables"], tables_of(text))
    if name not in SQL_DIFFERS:
        assert spans_by_sql(con, text) == case["expect"]
        return
    with pytest.raises((AssertionError, Exception)):
        assert spans_by_sql(con, text) == case["expect"], SQL_DIFFERS[name]
