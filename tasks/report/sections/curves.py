"""Section 7: survival and cumulative incidence over time, with the numbers at risk."""

from tasks.report import numbers
from tasks.report.blocks import (
    Block,
    Column,
    Details,
    Figure,
    Paragraph,
    Runs,
    Section,
    Table,
    plain,
    runs,
)
from tasks.report.charts import CurveText, curve_chart, survival_domain
from tasks.report.context import Context, Write, counted_first
from tasks.report.figures import chart_svg
from tasks.report.model import Record

SHARE_PLACES = 1
LEAST_GAP = 0.06
KINDS = {
    "survival": "kaplan_meier",
    "cumulative_incidence": "cumulative_incidence",
    "cumulative_hazard": "cumulative_hazard",
}
SHARES = ("survival", "cumulative_incidence")


def section(context: Context) -> Section:
    """Return one figure and one table an analysis."""
    words = context.words
    blocks: list[Block] = []
    for estimate, stem in KINDS.items():
        for index, analysis in enumerate(analyses(context, estimate)):
            figure_id = stem if index == 0 else f"{stem}_{analysis}"
            blocks.append(curve_figure(context, estimate, analysis, figure_id))
            blocks += _numbers(context, estimate, analysis, is_first=index == 0)
    if not blocks:
        blocks.append(Paragraph(words.line("curves.none")))
    return Section("curves", words("section.curves"), tuple(blocks))


def analyses(context: Context, estimate: str) -> list[str]:
    """Return the analyses with such curves; the population of the primary analysis first."""
    rows = context.find(estimate, term="curve")
    population = {row["analysis_id"]: row["population"] for row in rows}
    order = [a.id for a in context.spec.analyses]
    primary = context.primary_population

    def rank(name: str) -> tuple[bool, int, str]:
        place = order.index(name) if name in order else len(order)
        return population[name] != primary, place, name

    return sorted(population, key=rank)


def _numbers(context: Context, estimate: str, analysis: str, *, is_first: bool) -> list[Block]:
    """Return the table behind a figure; in the open only for the first of its kind."""
    table = curve_table(context, estimate, analysis)
    if not table.rows:
        return []
    return [table] if is_first else [Details(context.words("curves.open_table"), (table,))]


def curve_figure(context: Context, estimate: str, analysis: str, figure_id: str) -> Block:
    """Draw the curves of one analysis; say so when all of them are withheld."""
    words = context.words
    rows = context.find(estimate, analysis_id=analysis, term="curve")
    shown = [_point(context, row) for row in rows if row["status"] == "ok"]
    population = _population(context, analysis)
    caption = words(f"curves.caption_{estimate}", population=population, **context.names)
    if not shown:
        return Paragraph(words.line("curves.all_withheld", caption=caption))
    is_survival = estimate == "survival"
    at_risk = _risk_points(context, analysis)
    chart = curve_chart(shown, at_risk, _text(context, estimate), floor_at_zero=not is_survival)
    alt = words("curves.alt", caption=caption, ends=_ends(context, shown))
    note = _note(context, estimate, shown, len(rows))
    return Figure(figure_id, caption, alt, chart_svg(chart, figure_id), note, chart)


def _note(context: Context, estimate: str, shown: list[Record], n: int) -> Runs:
    words = context.words
    from_zero = estimate != "survival" or survival_domain(shown)[0] == 0
    line = words.line("curves.note_full" if from_zero else "curves.note_cut")
    if estimate == "survival" and context.spec.trial.design.competing == "death":
        line = runs(line, words.line("curves.note_death"))
    hidden = n - len(shown)
    return runs(line, words.line("curves.withheld_points", n=str(hidden)) if hidden else "")


def _risk_points(context: Context, analysis: str) -> list[Record]:
    rows = context.find("n_at_risk", analysis_id=analysis, term="table")
    return [_risk(context, row) for row in apart(rows)]


