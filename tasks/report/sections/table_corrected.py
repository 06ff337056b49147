"""Accuracy corrected for partial verification, or without a reference that is right."""

from tasks.core.spec import Analysis
from tasks.report import numbers
from tasks.report.blocks import Block, Column, Paragraph, Runs, Table, runs
from tasks.report.context import Context
from tasks.report.model import Record

_MEASURES = ("sensitivity", "specificity", "ppv", "npv", "prevalence", "auc")
_WAYS = (
    "naive",
    "begg_greenes",
    "extended_begg_greenes",
    "begg_greenes_by_model",
    "inverse_probability",
    "multiple_imputation",
    "not_at_random",
    "lower_bound",
    "upper_bound",
)
_WITHOUT_TRUTH = ("latent_class", "as_observed", "known_reference")


def verification_blocks(context: Context, analysis: Analysis, rows: list[Record]) -> list[Block]:
    """Return who was verified, and every measure as it is naively and corrected."""
    words = context.words
    blocks: list[Block] = [Paragraph(words.line("corrected.verification_intro"))]
    tables = [_verified(context, analysis, rows)]
    tables += [_by_way(context, analysis, rows, arm) for arm in _arms(rows)]
    return blocks + [table for table in tables if table.rows]


def latent_class_blocks(context: Context, analysis: Analysis, rows: list[Record]) -> list[Block]:
    """Return accuracy by latent classes and by references of known errors, with the caveat."""
    words = context.words
    table = Table(
        f"table_{analysis.id}",
        words("corrected.latent_caption", id=analysis.id),
        _columns(context, words("corrected.col_way"), words("tables.col_of")),
        tuple(
            (runs(_way(context, row)), runs(_of(context, row)), *_numbers(context, row))
            for scenario in _WITHOUT_TRUTH
            for row in rows
            if row["scenario"] == scenario and row["estimate_name"] != "test"
        ),
        words.line("corrected.latent_note"),
        small=True,
    )
    blocks: list[Block] = [Paragraph(words.line("corrected.latent_caveat")), table]
    fit = [row for row in rows if row["estimate_name"] == "test"]
    return blocks + [_fit(context, analysis, row) for row in fit]


def _columns(context: Context, *first: str) -> tuple[Column, ...]:
    words = context.words
    return (
        *(Column(name, width=2.6) for name in first),
        Column(words("tables.col_estimate"), width=1.8),
        Column(words("tables.col_value"), "right", width=2.4),
        Column(words("readings.col_counted"), "right", width=1.2),
    )


def _arms(rows: list[Record]) -> list[str | None]:
    return list(dict.fromkeys(row["arm"] for row in rows if row["scenario"] is not None))


def _by_way(context: Context, analysis: Analysis, rows: list[Record], arm: str | None) -> Table:
    words = context.words
    mine = [row for row in rows if row["arm"] == arm]
    body = tuple(
        (runs(_way(context, row)), *_numbers(context, row))
        for name in _MEASURES
        for way in _WAYS
        for row in mine
        if (row["estimate_name"], row["scenario"]) == (name, way)
    )
    said = f"{analysis.id}, {arm}" if arm else analysis.id
    identity = f"table_{analysis.id}" if arm is None else f"table_{analysis.id}_{arm}"
    caption = words("corrected.verification_caption", id=said)
    note = words.line("corrected.verification_note")
    columns = _columns(context, words("corrected.col_way"))
    return Table(identity, caption, columns, body, note, small=True)


def _verified(context: Context, analysis: Analysis, rows: list[Record]) -> Table:
    words = context.words
    body = tuple(
        (runs(_part(context, row)), *_numbers(context, row))
        for row in rows
        if row["estimate_name"] == "verified_fraction"
    )
    caption = words("corrected.verified_caption", id=analysis.id)
    columns = _columns(context, words("tables.col_of"))
    return Table(f"verified_{analysis.id}", caption, columns, body, small=True)


def _part(context: Context, row: Record) -> str:
    words, name = context.words, row["stratum_name"]
    if name is None:
        said = words("tables.all")
    elif name == "result":
        said = words.term("result", row["stratum_level"])
    else:
        said = f"{name}: {row['stratum_level']}"
    return ", ".join(part for part in (row["arm"], said) if part)


def _way(context: Context, row: Record) -> str:
    """Say how a value was corrected, and by what it was assumed."""
    words, said = context.words, context.words.term("scenario", row["scenario"])
    if row["at_kind"] == "odds_ratio":
        return words("corrected.odds_ratio", way=said, ratio=numbers.decimals(row["at"]))
    if row["at_kind"] == "reference_sensitivity":
        first, second = numbers.percent(row["at"]), numbers.percent(row["at2"])
        return words("corrected.known", way=said, first=first, second=second)
    return said


def _of(context: Context, row: Record) -> str:
    arm = row["arm"]
    if arm == "reference standard":
        arm = context.words("corrected.reference")
    return str(arm or row["stratum_level"] or context.words("tables.all"))


def _numbers(context: Context, row: Record) -> tuple[Runs, Runs, Runs]:
    """Return the measure, its value with interval or why there is none, and what it counts."""
    named = runs(context.words.term("estimate", row["estimate_name"]))
    if row["status"] == "not_estimable":
        return named, runs(context.words.term("status", "not_estimable")), runs("")
    value = context.with_interval(row, numbers.percent)
    n = context.number(row, "n", numbers.whole)
    if row["n_events"] is None:
        return named, value, (n,)
    return named, value, runs(context.number(row, "n_events", numbers.whole), "/", n)


def _fit(context: Context, analysis: Analysis, row: Record) -> Table:
    words = context.words
    columns = (
        Column(words("tables.col_test"), width=3),
        Column(words("tables.col_statistic"), "right", width=1.2),
        Column(words("tables.col_p"), "right", width=0.8),
    )
    body = (
        (
            runs(words.term("statistic", row["statistic_name"])),
            (context.number(row, "statistic", numbers.decimals),),
            (context.number(row, "p_value", numbers.p_value),),
        ),
    )
    caption = words("tables.tests_caption", id=analysis.id)
    return Table(f"fit_{analysis.id}", caption, columns, body, small=True)


def planned_table(context: Context, analysis_id: str, rows: list[Record]) -> Table:
    """Return what was planned, what was reached, and whether it is enough."""
    words = context.words
    columns = (
        Column(words("tables.col_of"), width=3),
        Column(words("planned.col_planned"), "right", width=1.4),
        Column(words("planned.col_reached"), "right", width=1.4),
        Column("", width=1.6),
    )
    body = tuple(
        (
            runs(words.term("planned", row["term"])),
            runs(numbers.whole(row["at"])),
            (context.number(row, "estimate", numbers.whole),),
            runs(_is_reached(context, row)),
        )
        for row in rows
    )
    caption = words("planned.caption", id=analysis_id)
    return Table(f"planned_{analysis_id}", caption, columns, body, small=True)


def _is_reached(context: Context, row: Record) -> str:
    if row["estimate"] is None:
        return ""
    return context.words("planned.yes" if row["estimate"] >= row["at"] else "planned.no")
