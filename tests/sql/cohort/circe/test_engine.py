"""What the engine leaves alone: other sites, other cohorts, the connection, the disk, the network."""

import os
import subprocess
import sys
from copy import deepcopy
from pathlib import Path

import pytest

from tasks.cohort.circe import build_circe, circe_attrition, tables_of
from tasks.cohort.circe.filters import _attribute
from tasks.cohort.circe.support import support
from tests.sql.cohort.circe.world import cases, expression_of, fill, make_tables, spans_of

SPECIALIST = {
    "sets": {0: 10},
    "primary": [
        {"ConditionOccurrence": {"CodesetId": 0, "ProviderSpecialty": [{"CONCEPT_ID": 38}]}}
    ],
}


def test_providers_and_visits_of_two_sites_never_mix(con):
    """Both sites number alike: provider 1 is the specialist at A only, visit 1 inpatient at B only."""
    text = expression_of(SPECIALIST)
    assert tables_of(text) == {"condition_occurrence", "observation_period", "person", "provider"}
    in_hospital = {"sets": {0: 10}, "primary": [{"ConditionOccurrence": {"CodesetId": 0, "VisitType": [{"CONCEPT_ID": 9201}]}}]}  # fmt: skip
    make_tables(con, tables_of(text) | tables_of(expression_of(in_hospital)))
    fill(
        con,
        {
            "condition_occurrence": """
                person_id | site_id | condition_concept_id | condition_start_date | provider_id | visit_occurrence_id
                1 | A | 10 | 2012-01-01 | 1 | 1
                2 | B | 10 | 2012-01-01 | 1 | 1
                3 | B | 10 | 2012-01-01 | 2 | 2""",
            "provider": """
                site_id | provider_id | specialty_concept_id
                A | 1 | 38
                B | 1 | 39
                B | 2 | 38""",
            "visit_occurrence": """
                person_id | site_id | visit_occurrence_id | visit_concept_id | visit_start_date
                1 | A | 1 | 9202 | 2012-01-01
                2 | B | 1 | 9201 | 2012-01-01
                3 | B | 2 | 9202 | 2012-01-01""",
        },
    )
    build_circe(con, "specialist", text)
    assert [span[0] for span in spans_of(con, "specialist")] == ["1", "3"]
    build_circe(con, "inpatient", expression_of(in_hospital))
    assert [span[0] for span in spans_of(con, "inpatient")] == ["2"]
    assert [span[0] for span in spans_of(con, "specialist")] == ["1", "3"]


def test_places_of_care_of_two_sites_never_mix(con):
    case = {"primary": [{"VisitOccurrence": {"PlaceOfService": [{"CONCEPT_ID": 8717}]}}]}
    make_tables(con, tables_of(expression_of(case)))
    fill(
        con,
        {
            "visit_occurrence": """
                person_id | site_id | visit_occurrence_id | visit_start_date | care_site_id
                1 | A | 1 | 2012-01-01 | 5
                2 | B | 1 | 2012-01-01 | 5""",
            "care_site": """
                site_id | care_site_id | place_of_service_concept_id
                A | 5 | 8717
                B | 5 | 8756""",
        },
    )
    build_circe(con, "hospital", expression_of(case))
    assert [span[0] for span in spans_of(con, "hospital")] == ["1"]


@pytest.fixture
def two_rules(con):
    """Four persons enter, 3 pass the first rule, 1 of them the second, for one span in the end."""
    men = {"Type": "ALL", "DemographicCriteriaList": [{"Gender": [{"CONCEPT_ID": 8507}]}]}
    case = {
        "sets": {0: 10},
        "primary": [{"ConditionOccurrence": {"CodesetId": 0}}],
        "rules": [
            {"Type": "ALL", "DemographicCriteriaList": [{"Age": {"Op": "lt", "Value": 50}}]},
            men,
        ],
    }
    text = expression_of(case)
    make_tables(con, tables_of(text))
    rows = "\n".join(
        f"{person} | {concept} | 201{year}-01-01"
        for person, concept, year in [(1, 10, 2), (2, 10, 2), (2, 10, 3), (3, 10, 2), (3, 10, 3), (4, 10, 2), (4, 9, 3)]
    )  # fmt: skip
    fill(
        con,
        {
            "condition_occurrence": f"person_id | condition_concept_id | condition_start_date\n{rows}"
        },
    )
    return text


