"""Curves of registry tables: survival and cumulative incidence of up to six groups."""

from tasks.report import numbers
from tasks.report.blocks import Block, Figure, Paragraph, plain, runs
from tasks.report.charts import COLOURS, CurveText, curve_chart
from tasks.report.context import Context
from tasks.report.figures import chart_svg
from tasks.report.model import Record
from tasks.report.sections.curves import KINDS, SHARES, apart, write_step


def curve_figures(context: Context, analysis: str, rows: list[Record]) -> list[Block]:
    """Return the figure of an analysis with curves; what stands instead where it has none."""
    return [
        _figure(context, analysis, estimate, curve, _of(rows, "n_at_risk", "table"))
        for estimate in KINDS
        if (curve := _of(rows, estimate, "curve"))
        and len({row["arm"] for row in curve}) <= len(COLOURS)
    ]


def _of(rows: list[Record], estimate: str, term: str) -> list[Record]:
    return [row for row in rows if row["estimate_name"] == estimate and row["term"] == term]


def _figure(
    context: Context, analysis: str, estimate: str, curve: list[Record], at_risk: list[Record]
) -> Block:
    words = context.words
    caption = words("tables.curve_caption", id=analysis, name=words.term("estimate", estimate))
    shown = [row for row in curve if row["status"] == "ok"]
    if not shown:
        return Paragraph(words.line("curves.all_withheld", caption=caption))
    arms = tuple(dict.fromkeys(_arm(context, row) for row in curve))
    points = [_point(context, row) for row in shown]
    beneath = [_at_risk(context, row) for row in apart(at_risk)]
    chart = curve_chart(
        points, beneath, _text(context, estimate, arms), floor_at_zero=estimate != "survival"
    )
    figure = f"curve_{analysis}"
    ends = "; ".join(_end(context, arm, points) for arm in arms)
    note = runs(words.line("tables.curve_figure_note"), _hidden(context, len(curve) - len(shown)))
    alt = words("curves.alt", caption=caption, ends=ends)
    return Figure(figure, caption, alt, chart_svg(chart, figure), note, chart)


def _hidden(context: Context, n: int) -> str:
    return context.words("curves.withheld_points", n=str(n)) if n else ""


def _arm(context: Context, row: Record) -> str:
    if row["stratum_level"] is None:
        return context.words("tables.curve_one")
    return f"{row['stratum_name']} {row['stratum_level']}"


def _point(context: Context, row: Record) -> Record:
    return {
        "arm": _arm(context, row),
        "day": row["at"],
        "estimate": row["estimate"],
        "low": row["ci_low"],
        "high": row["ci_high"],
        "value_text": context.number(row, "estimate", write_step(row)).text,
        "interval_text": plain(context.interval(row, write_step(row))),
    }


def _at_risk(context: Context, row: Record) -> Record:
    label = context.number(row, "estimate", numbers.whole).text
    return {"arm": _arm(context, row), "day": row["at"], "label": label}


def _text(context: Context, estimate: str, arms: tuple[str, ...]) -> CurveText:
    words = context.words
    return CurveText(
        words("curves.x"), words(f"curves.y_{estimate}"), words("curves.at_risk"), arms,
        words("curves.day"), words.term("estimate", estimate), words("ci.long"),
        estimate in SHARES,
    )  # fmt: skip


def _end(context: Context, arm: str, points: list[Record]) -> str:
    mine = [point for point in points if point["arm"] == arm]
    if not mine:
        return f"{arm} {numbers.DASH}"
    last = max(mine, key=lambda point: float(point["day"]))
    day, value = numbers.days(last["day"]), last["value_text"]
    return context.words("curves.end", arm=arm, day=day, value=value)
