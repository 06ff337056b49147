"""From FHIR resources to tables of the model: each line is parsed once, each table is one query.

The shapes name what is read of a resource and nothing else: what they do not name (names,
addresses, serial numbers) is never stored. `fhir.<resource>` holds one row a resource, and
`mapped.<table>` (sql/mapped) what the table gets of it. `_row` is the number of the file and the
line in it, in one integer that is unique in the delivery.
"""

# ruff: noqa: S608 - only names of the model and quoted names are formatted into SQL

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from tasks.core.duck import identifier, quoted
from tasks.core.fhir import TABLES_OF
from tasks.core.omop import Table
from tasks.core.sql import build_table
from tasks.ingest.bind import Binding
from tasks.ingest.cast import Reading
from tasks.ingest.fhir_shape import may_misfit, misfit_of
from tasks.ingest.manifest import Manifest
from tasks.ingest.ndjson import is_object, lines_of
from tasks.ingest.parse import copied, parquet_source, select_typed
from tasks.ingest.reading import TextFile

Connection = duckdb.DuckDBPyConnection
Shape = Mapping[str, object]

LINE_BITS = 40

_TEXT = "VARCHAR"
_REFERENCE = {"reference": _TEXT}
_CONCEPT = {"coding": [{"system": _TEXT, "code": _TEXT}], "text": _TEXT}
_QUANTITY = {"value": _TEXT, "comparator": _TEXT, "unit": _TEXT, "system": _TEXT, "code": _TEXT}
_MONEY = {"value": _TEXT, "currency": _TEXT}
_PERIOD = {"start": _TEXT, "end": _TEXT}
_SIMPLE = ("String", "Code", "Decimal", "Integer", "Boolean", "Date")
_EXTENSION = [
    {"url": _TEXT, "valuePeriod": _PERIOD, "valueMoney": {"value": _TEXT}}
    | {f"value{kind}": _TEXT for kind in _SIMPLE}
]

SHAPES: dict[str, Shape] = {
    "Patient": {
        "identifier": [{"value": _TEXT}],
        "gender": _TEXT,
        "birthDate": _TEXT,
        "deceasedDateTime": _TEXT,
        "extension": _EXTENSION,
    },
    "Encounter": {
        "status": _TEXT,
        "class": {"code": _TEXT},
        "subject": _REFERENCE,
        "period": _PERIOD,
        "hospitalization": {"admitSource": {"text": _TEXT}},
    },
    "Condition": {
        "code": _CONCEPT,
        "subject": _REFERENCE,
        "encounter": _REFERENCE,
        "onsetDateTime": _TEXT,
        "recordedDate": _TEXT,
        "abatementDateTime": _TEXT,
        "verificationStatus": {"coding": [{"code": _TEXT}], "text": _TEXT},
    },
    "Observation": {
        "status": _TEXT,
        "category": [{"coding": [{"code": _TEXT}]}],
        "code": _CONCEPT,
        "subject": _REFERENCE,
        "encounter": _REFERENCE,
        "device": _REFERENCE,
        "derivedFrom": [_REFERENCE],
        "bodySite": {"text": _TEXT},
        "effectiveDateTime": _TEXT,
        "issued": _TEXT,
        "valueQuantity": _QUANTITY,
        "valueInteger": _TEXT,
        "valueString": _TEXT,
        "interpretation": [{"coding": [{"code": _TEXT}]}],
        "dataAbsentReason": {"text": _TEXT},
        "referenceRange": [{"low": {"value": _TEXT}, "high": {"value": _TEXT}}],
        "extension": _EXTENSION,
    },
    "MedicationRequest": {
        "status": _TEXT,
        "intent": _TEXT,
        "doNotPerform": _TEXT,
        "medicationCodeableConcept": _CONCEPT,
        "subject": _REFERENCE,
        "encounter": _REFERENCE,
        "authoredOn": _TEXT,
        "dispenseRequest": {
            "validityPeriod": _PERIOD,
            "quantity": {"value": _TEXT},
            "expectedSupplyDuration": {"value": _TEXT},
        },
        "dosageInstruction": [{"text": _TEXT}],
    },
    "Procedure": {
        "status": _TEXT,
        "code": _CONCEPT,
        "subject": _REFERENCE,
        "encounter": _REFERENCE,
        "performedDateTime": _TEXT,
        "performedPeriod": _PERIOD,
    },
    "Device": {
        "status": _TEXT,
        "udiCarrier": [{"deviceIdentifier": _TEXT, "carrierHRF": _TEXT}],
        "deviceName": [{"name": _TEXT}],
        "manufacturer": _TEXT,
        "version": [{"type": {"text": _TEXT}, "value": _TEXT}],
        "extension": _EXTENSION,
    },
    "DiagnosticReport": {
        "status": _TEXT,
        "subject": _REFERENCE,
        "imagingStudy": [_REFERENCE],
        "resultsInterpreter": [_REFERENCE],
        "result": [_REFERENCE],
        "effectiveDateTime": _TEXT,
        "conclusionCode": [{"coding": [{"code": _TEXT}]}],
        "extension": _EXTENSION,
    },
    "Claim": {
        "status": _TEXT,
        "patient": _REFERENCE,
        "total": _MONEY,
        "item": [
            {
                "sequence": _TEXT,
                "encounter": [_REFERENCE],
                "productOrService": _CONCEPT,
                "net": _MONEY,
                "extension": _EXTENSION,
            }
        ],
    },
}

