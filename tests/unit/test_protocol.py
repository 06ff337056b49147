"""The protocol: nine sections, exact sentences, nothing from a clock, the same in both forms."""

import re
from html.parser import HTMLParser

import pytest
from pydantic import create_model

from tasks.core.spec import StudySpec, load_study
from tasks.core.spec.base import Frozen, Text
from tasks.core.spec.cohorts import Rule, SqlCohort
from tasks.core.spec.columns import TimeColumn
from tasks.core.spec.conditions import Age, AgeRule
from tasks.report.blocks import Table, plain
from tasks.report.phrases import PHRASES_FILE, phrases_of
from tasks.report.protocol.document import build_protocol, lines_of, open_places, write_protocol
from tasks.report.protocol.markdown import escaped, markdown
from tasks.report.protocol.page import html_page
from tasks.report.texts import texts_of
from tasks.report.voice import PROTOCOL_FILE
from tests.study_files import COHORTS, DESCRIPTION, DEVICE, GRACE, NEW_USER, REGISTRY, changed_spec

STUDIES = (DESCRIPTION, NEW_USER, DEVICE, COHORTS, REGISTRY, GRACE)
ANNEXES = ["references", "appendix"]
NINE = "title_page abstract amendments milestones rationale question methods limitations protection"


class Page(HTMLParser):
    """Tags and text of a page."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.text = [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data


@pytest.fixture(scope="module", params=STUDIES)
def spec(request):
    return load_study(request.param)


@pytest.mark.parametrize("language", ["en", "ko"])
def test_the_nine_sections_stand_in_order(spec, language):
    protocol = build_protocol(spec, language)
    assert [section.id for section in protocol.sections] == [*NINE.split(), *ANNEXES]
    numbers = [section.title.split(".")[0] for section in protocol.sections[:9]]
    assert numbers == list("123456789")


@pytest.mark.parametrize("language", ["en", "ko"])
def test_the_page_is_whole_and_reads_without_a_network(spec, language):
    html = html_page(build_protocol(spec, language))
    page = Page(html)
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    assert dict(page.tags)["html"]["lang"] == language
    assert not {tag for tag, _ in page.tags} & {"script", "link", "iframe", "img"}
    outside = re.findall(r'(?:src|href)="(?!#|protocol\.)[^"]*"', html)
    assert outside == []


def test_both_languages_and_both_forms_hold_the_same_places_and_cells(spec):
    counts = set()
    for language in ("en", "ko"):
        protocol = build_protocol(spec, language)
        text = Page(html_page(protocol)).text
        document = markdown(protocol)
        mark = "[to be written" if language == "en" else "[작성 필요"
        counts.add((text.count(mark), document.count(escaped(mark))))
        tables = [b for s in protocol.sections for b in s.blocks if isinstance(b, Table)]
        for cell in (cell for table in tables for row in table.rows for cell in row):
            assert "".join(plain(cell).split()) in "".join(text.split())
    assert len(counts) == 1
    [(in_page, in_document)] = counts
    assert in_page == in_document == sum(1 for s in protocol.sections for _ in open_places(s)) > 10


def test_every_rule_stands_in_the_protocol_word_for_word():
    spec = load_study(COHORTS)
    for language in ("en", "ko"):
        text = Page(html_page(build_protocol(spec, language))).text
        phrases = phrases_of(spec, language)
        rules = [rule for cohort in spec.cohorts for rule in cohort.rules]
        assert rules
        assert all(phrases.condition(rule.condition) in text for rule in rules)


def test_what_the_study_says_stands_in_its_table():
    protocol = build_protocol(load_study(NEW_USER), "en")
    tables = {b.id: b for s in protocol.sections for b in s.blocks if isinstance(b, Table)}
    rows = {name: [[plain(c) for c in row] for row in table.rows] for name, table in tables.items()}
    washout = (
        "a record of gastrointestinal bleeding from 30 days before time zero to the day before "
        "the risk window begins"
    )
    assert ["Earlier outcome", washout, "[−30,\u00a0−1]"] in rows["exclusion"]
    assert rows["follow_up"][1] == ["Ends", "30 days after end of exposure"]
    analyses = tables["analyses"]
    assert [plain(analyses.rows[place][0]) for place in analyses.marked] == ["primary"]
    assert len(analyses.rows) == len(load_study(NEW_USER).analyses)
    lists = {row[0].split()[0] for row in rows["code_lists"]}
    controls = {control.id for control in load_study(NEW_USER).negative_controls}
    assert lists - controls == {
        "celecoxib",
        "diclofenac",
        "gi_bleed",
    }


def rows_of(spec, language="en"):
    """Every table of a protocol by its id, as rows of plain cells."""
    blocks = [b for s in build_protocol(spec, language).sections for b in s.blocks]
    found = [block for block in blocks if isinstance(block, Table)]
    return {t.id: [[plain(cell) for cell in row] for row in t.rows] for t in found}


def lines(spec, language="en"):
    """Every line of a protocol, as it is written."""
    sections = build_protocol(spec, language).sections
    return [plain(line) for s in sections for block in s.blocks for line in lines_of(block)]


def test_an_adjusted_model_of_a_table_says_what_it_adjusts_for():
    spec = load_study(REGISTRY)
    rows = rows_of(spec)
    adjusted = {row[0]: row[3] for row in rows["analyses"]}
    assert adjusted["adjusted"] == (
        "covariates in the model: age, sex, stage; standard errors robust to clusters of center"
    )
    assert adjusted["within_centers"].split("; ")[1] == "stratified by center"
    assert (adjusted["test"], adjusted["curves"]) == ("stratified by center", "no adjustment")
    assert [row[0] for row in rows["registry_covariates"]] == ["age", "sex", "stage"]
    said = lines(spec)
    assert not any("No covariate" in line for line in said)
    assert [line for line in said if line.startswith("Missing data")] == [
        "Missing data. Source registry: rows that lack a value are left out; no value is imputed."
    ]


def test_the_roles_of_a_table_stand_in_their_places_of_the_protocol():
    rows = rows_of(load_study(REGISTRY))
    [exposure], [outcome] = rows["registry_exposure"], rows["registry_outcome"]
    assert exposure == ["treatment", "registry", "category: standard (reference), new"]
    assert outcome[2] == (
        "alive = no event (censored); died of cancer = the event; died otherwise = competing event"
    )
    [[column, _, meaning]] = rows["registry_follow_up"]
    assert (column, meaning.rpartition(", ")[2]) == ("follow_up_months", "in months")


def test_a_table_goes_by_its_id_in_korean_too():
    details = [row[4] for row in rows_of(load_study(REGISTRY), "ko")["analyses"]]
    assert all(text.startswith("출처: registry") for text in details)


def test_weights_and_entry_of_a_table_are_told():
    spec = load_study(REGISTRY)
    [table] = spec.sources
    more = {"weight": "w", "entry": TimeColumn(column="seen_from", unit="years")}
    wider = table.model_copy(update={"roles": table.roles.model_copy(update=more)})
    rows = rows_of(spec.model_copy(update={"sources": (wider,)}))
    adjusted = {row[0]: row[3] for row in rows["analyses"]}
    assert "rows weighted by w" in adjusted["adjusted"]
    assert adjusted["curves"] == "rows weighted by w"
    assert "weighted" not in adjusted["rate"]
    assert rows["registry_follow_up"][1][:2] == ["seen_from", "registry"]


TERMS = (
    "terms: treatment + age + age^2 + sex + stage → treatment + age + sex + stage; "
    "strata: none → center"
)
CRUDE = (
    "adjustment: overlap weights → no adjustment; "
    "standard error: robust (sandwich) → from the model"
)


@pytest.mark.parametrize(
    ("study", "analysis", "otherwise"),
    [
        (REGISTRY, "within_centers", TERMS),
        (DEVICE, "cox_crude", CRUDE),
        (DEVICE, "cox_loyal", "population: everybody → loyal"),
    ],
)  # fmt: skip
def test_a_sensitivity_analysis_says_all_that_differs_from_its_primary(study, analysis, otherwise):
    [line] = [line for line in lines(load_study(study)) if line.startswith(f"{analysis} (against")]
    assert line.endswith(f"): {otherwise}")


def test_the_measure_of_effect_is_that_of_the_estimand_with_its_method_after_it():
    measures = dict(rows_of(load_study(DEVICE))["pico"])["Main measure of effect"]
    assert measures == "hazard ratio (primary: Cox model, overlap weights)"
    [line] = [line for line in lines(load_study(DEVICE)) if line.startswith("Propensity score")]
    assert "age, sex, site, quarter, history" in line
    assert "Overlap weights are the probability of the other arm" in line
    assert "Matching" not in line


def test_two_writings_are_the_same_bytes(tmp_path):
    spec = load_study(DEVICE)
    first, second = (write_protocol(spec, ("en", "ko"), tmp_path / name) for name in "ab")
    assert [file.read_bytes() for file in first] == [file.read_bytes() for file in second]
    names = {file.relative_to(tmp_path / "a").as_posix() for file in first}
    assert names == {
        f"{stem}.{language}.{kind}"
        for language in ("en", "ko")
        for stem, kind in (("protocol", "html"), ("protocol", "md"), ("figures/design", "svg"))
    }


def test_a_text_of_the_study_never_becomes_markup(tmp_path):
    hostile = "<b>x</b> | `y` ![z](https://x.y) {{ 7 * 7 }} # *t*"
    old = "en: Chest X-ray AI result shown at first read and acute respiratory failure (simulated data)"
    spec = changed_spec(tmp_path, DEVICE, (old, f"en: '{hostile}'"))
    protocol = build_protocol(spec, "en")
    page = Page(html_page(protocol))
    assert hostile in page.text
    assert "b" not in {tag for tag, _ in page.tags}
    head = markdown(protocol).splitlines()[0]
    assert head == (r"# \<b\>x\</b\> \| \`y\` \!\[z\](https://x.y) \{\{ 7 \* 7 \}\} \# \*t\*")


def test_the_text_of_a_file_is_embedded_and_never_becomes_markup():
    text = "select 1 -- </pre><script>alert(1)</script> {{ 7 * 7 }}\n-- ```` `x`\n"
    spec = load_study(COHORTS)
    mine = SqlCohort(id="mine", sql="mine.sql")
    spec = spec.model_copy(update={"cohorts": (mine,)}).with_files({"mine.sql": text})
    protocol = build_protocol(spec, "en")
    page = Page(html_page(protocol))
    assert text in page.text
    assert "script" not in {tag for tag, _ in page.tags}
    assert f"`````\n{text}`````\n" in markdown(protocol)


DESCRIBED = (
    (
        "users: Of the members of “celecoxib”, “diclofenac”, on the first day of each: "
        "age, age_band, sex, visits, prior_condition."
    ),
    (
        "bleeding_on_celecoxib: New events of “gi_bleed” by person-time at risk of “celecoxib”. "
        "After the end of an event, 365 days are not at risk. Later events of a person count too. "
        "Given over the whole time."
    ),
    (
        "use_of_celecoxib: Share of “everybody observed” that is in “celecoxib” on the first day "
        "of each year. Only the days 1980-01-01 to 2018-12-31 count."
    ),
    (
        "after_celecoxib: The order in which “aspirin”, “paracetamol”, “gastrointestinal "
        "bleeding” first begin in the 3,650 days from the first start of “celecoxib” on, up to 3 "
        "steps. A treatment begun at most 7 days after the one before is of the same step."
    ),
)


def test_a_description_is_told_in_sentences():
    said = lines(load_study(DESCRIPTION))
    for line in DESCRIBED:
        assert line in said, line
    [around] = [line for line in said if line.startswith("bleeding_around_start")]
    assert around.endswith(
        "[−30,\u00a0−1], [0,\u00a029], [30,\u00a089], [90,\u00a0364]; of those observed in them."
    )
    assert "The study has no analysis beyond counts and attrition." not in said


@pytest.mark.parametrize("language", ["en", "ko"])
def test_no_key_of_a_description_is_shown_as_it_stands_in_the_file(language):
    said = " ".join(lines(load_study(DESCRIPTION), language))
    for key in ("at risk:", "clean window", "bins days", "max steps", "combine days", "repeated:"):
        assert key not in said, key


def test_rules_have_their_days_and_windows_without_begin_are_open(tmp_path):
    rule = (
        "eligibility:\n    - id: loyal\n      require: {events: {domain: visit_occurrence}, "
        "at_least: 2, within: {from_days: -365, to_days: -1}}"
    )
    rows = rows_of(changed_spec(tmp_path, DEVICE, ("eligibility: []", rule)))
    assert [row[2] for row in rows["inclusion"] if row[0] == "loyal"] == ["[−365,\u00a0−1]"]
    assert [row[2] for row in rows["covariates"] if row[0] == "history"] == ["[…,\u00a0−1]"]


def test_all_sites_are_named_and_unseen_deaths_neither_compete_nor_end(tmp_path):
    rows = rows_of(changed_spec(tmp_path, NEW_USER, (", sites: [eunomia]", "")))
    assert rows["sources"][0][2] == "all sites of the lake"
    competing = dict(rows["follow_up"])["Competing event"]
    assert competing.startswith("none; deaths are not observed")
    estimand = [row[0] for row in rows["estimand_1"]]
    assert all(name[0].isupper() for name in estimand)


class Block(Frozen):
    """A block that no page has heard of."""

    of_note: Text
    numbers: tuple[int, ...]
    rule: Rule


def test_blocks_without_words_of_their_own_are_shown_key_by_key():
    known = load_study(COHORTS)
    wider = create_model("Wider", __base__=StudySpec, novelty=(Block | None, None))
    rule = Rule(id="r1", require=AgeRule(age=Age(method="exact", at_least=40)))
    block = Block(of_note=Text(en="hear, hear", ko="들어라"), numbers=(1, 2), rule=rule)
    fields = {name: getattr(known, name) for name in StudySpec.model_fields}
    spec = wider(**fields, novelty=block)
    text = Page(html_page(build_protocol(spec, "ko"))).text
    for name, shown in (
        ("of note", "들어라"),
        ("numbers", "1, 2"),
        ("rule", "연령 40 이상(만 나이)"),
    ):
        assert f"novelty: {name}{shown}" in text


def test_every_key_of_a_study_has_a_word():
    """A key without one would stand in English on the Korean pages."""
    blocks = StudySpec.model_json_schema()["$defs"].values()
    keys = {key for block in blocks for key in block.get("properties", {})}
    words = texts_of(PROTOCOL_FILE)
    assert {key for key in keys if f"field.{key}" not in words} == set()
    assert len(keys) > 150


@pytest.mark.parametrize("file", [PROTOCOL_FILE, PHRASES_FILE], ids=lambda file: file.name)
def test_every_text_has_both_languages_with_the_same_fields(file):
    assert len(texts_of(file)) > 100
