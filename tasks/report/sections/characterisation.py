"""What a study describes: Table 1, incidence, prevalence, courses, completeness."""

from collections.abc import Callable

from tasks.core.labels import in_language
from tasks.report import numbers
from tasks.report.blocks import (
    Block,
    Column,
    Details,
    Figure,
    Heading,
    Paragraph,
    Run,
    Runs,
    Section,
    Table,
    plain,
    runs,
)
from tasks.report.charts_describe import bar_chart, series_chart
from tasks.report.context import Context
from tasks.report.figures import chart_svg
from tasks.report.model import Record

SHOWN = 30
_SHORT = 12
_NONE = ("none", "other")


def section(context: Context) -> Section:
    """Return one heading a description, in the order of the study."""
    block = context.spec.characterisation
    blocks: list[Block] = [Paragraph(context.words.line("describe.intro"))]
    for kind, _, name in block.ids if block else ():
        rows = context.find(analysis_id=name)
        heading = Heading(context.words(f"describe.{kind}", id=name))
        blocks += [heading, *(_MAKERS[kind](context, name, rows) if rows else _nothing(context))]
    return Section("characterisation", context.words("section.characterisation"), tuple(blocks))


def cohort_name(context: Context, cohort: str | None) -> str:
    """Return what the study calls a cohort, an arm or everybody, else the id."""
    if cohort == "everybody_observed":
        return context.words("describe.everybody")
    if context.spec.has_trial and cohort in context.arms:
        return context.arms[str(cohort)]
    named = [*context.spec.cohorts, *context.spec.code_lists]
    found = next((item for item in named if item.id == cohort), None)
    text = getattr(found, "name", None)
    return str(text.in_language(context.language)) if text else str(cohort)


def _nothing(context: Context) -> list[Block]:
    return [Paragraph(context.words.line("describe.nothing"))]


# ---- Table 1


def _table_one(context: Context, name: str, rows: list[Record]) -> list[Block]:
    words = context.words
    order = [c.id for c in context.spec.covariates]
    terms = sorted(
        {str(row["term"]) for row in rows if row["term"]},
        key=lambda term: (order.index(term.partition("=")[0]), term),
    )
    first = _largest_first(rows, terms)[:SHOWN]
    shown = [term for term in terms if term in first]
    caption = words("describe.table_caption", id=name)
    blocks: list[Block] = [_columns_of(context, f"{name}_table", caption, rows, shown)]
    if len(shown) < len(terms):
        table = _columns_of(context, f"{name}_all", caption, rows, terms)
        blocks.append(Details(words("describe.open_all", n=str(len(terms))), (table,)))
    return blocks


def _largest_first(rows: list[Record], terms: list[str]) -> list[str]:
    """Covariates by their largest difference; those of each person before those of records."""
    sizes: dict[str, float] = {}
    for row in rows:
        if row["estimate_name"] == "smd" and row["estimate"] is not None:
            term = str(row["term"])
            sizes[term] = max(sizes.get(term, 0.0), abs(float(row["estimate"])))
    category = {str(row["term"]) for row in rows if row["stratum_name"] or _is_plain(row)}
    return sorted(terms, key=lambda term: (term not in category, -sizes.get(term, 0.0), term))


def _is_plain(row: Record) -> bool:
    return "=" not in str(row["term"])


def _columns_of(
    context: Context, table_id: str, caption: str, rows: list[Record], terms: list[str]
) -> Table:
    words = context.words
    populations = list(dict.fromkeys(row["population"] for row in rows))
    columns = [Column(words("balance.covariate"), width=2.4)]
    for population in populations:
        group = "" if population == "cohort" else words.term("population", population)
        for arm, size in _sizes(context, rows, population):
            columns.append(Column(f"{cohort_name(context, arm)} (n = {size})", "right", group, 1.3))
        columns.append(Column(words("balance.smd"), "right", group, 0.8))
    by_cell = {(r["term"], r["population"], r["arm"]): r for r in rows if r["term"]}
    body = tuple(_covariate_row(context, rows, populations, by_cell, term) for term in terms)
    note = words.line("describe.table_note")
    return Table(table_id, caption, tuple(columns), body, note, small=True)


def _sizes(context: Context, rows: list[Record], population: str) -> list[tuple[str, str]]:
    """Each column of a population with its number of persons, in the order of the study."""
    found = [r for r in rows if r["population"] == population and r["estimate_name"] == "count"]
    named = list(context.arms) if context.spec.has_trial else []
    block = context.spec.characterisation
    if block and population == "cohort":
        named = [c for item in block.table_one for c in item.cohorts]
    found.sort(key=lambda r: named.index(r["arm"]) if r["arm"] in named else len(named))
    return [(r["arm"], plain((context.number(r, "estimate", numbers.whole),))) for r in found]


