"""Strategies with a grace period compared: clone, censor at deviation, weight by its probability.

Everybody follows both strategies at time zero: *start treatment within g days*, and *do not start
within g days*. Each person stands once in each, is censored where what is done departs from it
(the second: on the day treatment starts, if that is by day g; the first: on day g, if it has not
started), and those who stay are weighted by the inverse of the probability of staying. An outcome
on the day of a deviation comes before it.

No row is copied: the two clones of a person are two columns of weights over one sorted table.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from tasks.core.errors import EstimationError
from tasks.stats.bootstrap import Plan, Progress, Resampled, jackknife, resample
from tasks.stats.clone_trial import CovariatePath, Emulation, prepared
from tasks.stats.clone_weights import curve_of_others, curve_of_starters, followers, truncated
from tasks.stats.columns_of_curves import read_curve
from tasks.stats.inputs import FloatArray

__all__ = [
    "STRATEGIES",
    "CloneCensorWeight",
    "CovariatePath",
    "Strategy",
    "clone_censor_weight",
]

_WHERE = "clone_censor_weight"
STRATEGIES = ("start", "do_not_start")


@dataclass(frozen=True, slots=True)
class Strategy:
    """Who follows one strategy just after the grace period, and how far their weights reach.

    `lowest_probability` is the smallest estimated probability of staying with the strategy.
    """

    name: str
    n: int
    events: int
    n_followed: int
    ess: float
    largest_weight: float
    cap: float | None
    lowest_probability: float


@dataclass(frozen=True, slots=True, eq=False)
class CloneCensorWeight:
    """Risks and restricted means under the two strategies, with those of each resample.

    `statistics` holds, for `start` and then `do_not_start`, the risk by each day and at the end
    the restricted mean up to the horizon, shape (2 (d + 1),); `resampled` the same for each
    resample. Without a horizon the restricted means are NaN-free zeros and mean nothing.
    """

    strategies: tuple[Strategy, Strategy]
    days: FloatArray
    horizon: float | None
    statistics: FloatArray
    resampled: Resampled
    n: int
    n_started: int
    without_each: FloatArray | None = None


def clone_censor_weight(
    durations: ArrayLike,
    cause: ArrayLike,
    starts: ArrayLike,
    covariates: ArrayLike | None,
    grace: float,
    days: ArrayLike,
    plan: Plan,
    horizon: float | None = None,
    weights: ArrayLike | None = None,
    truncate: float | None = None,
    window: float | None = None,
    path: CovariatePath | None = None,
    with_jackknife: bool = False,
    progress: Progress | None = None,
) -> CloneCensorWeight:
    """Compare starting treatment within `grace` with not starting within it.

    Args:
        durations: Follow-up of each person from time zero, shape (n,), any one unit, all > 0.
        cause: How it ended: 0 loss, 1 outcome, 2 competing event, shape (n,).
        starts: When treatment started, shape (n,), >= 0; infinite where it never did.
        covariates: Confounders at time zero, shape (n, p); None to weight by time alone.
        grace: Length of the grace period, in the unit of `durations`.
        days: Times at which risks are read, shape (d,).
        plan: Bootstrap of persons; both models of the weights are fitted anew in each resample.
        horizon: Up to where restricted means are taken: the horizon less the area under the
            risk; with competing events, the horizon less the time lost to the outcome.
        weights: Sampling weights of the persons, shape (n,).
        truncate: Share of the followers of a strategy, such as 0.99, at whose weight all larger
            ones are cut; the cut is made once, in the whole sample.
        window: Last part of the grace period. Who starts before it keeps the weight 1, and who
            starts in it stands for those who do not: the model of having started is then of
            this window. None where the window is the whole of the grace period.
        path: Covariates that change, instead of `covariates`; needs `window`.
        with_jackknife: Whether to add the statistics without each person, for BCa intervals.
        progress: As `resample`.

    Returns:
        Risks, restricted means and their resamples.

    Raises:
        EstimationError: Nobody or everybody starts in grace, nobody is followed beyond it or to
            the last day, a covariate separates who starts, there is no outcome, or an input is
            not usable.

    Source:
        Hernan et al. (2016) J Clin Epidemiol 79; Cain et al. (2010) Int J Biostat 6; Maringe et
        al. (2020) Int J Epidemiol 49.
    """
    read = np.atleast_1d(np.asarray(days, dtype=np.float64))
    end = max(float(read.max(initial=0.0)), horizon or 0.0)
    trial = prepared(durations, cause, starts, covariates, grace, end, weights, window, path)
    if truncate is not None:
        trial = truncated(trial, truncate)

    def statistic(times: FloatArray) -> FloatArray:
        return _statistics(trial, times, read, horizon or 0.0)

    whole = statistic(np.ones((trial.time.size, 1)))[0]
    if not np.isfinite(whole).all():
        what = "a strategy has nobody left at risk before the last day"
        raise EstimationError(_WHERE, what, "choose earlier `table_days` or `horizon_days`.")
    _check_reach(trial, end)
    return CloneCensorWeight(
        _described(trial, truncate), read, horizon, whole,
        resample(statistic, trial.time.size, plan, progress),
        trial.time.size, int((trial.start <= np.minimum(grace, trial.time)).sum()),
        jackknife(statistic, trial.time.size) if with_jackknife else None,
    )  # fmt: skip


def _statistics(
    trial: Emulation, times: FloatArray, days: FloatArray, horizon: float
) -> FloatArray:
    """Statistics of each column of weights, shape (b, 2 (d + 1)); NaN where a model failed."""
    mass = times * trial.weight[:, None]
    begin = curve_of_starters(trial, mass)
    wait = curve_of_others(trial, mass)
    read = [read_curve(trial.grid, curve, days, horizon) for curve in (begin, wait)]
    return np.concatenate(read, axis=0).T


def _check_reach(trial: Emulation, end: float) -> None:
    for name, (rows, _, _, _) in zip(STRATEGIES, followers(trial), strict=True):
        longest = float(trial.time[rows].max())
        if longest < end:
            what = f"nobody who follows {name} is followed beyond {longest:g}"
            raise EstimationError(_WHERE, what, "choose earlier `table_days` or `horizon_days`.")


def _described(trial: Emulation, truncate: float | None) -> tuple[Strategy, Strategy]:
    made = []
    deviates = (
        (trial.start > trial.grace) & (trial.time > trial.grace),
        (trial.start <= trial.grace) & (trial.start < trial.time),
    )
    whole = zip(STRATEGIES, followers(trial), deviates, trial.caps, strict=True)
    for name, (rows, weight, inverse, probability), left, cap in whole:
        events = int(((trial.cause == 1) & ~left).sum())
        ess = float(weight.sum() ** 2 / (weight**2).sum())
        made.append(
            Strategy(
                name, trial.time.size, events, rows.size, ess, float(inverse.max()),
                None if truncate is None else cap, float(probability.min()),
            )
        )  # fmt: skip
    return made[0], made[1]
