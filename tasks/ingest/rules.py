"""The rules of a delivery: every code with its action, what it says, and how to mend it.

A new rule is one line here and one place that finds it. Texts name types, lengths and counts,
never a cell value.
"""

from dataclasses import dataclass
from typing import Literal

from tasks.core.errors import Message
from tasks.ingest.model import Finding, severity_of

Action = Literal["reject_delivery", "reject_file", "quarantine_rows", "accept_warn", "noop"]

MAX_LINES_SHOWN = 20
_NAME_LENGTH = 60


@dataclass(frozen=True, slots=True)
class Rule:
    """What a code does and says."""

    action: Action
    what: str
    fix: str


def _reject_delivery(what: str, fix: str) -> Rule:
    return Rule("reject_delivery", what, fix)


def _reject_file(what: str, fix: str) -> Rule:
    return Rule("reject_file", what, fix)


def _quarantine(what: str, fix: str) -> Rule:
    return Rule("quarantine_rows", what, fix)


def _warn(what: str, fix: str) -> Rule:
    return Rule("accept_warn", what, fix)


RULES: dict[str, Rule] = {
    # delivery and transport
    "E_MANIFEST_MISSING": _reject_delivery(
        "the delivery holds no manifest.json", "write manifest.json last, then send again."
    ),
    "E_MANIFEST_PARSE": _reject_delivery(
        "{detail}", "correct manifest.json; the contract is in docs."
    ),
    "E_MANIFEST_PATH": _reject_delivery(
        "manifest.json names {name}, which is not a plain file name in the delivery",
        "list files by their names only, all beside manifest.json.",
    ),
    "E_ID_FORMAT": _reject_delivery(
        "{key} is not of the form {pattern}", "choose an id of letters, digits, - and _."
    ),
    "E_INCOMPLETE": _reject_delivery(
        "{name}: the upload still runs and manifest.json is not there yet",
        "wait for the upload to end; manifest.json is written last.",
    ),
    "E_FILE_MISSING": _reject_delivery(
        "the file is listed in manifest.json and is not there", "add the file or unlist it."
    ),
    "W_FILE_UNLISTED": _warn(
        "{name} is not listed in manifest.json and was not read",
        "list it if it belongs to the delivery, else leave it out.",
    ),
    "E_NOT_REGULAR": _reject_delivery(
        "is a {kind}, not a regular file", "put the file itself into the delivery."
    ),
    "E_CHECKSUM": _reject_delivery(
        "size or sha256 differs from manifest.json",
        "send the file again; write its sha256 after the last change.",
    ),
    "E_EMPTY": _reject_delivery(
        "the file has zero bytes", "export it again; a table without rows still has a header."
    ),
    "E_NO_ROWS": _reject_delivery(
        "the table {table} is required and {detail}", "export it again with its rows."
    ),
    "W_NO_ROWS": _warn("the file holds no rows", "check that the table is empty."),
    "E_ROWCOUNT": _reject_delivery(
        "manifest.json says {declared} rows, the file holds {counted}",
        "export the file again, or correct `rows` in manifest.json.",
    ),
    "E_TABLE_AMBIGUOUS": _reject_delivery(
        "table {table} is delivered by more than one file: {names}", "keep one file for a table."
    ),
    "E_MAGIC": _reject_delivery(
        "the name says {expected}, the content is {found}", "send the file in the form it is named."
    ),
    "E_FILE_TYPE": _reject_delivery(
        "the content is {found}; such files are never read", "send CSV, NDJSON or Parquet."
    ),
    "E_NOT_GZIP": _reject_delivery("the name ends in .gz, the content is not gzip", "gzip it."),
    "E_GZIP_TRUNCATED": _reject_delivery("the gzip data end early", "send the file again."),
    "E_GZIP_CRC": _reject_delivery("the checksum inside the gzip is wrong", "send it again."),
    "E_GZIP_TRAILING": _reject_delivery("bytes follow the gzip data", "gzip the file again."),
    "E_SIZE_LIMIT": _reject_delivery(
        "the file expands beyond its limit of {limit} bytes",
        "declare bytes_uncompressed in manifest.json if the file is that large.",
    ),
    "E_XML_ENTITY": _reject_delivery("the XML declares entities", "export without a DTD."),
    "E_ARCHIVE_PATH": _reject_delivery(
        "archive entry {name} leaves the delivery", "pack plain file names only."
    ),
    "E_ARCHIVE_LINK": _reject_delivery("archive entry {name} is a link", "pack the file itself."),
    "E_ARCHIVE_NESTED": _reject_delivery(
        "archive entry {name} is an archive", "pack the files themselves."
    ),
    "I_DUPLICATE_DELIVERY": Rule(
        "noop", "delivery {delivery_id} is in the lake already; nothing changed", "nothing to do."
    ),
    "E_DELIVERY_ID_REUSED": _reject_delivery(
        "delivery_id {delivery_id} was accepted before with other content",
        "give the delivery an id of its own.",
    ),
    "E_OUT_OF_ORDER": _reject_delivery(
        "{delivery_id} has data_cutoff {cutoff}, older than {newer} of {newer_cutoff} in force",
        "send the newest extract, or correct data_cutoff.",
    ),
    "E_GOVERNANCE": _reject_delivery(
        "{detail}",
        "complete governance in manifest.json, or leave out what another controller delivers; "
        "then send it again under the same id.",
    ),
    "W_LINK_ORPHANS": _warn(
        "{count} row(s) of {table} stayed in force from before, named persons who are no longer "
        "in person, and were deleted",
        "have their sender deliver the table again.",
    ),
    "W_LINK_VERSIONS": _warn(
        "{count} row(s) of {table} stay in force from before and name a version of a device that "
        "is no longer in device_version",
        "send device_version again with every version that ran, by whoever delivers it.",
    ),
    "E_SCHEMA_DRIFT": _reject_delivery(
        "is not a whole number in any row", "send the ids in the form of earlier deliveries."
    ),
    # structure
    "E_ENCODING": _reject_file(
        "is not {declared}{detail}", "declare the encoding of the file in manifest.json."
    ),
    "E_NO_HEADER": _reject_file(
        "the first line is not a header: it names no column of {table}",
        "write the column names into the first line and nothing above it.",
    ),
    "E_DELIMITER": _reject_file(
        "fields are separated by {found}, manifest.json says {declared}",
        "declare the delimiter in manifest.json.",
    ),
    "E_TOO_MANY_COLUMNS": _reject_file(
        "has {count} columns; the limit is {limit}", "send the columns of the table only."
    ),
    "E_COLUMN_NAME": _reject_file(
        "a column name has {count} characters; the limit is {limit}", "shorten the name."
    ),
    "E_COLUMN_MISSING": _reject_file(
        "the required column {name} of table {table} is missing", "add the column."
    ),
    "E_COLUMN_DUPLICATE": _reject_file("the column {name} stands twice", "keep one of them."),
    "W_COLUMN_UNKNOWN": _warn(
        "{count} column(s) unknown to {table} were not loaded: {names}", "leave them out."
    ),
    "W_COLUMN_MISSING_OPTIONAL": _warn(
        "the optional column {name} is missing; it stays empty", "add it if the source has it."
    ),
    "I_COLUMN_RENAMED": Rule(
        "accept_warn",
        "column names of CDM 5.3 were read as those of 5.4: {names}",
        "nothing to do.",
    ),
    "W_TABLE_UNKNOWN": _warn(
        "table {table} is not one that this version reads; the file was skipped",
        "leave the file out, or give `table` its OMOP name.",
    ),
    "W_WITHDRAWALS_PENDING": _warn(
        "lists withdrawn persons; this version does not act on it",
        "erase these persons before the next study runs.",
    ),
    "E_QUOTE": _reject_file(
        "a quoted field is not closed as it should be; rows after it may be swallowed",
        "double every quote inside a quoted field, then export again.",
    ),
    # rows
    "E_FIELD_COUNT": _quarantine(
        "expected {expected} fields, found {found}", "quote fields that hold the delimiter."
    ),
    "E_JSON": _quarantine("is not one JSON object", "write one resource or row a line."),
    "E_RESOURCE_TYPE": _quarantine(
        "is not a resource of the type that the file's name says",
        "write one resource type a file.",
    ),
    "E_RESOURCE_STATUS": _quarantine(
        "is not a fact: its status says so", "leave out what was cancelled or entered in error."
    ),
    "E_HEADER_REPEATED": _quarantine("the header stands again between rows", "remove the line."),
    "E_TYPE": _quarantine("is not {expected}", "correct the value at its source."),
    "E_NONFINITE": _quarantine("is not a finite number", "leave the cell empty."),
    "E_REQUIRED_NULL": _quarantine("is required and empty", "fill it at its source."),
    "E_CONTROL_CHAR": _quarantine("holds control characters", "clean the text at its source."),
    "E_DATE_INVALID": _quarantine("is not a day or time that exists", "correct the date."),
    "E_DATE_FORMAT": _quarantine(
        "is not written as {expected}", "export dates in the declared date_format."
    ),
    "E_END_BEFORE_START": _quarantine("ends before it starts", "correct the two dates."),
    "E_KEY_CONFLICT": _quarantine(
        "another row has the same key and other content; none of them is loaded",
        "send one row for a key.",
    ),
    "W_DUPLICATE_ROW": _quarantine("an identical row stands earlier; one is kept", "send it once."),
    "E_ORPHAN": _quarantine("names a person who is not in person", "send the person as well."),
    "W_NULL_TOKEN": _warn(
        "{count} value(s) spell out a missing value and were read as empty", "leave them empty."
    ),
    "W_INTEGRAL_FLOAT": _warn(
        "{count} whole number(s) are written with decimals (.0)", "export the column as integer."
    ),
    "W_DATE_HAS_TIME": _warn(
        "{count} date(s) carry a time of day, which was dropped", "export dates only."
    ),
    "W_TIMEZONE": _warn(
        "{count} time(s) carry a zone and were turned into local time", "export local times."
    ),
    # devices
    "W_UDI_PRODUCTION": _warn(
        "{count} value(s) carried serial, lot, expiry or manufacture date; only the device "
        "identifier was kept",
        "send the UDI-DI alone.",
    ),
    "I_UDI_LOT": Rule(
        "accept_warn",
        "{count} value(s) carried a lot beside the device identifier, which was dropped",
        "send the UDI-DI alone; the version of software belongs into device_source_value.",
    ),
    "E_AI_SCORE_RANGE": _quarantine("is outside 0 to 1", "send scores as a share of one."),
    "E_DEVICE_VERSION": _quarantine(
        "names no version of the device, or one that device_version does not hold",
        "send the version that ran, and its row in device_version.",
    ),
    "W_AI_DUPLICATE": _warn(
        "{count} further inference(s) of the same study, version and mode",
        "send one a study, or tell studies which one counts.",
    ),
    "W_AI_LEAK": _warn(
        "{count} row(s) are dated before the image that they speak of was acquired",
        "correct the clock or the date; accuracy analyses must leave such rows out.",
    ),
    "W_NO_OBS_PERIOD": _warn(
        "{count} person(s) have no row in observation_period", "send their observation periods."
    ),
}


def finding(
    code: str,
    file: str | None = None,
    line: int | None = None,
    column: str | None = None,
    **detail: object,
) -> Finding:
    """Return the finding of `code` at a place; `detail` fills the rule's sentence."""
    rule = RULES[code]
    place = (code, file, line and f"line {line}", column and f"column {column}")
    where = " ".join(str(part) for part in place if part)
    text = f"{where}: {rule.what.format(**detail)}. To fix: {rule.fix}"
    return Finding(code, severity_of(code), file, line, column, text)


def gate_finding(message: Message) -> Finding:
    """Return a message of the quality gate as a finding."""
    text = f"{message.code} {message.where}: {message.what} To fix: {message.fix}"
    return Finding(message.code, severity_of(message.code), None, None, None, text)


def shown(name: object) -> str:
    """Return a name from outside in a form that is safe in a message: short, printable, quoted."""
    text = "".join(char if char.isprintable() else "?" for char in str(name))
    return f"'{text[:_NAME_LENGTH]}{'…' if len(text) > _NAME_LENGTH else ''}'"
