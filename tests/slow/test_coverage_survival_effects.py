"""Intervals of effects on survival hold the planted effect as often as they say.

`python -m tests.slow.test_coverage_survival_effects` writes the table of
docs/methods/coverage_survival_effects.md.
"""

from functools import cache

import pytest

from tests.methods.pages import DOCS
from tests.reference import survival_worlds
from tests.reference.causal_worlds import HEAD

pytestmark = pytest.mark.slow
REPLICATES = 1000
PAGE = DOCS / "coverage_survival_effects.md"
BEGIN, END = "<!-- coverage -->", "<!-- /coverage -->"


@cache
def lines():
    return survival_worlds.lines(REPLICATES)


def written(text):
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    table = "\n".join([HEAD, *map(str, lines())])
    return f"{before}{BEGIN}\n{table}\n{END}{after}"


def test_intervals_cover_as_they_say():
    for line in lines():
        assert 0.93 <= line.coverage <= 0.97, line.what


def test_a_wrong_model_of_the_outcome_or_the_treatment_leaves_no_bias():
    for line in lines():
        assert abs(line.bias) <= 0.1 * line.estimates.std(), line.what


def test_the_page_shows_this_table():
    text = PAGE.read_text("utf-8")
    assert written(text) == text, "run python -m tests.slow.test_coverage_survival_effects"


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text("utf-8")), "utf-8")
