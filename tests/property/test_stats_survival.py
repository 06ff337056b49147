"""What must hold of survival estimates for any follow-up at all."""

from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.stats.survival import (
    cumulative_incidence,
    kaplan_meier,
    log_rank,
    restricted_mean,
)

FEW = settings(max_examples=40, deadline=None, derandomize=True)
seeds = st.integers(0, 2**32 - 1)


def follow_up(seed, n_max=40):
    """Tied or continuous durations, causes 0 to 2, positive weights, and an event at least."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, n_max))
    time = rng.integers(1, 12, n).astype(float)
    time = time + rng.random(n) if rng.random() < 0.4 else time
    cause = rng.integers(0, 3, n)
    cause[rng.integers(n)] = 1
    return time, cause, rng.uniform(0.2, 3.0, n), rng


def assert_identical(a, b):
    for field in fields(a):
        one, two = getattr(a, field.name), getattr(b, field.name)
        nan = isinstance(one, np.ndarray) and one.dtype.kind == "f"
        assert np.array_equal(one, two, equal_nan=nan), field.name


def assert_close(a, b, names, rel=1e-9):
    for name in names:
        got, want = getattr(a, name), getattr(b, name)
        assert got == pytest.approx(want, rel=rel, abs=1e-12, nan_ok=True), name


@FEW
@given(seeds)
def test_a_shuffle_gives_the_same_bits(seed):
    time, cause, weight, rng = follow_up(seed)
    mixed = rng.permutation(time.size)
    for w, v in ((None, None), (weight, weight[mixed])):
        a = kaplan_meier(time, cause > 0, weights=w)
        assert_identical(a, kaplan_meier(time[mixed], cause[mixed] > 0, weights=v))
        a = cumulative_incidence(time, cause, weights=w)
        b = cumulative_incidence(time[mixed], cause[mixed], weights=v)
        assert_identical(a, b)
        a = restricted_mean(time, cause > 0, time.max(), weights=w)
        assert a == restricted_mean(time[mixed], cause[mixed] > 0, time.max(), weights=v)


@FEW
@given(seeds)
def test_weights_of_one_change_nothing(seed):
    time, cause, _, _ = follow_up(seed)
    one, event = np.ones(time.size), cause > 0
    names = ("survival", "std_error", "ci_low", "ci_high")
    assert_close(kaplan_meier(time, event, weights=one), kaplan_meier(time, event), names)
    a, b = (cumulative_incidence(time, cause, weights=w) for w in (one, None))
    assert_close(a, b, ("cumulative_incidence", "std_error"))
    a, b = (restricted_mean(time, event, time.max(), weights=w) for w in (one, None))
    assert_close(a, b, ("estimate", "std_error"))


@FEW
@given(seeds)
def test_causes_share_out_what_kaplan_meier_loses(seed):
    time, cause, weight, _ = follow_up(seed)
    for w in (None, weight):
        km = kaplan_meier(time, cause > 0, weights=w)
        parts = [cumulative_incidence(time, cause, k, weights=w) for k in (1, 2)]
        total = sum(part.cumulative_incidence for part in parts)
        assert total == pytest.approx(1 - km.survival, abs=1e-12)
        one = cumulative_incidence(time, cause > 0, weights=w)
        inside = km.survival > 0
        assert one.std_error[inside] == pytest.approx(km.std_error[inside], rel=1e-8, abs=1e-10)


@FEW
@given(seeds)
def test_robust_errors_are_the_influence_found_by_brute_force(seed):
    time, cause, weight, _ = follow_up(seed, n_max=12)
    event, horizon = cause > 0, float(np.median(time))

    def estimates(w):
        km = kaplan_meier(time, event, weights=w)
        aj = cumulative_incidence(time, cause, weights=w)
        rm = restricted_mean(time, event, horizon, weights=w)
        return np.concatenate([km.survival, aj.cumulative_incidence, [rm.estimate]])

    steps = np.diag(weight * 1e-5)
    slopes = [(estimates(weight + s) - estimates(weight - s)) / 2e-5 for s in steps]
    brute = np.sqrt((np.array(slopes) ** 2).sum(axis=0))
    km, aj = (
        kaplan_meier(time, event, weights=weight),
        cumulative_incidence(time, cause, weights=weight),
    )
    mean = restricted_mean(time, event, horizon, weights=weight)
    ours = np.concatenate([np.nan_to_num(km.std_error), aj.std_error, [mean.std_error]])
    assert ours == pytest.approx(brute, rel=1e-5, abs=1e-7)


@FEW
@given(seeds)
def test_area_under_the_curve_up_to_any_horizon(seed):
    time, cause, _, rng = follow_up(seed)
    horizon = float(rng.uniform(0.2, time.max()))
    km = kaplan_meier(time, cause > 0)
    inside = km.time < horizon
    edges = np.concatenate([[0.0], km.time[inside], [horizon]])
    area = (np.append(1.0, km.survival[inside]) * np.diff(edges)).sum()
    assert restricted_mean(time, cause > 0, horizon).estimate == pytest.approx(area, rel=1e-12)


@FEW
@given(seeds)
def test_log_rank_does_not_care_for_names_or_order(seed):
    time, cause, _, rng = follow_up(seed)
    time, cause = np.append(time, [1.0, 1.0, 9.0, 9.0]), np.append(cause, [1, 1, 1, 1])
    group = np.append(rng.integers(0, 2, time.size - 4), [0, 1, 0, 1])
    mixed = rng.permutation(time.size)
    a = log_rank(time, cause > 0, group)
    b = log_rank(time[mixed], cause[mixed] > 0, group[mixed])
    assert a.statistic == b.statistic
    c = log_rank(time, cause > 0, np.where(group == 0, "z", "a"))
    assert c.statistic == pytest.approx(a.statistic, rel=1e-9, abs=1e-12)
    assert a.observed.sum() == pytest.approx(a.expected.sum())
