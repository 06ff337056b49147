"""The picture of a reader study: each reader a line between modalities, their mean a thick one."""

from collections.abc import Sequence

from tasks.report.charts import INK, SOFT, TARGET, Point, Spec

_WIDTH, _HEIGHT = 420, 280
_IS_MEAN = "datum.kind === 'mean'"
_APART = 0.055
"""How far apart names are at least, as a share of the height."""


def readers_by_modality(points: Sequence[Point], modalities: Sequence[str], title: str) -> Spec:
    """Return one line a reader through its figures of merit, and that of the mean with intervals.

    Args:
        points: reader, modality, estimate, low, high, value_text, kind (`reader` or `mean`).
        modalities: Names of the modalities, from left to right.
        title: What is measured, for the vertical axis.
    """
    axis = {"title": None, "labelAngle": 0, "grid": False}
    x = {"field": "modality", "type": "nominal", "scale": {"domain": list(modalities)}}
    y = {"type": "quantitative", "scale": {"zero": False, "nice": True}, "title": title}
    shared = {"x": {**x, "axis": axis}, "detail": {"field": "reader", "type": "nominal"}}
    return {
        "width": _WIDTH,
        "height": _HEIGHT,
        "data": {"values": _with_names(points, modalities[-1])},
        "encoding": shared,
        "layer": [
            _line(y, "reader", SOFT, 1.1),
            _line(y, "mean", TARGET, 3.0),
            _interval(y),
            _points(y),
            _names(y),
        ],
    }


def _with_names(points: Sequence[Point], last: str) -> list[Point]:
    """Return the points, those of the last modality with a place for the name, none on another."""
    limits = [
        p[name] for p in points for name in ("estimate", "low", "high") if p["kind"] == "mean"
    ]
    values = [v for v in (*limits, *(p["estimate"] for p in points)) if v is not None]
    step = _APART * (max(values) - min(values))
    at: dict[str, float] = {}
    for point in sorted((p for p in points if p["modality"] == last), key=_height):
        below = max(at.values(), default=point["estimate"] - step)
        at[point["reader"]] = max(point["estimate"], below + step)
    return [{**p, "name_at": at[p["reader"]]} if p["modality"] == last else p for p in points]


def _height(point: Point) -> tuple[float, str]:
    return point["estimate"], point["reader"]


def _line(y: Spec, kind: str, color: str, width: float) -> Spec:
    return {
        "transform": [{"filter": f"datum.kind === '{kind}'"}],
        "mark": {"type": "line", "color": color, "strokeWidth": width},
        "encoding": {"y": {**y, "field": "estimate"}},
    }


def _interval(y: Spec) -> Spec:
    return {
        "transform": [{"filter": f"{_IS_MEAN} && isValid(datum.low)"}],
        "mark": {"type": "rule", "color": TARGET, "strokeWidth": 2},
        "encoding": {"y": {**y, "field": "low"}, "y2": {"field": "high"}},
    }


def _points(y: Spec) -> Spec:
    return {
        "mark": {"type": "point", "filled": True, "opacity": 1},
        "encoding": {
            "y": {**y, "field": "estimate"},
            "size": {"condition": {"test": _IS_MEAN, "value": 130}, "value": 40},
            "shape": {"condition": {"test": _IS_MEAN, "value": "diamond"}, "value": "circle"},
            "color": {"condition": {"test": _IS_MEAN, "value": TARGET}, "value": INK},
            "tooltip": [
                {"field": "reader", "type": "nominal", "title": " "},
                {"field": "value_text", "type": "nominal", "title": title_of(y)},
            ],
        },
    }


def title_of(y: Spec) -> str:
    """Return the title of an axis."""
    return str(y["title"])


def _names(y: Spec) -> Spec:
    """Write the name of each reader beside the last point of its line."""
    return {
        "transform": [{"filter": "isValid(datum.name_at)"}],
        "mark": {"type": "text", "align": "left", "dx": 12, "fontSize": 11, "color": INK},
        "encoding": {
            "y": {**y, "field": "name_at"},
            "text": {"field": "reader", "type": "nominal"},
        },
    }
