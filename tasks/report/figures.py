"""From Vega-Lite to SVG: the same bytes each time, in one font family, with no system package."""

import json
import re
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import vl_convert

from tasks.report.charts import STATIC_FONT, Spec, with_font
from tasks.report.model import ReportError

VEGA_LITE = "6.4"
FONT_PACKAGE = "manimgx_fonts_cjk"

_EXPORT = "window.vegaEmbed = vegaEmbed;"
_ID = re.compile(r"\b(clip|gradient)[-_]?(\d+)\b")
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_TEXT_WITHOUT_WEIGHT = re.compile(r"<text (?![^>]*font-weight)")


@cache
def font_folder() -> Path:
    """Return the folder of the font that charts and PDF are set in.

    Raises:
        ReportError: The font package is not installed.
    """
    found = find_spec(FONT_PACKAGE)
    if found is None or not found.submodule_search_locations:
        fix = "install the packages of requirements.lock."
        raise ReportError(FONT_PACKAGE, "the package with the report's font is missing", fix)
    return Path(found.submodule_search_locations[0])


@cache
def _use_report_font() -> None:
    vl_convert.register_font_directory(str(font_folder()))


def chart_svg(spec: Spec, figure_id: str) -> str:
    """Draw a chart.

    Args:
        spec: Vega-Lite without `config`; its data are inline.
        figure_id: Stands in the ids inside the picture, so that pictures can share a page.
    """
    _use_report_font()
    text = json.dumps(with_font(spec, STATIC_FONT), ensure_ascii=False)
    svg = vl_convert.vegalite_to_svg(text, vl_version=VEGA_LITE, allowed_base_urls=[])
    return stable_svg(svg, figure_id)


def stable_svg(svg: str, figure_id: str) -> str:
    """Give ids that do not depend on what was drawn before, and a weight to plain text.

    A variable font starts at its thinnest: typst draws plain SVG text thin unless told a weight.
    """
    names: dict[str, str] = {}
    svg = _UNPRINTABLE.sub("", svg)

    def rename(match: re.Match[str]) -> str:
        return names.setdefault(match[0], f"{figure_id}-{match[1]}-{len(names)}")

    head = re.compile(r'(?<=id=")[^"]+|(?<=url\(#)[^)]+')
    svg = head.sub(lambda match: _ID.sub(rename, match[0]), svg)
    return _TEXT_WITHOUT_WEIGHT.sub("<text style=\"font-variation-settings:'wght' 400\" ", svg)


@cache
def vega_bundle() -> str:
    """Return Vega, Vega-Lite and Vega-Embed as one script that may stand inside a page."""
    script: str = vl_convert.javascript_bundle(_EXPORT, vl_version=VEGA_LITE)
    return script.replace("</script", r"<\/script").replace("<!--", r"<\!--")
