"""Sections 8 and 9: every estimate with its interval, its size and how it was made."""

from tasks.report import numbers
from tasks.report.blocks import Block, Column, Figure, Paragraph, Run, Runs, Section, Table, runs
from tasks.report.charts import ForestText, forest_chart
from tasks.report.context import Context, Write
from tasks.report.figures import chart_svg
from tasks.report.model import Record

HAZARDS = ("hazard_ratio", "subdistribution_hazard_ratio")
ROLE_ORDER = ("primary", "replication", "sensitivity", "secondary", "exploratory")
OTHER = (
    "rmst",
    "rmst_difference",
    "rmst_ratio",
    "median_survival",
    "risk",
    "risk_difference",
    "risk_ratio",
    "incidence_rate",
    "rate_difference",
    "rate_ratio",
)
SHARES = {"risk", "risk_difference", "cumulative_incidence", "survival"}
THREE_PLACES = {"rmst_difference", "rmst"}


def section(context: Context) -> Section:
    """Return the hazard ratios of all analyses, as a table and as a forest plot."""
    words, rows = context.words, hazard_rows(context)
    if not rows:
        return Section(
            "estimates", words("section.estimates"), (Paragraph(words.line("estimates.none")),)
        )
    blocks: list[Block] = [Paragraph(words.line("estimates.intro", **context.names))]
    blocks.append(hazard_table(context, rows))
    if figure := forest(context, rows):
        blocks.append(figure)
    return Section("estimates", words("section.estimates"), tuple(blocks))


def hazard_rows(context: Context) -> list[Record]:
    """Return all hazard ratios, the primary first."""
    order = [a.id for a in context.spec.analyses]

    def rank(row: Record) -> tuple[int, int, str]:
        name = row["analysis_id"]
        place = order.index(name) if name in order else len(order)
        return ROLE_ORDER.index(row["role"]), place, row["se_method"] or ""

    found = [row for row in context.find(HAZARDS) if row["role"] in ROLE_ORDER]
    return sorted(found, key=rank)


def hazard_table(context: Context, rows: list[Record]) -> Table:
    """Return one row an analysis; a p-value never stands without its interval."""
    words = context.words
    labels = "analysis role method population hr n events se p".split()
    widths = (1.7, 1.25, 1.3, 1.55, 1.75, 0.8, 0.75, 1.5, 0.7)
    right = {"hr", "n", "events", "p"}
    columns = tuple(
        Column(words(f"estimates.col_{name}"), "right" if name in right else "left", width=width)
        for name, width in zip(labels, widths, strict=True)
    )
    body = tuple(_hazard_row(context, row) for row in rows)
    marked = tuple(i for i, row in enumerate(rows) if row["role"] == "primary")
    note = words.line("estimates.note", **context.names)
    caption = words("estimates.caption", **context.names)
    return Table("hazard_ratios", caption, columns, body, note, marked, small=True)


def _hazard_row(context: Context, row: Record) -> tuple[Runs, ...]:
    words = context.words
    return (
        (Run(str(row["analysis_id"]), tone="code"),),
        runs(words.term("role", row["role"])),
        runs(words.term("method", row["method"])),
        runs(words.term("population", row["population"])),
        context.with_interval(row, numbers.decimals),
        (context.number(row, "n", numbers.whole),),
        (context.number(row, "n_events", numbers.whole),),
        runs(words.term("se_method", row["se_method"])),
        (context.number(row, "p_value", numbers.p_value),),
    )


def forest(context: Context, rows: list[Record]) -> Figure | None:
    """Draw the hazard ratios that can be shown."""
    shown = [row for row in rows if row["status"] == "ok" and row["ci_low"] is not None]
    if not shown:
        return None
    words = context.words
    text = ForestText(
        words("forest.x", **context.names),
        words("forest.low", **context.names),
        words("forest.high", **context.names),
        words.term("estimate", "hazard_ratio"),
        words("ci.long"),
    )
    chart = forest_chart([_forest_point(context, row) for row in shown], text)
    said = "; ".join(f"{p['label']}: {p['value_text']}" for p in chart["data"]["values"])
    caption, alt = words("forest.caption", **context.names), words("forest.alt", said=said)
    svg = chart_svg(chart, "forest")
    return Figure("forest", caption, alt, svg, words.line("forest.note"), chart)


def _forest_point(context: Context, row: Record) -> Record:
    words = context.words
    role, method = words.term("role", row["role"]), words.term("method", row["method"])
    population = words.term("population", row["population"])
    return {
        "label": f"{role} · {population}",
        "detail": f"{method} · {words.term('se_method', row['se_method'])}",
        "estimate": row["estimate"],
        "low": row["ci_low"],
        "high": row["ci_high"],
        "value_text": "".join(run.text for run in context.with_interval(row, numbers.decimals)),
        "is_primary": row["role"] == "primary",
        "row": row["analysis_id"],
    }


def other_section(context: Context) -> Section:
    """Return restricted means, risks and rates of both arms, and what differs between them."""
    words = context.words
    rows = [row for name in OTHER for row in context.find(name) if row["role"] in ROLE_ORDER]
    rows.sort(key=lambda row: _other_rank(context, row))
    blocks: list[Block] = [Paragraph(words.line("other.intro"))]
    if rows:
        blocks.append(_other_table(context, rows))
    else:
        blocks = [Paragraph(words.line("other.none"))]
    return Section("other-estimates", words("section.other"), tuple(blocks))


def _other_rank(context: Context, row: Record) -> tuple[int, str, int, int]:
    order = [a.id for a in context.spec.analyses]
    name = row["analysis_id"]
    arms = list(context.arms)
    place = order.index(name) if name in order else len(order)
    arm = arms.index(row["arm"]) if row["arm"] in arms else len(arms)
    return place, name, OTHER.index(row["estimate_name"]), arm


def _other_table(context: Context, rows: list[Record]) -> Table:
    words = context.words
    labels = "measure arm population at value n events p".split()
    widths = (2.1, 1.6, 1.5, 0.9, 2.3, 0.8, 0.75, 0.8)
    right = {"value", "n", "events", "p"}
    columns = tuple(
        Column(words(f"other.col_{name}"), "right" if name in right else "left", width=width)
        for name, width in zip(labels, widths, strict=True)
    )
    body = tuple(_other_row(context, row) for row in rows)
    note = words.line("other.note", **context.names)
    return Table("other_estimates", words("other.caption"), columns, body, note, small=True)


def _other_row(context: Context, row: Record) -> tuple[Runs, ...]:
    words = context.words
    unit = f" ({words.term('unit', row['unit'])})" if row["unit"] and not _is_share(row) else ""
    at = words("other.day", day=numbers.days(row["at"])) if row["at"] is not None else numbers.DASH
    has_p = row["p_value"] is not None and row["ci_low"] is not None
    return (
        runs(words.term("estimate", row["estimate_name"]), unit),
        runs(context.arm_name(row["arm"]) if row["arm"] else words("other.contrast", **context.names)),
        runs(words.term("population", row["population"])),
        runs(at),
        context.with_interval(row, writer(row)),
        (context.number(row, "n", numbers.whole),),
        (context.number(row, "n_events", numbers.whole),),
        (context.number(row, "p_value", numbers.p_value),) if has_p else runs(numbers.DASH),
    )


def _is_share(row: Record) -> bool:
    return row["estimate_name"] in SHARES


def writer(row: Record) -> Write:
    """Return how an estimate of this kind is written."""
    if _is_share(row):
        return numbers.percent
    places = 3 if row["estimate_name"] in THREE_PLACES else 2
    return lambda value: numbers.decimals(value, places)
