"""The report of a trial of cohorts: its words are those of its design, in both languages."""

import re

import polars as pl
import pytest

from tasks.core.results import result_row, results_frame
from tasks.report.content import build_content
from tasks.report.html import html_page
from tests.design_world import DRUG, TEXT, loaded, population, rule, within
from tests.unit.test_report_world import IDENTITY, attrition, balance, results
from tests.unit.test_report_world import world as drug_world

PAST = {"from_days": -365, "to_days": -1}
NO_BLEED = {"id": "no_bleed", "name": {"en": "an old bleed", "ko": "이전 출혈"},
            "exclude": within(PAST)}  # fmt: skip
SENTENCE = "at least 1 record of gi_bleed (condition) from 365 days to 1 day before time zero"
RULES = (
    f"Excluded — an old bleed: {SENTENCE}", f"unnamed_rule: {SENTENCE}",
    f"Left out: {SENTENCE}. Required: {SENTENCE}.",
    "The first of these ends follow-up earlier: end of observation; ",
    "record of diclofenac (drug exposure).",
)  # fmt: skip
CHANGES = {
    "design.eligibility": [NO_BLEED, *rule(within(PAST), rule_id="unnamed_rule")],
    "design.censor_events": [{"domain": "drug_exposure", "code_list": "diclofenac"}],
    "design.populations": population(within(PAST)),
    "outcome": {"name": {"en": "the outcome", "ko": "결과"}, "cohort": "bleed"},
    "cohorts.2": {"id": "bleed", "sql": "bleed.sql"},
    "target.name": {"en": "newly treated", "ko": "신규"},
    "comparator.name": {"en": "otherwise treated", "ko": "기존"},
}


@pytest.fixture
def page(tmp_path):
    """Pages of a study of cohorts that has no results yet, by language."""
    (tmp_path / "bleed.sql").write_text("select 1", encoding="utf-8")
    spec = loaded(tmp_path, "cohort", CHANGES)
    sizes = [
        result_row(
            "cohorts", "descriptive", "count", population=cohort, unit=unit, estimate=9.0, n=9
        )
        for cohort in ("new", "old", "bleed")
        for unit in ("persons", "spans")
    ]
    empty = {"results": results_frame(sizes, IDENTITY), "attrition": attrition().clear(),
             "balance": balance().clear(), "gates": []}  # fmt: skip
    inputs = drug_world(spec=spec, **empty)
    return lambda language: re.sub(r"<[^>]+>", "", html_page(build_content(inputs, language)))


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("en", ("enter the cohort of newly treated or of otherwise treated", "cohort new of the study",
                "Time zero (day 0): eligibility, assignment and start of follow-up", *RULES,
                "record of diclofenac (drug exposure)", "end of the cohort span + 30 days", "not observed",
                "bleeding_while_exposed", "while on treatment", "words (analyses: none)",
                "cohort bleed of the study")),
        ("ko", ("코호트에 진입한 사람", "기준일(0일): 선정, 배정, 추적 시작", "제외 — 이전 출혈: 기준일", "치료 중 전략",
                "제외 조건: ", "추적이 더 일찍 끝난다: 관찰 종료",
                "diclofenac(약물 노출) 기록", "확인할 수 없음")),
    ],
)  # fmt: skip
def test_it_states_the_trial_in_the_words_of_its_design(page, language, said):
    text = page(language)
    for words in said:
        assert words in text, words


def test_a_study_without_estimand_says_so(tmp_path):
    changes = {"design.estimands": [], "analyses": [DRUG["analyses"][0]]}
    inputs = drug_world(spec=loaded(tmp_path, "drug", changes))
    text = html_page(build_content(inputs, "en"))
    assert "this study only replicates or explores" in text
    assert "Intercurrent events" not in text


def test_every_primary_analysis_has_a_statement(tmp_path):
    by_time = DRUG["design"]["estimands"][0] | {
        "id": "by_time", "summary_measure": "rmst_difference", "statement": TEXT,
    }  # fmt: skip
    analyses = [a | {"estimand": "bleeding_while_exposed"} for a in DRUG["analyses"]]
    analyses[9] |= {"estimand": "by_time", "role": "primary"}
    spec = loaded(tmp_path, "drug", {"design.estimands.1": by_time, "analyses": analyses})
    found = results().with_columns(
        role=pl.when(analysis_id="rmst_overlap")
        .then(pl.lit("primary")).otherwise("role")
    )  # fmt: skip
    text = html_page(build_content(drug_world(spec=spec, results=found), "en"))
    finding = text[text.index('class="statement"') : text.index('class="tiles"')]
    assert "hazard ratio is" in finding
    assert "rmst_overlap/rmst_difference" in finding
