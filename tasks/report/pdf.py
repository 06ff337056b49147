"""The report in print: typst sets the same content; values enter as data, never as code."""

import json
import re
from datetime import UTC, datetime
from functools import cache
from typing import Any, Final

import typst
from fontTools.ttLib import TTCollection

from tasks.report.blocks import Content, Details
from tasks.report.content import as_record
from tasks.report.diagrams import TEMPLATES
from tasks.report.figures import font_folder

STANDARD: Final = "a-2b"

_BOX = "\N{WHITE SQUARE}"
_WIDTH = re.compile(r'<svg [^>]*?\bwidth="([0-9.]+)"')


def pdf_document(content: Content) -> bytes:
    """Return the report as PDF/A; its date is the data cut-off."""
    year, month, day = (int(part) for part in content.date.split("-"))
    made: bytes = typst.compile(
        str(TEMPLATES / "report.typ"),
        root=str(TEMPLATES),
        font_paths=[str(font_folder())],
        ignore_system_fonts=True,
        format="pdf",
        pdf_standards=STANDARD,
        timestamp=datetime(year, month, day, tzinfo=UTC),
        sys_inputs={"content": drawable(json.dumps(printed(content), ensure_ascii=False))},
    )
    return made


def drawable(text: str) -> str:
    """Return the text with a box for each character that the font lacks: PDF/A refuses it."""
    missing = {ord(sign) for sign in set(text)} - _signs()
    return text.translate({code: _BOX for code in missing if code >= ord(" ")})


@cache
def _signs() -> frozenset[int]:
    """Code points that the report's font can draw."""
    [file] = font_folder().glob("*.ttc")
    with TTCollection(str(file), lazy=True) as fonts:
        return frozenset(fonts.fonts[0].getBestCmap())


def printed(content: Content) -> dict[str, Any]:
    """Return what is printed: all blocks but those a reader would open, and no charts' data."""
    record = as_record(content)
    for section, drawn in zip(record["sections"], content.sections, strict=True):
        kept = [
            block
            for block, source in zip(section["blocks"], drawn.blocks, strict=True)
            if not isinstance(source, Details)
        ]
        section["blocks"] = [_without_chart(block) for block in kept]
    return record


def _without_chart(block: dict[str, Any]) -> dict[str, Any]:
    """Drop the chart's data, and say how wide the picture is in pixels."""
    kept = {key: value for key, value in block.items() if key != "chart"}
    if kept["kind"] == "figure":
        found = _WIDTH.search(kept["svg"])
        kept["width"] = float(found[1]) if found else 720.0
    return kept
