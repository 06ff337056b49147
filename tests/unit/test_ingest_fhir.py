"""FHIR resources become rows of the model: each type, each fault, and whole resources or nothing."""

import gzip
import hashlib
import json

import pytest

from flows.orders.delivery import quality_gate
from tasks.core.duck import duck
from tasks.core.lake import deliveries_in_force, open_lake
from tasks.core.omop import omop_tables
from tasks.ingest.ledger import quarantine_rows
from tasks.ingest.stage import stage_delivery
from tests.fhir_world import (
    EDI,
    KCD,
    LOINC,
    about,
    claim,
    concept,
    device,
    encounter,
    inference,
    measured,
    own,
    patient,
)
from tests.ingest_world import (
    BASE,
    DEATH,
    SITE,
    a_home,
    counts,
    file_of,
    ingest,
    lines,
    ndjson,
    person_ids,
    staged_outcome,
    text,
    write_delivery,
)
from tests.needs import shared

PEOPLE = {"Patient": [patient("1"), patient("2"), patient("3")]}


def files(resources):
    """Return the files of resources by type; what is bytes is a file as it is."""
    return {
        (name if "." in name else f"{name}.ndjson"): (
            content if isinstance(content, bytes) else ndjson(*content)
        )
        for name, content in resources.items()
    }


def delivery(folder, resources, **manifest):
    return write_delivery(folder, files(resources), format="fhir", **manifest)


def staged(tmp_path, resources, **manifest):
    folder = delivery(tmp_path / "delivery", PEOPLE | resources, **manifest)
    return staged_outcome(a_home(tmp_path), folder)


def mapped(tmp_path, resources, **manifest):
    """Stage resources together with three patients; return what gives the good rows of a table."""
    folder = delivery(tmp_path / "delivery", PEOPLE | resources, **manifest)
    staged = stage_delivery(a_home(tmp_path), SITE, folder)
    assert staged.status == "staged", staged.findings
    for file in staged.files:
        assert file.rows_in == file.rows_loaded + file.rows_quarantined + file.rows_deduplicated

    def of(table):
        with duck(staged.stage_file, read_only=True) as con:
            return drawn(con.execute(f"from loadable.{table} order by all"))

    of.work = staged.work
    return of


def loaded(tmp_path, resources, **manifest):
    """Ingest resources together with three patients; return the home."""
    home = a_home(tmp_path)
    outcome = ingest(home, delivery(tmp_path / "delivery", PEOPLE | resources, **manifest))
    assert outcome.status.startswith("accepted"), outcome.as_json()
    return home


def rows(home, table):
    """Return the rows of a table of the lake."""
    with open_lake(home, SITE) as con:
        return drawn(con.execute(f"select * exclude (site_id) from lake.omop.{table} order by all"))


def rows_of_all(home):
    """Return the rows of every table of the lake."""
    with open_lake(home, SITE) as con:
        return {t: drawn(con.execute(f"from lake.omop.{t} order by all")) for t in omop_tables()}


def drawn(found):
    """Return rows without what is empty, dates as text."""
    names = [column[0] for column in found.description]
    return [
        {
            name: str(value) if hasattr(value, "isoformat") else value
            for name, value in zip(names, row, strict=True)
            if value is not None
        }
        for row in found.fetchall()
    ]


def test_patient(tmp_path):
    more = {
        "gender": "male",
        "identifier": [{"system": "urn:site", "value": "MRN-7"}, {"value": "other"}],
        "deceasedDateTime": "2024-05-01T23:30:00Z",
        "name": [{"family": "SECRET"}],
    }
    of = mapped(tmp_path, {"Patient": [patient("7", **more), patient("Ab-1", gender="unknown")]})
    assert of("person") == [
        {
            "person_id": 7,
            "gender_concept_id": 8507,
            "year_of_birth": 1960,
            "race_concept_id": 0,
            "ethnicity_concept_id": 0,
            "person_source_value": "MRN-7",
            "gender_source_value": "male",
        },
        {
            "person_id": int(hashlib.sha256(b"Ab-1").hexdigest()[:15], 16),
            "gender_concept_id": 0,
            "year_of_birth": 1960,
            "race_concept_id": 0,
            "ethnicity_concept_id": 0,
            "gender_source_value": "unknown",
        },
    ]
    assert of("death") == [
        {
            "person_id": 7,
            "death_date": "2024-05-02",
            "death_datetime": "2024-05-02 08:30:00",
            "death_type_concept_id": 32817,
        }
    ]
    assert of("observation_period")[0] == {
        "observation_period_id": 7,
        "person_id": 7,
        "observation_period_start_date": "2020-01-01",
        "observation_period_end_date": "2025-01-01",
        "period_type_concept_id": 32817,
    }


def test_birth_to_the_day_only_where_it_is_promised(tmp_path):
    of = mapped(tmp_path, {"Patient": [patient("1")]}, birth_precision="day")
    [person] = of("person")
    assert (person["month_of_birth"], person["day_of_birth"]) == (7, 8)
    assert person["birth_datetime"] == "1960-07-08 00:00:00"
    year = mapped(tmp_path / "y", {"Patient": [patient("1", birthDate="1960")]})
    assert year("person")[0]["year_of_birth"] == 1960


def test_encounter(tmp_path):
    given = [
        encounter("10", 1, "2024-01-02T09:00:00+09:00", "2024-01-02T09:30:00+09:00"),
        encounter(
            "11",
            2,
            **{"class": {"code": "IMP"}},
            hospitalization={"admitSource": {"text": "emergency room"}},
        ),
        encounter("12", 2, **{"class": {"code": "VR"}}),
    ]
    found = mapped(tmp_path, {"Encounter": given})("visit_occurrence")
    assert found[0] == {
        "visit_occurrence_id": 10,
        "person_id": 1,
        "visit_concept_id": 9202,
        "visit_start_date": "2024-01-02",
        "visit_start_datetime": "2024-01-02 09:00:00",
        "visit_end_date": "2024-01-02",
        "visit_end_datetime": "2024-01-02 09:30:00",
        "visit_type_concept_id": 32817,
        "visit_source_value": "AMB",
    }
    assert "visit_start_datetime" not in found[1]
    assert (found[1]["visit_concept_id"], found[2]["visit_concept_id"]) == (9201, 0)
    assert found[1]["admitted_from_source_value"] == "emergency room"


