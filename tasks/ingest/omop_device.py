"""Inferences as plain OMOP: what ran becomes a device exposure, what it said a measurement.

The version stays readable: `device_source_value` is `<udi_di>|<model_version>`, and the score's
`measurement_event_id` leads to it. Only rows made from device_inference are written; their ids
begin above every delivered id of the site, so they can be put beside delivered rows.
"""

# ruff: noqa: S608 - only names of the model and quoted names are formatted into SQL

from pathlib import Path

from tasks.core.duck import identifier, quoted
from tasks.core.errors import UsageError
from tasks.core.lake import Connection, open_lake
from tasks.core.omop import omop_tables
from tasks.core.paths import Home
from tasks.core.site import SiteSettings
from tasks.ingest.ledger import write_person_rows

AI_SCORE = "AI_SCORE"
TYPE_CONCEPT_ID = 32817  # EHR, as everywhere in these tables
RATIO_CONCEPT_ID = 8523

_NUMBERED = """
    create temp table inference as
    with last_id as (
        select site_id, max(exposure) as exposure, max(measurement) as measurement
        from (
            select site_id, max(device_exposure_id) as exposure, null as measurement
            from lake.omop.device_exposure group by site_id
            union all by name
            select site_id, max(measurement_id) as measurement
            from lake.omop.measurement group by site_id
        )
        group by site_id
    )
    select
        inference.*,
        greatest(coalesce(last_id.exposure, 0), 0) + row_number() over site as exposure_id,
        greatest(coalesce(last_id.measurement, 0), 0) + row_number() over site as measurement_id,
    from lake.omop.device_inference as inference
    left join last_id using (site_id)
    window site as (partition by site_id order by device_inference_id)
"""
_EXPOSURE = {
    "device_exposure_id": "exposure_id",
    "person_id": "person_id",
    "device_concept_id": "0",
    "device_exposure_start_date": "inference_datetime::date",
    "device_exposure_start_datetime": "inference_datetime",
    "device_type_concept_id": str(TYPE_CONCEPT_ID),
    "unique_device_id": "udi_di",
    "visit_occurrence_id": "visit_occurrence_id",
    "device_source_value": "udi_di || '|' || model_version",
}
_MEASUREMENT = {
    "measurement_id": "measurement_id",
    "person_id": "person_id",
    "measurement_concept_id": "0",
    "measurement_date": "inference_datetime::date",
    "measurement_datetime": "inference_datetime",
    "measurement_type_concept_id": str(TYPE_CONCEPT_ID),
    "value_as_number": "score",
    "unit_concept_id": str(RATIO_CONCEPT_ID),
    "range_low": "0",
    "range_high": "1",
    "visit_occurrence_id": "visit_occurrence_id",
    "measurement_source_value": quoted(AI_SCORE),
    "unit_source_value": "'ratio'",
    "value_source_value": "decision",
    "measurement_event_id": "exposure_id",
    "meas_event_field_concept_id": "0",
}
_TABLES = {
    "device_exposure": (_EXPOSURE, "true"),
    "measurement": (_MEASUREMENT, "score is not null"),
}


def export_omop_device(
    home: Home, site: SiteSettings, snapshot: int | None, out: Path
) -> dict[str, int]:
    """Write device_exposure.parquet and measurement.parquet made from the inferences of the lake.

    Args:
        home: The working home.
        site: Settings of the site.
        snapshot: Which state of the lake; the newest when None.
        out: The folder, created where it is missing; each file is replaced at once when complete.

    Returns:
        How many rows of each table were written.

    Raises:
        UsageError: The lake held no inferences at that snapshot.
        LakeError: There is no such snapshot.
    """
    out.mkdir(parents=True, exist_ok=True)
    with open_lake(home, site, snapshot=snapshot) as con:
        _require_inferences(con)
        con.execute(_NUMBERED)
        return {table: _write(con, table, out / f"{table}.parquet") for table in _TABLES}


def _require_inferences(con: Connection) -> None:
    found = con.execute(
        "select 1 from information_schema.tables where table_catalog = 'lake' "
        "and table_schema = 'omop' and table_name = 'device_inference'"
    ).fetchone()
    if not found:
        fix = "name a later snapshot (`causeway status`)."
        raise UsageError("device_inference", "is no table of the lake at this snapshot", fix)


def _write(con: Connection, table: str, target: Path) -> int:
    values, condition = _TABLES[table]
    model = omop_tables()[table]
    columns = ", ".join(
        f"cast({values.get(c.name, 'null')} as {c.type}) as {identifier(c.name)}"
        for c in model.columns
    )
    query = (
        f"select site_id, {columns} from inference where {condition} "
        f"order by site_id, {model.key[0]}"
    )
    return write_person_rows(con, query, target)
