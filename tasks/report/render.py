"""Write the report of a run: pages, documents and pictures, the same bytes each time."""

from pathlib import Path

from tasks.report.blocks import Content
from tasks.report.content import build_content, figures_of
from tasks.report.html import html_page
from tasks.report.model import ReportInputs
from tasks.report.pdf import pdf_document


def render_report(inputs: ReportInputs, folder: Path) -> list[Path]:
    """Write the report in every language of the study.

    Args:
        inputs: Everything the report shows.
        folder: An existing run folder; files of an earlier report in it are replaced.

    Returns:
        The files written: report.<language>.html, report.<language>.pdf and
        figures/<figure>.<language>.svg.

    Raises:
        ReportError: The inputs lack a data cut-off, or the font package is missing.
    """
    written: list[Path] = []
    for language in inputs.spec.report.languages:
        content = build_content(inputs, language)
        written += _write(content, folder)
    return written


def _write(content: Content, folder: Path) -> list[Path]:
    figures = folder / "figures"
    figures.mkdir(parents=True, exist_ok=True)
    page = folder / f"report.{content.language}.html"
    page.write_text(html_page(content), encoding="utf-8", newline="\n")
    document = folder / f"report.{content.language}.pdf"
    document.write_bytes(pdf_document(content))
    pictures = []
    for figure in figures_of(content):
        picture = figures / f"{figure.id}.{content.language}.svg"
        picture.write_text(figure.svg, encoding="utf-8", newline="\n")
        pictures.append(picture)
    return [page, document, *pictures]
