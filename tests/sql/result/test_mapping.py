"""How much of what the sources coded has a concept, and what of that may be shown."""

import polars as pl
import pytest

from tasks.analysis.attrition import ATTRITION_SCHEMA
from tasks.analysis.balance import BALANCE_SCHEMA
from tasks.cohort.mapping import mapping_rows
from tasks.core.disclosure import release
from tests.tables import given

CONDITIONS = (
    "site_id:text | person_id:int | condition_occurrence_id:int | condition_start_date:date "
    "| condition_concept_id:int | condition_source_value:text\n"
)
DRUGS = (
    "site_id:text | person_id:int | drug_exposure_id:int | drug_exposure_start_date:date "
    "| drug_concept_id:int | drug_source_value:text\n"
)


def counted(con, conditions, drugs=""):
    given(con, "clean.condition_occurrence", CONDITIONS + conditions)
    given(con, "clean.drug_exposure", DRUGS + drugs)
    return mapping_rows(con, ["condition_occurrence", "drug_exposure", "person"])


def shares(rows):
    return [
        (r["site_id"], r["term"], r["stratum_level"], r["method"], r["n_events"], r["n"])
        for r in rows
        if r["estimate_name"] == "mapped_fraction"
    ]


def test_records_and_codes_by_site_table_and_period(con):
    conditions = """\
A | 1 | 1 | 2025-12-31 | 10 | K92.1
A | 1 | 2 | 2025-01-01 | 0  | K92.1
A | 2 | 3 | 2025-01-01 | 0  | K92.2
A | 2 | 4 | 2026-01-01 | 10 | K92.1
B | 3 | 1 | 2025-01-01 | 0  |
B | 3 | 2 | 2025-01-01 | 3  | """
    drugs = "A | 1 | 1 | 2020-01-01 | 7 | 642100010\nA | 1 | 2 | 2026-05-01 |  | 642100011"
    assert shares(counted(con, conditions, drugs)) == [
        ("A", "condition_occurrence", "after", "records", 1, 1),
        ("A", "condition_occurrence", "after", "codes", 1, 1),
        ("A", "condition_occurrence", "before", "records", 1, 3),
        ("A", "condition_occurrence", "before", "codes", 1, 2),
        ("A", "drug_exposure", "all", "records", 1, 2),
        ("A", "drug_exposure", "all", "codes", 1, 2),
        ("B", "condition_occurrence", "before", "records", 1, 1),
    ]


def test_the_most_frequent_codes_without_a_concept_and_only_what_looks_like_a_code(con):
    conditions = """\
A | 1 | 1 | 2025-01-01 | 0 | k92.1
A | 2 | 2 | 2026-01-01 | 0 | K92.1
A | 2 | 3 | 2025-01-01 | 0 | A00
A | 2 | 4 | 2025-01-01 | 0 | 홍길동
A | 2 | 5 | 2025-01-01 | 0 | Kim, called at noon
A | 2 | 6 | 2025-01-01 | 5 | B01"""
    codes = [r for r in counted(con, conditions) if r["estimate_name"] == "count"]
    assert [(r["stratum_level"], r["estimate"], r["n_clusters"]) for r in codes] == [
        ("K921", 2.0, 2),
        ("A00", 1.0, 1),
    ]


def persons(count, concept, code, start=1, day="2025-01-01"):
    return "\n".join(
        f"A | {n} | {n} | {day} | {concept} | {code}" for n in range(start, start + count)
    )


def shown(con, *parts, k=5):
    rows = counted(con, "\n".join(parts))
    empty = (pl.DataFrame(schema=ATTRITION_SCHEMA), pl.DataFrame(schema=BALANCE_SCHEMA))
    return release(rows, *empty, [], k).rows


def test_a_share_of_many_is_shown_without_the_persons_behind_it(con):
    rows = shown(con, persons(6, 1, "A00"), persons(6, 0, "B00", 7))
    [records] = [r for r in rows if r["method"] == "records"]
    assert (records["n"], records["n_events"], records["n_clusters"]) == (12, 6, None)


@pytest.mark.parametrize(
    "parts",
    [
        [persons(20, 1, "A00"), persons(4, 0, "B00", 21)],  # few unmapped
        [persons(4, 1, "A00"), persons(20, 0, "B00", 5)],  # few mapped
        [
            persons(20, 1, "A00"),
            "\n".join(f"A | 30 | {n} | 2025-01-01 | 0 | B0" for n in range(40, 60)),
        ],
    ],
    ids=["few unmapped", "few mapped", "many records of one person"],
)
def test_a_share_behind_which_few_persons_stand_is_withheld(con, parts):
    rows = shown(con, *parts)
    assert [r["estimate"] for r in rows if r["method"] == "records"] == [None]


def test_a_code_of_few_persons_is_left_out_and_not_only_emptied(con):
    rows = shown(con, persons(9, 0, "A00"), persons(4, 0, "RARE1", 10))
    assert [r["stratum_level"] for r in rows if r["stratum_name"] == "unmapped_code"] == ["A00"]
    assert [r["n_clusters"] for r in rows if r["stratum_name"] == "unmapped_code"] == [None]


def test_without_a_threshold_everything_is_shown(con):
    rows = shown(con, persons(1, 0, "RARE1"), k=None)
    assert "RARE1" in {r["stratum_level"] for r in rows}
