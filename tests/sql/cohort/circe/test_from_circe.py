"""Translated into our language and built by our own compiler, cases say what they said in Circe."""

import pytest
from pydantic import TypeAdapter

from tasks.cohort.circe import read_expression
from tasks.cohort.circe.support import support
from tasks.cohort.from_circe import translate
from tasks.cohort.language.build import build_native, create_cohort_tables
from tasks.core.duck import duck
from tasks.core.spec.cohorts import NativeCohort
from tests.sql.cohort.circe.world import cases, empty, expression_of, fill, make_tables, spans_of

# What stays Circe, and the words in which the translator says why.
KEPT = {
    "empty_ends": "the day after its start in Circe where it is empty",
    "condition_era_length_and_count": "ConditionEra.EraLength",
    "condition_era_age_at_end": "ConditionEra.AgeAtEnd",
    "device_exposure_text": "looks for a part of a text",
    "measurement_abnormal": "Measurement.Abnormal",
    "measurement_ratio_to_upper_limit": "Measurement.RangeHighRatio",
    "visit_occurrence_length": "VisitOccurrence.VisitLength",
    "observation_period_length_and_age": "ObservationPeriod.PeriodLength",
    "date_adjustment": "ConditionOccurrence.DateAdjustment",
    "demographics_in_a_rule": "asks for OccurrenceStartDate",
    "custom_era_of_events": "CustomEra is made of other events",
}


@pytest.fixture(scope="module")
def world():
    tables = {kind.table for kind in support().events.values() if kind.table}
    with duck() as con:
        make_tables(con, {*tables, "provider", "care_site"})
        yield con


def _lists(con, code_lists):
    """Resolve lists by hand: each entry with what its flags add, less what is excluded."""
    con.execute(
        "create or replace table cohort.code_list (code_list_id varchar, concept_id bigint)"
    )
    for item in code_lists:
        wanted, dropped = set(), set()
        for entry in item["concepts"]:
            plain = {"concept": entry, "include_descendants": item["include_descendants"]}
            said = entry if isinstance(entry, dict) else plain
            (dropped if said.get("exclude") else wanted).update(_members(con, said))
        for concept in sorted(wanted - dropped):
            con.execute("insert into cohort.code_list values (?, ?)", [item["id"], concept])


def _members(con, said):
    found = {said["concept"]}
    if said.get("include_descendants"):
        rows = con.execute(
            "select descendant_concept_id from clean.concept_ancestor "
            "join clean.concept on concept_id = descendant_concept_id "
            "where ancestor_concept_id = ? and invalid_reason is null",
            [said["concept"]],
        ).fetchall()
        found |= {row[0] for row in rows}
    if said.get("include_mapped"):
        rows = con.execute(
            "select concept_id_1 from clean.concept_relationship "
            f"where relationship_id = 'Maps to' and concept_id_2 in {(*found, -1)}"
        ).fetchall()
        found |= {row[0] for row in rows}
    return found


@pytest.mark.parametrize("name", cases())
def test_the_translation_has_the_same_members(world, name):
    case = cases()[name]
    translation = translate(read_expression(expression_of(case)))
    if name in KEPT:
        assert translation.cohort is None
        assert KEPT[name] in " ".join(translation.kept)
        return
    assert translation.kept == ()
    cohort = TypeAdapter(NativeCohort).validate_python({"id": name} | translation.cohort)
    empty(world)
    fill(world, case["tables"])
    create_cohort_tables(world)
    _lists(world, translation.code_lists)
    assert build_native(world, cohort) == len(case["expect"])
    assert spans_of(world, name) == case["expect"]
