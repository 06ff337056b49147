"""Accuracy across centres: pictures, what is pooled, each centre, and gaps between subgroups."""

from collections.abc import Iterable

from tasks.core.spec import Analysis
from tasks.report import numbers
from tasks.report.blocks import Block, Column, Details, Figure, Paragraph, Runs, Table, plain, runs
from tasks.report.charts_centres import CentreText, paired_forest, sroc_chart
from tasks.report.context import Context, Write
from tasks.report.figures import chart_svg
from tasks.report.model import Record
from tasks.report.notes import said_note

_SHARES = ("sensitivity", "specificity")
_VALUES = (*_SHARES, "fpr", "auc", "lr_positive", "lr_negative", "diagnostic_odds_ratio")
_MODEL = ("logit_sensitivity", "logit_fpr", "tau2_sens", "tau2_fpr", "tau2", "rho", "q", "i2")
_LEFT_OUT = "leave_one_out"
_REGIONS = {"confidence_region": "confidence", "prediction_region": "prediction"}
_LIMITS = ("prediction_low", "prediction_high")
_DRAWN = ("sroc", *_REGIONS)
_ORDER = ("both", *_SHARES, "auc", "hsroc_lambda", "hsroc_theta", "hsroc_beta")


def pooled_accuracy_blocks(context: Context, analysis: Analysis, rows: list[Record]) -> list[Block]:
    """Return what centres pooled together show."""
    asked = analysis.across_centres
    how = context.words.term("across_centres", asked.model if asked else "glmm")
    intro = Paragraph(context.words.line("centres.intro", how=how))
    return [intro, *_blocks(context, analysis, rows)]


def left_out_blocks(context: Context, analysis: Analysis, rows: list[Record]) -> list[Block]:
    """Return what would hold in a new centre, and the gaps between subgroups."""
    intro = Paragraph(context.words.line("centres.intro_left_out"))
    blocks = [intro, *_blocks(context, analysis, rows)]
    table = _subgroups(context, analysis, rows)
    return [*blocks, table] if table.rows else blocks


def _blocks(context: Context, analysis: Analysis, rows: list[Record]) -> list[Block]:
    blocks: list[Block] = [
        Paragraph(context.words.line("tables.not_estimable", note=said_note(context.words, note)))
        for note in _reasons(rows)
    ]
    for arm in dict.fromkeys(row["arm"] for row in rows):
        mine = [row for row in rows if row["arm"] == arm]
        name = analysis.id if arm is None else f"{analysis.id}, {arm}"
        key = analysis.id if arm is None else f"{analysis.id}_{arm}"
        blocks += [*_forest(context, name, key, mine), *_plane(context, name, key, mine)]
        tables = [_summary(context, name, key, mine), _centres(context, name, key, mine)]
        blocks += [table for table in tables if table.rows]
        left = _without(context, name, key, mine)
        blocks += [Details(context.words("centres.open"), (left,))] if left.rows else []
    return blocks


def _reasons(rows: list[Record]) -> list[str]:
    """Return why something pooled cannot be estimated, each reason once."""
    return list(dict.fromkeys(
        str(row["note"])
        for row in rows
        if row["status"] == "not_estimable" and row["stratum_level"] is None and row["note"]
    ))[:3]  # fmt: skip


def _is_pooled(row: Record) -> bool:
    """Whether a row tells a value of all centres."""
    return row["stratum_level"] is None and row["scenario"] is None and row["term"] not in _DRAWN


def _of(rows: Iterable[Record], name: str, **where: object) -> list[Record]:
    return [
        row
        for row in rows
        if row["estimate_name"] == name and all(row[key] == value for key, value in where.items())
    ]


def _names(rows: Iterable[Record], scenario: str = "site") -> list[str]:
    """Return the names of the centres in their order, numbers by their size."""
    found = {str(row["stratum_level"]) for row in rows if row["scenario"] == scenario}
    by_number = all(name.isdecimal() for name in found)
    return sorted(found, key=lambda name: (int(name) if by_number else 0, name))


