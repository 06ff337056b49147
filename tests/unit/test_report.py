"""The report says what the inputs say: in both languages, traceable, escaped, and the same twice."""

import base64
import hashlib
import html
import re
import subprocess
import sys
from collections import defaultdict
from functools import cache
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from urllib.parse import parse_qsl
from xml.etree import ElementTree

import polars as pl
import pypdf
import pytest

from tasks.cohort.build import ENTERING
from tasks.core.spec import StudySpec, Text
from tasks.report import charts, numbers
from tasks.report.blocks import Finding, Section, plain
from tasks.report.content import build_content, figures_of
from tasks.report.context import Context, locator
from tasks.report.diagrams import wrapped
from tasks.report.figures import stable_svg
from tasks.report.html import html_page
from tasks.report.model import ReportError, ReportInputs
from tasks.report.render import render_report
from tasks.report.sections import curves, data, finding, other
from tasks.report.sections.balance import section as balance_section
from tasks.report.tables import run_html
from tasks.report.texts import Words, all_texts, fields_of
from tests.unit.test_report_world import (
    IDENTITY,
    attrition,
    balance,
    curve,
    hazard,
    quality,
    results,
    results_frame,
    study,
    withheld,
    world,
)

LANGUAGES = ("en", "ko")
EVIL = '<script>alert(1)</script> {{7*7}} #panic("x") $x$ </script> \'a\' & "b" ]] \\u2028'


@pytest.fixture(scope="module")
def inputs() -> ReportInputs:
    return world()


@pytest.fixture(scope="module")
def folder(inputs, tmp_path_factory) -> Path:
    target = tmp_path_factory.mktemp("report")
    render_report(inputs, target)
    return target


def page(folder: Path, language: str) -> str:
    return (folder / f"report.{language}.html").read_text(encoding="utf-8")


@cache
def pdf_pages(file: Path) -> list[str]:
    return [page.extract_text() for page in pypdf.PdfReader(file).pages]


