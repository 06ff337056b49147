"""What must hold of matching, weights and logistic fits for any data."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.core.errors import EstimationError
from tasks.stats.propensity import (
    area_under_curve,
    ate_weights,
    effective_sample_size,
    logistic,
    match_nearest,
    standardised_mean_difference,
)

MANY = settings(max_examples=150, deadline=None, derandomize=True)
FEW = settings(max_examples=30, deadline=None, derandomize=True)
seeds = st.integers(0, 2**32 - 1)


def line(seed):
    """Logits that are continuous, or rounded so that values and distances tie."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 60))
    treated = rng.random(n) < rng.uniform(0.1, 0.9)
    treated[:2] = [True, False]
    logit = np.round(rng.normal(size=n) + treated * rng.uniform(0, 2), int(rng.integers(0, 4)))
    return logit, treated, rng.permutation(n), float(rng.uniform(0.05, 2)), rng


def brute_force(logit, treated, order, caliper):
    grid = np.rint(logit * 2**30).astype(int)
    pairs = sorted(
        (abs(grid[a] - grid[b]), order[a], order[b], a, b)
        for a in np.flatnonzero(treated)
        for b in np.flatnonzero(~treated)
        if abs(grid[a] - grid[b]) <= int(caliper * 2**30)
    )
    used, found = set(), []
    for *_, a, b in pairs:
        if a not in used and b not in used:
            used |= {a, b}
            found.append((int(a), int(b)))
    return sorted(found)


@MANY
@given(seeds)
def test_matching_is_the_greedy_choice_among_all_pairs(seed):
    logit, treated, order, width, _ = line(seed)
    got = match_nearest(logit, treated, width, order)
    pairs = sorted(zip(got.treated.tolist(), got.control.tolist(), strict=True))
    assert pairs == brute_force(logit, treated, order, got.caliper)
    assert (got.distance <= got.caliper + 2e-9).all()


@FEW
@given(seeds)
def test_matching_follows_the_persons_not_the_rows(seed):
    logit, treated, order, width, rng = line(seed)
    m = rng.permutation(logit.size)
    a = match_nearest(logit, treated, width, order)
    b = match_nearest(logit[m], treated[m], width, order[m])
    assert np.array_equal(a.treated, m[b.treated])
    assert np.array_equal(a.control, m[b.control])
    assert a.caliper == b.caliper


@FEW
@given(seeds)
def test_logistic_is_the_same_for_any_order_of_rows(seed):
    rng = np.random.default_rng(seed)
    x = np.column_stack([rng.integers(0, 3, 80), rng.normal(size=80)])
    treated = rng.random(80) < 1 / (1 + np.exp(-x[:, 1]))
    m = rng.permutation(80)
    try:
        a, b = logistic(x, treated), logistic(x[m], treated[m])
    except EstimationError:
        return
    assert np.array_equal(a.coef, b.coef)
    assert np.array_equal(a.std_error, b.std_error)
    assert np.array_equal(a.fitted[m], b.fitted)
    assert a.fitted.mean() == pytest.approx(treated.mean(), rel=1e-6)
    smd = standardised_mean_difference(x, treated, a.fitted)
    assert np.array_equal(smd, standardised_mean_difference(x[m], treated[m], b.fitted))


@FEW
@given(seeds)
def test_c_statistic_is_the_share_of_pairs(seed):
    logit, treated, *_ = line(seed)
    ps = 1 / (1 + np.exp(-logit))
    gap = np.sign(ps[treated][:, None] - ps[~treated][None, :])
    assert area_under_curve(ps, treated) == pytest.approx((gap.mean() + 1) / 2)


@FEW
@given(seeds)
def test_effective_sample_size_is_at_most_the_sample(seed):
    logit, treated, *_ = line(seed)
    weights = ate_weights(1 / (1 + np.exp(-logit)), treated)
    assert 1 <= effective_sample_size(weights) <= logit.size * (1 + 1e-12)
    assert effective_sample_size(np.full(7, 3.0)) == pytest.approx(7)
