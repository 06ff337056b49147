"""A whole protocol in one language, and the files that it is written to."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from tasks.core.spec.whole import StudySpec
from tasks.report.blocks import (
    Block,
    Bullets,
    Facts,
    Figure,
    Heading,
    Paragraph,
    Run,
    Runs,
    Section,
    Table,
    runs,
)
from tasks.report.content import Numbering
from tasks.report.model import Language
from tasks.report.protocol import closing, methods, opening
from tasks.report.voice import Translations, Voice

SECTIONS = (
    opening.title_page,
    opening.abstract,
    opening.amendments,
    opening.milestones,
    opening.rationale,
    opening.question,
    methods.section,
    closing.limitations,
    closing.protection,
    closing.references,
    closing.appendix,
)
LANGUAGES: tuple[Language, ...] = ("en", "ko")


@dataclass(frozen=True, slots=True)
class Protocol:
    """A protocol in one language; no number of it comes from data, no day from a clock."""

    language: Language
    title: str
    notice: str
    meta: tuple[tuple[str, Runs], ...]
    sections: tuple[Section, ...]
    foot: str
    words: dict[str, str]
    languages: tuple[Language, ...]


def build_protocol(
    spec: StudySpec,
    language: Language,
    languages: tuple[Language, ...] = LANGUAGES,
    translations: Translations | None = None,
) -> Protocol:
    """Return the protocol of a study in one language.

    Args:
        spec: The study.
        language: `en` or `ko`.
        languages: Languages that are written beside each other, for the links between them.
        translations: Cohorts of files, as far as they have an equal in our own language.
    """
    voice, study = Voice(spec, language, translations), spec.study
    words = {name: voice(f"page.{name}") for name in ("table", "figure")}
    sections = Numbering(words).sections([make(voice) for make in SECTIONS])
    return Protocol(
        language=language,
        title=voice.text(study.title),
        notice=voice.text(study.notice) or voice("page.default_notice"),
        meta=_meta(voice),
        sections=_with_open_places(voice, sections),
        foot=voice("page.foot", study=study.id, version=study.version, hash=spec.spec_hash),
        words={**words, **{name: voice(f"page.{name}") for name in _FRAME}},
        languages=languages,
    )


_FRAME = (
    "protocol",
    "skip",
    "contents",
    "notice",
    "other_language",
    "other_language_label",
)


def _meta(voice: Voice) -> tuple[tuple[str, Runs], ...]:
    study = voice.spec.study
    return (
        (voice("title.study"), (Run(study.id, tone="code"),)),
        (voice("title.version"), runs(study.version)),
        (voice("title.hash"), (Run(voice.spec.spec_hash[:12], tone="code"),)),
    )


def _with_open_places(voice: Voice, sections: tuple[Section, ...]) -> tuple[Section, ...]:
    """List on the title page where a person still has to write, and how often."""
    found = [(section.title, sum(1 for _ in open_places(section))) for section in sections]
    said = ", ".join(f"{title} ({n})" for title, n in found if n)
    [facts] = sections[0].blocks
    assert isinstance(facts, Facts)  # noqa: S101 - made above
    more = Facts((*facts.items, (voice("title.open"), runs(said))))
    return (replace(sections[0], blocks=(more,)), *sections[1:])


def open_places(section: Section) -> Iterator[Run]:
    """Yield every mark of a place to be written."""
    for block in section.blocks:
        for line in lines_of(block):
            yield from (run for run in line if run.tone == "todo")


def lines_of(block: Block) -> Iterator[Runs]:
    """Yield every line of text of a block."""
    match block:
        case Paragraph():
            yield block.text
        case Bullets():
            yield from block.items
        case Facts():
            yield from (value for _, value in block.items)
        case Table():
            yield from (cell for row in block.rows for cell in row)
        case Heading() | Figure():
            yield runs(block.text if isinstance(block, Heading) else block.caption)


def write_protocol(
    spec: StudySpec,
    languages: tuple[Language, ...],
    folder: Path,
    translations: Translations | None = None,
) -> list[Path]:
    """Write the protocol as HTML and Markdown, and its pictures beside them.

    Args:
        spec: The study.
        languages: Which languages to write.
        folder: Made if it is missing; files of an earlier protocol in it are replaced.
        translations: Cohorts of files, as far as they have an equal in our own language.

    Returns:
        The files written, in order.
    """
    from tasks.report.protocol.markdown import markdown
    from tasks.report.protocol.page import html_page

    written = []
    for language in languages:
        protocol = build_protocol(spec, language, languages, translations)
        pictures = {
            folder / "figures" / f"{block.id}.{language}.svg": block.svg
            for section in protocol.sections
            for block in section.blocks
            if isinstance(block, Figure)
        }
        texts = {
            folder / f"protocol.{language}.html": html_page(protocol),
            folder / f"protocol.{language}.md": markdown(protocol),
            **pictures,
        }
        for file, text in texts.items():
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8", newline="\n")
            written.append(file)
    return written
