"""Members of code lists: prefixes with exceptions, days in force, files in CSV and of ATLAS."""

import itertools
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.core.spec.code_list_files import (
    ListFileError,
    carved,
    members_of,
    plain,
    read_concept_set,
    read_list_csv,
)
from tasks.core.spec.code_lists import CodeList, ConceptItem, SourceCodes

SOURCE = {"id": "some", "source": "drawn"}


def takes(patterns, code):
    """What the study says, read plainly: some pattern takes the code in."""
    return any(
        code.startswith(p[:-1]) if p.endswith("*") else code == p for p in map(plain, patterns)
    )


def is_in(parts, code):
    return any(code.startswith(p) if is_prefix else code == p for p, is_prefix in parts)


PATTERN = st.text("AB1", min_size=1, max_size=3).flatmap(lambda t: st.sampled_from([t, t + "*"]))


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.lists(PATTERN, min_size=1, max_size=3), st.lists(PATTERN, max_size=3))
def test_carving_takes_in_what_the_study_says_and_nothing_else(codes, exclude):
    parts = carved(codes, exclude)
    for size in (1, 2, 3, 4):
        for letters in itertools.product("AB1", repeat=size):
            code = "".join(letters)
            assert is_in(parts, code) == (takes(codes, code) and not takes(exclude, code)), code


def test_codes_are_compared_without_case_dots_and_blanks():
    assert [plain(code) for code in ("j96.0", " J960 ", "J96.0")] == ["J960"] * 3
    assert carved(["J96.*"], []) == [("J96", True)]


@pytest.mark.parametrize(
    ("said", "first", "last"),
    [
        ({"vocabulary": "KCD8"}, None, date(2025, 12, 31)),
        ({"vocabulary": "kcd9"}, date(2026, 1, 1), None),
        ({"vocabulary": "EDI"}, None, None),
        (
            {"vocabulary": "KCD8", "valid_from": date(2021, 1, 1)},
            date(2021, 1, 1),
            date(2025, 12, 31),
        ),
        ({"vocabulary": "KCD9", "valid_from": date(2027, 1, 1)}, date(2027, 1, 1), None),
    ],
)
def test_code_systems_count_while_they_are_in_force(said, first, last):
    assert SourceCodes(codes=("A00",), **said).in_force == (first, last)


def test_a_plain_concept_takes_the_word_of_its_list():
    held = members_of(
        CodeList(
            concepts=(1, ConceptItem(concept=2, include_descendants=False), ConceptItem(concept=3)),
            include_descendants=True,
            **SOURCE,
        ),
        {},
    )
    assert [(c.concept, c.include_descendants) for c in held.concepts] == [
        (1, True),
        (2, False),
        (3, True),
    ]


def test_a_csv_holds_concepts_and_codes():
    text = """\
concept_id,include_descendants,exclude,vocabulary,code,valid_from,name
192671,true,,,,,Haemorrhage
4245614,,true,,,,"Bleeding, other"
,,,KCD8,K92.1,,Melaena
,,,KCD8,K92*,2021-01-01,all
,,true,KCD8,K92.8,,not these
"""
    items, codes = read_list_csv(text)
    assert items == [
        ConceptItem(concept=192671, include_descendants=True),
        ConceptItem(concept=4245614, exclude=True),
    ]
    assert [(c.codes, c.exclude, c.valid_from) for c in codes] == [
        (("K92.1",), ("K92.8",), None),
        (("K92*",), ("K92.8",), date(2021, 1, 1)),
    ]
    held = members_of(CodeList(file="a.csv", **SOURCE), {"a.csv": text})
    assert not held.concepts[1].include_descendants
    assert ("K928", False) not in {(c.code, c.is_prefix) for c in held.codes}
    assert ("K921", False) in {(c.code, c.is_prefix) for c in held.codes}


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", 1),
        ("concept_id", 1),
        ("concept_id\n12a", 2),
        ("concept_id,exclude\n12,maybe", 2),
        ("concept_id,concept_id\n12,13", 1),
        ("concept_id\n12\n99999999999", 3),
        ("concept_id,name\n12", 2),
        ("vocabulary,code\nKCD8,K92\nKCD8,", 3),
        ("vocabulary,code\nKCD8,K9'2", 2),
        ("vocabulary,code,valid_to\nKCD8,K92,2021-13-01", 2),
        ('concept_id\n"12', 2),
    ],
)
def test_a_csv_is_refused_at_its_line(text, line):
    with pytest.raises(ListFileError) as caught:
        read_list_csv(text)
    assert caught.value.line == line


ATLAS = """{"items": [
 {"concept": {"CONCEPT_ID": 1118084, "CONCEPT_NAME": "celecoxib"}, "includeDescendants": true},
 {"concept": {"CONCEPT_ID": 7}, "isExcluded": true, "includeMapped": true}]}"""


def test_a_concept_set_of_atlas_is_read_with_or_without_its_name():
    want = [
        ConceptItem(concept=1118084, include_descendants=True),
        ConceptItem(concept=7, include_descendants=False, include_mapped=True, exclude=True),
    ]
    assert read_concept_set(ATLAS) == want
    assert read_concept_set(f'{{"id": 1, "name": "x", "expression": {ATLAS}}}') == want


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        "7",
        '{"items": 7}',
        '{"items": [{"concept": {"CONCEPT_ID": "1"}}]}',
        "[" * 9999,
    ],
)
def test_what_is_no_concept_set_is_refused(text):
    with pytest.raises(ListFileError):
        read_concept_set(text)