def test_condition(tmp_path):
    first = {
        "resourceType": "Condition",
        "id": "20",
        "code": concept(443392, KCD, "C34.1"),
        **about("1", "10"),
        "onsetDateTime": "2024-01-02",
        "abatementDateTime": "2024-02-02",
        "verificationStatus": {"text": "confirmed"},
    }
    second = {
        "resourceType": "Condition",
        "id": "21",
        "code": {"text": "cough"},
        "subject": {"reference": "urn:uuid:2"},
        "recordedDate": "2024-01-03",
    }
    assert mapped(tmp_path, {"Condition": [first, second]})("condition_occurrence") == [
        {
            "condition_occurrence_id": 20,
            "person_id": 1,
            "condition_concept_id": 443392,
            "condition_start_date": "2024-01-02",
            "condition_end_date": "2024-02-02",
            "condition_type_concept_id": 32817,
            "visit_occurrence_id": 10,
            "condition_source_value": "C34.1",
            "condition_status_source_value": "confirmed",
        },
        {
            "condition_occurrence_id": 21,
            "person_id": 2,
            "condition_concept_id": 0,
            "condition_start_date": "2024-01-03",
            "condition_type_concept_id": 32817,
            "condition_source_value": "cough",
        },
    ]


def test_observation_becomes_a_measurement(tmp_path):
    full = measured(
        "30",
        1,
        when="2024-02-01T10:20:30+09:00",
        encounter={"reference": "Encounter/10"},
        referenceRange=[{"low": {"value": 3.9}, "high": {"value": 6}}],
    )
    units = [
        measured(str(31 + n), 1, valueQuantity={"value": 1} | unit)
        for n, unit in enumerate(
            [
                {},
                {"unit": "stone"},
                {"unit": "%", "code": "%", "system": "urn:other"},
                {"unit": "c", "code": "Cel", "system": "http://unitsofmeasure.org"},
            ]
        )
    ]
    words = measured("40", 1, valueString="3+")
    del words["valueQuantity"]
    found = mapped(tmp_path, {"Observation": [full, *units, words]})("measurement")
    assert found[0] == {
        "measurement_id": 30,
        "person_id": 1,
        "measurement_concept_id": 3004501,
        "measurement_date": "2024-02-01",
        "measurement_datetime": "2024-02-01 10:20:30",
        "measurement_type_concept_id": 32817,
        "value_as_number": 5.5,
        "unit_concept_id": 8840,
        "range_low": 3.9,
        "range_high": 6.0,
        "visit_occurrence_id": 10,
        "measurement_source_value": "2345-7",
        "unit_source_value": "mg/dL",
    }
    assert [row.get("unit_concept_id") for row in found[1:]] == [None, 0, 0, 586323, None]
    assert found[5]["value_source_value"] == "3+"


def test_observation_of_the_patient_stays_an_observation(tmp_path):
    told = {"category": [{"coding": [{"code": "laboratory"}]}, {"coding": [{"code": "survey"}]}]}
    score = measured("50", 1, **told, valueInteger=3)
    del score["valueQuantity"]
    smoking = measured("51", 1, valueString="never")
    smoking["category"] = [{"coding": [{"code": "social-history"}]}]
    of = mapped(tmp_path, {"Observation": [score, smoking]})
    found = of("observation")
    assert found[0] == {
        "observation_id": 50,
        "person_id": 1,
        "observation_concept_id": 3004501,
        "observation_date": "2024-02-01",
        "observation_type_concept_id": 32817,
        "value_as_number": 3.0,
        "observation_source_value": "2345-7",
    }
    assert found[1]["value_as_string"] == "never"
    assert of("measurement") == []


def test_device_and_what_it_said(tmp_path):
    failed = inference("x.2", 2, by="cad-2", dataAbsentReason={"text": "no image"})
    del failed["valueQuantity"]
    del failed["interpretation"]
    by_hrf = device("cad-2", "2.0", udiCarrier=[{"carrierHRF": "(01)08800000000011(21)SN9"}])
    resources = {"Device": [device(), by_hrf], "Observation": [inference("x.1", 1), failed]}
    of = mapped(tmp_path, resources)
    first, second = of("device_inference")
    assert first == {
        "device_inference_id": "x.1",
        "person_id": 1,
        "visit_occurrence_id": int(hashlib.sha256(b"v1").hexdigest()[:15], 16),
        "study_id": "study-x.1",
        "image_id": "i-1",
        "body_part": "chest",
        "scanner": "X-1",
        "udi_di": "08800000000011",
        "model_version": "1.0",
        "acquisition_datetime": "2024-03-01 10:00:00",
        "inference_datetime": "2024-03-01 10:00:30.500000",
        "score": 0.75,
        "decision": "positive",
        "shown": True,
        "latency_seconds": 30.5,
        "input_quality": "good",
    }
    assert (second["model_version"], second["failure"]) == ("2.0", "no image")
    assert of("device") == [
        {
            "udi_di": "08800000000011",
            "device_name": "Chest CAD",
            "manufacturer": "Maker",
            "approval_number": "A-1",
            "approval_date": "2022-06-01",
            "intended_use": "triage",
            "device_class": "2",
        }
    ]
    assert of("device_version")[0] == {
        "udi_di": "08800000000011",
        "model_version": "1.0",
        "software_version": "sw-1.0",
        "threshold": 0.5,
        "operating_point": "balanced",
        "valid_from": "2023-01-01",
    }
    for path in of.work.rglob("*"):
        assert path.is_dir() or b"SECRET" not in path.read_bytes()


