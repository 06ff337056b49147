"""Intervals of causal estimators hold the planted effect as often as they say.

`python -m tests.slow.test_coverage_causal` writes the table of docs/methods/coverage_causal.md.
"""

from functools import cache

import pytest

from tests.methods.pages import DOCS
from tests.reference.causal_worlds import HEAD, risk_lines, survival_lines

pytestmark = pytest.mark.slow
REPLICATES = 2000
PAGE = DOCS / "coverage_causal.md"
BEGIN, END = "<!-- coverage -->", "<!-- /coverage -->"
CONSERVATIVE = ("robust, weights known", "hc0")


@cache
def lines():
    return [*survival_lines(REPLICATES), *risk_lines(REPLICATES)]


def written(text):
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    table = "\n".join([HEAD, *map(str, lines())])
    return f"{before}{BEGIN}\n{table}\n{END}{after}"


def test_intervals_cover_as_they_say():
    for line in lines():
        if line.what.endswith(CONSERVATIVE):
            assert line.coverage >= 0.93, line.what
        elif "truncated" not in line.what:  # truncation is biased, and says so
            assert 0.93 <= line.coverage <= 0.97, line.what


def test_the_marginal_hazard_ratio_is_not_the_conditional_one():
    assert 0.80 <= 2.718281828459045 ** lines()[0].truth <= 0.86


def test_the_page_shows_this_table():
    text = PAGE.read_text("utf-8")
    assert written(text) == text, "run python -m tests.slow.test_coverage_causal"


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text("utf-8")), "utf-8")
