"""Gray's test for equal cumulative incidence of one cause in k groups."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from tasks.core.errors import EstimationError
from tasks.stats.inference import TestResult, chi_square_p
from tasks.stats.inputs import BoolArray, FloatArray, IntArray, codes, follow_up
from tasks.stats.risk_table import distinct_times

_Scores = tuple[FloatArray, FloatArray, FloatArray]


def gray_test(
    durations: ArrayLike,
    cause: ArrayLike,
    group: ArrayLike,
    strata: ArrayLike | None = None,
    rho: float = 0.0,
) -> TestResult:
    """Gray's test of k groups for the cumulative incidence of cause 1, stratified or not.

    Args:
        durations: Follow-up of each person, shape (n,), all > 0.
        cause: How follow-up ended, shape (n,): 0 censored, 1 the event, 2 a competing event.
        group: Label of each person's group, shape (n,), two labels or more.
        strata: Label of each person's stratum, shape (n,); compared within strata only.
        rho: Weight of an event is 1 - F before it to this power, F of all groups together.

    Returns:
        Chi-square on k - 1 degrees of freedom; (weighted) observed events of each group, and
        those expected under one subdistribution hazard.

    Raises:
        EstimationError: Fewer than two groups, no event, or groups never at risk together.

    Source:
        Gray (1988) Ann Stat 16:1141. Agrees with R cmprsk `cuminc`, its correction for ties too.
    """
    time, event = follow_up(durations, np.asarray(cause) == 1)
    kind = np.where(event, 1, np.where(np.asarray(cause) == 0, 0, 2))
    labels, member = codes(group, time.size, "group")
    if labels.size < 2 or not event.any():
        what = f"{labels.size} group(s) and {int(event.sum())} event(s)"
        fix = "compare two groups or more that have events."
        raise EstimationError("gray_test", what, fix)
    stratum = codes(np.zeros(time.size) if strata is None else strata, time.size, "strata")[1]
    order = np.argsort(stratum, kind="stable")
    parts = [
        _scores(_tally(time[rows], kind[rows], member[rows], labels.size), rho)
        for rows in np.split(order, np.cumsum(np.bincount(stratum))[:-1])
    ]
    found, expected, variance = (np.sum(part, axis=0) for part in zip(*parts, strict=True))
    statistic, df = _chi_square(found - expected, variance, expected > 0)
    return TestResult(
        statistic, df, chi_square_p(statistic, df), found, expected,
        tuple(str(label) for label in labels), time.size, int(event.sum()),
    )  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class _Tally:
    """Of each group at each time with any event, shape (k, t).

    `n` at risk, `d1` and `d2` events of the cause and of others; `s` and `s_before` survival free
    of both, `f_before` the cumulative incidence just before.
    """

    n: FloatArray
    d1: FloatArray
    d2: FloatArray
    s: FloatArray
    s_before: FloatArray
    f_before: FloatArray


def _tally(time: FloatArray, kind: IntArray, member: IntArray, groups: int) -> _Tally:
    distinct, index = distinct_times(time)
    size = groups * distinct.size
    cell = (kind * groups + member) * distinct.size + index
    exits = np.bincount(cell, minlength=3 * size).reshape(3, groups, distinct.size).astype(float)
    n = exits.sum(axis=0)[:, ::-1].cumsum(axis=1)[:, ::-1]
    some = exits[1:].sum(axis=(0, 1)) > 0
    n, d1, d2 = n[:, some], exits[1][:, some], exits[2][:, some]
    s = _share(n - d1 - d2, n, 1.0).cumprod(axis=1)
    s_before = np.hstack([np.ones((groups, 1)), s[:, :-1]])
    f = (s_before * _share(d1, n, 0.0)).cumsum(axis=1)
    return _Tally(n, d1, d2, s, s_before, np.hstack([np.zeros((groups, 1)), f[:, :-1]]))


def _share(part: FloatArray, whole: FloatArray, otherwise: float) -> FloatArray:
    part, whole = np.broadcast_arrays(part, whole)
    found = np.divide(part, whole, out=np.full(whole.shape, otherwise), where=whole > 0)
    return np.asarray(found)


def _scores(of: _Tally, rho: float) -> _Scores:
    """Observed and expected events, shape (k,), and the variance of their difference, (k, k).

    In Gray's notation h is the risk set over survival, and R = h (1 - F).
    """
    h = _share(of.n, of.s_before, 0.0)
    r, d1 = h * (1 - of.f_before), of.d1.sum(axis=0)
    jump = _share(d1, h.sum(axis=0), 0.0)
    f = jump.cumsum()
    left_before = np.maximum(1 - np.append(0.0, f[:-1]), np.finfo(float).tiny)
    weight = left_before**rho
    expected = (weight * d1 * _share(r, r.sum(axis=0), 0.0)).sum(axis=1)
    a = weight * (np.eye(len(h))[:, :, None] * h[None] - h[:, None] * _share(h, h.sum(axis=0), 0.0))
    c = (a * (jump / left_before)).cumsum(axis=2)
    ahead = c[:, :, -1:] - c
    return (weight * of.d1).sum(axis=1), expected, _variance(of, h.sum(axis=0), 1 - f, a, ahead)


def _variance(
    of: _Tally, h: FloatArray, left: FloatArray, a: FloatArray, ahead: FloatArray
) -> FloatArray:
    """Variance of the scores: from events of the cause under the null, and from other events."""
    d1, is_there, has_left = of.d1.sum(axis=0), of.n > 0, of.s > 0
    share = np.divide(left, of.s, out=np.zeros_like(of.s), where=has_left)
    ties = 1 - _share(np.maximum(d1 - 1, 0), h * of.s_before - 1, 0.0)
    own = np.where(is_there, ties * of.s_before * _share(d1, h * of.n, 0.0), 0.0)
    ties = 1 - _share(np.maximum(of.d2 - 1, 0), of.n - 1, 0.0)
    other = np.where(has_left, ties * of.s_before**2 * _share(of.d2, of.n**2, 0.0), 0.0)
    moved = a + (1 - share) * ahead
    from_own = np.einsum("ikt,jkt,kt->ij", moved, moved, own)
    return np.asarray(from_own + np.einsum("ikt,jkt,kt->ij", ahead, ahead, share**2 * other))


def _chi_square(excess: FloatArray, variance: FloatArray, kept: BoolArray) -> tuple[float, int]:
    """Quadratic form over all but the last of the groups that were ever at risk at an event."""
    free = np.flatnonzero(kept)[:-1]
    block = variance[np.ix_(free, free)]
    if not free.size or np.linalg.matrix_rank(block) < free.size:
        what = "the groups are not at risk together when events happen"
        raise EstimationError("gray_test", what, "compare groups whose follow-up overlaps.")
    return float(excess[free] @ np.linalg.solve(block, excess[free])), int(free.size)
