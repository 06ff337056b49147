"""The pictures of a study, drawn from its specification alone: timelines, or a flow of data."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tasks.report.charts import STATIC_FONT
from tasks.report.diagrams import environment, shortened, wrapped
from tasks.report.figures import stable_svg
from tasks.report.framework import timelines
from tasks.report.generic import told
from tasks.report.timeline import timeline_svg
from tasks.report.voice import Voice

_SIZE = re.compile(r'<svg [^>]*?\bwidth="([0-9.]+)" height="([0-9.]+)"')
_BOX, _GAP, _LINE = 226.0, 36.0, 15.0


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture: its id, what it shows, the same in words, and the drawing."""

    id: str
    caption: str
    alt: str
    svg: str


def pictures(voice: Voice) -> list[Picture]:
    """Return the pictures of a study: its timelines, else the flow from tables to analyses."""
    drawn = [
        Picture(
            name,
            timeline.title,
            f"{timeline.below}. {timeline.description}",
            stable_svg(timeline_svg(timeline, name), name),
        )
        for name, timeline in timelines(voice)
    ]
    return drawn or [data_flow(voice)]


def stacked(drawn: list[Picture], title: str) -> str:
    """Return pictures as one, each below the other."""
    if len(drawn) == 1:
        return drawn[0].svg
    placed, top, width = [], 0.0, 0.0
    for picture in drawn:
        found = _SIZE.search(picture.svg)
        wide, high = (float(found[1]), float(found[2])) if found else (760.0, 400.0)
        placed.append(picture.svg.replace("<svg ", f'<svg y="{top:g}" ', 1))
        top, width = top + high, max(width, wide)
    template = environment().get_template("stack.svg.jinja")
    return template.render(title=title, width=width, height=top, inner="\n".join(placed))


def data_flow(voice: Voice) -> Picture:
    """Draw which table gives which columns to which analysis."""
    blocks, top = [], 64.0
    for source in voice.spec.sources:
        block = _flow_of(voice, source, top)
        blocks.append(block)
        top += block["height"] + 22
    alt = "; ".join(text for block in blocks for text in block["alt"])
    template = environment().get_template("dataflow.svg.jinja")
    title = voice("flow.title")
    svg = template.render(
        title=title,
        alt=alt,
        heads=[voice(f"flow.{name}") for name in ("sources", "roles", "analyses")],
        lefts=[8 + place * (_BOX + _GAP) for place in range(3)],
        blocks=blocks,
        box=_BOX,
        width=16 + 3 * _BOX + 2 * _GAP,
        height=top,
        font=STATIC_FONT,
    )
    return Picture("data_flow", title, alt, stable_svg(svg, "data_flow"))


def _flow_of(voice: Voice, source: Any, top: float) -> dict[str, Any]:
    """Return one source with what it gives and what uses it, each as lines of a box."""
    head = [source.id, voice.term("source", source.kind)]
    head += [str(table)] if (table := getattr(source, "table", None)) else []
    roles = [line for name, text in _roles(voice, source) for line in (f"{name}: {text}",)]
    users = [
        f"{analysis.id}: {voice.term('method', analysis.method)} "
        f"({voice.term('role', analysis.role)})"
        for analysis in voice.spec.analyses
        if getattr(analysis, "source", None) in (source.id, None)
    ]
    columns = [_lines(head, 6), _lines(roles, 24), _lines(users, 24)]
    height = max(len(lines) for lines in columns) * _LINE + 18
    alt = [" — ".join(head), *roles, *users]
    return {"top": top, "columns": columns, "height": height, "alt": alt}


def _roles(voice: Voice, source: Any) -> Iterator[tuple[str, str]]:
    """Yield what the columns of a source stand for; every other key where it has no roles."""
    roles = getattr(source, "roles", None)
    if roles is not None:
        yield from told(voice, roles)
        return
    for name, text in told(voice, source):
        if name not in {voice.term("field", key) for key in ("id", "kind", "table")}:
            yield name, text


def _lines(texts: list[str], most: int) -> tuple[str, ...]:
    wide = [line for text in texts for line in wrapped(text, 11.5, _BOX - 20)]
    return shortened(tuple(wide), most)
