"""Accuracy of readings: each modality, the comparisons, the centres, and what has no result."""

from collections.abc import Iterable

from tasks.core.spec import Analysis
from tasks.report import numbers
from tasks.report.blocks import Block, Column, Figure, Paragraph, Runs, Table, plain, runs
from tasks.report.charts_meta import PoolText, forest_of_sites
from tasks.report.context import Context, Write
from tasks.report.figures import chart_svg
from tasks.report.model import Record

_SHARES = "sensitivity specificity ppv npv accuracy balanced_accuracy f1 prevalence".split()
_RATIOS = "lr_positive lr_negative diagnostic_odds_ratio".split()
_ORDER = (*_SHARES[:5], *_RATIOS, *_SHARES[5:])
_FORESTS = ("sensitivity", "specificity")
_RATES = ("indeterminate_rate", "failure_rate")


def accuracy_blocks(context: Context, analysis: Analysis, rows: list[Record]) -> list[Block]:
    """Return what an analysis of accuracy found."""
    words = context.words
    blocks: list[Block] = []
    if analysis.index_test is not None and analysis.index_test.threshold is not None:
        side = words.term("positive", analysis.index_test.positive)
        threshold = f"{analysis.index_test.threshold:g}"
        blocks.append(Paragraph(words.line("readings.threshold", side=side, value=threshold)))
    tables = [
        _measures(context, analysis, rows),
        _comparisons(context, analysis, rows),
        _tests(context, analysis, rows),
        _without_result(context, analysis, rows),
        _parts(context, analysis, rows),
        _conduct(context, analysis, rows),
    ]
    blocks += [table for table in tables if table.rows]
    return blocks + _forests(context, analysis, rows)


def _own_scenario(analysis: Analysis, rows: list[Record]) -> str | None:
    """Return the scenario in which outputs count as the study says; None where all have one."""
    own = analysis.index_test.without_result if analysis.index_test else "wrong"
    named = f"without a result: {own}"
    return named if any(row["scenario"] == named for row in rows) else None


def _whole(analysis: Analysis, rows: list[Record]) -> list[Record]:
    """Return the rows of all readings, with outputs counted as the study says, in their order."""
    own = _own_scenario(analysis, rows)
    found = [
        row
        for row in rows
        if row["stratum_level"] is None and row["scenario"] == own and row["term"] is None
    ]
    return sorted(found, key=lambda row: (_place(row), row["at"] or 0.0))


def _place(row: Record) -> int:
    name = row["estimate_name"]
    return _ORDER.index(name) if name in _ORDER else len(_ORDER)


def _measures(context: Context, analysis: Analysis, rows: list[Record]) -> Table:
    """Return each measure, a column a modality."""
    words = context.words
    whole = [row for row in _whole(analysis, rows) if row["estimate_name"] not in _RATES]
    arms = _arms(whole)
    columns = [Column(words("tables.col_estimate"), width=2.2)]
    for arm in arms:
        columns.append(Column(arm or words("tables.col_value"), "right", width=2.2))
        columns.append(Column(words("readings.col_counted"), "right", width=1.1))
    keys = dict.fromkeys((r["estimate_name"], r["at"]) for r in whole)
    body = []
    for name, at in keys:
        cells: list[Runs] = [runs(_named(context, name, at))]
        for arm in arms:
            found = [r for r in whole if (r["estimate_name"], r["at"], r["arm"]) == (name, at, arm)]
            cells += _cells(context, found)
        body.append(tuple(cells))
    caption = words("readings.measures_caption", id=analysis.id)
    note = words.line("readings.measures_note")
    return Table(f"table_{analysis.id}", caption, tuple(columns), tuple(body), note, small=True)


def _named(context: Context, name: str, at: float | None) -> str:
    said = context.words.term("estimate", name)
    if at is None:
        return said
    return context.words("readings.at_prevalence", name=said, share=numbers.percent(at))


def _cells(context: Context, found: list[Record]) -> list[Runs]:
    """Return a value with Wilson's interval (the first row), and what it counts."""
    if not found:
        return [runs(numbers.DASH), runs("")]
    row = found[0]
    if row["status"] == "not_estimable":
        return [runs(context.words.term("status", "not_estimable")), runs("")]
    counted = runs("")
    if row["n_events"] is not None or row["status"] == "suppressed":
        part, of = (context.number(row, key, numbers.whole) for key in ("n_events", "n"))
        counted = runs(part, "/", of)
    return [context.with_interval(row, _write(str(row["estimate_name"]))), counted]


