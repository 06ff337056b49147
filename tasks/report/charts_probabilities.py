"""The calibration plot with the scores beneath it, and the decision curve."""

from collections.abc import Sequence
from dataclasses import dataclass

from tasks.report.charts import COLOURS, DASHES, GRID, INK, RULE, SOFT, TARGET, WIDTH, Point, Spec

_SIDE, _SCORES_HIGH, _CURVE_HIGH = 420, 70, 320
_BAND = 0.16
_BELOW = -0.05
"""How far below 0 a decision curve is shown: further down nothing is worth telling apart."""


@dataclass(frozen=True, slots=True)
class CalibrationText:
    """Words of a calibration plot."""

    predicted: str
    observed: str
    count: str
    ideal: str
    curve: str
    groups: str


def calibration_chart(
    curve: Sequence[Point], groups: Sequence[Point], bins: Sequence[Point], text: CalibrationText
) -> Spec:
    """Return the smooth curve with its band, groups with intervals, the ideal, and the scores.

    Args:
        curve: at, estimate, low, high, value_text; none where it is withheld.
        groups: The same of each group.
        bins: low, high, count, value_text of each bin of scores.
        text: Words of the chart.
    """
    x = {"domain": [0, 1], "nice": False}
    axis = {"title": None if bins else text.predicted, "format": ".1f", "grid": True}
    at = {"field": "at", "type": "quantitative", "scale": x, "axis": axis}
    main = {
        "width": _SIDE,
        "height": _SIDE - 90,
        "layer": [
            _ideal(text),
            _band(curve, at),
            _line(curve, at, text),
            _group_rules(groups, at),
            _group_points(groups, at, text),
        ],
    }
    if not bins:
        return main
    return {"vconcat": [main, _scores(bins, text, x)], "spacing": 8}


def _share(title: str, field: str = "estimate") -> Spec:
    scale = {"domain": [0, 1], "nice": False, "clamp": True}
    axis = {"title": title, "format": ".1f"}
    return {"field": field, "type": "quantitative", "scale": scale, "axis": axis}


def _named(name: str, text: CalibrationText) -> Spec:
    """Colour by what a mark is, with one legend for all three."""
    scale = {"domain": [text.ideal, text.curve, text.groups], "range": [RULE, TARGET, INK]}
    legend = {"orient": "top", "title": None, "symbolType": "stroke", "symbolStrokeWidth": 3}
    return {"datum": name, "type": "nominal", "scale": scale, "legend": legend}


def _ideal(text: CalibrationText) -> Spec:
    return {
        "data": {"values": [{"at": 0, "estimate": 0}, {"at": 1, "estimate": 1}]},
        "mark": {"type": "line", "strokeDash": [5, 4], "strokeWidth": 1.6},
        "encoding": {
            "x": {"field": "at", "type": "quantitative"},
            "y": _share(text.observed),
            "color": _named(text.ideal, text),
        },
    }


def _band(curve: Sequence[Point], at: Spec) -> Spec:
    return {
        "data": {"values": list(curve)},
        "mark": {"type": "area", "opacity": _BAND, "color": TARGET},
        "encoding": {
            "x": at,
            "y": {"field": "low", "type": "quantitative", "scale": {"clamp": True}},
            "y2": {"field": "high"},
        },
    }


def _line(curve: Sequence[Point], at: Spec, text: CalibrationText) -> Spec:
    return {
        "data": {"values": list(curve)},
        "mark": {"type": "line", "strokeWidth": 2.4},
        "encoding": {
            "x": at,
            "y": {"field": "estimate", "type": "quantitative"},
            "color": _named(text.curve, text),
        },
    }


def _group_rules(groups: Sequence[Point], at: Spec) -> Spec:
    return {
        "data": {"values": list(groups)},
        "mark": {"type": "rule", "color": INK, "strokeWidth": 1.3},
        "encoding": {
            "x": at,
            "y": {"field": "low", "type": "quantitative"},
            "y2": {"field": "high"},
        },
    }


