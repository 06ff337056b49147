"""Curves under informative loss to follow-up: those still followed are weighted by its inverse.

The probability of not being lost is from Cox's model of the time to loss. A factor that depends
on time alone (stabilised weights) cancels in every risk set, so it is left out.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from tasks.core.errors import EstimationError
from tasks.stats.batched import Starts, before_ties, ranks, sort_starts, start_hazards
from tasks.stats.bootstrap import Plan, Progress, Resampled, jackknife, resample
from tasks.stats.columns_of_curves import incidence, read_curve
from tasks.stats.cox import cox
from tasks.stats.inputs import (
    BoolArray,
    FloatArray,
    IntArray,
    case_weights,
    design_matrix,
    follow_up,
    row_order,
)

_WHERE = "ipcw"


@dataclass(frozen=True, slots=True, eq=False)
class CensoringWeighted:
    """Survival by each day, and at the end the restricted mean up to the horizon, shape (d + 1,).

    `resampled` holds the same for each resample, `without_each` without each person.
    """

    days: FloatArray
    horizon: float | None
    statistics: FloatArray
    resampled: Resampled
    n_at_risk: IntArray
    n: int
    events: int
    lost: int
    largest_weight: float
    ess: float
    without_each: FloatArray | None = None


@dataclass(frozen=True, slots=True, eq=False)
class _Followed:
    """Persons sorted by follow-up, and those at risk of loss at each time of one."""

    time: FloatArray
    event: FloatArray
    x: FloatArray
    weight: FloatArray
    grid: FloatArray
    starts: Starts
    order: IntArray
    begin: FloatArray


def survival_weighted_for_loss(
    durations: ArrayLike,
    observed: ArrayLike,
    covariates: ArrayLike,
    days: ArrayLike,
    plan: Plan,
    horizon: float | None = None,
    weights: ArrayLike | None = None,
    with_jackknife: bool = False,
    progress: Progress | None = None,
) -> CensoringWeighted:
    r"""Kaplan-Meier survival weighted by the inverse probability of not being lost.

    .. math:: \hat S(t) = \prod_{u \le t} \left(1 -
              \frac{\sum_i w_i(u) dN_i(u)}{\sum_i w_i(u) Y_i(u)}\right),
              \quad w_i(u) = \exp\{\hat H_0(u-) e^{x_i'\hat\beta}\}

    Args:
        durations: Follow-up of each person, shape (n,), any one unit, all > 0.
        observed: True where it ended in the event, shape (n,); else the person was lost.
        covariates: What may tell of both loss and event, shape (n, p).
        days: Times at which survival is read, shape (d,).
        plan: Bootstrap of persons; the model of loss is fitted anew in each resample.
        horizon: Up to where the restricted mean is taken.
        weights: Sampling weights, shape (n,).
        with_jackknife: Whether to add the statistics without each person.
        progress: As `resample`.

    Raises:
        EstimationError: Nobody is lost or has the event before the last day, nobody is followed
            to it, a covariate separates who is lost, or an input is not usable.

    Source:
        Robins & Finkelstein (2000) Biometrics 56.
    """
    read = np.atleast_1d(np.asarray(days, dtype=np.float64))
    end = max(float(read.max(initial=0.0)), horizon or 0.0)
    reach = horizon or 0.0
    data = _prepare(durations, observed, covariates, end, weights)

    def statistic(times: FloatArray) -> FloatArray:
        found = read_curve(data.grid, _risk(data, times * data.weight[:, None]), read, reach)
        found[:-1] = 1 - found[:-1]
        return np.asarray(found.T)

    whole = statistic(np.ones((data.time.size, 1)))[0]
    last = _weights_at(data, data.weight[:, None], end)
    share = last / data.weight[data.time >= end]
    at_risk = data.time.size - np.searchsorted(data.time, read)
    return CensoringWeighted(
        read, horizon, whole, resample(statistic, data.time.size, plan, progress),
        at_risk.astype(np.int64), data.time.size, int(data.event.sum()),
        int(((data.event == 0) & (data.time < end)).sum()), float(share.max()),
        float(last.sum() ** 2 / (last**2).sum()),
        jackknife(statistic, data.time.size) if with_jackknife else None,
    )  # fmt: skip


def _prepare(
    durations: ArrayLike, observed: ArrayLike, covariates: ArrayLike, end: float,
    weights: ArrayLike | None,
) -> _Followed:  # fmt: skip
    time, event = follow_up(durations, observed)
    x = design_matrix(covariates, time.size)
    weight = np.ones(time.size) if weights is None else case_weights(weights, time.size)
    order = row_order((time, event, weight), x)
    time, event, x, weight = time[order], event[order], x[order], weight[order]
    lost = ~event & (time < end)
    _check(time, event, lost, end)
    scale = x.std(axis=0)
    x = np.ascontiguousarray((x - x.mean(axis=0)) / np.where(scale > 0, scale, 1.0))
    # An event on the day of a loss comes before it: who has it is not at risk of that loss.
    until = np.minimum(before_ties(time, event), end)
    fit = cox(ranks(until), lost, x, ties="breslow", weights=weight)
    starts, places = sort_starts(until, lost.astype(np.float64), x)
    grid = np.unique(time[event & (time <= end)])
    return _Followed(time, event.astype(np.float64), x, weight, grid, starts, places, fit.coef)


def _check(time: FloatArray, event: BoolArray, lost: BoolArray, end: float) -> None:
    if not lost.any():
        what = f"nobody is lost before {end:g}"
        raise EstimationError(_WHERE, what, "leave `censoring_terms` out: there is no loss.")
    if not event[time <= end].any():
        raise EstimationError(_WHERE, f"nobody has the event by {end:g}", "look further.")
    if time[-1] < end:
        what = f"{end:g} is beyond the longest follow-up {time[-1]:g}"
        raise EstimationError(_WHERE, what, "choose earlier `table_days` or `horizon_days`.")


def _risk(data: _Followed, mass: FloatArray) -> FloatArray:
    """Weighted risk at each time of the grid, shape (t, b)."""
    beta, hazard = start_hazards(data.starts, mass[data.order], data.begin)
    so_far = np.concatenate([np.zeros((1, mass.shape[1])), hazard.cumsum(axis=0)])
    relative = np.exp(data.x @ beta.T)
    before = np.searchsorted(data.starts.moment, data.grid, side="left")
    first = np.searchsorted(data.time, data.grid, side="left")
    last = np.searchsorted(data.time, data.grid, side="right")
    risk, exits = np.zeros((2, data.grid.size, mass.shape[1]))
    for place in range(data.grid.size):
        rows = slice(first[place], None)
        weight = mass[rows] * np.exp(so_far[before[place]] * relative[rows])
        gone = last[place] - first[place]
        risk[place] = weight.sum(axis=0)
        exits[place] = data.event[first[place] : last[place]] @ weight[:gone]
    risk[:, np.isnan(beta).any(axis=1)] = np.nan
    return incidence(risk, np.stack([exits, np.zeros_like(exits)]))


def _weights_at(data: _Followed, mass: FloatArray, end: float) -> FloatArray:
    """Weights of those still followed at the end, shape (m,)."""
    beta, hazard = start_hazards(data.starts, mass[data.order], data.begin)
    rows = data.time >= end
    relative = np.exp(data.x[rows] @ beta.T)
    return np.asarray((mass[rows] * np.exp(hazard.sum(axis=0) * relative))[:, 0])
