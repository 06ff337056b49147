"""Section 6: are the two groups comparable, before and after each adjustment?"""

import re
from math import isfinite

from tasks.report import numbers
from tasks.report.blocks import (
    Block,
    Column,
    Details,
    Figure,
    Paragraph,
    Run,
    Runs,
    Section,
    Table,
    runs,
)
from tasks.report.charts import love_chart
from tasks.report.context import Context, Write, place
from tasks.report.figures import chart_svg
from tasks.report.model import POPULATION_OF, Record

SHOWN, DRAWN = 15, 25
DEFAULT_LIMIT = 0.1

Covariates = dict[str, dict[str, Record]]


def section(context: Context) -> Section:
    """Return Table 1 and the love plot."""
    words = context.words
    covariates = by_covariate(context)
    if not covariates:
        blocks: list[Block] = [Paragraph(words.line("balance.none"))]
        return Section("balance", words("section.balance"), tuple(blocks))
    shown = selected(context, covariates)
    limit = smd_limit(context)
    intro = words.line("balance.intro", limit=numbers.decimals(limit, 2), **context.names)
    blocks = [Paragraph(intro), Paragraph(methods(context)), table_one(context, covariates, shown)]
    if len(shown) < len(covariates):
        blocks.append(_everything(context, covariates))
    blocks.append(love_plot(context, covariates, limit))
    return Section("balance", words("section.balance"), tuple(blocks))


def methods(context: Context) -> Runs:
    """Say how the adjustments of this study were made."""
    words, used = context.words, context.spec.adjustments
    said = [words.line("balance.methods", target=context.names["target"])]
    said += [words.line(f"balance.methods_{a}") for a in used if a in {"iptw_ate", "matched"}]
    said.append(words.line("balance.methods_robust"))
    return runs(*[part for line in said for part in (line, " ")][:-1])


def by_covariate(context: Context) -> Covariates:
    """Return the balance records by covariate and adjustment, worst before adjustment first."""
    out: Covariates = {}
    for record in context.inputs.balance.to_dicts():
        out.setdefault(record["covariate"], {})[record["adjustment"]] = record
    return dict(sorted(out.items(), key=lambda item: (-_size(item[1]), item[0])))


def _size(records: dict[str, Record]) -> float:
    found = _shown_smd(records.get("none"))
    return -1.0 if found is None else found


def _shown_smd(record: Record | None) -> float | None:
    """Return the absolute difference where it can be drawn, else None."""
    if record is None or record["status"] != "ok" or record["smd"] is None:
        return None
    size = abs(float(record["smd"]))
    return size if isfinite(size) else None


def selected(context: Context, covariates: Covariates) -> list[str]:
    """Return age and sex, then the covariates that differ most; all when they are few."""
    named = [c.id for c in context.spec.covariates if c.kind in {"age", "sex"}]
    pattern = re.compile("|".join(rf"{name}(?![a-z0-9])" for name in named) or r"(?!)")
    first = sorted(key for key in covariates if pattern.match(key))
    others = [key for key in covariates if key not in first]
    return [*first, *(others if len(others) <= SHOWN + 3 else others[:SHOWN])]


def smd_limit(context: Context) -> float:
    """Return the threshold of the study's balance gate."""
    limits = (gate.limit for gate in context.spec.gates if gate.name == "max_smd")
    return next(limits, DEFAULT_LIMIT)


def adjustments(covariates: Covariates) -> list[str]:
    """Return the adjustments that the balance table holds, in a fixed order."""
    used = {name for records in covariates.values() for name in records}
    return [name for name in POPULATION_OF if name in used]


def table_one(context: Context, covariates: Covariates, keys: list[str]) -> Table:
    """Return the baseline table of the selected covariates."""
    hidden = len(covariates) - len(keys)
    key = "balance.note_hidden" if hidden else "balance.note"
    limit = numbers.decimals(smd_limit(context), 2)
    note = context.words.line(key, hidden=str(hidden), shown=str(len(keys)), limit=limit)
    caption = context.words("balance.caption")
    return _table(context, "table_one", caption, {k: covariates[k] for k in keys}, note)


def _everything(context: Context, covariates: Covariates) -> Details:
    words = context.words
    caption = words("balance.caption_all", n=str(len(covariates)))
    table = _table(context, "table_one_all", caption, covariates, ())
    return Details(words("balance.open_all", n=str(len(covariates))), (table,))


def _table(context: Context, id_: str, caption: str, rows: Covariates, note: Runs) -> Table:
    used = adjustments(rows)
    body = tuple(_row(context, records, used) for records in rows.values())
    return Table(id_, caption, _columns(context, used), body, note, small=True)


