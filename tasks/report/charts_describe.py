"""Charts of descriptions as Vega-Lite dicts: a series by calendar time, bars by days."""

from collections.abc import Sequence
from typing import Any

from tasks.report.charts import COMPARATOR, INK, TARGET, WIDTH, Point

Spec = dict[str, Any]
_PALETTE = [TARGET, COMPARATOR, "#009E73", "#CC79A7", "#E69F00", "#56B4E9", INK]
_MANY = 16


def series_chart(
    points: Sequence[Point], y_title: str, levels: Sequence[str], number_format: str
) -> Spec:
    """Return a series with its intervals, one line a level; a gap stays a gap.

    Args:
        points: interval, level, estimate, low, high, value_text, in the order of the intervals;
            withheld ones have no estimate.
        y_title: Title of the vertical axis.
        levels: Names of the lines, in order.
        number_format: How the vertical axis writes its numbers.
    """
    ordered = list(dict.fromkeys(str(p["interval"]) for p in points))
    shown = ordered[:: max(1, len(ordered) // _MANY)]
    axis = {"title": None, "labelAngle": -45 if len(ordered) > 8 else 0, "values": shown}
    scale = {"domain": ordered, "paddingOuter": 0.4}
    x = {"field": "interval", "type": "ordinal", "scale": scale, "axis": axis}
    scale_y = {"domain": [0, _top(points)], "nice": False, "clamp": True}
    y = {"field": "estimate", "type": "quantitative", "scale": scale_y}
    y["axis"] = {"title": y_title, "format": number_format, "tickCount": 6}
    look = {"domain": list(levels), "range": _PALETTE[: len(levels)]}
    legend = {"orient": "top", "title": None} if len(levels) > 1 else None
    colour = {"field": "level", "type": "nominal", "scale": look, "legend": legend}
    tooltip = [
        {"field": "level", "type": "nominal", "title": " "},
        {"field": "interval", "type": "nominal", "title": " "},
        {"field": "value_text", "type": "nominal", "title": y_title},
    ]
    line = {"type": "line", "strokeWidth": 2, "invalid": "break-paths-show-domains"}
    return {
        "width": WIDTH - 40,
        "height": 220,
        "data": {"values": [dict(point) for point in points]},
        "encoding": {"x": x, "color": colour},
        "layer": [
            {"mark": {"type": "rule", "opacity": 0.45}, "encoding": _interval(y)},
            {"mark": line, "encoding": {"y": y}},
            {"mark": _dots(), "encoding": {"y": y, "tooltip": tooltip}},
        ],
    }


def bar_chart(points: Sequence[Point], x_title: str, y_title: str) -> Spec:
    """Return shares as bars, in the order given: label, estimate, value_text."""
    order = [str(point["label"]) for point in points]
    x_axis = {"title": x_title, "labelAngle": -30 if len(order) > 7 else 0}
    y = {"field": "estimate", "type": "quantitative", "axis": {"title": y_title, "format": ".1%"}}
    return {
        "width": WIDTH - 40,
        "height": 180,
        "data": {"values": [dict(point) for point in points]},
        "mark": {"type": "bar", "color": TARGET, "opacity": 0.85},
        "encoding": {
            "x": {"field": "label", "type": "ordinal", "sort": order, "axis": x_axis},
            "y": y,
            "tooltip": [
                {"field": "label", "type": "nominal", "title": x_title},
                {"field": "value_text", "type": "nominal", "title": y_title},
            ],
        },
    }


def _top(points: Sequence[Point]) -> float:
    """End of the axis: holds every estimate; intervals of little time are cut, not followed."""
    estimates = [float(p["estimate"]) for p in points if p["estimate"] is not None]
    highs = [float(p["high"]) for p in points if p["high"] is not None]
    highest = max(estimates, default=0.0)
    if not highest:
        return min(highs, default=1.0) or 1.0
    return min(max(highs, default=highest), 1.6 * highest)


def _interval(y: Spec) -> Spec:
    return {"y": {**y, "field": "low"}, "y2": {"field": "high"}}


def _dots() -> Spec:
    return {"type": "point", "filled": True, "size": 46, "opacity": 1}
