"""Figures of registry tables: effects over time, roll-outs, balance, subgroups, controls."""

from math import log

from tasks.report import numbers
from tasks.report.blocks import Block, Column, Details, Figure, Runs, Table, plain, runs
from tasks.report.charts import ForestText, forest_chart, love_chart
from tasks.report.charts_funnel import FunnelText, funnel_chart
from tasks.report.charts_overlap import overlap_chart
from tasks.report.charts_points import PointsText, points_chart
from tasks.report.context import Context
from tasks.report.figures import chart_svg
from tasks.report.model import Record
from tasks.report.sections.balance import DEFAULT_LIMIT
from tasks.report.sections.finding import RATIOS

_Z = 1.959963984540054
_OVERALL = ("dynamic", "periods_since_adoption")


def is_span(row: Record) -> bool:
    """Whether a row is an effect within a span of time, which a figure shows."""
    return bool(row["estimate_name"] == "coefficient" and row["at_kind"] == "time_days")


def is_of_adoption(row: Record) -> bool:
    """Whether a row is an effect of one time of adoption at one time."""
    return bool(row["estimate_name"] == "att_group_time")


def figures(context: Context, analysis: str, rows: list[Record]) -> list[Block]:
    """Return the figures of an analysis besides its curves and lines."""
    shown = [row for row in rows if row["status"] == "ok" and row["estimate"] is not None]
    return [
        *_effects_in_time(context, analysis, shown),
        *_event_study(context, analysis, shown, [row for row in rows if is_of_adoption(row)]),
        *_subgroups(context, analysis, shown),
        *_funnel(context, analysis, shown),
    ]


def _points(
    context: Context, name: str, caption: str, rows: list[Record], text: PointsText,
    labels: list[str], note: Runs, lines: list[Record],
) -> Figure:  # fmt: skip
    points = [_point(context, row, label) for row, label in zip(rows, labels, strict=True)]
    chart = points_chart(points, text, lines)
    said = "; ".join(f"{p['panel']} {p['at']:.0f}: {p['value_text']}" for p in points)
    alt = context.words("figures.alt", caption=caption, said=said)
    return Figure(name, caption, alt, chart_svg(chart, name), note, chart)


def _point(context: Context, row: Record, panel: str) -> Record:
    return {
        "panel": panel,
        "at": row["at"],
        "estimate": row["estimate"],
        "low": row["ci_low"],
        "high": row["ci_high"],
        "value_text": context.number(row, "estimate", _three).text,
        "interval_text": plain(context.interval(row, _three)),
    }


def _three(value: float) -> str:
    return numbers.decimals(value, 3)


def _effects_in_time(context: Context, analysis: str, rows: list[Record]) -> list[Block]:
    """Draw the coefficients of a Cox model in spans of time, of each column of its terms."""
    words = context.words
    whole = [row for row in rows if row["stratum_level"] is None and row["scenario"] is None]
    main = [row for row in whole if is_span(row)]
    if not main:
        return []
    terms = tuple(dict.fromkeys(str(row["term"]) for row in main))
    text = PointsText(
        words("curves.x"), words("figures.log_ratio"), words("curves.day"),
        words("figures.log_ratio"), words("ci.long"), terms,
    )  # fmt: skip
    caption = words("figures.in_time", id=analysis)
    labels = [str(row["term"]) for row in main]
    note = words.line("figures.in_time_note")
    lines = _of_model(whole)
    figure = _points(context, f"in_time_{analysis}", caption, main, text, labels, note, lines)
    table = _table(context, f"spans_{analysis}", words("figures.spans", id=analysis), main)
    return [figure, Details(words("figures.open_numbers"), (table,))]


def _of_model(rows: list[Record]) -> list[Record]:
    """Return the coefficient of the model in each panel: what it takes to hold at all times."""
    ratios = [row for row in rows if row["estimate_name"] == "hazard_ratio" and row["estimate"] > 0]
    return [{"panel": str(row["term"]), "estimate": log(row["estimate"])} for row in ratios]


def _table(context: Context, name: str, caption: str, rows: list[Record]) -> Table:
    words = context.words
    columns = (
        Column(words("tables.col_of"), width=2),
        Column(words("curves.day"), "right"),
        Column(words("tables.col_value"), "right", width=2),
        Column(words("tables.col_events"), "right"),
    )
    body = tuple(
        (
            runs(str(row["term"])),
            (context.number(row, "at", numbers.whole),),
            context.with_interval(row, _three),
            (context.number(row, "n_events", numbers.whole),),
        )
        for row in rows
    )
    return Table(name, caption, columns, body, small=True)


