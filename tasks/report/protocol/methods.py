"""Section 7: the methods, from the design to the size of the study."""

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from tasks.core.spec.base import Text
from tasks.core.spec.cohorts import Cohort, NativeCohort
from tasks.core.spec.design import DeviceArm, DrugArm, GraceDesign, StrategyArm
from tasks.core.spec.sources import LakeSource
from tasks.report.blocks import Block, Facts, Figure, Heading, Run, Section, Table, runs
from tasks.report.diagrams import days_of
from tasks.report.framework import bar_of_window, endings, window_of
from tasks.report.generic import items_of, joined, said, spoken_text, told, value_text
from tasks.report.phrases import Phrases
from tasks.report.pictures import pictures
from tasks.report.protocol.adjusting import (
    adjustment_text,
    initiation,
    propensity,
    sensitivity,
)
from tasks.report.protocol.criteria import criteria_tables, time_zero_table
from tasks.report.protocol.descriptions import descriptions
from tasks.report.protocol.opening import anchor_text, competing_text, design_text
from tasks.report.protocol.parts import Cell, capital, or_said, paragraph, table, todo
from tasks.report.protocol.registry import variables as table_variables
from tasks.report.voice import Voice

TOLD_ELSEWHERE = (
    "spec_version",
    "study",
    "sources",
    "device",
    "code_lists",
    "cohorts",
    "design",
    "target",
    "comparator",
    "outcome",
    "covariates",
    "characterisation",
    "analyses",
    "gates",
    "waivers",
    "privacy",
    "report",
)
TOLD_OF_DESIGN = (
    "type",
    "time_zero",
    "image",
    "entry_cohort",
    "treatment_cohort",
    "enrolment",
    "prior_observation_days",
    "prior_outcome_days",
    "common_period",
    "in_both_arms",
    "risk_start",
    "risk_end",
    "censor_at",
    "censor_events",
    "competing",
    "estimand",
    "estimands",
    "eligibility",
    "strategies",
    "assignment",
    "grace_period_days",
    "observability",
    "populations",
)


def section(voice: Voice) -> Section:
    """Return the methods."""
    blocks = [
        *_design(voice),
        *_diagram(voice),
        *_setting(voice),
        *_variables(voice),
        *_analysis(voice),
        *_sources(voice),
        Heading(voice("methods.management")),
        paragraph(voice("methods.management_text")),
        Heading(voice("methods.quality")),
        paragraph(voice("methods.quality_text")),
        *_gates(voice),
        Heading(voice("methods.size")),
        paragraph(todo(voice, "methods.size_todo")),
        *_further(voice),
    ]
    return Section("methods", voice("section.methods"), tuple(blocks))


def _design(voice: Voice) -> list[Block]:
    blocks: list[Block] = [
        Heading(voice("methods.design")),
        paragraph(design_text(voice), " ", todo(voice, "methods.rationale_todo")),
    ]
    design = voice.spec.design
    strategies, assignment = (getattr(design, name, None) for name in ("strategies", "assignment"))
    rows: list[tuple[str, Cell]] = [(capital(name), text) for name, text in told(voice, strategies)]
    if assignment is not None:
        rows.append((voice("methods.assignment"), value_text(voice, assignment)))
    if rows:
        heads = [(voice("methods.strategies"), 1.0), (voice("pico.definition"), 4.0)]
        blocks.append(table("strategies", voice("methods.strategies_caption"), heads, rows))
    if design is not None and (others := told(voice, design, skip=TOLD_OF_DESIGN)):
        blocks.append(Facts(tuple((name, runs(text)) for name, text in others)))
    return blocks


def _diagram(voice: Voice) -> list[Block]:
    flow, timeline = runs(voice("flow.note")), runs(voice("methods.diagram_note"))
    figures = [
        Figure(p.id, p.caption, p.alt, p.svg, flow if p.id == "data_flow" else timeline)
        for p in pictures(voice)
    ]
    return [Heading(voice("methods.diagram")), *figures]


def _setting(voice: Voice) -> list[Block]:
    blocks: list[Block] = [
        Heading(voice("methods.setting")),
        paragraph(todo(voice, "methods.context_todo")),
    ]
    if voice.spec.has_trial or voice.spec.cohorts:
        blocks.append(time_zero_table(voice))
    if voice.spec.has_trial:
        blocks += criteria_tables(voice)
        blocks += _populations(voice)
    else:
        blocks += cohort_tables(voice)
    return blocks


def _populations(voice: Voice) -> list[Block]:
    found = getattr(voice.spec.design, "populations", None) or ()
    if not found:
        return []
    heads = [(voice("analysis.population"), 1.0), (voice("criteria.detail"), 4.0)]
    rows = [
        (
            value_text(voice, getattr(population, "name", None)) or str(population.id),
            value_text(voice, getattr(population, "require", None)),
        )
        for population in found
    ]
    return [table("populations", voice("populations.caption"), heads, rows)]


