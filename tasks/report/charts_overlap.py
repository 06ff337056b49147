"""The chart of a propensity score by arm: median, inner half and inner nine tenths."""

from collections.abc import Sequence

from tasks.report.charts import COLOURS, WIDTH, Point, Spec


def overlap_chart(points: Sequence[Point], arms: Sequence[str], x_title: str) -> Spec:
    """Return a bar an arm over the range of the score.

    Args:
        points: arm, p5, p25, p50, p75, p95, value_text.
        arms: Names of the arms, in order.
        x_title: Title of the horizontal axis.
    """
    scale = {"domain": [0, 1], "nice": False}
    x = {"field": "p5", "type": "quantitative", "scale": scale, "axis": {"title": x_title}}
    look = {"domain": list(arms), "range": list(COLOURS[: len(arms)])}
    colour = {"field": "arm", "type": "nominal", "scale": look, "legend": None}
    tooltip = [
        {"field": "arm", "type": "nominal", "title": " "},
        {"field": "value_text", "type": "nominal", "title": x_title},
    ]
    half = {"type": "bar", "height": 18, "opacity": 0.35}
    median = {"type": "tick", "thickness": 3, "size": 26}
    return {
        "width": WIDTH - 120,
        "height": {"step": 40},
        "data": {"values": [dict(point) for point in points]},
        "encoding": {
            "y": {"field": "arm", "type": "nominal", "sort": list(arms), "axis": {"title": None}},
            "color": colour,
            "tooltip": tooltip,
        },
        "layer": [
            {"mark": {"type": "rule", "strokeWidth": 2}, "encoding": _span(x, "p5", "p95")},
            {"mark": half, "encoding": _span(x, "p25", "p75")},
            {"mark": median, "encoding": {"x": {**x, "field": "p50"}}},
        ],
    }


def _span(x: Spec, low: str, high: str) -> Spec:
    return {"x": {**x, "field": low}, "x2": {"field": high}}
