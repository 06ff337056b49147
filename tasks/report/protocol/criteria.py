"""Who is in and who is out, and from which day: the tables of section 7.3."""

from collections.abc import Iterator

from tasks.core.spec.cohorts import NativeCohort, Rule
from tasks.core.spec.design import DeviceShownDesign, GraceDesign, NewUserDesign
from tasks.report.blocks import Block, Run
from tasks.report.diagrams import Bar, days_of
from tasks.report.framework import bars_of, outcome_washout, rules_of, time_zero
from tasks.report.protocol.parts import Cell, paragraph, table
from tasks.report.voice import Voice

Criterion = tuple[str, str, str]


def time_zero_table(voice: Voice) -> Block:
    """Return the table of time zero: which day, how often, incident or prevalent."""
    heads = [
        (voice("zero.population"), 1.2),
        (voice("zero.day"), 3.0),
        (voice("zero.entries"), 1.5),
        (voice("zero.incident"), 2.0),
    ]
    rows = _zero_of_trial(voice) if voice.spec.has_trial else _zero_of_cohorts(voice)
    return table("time_zero", voice("zero.caption"), heads, rows)


def _zero_of_trial(voice: Voice) -> Iterator[tuple[Cell, ...]]:
    design = voice.spec.trial.design
    key = "of_cohort"
    if isinstance(design, NewUserDesign):
        key = "ever"
    elif isinstance(design, DeviceShownDesign):
        key = "first_image"
    once = voice("zero.of_cohort" if key == "of_cohort" else "zero.once")
    yield " / ".join(voice.arms), time_zero(voice), once, voice(f"zero.{key}")


def _zero_of_cohorts(voice: Voice) -> Iterator[tuple[Cell, ...]]:
    phrases = voice.cohort
    for cohort in voice.spec.cohorts:
        name = voice.text(cohort.name) or cohort.id
        if not isinstance(cohort, NativeCohort):
            said = voice("zero.of_file")
            yield name, phrases.cohort(cohort)[0][1], said, said
            continue
        days = cohort.entry.washout_days
        washout = phrases.say("entry.washout", days=phrases.days(days)) if days else ""
        yield (
            name,
            phrases.entry(cohort.entry)[0],
            phrases.limit(cohort.entry),
            washout or voice("zero.no_washout"),
        )


def criteria_tables(voice: Voice) -> list[Block]:
    """Return the tables of inclusion and exclusion criteria of a comparison."""
    return [
        _criteria(voice, "inclusion", list(inclusion(voice))),
        _criteria(voice, "exclusion", list(exclusion(voice))),
    ]


def _criteria(voice: Voice, kind: str, found: list[Criterion]) -> Block:
    caption = voice(f"criteria.{kind}")
    if not found:
        return paragraph(Run(f"{caption}: ", tone="strong"), voice("criteria.none"))
    heads = [
        (voice("criteria.criterion"), 1.3),
        (voice("criteria.detail"), 4.0),
        (voice("criteria.days"), 1.0),
    ]
    return table(kind, caption, heads, found)


def inclusion(voice: Voice) -> Iterator[Criterion]:
    """Yield name, exact text and days of everything that is required at time zero."""
    design, phrases = voice.spec.trial.design, voice.zero
    yield _entry(voice)
    prior = getattr(design, "prior_observation_days", None)
    if prior is not None:
        detail = voice("criteria.observed_text", days=phrases.days(prior))
        yield voice("criteria.observed"), detail, days_of(Bar(-prior, 0))
    if getattr(design, "common_period", False):
        yield voice("criteria.common"), voice("criteria.common_text"), "[0]"
    yield voice("criteria.at_risk"), voice("criteria.at_risk_text"), ""
    for rule in rules_of(design):
        if rule.require is not None:
            yield _of_rule(voice, rule)


def _entry(voice: Voice) -> Criterion:
    design, (target, comparator) = voice.spec.trial.design, voice.arms
    if isinstance(design, DeviceShownDesign):
        dates = {"start": str(design.enrolment.start), "end": str(design.enrolment.end)}
        image = voice.zero.code_list(design.image)
        return voice("criteria.image"), voice("criteria.image_text", image=image, **dates), "[0]"
    if isinstance(design, GraceDesign):
        cohort = voice.cohort_name(design.entry_cohort)
        return voice("criteria.cohort"), voice("criteria.entered_text", cohort=cohort), "[0]"
    key = "era" if isinstance(design, NewUserDesign) else "cohort"
    said = voice(f"criteria.{key}_text", target=target, comparator=comparator)
    return voice(f"criteria.{key}"), said, "[0]"


def exclusion(voice: Voice) -> Iterator[Criterion]:
    """Yield name, exact text and days of everything that excludes."""
    design, phrases = voice.spec.trial.design, voice.zero
    if both := getattr(design, "in_both_arms", None):
        yield voice("criteria.both"), voice.term("criteria", f"both_{both}"), ""
    if isinstance(design, GraceDesign):
        cohort = voice.cohort_name(design.treatment_cohort)
        said = voice("criteria.started_text", cohort=cohort)
        yield voice("criteria.started"), said, days_of(Bar(None, -1))
    if washout := outcome_washout(design):
        detail = voice(
            "criteria.outcome_text", outcome=voice.outcome, days=phrases.days(-washout[0])
        )
        yield voice("criteria.outcome"), detail, days_of(Bar(*washout))
    for rule in rules_of(design):
        if rule.exclude is not None:
            yield _of_rule(voice, rule)


def _of_rule(voice: Voice, rule: Rule) -> Criterion:
    days = ", ".join(days_of(bar) for bar in bars_of(rule.condition))
    return voice.text(rule.name) or rule.id, voice.zero.condition(rule.condition), days
