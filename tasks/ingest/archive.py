"""Archives: a delivery in one .zip or .tar.gz is unpacked without leaving its folder."""

import gzip
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from tasks.ingest.model import DeliveryRefusedError, Finding
from tasks.ingest.reading import CHUNK, MAX_RATIO, RATIO_FLOOR
from tasks.ingest.rules import finding, shown
from tasks.ingest.turn import private_folder

ARCHIVE_SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz")
_DAMAGED = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    EOFError,
    RuntimeError,  # a password is needed
    NotImplementedError,  # a way of packing that Python does not know
    FileExistsError,  # two entries of one name
    gzip.BadGzipFile,
)
_NESTED = (*ARCHIVE_SUFFIXES, ".7z", ".rar", ".bz2", ".xz", ".zst")


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of an archive, whatever its kind; `size` as the archive declares it."""

    name: str
    is_link: bool
    is_folder: bool
    is_file: bool
    size: int


def is_archive(path: Path) -> bool:
    """Tell by name whether a file is an archive that may hold a delivery."""
    return path.name.lower().endswith(ARCHIVE_SUFFIXES)


def archive_findings(path: Path) -> list[Finding]:
    """Return what is wrong with the entries of an archive; nothing is unpacked."""
    left, found = _limit(path), list[Finding]()
    try:
        for entry in _entries(path):
            left -= entry.size
            if left < 0:
                return [finding("E_SIZE_LIMIT", path.name, limit=f"{_limit(path):,}")]
            if code := _fault(entry):
                found.append(finding(code, path.name, name=shown(entry.name)))
    except _DAMAGED:
        return [_damaged(path)]
    return found


def unpack(path: Path, target: Path) -> Path:
    """Unpack an archive into `target`; return the folder with manifest.json.

    Raises:
        DeliveryRefusedError: An entry is a link or an archive, leaves the folder, or expands
            too far; or the archive is damaged.
    """
    if faults := archive_findings(path):
        raise DeliveryRefusedError(*faults)
    private_folder(target)
    left = _limit(path)
    try:
        for entry, source in _open_entries(path):
            left -= _copy(source, target / PurePosixPath(entry.name), left, path)
    except _DAMAGED:
        raise DeliveryRefusedError(_damaged(path)) from None
    folders = [target, *sorted(item for item in target.iterdir() if item.is_dir())]
    return next((folder for folder in folders if (folder / "manifest.json").is_file()), target)


def _limit(path: Path) -> int:
    return max(RATIO_FLOOR, MAX_RATIO * path.stat().st_size)


def _damaged(path: Path) -> Finding:
    return finding("E_MAGIC", path.name, expected="an archive", found="damaged or locked")


def _fault(entry: Entry) -> str | None:
    parts = PurePosixPath(entry.name.replace("\\", "/"))
    if parts.is_absolute() or ".." in parts.parts or ":" in entry.name:
        return "E_ARCHIVE_PATH"
    if entry.is_link:
        return "E_ARCHIVE_LINK"
    if not entry.is_file and not entry.is_folder:
        return "E_ARCHIVE_LINK"
    return "E_ARCHIVE_NESTED" if entry.name.lower().endswith(_NESTED) else None


def _entries(path: Path) -> Iterator[Entry]:
    if path.name.lower().endswith(".zip"):
        with zipfile.ZipFile(path) as packed:
            yield from (_zip_entry(item) for item in packed.infolist())
    else:
        with tarfile.open(path) as packed_tar:
            yield from (_tar_entry(item) for item in packed_tar)


def _zip_entry(item: zipfile.ZipInfo) -> Entry:
    mode = item.external_attr >> 16
    link = stat.S_ISLNK(mode)
    return Entry(item.filename, link, item.is_dir(), not link and not item.is_dir(), item.file_size)


def _tar_entry(item: tarfile.TarInfo) -> Entry:
    return Entry(item.name, item.issym() or item.islnk(), item.isdir(), item.isreg(), item.size)


def _open_entries(path: Path) -> Iterator[tuple[Entry, BinaryIO]]:
    if path.name.lower().endswith(".zip"):
        with zipfile.ZipFile(path) as packed:
            for item in packed.infolist():
                if not item.is_dir():
                    yield _zip_entry(item), packed.open(item)  # type: ignore[misc]
        return
    with tarfile.open(path) as packed_tar:
        for member in packed_tar:
            if source := packed_tar.extractfile(member):
                yield _tar_entry(member), source  # type: ignore[misc]


def _copy(source: BinaryIO, target: Path, limit: int, archive: Path) -> int:
    """Copy one entry; return its size. Stops at the limit, not after it."""
    private_folder(target.parent)
    size = 0
    with source, target.open("xb") as out:
        while chunk := source.read(CHUNK):
            size += len(chunk)
            if size > limit:
                raise DeliveryRefusedError(
                    finding("E_SIZE_LIMIT", archive.name, limit=f"{limit:,}")
                )
            out.write(chunk)
    return size