def cohort_tables(voice: Voice) -> list[Block]:
    """Return a table of each cohort, part by part."""
    blocks: list[Block] = [_cohort_table(voice, cohort) for cohort in voice.spec.cohorts]
    told_whole = (cohort for cohort in voice.spec.cohorts if _is_told(voice, cohort))
    if any(told_whole):
        blocks.append(paragraph(voice("cohort.observed")))
    return blocks


def _is_told(voice: Voice, cohort: Cohort) -> bool:
    return isinstance(cohort, NativeCohort) or cohort.id in voice.translations


def _cohort_table(voice: Voice, cohort: Cohort) -> Table:
    """Return one cohort; that of a file by its file, and by its criteria where they are known."""
    heads = [(voice("cohort.part"), 1.2), (voice("cohort.detail"), 4.0)]
    rows = voice.cohort.cohort(cohort)
    if isinstance(cohort, NativeCohort):
        rows = _with_names(voice, cohort, rows)
    else:
        in_file = f"{rows[0][1]} {voice('cohort.in_appendix')}"
        rows = [(voice("cohort.file"), in_file), *_translated(voice, cohort)]
    caption = voice("cohort.caption", cohort=voice.text(cohort.name) or cohort.id)
    return table(f"cohort_{cohort.id}", caption, heads, rows)


def _translated(voice: Voice, cohort: Cohort) -> list[tuple[str, str]]:
    """Return the criteria of a file in our own language, where there is an equal."""
    found = voice.translations.get(cohort.id)
    if found is None:
        return []
    names = {name: Text(en=text, ko=text) for name, text in found.names.items()}
    rows = Phrases(voice.language, names).cohort(found.cohort)
    return _with_names(voice, found.cohort, rows)


def _with_names(
    voice: Voice, cohort: NativeCohort, rows: list[tuple[str, str]]
) -> list[tuple[str, str]]:
    return [_named(voice, cohort, place, row) for place, row in enumerate(rows)]


def _named(voice: Voice, cohort: NativeCohort, place: int, row: tuple[str, str]) -> tuple[str, str]:
    """Give the row of a rule the name of the rule; rules follow the entry."""
    if not 0 < place <= len(cohort.rules):
        return row
    rule = cohort.rules[place - 1]
    return f"{row[0]}: {voice.text(rule.name) or rule.id}", row[1]


def _variables(voice: Voice) -> list[Block]:
    blocks: list[Block] = [Heading(voice("methods.variables"))]
    if voice.spec.has_trial:
        blocks += [_exposure(voice), _outcome(voice), *_observability(voice), _follow_up(voice)]
        if days := getattr(voice.spec.design, "grace_period_days", None):
            blocks.append(paragraph(voice("exposure.grace", days=voice.zero.days(days))))
    blocks += table_variables(voice)
    return (
        blocks
        if voice.spec.tables and not voice.spec.covariates
        else [
            *blocks,
            _covariates(voice),
        ]
    )


def _exposure(voice: Voice) -> Block:
    heads = [
        (voice("exposure.arm"), 1.0),
        (voice("exposure.name"), 1.5),
        (voice("pico.definition"), 3.5),
    ]
    trial = voice.spec.trial
    arms: tuple[tuple[str, Any], ...] = (("target", trial.target), ("comparator", trial.comparator))
    rows = [
        (voice(f"exposure.{part}"), voice.text(arm.name), _arm(voice, arm)) for part, arm in arms
    ]
    return table("exposure", voice("exposure.caption"), heads, rows)


def _arm(voice: Voice, arm: Any) -> str:
    if isinstance(arm, DrugArm):
        return voice("exposure.drug", list=voice.zero.code_list(arm.code_list))
    if isinstance(arm, DeviceArm):
        return voice("exposure.shown" if arm.shown else "exposure.not_shown")
    design = voice.spec.design
    if isinstance(arm, StrategyArm) and isinstance(design, GraceDesign):
        what = {"cohort": design.treatment_cohort, "days": str(design.grace_period_days)}
        return voice("exposure.starts" if arm.starts else "exposure.does_not_start", **what)
    cohort = getattr(arm, "cohort", None)
    if isinstance(cohort, str):
        return voice("exposure.cohort", cohort=cohort)
    return "; ".join(f"{name}: {text}" for name, text in told(voice, arm, skip=("name",)))


