"""Diagrams drawn from the study itself: the design around time zero, and who was left out."""

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
            lines.append(word)
    return tuple(lines) or ("",)


@dataclass(frozen=True, slots=True)
class Window:
    """A bar of the design diagram, from left to right edge in [-1, 1] around time zero."""

    name: str
    detail: str
    start: float
    end: float
    look: str
    open_start: bool = False
    open_end: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the flow chart: its label and, for each arm, who was left out and who remains."""

    label: str
    excluded: tuple[str, str]
    remaining: tuple[str, str]


def design_svg(windows: list[Window], labels: dict[str, str]) -> str:
    """Draw the windows of the study around time zero; not to scale."""
    middle, half, name_width = 430.0, 250.0, 160.0
    bars = []
    for index, window in enumerate(windows):
        left, right = middle + half * window.start, middle + half * window.end
        detail = wrapped(window.detail, 11.5, max(150.0, right - left - 12))
        bars.append(
            {
                "look": window.look,
                "left": left,
                "right": right,
                "top": 92 + 40 * index,
                "name": wrapped(window.name, 12.5, name_width - 8),
                "detail": detail,
                "points": _arrow(left, right, 92 + 40 * index, window),
            }
        )
    template = environment().get_template("design.svg.jinja")
    height = 92 + 40 * len(windows) + 40
    return template.render(
        bars=bars, labels=labels, middle=middle, half=half, height=height, font=STATIC_FONT
    )


def _arrow(left: float, right: float, top: float, window: Window) -> str:
    """Return the outline of a bar; an open end is drawn as an arrow head."""
    height, head = 32.0, 12.0
    a = left + head if window.open_start else left
    b = right - head if window.open_end else right
    corners = [(a, top), (b, top), (right, top + height / 2), (b, top + height), (a, top + height)]
    corners.append((left, top + height / 2))
    return " ".join(f"{x:g},{y:g}" for x, y in corners)


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
