"""A study told in one language: its own texts, the words for its blocks, and its phrases."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tasks.core.spec.base import Text
from tasks.core.spec.cohorts import NativeCohort
from tasks.core.spec.whole import StudySpec
from tasks.report.model import Language
from tasks.report.phrases import Phrases, phrases_of
from tasks.report.texts import texts_of

PROTOCOL_FILE = Path(__file__).with_name("protocol.yaml")


@dataclass(frozen=True, slots=True)
class Translated:
    """A cohort of a file in our own language, with the names of its code lists by their ids."""

    cohort: NativeCohort
    names: Mapping[str, str]


Translations = Mapping[str, Translated]
"""What the files of a study say in our own language, by the id of the cohort."""


class Voice:
    """What protocol, diagram and differences need to tell a study.

    Args:
        spec: The study.
        language: `en` or `ko`.
        translations: Cohorts of files, as far as they have an equal in our own language.
    """

    def __init__(
        self, spec: StudySpec, language: Language, translations: Translations | None = None
    ) -> None:
        self.spec, self.language = spec, language
        self.translations: Translations = translations or {}

    def __call__(self, key: str, **values: str) -> str:
        """Return the words of `key` with their fields filled."""
        return texts_of(PROTOCOL_FILE)[key][self.language].format(**values)

    def term(self, family: str, name: object) -> str:
        """Return the word for a key or a coded value, else the value itself in plain letters."""
        both = texts_of(PROTOCOL_FILE).get(f"{family}.{name}")
        return both[self.language] if both else str(name).replace("_", " ")

    def knows(self, family: str, name: object) -> bool:
        """Whether there is a word for a coded value."""
        return f"{family}.{name}" in texts_of(PROTOCOL_FILE)

    def text(self, text: Text | None) -> str:
        """Return a text of the study; nothing where it has none."""
        return text.in_language(self.language) if text else ""

    @property
    def cohort(self) -> Phrases:
        """Phrases that count days from the entry of a cohort."""
        return phrases_of(self.spec, self.language)

    @property
    def zero(self) -> Phrases:
        """Phrases that count days from time zero."""
        return phrases_of(self.spec, self.language, "zero_")

    @property
    def arms(self) -> tuple[str, str]:
        """Names of target and comparator."""
        trial = self.spec.trial
        return self.text(trial.target.name), self.text(trial.comparator.name)

    def cohort_name(self, cohort: str) -> str:
        """Return what the study calls a cohort, else its id."""
        found = next((c for c in self.spec.cohorts if c.id == cohort), None)
        return self.text(found.name) or cohort if found else cohort

    @property
    def outcome(self) -> str:
        """Name of the outcome."""
        return self.text(self.spec.trial.outcome.name)
