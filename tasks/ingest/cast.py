"""From text to types, in SQL: what a value becomes, and which code it gets when it cannot.

For each column three expressions over its trimmed text: the value by the strict pattern (the
normal path), the value of tolerated spellings, and the code. The last two run on rows only
where the first one found nothing.
"""

import re
from dataclasses import dataclass

from tasks.core.duck import quoted
from tasks.core.omop import Column
from tasks.ingest.udi import (
    CARRIERS,
    PRODUCTION,
    SOURCE_VALUE,
    device_identifier,
    drops_lot_only,
    drops_production,
    source_drops_production,
    source_value,
)

NULL_TOKENS = ("NULL", "(NULL)", "NA", "<NA>", "#N/A", "N/A", "\\N", "NONE", "NIL", "NAT", ".", "-")

_INTEGER = "[+-]?[0-9]+"
_INTEGRAL_FLOAT = "[+-]?[0-9]+[.]0+"
_NUMBER = "[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?[0-9]+)?"
_NONFINITE = "[+-]?(nan|inf|infinity)"
_TRUE, _FALSE = ("true", "t", "yes", "y", "1"), ("false", "f", "no", "n", "0")
_CLOCK = "([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9]([.][0-9]{1,9})?)?"
_ANY_CLOCK = "[0-9]{1,2}:[0-9]{2}(:[0-9]{2}([.][0-9]+)?)?"
_ZONE = "(Z|[+-][0-9]{2}(:?[0-9]{2})?)"
_ISO = "%Y-%m-%d"
_YEAR = "(000[1-9]|00[1-9][0-9]|0[1-9][0-9]{2}|[1-9][0-9]{3})"
_STRICT_PART = {"%Y": _YEAR, "%m": "[0-9]{2}", "%d": "[0-9]{2}"}
_PLAIN_PART = _STRICT_PART | {"%Y": "[0-9]{4}"}
_LOOSE_PART = _STRICT_PART | {"%Y": "-?[0-9]{4,6}"}
EXPECTED = {
    "BIGINT": "a whole number",
    "INTEGER": "a whole number of up to nine digits",
    "DOUBLE": "a number",
    "BOOLEAN": "true or false",
}


@dataclass(frozen=True, slots=True)
class Reading:
    """How the texts of one file are to be understood.

    `check_control`: there may be control characters. `padded`: there may be blanks around values.
    `instants`: times with a zone are the rule; a date takes the day that they are here.
    """

    date_format: str
    timezone: str
    check_control: bool
    padded: bool = True
    instants: bool = False


@dataclass(frozen=True, slots=True)
class Cast:
    """SQL of one column over its text `{v}`: strict value, tolerated value, code of a fault.

    `missing` is the code of a required value that is not there.
    """

    value: str
    tolerated: str
    code: str | None
    missing: str = "E_REQUIRED_NULL"

    def of(self, text: str) -> "Cast":
        """Return these expressions over the text column `text`."""
        code = self.code and self.code.replace("{v}", text)
        value, tolerated = self.value.replace("{v}", text), self.tolerated.replace("{v}", text)
        return Cast(value, tolerated, code, self.missing)


def cast_of(column: Column, reading: Reading) -> Cast:
    """Return how the text of `column` is cast."""
    if column.type in {"BIGINT", "INTEGER"}:
        return _integer(column.type)
    if column.type == "DOUBLE":
        return _double()
    if column.type == "DATE":
        return _date(reading)
    if column.type == "TIMESTAMP":
        return _timestamp(reading)
    return _boolean() if column.type == "BOOLEAN" else _words(column, reading)


