"""The manifest of a delivery: strict JSON, checked against the contract before anything else."""

import codecs
import json
import re
import unicodedata
from datetime import date
from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError, field_validator
from pydantic import NonNegativeInt as Count

from tasks.ingest.model import DeliveryRefusedError, Finding
from tasks.ingest.rules import finding, shown

MANIFEST = "manifest.json"
MAX_MANIFEST_BYTES = 5_000_000
ID_PATTERN = r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}"

_DIRECTIVES = {"%Y", "%m", "%d"}
_FORMAT = re.compile(r"(%[A-Za-z]|[-/. ]|年|月|日|년|월|일)+")

Identifier = Annotated[str, Field(pattern=rf"\A{ID_PATTERN}\z")]
Said = Annotated[str, Field(max_length=500)]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class FileEntry(_Strict):
    """One file of the delivery as the sender describes it."""

    name: Annotated[str, Field(min_length=1, max_length=255)]
    table: Annotated[str, Field(min_length=1, max_length=80)] | None = None
    rows: Count | None = None
    bytes: Count | None = None
    sha256: Annotated[str, Field(pattern=r"\A[0-9a-fA-F]{64}\z")]
    encoding: str | None = None
    bytes_uncompressed: Count | None = None
    note: str | None = None

    @field_validator("encoding")
    @classmethod
    def _known_encoding(cls, value: str | None) -> str | None:
        return value if value is None else _text_encoding(value)


class Pseudonymisation(_Strict):
    """How the sender made the pseudonyms; the key itself is never sent."""

    method: str
    key_id: str | None = None


class Governance(_Strict):
    """On whose authority the data are sent. Every key is optional; a blank one is not named."""

    controller: Said | None = None
    legal_basis: Said | None = None
    irb: Said | None = None
    irb_date: date | None = None
    drb_date: date | None = None
    purpose: Said | None = None
    retention_until: date | None = None
    combining_agency_case: Said | None = None

    @field_validator("controller", "legal_basis", "irb", "purpose", "combining_agency_case")
    @classmethod
    def _one_line(cls, value: str | None) -> str | None:
        if value and not value.isprintable():
            raise ValueError("holds control characters")
        return " ".join(unicodedata.normalize("NFC", value or "").split()) or None

    def as_json(self) -> str:
        """Return the keys that are named, as JSON."""
        named = self.model_dump(mode="json", exclude_none=True)
        return json.dumps(named, ensure_ascii=False, sort_keys=True)


class Manifest(_Strict):
    """What a delivery says about itself. Keys that start with `x_` are the sender's own."""

    manifest_version: Literal[1]
    delivery_id: Identifier
    site_id: Identifier
    kind: Literal["full", "increment"]
    format: Literal["omop", "fhir", "table"] = "omop"
    data_cutoff: date
    timezone: str = "Asia/Seoul"
    encoding: str = "utf-8"
    delimiter: Literal[",", ";", "\t", "|", "^", "~"] = ","
    date_format: str = "%Y-%m-%d"
    birth_precision: Literal["year", "day"] | None = None
    pseudonymisation: Pseudonymisation | None = None
    vocabulary_version: (
        Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._:-]{0,59}$")] | None
    ) = None
    data_class: Literal["patient", "synthetic_public"] = "patient"
    governance: Governance | None = None
    files: Annotated[tuple[FileEntry, ...], Field(min_length=1, max_length=10_000)]
    withdrawals: tuple[str, ...] = ()
    note: JsonValue = None
    link: JsonValue = None

    @property
    def controller(self) -> str | None:
        """Who answers for the data, where the manifest names it."""
        return self.governance.controller if self.governance else None

    @field_validator("encoding")
    @classmethod
    def _known_encoding(cls, value: str) -> str:
        return _text_encoding(value)

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ValueError, OSError, KeyError):
            raise ValueError("is not a time zone of the IANA list") from None
        return value

    @field_validator("date_format")
    @classmethod
    def _whole_date(cls, value: str) -> str:
        directives = re.findall(r"%.", value)
        if not _FORMAT.fullmatch(value) or sorted(directives) != sorted(_DIRECTIVES):
            raise ValueError("must hold %Y, %m and %d once each, with plain separators")
        return value


