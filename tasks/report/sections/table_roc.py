"""ROC curves and operating points: areas, differences, values at fixed ones, and the picture."""

from collections.abc import Iterable
from typing import Any

from tasks.core.spec import Analysis
from tasks.report import numbers
from tasks.report.blocks import Block, Column, Figure, Paragraph, Runs, Table, plain, runs
from tasks.report.charts_roc import MOST, RocText, roc_chart
from tasks.report.context import Context, Write
from tasks.report.figures import chart_svg
from tasks.report.model import Record

_AREAS = ("auc", "partial_auc")
_GAPS = ("auc_difference", "partial_auc_difference")
_SHARES = ("sensitivity", "specificity")
_RATIOS = ("lr_positive", "lr_negative", "diagnostic_odds_ratio")
_ORDER = (
    *("sensitivity", "specificity", "ppv", "npv", "accuracy", *_RATIOS),
    *("balanced_accuracy", "f1", "prevalence"),
)
_MINUS = "\u00a0-\u00a0"
_LARGEST = "largest gap"


def roc_blocks(context: Context, analysis: Analysis, rows: list[Record]) -> list[Block]:
    """Return what an analysis of ROC curves found: the picture first, then its tables."""
    own = _own(analysis, rows)
    whole = [row for row in rows if _is_whole(row) and row["scenario"] == own]
    tables = [
        _areas(context, analysis, whole),
        _at_fixed(context, analysis, whole),
        _gaps(context, analysis, "compare", whole),
        _tests(context, analysis, whole),
        _scenarios(context, analysis, rows),
        _parts(context, analysis, rows),
        _gaps(context, analysis, "levels", _between_levels(rows)),
    ]
    return [*_picture(context, analysis, whole), *(table for table in tables if table.rows)]


def operating_blocks(context: Context, analysis: Analysis, rows: list[Record]) -> list[Block]:
    """Return the threshold that was chosen, and what it gives in both sets."""
    words, asked = context.words, analysis.operating_point
    blocks: list[Block] = []
    if asked is not None:
        rule = words.term("rule", asked.chosen_by)
        at = _fixed(asked.at_least) if asked.at_least is not None else ""
        said = words.line(
            "operating.rule", rule=rule, at=at, column=asked.set, dev=asked.development,
            val=asked.validation,
        )  # fmt: skip
        blocks.append(Paragraph(said))
    pairs = [row for row in rows if row["target"] is not None and row["estimate_name"] != "test"]
    tables = [
        _thresholds(context, analysis, rows),
        _in_sets(context, analysis, rows),
        _gaps(context, analysis, "compare", pairs),
        _tests(context, analysis, rows),
    ]
    return [*blocks, *(table for table in tables if table.rows)]


def _own(analysis: Analysis, rows: list[Record]) -> str | None:
    """Return the scenario in which outputs count as the study says; None where all have one."""
    own = analysis.index_test.without_result if analysis.index_test else "wrong"
    named = f"without a result: {own}"
    return named if any(row["scenario"] == named for row in rows) else None


def _is_whole(row: Record) -> bool:
    return row["stratum_name"] is None


def _three(value: float) -> str:
    return numbers.decimals(value, 3)


def _write(row: Record) -> Write:
    name = str(row["estimate_name"])
    if name in (*_AREAS, *_GAPS):
        return _three
    return numbers.decimals if name in _RATIOS or name.endswith("_ratio") else numbers.percent


def _named(context: Context, row: Record) -> str:
    """Name an estimate: which part of the curve, or at which value of the other share."""
    words, name = context.words, str(row["estimate_name"])
    said = words.term("roc_name", name) if name in _AREAS else words.term("estimate", name)
    if row["at"] is None:
        return said
    if row["at_kind"] == "threshold":
        return words("roc.at_threshold", name=said, value=f"{row['at']:g}")
    axis = words.term("roc_axis", row["at_kind"])
    if row["at2"] is None:
        return words("roc.at", name=said, axis=axis, at=_fixed(row["at"]))
    low, high = (_fixed(row[key]) for key in ("at", "at2"))
    key = "roc.part_corrected" if row["term"] == "mcclish" else "roc.part"
    return words(key, name=said, axis=axis, low=low, high=high)


