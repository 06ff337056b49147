"""The chart of fitted laws of survival over the Kaplan-Meier steps, dashed where extrapolated."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tasks.report.charts import INK, WIDTH, Point, Spec

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#8C6D00", "#56B4E9", "#E69F00")

_BEYOND = [5, 4]
_HEIGHT = 300


@dataclass(frozen=True, slots=True)
class LawText:
    """The words of the chart.

    Args:
        lines: Names of the lines in the order of their colours: laws, or groups.
        observed: Name of the Kaplan-Meier curve where it is a line of its own; else empty.
        sides: What a line is within the follow-up, and beyond it.
    """

    x_title: str
    y_title: str
    day: str
    estimate: str
    interval: str
    lines: tuple[str, ...]
    observed: str
    sides: tuple[str, str]


def law_chart(observed: Sequence[Point], fitted: Sequence[Point], text: LawText) -> Spec:
    """Return the steps and the fitted lines of one picture.

    Args:
        observed: Points of the steps: line, day, estimate, value_text, interval_text.
        fitted: Points of the fitted lines, and `side`, one of the two words for it.
        text: Words of the chart.
    """
    last = max((point["day"] for point in [*observed, *fitted]), default=1) or 1
    return {
        "width": WIDTH,
        "height": _HEIGHT,
        "encoding": {"x": _x(text, last), "y": _y(text), "color": _colour(text)},
        "layer": [_steps(observed), _lines(fitted, text), _unseen([*observed, *fitted], text)],
    }


def _x(text: LawText, last: float) -> Spec:
    scale = {"domain": [0, last], "nice": False}
    axis = {"title": text.x_title, "grid": False, "tickMinStep": 1, "tickCount": 8}
    return {"field": "day", "type": "quantitative", "scale": scale, "axis": axis}


def _y(text: LawText) -> Spec:
    scale = {"domain": [0, 1], "nice": False, "clamp": True}
    axis = {"title": text.y_title, "format": ".0%", "tickCount": 6}
    return {"field": "estimate", "type": "quantitative", "scale": scale, "axis": axis}


def _colour(text: LawText) -> Spec:
    names = [*text.lines, *([text.observed] if text.observed else [])]
    colours = [*COLOURS[: len(text.lines)], *([INK] if text.observed else [])]
    legend = {"orient": "top", "title": None, "symbolType": "stroke", "columns": 4}
    scale = {"domain": names, "range": colours}
    return {"field": "line", "type": "nominal", "scale": scale, "legend": legend}


def _steps(observed: Sequence[Point]) -> Spec:
    return {
        "data": _inline(observed),
        "mark": {"type": "line", "interpolate": "step-after", "strokeWidth": 1.3, "opacity": 0.85},
    }


def _lines(fitted: Sequence[Point], text: LawText) -> Spec:
    scale = {"domain": list(text.sides), "range": [[1, 0], _BEYOND]}
    legend = {"orient": "top", "title": None, "symbolType": "stroke"}
    dash = {"field": "side", "type": "nominal", "scale": scale, "legend": legend}
    return {
        "data": _inline(fitted),
        "mark": {"type": "line", "strokeWidth": 2.2},
        "encoding": {"strokeDash": dash},
    }


def _unseen(points: Sequence[Point], text: LawText) -> Spec:
    """Points that a reader can point at."""
    return {
        "data": _inline(points),
        "mark": {"type": "point", "opacity": 0, "size": 120, "filled": True},
        "encoding": {
            "tooltip": [
                {"field": "line", "type": "nominal", "title": " "},
                {"field": "day", "type": "quantitative", "title": text.day},
                {"field": "value_text", "type": "nominal", "title": text.estimate},
                {"field": "interval_text", "type": "nominal", "title": text.interval},
            ]
        },
    }


def _inline(points: Sequence[Point]) -> dict[str, Any]:
    return {"values": [dict(point) for point in points]}
