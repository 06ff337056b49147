"""What the diagrams of a study are made of, and the flow chart of who was left out."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from unicodedata import east_asian_width

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from tasks.report.charts import STATIC_FONT

TEMPLATES = Path(__file__).with_name("templates")


@cache
def environment() -> Environment:
    """Return the template environment: everything escaped, nothing undefined."""
    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def text_width(text: str, size: float) -> float:
    """Estimate the width of a text set in `size` pixels."""
    wide = sum(1 for letter in text if east_asian_width(letter) in "WF")
    capitals = sum(1 for letter in text if letter.isupper() or letter in "mwMW%—")
    return size * (0.95 * wide + 0.66 * capitals + 0.54 * (len(text) - wide - capitals))


def wrapped(text: str, size: float, width: float) -> tuple[str, ...]:
    """Break a text at spaces into lines that fit `width` pixels."""
    lines: list[str] = []
    for word in text.split():
        joined = f"{lines[-1]} {word}" if lines else word
        if lines and text_width(joined, size) <= width:
            lines[-1] = joined
        else:
            lines += _broken(word, size, width)
    return tuple(lines) or ("",)


def _broken(word: str, size: float, width: float) -> list[str]:
    """Break a word that is wider than the line it has to stand on."""
    parts = [""]
    for letter in word:
        if parts[-1] and text_width(parts[-1] + letter, size) > width:
            parts.append("")
        parts[-1] += letter
    return parts


def shortened(lines: tuple[str, ...], most: int) -> tuple[str, ...]:
    """Keep the first lines of a text; a dotted end says that there is more."""
    return lines if len(lines) <= most else (*lines[: most - 1], lines[most - 1] + " …")


@dataclass(frozen=True, slots=True)
class Bar:
    """Days of a timeline, first and last; None is open. `label` is made of them when empty.

    A `brief` bar ends on a day that is not known but near: it does not run to the edge.
    """

    start: int | None
    end: int | None
    label: str = ""
    brief: bool = False


def days_of(bar: Bar) -> str:
    """Write the days of a bar: [−365, 0]; dots where an end is open."""
    low, high = ("…" if day is None else str(day).replace("-", "−") for day in (bar.start, bar.end))
    return (
        f"[{low}]" if low == high and bar.start is not None else f"[{low},\N{NO-BREAK SPACE}{high}]"
    )


@dataclass(frozen=True, slots=True)
class Lane:
    """One row of a timeline: its name, what it means, and its days."""

    group: str
    name: str
    detail: str
    bars: tuple[Bar, ...]
    look: str


@dataclass(frozen=True, slots=True)
class Timeline:
    """What is looked at when, around day 0."""

    title: str
    below: str
    lanes: tuple[Lane, ...]
    axis: str
    axis_note: str
    description: str


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the flow chart: its label and, for each arm, who was left out and who remains."""

    label: str
    excluded: tuple[str, str]
    remaining: tuple[str, str]


def attrition_svg(arms: tuple[str, str], steps: list[Step], labels: dict[str, str]) -> str:
    """Draw the flow of both arms side by side; between the boxes stands why persons left."""
    placed, top = [], 58.0
    for index, step in enumerate(steps):
        lines = wrapped(step.label, 12.5, 236)
        room = 0.0 if index == 0 else max(40.0, 17.0 * len(lines) + 16)
        placed.append({"step": step, "lines": lines, "top": top + room, "room": room})
        top += room + 34
    template = environment().get_template("attrition.svg.jinja")
    return template.render(
        arms=[wrapped(arm, 14, 200) for arm in arms],
        steps=placed,
        labels=labels,
        height=top + 14,
        font=STATIC_FONT,
    )


@dataclass(frozen=True, slots=True)
class FlowStep:
    """One step of a flow of one group: its label, who was left out, and who remains."""

    label: str
    excluded: str
    remaining: str


def flow_svg(title: str, steps: list[FlowStep]) -> str:
    """Draw the flow of one group from top to bottom."""
    placed, top = [], 42.0
    for index, step in enumerate(steps):
        lines = wrapped(step.label, 12.5, 420)
        room = 0.0 if index == 0 else max(40.0, 17.0 * len(lines) + 16)
        placed.append({"step": step, "lines": lines, "top": top + room, "room": room})
        top += room + 34
    template = environment().get_template("flow.svg.jinja")
    return template.render(title=title, steps=placed, height=top + 14, font=STATIC_FONT)