def _fixed(value: float) -> str:
    """Write a share that the study gives, with no more digits than it has."""
    return f"{100 * value:g}%"


def _how(context: Context, row: Record) -> str:
    if not row["ci_method"]:
        return ""
    words = context.words
    parts = [words.term("ci_method", row["ci_method"])]
    parts += [words.term("se_method", row["se_method"])] if row["se_method"] else []
    return ", ".join(parts)


def _value(context: Context, row: Record) -> Runs:
    if row["status"] == "not_estimable":
        return runs(context.words.term("status", "not_estimable"))
    return context.with_interval(row, _write(row))


def _areas(context: Context, analysis: Analysis, rows: list[Record]) -> Table:
    """Return areas, whole and in part, of each modality; other intervals stand in columns."""
    words = context.words
    columns = (
        Column(words("tables.col_estimate"), width=2.6),
        Column(words("roc.col_modality"), width=1.2),
        Column(words("roc.col_logit"), "right", width=2.2),
        Column(words("roc.col_wald"), "right", width=1.6),
        Column(words("roc.col_bootstrap"), "right", width=1.6),
        Column(words("roc.col_cases"), "right", width=1.2),
    )
    found = [row for row in rows if row["estimate_name"] in _AREAS and row["target"] is None]
    by = {(*_place(row), row["arm"], _way(row)): row for row in reversed(found)}
    body = []
    for key in sorted({key[:-1] for key in by}, key=lambda key: (key[:-1], str(key[-1]))):
        ways = {way: by.get((*key, way)) for way in ("logit", "wald", "bootstrap")}
        first = ways["logit"] or ways["wald"] or ways["bootstrap"]
        if first is None:
            continue
        others = [_limits(context, ways[way]) for way in ("wald", "bootstrap")]
        name, arm = runs(_named(context, first)), runs(first["arm"] or "")
        body.append((name, arm, _value(context, first), *others, _cases(context, first)))
    caption, note = words("roc.areas_caption", id=analysis.id), words.line("roc.areas_note")
    return Table(f"table_{analysis.id}", caption, columns, tuple(body), note, small=True)


def _way(row: Record) -> str:
    """Say which column the interval of an area stands in."""
    if row["se_method"] == "bootstrap":
        return "bootstrap"
    return "wald" if row["ci_method"] == "wald" else "logit"


def _limits(context: Context, row: Record | None) -> Runs:
    is_there = row is not None and row["status"] != "not_estimable"
    return context.interval(row, _three) if row is not None and is_there else runs(numbers.DASH)


def _place(row: Record) -> tuple[object, ...]:
    """Put the whole curve first, then each part, as it is before McClish's scale."""
    is_part = row["estimate_name"] != "auc"
    return is_part, str(row["at_kind"]), row["at"] or 0.0, row["at2"] or 0.0, str(row["term"])


def _cases(context: Context, row: Record) -> Runs:
    parts = [context.number(row, key, numbers.whole) for key in ("n_events", "n")]
    return runs(parts[0], "/", parts[1])


def _at_fixed(context: Context, analysis: Analysis, rows: list[Record]) -> Table:
    """Return sensitivity at fixed specificity, the reverse, and both at the threshold."""
    words = context.words
    columns = (
        Column(words("tables.col_estimate"), width=3.2),
        Column(words("roc.col_modality"), width=1.6),
        Column(words("tables.col_value"), "right", width=2.2),
        Column(words("tables.col_how"), width=2.4),
    )
    body = tuple(
        (
            runs(_named(context, row)),
            runs(row["arm"] or ""),
            _value(context, row),
            runs(_how(context, row)),
        )
        for row in rows
        if row["estimate_name"] in _SHARES and row["term"] != "curve"
    )
    caption = words("roc.fixed_caption", id=analysis.id)
    return Table(f"fixed_{analysis.id}", caption, columns, body, small=True)


