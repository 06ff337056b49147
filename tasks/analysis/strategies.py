"""Rows of two strategies with a grace period, of persons of a table or of the lake."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from tasks.analysis.people import BoolArray, FloatArray, IntArray
from tasks.analysis.table_bootstrap import numbers
from tasks.core.spec import Analysis
from tasks.stats.bootstrap import BootstrapInterval, interval
from tasks.stats.clone_censor_weight import STRATEGIES, CloneCensorWeight

Row = dict[str, object]
TIME = {"at_kind": "time_days"}
_LOW = 0.02  # a probability of staying below which a few persons stand for very many


@dataclass(frozen=True, slots=True, eq=False)
class Course:
    """Follow-up of each person, how it ended, and when treatment started, shape (n,)."""

    time: FloatArray
    event: IntArray
    start: FloatArray
    grace: float

    def leaves(self, strategy: str) -> FloatArray:
        """Return the day on which each clone departs from a strategy; infinite where never."""
        if strategy == STRATEGIES[0]:
            return np.where(self.start > self.grace, self.grace, np.inf)
        return np.where(self.start <= self.grace, self.start, np.inf)

    def has_outcome(self, strategy: str) -> BoolArray:
        """Return whose outcome belongs to a strategy: before the clone departs, or on that day."""
        return np.asarray((self.event == 1) & (self.time <= self.leaves(strategy)))

    def events_by(self, strategy: str, days: FloatArray) -> IntArray:
        """Count the outcomes of a strategy by each day."""
        seen = np.sort(self.time[self.has_outcome(strategy)])
        return np.asarray(np.searchsorted(seen, days, side="right"), dtype=np.int64)

    def at_risk(self, strategy: str, days: FloatArray) -> IntArray:
        """Count the clones of a strategy that are followed on each day."""
        ends = np.sort(np.minimum(self.time, self.leaves(strategy)))
        return np.asarray(ends.size - np.searchsorted(ends, days, side="left"), dtype=np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class Told:
    """An estimate of two strategies, and how rows are made of it.

    `row` makes a row of results; `of_strategy` names one strategy in it, and `compared` both.
    """

    analysis: Analysis
    course: Course
    found: CloneCensorWeight
    row: Callable[..., Row]
    of_strategy: Callable[[str], Row]
    compared: Row

    def place(self, day: float) -> int:
        """Return where a day stands among those of the estimate."""
        return int(np.flatnonzero(self.found.days == day)[0])


def risks(told: Told) -> Iterator[Row]:
    """Yield the risk of each strategy by each day, and both compared on the last day."""
    days = [float(day) for day in told.analysis.table_days]
    for day in days:
        for number in range(len(STRATEGIES)):
            yield risk_row(told, number, day, "table")
    if days:
        last = max(days)
        what = {"at": last, **TIME}
        yield _contrast(told, "risk_difference", told.place(last), **what)
        yield _ratio(told, told.place(last), **what)


def risk_row(told: Told, number: int, day: float, term: str) -> Row:
    """Return the risk of a strategy by a day, with the outcomes of its clones until then."""
    events = told.course.events_by(STRATEGIES[number], np.array([day]))
    what = {"n_events": int(events[0]), "at": day, "unit": "probability", **TIME}
    at = number * (told.found.days.size + 1) + told.place(day)
    return _of_strategy(told, "cumulative_incidence", number, at, term, **what)


def means(told: Told) -> Iterator[Row]:
    """Yield the restricted mean of each strategy and their difference, up to the horizon."""
    found = told.found
    if found.horizon is None:
        return
    what = {"at": found.horizon, "unit": "days", **TIME}
    for number in range(len(STRATEGIES)):
        at = number * (found.days.size + 1) + found.days.size
        yield _of_strategy(told, "rmst", number, at, None, **what)
    yield _contrast(told, "rmst_difference", found.days.size, **what)


def sizes(told: Told) -> Iterator[Row]:
    """Yield, for each strategy, the effective size of its followers just after grace."""
    for strategy in told.found.strategies:
        cut = "" if strategy.cap is None else f", cut at {strategy.cap:.4g}"
        doubt = "; positivity is doubtful" if strategy.lowest_probability < _LOW else ""
        note = (
            f"weights up to {strategy.largest_weight:.4g}{cut}; lowest probability of staying "
            f"{strategy.lowest_probability:.4g}{doubt}"
        )
        yield told.row(
            "ess",
            at=told.course.grace,
            unit="persons",
            estimate=strategy.ess,
            n=strategy.n_followed,
            n_events=None,
            note=note,
            **TIME,
            **told.of_strategy(strategy.name),
        )


def _of_strategy(
    told: Told, name: str, number: int, place: int, term: str | None, **values: object
) -> Row:
    found, strategy = told.found, told.of_strategy(STRATEGIES[number])
    drawn = found.resampled.values[:, place]
    if not found.statistics[place] and not drawn.any():  # no outcome yet: nothing varies
        nothing: Row = {"estimate": 0.0, "estimate_scale": "identity", "ci_level": None}
        return told.row(name, term=term, **(nothing | strategy | values))
    jackknife = None if found.without_each is None else found.without_each[:, place]
    made = _interval(told, found.statistics[place], drawn, jackknife)
    events = {"n_events": found.strategies[number].events}
    return told.row(name, term=term, **(events | numbers(made) | strategy | values))


def _contrast(told: Told, name: str, place: int, **values: object) -> Row:
    found = told.found
    made = _interval(
        told,
        float(_less(found.statistics, place, found)),
        _less(found.resampled.values, place, found),
        None if found.without_each is None else _less(found.without_each, place, found),
    )
    test = {"statistic_name": "z", "statistic": made.estimate / made.std_error}
    what = numbers(made) | test | {"estimate_scale": "difference", "p_value": made.p_value}
    return told.row(name, **(what | told.compared | values))


def _ratio(told: Told, place: int, **values: object) -> Row:
    """Return the risk ratio; its error, and a normal interval, are of its logarithm."""
    found = told.found
    parts = (found.statistics, found.resampled.values, found.without_each)
    whole, drawn, without = (None if p is None else _log_ratio(p, place, found) for p in parts)
    if whole is None or drawn is None or not np.isfinite(drawn).all() or not np.isfinite(whole):
        note = "a strategy has no outcome by then, in the data or in a resample"
        lost = {"status": "not_estimable", "note": note}
        return told.row("risk_ratio", **(lost | told.compared | values))
    made = _interval(told, float(whole), drawn, without)
    limits = {"ci_low": float(np.exp(made.ci_low)), "ci_high": float(np.exp(made.ci_high))}
    what = numbers(made) | limits | {"estimate": float(np.exp(made.estimate))}
    what |= {"estimate_scale": "ratio", "se_scale": "log", "p_value": made.p_value}
    what |= {"statistic_name": "z", "statistic": made.estimate / made.std_error}
    return told.row("risk_ratio", **(what | told.compared | values))


def _less(values: FloatArray, at: int, found: CloneCensorWeight) -> FloatArray:
    return np.asarray(values[..., at] - values[..., at + found.days.size + 1])


def _log_ratio(values: FloatArray, at: int, found: CloneCensorWeight) -> FloatArray:
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = values[..., at] / values[..., at + found.days.size + 1]
        return np.asarray(np.log(ratio))


def _interval(
    told: Told, estimate: float, drawn: FloatArray, jackknife: FloatArray | None
) -> BootstrapInterval:
    method = told.analysis.bootstrap_interval or "normal"
    return interval(float(estimate), drawn, method, without_each=jackknife)