def test_medication_request_and_its_end(tmp_path):
    def drug(key, authored, dispense):
        return {
            "resourceType": "MedicationRequest",
            "id": key,
            "medicationCodeableConcept": concept(1125315, EDI, "642001"),
            **about("1"),
            "authoredOn": authored,
            "dispenseRequest": dispense,
            "dosageInstruction": [{"text": "1 tablet"}],
        }

    days = {"expectedSupplyDuration": {"value": 30, "code": "d"}, "quantity": {"value": 60}}
    period = {"validityPeriod": {"start": "2024-01-01", "end": "2024-01-07"}}
    given = [
        drug("60", "2024-01-01", days),
        drug("61", "2024-01-01", days | period),
        drug("62", "2024-01-01T20:00:00Z", {}),
        drug("63", "2024-01-01T20:00:00Z", {"expectedSupplyDuration": {"value": 2}}),
    ]
    found = mapped(tmp_path, {"MedicationRequest": given})("drug_exposure")
    assert found[0] == {
        "drug_exposure_id": 60,
        "person_id": 1,
        "drug_concept_id": 1125315,
        "drug_exposure_start_date": "2024-01-01",
        "drug_exposure_end_date": "2024-01-30",
        "drug_type_concept_id": 32838,
        "quantity": 60.0,
        "days_supply": 30,
        "sig": "1 tablet",
        "drug_source_value": "642001",
    }
    ends = [row["drug_exposure_end_date"] for row in found]
    assert ends == ["2024-01-30", "2024-01-07", "2024-01-02", "2024-01-03"]


def test_procedure(tmp_path):
    at = {"performedDateTime": "2024-01-02T09:00:00+09:00"}
    during = {"performedPeriod": {"start": "2024-01-03", "end": "2024-01-04"}}
    given = [
        {
            "resourceType": "Procedure",
            "id": key,
            "code": concept(4, EDI, "HA201"),
            **about("1"),
            **when,
        }
        for key, when in (("70", at), ("71", during))
    ]
    found = mapped(tmp_path, {"Procedure": given})("procedure_occurrence")
    assert found[0] == {
        "procedure_occurrence_id": 70,
        "person_id": 1,
        "procedure_concept_id": 4,
        "procedure_date": "2024-01-02",
        "procedure_datetime": "2024-01-02 09:00:00",
        "procedure_type_concept_id": 32817,
        "procedure_source_value": "HA201",
    }
    assert found[1]["procedure_date"] == "2024-01-03"


def reading(key, *extensions, result=(), **more):
    return {
        "resourceType": "DiagnosticReport",
        "id": key,
        **about("1"),
        "imagingStudy": [{"reference": "ImagingStudy/1.2.3"}],
        "resultsInterpreter": [{"reference": "Practitioner/reader-9"}],
        "result": [{"reference": ref} for ref in result],
        "effectiveDateTime": "2024-03-01T11:00:00+09:00",
        "conclusionCode": [{"coding": [{"code": "NEG"}]}],
        "extension": list(extensions),
        **more,
    } | more


def test_diagnostic_report(tmp_path):
    given = [
        reading("a", result=["Observation/x.1"]),
        reading("b"),
        reading(
            "c",
            own("case-id", valueString="case-1"),
            own("modality", valueCode="device_alone"),
            own("score", valueDecimal=0.25),
            own("confidence", valueDecimal=0.5),
            own("reading-seconds", valueDecimal=61),
            own("udi-di", valueString="08800000000011"),
            own("model-version", valueString="1.0"),
        ),
    ]
    found = mapped(tmp_path, {"DiagnosticReport": given})("device_reading")
    assert [(row["case_id"], row["modality"]) for row in found] == [
        ("1.2.3", "aided"),
        ("1.2.3", "unaided"),
        ("case-1", "device_alone"),
    ]
    assert found[2] == {
        "case_id": "case-1",
        "reader_id": "reader-9",
        "modality": "device_alone",
        "person_id": 1,
        "study_id": "1.2.3",
        "udi_di": "08800000000011",
        "model_version": "1.0",
        "score": 0.25,
        "decision": "negative",
        "confidence": 0.5,
        "reading_seconds": 61.0,
        "reading_datetime": "2024-03-01 11:00:00",
    }


def test_claim(tmp_path):
    total = claim("81", 1, ("10", 500))
    del total["item"][0]["net"]
    total["total"] = {"value": 700, "currency": "KRW"}
    of = mapped(tmp_path, {"Claim": [claim("80", 1, ("10", 100), ("10", 200)), total]})
    found = {row["cost_id"]: row for row in of("cost")}
    second = int(hashlib.sha256(b"80/2").hexdigest()[:15], 16)
    assert found[second] == {
        "cost_id": second,
        "person_id": 1,
        "cost_event_id": 10,
        "cost_domain_id": "Visit",
        "cost_type_concept_id": 32817,
        "currency_concept_id": 0,
        "total_cost": 200.0,
        "paid_by_payer": 190.0,
        "paid_by_patient": 10.0,
        "revenue_code_source_value": "EDI-2",
    }
    assert found[81]["total_cost"] == 700.0
    assert len(found) == 3


def test_time_under_observation_is_told_from_events_where_it_is_not_stated(tmp_path):
    people = [
        patient("1", observed=None),
        patient("2", observed=None, deceasedDateTime="2024-06-01"),
        patient("3", observed=None),
        patient("4", observed=None),
    ]
    events = [
        measured("1", 1, when="2023-12-31T16:00:00Z"),
        measured("2", 1, when="2024-03-01"),
        measured("3", 2, when="2024-04-01"),
        measured("4", 3, when="2024-04-01"),
        measured("5", 3, when="2030-01-01"),
    ]
    of = mapped(tmp_path, {"Patient": people, "Observation": events})
    found = [
        (row["person_id"], row["observation_period_start_date"], row["observation_period_end_date"])
        for row in of("observation_period")
    ]
    assert found == [
        (1, "2024-01-01", "2024-03-01"),
        (2, "2024-04-01", "2024-06-01"),
        (3, "2024-04-01", "2025-01-01"),
    ]


REFERENCES = {
    "Patient/1": 1,
    "Patient/1/_history/3": 1,
    "http://other.org/fhir/Patient/2": 2,
    "https://site.kr/r4/Patient/2/_history/7": 2,
    "urn:uuid:3": 3,
    "urn:oid:3": 3,
    "Group/2": None,
    "http://other.org/fhir/Group/2": None,
    "http://other.org/Patient/1/Group/2": None,
    "Patient/1/_history": None,
    "Patient/_history/3": None,
    "Group/Patient/2": None,
    "patient/1": None,
    "Patient/1?x": None,
    "Patient?identifier=1": None,
    "Patient/": None,
    "#1": None,
    "1": None,
    "": None,
}


