"""Parametric survival of a registry table: picture, ranks of the laws, times, parameters."""

from tasks.core.spec import Analysis
from tasks.report import numbers
from tasks.report.blocks import (
    LINE_BREAK,
    Block,
    Column,
    Details,
    Figure,
    Paragraph,
    Runs,
    Table,
    plain,
    runs,
)
from tasks.report.charts_parametric import COLOURS, LawText, law_chart
from tasks.report.context import Context
from tasks.report.figures import chart_svg
from tasks.report.model import Record
from tasks.report.notes import said_note
from tasks.report.sections.curves import SHARE_PLACES

PARAMETRIC = "parametric_survival"
_SIDES = ("fitted", "extrapolated")
_CRITERIA = ("log_likelihood", "aic", "bic")
_PARAMETERS = ("coefficient", "hazard_ratio")
_TIMES = ("survival", "median_survival", "rmst", "rmst_difference", "mean")
_MARK = " †"


def parametric_blocks(context: Context, analysis: Analysis, rows: list[Record]) -> list[Block]:
    """Return what an analysis by parametric laws found."""
    words = context.words
    blocks: list[Block] = [Paragraph(words.line("parametric.intro"))]
    if analysis.terms is not None:
        blocks.append(Paragraph(words.line("parametric.standardised")))
    failed = [r for r in rows if r["estimate_name"] in _PARAMETERS and _is_not_estimable(r)]
    blocks += [_not_fitted(context, row) for row in failed]
    blocks += _figures(context, analysis, rows)
    found = [row for row in rows if row not in failed]
    if not any(row["estimate_name"] in _PARAMETERS for row in found):
        return blocks
    parameters = _parameters(context, analysis, found)
    quartiles = _times(context, analysis, found, ("quantile",))
    return [
        *blocks,
        _criteria(context, analysis, found),
        _times(context, analysis, found, _TIMES),
        Details(words("parametric.open_parameters"), (quartiles, parameters)),
    ]


def _is_not_estimable(row: Record) -> bool:
    return bool(row["status"] == "not_estimable")


def _not_fitted(context: Context, row: Record) -> Paragraph:
    said = {
        "law": _law(context, row),
        "group": _group(context, row),
        "note": said_note(context.words, str(row["note"])),
    }
    return Paragraph(context.words.line("parametric.not_fitted", **said))


def _law(context: Context, row: Record) -> str:
    return context.words.term("method", row["method"])


def _group(context: Context, row: Record) -> str:
    if row["stratum_level"] is None:
        return context.words("tables.curve_one")
    return f"{row['stratum_name']} {row['stratum_level']}"


def _figures(context: Context, analysis: Analysis, rows: list[Record]) -> list[Block]:
    """Return one picture of all groups for one law; a picture a group to compare several."""
    curve = [row for row in rows if row["term"] in {*_SIDES, "curve"}]
    fitted = [row for row in curve if row["term"] in _SIDES]
    laws = list(dict.fromkeys(row["method"] for row in fitted))
    groups = list(dict.fromkeys(_group(context, row) for row in fitted))
    if not fitted or max(len(laws), len(groups)) > len(COLOURS):
        return []
    if len(laws) == 1:
        caption = context.words(
            "parametric.figure_one", id=analysis.id, law=_law(context, fitted[0])
        )
        return [_figure(context, f"law_{analysis.id}", caption, curve, ())]
    return [
        _figure(
            context,
            f"law_{analysis.id}_{place}",
            context.words("parametric.figure", id=analysis.id, group=group),
            [row for row in curve if _group(context, row) == group],
            tuple(laws),
        )
        for place, group in enumerate(groups, start=1)
    ]


def _figure(
    context: Context, figure: str, caption: str, curve: list[Record], laws: tuple[str, ...]
) -> Block:
    """Draw one picture; its lines are laws where there are several, else groups."""
    words = context.words
    shown = [row for row in curve if row["status"] == "ok"]
    fitted = [row for row in shown if row["term"] in _SIDES]
    if not fitted:
        return Paragraph(words.line("curves.all_withheld", caption=caption))
    steps = [row for row in shown if row["term"] == "curve"]
    compares = bool(laws)
    lines = tuple(dict.fromkeys(_line(context, row, compares) for row in fitted))
    points = _joined([_point(context, row, compares) for row in fitted], _sides(context))
    chart = law_chart(
        [_point(context, row, compares) for row in steps], points, _text(context, lines, compares)
    )
    note = words.line("parametric.figure_note" if steps else "parametric.figure_late")
    ends = "; ".join(_end(context, line, points) for line in lines)
    alt = words("curves.alt", caption=caption, ends=ends)
    return Figure(figure, caption, alt, chart_svg(chart, figure), note, chart)


