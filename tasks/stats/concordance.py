"""Harrell's concordance of a risk score with right-censored follow-up."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from tasks.core.errors import EstimationError
from tasks.stats.inference import z_quantile
from tasks.stats.inputs import BoolArray, IntArray, codes, follow_up, same_shape


@dataclass(frozen=True, slots=True)
class Concordance:
    """Share of comparable pairs in which the higher score has the event first; ties count half."""

    estimate: float
    std_error: float
    ci_low: float
    ci_high: float
    level: float
    concordant: int
    discordant: int
    tied_score: int
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


def concordance(
    durations: ArrayLike,
    observed: ArrayLike,
    score: ArrayLike,
    strata: ArrayLike | None = None,
    cluster: ArrayLike | None = None,
    level: float = 0.95,
) -> Concordance:
    """Harrell's C of a score for which higher means an earlier event.

    Args:
        durations: Follow-up of each person, shape (n,), all > 0.
        observed: True where follow-up ended in the event, shape (n,).
        score: Risk score, such as `linear_predictor(coef, covariates)`, shape (n,).
        strata: Label of the stratum of each person, shape (n,); pairs are within strata.
        cluster: Label of the cluster of each person, shape (n,), whose influences are summed.
        level: Confidence level.

    Returns:
        C, its infinitesimal-jackknife standard error, and the pairs behind it.

    Raises:
        EstimationError: No pair is comparable, or an input is not usable.

    Source:
        Harrell et al. (1982) JAMA 247. Agrees with R survival `concordance` (time weight n).
    """
    ranked = _rank(durations, observed, score, strata, cluster)
    below, tied, above = _as_death(ranked) + _as_survivor(ranked)
    pairs = below + tied + above
    total = int(pairs.sum())
    if not total:
        raise EstimationError("concordance", "no two persons are comparable", "add follow-up.")
    agreement = below + tied / 2
    c = float(agreement.sum() / total)
    influence = np.bincount(ranked.cluster, agreement - c * pairs)
    std_error = float(2 / total * np.sqrt((influence**2).sum()))
    margin = z_quantile(level) * std_error
    return Concordance(
        c, std_error, max(c - margin, 0.0), min(c + margin, 1.0), level,
        int(below.sum()) // 2, int(above.sum()) // 2, int(tied.sum()) // 2,
        ranked.event.size, int(ranked.event.sum()),
    )  # fmt: skip


def _rank(
    durations: ArrayLike,
    observed: ArrayLike,
    score: ArrayLike,
    strata: ArrayLike | None,
    cluster: ArrayLike | None,
) -> _Ranked:
    time, event = follow_up(durations, observed)
    given = np.asarray(score, dtype=np.float64)
    same_shape(given, time.shape, "score")
    ranks = np.unique(given, return_inverse=True)[1].astype(np.int64)
    stratum = codes(np.zeros(time.size) if strata is None else strata, time.size, "strata")[1]
    order = np.lexsort((ranks, ~event, time, stratum))
    members = order if cluster is None else codes(cluster, time.size, "cluster")[1][order]
    time, event, stratum = time[order], event[order], stratum[order]
    start, end = (np.searchsorted(stratum, stratum, side) for side in ("left", "right"))
    new = np.append(True, (np.diff(time) != 0) | (np.diff(stratum) != 0))
    opens = np.append(np.flatnonzero(new), time.size)
    group = new.cumsum() - 1
    deaths_end = opens[:-1] + np.bincount(group, event).astype(np.int64)
    earlier = np.where(event, opens[group], deaths_end[group])
    return _Ranked(ranks[order], event, deaths_end[group], end, start, members, earlier)


def _as_death(ranked: _Ranked) -> IntArray:
    """Per row that dies: survivors of lower, tied and higher score, shape (3, n)."""
    lower, tied = _counts_between(ranked.score, ranked.score, ranked.later, ranked.end)
    size = ranked.end - ranked.later
    return np.where(ranked.event, np.stack([lower, tied, size - lower - tied]), 0)


def _as_survivor(ranked: _Ranked) -> IntArray:
    """Per row: deaths it outlives, of higher, tied and lower score, shape (3, n)."""
    deaths = np.append(0, ranked.event.cumsum())
    first, last = deaths[ranked.start], deaths[ranked.earlier]
    lower, tied = _counts_between(ranked.score[ranked.event], ranked.score, first, last)
    return np.stack([last - first - lower - tied, tied, lower])


def _counts_between(
    values: IntArray, wanted: IntArray, first: IntArray, last: IntArray
) -> tuple[IntArray, IntArray]:
    """How many of values[first:last] are below, and equal to, each wanted value.

    All queries walk one wavelet matrix together, bit by bit from the highest: O(n log n).
    """
    below = np.zeros_like(first)
    for bit in range(max(int(wanted.max()), 1).bit_length() - 1, -1, -1):
        is_one = (values >> bit) & 1
        ones_to = np.append(0, is_one.cumsum())
        zeros = values.size - ones_to[-1]
        up = ((wanted >> bit) & 1).astype(bool)
        first_one, last_one = ones_to[first], ones_to[last]
        below += np.where(up, (last - last_one) - (first - first_one), 0)
        first = np.where(up, zeros + first_one, first - first_one)
        last = np.where(up, zeros + last_one, last - last_one)
        values = np.concatenate([values[is_one == 0], values[is_one == 1]])
    return below, last - first
