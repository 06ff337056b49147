"""Sections 1 to 6: title page, abstract, amendments, milestones, rationale, question."""

from collections.abc import Iterator
from typing import Any

from tasks.report.blocks import Block, Facts, Heading, Run, Runs, Section, runs
from tasks.report.generic import joined, told, value_text
from tasks.report.protocol.adjusting import measures_text, method_text
from tasks.report.protocol.criteria import inclusion
from tasks.report.protocol.parts import Cell, capital, paragraph, table, todo
from tasks.report.voice import Voice

_MILESTONES = ("approval", "registration", "lock", "start", "end", "report")


def title_page(voice: Voice) -> Section:
    """Return the identity of the study; the open places are added when all is written."""
    study, spec = voice.spec.study, voice.spec
    registration = study.registration or todo(voice, "title.registration_todo")
    items: list[tuple[str, Runs]] = [
        (voice("title.study"), (Run(study.id, tone="code"),)),
        (voice("title.version"), runs(study.version)),
        (voice("title.hash"), (Run(spec.spec_hash, tone="code"),)),
        (voice("title.question"), runs(voice.text(study.question))),
        (voice("title.registration"), runs(registration)),
        (voice("title.people"), runs(todo(voice, "title.people_todo"))),
        (voice("title.countries"), runs(todo(voice, "title.countries_todo"))),
    ]
    if spec.device:
        items += [(capital(name), runs(text)) for name, text in told(voice, spec.device)]
    return Section("title_page", voice("section.title_page"), (Facts(tuple(items)),))


def abstract(voice: Voice) -> Section:
    """Return the protocol in a few lines."""
    rows: list[tuple[str, Cell]] = [
        (voice("abstract.background"), todo(voice, "abstract.background_todo")),
        (voice("abstract.question"), voice.text(voice.spec.study.question)),
        (voice("abstract.design"), design_text(voice)),
        (voice("abstract.population"), population_text(voice)),
    ]
    if voice.spec.has_trial:
        target, comparator = voice.arms
        pair = voice("abstract.comparison_text", target=target, comparator=comparator)
        rows += [(voice("abstract.comparison"), pair), (voice("abstract.outcome"), voice.outcome)]
    rows += [(voice("abstract.analysis"), primary_text(voice))]
    rows += [(voice("abstract.data"), sources_text(voice))]
    items = tuple((name, runs(value)) for name, value in rows)
    return Section("abstract", voice("section.abstract"), (Facts(items),))


def design_text(voice: Voice) -> str:
    """Say of which kind the study is."""
    design = voice.spec.design
    if design is not None:
        return voice.term("design", design.type)
    return voice("design.cohorts" if voice.spec.cohorts else "design.tables")


def population_text(voice: Voice) -> str:
    """Name whom the study is about."""
    if voice.spec.has_trial:
        return " / ".join(voice.arms)
    if voice.spec.cohorts:
        return ", ".join(voice.text(cohort.name) or cohort.id for cohort in voice.spec.cohorts)
    tables = [str(getattr(source, "table", source.id)) for source in voice.spec.sources]
    return voice("pico.tables", tables=", ".join(tables))


def primary_text(voice: Voice) -> str:
    """Name the primary analyses."""
    named = [
        f"{analysis.id}: {method_text(voice, analysis)}"
        for analysis in voice.spec.analyses
        if analysis.role == "primary"
    ]
    return "; ".join(named) or voice("abstract.no_primary")


def sources_text(voice: Voice) -> str:
    """Name the sources and their kinds."""
    return "; ".join(
        f"{source.id}: {voice.term('source', source.kind)}" for source in voice.spec.sources
    )


def competing_text(voice: Voice) -> str:
    """Say whether death competes; a death that nobody sees neither competes nor censors."""
    design = voice.spec.trial.design
    is_seen = design.observability.death.source != "not_observed"
    key = design.competing if is_seen or design.competing == "death" else "unseen"
    return voice.term("competing", key)


def amendments(voice: Voice) -> Section:
    """Return what the study file says of its amendments."""
    found = getattr(voice.spec.study, "amendments", ())
    if not found:
        block: Block = paragraph(voice("amendments.none", version=voice.spec.study.version))
    else:
        rows = [told(voice, amendment) for amendment in found]
        names = list(dict.fromkeys(name for row in rows for name, _ in row))
        heads = [(name, 1.0) for name in names]
        cells = [[dict(row).get(name, "") for name in names] for row in rows]
        block = table("amendments", voice("amendments.caption"), heads, cells)
    return Section("amendments", voice("section.amendments"), (block,))


