"""Rows as FHIR R4 resources, one JSON object a line, built column by column.

The inverse of what ingest reads; docs/deliveries.md has the map. Texts come from the simulation's
own code lists and hold nothing that JSON must escape.
"""

from collections.abc import Callable, Mapping

import polars as pl

OHDSI = "https://fhir-terminology.ohdsi.org"
_KOREA = "http://www.hl7korea.or.kr/CodeSystem"
KCD, EDI, EDI_DRUG = (
    f"{_KOREA}/kostat-kcd-8",
    f"{_KOREA}/hira-edi-procedure",
    f"{_KOREA}/hira-edi-medication",
)
LOINC, LOCAL, UCUM = "http://loinc.org", "urn:causeway:simulated", "http://unitsofmeasure.org"
_SEOUL = "+09:00"
_VISIT_CLASS = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
_FLAGS = "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation"
_CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"

RESOURCE_OF: Mapping[str, str] = {
    "person": "Patient",
    "visit_occurrence": "Encounter",
    "condition_occurrence": "Condition",
    "drug_exposure": "MedicationRequest",
    "measurement": "Observation",
    "observation": "Observation",
    "device_inference": "Observation",
    "procedure_occurrence": "Procedure",
    "device_version": "Device",
    "device_reading": "DiagnosticReport",
    "cost": "Claim",
}
"""Tables that become resources; `person` takes in death and observation_period first."""


def resource_lines(table: str, frame: pl.DataFrame) -> pl.DataFrame:
    """Return the rows of a table as resources: one column, `line`."""
    return frame.select(_BUILDERS[table]().alias("line"))


def with_life(person: pl.DataFrame, period: pl.DataFrame, death: pl.DataFrame) -> pl.DataFrame:
    """Join to each person what a Patient says of the time observed and of death."""
    return person.join(period, on="person_id", how="left", maintain_order="left").join(
        death, on="person_id", how="left", maintain_order="left"
    )


def with_device(versions: pl.DataFrame, device: pl.DataFrame) -> pl.DataFrame:
    """Join to each version what a Device says of the device itself."""
    return versions.join(device, on="udi_di", how="left", maintain_order="left")


def _obj(*parts: pl.Expr | str) -> pl.Expr:
    """A JSON object of its parts; null parts are left out, and an empty object altogether."""
    exprs = [pl.lit(part) if isinstance(part, str) else part for part in parts]
    inner = pl.concat_str(exprs, separator=",", ignore_nulls=True)
    return pl.when(inner != "").then(_cat("{", inner, "}"))


def _cat(head: str, value: str | pl.Expr, tail: str = "") -> pl.Expr:
    """Text before and after a value; null where the value is null."""
    column = pl.col(value) if isinstance(value, str) else value
    return pl.concat_str([pl.lit(head), column.cast(pl.String), pl.lit(tail)])


def _text(key: str, value: str | pl.Expr) -> pl.Expr:
    return _cat(f'"{key}":"', value, '"')


def _raw(key: str, value: str | pl.Expr) -> pl.Expr:
    return _cat(f'"{key}":', value)


def _resource(kind: str, ident: str, *parts: pl.Expr | str) -> pl.Expr:
    return _obj(f'"resourceType":"{kind}"', _text("id", ident), *parts)


def _reference(key: str, kind: str, column: str) -> pl.Expr:
    return _raw(key, _obj(_text_of("reference", f"{kind}/", column)))


def _text_of(key: str, prefix: str, column: str) -> pl.Expr:
    return _cat(f'"{key}":"{prefix}', column, '"')


def _subject() -> pl.Expr:
    return _reference("subject", "Patient", "person_id")


def _encounter() -> pl.Expr:
    return _reference("encounter", "Encounter", "visit_occurrence_id")


def _code(key: str, system: str, source: str, concept: str) -> pl.Expr:
    """A CodeableConcept of the source's code and the OMOP concept."""
    pattern = (
        f'"{key}":{{"coding":[{{"system":"{system}","code":"§s"}},'
        f'{{"system":"{OHDSI}","code":"§c"}}]}}'
    )
    return _filled(pattern, source, concept)


def _filled(pattern: str, source: str, concept: str) -> pl.Expr:
    """Put two columns into a pattern that has braces of its own."""
    head, rest = pattern.split("§s")
    middle, tail = rest.split("§c")
    parts = [pl.lit(head), pl.col(source), pl.lit(middle), pl.col(concept), pl.lit(tail)]
    return pl.concat_str([part.cast(pl.String) for part in parts])


def _day(key: str, column: str) -> pl.Expr:
    return _text(key, pl.col(column).dt.to_string("%Y-%m-%d"))


def _instant(key: str, column: str) -> pl.Expr:
    return _text(key, pl.col(column).dt.to_string(f"%Y-%m-%dT%H:%M:%S{_SEOUL}"))


def _period(key: str, start: pl.Expr, end: pl.Expr) -> pl.Expr:
    return _raw(key, _obj(start, end))