def _text(context: Context) -> CentreText:
    words = context.words
    sensitivity, specificity, fpr = (words.term("estimate", n) for n in (*_SHARES, "fpr"))
    return CentreText(sensitivity, specificity, fpr, words("meta.pooled"))


def _forest(context: Context, name: str, key: str, rows: list[Record]) -> list[Block]:
    """Return both shares of the centres side by side; nothing where no centre may be shown."""
    words = context.words
    points = [
        {"label": centre, "kind": "site"}
        | _both(context, [r for r in _named(rows, centre) if r["scenario"] == "site"])
        for centre in _names(rows)
    ]
    points = [point for point in points if len(point) > 2]
    if not points:
        return []
    pooled = _both(context, [row for row in rows if _is_pooled(row) and row["term"] is None])
    points += [{"label": words("meta.pooled"), "kind": "pooled"} | pooled] if pooled else []
    points += _predicted(context, rows)
    chart, figure = paired_forest(points, _text(context)), f"forest_{key}"
    caption, alt = words("centres.forest_caption", id=name), words("forest.alt", said=_said(points))
    note = words.line("centres.forest_note" if pooled else "centres.forest_note_sites")
    return [Figure(figure, caption, alt, chart_svg(chart, figure), note, chart)]


def _said(points: list[Record]) -> str:
    return "; ".join(
        f"{p['label']}: {', '.join(p[f'{n}_text'] for n in _SHARES if f'{n}_text' in p)}"
        for p in points
    )


def _named(rows: Iterable[Record], centre: str) -> list[Record]:
    return [row for row in rows if str(row["stratum_level"]) == centre]


def _both(context: Context, rows: list[Record]) -> dict[str, object]:
    """Return the values of both shares that may be drawn, with their texts."""
    made: dict[str, object] = {}
    for name in _SHARES:
        for row in _of(rows, name, status="ok")[:1]:
            made |= {
                f"{name}_estimate": row["estimate"],
                f"{name}_low": row["ci_low"],
                f"{name}_high": row["ci_high"],
                f"{name}_text": plain(context.with_interval(row, numbers.percent)),
            }
    return made


def _predicted(context: Context, rows: list[Record]) -> list[Record]:
    made: dict[str, object] = {}
    for name in _SHARES:
        ends = _limits(rows, name)
        if len(ends) == 2 and all(row["status"] == "ok" for row in ends):
            made |= {
                f"{name}_low": ends[0]["estimate"],
                f"{name}_high": ends[1]["estimate"],
                f"{name}_text": plain(_between(context, ends, numbers.percent)),
            }
    return (
        [{"label": context.words("meta.prediction"), "kind": "prediction"} | made] if made else []
    )


def _limits(rows: list[Record], name: str) -> list[Record]:
    """Return the limits of a measure in a new centre, from all centres."""
    pooled = [row for row in rows if _is_pooled(row)]
    return [row for end in _LIMITS for row in _of(pooled, end, term=name)]


def _between(context: Context, limits: list[Record], write: Write) -> Runs:
    low, high = (context.number(row, "estimate", write) for row in limits)
    return runs(low, context.words("interval.to"), high)


def _plane(context: Context, name: str, key: str, rows: list[Record]) -> list[Block]:
    """Return the ROC plane with the summary point, where there is one."""
    found = [
        _of([r for r in rows if _is_pooled(r)], n, term=None, status="ok")
        for n in ("sensitivity", "fpr")
    ]
    curve = _of(rows, "sensitivity", term="sroc", status="ok")
    if not all(found) or not curve:
        return []
    words, text = context.words, _text(context)
    middle = {"sensitivity": found[0][0]["estimate"], "fpr": found[1][0]["estimate"]}
    said = ", ".join(numbers.percent(middle[n]) for n in ("sensitivity", "fpr"))
    centres = _circles(rows)
    line = [{"fpr": row["at"], "sensitivity": row["estimate"]} for row in curve]
    chart = sroc_chart(
        centres, {**middle, "value_text": said}, _observed(line, centres), _outlines(rows), text
    )
    figure, caption = f"sroc_{key}", words("centres.sroc_caption", id=name)
    alt = words(
        "centres.sroc_alt", said="; ".join(f"{p['label']}: {p['value_text']}" for p in centres)
    )
    note = words.line("centres.sroc_note")
    return [Figure(figure, caption, alt, chart_svg(chart, figure), note, chart)]


