"""What must hold of Cox fits and concordance for any data that can be fitted."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tasks.core.errors import EstimationError
from tasks.stats.cox import (
    concordance,
    cox,
    profile_likelihood_interval,
    proportional_hazards_test,
)

FEW = settings(max_examples=25, deadline=None, derandomize=True)
seeds = st.integers(0, 2**32 - 1)
NUMBERS = ("coef", "std_error", "covariance", "log_likelihood", "score_statistic")


def study(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(40, 120))
    x = np.column_stack([rng.integers(0, 2, n), rng.normal(size=n)])
    time = np.ceil(rng.exponential(20 * np.exp(-0.5 * x[:, 1])))
    weight, cluster, strata = rng.uniform(0.3, 3, n), np.arange(n) // 3, rng.integers(0, 2, n)
    return time, rng.random(n) < 0.7, x, weight, cluster, strata, rng


def fit_or_skip(*args, **kwargs):
    try:
        return cox(*args, **kwargs)
    except EstimationError:
        assume(False)


@FEW
@given(seeds)
def test_a_shuffle_gives_the_same_bits(seed):
    time, event, x, weight, cluster, strata, rng = study(seed)
    m = rng.permutation(time.size)
    for ties in ("efron", "breslow"):
        a = fit_or_skip(time, event, x, ties, weight, cluster=cluster, strata=strata)
        b = cox(time[m], event[m], x[m], ties, weight[m], cluster=cluster[m], strata=strata[m])
        for name in NUMBERS:
            assert np.array_equal(getattr(a, name), getattr(b, name)), name


@FEW
@given(seeds)
def test_breslow_with_weight_two_is_everyone_twice(seed):
    """Efron's ties are split by number of deaths, so only Breslow's have this property."""
    time, event, x, *_ = study(seed)
    a = fit_or_skip(time, event, x, "breslow", np.full(time.size, 2.0))
    b = cox(np.tile(time, 2), np.tile(event, 2), np.tile(x, (2, 1)), "breslow")
    for name in NUMBERS:
        assert getattr(a, name) == pytest.approx(getattr(b, name), rel=1e-7), name


@FEW
@given(seeds)
def test_doubled_rows_in_clusters_leave_the_robust_error(seed):
    time, event, x, *_ = study(seed)
    people = np.arange(time.size)
    a = fit_or_skip(time, event, x, "breslow", robust=True)
    b = cox(
        np.tile(time, 2), np.tile(event, 2), np.tile(x, (2, 1)), "breslow",
        cluster=np.tile(people, 2),
    )  # fmt: skip
    assert a.std_error == pytest.approx(b.std_error, rel=1e-7)


@FEW
@given(seeds)
def test_units_of_the_covariates_do_not_matter(seed):
    time, event, x, *_ = study(seed)
    a = fit_or_skip(time, event, x)
    b = cox(time, event, x * [1, 1000] + [5, 2000])
    assert a.coef == pytest.approx(b.coef * [1, 1000], rel=1e-6, abs=1e-9)
    assert a.std_error == pytest.approx(b.std_error * [1, 1000], rel=1e-6)


@FEW
@given(seeds)
def test_log_likelihood_is_the_definition(seed):
    time, event, x, weight, *_ = study(seed)
    fit = fit_or_skip(time, event, x, "breslow", weight)
    eta = x @ fit.coef
    at_risk = (time[None, :] >= time[:, None]) @ (weight * np.exp(eta))
    value = (weight * event * (eta - np.log(at_risk))).sum()
    assert fit.log_likelihood == pytest.approx(value, rel=1e-10)


@FEW
@given(seeds)
def test_profile_limits_hold_the_estimate(seed):
    time, event, x, *_ = study(seed)
    fit = fit_or_skip(time, event, x)
    got = profile_likelihood_interval(time, event, x, 1)
    assert got.ci_low < fit.coef[1] < got.ci_high
    assert got.implied_std_error == pytest.approx(fit.std_error[1], rel=0.25)


@FEW
@given(seeds)
def test_concordance_is_the_count_of_pairs(seed):
    time, event, x, _, _, strata, rng = study(seed)
    score = np.round(x[:, 1], int(rng.integers(0, 3)))
    first = event[:, None] & (strata[:, None] == strata[None, :])
    longer = (time[:, None] < time[None, :]) | ((time[:, None] == time[None, :]) & ~event[None, :])
    pairs, gap = first & longer, score[:, None] - score[None, :]
    got = concordance(time, event, score, strata=strata)
    assert got.concordant == (pairs & (gap > 0)).sum()
    assert got.discordant == (pairs & (gap < 0)).sum()
    assert got.tied_score == (pairs & (gap == 0)).sum()


def split(time, event, rng):
    """Cut each follow-up at a random day: row numbers, entry, time and event of the pieces."""
    cut = np.ceil(rng.uniform(0, time))
    first, last = np.flatnonzero(cut < time), np.arange(time.size)
    entry = np.append(np.zeros(first.size), np.where(cut < time, cut, 0))
    ends = np.append(cut[first], time)
    return np.append(first, last), entry, ends, np.append(np.zeros(first.size, bool), event)


@FEW
@given(seeds)
def test_rows_cut_into_intervals_make_the_same_fit(seed):
    time, event, x, weight, _, strata, rng = study(seed)
    row, entry, ends, events = split(time, event, rng)
    for ties in ("efron", "breslow"):
        a = fit_or_skip(time, event, x, ties, weight, robust=True, strata=strata)
        b = cox(
            ends, events, x[row], ties, weight[row], cluster=row, strata=strata[row], entry=entry
        )
        for name in NUMBERS:
            assert getattr(a, name) == pytest.approx(getattr(b, name), rel=1e-6, abs=1e-9), name


@FEW
@given(seeds)
def test_with_late_entry_the_log_likelihood_is_the_definition(seed):
    time, event, x, weight, _, strata, rng = study(seed)
    entry = np.floor(rng.uniform(0, time - 0.5))
    fit = fit_or_skip(time, event, x, "breslow", weight, strata=strata, entry=entry)
    eta = x @ fit.coef
    is_at_risk = (time[None, :] >= time[:, None]) & (entry[None, :] < time[:, None])
    is_at_risk &= strata[None, :] == strata[:, None]
    value = (weight * event * (eta - np.log(is_at_risk @ (weight * np.exp(eta))))).sum()
    assert fit.log_likelihood == pytest.approx(value, rel=1e-10)


@FEW
@given(seeds)
def test_rows_cut_into_intervals_leave_the_test_of_proportional_hazards(seed):
    time, event, x, _, _, strata, rng = study(seed)
    row, entry, ends, events = split(time, event, rng)
    fit_or_skip(time, event, x, strata=strata)
    a = proportional_hazards_test(time, event, x, strata=strata)
    b = proportional_hazards_test(ends, events, x[row], strata=strata[row], entry=entry)
    assert a.statistic == pytest.approx(b.statistic, rel=1e-6)


@FEW
@given(seeds)
def test_a_shuffle_of_late_entries_gives_the_same_bits(seed):
    time, event, x, weight, *_, rng = study(seed)
    entry, m = np.floor(rng.uniform(0, time - 0.5)), rng.permutation(time.size)
    a = fit_or_skip(time, event, x, weights=weight, entry=entry)
    b = cox(time[m], event[m], x[m], weights=weight[m], entry=entry[m])
    assert all(np.array_equal(getattr(a, name), getattr(b, name)) for name in NUMBERS)


def test_rows_that_do_not_enter_before_they_end_are_refused():
    with pytest.raises(EstimationError, match="1 of 2 rows do not enter before"):
        cox([5, 6], [1, 1], [[0.0], [1.0]], entry=[5, 0])
