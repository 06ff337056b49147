"""Cox's partial likelihood with tied times, weights and strata: value, score and information.

All sums over risk sets are running sums from the last time back, one per distinct time of
death; the information is one weighted cross-product of the covariates less a correction of as
many rows as there are times of death. The cost of one evaluation is O(n p^2).
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from tasks.stats.inputs import BoolArray, FloatArray, IntArray

Ties = Literal["efron", "breslow", "exact"]
_BLOCK = 65_536
_CONSTANT = 1e-12


@dataclass(frozen=True, slots=True, eq=False)
class FollowUp:
    """Right-censored follow-up with weights and strata, each of shape (n,); `x` is (n, p).

    A row is at risk after its `entry`, up to and with its `time`; None where all enter at once.
    """

    time: FloatArray
    event: BoolArray
    x: FloatArray
    weight: FloatArray
    stratum: IntArray
    entry: FloatArray | None = None


@dataclass(frozen=True, slots=True, eq=False)
class LateEntry:
    """Rows that enter after some moment of death in their stratum, and where they do."""

    row: IntArray  # (l,)
    moment: IntArray  # (l,), last moment at which the row is not yet at risk
    end: IntArray  # (k,), one past the last moment of the stratum of each moment


@dataclass(frozen=True, slots=True, eq=False)
class StillAtRisk:
    """Rows that stay at risk after their own time, with a weight that falls with time.

    At moment k such a row has weight `share[row] * level[k]`, from `begin` to the end of its
    stratum: those who had a competing event, in the model of Fine and Gray.
    """

    row: IntArray  # (l,)
    share: FloatArray  # (l,)
    begin: IntArray  # (l,), first moment after the row's own time
    end: IntArray  # (l,), one past the last moment of the row's stratum
    level: FloatArray  # (k,)
    start: IntArray  # (k,), first moment of the stratum of each moment


@dataclass(frozen=True, slots=True, eq=False)
class RiskSets:
    """Rows sorted by stratum and time, and where each moment of death begins among them.

    n rows, p covariates, k moments (stratum and time) with deaths, e terms: one a moment for
    Breslow's ties, one a death for Efron's.
    """

    x: FloatArray  # (n, p), centred and scaled
    scale: FloatArray  # (p,), what each column was divided by
    weight: FloatArray  # (n,)
    event: BoolArray  # (n,)
    offset: FloatArray  # (n,), fixed part of the linear predictor
    time: FloatArray  # (k,)
    edges: IntArray  # (m,), rows at which a stratum or a moment begins, and n at the end
    first: IntArray  # (k,), edge of the first row at risk
    end: IntArray  # (k,), edge that ends the stratum
    passed: IntArray  # (n,), moments up to the row's own time, all strata counted
    base: IntArray  # (n,), moments in strata before the row's own, and those before its entry
    death: IntArray  # (d,), moment of each death
    term: IntArray  # (e,), moment of each term
    share: FloatArray  # (e,), share of the dying that is taken out of the risk set
    term_weight: FloatArray  # (e,)
    late: LateEntry | None = None  # None where all are at risk from the start
    still: StillAtRisk | None = None  # None where nobody is at risk after the own time
    exact: bool = False  # tied deaths are one choice among those at risk; sums are Breslow's


@dataclass(frozen=True, slots=True, eq=False)
class Moments:
    """Risk-set sums at one coefficient vector: what value, score and information are made of."""

    log_likelihood: float
    risk: FloatArray  # (n,), weight times relative hazard
    at_risk_x: FloatArray  # (k, p), sums of risk times covariates over those at risk
    dying_x: FloatArray  # (k, p), and over those who die
    denominator: FloatArray  # (e,)


def sort_into_risk_sets(data: FollowUp, order: IntArray, ties: Ties) -> RiskSets:
    """Sort follow-up into risk sets; `order` must sort by stratum, then time.

    Args:
        data: Follow-up of n persons.
        order: Row numbers in ascending stratum and time, shape (n,).
        ties: How tied deaths are taken.

    Returns:
        The risk sets, with covariates centred and scaled to unit weighted variance.
    """
    time, event, stratum = data.time[order], data.event[order], data.stratum[order]
    weight = data.weight[order]
    x, scale = _standardise(data.x[order], weight)
    new = np.append(True, (np.diff(time) != 0) | (np.diff(stratum) != 0))
    group = new.cumsum() - 1
    has_death = np.bincount(group[event], minlength=group[-1] + 1) > 0
    passed = has_death.cumsum()[group]
    opening, closing = _bounds(stratum)
    first_row = np.flatnonzero(new)[has_death]
    edges = np.unique(np.concatenate([[0, time.size], first_row, closing]))
    death = passed[event] - 1
    term, share, term_weight = _terms(death, weight[event], ties)
    base = (passed - has_death[group])[opening][stratum]
    late = None
    if data.entry is not None:
        of_moment = stratum[first_row]
        base, late = _enter(data.entry[order], stratum, base, time[first_row], of_moment)
    return RiskSets(
        x, scale, weight, event, np.zeros_like(time), time[first_row], edges,
        np.searchsorted(edges, first_row), np.searchsorted(edges, closing[stratum[first_row]]),
        passed, base, death, term, share, term_weight, late, exact=ties == "exact",
    )  # fmt: skip


def _enter(
    entry: FloatArray, stratum: IntArray, base: IntArray, moment: FloatArray, of_moment: IntArray
) -> tuple[IntArray, LateEntry]:
    """Moments that each row has not yet entered for, all strata counted, shape (n,); who is late.

    Args:
        entry: Entry of each row, shape (n,).
        stratum: Stratum of each row, shape (n,).
        base: Moments in strata before the row's own, shape (n,).
        moment: Time of each moment, ascending within its stratum, shape (k,).
        of_moment: Stratum of each moment, ascending, shape (k,).
    """
    times, rank = np.unique(np.append(moment, entry), return_inverse=True)
    key = of_moment * times.size + rank[: moment.size]
    entered = np.searchsorted(key, stratum * times.size + rank[moment.size :], side="right")
    row = np.flatnonzero(entered > base)
    end = np.searchsorted(of_moment, of_moment, side="right")
    return entered, LateEntry(row, entered[row] - 1, end)


def log_likelihood(sets: RiskSets, beta: FloatArray) -> float:
    """Log partial likelihood at scaled coefficients `beta`, shape (p,)."""
    return _value(sets, beta)[0]


def moments(sets: RiskSets, beta: FloatArray) -> Moments:
    """Risk-set sums and log-likelihood at scaled coefficients `beta`, shape (p,)."""
    value, risk, denominator = _value(sets, beta)
    at_risk_x, dying_x = _sums(sets, risk[:, None] * sets.x)
    return Moments(value, risk, at_risk_x, dying_x, denominator)


def term_sums(sets: RiskSets, at: Moments, factor: FloatArray | None = None) -> FloatArray:
    """Sums over terms of w/q, w s/q, w/q^2, w s/q^2 and w s^2/q^2 by moment, shape (5, k).

    w is the weight of a term, q its denominator, s its share; `factor`, shape (k,),
    multiplies the weight of each moment.
    """
    weight = sets.term_weight if factor is None else sets.term_weight * factor[sets.term]
    one, two = weight / at.denominator, weight / at.denominator**2
    parts = (one, one * sets.share, two, two * sets.share, two * sets.share**2)
    return np.stack([np.bincount(sets.term, part, minlength=sets.time.size) for part in parts])


def score_by_moment(sets: RiskSets, at: Moments) -> FloatArray:
    """Observed less expected covariates of the dead at each moment, shape (k, p)."""
    sums = term_sums(sets, at)
    dead = np.flatnonzero(sets.event)
    begins = _begins(sets.death)
    found = np.add.reduceat(sets.weight[dead, None] * sets.x[dead], begins, axis=0)
    return np.asarray(found - sums[0, :, None] * at.at_risk_x + sums[1, :, None] * at.dying_x)


def information(sets: RiskSets, at: Moments, factor: FloatArray | None = None) -> FloatArray:
    """Observed information, shape (p, p); `factor`, shape (k,), weights each moment's part."""
    sums = term_sums(sets, at, factor)
    gram = _gram(sets.x, row_hazards(sets, at, sums[0], sums[1]))
    s, d = at.at_risk_x, at.dying_x
    cross = s.T @ (sums[3, :, None] * d)
    return np.asarray(
        gram - s.T @ (sums[2, :, None] * s) + cross + cross.T - d.T @ (sums[4, :, None] * d)
    )