_WHOLE = {name: {"resourceType": _TEXT, "id": _TEXT, **shape} for name, shape in SHAPES.items()}

# What says that a resource is no fact: it was taken back, did not happen, or is yet to come.
_IS_NO_FACT: dict[str, str] = {
    "Encounter": "resource.status in ('planned', 'cancelled', 'entered-in-error')",
    "Condition": """list_has_any(
        list_transform(resource.verificationStatus.coding, lambda c: c.code),
        ['refuted', 'entered-in-error']
    )""",
    "Observation": "resource.status in ('cancelled', 'entered-in-error')",
    "MedicationRequest": """(
        resource.status in ('draft', 'cancelled', 'entered-in-error')
        or resource.intent in ('proposal', 'plan')
        or resource.doNotPerform = 'true'
    )""",
    "Procedure": "resource.status in ('not-done', 'entered-in-error')",
    "Device": "resource.status = 'entered-in-error'",
    "DiagnosticReport": "resource.status in ('cancelled', 'entered-in-error')",
    "Claim": "resource.status in ('draft', 'cancelled', 'entered-in-error')",
}

_OHDSI = "'https://fhir-terminology.ohdsi.org'"
_EXTENDED = f"list_filter(extensions, lambda e: e.url = {quoted('urn:causeway:')} || name)[1]"
_VALUES = ", ".join(f"{_EXTENDED}.value{kind}" for kind in _SIMPLE)
# Type/id, after a server's address or not, of any version; or an urn, which has no type
_REFERS_TO = (
    "'^(?:(?:[A-Za-z][A-Za-z0-9+.-]*://.+/)?(?:' || kind || ')/|urn:(?:uuid|oid):)"
    "([^/?#]+)(?:/_history/[^/?#]+)?$'"
)
_ZONED = "'.*T.*(Z|[+-][0-9]{2}(:?[0-9]{2})?)'"

_UCUM = {
    "%": 8554,
    "mg/dL": 8840,
    "g/dL": 8713,
    "mmol/L": 8753,
    "10*3/uL": 8848,
    "/min": 8541,
    "Cel": 586323,
    "mm[Hg]": 8876,
    "mg/L": 8751,
    "kg": 9529,
    "cm": 8582,
}
_UNITS = "map {" + ", ".join(f"{quoted(code)}: {concept}" for code, concept in _UCUM.items()) + "}"

