"""Bytes of a delivered text file: unpacked, decoded strictly, counted. No row is parsed here."""

import codecs
import csv
import gzip
import io
import os
import stat
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from typing_extensions import Buffer

from tasks.ingest.model import DeliveryRefusedError, FileRefusedError, Finding
from tasks.ingest.rules import finding

CHUNK = 1 << 22
HEADER_LIMIT = 1 << 24
MAX_RATIO = 200
RATIO_FLOOR = 1 << 20
_UTF8 = {"utf-8", "utf-8-sig"}
_BOMS = ((codecs.BOM_UTF16_LE, "UTF-16"), (codecs.BOM_UTF16_BE, "UTF-16"))
_LONGEST_MARK = 4
_QUOTE, _NEWLINE = 34, 10
_BLANKS = b" \t\v\f"
_BLANK, _EDGE, _CONTROL = 1, 2, 4

csv.field_size_limit(1 << 30)


@dataclass(frozen=True, slots=True)
class TextFile:
    """A delimited text file and how to read it."""

    path: Path
    encoding: str
    delimiter: str
    limit: int | None = None

    @property
    def name(self) -> str:
        """Name of the file in the delivery."""
        return self.path.name


@dataclass(frozen=True, slots=True)
class Scan:
    """What a count of the bytes tells.

    `records` counts the header too. `plain_quotes`: every quote stands where RFC 4180 has it, so
    the count is sure. `padded`: some field has blanks at its edge. `has_control`: there are
    control characters.
    """

    records: int
    plain_quotes: bool
    padded: bool
    has_control: bool


def open_regular(path: Path) -> io.BufferedReader:
    """Open a file that is no link, pipe or device; never block on one.

    Raises:
        DeliveryRefusedError: It is something else.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        raise DeliveryRefusedError(
            finding("E_NOT_REGULAR", path.name, kind="link or device")
        ) from None
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise DeliveryRefusedError(finding("E_NOT_REGULAR", path.name, kind="special file"))
    return os.fdopen(handle, "rb")


def utf8_chunks(file: TextFile) -> Iterator[bytes]:
    """Yield the text of `file` as UTF-8 without a byte order mark.

    Raises:
        DeliveryRefusedError: The gzip is damaged or expands beyond its limit.
        FileRefusedError: The bytes are not text of the declared encoding.
    """
    decode, chunks = _Recoder(file), _raw_chunks(file)
    head = b""
    while len(head) < _LONGEST_MARK and (chunk := next(chunks, b"")):
        head += chunk
    _refuse_other_unicode(file, head)
    yield decode(head).removeprefix(codecs.BOM_UTF8)
    yield from map(decode, chunks)
    yield decode(b"", final=True)


def text_lines(file: TextFile) -> io.TextIOWrapper:
    """Return the lines of `file` as csv wants them: every line end kept as it is."""
    return io.TextIOWrapper(byte_stream(file), encoding="utf-8", newline="")


def byte_stream(file: TextFile) -> io.BufferedReader:
    """Return the text of `file` as a stream of UTF-8 bytes."""
    return io.BufferedReader(_Stream(utf8_chunks(file)), CHUNK)


def read_header(file: TextFile) -> tuple[list[str], int]:
    """Return the cells of the first line that is not blank, and the last line that it takes."""
    limited = io.StringIO(text_lines(file).read(HEADER_LIMIT), newline="")
    reader = csv.reader(limited, delimiter=file.delimiter)
    try:
        cells = next((row for row in reader if row), [])
    except csv.Error:
        raise FileRefusedError(finding("E_QUOTE", file.name, reader.line_num)) from None
    return [cell.strip() for cell in cells], reader.line_num


def scan(file: TextFile) -> Scan:
    """Count the records of `file` from its bytes, without parsing a row.

    A line end inside quotes ends no record; a blank line is no record.
    """
    counter = _Counter(ord(file.delimiter))
    for chunk in utf8_chunks(file):
        for part in counter.whole_line_ends(chunk):
            counter.add(part)
    return counter.result()


def count_strictly(file: TextFile) -> int:
    """Count the records of a file whose quotes are unusual, header included, with the csv module.

    Raises:
        FileRefusedError: A quoted field is not closed, or goes on after its closing quote.
    """
    reader = csv.reader(text_lines(file), delimiter=file.delimiter, strict=True)
    start = 0
    count = 0
    try:
        for row in reader:
            count += bool(row)
            start = reader.line_num
    except csv.Error:
        raise FileRefusedError(finding("E_QUOTE", file.name, start + 1)) from None
    return count


class _Stream(io.RawIOBase):
    """A raw stream over an iterator of byte chunks."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks, self._left = chunks, memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Buffer) -> int:
        while not self._left:
            chunk = next(self._chunks, None)
            if chunk is None:
                return 0
            self._left = memoryview(chunk)
        target = memoryview(buffer)
        size = min(len(target), len(self._left))
        target[:size] = self._left[:size]
        self._left = self._left[size:]
        return size


