"""Strategies with a grace period compared: clone, censor at deviation, weight by its probability.

Everybody follows both strategies at time zero: *start treatment within g days*, and *do not start
within g days*. Each person stands once in each, is censored where what is done departs from it
(the second: on the day treatment starts, if that is by day g; the first: on day g, if it has not
started), and those who stay are weighted by the inverse of the probability of staying. An outcome
on the day of a deviation comes before it.

No row is copied: the two clones of a person are two columns of weights over one sorted table.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from tasks.core.errors import EstimationError
from tasks.stats.batched import (
    Products,
    Starts,
    before_ties,
    logistic_columns,
    products,
    ranks,
    sort_starts,
    start_hazards,
)
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
    linear_predictor,
    row_order,
    same_shape,
)
from tasks.stats.logistic import logistic

_WHERE = "clone_censor_weight"
STRATEGIES = ("start", "do_not_start")
_HIGHEST = 0.999  # of a hazard at one moment: a person who cannot but start


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
    trial = _prepare(durations, cause, starts, covariates, grace, end, weights, window, path)
    if truncate is not None:
        trial = _truncated(trial, truncate)

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


def _prepare(
    durations: ArrayLike, cause: ArrayLike, starts: ArrayLike, covariates: ArrayLike | None,
    grace: float, end: float, weights: ArrayLike | None, window: float | None,
    path: CovariatePath | None,
) -> Emulation:  # fmt: skip
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


def _statistics(
    trial: Emulation, times: FloatArray, days: FloatArray, horizon: float
) -> FloatArray:
    """Statistics of each column of weights, shape (b, 2 (d + 1)); NaN where a model failed."""
    mass = times * trial.weight[:, None]
    begin = curve_of_starters(trial, mass)
    wait = curve_of_others(trial, mass)
    read = [read_curve(trial.grid, curve, days, horizon) for curve in (begin, wait)]
    return np.concatenate(read, axis=0).T


def curve_of_starters(trial: Emulation, mass: FloatArray) -> FloatArray:
    """Risk of the outcome under *start within grace* at each time of the grid, shape (t, b)."""
    weight, _ = _late_weights_of_starters(trial, mass)
    early = int(np.searchsorted(trial.grid, trial.grace, side="right"))
    risk = np.concatenate(
        [_at_risk(trial, mass, 0, early), _at_risk(trial, weight, early, trial.grid.size)]
    )
    return incidence(risk, _exits(trial, mass, weight, early))


def curve_of_others(trial: Emulation, mass: FloatArray) -> FloatArray:
    """Risk under *do not start within grace* at each time of the grid, shape (t, b)."""
    exposure = _Exposure(trial, mass)
    early = int(np.searchsorted(trial.grid, trial.grace, side="right"))
    risk = np.zeros((trial.grid.size, mass.shape[1]))
    exits = np.zeros((2, *risk.shape))
    for place, day in enumerate(trial.grid[:early]):
        first, last = np.searchsorted(trial.time, day), np.searchsorted(trial.time, day, "right")
        rows = first + np.flatnonzero(trial.start[first:] >= day)
        weight = mass[rows] * exposure.inverse_before(day, rows)
        risk[place] = weight.sum(axis=0)
        gone = np.searchsorted(rows, last)
        for kind in (1, 2):
            is_kind = trial.cause[rows[:gone]] == kind
            exits[kind - 1, place] = weight[:gone][is_kind].sum(axis=0)
    weight = np.zeros_like(mass)
    waited = trial.late[~trial.started]
    weight[waited] = mass[waited] * exposure.inverse_before(np.inf, waited)
    risk[early:] = _at_risk(trial, weight, early, trial.grid.size)
    exits[:, early:] = _exits(trial, weight, weight, early)[:, early:]
    return incidence(np.where(exposure.failed, np.nan, risk), exits)


class _Exposure:
    """The hazard of starting that each person was exposed to, asked for at ascending times."""

    def __init__(self, trial: Emulation, mass: FloatArray) -> None:
        self._trial = trial
        of_rows = mass[trial.owner[trial.order]]
        beta, self._hazard = start_hazards(trial.starts, of_rows, trial.begin)
        self.failed = np.isnan(beta).any(axis=1)
        self._relative = np.exp(trial.x @ beta.T)
        self._changes = trial.x.shape[0] > trial.time.size
        self._passed, self._at = 0, trial.first.copy()
        self._sum = np.zeros((trial.time.size if self._changes else 1, mass.shape[1]))

    def inverse_before(self, time: float, rows: IntArray) -> FloatArray:
        """Inverse of the probability of not having started before a time; 1 without covariates."""
        trial = self._trial
        for place in range(self._passed, int(np.searchsorted(trial.starts.moment, time))):
            self._add(place)
        if not trial.x.shape[1]:
            return np.ones((rows.size, 1))
        summed = self._sum[rows] if self._changes else self._sum * self._relative[rows]
        return np.asarray(np.minimum(np.exp(summed), trial.caps[1]))

    def _add(self, place: int) -> None:
        trial, self._passed = self._trial, place + 1
        if not self._changes:
            self._sum = self._sum + self._hazard[place]
            return
        moment = trial.starts.moment[place]
        while (moved := (trial.stop[self._at] < moment) & (self._at < trial.last)).any():
            self._at = self._at + moved
        # Starts of intervals are tied: a product of 1 - h, not exp(-h), is right for them.
        hazard = np.minimum(self._hazard[place] * self._relative[self._at], _HIGHEST)
        self._sum -= np.log1p(-hazard)


def _late_weights_of_starters(trial: Emulation, mass: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Weights after grace of those who started in it, shape (n, b), and the probabilities."""
    weight = np.zeros_like(mass)
    begun = trial.late[trial.started]
    weight[begun] = mass[begun]
    if trial.at_grace is None:
        return weight, np.ones((trial.choosing.size, mass.shape[1]))
    outcome = trial.chose.astype(np.float64)
    beta = logistic_columns(trial.at_grace, outcome, mass[trial.choosing], trial.begin_at_grace)
    with np.errstate(over="ignore"):
        inverse = 1 + np.exp(-(trial.at_grace.x @ beta.T))
    chose = trial.choosing[trial.chose]
    weight[chose] = mass[chose] * np.minimum(inverse[trial.chose], trial.caps[0])
    return weight, 1 / inverse


