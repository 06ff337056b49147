"""The section of descriptions: names, gaps, both languages."""

import polars as pl
import pytest

from tasks.analysis.attrition import ATTRITION_SCHEMA
from tasks.analysis.balance import BALANCE_SCHEMA
from tasks.core.labels import in_language, joined
from tasks.core.paths import STUDIES_DIR
from tasks.core.results import result_row, results_frame, withheld
from tasks.core.spec import load_study
from tasks.report.blocks import plain
from tasks.report.charts_describe import series_chart
from tasks.report.context import Context
from tasks.report.model import ReportInputs
from tasks.report.sections.characterisation import section
from tests.unit.test_report_world import IDENTITY


def row(analysis, name, method, **values):
    return result_row(analysis, "descriptive", name, method=method, **values)


def rate(year, events, level=None):
    return row(
        "bleeding_rate", "incidence_rate", "incidence", population="everybody_observed",
        outcome="bleeding", term=year, stratum_name="age" if level else None, stratum_level=level,
        estimate=float(events), ci_low=events / 2, ci_high=events * 2.0, n=500, n_events=events,
        person_time=180_000.0,
    )  # fmt: skip


def rows():
    bins = [
        row("bleeding_around_start", "count", "time_to_event", population="celecoxib",
            outcome="bleeding", estimate=30.0, at=at, at2=at + 29, n=300, n_events=30)
        for at in (-30.0, 0.0)
    ]  # fmt: skip
    table = [
        row("users", "count", "table_one", population="cohort", arm=arm, estimate=n, n=int(n))
        for arm, n in (("diclofenac", 830.0), ("celecoxib", 1800.0))
    ] + [
        row("users", "proportion", "table_one", population="cohort", arm=arm, term="sex=8532",
            stratum_name="sex", estimate=0.5, n=1800, n_events=900, note=joined("Sex: female", "성별: 여"))
        for arm in ("celecoxib", "diclofenac")
    ] + [
        row("users", "mean", "table_one", population="cohort", arm=arm, term="age",
            statistic_name="sd", statistic=3.3, estimate=38.2, n=1800, note=joined("Age", "나이"))
        for arm in ("celecoxib", "diclofenac")
    ] + [
        row("users", "smd", "table_one", population="cohort", term="age", estimate=0.022, n=2630,
            note=joined("Age", "나이"))
    ]  # fmt: skip
    paths = [
        row("after_celecoxib", "count", "treatment_patterns", population="celecoxib", term=term,
            estimate=float(n), n=1800, n_events=n)
        for term, n in (("aspirin > paracetamol", 900), ("none", 600), ("other", 300))
    ]  # fmt: skip
    gaps = [
        row("completeness", "record_fraction", "missingness", term="death", estimate=0.1, n=10, n_events=1),
        row("completeness", "missing_fraction", "missingness", term="death.cause_concept_id",
            estimate=1.0, n=10, n_events=10),
    ]  # fmt: skip
    rates = [rate("2019", 20), withheld(rate("2020", 3)), rate("2021", 40),
             *(rate(y, 9, b) for b in ("30-49", "<30", "50+") for y in ("2019", "2020"))]  # fmt: skip
    return [*table, *rates, *bins, *paths, *gaps]


def made(language):
    spec = load_study(str(STUDIES_DIR / "examples" / "gibleed_description.yaml"))
    inputs = ReportInputs(
        spec, results_frame(rows(), IDENTITY), pl.DataFrame(schema=ATTRITION_SCHEMA),
        pl.DataFrame(schema=BALANCE_SCHEMA), [], [], [], {"data_cutoff": "2019-07-03"},
    )  # fmt: skip
    return section(Context(inputs, language))


def words(block):
    cells = [plain(cell) for line in getattr(block, "rows", ()) for cell in line]
    return " | ".join([*(c.label for c in getattr(block, "columns", ())), *cells])


@pytest.mark.parametrize("language", ["en", "ko"])
def test_each_description_has_its_heading(language):
    blocks = made(language).blocks
    headings = [b.text for b in blocks if b.kind == "heading"]
    assert len(headings) == 7
    assert [b.kind for b in blocks].count("figure") == 3  # series, by age, bins


def test_tables_name_what_the_study_names():
    tables = {b.id: words(b) for b in made("en").blocks if b.kind == "table"}
    # columns in the order of the study, whatever the order of rows
    assert "celecoxib (n = 1,800) | diclofenac (n = 830) | SMD" in tables["users_table"]
    assert "Age | 38.2 (3.3) | 38.2 (3.3) | 0.022" in tables["users_table"]
    assert "Sex: female | 900 (50.0%)" in tables["users_table"]
    assert "aspirin → paracetamol | 900 | 50.0%" in tables["after_celecoxib_table"]
    assert "none of them | 600" in tables["after_celecoxib_table"]
    assert "2020 | all | withheld | withheld | withheld | withheld" in tables["bleeding_rate_table"]
    ages = [line for line in tables["bleeding_rate_table"].split(" | ") if line.startswith("age ")]
    assert list(dict.fromkeys(ages)) == ["age <30", "age 30-49", "age 50+"]
    korean = {b.id: words(b) for b in made("ko").blocks if b.kind == "table"}
    assert "나이 | 38.2 (3.3)" in korean["users_table"]
    assert "아스피린 → 아세트아미노펜" in korean["after_celecoxib_table"]


def test_what_is_withheld_is_a_gap_in_the_picture_and_axes_hold_estimates():
    figure = next(b for b in made("en").blocks if b.kind == "figure")
    values = figure.chart["data"]["values"]
    assert [v["estimate"] for v in values] == [20.0, None, 40.0]
    assert "20" not in values[1]["value_text"].replace("2020", "")
    wide = [{"interval": "2019", "level": "all", "estimate": 1.0, "low": 0.0, "high": 900.0}]
    axis = series_chart(wide, "rate", ["all"], ".1f")["layer"][1]["encoding"]["y"]["scale"]
    assert axis["domain"] == [0, 1.6]


def test_labels_keep_both_languages():
    assert in_language(joined("Age", "나이"), "ko") == "나이"
    assert in_language(joined("Age", "나이"), "en") == "Age"
    assert in_language(joined("Aspirin", "Aspirin"), "ko") == "Aspirin"


def test_the_axis_holds_the_intervals_of_every_line():
    """A line that begins late, or ends late, has its points where they belong."""
    points = [
        {
            "interval": str(year),
            "level": level,
            "estimate": 1.0,
            "low": 0.5,
            "high": 2.0,
            "value_text": "",
        }
        for year, level in ((2018, "a"), (2019, "a"), (2019, "b"), (2020, "b"))
    ]
    chart = series_chart(points, "rate", ["a", "b"], ".1f")
    assert chart["encoding"]["x"]["scale"]["domain"] == ["2018", "2019", "2020"]