# What the queries of sql/mapped share. Each takes the part of a resource that FHIR so names.
_MACROS = (
    # 1 to 18 digits are that number; any other id becomes 60 bits of its sha256
    """fhir_id(id) as case
        when regexp_full_match(id, '[0-9]{1,18}') then try_cast(id as bigint)
        when id <> '' then try_cast('0x' || left(sha256(id), 15) as bigint)
    end""",
    # the id of what a reference points to, null where that is of another type than `kind`
    f"""fhir_reference(reference, kind) as nullif(
        regexp_extract(reference.reference, {_REFERS_TO}, 1), ''
    )""",
    # the concept that the site mapped the code to, 0 without one
    f"""fhir_concept(concept) as coalesce(
        list_filter(concept.coding, lambda c: c.system = {_OHDSI})[1].code, '0'
    )""",
    # the code of the source: the first of any other system; its text where nothing is coded
    f"""fhir_source(concept) as case
        when len(concept.coding) > 0
        then list_filter(concept.coding, lambda c: c.system is distinct from {_OHDSI})[1].code
        else concept.text
    end""",
    # the value of one of our own extensions, as text
    f"fhir_extension(extensions, name) as coalesce({_VALUES}, {_EXTENDED}.valueMoney.value)",
    f"fhir_period(extensions, name) as {_EXTENDED}.valuePeriod",
    # what a reader or a device decided; another code stays as it is and is judged later
    """fhir_decision(concepts) as case concepts[1].coding[1].code
        when 'POS' then 'positive'
        when 'NEG' then 'negative'
        when 'IND' then 'indeterminate'
        else concepts[1].coding[1].code
    end""",
    # whether it comes from the patient: a survey, or the social history
    """fhir_is_told(categories) as coalesce(list_has_any(
        flatten(list_transform(categories, lambda k: list_transform(k.coding, lambda c: c.code))),
        ['survey', 'social-history']
    ), false)""",
    # the OMOP concept of a UCUM unit, 0 for another unit, null without one
    f"""fhir_unit(quantity) as case
        when coalesce(quantity.code, quantity.unit) is null then null
        when quantity.system = 'http://unitsofmeasure.org'
        then coalesce({_UNITS}[quantity.code], 0)
        else 0
    end""",
    # the OMOP concept of how a value compares to the number that is given
    """fhir_operator(quantity) as case quantity.comparator
        when '<' then 4171756
        when '<=' then 4171754
        when '>' then 4172704
        when '>=' then 4171755
    end""",
    # a unique device identifier; the part of it that names the model is cut out later
    """fhir_udi(carriers) as coalesce(
        nullif(trim(carriers[1].deviceIdentifier), ''), carriers[1].carrierHRF
    )""",
    # a date-only dateTime has no time of day
    "fhir_time(moment) as case when contains(moment, 'T') then moment end",
    # the day of a dateTime, in the zone of the site
    f"""fhir_day(moment, zone) as case
        when regexp_full_match(moment, {_ZONED})
        then timezone(zone, try_cast(moment as timestamptz))::date
        else try_cast(left(moment, 10) as date)
    end""",
)


# Queries that read other mapped tables come last.
_LATER = ("device_inference", "observation_period")
_FILLED = [table for tables in TABLES_OF.values() for table in tables]
_BUILD_ORDER = [*(table for table in _FILLED if table not in _LATER), *_LATER]


@dataclass(frozen=True, slots=True)
class ResourceFile:
    """A file of resources: its number in the delivery, its lines, and their type."""

    number: int
    text: TextFile
    resource: str

    @property
    def rows(self) -> tuple[int, int]:
        """First and last value of `_row` that its lines can have."""
        return self.number << LINE_BITS, ((self.number + 1) << LINE_BITS) - 1


def fhir_table(resource: str) -> str:
    """Return the name of the table that holds the resources of a type."""
    return "fhir." + re.sub(r"(?<!^)(?=[A-Z])", "_", resource).lower()


def create_macros(con: Connection) -> None:
    """Create the functions that the queries of sql/mapped share."""
    for macro in _MACROS:
        con.execute(f"create macro {macro}")