def milestones(voice: Voice) -> Section:
    """Return the milestones, with their days left to be written."""
    heads = [(voice("milestones.milestone"), 2.0), (voice("milestones.day"), 2.0)]
    day = todo(voice, "milestones.date_todo")
    rows = [(voice(f"milestones.{name}"), day) for name in _MILESTONES]
    block = table("milestones", voice("milestones.caption"), heads, rows)
    return Section("milestones", voice("section.milestones"), (block,))


def rationale(voice: Voice) -> Section:
    """Return the headings of the rationale; its text is a person's."""
    blocks: list[Block] = []
    for name in ("known", "gap", "contribution"):
        blocks.append(Heading(voice(f"rationale.{name}")))
        blocks.append(paragraph(todo(voice, "rationale.todo")))
    return Section("rationale", voice("section.rationale"), tuple(blocks))


def question(voice: Voice) -> Section:
    """Return the question in its parts, and the estimands."""
    heads = [(voice("pico.part"), 1.0), (voice("pico.definition"), 4.0)]
    rows = [
        *_pico(voice),
        (voice("pico.hypothesis"), todo(voice, "pico.hypothesis_todo")),
        (voice("pico.effect"), measures_text(voice)),
    ]
    blocks: list[Block] = [
        paragraph(voice.text(voice.spec.study.question)),
        table("pico", voice("pico.caption"), heads, rows),
    ]
    if voice.spec.has_trial:
        blocks += _estimands(voice)
    return Section("question", voice("section.question"), tuple(blocks))


def _pico(voice: Voice) -> Iterator[tuple[str, Cell]]:
    if not voice.spec.has_trial:
        key = "pico.cohorts" if voice.spec.cohorts else "pico.population"
        yield voice(key), population_text(voice)
        return
    target, comparator = voice.arms
    yield voice("pico.population"), _who(voice)
    yield voice("pico.intervention"), target
    yield voice("pico.comparator"), comparator
    yield voice("pico.outcome"), voice.outcome
    yield voice("pico.time"), risk_text(voice)


def _who(voice: Voice) -> str:
    return "; ".join(f"{name}: {detail}" for name, detail, _ in inclusion(voice))


def risk_text(voice: Voice) -> str:
    """Say when an outcome counts."""
    design = voice.spec.trial.design
    start, end = (anchor_text(voice, a) for a in (design.risk_start, design.risk_end))
    return voice("follow_up.window", start=start, end=end)


def anchor_text(voice: Voice, anchor: Any) -> str:
    """Say a day that counts from its anchor."""
    days = int(anchor.offset_days)
    key = "on" if days == 0 else "after" if days > 0 else "before"
    day = voice.term("anchor", anchor.anchor)
    return voice(f"anchor_day.{key}", day=day, days=voice.zero.days(abs(days)))


def _estimands(voice: Voice) -> list[Block]:
    """Return a table of each estimand, attribute by attribute."""
    design, heads = (
        voice.spec.trial.design,
        [(voice("pico.part"), 1.0), (voice("pico.definition"), 4.0)],
    )
    found = [(str(item.id), item) for item in getattr(design, "estimands", None) or ()]
    if single := getattr(design, "estimand", None):
        found.append((voice("estimand.of_primary"), {"statement": single}))
    return [
        table(f"estimand_{place}", voice("estimand.caption", name=name), heads, _parts(voice, item))
        for place, (name, item) in enumerate(found, 1)
    ]


def _parts(voice: Voice, estimand: Any) -> Iterator[tuple[str, str]]:
    """Yield the attributes of an estimand; each intercurrent event is a row of its own."""
    attributes = told(voice, estimand, skip=("id", "intercurrent_events"))
    yield from ((capital(name), text) for name, text in attributes)
    for event in getattr(estimand, "intercurrent_events", ()):
        what = value_text(voice, getattr(event, "event", None)).rstrip(".")
        rest = joined(f"{name}: {text}" for name, text in told(voice, event, skip=("event",)))
        yield voice("estimand.intercurrent"), f"{what}. {rest}"