def test_attrition_goes_rule_by_rule(con, two_rules):
    assert circe_attrition(con, "x", two_rules) == 5
    rows = con.execute("select * from cohort.cohort_attrition order by step").fetchall()
    assert rows == [
        ("x", 1, "records_in_lake", 7, 4),
        ("x", 2, "entry_events", 6, 4),
        ("x", 3, "rule_0", 5, 3),
        ("x", 4, "rule_1", 2, 1),
        ("x", 5, "spans", 1, 1),
    ]


def test_a_second_build_replaces_the_first_and_leaves_the_connection_as_it_was(con, two_rules):
    build_circe(con, "other", two_rules)
    build_circe(con, "x", two_rules)
    con.execute("create schema circe_work")
    settings = "select current_setting('timezone'), current_setting('python_enable_replacements')"
    before = con.execute(settings).fetchone()
    build_circe(con, "x", two_rules)
    counts = con.execute("select cohort_id, count(*) from cohort.cohort group by all order by all")
    assert counts.fetchall() == [("other", 1), ("x", 1)]
    assert con.execute(settings).fetchone() == before
    schemas = con.execute("select schema_name from duckdb_schemas() where not internal order by 1")
    assert {"circe_work", "circe_cdm"}.isdisjoint(name for (name,) in schemas.fetchall())
    assert con.execute("select count(*) from duckdb_tables() where temporary").fetchone() == (0,)


def test_every_field_that_is_listed_is_one_of_circepys():
    from circe.cohortdefinition import criteria

    for name, kind in support().events.items():
        for key in {**kind.fields, **kind.refused}:
            assert _attribute(getattr(criteria, name), key), f"{name}.{key}"


def test_every_field_of_circepy_is_built_or_refused():
    from circe.cohortdefinition import criteria

    for name, kind in support().events.items():
        known = {key.lower() for key in {**kind.fields, **kind.refused}}
        fields = {f.replace("_", "") for f in getattr(criteria, name).model_fields} - {"include"}
        extra = fields - known
        assert extra <= {"visits"}, f"{name}: {extra}"


ALONE = """
import builtins, os, pathlib, socket, sys
sys.path.insert(0, {root!r})
import duckdb
from tests.sql.cohort.circe.world import *
from tasks.cohort.circe import build_circe, tables_of
from tasks.cohort.from_circe import translate
assert "ibis" not in sys.modules and "circe" not in sys.modules, "imported for nothing"
import flows.cli
assert "ibis" not in sys.modules and "circe" not in sys.modules, "the command line pays for it"
def refuse(*a, **k): raise AssertionError("reaches out")
socket.socket.connect = socket.getaddrinfo = refuse
case = cases()["nested_groups_any_of_all"]
with duckdb.connect() as con:
    make_tables(con, tables_of(expression_of(case)))
    fill(con, case["tables"])
    assert build_circe(con, "x", expression_of(case)) == 2
"""


def test_nothing_is_written_or_asked_outside(tmp_path):
    root = str(Path(__file__).resolve().parents[4])
    home = tmp_path / "home"
    home.mkdir()
    environment = {
        **os.environ,
        "HOME": str(home),
        "XDG_CACHE_HOME": str(home),
        "TMPDIR": str(home),
    }
    script = ALONE.format(root=root)
    ran = subprocess.run(
        [sys.executable, "-c", script], cwd=home, env=environment, capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr
    assert [path for path in home.rglob("*") if path.is_file()] == []


def test_a_concept_set_with_a_concept_twice_counts_records_once(con):
    case = deepcopy(cases()["at_least_two_distinct_days"]) | {"sets": {0: "10 10", 1: "20 20"}}
    case["rules"][0]["CriteriaList"][0]["Occurrence"] = {"Type": 0, "Count": 2}
    text = expression_of(case)
    make_tables(con, tables_of(text))
    fill(con, case["tables"])
    build_circe(con, "x", text)
    assert [span[0] for span in spans_of(con, "x")] == ["1", "2"]
