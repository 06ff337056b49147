"""Intervals of curves and restricted means hold the truth 93 to 97 times in 100.

`python -m tests.slow.test_coverage_curves` writes the table of docs/methods/coverage_curves.md.
"""

from pathlib import Path

import pytest

from tests.reference.coverage_curves import CASES, simulate, table

DOCUMENT = Path(__file__).parents[2] / "docs" / "methods" / "coverage_curves.md"
BEGIN, END = "<!-- coverage -->", "<!-- /coverage -->"
REPLICATES = 4000


def written(text: str) -> str:
    """The text of the page with its table renewed."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    new = table([simulate(case, REPLICATES) for case in CASES])
    return f"{before}{BEGIN}\n{new}\n{END}{after}"


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_intervals_hold_the_truth(case):
    found = simulate(case, REPLICATES)
    assert 0.93 <= found.coverage <= 0.97
    assert abs(found.error_ratio - 1) < 0.06
    assert table([found]).splitlines()[-1] in DOCUMENT.read_text("utf-8")


if __name__ == "__main__":
    DOCUMENT.write_text(written(DOCUMENT.read_text("utf-8")), "utf-8")
