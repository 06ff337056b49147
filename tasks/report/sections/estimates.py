"""Section 8: every hazard ratio with its interval, its size and how it was made."""

from tasks.report import numbers
from tasks.report.blocks import Block, Column, Figure, Paragraph, Run, Runs, Section, Table, runs
from tasks.report.charts import ForestText, forest_chart
from tasks.report.context import Context
from tasks.report.figures import chart_svg
from tasks.report.model import Record

HAZARDS = ("hazard_ratio", "subdistribution_hazard_ratio")
ROLE_ORDER = ("primary", "replication", "sensitivity", "secondary", "exploratory")


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
    named = {a.id: (place, a.std_error) for place, a in enumerate(context.spec.analyses)}

    def rank(row: Record) -> tuple[int, int, bool, str]:
        place, std_error = named.get(row["analysis_id"], (len(named), None))
        method = row["se_method"] or ""
        return ROLE_ORDER.index(row["role"]), place, method != std_error, method

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
        runs(context.population_of(row)),
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
    population = context.population_of(row)
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
