"""The content of a report as plain values: one model, two templates (HTML and PDF)."""

from dataclasses import dataclass
from typing import Any, Literal

Tone = Literal["", "strong", "muted", "withheld", "code", "date", "good", "warn", "bad", "todo"]
Align = Literal["left", "right", "center"]


@dataclass(frozen=True, slots=True)
class Run:
    """A stretch of text; `row` names the row of the inputs that a number comes from."""

    text: str
    row: str = ""
    tone: Tone = ""
    exact: str = ""


Runs = tuple[Run, ...]
LINE_BREAK = Run("\n")


def runs(*parts: "str | Run | Runs") -> Runs:
    """Join texts and runs into one line."""
    out: list[Run] = []
    for part in parts:
        if isinstance(part, str):
            out.append(Run(part))
        elif isinstance(part, Run):
            out.append(part)
        else:
            out.extend(part)
    return tuple(run for run in out if run.text)


def plain(line: Runs) -> str:
    """Return the text of a line without its marks."""
    return "".join(run.text for run in line)


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A paragraph; a `lead` is set larger."""

    text: Runs
    lead: bool = False
    kind: str = "paragraph"


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading inside a section."""

    text: str
    kind: str = "heading"


@dataclass(frozen=True, slots=True)
class Bullets:
    """A list of short points."""

    items: tuple[Runs, ...]
    kind: str = "bullets"


@dataclass(frozen=True, slots=True)
class Facts:
    """Names with their values."""

    items: tuple[tuple[str, Runs], ...]
    kind: str = "facts"


@dataclass(frozen=True, slots=True)
class Tile:
    """One number, large, with its name above and what it stands for below."""

    name: str
    value: Runs
    below: Runs


@dataclass(frozen=True, slots=True)
class Finding:
    """The key finding: a plain statement, what to make of it, and a few large numbers."""

    statements: tuple[Runs, ...]
    cautions: tuple[Runs, ...]
    tiles: tuple[Tile, ...]
    kind: str = "finding"


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table: `group` spans it with its neighbours, `width` is its share in print."""

    label: str
    align: Align = "left"
    group: str = ""
    width: float = 1.0


@dataclass(frozen=True, slots=True)
class Table:
    """A table; the first column names the row."""

    id: str
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Runs, ...], ...]
    note: Runs = ()
    marked: tuple[int, ...] = ()
    number: str = ""
    small: bool = False
    kind: str = "table"


@dataclass(frozen=True, slots=True)
class Figure:
    """A picture as SVG; charts also carry the Vega-Lite specification they are drawn from."""

    id: str
    caption: str
    alt: str
    svg: str
    note: Runs = ()
    chart: dict[str, Any] | None = None
    number: str = ""
    kind: str = "figure"


@dataclass(frozen=True, slots=True)
class Verbatim:
    """The text of a file, as it stands."""

    caption: str
    text: str
    kind: str = "verbatim"


@dataclass(frozen=True, slots=True)
class Details:
    """Blocks a reader of the page may open; not in print."""

    summary: str
    blocks: tuple["Block", ...]
    kind: str = "details"


Block = Paragraph | Heading | Bullets | Facts | Finding | Table | Figure | Verbatim | Details


@dataclass(frozen=True, slots=True)
class Section:
    """One numbered section."""

    id: str
    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Content:
    """A whole report in one language."""

    language: str
    title: str
    question: str
    notice: str
    date: str
    meta: tuple[tuple[str, Runs], ...]
    sections: tuple[Section, ...]
    words: dict[str, str]
    languages: tuple[str, ...]