def _extensions(**values: tuple[str, pl.Expr]) -> pl.Expr:
    """Extensions by name, each its value key and value as JSON; null values are left out."""
    items = [
        pl.concat_str([
            pl.lit(f'{{"url":"urn:causeway:{name.replace("_", "-")}","{key}":'), value, pl.lit("}")
        ])
        for name, (key, value) in values.items()
    ]  # fmt: skip
    inner = pl.concat_str(items, separator=",", ignore_nulls=True)
    return pl.when(inner != "").then(
        _raw("extension", pl.concat_str([pl.lit("["), inner, pl.lit("]")]))
    )


def _string(column: str) -> tuple[str, pl.Expr]:
    return "valueString", _cat('"', column, '"')


def _coded(column: str) -> tuple[str, pl.Expr]:
    return "valueCode", _cat('"', column, '"')


def _date(column: str) -> tuple[str, pl.Expr]:
    return "valueDate", _cat('"', pl.col(column).dt.to_string("%Y-%m-%d"), '"')


def _decimal(column: str) -> tuple[str, pl.Expr]:
    return "valueDecimal", pl.col(column).cast(pl.String)


def _boolean(column: str) -> tuple[str, pl.Expr]:
    return "valueBoolean", pl.col(column).cast(pl.String)


def _money(column: str) -> tuple[str, pl.Expr]:
    return "valueMoney", _krw(column)


def _krw(column: str) -> pl.Expr:
    return _cat('{"value":', column, ',"currency":"KRW"}')


def _list(key: str, *items: pl.Expr) -> pl.Expr:
    """A list under a key; null items are left out, and an empty list altogether."""
    inner = pl.concat_str(items, separator=",", ignore_nulls=True)
    return pl.when(inner != "").then(pl.concat_str([pl.lit(f'"{key}":['), inner, pl.lit("]")]))


def _flag(key: str) -> pl.Expr:
    """A decision as a code of the HL7 interpretation codes; nothing where there is none."""
    code = pl.col("decision").replace_strict({"positive": "POS", "negative": "NEG"}, default="IND")
    coding = _list("coding", _obj(f'"system":"{_FLAGS}"', _text("code", code)))
    return pl.when(pl.col("decision").is_not_null()).then(_list(key, _obj(coding)))


def _category(name: str) -> str:
    return f'"category":[{{"coding":[{{"system":"{_CATEGORY}","code":"{name}"}}]}}]'


def _patient() -> pl.Expr:
    start = _day("start", "observation_period_start_date")
    end = _day("end", "observation_period_end_date")
    return _resource(
        "Patient",
        "person_id",
        _extensions(observation_period=("valuePeriod", _obj(start, end))),
        _list("identifier", _obj(_text("value", "person_source_value"))),
        _text("gender", "gender_source_value"),
        _text("birthDate", "year_of_birth"),
        _day("deceasedDateTime", "death_date"),
    )


def _encounters() -> pl.Expr:
    visit_class = _obj(f'"system":"{_VISIT_CLASS}"', _text("code", "visit_source_value"))
    period = _obj(_instant("start", "visit_start_datetime"), _instant("end", "visit_end_datetime"))
    source = _obj(_raw("admitSource", _obj(_text("text", "admitted_from_source_value"))))
    return _resource(
        "Encounter",
        "visit_occurrence_id",
        '"status":"finished"',
        _raw("class", visit_class),
        _subject(),
        _raw("period", period),
        _raw("hospitalization", source),
    )


def _conditions() -> pl.Expr:
    return _resource(
        "Condition",
        "condition_occurrence_id",
        _raw("verificationStatus", _obj(_text("text", "condition_status_source_value"))),
        _code("code", KCD, "condition_source_value", "condition_concept_id"),
        _subject(),
        _encounter(),
        _day("onsetDateTime", "condition_start_date"),
        _day("abatementDateTime", "condition_end_date"),
    )


def _medication_requests() -> pl.Expr:
    dispense = _obj(
        _raw("validityPeriod", _obj(_day("end", "drug_exposure_end_date"))),
        _raw("quantity", _obj(_raw("value", "quantity"))),
        _raw("expectedSupplyDuration", _obj(_raw("value", "days_supply"), '"unit":"d"')),
    )
    return _resource(
        "MedicationRequest",
        "drug_exposure_id",
        '"status":"completed"',
        '"intent":"order"',
        _code("medicationCodeableConcept", EDI_DRUG, "drug_source_value", "drug_concept_id"),
        _subject(),
        _encounter(),
        _day("authoredOn", "drug_exposure_start_date"),
        _list("dosageInstruction", _obj(_text("text", "sig"))),
        _raw("dispenseRequest", dispense),
    )


def _measurements() -> pl.Expr:
    quantity = _obj(
        _raw("value", "value_as_number"),
        _text("unit", "unit_source_value"),
        f'"system":"{UCUM}"',
        _text("code", "unit_source_value"),
    )
    bounds = [
        _raw(key, _obj(_raw("value", column)))
        for key, column in (("low", "range_low"), ("high", "range_high"))
    ]
    return _resource(
        "Observation",
        "measurement_id",
        '"status":"final"',
        _category("laboratory"),
        _code("code", LOINC, "measurement_source_value", "measurement_concept_id"),
        _subject(),
        _encounter(),
        _instant("effectiveDateTime", "measurement_datetime"),
        _raw("valueQuantity", quantity),
        _list("referenceRange", _obj(*bounds)),
    )