def row_hazards(
    sets: RiskSets, at: Moments, over_all: FloatArray, over_dying: FloatArray
) -> FloatArray:
    """Risk of each row times the increments it was exposed to, shape (n,)."""
    exposure = since_entry(sets, over_all[:, None])[:, 0]
    exposure[sets.event] -= over_dying[sets.death]
    return at.risk * exposure


def since_entry(sets: RiskSets, increments: FloatArray) -> FloatArray:
    """Sum of increments, (k, m), over the moments each row was at risk at, shape (n, m)."""
    running = np.zeros((increments.shape[0] + 1, increments.shape[1]))
    np.cumsum(increments, axis=0, out=running[1:])
    exposure = np.asarray(running[sets.passed] - running[sets.base])
    if (still := sets.still) is not None:
        np.cumsum(still.level[:, None] * increments, axis=0, out=running[1:])
        after = running[still.end] - running[still.begin]
        exposure[still.row] += still.share[:, None] * after
    return exposure


def score_residuals(sets: RiskSets, at: Moments) -> FloatArray:
    """Score residual of each sorted row, unweighted, shape (n, p); as R's `coxph` has them."""
    sums = term_sums(sets, at)
    s, d = at.at_risk_x, at.dying_x
    over_all = sums[2, :, None] * s - sums[3, :, None] * d
    over_dying = sums[3, :, None] * s - sums[4, :, None] * d
    dead = np.flatnonzero(sets.event)
    relative = at.risk / sets.weight
    residual = relative[:, None] * since_entry(sets, over_all)
    residual[dead] -= relative[dead, None] * over_dying[sets.death]
    residual -= (row_hazards(sets, at, sums[0], sums[1]) / sets.weight)[:, None] * sets.x
    deaths_weight = np.bincount(sets.death, sets.weight[dead], minlength=sets.time.size)
    mean = (sums[0, :, None] * s - sums[1, :, None] * d) / deaths_weight[:, None]
    residual[dead] += sets.x[dead] - mean[sets.death]
    return np.asarray(residual)


