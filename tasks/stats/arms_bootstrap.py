"""Risks and restricted means of two weighted arms, with the bootstrap of persons.

Persons are sorted once. A resample is a column of multinomial weights; what weights the arms, such
as a propensity score, is fitted anew in each.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from tasks.core.errors import EstimationError
from tasks.stats.bootstrap import Plan, Progress, Resampled, jackknife, resample
from tasks.stats.columns_of_curves import incidence, read_curve
from tasks.stats.inputs import BoolArray, FloatArray, IntArray, flags, follow_up, row_order
from tasks.stats.refitted_weights import WeightModel

_WHERE = "bootstrap of arms"


@dataclass(frozen=True, slots=True, eq=False)
class ArmsBootstrap:
    """Risk by each of d days and the restricted mean, of the first arm and then of the other.

    `statistics` has shape (2 (d + 1),); `resampled` holds the same for each resample,
    `without_each` without each person. Days after the end of an arm hold its last risk.
    """

    statistics: FloatArray
    resampled: Resampled
    without_each: FloatArray | None = None


@dataclass(frozen=True, slots=True, eq=False)
class _Arm:
    """Persons of an arm among all sorted ones, and the k times at which some of them leave."""

    rows: IntArray
    grid: FloatArray
    first: IntArray  # (k,), first of the rows still at risk at each time
    exits: tuple[tuple[IntArray, IntArray, IntArray], ...]  # by cause: rows, their starts, times


def bootstrap_of_arms(
    durations: ArrayLike,
    cause: ArrayLike,
    treated: ArrayLike,
    days: ArrayLike,
    plan: Plan,
    horizon: float | None = None,
    model: WeightModel | None = None,
    with_jackknife: bool = False,
    progress: Progress | None = None,
) -> ArmsBootstrap:
    """Cumulative incidence by days and restricted means of both arms, in the data and resamples.

    Args:
        durations: Follow-up of each person, shape (n,), all > 0.
        cause: 0 censored, 1 the outcome, 2 a competing event, shape (n,).
        treated: True for the first arm, shape (n,).
        days: Days by which risks are read, shape (d,).
        plan: Replicates, seed, name and threads.
        horizon: Up to where restricted means are taken; they are 0 without.
        model: What weights the arms, of the same persons in the same order; all weigh 1 without.
        with_jackknife: Whether to add the statistics without each person.
        progress: As `resample`.

    Raises:
        EstimationError: An arm is empty, or has no outcome by the last day; or as `resample`.

    Source:
        Efron & Tibshirani (1993), ch. 6; Austin (2016) Stat Med 35, weights in each resample.
    """
    kind = np.asarray(cause, dtype=np.int64)
    time, _ = follow_up(durations, np.asarray(kind > 0))
    arm = flags(treated, time.shape, "treated")
    read, reach = np.atleast_1d(np.asarray(days, dtype=np.float64)), horizon or 0.0
    order = row_order((time, kind, arm), np.zeros((time.size, 0)) if model is None else model.x)
    time, kind, arm = time[order], kind[order], arm[order]
    sorted_model = None if model is None else model.at(order)
    end = max(float(read.max(initial=0.0)), reach)
    arms = [_arm(time, kind, mine, end) for mine in (arm, ~arm)]

    def statistic(times: FloatArray) -> FloatArray:
        mass = _weighted(sorted_model, times)
        return np.concatenate(
            [read_curve(one.grid, _risk(one, mass), read, reach) for one in arms]
        ).T

    return ArmsBootstrap(
        statistic(np.ones((time.size, 1)))[0],
        resample(statistic, time.size, plan, progress),
        jackknife(statistic, time.size) if with_jackknife else None,
    )


def _arm(time: FloatArray, kind: IntArray, mine: BoolArray, end: float) -> _Arm:
    rows = np.flatnonzero(mine)
    leaves = rows[(kind[rows] > 0) & (time[rows] <= end)]
    if not (kind[leaves] == 1).any():
        what = f"nobody of an arm has the outcome by {end:g}"
        raise EstimationError(_WHERE, what, "look further, or compare another outcome.")
    grid = np.unique(time[leaves])
    exits = []
    for cause in (1, 2):
        of_cause = leaves[kind[leaves] == cause]
        moments, starts = np.unique(time[of_cause], return_index=True)
        exits.append((of_cause, starts.astype(np.int64), np.searchsorted(grid, moments)))
    return _Arm(rows, grid, np.searchsorted(time[rows], grid), tuple(exits))


def _weighted(model: WeightModel | None, times: FloatArray) -> FloatArray:
    """Weight of each person in each resample, shape (n, b); NaN where the model has none."""
    if model is None:
        return times
    return np.column_stack([column * _or_nothing(model, column) for column in times.T])


def _or_nothing(model: WeightModel, times: FloatArray) -> FloatArray:
    try:
        return model.weights(times)
    except EstimationError:
        return np.full(times.size, np.nan)


def _risk(arm: _Arm, mass: FloatArray) -> FloatArray:
    """Cumulative incidence of the outcome at each time of the arm, shape (k, b)."""
    at_risk = mass[arm.rows][::-1].cumsum(axis=0)[::-1][arm.first]
    exits = np.zeros((2, *at_risk.shape))
    for place, (rows, starts, at) in enumerate(arm.exits):
        if rows.size:
            exits[place, at] = np.add.reduceat(mass[rows], starts, axis=0)
    return incidence(at_risk, exits)
