"""Is the delivery what its manifest says? Checked on bytes and names, before a row is parsed."""

import hashlib
import json
import re
import stat
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tasks.core.fhir import TABLES_OF
from tasks.core.omop import omop_tables
from tasks.ingest.archive import archive_findings, is_archive
from tasks.ingest.manifest import MANIFEST, FileEntry, Manifest
from tasks.ingest.model import DeliveryRefusedError, Finding
from tasks.ingest.reading import open_regular
from tasks.ingest.rules import finding, shown

FORMS = {
    ".csv": "text",
    ".csv.gz": "gzip",
    ".parquet": "Parquet",
    ".ndjson": "text",
    ".ndjson.gz": "gzip",
}
_MAGIC = (
    (b"\x1f\x8b", "gzip"),
    (b"PK\x03\x04", "zip"),
    (b"PAR1", "Parquet"),
    (b"\xd0\xcf\x11\xe0", "an Office document"),
    (b"%PDF", "PDF"),
)
_NEVER = (
    (0, b"SQLite format 3", "an SQLite database"),
    (8, b"DUCK", "a DuckDB database"),
    (0, b"\x7fELF", "a program"),
    (0, b"MZ\x90", "a program"),
    (0, b"\x80\x04\x95", "a pickle"),
    (0, b"\x80\x05\x95", "a pickle"),
)
_TYPE = re.compile(r"([A-Z][a-z]+)+")
_XML_LIMIT = 1 << 20
_UNSAFE = frozenset("/\\:*?[")  # paths, and what DuckDB reads as a pattern


@dataclass(frozen=True, slots=True)
class Listed:
    """A file of the delivery that the manifest lists.

    `table` is what it holds: a table, or the type of its FHIR resources; None: neither.
    """

    path: Path
    entry: FileEntry
    table: str | None
    is_resource: bool = False

    @property
    def name(self) -> str:
        """Its name in the delivery."""
        return self.entry.name

    @property
    def is_ndjson(self) -> bool:
        """Whether it is one JSON object a line."""
        return _is_ndjson(self.name)

    @property
    def fills(self) -> tuple[str, ...]:
        """Tables that its rows go into."""
        if self.is_resource:
            return TABLES_OF.get(str(self.table), ())
        return (self.table,) if self.table else ()


def listed_files(folder: Path, manifest: Manifest) -> tuple[Listed, ...]:
    """Return the listed files, sorted by name, each with its table or resource type."""
    entries = sorted(manifest.files, key=lambda entry: entry.name)
    return tuple(_listed(folder, manifest, entry) for entry in entries)


def tables_of(manifest: Manifest) -> frozenset[str]:
    """Return the tables that the listed files fill."""
    return frozenset(table for file in listed_files(Path(), manifest) for table in file.fills)


def tables_of_resources(manifest: Manifest) -> frozenset[str]:
    """Return the tables that the listed files of resources may fill."""
    files = (file for file in listed_files(Path(), manifest) if file.is_resource)
    return frozenset(table for file in files for table in file.fills)


def content_sha256(manifest: Manifest) -> str:
    """Return the identity of what is delivered: the files and how they are to be read."""
    files = sorted((entry.name, entry.sha256.lower(), entry.table) for entry in manifest.files)
    said = manifest.model_dump(
        mode="json",
        include={"kind", "format", "data_cutoff", "data_class", "timezone", "encoding"}
        | {"delimiter", "date_format", "birth_precision", "withdrawals"},
    )
    return hashlib.sha256(json.dumps([said, files], sort_keys=True).encode()).hexdigest()


def check_delivery(folder: Path, manifest: Manifest) -> list[Finding]:
    """Return the warnings of a delivery whose files are what the manifest says.

    Raises:
        DeliveryRefusedError: They are not; every fault that was found is carried.
    """
    findings = _names(manifest)
    if not findings:
        listed = listed_files(folder, manifest)
        findings = [*_folder(folder, manifest), *_tables(listed)]
        for file in listed:
            findings += _first_fault(file)
    findings = list(dict.fromkeys(findings))
    errors = [item for item in findings if item.severity == "error"]
    if errors:
        raise DeliveryRefusedError(*findings)
    return findings


def _listed(folder: Path, manifest: Manifest, entry: FileEntry) -> Listed:
    """Bulk export writes the type of the resources first into the name of an NDJSON file."""
    path, table, kind = folder / entry.name, _table_of(entry), entry.name.split(".")[0]
    if manifest.format != "fhir" or table is None or not _is_ndjson(entry.name):
        return Listed(path, entry, table)
    is_other_type = entry.table is None and _TYPE.fullmatch(kind)  # Consent, Location, Specimen
    if kind in TABLES_OF or is_other_type or table not in omop_tables():
        return Listed(path, entry, kind, is_resource=True)
    return Listed(path, entry, table)


def _is_ndjson(name: str) -> bool:
    return name.lower().endswith((".ndjson", ".ndjson.gz"))


