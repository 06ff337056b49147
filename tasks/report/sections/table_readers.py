"""Reader studies, agreement of readers, and time to read: tables and a picture."""

from tasks.core.spec import Analysis
from tasks.report import numbers
from tasks.report.blocks import Block, Column, Figure, Paragraph, Runs, Table, plain, runs
from tasks.report.charts_readers import readers_by_modality
from tasks.report.context import Context, Write
from tasks.report.figures import chart_svg
from tasks.report.model import Record

_FIGURES = ("auc", "sensitivity", "specificity", "reading_time")
_COMPONENTS = ("var_reader", "var_reader_modality", "var_error", "cov1", "cov2", "cov3")
_GAPS = tuple(f"{name}_{kind}" for name in _FIGURES for kind in ("difference", "ratio"))
_AGREEMENTS = ("percent_agreement", "kappa", "weighted_kappa", "ac1", "icc", "agreement_limit")


def reader_blocks(context: Context, analysis: Analysis, rows: list[Record]) -> list[Block]:
    """Return what a reader study found, or an analysis of the time to read."""
    design = next((row["scenario"] for row in rows if row["scenario"]), None)
    blocks: list[Block] = _reasons(context, rows)
    if design is not None:
        said = context.words.term("design_of_readers", design)
        blocks.insert(0, Paragraph(context.words.line("readers.design", design=said)))
    tables = [
        _means(context, analysis, rows),
        _gaps(context, analysis, rows),
        _quartiles(context, analysis, rows),
        _components(context, analysis, rows),
    ]
    return [*blocks, *(table for table in tables if table.rows), *_pictures(context, rows)]


def agreement_blocks(context: Context, analysis: Analysis, rows: list[Record]) -> list[Block]:
    """Return how far readers agree."""
    words = context.words
    columns = (
        Column(words("tables.col_estimate"), width=2.4),
        Column(words("tables.col_of"), width=2.4),
        Column(words("tables.col_value"), "right", width=2.2),
        Column(words("readings.col_counted"), "right", width=0.9),
    )
    body = tuple(
        (
            runs(_coefficient(context, row)),
            runs(", ".join(p for p in (row["arm"], _whose(context, row)) if p)),
            context.with_interval(row, numbers.decimals),
            (context.number(row, "n", numbers.whole),),
        )
        for row in rows
        if row["estimate_name"] in _AGREEMENTS
    )
    caption = words("readers.agreement_caption", id=analysis.id)
    note = words.line("readers.agreement_note")
    made = Table(f"table_{analysis.id}", caption, columns, body, note, small=True)
    return [*_reasons(context, rows), *([made] if body else [])]


def _reasons(context: Context, rows: list[Record]) -> list[Block]:
    notes = {str(row["note"]): None for row in rows if row["status"] == "not_estimable"}
    return [Paragraph(context.words.line("tables.not_estimable", note=note)) for note in notes]


def _coefficient(context: Context, row: Record) -> str:
    term = context.words.term("agreement", str(row["term"]))
    name = context.words.term("estimate", row["estimate_name"])
    return name if row["term"] == row["estimate_name"] else f"{name}: {term}"


def _whose(context: Context, row: Record) -> str:
    if row["comparator"] == "truth":
        return context.words("readers.with_truth", reader=row["target"])
    return str(row["stratum_level"] or context.words("readers.all"))


def _write(row: Record) -> Write:
    name = str(row["estimate_name"])
    if name.startswith(("sensitivity", "specificity")):
        return numbers.percent
    return _three if name.startswith("auc") else numbers.decimals


def _three(value: float) -> str:
    return numbers.decimals(value, 3)


def _space(context: Context, row: Record) -> str:
    return context.words.term("inference_space", row["inference_space"])


def _of(rows: list[Record], names: tuple[str, ...]) -> list[Record]:
    return [row for row in rows if row["estimate_name"] in names and row["at"] is None]


def _named(context: Context, row: Record) -> str:
    said = context.words.term("estimate", row["estimate_name"])
    if not str(row["estimate_name"]).startswith("reading_time"):
        return said
    return f"{said} ({context.words.term('time_term', row['term'])})"


def _means(context: Context, analysis: Analysis, rows: list[Record]) -> Table:
    """Return each reader, then the means of readers, a column a modality."""
    words, found = context.words, _of(rows, _FIGURES)
    arms = list(dict.fromkeys(row["arm"] for row in found))
    columns = [Column(words("tables.col_estimate"), width=2)]
    columns.append(Column(words("tables.col_of"), width=2.4))
    columns += [Column(arm or words("tables.col_value"), "right", width=2.2) for arm in arms]
    lines: dict[tuple[object, ...], dict[object, Record]] = {}
    for row in sorted(found, key=lambda row: row["stratum_level"] is None):
        key = (row["estimate_name"], row["term"], row["stratum_level"], row["inference_space"])
        lines.setdefault(key, {})[row["arm"]] = row
    body = []
    for cells in lines.values():
        first = next(iter(cells.values()))
        values = [_value(context, cells.get(arm)) for arm in arms]
        body.append((runs(_named(context, first)), runs(_of_whom(context, first)), *values))
    caption = words("readers.means_caption", id=analysis.id)
    note = words.line("readers.means_note")
    return Table(f"table_{analysis.id}", caption, tuple(columns), tuple(body), note, small=True)


def _of_whom(context: Context, row: Record) -> str:
    if row["stratum_level"]:
        return context.words("readers.reader", reader=row["stratum_level"])
    return context.words("readers.mean", space=_space(context, row))