def _write(name: str) -> Write:
    return numbers.decimals if name in _RATIOS or name.endswith("_ratio") else numbers.percent


def _arms(rows: Iterable[Record]) -> list[str | None]:
    return list(dict.fromkeys(row["arm"] for row in rows))


def _comparisons(context: Context, analysis: Analysis, rows: list[Record]) -> Table:
    words = context.words
    columns = (
        Column(words("tables.col_estimate"), width=2.4),
        Column(words("tables.col_of"), width=1.8),
        Column(words("tables.col_value"), "right", width=2.2),
        Column(words("tables.col_how"), width=1.6),
        Column(words("tables.col_p"), "right", width=0.8),
        Column(words("readings.col_shown"), width=2.4),
    )
    body = tuple(
        (
            runs(words.term("estimate", row["estimate_name"])),
            runs(f"{row['target']} - {row['comparator']}"),
            context.with_interval(row, _write(str(row["estimate_name"]))),
            runs(_how(context, row)),
            (context.number(row, "p_value", numbers.p_value),),
            runs(_shown(context, row)),
        )
        for row in sorted(rows, key=_place_of_gap)
        if row["target"] is not None and row["estimate_name"] != "test"
    )
    caption = words("readings.comparisons_caption", id=analysis.id)
    note = words.line("readings.comparisons_note")
    return Table(f"compare_{analysis.id}", caption, columns, body, note, small=True)


def _place_of_gap(row: Record) -> int:
    name = str(row["estimate_name"]).removesuffix("_difference").removesuffix("_ratio")
    return _ORDER.index(name) if name in _ORDER else len(_ORDER)


def _how(context: Context, row: Record) -> str:
    if not row["ci_method"]:
        return ""
    method = context.words.term("ci_method", row["ci_method"])
    return f"{method}, {context.words.term('se_method', row['se_method'])}"


def _shown(context: Context, row: Record) -> str:
    """Say what a test against a margin has shown; the reason where there is no number."""
    if row["status"] == "not_estimable":
        return str(row["note"])
    if row["alternative"] is None or row["p_value"] is None:
        return ""
    words, is_shown = context.words, "is not shown" not in str(row["note"])
    key = "readings.shown" if is_shown else "readings.not_shown"
    return words(
        key, claim=words.term("claim", row["alternative"]), margin=numbers.percent(row["margin"])
    )


def _tests(context: Context, analysis: Analysis, rows: list[Record]) -> Table:
    words = context.words
    columns = (
        Column(words("tables.col_test"), width=2.4),
        Column(words("tables.col_of"), width=2.4),
        Column(words("tables.col_statistic"), "right", width=1.2),
        Column(words("tables.col_p"), "right", width=0.8),
    )
    body = tuple(
        (
            runs(words.term("statistic", row["statistic_name"])),
            runs(f"{words.term('estimate', row['term'])}: {row['target']} - {row['comparator']}"),
            (context.number(row, "statistic", numbers.decimals),),
            (context.number(row, "p_value", numbers.p_value),),
        )
        for row in rows
        if row["estimate_name"] == "test"
    )
    caption = words("tables.tests_caption", id=analysis.id)
    return Table(f"fit_{analysis.id}", caption, columns, body, small=True)


def _without_result(context: Context, analysis: Analysis, rows: list[Record]) -> Table:
    """Return how often there was no result, and the bounds of what it could have been."""
    words = context.words
    columns = (
        Column(words("tables.col_estimate"), width=2.2),
        Column(words("tables.col_of"), width=3),
        Column(words("tables.col_value"), "right", width=2.2),
        Column(words("readings.col_counted"), "right", width=1.1),
    )
    bounds = [
        row
        for row in rows
        if row["estimate_name"] in _FORESTS
        and row["stratum_level"] is None
        and row["scenario"] is not None
        and row["target"] is None
        and row["ci_method"] != "exact"
    ]
    found = [row for row in rows if row["estimate_name"] in _RATES] + bounds
    body = tuple(
        (
            runs(words.term("estimate", row["estimate_name"])),
            runs(", ".join(part for part in (row["arm"], _scenario(context, row)) if part)),
            *_cells(context, [row]),
        )
        for row in found
    )
    caption = words("readings.without_caption", id=analysis.id)
    return Table(f"without_{analysis.id}", caption, columns, body, small=True)