def test_a_reference_names_what_it_points_to_and_its_type(tmp_path):
    given = [
        measured(str(n), 1, subject={"reference": reference})
        for n, reference in enumerate(REFERENCES, start=1)
    ]
    home = a_home(tmp_path)
    outcome = ingest(home, delivery(tmp_path / "d", PEOPLE | {"Observation": given}))
    found = {row["measurement_id"]: row["person_id"] for row in rows(home, "measurement")}
    assert [found.get(n) for n in range(1, len(given) + 1)] == list(REFERENCES.values())
    nobody = [n for n, person in enumerate(REFERENCES.values(), start=1) if person is None]
    places = [("Observation.ndjson", line, "person_id") for line in nobody]
    assert lines(outcome, "E_REQUIRED_NULL") == places


def test_references_of_the_device_side_name_their_type_too(tmp_path):
    version, other = "ImagingStudy/s9/_history/2", "Media/s9"
    role, group = "PractitionerRole/r1/_history/2", "Organization/r1"
    given = [
        inference("a", 1, derivedFrom=[{"reference": version}]),
        inference("b", 1, device={"reference": "Device/cad-1/_history/2"}),
        inference("c", 1, derivedFrom=[{"reference": other}]),
        inference("d", 1, device={"reference": "DeviceMetric/cad-1"}),
    ]
    read = [
        reading(key, imagingStudy=[{"reference": study}], resultsInterpreter=[{"reference": by}])
        for key, study, by in [("a", version, role), ("b", other, role), ("c", version, group)]
    ]
    resources = {"Device": [device()], "Observation": given, "DiagnosticReport": read}
    of = mapped(tmp_path, resources)
    said = [(row["study_id"], row["udi_di"]) for row in of("device_inference")]
    assert said == [("s9", "08800000000011"), ("study-b", "08800000000011")]
    assert [(row["case_id"], row["reader_id"]) for row in of("device_reading")] == [("s9", "r1")]
    assert (
        "visit_occurrence_id"
        not in mapped(
            tmp_path / "e",
            {"Observation": [measured("1", 1, encounter={"reference": "EpisodeOfCare/5"})]},
        )("measurement")[0]
    )


def nested(**more):
    return measured("x", 1) | more


FAULTS = {
    "no JSON": (b'{"resourceType": "Observation"', "E_JSON", None),
    "an array": (b"[]", "E_JSON", None),
    "a control byte": (
        json.dumps(nested()).encode().replace(b"mg/dL", b"mg\x1bdL"),
        "E_JSON",
        None,
    ),
    "another type": (patient("9"), "E_RESOURCE_TYPE", None),
    "no type": ({"id": "9"}, "E_RESOURCE_TYPE", None),
    "type not text": ({"resourceType": {"a": 1}, "id": "9"}, "E_RESOURCE_TYPE", None),
    "no id": (nested(id=None), "E_REQUIRED_NULL", "measurement_id"),
    "about nobody": (nested(id="f1", subject=None), "E_REQUIRED_NULL", "person_id"),
    "a subject of text": (nested(id="f2", subject="Patient/1"), "E_TYPE", "subject"),
    "taken back": (nested(id="f12", status="entered-in-error"), "E_RESOURCE_STATUS", None),
    "a comma too many": (
        json.dumps(nested(id="f13")).encode().replace(b"}}", b"},}"),
        "E_JSON",
        None,
    ),
    "about a stranger": (nested(id="f3", **about("99")), "E_ORPHAN", "person_id"),
    "no time": (nested(id="f4", effectiveDateTime=None), "E_REQUIRED_NULL", "measurement_date"),
    "month only": (
        nested(id="f5", effectiveDateTime="2024-02"),
        "E_DATE_FORMAT",
        "measurement_date",
    ),
    "no such day": (
        nested(id="f6", effectiveDateTime="2024-02-30T10:00:00Z"),
        "E_DATE_INVALID",
        "measurement_date",
    ),
    "no number": (nested(id="f7", valueQuantity={"value": "high"}), "E_TYPE", "value_as_number"),
    "no concept": (
        nested(id="f8", code=concept("glucose")),
        "E_TYPE",
        "measurement_concept_id",
    ),
    "control in text": (
        nested(id="f9", valueString="a\x1bb"),
        "E_CONTROL_CHAR",
        "value_source_value",
    ),
    "of an unknown device": (inference("f10", 1, by="nobody"), "E_REQUIRED_NULL", "udi_di"),
    "not shown said": (
        inference("f11", 1, extension=[]),
        "E_REQUIRED_NULL",
        "shown",
    ),
}


def test_each_fault_with_its_line_and_column(tmp_path):
    given = [line for line, _, _ in FAULTS.values()]
    content = ndjson(measured("1", 1), b"  \r", *given)
    folder = delivery(
        tmp_path / "d", PEOPLE | {"Device": [device()], "Observation.ndjson": content}
    )
    home = a_home(tmp_path)
    outcome = ingest(home, folder)
    wanted = [
        (line, code, column) for line, (_, code, column) in enumerate(FAULTS.values(), start=3)
    ]
    found = sorted((m.line, m.code, m.column) for m in outcome.messages if m.line)
    assert found == wanted
    assert counts(outcome, "Observation") == (len(wanted) + 1, 1, len(wanted), 0)
    listed = {row["line"]: row["row_sha256"] for row in quarantine_rows(home)}
    bytes_of = dict(enumerate(content.split(b"\n"), start=1))
    assert listed == {n: hashlib.sha256(bytes_of[n]).hexdigest() for n, _, _ in wanted}


def escaped(resource):
    """Return a resource as JSON with an escape in each of its keys."""
    return json.dumps(resource).replace('"value', '"\\u0076alue').encode()


MISFITS = {
    "a number for a quantity": (nested(valueQuantity="5.5"), "valueQuantity"),
    "in other letters": (escaped(nested(valueQuantity=["5.5"])), "valueQuantity"),
    "an object in it": (nested(valueQuantity={"value": {"a": 1}}), "valueQuantity.value"),
    "an object for a list": (nested(extension={"url": "x"}), "extension"),
    "text in a list": (nested(extension=["x"]), "extension"),
    "a list in a list": (nested(extension=[None, []]), "extension"),
    "an object for text": (nested(valueString={"family": "KIM"}), "valueString"),
    "a list for text": (nested(valueString=["KIM"]), "valueString"),
    "deep": (
        nested(code={"coding": [{"system": LOINC, "code": {"a": 1}, "x": 1}]}),
        "code.coding.code",
    ),
    "deeper": (
        nested(category=[{"coding": [{"code": "x"}]}, {"coding": {"code": "survey"}}]),
        "category.coding",
    ),
    "in a second extension": (
        nested(extension=[own("a", valueBoolean=True), own("b", valuePeriod="2024")]),
        "extension.valuePeriod",
    ),
    "in a list of objects": (nested(referenceRange=[{"low": 5}]), "referenceRange.low"),
    "an id": (nested(id={"a": 1}), "id"),
    "very deep": (
        json.dumps(nested(valueQuantity="x")).encode()[:-1]
        + b', "x":'
        + b"[" * 5000
        + b"]" * 5000
        + b"}",
        None,
    ),
}


