"""The report says how much of the source codes has a concept, in both languages."""

import polars as pl
import pytest

from tasks.cohort.mapping import _code, _shares
from tasks.core.results import results_frame
from tasks.core.spec.code_lists import CodeList, ConceptItem, SourceCodes
from tasks.report.blocks import Details, Table, plain
from tasks.report.context import Context
from tasks.report.sections.mapping import blocks
from tasks.report.sections.question import _members
from tests.unit.test_report_world import results, world

IDENTITY = dict.fromkeys(("study_id", "spec_hash", "run_id", "data_cutoff"), "x") | {
    "snapshot_id": 1
}


def content(language, rows):
    frame = pl.concat([results(), results_frame(rows, IDENTITY)])
    return blocks(Context(world(results=frame), language))


def rows():
    return [
        *_shares("A", "condition_occurrence", "after", 50, 50, 9, 9, 20),
        *_shares("A", "condition_occurrence", "before", 20000, 19999, 30, 29, 20),
        *_shares("A", "drug_exposure", "all", 10, 0, 0, 0, 8),
        _code("A", "condition_occurrence", "A00", 7, 6),
        _code("A", "condition_occurrence", "K921", 40, 6),
    ]


def cells(table):
    return [[plain(cell) for cell in row] for row in table.rows]


@pytest.mark.parametrize(
    ("language", "before"), [("en", "until 2025-12-31"), ("ko", "2025-12-31까지")]
)
def test_shares_stand_in_order_and_are_never_rounded_to_all(language, before):
    [table] = [b for b in content(language, rows()) if isinstance(b, Table)]
    lines = cells(table)
    assert lines[0][2] == before
    assert lines[0][3:] == ["20,000", ">99.9%", "30", "96.7%"]
    assert lines[1][3:] == ["50", "100.0%", "9", "100.0%"]
    assert lines[2][3:] == ["10", "0.0%", "–", "–"]


def test_the_most_frequent_codes_stand_first():
    [opened] = [b for b in content("en", rows()) if isinstance(b, Details)]
    assert [line[2:] for line in cells(opened.blocks[0])] == [["K921", "40"], ["A00", "7"]]


def test_a_run_that_counted_nothing_says_nothing():
    assert blocks(Context(world(), "en")) == []


def test_the_question_names_all_that_a_list_holds():
    said = CodeList(
        id="l1",
        source="drawn",
        include_descendants=True,
        concepts=(7, ConceptItem(concept=8, exclude=True)),
        codes=(SourceCodes(vocabulary="KCD8", codes=("K92*",), exclude=("K92.8",)),),
        file="a.csv",
    )
    assert _members(said) == ("7", "−8", "KCD8 K92*", "−KCD8 K92.8", "a.csv")