def _table_of(entry: FileEntry) -> str | None:
    if "table" in entry.model_fields_set:
        return entry.table.lower() if entry.table else None
    return _stem(entry.name)


def _stem(name: str) -> str | None:
    """Return the table that a file name speaks of, if any."""
    for suffix in FORMS:
        if name.lower().endswith(suffix):
            return name.lower().removesuffix(suffix)
    return None


def _names(manifest: Manifest) -> list[Finding]:
    """Names that are no plain file names, before any of them is opened."""
    names = [entry.name for entry in manifest.files] + list(manifest.withdrawals)
    bad = [name for name in names if not _plain(name)]
    return [finding("E_MANIFEST_PATH", MANIFEST, name=shown(name), column="files") for name in bad]


def _plain(name: str) -> bool:
    return name.isprintable() and not set(name) & _UNSAFE and name not in {"", ".", "..", MANIFEST}


def _folder(folder: Path, manifest: Manifest) -> Iterator[Finding]:
    """What lies in the folder and is not listed; links and special files are refused."""
    known = {entry.name for entry in manifest.files} | set(manifest.withdrawals) | {MANIFEST}
    for path in sorted(folder.iterdir()):
        mode = path.lstat().st_mode
        special = not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)
        if special or (path.name in known and not stat.S_ISREG(mode)):
            yield finding("E_NOT_REGULAR", path.name, kind=_kind(mode))
        elif path.name not in known:
            yield finding("W_FILE_UNLISTED", path.name, name=shown(path.name))


def _kind(mode: int) -> str:
    kinds = {stat.S_ISLNK: "link", stat.S_ISDIR: "directory", stat.S_ISFIFO: "named pipe"}
    return next((name for test, name in kinds.items() if test(mode)), "device")


def _tables(listed: tuple[Listed, ...]) -> Iterator[Finding]:
    """Tables that more than one file would fill; resources of one type may lie in several."""
    files_of: dict[str, list[Listed]] = defaultdict(list)
    for file in listed:
        stem = _stem(file.name)
        unnamed = (stem,) if file.table is None and stem in omop_tables() else ()
        for table in file.fills or unnamed:
            files_of[table].append(file)
    for table, files in sorted(files_of.items()):
        if len(files) > 1 and not all(file.is_resource for file in files):
            together = ", ".join(shown(file.name) for file in files)
            name = files[0].name
            yield finding("E_TABLE_AMBIGUOUS", name, table=shown(table), names=together)


def _first_fault(file: Listed) -> list[Finding]:
    """Return the first thing that is wrong with one file; later checks rely on earlier ones."""
    checks: tuple[Callable[[Listed], list[Finding]], ...] = (_present, _checksum, _form)
    for check in checks:
        if found := check(file):
            return found
    return []


def _present(file: Listed) -> list[Finding]:
    if not file.path.exists() and not file.path.is_symlink():
        return [finding("E_FILE_MISSING", file.name)]
    mode = file.path.lstat().st_mode
    if not stat.S_ISREG(mode):
        return [finding("E_NOT_REGULAR", file.name, kind=_kind(mode))]
    return []


def _checksum(file: Listed) -> list[Finding]:
    with open_regular(file.path) as raw:
        digest = hashlib.file_digest(raw, "sha256").hexdigest()
        size = raw.tell()
    same_size = file.entry.bytes is None or file.entry.bytes == size
    if digest != file.entry.sha256.lower() or not same_size:
        return [finding("E_CHECKSUM", file.name)]
    may_be_empty = file.table is None or file.is_ndjson  # NDJSON has no header
    return [] if size or may_be_empty else [finding("E_EMPTY", file.name)]


def _form(file: Listed) -> list[Finding]:
    """Is the content of the kind that the name promises?"""
    with open_regular(file.path) as raw:
        start = raw.read(32)
    for offset, mark, found in _NEVER:
        if start[offset:].startswith(mark):
            return [finding("E_FILE_TYPE", file.name, found=found)]
    if file.table is not None:
        return _table_form(file, start)
    return _attachment_form(file)


def _table_form(file: Listed, start: bytes) -> list[Finding]:
    name = file.name.lower()
    found = next((kind for mark, kind in _MAGIC if start.startswith(mark)), "text")
    expected = next((form for suffix, form in FORMS.items() if name.endswith(suffix)), None)
    if expected is None:
        return [finding("E_FILE_TYPE", file.name, found="neither CSV, NDJSON nor Parquet by name")]
    if expected == found:
        return []
    if expected == "gzip":
        return [finding("E_NOT_GZIP", file.name)]
    return [finding("E_MAGIC", file.name, expected=expected, found=found)]


def _attachment_form(file: Listed) -> list[Finding]:
    """Files that are no table are never read; what could harm a later reader is refused."""
    if is_archive(file.path):
        return archive_findings(file.path)
    if file.name.lower().endswith((".xml", ".xsd", ".html")):
        with open_regular(file.path) as raw:
            if b"<!ENTITY" in raw.read(_XML_LIMIT):
                return [finding("E_XML_ENTITY", file.name)]
    return []
