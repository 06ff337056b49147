"""Draw a timeline: bars in days around day 0 on a logarithmic axis, no label over another."""

from dataclasses import dataclass
from math import log1p

from tasks.report.charts import STATIC_FONT
from tasks.report.diagrams import (
    Bar,
    Lane,
    Timeline,
    days_of,
    environment,
    shortened,
    text_width,
    wrapped,
)

WIDTH, LEFT, RIGHT, TEXT = 760.0, 268.0, 746.0, 246.0
NAME_SIZE, DETAIL_SIZE, LABEL_SIZE = 12.5, 11.5, 11.0
BAR, BAR_GAP, OPEN, HEAD, BRIEF = 20.0, 4.0, 34.0, 9.0, 30.0
MOST_LINES = 7
ROUND_DAYS = (1, 7, 30, 90, 180, 365, 730, 1825, 3650)


@dataclass(frozen=True, slots=True)
class Scale:
    """Where a day stands: equal steps of log(1 + days) on each side of day 0."""

    zero: float
    before: int
    after: int

    def at(self, day: int) -> float:
        """Return the place of a day in pixels."""
        if day == 0:
            return self.zero
        room = self.zero - LEFT - OPEN if day < 0 else RIGHT - OPEN - self.zero
        most = self.before if day < 0 else self.after
        share = log1p(abs(day)) / log1p(max(most, 1))
        return round(self.zero + (room * share if day > 0 else -room * share), 2)


def scale_of(lanes: tuple[Lane, ...]) -> Scale:
    """Choose the scale on which all bars fit; the side with more to show gets more room."""
    days = [day for lane in lanes for bar in lane.bars for day in (bar.start, bar.end) if day]
    before, after = max((-d for d in days), default=1), max(days, default=1)
    looks_back = before > 1 or any(bar.start is None for lane in lanes for bar in lane.bars)
    share = 0.56 if looks_back else 0.22
    return Scale(LEFT + share * (RIGHT - LEFT), max(before, 30), max(after, 30))


def timeline_svg(timeline: Timeline, picture: str) -> str:
    """Return the picture of a timeline.

    Args:
        timeline: What to draw.
        picture: Id of the picture; stands in the ids inside, so that pictures can share a page.
    """
    scale = scale_of(timeline.lanes)
    below = shortened(wrapped(timeline.below, DETAIL_SIZE, WIDTH - 40), 3)
    axis = 60.0 + 15 * len(below)
    rows, height = _rows(timeline.lanes, scale, axis + 18)
    template = environment().get_template("timeline.svg.jinja")
    return template.render(
        timeline=timeline,
        title=wrapped(timeline.title, 13.5, WIDTH - 40)[0],
        below=below,
        rows=rows,
        ticks=ticks(timeline.lanes, scale),
        zero=scale.zero,
        axis=axis,
        left=LEFT,
        right=RIGHT,
        width=WIDTH,
        height=height + 44,
        picture=f"timeline-{picture}",
        font=STATIC_FONT,
    )


def ticks(lanes: tuple[Lane, ...], scale: Scale) -> list[dict[str, object]]:
    """Return the days that are named on the axis: those of the study first, then round ones."""
    own = {day for lane in lanes for bar in lane.bars for day in (bar.start, bar.end) if day}
    wanted = [0, *sorted(own, key=lambda day: (-abs(day), day))]
    wanted += [day for n in reversed(ROUND_DAYS) for day in (-n, n)]
    placed: list[tuple[float, float, str]] = []
    for day in wanted:
        text = str(day).replace("-", "−")
        x, half = scale.at(day), text_width(text, LABEL_SIZE) / 2 + 4
        inside = -scale.before <= day <= scale.after
        if inside and all(abs(x - other) >= half + room for other, room, _ in placed):
            placed.append((x, half, text))
    return [{"x": x, "text": text} for x, _, text in sorted(placed)]


