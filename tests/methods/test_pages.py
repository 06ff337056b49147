"""Each number on a page of docs/methods is the one that the code gives, and the witness's."""

import pytest

from tests.methods.pages import BEGIN, DOCS, END, pages, witnesses, written


@pytest.mark.parametrize("page", pages())
def test_the_numbers_of_a_page_are_ours_and_the_witness_agrees(page):
    text = (DOCS / f"{page}.md").read_text("utf-8")
    assert text.count(BEGIN) == text.count(END) == 1
    assert written(page, text) == text, "run python -m tests.methods"
    for w in witnesses(page):
        assert w.ours() == pytest.approx(w.theirs, rel=w.tolerance), w.what


def test_every_page_with_marks_has_its_numbers():
    marked = {file.stem for file in DOCS.glob("*.md") if BEGIN in file.read_text("utf-8")}
    assert marked == set(pages())


def test_every_page_says_what_a_reviewer_asks():
    asked = ("## Estimand", "## Formula", "## Assumptions", "## Variance", "## Agreement")
    for page in pages():
        text = (DOCS / f"{page}.md").read_text("utf-8")
        assert [head for head in asked if head not in text] == [], page


def test_the_first_page_names_every_other():
    first = (DOCS / "README.md").read_text("utf-8")
    there = {file.name for file in DOCS.glob("*.md")} - {"README.md"}
    assert {name for name in there if f"({name})" not in first} == set()
