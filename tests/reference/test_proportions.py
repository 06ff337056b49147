"""Proportions against R's epiR 2.0.57 (exact) and the closed form as Wilson wrote it.

epi.tests(as.table(matrix(c(670, 202, 74, 640), 2, byrow = TRUE)), method = "exact")
prop.test(81, 263, correct = FALSE)  # Newcombe (1998) Stat Med 17, table I: 0.2553 to 0.3662
"""

import pytest

from tasks.core.errors import EstimationError
from tasks.stats.proportions import proportion
from tests.reference.shared import shared_table

CELLS = {
    "se": (670, 744), "sp": (640, 842), "pv.pos": (670, 872), "pv.neg": (640, 714),
    "tp": (744, 1586), "diag.ac": (1310, 1586),
}  # fmt: skip


def test_exact_interval_is_that_of_epir():
    table = shared_table("data/diagnostic/epi_tests_670_202_74_640.csv").set_index("statistic")
    for name, (count, n) in CELLS.items():
        got = proportion(count, n, "exact")
        assert [got.estimate, got.ci_low, got.ci_high] == pytest.approx(
            list(table.loc[name, ["est", "lower", "upper"]]), rel=1e-7
        )


@pytest.mark.parametrize(
    ("count", "n", "method", "low", "high"),
    [  # Newcombe (1998), table I: methods 3 (score) and 5 (Clopper-Pearson)
        (81, 263, "wilson", 0.2553, 0.3662),
        (15, 148, "wilson", 0.0624, 0.1605),
        (0, 20, "wilson", 0.0, 0.1611),
        (1, 29, "wilson", 0.0061, 0.1718),
        (81, 263, "exact", 0.2527, 0.3676),
        (15, 148, "exact", 0.0578, 0.1617),
        (0, 20, "exact", 0.0, 0.1684),
        (1, 29, "exact", 0.0009, 0.1776),
    ],
)
def test_published_intervals(count, n, method, low, high):
    got = proportion(count, n, method)
    assert (got.ci_low, got.ci_high) == (
        pytest.approx(low, abs=5e-5),
        pytest.approx(high, abs=5e-5),
    )


@pytest.mark.parametrize("method", ["wilson", "exact"])
def test_all_and_none_mirror_each_other(method):
    none, every = proportion(0, 7, method), proportion(7, 7, method)
    assert none.ci_low == 0.0
    assert every.ci_high == 1.0
    assert none.ci_high == pytest.approx(1 - every.ci_low)


@pytest.mark.parametrize(("count", "n"), [(1, 0), (-1, 5), (6, 5)])
def test_what_is_no_proportion_is_refused(count, n):
    with pytest.raises(EstimationError):
        proportion(count, n)
