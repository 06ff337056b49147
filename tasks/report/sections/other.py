"""Section 9: the same comparison as restricted means, risks and rates, arm beside arm."""

from collections.abc import Iterable
from dataclasses import dataclass

from tasks.report import numbers
from tasks.report.blocks import (
    LINE_BREAK,
    Block,
    Column,
    Paragraph,
    Run,
    Runs,
    Section,
    Table,
    runs,
)
from tasks.report.context import Context, Write, counted_first
from tasks.report.model import Record
from tasks.report.sections.estimates import ROLE_ORDER

SHARES = {"risk", "risk_difference", "cumulative_incidence", "survival"}
RATES = {"incidence_rate", "rate_difference"}


@dataclass(frozen=True, slots=True)
class Family:
    """Estimates that stand in one line: of each arm, and what compares the arms."""

    arm: tuple[str, ...]
    difference: str
    ratio: str


FAMILIES = (
    Family(("rmst",), "rmst_difference", "rmst_ratio"),
    Family(("risk", "cumulative_incidence"), "risk_difference", "risk_ratio"),
    Family(("incidence_rate",), "rate_difference", "rate_ratio"),
    Family(("median_survival",), "", ""),
)


def section(context: Context) -> Section:
    """Return one line an analysis and kind of estimate."""
    words = context.words
    rows = tuple(
        _line(context, family, key, found)
        for family in FAMILIES
        for key, found in _analyses(context, family).items()
    )
    blocks: list[Block] = [Paragraph(words.line("other.none"))]
    if rows:
        note, caption = words.line("other.note", **context.names), words("other.caption")
        table = Table("other_estimates", caption, _columns(context), rows, note, small=True)
        blocks = [Paragraph(words.line("other.intro")), table]
    blocks += not_estimable(context)
    return Section("other-estimates", words("section.other"), tuple(blocks))


def _columns(context: Context) -> tuple[Column, ...]:
    words = context.words
    return (
        Column(words("other.col_measure"), width=2.0),
        Column(words("other.col_population"), width=1.1),
        *(Column(name, "right", words("other.arms"), 1.7) for name in context.arms.values()),
        Column(
            words("other.col_difference"), "right", words("other.contrast", **context.names), 1.9
        ),
        Column(words("other.col_ratio"), "right", words("other.contrast", **context.names), 1.5),
    )


Key = tuple[int, str, float | None]


def _analyses(context: Context, family: Family) -> dict[Key, list[Record]]:
    """Return the rows of a family by analysis and day, in the order of the study."""
    order = {a.id: place for place, a in enumerate(context.spec.analyses)}
    contrasts = [name for name in (family.difference, family.ratio) if name]
    days = (
        {(row["analysis_id"], row["at"]) for row in context.find(contrasts)} if contrasts else set()
    )
    out: dict[Key, list[Record]] = {}
    for row in context.find((*family.arm, *contrasts)):
        at = (row["analysis_id"], row["at"])
        is_curve = row["term"] == "curve" or (row["term"] == "table" and at not in days)
        if row["role"] in ROLE_ORDER and not is_curve and not _failed(row):
            key = (order.get(row["analysis_id"], len(order)), *at)
            out.setdefault(key, []).append(row)
    return dict(sorted(out.items(), key=lambda item: (item[0][:2], item[0][2] or 0.0)))


def _line(context: Context, family: Family, key: Key, found: list[Record]) -> tuple[Runs, ...]:
    words, first = context.words, found[0]
    arms = [_pick(found, family.arm, arm) for arm in context.arms]
    name = words.term(
        "estimate", next((row["estimate_name"] for row in arms if row), family.arm[0])
    )
    details = [words("other.day", day=numbers.days(key[2]))] if key[2] is not None else []
    unit = next((row["unit"] for row in (*arms, first) if row and row["unit"]), None)
    if unit and not SHARES & set(family.arm):
        details.append(words.term("unit", unit))
    return (
        runs(name, LINE_BREAK if details else "", " · ".join(details)),
        runs(context.population_of(first)),
        *(_estimate(context, row) for row in arms),
        _estimate(context, _pick(found, (family.difference,), None)),
        _estimate(context, _pick(found, (family.ratio,), None)),
    )


def _pick(found: list[Record], names: Iterable[str], arm: str | None) -> Record | None:
    for name in names:
        for row in counted_first(found):
            if row["estimate_name"] == name and (arm is None or row["arm"] == arm):
                return row
    return None


def _estimate(context: Context, row: Record | None) -> Runs:
    """Return an estimate with its interval, and a p-value beneath it where there is one."""
    if row is None:
        return runs(numbers.DASH)
    line = context.with_interval(row, writer(row))
    if row["p_value"] is None or row["ci_low"] is None or row["status"] != "ok":
        return line
    p = context.number(row, "p_value", numbers.p_value)
    sign = "p " if p.text[0] in "<>" else "p = "
    return runs(line, LINE_BREAK, sign, p)


def writer(row: Record) -> Write:
    """Return how an estimate of this kind is written."""
    if row["estimate_name"] in SHARES:
        return numbers.percent
    places = 1 if row["estimate_name"] in RATES else 2
    return lambda value: numbers.decimals(value, places)


def not_estimable(context: Context) -> list[Block]:
    """Return the analyses that the data could not support, with the reason of each."""
    failed = [row for row in context.rows if row["role"] in ROLE_ORDER and _failed(row)]
    if not failed:
        return []
    words = context.words
    labels = (("analysis", 1.5), ("role", 1.2), ("population", 1.2), ("reason", 4.0))
    columns = tuple(Column(words(f"other.col_{name}"), width=width) for name, width in labels)
    rows = tuple(
        (
            (Run(str(row["analysis_id"]), tone="code"),),
            runs(words.term("role", row["role"])),
            runs(context.population_of(row)),
            runs(row["note"] or words("other.no_reason")),
        )
        for row in failed
    )
    return [Table("not_estimable", words("other.failed_caption"), columns, rows, small=True)]


def _failed(row: Record) -> bool:
    """Whether a whole analysis failed; a median that is not reached is no failure."""
    is_median = row["estimate_name"] == "median_survival"
    return bool(row["status"] == "not_estimable" and not is_median)
