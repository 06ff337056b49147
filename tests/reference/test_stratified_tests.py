"""Tests over strata: R's mantelhaen.test of UCBAdmissions, statsmodels, and strata that say nothing.

mantelhaen.test(UCBAdmissions, correct = TRUE); mantelhaen.test(UCBAdmissions, correct = FALSE)
mantelhaen.test(array(c(3, 2, 2, 2, 4, 5, 4, 5), c(2, 2, 2)))  # R 4.2.2
"""

import numpy as np
import pytest
from statsmodels.stats.contingency_tables import StratifiedTable

from tasks.core.errors import EstimationError
from tasks.stats.stratified_tests import cochran_mantel_haenszel, homogeneous_odds

BERKELEY = np.array([
    [512, 313, 89, 19], [353, 207, 17, 8], [120, 205, 202, 391],
    [138, 279, 131, 244], [53, 138, 94, 299], [22, 351, 24, 317],
])  # fmt: skip


def rows(tables):
    """One row a person: outcome, treated and stratum."""
    cells = np.array([[1, 1], [0, 1], [1, 0], [0, 0]])
    made = [
        np.column_stack([np.repeat(cells, table, axis=0), np.full(sum(table), place)])
        for place, table in enumerate(np.asarray(tables))
    ]
    event, treated, stratum = np.vstack(made).T
    return event == 1, treated == 1, stratum


def values(tests):
    return [(found.statistic, found.p_value) for found in tests]


def test_mantelhaen_test_of_r_with_correction_and_without():
    got = values(cochran_mantel_haenszel(*rows(BERKELEY)))
    assert got[0] == pytest.approx((1.426946228587, 0.232263462817), rel=1e-11)
    assert got[1] == pytest.approx((1.524606660443, 0.216923697056), rel=1e-11)


def test_the_correction_is_left_out_near_the_expectation_as_in_r():
    found = values(cochran_mantel_haenszel(*rows([[3, 2, 2, 2], [4, 4, 5, 5]])))
    assert found[0] == found[1]
    assert found[0] == pytest.approx((0.0275303643725, 0.8682177309212), rel=1e-11)


def test_homogeneity_as_statsmodels_has_it_and_strata_that_say_nothing():
    theirs = StratifiedTable([table.reshape(2, 2).astype(float) for table in BERKELEY])
    for tables in (BERKELEY, np.vstack([BERKELEY, [[0, 9, 0, 4], [3, 2, 0, 0]]])):
        plain, tarone = homogeneous_odds(*rows(tables))
        for found, adjust in ((plain, False), (tarone, True)):
            wanted = theirs.test_equal_odds(adjust=adjust)
            assert found.statistic == pytest.approx(wanted.statistic, rel=1e-10)
            assert found.p_value == pytest.approx(wanted.pvalue, rel=1e-9)
            assert found.df == 5


def test_an_odds_ratio_of_one_is_homogeneous_where_the_strata_are():
    for found in homogeneous_odds(*rows([[6, 6, 4, 4], [3, 9, 3, 9]])):
        assert found.statistic == pytest.approx(0, abs=1e-20)
        assert found.p_value == 1


@pytest.mark.parametrize(
    ("test", "tables", "said"),
    [
        (cochran_mantel_haenszel, [[5, 0, 4, 0], [0, 3, 0, 4]], "no stratum"),
        (cochran_mantel_haenszel, [[0, 3, 0, 4]], "0 of 7"),
        (homogeneous_odds, [[5, 2, 4, 4]], "1 strata"),
        (homogeneous_odds, [[5, 0, 4, 4], [3, 0, 4, 4]], "no finite odds ratio"),
    ],
)
def test_tables_that_cannot_be_tested_are_refused(test, tables, said):
    with pytest.raises(EstimationError, match=said):
        test(*rows(tables))