def _circles(rows: list[Record]) -> list[Record]:
    made = []
    for centre in _names(rows):
        of_centre = [row for row in _named(rows, centre) if row["scenario"] == "site"]
        pair = [_of(of_centre, name, status="ok") for name in _SHARES]
        if all(pair):
            hit, right = (found[0]["estimate"] for found in pair)
            made.append({
                "label": centre, "fpr": 1 - right, "sensitivity": hit,
                "n": pair[0][0]["n"] + pair[1][0]["n"],
                "value_text": f"{numbers.percent(hit)}, {numbers.percent(1 - right)}",
            })  # fmt: skip
    return made


def _observed(curve: list[Record], centres: list[Record]) -> list[Record]:
    """Return the curve where centres lie; the whole where none may be shown."""
    if not centres:
        return curve
    rates = [point["fpr"] for point in centres]
    return [point for point in curve if min(rates) - 0.01 <= point["fpr"] <= max(rates) + 0.01]


def _outlines(rows: list[Record]) -> list[Record]:
    return [
        {"kind": kind, "place": row["at"], "fpr": row["at2"], "sensitivity": row["estimate"]}
        for term, kind in _REGIONS.items()
        for row in _of(rows, "sensitivity", term=term, status="ok")
    ]


def _summary(context: Context, name: str, key: str, rows: list[Record]) -> Table:
    """Return what is pooled, what is expected in a new centre, and how far centres differ."""
    words = context.words
    columns = (
        Column(words("tables.col_estimate"), width=2.8),
        Column(words("tables.col_value"), "right", width=2.4),
        Column(words("meta.prediction"), "right", width=1.8),
        Column(words("tables.col_how"), width=1.6),
        Column(words("tables.col_p"), "right", width=0.8),
    )
    pooled = [row for row in rows if _is_pooled(row)]
    body = [_line(context, row, _limits(rows, n)) for n in _VALUES for row in _of(pooled, n)]
    body += [
        _line(context, row, [])
        for n in ("sauc", *_MODEL, "coefficient")
        for row in sorted(_of(pooled, n), key=_place)
    ]
    body += [_test(context, row) for row in _of(rows, "test")]
    caption, note = words("centres.summary_caption", id=name), words.line("centres.summary_note")
    return Table(f"table_{key}", caption, columns, tuple(body), note, small=True)


def _place(row: Record) -> int:
    """Return where a row stands among those of its estimate, by the measure that it is of."""
    of = str(row["term"]).partition(":")[0]
    return _ORDER.index(of) if of in _ORDER else len(_ORDER)


def _line(context: Context, row: Record, limits: list[Record]) -> tuple[Runs, ...]:
    words, write = context.words, _write(row)
    how = words.term("ci_method", row["ci_method"]) if row["ci_method"] else ""
    return (
        runs(_term(context, row)),
        context.with_interval(row, write),
        _between(context, limits, write) if len(limits) == 2 else runs(""),
        runs(how),
        (context.number(row, "p_value", numbers.p_value),) if row["p_value"] else runs(""),
    )


def _write(row: Record) -> Write:
    if row["unit"] == "percent":
        return _per_cent
    name = str(row["estimate_name"]).removesuffix("_difference")
    return numbers.percent if name in (*_SHARES, "fpr") else _three_places


