"""Registry tables: which rows each analysis uses, and what it found."""

from collections.abc import Callable, Mapping

from tasks.core.spec import Analysis
from tasks.report import numbers
from tasks.report.blocks import (
    LINE_BREAK,
    Block,
    Column,
    Heading,
    Paragraph,
    Run,
    Runs,
    Section,
    Table,
    runs,
)
from tasks.report.context import Context, Write, place
from tasks.report.model import Record
from tasks.report.notes import said_note
from tasks.report.sections.table_adjustment import METHODS, adjustment_tables
from tasks.report.sections.table_centres import left_out_blocks, pooled_accuracy_blocks
from tasks.report.sections.table_corrected import (
    latent_class_blocks,
    planned_table,
    verification_blocks,
)
from tasks.report.sections.table_curves import curve_figures
from tasks.report.sections.table_figures import adopted, figures, is_of_adoption, is_span
from tasks.report.sections.table_meta import META, meta_blocks
from tasks.report.sections.table_parametric import PARAMETRIC, parametric_blocks
from tasks.report.sections.table_probabilities import calibration_blocks, decision_blocks
from tasks.report.sections.table_readers import agreement_blocks, reader_blocks
from tasks.report.sections.table_readings import accuracy_blocks
from tasks.report.sections.table_roc import operating_blocks, roc_blocks
from tasks.report.sections.table_series import is_line, series_figures

_FIT = ("test", "log_likelihood", "aic", "bic", "concordance")
_SHARES = (
    "risk risk_difference survival cumulative_incidence sensitivity specificity ppv npv prevalence "
    "accuracy missing_fraction".split()
)
_TERMS = (
    "model", "null", "observed", "expected", "predicted", "penalty", "intercept", "dispersion",
    "theta", "scale", "rho", "fewer events", "more events", "slope before", "level change",
    "slope change", "simple", "dynamic", "group", "two-way fixed effects", "itt", "per_protocol",
    "entries", "deviations", "correlation exchangeable", "correlation ar1", "calibrated", "control",
    "adjusted", "permutation of the roll-out order",
)  # fmt: skip
_OF_SERIES = ("main", "sensitivity", "diagnostic")
_AT = {"period": "tables.at_period", "periods_since_adoption": "tables.at_adoption"}
_WITH_UNIT = (
    "incidence_rate",
    "rate_difference",
    "rmst",
    "rmst_difference",
    "rmtl",
    "rmtl_difference",
    "median_survival",
    "quantile",
    "median_follow_up",
)
_ERRORS = (
    "m_estimation hc0 linearisation cluster stratified mantel_haenszel influence robust".split()
)
_WHOLE = ("count", "n_at_risk")
_UNSAID = ("person_time in days",)
_ONE_PLACE = ("rmst", "rmst_difference", "rmtl", "rmtl_difference", "ess", "nnt")
_DAYS = ("median_survival", "quantile", "median_follow_up")


_WRITTEN: Mapping[str, Callable[[Context, Analysis, list[Record]], list[Block]]] = {
    PARAMETRIC: parametric_blocks,
    META: meta_blocks,
    "accuracy": accuracy_blocks,
    "roc": roc_blocks,
    "operating_point": operating_blocks,
    "mrmc": reader_blocks,
    "reading_time": reader_blocks,
    "agreement": agreement_blocks,
    "verification_bias": verification_blocks,
    "latent_class": latent_class_blocks,
    "calibration": calibration_blocks,
    "decision_curve": decision_blocks,
    "accuracy_meta": pooled_accuracy_blocks,
    "leave_one_centre_out": left_out_blocks,
}
"""Methods whose results have a form of their own."""


def rows_used(context: Context) -> Section:
    """Return, for each analysis, the rows of the table, those left out by reason, those used."""
    words = context.words
    blocks: list[Block] = [Paragraph(words.line("tables.intro"))]
    for source in context.spec.tables:
        if source.missing == "refuse":
            said = words.line("tables.refuse", table=source.table, site=source.site_id)
            blocks.append(Paragraph(said))
    blocks.append(_attrition(context))
    return Section("table-rows", words("section.table_rows"), tuple(blocks))


