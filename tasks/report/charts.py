"""Charts as Vega-Lite dicts: plain values in, plain values out, no counter and no random id."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, floor, inf, log10
from typing import Any

Spec = dict[str, Any]
Point = Mapping[str, Any]

WIDTH = 640
FOREST_WIDTH = 350
STATIC_FONT = "Noto Sans CJK KR"
TARGET, COMPARATOR = "#0072B2", "#D55E00"
COLOURS = (TARGET, COMPARATOR, "#009E73", "#CC79A7", "#8C6D00", "#4B5563")
DASHES = ((1, 0), (7, 3), (2, 2), (10, 3, 2, 3), (4, 4), (12, 4))
INK, SOFT, GRID, RULE = "#1f2933", "#52606d", "#e4e9ee", "#9aa5b1"

ADJUSTMENT_LOOK = {
    "none": ("#4a5560", "circle"),
    "iptw_ate": ("#009E73", "triangle-up"),
    "iptw_att": ("#D55E00", "triangle-down"),
    "stratified": ("#56B4E9", "cross"),
    "entropy_balanced": ("#E69F00", "triangle-right"),
    "initiation_weights": ("#8C6D00", "triangle-left"),
    "overlap": ("#0072B2", "diamond"),
    "matched": ("#CC79A7", "square"),
}


@dataclass(frozen=True, slots=True)
class CurveText:
    """The words of a curve chart."""

    x_title: str
    y_title: str
    at_risk: str
    arms: tuple[str, ...]
    day: str
    estimate: str
    interval: str
    is_share: bool = True


_LOOK: Spec = {
    "background": None,
    "padding": {"left": 24, "top": 6, "right": 28, "bottom": 6},
    "view": {"stroke": None},
    "axis": {
        "labelColor": SOFT,
        "titleColor": INK,
        "labelFontSize": 12,
        "titleFontSize": 12,
        "titleFontWeight": "bold",
        "titlePadding": 10,
        "gridColor": GRID,
        "domainColor": RULE,
        "tickColor": RULE,
        "labelPadding": 5,
        "labelFlush": False,
    },
    "legend": {
        "labelFontSize": 12,
        "labelColor": INK,
        "labelLimit": 0,
        "symbolSize": 90,
        "symbolOpacity": 1,
    },
    "title": {"fontSize": 12, "color": INK, "fontWeight": "bold", "anchor": "start"},
}


def with_font(spec: Spec, font: str) -> Spec:
    """Return the chart set in one font family."""
    return {**spec, "config": {**_LOOK, "font": font}}


def curve_chart(
    curve: Sequence[Point], at_risk: Sequence[Point], text: CurveText, *, floor_at_zero: bool
) -> Spec:
    """Return step curves of both arms with bands, and the numbers at risk beneath the axis.

    Args:
        curve: Points with arm, day, estimate, low, high and their texts.
        at_risk: Points with arm, day and label.
        text: Words of the chart, and whether its numbers are shares.
        floor_at_zero: The vertical axis starts at 0 (cumulative incidence), else it ends at 1.
    """
    last = max((point["day"] for point in [*curve, *at_risk]), default=1) or 1
    ticks = sorted({point["day"] for point in at_risk})
    x = {"domain": [0, last], "nice": False}
    main = _curves(curve, text, x, ticks, floor_at_zero)
    if not at_risk:
        return main
    return {
        "vconcat": [main, _risk_table(at_risk, text, x)],
        "spacing": 14,
        "resolve": {"legend": {"color": "shared"}},
    }


def _curves(
    curve: Sequence[Point], text: CurveText, x: Spec, ticks: list[float], floor_at_zero: bool
) -> Spec:
    top = 1.0 if text.is_share else inf
    domain = incidence_domain(curve, top) if floor_at_zero else survival_domain(curve)
    axis = {"title": text.x_title, "grid": False, "tickMinStep": 1}
    if ticks:
        axis["values"] = sorted({0.0, *ticks})
    day = {"field": "day", "type": "quantitative", "scale": x, "axis": axis}
    return {
        "width": WIDTH,
        "height": 260,
        "data": {"values": [dict(point) for point in curve]},
        "encoding": {"x": day, "color": _arm_colour(text)},
        "layer": _curve_layers(text, domain),
    }


def _curve_layers(text: CurveText, domain: tuple[float, float]) -> list[Spec]:
    """Bands, steps, and unseen points that a reader can point at."""
    estimate = _y(text, domain, "estimate")
    band = {
        "mark": {"type": "area", "interpolate": "step-after", "opacity": 0.16},
        "transform": [{"filter": "isValid(datum.low) && isValid(datum.high)"}],
        "encoding": {"y": _y(text, domain, "low"), "y2": {"field": "high"}},
    }
    steps = {
        "mark": {"type": "line", "interpolate": "step-after", "strokeWidth": 2.2},
        "encoding": {"y": estimate, "strokeDash": _dash(text)},
    }
    points = {
        "mark": {"type": "point", "opacity": 0, "size": 160, "filled": True},
        "encoding": {"y": estimate, "tooltip": _curve_tooltip(text)},
    }
    return [band, steps, points]


def _y(text: CurveText, domain: tuple[float, float], field: str) -> Spec:
    return {
        "field": field,
        "type": "quantitative",
        "scale": {"domain": list(domain), "zero": False, "nice": False, "clamp": True},
        "axis": {
            "title": text.y_title,
            "format": _share_format(domain) if text.is_share else "~g",
            "tickCount": 6,
        },
    }


def _share_format(domain: tuple[float, float]) -> str:
    return ".0%" if domain[1] - domain[0] > 0.04 else ".1%"


def _legend() -> Spec:
    return {"orient": "top", "title": None, "symbolType": "stroke", "symbolStrokeWidth": 3}


def _arm_colour(text: CurveText) -> Spec:
    scale = {"domain": list(text.arms), "range": list(COLOURS[: len(text.arms)])}
    return {"field": "arm", "type": "nominal", "scale": scale, "legend": _legend()}


def _dash(text: CurveText) -> Spec:
    scale = {"domain": list(text.arms), "range": [list(dash) for dash in DASHES[: len(text.arms)]]}
    return {"field": "arm", "type": "nominal", "scale": scale, "legend": _legend()}


def _curve_tooltip(text: CurveText) -> list[Spec]:
    return [
        {"field": "arm", "type": "nominal", "title": " "},
        {"field": "day", "type": "quantitative", "title": text.day},
        {"field": "value_text", "type": "nominal", "title": text.estimate},
        {"field": "interval_text", "type": "nominal", "title": text.interval},
    ]


def _risk_table(at_risk: Sequence[Point], text: CurveText, x: Spec) -> Spec:
    rows = {"domain": list(text.arms)}
    axis = {"title": None, "domain": False, "ticks": False, "labelPadding": 26}
    return {
        "width": WIDTH,
        "height": 22 * len(text.arms),
        "title": {"text": text.at_risk, "frame": "group", "offset": 2},
        "data": {"values": [dict(point) for point in at_risk]},
        "mark": {"type": "text", "fontSize": 12},
        "encoding": {
            "x": {"field": "day", "type": "quantitative", "scale": x, "axis": None},
            "y": {"field": "arm", "type": "nominal", "scale": rows, "axis": axis},
            "text": {"field": "label", "type": "nominal"},
            "color": {"value": INK},
        },
    }


def survival_domain(curve: Sequence[Point]) -> tuple[float, float]:
    """Return a vertical axis that ends at 1 and holds every band, on a round number."""
    lowest = min(_values(curve, "low"), default=0.0)
    return (0.0, 1.0) if lowest < 0.5 else (_round_down(lowest, 1 - lowest), 1.0)


def incidence_domain(curve: Sequence[Point], top: float = 1.0) -> tuple[float, float]:
    """Return a vertical axis that starts at 0 and holds every band, on a round number."""
    highest = max(_values(curve, "high"), default=1.0) or 1.0
    return 0.0, min(top, _round_up(highest))


def _round_up(value: float) -> float:
    """Round up to a step of about a fifth of `value`."""
    step = _step(value)
    return float(round(ceil(value / step - 1e-9) * step, 6))


def _values(curve: Sequence[Point], bound: str) -> list[float]:
    candidates = (
        point[bound] if point[bound] is not None else point["estimate"] for point in curve
    )
    return [value for value in candidates if value is not None]


def _round_down(value: float, span: float) -> float:
    """Round down to a step of about a fifth of `span`: 0.01, 0.02, 0.05, 0.1 …."""
    if span <= 0:
        return max(0.0, value - 0.01)
    step = _step(span)
    return float(round(max(0.0, floor(value / step + 1e-9) * step), 6))


def _step(span: float) -> float:
    """Return about a fifth of `span`: 0.01, 0.02, 0.05, 0.1 …."""
    power = 10 ** floor(log10(span / 3))
    return float(next(power * m for m in (1, 2, 5, 10) if power * m >= span / 5))


@dataclass(frozen=True, slots=True)
class ForestText:
    """The words of a forest plot."""

    x_title: str
    favours_low: str
    favours_high: str
    estimate: str
    interval: str


def forest_chart(points: Sequence[Point], text: ForestText) -> Spec:
    """Return a forest plot of ratios on a log axis; the primary estimate is a filled diamond.

    Args:
        points: label, detail, estimate, low, high, value_text, is_primary; in drawing order.
        text: Words of the chart.
    """
    numbered = [{**point, "pos": index} for index, point in enumerate(points)]
    domain, ticks = ratio_domain(points)
    x_scale = {"type": "log", "domain": list(domain), "nice": False, "clamp": True}
    axis = {"title": text.x_title, "titlePadding": 32, "values": ticks, "format": "~g"}
    x = {"field": "estimate", "type": "quantitative", "scale": x_scale, "axis": axis}
    return {
        "width": FOREST_WIDTH,
        "height": {"step": 34},
        "data": {"values": numbered},
        "encoding": {"y": _position()},
        "layer": [
            _null_line(),
            {"mark": {"type": "rule", "strokeWidth": 2}, "encoding": _forest_rule(x)},
            {
                "mark": {"type": "point", "filled": True, "opacity": 1},
                "encoding": _forest_point(x, text),
            },
            *_emphasised("label", -262, -7),
            _label("detail", -262, SOFT, 10.5, 8),
            *_emphasised("value_text", FOREST_WIDTH + 12, 0),
            _direction(f"← {text.favours_low}", 0.25),
            _direction(f"{text.favours_high} →", 0.75),
        ],
    }


def _position() -> Spec:
    return {"field": "pos", "type": "ordinal", "axis": None, "scale": {"paddingOuter": 0.3}}


def _null_line() -> Spec:
    return {
        "data": {"values": [{"null": 1}]},
        "mark": {"type": "rule", "color": INK, "strokeDash": [4, 3], "strokeWidth": 1.2},
        "encoding": {"x": {"field": "null", "type": "quantitative"}, "y": None},
    }


def _forest_rule(x: Spec) -> Spec:
    colour = {"condition": {"test": "datum.is_primary", "value": TARGET}, "value": INK}
    return {"x": {**x, "field": "low"}, "x2": {"field": "high"}, "color": colour}


def _forest_point(x: Spec, text: ForestText) -> Spec:
    is_primary = "datum.is_primary"
    return {
        "x": x,
        "color": {"condition": {"test": is_primary, "value": TARGET}, "value": INK},
        "shape": {"condition": {"test": is_primary, "value": "diamond"}, "value": "square"},
        "size": {"condition": {"test": is_primary, "value": 190}, "value": 75},
        "tooltip": [
            {"field": "label", "type": "nominal", "title": " "},
            {"field": "detail", "type": "nominal", "title": " "},
            {"field": "value_text", "type": "nominal", "title": text.estimate},
        ],
    }


def _label(field: str, x: float, colour: str, size: float, dy: float) -> Spec:
    mark = {"type": "text", "align": "left", "fontSize": size, "dy": dy, "color": colour}
    encoding: Spec = {"x": {"value": x}, "text": {"field": field, "type": "nominal"}}
    return {"mark": mark, "encoding": encoding}


def _direction(words: str, share: float) -> Spec:
    """Say beneath the axis what lies on either side of 1."""
    mark = {"type": "text", "fontSize": 11, "dy": 34, "color": SOFT}
    where = {"x": {"value": FOREST_WIDTH * share}, "y": {"value": "height"}}
    encoding = {**where, "text": {"field": "words", "type": "nominal"}}
    return {"data": {"values": [{"words": words}]}, "mark": mark, "encoding": encoding}


def _emphasised(field: str, x: float, dy: float) -> list[Spec]:
    """Two layers of labels: the primary estimate in bold, all others regular."""
    primary, others = _label(field, x, INK, 12, dy), _label(field, x, INK, 12, dy)
    primary["mark"]["fontWeight"] = "bold"
    primary["transform"] = [{"filter": "datum.is_primary"}]
    others["transform"] = [{"filter": "!datum.is_primary"}]
    return [primary, others]


def ratio_domain(points: Sequence[Point]) -> tuple[tuple[float, float], list[float]]:
    """Return a log axis that is symmetric around 1 and holds every interval, with its ticks."""
    values = [point[name] for point in points for name in ("estimate", "low", "high")]
    shown = [value for value in values if value is not None and value > 0]
    reach = max((max(value, 1 / value) for value in shown), default=2.0)
    edge = next((step for step in _EDGES if step >= reach * 1.03), _EDGES[-1])
    return (1 / edge, edge), [tick for tick in _RATIO_TICKS[edge] if 1 / edge <= tick <= edge]


_RATIO_TICKS: dict[float, tuple[float, ...]] = {
    1.25: (0.8, 0.9, 1.0, 1.1, 1.25),
    1.5: (0.7, 0.8, 1.0, 1.25, 1.5),
    2.0: (0.5, 0.75, 1.0, 1.5, 2.0),
    3.0: (0.35, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0),
    5.0: (0.2, 0.5, 1.0, 2.0, 5.0),
    10.0: (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0),
    100.0: (0.01, 0.1, 1.0, 10.0, 100.0),
}
_EDGES = tuple(_RATIO_TICKS)


def love_chart(
    points: Sequence[Point], labels: Sequence[str], adjustments: Sequence[tuple[str, str]],
    x_title: str, limit: float,
) -> Spec:  # fmt: skip
    """Return a love plot: absolute standardised differences before and after each adjustment.

    Args:
        points: pos, label, adjustment (its word), smd, value_text.
        labels: Row labels by position.
        adjustments: Each adjustment used as (id, word).
        x_title: Title of the horizontal axis.
        limit: Where the dashed line stands.
    """
    position = {**_position(), "scale": {"domain": list(range(len(labels)))}}
    marks = {"type": "point", "filled": True, "size": 62, "opacity": 0.95}
    encoding = _love_encoding(points, adjustments, x_title, limit)
    return {
        "width": WIDTH - 270,
        "height": {"step": 17},
        "data": {"values": [dict(point) for point in points]},
        "encoding": {"y": position},
        "layer": [_limit_line(limit), _row_names(labels), {"mark": marks, "encoding": encoding}],
    }


def _love_encoding(
    points: Sequence[Point], adjustments: Sequence[tuple[str, str]], x_title: str, limit: float
) -> Spec:
    highest = max((point["smd"] for point in points), default=limit)
    scale = {"domain": [0, max(limit * 1.5, highest * 1.05)], "nice": False, "padding": 7}
    axis = {"title": x_title, "grid": False, "tickCount": 6}
    domain = {"domain": [word for _, word in adjustments]}
    looks = [ADJUSTMENT_LOOK[name] for name, _ in adjustments]
    legend = {"orient": "top", "title": None, "columns": 2}
    return {
        "x": {"field": "smd", "type": "quantitative", "scale": scale, "axis": axis},
        "color": _nominal("adjustment", {**domain, "range": [c for c, _ in looks]}, legend),
        "shape": _nominal("adjustment", {**domain, "range": [s for _, s in looks]}, legend),
        "tooltip": [
            {"field": "label", "type": "nominal", "title": " "},
            {"field": "adjustment", "type": "nominal", "title": " "},
            {"field": "value_text", "type": "nominal", "title": x_title},
        ],
    }


def _nominal(field: str, scale: Spec, legend: Spec) -> Spec:
    return {"field": field, "type": "nominal", "scale": scale, "legend": legend}


def _limit_line(limit: float) -> Spec:
    return {
        "data": {"values": [{"limit": limit}]},
        "mark": {"type": "rule", "color": SOFT, "strokeDash": [4, 3]},
        "encoding": {"x": {"field": "limit", "type": "quantitative"}, "y": None},
    }


def _row_names(labels: Sequence[str]) -> Spec:
    values = [{"pos": index, "name": label} for index, label in enumerate(labels)]
    mark = {"type": "text", "align": "right", "fontSize": 11.5, "color": INK, "limit": 265}
    encoding = {"x": {"value": -10}, "text": {"field": "name", "type": "nominal"}}
    return {"data": {"values": values}, "mark": mark, "encoding": encoding}