def _line(context: Context, row: Record, compares: bool) -> str:
    if not compares:
        return _group(context, row)
    is_step = row["term"] == "curve"
    return context.words("parametric.kaplan_meier") if is_step else _law(context, row)


def _sides(context: Context) -> tuple[str, str]:
    return context.words("parametric.within"), context.words("parametric.beyond")


def _point(context: Context, row: Record, compares: bool) -> Record:
    return {
        "line": _line(context, row, compares),
        "side": _sides(context)[row["term"] == "extrapolated"],
        "day": row["at"],
        "estimate": row["estimate"],
        "value_text": context.number(row, "estimate", _share).text,
        "interval_text": plain(context.interval(row, _share)),
    }


def _joined(points: list[Record], sides: tuple[str, str]) -> list[Record]:
    """Let the part beyond the follow-up begin where the part within it ends."""
    last: dict[str, Record] = {}
    for point in points:
        if point["side"] == sides[0] and point["day"] >= last.get(point["line"], point)["day"]:
            last[point["line"]] = point
    goes_on = {point["line"] for point in points if point["side"] == sides[1]}
    return [*points, *({**last[line], "side": sides[1]} for line in last if line in goes_on)]


def _share(value: float) -> str:
    return numbers.percent(value, SHARE_PLACES)


def _text(context: Context, lines: tuple[str, ...], compares: bool) -> LawText:
    words = context.words
    return LawText(
        words("curves.x"), words("curves.y_survival"), words("curves.day"),
        words.term("estimate", "survival"), words("ci.long"), lines,
        words("parametric.kaplan_meier") if compares else "", _sides(context),
    )  # fmt: skip


def _end(context: Context, line: str, points: list[Record]) -> str:
    last = max((p for p in points if p["line"] == line), key=lambda point: float(point["day"]))
    day = numbers.days(last["day"])
    return context.words("curves.end", arm=line, day=day, value=last["value_text"])


def _criteria(context: Context, analysis: Analysis, rows: list[Record]) -> Table:
    """Return a line a group and law, in the order of AIC."""
    words = context.words
    by_place: dict[tuple[str, str], dict[str, Record]] = {}
    for row in rows:
        if row["estimate_name"] in _CRITERIA and row["term"] in (None, "model"):
            key = (_group(context, row), row["method"])
            by_place.setdefault(key, {})[row["estimate_name"]] = row
    groups = list(dict.fromkeys(group for group, _ in by_place))
    ordered = sorted(by_place.items(), key=lambda item: (groups.index(item[0][0]), _rank(item[1])))
    columns = (
        Column(words("parametric.col_group"), width=1.4),
        Column(words("parametric.col_law"), width=1.6),
        *(Column(words.term("estimate", name), "right", width=1.4) for name in _CRITERIA),
        Column(words("tables.col_n"), "right", width=0.8),
        Column(words("tables.col_events"), "right", width=0.8),
    )
    body = tuple(_criterion(context, found) for _, found in ordered)
    caption = words("parametric.criteria", id=analysis.id)
    return Table(f"laws_{analysis.id}", caption, columns, body, small=True)


def _rank(found: dict[str, Record]) -> float:
    rank = found["aic"]["statistic"]
    return float(rank) if rank is not None else 0.0


def _criterion(context: Context, found: dict[str, Record]) -> tuple[Runs, ...]:
    aic = found["aic"]
    return (
        runs(_group(context, aic)),
        runs(_law(context, aic)),
        *(_with_rank(context, found[name]) for name in _CRITERIA),
        (context.number(aic, "n", numbers.whole),),
        (context.number(aic, "n_events", numbers.whole),),
    )


