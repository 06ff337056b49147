"""Balance of a sparse matrix: the numbers of the dense one, in the memory of its non-zeros."""

import tracemalloc

import numpy as np
import pytest
from scipy import sparse

from tasks.analysis.balance import balance_table
from tasks.analysis.people import Covariate, People
from tasks.analysis.populations import Population
from tasks.stats.balance_measures import ks_statistics, variance_ratios
from tasks.stats.propensity import standardised_mean_difference
from tasks.stats.sparse_propensity import sparse_score

MEGABYTE = 2**20
DENSE_MB = 20_000 * 5_000 * 8 / 1e6  # 800


def mixed():
    """Rare zeros and ones, numbers, a column full of one number, an empty one, and an arm's own."""
    rng = np.random.default_rng(5)
    arm = rng.random(300) < 0.4
    rare = (rng.random((300, 6)) < 0.1 + 0.1 * arm[:, None]).astype(float)
    number = rng.normal(60.3, 10, 300) + 3 * arm
    some = np.where(rng.random(300) < 0.3, rng.normal(0, 2, 300), 0.0)
    x = np.column_stack([rare, number, some, np.full(300, 50.3), np.zeros(300), 9.1 * arm])
    return x, arm, rng.random(300) * (rng.random(300) > 0.1)


@pytest.mark.parametrize("is_weighted", [False, True])
def test_sparse_and_dense_are_one_measure(is_weighted):
    x, arm, weight = mixed()
    given = weight if is_weighted else None
    for measure in (standardised_mean_difference, variance_ratios, ks_statistics):
        dense, thin = measure(x, arm, given), measure(sparse.csc_matrix(x), arm, given)
        assert thin == pytest.approx(dense, rel=1e-10, abs=1e-12, nan_ok=True)
    assert np.isnan(standardised_mean_difference(sparse.csr_array(x), arm)[-1])
    bernoulli = [
        standardised_mean_difference(of, arm, given, "bernoulli") for of in (x, sparse.csr_array(x))
    ]
    assert bernoulli[1] == pytest.approx(bernoulli[0], rel=1e-10, abs=1e-12, nan_ok=True)


def test_by_hand():
    """Two of four against one of four: (1/2 - 1/4) / sqrt((1/3 + 1/4) / 2)."""
    x = sparse.csr_array(np.array([[1.0, 1, 0, 0, 1, 0, 0, 0]]).T)
    arm = np.arange(8) < 4
    assert standardised_mean_difference(x, arm)[0] == pytest.approx(0.25 / (7 / 24) ** 0.5)
    assert variance_ratios(x, arm)[0] == pytest.approx((1 / 3) / (1 / 4))
    assert ks_statistics(x, arm)[0] == pytest.approx(0.25)


def wide():
    """20,000 persons, 5,000 covariates, 51 non-zeros a person; forty of them move the arm."""
    n, p, filled = 20_000, 5_000, 51
    rng = np.random.default_rng(20_261_126)
    places = np.repeat(np.arange(n), filled), rng.integers(0, p, n * filled)
    matrix = sparse.csr_array((np.ones(n * filled), places), (n, p))
    matrix.data[:] = 1.0
    logit = matrix[:, :40] @ np.linspace(-1, 1, 40)
    arm = rng.random(n) < 1 / (1 + np.exp(-logit))
    covariates = tuple(Covariate(f"c{i}", "", "", True) for i in range(p))
    return People(np.arange(n), arm, np.ones(n), np.ones(n, dtype=np.int64), covariates, matrix)


def peak_mb(task):
    tracemalloc.start()
    try:
        found = task()
        return tracemalloc.get_traced_memory()[1] / MEGABYTE, found
    finally:
        tracemalloc.stop()


def test_balance_of_a_wide_matrix_takes_the_memory_of_its_non_zeros():
    people = wide()
    weight = np.random.default_rng(1).random(people.is_target.size)
    everybody = Population("overlap", people.is_target, people.follow_up_days, people.cause,
                           np.arange(weight.size), weight, None)  # fmt: skip
    measured, smd = peak_mb(
        lambda: standardised_mean_difference(people.matrix, people.is_target, weight)
    )
    assert measured < 0.15 * DENSE_MB
    some = People(people.person_id, people.is_target, people.follow_up_days, people.cause,
                  people.covariates[:50], people.matrix[:, :50])  # fmt: skip
    table = balance_table(some, {"overlap": everybody})
    assert table["smd"].to_numpy() == pytest.approx(smd[:50], rel=1e-12)
    assert table["smd"].to_numpy() == pytest.approx(
        standardised_mean_difference(some.dense(), people.is_target, weight), rel=1e-10
    )


@pytest.mark.slow  # a minute, most of it skglm's compiling
def test_a_penalised_score_of_a_wide_matrix_never_makes_it_dense():
    """Two folds of eight penalties; more of them take longer, not more. `pytest -s` prints it."""
    people = wide()
    sparse_score(people.matrix[:500, :20], people.is_target[:500])  # skglm compiles
    how = {"rule": "one_standard_error", "n_folds": 2, "n_penalties": 8}
    peak, found = peak_mb(lambda: sparse_score(people.matrix, people.is_target, **how))
    print(f"peak {peak:.0f} MB of {DENSE_MB:.0f} MB dense; {found.n_used} covariates used")
    assert peak < 0.2 * DENSE_MB
    assert 0 < found.n_used < 5_000
