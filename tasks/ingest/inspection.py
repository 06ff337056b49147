"""What each listed file is: its columns, its rows counted without parsing, what it lacks.

After this every fault that refuses a delivery is known; only then is a row parsed.
"""

# ruff: noqa: S608 - only names of the model and quoted names are formatted into SQL

from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from tasks.core.duck import duck
from tasks.core.fhir import CLINICAL_FORMATS, TABLES_OF
from tasks.core.omop import Table, omop_tables
from tasks.ingest.bind import Binding, bind, bind_all, bind_keys
from tasks.ingest.manifest import Manifest
from tasks.ingest.model import (
    DeliveryRefusedError,
    FileOutcome,
    FileRefusedError,
    Finding,
    codes_of,
)
from tasks.ingest.ndjson import count_lines, keys_of
from tasks.ingest.parse import parquet_source
from tasks.ingest.reading import Scan, TextFile, count_strictly, read_header, scan
from tasks.ingest.rules import finding, shown
from tasks.ingest.verify import Listed

REQUIRED = ("person", "observation_period")


@dataclass(frozen=True, slots=True)
class Inspected:
    """One listed file before it is parsed.

    `rows` is counted without parsing; `binding` is None where the file cannot be used or holds
    no table that is read, and `findings` say why; resources need none. `text` is None for
    Parquet, `physical` for text.
    """

    listed: Listed
    findings: tuple[Finding, ...]
    rows: int = 0
    binding: Binding | None = None
    text: TextFile | None = None
    skip_lines: int = 0
    physical: tuple[str, ...] | None = None
    has_control: bool = False
    padded: bool = True

    @property
    def outcome(self) -> FileOutcome:
        """Its outcome as long as nothing of it is loaded."""
        wrong = any(item.severity == "error" for item in self.findings)
        held = self.rows if wrong else 0
        return FileOutcome(
            file=self.listed.name,
            table=self.listed.table,
            status="rejected" if wrong else "skipped",
            rows_in=held,
            rows_loaded=0,
            rows_quarantined=held,
            rows_deduplicated=0,
            codes=codes_of(self.findings),
        )


def inspect_files(manifest: Manifest, files: tuple[Listed, ...]) -> tuple[Inspected, ...]:
    """Inspect every file of a delivery.

    Raises:
        DeliveryRefusedError: A file refuses the whole delivery; every such fault is carried.
    """
    inspected: list[Inspected] = []
    faults = list(_required(manifest, files))
    for file in files:
        try:
            inspected.append(_inspect(manifest, file))
        except DeliveryRefusedError as refused:
            faults += refused.findings
    if faults:
        raise DeliveryRefusedError(*faults)
    return tuple(inspected)


def model_of(manifest: Manifest, table: str | None) -> Table | None:
    """Return the model of a table that is delivered, if this version reads it."""
    return omop_tables().get(table or "") if manifest.format in CLINICAL_FORMATS else None


def _required(manifest: Manifest, files: tuple[Listed, ...]) -> list[Finding]:
    """A full delivery with rows about persons says who the persons are."""
    filled = [table for file in files for table in file.fills]
    models = [model_of(manifest, table) for table in filled]
    about_persons = any(model and model.has("person_id") for model in models)
    has_person = "person" in filled
    if manifest.kind == "full" and about_persons and not has_person:
        return [finding("E_NO_ROWS", "manifest.json", table="person", detail="is not listed")]
    return []


def _inspect(manifest: Manifest, file: Listed) -> Inspected:
    if remark := _not_read(manifest, file):
        return Inspected(file, tuple(remark))
    if file.table is None:
        return Inspected(file, ())
    if file.is_resource:
        return _resources(manifest, file)
    if file.is_ndjson:
        return _ndjson(manifest, file)
    if file.name.lower().endswith(".parquet"):
        return _parquet(manifest, file)
    return _text(manifest, file)


def _not_read(manifest: Manifest, file: Listed) -> list[Finding]:
    if file.name in manifest.withdrawals or file.name == "retractions.csv":
        return [finding("W_WITHDRAWALS_PENDING", file.name)]
    if manifest.format not in CLINICAL_FORMATS:
        return []
    unread = file.table and not model_of(manifest, file.table) and file.table not in TABLES_OF
    nameless = file.table is None and "table" not in file.entry.model_fields_set
    if unread or (nameless and manifest.format == "fhir"):
        return [finding("W_TABLE_UNKNOWN", file.name, table=shown(file.table or file.name))]
    return []


