"""Lines and tables as HTML: everything escaped, every number with the row it comes from."""

import re

import great_tables as gt
import polars as pl
from markupsafe import Markup, escape

from tasks.report.blocks import LINE_BREAK, Column, Run, Runs, Table, plain

HIGHLIGHT = "#eaf4fb"

_FRAMES = {
    "": Markup("<span{}>{}</span>"),
    "strong": Markup("<strong{}>{}</strong>"),
    "code": Markup("<code{}>{}</code>"),
}


def line_html(line: Runs) -> Markup:
    """Return a line of runs."""
    return Markup("").join(run_html(run) for run in line)


def run_html(run: Run) -> Markup:
    """Return one run; a number carries `data-row`, and its exact value when pointed at."""
    if run.text == LINE_BREAK.text:
        return Markup("<br>")
    classes = " ".join(name for name in ("num" if run.row else "", run.tone) if name)
    if not classes:
        return escape(run.text)
    frame = _FRAMES.get(run.tone, _FRAMES[""])
    exact = f" = {run.exact}" if run.exact else ""
    source = Markup(' data-row="{}" title="{}{}"').format(run.row, run.row, exact)
    attributes = Markup(' class="{}"').format(classes) + (source if run.row else Markup(""))
    return frame.format(attributes, _breakable(run.text) if run.tone == "code" else run.text)


def _breakable(code: str) -> Markup:
    """Let a long name break after its underscores and dots, and nowhere else."""
    return Markup(re.sub(r"([_.])(?=.)", r"\1<wbr>", str(escape(code))))  # noqa: S704


def table_html(table: Table) -> Markup:
    """Return a table with caption, scopes and headers, without any style of its own."""
    names = [f"c{index}" for index in range(len(table.columns))]
    cells = {
        name: [str(line_html(row[index])) for row in table.rows] for index, name in enumerate(names)
    }
    frame = pl.DataFrame(cells, schema=dict.fromkeys(names, pl.String()))
    styled = gt.GT(frame, rowname_col="c0", id=table.id)
    styled = styled.tab_stubhead(label=_label(table.columns[0].label))
    styled = styled.cols_label(
        {n: _label(c.label) for n, c in zip(names[1:], table.columns[1:], strict=True)}
    )
    styled = _spanned(_aligned(styled, table.columns, names), table, names)
    styled = styled.fmt(fns=lambda value: value, columns=names)
    html = _marked(styled, table).as_raw_html()
    return _with_caption(html, table)


def _label(text: str) -> gt.html:
    """Escape a heading ourselves: great_tables leaves a text with `{{…}}` in it unescaped."""
    return gt.html(str(escape(text)))


def _aligned(styled: gt.GT, columns: tuple[Column, ...], names: list[str]) -> gt.GT:
    for align in ("left", "right", "center"):
        chosen = [n for n, c in zip(names, columns, strict=True) if c.align == align]
        if chosen:
            styled = styled.cols_align(align, columns=chosen)
    return styled


def _spanned(styled: gt.GT, table: Table, names: list[str]) -> gt.GT:
    groups = dict.fromkeys(column.group for column in table.columns if column.group)
    for number, group in enumerate(groups):
        under = [n for n, c in zip(names, table.columns, strict=True) if c.group == group]
        styled = styled.tab_spanner(label=_label(group), columns=under, id=f"g{number}")
    return styled


def _marked(styled: gt.GT, table: Table) -> gt.GT:
    if not table.marked:
        return styled
    rows = list(table.marked)
    look = [gt.style.fill(color=HIGHLIGHT), gt.style.text(weight="bold")]
    return styled.tab_style(look, [gt.loc.body(rows=rows), gt.loc.stub(rows=rows)])


def _with_caption(html: str, table: Table) -> Markup:
    """Keep the table alone, and give it its caption."""
    start, end = html.index("<table"), html.rindex("</table>") + len("</table>")
    head, body = html[start:end].split(">", 1)
    label = Markup('<caption><span class="label">{}</span> {}</caption>').format(
        table.number, table.caption
    )
    return Markup(head) + Markup(' id="{}">').format(f"table-{table.id}") + label + Markup(body)  # noqa: S704


def accessible_name(table: Table) -> str:
    """Return the name of a table for the region it scrolls in."""
    return plain((Run(f"{table.number} {table.caption}"),))
