"""The forest plot of sites with their pooled effect, and the funnel plot."""

from collections.abc import Sequence
from dataclasses import dataclass

from tasks.report.charts import FOREST_WIDTH, GRID, INK, SOFT, TARGET, Point, Spec

_NAMES_AT, _WEIGHTS_AT = -262, -62
_LINE_HEIGHT = 23
_SMALLEST, _LARGEST = 25.0, 230.0
_FUNNEL_WIDTH, _FUNNEL_HEIGHT = 520, 300
_Z = 1.959963984540054
_RATIOS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 0.8, 1.0, 1.25, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0)
_POWERS = (0.01, 0.1, 1.0, 10.0, 100.0)
_MOST_TICKS = 9


@dataclass(frozen=True, slots=True)
class PoolText:
    """The words of both charts.

    Args:
        x_title: What is pooled.
        estimate: The word before a value.
        weight: Head of the column of weights.
        std_error: Title of the vertical axis of the funnel.
    """

    x_title: str
    estimate: str
    weight: str
    std_error: str


def forest_of_sites(points: Sequence[Point], text: PoolText, scale: str) -> Spec:
    """Return a forest plot: a square a site, larger with its weight, a diamond for the pooled one.

    Args:
        points: label, estimate, low, high, value_text, weight, weight_text, kind (`site`,
            `pooled` or `prediction`, which has no estimate), in drawing order.
        text: Words of the chart.
        scale: `ratio` has a logarithmic axis; `difference` a line at 0; `share` neither.
    """
    heaviest = max((p["weight"] for p in points if p["weight"] is not None), default=1.0) or 1.0
    placed = [
        {**point, "pos": place, "size": _size(point, heaviest)}
        for place, point in enumerate(points)
    ]
    x = {"type": "quantitative", **_axis(points, text.x_title, scale)}
    return {
        "width": FOREST_WIDTH,
        "height": {"step": _LINE_HEIGHT},
        "data": {"values": placed},
        "encoding": {"y": {"field": "pos", "type": "ordinal", "axis": None}},
        "layer": [
            *_no_effect(scale),
            {"mark": {"type": "rule", "strokeWidth": 1.8}, "encoding": _interval(x)},
            _symbols(x, text),
            *_column("label", _NAMES_AT),
            *_column("weight_text", _WEIGHTS_AT),
            *_column("value_text", FOREST_WIDTH + 12),
            _head(text.weight, _WEIGHTS_AT),
        ],
    }


def _size(point: Point, heaviest: float) -> float:
    if point["kind"] != "site":
        return _LARGEST
    share = (point["weight"] or 0.0) / heaviest
    return _SMALLEST + (_LARGEST - _SMALLEST) * share


def _axis(points: Sequence[Point], title: str, scale: str) -> Spec:
    axis: Spec = {"title": title, "format": "~g", "tickCount": 6}
    if scale == "ratio":
        ticks = _ratio_ticks(points)
        log = {"type": "log", "domain": [ticks[0], ticks[-1]], "nice": False, "clamp": True}
        return {"scale": log, "axis": {**axis, "values": ticks}}
    return {"scale": {"zero": False, "nice": True}, "axis": axis}


def _ratio_ticks(points: Sequence[Point]) -> list[float]:
    """Return round ratios of which the first and the last hold every interval, and 1."""
    values = [point[name] for point in points for name in ("estimate", "low", "high")]
    shown = [1.0, *(value for value in values if value is not None and value > 0)]
    first = max((r for r in _RATIOS if r <= min(shown)), default=_RATIOS[0])
    last = min((r for r in _RATIOS if r >= max(shown)), default=_RATIOS[-1])
    ticks = [ratio for ratio in _RATIOS if first <= ratio <= last]
    inner = ticks if len(ticks) <= _MOST_TICKS else [t for t in ticks if t in _POWERS]
    return sorted({first, *inner, last})


def _no_effect(scale: str) -> list[Spec]:
    """A dashed line where there is no effect: at 1 for ratios, at 0 for differences."""
    if scale == "share":
        return []
    at = {"ratio": 1, "difference": 0}[scale]
    mark = {"type": "rule", "color": INK, "strokeDash": [4, 3], "strokeWidth": 1.1}
    x = {"field": "null", "type": "quantitative"}
    return [{"data": {"values": [{"null": at}]}, "mark": mark, "encoding": {"x": x, "y": None}}]


