"""Calibration of scores and decision curves: numbers, pictures, and what is shown of a claim."""

from collections.abc import Sequence

from tasks.core.spec import Analysis
from tasks.report import numbers
from tasks.report.blocks import Block, Column, Figure, Paragraph, Runs, Table, plain, runs
from tasks.report.charts_probabilities import (
    CalibrationText,
    DecisionText,
    calibration_chart,
    decision_chart,
)
from tasks.report.context import Context
from tasks.report.figures import chart_svg
from tasks.report.model import Record
from tasks.report.notes import said_note

_NUMBERS = (
    "calibration_intercept calibration_slope oe_ratio ici e50 e90 emax eci brier scaled_brier"
).split()
_BENEFITS = ("net_benefit", "net_intervention_avoided", "standardised_net_benefit")
_RATES = ("indeterminate_rate", "failure_rate")
_PLACES = 3
_MOST_LINES = 6
_MOST_ROWS, _MOST_COLUMNS = 12, 4


def calibration_blocks(context: Context, analysis: Analysis, rows: list[Record]) -> list[Block]:
    """Return what an analysis of calibration found."""
    whole = [row for row in rows if row["stratum_name"] is None]
    tables = [
        _numbers(context, analysis, whole),
        _groups(context, analysis, whole),
        _tests(context, analysis, whole),
        _parts(context, analysis, rows),
        _outputs(context, analysis, rows),
    ]
    blocks: list[Block] = [*_reasons(context, whole), *(table for table in tables if table.rows)]
    return blocks + [
        block
        for arm in _arms(whole)
        for block in _calibration_figure(context, analysis, whole, arm)
    ]


def decision_blocks(context: Context, analysis: Analysis, rows: list[Record]) -> list[Block]:
    """Return what an analysis of net benefit found."""
    whole = [row for row in rows if row["stratum_name"] is None]
    tables = [
        _benefits(context, analysis, whole),
        _differences(context, analysis, whole),
        _parts(context, analysis, rows),
        _outputs(context, analysis, rows),
    ]
    blocks: list[Block] = [*_reasons(context, whole), *(table for table in tables if table.rows)]
    return blocks + _decision_figure(context, analysis, whole)


def _reasons(context: Context, rows: list[Record]) -> list[Block]:
    """Say why a number is not there, and how scores became probabilities."""
    words = context.words
    why = {str(r["note"]): None for r in rows if r["status"] == "not_estimable" and r["note"]}
    said: list[Block] = [
        Paragraph(words.line("tables.not_estimable", note=said_note(words, note))) for note in why
    ]
    told = [r for r in rows if r["estimate_name"] == "net_benefit" and r["status"] == "ok"]
    notes = {str(r["note"]): None for r in told if r["note"]}
    return said + [Paragraph(runs(said_note(words, note) + ".")) for note in notes]


def _arms(rows: list[Record]) -> list[str | None]:
    of_arms = [r for r in rows if r["target"] is None and r["estimate_name"] not in _RATES]
    return list(dict.fromkeys(row["arm"] for row in of_arms))


def _write(value: float) -> str:
    return numbers.decimals(value, _PLACES)


def _value(context: Context, row: Record | None) -> Runs:
    if row is None:
        return runs(numbers.DASH)
    if row["status"] == "not_estimable":
        return runs(context.words.term("status", "not_estimable"))
    return context.with_interval(row, _write)


def _key(row: Record) -> tuple[object, ...]:
    return row["estimate_name"], row["term"]


def _name(context: Context, row: Record) -> str:
    words, term = context.words, row["term"]
    said = words.term("estimate", row["estimate_name"])
    if term is None or row["estimate_name"] == "calibration_slope":
        return said
    return f"{said}: {words.term('calibration_term', str(term))}"


def _numbers(context: Context, analysis: Analysis, rows: list[Record]) -> Table:
    words = context.words
    found = [row for row in rows if row["estimate_name"] in _NUMBERS]
    found.sort(key=lambda row: _NUMBERS.index(str(row["estimate_name"])))
    arms = _arms(found)
    columns = [Column(words("tables.col_estimate"), width=2.6)]
    columns += [Column(arm or words("tables.col_value"), "right", width=2.2) for arm in arms]
    body = []
    for key in dict.fromkeys(_key(row) for row in found):
        same = {row["arm"]: row for row in found if _key(row) == key}
        first = next(iter(same.values()))
        cells = [_value(context, same.get(arm)) for arm in arms]
        body.append((runs(_name(context, first)), *cells))
    caption = words("probabilities.calibration_caption", id=analysis.id)
    note = words.line("probabilities.calibration_note")
    return Table(f"table_{analysis.id}", caption, tuple(columns), tuple(body), note, small=True)