def _gaps(context: Context, analysis: Analysis, kind: str, rows: Iterable[Record]) -> Table:
    """Return differences: of modalities (`compare`), or of levels of a subgroup (`levels`)."""
    words = context.words
    columns = (
        Column(words("tables.col_estimate"), width=2.3),
        Column(words("tables.col_of"), width=2),
        Column(words("tables.col_value"), "right", width=2.1),
        Column(words("tables.col_how"), width=1.7),
        Column(words("tables.col_p"), "right", width=0.8),
        Column(words("readings.col_shown"), width=2.1),
    )
    body = tuple(
        (
            runs(_named(context, row)),
            runs(_pair(context, row)),
            _value(context, row),
            runs(_how(context, row)),
            (context.number(row, "p_value", numbers.p_value),),
            runs(_shown(context, row)),
        )
        for row in rows
        if row["target"] is not None and row["estimate_name"] != "test"
    )
    caption, note = words(f"roc.{kind}_caption", id=analysis.id), words.line("roc.gaps_note")
    return Table(f"{kind}_{analysis.id}", caption, columns, body, note, small=True)


def _pair(context: Context, row: Record) -> str:
    pair = f"{row['target']}{_MINUS}{row['comparator']}"
    if row["stratum_name"] is not None:
        pair = f"{row['stratum_name']}: {pair}"
    parts = [pair, row["arm"] or ""]
    parts += [context.words("roc.largest")] if row["scenario"] == _LARGEST else []
    return ", ".join(part for part in parts if part)


def _shown(context: Context, row: Record) -> str:
    """Say what a test against a margin has shown; the reason where there is no number."""
    if row["status"] == "not_estimable":
        return str(row["note"])
    if row["alternative"] is None or row["p_value"] is None:
        return ""
    words, is_shown = context.words, "is not shown" not in str(row["note"])
    write = _three if row["estimate_name"] in _GAPS else numbers.percent
    margin = write(row["margin"])
    key = "readings.shown" if is_shown else "readings.not_shown"
    return words(key, claim=words.term("claim", row["alternative"]), margin=margin)


def _tests(context: Context, analysis: Analysis, rows: list[Record]) -> Table:
    words = context.words
    columns = (
        Column(words("tables.col_test"), width=2.6),
        Column(words("tables.col_of"), width=2.6),
        Column(words("tables.col_statistic"), "right", width=1.2),
        Column(words("tables.col_p"), "right", width=0.8),
    )
    body = tuple(
        (
            runs(_test(context, row)),
            runs(f"{_term(context, row)}: {row['target']}{_MINUS}{row['comparator']}"),
            (context.number(row, "statistic", numbers.decimals),),
            (context.number(row, "p_value", numbers.p_value),),
        )
        for row in rows
        if row["estimate_name"] == "test"
    )
    caption = words("tables.tests_caption", id=analysis.id)
    return Table(f"fit_{analysis.id}", caption, columns, body, small=True)


def _test(context: Context, row: Record) -> str:
    words = context.words
    said = words.term("statistic", row["statistic_name"])
    return f"{said}, {words.term('se_method', row['se_method'])}" if row["se_method"] else said


def _term(context: Context, row: Record) -> str:
    if row["term"] in _AREAS:
        return _named(context, {**row, "estimate_name": row["term"], "term": None})
    return context.words.term("estimate", row["term"])


def _scenarios(context: Context, analysis: Analysis, rows: list[Record]) -> Table:
    """Return the area with outputs without a result counted as the study says, and otherwise."""
    words = context.words
    columns = (
        Column(words("tables.col_of"), width=3.4),
        Column(words("roc.col_modality"), width=1.6),
        Column(words("tables.col_value"), "right", width=2.2),
        Column(words("roc.col_cases"), "right", width=1.2),
    )
    body = tuple(
        (
            runs(words.term("without_result", str(row["scenario"]).split(": ")[-1])),
            runs(row["arm"] or ""),
            _value(context, row),
            _cases(context, row),
        )
        for row in rows
        if row["estimate_name"] == "auc"
        and _is_whole(row)
        and str(row["scenario"]).startswith("without a result")
        and row["ci_method"] in ("wald_logit", "newcombe")
        and row["se_method"] != "bootstrap"
    )
    caption = words("readings.without_caption", id=analysis.id)
    return Table(f"without_{analysis.id}", caption, columns, body, small=True)