def cast_native(column: Column, physical: str) -> Cast | None:
    """Return how a Parquet column that has a fitting type is cast; None: go through its text."""
    whole = physical.endswith("INT") or physical == "INTEGER"
    number = whole or physical in {"DOUBLE", "FLOAT"} or physical.startswith("DECIMAL")
    if column.type in {"BIGINT", "INTEGER"} and whole:
        return Cast(f"try_cast({{v}} as {column.type})", "null", "'E_TYPE'")
    if column.type == "DOUBLE" and number:
        finite = "case when isfinite({v}::double) then {v}::double end"
        return Cast(finite, "null", "'E_NONFINITE'")
    if column.type == physical == "BOOLEAN":
        return Cast("{v}", "null", "'E_TYPE'")
    if column.type == "DATE" and physical.startswith("TIMESTAMP") and "ZONE" not in physical:
        midnight = "case when {v}::timestamp = {v}::date then {v}::date end"
        return Cast(midnight, "{v}::date", "'W_DATE_HAS_TIME'")
    if column.type in {"DATE", "TIMESTAMP"} and physical in {"DATE", column.type}:
        return Cast(f"{{v}}::{column.type}", "null", "'E_TYPE'")
    return None


def expected_of(column: Column, reading: Reading) -> str:
    """Return how a value of `column` is to be written, for messages."""
    if column.type == "DATE":
        return reading.date_format
    if column.type == "TIMESTAMP":
        return "YYYY-MM-DD HH:MM:SS"
    return EXPECTED.get(column.type, "text")


def _full(pattern: str, text: str = "{v}") -> str:
    return f"regexp_full_match({text}, {quoted(pattern)})"


def _coded(*cases: tuple[str, str], otherwise: str) -> str:
    tokens = ", ".join(quoted(token) for token in NULL_TOKENS)
    first = f"when upper({{v}}) in ({tokens}) then 'W_NULL_TOKEN'"
    rest = " ".join(f"when {test} then '{code}'" for test, code in cases)
    return f"case {first} {rest} else '{otherwise}' end"


def _integer(kind: str) -> Cast:
    tolerated = (
        f"case when {_full(_INTEGRAL_FLOAT)} then try_cast(split_part({{v}}, '.', 1) as {kind}) end"
    )
    return Cast(
        f"case when {_full(_INTEGER)} then try_cast({{v}} as {kind}) end",
        tolerated,
        _coded((f"{tolerated} is not null", "W_INTEGRAL_FLOAT"), otherwise="E_TYPE"),
    )


def _double() -> Cast:
    value = f"case when {_full(_NUMBER)} and isfinite(try_cast({{v}} as double))"
    return Cast(
        f"{value} then try_cast({{v}} as double) end",
        "cast(null as double)",
        _coded((_full(f"{_NUMBER}|(?i:{_NONFINITE})"), "E_NONFINITE"), otherwise="E_TYPE"),
    )


def _boolean() -> Cast:
    true, false = (", ".join(map(quoted, words)) for words in (_TRUE, _FALSE))
    value = (
        f"case when lower({{v}}) in ({true}) then true when lower({{v}}) in ({false}) then false"
    )
    return Cast(f"{value} end", "cast(null as boolean)", _coded(otherwise="E_TYPE"))


def _date(reading: Reading) -> Cast:
    strict, loose = _pattern(reading.date_format, _STRICT_PART), _loose(reading.date_format)
    zone = f"{_ZONE}?" if reading.instants else ""
    day = _day("{v}", reading.date_format)
    with_time = f"({strict})[ T]{_CLOCK}"
    tolerated = _day(f"left({{v}}, {len(_written(reading.date_format))})", reading.date_format)
    tolerated = f"case when {_full(with_time)} then {tolerated} end"
    code = _coded(
        (f"{tolerated} is not null", "W_DATE_HAS_TIME"),
        (_full(f"({loose})([ T]{_ANY_CLOCK}{zone})?"), "E_DATE_INVALID"),
        otherwise="E_DATE_FORMAT",
    )
    value = f"case when {_full(strict)} then {day} end"
    if reading.instants:
        local = f"coalesce({_zoned(strict, reading)}::date, {tolerated})"
        value = f"coalesce({value}, {local})"
    return Cast(value, tolerated, code)