def test_what_is_not_of_the_shape_that_is_read_is_held_back(tmp_path):
    content = ndjson(measured("1", 1), *(line for line, _ in MISFITS.values()))
    home = a_home(tmp_path)
    outcome = ingest(home, delivery(tmp_path / "d", PEOPLE | {"Observation.ndjson": content}))
    wanted = list(enumerate((path for _, path in MISFITS.values()), start=2))
    found = sorted(
        (m.line, m.column) for m in outcome.messages if m.line and m.code in {"E_TYPE", "E_JSON"}
    )
    assert found == wanted
    said = {m.column: m.message for m in outcome.messages if m.code == "E_TYPE"}
    assert "is not an object" in said["valueQuantity"]
    assert "is not a list" in said["extension"] or "is not an object" in said["extension"]
    assert "is not a single value" in said["valueString"]
    assert "KIM" not in "".join(said.values())
    assert len(rows(home, "measurement")) == 1


def test_what_is_of_the_shape_is_read_however_it_looks(tmp_path):
    given = [
        nested(id="1", valueString="[see note]"),
        nested(id="2", valueString="{x}, ]", code={"coding": [{"display": "glucose"}]}),
        nested(id="3", extension=[None, {"url": "urn:other", "valueAttachment": {"title": "x"}}]),
        nested(id="4", extension=[{"valueAttachment": {}}], category=[{"text": "lab"}]),
        nested(id="5", referenceRange=[{"text": "normal"}], interpretation=[], subject_=["x"]),
        nested(id="6", valueQuantity={"value": "5.5"}, bodySite={}, dataAbsentReason=None),
        nested(id=7, valueQuantity={"value": 5, "unit": True}),
    ]
    twice = json.dumps(nested(id="8", valueString="a"))[:-1] + ', "valueString": {"b": 1}}'
    content = ndjson(*given, twice.encode())
    found = mapped(tmp_path, {"Observation.ndjson": content})("measurement")
    assert [row["measurement_id"] for row in found] == list(range(1, 9))
    assert (found[0]["value_source_value"], found[1]["value_source_value"]) == (
        "[see note]",
        "{x}, ]",
    )
    assert found[7]["value_source_value"] == "a"


def test_a_patient_with_a_name_in_a_place_of_its_own_is_not_kept(tmp_path):
    people = [patient("1"), patient("2", gender={"name": [{"family": "SECRET"}]})]
    people.append(patient("3", identifier="SECRET"))
    of = mapped(tmp_path, {"Patient": people})
    assert [row["person_id"] for row in of("person")] == [1]
    for path in of.work.rglob("*.duckdb"):
        assert b"SECRET" not in path.read_bytes()


def undone(kind, *fields, **more):
    """Return resources of a type, each with one of the fields, after one that is a fact."""
    whole = {"resourceType": kind, "code": concept(4, EDI, "HA201"), **about("1"), **more}
    return [whole | {"id": str(n)} | field for n, field in enumerate([{}, *fields])]


def statuses(*values):
    return [{"status": value} for value in values]


UNDONE = {
    "Encounter": [
        encounter(str(n), 1, **field)
        for n, field in enumerate(
            [{}, *statuses("finished", "planned", "cancelled", "entered-in-error")]
        )
    ],
    "Condition": undone(
        "Condition",
        {"verificationStatus": {"coding": [{"code": "confirmed"}]}},
        {"verificationStatus": {"coding": [{"code": "x"}, {"code": "refuted"}]}},
        {"verificationStatus": {"coding": [{"code": "entered-in-error"}]}},
        onsetDateTime="2024-01-01",
    ),
    "Observation": [
        measured(str(n), 1, **field)
        for n, field in enumerate([{}, *statuses("final", "cancelled", "entered-in-error")])
    ],
    "MedicationRequest": undone(
        "MedicationRequest",
        {"status": "completed", "intent": "order", "doNotPerform": False},
        *statuses("cancelled", "entered-in-error", "draft"),
        {"doNotPerform": True},
        {"intent": "proposal"},
        {"intent": "plan"},
        medicationCodeableConcept=concept(1, EDI, "x"),
        authoredOn="2024-01-01",
    ),
    "Procedure": undone(
        "Procedure",
        *statuses("completed", "not-done", "entered-in-error"),
        performedDateTime="2024-01-01",
    ),
    "Device": [
        device(str(n), f"{n}.0", **field)
        for n, field in enumerate([{}, *statuses("active", "entered-in-error")])
    ],
    "DiagnosticReport": [
        reading("r0"),
        *(
            reading(f"r{n}", own("case-id", valueString=str(n)), **field)
            for n, field in enumerate(statuses("final", "cancelled", "entered-in-error"), start=1)
        ),
    ],
    "Claim": [
        claim(str(n), 1, ("10", 5), **field)
        for n, field in enumerate([{}, *statuses("active", "draft", "cancelled")])
    ],
}


def test_what_was_taken_back_or_never_happened_is_not_a_fact(tmp_path):
    outcome = staged(tmp_path, UNDONE)
    for kind, given in UNDONE.items():
        file = f"{kind}.ndjson"
        found = [line for name, line, _ in lines(outcome, "E_RESOURCE_STATUS") if name == file]
        assert found == list(range(3, len(given) + 1)), kind
        assert counts(outcome, kind) == (len(given), 2, len(given) - 2, 0), kind


def test_how_a_value_compares_to_its_number(tmp_path):
    given = [
        measured(str(n), 1, valueQuantity={"value": 5, "comparator": comparator})
        for n, comparator in enumerate(["<", "<=", ">", ">=", "ad", None])
    ]
    found = mapped(tmp_path, {"Observation": given})("measurement")
    operators = [row.get("operator_concept_id") for row in found]
    assert operators == [4171756, 4171754, 4172704, 4171755, None, None]


