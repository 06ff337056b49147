"""The words of the report, in both languages, from texts.yaml beside this file."""

from functools import cache
from pathlib import Path
from string import Formatter

from tasks.core.strict_yaml import read_yaml
from tasks.report.blocks import Run, Runs, runs
from tasks.report.model import Language, ReportError

TEXTS_FILE = Path(__file__).with_name("texts.yaml")

Part = str | Run | Runs


@cache
def texts_of(file: Path) -> dict[str, dict[str, str]]:
    """Return every text of a file as {key: {en, ko}}.

    Raises:
        ReportError: A text lacks a language, or its languages use different fields.
    """
    value = read_yaml(file).value
    texts = value if isinstance(value, dict) else {}
    for key, both in texts.items():
        if not isinstance(both, dict) or set(both) != {"en", "ko"}:
            raise _fault(key, "needs exactly en and ko", file.name)
        if fields_of(both["en"]) != fields_of(both["ko"]):
            raise _fault(key, "uses different fields in en and ko", file.name)
    return texts


@cache
def all_texts() -> dict[str, dict[str, str]]:
    """Return every text of the report as {key: {en, ko}}.

    Raises:
        ReportError: A text is not whole, or that of a design asks for more than that of all.
    """
    texts = texts_of(TEXTS_FILE)
    for key in texts:
        if not fields_of(texts[key]["en"]) <= fields_of(texts[key.partition("@")[0]]["en"]):
            raise _fault(key, "uses fields that its text for all designs lacks")
    return texts


def fields_of(text: str) -> set[str]:
    """Return the names of the {fields} of a text."""
    return {field for _, field, _, _ in Formatter().parse(text) if field}


def _fault(key: str, what: str, file: str = TEXTS_FILE.name) -> ReportError:
    return ReportError(f"{file}: {key}", what, "write the text in both languages.")


class Words:
    """The texts in one language.

    Args:
        language: `en` or `ko`.
        design: Type of the study's design: `key@design` goes before `key` where both are there.
    """

    def __init__(self, language: Language, design: str = "") -> None:
        self.language: Language = language
        self._design = design

    def __call__(self, key: str, **values: str) -> str:
        """Return the text of `key` with its fields filled."""
        return self._template(key).format(**values)

    def line(self, key: str, **values: Part) -> Runs:
        """Return the text of `key` as runs; fields keep their marks and their source rows."""
        parts: list[Part] = []
        for literal, field, _, _ in Formatter().parse(self._template(key)):
            parts.append(literal)
            if field:
                parts.append(values[field])
        return runs(*parts)

    def counted(self, key: str, n: int, row: str) -> Runs:
        """Return a number with its noun, in the singular or the plural."""
        form = "one" if n == 1 else "other"
        return self.line(f"{key}.{form}", n=Run(str(n), row))

    def term(self, family: str, name: object) -> str:
        """Return the word for a coded value, or the code itself in plain letters."""
        both = all_texts().get(f"{family}.{name}")
        return both[self.language] if both else str(name or "–").replace("_", " ")

    def knows(self, family: str, name: object) -> bool:
        """Whether a coded value has a word."""
        return f"{family}.{name}" in all_texts()

    def interface(self) -> dict[str, str]:
        """Return the words of the page itself: buttons, labels, headings of the frame."""
        return {
            key.removeprefix("page."): self._template(key)
            for key in all_texts()
            if key.startswith("page.") and "@" not in key
        }

    def _template(self, key: str) -> str:
        texts = all_texts()
        return texts.get(f"{key}@{self._design}", texts[key])[self.language]
