"""Net benefit where the condition is an event by a day, and follow-up may end before.

The risk of those who are acted on is that of their Kaplan-Meier curve, or the Aalen-Johansen
cumulative incidence where another event competes. Standard errors come from resampled units.
"""

from dataclasses import dataclass

import numpy as np

from tasks.core.errors import EstimationError
from tasks.stats.inputs import BoolArray, FloatArray, IntArray

_CELLS = 4_000_000
_LOOK = "choose an earlier day."


@dataclass(frozen=True, slots=True, eq=False)
class FollowUp:
    """Follow-up of cases in rising order of time; shape (n,) each.

    Args:
        time: Days at which follow-up ended.
        event: How: 0 censored, 1 the event, 2 another that competes.
        horizon: The day by which the event counts.
        order: Place of each among the cases as they were given.
    """

    time: FloatArray
    event: IntArray
    horizon: float
    order: IntArray


def follow_up_of(time: FloatArray, event: IntArray, horizon: float) -> FollowUp:
    """Sort follow-up."""
    order = np.lexsort((event, time))
    return FollowUp(time[order], event[order], horizon, order.astype(np.int64))


def drawn_weights(units: IntArray, replicates: int, rng: np.random.Generator) -> FloatArray:
    """Return weights of cases, shape (1 + replicates, n): all 1, then those of resampled units."""
    size = int(units.max()) + 1
    drawn = rng.multinomial(size, np.full(size, 1 / size), size=replicates)
    return np.vstack([np.ones(units.size), drawn[:, units]]).astype(np.float64)


def benefits(
    positive: BoolArray, of: FollowUp, odds: float, weights: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return net benefit, and the risk of those acted on, for each row of weights.

    Args:
        positive: Whether each case is acted on, in the order they were given, shape (n,).
        of: Follow-up.
        odds: What a false positive costs.
        weights: Shape (b, n), in the order the cases were given.

    Raises:
        EstimationError: Nobody acted on is followed to the horizon.

    Source:
        Vickers et al. (2008) BMC Med Inform Decis Mak 8:53. Agrees with R dcurves `dca(Surv())`.
    """
    acted = positive[of.order]
    if not acted.any():
        return np.zeros(weights.shape[0]), np.zeros(weights.shape[0])
    _reaches(of.time[acted], of.event[acted], of.horizon)
    chosen = weights[:, of.order[acted]]
    size = max(1, _CELLS // chosen.shape[1])
    risk = np.concatenate(
        [
            _risks(of.time[acted], of.event[acted], of.horizon, chosen[begin : begin + size])
            for begin in range(0, chosen.shape[0], size)
        ]
    )
    share = chosen.sum(axis=1) / weights.sum(axis=1)
    return share * (risk - (1 - risk) * odds), risk


def _reaches(time: FloatArray, event: IntArray, horizon: float) -> None:
    last = float(time.max())
    if last < horizon and (event[time == last] == 0).any():
        what = "nobody who is acted on is followed to the horizon"
        raise EstimationError("net benefit", what, _LOOK)


def _risks(time: FloatArray, event: IntArray, horizon: float, weight: FloatArray) -> FloatArray:
    """Return the cumulative incidence of event 1 by the horizon, for each row of weights."""
    starts = np.flatnonzero(np.diff(time, prepend=-np.inf) > 0)
    at_risk = np.cumsum(weight[:, ::-1], axis=1)[:, ::-1][:, starts]
    seen = time[starts] <= horizon
    ends = [np.add.reduceat(weight * (event == kind), starts, axis=1) for kind in (1, 2)]
    with np.errstate(invalid="ignore", divide="ignore"):
        first, other = (np.where(at_risk > 0, part / at_risk, 0.0) * seen for part in ends)
    free = np.cumprod(1 - first - other, axis=1)
    before = np.column_stack([np.ones(weight.shape[0]), free[:, :-1]])
    return np.asarray((before * first).sum(axis=1))