def _parts(context: Context, analysis: Analysis, rows: list[Record]) -> Table:
    """Return the area of each reader, centre and level of a subgroup, a column a modality."""
    words = context.words
    found = [
        row
        for row in rows
        if row["estimate_name"] == "auc"
        and not _is_whole(row)
        and row["target"] is None
        and (row["ci_method"] in ("wald_logit", "newcombe") or row["status"] != "ok")
    ]
    arms = list(dict.fromkeys(row["arm"] for row in found))
    columns = [Column(words("tables.col_of"), width=2.4)]
    for arm in arms:
        columns.append(Column(arm or words("tables.col_value"), "right", width=2))
        columns.append(Column(words("roc.col_cases"), "right", width=1.1))
    by = {(row["stratum_name"], row["stratum_level"], row["arm"]): row for row in found}
    body = []
    for name, level in dict.fromkeys(key[:2] for key in by):
        cells: list[Runs] = [runs(f"{name} {level}")]
        for arm in arms:
            if row := by.get((name, level, arm)):
                cells += [_value(context, row), _cases(context, row)]
            else:
                cells += [runs(numbers.DASH), runs("")]
        body.append(tuple(cells))
    caption = words("roc.parts_caption", id=analysis.id)
    return Table(f"parts_{analysis.id}", caption, tuple(columns), tuple(body), small=True)


def _between_levels(rows: list[Record]) -> list[Record]:
    """Return gaps between levels within a modality, not those of modalities within a level."""
    return [row for row in rows if not _is_whole(row) and row["arm"] is not None]


def _picture(context: Context, analysis: Analysis, rows: list[Record]) -> list[Block]:
    words = context.words
    curve = [row for row in rows if row["term"] == "curve"]
    arms = list(dict.fromkeys(row["arm"] for row in curve))
    caption = words("roc.figure_caption", id=analysis.id)
    if not curve or len(arms) > MOST:
        return []
    shown = [row for row in curve if row["status"] == "ok"]
    lines = {arm: _line(context, rows, arm) for arm in arms}
    points = [_point(context, row, lines) for row in sorted(shown, key=_along)]
    marks = _marks(context, rows, lines)
    text = RocText(
        words("roc.x"), words("roc.y"), words("roc.chance"), tuple(lines.values()),
        words.term("estimate", "sensitivity"),
    )  # fmt: skip
    figure = f"roc_{analysis.id}"
    chart = roc_chart(points, marks, text)
    has_band = any(point["low"] is not None for point in points)
    said = [words("roc.figure_note")]
    said += [words("roc.band_note")] if has_band else []
    said += [words("roc.mark_note")] if marks else []
    note = runs(" ".join(said))
    alt = words("roc.alt", said="; ".join(lines.values()))
    return [Figure(figure, caption, alt, chart_svg(chart, figure), note, chart)]


def _along(row: Record) -> tuple[str, float, float]:
    return str(row["arm"]), row["at"], row["estimate"]


def _line(context: Context, rows: list[Record], arm: str | None) -> str:
    """Name a curve with its area and interval."""
    words = context.words
    area = next(
        (
            row
            for row in rows
            if row["estimate_name"] == "auc"
            and row["arm"] == arm
            and row["ci_method"] in ("wald_logit", "newcombe")
            and row["status"] == "ok"
        ),
        None,
    )
    said = plain(context.with_interval(area, _three)) if area else numbers.DASH
    name = arm or words("roc.one")
    return words("roc.line", name=name, area=said)


def _point(context: Context, row: Record, lines: dict[str | None, str]) -> Record:
    value = plain((context.number(row, "estimate", numbers.percent),))
    return {
        "line": lines[row["arm"]], "across": row["at"], "up": row["estimate"],
        "low": row["ci_low"], "high": row["ci_high"], "value_text": value,
    }  # fmt: skip


