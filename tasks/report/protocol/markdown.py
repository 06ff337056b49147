"""The protocol as Markdown: plain tables, pictures beside the file; a text stays a text."""

import re
from collections.abc import Iterator

from tasks.report.blocks import (
    Block,
    Bullets,
    Facts,
    Figure,
    Heading,
    Paragraph,
    Run,
    Runs,
    Table,
    Verbatim,
    plain,
)
from tasks.report.protocol.document import Protocol

_SIGNS = re.compile(r"([\\`*_{}\[\]<>#|~!&])")
_MARKS = {"strong": "**", "todo": "**"}


def markdown(protocol: Protocol) -> str:
    """Return the protocol of one language."""
    lines = [f"# {escaped(protocol.title)}", "", f"> {escaped(protocol.notice)}", ""]
    for name, value in protocol.meta:
        lines.append(f"- {escaped(name)}: {line(value)}")
    for section in protocol.sections:
        lines += ["", f"## {escaped(section.title)}"]
        for block in section.blocks:
            lines += ["", *_block(block, protocol.language)]
    return "\n".join([*lines, "", "---", "", escaped(protocol.foot)]) + "\n"


def escaped(text: str) -> str:
    """Return a text in which nothing is markup; on one line."""
    return _SIGNS.sub(r"\\\1", " ".join(text.split()))


def line(parts: Runs) -> str:
    """Return a line of runs."""
    return "".join(_run(run) for run in parts).replace("\n", " ")


def _run(run: Run) -> str:
    if run.tone == "code" and "`" not in run.text:
        return f"`{run.text}`"
    mark = _MARKS.get(run.tone, "")
    text = _SIGNS.sub(r"\\\1", run.text.replace("\n", " "))
    kept = text.strip()
    return text.replace(kept, f"{mark}{kept}{mark}", 1) if mark and kept else text


def _block(block: Block, language: str) -> Iterator[str]:
    match block:
        case Heading():
            yield f"### {escaped(block.text)}"
        case Paragraph():
            yield line(block.text)
        case Bullets():
            yield from (f"- {line(item)}" for item in block.items)
        case Facts():
            yield from (f"- {escaped(name)}: {line(value)}" for name, value in block.items)
        case Figure():
            yield f"![{escaped(block.alt)}](figures/{block.id}.{language}.svg)"
            yield ""
            texts = (block.number, block.caption, plain(block.note))
            yield f"*{'. '.join(escaped(text) for text in texts)}*"
        case Table():
            yield from _table(block)
        case Verbatim():
            yield from (f"**{escaped(block.caption)}**", "", *_fenced(block.text))


def _fenced(text: str) -> tuple[str, ...]:
    """Put a text between fences that are longer than any row of backticks in it."""
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    return fence, *text.rstrip("\n").splitlines(), fence


def _table(table: Table) -> Iterator[str]:
    yield f"**{escaped(table.number)}. {escaped(table.caption)}**"
    yield ""
    yield _row([escaped(column.label) for column in table.columns])
    yield _row(["---"] * len(table.columns))
    for place, cells in enumerate(table.rows):
        texts = [line(cell) for cell in cells]
        yield _row(
            [f"**{text}**" if text else "" for text in texts] if place in table.marked else texts
        )


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"