def shown_after(context: Context, used: list[str]) -> str | None:
    """Return the adjustment whose weighted means are shown: that of the primary analysis."""
    after = [name for name in used if name != "none"]
    primary = [name for name in after if POPULATION_OF[name] == context.primary_population]
    return next(iter([*primary, *after]), None)


def _columns(context: Context, used: list[str]) -> tuple[Column, ...]:
    words, (target, comparator) = context.words, list(context.arms.values())
    smd, before = words("balance.smd"), words.term("adjustment", "none")
    out = [Column(words("balance.covariate"), width=2.6)]
    out += [Column(name, "right", before, 1.5) for name in (target, comparator)]
    out.append(Column(smd, "right", before, 0.9))
    after = shown_after(context, used)
    if after is not None:
        group = words.term("adjustment", after)
        out += [Column(name, "right", group, 1.35) for name in (target, comparator)]
        out.append(Column(smd, "right", group, 0.9))
    rest = [name for name in used if name not in {"none", after}]
    group = words("balance.other_adjustments")
    short = [words.term("adjustment_short", name) for name in rest]
    return (*out, *(Column(name, "right", group, 1.0) for name in short))


def _row(context: Context, records: dict[str, Record], used: list[str]) -> tuple[Runs, ...]:
    some = next(iter(records.values()))
    after = shown_after(context, used)
    cells: list[Runs] = [runs(_label(context, some))]
    for name in ("none", after):
        if name is not None:
            record = records.get(name)
            cells += [_level(context, record, arm) for arm in ("target", "comparator")]
            cells.append(_smd(context, record))
    rest = [name for name in used if name not in {"none", after}]
    return (*cells, *(_smd(context, records.get(name)) for name in rest))


def _label(context: Context, record: Record) -> str:
    return str(record[f"label_{context.language}"] or record["covariate"])


def _level(context: Context, record: Record | None, arm: str) -> Runs:
    if record is None:
        return runs(numbers.DASH)
    source = f"balance/{record['covariate']}"

    def number(column: str, write: Write) -> Run:
        at = place(source, adjustment=record["adjustment"], column=column)
        return context.cell(record[column], record["status"], write, at)

    mean = f"{arm}_mean"
    if record["kind"] == "continuous":
        mean_run = number(mean, lambda x: numbers.decimals(x, 1))
        sd = number(f"{arm}_sd", lambda x: numbers.decimals(x, 1))
        return runs(mean_run) if sd.tone else runs(mean_run, " (", sd, ")")
    share, count = number(mean, numbers.percent), record.get(f"{arm}_count")
    if record["status"] != "ok" or count is None:
        return (share,)
    return runs(number(f"{arm}_count", numbers.whole), " (", share, ")")


def _smd(context: Context, record: Record | None) -> Runs:
    if record is None:
        return runs(numbers.DASH)
    source = f"balance/{record['covariate']}"
    at = place(source, adjustment=record["adjustment"], column="smd")
    high = record["smd"] is not None and abs(record["smd"]) > smd_limit(context)
    return (context.cell(record["smd"], record["status"], _three, at, "strong" if high else ""),)


def _three(value: float) -> str:
    return numbers.decimals(value, 3)


def love_plot(context: Context, covariates: Covariates, limit: float) -> Figure:
    """Draw absolute standardised differences before and after each adjustment."""
    words = context.words
    used = adjustments(covariates)
    drawn = dict(list(covariates.items())[:DRAWN])
    named = [(name, words.term("adjustment", name)) for name in used]
    labels = [_label(context, next(iter(records.values()))) for records in drawn.values()]
    points = _points(drawn, labels, dict(named))
    chart = love_chart(points, labels, named, words("balance.love_axis"), limit)
    key = "balance.love_note_hidden" if len(drawn) < len(covariates) else "balance.love_note"
    hidden = str(len(covariates) - len(drawn))
    note = words.line(key, limit=numbers.decimals(limit, 2), shown=str(len(drawn)), hidden=hidden)
    alt = words("balance.love_alt", summary=_worst(context, covariates, used))
    svg = chart_svg(chart, "love_plot")
    return Figure("love_plot", words("balance.love_caption"), alt, svg, note, chart)


def _points(drawn: Covariates, labels: list[str], named: dict[str, str]) -> list[Record]:
    out = []
    for position, records in enumerate(drawn.values()):
        for name, word in named.items():
            smd = _shown_smd(records.get(name))
            if smd is not None:
                point = {"pos": position, "label": labels[position], "adjustment": word}
                out.append({**point, "smd": smd, "value_text": _three(smd)})
    return out


def _worst(context: Context, covariates: Covariates, used: list[str]) -> str:
    said = []
    for name in used:
        sizes = [s for r in covariates.values() if (s := _shown_smd(r.get(name))) is not None]
        if sizes:
            word = context.words.term("adjustment", name)
            said.append(f"{word} {numbers.decimals(max(sizes), 3)}")
    return "; ".join(said)
