"""Sections 8 and 9, references and appendix."""

from tasks.report.blocks import Block, Bullets, Heading, Run, Section, Verbatim, runs
from tasks.report.generic import told
from tasks.report.protocol.methods import cohort_tables
from tasks.report.protocol.parts import Cell, or_said, paragraph, table, todo
from tasks.report.voice import Voice


def limitations(voice: Voice) -> Section:
    """Return the limits that the study file states, and the place for more."""
    stated = tuple(runs(voice.text(limit)) for limit in voice.spec.study.limits)
    items = (*stated, runs(todo(voice, "limitations.todo")))
    return Section("limitations", voice("section.limitations"), (Bullets(items),))


def protection(voice: Voice) -> Section:
    """Return what protects the persons of the study."""
    privacy = voice.spec.privacy
    counts = voice("protection.counts_site")
    if privacy is not None:
        counts = voice("protection.counts", k=str(privacy.disclosure_threshold))
        if privacy.round_counts_to:
            counts += " " + voice("protection.rounding", base=str(privacy.round_counts_to))
    blocks: tuple[Block, ...] = (
        paragraph(todo(voice, "protection.ethics_todo")),
        paragraph(voice("protection.identifiers")),
        paragraph(counts),
        Heading(voice("protection.adverse")),
        paragraph(todo(voice, "protection.adverse_todo")),
    )
    return Section("protection", voice("section.protection"), blocks)


def references(voice: Voice) -> Section:
    """Return the reference of the structure, and the place for the others."""
    items = (runs(voice("references.harper")), runs(todo(voice, "references.todo")))
    return Section("references", voice("section.references"), (Bullets(items),))


def appendix(voice: Voice) -> Section:
    """Return every code list, the cohorts of a comparison, and the files that the study names."""
    blocks: list[Block] = [Heading(voice("appendix.lists")), _code_lists(voice)]
    if voice.spec.has_trial and voice.spec.cohorts:
        blocks += [Heading(voice("appendix.cohorts")), *cohort_tables(voice)]
    blocks += _files(voice)
    return Section("appendix", voice("section.appendix"), tuple(blocks))


def _files(voice: Voice) -> list[Block]:
    """Return the text of every file that the study names: it is part of the protocol."""
    if not voice.spec.files:
        return []
    texts = sorted(voice.spec.files.items())
    named = [Verbatim(voice("appendix.file", file=name), text) for name, text in texts]
    return [Heading(voice("appendix.files")), *named]


def _code_lists(voice: Voice) -> Block:
    if not voice.spec.code_lists:
        return paragraph(voice("appendix.no_lists"))
    heads = [
        (voice("appendix.list"), 1.6),
        (voice("appendix.definition"), 3.0),
        (voice("appendix.source"), 2.0),
    ]
    rows: list[tuple[Cell, ...]] = []
    for listed in voice.spec.code_lists:
        found = told(voice, listed, skip=("id", "name", "source"))
        codes = "; ".join(f"{name}: {text}" for name, text in found)
        source = dict(told(voice, listed)).get(voice.term("field", "source"), "")
        name = runs(Run(listed.id, tone="code"), _named(voice.text(listed.name)))
        rows.append((name, or_said(voice, codes), or_said(voice, source)))
    return table("code_lists", voice("appendix.lists"), heads, rows)


def _named(name: str) -> str:
    return f" {name}" if name else ""
