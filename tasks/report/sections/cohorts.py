"""The cohorts of a study: how many persons are in each, and who was left after each step."""

from tasks.report import numbers
from tasks.report.blocks import (
    Block,
    Column,
    Figure,
    Heading,
    Paragraph,
    Runs,
    Section,
    Table,
    runs,
)
from tasks.report.context import Context, place
from tasks.report.diagrams import FlowStep, flow_svg
from tasks.report.figures import stable_svg
from tasks.report.model import Record


def section(context: Context) -> Section:
    """Return the sizes of all cohorts, then the flow chart and steps of each."""
    words = context.words
    blocks: list[Block] = [Paragraph(words.line("cohorts.intro")), sizes(context)]
    for cohort in context.spec.cohorts:
        steps = steps_of(context, cohort.id)
        if steps:
            blocks += [Heading(name_of(context, cohort.id)), flow_chart(context, cohort.id, steps)]
            blocks.append(step_table(context, cohort.id, steps))
    return Section("cohorts", words("section.cohorts"), tuple(blocks))


def name_of(context: Context, cohort_id: str) -> str:
    """Return what the study calls a cohort, else its id."""
    found = next((c for c in context.spec.cohorts if c.id == cohort_id), None)
    return found.name.in_language(context.language) if found and found.name else cohort_id


def sizes(context: Context) -> Table:
    """Return persons, spans and person-days of every cohort."""
    words = context.words
    columns = (
        Column(words("cohorts.col_cohort"), width=2.4),
        *(Column(words(f"cohorts.col_{name}"), "right") for name in ("persons", "spans", "days")),
    )
    rows = tuple(_size(context, cohort.id) for cohort in context.spec.cohorts)
    return Table("cohort_sizes", words("cohorts.sizes"), columns, rows)


def _size(context: Context, cohort_id: str) -> tuple[Runs, ...]:
    where = {"analysis_id": "cohorts", "population": cohort_id}
    persons, spans = (context.first("count", unit=unit, **where) for unit in ("persons", "spans"))
    assert persons is not None and spans is not None  # noqa: S101, PT018 - each cohort has both
    return (
        runs(name_of(context, cohort_id)),
        (context.number(persons, "estimate", numbers.whole),),
        (context.number(spans, "estimate", numbers.whole),),
        (context.number(persons, "person_time", numbers.whole),),
    )


def steps_of(context: Context, cohort_id: str) -> list[Record]:
    """Return the steps of one cohort, in order."""
    steps = [row for row in context.inputs.attrition.to_dicts() if row["arm"] == cohort_id]
    return sorted(steps, key=lambda row: int(row["step"]))


def flow_chart(context: Context, cohort_id: str, steps: list[Record]) -> Figure:
    """Draw who is left after each step."""
    words = context.words
    of_persons = [step for step in steps if step["remaining"] is not None or _withheld(step)]
    drawn = [
        FlowStep(
            _label(context, step),
            words("people.excluded", n=_count(context, step, "excluded")) if place else "",
            words("people.remaining", n=_count(context, step, "remaining")),
        )
        for place, step in enumerate(of_persons)
    ]
    name = name_of(context, cohort_id)
    svg = stable_svg(flow_svg(name, drawn), f"flow_{cohort_id}")
    alt = words("cohorts.alt", name=name, n=drawn[-1].remaining)
    return Figure(f"flow_{cohort_id}", words("cohorts.flow", name=name), alt, svg, ())


def step_table(context: Context, cohort_id: str, steps: list[Record]) -> Table:
    """Return the same numbers as a table, with records where a step counts them."""
    words = context.words
    columns = (
        Column(words("people.step"), width=3),
        Column(words("cohorts.col_records"), "right"),
        Column(words("people.col_excluded"), "right"),
        Column(words("people.col_remaining"), "right"),
    )
    body = tuple(
        (
            runs(_label(context, step)),
            *(_cell(context, step, column) for column in ("records", "excluded", "remaining")),
        )
        for step in steps
    )
    caption = words("cohorts.steps", name=name_of(context, cohort_id))
    return Table(f"steps_{cohort_id}", caption, columns, body, small=True)


def _withheld(step: Record) -> bool:
    return bool(step["status"] == "suppressed")


def _cell(context: Context, step: Record, column: str) -> Runs:
    at = place(f"attrition/{step['arm']}", step=step["step"], column=column)
    return (context.cell(step[column], step["status"], numbers.whole, at),)


def _label(context: Context, step: Record) -> str:
    return str(step[f"label_{context.language}"])


def _count(context: Context, step: Record, column: str) -> str:
    value = step[column]
    if step["status"] == "ok" and value is not None:
        return numbers.whole(value)
    return context.state("suppressed")
