"""Which FHIR resources are read, and which tables of the model each of them fills.

A resource may have one row or several in its tables; no table is filled by two resources.
"""

from collections.abc import Collection

CLINICAL_FORMATS = ("omop", "fhir")
"""Formats of a delivery that fill the tables of the model: each replaces what the other brought."""

TABLES_OF: dict[str, tuple[str, ...]] = {
    "Patient": ("person", "death", "observation_period"),
    "Encounter": ("visit_occurrence",),
    "Condition": ("condition_occurrence",),
    "Observation": ("measurement", "observation", "device_inference"),
    "MedicationRequest": ("drug_exposure",),
    "Procedure": ("procedure_occurrence",),
    "Device": ("device_version", "device"),
    "DiagnosticReport": ("device_reading",),
    "Claim": ("cost",),
}


def tables_filled(name: str) -> tuple[str, ...]:
    """Return the tables that a file fills, by its table or its type of resource."""
    return TABLES_OF.get(name, (name,))


def names_filling(tables: Collection[str]) -> set[str]:
    """Return the tables and types of resources by which files that fill `tables` are called."""
    filling = {name for name, filled in TABLES_OF.items() if not set(filled).isdisjoint(tables)}
    return filling | set(tables)