def _rows(
    lanes: tuple[Lane, ...], scale: Scale, top: float
) -> tuple[list[dict[str, object]], float]:
    rows: list[dict[str, object]] = []
    group = ""
    for lane in lanes:
        heading = lane.group if lane.group != group else ""
        group, top = lane.group, top + (24 if heading else 0)
        row, used = _row(lane, scale, top)
        rows.append({**row, "heading": heading})
        top += used
    return rows, top


def _row(lane: Lane, scale: Scale, top: float) -> tuple[dict[str, object], float]:
    name = shortened(wrapped(lane.name, NAME_SIZE, TEXT), 3)
    detail = shortened(wrapped(lane.detail, DETAIL_SIZE, TEXT), MOST_LINES)
    if lane.look == "calendar":  # stands in its bar, across the whole axis
        bar_text = shortened(wrapped(lane.detail, LABEL_SIZE, RIGHT - LEFT - 40), 1)
        row = {"lane": lane, "top": top, "name": name, "names": bar_text, "bars": ()}
        return row, max(16.0 * len(name), BAR + BAR_GAP) + 12
    if not lane.detail or lane.detail == lane.name:
        detail = ()
    text_height = 16.0 * len(name) + 14.5 * len(detail)
    bars = [
        _bar(bar, scale, top + 3 + (BAR + BAR_GAP) * place) for place, bar in enumerate(lane.bars)
    ]
    row = {"lane": lane, "top": top, "name": name, "names": detail, "bars": bars}
    return row, max(text_height, (BAR + BAR_GAP) * max(len(bars), 1)) + 12


def _bar(bar: Bar, scale: Scale, top: float) -> dict[str, object]:
    """Return the outline of a bar and the place of its label; day 0 alone is a diamond."""
    left = LEFT if bar.start is None else scale.at(bar.start)
    right = _end_of(bar, left, scale)
    label = bar.label or days_of(bar)
    is_point = bar.start == bar.end == 0
    is_thin = right - left < 3 and not is_point
    if is_thin:
        left, right = left - 2, right + 2
    points = _diamond(scale.zero, top) if is_point else _outline(bar, left, right, top)
    return {"points": points, "top": top, "label": label, **_label(label, left, right, scale.zero)}


def _end_of(bar: Bar, left: float, scale: Scale) -> float:
    if bar.end is not None:
        return scale.at(bar.end)
    return left + BRIEF if bar.brief else RIGHT


def _label(label: str, left: float, right: float, zero: float) -> dict[str, object]:
    """Put a label inside its bar, clear of the line at day 0, else beside it, in the picture."""
    width = text_width(label, LABEL_SIZE) + 12
    stretches = [(left, min(right, zero)), (max(left, zero), right)]
    low, high = max(stretches, key=lambda part: part[1] - part[0])
    if high - low >= width + 12:
        return {"x": round((low + high) / 2, 2), "anchor": "middle"}
    fits_left = min(left, zero) - 8 - width >= LEFT
    fits_right = max(right, zero) + 8 + width <= WIDTH
    if fits_left and (left < zero or not fits_right):
        return {"x": min(left, zero) - 8, "anchor": "end"}
    if fits_right:
        return {"x": max(right, zero) + 8, "anchor": "start"}
    return {"x": max(LEFT + 4, WIDTH - width), "anchor": "start"}


def _outline(bar: Bar, left: float, right: float, top: float) -> str:
    """Return the corners of a bar; an open end is drawn as an arrow head."""
    a = left + HEAD if bar.start is None else left
    b = right - HEAD if bar.end is None else right
    middle, bottom = top + BAR / 2, top + BAR
    corners = [(a, top), (b, top), (right, middle), (b, bottom), (a, bottom), (left, middle)]
    return " ".join(f"{x:g},{y:g}" for x, y in corners)


def _diamond(x: float, top: float) -> str:
    middle = top + BAR / 2
    corners = [(x, middle - 7), (x + 7, middle), (x, middle + 7), (x - 7, middle)]
    return " ".join(f"{a:g},{b:g}" for a, b in corners)
