"""The chart of an interrupted series: the fitted line, and that without the interruption."""

from collections.abc import Sequence
from dataclasses import dataclass

from tasks.report.charts import COLOURS, DASHES, SOFT, WIDTH, Point, Spec


@dataclass(frozen=True, slots=True)
class SeriesText:
    """The words of a chart of series."""

    x_title: str
    y_title: str
    lines: tuple[str, ...]
    period: str
    value: str


def series_chart(points: Sequence[Point], text: SeriesText, observed: Sequence[Point] = ()) -> Spec:
    """Return lines over periods, and dots of what was observed.

    Args:
        points: Points with line, period, estimate and value_text.
        text: Words of the chart; `lines` in the order of colours and dashes.
        observed: Points of the same form that are no line.
    """
    x = {"title": text.x_title, "grid": False, "tickMinStep": 1}
    estimate = {
        "field": "estimate",
        "type": "quantitative",
        "scale": {"zero": False},
        "axis": {"title": text.y_title, "tickCount": 6},
    }
    return {
        "width": WIDTH,
        "height": 260,
        "data": {"values": [dict(point) for point in points]},
        "encoding": {
            "x": {"field": "period", "type": "quantitative", "axis": x},
            "y": estimate,
            "color": _look(text, list(COLOURS)),
        },
        "layer": [
            *([_dots(observed, text)] if observed else []),
            {
                "mark": {"type": "line", "strokeWidth": 2.2},
                "encoding": {"strokeDash": _look(text, [list(dash) for dash in DASHES])},
            },
            {
                "mark": {"type": "point", "opacity": 0, "size": 160, "filled": True},
                "encoding": {"tooltip": _tooltip(text)},
            },
        ],
    }


def _dots(observed: Sequence[Point], text: SeriesText) -> Spec:
    return {
        "data": {"values": [dict(point) for point in observed]},
        "mark": {"type": "point", "filled": True, "size": 34, "opacity": 0.8},
        "encoding": {"color": {"value": SOFT}, "tooltip": _tooltip(text)},
    }


def _look(text: SeriesText, values: list[object]) -> Spec:
    scale = {"domain": list(text.lines), "range": values[: len(text.lines)]}
    legend = {"orient": "top", "title": None, "symbolType": "stroke", "symbolStrokeWidth": 3}
    return {"field": "line", "type": "nominal", "scale": scale, "legend": legend}


def _tooltip(text: SeriesText) -> list[Spec]:
    return [
        {"field": "line", "type": "nominal", "title": " "},
        {"field": "period", "type": "quantitative", "title": text.period},
        {"field": "value_text", "type": "nominal", "title": text.value},
    ]
