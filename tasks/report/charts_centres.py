"""Pictures of accuracy across centres: both shares side by side, and the summary ROC plane."""

from collections.abc import Sequence
from dataclasses import dataclass

from tasks.report.charts import GRID, INK, RULE, SOFT, TARGET, Point, Spec

_PANEL, _ROW, _NAMES_AT = 155, 23, -124
_PLANE = 360
_SMALLEST, _LARGEST = 40.0, 620.0
_IS_SITE = "datum.kind === 'site'"


@dataclass(frozen=True, slots=True)
class CentreText:
    """The words of both pictures."""

    sensitivity: str
    specificity: str
    fpr: str
    pooled: str


def paired_forest(points: Sequence[Point], text: CentreText) -> Spec:
    """Return sensitivity and specificity side by side, a row a centre, what is pooled beneath.

    Args:
        points: label, kind (`site`, `pooled` or `prediction`, which has no estimate), and with
            `sensitivity_` and `specificity_` before them estimate, low, high, text; in drawing
            order.
        text: Words of the chart.
    """
    placed = [{**point, "pos": place} for place, point in enumerate(points)]
    left = _panel("sensitivity", text.sensitivity, _column("label", _NAMES_AT, 118))
    right = _panel("specificity", text.specificity, [])
    return {"data": {"values": placed}, "hconcat": [left, right], "spacing": 18}


def _panel(name: str, title: str, more: list[Spec]) -> Spec:
    axis = {"title": title, "format": "~%", "values": [0, 0.25, 0.5, 0.75, 1]}
    x = {"type": "quantitative", "scale": {"domain": [0, 1], "nice": False}, "axis": axis}
    line = {
        "x": {**x, "field": f"{name}_low"},
        "x2": {"field": f"{name}_high"},
        "color": {"condition": {"test": _IS_SITE, "value": INK}, "value": TARGET},
        "strokeDash": {
            "condition": {"test": "datum.kind === 'prediction'", "value": [5, 3]},
            "value": [1, 0],
        },
    }
    return {
        "width": _PANEL,
        "height": {"step": _ROW},
        "encoding": {"y": {"field": "pos", "type": "ordinal", "axis": None}},
        "layer": [
            _pooled_line(name, x),
            {"mark": {"type": "rule", "strokeWidth": 1.8}, "encoding": line},
            _symbols(name, title, x),
            *more,
            *_column(f"{name}_text", _PANEL + 8, 160),
        ],
    }


def _pooled_line(name: str, x: Spec) -> Spec:
    """A dashed line through all centres where the pooled value lies."""
    return {
        "transform": [{"filter": f"datum.kind === 'pooled' && isValid(datum.{name}_estimate)"}],
        "mark": {"type": "rule", "color": RULE, "strokeDash": [3, 3]},
        "encoding": {"x": {**x, "field": f"{name}_estimate"}, "y": None},
    }


def _symbols(name: str, title: str, x: Spec) -> Spec:
    return {
        "transform": [{"filter": f"isValid(datum.{name}_estimate)"}],
        "mark": {"type": "point", "filled": True, "opacity": 1},
        "encoding": {
            "x": {**x, "field": f"{name}_estimate"},
            "size": {"condition": {"test": _IS_SITE, "value": 60}, "value": 190},
            "shape": {"condition": {"test": _IS_SITE, "value": "square"}, "value": "diamond"},
            "color": {"condition": {"test": _IS_SITE, "value": INK}, "value": TARGET},
            "tooltip": [
                {"field": "label", "type": "nominal", "title": " "},
                {"field": f"{name}_text", "type": "nominal", "title": title},
            ],
        },
    }


