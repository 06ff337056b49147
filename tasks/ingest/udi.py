r"""The device identifier in a UDI, in SQL. Serial, lot, expiry and manufacture date are dropped.

Read are GS1 in brackets, `(01)08801234567893(17)281231(21)A1`, as element string with or without
symbology prefix and FNC1, as Digital Link and as EPC (of which nothing is kept: it names an item
by its serial); HIBCC, `+A99912345/$$…`; ICCBBA, `=/A9999XYZ…`. Of any other text in which 14
digits stand apart those are kept; a text without them is a device identifier as it is.
"""

from tasks.core.duck import quoted

CARRIERS = ("udi_di", "unique_device_id")
PRODUCTION = "production_id"
SOURCE_VALUE = "device_source_value"

_FORMS = ("（［【｛〔＜）］】｝〕＞０１２３４５６７８９", "(((((())))))0123456789")
_BRACKETS = ("[{<]}>", "((()))")
_PREFIX = r"(?:\][A-Za-z][0-9]\x1d?|\x1d)"
_BRACKET_01 = r"\(\s*01\s*\)"
_UDI = r"[0-9]{14}|(?i:^urn:epc:)|^[+=&][^ ]*[/=]|\(\s*(?:01|21)\s*\)"
_BRACKET_DI = r"\(\s*01\s*\)\s*([0-9]{14})"
_BRACKET_OTHER = r"\(\s*01\s*\)\s*([^(\x1d\s]*)"
_BRACKET_PRODUCTION = r"\(\s*(?:10|11|13|15|16|17|21|80[0-9]{2}|240)\s*\)"
_LINK = r"(?i)^(?:https?://)?[^?#/\s]+/(?:[^?#]*/)?(?:01|gtin)/([0-9]{8,14})(?:[^0-9]|$)"
_WITHOUT_PRODUCTION = rf"{_PREFIX}?\(?\s*01\s*\)?\s*[0-9]{{14}}"
_LOT_ONLY = r"\(01\)\s*[0-9]{14}\s*\(10\)[^(\x1d]*"
_PLAIN = r"[0-9A-Za-z._-]*"
_APART = r"(?:^|[^0-9A-Za-z])(?:01)?([0-9]{14})(?:[^0-9\x00-\x08\x0b-\x1c\x1e\x1f\x7f]|$)"
_FIRST = r"^([0-9]{14})[._-]"


def device_identifier(text: str) -> str:
    """Return SQL for the device identifier in `text`; null where it holds production data only."""
    marked = f"(?:^{_PREFIX}|\\x1d)01([0-9]{{14}})"
    raw, text = text, _in_one_form(text)
    between = f"coalesce({_part(text, _BRACKET_DI)}, {_part(text, _BRACKET_OTHER)})"
    before = _part(text, f"^(.*?){_BRACKET_PRODUCTION}")
    return f"""case
        when {_has(raw, _FIRST)} then left({raw}, 14)
        when regexp_full_match({raw}, {quoted(_PLAIN)}) and not starts_with({raw}, '01')
            then {raw}
        when starts_with({raw}, '+') then {_part(raw, "^([+][0-9A-Za-z][^/]*)")}
        when left({raw}, 1) in ('=', '&') then {_part(raw, "(=/[^=&]*)")}
        when {_has(raw, "(?i)^urn:epc:")} then null
        when {_has(text, _BRACKET_01)} then {between}
        when {_has(raw, f"^{_PREFIX}")} then {_part(raw, marked)}
        when {_has(raw, "^01[0-9]{14}")} then substr({raw}, 3, 14)
        when {_has(raw, _LINK)} then {_part(raw, _LINK)}
        when {_has(text, _APART)} then {_part(text, _APART)}
        when {_has(raw, "(?i)^https?://")} then null
        when {_has(text, _BRACKET_PRODUCTION)} then {before}
        else {raw} end"""


def drops_production(text: str, identifier: str) -> str:
    """Return SQL for whether more than the form of a UDI goes when `text` is cut to its DI."""
    same = f"regexp_full_match({text}, {quoted(_WITHOUT_PRODUCTION)})"
    return f"({text} is distinct from ({identifier}) and not {same})"


def drops_lot_only(text: str) -> str:
    """Return SQL for whether a lot is all that `text` holds beside its device identifier."""
    return f"regexp_full_match({text}, {quoted(_LOT_ONLY)})"


def source_value(text: str) -> str:
    """Return SQL for `<udi>|<version>` with its UDI cut; what holds none before the bar stays."""
    udi = _before_bar(text)
    kept = f"coalesce({device_identifier(udi)}, '') || substr({text}, length({udi}) + 1)"
    return f"case when {_is_udi(udi)} then nullif({kept}, '') else {text} end"


def source_drops_production(text: str) -> str:
    """Return SQL for whether `source_value` cuts more than the form of a UDI."""
    udi = _before_bar(text)
    return f"({_is_udi(udi)} and {drops_production(udi, device_identifier(udi))})"


def _before_bar(text: str) -> str:
    return f"split_part({text}, '|', 1)"


def _is_udi(text: str) -> str:
    return _has(_in_one_form(text), _UDI)


def _in_one_form(text: str) -> str:
    """Brackets of every kind and full-width digits as plain ones, character by character."""
    for odd, plain in (_FORMS, _BRACKETS):
        text = f"translate({text}, {quoted(odd)}, {quoted(plain)})"
    return text


def _has(text: str, pattern: str) -> str:
    return f"regexp_matches({text}, {quoted(pattern)})"


def _part(text: str, pattern: str) -> str:
    return f"nullif(trim(regexp_extract({text}, {quoted(pattern)}, 1)), '')"