def _three_places(value: float) -> str:
    return numbers.decimals(value, 3)


def _per_cent(value: float) -> str:
    return f"{numbers.decimals(value, 1)}%"


def _term(context: Context, row: Record) -> str:
    """Name a row: its estimate and what it is of; a coefficient by its own name."""
    words, term = context.words, row["term"]
    if row["estimate_name"] != "coefficient":
        of = f", {_part(context, str(row['estimate_name']), str(term))}" if term else ""
        return _label(context, str(row["estimate_name"])) + of
    outcome, _, column = str(term).partition(": ")
    if not column:
        return words.term("centres_term", outcome)
    named = words.term("centres_term", column) if column == "prevalence" else column
    return f"{_label(context, outcome)}: {named}"


def _label(context: Context, name: str) -> str:
    return context.words.term("centres_term" if name == "auc" else "estimate", name)


def _part(context: Context, name: str, term: str) -> str:
    """Name what an estimate is of: a measure, or a range of rates."""
    words = context.words
    if (name, term) == ("sauc", "observed"):
        return words.term("centres_term", "observed_rates")
    known = words.knows("centres_term", term) or not words.knows("estimate", term)
    key = "centres_term" if known else "estimate"
    return words.term(key, term)


def _test(context: Context, row: Record) -> tuple[Runs, ...]:
    words = context.words
    said = words.term("statistic", row["statistic_name"])
    if row["scenario"]:
        said = f"{said} ({words.term('scenario', row['scenario'])})"
    df = f" ({words('tests.df')} {numbers.days(row['df1'])})" if row["df1"] is not None else ""
    return (
        runs(said),
        runs(
            context.number(row, "statistic", numbers.decimals), df if row["status"] == "ok" else ""
        ),
        runs(""),
        runs(""),
        (context.number(row, "p_value", numbers.p_value),),
    )


def _centres(context: Context, name: str, key: str, rows: list[Record]) -> Table:
    """Return the values of each centre, with the cases that they are counted of."""
    words = context.words
    measures = [n for n in (*_SHARES, "auc") if _of(rows, n, scenario="site")]
    columns = [Column(words("meta.col_site"), width=1.6)]
    for measure in measures:
        columns.append(Column(_label(context, measure), "right", width=2.2))
        columns.append(Column(words("readings.col_counted"), "right", width=1.1))
    body = []
    for centre in _names(rows):
        cells: list[Runs] = [runs(centre)]
        for measure in measures:
            cells += _cells(context, _of(_named(rows, centre), measure, scenario="site"))
        body.append(tuple(cells))
    caption = words("centres.sites_caption", id=name)
    return Table(f"sites_{key}", caption, tuple(columns), tuple(body), small=True)


def _cells(context: Context, found: list[Record]) -> list[Runs]:
    if not found:
        return [runs(numbers.DASH), runs("")]
    row = found[0]
    part, of = (context.number(row, column, numbers.whole) for column in ("n_events", "n"))
    return [context.with_interval(row, _write(row)), runs(part, "/", of)]


def _without(context: Context, name: str, key: str, rows: list[Record]) -> Table:
    """Return what is pooled without each centre, and whether that centre is as the others say."""
    words = context.words
    left = [row for row in rows if row["scenario"] == _LEFT_OUT]
    has_limits = any(_of(left, end) for end in _LIMITS)
    columns = [
        Column(words("tables.col_estimate"), width=1.6),
        Column(words("meta.col_without"), width=1.4),
        Column(words("centres.col_itself"), "right", width=2.2),
        Column(words("centres.col_others"), "right", width=2.2),
    ]
    columns += [Column(words("meta.prediction"), "right", width=1.8)] if has_limits else []
    body = [
        (runs(_label(context, measure)), runs(centre), *_left_out(context, found, has_limits))
        for measure in (*_SHARES, "auc")
        for centre in _names(_of(left, measure), _LEFT_OUT)
        if (found := _of_measure(_named(rows, centre), measure))
    ]
    caption = words("centres.without_caption", id=name)
    note = words.line("centres.without_note") if has_limits else ()
    return Table(f"without_{key}", caption, tuple(columns), tuple(body), note, small=True)