def _observations() -> pl.Expr:
    return _resource(
        "Observation",
        "observation_id",
        '"status":"final"',
        _category("survey"),
        _code("code", LOCAL, "observation_source_value", "observation_concept_id"),
        _subject(),
        _day("effectiveDateTime", "observation_date"),
        _raw("valueInteger", pl.col("value_as_number").cast(pl.Int64)),
        _text("valueString", "value_as_string"),
    )


def _inferences() -> pl.Expr:
    return _resource(
        "Observation",
        "device_inference_id",
        '"status":"final"',
        _extensions(
            shown=_boolean("shown"),
            latency_seconds=_decimal("latency_seconds"),
            input_quality=_coded("input_quality"),
            scanner=_string("scanner"),
            image_id=_string("image_id"),
        ),
        f'"code":{{"coding":[{{"system":"{LOCAL}","code":"AI_SCORE"}}]}}',
        _subject(),
        _encounter(),
        _instant("effectiveDateTime", "acquisition_datetime"),
        _instant("issued", "inference_datetime"),
        _raw("valueQuantity", _obj(_raw("value", "score"))),
        _raw("dataAbsentReason", _obj(_text("text", "failure"))),
        _flag("interpretation"),
        _raw("bodySite", _obj(_text("text", "body_part"))),
        _list("derivedFrom", _obj(_text_of("reference", "ImagingStudy/", "study_id"))),
        _reference("device", "Device", "model_version"),
    )


def _procedures() -> pl.Expr:
    return _resource(
        "Procedure",
        "procedure_occurrence_id",
        '"status":"completed"',
        _code("code", EDI, "procedure_source_value", "procedure_concept_id"),
        _subject(),
        _encounter(),
        _instant("performedDateTime", "procedure_datetime"),
    )


def _devices() -> pl.Expr:
    versions = [
        _obj(f'"type":{{"text":"{kind}"}}', _text("value", column))
        for kind, column in (("model", "model_version"), ("software", "software_version"))
    ]
    return _resource(
        "Device",
        "model_version",
        _extensions(
            threshold=_decimal("threshold"),
            operating_point=_string("operating_point"),
            valid_from=_date("valid_from"),
            valid_to=_date("valid_to"),
            change_plan_reference=_string("change_plan_reference"),
            approval_number=_string("approval_number"),
            approval_date=_date("approval_date"),
            intended_use=_string("intended_use"),
            device_class=_string("device_class"),
        ),
        _list("udiCarrier", _obj(_text("deviceIdentifier", "udi_di"))),
        _text("manufacturer", "manufacturer"),
        _list("deviceName", _obj(_text("name", "device_name"), '"type":"model-name"')),
        _list("version", *versions),
    )


def _reports() -> pl.Expr:
    case = pl.concat_str(["case_id", "reader_id", "modality"], separator="-")
    return _obj(
        '"resourceType":"DiagnosticReport"',
        _text("id", case),
        _extensions(
            case_id=_string("case_id"),
            modality=_coded("modality"),
            score=_decimal("score"),
            reading_seconds=_decimal("reading_seconds"),
            udi_di=_string("udi_di"),
            model_version=_string("model_version"),
        ),
        '"status":"final"',
        _subject(),
        _instant("effectiveDateTime", "reading_datetime"),
        _list("resultsInterpreter", _obj(_text_of("reference", "Practitioner/", "reader_id"))),
        _list("imagingStudy", _obj(_text_of("reference", "ImagingStudy/", "study_id"))),
        _flag("conclusionCode"),
    )


def _claims() -> pl.Expr:
    item = _obj(
        '"sequence":1',
        _extensions(
            paid_by_payer=_money("paid_by_payer"), paid_by_patient=_money("paid_by_patient")
        ),
        _raw(
            "productOrService",
            _obj(
                _list(
                    "coding",
                    _obj(f'"system":"{EDI}"', _text("code", "revenue_code_source_value")),
                )
            ),
        ),
        _list("encounter", _obj(_text_of("reference", "Encounter/", "cost_event_id"))),
        _raw("net", _krw("total_cost")),
    )
    return _resource(
        "Claim",
        "cost_id",
        '"status":"active"',
        _reference("patient", "Patient", "person_id"),
        _list("item", item),
        _raw("total", _krw("total_cost")),
    )


_BUILDERS: Mapping[str, Callable[[], pl.Expr]] = {
    "person": _patient,
    "visit_occurrence": _encounters,
    "condition_occurrence": _conditions,
    "drug_exposure": _medication_requests,
    "measurement": _measurements,
    "observation": _observations,
    "device_inference": _inferences,
    "procedure_occurrence": _procedures,
    "device_version": _devices,
    "device_reading": _reports,
    "cost": _claims,
}
