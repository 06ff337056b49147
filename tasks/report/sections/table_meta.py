"""Meta-analysis of a table of effects: forest plot, pooled effect, sites, funnel, each site out."""

from collections.abc import Callable, Mapping
from math import exp, floor, log, log10

from tasks.core.spec import Analysis
from tasks.report import numbers
from tasks.report.blocks import Block, Column, Details, Figure, Paragraph, Runs, Table, plain, runs
from tasks.report.charts_meta import PoolText, forest_of_sites, funnel_chart, funnel_limits
from tasks.report.context import Context, Write
from tasks.report.figures import chart_svg
from tasks.report.model import Record

META = "meta_analysis"
_RATIOS = ("risk_ratio", "rate_ratio", "odds_ratio", "hazard_ratio")
_SPREAD = ("q", "i2", "h2", "tau2", "r2")
_TESTS = ("egger", "test")
_LIMITS = ("prediction_low", "prediction_high")
_FILLED = ("trim_and_fill_l0", "trim_and_fill_r0")
_WITH_P = ("q", "egger", "test")


def meta_blocks(context: Context, analysis: Analysis, rows: list[Record]) -> list[Block]:
    """Return what a meta-analysis found."""
    words = context.words
    how = words.term("pooling", analysis.pooling)
    blocks: list[Block] = [Paragraph(words.line("meta.intro", how=how))]
    blocks += [
        Paragraph(words.line("tables.not_estimable", note=str(row["note"])))
        for row in rows
        if row["status"] == "not_estimable" and row["stratum_level"] is None and row["note"]
    ][:3]
    blocks += _forest(context, analysis, rows)
    blocks.append(_summary(context, analysis, rows))
    blocks.append(_sites(context, analysis, rows))
    blocks += _funnel(context, analysis, rows)
    lists = [_one_out(context, analysis, rows), _one_more(context, analysis, rows)]
    shown = tuple(table for table in lists if table.rows)
    return [*blocks, *([Details(words("meta.open"), shown)] if shown else [])]


def _measure(analysis: Analysis) -> str:
    return analysis.measure or "coefficient"


def _of(rows: list[Record], name: str, scenario: str | None) -> list[Record]:
    return [r for r in rows if r["estimate_name"] == name and r["scenario"] == scenario]


def _pooled(analysis: Analysis, rows: list[Record]) -> list[Record]:
    """Return the row of the pooled effect, if there is one."""
    found = _of(rows, _measure(analysis), None)
    return [row for row in found if row["stratum_level"] is None and row["term"] is None]


def _site_rows(analysis: Analysis, rows: list[Record]) -> list[Record]:
    """Return the rows of sites in the order of their names, numbers by their size."""
    found = _of(rows, _measure(analysis), "site")
    return sorted(found, key=lambda row: _by_name(str(row["stratum_level"])))


def _by_name(name: str) -> tuple[int, int, str]:
    return (0, int(name), name) if name.isdecimal() else (1, 0, name)


def _scale(analysis: Analysis, rows: list[Record]) -> str:
    if any(row["estimate_scale"] == "ratio" for row in rows):
        return "ratio"
    return "share" if analysis.measure == "proportion" else "difference"


def _text(context: Context, analysis: Analysis) -> PoolText:
    words = context.words
    name = words.term("estimate", _measure(analysis))
    is_log = analysis.measure in _RATIOS
    title = words("meta.x_log", name=name) if is_log else name
    return PoolText(title, name, words("meta.weight"), words("meta.std_error"))


def _forest(context: Context, analysis: Analysis, rows: list[Record]) -> list[Block]:
    """Return the forest plot of what may be shown; nothing where no site may."""
    weights = {r["stratum_level"]: r for r in _of(rows, "weight", None)}
    points = [
        _point(context, row, str(row["stratum_level"]), "site", weights.get(row["stratum_level"]))
        for row in _site_rows(analysis, rows)
        if row["status"] == "ok"
    ]
    if not points:
        return []
    words = context.words
    shown = [row for row in _pooled(analysis, rows) if row["status"] == "ok"]
    points += [_point(context, row, words("meta.pooled"), "pooled", None) for row in shown]
    points += _predicted(context, rows)
    scale, figure = _scale(analysis, rows), f"forest_{analysis.id}"
    chart = forest_of_sites(points, _text(context, analysis), scale)
    said = "; ".join(f"{p['label']}: {p['value_text']}" for p in points)
    caption = words("meta.forest_caption", id=analysis.id)
    note = words.line("meta.forest_note" if shown else "meta.forest_note_sites")
    alt = words("forest.alt", said=said)
    return [Figure(figure, caption, alt, chart_svg(chart, figure), note, chart)]


def _point(
    context: Context, row: Record, label: str, kind: str, weight: Record | None
) -> dict[str, object]:
    has_weight = weight is not None and weight["status"] == "ok"
    share = weight["estimate"] if weight is not None and has_weight else None
    return {
        "label": label,
        "estimate": row["estimate"],
        "low": row["ci_low"],
        "high": row["ci_high"],
        "value_text": plain(context.with_interval(row, numbers.decimals)),
        "weight": share,
        "weight_text": "" if share is None else f"{numbers.decimals(share, 1)}%",
        "kind": kind,
    }


