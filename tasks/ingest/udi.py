r"""The device identifier in a UDI, in SQL. Serial, lot, expiry and manufacture date are dropped.

Read are GS1 in brackets, `(01)08801234567893(17)281231(21)A1`, as element string with or without
symbology prefix and FNC1, and as Digital Link; HIBCC, `+A99912345/$$…`; ICCBBA, `=/A9999XYZ…`.
Any other text is a device identifier as it is.
"""

from tasks.core.duck import quoted

CARRIERS = ("udi_di", "unique_device_id")
PRODUCTION = "production_id"

_PREFIX = r"(?:\][A-Za-z][0-9]\x1d?|\x1d)"
_BRACKET_DI = r"\(01\)\s*([0-9]{14})"
_BRACKET_OTHER = r"\(01\)([^(\x1d]*)"
_BRACKET_PRODUCTION = r"\((?:10|11|13|17|21)\)"
_LINK = r"^https?://[^?]*/01/([0-9]{8,14})(?:[/?]|$)"
_WITHOUT_PRODUCTION = rf"{_PREFIX}?\(?01\)?\s*[0-9]{{14}}"
_LOT_ONLY = r"\(01\)\s*[0-9]{14}\s*\(10\)[^(\x1d]*"


def device_identifier(text: str) -> str:
    """Return SQL for the device identifier in `text`; null where it holds production data only."""
    marked = f"(?:^{_PREFIX}|\\x1d)01([0-9]{{14}})"
    between = f"coalesce({_part(text, _BRACKET_DI)}, {_part(text, _BRACKET_OTHER)})"
    return f"""case
        when regexp_full_match({text}, '[0-9A-Za-z._-]*') and not starts_with({text}, '01')
            then {text}
        when starts_with({text}, '+') then {_part(text, "^([+][0-9A-Za-z][^/]*)")}
        when left({text}, 1) in ('=', '&') then {_part(text, "(=/[^=&]*)")}
        when contains({text}, '(01)') then {between}
        when {_has(text, f"^{_PREFIX}")} then {_part(text, marked)}
        when {_has(text, "^01[0-9]{14}")} then substr({text}, 3, 14)
        when {_has(text, _BRACKET_PRODUCTION)}
            then {_part(text, f"^(.*?){_BRACKET_PRODUCTION}")}
        when {_has(text, _LINK)} then {_part(text, _LINK)}
        else {text} end"""


def drops_production(text: str, identifier: str) -> str:
    """Return SQL for whether more than the form of a UDI goes when `text` is cut to its DI."""
    same = f"regexp_full_match({text}, {quoted(_WITHOUT_PRODUCTION)})"
    return f"({text} is distinct from ({identifier}) and not {same})"


def drops_lot_only(text: str) -> str:
    """Return SQL for whether a lot is all that `text` holds beside its device identifier."""
    return f"regexp_full_match({text}, {quoted(_LOT_ONLY)})"


def _has(text: str, pattern: str) -> str:
    return f"regexp_matches({text}, {quoted(pattern)})"


def _part(text: str, pattern: str) -> str:
    return f"nullif(trim(regexp_extract({text}, {quoted(pattern)}, 1)), '')"
