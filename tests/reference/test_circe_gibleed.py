"""Circe expressions on GiBleed: the sizes that OHDSI publishes for CohortGenerator's examples.

OHDSI/CohortGenerator's vignette generates three cohorts from Eunomia's GiBleed: celecoxib inside
observation 1800 persons; of these over 40 (index year less birth year) 569; of these men 266.
The expressions are written here, with the features that those cohorts have.
"""

import json

from tasks.cohort.circe import build_circe, circe_attrition, read_expression, tables_of
from tasks.cohort.from_circe import translate
from tasks.cohort.language.build import build_native, create_cohort_tables
from tasks.cohort.workspace import open_workspace
from tasks.core.lake import open_lake
from tasks.core.site import SiteSettings
from tasks.core.spec import LakeSource
from tasks.core.spec.cohorts import NativeCohort

OVER_40 = {"Type": "ALL", "DemographicCriteriaList": [{"Age": {"Op": "gt", "Value": 40}}]}
MEN = {
    "Type": "ALL",
    "DemographicCriteriaList": [{"Gender": [{"CONCEPT_ID": 8507, "CONCEPT_NAME": "MALE"}]}],
}
EXPRESSION = {
    "ConceptSets": [
        {
            "id": 0,
            "name": "Celecoxib",
            "expression": {
                "items": [{"concept": {"CONCEPT_ID": 1118084}, "includeDescendants": True}]
            },
        }
    ],
    "PrimaryCriteria": {
        "CriteriaList": [{"DrugExposure": {"CodesetId": 0, "First": True}}],
        "ObservationWindow": {"PriorDays": 0, "PostDays": 0},
        "PrimaryCriteriaLimit": {"Type": "First"},
    },
    "QualifiedLimit": {"Type": "First"},
    "ExpressionLimit": {"Type": "First"},
    "InclusionRules": [
        {"name": "Age over 40", "expression": OVER_40},
        {"name": "Male", "expression": MEN},
    ],
    "CollapseSettings": {"CollapseType": "ERA", "EraPad": 0},
    "CensorWindow": {},
}


def test_sizes_are_the_published_ones_in_circe_and_in_our_own_language(demo_home):
    text = json.dumps(EXPRESSION)
    with open_lake(demo_home, SiteSettings()) as con:
        open_workspace(con, LakeSource(id="eunomia", kind="lake"), tables_of(text))
        create_cohort_tables(con)
        circe_attrition(con, "circe", text)
        assert build_circe(con, "circe", text) == 266
        left = con.execute("select step_id, persons from cohort.cohort_attrition order by step")
        assert dict(left.fetchall()[1:]) == {
            "entry_events": 1800,
            "age_over_40": 569,
            "male": 266,
            "spans": 266,
        }
        spans = "select person_id, start_date, end_date from cohort.cohort where cohort_id = ? order by all"
        by_circe = con.execute(spans, ["circe"]).fetchall()
        native = translate(read_expression(text)).cohort
        con.execute(
            "create table cohort.code_list as select 'celecoxib' as code_list_id, descendant_concept_id as concept_id from clean.concept_ancestor where ancestor_concept_id = 1118084 union select 'celecoxib', 1118084"
        )
        build_native(con, NativeCohort.model_validate({"id": "native", **native}))
        assert con.execute(spans, ["native"]).fetchall() == by_circe