def _scenario(context: Context, row: Record) -> str:
    said = row["scenario"]
    if said is None:
        return ""
    if ": " not in said:
        return context.words.term("scenario", said)
    return context.words.term("without_result", said.split(": ")[1])


def _parts(context: Context, analysis: Analysis, rows: list[Record]) -> Table:
    """Return sensitivity and specificity of each reader, centre and subgroup."""
    words = context.words
    columns = [Column(words("tables.col_of"), width=2.6)]
    for name in _FORESTS:
        columns.append(Column(words.term("estimate", name), "right", width=2.2))
        columns.append(Column(words("readings.col_counted"), "right", width=1.1))
    found = _of_parts(analysis, rows)
    keys = dict.fromkeys((r["stratum_name"], r["stratum_level"], r["arm"]) for r in found)
    body = []
    for name, level, arm in keys:
        cells: list[Runs] = [runs(", ".join(str(p) for p in (f"{name} {level}", arm) if p))]
        for measure in _FORESTS:
            same = (measure, name, level, arm)
            cells += _cells(context, [row for row in found if _key(row) == same])
        body.append(tuple(cells))
    caption = words("readings.parts_caption", id=analysis.id)
    return Table(f"parts_{analysis.id}", caption, tuple(columns), tuple(body), small=True)


def _key(row: Record) -> tuple[object, ...]:
    return tuple(row[name] for name in ("estimate_name", "stratum_name", "stratum_level", "arm"))


def _of_parts(analysis: Analysis, rows: list[Record]) -> list[Record]:
    own = _own_scenario(analysis, rows)
    return [
        row
        for row in rows
        if row["estimate_name"] in _FORESTS
        and row["stratum_name"] is not None
        and row["scenario"] == own
        and row["target"] is None
        and row["ci_method"] != "exact"
    ]


def _conduct(context: Context, analysis: Analysis, rows: list[Record]) -> Table:
    """Return what is flagged of the reference standard, and how long after it came."""
    words = context.words
    columns = (
        Column(words("tables.col_of"), width=3.4),
        Column(words("tables.col_value"), "right", width=1.4),
        Column(words("readings.col_counted"), "right", width=1.2),
    )
    body = []
    for row in rows:
        if row["estimate_name"] == "proportion":
            name, _, level = str(row["term"]).partition("=")
            said = ": ".join(part for part in (words.term("flag", name), level) if part)
            body.append((runs(said), *_cells(context, [row])))
        elif row["term"] == "reference_delay":
            said = words("readings.delay", share=numbers.percent(row["at"]))
            value = (context.number(row, "estimate", numbers.days),)
            body.append((runs(said), value, runs("")))
    caption = words("readings.conduct_caption", id=analysis.id)
    return Table(f"conduct_{analysis.id}", caption, columns, tuple(body), small=True)


def _forests(context: Context, analysis: Analysis, rows: list[Record]) -> list[Block]:
    """Return a forest plot of the centres for sensitivity and for specificity."""
    words, found = context.words, _of_parts(analysis, rows)
    blocks: list[Block] = []
    for name in _FORESTS:
        points = [
            _point(context, row, ", ".join(p for p in (row["stratum_level"], row["arm"]) if p))
            for row in found
            if row["estimate_name"] == name
            and row["stratum_name"] == "site"
            and row["status"] == "ok"
        ]
        if len(points) < 2:
            continue
        points += [
            _point(context, row, ", ".join(p for p in (words("tables.all"), row["arm"]) if p))
            for row in _whole(analysis, rows)
            if row["estimate_name"] == name
            and row["ci_method"] != "exact"
            and row["status"] == "ok"
        ]
        label = words.term("estimate", name)
        figure = f"forest_{name}_{analysis.id}"
        text = PoolText(label, label, words("meta.weight"), words("meta.std_error"))
        chart = forest_of_sites(points, text, "share")
        said = "; ".join(f"{p['label']}: {p['value_text']}" for p in points)
        caption = words("readings.forest_caption", name=label, id=analysis.id)
        alt = words("forest.alt", said=said)
        note = words.line("readings.forest_note")
        blocks.append(Figure(figure, caption, alt, chart_svg(chart, figure), note, chart))
    return blocks


def _point(context: Context, row: Record, label: str) -> dict[str, object]:
    return {
        "label": label, "estimate": row["estimate"], "low": row["ci_low"], "high": row["ci_high"],
        "value_text": plain(context.with_interval(row, numbers.percent)), "weight": None,
        "weight_text": "", "kind": "site",
    }  # fmt: skip
