"""Section 2: what was asked, before anything was counted."""

from collections.abc import Iterator

from tasks.core.spec import (
    Arm,
    CodeList,
    CohortArm,
    CohortDesign,
    ConditionOutcome,
    DrugArm,
    GraceDesign,
    NewUserDesign,
    StrategyArm,
)
from tasks.report.blocks import (
    Block,
    Column,
    Facts,
    Heading,
    Paragraph,
    Run,
    Runs,
    Section,
    Table,
    runs,
)
from tasks.report.context import Context
from tasks.report.sections.trial import endings, estimands, rules_said, statements, strategies


def section(context: Context) -> Section:
    """Return the question in plain words, its parts, and the estimand."""
    words, study = context.words, context.spec.study
    blocks: list[Block] = [
        Paragraph(runs(study.question.in_language(context.language)), lead=True),
        *([_parts_table(context)] if context.spec.has_trial else []),
        Facts(facts(context)),
        *((*strategies(context), *estimands(context)) if context.spec.has_trial else ()),
        *device(context),
    ]
    return Section("question", words("section.question"), tuple(blocks))


def _parts_table(context: Context) -> Table:
    words = context.words
    columns = (Column(words("pico.part"), width=1.1), Column(words("pico.definition"), width=4))
    rows = tuple((runs(name), value) for name, value in parts(context))
    return Table("question_parts", words("pico.caption"), columns, rows)


def parts(context: Context) -> list[tuple[str, Runs]]:
    """Return population, intervention, comparator, outcome, time and estimand."""
    words = context.words
    return [
        (words("pico.population"), population(context)),
        (words("pico.intervention"), _arm(context, context.spec.trial.target)),
        (words("pico.comparator"), _arm(context, context.spec.trial.comparator)),
        (words("pico.outcome"), _outcome(context)),
        (words("pico.time"), runs(risk_window(context), ". ", endings(context))),
        (words("pico.estimand"), statements(context)),
    ]


def population(context: Context) -> Runs:
    """Say who is eligible, from the design of the study."""
    words, design = context.words, context.spec.trial.design
    said = [_entry(context)]
    if design.prior_observation_days:
        said.append(words.line("pico.observed", days=str(design.prior_observation_days)))
    if design.prior_outcome_days:
        days = str(design.prior_outcome_days)
        said.append(words.line("pico.washout", days=days, **context.names))
    if isinstance(design, NewUserDesign | CohortDesign):
        said += _of_two_entries(context, design)
    said += rules_said(context)
    return runs(*[part for line in said for part in (line, " ")][:-1])


def _entry(context: Context) -> Runs:
    """Say how a person enters the study."""
    words, design = context.words, context.spec.trial.design
    if isinstance(design, CohortDesign):
        return words.line("pico.in_cohort", **context.names)
    if isinstance(design, NewUserDesign):
        return words.line("pico.new_users", **context.names)
    if isinstance(design, GraceDesign):
        return words.line("pico.enters", cohort=_cohort_name(context, design.entry_cohort))
    return words.line(
        "pico.first_image",
        image=code_list_name(context, design.image),
        detail=_concepts(context, design.image),
        start=str(design.enrolment.start),
        end=str(design.enrolment.end),
    )


def _of_two_entries(context: Context, design: NewUserDesign | CohortDesign) -> Iterator[Runs]:
    if design.common_period:
        yield context.words.line("pico.common_period")
    yield context.words.line(f"pico.both_{design.in_both_arms}")


def risk_window(context: Context) -> str:
    """Say when an outcome counts."""
    design, words = context.spec.trial.design, context.words
    start, end = design.risk_start, design.risk_end
    return words(
        "pico.window",
        start=_day(context, start.anchor, start.offset_days),
        end=_day(context, end.anchor, end.offset_days),
    )


def _day(context: Context, anchor: str, days: int) -> str:
    return context.words(f"anchor.{anchor}", days=offset(days), day=str(days))


def offset(days: int) -> str:
    """Write a number of days with its sign; none for 0."""
    return "" if days == 0 else f" + {days}" if days > 0 else f" − {-days}"


def _arm(context: Context, arm: Arm) -> Runs:
    name = context.arm_name(arm.id)
    if isinstance(arm, DrugArm):
        return _defined(name, _concepts(context, arm.code_list))
    if isinstance(arm, CohortArm):
        return _defined(name, context.words.line("pico.cohort", cohort=arm.cohort))
    if isinstance(arm, StrategyArm):
        return _defined(name, _strategy(context, arm))
    key = "pico.arm_shown" if arm.shown else "pico.arm_not_shown"
    return _defined(name, context.words.line(key))


def _strategy(context: Context, arm: StrategyArm) -> Runs:
    design = context.spec.trial.design
    key = "pico.arm_starts" if arm.starts else "pico.arm_does_not_start"
    treatment = design.treatment_cohort if isinstance(design, GraceDesign) else ""
    cohort, days = _cohort_name(context, treatment), str(design.grace_period_days)
    return context.words.line(key, cohort=cohort, days=days)


def _cohort_name(context: Context, cohort: str) -> str:
    """Return what the study calls a cohort, else its id."""
    name = next((c.name for c in context.spec.cohorts if c.id == cohort), None)
    return name.in_language(context.language) if name else cohort


def _outcome(context: Context) -> Runs:
    outcome, name = context.spec.trial.outcome, context.names["outcome"]
    if isinstance(outcome, ConditionOutcome):
        return _defined(name, _concepts(context, outcome.code_list))
    return _defined(name, context.words.line("pico.cohort", cohort=outcome.cohort))


def _defined(name: str, detail: Runs) -> Runs:
    return runs(Run(name, tone="strong"), " — ", *(Run(run.text, tone="muted") for run in detail))


def _concepts(context: Context, code_list: str) -> Runs:
    concepts = context.spec.concepts_of(code_list)
    key = "pico.with_descendants" if concepts.include_descendants else "pico.concepts_only"
    ids = ", ".join(_members(concepts))
    return context.words.line(key, concepts=ids, source=concepts.source)


def _members(code_list: CodeList) -> tuple[str, ...]:
    """Return what a code list names; what it excludes with a minus before it."""
    return (
        *(f"{'−' if item.exclude else ''}{item.concept}" for item in code_list.items),
        *(f"{block.vocabulary} {code}" for block in code_list.codes for code in block.codes),
        *(f"−{block.vocabulary} {code}" for block in code_list.codes for code in block.exclude),
        *(name for _, name in code_list.files),
    )


def code_list_name(context: Context, code_list: str) -> str:
    """Return what the study calls a code list, else its id."""
    name = context.spec.concepts_of(code_list).name
    return name.in_language(context.language) if name else code_list


def device(context: Context) -> tuple[Block, ...]:
    """Return the device as it is registered; nothing in a study without one."""
    words, device = context.words, context.spec.device
    if device is None:
        return ()
    approval = device.approval_number or words("device.no_approval")
    items = (
        (words("device.name"), runs(device.name.in_language(context.language))),
        (words("device.udi_di"), (Run(device.udi_di, tone="code"),)),
        (words("device.versions"), runs(", ".join(device.versions) or words("device.all"))),
        (words("device.approval"), runs(approval)),
        (words("device.intended_use"), runs(device.intended_use.in_language(context.language))),
    )
    return Heading(words("device.heading")), Facts(items)


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
        words.term("method", a.method)
        + ("" if a.source else f" · {words.term('adjustment', a.adjustment)}")
        for a in primary
    ]
    return "; ".join(named) or words("question.no_primary")