def _column(field: str, at: float, widest: float) -> list[Spec]:
    """Two layers of labels: centres regular, what is pooled in bold."""
    layers: list[Spec] = []
    for test, look in (("===", {}), ("!==", {"fontWeight": "bold"})):
        mark: Spec = {"type": "text", "align": "left", "fontSize": 11, "color": INK}
        encoding: Spec = {"x": {"value": at}, "text": {"field": field, "type": "nominal"}}
        kept = [{"filter": f"datum.kind {test} 'site'"}]
        layers.append(
            {"transform": kept, "mark": {**mark, "limit": widest, **look}, "encoding": encoding}
        )
    return layers


def sroc_chart(
    centres: Sequence[Point],
    summary: Point,
    curve: Sequence[Point],
    regions: Sequence[Point],
    text: CentreText,
) -> Spec:
    """Return the ROC plane: centres as circles, the summary point, its regions and the curve.

    Args:
        centres: label, fpr, sensitivity, n (the area of its circle) and value_text.
        summary: fpr, sensitivity and value_text.
        curve: fpr and sensitivity of the summary curve.
        regions: fpr, sensitivity, place (their order) and kind (`confidence`, `prediction`).
        text: Words of the chart.
    """
    largest = max((point["n"] for point in centres), default=1) or 1
    sized = [{**point, "size": _size(point["n"] / largest)} for point in centres]
    x, y = _axis("fpr", text.fpr), _axis("sensitivity", text.sensitivity)
    return {
        "width": _PLANE,
        "height": _PLANE,
        "encoding": {"x": x, "y": y},
        "layer": [
            _chance(),
            _outline([p for p in regions if p["kind"] == "prediction"], SOFT, [5, 4]),
            _outline([p for p in regions if p["kind"] == "confidence"], TARGET, [1, 0]),
            _through(curve),
            _circles(sized),
            _summary(summary, text),
        ],
    }


def _size(share: float) -> float:
    return _SMALLEST + (_LARGEST - _SMALLEST) * share


def _axis(field: str, title: str) -> Spec:
    ticks = [0, 0.2, 0.4, 0.6, 0.8, 1]
    axis = {"title": title, "format": "~%", "values": ticks, "gridColor": GRID}
    scale = {"domain": [0, 1], "nice": False}
    return {"field": field, "type": "quantitative", "scale": scale, "axis": axis}


def _chance() -> Spec:
    ends = [{"fpr": 0, "sensitivity": 0}, {"fpr": 1, "sensitivity": 1}]
    mark = {"type": "line", "color": GRID, "strokeWidth": 1.2}
    return {"data": {"values": ends}, "mark": mark}


def _outline(points: Sequence[Point], color: str, dash: list[int]) -> Spec:
    mark = {"type": "line", "color": color, "strokeWidth": 1.5, "strokeDash": dash}
    order = {"field": "place", "type": "quantitative"}
    values = [dict(point) for point in points]
    return {"data": {"values": values}, "mark": mark, "encoding": {"order": order}}


def _through(curve: Sequence[Point]) -> Spec:
    mark = {"type": "line", "color": INK, "strokeWidth": 1.6}
    return {"data": {"values": [dict(point) for point in curve]}, "mark": mark}


def _circles(centres: Sequence[Point]) -> Spec:
    return {
        "data": {"values": list(centres)},
        "mark": {"type": "point", "filled": False, "stroke": INK, "opacity": 0.85},
        "encoding": {
            "size": {"field": "size", "type": "quantitative", "scale": None, "legend": None},
            "tooltip": [
                {"field": "label", "type": "nominal", "title": " "},
                {"field": "value_text", "type": "nominal", "title": " "},
            ],
        },
    }


def _summary(summary: Point, text: CentreText) -> Spec:
    mark = {"type": "point", "filled": True, "shape": "diamond", "size": 150, "color": TARGET}
    tooltip = [{"field": "value_text", "type": "nominal", "title": text.pooled}]
    encoding = {"tooltip": tooltip}
    return {
        "data": {"values": [dict(summary)]},
        "mark": {**mark, "opacity": 1},
        "encoding": encoding,
    }