CARRIERS = {
    "(01)08801234567893(21)SER1": "08801234567893",
    "+A99912345/$$SER1": "+A99912345",
    "=/A9999XYZ100T0944=,000025": "=/A9999XYZ100T0944",
    "]d20108801234567893\x1d21SER1": "08801234567893",
    "https://id.gs1.org/01/08801234567893/21/SER1": "08801234567893",
}


@pytest.mark.parametrize("key", ["carrierHRF", "deviceIdentifier"])
def test_a_udi_of_any_agency_is_cut_to_its_device_identifier(tmp_path, key):
    carriers = [text for text in CARRIERS if key != "carrierHRF" or "\x1d" not in text]
    given = [device(f"d{n}", f"{n}.0", udiCarrier=[{key: text}]) for n, text in enumerate(carriers)]
    said = [inference(f"i{n}", 1, by=f"d{n}") for n, _ in enumerate(carriers)]
    of = mapped(tmp_path, {"Device": given, "Observation": said})
    wanted = [CARRIERS[text] for text in carriers]
    assert [row["udi_di"] for row in of("device_inference")] == wanted
    assert {row["udi_di"] for row in of("device_version")} == set(wanted)


def test_values_of_any_shape_end_in_a_named_state(tmp_path):
    odd = [None, True, 7, "x", [], [1], {}, {"x": 1}, [[]], [{"coding": "x"}], 1e400, -0.0]
    keys = [key for key in measured("1", 1) if key not in {"resourceType", "id"}]
    keys += ["category", "device", "extension", "referenceRange", "interpretation", "derivedFrom"]
    given = [
        measured(f"{key}-{n}", 1, **{key: value}) for key in keys for n, value in enumerate(odd)
    ]
    outcome = staged(tmp_path, {"Observation": given})
    rows_in, rows_loaded, quarantined, _ = counts(outcome, "Observation")
    assert rows_in == rows_loaded + quarantined == len(given)


def test_a_patient_is_held_back_whole(tmp_path):
    people = [
        patient("1", deceasedDateTime="yesterday"),
        patient("2", observed=("2024-01-01", "2023-01-01")),
        patient("3"),
    ]
    home = a_home(tmp_path)
    outcome = ingest(
        home, delivery(tmp_path / "d", {"Patient": people, "Encounter": [encounter("1", 1)]})
    )
    assert counts(outcome, "Patient") == (3, 1, 2, 0)
    assert lines(outcome, "E_DATE_FORMAT") == [("Patient.ndjson", 1, "death_date")]
    place = ("Patient.ndjson", 2, "observation_period_end_date")
    assert lines(outcome, "E_END_BEFORE_START") == [place]
    assert lines(outcome, "E_ORPHAN") == [("Encounter.ndjson", 1, "person_id")]
    for table in ("person", "observation_period"):
        assert [row["person_id"] for row in rows(home, table)] == [3]
    assert rows(home, "death") == []


def test_a_claim_is_held_back_whole(tmp_path):
    bad = claim("80", 1, ("10", 100), ("10", 200))
    bad["item"][1]["net"] = {"value": "much"}
    none = {"resourceType": "Claim", "id": "82", "patient": {"reference": "Patient/1"}}
    twice = claim("83", 1, ("10", 100), ("10", 200))
    twice["item"][1]["sequence"] = 1
    outcome = staged(tmp_path, {"Claim": [bad, claim("81", 1, ("10", 5)), none, twice]})
    assert counts(outcome, "Claim") == (4, 1, 3, 0)
    assert lines(outcome, "E_TYPE") == [("Claim.ndjson", 1, "total_cost")]
    assert lines(outcome, "E_REQUIRED_NULL") == [("Claim.ndjson", 3, "cost_event_id")]
    assert lines(outcome, "E_KEY_CONFLICT") == [("Claim.ndjson", 4, "cost_id")]


def test_resources_sent_again(tmp_path):
    given = [
        measured("1", 1),
        measured("2", 1),
        measured("1", 1, meta={"lastUpdated": "2024-02-02"}),
        measured("2", 1, value=9),
        measured("3", 2),
    ]
    outcome = staged(tmp_path, {"Observation": given})
    assert counts(outcome, "Observation") == (5, 2, 2, 1)
    assert lines(outcome, "W_DUPLICATE_ROW") == [("Observation.ndjson", 3, "measurement_id")]
    assert [line for _, line, _ in lines(outcome, "E_KEY_CONFLICT")] == [2, 4]


def test_resources_sent_again_in_another_file(tmp_path):
    files = {"Observation.2.ndjson": [measured("1", 1)], "Observation.1.ndjson": [measured("1", 1)]}
    outcome = staged(tmp_path, files)
    assert lines(outcome, "W_DUPLICATE_ROW") == [("Observation.2.ndjson", 1, "measurement_id")]
    assert [(f.file, f.rows_loaded, f.rows_deduplicated) for f in outcome.files][:2] == [
        ("Observation.1.ndjson", 1, 0),
        ("Observation.2.ndjson", 0, 1),
    ]


def test_a_patient_sent_again_with_a_death_is_a_conflict(tmp_path):
    people = [
        patient("1"),
        patient("1", deceasedDateTime="2024-01-01"),
        patient("2"),
        patient("2"),
        patient("3", deceasedDateTime="never"),
        patient("3"),
    ]
    outcome = staged(tmp_path, {"Patient": people})
    assert [line for _, line, _ in lines(outcome, "E_KEY_CONFLICT")] == [1, 2]
    assert lines(outcome, "W_DUPLICATE_ROW") == [("Patient.ndjson", 4, "person_id")]
    assert lines(outcome, "E_DATE_FORMAT") == [("Patient.ndjson", 5, "death_date")]
    assert counts(outcome, "Patient") == (6, 2, 3, 1)


def test_ids_that_become_one_number_conflict(tmp_path):
    outcome = staged(tmp_path, {"Observation": [measured("7", 1), measured("007", 1, value=1)]})
    assert [line for _, line, _ in lines(outcome, "E_KEY_CONFLICT")] == [1, 2]


