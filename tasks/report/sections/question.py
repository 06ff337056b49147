"""Section 2: what was asked, before anything was counted."""

from tasks.report.blocks import Block, Column, Facts, Paragraph, Run, Runs, Section, Table, runs
from tasks.report.context import Context


def section(context: Context) -> Section:
    """Return the question in plain words, its parts, and the estimand."""
    words, study = context.words, context.spec.study
    blocks: list[Block] = [
        Paragraph(runs(study.question.in_language(context.language)), lead=True),
        Table(
            "question_parts",
            words("pico.caption"),
            (Column(words("pico.part"), width=1.1), Column(words("pico.definition"), width=4)),
            tuple((runs(name), value) for name, value in parts(context)),
        ),
        Facts(facts(context)),
    ]
    return Section("question", words("section.question"), tuple(blocks))


def parts(context: Context) -> list[tuple[str, Runs]]:
    """Return population, intervention, comparator, outcome, time and estimand."""
    words, design = context.words, context.spec.design
    return [
        (words("pico.population"), population(context)),
        (words("pico.intervention"), _named(context, context.spec.target.code_list, 0)),
        (words("pico.comparator"), _named(context, context.spec.comparator.code_list, 1)),
        (words("pico.outcome"), _named(context, context.spec.outcome.code_list, 2)),
        (words("pico.time"), runs(risk_window(context))),
        (words("pico.estimand"), runs(design.estimand.in_language(context.language))),
    ]


def population(context: Context) -> Runs:
    """Say who is eligible, from the design of the study."""
    words, design = context.words, context.spec.design
    said = [words.line("pico.new_users", **context.names)]
    if design.prior_observation_days:
        said.append(words.line("pico.observed", days=str(design.prior_observation_days)))
    if design.prior_outcome_days:
        days = str(design.prior_outcome_days)
        said.append(words.line("pico.washout", days=days, **context.names))
    if design.common_period:
        said.append(words.line("pico.common_period"))
    said.append(words.line(f"pico.both_{design.in_both_arms}"))
    return runs(*[part for line in said for part in (line, " ")][:-1])


def risk_window(context: Context) -> str:
    """Say when an outcome counts."""
    design, words = context.spec.design, context.words
    start, end = design.risk_start, design.risk_end
    return words(
        "pico.window",
        start=words(f"anchor.{start.anchor}", days=offset(start.offset_days)),
        end=words(f"anchor.{end.anchor}", days=offset(end.offset_days)),
    )


def offset(days: int) -> str:
    """Write a number of days with its sign; none for 0."""
    return "" if days == 0 else f" + {days}" if days > 0 else f" − {-days}"


def _named(context: Context, code_list: str, position: int) -> Runs:
    concepts = context.spec.concepts_of(code_list)
    name = list(context.names.values())[position]
    key = "pico.with_descendants" if concepts.include_descendants else "pico.concepts_only"
    ids = ", ".join(str(concept) for concept in concepts.concepts)
    detail = context.words.line(key, concepts=ids, source=concepts.source)
    return runs(Run(name, tone="strong"), " — ", *(Run(run.text, tone="muted") for run in detail))


def facts(context: Context) -> tuple[tuple[str, Runs], ...]:
    """Return the identity of the study."""
    study, words = context.spec.study, context.words
    registration = study.registration or words("question.not_registered")
    return (
        (words("question.study"), (Run(study.id, tone="code"),)),
        (words("question.version"), runs(study.version)),
        (words("question.registration"), runs(registration)),
        (words("question.primary"), runs(_primary(context))),
    )


def _primary(context: Context) -> str:
    primary = [a for a in context.spec.analyses if a.role == "primary"]
    words = context.words
    named = [
        f"{words.term('method', a.method)} · {words.term('adjustment', a.adjustment)}"
        for a in primary
    ]
    return "; ".join(named) or words("question.no_primary")