def read_resources(
    con: Connection, work: Path, manifest: Manifest, files: Sequence[ResourceFile]
) -> None:
    """Parse every resource into fhir.<resource>, and offer them as mapped.<table>.

    `delivery.broken` gets the lines that hold no resource of their file's type, or no fact.
    """
    con.execute("create schema fhir")
    con.execute("create table delivery.broken (row bigint, code varchar, column_name varchar)")
    create_macros(con)
    con.create_function("fhir_misfit", misfit_of(_WHOLE), ["VARCHAR", "VARCHAR"], "VARCHAR")
    con.execute(
        "create table fhir.delivery as "
        "select ?::varchar as kind, ?::date as data_cutoff, ?::varchar as timezone, "
        "?::varchar as birth_precision",
        [manifest.kind, manifest.data_cutoff, manifest.timezone, manifest.birth_precision],
    )
    for resource in SHAPES:
        parsed = [_parse(con, work, file) for file in files if file.resource == resource]
        _create_resource(con, resource, parsed)
    for table in _BUILD_ORDER:
        build_table(con, f"mapped.{table}")


def type_mapped(con: Connection, model: Table, reading: Reading, out: Path) -> tuple[str, ...]:
    """Type the rows of mapped.<table> into Parquet `out`; return the columns that are mapped."""
    described = con.execute(f"describe mapped.{model.name}").fetchall()
    physical = {str(row[0]): str(row[1]) for row in described}
    names = tuple(name for name in model.names if name in physical)
    binding = Binding(names, {name: place for place, name in enumerate(names)})
    fields = ", ".join(f"{identifier(name)} as f{place}" for place, name in enumerate(names))
    con.execute(f"create temp view src as select {fields}, _row from mapped.{model.name}")
    try:
        copied(con, select_typed(model, binding, reading, [physical[n] for n in names]), out)
    finally:
        con.execute("drop view temp.src")
    return names


def _shape(resource: str) -> str:
    return quoted(json.dumps(_WHOLE[resource]))


def _parse(con: Connection, work: Path, file: ResourceFile) -> Path:
    """Parse one file into Parquet, one JSON parse a line; lines that are no object stay empty."""
    out = work / f"resources-{file.number}.parquet"
    parsed = f"case when {is_object()} then from_json(body, {_shape(file.resource)}) end"
    query = f"""
        with read as (
            select {file.rows[0]} + line as _row, body, {parsed} as resource from lines
        )
        select _row, {_fault(file.resource)} as _fault, unnest(resource) from read
    """
    with lines_of(con, file.text):
        copied(con, query, out)
    con.execute(
        f"""
        insert into delivery.broken
        select _row, split_part(_fault, '/', 1), nullif(split_part(_fault, '/', 2), '')
        from {parquet_source(out)} where _fault is not null
        """
    )
    return out


def _fault(resource: str) -> str:
    """Return SQL for 'CODE/element' of a line that gives no row, null for the others."""
    kind, suspect = quoted(resource), may_misfit("resource", "body", _WHOLE[resource])
    misfit = f"case when {suspect} then nullif(fhir_misfit({kind}, body), '') end"
    taken_back = _IS_NO_FACT.get(resource, "false")
    return f"""case
        when resource is null then 'E_JSON/'
        when resource.resourceType is distinct from {kind} then 'E_RESOURCE_TYPE/'
        else coalesce({misfit}, case when {taken_back} then 'E_RESOURCE_STATUS/' end)
    end"""


def _create_resource(con: Connection, resource: str, parsed: Sequence[Path]) -> None:
    name = fhir_table(resource)
    if not parsed:
        nothing = "(select 0::bigint as _row, '{}' as body limit 0)"
        columns = f"_row, unnest(from_json(body, {_shape(resource)}))"
        con.execute(f"create table {name} as select {columns} from {nothing}")
        return
    sources = " union all by name ".join(f"from {parquet_source(path)}" for path in parsed)
    con.execute(
        f"create view {name} as select * exclude (_fault) from ({sources}) where _fault is null"
    )