def _covariate_row(
    context: Context,
    rows: list[Record],
    populations: list[str],
    by_cell: dict[tuple[str, str, str | None], Record],
    term: str,
) -> tuple[Runs, ...]:
    some = next(row for (name, _, _), row in by_cell.items() if name == term)
    cells: list[Runs] = [runs(in_language(str(some["note"] or term), context.language))]
    for population in populations:
        for arm, _ in _sizes(context, rows, population):
            cells.append(_level(context, by_cell.get((term, population, arm))))
        smd = by_cell.get((term, population, None))
        cells.append((context.number(smd, "estimate", _three),) if smd else runs(numbers.DASH))
    return tuple(cells)


def _level(context: Context, row: Record | None) -> Runs:
    """Write a mean with its standard deviation, or a number with its share."""
    if row is None:
        return runs(numbers.DASH)
    if row["estimate_name"] == "mean":
        mean = context.number(row, "estimate", lambda x: numbers.decimals(x, 1))
        deviation = context.number(row, "statistic", lambda x: numbers.decimals(x, 1))
        return runs(mean) if row["status"] != "ok" else runs(mean, " (", deviation, ")")
    share = context.number(row, "estimate", numbers.percent)
    if row["n_events"] is None or row["status"] != "ok":
        return runs(share)
    return runs(context.number(row, "n_events", numbers.whole), " (", share, ")")


def _three(value: float) -> str:
    return numbers.decimals(value, 3)


# ---- incidence and prevalence


def _incidence(context: Context, name: str, rows: list[Record]) -> list[Block]:
    columns = ("interval", "group", "persons", "events", "days", "rate")
    return _series(context, name, rows, columns, ".1f", _one)


def _prevalence(context: Context, name: str, rows: list[Record]) -> list[Block]:
    columns = ("interval", "group", "persons", "having", "share")
    return _series(context, name, rows, columns, ".1%", numbers.percent)


def _one(value: float) -> str:
    return numbers.decimals(value, 1)


def _series(
    context: Context,
    name: str,
    rows: list[Record],
    labels: tuple[str, ...],
    number_format: str,
    write: Callable[[float], str],
) -> list[Block]:
    words, rows = context.words, sorted(rows, key=_in_order)
    first = rows[0]
    said = words.line(
        f"describe.{first['method']}_of",
        outcome=cohort_name(context, first["outcome"]),
        population=cohort_name(context, first["population"]),
    )
    blocks: list[Block] = [Paragraph(said)]
    for stratum in dict.fromkeys(row["stratum_name"] for row in rows):
        mine = [row for row in rows if row["stratum_name"] == stratum]
        if len({row["term"] for row in mine}) > 1:
            blocks.append(_series_figure(context, name, mine, number_format, write))
    columns = tuple(
        Column(words(f"describe.col_{label}"), "left" if place < 2 else "right")
        for place, label in enumerate(labels)
    )
    body = tuple(_series_row(context, row, len(labels), write) for row in rows)
    caption = words(f"describe.{first['method']}_caption", id=name)
    note = words.line(f"describe.{first['method']}_note")
    table = Table(f"{name}_table", caption, columns, body, note, small=True)
    if len(rows) <= _SHORT:
        return [*blocks, table]
    return [*blocks, Details(words("describe.open_numbers", n=str(len(rows))), (table,))]


def _in_order(row: Record) -> tuple[str, int, str, str]:
    """All before strata, young before old, early before late."""
    level = str(row["stratum_level"] or "")
    start = level.rstrip("+").partition("-")[0]
    age = int(start) if start.isdigit() else 0
    return str(row["stratum_name"] or ""), age, level, str(row["term"])


def _series_row(
    context: Context, row: Record, width: int, write: Callable[[float], str]
) -> tuple[Runs, ...]:
    cells: list[Runs] = [
        runs(context.words.term("interval", row["term"])),
        runs(_group(context, row)),
        (context.number(row, "n", numbers.whole),),
        (context.number(row, "n_events", numbers.whole),),
    ]
    if width > 5:
        cells.append((context.number(row, "person_time", numbers.whole),))
    return (*cells, context.with_interval(row, write))


def _group(context: Context, row: Record) -> str:
    if row["stratum_name"] is None:
        return context.words("describe.all")
    if row["stratum_name"] == "sex":
        return context.words.term("sex", row["stratum_level"])
    return context.words("describe.age", band=str(row["stratum_level"]))


def _series_figure(
    context: Context,
    name: str,
    rows: list[Record],
    number_format: str,
    write: Callable[[float], str],
) -> Figure:
    words, first = context.words, rows[0]
    title = words(f"describe.{first['method']}_axis")
    points = [
        {
            "interval": row["term"],
            "level": _group(context, row),
            "estimate": row["estimate"] if row["status"] == "ok" else None,
            "low": row["ci_low"] if row["status"] == "ok" else None,
            "high": row["ci_high"] if row["status"] == "ok" else None,
            "value_text": plain(context.with_interval(row, write)),
        }
        for row in sorted(rows, key=lambda r: str(r["term"]))
    ]
    levels = list(dict.fromkeys(_group(context, row) for row in rows))
    figure_id = f"{name}_{first['stratum_name'] or 'series'}"
    by = words(f"describe.by_{first['stratum_name'] or 'time'}")
    caption = words(f"describe.{first['method']}_figure", id=name, by=by)
    chart = series_chart(points, title, levels, number_format)
    return Figure(
        figure_id, caption, caption, chart_svg(chart, figure_id),
        words.line("describe.figure_note"), chart,
    )  # fmt: skip


