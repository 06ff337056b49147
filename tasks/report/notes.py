"""Notes of rows of results in the language of the report, from notes.yaml beside this file."""

import re
from functools import cache
from pathlib import Path

from tasks.core.strict_yaml import read_yaml
from tasks.report.model import ReportError
from tasks.report.texts import Words

NOTES_FILE = Path(__file__).with_name("notes.yaml")
_BLANK = re.compile(r"\\{(estimate)?\\}")
_CODE = re.compile(r"\b[a-z]+(?:_[a-z]+)+\b")


def said_note(words: Words, note: str) -> str:
    """Return a note in the language of `words`, part by part; a part not known as it stands."""
    return "; ".join(_part(words, part) for part in note.split("; "))


def _part(words: Words, part: str) -> str:
    if words.language == "en":
        return _CODE.sub(lambda code: _estimate(words, code[0]).lower(), part)
    for pattern, korean in _patterns():
        if found := pattern.fullmatch(part):
            named = {name: _estimate(words, code) for name, code in found.groupdict().items()}
            return _filled(korean, found.groups(), named)
    return part


def _filled(text: str, blanks: tuple[str, ...], named: dict[str, str]) -> str:
    """Fill `{}` in order, `{1}` by place and `{estimate}` by its word."""
    return text.format("", *blanks, **named) if "{}" not in text else text.format(*blanks, **named)


def _estimate(words: Words, code: str) -> str:
    """Return the name of an estimate; any other code, such as a column, as it is."""
    return words.term("estimate", code) if words.knows("estimate", code) else code


@cache
def _patterns() -> tuple[tuple[re.Pattern[str], str], ...]:
    """Return what notes look like, and what they say in Korean.

    Raises:
        ReportError: The file is no list of texts.
    """
    value = read_yaml(NOTES_FILE).value
    if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
        raise ReportError(NOTES_FILE.name, "is no list of texts", "write one text for each note.")
    return tuple((re.compile(_regex(note)), text) for note, text in value.items())


def _regex(note: str) -> str:
    return _BLANK.sub(lambda blank: "(?P<estimate>.+?)" if blank[1] else "(.+?)", re.escape(note))