def _interval(x: Spec) -> Spec:
    is_site = "datum.kind === 'site'"
    return {
        "x": {**x, "field": "low"},
        "x2": {"field": "high"},
        "color": {"condition": {"test": is_site, "value": INK}, "value": TARGET},
        "strokeDash": {
            "condition": {"test": "datum.kind === 'prediction'", "value": [5, 3]},
            "value": [1, 0],
        },
    }


def _symbols(x: Spec, text: PoolText) -> Spec:
    is_site = "datum.kind === 'site'"
    return {
        "transform": [{"filter": "isValid(datum.estimate)"}],
        "mark": {"type": "point", "filled": True, "opacity": 1},
        "encoding": {
            "x": {**x, "field": "estimate"},
            "size": {"field": "size", "type": "quantitative", "scale": None, "legend": None},
            "shape": {"condition": {"test": is_site, "value": "square"}, "value": "diamond"},
            "color": {"condition": {"test": is_site, "value": INK}, "value": TARGET},
            "tooltip": [
                {"field": "label", "type": "nominal", "title": " "},
                {"field": "value_text", "type": "nominal", "title": text.estimate},
            ],
        },
    }


def _column(field: str, at: float) -> list[Spec]:
    """Two layers of labels beside the plot: sites regular, what is pooled in bold."""
    layers: list[Spec] = []
    for test, look in (("===", {}), ("!==", {"fontWeight": "bold"})):
        mark: Spec = {"type": "text", "align": "left", "fontSize": 11.5, "color": INK, "limit": 190}
        encoding: Spec = {"x": {"value": at}, "text": {"field": field, "type": "nominal"}}
        mark |= look
        kept = [{"filter": f"datum.kind {test} 'site'"}]
        layers.append({"transform": kept, "mark": mark, "encoding": encoding})
    return layers


def _head(words: str, at: float) -> Spec:
    mark = {"type": "text", "align": "left", "fontSize": 10.5, "color": SOFT, "dy": -8}
    encoding = {"x": {"value": at}, "y": {"value": 0}, "text": {"field": "words"}}
    return {"data": {"values": [{"words": words}]}, "mark": mark, "encoding": encoding}


def funnel_chart(points: Sequence[Point], pooled: Point, text: PoolText, scale: str) -> Spec:
    """Return a funnel plot: effects against their standard errors, the most precise on top.

    Args:
        points: label, estimate, std_error, value_text of each site.
        pooled: `middle`, and `low` and `high` at the standard error `widest`: where 95 % of sites
            would lie if all had the pooled effect.
        text: Words of the chart.
        scale: As of `forest_of_sites`.
    """
    at = [{"low": p["estimate"], "estimate": p["estimate"], "high": p["estimate"]} for p in points]
    at.append({"low": pooled["low"], "estimate": pooled["middle"], "high": pooled["high"]})
    x = {"type": "quantitative", **_axis(at, text.x_title, scale)}
    return {
        "width": _FUNNEL_WIDTH,
        "height": _FUNNEL_HEIGHT,
        "layer": [
            *[_side(pooled, side, x, text) for side in ("low", "middle", "high")],
            {
                "data": {"values": [dict(point) for point in points]},
                "mark": {"type": "point", "filled": True, "size": 60, "color": INK, "opacity": 0.9},
                "encoding": {
                    "x": {**x, "field": "estimate"},
                    "y": _errors(pooled, text),
                    "tooltip": [
                        {"field": "label", "type": "nominal", "title": " "},
                        {"field": "value_text", "type": "nominal", "title": text.estimate},
                    ],
                },
            },
        ],
    }


def _side(pooled: Point, side: str, x: Spec, text: PoolText) -> Spec:
    ends = [
        {"x": pooled["middle"], "std_error": 0.0},
        {"x": pooled[side], "std_error": pooled["widest"]},
    ]
    mark = {"type": "line", "color": TARGET, "strokeWidth": 1.4}
    mark |= {} if side == "middle" else {"color": SOFT, "strokeDash": [4, 3]}
    order = {"field": "std_error", "type": "quantitative"}
    encoding = {"x": {**x, "field": "x"}, "y": _errors(pooled, text), "order": order}
    return {"data": {"values": ends}, "mark": mark, "encoding": encoding}


def _errors(pooled: Point, text: PoolText) -> Spec:
    scale = {"domain": [0, pooled["widest"]], "nice": False, "reverse": True}
    axis = {"title": text.std_error, "tickCount": 6, "gridColor": GRID}
    return {"field": "std_error", "type": "quantitative", "scale": scale, "axis": axis}


def funnel_limits(middle: float, widest: float) -> tuple[float, float]:
    """Return where the lines of a funnel end, on the scale on which effects are pooled."""
    return middle - _Z * widest, middle + _Z * widest