def _of_measure(rows: list[Record], name: str) -> list[Record]:
    """Return the rows of a measure of one centre, and its limits."""
    return [row for row in rows if name in (row["estimate_name"], row["term"])]


def _left_out(context: Context, rows: list[Record], has_limits: bool) -> list[Runs]:
    """Return a centre, the others pooled and their limits, starred where it lies outside them."""
    values = [row for row in rows if row["estimate_name"] not in _LIMITS]
    own, others = (
        [row for row in values if row["scenario"] == which] for which in ("site", _LEFT_OUT)
    )
    found = [context.with_interval(r[0], _write(r[0])) if r else runs("") for r in (own, others)]
    if not has_limits:
        return found
    ends = [row for end in _LIMITS for row in _of(rows, end)]
    if len(ends) != 2:
        return [*found, runs(numbers.DASH)]
    is_outside = ends[0]["status"] == "ok" and str(ends[0]["note"]).startswith("outside")
    between = _between(context, ends, _write(others[0]))
    return [*found, runs(*between, " *" if is_outside else "")]


def _subgroups(context: Context, analysis: Analysis, rows: list[Record]) -> Table:
    """Return each level of each subgroup, and its gap to the first."""
    words = context.words
    measures = [
        n for n in (*_SHARES, "auc") if any(_is_of_subgroup(analysis, r) for r in _of(rows, n))
    ]
    columns = [Column(words("tables.col_of"), width=2.6)]
    columns += [Column(_label(context, n), "right", width=2.2) for n in measures]
    columns += [Column(words("readings.col_shown"), width=2.2)] if analysis.hypothesis else []
    mine = [row for row in rows if _is_of_subgroup(analysis, row)]
    body = []
    for key in dict.fromkeys(_who(row) for row in sorted(mine, key=_is_gap)):
        same = [row for row in mine if _who(row) == key]
        cells: list[Runs] = [runs(": ".join(str(part) for part in key if part))]
        found = [_of(same, n) or _of(same, f"{n}_difference") for n in measures]
        cells += [
            context.with_interval(f[0], _write(f[0])) if f else runs(numbers.DASH) for f in found
        ]
        cells += [_verdicts(context, [f[0] for f in found if f])] if analysis.hypothesis else []
        body.append(tuple(cells))
    caption = words("centres.subgroups_caption", id=analysis.id)
    note = words.line("centres.subgroups_note")
    if claim := analysis.hypothesis:
        said, margin = words.term("claim", claim.claim), numbers.percent(claim.margin)
        note = runs(*note, " ", *words.line("centres.claim", claim=said, margin=margin))
    return Table(f"subgroups_{analysis.id}", caption, tuple(columns), tuple(body), note, small=True)


def _is_of_subgroup(analysis: Analysis, row: Record) -> bool:
    return row["stratum_name"] in analysis.subgroups


def _who(row: Record) -> tuple[object, ...]:
    return row["arm"], row["stratum_name"], row["stratum_level"]


def _is_gap(row: Record) -> tuple[str, str, bool]:
    return str(row["arm"]), str(row["stratum_name"]), row["target"] is not None


def _verdicts(context: Context, rows: list[Record]) -> Runs:
    """Say for each measure what its gap has shown against the margin."""
    words, said = context.words, []
    for row in rows:
        if row["alternative"] is None or row["p_value"] is None:
            continue
        is_shown = "is not shown" not in str(row["note"])
        verdict = words("centres.shown" if is_shown else "centres.not_shown")
        name = _label(context, str(row["estimate_name"]).removesuffix("_difference"))
        said.append(f"{name}: {verdict}")
    return runs("; ".join(said))