def _attrition(context: Context) -> Table:
    words = context.words
    ids = {analysis.id for analysis, _ in context.spec.table_analyses}
    columns = (
        Column(words("tables.col_analysis"), width=2.2),
        Column(words("tables.col_step"), width=3),
        Column(words("tables.col_excluded"), "right"),
        Column(words("tables.col_remaining"), "right"),
    )
    by_analysis: dict[str, list[Record]] = {}
    for step in context.inputs.attrition.to_dicts():
        if step["arm"] in ids:
            by_analysis.setdefault(step["arm"], []).append(step)
    rows = tuple(
        _step(context, step, named if place == 0 else "")
        for named, steps in _alike(by_analysis)
        for place, step in enumerate(steps)
    )
    return Table("table_attrition", words("tables.used"), columns, rows, small=True)


def _alike(by_analysis: dict[str, list[Record]]) -> list[tuple[str, list[Record]]]:
    """Return the steps once for all analyses that use the same rows of the same columns."""
    groups: dict[str, list[str]] = {}
    for name, steps in by_analysis.items():
        same = repr([{**step, "arm": ""} for step in steps])
        groups.setdefault(same, []).append(name)
    return [(", ".join(names), by_analysis[names[0]]) for names in groups.values()]


def _step(context: Context, step: Record, named: str) -> tuple[Runs, ...]:
    def cell(column: str) -> Runs:
        at = place(f"attrition/{step['arm']}", step=step["step"], column=column)
        status = "suppressed" if step[column] is None else step["status"]
        return (context.cell(step[column], status, numbers.whole, at),)

    is_reason = ":" in step["step_id"]
    return (
        runs(Run(named, tone="code")),
        runs(str(step[f"label_{context.language}"])),
        cell("excluded") if is_reason else runs(numbers.DASH),
        cell("remaining"),
    )


def estimates(context: Context) -> Section:
    """Return the estimates of every analysis, and below them its tests and its fit."""
    words = context.words
    blocks: list[Block] = []
    for analysis, _ in context.spec.table_analyses:
        blocks += _analysis(context, analysis)
    if not blocks:
        blocks.append(Paragraph(words.line("tables.none")))
    return Section("table-estimates", words("section.table_estimates"), tuple(blocks))


def _analysis(context: Context, analysis: Analysis) -> list[Block]:
    words = context.words
    all_rows = [row for row in context.table_rows if row["analysis_id"] == analysis.id]
    planned = [row for row in all_rows if row["at_kind"] == "planned"]
    rows = [row for row in all_rows if row["method"] not in METHODS and row not in planned]
    fit = [row for row in rows if row["estimate_name"] in _FIT]
    found = [row for row in rows if row not in fit and not _is_drawn(row)]
    method, role = words.term("method", analysis.method), words.term("role", analysis.role)
    title = words("tables.of_analysis", id=analysis.id, method=method, role=role)
    blocks: list[Block] = [Heading(title)]
    if analysis.terms is not None:
        blocks.append(Paragraph(words.line("tables.model", terms=Run(analysis.terms, tone="code"))))
    if analysis.propensity is not None:
        blocks.append(Paragraph(_propensity(context, analysis)))
    blocks += [planned_table(context, analysis.id, planned)] if planned else []
    if written := _WRITTEN.get(analysis.method):
        return [*blocks, *written(context, analysis, rows)]
    blocks += [
        Paragraph(words.line("tables.not_estimable", note=said_note(words, str(row["note"]))))
        for row in rows
        if row["status"] == "not_estimable" and row["note"]
    ][:3]
    blocks += curve_figures(context, analysis.id, rows)
    blocks += series_figures(context, analysis.id, rows)
    blocks += figures(context, analysis.id, rows)
    if found:
        has_curve = any(row["term"] == "curve" for row in rows)
        blocks.append(_estimate_table(context, analysis, found, has_curve))
    blocks += _notes(context, found)
    if fit:
        blocks.append(_fit_table(context, analysis, fit))
    return [*blocks, *adjustment_tables(context, analysis, all_rows)]