def _predicted(context: Context, rows: list[Record]) -> list[Record]:
    limits = [row for name in _LIMITS for row in _of(rows, name, None) if row["status"] == "ok"]
    if len(limits) != 2:
        return []
    low, high = (row["estimate"] for row in limits)
    text = plain(_between(context, limits, numbers.decimals))
    return [
        {
            "label": context.words("meta.prediction"), "estimate": None, "low": low, "high": high,
            "value_text": text, "weight": None, "weight_text": "", "kind": "prediction",
        }
    ]  # fmt: skip


def _between(context: Context, limits: list[Record], write: Write) -> Runs:
    low, high = (context.number(row, "estimate", write) for row in limits)
    return runs(low, context.words("interval.to"), high)


def _summary(context: Context, analysis: Analysis, rows: list[Record]) -> Table:
    """Return the pooled effect, how far sites differ, and the tests."""
    words = context.words
    columns = (
        Column(words("tables.col_estimate"), width=2.6),
        Column(words("tables.col_value"), "right", width=2.2),
        Column(words("meta.col_sites"), "right", width=0.8),
        Column(words("tables.col_how"), width=1.6),
        Column(words("tables.col_p"), "right", width=0.8),
    )
    measure = _measure(analysis)
    found = [row for row in rows if row["term"] is not None and row["term"] != "missing_sites"]
    body = [_line(context, row, str(row["term"])) for row in found]
    body += [_line(context, r, words.term("estimate", measure)) for r in _pooled(analysis, rows)]
    body += _prediction_line(context, rows)
    body += [
        _line(context, row, words.term("estimate", name))
        for name in _SPREAD
        for row in _of(rows, name, None)
    ]
    body += [_test_line(context, row) for name in _TESTS for row in _of(rows, name, None)]
    body += [
        _line(context, row, words.term("scenario", scenario))
        for scenario in _FILLED
        for row in _of(rows, measure, scenario)
    ]
    caption = words("meta.summary_caption", id=analysis.id)
    note = words.line("meta.summary_note")
    return Table(f"table_{analysis.id}", caption, columns, tuple(body), note, small=True)


def _line(context: Context, row: Record, name: str) -> tuple[Runs, ...]:
    words = context.words
    write = (
        _percent if row["unit"] == "percent" else _WRITERS.get(row["estimate_name"], _three_places)
    )
    how = words.term("ci_method", row["ci_method"]) if row["ci_method"] else ""
    df = row["df1"] if row["estimate_name"] in _WITH_P else None
    shown = f" ({words('tests.df')} {numbers.days(df)})" if df is not None else ""
    return (
        runs(name),
        runs(*context.with_interval(row, write), shown if row["status"] == "ok" else ""),
        (context.number(row, "n_sites", numbers.whole),),
        runs(how),
        (context.number(row, "p_value", numbers.p_value),),
    )


def _test_line(context: Context, row: Record) -> tuple[Runs, ...]:
    words = context.words
    is_egger = row["estimate_name"] == "egger"
    name = (
        words.term("estimate", "egger")
        if is_egger
        else words.term("statistic", row["statistic_name"])
    )
    degrees = [numbers.days(row[df]) for df in ("df1", "df2") if row[df] is not None]
    df = f" ({words('tests.df')} {', '.join(degrees)})" if degrees else ""
    return (
        runs(name),
        runs(context.number(row, "statistic", _three_places), df if row["status"] == "ok" else ""),
        (context.number(row, "n_sites", numbers.whole),),
        runs(""),
        (context.number(row, "p_value", numbers.p_value),),
    )


def _prediction_line(context: Context, rows: list[Record]) -> list[tuple[Runs, ...]]:
    limits = [row for name in _LIMITS for row in _of(rows, name, None)]
    if len(limits) != 2:
        return []
    words, df = context.words, limits[0]["df2"]
    how = words.term("ci_method", limits[0]["ci_method"])
    with_df = how if df is None else f"{how}, {words('tests.df')} {numbers.days(df)}"
    sites = context.number(limits[0], "n_sites", numbers.whole)
    name = runs(words("meta.prediction"))
    return [(name, _between(context, limits, _three_places), (sites,), runs(with_df), runs(""))]


def _sites(context: Context, analysis: Analysis, rows: list[Record]) -> Table:
    words = context.words
    columns = (
        Column(words("meta.col_site"), width=2),
        Column(words("tables.col_value"), "right", width=2.2),
        Column(words("meta.col_persons"), "right"),
        Column(words("tables.col_events"), "right"),
        Column(words("meta.weight"), "right"),
    )
    weights = {r["stratum_level"]: r for r in _of(rows, "weight", None)}
    body = []
    for row in _site_rows(analysis, rows):
        weight = weights.get(row["stratum_level"])
        body.append((
            runs(str(row["stratum_level"])),
            context.with_interval(row, _three_places),
            (context.number(row, "n", numbers.whole),),
            (context.number(row, "n_events", numbers.whole),),
            runs(context.number(weight, "estimate", _percent)) if weight else runs(numbers.DASH),
        ))  # fmt: skip
    caption = words("meta.sites_caption", id=analysis.id)
    return Table(f"sites_{analysis.id}", caption, columns, tuple(body), small=True)


