"""Files of a simulated delivery, in the form that its hospital uses, and the manifest, last."""

import hashlib
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import polars as pl
import pyarrow.parquet as pq

from tasks.simulate.fhir import RESOURCE_OF, resource_lines
from tasks.simulate.world import DATA_CUTOFF, Form, Hospital

MANIFEST = "manifest.json"
COMPANY = "Simulated Device Co."


class TableFile(Protocol):
    """One open file of a delivery; rows are added chunk by chunk."""

    path: Path
    rows: int

    def add(self, frame: pl.DataFrame) -> None:
        """Append the rows of a chunk."""

    def add_lines(self, lines: list[str]) -> None:
        """Append lines as they are, for faults that no frame can hold."""

    def close(self) -> dict[str, object]:
        """Close the file; return its entry of the manifest."""


class _TextFile:
    """Bytes of a text file in its encoding, counted and hashed as they are written."""

    def __init__(self, path: Path, table: str | None, encoding: str = "utf-8") -> None:
        self.path, self.table, self.encoding, self.rows = path, table, encoding, 0
        self._file, self._hash = path.open("wb"), hashlib.sha256()

    def write(self, raw: bytes, rows: int) -> None:
        if self.encoding != "utf-8":
            raw = raw.decode().encode(self.encoding)
        self._file.write(raw)
        self._hash.update(raw)
        self.rows += rows

    def add_lines(self, lines: list[str]) -> None:
        self.write("".join(f"{line}\n" for line in lines).encode(), len(lines))

    def close(self) -> dict[str, object]:
        size = self._file.tell()
        self._file.close()
        return _entry(self.path, self.table, self.rows, size, self._hash.hexdigest())


class CsvFile(_TextFile):
    """A CSV file with a header; dates as the delivery declares them."""

    def __init__(self, path: Path, table: str, encoding: str, date_format: str) -> None:
        super().__init__(path, table, encoding)
        self._date_format, self._columns = date_format, dict[str, pl.DataType]()

    def add(self, frame: pl.DataFrame) -> None:
        """Append the rows of a chunk, with the columns of the first one."""
        first = not self._columns
        frame, self._columns = _aligned(frame, self._columns)
        raw = io.BytesIO()
        frame.write_csv(
            raw,
            include_header=first,
            date_format=self._date_format,
            datetime_format=f"{self._date_format} %H:%M:%S",
        )
        self.write(raw.getvalue(), frame.height)


class LinesFile(_TextFile):
    """A file of one JSON object a line: rows of a table, or FHIR resources."""

    def __init__(self, path: Path, table: str) -> None:
        super().__init__(path, table)
        self._columns = dict[str, pl.DataType]()

    def add(self, frame: pl.DataFrame) -> None:
        """Append the rows of a chunk; resources are a frame of one column, `line`."""
        raw = io.BytesIO()
        if frame.columns == ["line"]:
            frame.write_csv(raw, include_header=False, quote_style="never")
        else:
            frame, self._columns = _aligned(frame, self._columns)
            days = pl.selectors.date().dt.to_string("%Y-%m-%d")
            times = pl.selectors.datetime().dt.to_string("%Y-%m-%dT%H:%M:%S")
            frame.with_columns(days, times).write_ndjson(raw)
        self.write(raw.getvalue(), frame.height)


class ParquetFile:
    """A Parquet file; a chunk is a row group."""

    def __init__(self, path: Path, table: str) -> None:
        self.path, self.table, self.rows = path, table, 0
        self._columns = dict[str, pl.DataType]()
        self._writer: pq.ParquetWriter | None = None

    def add(self, frame: pl.DataFrame) -> None:
        """Append the rows of a chunk, with the columns of the first one."""
        frame, self._columns = _aligned(frame, self._columns)
        data = frame.to_arrow()
        if self._writer is None:
            self._writer = pq.ParquetWriter(self.path, data.schema, compression="zstd")
        self._writer.write_table(data)
        self.rows += frame.height

    def add_lines(self, lines: list[str]) -> None:
        """Refuse: a Parquet file has no lines."""
        raise TypeError(f"{self.path.name} takes no lines ({len(lines)} were given)")

    def close(self) -> dict[str, object]:
        """Close the file; return its entry of the manifest."""
        if self._writer is not None:
            self._writer.close()
        with self.path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        return _entry(self.path, self.table, self.rows, self.path.stat().st_size, digest)


