"""Every example of the page on code lists is read as it stands there."""

import re

import pytest
from pydantic import TypeAdapter

from tasks.core.paths import PROJECT_ROOT
from tasks.core.spec.code_list_files import COLUMNS, members_of, read_list_csv
from tasks.core.spec.code_lists import CodeList
from tasks.core.strict_yaml import parse_yaml

PAGE = (PROJECT_ROOT / "docs" / "code_lists.md").read_text(encoding="utf-8")
LISTS = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
[CSV] = re.findall(r"```csv\n(.*?)```", PAGE, re.DOTALL)
ATLAS = '{"items": [{"concept": {"CONCEPT_ID": 1310149}, "includeDescendants": true}]}'
FILES = {"lists/opioids.csv": CSV, "lists/warfarin.json": ATLAS}


@pytest.mark.parametrize("text", LISTS, ids=[text.split("\n")[0] for text in LISTS])
def test_examples_are_code_lists(text):
    value = parse_yaml(text.encode(), "code_lists.md").value
    for code_list in TypeAdapter(list[CodeList]).validate_python(value):
        held = members_of(code_list, FILES)
        assert held.concepts or held.codes


def test_the_file_of_the_page_holds_what_the_page_says():
    items, codes = read_list_csv(CSV)
    assert [(item.concept, item.include_descendants) for item in items] == [
        (1174888, None),
        (1110410, False),
    ]
    assert [(block.codes, block.exclude) for block in codes] == [(("642100010",), ("642100019",))]


def test_the_page_names_every_column():
    named = set(
        re.findall(r"`([a-z_]+)`", PAGE.partition("Columns:")[2].partition("A concept set")[0])
    )
    assert named == set(COLUMNS)