def _groups(context: Context, analysis: Analysis, rows: list[Record]) -> Table:
    """Return each group of scores: the mean probability, and the share that has the condition."""
    words = context.words
    columns = (
        Column(words("tables.col_of"), width=1.6),
        Column(words("probabilities.predicted"), "right", width=1.4),
        Column(words("probabilities.observed"), "right", width=2.4),
        Column(words("readings.col_counted"), "right", width=1.2),
    )
    body = tuple(
        (
            runs(row["arm"] or words("tables.all")),
            (context.number(row, "at", numbers.percent),),
            context.with_interval(row, numbers.percent),
            runs(
                context.number(row, "n_events", numbers.whole), "/",
                context.number(row, "n", numbers.whole),
            ),
        )
        for row in rows
        if row["term"] == "score_group" and row["status"] == "ok"
    )  # fmt: skip
    caption = words("probabilities.groups_caption", id=analysis.id)
    note = words.line("probabilities.groups_note")
    return Table(f"groups_{analysis.id}", caption, columns, body, note, small=True)


def _tests(context: Context, analysis: Analysis, rows: list[Record]) -> Table:
    words = context.words
    columns = (
        Column(words("tables.col_test"), width=2.6),
        Column(words("tables.col_of"), width=1.4),
        Column(words("tables.col_statistic"), "right", width=1.2),
        Column(words("tables.col_p"), "right", width=0.8),
        Column(words("probabilities.remark"), width=2.6),
    )
    body = tuple(
        (
            runs(words.term("statistic", row["statistic_name"])),
            runs(row["arm"] or words("tables.all")),
            (context.number(row, "statistic", numbers.decimals),),
            (context.number(row, "p_value", numbers.p_value),),
            runs(said_note(words, str(row["note"])) if row["note"] else ""),
        )
        for row in rows
        if row["estimate_name"] == "test"
    )
    caption = words("tables.tests_caption", id=analysis.id)
    return Table(f"fit_{analysis.id}", caption, columns, body, small=True)


_OF_PARTS = ("calibration_intercept", "calibration_slope", "ici", "brier")


def _parts(context: Context, analysis: Analysis, rows: list[Record]) -> Table:
    """Return the main numbers of each reader, centre and subgroup."""
    words = context.words
    found = [row for row in rows if row["stratum_name"] is not None and row["target"] is None]
    wanted = [row for row in found if _is_main(row)]
    told = [row for row in wanted if row["status"] == "ok"] or wanted
    names = list(dict.fromkeys((row["estimate_name"], row["at"]) for row in told))[:_MOST_COLUMNS]
    columns = [Column(words("tables.col_of"), width=2.2)]
    columns += [Column(_head(context, *name), "right", width=2) for name in names]
    keys = dict.fromkeys((r["stratum_name"], r["stratum_level"], r["arm"]) for r in wanted)
    body = []
    for key in keys:
        same = [r for r in wanted if (r["stratum_name"], r["stratum_level"], r["arm"]) == key]
        by_name = {(r["estimate_name"], r["at"]): r for r in same}
        cells = [_value(context, by_name.get(name)) for name in names]
        body.append((runs(", ".join(str(p) for p in (f"{key[0]} {key[1]}", key[2]) if p)), *cells))
    caption = words("readings.parts_caption", id=analysis.id)
    return Table(f"parts_{analysis.id}", caption, tuple(columns), tuple(body), small=True)


def _is_main(row: Record) -> bool:
    if row["estimate_name"] == "net_benefit":
        return bool(row["term"] == "model" and _is_told(row["at"]))
    return row["estimate_name"] in _OF_PARTS and row["term"] in (None, "slope", "in the large")


def _is_told(threshold: float | None) -> bool:
    """Whether a threshold is one of the round ones that tables tell."""
    return threshold is not None and round(100 * threshold, 6) % 10 == 0


def _head(context: Context, name: str, at: float | None) -> str:
    said = context.words.term("estimate", name)
    return said if at is None else f"{said}, {numbers.share_of(at)}"


