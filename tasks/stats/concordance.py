"""Harrell's concordance of a risk score with right-censored follow-up."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from tasks.core.errors import EstimationError
from tasks.stats.inference import z_quantile
from tasks.stats.inputs import (
    BoolArray,
    FloatArray,
    IntArray,
    case_weights,
    codes,
    entry_times,
    follow_up,
    same_shape,
)


@dataclass(frozen=True, slots=True)
class Concordance:
    """Share of comparable pairs in which the higher score has the event first; ties count half.

    The pairs behind it are weighted by the product of the weights of the two.
    """

    estimate: float
    std_error: float
    ci_low: float
    ci_high: float
    level: float
    concordant: float
    discordant: float
    tied_score: float
    n: int
    events: int


@dataclass(frozen=True, slots=True, eq=False)
class _Ranked:
    """Rows sorted by stratum and time, deaths before censorings; arrays have shape (n,).

    A pair is comparable within a stratum if one dies and the other is followed for longer: to
    a later time, or to a censoring at the same time.
    """

    score: IntArray  # rank of the score, from 0
    event: BoolArray
    later: IntArray  # first row that outlives a death at this row's time
    end: IntArray  # one past the last row of the stratum
    start: IntArray  # first row of the stratum
    cluster: IntArray
    earlier: IntArray  # one past the last row that such a row outlives, deaths or not
    weight: FloatArray
    since: IntArray  # first row whose time lies after this row's entry
    waiting: "_Waiting | None"  # None where all are at risk from the start


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    """Rows sorted by stratum and entry; arrays have shape (n,)."""

    order: IntArray  # places in the rows sorted by time
    first: IntArray  # for each row sorted by time: first of those who enter no earlier than it ends


def concordance(
    durations: ArrayLike,
    observed: ArrayLike,
    score: ArrayLike,
    strata: ArrayLike | None = None,
    cluster: ArrayLike | None = None,
    level: float = 0.95,
    weights: ArrayLike | None = None,
    entry: ArrayLike | None = None,
) -> Concordance:
    """Harrell's C of a score for which higher means an earlier event.

    Args:
        durations: Follow-up of each person, shape (n,), all > 0.
        observed: True where follow-up ended in the event, shape (n,).
        score: Risk score, such as `linear_predictor(coef, covariates)`, shape (n,).
        strata: Label of the stratum of each person, shape (n,); pairs are within strata.
        cluster: Label of the cluster of each person, shape (n,), whose influences are summed.
        level: Confidence level.
        weights: Case weights, shape (n,), all > 0; a pair weighs their product.
        entry: Time after which each row is at risk, shape (n,); who has not entered when
            another dies is not compared with it.

    Returns:
        C, its infinitesimal-jackknife standard error, and the pairs behind it.

    Raises:
        EstimationError: No pair is comparable, or an input is not usable.

    Source:
        Harrell et al. (1982) JAMA 247. Agrees with R survival `concordance` (time weight n).
    """
    ranked = _rank(durations, observed, score, strata, cluster, weights, entry)
    below, tied, above = ranked.weight * (_as_death(ranked) + _as_survivor(ranked))
    pairs = below + tied + above
    total = float(pairs.sum())
    if not total > 0:
        raise EstimationError("concordance", "no two persons are comparable", "add follow-up.")
    agreement = below + tied / 2
    c = float(agreement.sum() / total)
    influence = np.bincount(ranked.cluster, agreement - c * pairs)
    std_error = float(2 / total * np.sqrt((influence**2).sum()))
    margin = z_quantile(level) * std_error
    return Concordance(
        c, std_error, max(c - margin, 0.0), min(c + margin, 1.0), level,
        float(below.sum() / 2), float(above.sum() / 2), float(tied.sum() / 2),
        ranked.event.size, int(ranked.event.sum()),
    )  # fmt: skip


def _rank(
    durations: ArrayLike,
    observed: ArrayLike,
    score: ArrayLike,
    strata: ArrayLike | None,
    cluster: ArrayLike | None,
    weights: ArrayLike | None,
    entry: ArrayLike | None,
) -> _Ranked:
    time, event = follow_up(durations, observed)
    given = np.asarray(score, dtype=np.float64)
    same_shape(given, time.shape, "score")
    ranks = np.unique(given, return_inverse=True)[1].astype(np.int64)
    weight = np.ones(time.size) if weights is None else case_weights(weights, time.size)
    entered = np.zeros(time.size) if entry is None else entry_times(entry, time)
    stratum = codes(np.zeros(time.size) if strata is None else strata, time.size, "strata")[1]
    order = np.lexsort((entered, weight, ranks, ~event, time, stratum))
    members = order if cluster is None else codes(cluster, time.size, "cluster")[1][order]
    time, event, stratum, entered = time[order], event[order], stratum[order], entered[order]
    start, end = (np.searchsorted(stratum, stratum, side) for side in ("left", "right"))
    new = np.append(True, (np.diff(time) != 0) | (np.diff(stratum) != 0))
    opens = np.append(np.flatnonzero(new), time.size)
    group = new.cumsum() - 1
    deaths_end = opens[:-1] + np.bincount(group, event).astype(np.int64)
    earlier = np.where(event, opens[group], deaths_end[group])
    since, waiting = start, None
    if entry is not None:
        since, waiting = _enter(time, entered, stratum)
    return _Ranked(
        ranks[order], event, deaths_end[group], end, start, members, earlier,
        weight[order], since, waiting,
    )  # fmt: skip


def _enter(time: FloatArray, entry: FloatArray, stratum: IntArray) -> tuple[IntArray, _Waiting]:
    """Where each row sorted by stratum and time enters among the times, and ends among entries."""
    times, rank = np.unique(np.append(time, entry), return_inverse=True)
    ends = stratum * times.size + rank[: time.size]
    enters = stratum * times.size + rank[time.size :]
    order = np.argsort(enters, kind="stable")
    since = np.searchsorted(ends, enters, side="right")
    return since, _Waiting(order, np.searchsorted(enters[order], ends, side="left"))


def _as_death(ranked: _Ranked) -> FloatArray:
    """Per row that dies: weight of survivors of lower, tied and higher score, shape (3, n)."""
    found = _weights_between(ranked.score, ranked.weight, ranked.score, ranked.later, ranked.end)
    if (waiting := ranked.waiting) is not None:
        values, weight = ranked.score[waiting.order], ranked.weight[waiting.order]
        found -= _weights_between(values, weight, ranked.score, waiting.first, ranked.end)
    return np.where(ranked.event, found, 0.0)


def _as_survivor(ranked: _Ranked) -> FloatArray:
    """Per row: weight of deaths it outlives, of higher, tied and lower score, shape (3, n)."""
    deaths = np.append(0, ranked.event.cumsum())
    first, last = deaths[ranked.since], deaths[ranked.earlier]
    first = np.minimum(first, last)
    values, weight = ranked.score[ranked.event], ranked.weight[ranked.event]
    lower, tied, higher = _weights_between(values, weight, ranked.score, first, last)
    return np.stack([higher, tied, lower])


def _weights_between(
    values: IntArray, weight: FloatArray, wanted: IntArray, first: IntArray, last: IntArray
) -> FloatArray:
    """Weight of values[first:last] below, equal to and above each wanted value, shape (3, n).

    All queries walk one wavelet matrix together, bit by bit from the highest: O(n log n).
    """
    sums = np.append(0.0, weight.cumsum())
    whole = sums[last] - sums[first]
    below = np.zeros(first.size)
    for bit in range(max(int(wanted.max()), 1).bit_length() - 1, -1, -1):
        is_one = (values >> bit) & 1
        ones_to = np.append(0, is_one.cumsum())
        zeros_weight = np.append(0.0, (weight * (1 - is_one)).cumsum())
        zeros = values.size - ones_to[-1]
        up = ((wanted >> bit) & 1).astype(bool)
        first_one, last_one = ones_to[first], ones_to[last]
        below += np.where(up, zeros_weight[last] - zeros_weight[first], 0.0)
        first = np.where(up, zeros + first_one, first - first_one)
        last = np.where(up, zeros + last_one, last - last_one)
        parted = [is_one == 0, is_one == 1]
        values = np.concatenate([values[part] for part in parted])
        weight = np.concatenate([weight[part] for part in parted])
    sums = np.append(0.0, weight.cumsum())
    tied = sums[last] - sums[first]
    return np.stack([below, tied, whole - below - tied])
