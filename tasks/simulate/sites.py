"""What a hospital delivers once, not per person: its device, how it runs there, its vocabulary."""

from datetime import date, timedelta

import polars as pl

from tasks.simulate.codes import ALL_CODES, LOCAL, NEGATIVE_CONTROLS
from tasks.simulate.frames import Tables
from tasks.simulate.people import THRESHOLDS
from tasks.simulate.scenario import Scenario
from tasks.simulate.world import (
    DEVICE_NAME,
    ENROLMENT_START,
    UDI_DI,
    VERSIONS,
    Hospital,
    Version,
)

_APPROVED = date(2023, 8, 21)
_OTHER_CONCEPTS = (
    (8507, "MALE", "Gender", "M"),
    (8532, "FEMALE", "Gender", "F"),
    (9201, "Inpatient Visit", "Visit", "IP"),
    (9202, "Outpatient Visit", "Visit", "OP"),
    (9203, "Emergency Room Visit", "Visit", "ER"),
    (32817, "EHR", "Type Concept", "OMOP4976890"),
    (32838, "EHR prescription", "Type Concept", "OMOP4976911"),
    (8554, "percent", "Unit", "%"),
    (8751, "milligram per liter", "Unit", "mg/L"),
    (8848, "thousand per microliter", "Unit", "10*3/uL"),
    (8713, "gram per deciliter", "Unit", "g/dL"),
    (8840, "milligram per deciliter", "Unit", "mg/dL"),
    (8541, "per minute", "Unit", "/min"),
    (586323, "degree Celsius", "Unit", "Cel"),
)


def site_tables(scenario: Scenario, hospital: Hospital) -> Tables:
    """Return the tables that describe the device, its deployment and the codes of a hospital."""
    versions = VERSIONS if hospital.update_day is not None else VERSIONS[:1]
    return {
        "device": _device(),
        "device_version": _versions(versions, hospital),
        "device_deployment": _deployments(hospital),
        "concept": _concepts(scenario),
        "concept_ancestor": _ancestors(scenario),
    }


def _device() -> pl.DataFrame:
    return pl.DataFrame(
        {
            "udi_di": [UDI_DI],
            "device_name": [DEVICE_NAME],
            "manufacturer": ["Simulated Device Co."],
            "approval_number": ["SIM-2023-001"],
            "approval_date": [_APPROVED],
            "intended_use": ["Triage of adult chest X-rays: marks images that need a prompt read"],
            "device_class": ["2"],
        }
    )


def _versions(versions: tuple[Version, ...], hospital: Hospital) -> pl.DataFrame:
    last = len(versions) - 1
    ends = [hospital.update_day if place < last else None for place in range(len(versions))]
    return pl.DataFrame(
        {
            "udi_di": [UDI_DI] * len(versions),
            "model_version": [v.name for v in versions],
            "software_version": [v.software for v in versions],
            "threshold": [float(THRESHOLDS[VERSIONS.index(v)]) for v in versions],
            "operating_point": ["triage"] * len(versions),
            "valid_from": [v.valid_from for v in versions],
            "valid_to": [_day(end, -1) for end in ends],
            "change_plan_reference": [v.change_plan or None for v in versions],
        },
        schema_overrides={"valid_to": pl.Date, "change_plan_reference": pl.String},
    )


def _deployments(hospital: Hospital) -> pl.DataFrame:
    """Silent before go-live, shown from then on; a new stretch where the version changes."""
    marks = {hospital.silent_day, hospital.go_live_day}
    marks |= {hospital.update_day} if hospital.update_day is not None else set()
    starts = sorted(day for day in marks if day >= hospital.silent_day)
    ends = [*starts[1:], None]
    updated = [_is_updated(hospital, day) for day in starts]
    live = [day >= hospital.go_live_day for day in starts]
    return pl.DataFrame(
        {
            "device_deployment_id": [f"{hospital.site_id}-D{i + 1}" for i in range(len(starts))],
            "udi_di": [UDI_DI] * len(starts),
            "model_version": [VERSIONS[place].name for place in updated],
            "mode": ["shown" if is_live else "silent" for is_live in live],
            "integration": ["PACS"] * len(starts),
            "threshold": [float(THRESHOLDS[place]) for place in updated],
            "go_live_date": [_day(hospital.go_live_day) if is_live else None for is_live in live],
            "valid_from": [_day(day) for day in starts],
            "valid_to": [_day(end, -1) for end in ends],
        },
        schema_overrides={"go_live_date": pl.Date, "valid_from": pl.Date, "valid_to": pl.Date},
    )


def _is_updated(hospital: Hospital, day: int) -> int:
    return int(hospital.update_day is not None and day >= hospital.update_day)


def _concepts(scenario: Scenario) -> pl.DataFrame:
    codes = (*ALL_CODES, *NEGATIVE_CONTROLS[: scenario.negative_controls])
    rows = [(c.concept_id, c.name, c.domain, c.source) for c in codes] + list(_OTHER_CONCEPTS)
    rows.sort()
    local = ["Simulated" if row[0] >= LOCAL else "Simulated subset" for row in rows]
    return pl.DataFrame(
        {
            "concept_id": [row[0] for row in rows],
            "concept_name": [row[1] for row in rows],
            "domain_id": [row[2] for row in rows],
            "vocabulary_id": local,
            "concept_class_id": ["Simulated"] * len(rows),
            "standard_concept": ["S"] * len(rows),
            "concept_code": [row[3] for row in rows],
            "valid_start_date": [date(1970, 1, 1)] * len(rows),
            "valid_end_date": [date(2099, 12, 31)] * len(rows),
        }
    )


def _ancestors(scenario: Scenario) -> pl.DataFrame:
    ids = _concepts(scenario)["concept_id"]
    zero = pl.Series([0] * len(ids))
    return pl.DataFrame(
        {
            "ancestor_concept_id": ids,
            "descendant_concept_id": ids,
            "min_levels_of_separation": zero,
            "max_levels_of_separation": zero,
        }
    )


def _day(day: int | None, later: int = 0) -> date | None:
    return None if day is None else ENROLMENT_START + timedelta(days=day + later)
