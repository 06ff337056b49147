"""How alike an adjustment made the arms of a registry table, and what it did to their weights."""

from tasks.core.spec import Analysis
from tasks.report import numbers
from tasks.report.blocks import Block, Column, Runs, Table, runs
from tasks.report.context import Context
from tasks.report.model import Record
from tasks.report.sections.table_figures import is_of_score, love_plot, overlap

METHODS = ("balance", "propensity")
_MEASURES = ("smd", "variance_ratio", "ks_statistic")
_TIMES = ("before", "after")


def adjustment_tables(context: Context, analysis: Analysis, rows: list[Record]) -> list[Block]:
    """Return the balance of each covariate, and the score and weights, where there are any."""
    analysis_id = analysis.id
    balance = [row for row in rows if row["method"] == "balance" and row["term"]]
    others = [row for row in rows if row["method"] in METHODS and not _is_of_balance(row)]
    others = [row for row in others if not is_of_score(row)]
    made: list[Block] = []
    if balance:
        made.append(_balance(context, analysis_id, balance))
        drawn = love_plot(context, analysis_id, analysis.adjustment, balance)
        made += [drawn] if drawn else []
    if scores := overlap(context, analysis_id, rows):
        made.append(scores)
    if others:
        made.append(_score(context, analysis_id, others))
    return made


def _is_of_balance(row: Record) -> bool:
    return row["method"] == "balance" and bool(row["term"])


def _balance(context: Context, analysis_id: str, rows: list[Record]) -> Table:
    words = context.words
    columns = [Column(words("balance.covariate"), width=2.2)]
    for name in _MEASURES:
        group = words.term("estimate", name)
        columns += [Column(words.term("balance_time", t), "right", group) for t in _TIMES]
    terms = dict.fromkeys(row["term"] for row in rows)
    body = tuple(_covariate(context, str(term), rows) for term in terms)
    caption = words("tables.balance_caption", id=analysis_id)
    return Table(f"balance_{analysis_id}", caption, tuple(columns), body, small=True)


def _covariate(context: Context, term: str, rows: list[Record]) -> tuple[Runs, ...]:
    cells: list[Runs] = [runs(term)]
    for name in _MEASURES:
        for time in _TIMES:
            found = [
                row
                for row in rows
                if (row["term"], row["estimate_name"], row["scenario"]) == (term, name, time)
                and row["unit"] in (None, "SD of both arms")
            ]
            cells.append(context.with_interval(found[0], _places) if found else runs(numbers.DASH))
    return tuple(cells)


def _score(context: Context, analysis_id: str, rows: list[Record]) -> Table:
    words = context.words
    columns = (
        Column(words("tables.col_estimate"), width=1.9),
        Column(words("tables.col_of"), width=2.2),
        Column(words("tables.col_value"), "right", width=2.1),
    )
    body = tuple(
        (
            runs(_named(context, row)),
            runs(_subject(context, row)),
            context.with_interval(row, _places if row["estimate_name"] != "ess" else _one_place),
        )
        for row in rows
    )
    caption = words("tables.score_caption", id=analysis_id)
    return Table(f"score_{analysis_id}", caption, columns, body, small=True)


def _named(context: Context, row: Record) -> str:
    """Name a number; a quantile of the weights is none of times."""
    if row["estimate_name"] == "quantile":
        return context.words("tables.quantile")
    return context.words.term("estimate", row["estimate_name"])


def _subject(context: Context, row: Record) -> str:
    """Say of what a number is: an arm, a time, a quantile of the weights, a term of the model."""
    words, parts = context.words, []
    if row["stratum_level"] is not None:
        parts.append(f"{row['stratum_name']} {row['stratum_level']}")
    if row["scenario"]:
        parts.append(words.term("balance_time", row["scenario"]))
    if row["term"] == "weight":
        parts.append(words("tables.weight"))
    elif row["term"]:
        parts.append(str(row["term"]))
    if row["at"] is not None:
        parts.append(numbers.share_of(row["at"]))
    return ", ".join(parts) or words("tables.all")


def _one_place(value: float) -> str:
    return numbers.decimals(value, 1)


def _places(value: float) -> str:
    return numbers.decimals(value, 3)
