"""Faults as hospitals send them, put into rows on purpose, each noted by file, line and code."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date
from typing import Literal

import numpy as np
import polars as pl

from tasks.core.omop import omop_tables
from tasks.simulate.fhir import RESOURCE_OF, resource_lines
from tasks.simulate.people import Ints
from tasks.simulate.write import Delivery

Action = Literal["quarantined", "deduplicated", "warned"]
NOBODY = 9_000_000_001
LONG_AGO, NO_SUCH_DAY = "long ago", "no such day"
_DAYS = {LONG_AGO: ("1999", "01", "01"), NO_SUCH_DAY: ("2025", "02", "30")}
_FEWEST_ROWS = 200
_WHERE_LINES_START = {"csv": 2, "cp949": 2}  # a header stands above the rows


@dataclass(frozen=True, slots=True)
class Defect:
    """One planted fault: where it stands and the code that ingest must give it."""

    delivery_id: str
    site_id: str
    file: str
    line: int
    column: str | None
    code: str
    action: Action

    def as_dict(self) -> dict[str, object]:
        """Return the fault as plain values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Cell:
    """A fault of one cell: what stands there instead. `{}` in `text` is the sound value."""

    code: str
    column: str
    text: str | None
    action: Action = "quarantined"


@dataclass(frozen=True, slots=True)
class Copy:
    """A row that stands again at the end: as it is, or with another value in `changed`."""

    code: str
    changed: str | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """A line that is no row; `{header}` is the header of the file."""

    code: str
    text: str


@dataclass(frozen=True, slots=True)
class Edit:
    """A fault made by replacing a pattern in a line of JSON."""

    code: str
    pattern: str
    text: str
    column: str | None = None


Fault = Cell | Copy | Line | Edit

_REPEATS = (Copy("W_DUPLICATE_ROW"), Copy("E_KEY_CONFLICT", "value_as_number"))
_TEXT_FAULTS: dict[str, tuple[Fault, ...]] = {
    "measurement": (
        Cell("E_TYPE", "value_as_number", "양성"),
        Cell("E_NONFINITE", "value_as_number", "inf"),
        Cell("E_REQUIRED_NULL", "measurement_concept_id", ""),
        Cell("E_DATE_INVALID", "measurement_date", NO_SUCH_DAY),
        Cell("E_ORPHAN", "person_id", str(NOBODY)),
        Cell("W_NULL_TOKEN", "range_low", "NA", "warned"),
        Cell("W_INTEGRAL_FLOAT", "visit_occurrence_id", "{}.0", "warned"),
        *_REPEATS,
    ),
    "condition_occurrence": (
        Cell("E_CONTROL_CHAR", "condition_source_value", "J1\x078.9"),
        Cell("E_DATE_FORMAT", "condition_start_date", "31/12/24"),
        Cell("E_END_BEFORE_START", "condition_end_date", LONG_AGO),
        Cell("E_ORPHAN", "person_id", str(NOBODY)),
        Line("E_FIELD_COUNT", "(20000 rows affected)"),
    ),
    "drug_exposure": (
        Cell("E_TYPE", "quantity", "2정"),
        Cell("E_END_BEFORE_START", "drug_exposure_end_date", LONG_AGO),
        Copy("W_DUPLICATE_ROW"),
        Line("E_HEADER_REPEATED", "{header}"),
    ),
    "device_inference": (
        Cell("E_AI_SCORE_RANGE", "score", "1.7"),
        Cell("E_DEVICE_VERSION", "model_version", ""),
        Copy("W_DUPLICATE_ROW"),
    ),
}
_TYPED_FAULTS: dict[str, tuple[Fault, ...]] = {
    "measurement": (
        Cell("E_NONFINITE", "value_as_number", "inf"),
        Cell("E_REQUIRED_NULL", "measurement_concept_id", None),
        Cell("E_ORPHAN", "person_id", str(NOBODY)),
        *_REPEATS,
    ),
    "condition_occurrence": (
        Cell("E_END_BEFORE_START", "condition_end_date", LONG_AGO),
        Cell("E_ORPHAN", "person_id", str(NOBODY)),
    ),
    "drug_exposure": (Cell("E_END_BEFORE_START", "drug_exposure_end_date", LONG_AGO),),
    "device_inference": (
        Cell("E_AI_SCORE_RANGE", "score", "1.7"),
        Cell("E_DEVICE_VERSION", "model_version", None),
        Copy("W_DUPLICATE_ROW"),
    ),
}
_LINE_FAULTS: dict[str, tuple[Fault, ...]] = {
    "measurement": (
        Edit("E_JSON", "}$", ""),
        Edit("E_RESOURCE_TYPE", '"resourceType":"Observation"', '"resourceType":"Media"'),
        Edit("E_ORPHAN", "Patient/[0-9]+", f"Patient/{NOBODY}", "person_id"),
        Edit("E_DATE_INVALID", '(effectiveDateTime":"[0-9]{4}-)[0-9-]{5}', "${1}02-30",
             "measurement_date"),
        Copy("W_DUPLICATE_ROW"),
        Copy("E_KEY_CONFLICT", '"value":'),
    ),
    "condition_occurrence": (
        Edit("E_ORPHAN", "Patient/[0-9]+", f"Patient/{NOBODY}", "person_id"),
        Edit("E_END_BEFORE_START", 'abatementDateTime":"[0-9]{4}', 'abatementDateTime":"1999',
             "condition_end_date"),
    ),
    "device_inference": (
        Edit("E_AI_SCORE_RANGE", '"value":[01][.]', '"value":7.', "score"),
        Copy("W_DUPLICATE_ROW"),
    ),
}  # fmt: skip


