"""The report as one self-contained page: no outside request, a strict policy, charts that move."""

import base64
import hashlib
import json
from functools import cache
from typing import Any

from markupsafe import Markup

from tasks.report.blocks import Content
from tasks.report.charts import with_font
from tasks.report.content import figures_of
from tasks.report.diagrams import TEMPLATES, environment
from tasks.report.figures import vega_bundle
from tasks.report.tables import accessible_name, line_html, table_html

SCREEN_FONT = (
    "system-ui, -apple-system, 'Segoe UI', 'Apple SD Gothic Neo', 'Malgun Gothic', "
    "'Noto Sans KR', 'Noto Sans CJK KR', 'NanumGothic', sans-serif"
)


def html_page(content: Content) -> str:
    """Return the page of one language."""
    template = environment().get_template("report.html.jinja")
    charts = chart_data(content)
    return template.render(
        content=content,
        charts=charts,
        policy=policy(has_charts=bool(charts)),
        bundle=Markup(vega_bundle()) if charts else "",  # noqa: S704
        boot=Markup(boot_script()),  # noqa: S704
        style=Markup(style_sheet()),  # noqa: S704
        font=SCREEN_FONT,
        line=line_html,
        table_html=table_html,
        accessible_name=accessible_name,
        svg=_trusted,
    )


def _trusted(svg: str) -> Markup:
    """Our own drawings; every text in them was escaped when they were drawn."""
    return Markup(svg)  # noqa: S704


def chart_data(content: Content) -> Markup:
    """Return the charts of the page as JSON that may stand inside a script element."""
    charts: dict[str, Any] = {
        figure.id: with_font(figure.chart, SCREEN_FONT)
        for figure in figures_of(content)
        if figure.chart is not None
    }
    if not charts:
        return Markup("")
    text = json.dumps(charts, ensure_ascii=False, separators=(",", ":"))
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return Markup(text)  # noqa: S704


@cache
def boot_script() -> str:
    """Return the script that turns the still pictures into charts."""
    return TEMPLATES.joinpath("charts.js").read_text(encoding="utf-8")


@cache
def style_sheet() -> str:
    """Return the style of the page."""
    return TEMPLATES.joinpath("report.css").read_text(encoding="utf-8")


def policy(*, has_charts: bool) -> str:
    """Return the content security policy: our two scripts by hash, inline style, nothing else.

    Vega runs with its expression interpreter, so no `unsafe-eval` is needed.
    """
    scripts = [vega_bundle(), boot_script()] if has_charts else []
    allowed = " ".join(f"'sha256-{_digest(script)}'" for script in scripts) or "'none'"
    rules = ("default-src 'none'", f"script-src {allowed}", "style-src 'unsafe-inline'")
    return "; ".join([*rules, "img-src data:", "base-uri 'none'", "form-action 'none'"])


def _digest(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