def test_versions_of_one_device(tmp_path):
    given = [
        device("a", "1.0", extension=[]),
        device("b", "1.0"),
        device("c", "2.0"),
        device("d", "1.0", di="08800000000028", manufacturer="X"),
        device("e", "2.0", di="08800000000028", manufacturer="Y"),
    ]
    home = a_home(tmp_path)
    outcome = ingest(home, delivery(tmp_path / "d", PEOPLE | {"Device": given}))
    assert lines(outcome, "E_REQUIRED_NULL") == [("Device.ndjson", 1, "threshold")]
    places = [("Device.ndjson", line, "udi_di") for line in (4, 5)]
    assert lines(outcome, "E_KEY_CONFLICT") == places
    assert counts(outcome, "Device") == (5, 2, 3, 0)
    assert [row["model_version"] for row in rows(home, "device_version")] == ["1.0", "2.0"]
    assert [row["udi_di"] for row in rows(home, "device")] == ["08800000000011"]


def test_two_devices_of_one_version(tmp_path):
    given = [
        device("a"),
        device("b"),
        device("e", "3.0") | {"version": [{"type": {"text": "model"}, "value": "3.0"}]},
        device("f", "3.0"),
    ]
    outcome = staged(tmp_path, {"Device": [row for row in given if row["id"] in "ab"]})
    assert lines(outcome, "W_DUPLICATE_ROW") == [("Device.ndjson", 2, "udi_di")]
    assert counts(outcome, "Device") == (2, 1, 0, 1)
    outcome = staged(tmp_path / "two", {"Device": [row for row in given if row["id"] in "aef"]})
    places = [("Device.ndjson", line, "udi_di") for line in (2, 3)]
    assert lines(outcome, "E_KEY_CONFLICT") == places
    assert counts(outcome, "Device") == (3, 1, 2, 0)


LAYOUTS = {
    "crlf": lambda b: b.replace(b"\n", b"\r\n"),
    "no newline at the end": lambda b: b.rstrip(b"\n"),
    "blank lines": lambda b: b"\n\r\n" + b.replace(b"\n", b"\n\n"),
    "byte order mark": lambda b: b"\xef\xbb\xbf" + b,
}


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_layout_of_the_file_plays_no_part(tmp_path, layout):
    content = layout(ndjson(measured("1", 1), measured("2", 9), measured("3", 1)))
    outcome = staged(tmp_path, {"Observation.ndjson": content})
    assert counts(outcome, "Observation") == (3, 2, 1, 0)
    assert len(lines(outcome, "E_ORPHAN")) == 1


def test_gzip(tmp_path):
    given = {"Observation.part-1.ndjson.gz": gzip.compress(ndjson(measured("1", 1)))}
    assert counts(staged(tmp_path, given), "Observation") == (1, 1, 0, 0)


def test_a_damaged_file_of_resources_refuses_the_delivery(tmp_path):
    content = ndjson(measured("1", 1), measured("2", 1, valueString="암"))
    broken = content.replace("암".encode(), "암".encode("cp949"))
    outcome = staged(tmp_path, {"Observation.ndjson": broken}, encoding="cp949")
    assert (outcome.status, outcome.codes) == ("rejected", ("E_ENCODING",))
    assert lines(outcome, "E_ENCODING") == [("Observation.ndjson", 2, None)]


def test_types_that_are_not_read_are_skipped(tmp_path):
    others = ("AllergyIntolerance.1.ndjson", "AllergyIntolerance.2.ndjson", "Consent.ndjson")
    given = dict.fromkeys(others, b"not JSON\n") | {"Bundle.json": b"{}"}
    outcome = staged(tmp_path, given)
    assert outcome.status == "accepted_with_warnings"
    assert {place[0] for place in lines(outcome, "W_TABLE_UNKNOWN")} == set(given)
    assert file_of(outcome, "Patient").rows_loaded == 3


def test_tables_that_fhir_does_not_carry_come_beside_it(tmp_path):
    consent = ndjson(
        {
            "consent_id": "c1",
            "person_id": 1,
            "scope": "research",
            "status": "given",
            "consent_date": "2024-01-01",
        }
    )
    deployment = (
        b"device_deployment_id,udi_di,model_version,mode,go_live_date,valid_from\n"
        b"d1,08800000000011,1.0,shown,2024-01-01,2024-01-01\n"
    )
    home = loaded(tmp_path, {"consent.ndjson": consent, "device_deployment.csv": deployment})
    assert rows(home, "consent")[0]["consent_id"] == "c1"
    assert rows(home, "device_deployment")[0]["mode"] == "shown"


def test_a_table_comes_from_resources_or_from_a_file_not_from_both(tmp_path):
    outcome = staged(tmp_path, {"death.csv": text(DEATH).encode()})
    assert outcome.codes == ("E_TABLE_AMBIGUOUS",)


def test_the_name_of_the_file_tells_resources_from_a_table(tmp_path):
    row = {
        "observation_id": 1,
        "person_id": 1,
        "observation_concept_id": 1,
        "observation_date": "2024-01-01",
        "observation_type_concept_id": 1,
    }
    home = loaded(tmp_path, {"observation.ndjson": ndjson(row)})
    assert [found["observation_id"] for found in rows(home, "observation")] == [1]


def test_the_manifest_may_name_the_table_beside_the_name_of_the_type(tmp_path):
    given = PEOPLE | {"Observation": [measured("1", 1)], "Deployed.ndjson": b""}
    entries = {
        "Observation.ndjson": {"table": "observation"},
        "Deployed.ndjson": {"table": "device_deployment"},
    }
    folder = write_delivery(tmp_path / "d", files(given), entries, format="fhir")
    outcome = staged_outcome(a_home(tmp_path), folder)
    assert counts(outcome, "Observation") == (1, 1, 0, 0)
    assert counts(outcome, "device_deployment") == (0, 0, 0, 0)


def test_a_full_delivery_names_its_persons(tmp_path):
    alone = delivery(tmp_path / "d", {"Encounter": [encounter("1", 1)]})
    outcome = staged_outcome(a_home(tmp_path), alone)
    assert (outcome.status, outcome.codes) == ("rejected", ("E_NO_ROWS",))
    nobody = delivery(tmp_path / "e", {"Patient": [patient("1", birthDate="young")]})
    outcome = staged_outcome(a_home(tmp_path), nobody)
    assert (outcome.status, outcome.codes) == ("rejected", ("E_NO_ROWS", "E_TYPE"))
    empty = delivery(tmp_path / "f", {"Patient.ndjson": b"\n"})
    assert staged_outcome(a_home(tmp_path), empty).codes == ("E_NO_ROWS",)


