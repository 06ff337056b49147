"""The whole report in one language, from the inputs: one model for the page and for print."""

from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

from tasks.core.spec import StudySpec
from tasks.report.blocks import Block, Content, Details, Figure, Run, Runs, Section, Table, runs
from tasks.report.context import Context
from tasks.report.model import Language, ReportInputs
from tasks.report.sections import (
    balance,
    characterisation,
    closing,
    cohorts,
    curves,
    data,
    design,
    estimates,
    finding,
    negative_controls,
    other,
    people,
    question,
    tables,
)

Make = Callable[[Context], Section]
OPENING: tuple[Make, ...] = (question.section, data.section)
COMPARISON: tuple[Make, ...] = (
    design.section,
    people.section,
    balance.section,
    curves.section,
    estimates.section,
    other.section,
    closing.diagnostics,
)
CLOSING: tuple[Make, ...] = (closing.limits, closing.provenance)


def sections_of(spec: StudySpec) -> tuple[Make, ...]:
    """Return what makes the sections of a study, in order: those for which it has a block."""
    return (
        *((finding.section,) if spec.has_trial else ()),
        *OPENING,
        *((cohorts.section,) if spec.cohorts else ()),
        *((characterisation.section,) if spec.characterisation else ()),
        *(COMPARISON if spec.has_trial else ()),
        *(
            (negative_controls.section,)
            if spec.negative_controls or spec.negative_control_exposures
            else ()
        ),
        *((tables.rows_used, tables.estimates) if spec.tables else ()),
        *((closing.diagnostics,) if spec.gates and not spec.has_trial else ()),
        *CLOSING,
    )


def build_content(inputs: ReportInputs, language: Language) -> Content:
    """Return the content of the report in one language."""
    context = Context(inputs, language)
    words, study = context.words, inputs.spec.study
    notice = study.notice.in_language(language) if study.notice else words("page.default_notice")
    return Content(
        language=language,
        title=study.title.in_language(language),
        question=study.question.in_language(language),
        notice=notice,
        date=inputs.document_date.isoformat(),
        meta=_meta(context),
        sections=Numbering(words.interface()).sections(
            [make(context) for make in sections_of(inputs.spec)]
        ),
        words=words.interface(),
        languages=inputs.spec.report.languages,
    )


def _meta(context: Context) -> tuple[tuple[str, Runs], ...]:
    words, known = context.words, context.inputs.provenance
    return (
        (words("page.study"), (Run(context.spec.study.id, tone="code"),)),
        (words("page.version"), runs(context.spec.study.version)),
        (words("page.run"), (Run(known.get("run_id", "–"), tone="code"),)),
        (words("page.cutoff"), runs(context.inputs.document_date.isoformat())),
    )


class Numbering:
    """Numbers figures, tables and supplementary tables in the order they stand."""

    def __init__(self, words: dict[str, str]) -> None:
        self._words = words
        self._count = {"table": 0, "figure": 0, "supplement": 0}

    def sections(self, sections: list[Section]) -> tuple[Section, ...]:
        """Return the sections with their tables and figures numbered."""
        return tuple(
            replace(section, blocks=tuple(self._block(block, "table") for block in section.blocks))
            for section in sections
        )

    def _block(self, block: Block, kind: str) -> Block:
        if isinstance(block, Details):
            inner = tuple(self._block(item, "supplement") for item in block.blocks)
            return replace(block, blocks=inner)
        if isinstance(block, Table):
            return replace(block, number=self._next(kind))
        return replace(block, number=self._next("figure")) if isinstance(block, Figure) else block

    def _next(self, kind: str) -> str:
        self._count[kind] += 1
        letter = "S" if kind == "supplement" else ""
        return f"{self._words[kind]} {letter}{self._count[kind]}"


def as_record(content: Content) -> dict[str, Any]:
    """Return the content as plain values."""
    return asdict(content)


def figures_of(content: Content) -> list[Figure]:
    """Return every figure, in order."""
    return [b for section in content.sections for b in section.blocks if isinstance(b, Figure)]
