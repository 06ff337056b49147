"""Columns by name: which field of a file is which column of the model."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tasks.core.omop import Table
from tasks.ingest.model import FileRefusedError, Finding
from tasks.ingest.rules import finding, shown

MAX_COLUMNS = 2_000
MAX_NAME = 256
_NAMES_SHOWN = 10
_DELIMITERS = {",": "a comma", ";": "a semicolon", "\t": "a tab", "|": "a bar"}

# Names that staging adds to a table.
_OWN_COLUMNS = ("_row", "_code", "_fault", "_warned")

# New in CDM 5.4: an extract of 5.3 cannot have them.
NEW_IN_54 = {"metadata": {"metadata_id"}, "cdm_source": {"cdm_version_concept_id"}}

# Optional columns that measures and covariates read: worth a warning when they are not there.
READ_BY_STUDIES: dict[str, tuple[str, ...]] = {
    "person": ("person_source_value",),
    "visit_occurrence": ("preceding_visit_occurrence_id",),
    "condition_occurrence": (
        "condition_end_date",
        "visit_occurrence_id",
        "condition_source_value",
    ),
    "drug_exposure": ("quantity", "visit_occurrence_id"),
    "measurement": (
        "measurement_datetime",
        "value_as_number",
        "unit_concept_id",
        "range_low",
        "range_high",
        "visit_occurrence_id",
        "measurement_source_value",
        "unit_source_value",
        "value_source_value",
    ),
    "observation": ("value_as_string", "observation_source_value"),
    "device_exposure": ("unique_device_id", "device_source_value"),
    "death": ("death_type_concept_id",),
    "cost": ("person_id", "total_cost", "currency_concept_id"),
}


@dataclass(frozen=True, slots=True)
class Binding:
    """How the fields of one file map to columns.

    `fields` maps each column that is loaded to its position in the file, in the order of the
    model; `header` holds the names as delivered.
    """

    header: tuple[str, ...]
    fields: dict[str, int]


def bind(file: str, table: Table, names: Sequence[str]) -> tuple[Binding, list[Finding]]:
    """Bind the header of an OMOP file by name, whatever its case and order.

    Raises:
        FileRefusedError: The file has no header, lacks a required column or has one twice.
    """
    if not any(table.has(name.strip().lower()) for name in names):
        raise FileRefusedError(_no_header(file, table, names))
    return bind_keys(file, table, names)


def bind_keys(file: str, table: Table, names: Sequence[str]) -> tuple[Binding, list[Finding]]:
    """Bind the keys that the objects of an NDJSON file have.

    Raises:
        FileRefusedError: No object has a required column, or one has it twice.
    """
    _refuse_size(file, names)
    delivered = [name.strip().lower() for name in names]
    columns = [table.renamed.get(name, name) for name in delivered]
    faults = [*_duplicates(file, table, columns), *_missing(file, table, columns)]
    if faults:
        raise FileRefusedError(*faults)
    fields = {name: columns.index(name) for name in table.names if name in columns}
    return Binding(tuple(names), fields), list(_remarks(file, table, names, columns))


def bind_all(file: str, table: str, names: Sequence[str]) -> tuple[Binding, list[Finding]]:
    """Bind every named column of a registry table, as delivered.

    Raises:
        FileRefusedError: The file has no header, or a column twice.
    """
    _refuse_size(file, names)
    named = [name.strip() for name in names]
    if not any(named) or named[0].startswith("#") or all(_is_number(name) for name in named):
        raise FileRefusedError(finding("E_NO_HEADER", file, table=table))
    counts = Counter([*_OWN_COLUMNS, *(name.lower() for name in named if name)])
    twice = sorted({name for name in named if counts[name.lower()] > 1})
    if twice:
        raise FileRefusedError(
            *(finding("E_COLUMN_DUPLICATE", file, column=_safe(n), name=shown(n)) for n in twice)
        )
    fields = {name: place for place, name in enumerate(named) if name}
    return Binding(tuple(names), fields), list(_unknown(file, table, [n for n in named if not n]))


def _refuse_size(file: str, names: Sequence[str]) -> None:
    if len(names) > MAX_COLUMNS:
        found = finding("E_TOO_MANY_COLUMNS", file, count=f"{len(names):,}", limit=MAX_COLUMNS)
        raise FileRefusedError(found)
    if (longest := max(map(len, names), default=0)) > MAX_NAME:
        raise FileRefusedError(finding("E_COLUMN_NAME", file, count=f"{longest:,}", limit=MAX_NAME))


def _no_header(file: str, table: Table, names: Sequence[str]) -> Finding:
    """Tell a missing header from a header with another delimiter."""
    if len(names) == 1:
        for mark, called in _DELIMITERS.items():
            parts = [part.strip().strip('"').lower() for part in names[0].split(mark)]
            if len(parts) > 1 and any(table.has(part) for part in parts):
                return finding("E_DELIMITER", file, found=called, declared="another one")
    return finding("E_NO_HEADER", file, table=table.name)


def _duplicates(file: str, table: Table, columns: Sequence[str]) -> Iterator[Finding]:
    for name, count in Counter(columns).items():
        if count > 1 and table.has(name):
            yield finding("E_COLUMN_DUPLICATE", file, column=name, name=name)


def _missing(file: str, table: Table, columns: Sequence[str]) -> Iterator[Finding]:
    optional = NEW_IN_54.get(table.name, set())
    for column in table.columns:
        if column.required and column.name not in columns and column.name not in optional:
            yield finding(
                "E_COLUMN_MISSING", file, column=column.name, name=column.name, table=table.name
            )


def _remarks(
    file: str, table: Table, names: Sequence[str], columns: Sequence[str]
) -> Iterator[Finding]:
    delivered = [name.strip().lower() for name in names]
    unknown = [n.strip() for n, c in zip(names, columns, strict=True) if not table.has(c)]
    yield from _unknown(file, table.name, unknown)
    for name in READ_BY_STUDIES.get(table.name, ()):
        if name not in columns:
            yield finding("W_COLUMN_MISSING_OPTIONAL", file, column=name, name=name)
    if renamed := [name for name in delivered if name in table.renamed]:
        yield finding("I_COLUMN_RENAMED", file, names=", ".join(renamed))


def _unknown(file: str, table: str, unknown: Sequence[str]) -> Iterator[Finding]:
    if unknown:
        names = ", ".join(shown(name) for name in unknown[:_NAMES_SHOWN])
        yield finding("W_COLUMN_UNKNOWN", file, count=len(unknown), names=names, table=table)


def _safe(name: str) -> str:
    return shown(name).strip("'")


def _is_number(text: str) -> bool:
    try:
        float(text or "0")
    except ValueError:
        return False
    return True