class Elements(HTMLParser):
    """Collects start tags with their attributes, and the text inside each data-row element."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.numbers: list[tuple[str, str, str]] = []
        self.scripts: list[str] = []
        self._open: tuple[str, str] | None = None
        self._in_script = False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.tags.append((tag, attributes))
        if "data-row" in attributes:
            self._open = (attributes["data-row"], attributes["title"])
        if tag == "script":
            self._in_script = True
            self.scripts.append("")

    def handle_endtag(self, tag):
        self._in_script = self._in_script and tag != "script"

    def handle_data(self, data):
        if self._in_script:
            self.scripts[-1] += data
        elif self._open:
            self.numbers.append((*self._open, data))
            self._open = None


def test_writes_every_file_of_both_languages(folder):
    names = {file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()}
    stems = (
        "design attrition love_plot kaplan_meier kaplan_meier_km_crude cumulative_incidence forest"
    )
    expected = {f"figures/{stem}.{lang}.svg" for stem in stems.split() for lang in LANGUAGES}
    expected |= {f"report.{lang}.{kind}" for lang in LANGUAGES for kind in ("html", "pdf")}
    assert names == expected


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_number_from_the_results_resolves_to_one_row(inputs, folder, language):
    rows = inputs.results.to_dicts()
    estimates = {f"{row['analysis_id']}/{row['estimate_name']}" for row in rows}
    columns = (
        "estimate",
        "ci_low",
        "ci_high",
        "n",
        "n_events",
        "person_time",
        "p_value",
        "statistic",
    )
    by_source = defaultdict(list)
    for row in rows:
        for column in columns:
            by_source[locator(row, column)].append(row)
    checked = 0
    for source, title, shown in Elements(page(folder, language)).numbers:
        path, _, query = source.partition("?")
        if path not in estimates:
            continue
        where = dict(parse_qsl(query))
        if "of" in where:  # derived from columns of the row that it names
            continue
        column = where["column"]
        match = by_source[source]
        assert len(match) == 1, source
        if match[0][column] is not None and " = " in title and "|" not in title:
            assert title.rsplit(" = ", 1)[1] == repr(match[0][column])
            digits = float(re.sub(r"[,%<>]", "", shown).replace("−", "-"))
            value = match[0][column] * (100 if shown.endswith("%") else 1)
            assert digits == pytest.approx(value, abs=0.51 if "." not in shown else 0.051)
        checked += 1
    assert checked > 100


@pytest.mark.parametrize("language", LANGUAGES)
def test_page_and_document_hold_the_same_numbers(folder, language):
    printed = re.sub(r"\s+", "", "".join(pdf_pages(folder / f"report.{language}.pdf")))
    for text in ("1.08(0.76–1.54)", "1.13(0.81–1.62)", "1.13(0.80–1.60)", "1.06(0.70–1.61)",
                 "n=1,797", "n=830", "839(46.7%)", "−0.19", "0.578", "2,649"):  # fmt: skip
        assert text in printed, text
    elements = Elements(page(folder, language))
    shown = {shown for _, _, shown in elements.numbers}
    assert {"1.08", "0.76", "1.54", "1,797", "830", "839", "46.7%", "2,649", "5,343"} <= shown


def test_estimates_name_how_they_were_made(folder):
    text = page(folder, "en")
    for word in ("profile likelihood", "Wald", "robust", "Cox, Breslow", "Overlap-weighted"):
        assert word in text


@pytest.mark.parametrize("language", LANGUAGES)
def test_page_asks_nothing_from_outside(folder, language):
    text = page(folder, language)
    elements = Elements(text)
    links = [
        value
        for _, attributes in elements.tags
        for name, value in attributes.items()
        if name in {"src", "href", "srcset", "action", "data", "poster", "xlink:href"}
    ]
    assert all(re.fullmatch(r"#[\w-]+|report\.(en|ko)\.(html|pdf)", link) for link in links)
    assert not any(tag in {"link", "img", "iframe", "object", "embed"} for tag, _ in elements.tags)
    markup = re.sub(r"<script>.*?</script>", "", text, flags=re.DOTALL)
    assert re.findall(r"url\((?!#)[^)]*\)|@import", markup) == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_policy_allows_exactly_the_scripts_of_the_page(folder, language):
    elements = Elements(page(folder, language))
    policy = next(
        a["content"] for _, a in elements.tags if "Security" in (a.get("http-equiv") or "")
    )
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert "unsafe-eval" not in policy
    assert "unsafe-inline" not in rules["script-src"]
    scripts = [text for text in elements.scripts if not text.startswith("{")]
    digests = [base64.b64encode(hashlib.sha256(s.encode()).digest()).decode() for s in scripts]
    assert rules["script-src"].split() == [f"'sha256-{digest}'" for digest in digests]
    assert len(elements.scripts) == 3


@pytest.mark.parametrize("language", LANGUAGES)
def test_page_is_built_for_every_reader(folder, language):
    elements = Elements(page(folder, language))
    assert dict(elements.tags)["html"]["lang"] == language
    levels = [int(tag[1]) for tag, _ in elements.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    ids = [a["id"] for _, a in elements.tags if "id" in a]
    assert len(ids) == len(set(ids))
    tags = [tag for tag, _ in elements.tags]
    assert tags.count("table") == tags.count("caption") > 10
    heads = [a for tag, a in elements.tags if tag == "th"]
    assert all(a.get("scope") in {"col", "colgroup", "row"} for a in heads)
    pictures = [a for _, a in elements.tags if a.get("role") == "img"]
    assert pictures
    assert all(a["aria-label"] for a in pictures)


@pytest.mark.parametrize("language", LANGUAGES)
def test_notice_stands_on_every_page_of_the_document(inputs, folder, language):
    notice = inputs.spec.study.notice.in_language(language)
    pages = pdf_pages(folder / f"report.{language}.pdf")
    assert len(pages) > 5
    for text in pages:
        assert notice in re.sub(r"\s+", " ", text)
    assert page(folder, language).count(notice) >= 2


def test_document_is_archival_and_dated_by_the_data(folder):
    reader = pypdf.PdfReader(folder / "report.ko.pdf")
    assert reader.metadata.creation_date.date().isoformat() == "2019-07-03"
    xmp = reader.trailer["/Root"]["/Metadata"].get_data().decode()
    assert "<pdfaid:part>2</pdfaid:part><pdfaid:conformance>B</pdfaid:conformance>" in xmp
    fonts = {
        str(font.get_object()["/BaseFont"])
        for one in reader.pages
        for font in one["/Resources"]["/Font"].values()
    }
    assert any("NotoSansCJKkr" in name for name in fonts)


def test_korean_text_can_be_extracted(folder):
    text = re.sub(r"\s+", "", "".join(pdf_pages(folder / "report.ko.pdf")))
    for word in ("위험비", "신뢰구간", "성향점수", "표준화평균차", "제한평균생존시간", "누적발생률",
                 "인년", "급성기관지염", "관찰기간2,649건"):  # fmt: skip
        assert word in text, word


def test_pictures_are_xml_with_text_in_the_report_font(folder):
    for file in sorted((folder / "figures").glob("*.svg")):
        root = ElementTree.fromstring(file.read_text(encoding="utf-8"))
        texts = [node for node in root.iter() if node.tag.endswith("}text")]
        assert len(texts) > 5, file.name
        assert not any(node.tag.endswith(("}script", "}image")) for node in root.iter())
        assert "Noto Sans CJK KR" in file.read_text(encoding="utf-8")


@pytest.mark.slow  # `make test` compares a whole run in another process and locale
def test_two_processes_write_the_same_bytes(folder, tmp_path):
    code = (
        "import sys; from pathlib import Path; from tasks.report.render import render_report;"
        "from tests.unit.test_report_world import world; render_report(world(), Path(sys.argv[1]))"
    )
    root = Path(__file__).parents[2]
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, cwd=root)
    for file in sorted(folder.rglob("*.*")):
        again = tmp_path / file.relative_to(folder)
        assert file.read_bytes() == again.read_bytes(), file.name


def evil_world() -> ReportInputs:
    text = Text(en=EVIL, ko=EVIL)
    spec: StudySpec = study()
    spec = spec.model_copy(
        update={
            "study": spec.study.model_copy(
                update={"title": text, "notice": text, "limits": (text,)}
            ),
            "target": spec.trial.target.model_copy(update={"name": text}),
            "outcome": spec.trial.outcome.model_copy(update={"name": text}),
            "report": spec.report.model_copy(update={"languages": ("en",)}),
        }
    )
    checks = [{**check, "reason_en": EVIL} for check in quality()[0]["checks"]]
    return world(
        spec=spec,
        balance=balance().with_columns(pl.lit(EVIL).alias("label_en")),
        attrition=attrition().with_columns(pl.lit(EVIL).alias("label_en")),
        quality=[{**quality()[0], "checks": checks}],
    )


def test_hostile_text_is_shown_and_never_run(tmp_path):
    render_report(evil_world(), tmp_path)
    text = page(tmp_path, "en")
    elements = Elements(text)
    assert len(elements.scripts) == 3
    assert not any(script.startswith("alert") for script in elements.scripts)
    assert text.count("<script") == 3
    assert "\\u003cscript\\u003ealert" in text
    assert html.escape("<script>alert(1)</script>") in text
    assert "{{7*7}}" in text
    printed = re.sub(r"\s+", "", "".join(pdf_pages(tmp_path / "report.en.pdf")))
    assert '#panic("x")$x$' in printed
    assert "{{7*7}}" in printed
    for file in (tmp_path / "figures").glob("*.svg"):
        root = ElementTree.fromstring(file.read_text(encoding="utf-8"))
        assert not any(node.tag.endswith("}script") for node in root.iter())


def test_withheld_is_said_and_never_zero():
    steps = attrition().with_columns(
        pl.when(pl.col("step") == 2).then(None).otherwise(pl.col("remaining")).alias("remaining"),
        pl.when(pl.col("step") == 2).then(None).otherwise(pl.col("excluded")).alias("excluded"),
        pl.when(pl.col("step") == 2).then(pl.lit("suppressed")).otherwise(pl.col("status")).alias("status"),
    )  # fmt: skip
    inputs = world(results=results(suppress="primary"), attrition=steps)
    content = build_content(inputs, "en")
    text = html_page(content)
    elements = Elements(text)
    hidden = [(row, shown) for row, _, shown in elements.numbers if row.startswith("primary/")]
    assert len(hidden) >= 5
    assert {shown for _, shown in hidden} == {"withheld"}
    steps_shown = [shown for row, _, shown in elements.numbers if "step=2" in row]
    assert steps_shown == ["withheld"] * 4
    assert "withheld left out" in text
    first = content.sections[0].blocks[0]
    assert "not shown" in plain(first.statements[0])
    assert "hazard ratio is" not in plain(first.statements[0])


def test_withheld_names_no_threshold_that_is_not_known():
    context = Context(world(provenance={"data_cutoff": "2019-07-03"}), "ko")
    assert context.state("suppressed") == "비공개"


def test_curves_that_are_all_withheld_leave_a_sentence_and_no_empty_chart():
    context = Context(world(results=results(suppress="cif")), "en")
    section = curves.section(context)
    assert "cumulative_incidence" not in [
        figure.id for figure in section.blocks if figure.kind == "figure"
    ]
    assert any(
        "withheld to protect" in plain(b.text) for b in section.blocks if b.kind == "paragraph"
    )


def key_statement(hr: float, low: float, high: float, language: str = "en") -> str:
    row = hazard("primary", "primary", "overlap", "cox_efron", "robust", hr, low, high, 0.5)
    inputs = world(results=results_frame([row], IDENTITY))
    section: Section = finding.section(Context(inputs, language))
    box = section.blocks[0]
    assert isinstance(box, Finding)
    return " ".join(plain(line) for line in (*box.statements, *box.cautions))


@pytest.mark.parametrize(
    ("numbers_of_row", "said", "unsaid"),
    [
        (
            (1.08, 0.76, 1.54),
            ["does not settle", "24% lower", "54% higher"],
            ["no difference", "went along"],
        ),
        ((1.40, 1.10, 1.80), ["higher hazard", "between 10% and 80% higher"], ["does not settle"]),
        ((0.70, 0.50, 0.90), ["lower hazard", "between 10% and 50% lower"], ["does not settle"]),
    ],
)
def test_the_key_finding_claims_no_more_than_the_interval(numbers_of_row, said, unsaid):
    text = key_statement(*numbers_of_row)
    assert all(word in text for word in said)
    assert not any(word in text for word in unsaid)
    assert "판단할 수 없다" in key_statement(1.08, 0.76, 1.54, "ko")


def test_a_missed_gate_is_said_beside_the_finding():
    gates = [
        {**gate, "verdict": "miss" if gate["name"] == "equipoise" else "pass"}
        for gate in world().gates
    ]
    box = finding.section(Context(world(gates=gates), "en")).blocks[0]
    assert any("1 of 4 gates of the study did not pass" in plain(line) for line in box.cautions)


def test_a_run_with_little_in_it_still_makes_a_report():
    empty = world(
        results=results().clear(), attrition=attrition().clear(), balance=balance().clear(),
        quality=[], gates=[],
    )  # fmt: skip
    content = build_content(empty, "en")
    assert len(content.sections) == 13
    assert [figure.id for figure in figures_of(content)] == ["design"]
    assert "<script>" not in html_page(content)


def test_a_report_needs_the_data_cut_off():
    with pytest.raises(ReportError, match="data_cutoff"):
        build_content(world(provenance={}), "en")


def test_not_estimable_hides_the_estimate_but_not_the_size():
    row = hazard("primary", "primary", "overlap", "cox_efron", "robust", 1.0, 0.5, 2.0, 0.5)
    context = Context(world(), "en")
    missing = {**context.first("hazard_ratio"), **row, "status": "not_estimable"}
    assert context.number(missing, "estimate", numbers.decimals).text == "not estimable"
    assert context.number(missing, "n", numbers.whole).text == "2,627"
    assert withheld(row)["n"] is None


def test_an_analysis_that_failed_is_listed_with_its_reason():
    row = hazard("cox_iptw", "sensitivity", "iptw_ate", "cox_efron", "robust", 1.0, 0.5, 2.0, 0.5)
    failed = {**row, "status": "not_estimable", "estimate": None, "note": "no events in one arm"}
    context = Context(world(results=results_frame([failed], IDENTITY)), "en")
    (table,) = other.not_estimable(context)
    assert [plain(cell) for cell in table.rows[0]] == [
        "cox_iptw", "Sensitivity", "IPT-weighted", "no events in one arm"
    ]  # fmt: skip


def test_a_difference_that_is_not_a_number_is_shown_as_none():
    odd = balance().with_columns(
        pl.when(pl.col("covariate") == "age")
        .then(float("nan"))
        .otherwise(pl.col("smd"))
        .alias("smd")
    )
    section = balance_section(Context(world(balance=odd), "en"))
    table = next(block for block in section.blocks if block.kind == "table")
    assert plain(table.rows[0][3]) == "–"


def test_checks_stand_gravest_first_and_shares_are_never_rounded_to_all_or_none():
    checks = [
        {**check, "status": "fail", "severity": "critical", "n_rows": 9000, "n_unexpected": 1, "share": 1 / 9000}
        if check["check_id"].startswith("person.person_id")
        else check
        for check in quality()[0]["checks"]
    ]  # fmt: skip
    context = Context(world(quality=[{**quality()[0], "checks": checks}]), "en")
    table = next(b for b in data.section(context).blocks if getattr(b, "id", "") == "failed_checks")
    assert plain(table.rows[0][2]) == "1 of 9,000 (<0.1%)"
    assert numbers.share(9999, 10_000) == ">99.9%"
    assert numbers.share(0, 10) == "0.0%"


def test_both_languages_say_the_same_things():
    texts = all_texts()
    assert all(fields_of(both["en"]) == fields_of(both["ko"]) for both in texts.values())
    assert Words("ko").term("role", "primary") == "주분석"
    assert Words("en").term("role", "never_heard_of") == "never heard of"


def test_a_text_of_a_design_goes_before_the_text_of_all():
    assert "치료 시작" in Words("ko", "new_user_active_comparator")("design.intro")
    assert "(영상 촬영)" in Words("ko", "device_shown_or_not")("design.intro")
    assert "인공지능" in Words("ko", "device_shown_or_not").interface()["report"]
    assert not any("@" in key for key in Words("ko").interface())
    designs = {key.partition("@")[2] for key in all_texts()} - {""}
    assert designs <= set(ENTERING)


@pytest.mark.parametrize(
    ("value", "text"), [(0.4712, "0.47"), (0.0123, "0.012"), (0.00004, "<0.001"), (0.995, ">0.99")]
)
def test_p_values(value, text):
    assert numbers.p_value(value) == text


def test_numbers_have_no_negative_zero_and_a_true_minus_sign():
    assert numbers.decimals(-0.0004) == "0.00"
    assert numbers.decimals(-1.234) == "−1.23"
    assert numbers.whole(1234567) == "1,234,567"
    assert numbers.percent(0.1234) == "12.3%"


def test_ratio_axis_is_symmetric_around_one():
    domain, ticks = charts.ratio_domain([{"estimate": 1.1, "low": 0.7, "high": 1.6}])
    assert domain == (0.5, 2.0)
    assert 1.0 in ticks


def test_axes_hold_every_band():
    points = [{"estimate": 0.93, "low": 0.921, "high": 0.94}]
    low, high = charts.survival_domain(points)
    assert low <= 0.921
    assert high == 1.0
    assert charts.incidence_domain([{"estimate": 0.05, "low": 0.04, "high": 0.071}])[1] >= 0.071


def test_picture_ids_do_not_depend_on_what_was_drawn_before():
    first = stable_svg('<g clip-path="url(#clip1)"/><clipPath id="clip1"/>', "a")
    later = stable_svg('<g clip-path="url(#clip97)"/><clipPath id="clip97"/>', "a")
    assert first == later


def test_long_labels_wrap():
    lines = wrapped("No gastrointestinal bleeding in the 30 days before time zero", 12.5, 236)
    assert len(lines) == 2


def test_runs_escape_text_and_source():
    from tasks.report.blocks import Run

    text = str(run_html(Run("<b>", row='x"y', exact="<i>")))
    assert (
        text == '<span class="num" data-row="x&#34;y" title="x&#34;y = &lt;i&gt;">&lt;b&gt;</span>'
    )


def test_cumulative_hazards_of_the_arms_are_drawn_as_numbers_not_shares():
    rows = [
        {**row, "unit": "cumulative hazard"}
        for row in curve("na", "cumulative_hazard", "crude", [7, 14])
    ]
    context = Context(world(results=results_frame(rows, IDENTITY)), "ko")
    drawn, table = curves.section(context).blocks
    axis = drawn.chart["layer"][0]["encoding"]["y"]["axis"]
    assert (axis["title"], axis["format"]) == ("누적위험", "~g")
    assert not any("%" in plain(cell) for row in table.rows for cell in row)
