"""Sequential nested trials: at each moment, those who start treatment against those who do not yet.

A trial begins every `spacing` after time zero. Eligible is who is followed then and was not treated
at the trial before; the arm is the treatment at that moment. One person may be in many trials. The
trials are pooled in Cox's model with a baseline each; standard errors are clustered on persons.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from tasks.core.errors import EstimationError
from tasks.stats.cox import CoxFit, Ties, cox
from tasks.stats.inputs import (
    BoolArray,
    FloatArray,
    IntArray,
    codes,
    design_matrix,
    flags,
    row_order,
    same_shape,
)

_WHERE = "sequential_trials"


@dataclass(frozen=True, slots=True)
class TrialArm:
    """One arm of the pooled trials: entries, distinct persons, and those of them with the event."""

    treated: bool
    entries: int
    persons: int
    events: int
    deviations: int
    largest_weight: float


@dataclass(frozen=True, slots=True, eq=False)
class SequentialTrials:
    """The effect of starting (`itt`), and of starting and staying on course (`per_protocol`).

    The first coefficient of each fit is of treatment, the others of the covariates.
    """

    itt: CoxFit
    per_protocol: CoxFit
    arms: tuple[TrialArm, TrialArm]
    trials: int
    persons: int
    events: int


@dataclass(frozen=True, slots=True, eq=False)
class Intervals:
    """Intervals sorted by person and start, none longer than the spacing of the trials."""

    person: IntArray
    start: FloatArray
    stop: FloatArray
    event: BoolArray
    treated: BoolArray
    x: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class PooledTrials:
    """Intervals of all trials; times are from the begin of the trial, arrays of shape (m,)."""

    entry: FloatArray
    stop: FloatArray
    event: BoolArray
    person: IntArray
    trial: IntArray
    member: IntArray  # person and trial as one number, ascending
    arm: BoolArray
    x_then: FloatArray  # covariates at the begin of the trial
    x_now: FloatArray  # covariates of the interval
    deviates: BoolArray  # the interval ends in leaving the arm's course
    on_course: BoolArray  # the interval lies before any such leaving


def sequential_trials(
    person: ArrayLike,
    start: ArrayLike,
    stop: ArrayLike,
    observed: ArrayLike,
    treated: ArrayLike,
    covariates: ArrayLike,
    spacing: float,
    ties: Ties = "efron",
    truncate: float | None = None,
    level: float = 0.95,
) -> SequentialTrials:
    """Pool the trials that begin at 0, `spacing`, 2 `spacing`, and so on.

    Args:
        person: Whose each interval is, shape (n,).
        start: Where each interval starts, from time zero, shape (n,); a new interval begins
            whenever treatment or a covariate changes.
        stop: Where it stops, shape (n,).
        observed: True where it ends in the event, shape (n,).
        treated: Whether the person is treated in it, shape (n,).
        covariates: Confounders in it, shape (n, p).
        spacing: Time between trials, in the unit of `start`.
        ties: As `cox`.
        truncate: Share of the weights, such as 0.99, at which larger ones are cut.
        level: Confidence level.

    Returns:
        Both effects. Per protocol, a member is censored on leaving the course of the arm, and
        weighted by the inverse of the probability of not having left: Cox's models of leaving,
        one an arm, with the covariates of each interval, over the same with those at the begin
        (stabilised). Standard errors are robust and take the weights as known.

    Raises:
        EstimationError: No trial has both arms, a model cannot be fitted, or an input is not
            usable.

    Source:
        Hernan et al. (2008) Epidemiology 19; Danaei et al. (2013) Stat Methods Med Res 22.
    """
    rows = _split(_checked(person, start, stop, observed, treated, covariates), spacing)
    pooled = pool_trials(rows, spacing)
    weight = np.ones(pooled.person.size)
    for arm in (False, True):
        weight = _weighted_for_leaving(pooled, arm, weight)
    if truncate is not None:
        weight = np.minimum(weight, np.quantile(weight[pooled.on_course], truncate))
    everything = np.ones(pooled.person.size, dtype=np.bool_)
    itt = _fit(pooled, everything, np.ones(pooled.person.size), ties, level)
    protocol = _fit(pooled, pooled.on_course, weight, ties, level)
    arms = tuple(_arm(pooled, arm, weight) for arm in (True, False))
    return SequentialTrials(
        itt, protocol, (arms[0], arms[1]), int(np.unique(pooled.trial).size),
        int(np.unique(pooled.person).size),
        int(np.unique(pooled.person[pooled.event]).size),
    )  # fmt: skip


def _checked(
    person: ArrayLike, start: ArrayLike, stop: ArrayLike, observed: ArrayLike, treated: ArrayLike,
    covariates: ArrayLike,
) -> Intervals:  # fmt: skip
    begin, end = np.asarray(start, dtype=np.float64), np.asarray(stop, dtype=np.float64)
    same_shape(end, begin.shape, "stop")
    if bad := int((~((begin >= 0) & (end > begin) & np.isfinite(end))).sum()):
        what = f"{bad} of {begin.size} intervals do not stop after they start, at 0 or later"
        raise EstimationError(_WHERE, what, "drop or repair them, where attrition is counted.")
    event = flags(observed, begin.shape, "events")
    is_treated = flags(treated, begin.shape, "treated")
    x = design_matrix(covariates, begin.size)
    # Persons are numbered by what their rows hold, so that the order of rows does not matter.
    who = codes(person, begin.size, "person")[1]
    order = row_order((who, begin, end), x)
    return Intervals(
        who[order], begin[order], end[order], event[order], is_treated[order], x[order]
    )


def _split(rows: Intervals, spacing: float) -> Intervals:
    """Cut intervals where trials begin; what ends in the event is the last piece."""
    if not spacing > 0:
        raise EstimationError(_WHERE, f"the spacing is {spacing:g}", "give a number above 0.")
    first = np.floor(rows.start / spacing).astype(np.int64)
    last = np.ceil(rows.stop / spacing).astype(np.int64) - 1
    pieces = last - first + 1
    of = np.repeat(np.arange(rows.start.size), pieces)
    number = np.arange(of.size) - np.repeat(pieces.cumsum() - pieces, pieces)
    cut = (first[of] + number) * spacing
    return Intervals(
        rows.person[of],
        np.maximum(rows.start[of], cut),
        np.minimum(rows.stop[of], cut + spacing),
        rows.event[of] & (number == pieces[of] - 1),
        rows.treated[of],
        rows.x[of],
    )


def pool_trials(rows: Intervals, spacing: float) -> PooledTrials:
    """Put every eligible person into every trial, with all intervals from then on.

    Raises:
        EstimationError: No trial has both arms.
    """
    n_persons = int(rows.person.max()) + 1
    begun = np.full(n_persons, np.inf)
    np.minimum.at(begun, rows.person[rows.treated], rows.start[rows.treated])
    trial = np.floor(rows.start / spacing).astype(np.int64)
    # After the cut an interval covers the begin of a trial only where it starts there.
    at = np.flatnonzero(rows.start == trial * spacing)
    began = begun[rows.person[at]]
    is_new = np.where(rows.treated[at], began > rows.start[at] - spacing, began > rows.start[at])
    at = at[is_new]
    at = at[_in_trials_with_both_arms(trial[at], rows.treated[at])]
    closing = np.searchsorted(rows.person, rows.person[at], side="right")
    count = closing - at
    member = np.repeat(np.arange(at.size), count)
    base = at[member]
    row = base + np.arange(member.size) - np.repeat(count.cumsum() - count, count)
    zero, arm = rows.start[base], rows.treated[base]
    leaves, before = _leaving(rows.treated[row] != arm, member)
    ends_in = np.append(leaves[1:], False) & (np.append(member[1:], -1) == member)
    return PooledTrials(
        rows.start[row] - zero, rows.stop[row] - zero, rows.event[row], rows.person[row],
        trial[base], member, arm, rows.x[base], rows.x[row], ends_in & before, before,
    )  # fmt: skip


def _in_trials_with_both_arms(trial: IntArray, treated: BoolArray) -> BoolArray:
    width = int(trial.max(initial=0)) + 1
    sizes = np.bincount(trial, minlength=width)
    of_treated = np.bincount(trial[treated], minlength=width)
    both = (of_treated > 0) & (of_treated < sizes)
    if not both.any():
        what = "no trial has persons who start treatment and persons who do not"
        raise EstimationError(_WHERE, what, "choose another `interval_days`, or look at starts.")
    return np.asarray(both[trial])


def _leaving(differs: BoolArray, member: IntArray) -> tuple[BoolArray, BoolArray]:
    """First interval off the course of the arm, and whether an interval lies before it."""
    so_far = differs.cumsum()
    opening = np.searchsorted(member, member, side="left")
    off = so_far - (so_far - differs)[opening]
    return np.asarray(differs & (off == 1)), np.asarray(off == 0)


def _weighted_for_leaving(pooled: PooledTrials, arm: bool, weight: FloatArray) -> FloatArray:
    """Weights with those of one arm set: of an interval, by what had happened at its entry."""
    rows = np.flatnonzero(pooled.on_course & (pooled.arm == arm))
    if not pooled.deviates[rows].any():
        return weight
    now = _hazard_of_leaving(pooled, rows, pooled.x_now[rows])
    then = _hazard_of_leaving(pooled, rows, pooled.x_then[rows])
    summed = (now - then).cumsum() - (now - then)
    member = pooled.member[rows]
    opening = np.searchsorted(member, member, side="left")
    result = weight.copy()
    result[rows] = np.exp(summed - summed[opening])
    return result


def _hazard_of_leaving(pooled: PooledTrials, rows: IntArray, x: FloatArray) -> FloatArray:
    """Cumulative hazard of leaving in each interval, from Cox's model with Breslow's baseline."""
    varies = np.ptp(x, axis=0) > 0
    entry, stop, left = pooled.entry[rows], pooled.stop[rows], pooled.deviates[rows]
    relative = np.ones(rows.size)
    if varies.any():
        fit = cox(stop, left, x[:, varies], ties="breslow", entry=entry)
        relative = np.exp((x[:, varies] - x[:, varies].mean(axis=0)) @ fit.coef)
    moment, deaths = np.unique(stop[left], return_counts=True)
    at_risk = _sum_from(stop, relative, moment) - _sum_from(entry, relative, moment)
    so_far = np.append(0.0, (deaths / at_risk).cumsum())
    passed = [so_far[np.searchsorted(moment, time, side="right")] for time in (stop, entry)]
    return np.asarray((passed[0] - passed[1]) * relative)


def _sum_from(time: FloatArray, values: FloatArray, moment: FloatArray) -> FloatArray:
    """Sum of the values whose time is at or after each moment."""
    order = np.argsort(time, kind="stable")
    after = np.append(values[order][::-1].cumsum()[::-1], 0.0)
    return np.asarray(after[np.searchsorted(time[order], moment, side="left")])


def _fit(
    pooled: PooledTrials, chosen: BoolArray, weight: FloatArray, ties: Ties, level: float
) -> CoxFit:
    rows = np.flatnonzero(chosen)
    x = np.column_stack([pooled.arm[rows].astype(np.float64), pooled.x_then[rows]])
    return cox(
        pooled.stop[rows], pooled.event[rows], x, ties, weight[rows], True, pooled.person[rows],
        pooled.trial[rows], level, pooled.entry[rows],
    )  # fmt: skip


def _arm(pooled: PooledTrials, arm: bool, weight: FloatArray) -> TrialArm:
    rows = pooled.arm == arm
    return TrialArm(
        arm,
        int(np.unique(pooled.member[rows]).size),
        int(np.unique(pooled.person[rows]).size),
        int(np.unique(pooled.person[rows & pooled.event]).size),
        int((pooled.deviates & rows).sum()),
        float(weight[rows & pooled.on_course].max()),
    )
