"""Section 5: who was included, who was left out and why, and for how long they were followed."""

from tasks.report import numbers
from tasks.report.blocks import Block, Column, Figure, Paragraph, Runs, Section, Table, runs
from tasks.report.context import Context, place
from tasks.report.diagrams import Step, attrition_svg
from tasks.report.figures import stable_svg
from tasks.report.model import POPULATION_OF, Record

DAYS_PER_YEAR = 365.25


def section(context: Context) -> Section:
    """Return the flow chart, its numbers as a table, and the follow-up of both arms."""
    words = context.words
    steps = attrition_steps(context)
    blocks: list[Block] = []
    if steps:
        blocks += [Paragraph(words.line("people.intro")), flow_chart(context, steps)]
        blocks.append(attrition_table(context, steps))
    else:
        blocks.append(Paragraph(words.line("people.none")))
    blocks += follow_up(context)
    blocks += sites(context)
    return Section("people", words("section.people"), tuple(blocks))


def attrition_steps(context: Context) -> list[dict[str, Record]]:
    """Return the steps in order, each with the record of both arms."""
    steps: dict[int, dict[str, Record]] = {}
    records = context.inputs.attrition.to_dicts()
    for record in sorted(records, key=lambda record: (record["step"], record["arm"])):
        steps.setdefault(record["step"], {})[record["arm"]] = record
    return [step for step in steps.values() if set(context.arms) <= set(step)]


def flow_chart(context: Context, steps: list[dict[str, Record]]) -> Figure:
    """Draw the flow of both arms."""
    words = context.words
    drawn = [_drawn(context, step) for step in steps]
    target, comparator = context.arms.values()
    last = drawn[-1].remaining
    alt = words("people.alt", target=target, comparator=comparator, a=last[0], b=last[1])
    svg = stable_svg(attrition_svg((target, comparator), drawn, {}), "attrition")
    return Figure("attrition", words("people.caption"), alt, svg, words.line("people.note"))


def _drawn(context: Context, step: dict[str, Record]) -> Step:
    records = [step[arm] for arm in context.arms]
    excluded = [_count(context, record, "excluded") for record in records]
    remaining = [_count(context, record, "remaining") for record in records]
    lost = zip(records, excluded, strict=True)
    out = [_excluded(context, record, text) for record, text in lost]
    left = [
        _remaining(context, record, text) for record, text in zip(records, remaining, strict=True)
    ]
    return Step(_label(context, records[0]), (out[0], out[1]), (left[0], left[1]))


def _excluded(context: Context, record: Record, text: str) -> str:
    """Say how many were left out; nothing where persons are only sorted into the arms."""
    is_split = record["status"] == "ok" and record["excluded"] is None
    return "" if is_split else context.words("people.excluded", n=text)


def _remaining(context: Context, record: Record, text: str) -> str:
    """Say who remains; before anyone enters, of how many records."""
    records = record.get("records")
    if records is None:
        return context.words("people.remaining", n=text)
    return context.words("people.records", n=text, records=numbers.whole(records))


def _label(context: Context, record: Record) -> str:
    return str(record[f"label_{context.language}"])


def _count(context: Context, record: Record, column: str) -> str:
    value = record[column]
    if record["status"] == "ok" and value is not None:
        return numbers.whole(value)
    return context.state("suppressed") if record["status"] == "suppressed" else numbers.DASH


def attrition_table(context: Context, steps: list[dict[str, Record]]) -> Table:
    """Return the same numbers as a table."""
    words = context.words
    columns = [Column(words("people.step"), width=3)]
    has_records = any(r.get("records") is not None for step in steps for r in step.values())
    for name in context.arms.values():
        if has_records:
            columns.append(Column(words("people.col_records"), "right", name, 1.1))
        columns.append(Column(words("people.col_excluded"), "right", name, 1.1))
        columns.append(Column(words("people.col_remaining"), "right", name, 1.1))
    rows = tuple(
        (
            runs(_label(context, step[next(iter(context.arms))])),
            *(
                cell
                for arm in context.arms
                for cell in _cells(context, step[arm])[0 if has_records else 1 :]
            ),
        )
        for step in steps
    )
    return Table("attrition_table", words("people.table"), tuple(columns), rows, small=True)


def _cells(context: Context, record: Record) -> tuple[Runs, Runs, Runs]:
    """Return the records, who was left out, and who remains."""
    source = f"attrition/{record['arm']}"

    def cell(column: str) -> Runs:
        at = place(source, step=record["step"], column=column)
        return (context.cell(record[column], record["status"], numbers.whole, at),)

    dash = runs(numbers.DASH)
    entry = record["step"] == 0 and not record["excluded"]
    records = cell("records") if record.get("records") is not None else dash
    return records, dash if entry else cell("excluded"), cell("remaining")


def follow_up(context: Context) -> list[Block]:
    """Return persons, events and person-time of both arms, in each population without weights."""
    words = context.words
    rows = [
        row
        for population in POPULATION_OF.values()
        for arm in context.arms
        for row in context.find("count", analysis_id="follow_up", arm=arm, population=population)
    ]
    if not rows:
        return []
    labels = ("persons", "events", "share", "person_days", "person_years", "mean_days")
    columns = (
        Column(words("people.population"), width=1.6),
        Column(words("people.arm"), width=1.6),
        *(Column(words(f"people.col_{name}"), "right") for name in labels),
    )
    body = tuple(_follow_up_row(context, row) for row in rows)
    note = words.line("people.follow_up_note")
    return [Table("follow_up", words("people.follow_up"), columns, body, note, small=True)]


def _follow_up_row(context: Context, row: Record) -> tuple[Runs, ...]:
    n, events, time = row["n"], row["n_events"], row["person_time"]

    def derived(value: float | None, column: str, places: int = 1, scale: str = "") -> Runs:
        def write(x: float) -> str:
            return numbers.percent(x, places) if scale else numbers.decimals(x, places)

        at = place("follow_up/count", arm=row["arm"], population=row["population"], of=column)
        return (context.cell(value, row["status"], write, at),)

    return (
        runs(context.words.term("population", row["population"])),
        runs(context.arm_name(row["arm"])),
        (context.number(row, "n", numbers.whole),),
        (context.number(row, "n_events", numbers.whole),),
        derived(_ratio(events, n), "n_events/n", scale="share"),
        (context.number(row, "person_time", numbers.whole),),
        derived(_ratio(time, DAYS_PER_YEAR), "person_time/365.25"),
        derived(_ratio(time, n), "person_time/n"),
    )


def sites(context: Context) -> list[Block]:
    """Return persons and events of each site, where there are several."""
    words = context.words
    rows = {(r["site_id"], r["arm"]): r for r in context.find("count", analysis_id="sites")}
    if not rows:
        return []
    columns = [Column(words("data.col_site"), width=1.4)]
    for name in context.arms.values():
        columns += [
            Column(words(f"people.col_{what}"), "right", name) for what in ("persons", "events")
        ]
    body = tuple(
        (
            runs(site_id),
            *(
                (context.number(rows[site_id, arm], what, numbers.whole),)
                for arm in context.arms
                for what in ("n", "n_events")
            ),
        )
        for site_id in sorted({site_id for site_id, _ in rows})
    )
    note = words.line("people.sites_note")
    return [Table("sites", words("people.sites"), tuple(columns), body, note, small=True)]


def _ratio(part: float | None, whole: float | None) -> float | None:
    return None if part is None or not whole else part / whole
