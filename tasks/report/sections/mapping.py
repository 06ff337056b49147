"""How much of what the sources coded has a concept, and the most frequent codes without one."""

from collections.abc import Iterable

from tasks.report import numbers
from tasks.report.blocks import Block, Column, Details, Heading, Paragraph, Run, Runs, Table, runs
from tasks.report.context import Context
from tasks.report.model import Record

Place = tuple[str, str, str]


def blocks(context: Context) -> list[Block]:
    """Return the shares by site, table and period; nothing where a run has not counted them."""
    shares = context.find("mapped_fraction", analysis_id="mapping")
    if not shares:
        return []
    words = context.words
    codes = context.find("count", analysis_id="mapping", stratum_name="unmapped_code")
    listed: list[Block] = [
        Heading(words("mapping.heading")),
        Paragraph(words.line("mapping.intro")),
        _shares(context, shares),
    ]
    if codes:
        opened = words("mapping.open_codes", n=str(len(codes)))
        listed.append(Details(opened, (_codes(context, codes),)))
    return listed


def _shares(context: Context, rows: list[Record]) -> Table:
    words = context.words
    columns = (
        Column(words("data.col_site"), width=1.1),
        Column(words("mapping.col_table"), width=2.0),
        Column(words("mapping.col_period"), width=1.5),
        *(
            Column(words(f"mapping.col_{name}"), "right", words(f"mapping.of_{kind}"))
            for kind in ("records", "codes")
            for name in ("all", "mapped")
        ),
    )
    by_place: dict[Place, dict[str, Record]] = {}
    for row in rows:
        by_place.setdefault(_place(row), {})[row["method"]] = row
    body = tuple(
        _line(context, place, found)
        for place, found in sorted(by_place.items(), key=lambda item: _in_time(item[0]))
    )
    note = words.line("mapping.note")
    return Table("mapping", words("mapping.caption"), columns, body, note, small=True)


def _place(row: Record) -> Place:
    return str(row["site_id"]), str(row["term"]), str(row["stratum_level"])


def _in_time(place: Place) -> tuple[str, str, bool]:
    return place[0], place[1], place[2] == "after"


def _line(context: Context, place: Place, found: dict[str, Record]) -> tuple[Runs, ...]:
    site, table, period = place
    return (
        runs(site),
        (Run(table, tone="code"),),
        runs(context.words(f"mapping.period_{period}")),
        *(cell for kind in ("records", "codes") for cell in _share(context, found.get(kind))),
    )


def _share(context: Context, row: Record | None) -> Iterable[Runs]:
    if row is None:
        return (runs(numbers.DASH), runs(numbers.DASH))
    return (
        (context.number(row, "n", numbers.whole),),
        (context.number(row, "estimate", lambda _: numbers.share(row["n_events"], row["n"])),),
    )


def _codes(context: Context, rows: list[Record]) -> Table:
    words = context.words
    columns = (
        Column(words("data.col_site")),
        Column(words("mapping.col_table"), width=2.0),
        Column(words("mapping.col_code")),
        Column(words("mapping.of_records"), "right"),
    )
    body = tuple(
        (
            runs(str(row["site_id"])),
            (Run(str(row["term"]), tone="code"),),
            (Run(str(row["stratum_level"]), tone="code"),),
            (context.number(row, "estimate", numbers.whole),),
        )
        for row in sorted(rows, key=_most_first)
    )
    return Table("unmapped_codes", words("mapping.codes"), columns, body, small=True)


def _most_first(row: Record) -> tuple[str, str, float, str]:
    most = -float(row["estimate"] or 0)
    return str(row["site_id"]), str(row["term"]), most, str(row["stratum_level"])