def _outcome(voice: Voice) -> Block:
    heads = [(voice("exposure.name"), 1.0), (voice("pico.definition"), 4.0)]
    outcome: Any = voice.spec.trial.outcome
    others = told(voice, outcome, skip=("name", "code_list"))
    listed = getattr(outcome, "code_list", None)
    parts = [voice("outcome.definition", list=voice.zero.code_list(listed))] if listed else []
    parts += [f"{name}: {text}" for name, text in others]
    return table("outcome", voice("outcome.caption"), heads, [(voice.outcome, "; ".join(parts))])


def _observability(voice: Voice) -> list[Block]:
    seen = getattr(voice.spec.design, "observability", None)
    if seen is None:
        return []
    heads = [(voice("outcome.caption"), 1.0), (voice("outcome.seen"), 4.0)]
    rows = [(capital(name), text) for name, text in told(voice, seen)]
    return [table("observability", voice("outcome.seen_caption"), heads, rows)]


def _follow_up(voice: Voice) -> Block:
    design = voice.spec.trial.design
    heads = [(voice("cohort.part"), 1.0), (voice("pico.definition"), 4.0)]
    rows = [
        (voice("follow_up.start"), anchor_text(voice, design.risk_start)),
        (voice("follow_up.end"), anchor_text(voice, design.risk_end)),
        (voice("follow_up.earlier"), "; ".join(endings(voice))),
        (voice("follow_up.competing"), competing_text(voice)),
    ]
    return table("follow_up", voice("follow_up.caption"), heads, rows)


def _covariates(voice: Voice) -> Block:
    if not voice.spec.covariates:
        return paragraph(voice("covariates.none"))
    heads = [
        (voice("covariates.id"), 1.2),
        (voice("covariates.kind"), 1.2),
        (voice("covariates.window"), 1.2),
        (voice("covariates.definition"), 3.5),
    ]
    rows = [_covariate(voice, covariate) for covariate in voice.spec.covariates]
    return table("covariates", voice("covariates.caption"), heads, rows)


def _covariate(voice: Voice, covariate: Any) -> tuple[Cell, ...]:
    window = window_of(covariate)
    days = days_of(bar_of_window(window)) if window else "[0]"
    skip = ("id", "kind", "window_start_days", "window_end_days", "window")
    details = "; ".join(f"{name}: {text}" for name, text in told(voice, covariate, skip=skip))
    kind = capital(voice.term("covariate", getattr(covariate, "kind", "")))
    return Run(str(covariate.id), tone="code"), kind, days, details


def _analysis(voice: Voice) -> list[Block]:
    blocks: list[Block] = [Heading(voice("methods.analysis"))]
    if not voice.spec.analyses and voice.spec.characterisation is None:
        blocks.append(paragraph(voice("analysis.none")))
    blocks += descriptions(voice)
    if voice.spec.analyses:
        blocks += [_plan(voice), *propensity(voice), *initiation(voice)]
        blocks += sensitivity(voice)
    return [
        *blocks,
        paragraph(Run(voice("analysis.missing") + ". ", tone="strong"), _missing(voice)),
    ]


def _plan(voice: Voice) -> Block:
    found = voice.spec.analyses
    optional = [
        (name, 1.2)
        for name in ("estimand", "population")
        if any(getattr(analysis, name, None) for analysis in found)
    ]
    heads = [(voice("analysis.id"), 1.4), (voice("analysis.role"), 1.2)]
    heads += [(voice(f"analysis.{name}"), width) for name, width in optional]
    heads += [(voice("analysis.method"), 2.0), (voice("analysis.adjustment"), 1.8)]
    heads += [(voice("analysis.details"), 2.4)]
    rows = [_row_of(voice, analysis, [name for name, _ in optional]) for analysis in found]
    marked = tuple(place for place, a in enumerate(found) if a.role == "primary")
    return table("analyses", voice("analysis.caption"), heads, rows, marked)


def _row_of(voice: Voice, analysis: Any, optional: list[str]) -> tuple[Cell, ...]:
    skip = (
        *("id", "role", "method", "adjustment", "estimand", "population", "strata", "cluster"),
        *("gates", "planned"),
    )
    details = "; ".join(f"{name}: {text}" for name, text in told(voice, analysis, skip=skip))
    return (
        Run(str(analysis.id), tone="code"),
        voice.term("role", analysis.role),
        *(value_text(voice, getattr(analysis, name, None)) for name in optional),
        voice.term("method", analysis.method),
        adjustment_text(voice, analysis),
        details,
    )


def _missing(voice: Voice) -> str:
    tables = [
        voice("analysis.missing_table", source=source.id, rule=said(voice, "missing", rule))
        for source in voice.spec.sources
        if (rule := getattr(source, "missing", None)) is not None
    ]
    return " ".join([*tables, *_missing_in_records(voice)]) or voice("none_said")