class Delivery:
    """One delivery folder being written; the manifest ends it."""

    def __init__(
        self,
        folder: Path,
        hospital: Hospital,
        form: Form,
        delivery_id: str,
        *,
        is_log: bool = False,
    ) -> None:
        self.folder, self.hospital, self.form = folder, hospital, form
        self.delivery_id, self.is_log = delivery_id, is_log
        self._files = dict[str, TableFile]()
        folder.mkdir(parents=True)

    def add(self, table: str, frame: pl.DataFrame) -> str:
        """Append the rows of a table; return the name of the file that they are in."""
        if self.form == "fhir" and table in RESOURCE_OF:
            return self.add_resources(RESOURCE_OF[table], resource_lines(table, frame))
        return self._add(table, table, frame)

    def add_resources(self, resource: str, frame: pl.DataFrame) -> str:
        """Append FHIR resources, one a line."""
        return self._add(resource, resource, frame)

    def add_lines(self, name: str, lines: list[str]) -> None:
        """Append lines as they are to a file that is open already."""
        self._files[name].add_lines(lines)

    @property
    def date_format(self) -> str:
        """How dates are written, as the manifest declares it."""
        return "%Y-%m-%d" if self.is_log else _TEXT.get(self.form, _UTF8)[1]

    def file_name(self, name: str) -> str:
        """Return the name of an open file."""
        return self._files[name].path.name

    def rows(self, name: str) -> int:
        """How many rows a file holds so far."""
        return self._files[name].rows if name in self._files else 0

    def close(self) -> None:
        """Close every file and write the manifest."""
        entries = [file.close() for _, file in sorted(self._files.items())]
        text = json.dumps(self._manifest(entries), indent=1, ensure_ascii=False)
        (self.folder / MANIFEST).write_text(text + "\n", encoding="utf-8")

    def _add(self, name: str, table: str, frame: pl.DataFrame) -> str:
        if name not in self._files:
            self._files[name] = self._opened(name, table)
        self._files[name].add(frame)
        return name

    def _opened(self, name: str, table: str) -> TableFile:
        if self.form == "parquet":
            return ParquetFile(self.folder / f"{name}.parquet", table)
        if self.form == "fhir" or self.is_log:
            return LinesFile(self.folder / f"{name}.ndjson", table)
        encoding, date_format = _TEXT[self.form]
        return CsvFile(self.folder / f"{name}.csv", table, encoding, date_format)

    def _manifest(self, entries: list[dict[str, object]]) -> Mapping[str, Any]:
        encoding = "utf-8" if self.is_log else _TEXT.get(self.form, _UTF8)[0]
        return {
            "manifest_version": 1,
            "delivery_id": self.delivery_id,
            "site_id": self.hospital.site_id,
            "kind": "increment" if self.is_log else "full",
            "format": "fhir" if self.form == "fhir" else "omop",
            "data_cutoff": str(DATA_CUTOFF),
            "timezone": "Asia/Seoul",
            "encoding": encoding,
            "delimiter": ",",
            "date_format": self.date_format,
            "pseudonymisation": {"method": "hmac-sha256", "key_id": f"{self.hospital.site_id}-k1"},
            "vocabulary_version": "simulated 2026-06-30",
            "data_class": "synthetic_public",
            "governance": governance(self.hospital, is_log=self.is_log),
            "files": entries,
        }


def governance(hospital: Hospital, *, is_log: bool) -> dict[str, str | None]:
    """Return who controls the data of a delivery and on what ground they may be joined."""
    hospital_name = f"Simulated Hospital {hospital.place + 1:02d}"
    return {
        "controller": COMPANY if is_log else hospital_name,
        "legal_basis": "simulated: pseudonymised research (PIPA 28-2, 28-3)",
        "irb": f"SIM-IRB-{hospital.place + 1:02d}",
        "irb_date": "2023-10-02",
        "drb_date": "2023-10-16",
        "purpose": "Simulated real-world evidence study",
        "retention_until": "2031-12-31",
        "combining_agency_case": f"SIM-COMBINE-{hospital.place + 1:02d}" if is_log else None,
    }


_UTF8 = ("utf-8", "%Y-%m-%d")
_TEXT = {"cp949": ("cp949", "%Y%m%d"), "csv": _UTF8}


def _aligned(
    frame: pl.DataFrame, columns: dict[str, pl.DataType]
) -> tuple[pl.DataFrame, dict[str, pl.DataType]]:
    """Return a frame with the columns of the first chunk, empty where it lacks one."""
    if not columns:
        return frame, dict(frame.schema)
    absent = [pl.lit(None, kind).alias(n) for n, kind in columns.items() if n not in frame.columns]
    return frame.with_columns(absent).select(*columns), columns


def _entry(path: Path, table: str | None, rows: int, size: int, digest: str) -> dict[str, object]:
    return {"name": path.name, "table": table, "rows": rows, "bytes": size, "sha256": digest}