def _timestamp(reading: Reading) -> Cast:
    iso = _pattern(_ISO, _STRICT_PART)
    value = f"case when {_full(f'{iso}([ T]{_CLOCK})?')} then try_cast({{v}} as timestamp) end"
    if reading.date_format != _ISO:
        value = f"coalesce({value}, {_own_format(reading)})"
    zoned = _zoned(iso, reading)
    days = f"({_loose(_ISO)}|{_loose(reading.date_format)})"
    code = _coded(
        (f"{zoned} is not null", "W_TIMEZONE"),
        (_full(f"{days}([ T]{_ANY_CLOCK}{_ZONE}?)?"), "E_DATE_INVALID"),
        otherwise="E_DATE_FORMAT",
    )
    if reading.instants:
        value = f"coalesce({value}, {zoned})"
    return Cast(value, zoned, code)


def _words(column: Column, reading: Reading) -> Cast:
    """Text; of a UDI the device identifier alone, of production identifiers nothing."""
    if column.name in CARRIERS:
        return _udi(column, reading)
    if column.name == PRODUCTION:
        return Cast("null::varchar", "null::varchar", "'W_UDI_PRODUCTION'")
    if column.name == SOURCE_VALUE:
        return _source_value(reading)
    missing = "E_DEVICE_VERSION" if column.name == "model_version" else "E_REQUIRED_NULL"
    code = f"case when {_control('{v}')} then 'E_CONTROL_CHAR' end"
    return Cast("{v}", "{v}", code if reading.check_control else None, missing)


def _udi(column: Column, reading: Reading) -> Cast:
    di = device_identifier("{v}")
    lot = f"when {drops_lot_only('{v}')} then 'I_UDI_LOT'" if column.name != "udi_di" else ""
    nothing = "E_REQUIRED_NULL" if column.required else "W_UDI_PRODUCTION"
    control = f"when {_control(di)} then 'E_CONTROL_CHAR'" if reading.check_control else ""
    code = (
        f"case {control} when ({di}) is null then '{nothing}' {lot} "
        f"when {drops_production('{v}', di)} then 'W_UDI_PRODUCTION' end"
    )
    return Cast(di, di, code)


def _source_value(reading: Reading) -> Cast:
    """What names device and version in OMOP; a UDI in it is cut as in a column of its own."""
    kept = source_value("{v}")
    control = f"when {_control(kept)} then 'E_CONTROL_CHAR'" if reading.check_control else ""
    code = f"case {control} when {source_drops_production('{v}')} then 'W_UDI_PRODUCTION' end"
    return Cast(kept, kept, code)


def _control(text: str) -> str:
    return f"regexp_matches({text}, '[\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f\\x7f]')"


def _own_format(reading: Reading) -> str:
    """A day in the declared format with an ISO clock behind it."""
    own, length = _pattern(reading.date_format, _STRICT_PART), len(_written(reading.date_format))
    day = _day(f"left({{v}}, {length})", reading.date_format)
    clock = f"try_cast(coalesce(nullif(substr({{v}}, {length + 2}), ''), '00:00') as time)"
    return f"case when {_full(f'({own})([ T]{_CLOCK})?')} then {day} + {clock} end"


def _zoned(iso: str, reading: Reading) -> str:
    """An instant with its zone, as local time of the declared zone; the machine's plays no part."""
    instant = "try_cast({v} as timestamptz)"
    zoned = f"timezone({quoted(reading.timezone)}, {instant})"
    return f"case when {_full(f'{iso}[ T]{_CLOCK}{_ZONE}')} then {zoned} end"


def _day(text: str, date_format: str) -> str:
    if date_format == _ISO:
        return f"try_cast({text} as date)"
    return f"try_strptime({text}, {quoted(date_format)})::date"


def _pattern(date_format: str, parts: dict[str, str]) -> str:
    pieces = re.split(r"(%[Ymd])", date_format)
    return "".join(parts.get(piece) or re.escape(piece) for piece in pieces)


def _loose(date_format: str) -> str:
    """A date of this shape, also with year 0, a sign, or too many digits where parts are apart."""
    separated = not re.search(r"%.%", date_format)
    return _pattern(date_format, _LOOSE_PART if separated else _PLAIN_PART)


def _written(date_format: str) -> str:
    return date_format.replace("%Y", "0000").replace("%m", "00").replace("%d", "00")