@dataclass(slots=True)
class Soiler:
    """Adds tables to a delivery, some rows soiled; `defects` notes every fault."""

    share: float
    rng: np.random.Generator
    defects: list[Defect] = field(default_factory=list)

    def add(self, delivery: Delivery, table: str, frame: pl.DataFrame) -> int:
        """Append the rows of a chunk to a delivery; return how many rows were written."""
        faults, frame, write = _way(delivery, table, frame)
        if not self.share or not faults or frame.height < _FEWEST_ROWS:
            write(frame)
            return frame.height
        chosen = self._rows(frame.height, len(faults))
        soiled, extra, notes = _soiled(frame, table, faults, chosen, delivery)
        name = RESOURCE_OF.get(table, table) if delivery.form == "fhir" else table
        first = delivery.rows(name) + _WHERE_LINES_START.get(_form(delivery), 1)
        write(soiled)
        if extra:
            delivery.add_lines(name, extra)
        file = delivery.file_name(name)
        for place, column, code, action in notes:
            self.defects.append(
                Defect(
                    delivery.delivery_id, delivery.hospital.site_id, file, first + place,
                    column, code, action,
                )
            )  # fmt: skip
        return soiled.height + len(extra)

    def _rows(self, height: int, kinds: int) -> list[Ints]:
        """Choose the rows of each kind of fault; no row has two."""
        size = max(1, round(self.share * height))
        size = min(size, height // (2 * kinds))
        picked = self.rng.permutation(height)[: size * kinds]
        return [np.sort(part) for part in picked.reshape(kinds, size)]


Note = tuple[int, str | None, str, Action]


def _form(delivery: Delivery) -> str:
    return "ndjson" if delivery.is_log else delivery.form


def _way(
    delivery: Delivery, table: str, frame: pl.DataFrame
) -> tuple[tuple[Fault, ...], pl.DataFrame, Callable[[pl.DataFrame], object]]:
    """Return the faults that this form can hold, the rows as they are written, and how."""
    if delivery.form == "fhir" and table in RESOURCE_OF:
        lines = resource_lines(table, frame)
        resource = RESOURCE_OF[table]
        return (
            _LINE_FAULTS.get(table, ()),
            lines,
            lambda rows: delivery.add_resources(resource, rows),
        )
    by_form = _TEXT_FAULTS if _form(delivery) in _WHERE_LINES_START else _TYPED_FAULTS
    return by_form.get(table, ()), frame, lambda rows: delivery.add(table, rows)


def _soiled(
    frame: pl.DataFrame,
    table: str,
    faults: Sequence[Fault],
    chosen: Sequence[Ints],
    delivery: Delivery,
) -> tuple[pl.DataFrame, list[str], list[Note]]:
    """Return the rows with faults, the lines to add behind them, and a note a fault."""
    notes, copies, extra = list[Note](), list[pl.DataFrame](), list[str]()
    height = frame.height
    is_text = _form(delivery) in _WHERE_LINES_START
    for fault, rows in zip(faults, chosen, strict=True):
        match fault:
            case Cell():
                frame = _with_cells(frame, fault, rows, delivery if is_text else None)
                notes += [(int(r), fault.column, fault.code, fault.action) for r in rows]
            case Edit():
                frame = _with_edits(frame, fault, rows)
                notes += [(int(r), fault.column, fault.code, "quarantined") for r in rows]
            case Copy():
                start = height + sum(copy.height for copy in copies)
                copies.append(_copied(frame, fault, rows))
                notes += _copy_notes(table, fault, rows, start)
            case Line():
                extra.append(fault.text.format(header=",".join(frame.columns)))
                notes.append((-len(extra), None, fault.code, "quarantined"))
    total = height + sum(copy.height for copy in copies)
    notes = [(total - 1 - p if p < 0 else p, c, code, a) for p, c, code, a in notes]
    return pl.concat([frame, *copies]), extra, notes


def _copy_notes(table: str, fault: Copy, rows: Ints, start: int) -> list[Note]:
    key = omop_tables()[table].key[0]
    again = range(start, start + rows.size)
    if fault.code == "W_DUPLICATE_ROW":
        return [(place, key, fault.code, "deduplicated") for place in again]
    return [(int(p), key, fault.code, "quarantined") for p in (*rows, *again)]


def _with_cells(
    frame: pl.DataFrame, fault: Cell, rows: Ints, text_of: Delivery | None
) -> pl.DataFrame:
    column = frame[fault.column]
    if text_of is not None:
        column = _as_text(column, text_of.date_format)
    values = _bad_values(fault, rows, column, text_of)
    return frame.with_columns(column.scatter(rows, values).alias(fault.column))


def _bad_values(fault: Cell, rows: Ints, column: pl.Series, text_of: Delivery | None) -> pl.Series:
    """Return what stands in the chosen cells, of the type of their column."""
    text = fault.text
    if text in _DAYS and text_of:
        year, month, day = _DAYS[text]
        text = text_of.date_format.replace("%Y", year).replace("%m", month).replace("%d", day)
    elif text == LONG_AGO:
        return pl.Series([date(1999, 1, 1)] * rows.size)
    if text is None:
        return pl.Series([None] * rows.size, dtype=column.dtype)
    if column.dtype == pl.String:
        return pl.Series([text.replace("{}", sound) for sound in column.gather(rows).fill_null("")])
    return pl.Series([float(text)] * rows.size).cast(column.dtype)


def _as_text(column: pl.Series, date_format: str) -> pl.Series:
    if column.dtype == pl.Date:
        return column.dt.to_string(date_format)
    return column.cast(pl.String)


def _with_edits(frame: pl.DataFrame, fault: Edit, rows: Ints) -> pl.DataFrame:
    lines = frame["line"]
    return frame.with_columns(
        lines.scatter(rows, lines.gather(rows).str.replace(fault.pattern, fault.text))
    )


def _copied(frame: pl.DataFrame, fault: Copy, rows: Ints) -> pl.DataFrame:
    again = frame[rows]
    if fault.changed is None:
        return again
    if "line" in frame.columns:
        return again.with_columns(pl.col("line").str.replace(fault.changed, f"{fault.changed}9"))
    return again.with_columns(pl.lit("7777").cast(frame[fault.changed].dtype).alias(fault.changed))
