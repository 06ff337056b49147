"""The chart of negative controls: each estimate against its error, and where chance would end."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp

from tasks.report.charts import COMPARATOR, INK, SOFT, TARGET, WIDTH, Point, Spec, ratio_domain

_STEPS = 40


@dataclass(frozen=True, slots=True)
class FunnelText:
    """The words of a funnel: its axes, and the two kinds of points."""

    x_title: str
    y_title: str
    control: str
    effect: str
    estimate: str


def funnel_chart(
    points: Sequence[Point], text: FunnelText, error: tuple[float, float], z: float
) -> Spec:
    """Return ratios against their standard errors, with the limits of p before and after.

    Args:
        points: label, kind (one of the two words), estimate, error, value_text.
        text: Words of the chart.
        error: Mean and standard deviation of the systematic error, of the logarithm.
        z: Quantile at which p is that of the level.
    """
    edges, ticks = ratio_domain([{**p, "low": None, "high": None} for p in points])
    top = 1.1 * max(float(point["error"]) for point in points)
    x_axis = {"title": text.x_title, "values": ticks, "format": "~g", "grid": False}
    scale = {"type": "log", "domain": list(edges), "nice": False}
    x = {"field": "estimate", "type": "quantitative", "scale": scale, "axis": x_axis}
    y = {
        "field": "error",
        "type": "quantitative",
        "scale": {"domain": [0, top], "nice": False},
        "axis": {"title": text.y_title, "tickCount": 5},
    }
    return {
        "width": WIDTH - 60,
        "height": 280,
        "encoding": {"x": x, "y": y},
        "layer": [
            *(_limit(top, (0.0, 0.0), sign * z, SOFT, [5, 4]) for sign in (-1, 1)),
            *(_limit(top, error, sign * z, COMPARATOR, [1, 0]) for sign in (-1, 1)),
            _points(points, text),
        ],
    }


def _limit(top: float, error: tuple[float, float], z: float, colour: str, dash: list[int]) -> Spec:
    """Return the ratio at which p reaches the level, at each standard error."""
    mean, sd = error
    errors = [top * step / _STEPS for step in range(_STEPS + 1)]
    values = [{"estimate": exp(mean + z * (sd**2 + e**2) ** 0.5), "error": e} for e in errors]
    mark = {"type": "line", "color": colour, "strokeDash": dash, "strokeWidth": 1.4, "clip": True}
    return {"data": {"values": values}, "mark": mark, "encoding": {"order": {"field": "error"}}}


def _points(points: Sequence[Point], text: FunnelText) -> Spec:
    kinds, colours = [text.control, text.effect], [TARGET, INK]
    legend = {"orient": "top", "title": None}

    def look(values: list[str]) -> Spec:
        scale = {"domain": kinds, "range": values}
        return {"field": "kind", "type": "nominal", "scale": scale, "legend": legend}

    return {
        "data": {"values": [dict(point) for point in points]},
        "mark": {"type": "point", "filled": True, "size": 70, "opacity": 0.85},
        "encoding": {
            "color": look(colours),
            "shape": look(["circle", "diamond"]),
            "tooltip": [
                {"field": "label", "type": "nominal", "title": " "},
                {"field": "value_text", "type": "nominal", "title": text.estimate},
            ],
        },
    }
