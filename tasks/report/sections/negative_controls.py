"""Negative controls: what they say about bias, each with its events, and a picture of them."""

from tasks.report import numbers
from tasks.report.blocks import Block, Column, Figure, Paragraph, Run, Runs, Section, Table, runs
from tasks.report.charts import ForestText, forest_chart
from tasks.report.context import Context, Write
from tasks.report.figures import chart_svg
from tasks.report.model import Record
from tasks.report.sections.finding import RATIOS

CONTROLS = "negative_controls"
EXPOSURE = "negative_control_exposure"
_KINDS = ("negative_control", EXPOSURE)
_SHARES = ("risk_difference",)


def section(context: Context) -> Section:
    """Return the systematic error of each calibrated analysis, and the controls themselves."""
    words = context.words
    blocks: list[Block] = [Paragraph(words.line("controls.intro", **context.names))]
    eases = context.find("ease", analysis_id=CONTROLS)
    if eases:
        blocks.append(_error_table(context, eases))
    blocks += [figure for ease in eases if (figure := _forest(context, ease))]
    counts = _of_controls(context, ("count",), None)
    if of_outcomes := [row for row in counts if row["stratum_name"] != EXPOSURE]:
        blocks.append(_count_table(context, of_outcomes))
    if of_exposures := [row for row in counts if row["stratum_name"] == EXPOSURE]:
        blocks.append(_exposure_table(context, of_exposures))
    return Section("negative-controls", words("section.negative_controls"), tuple(blocks))


def _of_controls(context: Context, names: tuple[str, ...], analysis: str | None) -> list[Record]:
    """Return the rows of the controls themselves, of one analysis or of none."""
    return [
        row
        for row in context.rows
        if row["analysis_id"] == CONTROLS
        and row["stratum_name"] in _KINDS
        and row["estimate_name"] in names
        and row["term"] == analysis
    ]


def _error_table(context: Context, eases: list[Record]) -> Table:
    words = context.words
    names = "analysis effect ease mean sd uncalibrated calibrated why".split()
    is_text = {"analysis", "effect", "why"}
    columns = tuple(
        Column(words(f"controls.col_{name}"), "left" if name in is_text else "right")
        for name in names
    )
    rows = tuple(_error_row(context, ease) for ease in eases)
    note = words.line("controls.ease_note")
    return Table("ease", words("controls.ease_caption"), columns, rows, note, small=True)


def _error_row(context: Context, ease: Record) -> tuple[Runs, ...]:
    analysis, effect = ease["term"], ease["statistic_name"]
    write = numbers.percent if effect in _SHARES else numbers.decimals
    of_error = {"analysis_id": CONTROLS, "term": analysis, "statistic_name": effect}
    parts = [
        context.first("coefficient", scenario=scenario, **of_error)
        for scenario in ("error_mean", "error_sd")
    ]
    before = context.first(effect, analysis_id=analysis, term=None)
    after = context.first(effect, analysis_id=analysis, term="calibrated")
    return (
        (Run(str(analysis), tone="code"),),
        runs(context.words.term("estimate", effect)),
        (context.number(ease, "estimate", write),),
        *(_number(context, row, write) for row in parts),
        *(_effect(context, row, write) for row in (before, after)),
        runs(ease["note"] or ""),
    )


def _number(context: Context, row: Record | None, write: Write) -> Runs:
    if row is None:
        return runs(numbers.DASH)
    return (context.number(row, "estimate", write),)


def _effect(context: Context, row: Record | None, write: Write) -> Runs:
    return context.with_interval(row, write) if row else runs(numbers.DASH)


def _count_table(context: Context, counts: list[Record]) -> Table:
    words = context.words
    columns = (
        Column(words("controls.col_control"), width=2.5),
        *(Column(name, "right") for name in context.arms.values()),
    )
    by_control: dict[str, dict[str, Record]] = {}
    for row in counts:
        by_control.setdefault(row["outcome"], {})[row["arm"]] = row
    named = _names(context)
    rows = tuple(
        (
            runs(named.get(control, control)),
            *(_events(context, of.get(arm)) for arm in context.arms),
        )
        for control, of in by_control.items()
    )
    note = words.line("controls.count_note")
    return Table("control_events", words("controls.count_caption"), columns, rows, note, small=True)


def _exposure_table(context: Context, counts: list[Record]) -> Table:
    """Return people and events of both arms of each pair that is a negative control."""
    words = context.words
    columns = (
        Column(words("controls.col_pair"), width=2.5),
        *(Column(words(f"controls.col_{role}"), "right") for role in ("target", "comparator")),
    )
    by_pair: dict[str, list[Record]] = {}
    for row in counts:
        by_pair.setdefault(row["stratum_level"], []).append(row)
    pairs = {pair.id: pair for pair in context.spec.negative_control_exposures}
    rows = tuple(
        (
            runs(pairs[name].name.in_language(context.language)),
            *(
                _events(context, next((row for row in told if row["arm"] == arm.id), None))
                for arm in (pairs[name].target, pairs[name].comparator)
            ),
        )
        for name, told in by_pair.items()
    )
    note = words.line("controls.exposure_note", **context.names)
    caption = words("controls.exposure_caption")
    return Table("control_exposures", caption, columns, rows, note, small=True)


def _events(context: Context, row: Record | None) -> Runs:
    if row is None:
        return runs(numbers.DASH)
    events, n = (context.number(row, name, numbers.whole) for name in ("estimate", "n"))
    return runs(events, " / ", n)


def _forest(context: Context, ease: Record) -> Figure | None:
    """Draw the ratios of the controls of an analysis, and its own below them."""
    words, analysis, effect = context.words, ease["term"], ease["statistic_name"]
    if effect not in RATIOS:
        return None
    found = _of_controls(context, (effect,), analysis)
    own = context.first(effect, analysis_id=analysis, term=None)
    shown = [row for row in (*found, *([own] if own else [])) if _is_shown(row)]
    if len(shown) < 2 or not any(_is_shown(row) for row in found):
        return None
    text = ForestText(
        words("controls.forest_x", **context.names),
        words("forest.low", **context.names),
        words("forest.high", **context.names),
        words.term("estimate", shown[0]["estimate_name"]),
        words("ci.long"),
    )
    chart = forest_chart([_point(context, row) for row in shown], text)
    said = "; ".join(f"{p['label']}: {p['value_text']}" for p in chart["data"]["values"])
    name = f"controls_{analysis}"
    caption = words("controls.forest_caption", analysis=analysis)
    note = words.line("controls.forest_note")
    svg = chart_svg(chart, name)
    return Figure(name, caption, words("forest.alt", said=said), svg, note, chart)


def _is_shown(row: Record) -> bool:
    return row["status"] == "ok" and row["ci_low"] is not None


def _point(context: Context, row: Record) -> Record:
    is_own = row["analysis_id"] != CONTROLS
    label = context.names["outcome"] if is_own else _names(context).get(row["stratum_level"], "")
    return {
        "label": label,
        "detail": context.population_of(row) if is_own else "",
        "estimate": row["estimate"],
        "low": row["ci_low"],
        "high": row["ci_high"],
        "value_text": "".join(run.text for run in context.with_interval(row, numbers.decimals)),
        "is_primary": is_own,
        "row": row["analysis_id"],
    }


def _names(context: Context) -> dict[str, str]:
    spec = context.spec
    controls = (*spec.negative_controls, *spec.negative_control_exposures)
    return {control.id: control.name.in_language(context.language) for control in controls}