def _missing_in_records(voice: Voice) -> Iterator[str]:
    """Yield what holds of covariates from records; nothing in a study without any."""
    if not voice.spec.covariates:
        return
    rules = [
        f"{covariate.id}: {said(voice, 'missing', rule)}"
        for covariate in voice.spec.covariates
        if (rule := getattr(covariate, "missing", None)) is not None
    ]
    yield voice("analysis.missing_text", rules="; ".join(rules) or voice("analysis.no_rule"))


def _sources(voice: Voice) -> list[Block]:
    heads = [
        (voice("sources.source"), 1.0),
        (voice("sources.kind"), 2.0),
        (voice("sources.details"), 4.0),
    ]
    rows: list[tuple[Cell, ...]] = []
    for source in voice.spec.sources:
        said_of = [f"{n}: {text}" for n, text in told(voice, source, skip=("id", "kind"))]
        if isinstance(source, LakeSource) and not said_of:
            said_of = [voice("sources.all_sites")]
        details = "; ".join(said_of)
        kind = voice.term("source", source.kind)
        rows.append((Run(str(source.id), tone="code"), kind, or_said(voice, details)))
    return [
        Heading(voice("methods.sources")),
        table("sources", voice("sources.caption"), heads, rows),
    ]


def _gates(voice: Voice) -> list[Block]:
    if not voice.spec.gates:
        return _looks(voice)
    heads = [
        (voice("gates.name"), 2.5),
        (voice("analysis.adjustment"), 1.5),
        (voice("gates.threshold"), 1.0),
        (voice("gates.on_miss"), 1.5),
        (voice("gates.analyses"), 1.8),
    ]
    rows = [
        (
            voice.term("gate", gate.name),
            voice.term("adjustment", gate.adjustment),
            f"{gate.limit:g}",
            voice.term("on_miss", gate.on_miss),
            ", ".join(a.id for a in voice.spec.bound_by(gate)) or voice("gates.study"),
        )
        for gate in voice.spec.gates
    ]
    return [
        paragraph(voice("methods.gates_text")),
        table("gates", voice("methods.gates_caption"), heads, rows),
        *_waivers(voice),
        *_looks(voice),
    ]


def _waivers(voice: Voice) -> list[Block]:
    """Show which gates need not pass, and who decided that, when and why."""
    if not voice.spec.waivers:
        return []
    widths = {"gate": 2.0, "analysis": 1.2, "by": 1.2, "date": 1.0, "reason": 3.0}
    heads = [(voice(f"waivers.{name}"), width) for name, width in widths.items()]
    rows = [
        (
            voice.term("gate", waiver.gate),
            waiver.analysis or voice("waivers.every"),
            waiver.by,
            waiver.date.isoformat(),
            waiver.reason,
        )
        for waiver in voice.spec.waivers
    ]
    return [table("waivers", voice("methods.waivers_caption"), heads, rows)]


def _looks(voice: Voice) -> list[Block]:
    """Say when the primary analyses may be looked at."""
    looks = []
    for analysis in voice.spec.analyses:
        planned = analysis.planned
        if planned is None:
            continue
        if planned.data_cutoff is not None:
            date = planned.data_cutoff.isoformat()
            looks.append(voice("methods.planned_cutoff", analysis=analysis.id, date=date))
        else:
            share, events = f"{planned.information_fraction:.0%}", str(planned.events)
            said_of = {"analysis": analysis.id, "share": share, "events": events}
            looks.append(voice("methods.planned_events", **said_of))
    if not looks:
        return []
    return [paragraph(voice("methods.planned_text", looks="; ".join(looks)))]


def _further(voice: Voice) -> list[Block]:
    """Show every block that this page has no words for, key by key."""
    found = [
        row
        for name, block in items_of(voice.spec)
        if name not in TOLD_ELSEWHERE
        for row in _entries(voice, name, block)
    ]
    if not found:
        return []
    return [Heading(voice("further")), Facts(tuple((name, runs(text)) for name, text in found))]


def _entries(voice: Voice, key: str, value: Any) -> Iterator[tuple[str, str]]:
    """Yield a row for each entry of a list, and for each key of a block; one for anything else."""
    name = voice.term("field", key)
    listed = isinstance(value, tuple) and value and all(hasattr(item, "id") for item in value)
    if listed:
        for item in value:
            text = joined(f"{n}: {said_so}" for n, said_so in told(voice, item, skip=("id",)))
            yield f"{name}: {item.id}", text
    elif isinstance(value, BaseModel) and not _is_one_text(voice, value):
        for inner, part in items_of(value):
            yield from ((f"{name}: {n}", text) for n, text in _entries(voice, inner, part))
    elif text := said(voice, key, value):
        yield name, text


def _is_one_text(voice: Voice, value: BaseModel) -> bool:
    return isinstance(value, Text) or bool(spoken_text(voice.zero, value))
