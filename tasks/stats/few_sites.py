"""Tests that hold with few sites: permutation of the roll-out order, and a wild bootstrap."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import factorial, prod
from typing import Literal

import numpy as np

from tasks.core.errors import EstimationError
from tasks.stats.inputs import FloatArray, IntArray, check_level
from tasks.stats.staggered_adoption import Controls, Effect, Panel, simple_weights

WildWeights = Literal["rademacher", "webb"]
MAX_ORDERS = 5_000
MIN_DRAWS = 999
_ROUNDING = 1e-10
_WEBB = np.sqrt(np.array([0.5, 1.0, 1.5]))
_RADEMACHER_SITES = 12


@dataclass(frozen=True, slots=True)
class FewSitesTest:
    """A p-value, the smallest that the design can attain, and an interval (None: unbounded)."""

    p_value: float
    attainable_p: float
    ci_low: float | None
    ci_high: float | None
    draws: int
    is_complete: bool
    method: str


def roll_out_test(
    data: Panel, controls: Controls, draws: int = MIN_DRAWS, seed: int = 0, level: float = 0.95
) -> FewSitesTest:
    """Test the simple average by giving the times of adoption to the sites in other orders.

    Args:
        data: The panel.
        controls: As for `group_time_effects`.
        draws: How many orders are drawn where there are more than 5,000, at least 999.
        seed: Seed of the draws.
        level: Confidence level of the interval, which inverts the test for one constant effect.

    Returns:
        Share of orders at least as extreme as the one seen, itself counted.

    Raises:
        EstimationError: Too few draws are asked for.

    Source:
        Fisher (1935); Roth & Sant'Anna (2023) J Polit Econ Micro 1 for staggered roll-out.
    """
    check_level(level)
    _check_draws(draws)
    labels = _labels(data)
    weights = simple_weights(data, controls)
    orders, is_complete = _orders(labels, draws, seed)
    on = (np.arange(data.times) >= data.adopted[:, None]).astype(np.float64)
    places = np.arange(labels.size)
    effects, exposed = (
        (weights @ values.T)[orders, places].sum(axis=1) for values in (data.values, on)
    )
    low, high = _inverted(effects, exposed, 1 - level + _ROUNDING)
    size = float(abs(effects).max())
    at_most = int((abs(effects) >= size - _ROUNDING * (1 + size)).sum())
    return FewSitesTest(
        _share(effects, exposed, 0.0), at_most / effects.size, low, high, effects.size,
        is_complete, "permutation of the roll-out order",
    )  # fmt: skip


def wild_bootstrap_test(
    effect: Effect, data: Panel, draws: int = MIN_DRAWS, seed: int = 0, level: float = 0.95
) -> FewSitesTest:
    """Test an effect by random signs of the influence of each site, studentised.

    Rademacher's weights from 12 sites on, Webb's six-point weights below.

    Args:
        effect: The effect.
        data: The panel that it is of.
        draws: How many draws, at least 999.
        seed: Seed of the draws.
        level: Confidence level.

    Raises:
        EstimationError: A cohort has one site, whose own variation cannot be seen; too few
            draws; or the sites do not vary.

    Source:
        Webb (2023) Can J Econ 56; Cameron, Gelbach & Miller (2008) Rev Econ Stat 90.
    """
    check_level(level)
    _check_draws(draws)
    _check_pairs(data)
    influence = effect.influence / effect.influence.size
    sites, error = influence.size, effect.std_error
    if error <= _ROUNDING * abs(effect.estimate):
        raise _refused("sites of a cohort do not differ at all", "use inference: permutation.")
    kind: WildWeights = "rademacher" if sites >= _RADEMACHER_SITES else "webb"
    sign = _wild_weights(kind, (draws, sites), seed)
    moved = sign * influence
    centre = moved.sum(axis=1)
    spread = np.sqrt(((moved - centre[:, None] / sites) ** 2).sum(axis=1))
    t = np.sort(abs(centre) / np.where(spread > 0, spread, np.inf))
    seen = abs(effect.estimate) / error
    p_value = (1 + int((t >= seen).sum())) / (draws + 1)
    bound = float(t[min(int(np.ceil(level * (draws + 1))) - 1, draws - 1)])
    points = 2 if kind == "rademacher" else 6
    attainable = max(2 / points**sites, 1 / (draws + 1))
    return FewSitesTest(
        p_value, attainable, effect.estimate - bound * error, effect.estimate + bound * error,
        draws, False, f"wild bootstrap, {kind} weights",
    )  # fmt: skip


def _check_draws(draws: int) -> None:
    if draws < MIN_DRAWS:
        raise _refused(f"{draws} draws are too few", f"ask for {MIN_DRAWS} or more.")


def _check_pairs(data: Panel) -> None:
    _, sizes = np.unique(data.adopted, return_counts=True)
    if alone := int((sizes == 1).sum()):
        what = f"{alone} time(s) of adoption have one site, whose variation cannot be seen"
        raise _refused(what, "use inference: permutation.")


def _labels(data: Panel) -> IntArray:
    """Cohort of each site, as a row of `simple_weights`."""
    return np.searchsorted(np.append(data.cohorts, data.times), data.adopted)


def _orders(labels: IntArray, draws: int, seed: int) -> tuple[IntArray, bool]:
    """Orders of the labels, the one seen first; all of them where they are few."""
    _, sizes = np.unique(labels, return_counts=True)
    count = factorial(labels.size) // prod(factorial(int(size)) for size in sizes)
    if count <= MAX_ORDERS:
        every = np.array(list(_arrangements([int(size) for size in sizes])), dtype=np.int64)
        found = np.unique(labels)[every]
        other = (found != labels).any(axis=1)
        return np.vstack([labels[None, :], found[other]]), True
    random = np.random.default_rng(seed)
    drawn = random.permuted(np.tile(labels, (draws, 1)), axis=1)
    return np.vstack([labels[None, :], drawn]), False


def _arrangements(left: list[int]) -> Iterator[list[int]]:
    """Yield every distinct arrangement of labels of which so many are left."""
    if not any(left):
        yield []
        return
    for label, count in enumerate(left):
        if count:
            rest = [n - (place == label) for place, n in enumerate(left)]
            for tail in _arrangements(rest):
                yield [label, *tail]


def _share(effects: FloatArray, exposed: FloatArray, effect: float) -> float:
    """Share of orders at least as extreme as the first, a constant effect taken away."""
    size = abs(effects - effect * exposed)
    return float((size >= size[0] - _ROUNDING * (1 + size[0])).mean())


def _inverted(
    effects: FloatArray, exposed: FloatArray, alpha: float
) -> tuple[float | None, float | None]:
    """Hull of the constant effects that the test does not reject; the first order is the seen."""
    with np.errstate(divide="ignore", invalid="ignore"):
        one, other = (effects[0] - effects) / (1 - exposed), (effects[0] + effects) / (1 + exposed)
    ends = np.concatenate([one, other])
    ends = np.unique(np.append(ends[np.isfinite(ends)], effects[0]))
    wide = max(1.0, float(abs(ends).max())) * 10
    middle = (ends[1:] + ends[:-1]) / 2
    kept = np.flatnonzero(_shares(effects, exposed, one, other, middle) > alpha)
    low = float(ends[kept[0]]) if kept.size else float(effects[0])
    high = float(ends[kept[-1] + 1]) if kept.size else float(effects[0])
    return (
        None if _share(effects, exposed, -wide) > alpha else min(low, float(effects[0])),
        None if _share(effects, exposed, wide) > alpha else max(high, float(effects[0])),
    )


def _shares(
    effects: FloatArray, exposed: FloatArray, one: FloatArray, other: FloatArray, at: FloatArray
) -> FloatArray:
    """Share of orders at least as extreme, each of the constant effects `at` taken away.

    An order that is exposed less than the one seen is as extreme between two effects, `one` and
    `other`, and nowhere else; the rest are looked at one by one.
    """
    less = abs(exposed) < 1 - _ROUNDING
    first, last = np.minimum(one, other)[less], np.maximum(one, other)[less]
    count = np.searchsorted(np.sort(first), at) - np.searchsorted(np.sort(last), at)
    for effect, share in zip(effects[~less], exposed[~less], strict=True):
        count = count + (abs(effect - at * share) >= abs(effects[0] - at) * (1 - _ROUNDING))
    return np.asarray(count / effects.size, dtype=np.float64)


def _wild_weights(kind: WildWeights, shape: tuple[int, int], seed: int) -> FloatArray:
    random = np.random.default_rng(seed)
    sign = random.integers(0, 2, shape) * 2.0 - 1.0
    size = 1.0 if kind == "rademacher" else _WEBB[random.integers(0, 3, shape)]
    return np.asarray(sign * size, dtype=np.float64)


def _refused(what: str, fix: str) -> EstimationError:
    return EstimationError("difference_in_differences", what, fix)