def read_manifest(folder: Path) -> Manifest:
    """Read and check manifest.json of a delivery folder.

    Raises:
        DeliveryRefusedError: It is missing, is not strict JSON, or breaks the contract; every fault
            is named.
    """
    raw = _manifest_bytes(folder)
    value = _strict_json(raw)
    try:
        return Manifest.model_validate_json(json.dumps(_without_own_keys(value)))
    except ValidationError as exc:
        raise DeliveryRefusedError(*(_fault(dict(item)) for item in exc.errors())) from None


def _manifest_bytes(folder: Path) -> bytes:
    path = folder / MANIFEST
    if path.is_symlink() or (path.exists() and not path.is_file()):
        raise DeliveryRefusedError(finding("E_NOT_REGULAR", MANIFEST, kind="link or special file"))
    if not path.exists():
        raise DeliveryRefusedError(_missing(folder))
    if path.stat().st_size > MAX_MANIFEST_BYTES:
        detail = f"is larger than {MAX_MANIFEST_BYTES:,} bytes"
        raise DeliveryRefusedError(finding("E_MANIFEST_PARSE", MANIFEST, detail=detail))
    return path.read_bytes()


def _missing(folder: Path) -> Finding:
    """Tell an upload that still runs from a delivery without a manifest."""
    for path in sorted(folder.iterdir()):
        if path.suffix in {".part", ".tmp", ".filepart", ".crdownload"}:
            return finding("E_INCOMPLETE", path.name, name=shown(path.name))
    return finding("E_MANIFEST_MISSING", MANIFEST)


def _strict_json(raw: bytes) -> dict[str, object]:
    try:
        value = json.loads(
            raw.decode("utf-8-sig"), object_pairs_hook=_unique, parse_constant=_no_constant
        )
    except UnicodeDecodeError:
        raise _unparsed("is not UTF-8") from None
    except json.JSONDecodeError as exc:
        raise _unparsed(f"line {exc.lineno} is not valid JSON ({exc.msg})") from None
    except (ValueError, RecursionError) as exc:
        raise _unparsed(str(exc) if isinstance(exc, ValueError) else "nests too deep") from None
    if not isinstance(value, dict):
        raise _unparsed("is not an object")
    return value


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    out: dict[str, object] = {}
    for key, value in pairs:
        if key in out:
            raise ValueError(f"the key {shown(key)} stands twice")
        out[key] = value
    return out


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is not a JSON number")


def _without_own_keys(value: dict[str, object]) -> dict[str, object]:
    own = {key: item for key, item in value.items() if not key.startswith("x_")}
    if isinstance(governance := own.get("governance"), dict):
        own["governance"] = _without_own_keys(governance)
    return own


def _unparsed(detail: str) -> DeliveryRefusedError:
    return DeliveryRefusedError(finding("E_MANIFEST_PARSE", MANIFEST, detail=detail))


def _fault(fault: dict[str, object]) -> Finding:
    loc = fault["loc"]
    key = ".".join(str(part) for part in loc) if isinstance(loc, tuple) else ""
    if key in {"site_id", "delivery_id"} and fault["type"] != "missing":
        return finding("E_ID_FORMAT", MANIFEST, column=key, key=key, pattern=ID_PATTERN)
    detail = f"{shown(key)}: {str(fault['msg']).removeprefix('Value error, ')}"
    return finding("E_MANIFEST_PARSE", MANIFEST, detail=detail)


def _text_encoding(name: str) -> str:
    """Return the codec's own name; refuse what is no text encoding."""
    try:
        return codecs.lookup(name).name if "x".encode(name).decode(name) == "x" else ""
    except (LookupError, UnicodeError, ValueError):
        raise ValueError("is not a known text encoding") from None
