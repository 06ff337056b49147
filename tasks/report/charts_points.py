"""Charts of estimates along an axis, each with its interval: effects over time, event studies."""

from collections.abc import Sequence
from dataclasses import dataclass

from tasks.report.charts import INK, SOFT, TARGET, WIDTH, Point, Spec

_HEIGHT = 120


@dataclass(frozen=True, slots=True)
class PointsText:
    """The words of a chart of estimates along an axis."""

    x_title: str
    y_title: str
    x: str
    estimate: str
    interval: str
    panels: tuple[str, ...]


def points_chart(points: Sequence[Point], text: PointsText, lines: Sequence[Point] = ()) -> Spec:
    """Return one panel below the other, each with points, intervals and a dashed line at 0.

    Args:
        points: panel, at, estimate, low, high, value_text, interval_text.
        text: Words of the chart; a single panel has no title.
        lines: panel and estimate of a level that a panel is compared with.
    """
    several = len(text.panels) > 1
    panels = [_panel(points, lines, text, panel, several) for panel in text.panels]
    return {"vconcat": panels, "spacing": 16} if several else panels[0]


def _panel(
    points: Sequence[Point], lines: Sequence[Point], text: PointsText, panel: str, several: bool
) -> Spec:
    mine = [dict(point) for point in points if point["panel"] == panel]
    axis = {"title": text.x_title, "grid": False, "tickMinStep": 1}
    if several and panel != text.panels[-1]:
        axis["title"] = None
    last = max(float(point["at"]) for point in points)
    first = min(0.0, *(float(point["at"]) for point in points))
    pad = 0.04 * (last - first)
    scale = {"domain": [first - (pad if first < 0 else 0), last + pad], "nice": False}
    x = {"field": "at", "type": "quantitative", "scale": scale, "axis": axis}
    return {
        "width": WIDTH - 20,
        "height": _HEIGHT if several else 2 * _HEIGHT,
        "title": {"text": panel, "frame": "group", "offset": 4} if several else "",
        "data": {"values": mine},
        "encoding": {"x": x, "y": _y(text, "estimate")},
        "layer": [
            _level([{"level": 0}], INK, [4, 3]),
            _level(
                [{"level": p["estimate"]} for p in lines if p["panel"] == panel], TARGET, [1, 0]
            ),
            *_marks(text),
        ],
    }


def _y(text: PointsText, field: str) -> Spec:
    axis = {"title": text.y_title, "tickCount": 5}
    return {"field": field, "type": "quantitative", "scale": {"zero": True}, "axis": axis}


def _level(values: list[Spec], colour: str, dash: list[int]) -> Spec:
    return {
        "data": {"values": values},
        "mark": {"type": "rule", "color": colour, "strokeDash": dash, "opacity": 0.7},
        "encoding": {"y": {"field": "level", "type": "quantitative"}, "x": None},
    }


def _marks(text: PointsText) -> list[Spec]:
    """Intervals, and the points that a reader can point at."""
    tooltip = [
        {"field": "panel", "type": "nominal", "title": " "},
        {"field": "at", "type": "quantitative", "title": text.x, "format": "~r"},
        {"field": "value_text", "type": "nominal", "title": text.estimate},
        {"field": "interval_text", "type": "nominal", "title": text.interval},
    ]
    rule = {
        "transform": [{"filter": "isValid(datum.low) && isValid(datum.high)"}],
        "mark": {"type": "rule", "color": SOFT, "strokeWidth": 1.6},
        "encoding": {"y": _y(text, "low"), "y2": {"field": "high"}},
    }
    point = {"mark": {"type": "point", "filled": True, "size": 60, "color": TARGET, "opacity": 1}}
    return [rule, {**point, "encoding": {"tooltip": tooltip}}]