def _marks(context: Context, rows: list[Record], lines: dict[str | None, str]) -> list[Record]:
    """Return the operating point of each modality of which both shares may be shown."""
    there = [row for row in rows if row["term"] == "operating_point" and row["status"] == "ok"]
    by = {(row["arm"], row["estimate_name"]): row for row in there}
    made = []
    for arm, line in lines.items():
        pair = [by.get((arm, name)) for name in _SHARES]
        if pair[0] is None or pair[1] is None:
            continue
        said = [plain(context.with_interval(row, numbers.percent)) for row in pair if row]
        across, up = 1 - pair[1]["estimate"], pair[0]["estimate"]
        made.append({"line": line, "across": across, "up": up, "value_text": " / ".join(said)})
    return made


def _thresholds(context: Context, analysis: Analysis, rows: list[Record]) -> Table:
    words = context.words
    columns = (
        Column(words("roc.col_modality"), width=2),
        Column(words("operating.col_threshold"), "right", width=2.4),
        Column(words("tables.col_how"), width=2.4),
        Column(words("roc.col_cases"), "right", width=1.2),
    )
    body = []
    for row in (row for row in rows if row["estimate_name"] == "operating_threshold"):
        is_told = row["status"] != "not_estimable"
        value = context.with_interval(row, _four) if is_told else _value(context, row)
        how = _how(context, row) if is_told else str(row["note"])
        arm = runs(row["arm"] or words("tables.all"))
        body.append((arm, value, runs(how), _cases(context, row)))
    caption, note = words("operating.caption", id=analysis.id), words.line("operating.note")
    return Table(f"threshold_{analysis.id}", caption, columns, tuple(body), note, small=True)


def _four(value: float) -> str:
    return f"{value:.4g}"


def _in_sets(context: Context, analysis: Analysis, rows: list[Record]) -> Table:
    """Return each measure of each modality where the threshold was chosen, and where judged."""
    words, asked = context.words, analysis.operating_point
    sets = (asked.validation, asked.development) if asked else ()
    columns = [Column(words("tables.col_estimate"), width=2), Column(words("roc.col_modality"))]
    for key in ("operating.col_judged", "operating.col_chosen")[: len(sets)]:
        columns.append(Column(words(key), "right", width=2.2))
        columns.append(Column(words("readings.col_counted"), "right", width=1.1))
    found = {
        (row["estimate_name"], row["at"], row["arm"], row["stratum_level"]): row
        for row in reversed(rows)
        if row["target"] is None
        and row["stratum_level"] in sets
        and row["ci_method"] != "exact"
        and row["estimate_name"] != "operating_threshold"
    }
    body = []
    for name, at, arm in sorted(dict.fromkeys(key[:3] for key in reversed(found)), key=_order):
        said = words.term("estimate", name)
        if at is not None:
            said = words("readings.at_prevalence", name=said, share=numbers.percent(at))
        cells: list[Runs] = [runs(said), runs(arm or "")]
        for level in sets:
            row = found.get((name, at, arm, level))
            cells += [runs(numbers.DASH), runs("")] if row is None else _counted(context, row)
        body.append(tuple(cells))
    caption = words("operating.sets_caption", id=analysis.id)
    note = words.line("operating.sets_note")
    return Table(f"sets_{analysis.id}", caption, tuple(columns), tuple(body), note, small=True)


def _order(key: tuple[Any, ...]) -> tuple[object, ...]:
    """Put measures in the order that readers expect, then predictive values at prevalences."""
    name, at, arm = key
    return (
        at is not None,
        _ORDER.index(name) if name in _ORDER else len(_ORDER),
        at or 0.0,
        arm or "",
    )


def _counted(context: Context, row: Record) -> list[Runs]:
    if row["n_events"] is None and row["status"] != "suppressed":
        return [_value(context, row), runs("")]
    parts = [context.number(row, key, numbers.whole) for key in ("n_events", "n")]
    return [_value(context, row), runs(parts[0], "/", parts[1])]
