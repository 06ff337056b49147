"""Every case of `cases.yaml` by circepy's ibis engine, and by its SQL where that is right.

The two ways share no code but the reading of the JSON, and the views: circepy's SQL comes from the
templates of OHDSI's Java. Where the SQL fails or says something else than the derivation by hand,
`SQL_DIFFERS` tells why; those cases rest on the derivation alone.
"""

import pytest

from tasks.cohort.circe import build_circe, read_expression
from tasks.cohort.circe.support import support
from tasks.core.duck import duck
from tests.sql.cohort.circe.sql_path import spans_by_sql
from tests.sql.cohort.circe.world import cases, empty, expression_of, fill, make_tables, spans_of

SQL_DIFFERS = {
    "drug_era_gap": "builders/drug_era.py holds GapDays against the range of EraLength",
    "measurement_abnormal": "builders/measurement.py asks for value_as_concept_id, not selected",
    "visit_detail_discharge": "builders/visit_detail.py selects with alias vd, joined as C",
    "specimen_site": "builders/specimen.py selects a visit, which the table specimen has not",
    "payer_plan_period_payer": "builders/payer_plan_period.py writes WHERE twice",
    "custom_era_of_events": "builders/custom_era.py pads ends one level too late: the gap is lost",
}
DOMAINS = (
    "ConditionOccurrence ConditionEra DrugExposure DrugEra DoseEra ProcedureOccurrence "
    "DeviceExposure Measurement Observation VisitOccurrence VisitDetail Death Specimen "
    "ObservationPeriod PayerPlanPeriod"
).split()


@pytest.fixture(scope="module")
def world():
    tables = {kind.table for kind in support().events.values() if kind.table}
    with duck() as con:
        make_tables(con, {*tables, "provider", "care_site"})
        yield con


@pytest.mark.parametrize("name", cases())
def test_members_are_those_derived_by_hand(world, name):
    case = cases()[name]
    text = expression_of(case)
    empty(world)
    fill(world, case["tables"])
    assert build_circe(world, name, text) == len(case["expect"])
    assert spans_of(world, name) == case["expect"]


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in cases() if name not in SQL_DIFFERS])
def test_members_by_sql_are_the_same(world, name):
    case = cases()[name]
    empty(world)
    fill(world, case["tables"])
    assert spans_by_sql(world, expression_of(case)) == case["expect"]


@pytest.mark.slow
@pytest.mark.parametrize("name", SQL_DIFFERS)
def test_where_sql_differs_it_still_does(world, name):
    """When circepy mends its SQL, the case joins the comparison."""
    case = cases()[name]
    empty(world)
    fill(world, case["tables"])
    try:
        spans = spans_by_sql(world, expression_of(case))
    except Exception:
        return
    assert spans != case["expect"]


def test_there_are_thirty_cases_and_every_domain_is_among_them():
    assert len(cases()) >= 30
    entered = {next(iter(entry)) for case in cases().values() for entry in case["primary"]}
    assert set(DOMAINS) <= entered


def test_every_case_says_why():
    assert all(len(case["why"]) > 20 for case in cases().values())


def test_tables_that_are_read_are_those_that_are_drawn():
    for name, case in cases().items():
        beside = {"concept", "concept_ancestor", "concept_relationship"}
        drawn = set(case["tables"]) - beside
        assert drawn <= read_expression(expression_of(case)).tables, name