def _outputs(context: Context, analysis: Analysis, rows: list[Record]) -> Table:
    words = context.words
    columns = (
        Column(words("tables.col_estimate"), width=2.2),
        Column(words("tables.col_of"), width=2),
        Column(words("tables.col_value"), "right", width=2.2),
    )
    body = tuple(
        (
            runs(words.term("estimate", row["estimate_name"])),
            runs(row["arm"] or words("tables.all")),
            context.with_interval(row, numbers.percent),
        )
        for row in rows
        if row["estimate_name"] in _RATES
    )
    caption = words("readings.without_caption", id=analysis.id)
    return Table(f"without_{analysis.id}", caption, columns, body, small=True)


def _point(context: Context, row: Record) -> dict[str, object]:
    return {
        "at": row["at"], "estimate": row["estimate"], "low": row["ci_low"], "high": row["ci_high"],
        "value_text": plain(context.with_interval(row, _write)),
    }  # fmt: skip


def _calibration_figure(
    context: Context, analysis: Analysis, rows: list[Record], arm: str | None
) -> list[Block]:
    """Return the plot of a modality; a sentence instead where everything of it is withheld."""
    words = context.words
    mine = [row for row in rows if row["arm"] == arm]
    by_term = {
        term: [row for row in mine if row["term"] == term]
        for term in ("smooth", "score_group", "score_bin")
    }
    if not by_term["smooth"]:
        return []
    name = ", ".join(part for part in (analysis.id, arm) if part)
    caption = words("probabilities.calibration_figure", id=name)
    shown = {term: [row for row in of if row["status"] == "ok"] for term, of in by_term.items()}
    if not shown["smooth"] and not shown["score_group"]:
        return [Paragraph(words.line("curves.all_withheld", caption=caption))]
    curve, groups = (
        [_point(context, row) for row in shown[term]] for term in ("smooth", "score_group")
    )
    bins = [
        {"low": row["at"], "high": row["at2"], "count": row["estimate"],
         "value_text": context.number(row, "estimate", numbers.whole).text}
        for row in shown["score_bin"]
    ]  # fmt: skip
    text = CalibrationText(
        predicted=words("probabilities.predicted"),
        observed=words("probabilities.observed"),
        count=words("readings.col_counted"),
        ideal=words("probabilities.ideal"),
        curve=words("probabilities.curve"),
        groups=words("probabilities.groups"),
    )
    chart = calibration_chart(curve, groups, bins, text)
    figure = f"calibration_{analysis.id}" + (f"_{_place(rows, arm)}" if arm else "")
    said = "; ".join(f"{_share(row['at'])}: {_share(row['estimate'])}" for row in _tenth(shown))
    note = words.line("probabilities.calibration_figure_note")
    alt = words("probabilities.alt", said=said)
    return [Figure(figure, caption, alt, chart_svg(chart, figure), note, chart)]


