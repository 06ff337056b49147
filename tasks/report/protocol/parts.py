"""What the sections of a protocol are made with: places to be written, tables, rows of blocks."""

from collections.abc import Iterable, Sequence

from tasks.report.blocks import Column, Paragraph, Run, Runs, Table, runs
from tasks.report.voice import Voice

Cell = str | Run | Runs


def todo(voice: Voice, key: str) -> Run:
    """Return the mark of a place that only a person can write."""
    return Run(voice("todo", what=voice(key)), tone="todo")


def paragraph(*parts: Cell) -> Paragraph:
    """Return a paragraph."""
    return Paragraph(runs(*parts))


def table(
    name: str,
    caption: str,
    heads: Sequence[tuple[str, float]],
    rows: Iterable[Sequence[Cell]],
    marked: tuple[int, ...] = (),
) -> Table:
    """Return a table; each head has the share of width that its column takes in print."""
    return Table(
        name,
        caption,
        tuple(Column(label, width=width) for label, width in heads),
        tuple(tuple(runs(cell) for cell in row) for row in rows),
        marked=marked,
    )


def or_said(voice: Voice, text: str) -> Cell:
    """Return a text, or that the study file says nothing."""
    return text or Run(voice("none_said"), tone="muted")


def capital(text: str) -> str:
    """Return a text that begins with a capital letter, as the names of rows do."""
    return text[:1].upper() + text[1:]