# ---- courses


def _time_to_event(context: Context, name: str, rows: list[Record]) -> list[Block]:
    words, first = context.words, rows[0]
    bins = sorted((row for row in rows if row["at"] is not None), key=lambda row: row["at"])
    said = words.line(
        "describe.time_to_event_of",
        event=cohort_name(context, first["outcome"]),
        index=cohort_name(context, first["population"]),
    )
    columns = tuple(
        Column(words(f"describe.col_{label}"), "left" if place == 0 else "right")
        for place, label in enumerate(("bin", "seen", "having", "share"))
    )
    body = tuple(
        (
            runs(_bin(row)),
            (context.number(row, "n", numbers.whole),),
            (context.number(row, "n_events", numbers.whole),),
            (_share(context, row),),
        )
        for row in bins
    )
    table = Table(
        f"{name}_table", words("describe.bins_caption", id=name), columns, body, small=True
    )
    return [Paragraph(said), _bins_figure(context, name, bins), table]


def _share(context: Context, row: Record) -> Run:
    return context.cell(_ratio(row), row["status"], numbers.percent, f"{row['analysis_id']}/count")


def _ratio(row: Record) -> float | None:
    return row["n_events"] / row["n"] if row["n"] and row["n_events"] is not None else None


def _bin(row: Record) -> str:
    low, high = (numbers.days(row[name]) for name in ("at", "at2"))
    return f"{low} … {high}"


def _bins_figure(context: Context, name: str, rows: list[Record]) -> Figure:
    words = context.words
    points = [
        {
            "label": _bin(row),
            "estimate": _ratio(row) if row["status"] == "ok" else None,
            "value_text": numbers.percent(_ratio(row) or 0.0) if row["status"] == "ok" else "–",
        }
        for row in rows
    ]
    chart = bar_chart(points, words("describe.col_bin"), words("describe.col_share"))
    caption, figure_id = words("describe.bins_figure", id=name), f"{name}_bins"
    return Figure(figure_id, caption, caption, chart_svg(chart, figure_id), (), chart)


def _treatment_patterns(context: Context, name: str, rows: list[Record]) -> list[Block]:
    words = context.words
    paths = [row for row in rows if row["term"] is not None and row["estimate"] != 0]
    paths.sort(key=lambda row: (row["term"] in _NONE, -(row["estimate"] or 0), str(row["term"])))
    columns = (
        Column(words("describe.col_path"), width=3),
        *(Column(words(f"describe.col_{label}"), "right") for label in ("persons", "share")),
    )
    body = tuple(
        (
            runs(_path(context, str(row["term"]))),
            (context.number(row, "n_events", numbers.whole),),
            (_share(context, row),),
        )
        for row in paths
    )
    said = words.line("describe.paths_of", index=cohort_name(context, rows[0]["population"]))
    caption = words("describe.paths_caption", id=name)
    return [Paragraph(said), Table(f"{name}_table", caption, columns, body, small=True)]


def _path(context: Context, path: str) -> str:
    if path in _NONE:
        return context.words(f"describe.path_{path}")
    steps = [
        " + ".join(cohort_name(context, name) for name in step.split(" + "))
        for step in path.split(" > ")
    ]
    return " → ".join(steps)


# ---- completeness


def _missingness(context: Context, name: str, rows: list[Record]) -> list[Block]:
    words = context.words
    with_record = [row for row in rows if row["estimate_name"] == "record_fraction"]
    empty = [row for row in rows if row["estimate_name"] == "missing_fraction"]
    blocks: list[Block] = [
        _fractions(context, f"{name}_persons", "persons_with_record", with_record)
    ]
    table = _fractions(context, f"{name}_columns", "empty", empty)
    return [*blocks, Details(words("describe.open_columns", n=str(len(empty))), (table,))]


def _fractions(context: Context, table_id: str, what: str, rows: list[Record]) -> Table:
    words = context.words
    columns = (
        Column(words("describe.col_column"), width=2.4),
        *(Column(words(f"describe.col_{label}"), "right") for label in ("of", what, "share")),
    )
    body = tuple(
        (
            runs(str(row["term"])),
            (context.number(row, "n", numbers.whole),),
            (context.number(row, "n_events", numbers.whole),),
            (context.number(row, "estimate", numbers.percent),),
        )
        for row in rows
    )
    return Table(table_id, words(f"describe.{what}_caption"), columns, body, small=True)


_MAKERS: dict[str, Callable[[Context, str, list[Record]], list[Block]]] = {
    "table_one": _table_one,
    "incidence": _incidence,
    "prevalence": _prevalence,
    "time_to_event": _time_to_event,
    "treatment_patterns": _treatment_patterns,
    "missingness": _missingness,
}