def _with_rank(context: Context, row: Record) -> Runs:
    value = context.number(row, "estimate", lambda v: numbers.decimals(v, 2))
    if row["statistic_name"] != "rank" or row["status"] != "ok":
        return runs(value)
    rank = context.number(row, "statistic", numbers.whole)
    return runs(value, f" ({context.words('parametric.col_rank')} ", rank, ")")


Places = dict[str, Record]


def _times(
    context: Context, analysis: Analysis, rows: list[Record], names: tuple[str, ...]
) -> Table:
    """Return survival on the days of the study, and times: a line a law, a column a group."""
    words = context.words
    lines: dict[tuple[int, float, str], Places] = {}
    for row in rows:
        if row["estimate_name"] in names and row["term"] not in {*_SIDES, "curve"}:
            key = (names.index(row["estimate_name"]), row["at"] or 0.0, _law(context, row))
            lines.setdefault(key, {})[_column_of(context, row)] = row
    groups = list(dict.fromkeys(name for line in lines.values() for name in line))
    columns = (
        Column(words("tables.col_estimate"), width=1.8),
        Column(words("parametric.col_law"), width=1.4),
        *(Column(name, "right", width=2.2) for name in groups),
    )
    body = tuple(
        _times_line(context, found, groups) for _, found in sorted(lines.items(), key=_key)
    )
    note, caption = words.line("parametric.times_note"), words("parametric.times", id=analysis.id)
    return Table(f"{names[0]}_{analysis.id}", caption, columns, body, note, small=True)


def _key(item: tuple[tuple[int, float, str], Places]) -> tuple[int, float]:
    return item[0][:2]


def _column_of(context: Context, row: Record) -> str:
    """Return the group of a number; a difference stands with the group that is compared."""
    level = row["target"] or row["stratum_level"]
    return f"{row['stratum_name']} {level}" if level is not None else _group(context, row)


def _times_line(context: Context, found: Places, groups: list[str]) -> tuple[Runs, ...]:
    first = next(iter(found.values()))
    cells = tuple(
        _time(context, found[name]) if name in found else runs(numbers.DASH) for name in groups
    )
    return _named(context, first), runs(_law(context, first)), *cells


def _time(context: Context, row: Record) -> Runs:
    if _is_not_estimable(row):
        return runs(context.words("parametric.infinite"))
    write = _share if row["estimate_name"] == "survival" else _one_place
    value = context.with_interval(row, write)
    return runs(value, _MARK) if row["note"] and row["status"] == "ok" else value


def _one_place(value: float) -> str:
    return numbers.decimals(value, 1)


def _named(context: Context, row: Record) -> Runs:
    """Name an estimate, and below it the day, the share or the unit."""
    words, at = context.words, row["at"]
    name = words.term("estimate", row["estimate_name"])
    if row["estimate_name"] == "quantile":
        return runs(name, LINE_BREAK, words("parametric.share", share=numbers.share_of(at)))
    if at is not None:
        return runs(name, LINE_BREAK, words("tables.on_day", day=numbers.days(at)))
    return runs(name, LINE_BREAK, words.term("unit", "days"))


def _parameters(context: Context, analysis: Analysis, rows: list[Record]) -> Table:
    words = context.words
    columns = (
        Column(words("parametric.col_law"), width=1.5),
        Column(words("parametric.col_group"), width=1.2),
        Column(words("tables.col_estimate"), width=1.3),
        Column(words("tables.col_of"), width=1.6),
        Column(words("tables.col_value"), "right", width=2.2),
        Column(words("tables.col_p"), "right", width=0.8),
    )
    body = tuple(_parameter(context, r) for r in rows if r["estimate_name"] in _PARAMETERS)
    note, caption = (
        words.line("parametric.on_log_time"),
        words("parametric.parameters", id=analysis.id),
    )
    return Table(f"parameters_{analysis.id}", caption, columns, body, note, small=True)


def _parameter(context: Context, row: Record) -> tuple[Runs, ...]:
    words, term = context.words, str(row["term"])
    known = term in ("intercept", "log_scale", "log_shape", "scale", "shape", "q")
    return (
        runs(_law(context, row)),
        runs(_group(context, row)),
        runs(words.term("estimate", row["estimate_name"])),
        runs(words.term("table_term", term) if known else term),
        context.with_interval(row, lambda value: numbers.decimals(value, 3)),
        (context.number(row, "p_value", numbers.p_value),),
    )
