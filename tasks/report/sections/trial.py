"""The target trial in words: strategies, assignment, estimands, and where events can be seen."""

from collections.abc import Iterator

from tasks.core.spec import Estimand, StudyPopulation
from tasks.core.spec.cohorts import Rule
from tasks.core.spec.estimands import Seen
from tasks.report.blocks import (
    LINE_BREAK,
    Block,
    Bullets,
    Column,
    Facts,
    Heading,
    Paragraph,
    Run,
    Runs,
    Table,
    runs,
)
from tasks.report.context import Context
from tasks.report.phrases import phrases_of


def statements(context: Context) -> Runs:
    """Return what is estimated, one statement an estimand; say so where nothing is."""
    estimands = context.spec.trial.design.estimands
    if not estimands:
        return context.words.line("estimand.none")
    said = [estimand.statement.in_language(context.language) for estimand in estimands]
    return runs(*[part for text in said for part in (text, LINE_BREAK)][:-1])


def strategies(context: Context) -> tuple[Block, ...]:
    """Return the strategies of both arms and how persons came to them."""
    words, design = context.words, context.spec.trial.design
    target, comparator = context.arms.values()
    items = (
        (target, runs(design.strategies.target.in_language(context.language))),
        (comparator, runs(design.strategies.comparator.in_language(context.language))),
        (words("trial.assignment"), runs(design.assignment.in_language(context.language))),
    )
    return Heading(words("trial.strategies")), Facts(items)


def estimands(context: Context) -> tuple[Block, ...]:
    """Return the attributes of each estimand, and what is done about intercurrent events."""
    found = context.spec.trial.design.estimands
    if not found:
        return ()
    blocks: list[Block] = [Heading(context.words("estimand.heading"))]
    for place, estimand in enumerate(found):
        blocks.append(Facts(_attributes(context, estimand)))
        if estimand.intercurrent_events:
            blocks.append(_intercurrent(context, estimand, place))
    return tuple(blocks)


def _attributes(context: Context, estimand: Estimand) -> tuple[tuple[str, Runs], ...]:
    words, language = context.words, context.language
    serving = [a for a in context.spec.analyses if context.spec.estimand_of(a) == estimand]
    primary = ", ".join(a.id for a in serving if a.role == "primary")
    return (
        (words("estimand.id"), (Run(estimand.id, tone="code"),)),
        (words("estimand.population"), runs(estimand.population.in_language(language))),
        (words("estimand.variable"), runs(estimand.variable.in_language(language))),
        (words("estimand.measure"), runs(words.term("estimate", estimand.summary_measure))),
        (words("estimand.primary"), (Run(primary, tone="code"),)),
    )


def _intercurrent(context: Context, estimand: Estimand, place: int) -> Table:
    words, language = context.words, context.language
    columns = (
        Column(words("estimand.event"), width=1.5),
        Column(words("estimand.strategy"), width=1),
        Column(words("estimand.how"), width=2.5),
    )
    rows = tuple(
        (
            runs(event.event.in_language(language)),
            runs(words(f"intercurrent.{event.strategy}")),
            runs(event.how.in_language(language)),
        )
        for event in estimand.intercurrent_events
    )
    name = "intercurrent" if place == 0 else f"intercurrent_{estimand.id}"
    return Table(name, words("estimand.intercurrent"), columns, rows, small=True)


def eligibility(context: Context) -> tuple[Block, ...]:
    """Return the rules that are judged at time zero beyond the entry, in their order."""
    words, rules = context.words, context.spec.trial.design.eligibility
    heading = Heading(words("trial.eligibility"))
    if not rules:
        return heading, Paragraph(words.line("trial.no_rules"))
    return heading, Bullets(tuple(_rule(context, rule) for rule in rules))


def _rule(context: Context, rule: Rule) -> Runs:
    """Name a rule, with its exact sentence beside it."""
    phrases = phrases_of(context.spec, context.language, "zero_")
    key = "trial.required" if rule.require is not None else "trial.excluded"
    name = Run(rule.name.in_language(context.language) if rule.name else rule.id, tone="strong")
    return context.words.line(key, rule=name, sentence=phrases.condition(rule.condition))


def rules_said(context: Context) -> Iterator[Runs]:
    """Yield every rule of eligibility as a sentence of its own."""
    phrases = phrases_of(context.spec, context.language, "zero_")
    for rule in context.spec.trial.design.eligibility:
        key = "pico.required" if rule.require is not None else "pico.excluded"
        yield context.words.line(key, sentence=phrases.condition(rule.condition))


def endings(context: Context) -> Runs:
    """Say what ends follow-up before the risk window does."""
    design = context.spec.trial.design
    phrases = phrases_of(context.spec, context.language, "zero_")
    ends = [context.words("trial.ends_observation")]
    ends += [context.words("trial.ends_death")] if design.competing == "death" else []
    ends += [phrases.events(events) for events in design.censor_events]
    return context.words.line("trial.ends", events="; ".join(ends))


def observability(context: Context) -> tuple[Block, ...]:
    """Return where the outcome and death can be seen."""
    words, seen = context.words, context.spec.trial.design.observability
    columns = (
        Column(words("trial.event"), width=0.9),
        Column(words("trial.source"), width=1),
        Column(words("trial.linkage"), width=1.2),
        Column(words("trial.catchment"), width=2.4),
    )
    rows = (
        _seen(context, context.names["outcome"], seen.outcome),
        _seen(context, words("trial.death"), seen.death),
    )
    table = Table("observability", words("trial.observability"), columns, rows, small=True)
    return Heading(words("trial.observability_heading")), table


def _seen(context: Context, name: str, seen: Seen) -> tuple[Runs, ...]:
    words, language = context.words, context.language
    linkage = seen.linkage.in_language(language) if seen.linkage else words("trial.not_linked")
    return (
        runs(name),
        runs(words.term("seen", seen.source)),
        runs(linkage),
        runs(seen.catchment.in_language(language)),
    )


def populations(context: Context) -> tuple[Block, ...]:
    """Return the populations to which analyses are restricted."""
    found = context.spec.trial.design.populations
    if not found:
        return ()
    items = tuple((population.id, _population(context, population)) for population in found)
    return Heading(context.words("trial.populations")), Facts(items)


def _population(context: Context, population: StudyPopulation) -> Runs:
    used = [a.id for a in context.spec.analyses if a.population == population.id]
    analyses = ", ".join(used) or context.words("trial.in_no_analysis")
    name = population.name.in_language(context.language)
    return context.words.line("trial.population", name=name, analyses=analyses)
