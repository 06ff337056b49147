"""Which concepts and codes a list stands for, what is doubtful about it, and what it catches."""

import pytest

from tasks.cohort.code_lists import open_coded_records, resolve_code_lists, vocabulary_warnings
from tasks.core.spec import CodeList, StudySpec
from tasks.core.sql import build_table
from tests.tables import given, rows_of

ANCESTORS = """\
ancestor_concept_id:int | descendant_concept_id:int
1 | 1
1 | 2
1 | 3
3 | 3
3 | 4
1 | 4"""
MAPPED = """\
concept_id_1:int | concept_id_2:int | relationship_id:text
101 | 1 | Maps to
103 | 3 | Maps to
1 | 1 | Maps to
1 | 101 | Mapped from
109 | 3 | Is a"""
CONCEPTS = """\
concept_id:int | concept_name:text | vocabulary_id:text | standard_concept:text
1 | one | SNOMED | S
2 | two | SNOMED | S
3 | three | SNOMED | S
4 | four | SNOMED | C
101 | source one | ICD10 | """


@pytest.fixture
def world(con):
    given(con, "clean.concept_ancestor", ANCESTORS)
    given(con, "clean.concept_relationship", MAPPED)
    given(con, "clean.concept", CONCEPTS)
    return con


def study(*lists):
    text = {"en": "x", "ko": "x"}
    lists = [{"source": "drawn", **said} for said in lists]
    return StudySpec.model_validate(
        {
            "spec_version": 1,
            "study": {"id": "s1", "version": "1.0", "title": text, "question": text},
            "sources": [{"id": "lake", "kind": "lake"}],
            "code_lists": lists,
        }
    )


@pytest.mark.parametrize(
    ("concepts", "below", "members"),
    [
        ([1], False, [1]),
        ([1], True, [1, 2, 3, 4]),
        ([9], True, [9]),
        ([1, {"concept": 3, "include_descendants": False, "exclude": True}], True, [1, 2, 4]),
        ([1, {"concept": 3, "exclude": True}], True, [1, 2]),
        ([{"concept": 3, "exclude": True}, 3], False, []),
        ([{"concept": 1, "include_mapped": True}], False, [1, 101]),
        ([{"concept": 1, "include_mapped": True}], True, [1, 2, 3, 4, 101, 103]),
        (
            [
                {"concept": 1, "include_mapped": True},
                {"concept": 3, "include_mapped": True, "exclude": True},
            ],
            True,
            [1, 2, 101],
        ),
    ],
)
def test_concepts_with_what_is_below_and_mapped_less_what_is_excluded(
    world, concepts, below, members
):
    resolve_code_lists(
        world, study({"id": "l1", "concepts": concepts, "include_descendants": below})
    )
    assert [c for (c,) in rows_of(world, "select concept_id from cohort.code_list order by 1")] == (
        members
    )


def test_an_exclusion_of_one_list_leaves_another_alone(world):
    lists = (
        {
            "id": "l1",
            "concepts": [1, {"concept": 2, "exclude": True}],
            "include_descendants": False,
        },
        {"id": "l2", "concepts": [2], "include_descendants": False},
    )
    resolve_code_lists(world, study(*lists))
    assert rows_of(world, "from cohort.code_list order by all") == [("l1", 1), ("l2", 2)]


def test_source_codes_stand_in_plain_form_with_their_days(world):
    codes = [
        {"vocabulary": "KCD8", "codes": ["j96.0", "J96*"]},
        {"vocabulary": "KCD9", "codes": ["J96*"]},
        {"vocabulary": "EDI", "codes": ["HA201"]},
    ]
    resolve_code_lists(world, study({"id": "l1", "codes": codes}))
    assert rows_of(world, "from cohort.source_code order by all") == [
        ("l1", "EDI", "HA201", False, None, None),
        ("l1", "KCD8", "J96", True, None, "2025-12-31"),
        ("l1", "KCD8", "J960", False, None, "2025-12-31"),
        ("l1", "KCD9", "J96", True, "2026-01-01", None),
    ]


def told(con, *lists):
    spec = study(*lists)
    resolve_code_lists(con, spec)
    return [(m.code, m.where.rpartition(" ")[2], m.what) for m in vocabulary_warnings(con, spec)]


def test_nothing_is_doubtful_about_known_standard_concepts(world):
    assert told(world, {"id": "l1", "concepts": [1], "include_descendants": True}) == []


def test_doubtful_lists_are_named(world):
    one = {"id": "l1", "concepts": [1, 4, 77, 78], "include_descendants": False}
    two = {
        "id": "l2",
        "concepts": [2, {"concept": 2, "exclude": True}],
        "include_descendants": False,
    }
    assert [(code, name, what.split(":")[0]) for code, name, what in told(world, one, two)] == [
        ("W_CONCEPT_UNKNOWN", "l1", "77, 78"),
        ("W_CONCEPT_NOT_STANDARD", "l1", "4"),
        ("W_LIST_EMPTY", "l2", "nothing is left in the list"),
    ]


def test_a_vocabulary_that_was_not_delivered_is_told_once(con):
    for table, drawing in (
        ("concept_ancestor", ANCESTORS),
        ("concept_relationship", MAPPED),
        ("concept", CONCEPTS),
    ):
        given(con, f"clean.{table}", drawing.splitlines()[0])
    lists = (
        {"id": "l1", "concepts": [1], "include_descendants": True},
        {
            "id": "l2",
            "concepts": [{"concept": 2, "include_mapped": True}],
            "include_descendants": True,
        },
        {"id": "l3", "codes": [{"vocabulary": "EDI", "codes": ["HA201"]}]},
    )
    found = told(con, *lists)
    assert [code for code, _, _ in found] == ["W_NO_VOCABULARY"] * 2
    assert "concept_ancestor" in found[0][2]
    assert "concept_relationship" in found[1][2]


RECORDS = """\
site_id:text | person_id:int | condition_occurrence_id:int | condition_start_date:date | condition_concept_id:int | condition_source_value:text
A | 1 | 1 | 2025-12-31 | 1 | J96.0
A | 1 | 2 | 2026-01-01 | 0 | j96.1
A | 2 | 3 | 2026-01-02 | 0 | J96.1
B | 3 | 1 | 2025-05-05 | 0 | X1
B | 3 | 2 | 2025-05-06 | 2 | 홍길동"""


def test_what_a_list_catches_by_concept_and_by_code(world):
    given(world, "clean.condition_occurrence", RECORDS)
    codes = [{"vocabulary": "KCD8", "codes": ["J96*"]}, {"vocabulary": "KCD9", "codes": ["J96.1"]}]
    both = {"id": "l1", "concepts": [1], "include_descendants": True, "codes": codes}
    resolve_code_lists(world, study(both))
    open_coded_records(world, ["condition_occurrence"])
    build_table(world, "cohort.caught")
    assert rows_of(
        world,
        "select vocabulary_id, member, records, persons, list_persons from cohort.caught order by 2",
    ) == [
        ("SNOMED", "1", 1, 1, 3),
        ("SNOMED", "2", 1, 1, 3),
        ("KCD8", "J960", 1, 1, 3),
        ("KCD9", "J961", 2, 2, 3),
    ]


def test_a_list_needs_a_member():
    with pytest.raises(ValueError, match="holds nothing"):
        CodeList(id="l1", source="drawn")