def _event_study(
    context: Context, analysis: str, rows: list[Record], groups: list[Record]
) -> list[Block]:
    """Draw the effect by time since adoption, and keep its parts where a reader may open them."""
    words = context.words
    by_time = [row for row in rows if (row["term"], row["at_kind"]) == _OVERALL]
    if not by_time:
        return []
    caption = words("figures.event_study", id=analysis)
    text = PointsText(
        words("figures.since_adoption"), words("estimate.att"), words("figures.since_adoption"),
        words("estimate.att"), words("ci.long"), (words("estimate.att"),),
    )  # fmt: skip
    labels = [words("estimate.att")] * len(by_time)
    note = words.line("figures.event_study_note")
    figure = _points(context, f"adoption_{analysis}", caption, by_time, text, labels, note, [])
    columns = (
        Column(words("figures.col_adopted"), width=2.4),
        Column(words("figures.since_adoption"), "right"),
        Column(words("figures.col_effect"), "right"),
    )
    body = tuple(
        (
            runs(_adopted(context, str(row["term"]))),
            runs(numbers.days(row["at"])),
            (context.number(row, "estimate", _three),),
        )
        for row in groups
    )
    caption = words("figures.adoption_parts", id=analysis)
    parts = Table(f"parts_{analysis}", caption, columns, body, small=True)
    return [figure, Details(words("figures.open_numbers"), (parts,))] if body else [figure]


def _adopted(context: Context, term: str) -> str:
    """Say when sites adopted, and the time of an effect: `adopted 3, at 4`."""
    cohort, _, at = term.removeprefix("adopted ").partition(", at ")
    key = "figures.adopted_at" if at else "figures.adopted"
    return context.words(key, **({"cohort": cohort, "at": at} if at else {"cohort": cohort}))


def adopted(context: Context, term: str) -> str:
    """Return the words of a term that names a time of adoption; any other as it is."""
    return _adopted(context, term) if term.startswith("adopted ") else term


def love_plot(
    context: Context, analysis: str, adjustment: str, rows: list[Record]
) -> Figure | None:
    """Draw the absolute standardised differences before and after an adjustment."""
    words = context.words
    found = [row for row in rows if row["estimate_name"] == "smd" and row["status"] == "ok"]
    found = [row for row in found if row["unit"] in (None, "SD of both arms")]
    labels = list(dict.fromkeys(str(row["term"]) for row in found))
    if not found or adjustment == "none":
        return None
    names = {"before": "none", "after": adjustment}
    used = [(name, words.term("balance_time", time)) for time, name in names.items()]
    points = [
        {
            "pos": labels.index(str(row["term"])),
            "label": str(row["term"]),
            "adjustment": words.term("balance_time", row["scenario"]),
            "smd": abs(row["estimate"]),
            "value_text": _three(abs(row["estimate"])),
        }
        for row in found
    ]
    chart = love_chart(points, labels, used, words("balance.love_axis"), DEFAULT_LIMIT)
    caption = words("figures.love", id=analysis)
    said = "; ".join(f"{p['label']}, {p['adjustment']}: {p['value_text']}" for p in points)
    alt = words("figures.alt", caption=caption, said=said)
    note = words.line("figures.love_note", limit=numbers.decimals(DEFAULT_LIMIT, 2))
    name = f"love_{analysis}"
    return Figure(name, caption, alt, chart_svg(chart, name), note, chart)


def overlap(context: Context, analysis: str, rows: list[Record]) -> Figure | None:
    """Draw the propensity score of each arm by its inner quantiles."""
    words = context.words
    found = [row for row in rows if is_of_score(row) and row["status"] == "ok"]
    arms = list(dict.fromkeys(_arm(row) for row in found))
    if not found:
        return None
    points = [_scores(arm, [row for row in found if _arm(row) == arm]) for arm in arms]
    chart = overlap_chart(points, arms, words("tables.score"))
    caption, note = words("figures.overlap", id=analysis), words.line("figures.overlap_note")
    said = "; ".join(f"{point['arm']}: {point['value_text']}" for point in points)
    alt = words("figures.alt", caption=caption, said=said)
    name = f"overlap_{analysis}"
    return Figure(name, caption, alt, chart_svg(chart, name), note, chart)


