"""The protocol as one page: self-contained, printable, opened by browsers and by Word."""

from markupsafe import Markup

from tasks.report.diagrams import environment
from tasks.report.html import SCREEN_FONT, policy, style_sheet
from tasks.report.protocol.document import Protocol
from tasks.report.tables import accessible_name, line_html, table_html


def html_page(protocol: Protocol) -> str:
    """Return the page of one language."""
    return (
        environment()
        .get_template("protocol.html.jinja")
        .render(
            protocol=protocol,
            content=protocol,
            policy=policy(has_charts=False),
            style=Markup(style_sheet()),  # noqa: S704
            font=SCREEN_FONT,
            line=line_html,
            table_html=table_html,
            accessible_name=accessible_name,
            svg=_trusted,
        )
    )


def _trusted(svg: str) -> Markup:
    """Our own drawings; every text in them was escaped when they were drawn."""
    return Markup(svg)  # noqa: S704