def _propensity(context: Context, analysis: Analysis) -> Runs:
    """Say how an analysis adjusts, where it does so beside its model, and by which score."""
    words, model = context.words, Run(str(analysis.propensity), tone="code")
    if analysis.adjustment == "none":
        return words.line("tables.score_alone", terms=model)
    how = words.term("adjustment", analysis.adjustment)
    return words.line("tables.propensity", terms=model, how=how)


def _is_drawn(row: Record) -> bool:
    """Whether a figure shows a row, with a table of its own, so that this one need not."""
    is_part = is_line(row) or is_span(row) or is_of_adoption(row)
    is_of_span = row["estimate_name"] == "missing_fraction" and row["at"] is not None
    return bool(row["term"] == "curve" or is_part or is_of_span)


def _notes(context: Context, rows: list[Record]) -> list[Block]:
    """Return what rows with a number say of themselves, each note once."""
    shown = [r for r in rows if r["status"] == "ok" and r["note"] not in (None, *_UNSAID)]
    notes = dict.fromkeys(said_note(context.words, str(row["note"])) for row in shown)
    return [Paragraph(context.words.line("tables.note", note=note)) for note in list(notes)[:3]]


def _estimate_table(
    context: Context, analysis: Analysis, rows: list[Record], has_curve: bool
) -> Table:
    words = context.words
    columns = (
        Column(words("tables.col_estimate"), width=1.9),
        Column(words("tables.col_of"), width=2.2),
        Column(words("tables.col_value"), "right", width=2.1),
        Column(words("tables.col_n"), "right", width=0.8),
        Column(words("tables.col_events"), "right", width=0.8),
        Column(words("tables.col_how"), width=1.2),
        Column(words("tables.col_p"), "right", width=0.8),
    )
    body = tuple(_estimate(context, row) for row in rows)
    note = words.line("tables.coding") if analysis.terms is not None else ()
    note = words.line("tables.curve_note") if has_curve else note
    caption = words("tables.estimates_caption", id=analysis.id)
    return Table(f"table_{analysis.id}", caption, columns, body, note, small=True)


def _estimate(context: Context, row: Record) -> tuple[Runs, ...]:
    return (
        _named_with_unit(context, row),
        runs(_subject(context, row)),
        _value(context, row),
        (context.number(row, "n", numbers.whole),),
        (context.number(row, "n_events", numbers.whole),),
        runs(_how(context, row)),
        (context.number(row, "p_value", numbers.p_value),),
    )


def _value(context: Context, row: Record) -> Runs:
    """Return a number with its interval; one of a time may be open at the end."""
    name = row["estimate_name"]
    is_open = row["ci_low"] is not None and row["ci_high"] is None and row["status"] == "ok"
    if name not in _DAYS or not is_open:
        return context.with_interval(row, _write(name))
    value, low = (context.number(row, column, _write(name)) for column in ("estimate", "ci_low"))
    return runs(value, " (", context.words.line("tables.open_interval", low=low), ")")


def _how(context: Context, row: Record) -> str:
    """Name how an interval is made, and its error where an analysis has several."""
    if not row["ci_method"]:
        return ""
    said = context.words.term("ci_method", row["ci_method"])
    if row["se_method"] not in _ERRORS:
        return said
    return f"{said}, {context.words.term('se_method', row['se_method'])}"


def _named_with_unit(context: Context, row: Record) -> Runs:
    """Name an estimate, and below it the unit of a time or a rate."""
    name, unit = context.words.term("estimate", row["estimate_name"]), row["unit"]
    if row["estimate_name"] not in _WITH_UNIT or not unit:
        return runs(name)
    return runs(name, LINE_BREAK, context.words.term("unit", unit))


def _write(name: str) -> Write:
    if name in _SHARES:
        return numbers.percent
    if name in _DAYS:
        return numbers.days
    if name in _ONE_PLACE:
        return _one_place
    return numbers.whole if name in _WHOLE else _three_places