def _arm(row: Record) -> str:
    return f"{row['stratum_name']} {row['stratum_level']}"


def is_of_score(row: Record) -> bool:
    """Whether a row is a quantile of the propensity score of an arm."""
    return bool(row["estimate_name"] == "quantile" and row["term"] == "score")


def _scores(arm: str, rows: list[Record]) -> Record:
    """Return the quantiles of one arm, and what they are in words."""
    ordered = sorted(rows, key=lambda row: float(row["at"]))
    values = {f"p{100 * row['at']:.0f}": row["estimate"] for row in ordered}
    said = ", ".join(
        f"{numbers.share_of(row['at'])} {numbers.decimals(row['estimate'])}" for row in ordered
    )
    return {"arm": arm, **values, "value_text": said}


def _subgroups(context: Context, analysis: str, rows: list[Record]) -> list[Block]:
    """Draw the ratio of everybody and of each subgroup."""
    of_levels = [r for r in rows if r["scenario"] == "subgroup" and r["estimate_name"] in RATIOS]
    if not of_levels:
        return []
    first = of_levels[0]
    alike = {(r["estimate_name"], r["term"]) for r in (first,)}
    own = [
        row
        for row in rows
        if (row["estimate_name"], row["term"]) in alike
        and row["scenario"] is None
        and row["stratum_level"] in (None, first["stratum_level"])
    ]
    words = context.words
    ratio = words.term("estimate", first["estimate_name"])
    text = ForestText(
        words("figures.ratio_axis", ratio=ratio),
        words("figures.lower"), words("figures.higher"), ratio, words("ci.long"),
    )  # fmt: skip
    shown = [row for row in [*own[:1], *of_levels] if row["ci_low"] is not None]
    chart = forest_chart([_level(context, row) for row in shown], text)
    said = "; ".join(f"{p['label']}: {p['value_text']}" for p in chart["data"]["values"])
    name, caption = f"subgroups_{analysis}", words("figures.subgroups", id=analysis)
    note = words.line("figures.subgroups_note")
    return [
        Figure(name, caption, words("forest.alt", said=said), chart_svg(chart, name), note, chart)
    ]


def _level(context: Context, row: Record) -> Record:
    is_own = row["scenario"] is None
    events = context.number(row, "n_events", numbers.whole).text
    n = context.number(row, "n", numbers.whole).text
    level = f"{row['stratum_name']} {row['stratum_level']}"
    return {
        "label": context.words("figures.everybody") if is_own else level,
        "detail": context.words("figures.sizes", n=n, events=events),
        "estimate": row["estimate"],
        "low": row["ci_low"],
        "high": row["ci_high"],
        "value_text": plain(context.with_interval(row, numbers.decimals)),
        "is_primary": is_own,
        "row": row["analysis_id"],
    }


def _funnel(context: Context, analysis: str, rows: list[Record]) -> list[Block]:
    """Draw negative controls by their errors, with the limits of p before and after calibration."""
    error = {r["scenario"]: r["estimate"] for r in rows if r["scenario"] in _ERROR}
    effects = [row for row in rows if row["estimate_name"] in RATIOS and row["std_error"]]
    effects = [row for row in effects if row["term"] in (None, "control")]
    if len(error) < len(_ERROR) or not effects:
        return []
    words = context.words
    text = FunnelText(
        words("figures.ratio_axis", ratio=words.term("estimate", effects[0]["estimate_name"])),
        words("figures.error_axis"), words("figures.control"), words("figures.effect"),
        words.term("estimate", effects[0]["estimate_name"]),
    )  # fmt: skip
    points = [
        {
            "label": str(row["stratum_level"]),
            "kind": text.control if row["term"] == "control" else text.effect,
            "estimate": row["estimate"],
            "error": row["std_error"],
            "value_text": plain(context.with_interval(row, numbers.decimals)),
        }
        for row in effects
    ]
    mean, sd = (float(error[name]) for name in _ERROR)
    chart = funnel_chart(points, text, (mean, sd), _Z)
    caption = words("figures.funnel", id=analysis)
    said = "; ".join(f"{p['label']}: {p['value_text']}" for p in points)
    alt = words("figures.alt", caption=caption, said=said)
    name, note = f"funnel_{analysis}", words.line("figures.funnel_note")
    return [Figure(name, caption, alt, chart_svg(chart, name), note, chart)]


_ERROR = ("error_mean", "error_sd")
