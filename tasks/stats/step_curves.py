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


@dataclass(frozen=True, slots=True, eq=False)
class StepValues:
    """A curve read at given times; arrays have shape (m,)."""

    time: FloatArray
    estimate: FloatArray
    std_error: FloatArray
    ci_low: FloatArray
    ci_high: FloatArray
    n_at_risk: IntArray


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