def _funnel(context: Context, analysis: Analysis, rows: list[Record]) -> list[Block]:
    """Return the funnel plot; proportions have none, whose errors follow from the share itself."""
    sites = [row for row in _site_rows(analysis, rows) if row["status"] == "ok"]
    pooled = [row for row in _pooled(analysis, rows) if row["status"] == "ok"]
    if not sites or not pooled or analysis.measure == "proportion":
        return []
    words, scale = context.words, _scale(analysis, rows)
    into, back = _changes(scale)
    middle, widest = pooled[0]["estimate"], 1.05 * max(row["std_error"] for row in sites)
    low, high = (back(value) for value in funnel_limits(into(middle), widest))
    points = [
        {
            "label": str(row["stratum_level"]),
            "estimate": row["estimate"],
            "std_error": row["std_error"],
            "value_text": plain(context.with_interval(row, numbers.decimals)),
        }
        for row in sites
    ]
    lines = {"middle": middle, "low": low, "high": high, "widest": widest}
    chart = funnel_chart(points, lines, _text(context, analysis), scale)
    caption, figure = words("meta.funnel_caption", id=analysis.id), f"funnel_{analysis.id}"
    said = "; ".join(f"{p['label']}: {p['value_text']}" for p in points)
    note, alt = words.line("meta.funnel_note"), words("meta.funnel_alt", said=said)
    return [Figure(figure, caption, alt, chart_svg(chart, figure), note, chart)]


def _changes(scale: str) -> tuple[Callable[[float], float], Callable[[float], float]]:
    """Return how an effect is put on the scale of its standard error, and back."""
    return (log, exp) if scale == "ratio" else (float, float)


def _one_out(context: Context, analysis: Analysis, rows: list[Record]) -> Table:
    """Return the pooled effect without each site."""
    words = context.words
    columns = (
        Column(words("meta.col_without"), width=2),
        Column(words("tables.col_value"), "right", width=2.2),
        Column(words.term("estimate", "i2"), "right"),
        Column(words.term("estimate", "tau2"), "right"),
        Column(words.term("statistic", "studentised_residual"), "right", width=1.4),
        Column(words.term("statistic", "cooks_distance"), "right", width=1.4),
    )
    found = sorted(
        _of(rows, _measure(analysis), "leave_one_out"),
        key=lambda row: _by_name(str(row["stratum_level"])),
    )
    body = tuple(_without(context, row, rows) for row in found)
    caption = words("meta.without_caption", id=analysis.id)
    return Table(f"without_{analysis.id}", caption, columns, body, small=True)


def _without(context: Context, row: Record, rows: list[Record]) -> tuple[Runs, ...]:
    level = row["stratum_level"]
    of_site = [r for r in rows if r["stratum_level"] == level]
    spread = {r["estimate_name"]: r for r in of_site if r["scenario"] == "leave_one_out"}
    moved = {r["statistic_name"]: r for r in of_site if r["scenario"] == "influence"}

    def cell(found: Record | None, column: str, write: Write) -> Runs:
        return runs(context.number(found, column, write)) if found else runs(numbers.DASH)

    return (
        runs(str(level)),
        context.with_interval(row, _three_places),
        cell(spread.get("i2"), "estimate", _percent),
        cell(spread.get("tau2"), "estimate", _three_digits),
        cell(moved.get("studentised_residual"), "statistic", numbers.decimals),
        cell(moved.get("cooks_distance"), "statistic", numbers.decimals),
    )


def _one_more(context: Context, analysis: Analysis, rows: list[Record]) -> Table:
    """Return the pooled effect as sites are added."""
    words = context.words
    columns = (
        Column(words("meta.col_added"), width=2),
        Column(str(analysis.cumulative or ""), "right"),
        Column(words("tables.col_value"), "right", width=2.2),
        Column(words("meta.col_sites"), "right"),
    )
    found = sorted(
        _of(rows, _measure(analysis), "cumulative"), key=lambda row: int(row["n_sites"] or 0)
    )
    body = tuple(
        (
            runs(str(row["stratum_level"])),
            (context.number(row, "at", numbers.days),),
            context.with_interval(row, _three_places),
            (context.number(row, "n_sites", numbers.whole),),
        )
        for row in found
    )
    caption = words("meta.added_caption", id=analysis.id)
    return Table(f"added_{analysis.id}", caption, columns, body, small=True)


def _three_places(value: float) -> str:
    return numbers.decimals(value, 3)


def _three_digits(value: float) -> str:
    """Write a variance, which may be small: 0.000312."""
    places = 3 if value >= 0.1 or value <= 0 else min(8, 2 - floor(log10(value)))
    return numbers.decimals(value, places)


def _percent(value: float) -> str:
    return f"{numbers.decimals(value, 1)}%"


_WRITERS: Mapping[str, Write] = {"tau2": _three_digits}
