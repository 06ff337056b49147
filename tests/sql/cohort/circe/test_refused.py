"""What cannot be built is refused by name, with file, place and fix, before anything runs."""

import json
import random

import pytest

from tasks.cohort.circe import build_circe, tables_of
from tasks.cohort.circe.read import MAX_BYTES, read_expression
from tasks.core.errors import SpecError
from tasks.core.paths import PROJECT_ROOT
from tests.sql.cohort.circe.world import expression_of


def expression(**parts):
    case = {"sets": {0: 10}, "primary": [{"ConditionOccurrence": {"CodesetId": 0}}]}
    return json.loads(expression_of(case | parts))


def primary(name, **fields):
    return json.dumps(expression(primary=[{name: fields}]))


def rule(**group):
    return json.dumps(expression(rules=[{"Type": "ALL", **group}]))


NESTED = {
    "CorrelatedCriteria": {
        "Type": "ALL",
        "CriteriaList": [
            {
                "Criteria": {"Death": {}},
                "StartWindow": {"Start": {"Coeff": -1}, "End": {"Coeff": 1}},
            }
        ],
    }
}
WINDOW = {"Start": {"Days": 1, "Coeff": -1}, "End": {"Days": 1, "Coeff": 1}}

REFUSED = {
    # what the CDM, or circepy, cannot do
    "location_region": (primary("LocationRegion", CodesetId=0), "E_CIRCE_UNSUPPORTED", "PrimaryCriteria.CriteriaList[0].LocationRegion: LocationRegion cannot be built: the CDM 5.4 has no table location_history"),
    "unknown_event": (primary("Genome"), "E_CIRCE_UNSUPPORTED", "Genome cannot be built: is no kind of event that is known"),
    "unknown_field": (primary("Measurement", CodesetId=0, ValueAsNumbr={"Op": "gt", "Value": 1}), "E_CIRCE_UNSUPPORTED", "Measurement.ValueAsNumbr: Measurement has no such field"),
    "effective_dose": (primary("DrugExposure", EffectiveDrugDose={"Op": "gt", "Value": 1}), "E_CIRCE_UNSUPPORTED", "EffectiveDrugDose cannot be asked for"),
    "lot_number": (primary("DrugExposure", LotNumber={"Op": "eq", "Text": "1"}), "E_CIRCE_UNSUPPORTED", "LotNumber cannot be asked for: lot numbers are never asked for"),
    "source_id": (primary("Specimen", SourceId={"Op": "eq", "Text": "1"}), "E_CIRCE_UNSUPPORTED", "SourceId cannot be asked for"),
    "cause_zero": (primary("Death", CauseSourceConcept=0), "E_CIRCE_UNSUPPORTED", "CauseSourceConcept cannot be asked for"),
    "place_location": (primary("VisitOccurrence", PlaceOfServiceLocation=0), "E_CIRCE_UNSUPPORTED", "PlaceOfServiceLocation cannot be asked for"),
    "user_defined_period": (primary("ObservationPeriod", UserDefinedPeriod={"StartDate": "2010-01-01"}), "E_CIRCE_UNSUPPORTED", "UserDefinedPeriod cannot be asked for"),
    "not_between": (primary("ConditionOccurrence", Age={"Op": "!bt", "Value": 1, "Extent": 2}), "E_CIRCE_UNSUPPORTED", "Age.Op: '!bt' is none of lt, lte, eq, gt, gte, bt"),
    "starts_with": (primary("ConditionOccurrence", StopReason={"Op": "startsWith", "Text": "a"}), "E_CIRCE_UNSUPPORTED", "'startsWith' is none of eq, contains"),
    "nested_censoring": (json.dumps(expression(censoring=[{"Death": NESTED}])), "E_CIRCE_UNSUPPORTED", "CensoringCriteria[0].Death.CorrelatedCriteria: is passed over by circepy"),
    "nested_custom_era": (primary("CustomEra", CriteriaList=[{"Death": NESTED}]), "E_CIRCE_UNSUPPORTED", "CorrelatedCriteria of Death inside a CustomEra"),
    "at_least_zero": (rule(Type="AT_LEAST", Count=0, DemographicCriteriaList=[{"Age": {"Op": "gt", "Value": 1}}]), "E_CIRCE_UNSUPPORTED", "AT_LEAST with Count 0 asks for nothing"),
    # what is no Circe expression
    "empty": ("", "E_CIRCE_PARSE", "line 1: is no JSON"),
    "cut_off": (json.dumps(expression())[:200], "E_CIRCE_PARSE", "is no JSON"),
    "number": ("7", "E_CIRCE_PARSE", "is no Expression of a Circe expression"),
    "other_json": ('{"PrimaryCriteria": {}}', "E_CIRCE_PARSE", "has no PrimaryCriteria with a criterion"),
    "twice": ('{"Title": "a", "Title": "b"}', "E_CIRCE_PARSE", "key 'Title' is given twice"),
    "nan": ('{"PrimaryCriteria": NaN}', "E_CIRCE_PARSE", "NaN is no number"),
    "missing_set": (primary("ConditionOccurrence", CodesetId=5), "E_CIRCE_PARSE", "CodesetId: concept set 5 is not among ConceptSets"),
    "bad_date": (primary("ConditionOccurrence", OccurrenceStartDate={"Op": "gt", "Value": "1' or '1"}), "E_CIRCE_PARSE", "holds no date as YYYY-MM-DD"),
    "bad_type": (primary("ConditionOccurrence", CodesetId="0"), "E_CIRCE_PARSE", "CodesetId: holds no whole number"),
    "no_extent": (primary("ConditionOccurrence", Age={"Op": "bt", "Value": 1}), "E_CIRCE_PARSE", "between needs Extent"),
    "bad_coeff": (rule(CriteriaList=[{"Criteria": {"Death": {}}, "StartWindow": WINDOW | {"Start": {"Days": 1, "Coeff": 2}}}]), "E_CIRCE_PARSE", "Coeff is neither -1 nor 1"),
    "negative_offset": (json.dumps(expression(end={"DateOffset": {"DateField": "EndDate", "Offset": -1}})), "E_CIRCE_PARSE", "Offset: holds no number of days from 0"),
    "two_ends": (json.dumps(expression(end={"DateOffset": {"DateField": "EndDate", "Offset": 1}, "CustomEra": {"DrugCodesetId": 0}})), "E_CIRCE_PARSE", "names two ways to end"),
    # what is too much
    "oversize": ('"' + "x" * MAX_BYTES + '"', "E_CIRCE_LIMIT", "is larger than 2,000,000 bytes"),
    "deep": ("[" * 100_000, "E_CIRCE_LIMIT", "is nested more than 80 deep"),
    "many": (json.dumps(expression(primary=[{"Death": {}}] * 1001)), "E_CIRCE_LIMIT", "has more than 1000 criteria"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_is_refused_by_name(con, name):
    text, code, says = REFUSED[name]
    with pytest.raises(SpecError) as caught:
        build_circe(con, "any", text, "x.json")
    faults = [m for m in caught.value.messages if m.code == code]
    assert any(says in fault.what for fault in faults), caught.value
    assert all(m.where == "x.json" and m.fix for m in caught.value.messages)
    assert con.execute("select count(*) from duckdb_tables()").fetchone() == (0,)


def test_the_message_that_the_documentation_shows_is_the_one_that_is_given():
    with pytest.raises(SpecError) as caught:
        tables_of(primary("LocationRegion"), "cohort.json")
    assert str(caught.value.messages[0]) in (PROJECT_ROOT / "docs/circe.md").read_text("utf-8")


def test_every_fault_is_named_at_once():
    text = json.dumps(
        expression(
            primary=[{"LocationRegion": {}}, {"Measurement": {"Nonsense": 1, "CodesetId": "x"}}]
        )
    )
    with pytest.raises(SpecError) as caught:
        tables_of(text)
    assert len(caught.value.messages) == 3


def test_a_definition_around_the_expression_is_read_as_well():
    inner = expression()
    around = {"id": 1, "name": "x", "expressionType": "SIMPLE_EXPRESSION"}
    wanted = read_expression(json.dumps(inner)).document
    assert read_expression(json.dumps(around | {"expression": inner})).document == wanted
    text = json.dumps(around | {"expression": json.dumps(inner)})
    assert read_expression(text).document == wanted


def test_spelling_of_keys_does_not_matter():
    upper = primary("Measurement", CodesetId=0, GenderCS={"CodesetId": 0})
    lower = upper.replace("GenderCS", "genderCS").replace("ConceptSets", "conceptSets")
    assert read_expression(lower).document == read_expression(upper).document


def test_no_change_of_one_character_gives_a_traceback():
    """Two thousand damaged texts: read, or refused with messages; nothing else."""
    text = rule(
        CriteriaList=[
            {
                "Criteria": {"Measurement": {"ValueAsNumber": {"Op": "gt", "Value": 1.5}}},
                "StartWindow": WINDOW,
            }
        ]
    )
    rng = random.Random(7)
    refused = 0
    for _ in range(2_000):
        at = rng.randrange(len(text))
        damaged = text[:at] + rng.choice('{}[]",:0aN-\\\x00') + text[at + rng.randrange(2) :]
        try:
            read_expression(damaged)
        except SpecError:
            refused += 1
    assert 500 < refused < 2_000