def _value(context: Context, row: Record | None) -> Runs:
    return runs(numbers.DASH) if row is None else context.with_interval(row, _write(row))


def _gaps(context: Context, analysis: Analysis, rows: list[Record]) -> Table:
    """Return each difference of modalities: over readers, in three spaces, then by reader."""
    words = context.words
    columns = (
        Column(words("tables.col_estimate"), width=2.2),
        Column(words("tables.col_of"), width=2.8),
        Column(words("tables.col_value"), "right", width=2.2),
        Column(words("readers.col_df"), "right", width=0.7),
        Column(words("tables.col_p"), "right", width=0.8),
        Column(words("readings.col_shown"), width=2.2),
    )
    found = sorted(_of(rows, _GAPS), key=lambda row: row["stratum_name"] is not None)
    body = tuple(
        (
            runs(_named(context, row)),
            runs(f"{row['target']} - {row['comparator']}; {_speaks_for(context, row)}"),
            context.with_interval(row, _write(row)),
            (context.number(row, "df2", numbers.decimals),),
            (context.number(row, "p_value", numbers.p_value),),
            runs(_shown(context, row)),
        )
        for row in found
    )
    caption = words("readers.gaps_caption", id=analysis.id)
    note = words.line("readers.gaps_note")
    return Table(f"compare_{analysis.id}", caption, columns, body, note, small=True)


def _speaks_for(context: Context, row: Record) -> str:
    if row["stratum_name"] == "reader":
        return context.words("readers.reader", reader=row["stratum_level"])
    return _space(context, row)


def _shown(context: Context, row: Record) -> str:
    """Say what a test against a margin has shown."""
    if row["margin"] is None or row["p_value"] is None:
        return ""
    key = "readings.not_shown" if "is not shown" in str(row["note"]) else "readings.shown"
    claim = context.words.term("claim", row["alternative"])
    return context.words(key, claim=claim, margin=numbers.percent(row["margin"]))


def _quartiles(context: Context, analysis: Analysis, rows: list[Record]) -> Table:
    words = context.words
    columns = (
        Column(words("tables.col_of"), width=3),
        Column(words("tables.col_value"), "right", width=1.4),
    )
    body = tuple(
        (
            runs(", ".join(p for p in (row["arm"], numbers.percent(row["at"], 0)) if p)),
            (context.number(row, "estimate", numbers.decimals),),
        )
        for row in rows
        if row["estimate_name"] == "reading_time" and row["at"] is not None
    )
    caption = words("readers.quartiles_caption", id=analysis.id)
    return Table(f"quartiles_{analysis.id}", caption, columns, body, small=True)


def _components(context: Context, analysis: Analysis, rows: list[Record]) -> Table:
    words = context.words
    columns = (
        Column(words("tables.col_estimate"), width=3),
        Column(words("tables.col_of"), width=2),
        Column(words("tables.col_value"), "right", width=1.4),
    )
    body = tuple(
        (
            runs(words.term("estimate", row["estimate_name"])),
            runs(words.term("readers_term", str(row["term"]))),
            (context.number(row, "estimate", lambda value: f"{value:.3g}"),),
        )
        for row in _of(rows, _COMPONENTS)
    )
    caption = words("readers.components_caption", id=analysis.id)
    note = words.line("readers.components_note")
    return Table(f"components_{analysis.id}", caption, columns, body, note, small=True)


def _pictures(context: Context, rows: list[Record]) -> list[Block]:
    """Return a picture of each figure of merit that two modalities or more have."""
    words, blocks = context.words, []
    for name in _FIGURES:
        found = [row for row in _of(rows, (name,)) if row["status"] == "ok"]
        found = [row for row in found if row["term"] in (name, "mean")]
        arms = list(dict.fromkeys(row["arm"] for row in found if row["arm"] is not None))
        means = _own_means(found)
        if len(arms) < 2 or len(means) < 2:
            continue
        of_readers = [row for row in found if row["stratum_name"] == "reader"]
        points = [_point(context, row, str(row["stratum_level"]), "reader") for row in of_readers]
        points += [_point(context, row, words("readers.mean_short"), "mean") for row in means]
        label = words.term("estimate", name)
        figure = f"readers_{name}_{found[0]['analysis_id']}"
        chart = readers_by_modality(points, arms, label)
        said = "; ".join(f"{p['reader']}, {p['modality']}: {p['value_text']}" for p in points)
        caption = words("readers.figure_caption", name=label, id=found[0]["analysis_id"])
        alt = words("forest.alt", said=said)
        note = words.line("readers.figure_note", space=_space(context, means[0]))
        blocks.append(Figure(figure, caption, alt, chart_svg(chart, figure), note, chart))
    return list(blocks)


def _own_means(found: list[Record]) -> list[Record]:
    """Return the means of readers in the space that the study speaks for."""
    means = [row for row in found if row["stratum_name"] is None]
    own = [row for row in means if row["role"] != "sensitivity"] or means
    space = own[0]["inference_space"] if own else None
    return [row for row in own if row["inference_space"] == space]


def _point(context: Context, row: Record, reader: str, kind: str) -> dict[str, object]:
    return {
        "reader": reader, "modality": row["arm"], "estimate": row["estimate"],
        "low": row["ci_low"], "high": row["ci_high"], "kind": kind,
        "value_text": plain(context.with_interval(row, _write(row))),
    }  # fmt: skip