def _tenth(shown: dict[str, list[Record]]) -> list[Record]:
    """Return the groups, else points of the curve, at most ten of them."""
    rows = shown["score_group"] or shown["smooth"]
    return rows[:: max(1, len(rows) // 10)]


def _share(value: float) -> str:
    return numbers.percent(value, 0)


def _place(rows: list[Record], arm: str) -> int:
    return _arms(rows).index(arm)


def _benefits(context: Context, analysis: Analysis, rows: list[Record]) -> Table:
    """Return net benefit at round thresholds: each modality, all, and what is avoided."""
    words = context.words
    found = [row for row in rows if row["estimate_name"] in _BENEFITS and row["term"] != "none"]
    columns = [
        Column(words("probabilities.threshold"), "right", width=1),
        Column(words("tables.col_of"), width=1.6),
    ]
    columns += [Column(_column(context, *head), "right", width=2.1) for head in _COLUMNS]
    by_key = {(r["estimate_name"], r["term"], r["arm"], r["at"]): r for r in found}
    body = tuple(
        (
            runs(numbers.share_of(at)),
            runs(arm or words("tables.all")),
            *(_benefit(context, head[1], by_key.get((*head, arm, at))) for head in _COLUMNS),
        )
        for at in _told_thresholds(found)
        for arm in _arms(found)
    )
    caption = words("probabilities.benefits_caption", id=analysis.id)
    note = words.line("probabilities.benefits_note")
    return Table(f"table_{analysis.id}", caption, tuple(columns), body, note, small=True)


def _benefit(context: Context, term: str, row: Record | None) -> Runs:
    """Return a value; of acting on all, which no score changes, without its interval."""
    if term == "all" and row is not None and row["status"] == "ok":
        return (context.number(row, "estimate", _write),)
    return _value(context, row)


_COLUMNS = (
    ("net_benefit", "model"),
    ("net_benefit", "all"),
    ("net_intervention_avoided", "model"),
    ("standardised_net_benefit", "model"),
)


def _column(context: Context, name: str, term: str) -> str:
    words = context.words
    return words("probabilities.of_all") if term == "all" else words.term("estimate", name)


def _told_thresholds(rows: Sequence[Record]) -> list[float]:
    """Return the round thresholds that were asked for; the first few where none is round."""
    asked = sorted({float(row["at"]) for row in rows if row["at"] is not None})
    if len(asked) <= _MOST_ROWS:
        return asked
    return [at for at in asked if _is_told(at)] or asked[:_MOST_ROWS]


def _differences(context: Context, analysis: Analysis, rows: list[Record]) -> Table:
    words = context.words
    found = [row for row in rows if row["estimate_name"] == "net_benefit_difference"]
    told = set(_told_thresholds(found))
    columns = (
        Column(words("probabilities.threshold"), "right", width=1.2),
        Column(words("tables.col_of"), width=2),
        Column(words("tables.col_value"), "right", width=2.4),
        Column(words("tables.col_how"), width=1.4),
        Column(words("tables.col_p"), "right", width=0.8),
        Column(words("readings.col_shown"), width=2.4),
    )
    body = tuple(
        (
            runs(numbers.share_of(row["at"])),
            runs(f"{row['target']} - {row['comparator']}"),
            _value(context, row),
            runs(words.term("se_method", row["se_method"]) if row["se_method"] else ""),
            (context.number(row, "p_value", numbers.p_value),),
            runs(_shown(context, row)),
        )
        for row in found
        if row["at"] in told
    )
    caption = words("probabilities.differences_caption", id=analysis.id)
    return Table(f"compare_{analysis.id}", caption, columns, body, small=True)


def _shown(context: Context, row: Record) -> str:
    """Say what a test against a margin has shown."""
    if row["alternative"] is None or row["p_value"] is None:
        return ""
    key = "readings.not_shown" if "is not shown" in str(row["note"]) else "readings.shown"
    claim = context.words.term("claim", row["alternative"])
    return context.words(key, claim=claim, margin=f"{row['margin']:g}")


def _decision_figure(context: Context, analysis: Analysis, rows: list[Record]) -> list[Block]:
    """Return the decision curve; a sentence instead where no point of it may be shown."""
    words = context.words
    found = [row for row in rows if row["estimate_name"] == "net_benefit" and row["at"] is not None]
    arms = _arms(found)
    if not 0 < len(arms) < _MOST_LINES or len({row["at"] for row in found}) < 2:
        return []
    caption = words("probabilities.decision_figure", id=analysis.id)
    names = {arm: arm or words("probabilities.score") for arm in arms}
    lines = (*names.values(), words("probabilities.of_all"), words("probabilities.of_none"))
    points = [
        _point(context, row) | {"line": names[row["arm"]]}
        for row in found
        if row["term"] == "model" and row["status"] == "ok"
    ]
    if not points:
        return [Paragraph(words.line("curves.all_withheld", caption=caption))]
    points += [
        _point(context, row)
        | {"line": lines[-2 if row["term"] == "all" else -1], "low": None, "high": None}
        for row in found
        if row["term"] != "model" and row["status"] == "ok" and row["arm"] == arms[0]
    ]
    text = DecisionText(
        words("probabilities.threshold"), words.term("estimate", "net_benefit"), lines,
        words.term("estimate", "net_benefit"),
    )  # fmt: skip
    chart = decision_chart(points, text)
    figure = f"decision_{analysis.id}"
    told = [p for p in points if _is_told(float(str(p["at"])))]
    said = "; ".join(f"{p['line']}, {_share(float(str(p['at'])))}: {p['value_text']}" for p in told)
    note = words.line("probabilities.decision_figure_note")
    alt = words("probabilities.alt", said=said)
    return [Figure(figure, caption, alt, chart_svg(chart, figure), note, chart)]
