"""The report in print: typst sets the same content; values enter as data, never as code."""

import json
from datetime import UTC, datetime
from typing import Any

import typst

from tasks.report.blocks import Content, Details
from tasks.report.content import as_record
from tasks.report.diagrams import TEMPLATES
from tasks.report.figures import font_folder

STANDARD = "a-2b"


def pdf_document(content: Content) -> bytes:
    """Return the report as PDF/A; its date is the data cut-off."""
    year, month, day = (int(part) for part in content.date.split("-"))
    made: bytes = typst.compile(
        TEMPLATES.joinpath("report.typ").read_bytes(),
        root=TEMPLATES,
        font_paths=[font_folder()],
        ignore_system_fonts=True,
        format="pdf",
        pdf_standards=STANDARD,
        timestamp=datetime(year, month, day, tzinfo=UTC),
        sys_inputs={"content": json.dumps(printed(content), ensure_ascii=False)},
    )
    return made


def printed(content: Content) -> dict[str, Any]:
    """Return what is printed: all blocks but those a reader would open, and no charts' data."""
    record = as_record(content)
    for section, drawn in zip(record["sections"], content.sections, strict=True):
        kept = [
            block
            for block, source in zip(section["blocks"], drawn.blocks, strict=True)
            if not isinstance(source, Details)
        ]
        section["blocks"] = [{k: v for k, v in block.items() if k != "chart"} for block in kept]
    return record
