"""The trial that clones of every person take part in: sorted, checked, both models fitted once.

What is prepared here does not change from resample to resample: who is at risk of starting when,
the days on which curves step, and where the models of the weights begin.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from tasks.core.errors import EstimationError
from tasks.stats.batched import Products, Starts, before_ties, products, ranks, sort_starts
from tasks.stats.cox import cox
from tasks.stats.inputs import (
    BoolArray,
    FloatArray,
    IntArray,
    case_weights,
    design_matrix,
    follow_up,
    linear_predictor,
    row_order,
    same_shape,
)
from tasks.stats.logistic import logistic

_WHERE = "clone_censor_weight"


@dataclass(frozen=True, slots=True, eq=False)
class CovariatePath:
    """Covariates that change: intervals of each person, from time zero on, without gaps.

    `person` is the place of the person among the durations; `x` has shape (m, p).
    """

    person: IntArray
    start: FloatArray
    stop: FloatArray
    x: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Emulation:
    """Persons sorted by follow-up, and what the weights and the curves are made from.

    n persons; m rows of covariates, one a person unless they change.
    """

    time: FloatArray  # (n,)
    cause: IntArray  # (n,), 0 censored, 1 outcome, 2 competing event
    start: FloatArray  # (n,), infinite where treatment never started
    weight: FloatArray  # (n,)
    grace: float
    grid: FloatArray  # (t,), times of outcomes and competing events up to the end
    x: FloatArray  # (m, p), standardised, by person and time
    owner: IntArray  # (m,), whose each row is
    stop: FloatArray  # (m,), until when it holds
    first: IntArray  # (n,), first row of each person
    last: IntArray  # (n,), last row of each person
    starts: Starts
    order: IntArray  # rows of covariates as `starts` holds them
    late: IntArray  # persons followed beyond the grace period
    choosing: IntArray  # those of them who could still start in the last window of grace
    at_grace: Products | None  # ones and covariates of the choosing
    begin: FloatArray  # (p,), coefficients of starting in the whole sample
    begin_at_grace: FloatArray  # (1 + p,), of having started by the end of grace
    caps: tuple[float, float] = (np.inf, np.inf)

    @property
    def started(self) -> BoolArray:
        """Which of the late persons had started by the end of the grace period."""
        return np.asarray(self.start[self.late] <= self.grace)

    @property
    def chose(self) -> BoolArray:
        """Which of the choosing had started by the end of the grace period."""
        return np.asarray(self.start[self.choosing] <= self.grace)


def prepared(
    durations: ArrayLike, cause: ArrayLike, starts: ArrayLike, covariates: ArrayLike | None,
    grace: float, end: float, weights: ArrayLike | None, window: float | None,
    path: CovariatePath | None,
) -> Emulation:  # fmt: skip
    """Return the persons of a trial sorted, with both models fitted; see `clone_censor_weight`.

    Raises:
        EstimationError: Nobody or everybody starts in grace, there is no outcome, a model cannot
            be fitted, or an input is not usable.
    """
    time, kind, start, x, weight = _checked(durations, cause, starts, covariates, weights)
    if not 0 < grace < end:
        what = f"the grace period {grace:g} does not end before the last day {end:g}"
        raise EstimationError(_WHERE, what, "ask for days beyond `grace_days`.")
    whole = np.arange(time.size)
    path = path or CovariatePath(whole, np.zeros(time.size), time, x)
    _check_path(path, time, window)
    order = row_order((time, kind, start, weight), _path_by_person(path, time.size))
    time, kind, start, weight = time[order], kind[order], start[order], weight[order]
    owner = np.argsort(order)[path.person]
    rows = np.lexsort((path.start, owner))
    # An outcome comes before a start of the same day: who has it is not at risk of that start.
    started = (start <= grace) & ((start < time) | ((start == time) & (kind == 0)))
    left = before_ties(time, (kind > 0) & ~started)
    risk_end = np.minimum(np.minimum(start, left), grace)
    grid = np.unique(time[(kind > 0) & (time <= end)])
    if not (kind[time <= end] == 1).any():
        raise EstimationError(_WHERE, "nobody has the outcome by the last day", "look further.")
    late = np.flatnonzero(time > grace)
    _check_both_follow(start[late] <= grace, grace)
    return _modelled(
        (time, kind, start, weight), grid, grace, window, risk_end, started, late,
        CovariatePath(owner[rows], path.start[rows], path.stop[rows], path.x[rows]),
    )  # fmt: skip


def _modelled(
    persons: tuple[FloatArray, IntArray, FloatArray, FloatArray], grid: FloatArray, grace: float,
    window: float | None, risk_end: FloatArray, started: BoolArray, late: IntArray,
    path: CovariatePath,
) -> Emulation:  # fmt: skip
    """Both models of the weights in the whole sample, where one that fails is told by name."""
    time, kind, start, weight = persons
    first = np.searchsorted(path.person, np.arange(time.size), side="left")
    last = np.searchsorted(path.person, np.arange(time.size), side="right") - 1
    x = _standardised(path.x)
    # The first row of a person holds at time zero too: treatment may start there.
    entry = path.start.copy()
    entry[first] = -1.0
    rows = np.flatnonzero(entry < risk_end[path.person])
    of = path.person[rows]
    end = np.where(rows == last[of], risk_end[of], np.minimum(path.stop[rows], risk_end[of]))
    begins = started[of] & (end == risk_end[of])
    late_entry = entry[rows] if rows.size > time.size else None
    sets, places = sort_starts(end, begins.astype(np.float64), x[rows], late_entry)
    opens = -1.0 if window is None else grace - window
    choosing = late[start[late] > opens]
    at = x[_rows_at(path, first, last, max(opens, 0.0))[choosing]]
    begin, begin_at_grace = np.zeros(0), np.array([_log_odds(start[choosing] <= grace)])
    if x.shape[1]:
        all_times = ranks(np.concatenate([end, entry[rows]]))
        enters = None if late_entry is None else all_times[end.size :]
        fit = cox(
            all_times[: end.size], begins, x[rows], ties="breslow", weights=weight[of], entry=enters
        )
        begin = fit.coef
        begin_at_grace = logistic(at, start[choosing] <= grace, weight[choosing]).coef
    ones = np.column_stack([np.ones(choosing.size), at])
    needs_model = x.shape[1] > 0 or window is not None
    return Emulation(
        time, kind, start, weight, grace, grid, x, path.person, path.stop, first, last, sets,
        rows[places], late, choosing, products(ones) if needs_model else None,
        begin, begin_at_grace,
    )  # fmt: skip


def _log_odds(chose: BoolArray) -> float:
    """Log odds of starting in the last window of grace, where both kinds are needed."""
    if not 0 < chose.sum() < chose.size:
        what = f"{int(chose.sum())} of {chose.size} persons start in the last days of grace"
        raise EstimationError(_WHERE, what, "make `interval_days` longer, or leave it out.")
    return float(np.log(chose.mean() / (1 - chose.mean())))


def _path_by_person(path: CovariatePath, n: int) -> FloatArray:
    """Covariates at time zero and a hash of those later, shape (n, p + 1), to sort persons by."""
    rows = np.lexsort((path.start, path.person))
    opening = rows[np.searchsorted(path.person[rows], np.arange(n))]
    mixer = np.sqrt(np.arange(2, path.x.shape[1] + 2, dtype=np.float64))
    hashed = linear_predictor(mixer, path.x) + 1.0
    later = np.bincount(path.person[rows], (hashed * np.sqrt(path.stop))[rows], minlength=n)
    return np.column_stack([path.x[opening], later])


def _rows_at(path: CovariatePath, first: IntArray, last: IntArray, time: float) -> IntArray:
    """Row of covariates of each person that holds just after a time, shape (n,)."""
    over = np.bincount(path.person[path.stop <= time], minlength=first.size)
    return np.asarray(np.minimum(first + over, last), dtype=np.int64)


def _check_path(path: CovariatePath, time: FloatArray, window: float | None) -> None:
    if path.person.size == time.size:
        return
    if window is None:
        what = "covariates that change need the window in which the last may start"
        raise EstimationError(_WHERE, what, "give `interval_days`.")
    rows = np.lexsort((path.start, path.person))
    person, start, stop = path.person[rows], path.start[rows], path.stop[rows]
    is_first = np.append(True, np.diff(person) != 0)
    follows = np.append(0.0, stop[:-1])
    bad = int((start != np.where(is_first, 0.0, follows)).sum())
    if bad or not np.isfinite(path.x).all():
        what = f"{bad} intervals do not begin at 0, or where the one before ends"
        raise EstimationError(_WHERE, what, "deliver intervals without gaps from time zero on.")


def _checked(
    durations: ArrayLike, cause: ArrayLike, starts: ArrayLike, covariates: ArrayLike | None,
    weights: ArrayLike | None,
) -> tuple[FloatArray, IntArray, FloatArray, FloatArray, FloatArray]:  # fmt: skip
    kind = np.asarray(cause, dtype=np.int64)
    time, _ = follow_up(durations, np.asarray(kind > 0))
    start = np.asarray(starts, dtype=np.float64)
    same_shape(start, time.shape, "treatment start")
    if bad := int((~(start >= 0)).sum()):
        what = f"{bad} of {start.size} treatment starts are missing or before time zero"
        raise EstimationError(_WHERE, what, "let those who never start be infinite.")
    x = np.zeros((time.size, 0))
    if covariates is not None:
        x = design_matrix(covariates, time.size)
    weight = np.ones(time.size) if weights is None else case_weights(weights, time.size)
    return time, kind, start, x, weight


def _standardised(x: FloatArray) -> FloatArray:
    if not x.shape[1]:
        return x
    scale = x.std(axis=0)
    return np.ascontiguousarray((x - x.mean(axis=0)) / np.where(scale > 0, scale, 1.0))


def _check_both_follow(started: BoolArray, grace: float) -> None:
    if not 0 < started.sum() < started.size:
        what = f"{int(started.sum())} of {started.size} persons followed beyond {grace:g} started"
        fix = "both strategies need followers; change `grace_days`, or the population."
        raise EstimationError(_WHERE, what, fix)
