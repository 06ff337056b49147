"""The picture of ROC curves: a line a modality with its band, chance, and operating points."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tasks.report.charts import COLOURS, DASHES, INK, SOFT, Point, Spec

_SIZE = 380
_LEGEND: Spec = {
    "orient": "bottom",
    "title": None,
    "symbolType": "stroke",
    "symbolSize": 700,
    "columns": 1,
    "labelLimit": 0,
}
MOST = len(COLOURS)
"""How many curves one picture can tell apart."""


@dataclass(frozen=True, slots=True)
class RocText:
    """The words of the chart.

    Args:
        x_title: The horizontal axis.
        y_title: The vertical axis.
        chance: Beside the diagonal.
        lines: Names of the curves, in the order of their colours.
        value: The word before a value in a tooltip.
    """

    x_title: str
    y_title: str
    chance: str
    lines: tuple[str, ...]
    value: str


def roc_chart(curve: Sequence[Point], marks: Sequence[Point], text: RocText) -> Spec:
    """Return the curves of up to six modalities.

    Args:
        curve: Corners: line, across, up, low, high (limits of `up`, or nothing), value_text.
        marks: Operating points: line, across, up, value_text.
        text: Words of the chart.
    """
    return {
        "width": _SIZE,
        "height": _SIZE,
        "encoding": {"color": _colour(text)},
        "layer": [
            *_chance(text),
            *([_band(curve, text)] if any(p["low"] is not None for p in curve) else []),
            _lines(curve, text),
            _unseen(curve, text),
            *([_marks(marks, text)] if marks else []),
        ],
    }


def _x(text: RocText) -> Spec:
    axis: Spec = {"title": text.x_title, "format": ".0%", "tickCount": 5}
    return {"field": "across", "type": "quantitative", "scale": {"domain": [0, 1]}, "axis": axis}


def _y(text: RocText, field: str = "up") -> Spec:
    axis: Spec = {"title": text.y_title, "format": ".0%", "tickCount": 5}
    return {"field": field, "type": "quantitative", "scale": {"domain": [0, 1]}, "axis": axis}


def _colour(text: RocText) -> Spec:
    scale = {"domain": list(text.lines), "range": list(COLOURS[: len(text.lines)])}
    return {"field": "line", "type": "nominal", "scale": scale, "legend": dict(_LEGEND)}


def _dash(text: RocText) -> Spec:
    dashes = [list(dash) for dash in DASHES[: len(text.lines)]]
    scale: dict[str, Any] = {"domain": list(text.lines), "range": dashes}
    return {"field": "line", "type": "nominal", "scale": scale, "legend": dict(_LEGEND)}


def _chance(text: RocText) -> list[Spec]:
    diagonal = [{"across": 0.0, "up": 0.0}, {"across": 1.0, "up": 1.0}]
    line: Spec = {"type": "line", "color": SOFT, "strokeDash": [3, 3], "strokeWidth": 1}
    words: Spec = {"type": "text", "color": SOFT, "fontSize": 11, "align": "left", "dx": 8, "dy": 4}
    beside = [{"across": 0.7, "up": 0.66, "words": text.chance}]
    where: Spec = {"x": _x(text), "y": _y(text), "color": {"value": SOFT}}
    return [
        {"data": {"values": diagonal}, "mark": line, "encoding": where},
        {
            "data": {"values": beside},
            "mark": words,
            "encoding": {**where, "text": {"field": "words"}},
        },
    ]


def _band(curve: Sequence[Point], text: RocText) -> Spec:
    """The band of each curve: of corners above one another the highest."""
    last = {(point["line"], point["across"]): dict(point) for point in curve}
    return {
        "data": {"values": [p for p in last.values() if p["low"] is not None]},
        "mark": {"type": "area", "opacity": 0.13},
        "encoding": {"x": _x(text), "y": _y(text, "low"), "y2": {"field": "high"}},
    }


def _lines(curve: Sequence[Point], text: RocText) -> Spec:
    return {
        "data": {"values": [{**point, "place": n} for n, point in enumerate(curve)]},
        "mark": {"type": "line", "strokeWidth": 2, "strokeJoin": "round"},
        "encoding": {
            "x": _x(text),
            "y": _y(text),
            "strokeDash": _dash(text),
            "order": {"field": "place", "type": "quantitative"},
        },
    }


def _unseen(curve: Sequence[Point], text: RocText) -> Spec:
    """Corners that a reader can point at."""
    return {
        "data": {"values": [dict(point) for point in curve]},
        "mark": {"type": "point", "opacity": 0, "size": 90, "filled": True},
        "encoding": {"x": _x(text), "y": _y(text), "tooltip": _tooltip(text)},
    }


def _marks(marks: Sequence[Point], text: RocText) -> Spec:
    return {
        "data": {"values": [dict(point) for point in marks]},
        "mark": {"type": "point", "filled": True, "size": 110, "opacity": 1, "stroke": INK},
        "encoding": {"x": _x(text), "y": _y(text), "tooltip": _tooltip(text)},
    }


def _tooltip(text: RocText) -> list[Spec]:
    return [
        {"field": "line", "type": "nominal", "title": " "},
        {"field": "value_text", "type": "nominal", "title": text.value},
    ]
