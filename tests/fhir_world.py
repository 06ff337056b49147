"""FHIR resources drawn in a test: small, complete, one function a type."""

OHDSI = "https://fhir-terminology.ohdsi.org"
KCD = "http://www.hl7korea.or.kr/CodeSystem/kostat-kcd-8"
EDI = "http://www.hl7korea.or.kr/CodeSystem/hira-edi-medication"
LOINC = "http://loinc.org"
UCUM = "http://unitsofmeasure.org"


def own(name, **value):
    """Return one of our extensions."""
    return {"url": f"urn:causeway:{name}", **value}


def concept(concept_id=None, system=None, code=None, text=None):
    """Return a CodeableConcept with our mapping and the code of the source."""
    ours = [{"system": OHDSI, "code": str(concept_id)}] if concept_id is not None else []
    theirs = [{"system": system, "code": code}] if code else []
    return {"coding": [*ours, *theirs]} | ({"text": text} if text else {})


def about(person, encounter=None):
    """Return whom a resource is about, and in which encounter."""
    found = {"subject": {"reference": f"Patient/{person}"}}
    return found | ({"encounter": {"reference": f"Encounter/{encounter}"}} if encounter else {})


def patient(key, observed=("2020-01-01", "2025-01-01"), **more):
    period = {"start": observed[0], "end": observed[1]} if observed else None
    extension = [own("observation-period", valuePeriod=period)] if observed else []
    return {
        "resourceType": "Patient",
        "id": key,
        "gender": "female",
        "birthDate": "1960-07-08",
        "extension": extension,
    } | more


def encounter(key, person, start="2024-01-02", end="2024-01-03", **more):
    found = {"resourceType": "Encounter", "id": key, "class": {"code": "AMB"}, **about(person)}
    return found | {"period": {"start": start, "end": end}} | more


def measured(key, person, value=5.5, when="2024-02-01", **more):
    return {
        "resourceType": "Observation",
        "id": key,
        "code": concept(3004501, LOINC, "2345-7"),
        **about(person),
        "effectiveDateTime": when,
        "valueQuantity": {"value": value, "unit": "mg/dL", "system": UCUM, "code": "mg/dL"},
    } | more


def device(key="cad-1", version="1.0", di="08800000000011", **more):
    return {
        "resourceType": "Device",
        "id": key,
        "udiCarrier": [{"deviceIdentifier": di}],
        "deviceName": [{"name": "Chest CAD", "type": "user-friendly-name"}],
        "manufacturer": "Maker",
        "serialNumber": "SN-SECRET",
        "lotNumber": "LOT-SECRET",
        "version": [
            {"type": {"text": "model"}, "value": version},
            {"type": {"text": "software"}, "value": f"sw-{version}"},
        ],
        "extension": [
            own("threshold", valueDecimal=0.5),
            own("operating-point", valueString="balanced"),
            own("valid-from", valueDate="2023-01-01"),
            own("approval-number", valueString="A-1"),
            own("approval-date", valueDate="2022-06-01"),
            own("intended-use", valueString="triage"),
            own("device-class", valueString="2"),
        ],
    } | more


def inference(key, person, score=0.75, decision="POS", by="cad-1", **more):
    return {
        "resourceType": "Observation",
        "id": key,
        "code": {"text": "AI"},
        **about(person, "v1"),
        "derivedFrom": [{"reference": f"ImagingStudy/study-{key}"}],
        "bodySite": {"text": "chest"},
        "device": {"reference": f"Device/{by}"},
        "effectiveDateTime": "2024-03-01T10:00:00+09:00",
        "issued": "2024-03-01T01:00:30.5Z",
        "valueQuantity": {"value": score},
        "interpretation": [{"coding": [{"code": decision}]}],
        "extension": [
            own("shown", valueBoolean=True),
            own("latency-seconds", valueDecimal=30.5),
            own("input-quality", valueCode="good"),
            own("scanner", valueString="X-1"),
            own("image-id", valueString="i-1"),
        ],
    } | more


def claim(key, person, *items, **more):
    """Draw a claim; `items` are (encounter, cost)."""
    return {
        "resourceType": "Claim",
        "id": key,
        "patient": {"reference": f"Patient/{person}"},
        "item": [
            {
                "sequence": number,
                "encounter": [{"reference": f"Encounter/{visit}"}],
                "productOrService": concept(None, EDI, f"EDI-{number}"),
                "net": {"value": cost, "currency": "KRW"},
                "extension": [
                    own("paid-by-payer", valueMoney={"value": cost - 10, "currency": "KRW"}),
                    own("paid-by-patient", valueMoney={"value": 10, "currency": "KRW"}),
                ],
            }
            for number, (visit, cost) in enumerate(items, start=1)
        ],
    } | more