def _resources(manifest: Manifest, file: Listed) -> Inspected:
    """Count the resources of a file; a damaged one refuses the delivery: they name one another.

    Raises:
        DeliveryRefusedError: The bytes are not UTF-8, or their number is not the declared one.
    """
    text = _lines_of(file)
    try:
        rows = count_lines(text)
    except FileRefusedError as refused:
        raise DeliveryRefusedError(*refused.findings) from None
    return Inspected(file, tuple(_counted(manifest, file, rows)), rows, text=text)


def _ndjson(manifest: Manifest, file: Listed) -> Inspected:
    text, rows = _lines_of(file), 0
    model = model_of(manifest, file.table)
    try:
        rows = count_lines(text)
        names = keys_of(text) if rows or not model else list(model.names)
        if model:
            binding, remarks = bind_keys(file.name, model, names)
        else:
            binding, remarks = bind_all(file.name, str(file.table), names)
    except FileRefusedError as refused:
        return Inspected(file, refused.findings, rows)
    findings = (*remarks, *_counted(manifest, file, rows))
    return Inspected(file, findings, rows, binding, text, has_control=True)


def _lines_of(file: Listed) -> TextFile:
    """The lines of an NDJSON file; JSON is UTF-8, whatever other files of the delivery are."""
    return TextFile(file.path, "utf-8", "", file.entry.bytes_uncompressed)


def _text(manifest: Manifest, file: Listed) -> Inspected:
    text = TextFile(
        path=file.path,
        encoding=file.entry.encoding or manifest.encoding,
        delimiter=manifest.delimiter,
        limit=file.entry.bytes_uncompressed,
    )
    try:
        scanned = scan(text)
    except FileRefusedError as refused:
        return Inspected(file, refused.findings)
    try:
        return _scanned_text(manifest, file, text, scanned)
    except FileRefusedError as refused:
        headless = any(item.code == "E_NO_HEADER" for item in refused.findings)
        return Inspected(file, refused.findings, max(0, scanned.records - (not headless)))


def _scanned_text(manifest: Manifest, file: Listed, text: TextFile, scanned: Scan) -> Inspected:
    names, skip_lines = read_header(text)
    if not names:
        raise DeliveryRefusedError(finding("E_EMPTY", file.name))
    binding, remarks = _bound(manifest, file, names)
    rows = _records(text, scanned) - 1
    return Inspected(
        listed=file,
        findings=(*remarks, *_counted(manifest, file, rows)),
        rows=rows,
        binding=binding,
        text=text,
        skip_lines=skip_lines,
        has_control=scanned.has_control,
        padded=scanned.padded,
    )


def _records(text: TextFile, scanned: Scan) -> int:
    return scanned.records if scanned.plain_quotes else count_strictly(text)


def _parquet(manifest: Manifest, file: Listed) -> Inspected:
    try:
        rows = int(pq.read_metadata(file.path).num_rows)
        columns = _parquet_columns(file.path)
    except (pa.ArrowException, duckdb.Error, OSError) as exc:
        found = f"damaged ({type(exc).__name__})"
        raise DeliveryRefusedError(
            finding("E_MAGIC", file.name, expected="Parquet", found=found)
        ) from None
    try:
        binding, remarks = _bound(manifest, file, [name for name, _ in columns])
    except FileRefusedError as refused:
        return Inspected(file, refused.findings, rows)
    findings = (*remarks, *_counted(manifest, file, rows))
    return Inspected(file, findings, rows, binding, physical=tuple(kind for _, kind in columns))


def _parquet_columns(path: Path) -> list[tuple[str, str]]:
    with duck() as con:
        found = con.execute(f"describe select * from {parquet_source(path)}").fetchall()
    return [(str(row[0]), str(row[1])) for row in found]


def _bound(manifest: Manifest, file: Listed, names: list[str]) -> tuple[Binding, list[Finding]]:
    model = model_of(manifest, file.table)
    return bind(file.name, model, names) if model else bind_all(file.name, str(file.table), names)


def _counted(manifest: Manifest, file: Listed, rows: int) -> list[Finding]:
    """Compare the rows that were counted with what was promised.

    Raises:
        DeliveryRefusedError: Another number than declared, or a required table has no row.
    """
    declared = file.entry.rows
    if declared is not None and declared != rows:
        raise DeliveryRefusedError(
            finding("E_ROWCOUNT", file.name, declared=f"{declared:,}", counted=f"{rows:,}")
        )
    if rows:
        return []
    needed = file.table in REQUIRED or "person" in file.fills or manifest.format == "table"
    if manifest.kind == "full" and needed:
        detail = "holds no rows"
        raise DeliveryRefusedError(finding("E_NO_ROWS", file.name, table=file.table, detail=detail))
    return [finding("W_NO_ROWS", file.name)]
