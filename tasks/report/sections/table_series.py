"""The figure of an interrupted series: its mean with the interruption, and without."""

from tasks.report import numbers
from tasks.report.blocks import Block, Figure, Paragraph, runs
from tasks.report.charts_series import SeriesText, series_chart
from tasks.report.context import Context
from tasks.report.figures import chart_svg
from tasks.report.model import Record

_LINES = ("fitted", "counterfactual")
OBSERVED = "observed"


def is_line(row: Record) -> bool:
    """Whether a row is a point of a line, which the figure shows and no table."""
    return bool(row["estimate_name"] == "mean" and row["at_kind"] == "period")


def series_figures(context: Context, analysis: str, rows: list[Record]) -> list[Block]:
    """Return the figure of an analysis with lines; what stands instead where all is withheld."""
    lines = [row for row in rows if is_line(row)]
    if not lines:
        return []
    words = context.words
    caption = words("series.caption", id=analysis)
    shown = [row for row in lines if row["status"] == "ok" and row["term"] in _LINES]
    if not shown:
        return [Paragraph(words.line("curves.all_withheld", caption=caption))]
    names = {line: words(f"series.{line}") for line in _LINES}
    text = SeriesText(
        words("series.x"), words("series.y"), tuple(names.values()), words("series.period"),
        words("series.value"),
    )  # fmt: skip
    points = _points(shown, names)
    seen = [row for row in lines if row["status"] == "ok" and row["term"] == OBSERVED]
    dots = _points(seen, {OBSERVED: words("series.observed")})
    chart, figure = series_chart(points, text, dots), f"series_{analysis}"
    ends = "; ".join(_end(context, points, name) for name in names.values())
    alt = words("curves.alt", caption=caption, ends=ends)
    sites = len({row["stratum_level"] for row in shown})
    note = words.line("series.note_sites" if sites > 1 else "series.note", sites=str(sites))
    note = runs(note, words("series.dots" if dots else "series.no_dots"))
    return [Figure(figure, caption, alt, chart_svg(chart, figure), note, chart)]


def _points(rows: list[Record], names: dict[str, str]) -> list[Record]:
    """Return the mean of the sites at each period of each line."""
    sums: dict[tuple[str, float], list[float]] = {}
    for row in rows:
        sums.setdefault((row["term"], row["at"]), []).append(row["estimate"])
    return [
        {
            "line": names[term],
            "period": period,
            "estimate": sum(values) / len(values),
            "value_text": numbers.decimals(sum(values) / len(values), 3),
        }
        for (term, period), values in sorted(sums.items(), key=lambda pair: pair[0])
    ]


def _end(context: Context, points: list[Record], line: str) -> str:
    last = max((p for p in points if p["line"] == line), key=lambda p: float(p["period"]))
    period, value = numbers.days(last["period"]), last["value_text"]
    return context.words("series.end", line=line, period=period, value=value)