def _one_place(value: float) -> str:
    return numbers.decimals(value, 1)


def _three_places(value: float) -> str:
    return numbers.decimals(value, 3)


def _subject(context: Context, row: Record) -> str:
    """Say of what a number is: a term, a group, a comparison, a day."""
    words, parts = context.words, [_group(context, row)]
    if row["term"] not in (None, "table", "curve") and not _is_said(row):
        parts.append(_term(context, str(row["term"])))
    if row["at"] is not None and row["at_kind"] == "probability":
        parts.append(words("tables.of_share", share=numbers.share_of(row["at"])))
    elif row["at"] is not None:
        key = _AT.get(str(row["at_kind"]), "tables.on_day")
        parts.append(words(key, day=numbers.days(row["at"])))
    if row["scenario"] is not None:
        parts.append(_scenario(context, row))
    return ", ".join(filter(None, parts)) or words("tables.all")


def _group(context: Context, row: Record) -> str:
    """Name a group, or the grouping that a test is about."""
    name, level = row["stratum_name"], row["stratum_level"]
    if name == "missing_column":
        return str(level)
    if name == "strategy":
        levels = str(level).split(" - ")
        return " – ".join(context.words.term("strategy_name", each) for each in levels)
    if level is None:
        return str(name) if name and row["estimate_name"] == "test" else ""
    return f"{name} {str(level).replace(' - ', ' – ')}"


def _is_said(row: Record) -> bool:
    """Whether the term of a row says only what its grouping or its time says."""
    is_by_time = row["at_kind"] == "periods_since_adoption" and row["term"] == "dynamic"
    return bool(is_by_time or row["stratum_name"] == "missing_column")


def _scenario(context: Context, row: Record) -> str:
    """Name a scenario, and where it is a kind of standard error that one, too."""
    words, scenario = context.words, row["scenario"]
    if words.knows("estimate", scenario) and row["estimate_name"] == "test":
        return words.term("estimate", scenario)
    named = words.term("scenario", scenario)
    if scenario not in _OF_SERIES or row["se_method"] is None:
        return named
    return f"{named}: {_se_method(context, str(row['se_method']))}"


def _se_method(context: Context, name: str) -> str:
    """Name an error; that of Newey and West with its lag."""
    lag = name.removeprefix("newey_west(lag=").removesuffix(")")
    is_plain = lag == name
    words = context.words
    return words.term("se_method", name) if is_plain else words("tables.newey_west", lag=lag)


def _term(context: Context, term: str) -> str:
    """Return the word for a term that methods name; a column by its own name."""
    if term in _TERMS:
        return context.words.term("table_term", term)
    return adopted(context, term).removeprefix("x_").removeprefix("label_")


def _fit_table(context: Context, analysis: Analysis, rows: list[Record]) -> Table:
    words = context.words
    columns = (
        Column(words("tables.col_test"), width=2.4),
        Column(words("tables.col_of"), width=1.8),
        Column(words("tables.col_statistic"), "right", width=2),
        Column(words("tables.col_p"), "right", width=0.8),
    )
    body = tuple(_fit(context, row) for row in rows)
    caption = words("tables.tests_caption", id=analysis.id)
    return Table(f"fit_{analysis.id}", caption, columns, body, small=True)


def _fit(context: Context, row: Record) -> tuple[Runs, ...]:
    words = context.words
    subject = runs(_subject(context, row))
    if row["estimate_name"] != "test":
        value = context.with_interval(row, _three_places)
        return runs(words.term("estimate", row["estimate_name"])), subject, value, runs("")
    df = f" ({words('tests.df')} {numbers.days(row['df1'])})" if row["df1"] is not None else ""
    statistic = context.number(row, "statistic", numbers.decimals)
    return (
        runs(words.term("statistic", row["statistic_name"])),
        subject,
        runs(statistic, df if row["status"] == "ok" else ""),
        (context.number(row, "p_value", numbers.p_value),),
    )
