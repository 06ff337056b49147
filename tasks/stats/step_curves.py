"""Curves that change only at observed times, and how they are read between them."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from tasks.core.errors import EstimationError
from tasks.stats.inputs import FloatArray, IntArray


@dataclass(frozen=True, slots=True, eq=False)
class SurvivalCurve:
    """Survival at each distinct time of event or censoring; arrays have shape (t,).

    `n_at_risk`, `n_events` and `n_censored` count persons, also when the curve is weighted.
    `entries` holds the times at which rows enter, ascending; None where all do at 0.
    """

    time: FloatArray
    n_at_risk: IntArray
    n_events: IntArray
    n_censored: IntArray
    survival: FloatArray
    std_error: FloatArray
    ci_low: FloatArray
    ci_high: FloatArray
    level: float
    ci_method: str
    se_method: Literal["greenwood", "robust"]
    n: int
    events: int
    entries: FloatArray | None = None


@dataclass(frozen=True, slots=True, eq=False)
class StepValues:
    """A curve read at given times; arrays have shape (m,)."""

    time: FloatArray
    estimate: FloatArray
    std_error: FloatArray
    ci_low: FloatArray
    ci_high: FloatArray
    n_at_risk: IntArray


def at_risk_before(
    time: FloatArray,
    n_at_risk: IntArray,
    entries: FloatArray | None,
    exits: IntArray,
    at: FloatArray,
) -> IntArray:
    """Persons at risk just before given times, shape (m,); at time 0 those who start there.

    Args:
        time: Times of the curve, ascending, shape (t,).
        n_at_risk: Persons at risk just before each, shape (t,).
        entries: Times at which rows enter, ascending; None where all do at 0.
        exits: Persons who leave at each time of the curve, shape (t,).
        at: Times asked for, shape (m,).
    """
    place = np.searchsorted(time, at, side="left")
    if entries is None:
        return np.append(n_at_risk, 0)[place]
    come = np.searchsorted(entries, np.nextafter(np.maximum(at, 1e-300), 0.0), side="right")
    gone = np.append(0, exits.cumsum())[place]
    return np.asarray(come - gone, dtype=np.int64)


def places_on_curve(time: FloatArray, at: FloatArray, complete: bool) -> IntArray:
    """Where each of `at` falls on a curve: 0 before its first time, k from its k-th time on.

    Args:
        time: Times of the curve, ascending, shape (t,).
        at: Times to read it at, shape (m,), all >= 0.
        complete: Whether everyone was followed to the event, so the curve stays level.

    Returns:
        Places 0 to t, shape (m,).

    Raises:
        EstimationError: A time is negative or missing, or beyond an incomplete curve.
    """
    if not (np.isfinite(at) & (at >= 0)).all():
        raise EstimationError("times", "a time is negative or missing", "give times from 0 on.")
    if at.max(initial=0.0) > time[-1] and not complete:
        raise EstimationError(
            "times",
            f"{at.max():g} is beyond the longest follow-up {time[-1]:g}",
            "ask for times within the follow-up of every arm.",
        )
    return np.searchsorted(time, at, side="right").astype(np.int64)