class _Counter:
    """Counts records chunk by chunk; knows the byte before and whether it is inside quotes."""

    def __init__(self, delimiter: int) -> None:
        self._kinds = _kinds(delimiter)
        self._before, self._inside, self._held = _NEWLINE, False, b""
        self._records = 0
        self._plain, self._padded, self._control = True, False, False

    def whole_line_ends(self, chunk: bytes) -> Iterator[bytes]:
        """Yield `chunk` with every kind of line end as one newline, never cutting one in two."""
        data, self._held = self._held + chunk, b""
        if data.endswith(b"\r") and chunk:
            data, self._held = data[:-1], b"\r"
        if data:
            yield data.replace(b"\r\n", b"\n").replace(b"\r", b"\n") if b"\r" in data else data

    def add(self, chunk: bytes) -> None:
        """Count the records that end in `chunk`."""
        here = np.frombuffer(chunk, np.uint8)
        before = np.concatenate((np.array([self._before], np.uint8), here[:-1]))
        ends = (here == _NEWLINE) & (before != _NEWLINE)
        if self._inside or b'"' in chunk:
            ends &= ~self._inside_quotes(here, before)
        self._records += int(np.count_nonzero(ends))
        self._look(here)
        self._before = int(here[-1])

    def _look(self, here: NDArray[np.uint8]) -> None:
        """Note control characters, and blanks at the edge of a field."""
        kinds = self._kinds[here]
        self._control = self._control or bool((kinds & _CONTROL).any())
        if not self._padded:
            beside = kinds[1:] | kinds[:-1]
            first = int(self._kinds[self._before] | kinds[0])
            both = _BLANK | _EDGE
            self._padded = first & both == both or bool((beside & both == both).any())

    def _inside_quotes(
        self, here: NDArray[np.uint8], before: NDArray[np.uint8]
    ) -> NDArray[np.bool]:
        """Tell which bytes stand inside quotes; note quotes that RFC 4180 does not know."""
        quote = here == _QUOTE
        inside = (np.cumsum(quote, dtype=np.uint8) & 1).astype(bool) ^ self._inside
        inside_before = np.concatenate((np.array([self._inside]), inside[:-1]))
        opens_late = quote & inside & (self._kinds[before] & _EDGE == 0)
        goes_on = (before == _QUOTE) & ~inside_before & (self._kinds[here] & _EDGE == 0)
        self._plain = self._plain and not bool((opens_late | goes_on).any())
        self._inside = bool(inside[-1])
        return inside

    def result(self) -> Scan:
        """Return the counts; a last line without its end counts."""
        last = self._before != _NEWLINE
        plain = self._plain and not self._inside
        padded = self._padded or (last and self._before in _BLANKS)
        return Scan(self._records + last, plain, padded, self._control)


def _kinds(delimiter: int) -> NDArray[np.uint8]:
    """Return for each byte whether it is a blank, an edge of a field, or a control character."""
    kinds = np.zeros(256, np.uint8)
    kinds[[byte for byte in range(32) if byte not in b"\t\n\r"]] = _CONTROL
    kinds[127] = _CONTROL
    kinds[list(_BLANKS)] |= _BLANK
    kinds[[delimiter, _NEWLINE, _QUOTE]] = _EDGE
    return kinds


def _raw_chunks(file: TextFile) -> Iterator[bytes]:
    with open_regular(file.path) as raw:
        if file.name.lower().endswith(".gz"):
            yield from _unzipped(file, raw)
            return
        while chunk := raw.read(CHUNK):
            yield chunk


def _unzipped(file: TextFile, raw: io.BufferedReader) -> Iterator[bytes]:
    limit, total = _limit_of(file), 0
    with gzip.GzipFile(fileobj=raw) as unpacked:
        while chunk := _next_unzipped(file, unpacked):
            total += len(chunk)
            if total > limit:
                raise DeliveryRefusedError(finding("E_SIZE_LIMIT", file.name, limit=f"{limit:,}"))
            yield chunk


def _next_unzipped(file: TextFile, unpacked: gzip.GzipFile) -> bytes:
    try:
        return unpacked.read(CHUNK)
    except EOFError:
        code = "E_GZIP_TRUNCATED"
    except gzip.BadGzipFile as exc:
        code = "E_GZIP_TRAILING" if str(exc).startswith("Not a gzipped") else "E_GZIP_CRC"
    except (zlib.error, OSError):
        code = "E_GZIP_CRC"
    raise DeliveryRefusedError(finding(code, file.name))


def _limit_of(file: TextFile) -> int:
    if file.limit is not None:
        return file.limit
    return max(RATIO_FLOOR, MAX_RATIO * file.path.stat().st_size)


def _refuse_other_unicode(file: TextFile, chunk: bytes) -> None:
    for mark, name in _BOMS:
        if chunk.startswith(mark) and not file.encoding.startswith("utf-16"):
            detail = f": it starts with a byte order mark of {name}"
            found = finding("E_ENCODING", file.name, declared=file.encoding, detail=detail)
            raise FileRefusedError(found)


class _Recoder:
    """Turns bytes of a file's encoding into UTF-8 bytes, strictly."""

    def __init__(self, file: TextFile) -> None:
        self._file, self._lines = file, 1
        self._as_is = file.encoding in _UTF8
        self._decoder = codecs.getincrementaldecoder("utf-8" if self._as_is else file.encoding)()

    def __call__(self, chunk: bytes, *, final: bool = False) -> bytes:
        try:
            text = self._decoder.decode(chunk, final)
        except UnicodeError as exc:
            raise FileRefusedError(self._finding(chunk, exc)) from None
        self._lines += chunk.count(b"\n")
        return chunk if self._as_is else text.encode("utf-8")

    def _finding(self, chunk: bytes, exc: UnicodeError) -> Finding:
        """Name the line of the bytes that cannot be decoded; for UTF-16 it is a good guess."""
        end = exc.start if isinstance(exc, UnicodeDecodeError) else len(chunk)
        line = self._lines + chunk[:end].count(b"\n")
        declared = self._file.encoding
        return finding("E_ENCODING", self._file.name, line, declared=declared, detail="")