def _group_points(groups: Sequence[Point], at: Spec, text: CalibrationText) -> Spec:
    return {
        "data": {"values": list(groups)},
        "mark": {"type": "point", "filled": True, "size": 60, "opacity": 1},
        "encoding": {
            "x": at,
            "y": {"field": "estimate", "type": "quantitative"},
            "color": _named(text.groups, text),
            "tooltip": [{"field": "value_text", "type": "nominal", "title": text.observed}],
        },
    }


def _scores(bins: Sequence[Point], text: CalibrationText, x: Spec) -> Spec:
    axis = {"title": text.predicted, "format": ".1f", "grid": False}
    counts = {"title": text.count, "tickCount": 3, "tickMinStep": 1, "format": "d"}
    return {
        "width": _SIDE,
        "height": _SCORES_HIGH,
        "data": {"values": list(bins)},
        "mark": {"type": "bar", "color": SOFT, "stroke": "white", "strokeWidth": 1},
        "encoding": {
            "x": {"field": "low", "type": "quantitative", "scale": x, "axis": axis},
            "x2": {"field": "high"},
            "y": {"field": "count", "type": "quantitative", "axis": counts},
            "y2": {"datum": 0},
            "tooltip": [{"field": "value_text", "type": "nominal", "title": text.count}],
        },
    }


@dataclass(frozen=True, slots=True)
class DecisionText:
    """Words of a decision curve: titles, then the names of the lines in order."""

    threshold: str
    benefit: str
    lines: tuple[str, ...]
    interval: str


def decision_chart(points: Sequence[Point], text: DecisionText) -> Spec:
    """Return net benefit over thresholds: a line with a band each, and those of all and none.

    Args:
        points: line, at, estimate, low, high, value_text; `all` and `none` have no band.
        text: Words; `lines` are the modalities, then all, then none.
    """
    models = len(text.lines) - 2
    colours = [*COLOURS[:models], SOFT, INK]
    dashes = [[1, 0], *(list(dash) for dash in DASHES[1:models])][:models]
    scale = {"domain": list(text.lines), "range": colours}
    dash = {"domain": list(text.lines), "range": [*dashes, [6, 3], [1, 2]]}
    legend = {"orient": "top", "title": None, "symbolType": "stroke", "symbolStrokeWidth": 3}
    y = {"type": "quantitative", "scale": {"domain": _domain(points), "nice": False}}
    last = max(point["at"] for point in points if point["low"] is not None)
    x = {"domain": [min(point["at"] for point in points), last], "nice": False}
    axis = {"title": text.threshold, "format": ".0%", "grid": False, "tickCount": 6}
    return {
        "width": WIDTH - 60,
        "height": _CURVE_HIGH,
        "data": {"values": list(points)},
        "encoding": {
            "x": {"field": "at", "type": "quantitative", "scale": x, "axis": axis},
            "color": {"field": "line", "type": "nominal", "scale": scale, "legend": legend},
        },
        "layer": [
            {
                "transform": [{"filter": "isValid(datum.low)"}],
                "mark": {"type": "area", "opacity": _BAND, "clip": True},
                "encoding": {
                    "y": {**y, "field": "low", "axis": {"title": text.benefit, "gridColor": GRID}},
                    "y2": {"field": "high"},
                },
            },
            {
                "mark": {"type": "line", "strokeWidth": 2.2, "clip": True},
                "encoding": {
                    "y": {**y, "field": "estimate"},
                    "strokeDash": {
                        "field": "line", "type": "nominal", "scale": dash, "legend": legend,
                    },
                },
            },
            {
                "mark": {"type": "point", "opacity": 0, "size": 120, "filled": True, "clip": True},
                "encoding": {
                    "y": {**y, "field": "estimate"},
                    "tooltip": [
                        {"field": "line", "type": "nominal", "title": " "},
                        {"field": "at", "type": "quantitative", "title": text.threshold},
                        {"field": "value_text", "type": "nominal", "title": text.interval},
                    ],
                },
            },
        ],
    }  # fmt: skip


def _domain(points: Sequence[Point]) -> list[float]:
    """Return a vertical axis that holds every line above a little below 0."""
    top = max((p["high"] or p["estimate"] for p in points if p["low"] is not None), default=0.0)
    top = max(top, *(p["estimate"] for p in points), 0.01)
    return [round(min(_BELOW, -top / 5), 4), round(1.05 * top, 4)]