def test_an_increment_corrects_and_adds(tmp_path):
    home = loaded(tmp_path, {"Observation": [measured("1", 1), measured("2", 1)]})
    more = {"Observation": [measured("2", 1, value=9), measured("3", 2)]}
    folder = delivery(tmp_path / "more", more, kind="increment", delivery_id="D-2")
    assert ingest(home, folder).status == "accepted"
    found = {row["measurement_id"]: row["value_as_number"] for row in rows(home, "measurement")}
    assert found == {1: 5.5, 2: 9.0, 3: 5.5}


def in_force(home):
    with open_lake(home, SITE) as con:
        return [found["delivery_id"] for found in deliveries_in_force(con)]


def test_a_full_delivery_replaces_one_of_the_other_form(tmp_path):
    home = a_home(tmp_path)
    assert (
        ingest(home, write_delivery(tmp_path / "a", BASE | {"death": DEATH})).status == "accepted"
    )
    second = delivery(tmp_path / "b", {"Patient": [patient("5")]}, delivery_id="D-2")
    assert ingest(home, second).status == "accepted"
    assert (person_ids(home), rows(home, "death"), in_force(home)) == ([5], [], ["D-2"])
    third = write_delivery(tmp_path / "c", BASE, delivery_id="D-3")
    assert ingest(home, third).status == "accepted"
    assert (person_ids(home), in_force(home)) == ([1, 2, 3], ["D-3"])


def test_an_older_delivery_of_the_other_form_is_out_of_order(tmp_path):
    home = a_home(tmp_path)
    ingest(home, write_delivery(tmp_path / "a", BASE))
    late = delivery(tmp_path / "b", PEOPLE, delivery_id="D-2", data_cutoff="2024-12-31")
    assert ingest(home, late).codes == ("E_OUT_OF_ORDER",)


def test_what_a_rejected_table_leaves_in_force_came_as_fhir(tmp_path):
    home = loaded(tmp_path, {"Patient": [patient("1", deceasedDateTime="2024-01-01")]})
    header = b"person_id,when\n1,2024-01-01\n"
    outcome = ingest(
        home, write_delivery(tmp_path / "b", BASE | {"death": header}, delivery_id="D-2")
    )
    assert outcome.status == "partial"
    assert len(rows(home, "death")) == 1
    assert in_force(home) == ["D-1", "D-2"]


def test_the_quality_gate_judges_resources(tmp_path):
    home = a_home(tmp_path)
    people = [patient(str(n), birthDate="young") for n in range(9)] + [patient("10")]
    outcome = ingest(home, delivery(tmp_path / "d", {"Patient": people}), gate=quality_gate)
    assert outcome.status == "blocked"
    assert "E_DQ_CRITICAL" in outcome.codes


PERSONS = """
    person_id,gender_concept_id,year_of_birth,race_concept_id,ethnicity_concept_id,gender_source_value
    1,8532,1960,0,0,female
    2,8532,1960,0,0,female
"""
AS_OMOP = {
    "person": PERSONS,
    "observation_period": BASE["observation_period"].replace("3,3,2020-01-01,2025-01-01,32817", ""),
    "death": "person_id,death_date,death_type_concept_id\n2,2024-06-01,32817\n",
    "visit_occurrence": """
        visit_occurrence_id,person_id,visit_concept_id,visit_start_date,visit_start_datetime,visit_end_date,visit_end_datetime,visit_type_concept_id,visit_source_value
        10,1,9202,2024-01-02,2024-01-02 09:00:00,2024-01-02,2024-01-02 09:30:00,32817,AMB
    """,
    "measurement": """
        measurement_id,person_id,measurement_concept_id,measurement_date,measurement_type_concept_id,value_as_number,unit_concept_id,measurement_source_value,unit_source_value
        30,1,3004501,2024-02-01,32817,5.5,8840,2345-7,mg/dL
    """,
    "cost": """
        cost_id,person_id,cost_event_id,cost_domain_id,cost_type_concept_id,currency_concept_id,total_cost,paid_by_payer,paid_by_patient,revenue_code_source_value
        80,1,10,Visit,32817,0,100,90,10,EDI-1
    """,
    "device": """
        udi_di,device_name,manufacturer,approval_number,approval_date,intended_use,device_class
        08800000000011,Chest CAD,Maker,A-1,2022-06-01,triage,2
    """,
    "device_version": """
        udi_di,model_version,software_version,threshold,operating_point,valid_from
        08800000000011,1.0,sw-1.0,0.5,balanced,2023-01-01
    """,
}
AS_FHIR = {
    "Patient": [patient("1"), patient("2", deceasedDateTime="2024-06-01")],
    "Encounter": [encounter("10", 1, "2024-01-02T09:00:00+09:00", "2024-01-02T00:30:00Z")],
    "Observation": [measured("30", 1)],
    "Claim": [claim("80", 1, ("10", 100))],
    "Device": [device()],
}


def test_the_same_world_gives_the_same_rows_in_either_form(tmp_path):
    omop, fhir = a_home(tmp_path / "omop"), a_home(tmp_path / "fhir")
    tables = {name: drawing.replace("    ", "") for name, drawing in AS_OMOP.items()}
    ingest(omop, write_delivery(tmp_path / "a", tables))
    ingest(fhir, delivery(tmp_path / "b", AS_FHIR))
    found = rows_of_all(fhir)
    assert found == rows_of_all(omop)
    assert {table for table, rows in found.items() if rows} == set(AS_OMOP)


def test_examples_of_the_standard_end_in_a_named_state(tmp_path):
    folder = shared("data/fhir_hl7_r4_examples/ndjson")
    given = {path.name: path.read_bytes() for path in sorted(folder.glob("*.ndjson.gz"))}
    home = a_home(tmp_path)
    outcome = ingest(home, write_delivery(tmp_path / "d", given, format="fhir"))
    assert outcome.status == "accepted_with_warnings"
    for file in outcome.files:
        assert file.rows_in == file.rows_loaded + file.rows_quarantined + file.rows_deduplicated
    assert file_of(outcome, "Patient").rows_loaded > 5
