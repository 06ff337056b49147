"""The bundled study of a device, end to end on two small simulated hospitals."""

import polars as pl
import pytest

from flows.orders.study import study_run
from tasks.core.errors import NoDataError
from tests.device_world import TRUE_HAZARD_RATIO, a_consortium, hospital
from tests.ingest_world import a_home, ingest, write_delivery

STUDY = "ai_cxr_triage"
pytestmark = pytest.mark.xdist_group("device_study")


@pytest.fixture(scope="module")
def outcome(tmp_path_factory):
    """The study on a home that also holds a real hospital with the same device."""
    home = a_consortium(a_home(tmp_path_factory.mktemp("device")))
    ingest(home, write_delivery(home.inbox / "real" / "D-1", hospital(30, 9), site_id="real"))
    return study_run(home, STUDY)


def results(outcome, **where):
    rows = pl.read_parquet(outcome.folder / "results.parquet").to_dicts()
    return [row for row in rows if all(row[key] == value for key, value in where.items())]


def test_it_is_published_and_its_gates_pass(outcome):
    assert outcome.status == "published"
    assert {gate["verdict"] for gate in outcome.gates} == {"pass"}
    assert {file.name for file in outcome.reports} == {
        f"report.{language}.{kind}" for language in ("en", "ko") for kind in ("html", "pdf")
    }


def test_only_the_simulated_sites_are_used(outcome):
    people = [row["n"] for row in results(outcome, analysis_id="follow_up", stratum_level=None)]
    assert 1600 < sum(people) < 1800
    sites = results(outcome, analysis_id="sites")
    assert {row["site_id"] for row in sites} == {"sim-01", "sim-02"}
    assert sum(row["n"] for row in sites) == sum(people)
    page = (outcome.folder / "report.en.html").read_text(encoding="utf-8")
    assert "sim-01" in page
    assert "sim-02" in page
    assert ">real<" not in page
    assert "Persons and events by site" in page
    assert "Row balance by site" in page


def ratio(outcome, analysis):
    """The hazard ratio of an analysis, with the error that counts the fit of the weights."""
    [row] = results(
        outcome, analysis_id=analysis, estimate_name="hazard_ratio", se_method="m_estimation"
    )
    return row


def test_adjustment_recovers_what_the_crude_comparison_misses(outcome):
    [crude] = results(outcome, analysis_id="cox_crude", estimate_name="hazard_ratio")
    primary = ratio(outcome, "primary")
    assert primary["ci_low"] < TRUE_HAZARD_RATIO < primary["ci_high"]
    assert crude["estimate"] > primary["estimate"] + 0.1


def test_the_loyal_are_analysed_with_a_model_of_their_own(outcome):
    loyal, primary = ratio(outcome, "cox_loyal"), ratio(outcome, "primary")
    assert (loyal["stratum_name"], loyal["stratum_level"]) == ("population", "loyal")
    assert loyal["ci_low"] < TRUE_HAZARD_RATIO < loyal["ci_high"]
    arms = results(outcome, analysis_id="follow_up", stratum_level="loyal")
    assert sum(row["n"] for row in arms) == loyal["n"]
    assert loyal["n"] == pytest.approx(primary["n"] * 2 / 3, rel=0.02)
    assert {row["population"] for row in arms} == {"crude"}
    [balance] = results(
        outcome, estimate_name="max_smd", stratum_level="loyal", population="overlap"
    )
    assert balance["estimate"] < 1e-6
    assert loyal["note"] == primary["note"] == "estimand effect_of_showing"


def test_the_report_states_the_trial(outcome):
    page = (outcome.folder / "report.en.html").read_text(encoding="utf-8")
    page = page.replace("<wbr>", "")
    for said in (
        "effect_of_showing", "Strategies and assignment", "each at the threshold it was approved",
        "Intercurrent events", "The inference fails.", "Where events can be seen",
        "at least two visits to the hospital in the year before the image",
        " · at least two visits", "Images of the code list, at any time",
    ):  # fmt: skip
        assert said in page, said


def test_only_what_the_study_names_is_a_covariate(outcome):
    balance = pl.read_parquet(outcome.folder / "balance.parquet")
    of_place = [c for c in balance["covariate"] if c.startswith(("site=", "quarter="))]
    assert any(c.startswith("site=sim-") for c in of_place)
    assert set(balance["covariate"]) - set(of_place) == {
        "age", "sex=8532", "history=copd", "history=diabetes",
    }  # fmt: skip
    assert "만성폐쇄성폐질환" in set(balance["label_ko"])


@pytest.mark.parametrize(
    ("language", "said", "not_said"),
    [
        (
            "en",
            (
                "AI result shown", "AI result not shown", "08800000000017", "1.0, 2.0",
                "comparative effectiveness of an AI medical device", "2024-01-01",
                "from day 1 to day 365", "none of these persons, hospitals or devices exists",
            ),
            ("drug", "new user", "treatments", "before treatment", "celecoxib", " era ", "starting"),
        ),
        (
            "ko",
            ("AI 결과 제시군", "인공지능 의료기기 비교효과", "사용목적", "1일부터 365일까지"),
            ("약물", "투여", "신규 사용자", "에라", "치료"),
        ),
    ],
)  # fmt: skip
def test_the_report_speaks_of_the_device_and_of_no_drug(outcome, language, said, not_said):
    page = (outcome.folder / f"report.{language}.html").read_text(encoding="utf-8")
    text = page[page.index("<body") : page.index('<script type="application/json"')]
    for words in said:
        assert words in text, words
    for words in not_said:
        assert words not in text, words


def test_without_a_simulated_site_the_study_waits(tmp_path):
    home = a_home(tmp_path)
    ingest(home, write_delivery(home.inbox / "real" / "D-1", hospital(30, 9), site_id="real"))
    with pytest.raises(NoDataError, match="a site sim-…"):
        study_run(home, STUDY)