def _at_risk(trial: Emulation, values: FloatArray, begin: int, end: int) -> FloatArray:
    """Sums over rows still followed at each time of a piece of the grid, shape (end - begin, b)."""
    if begin == end:
        return np.zeros((0, values.shape[1]))
    first = np.searchsorted(trial.time, trial.grid[begin:end], side="left")
    pieces = np.add.reduceat(values, first, axis=0)
    return np.asarray(pieces[::-1].cumsum(axis=0)[::-1])


def _exits(
    trial: Emulation, early_mass: FloatArray, late_mass: FloatArray, early: int
) -> FloatArray:
    """Sums over outcomes and over competing events at each time of the grid, shape (2, t, b)."""
    gone = np.flatnonzero((trial.cause > 0) & (trial.time <= trial.grid[-1]))
    place = np.searchsorted(trial.grid, trial.time[gone])
    mass = np.where((place < early)[:, None], early_mass[gone], late_mass[gone])
    begins = np.searchsorted(place, np.arange(trial.grid.size))
    kinds = [mass * (trial.cause[gone] == kind)[:, None] for kind in (1, 2)]
    return np.stack([np.add.reduceat(part, begins, axis=0) for part in kinds])


def _whole(trial: Emulation) -> list[tuple[IntArray, FloatArray, FloatArray, FloatArray]]:
    """For each strategy: followers after grace, weights, inverse and probability of staying."""
    mass = trial.weight[:, None]
    weight, probability = _late_weights_of_starters(trial, mass)
    begun, waited = trial.late[trial.started], trial.late[~trial.started]
    inverse = _Exposure(trial, mass).inverse_before(np.inf, waited)[:, 0]
    return [
        (begun, weight[begun, 0], weight[begun, 0] / trial.weight[begun], probability[:, 0]),
        (waited, trial.weight[waited] * inverse, inverse, 1 / inverse),
    ]


def _truncated(trial: Emulation, share: float) -> Emulation:
    if not 0.5 < share < 1:
        what = f"the share {share:g} at which weights are cut is not in (0.5, 1)"
        raise EstimationError(_WHERE, what, "give a share such as 0.99.")
    caps = [float(np.quantile(inverse, share)) for _, _, inverse, _ in _whole(trial)]
    return replace(trial, caps=(caps[0], caps[1]))


def _check_reach(trial: Emulation, end: float) -> None:
    for name, (rows, _, _, _) in zip(STRATEGIES, _whole(trial), strict=True):
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
    whole = zip(STRATEGIES, _whole(trial), deviates, trial.caps, strict=True)
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