def apart(rows: list[Record]) -> list[Record]:
    """Return the numbers at risk for a figure: those of days not so close as to touch."""
    days: list[float] = []
    last = max((row["at"] for row in rows), default=0.0)
    for day in sorted({row["at"] for row in rows}):
        if not days or day - days[-1] >= last * LEAST_GAP:
            days.append(day)
    return [row for row in rows if row["at"] in days]


def _population(context: Context, analysis: str) -> str:
    row = context.first(analysis_id=analysis)
    return context.population_of(row)


def _text(context: Context, estimate: str) -> CurveText:
    words, (target, comparator) = context.words, list(context.arms.values())
    return CurveText(
        words("curves.x"), words(f"curves.y_{estimate}"), words("curves.at_risk"),
        (target, comparator), words("curves.day"), words.term("estimate", estimate),
        words("ci.long"), estimate in SHARES,
    )  # fmt: skip


def _point(context: Context, row: Record) -> Record:
    return {
        "arm": context.arm_name(row["arm"]),
        "day": row["at"],
        "estimate": row["estimate"],
        "low": row["ci_low"],
        "high": row["ci_high"],
        "value_text": context.number(row, "estimate", write_step(row)).text,
        "interval_text": plain(context.interval(row, write_step(row))),
    }


def _risk(context: Context, row: Record) -> Record:
    label = context.number(row, "estimate", numbers.whole).text
    return {"arm": context.arm_name(row["arm"]), "day": row["at"], "label": label}


def write_step(row: Record) -> Write:
    """Return how the height of a curve is written: a share as per cent, a hazard as it is."""
    return _share if row["estimate_name"] in SHARES else _three_places


def _share(value: float) -> str:
    return numbers.percent(value, SHARE_PLACES)


def _three_places(value: float) -> str:
    return numbers.decimals(value, 3)


def _risk_number(value: float) -> str:
    """Weighted numbers at risk need not be whole."""
    return numbers.whole(value) if float(value).is_integer() else numbers.decimals(value, 1)


def _ends(context: Context, points: list[Record]) -> str:
    said = []
    for name in context.arms.values():
        mine = [point for point in points if point["arm"] == name]
        if mine:
            last = max(mine, key=lambda point: point["day"])
            day = numbers.days(last["day"])
            said.append(context.words("curves.end", arm=name, day=day, value=last["value_text"]))
    return "; ".join(said)


def curve_table(context: Context, estimate: str, analysis: str) -> Table:
    """Return the estimates at the days that the study names."""
    words = context.words
    rows = context.find(estimate, analysis_id=analysis, term="table")
    days = sorted({row["at"] for row in rows})
    by_place = {(row["at"], row["arm"]): row for row in reversed(counted_first(rows))}
    risk = {
        (row["at"], row["arm"]): row
        for row in context.find("n_at_risk", analysis_id=analysis, term="table")
    }
    columns = [Column(words("curves.day"), "right", width=0.6)]
    for arm in context.arms.values():
        if risk:
            columns.append(Column(words("curves.at_risk"), "right", arm, 0.9))
        label = f"{words.term('estimate', estimate)} ({words('ci.short_level')})"
        columns.append(Column(label, "right", arm, 2))
    caption = words(f"curves.table_{estimate}", population=_population(context, analysis))
    body = tuple(_table_row(context, day, by_place, risk) for day in days)
    return Table(f"{analysis}_table", caption, tuple(columns), body, small=True)


Places = dict[tuple[float, str], Record]


def _table_row(context: Context, day: float, rows: Places, risk: Places) -> tuple[Runs, ...]:
    cells: list[Runs] = [runs(numbers.days(day))]
    for arm in context.arms:
        row, at_risk = rows.get((day, arm)), risk.get((day, arm))
        if risk:
            empty = runs(numbers.DASH)
            cells.append((context.number(at_risk, "estimate", _risk_number),) if at_risk else empty)
        cells.append(context.with_interval(row, write_step(row)) if row else runs(numbers.DASH))
    return tuple(cells)