def _standardise(x: FloatArray, weight: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return `x` itself, centred and scaled in place, and its scale."""
    share = weight / weight.sum()
    centre = share @ x
    x -= centre
    scale = np.sqrt(share @ x**2)
    scale[scale <= _CONSTANT * abs(centre)] = 1.0
    x /= scale
    return x, scale


def _bounds(stratum: IntArray) -> tuple[IntArray, IntArray]:
    """First row of each stratum, and one past its last; strata are numbered from 0, sorted."""
    closing = np.bincount(stratum).cumsum()
    return np.append(0, closing[:-1]), closing


def _value(sets: RiskSets, beta: FloatArray) -> tuple[float, FloatArray, FloatArray]:
    """Log-likelihood, risk of each row, and the denominator of each term."""
    eta = sets.x @ beta + sets.offset
    eta = eta - eta.max()
    risk = sets.weight * np.exp(eta)
    at_risk, dying = _sums(sets, risk[:, None])
    denominator = at_risk[sets.term, 0] - sets.share * dying[sets.term, 0]
    gained = (sets.weight * eta)[sets.event].sum()
    return float(gained - (sets.term_weight * np.log(denominator)).sum()), risk, denominator


def _terms(
    death: IntArray, weight: FloatArray, ties: Ties
) -> tuple[IntArray, FloatArray, FloatArray]:
    """Moment, share and weight of each term of the log-likelihood's second sum."""
    total = np.bincount(death, weight)
    moments_ = np.arange(total.size, dtype=np.int64)
    if ties != "efron":
        return moments_, np.zeros(total.size), np.asarray(total, dtype=np.float64)
    count = np.bincount(death)
    rank = np.arange(death.size) - _begins(death)[death]
    return death, rank / count[death], (total / count)[death]


def _begins(death: IntArray) -> IntArray:
    """Place of the first death of each moment in the list of deaths."""
    return np.flatnonzero(np.append(True, np.diff(death) != 0))


def _sums(sets: RiskSets, values: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Sums of (n, m) `values` over those at risk and over the dying at each moment, (k, m)."""
    pieces = np.add.reduceat(values, sets.edges[:-1], axis=0)
    after = np.zeros((sets.edges.size, values.shape[1]))
    after[:-1] = pieces[::-1].cumsum(axis=0)[::-1]
    dying = np.add.reduceat(values[sets.event], _begins(sets.death), axis=0)
    at_risk = after[sets.first] - after[sets.end]
    if sets.late is not None:
        at_risk = at_risk - _not_yet(sets.late, values)
    if sets.still is not None:
        at_risk = at_risk + sets.still.level[:, None] * shares_before(sets.still, values)
    return at_risk, dying


def shares_before(still: StillAtRisk, values: FloatArray) -> FloatArray:
    """Sums of share times (n, m) `values` over rows that stay at risk, at each moment, (k, m)."""
    k = still.level.size
    running = np.zeros((k + 1, values.shape[1]))
    for column, given in enumerate(values[still.row].T):
        np.cumsum(
            np.bincount(still.begin, still.share * given, minlength=k), out=running[1:, column]
        )
    return np.asarray(running[1:] - running[still.start])


def _not_yet(late: LateEntry, values: FloatArray) -> FloatArray:
    """Sums of (n, m) `values` over those who have not yet entered at each moment, (k, m)."""
    k = late.end.size
    waiting = np.zeros((k + 1, values.shape[1]))
    for column, given in enumerate(values[late.row].T):
        waiting[:k, column] = np.bincount(late.moment, given, minlength=k)
    waiting = waiting[::-1].cumsum(axis=0)[::-1]
    return np.asarray(waiting[:k] - waiting[late.end])


def _gram(x: FloatArray, weight: FloatArray) -> FloatArray:
    """Weighted cross-product X'WX in blocks of rows, so that no copy of `x` is needed."""
    result = np.zeros((x.shape[1], x.shape[1]))
    for begin in range(0, x.shape[0], _BLOCK):
        rows = x[begin : begin + _BLOCK]
        result += rows.T @ (weight[begin : begin + _BLOCK, None] * rows)
    return (result + result.T) / 2
