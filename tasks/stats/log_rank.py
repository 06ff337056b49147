"""The log-rank family of tests for equal survival of k groups."""

import numpy as np
from numpy.typing import ArrayLike

from tasks.core.errors import EstimationError
from tasks.stats.inference import TestResult, chi_square_p
from tasks.stats.inputs import BoolArray, FloatArray, IntArray, codes, follow_up
from tasks.stats.risk_table import distinct_times

_Parts = tuple[FloatArray, FloatArray, FloatArray]


def log_rank(
    durations: ArrayLike,
    observed: ArrayLike,
    group: ArrayLike,
    strata: ArrayLike | None = None,
    rho: float = 0.0,
) -> TestResult:
    """Log-rank test of k groups, or Fleming and Harrington's family with `rho`.

    Args:
        durations: Follow-up of each person, shape (n,), all > 0.
        observed: True where follow-up ended in the event, shape (n,).
        group: Label of each person's group, shape (n,), two labels or more.
        strata: Label of each person's stratum, shape (n,); compared within strata only.
        rho: Weight of an event is survival before it to this power: 0 log-rank, 1 Peto.

    Returns:
        Chi-square on k - 1 degrees of freedom; (weighted) observed and expected events of
        each group, in ascending order of the labels.

    Raises:
        EstimationError: Fewer than two groups, no event, or groups never at risk together.

    Source:
        Harrington & Fleming (1982) Biometrika 69. Agrees with R survival `survdiff`.
    """
    time, event = follow_up(durations, observed)
    labels, member = codes(group, time.size, "group")
    _check_groups(labels.size, event)
    stratum = (
        np.zeros(time.size, np.int64) if strata is None else codes(strata, time.size, "strata")[1]
    )
    parts = [
        _stratum_parts(time[rows], event[rows], member[rows], labels.size, rho)
        for rows in _rows_by_code(stratum)
    ]
    found, expected, variance = (np.sum(part, axis=0) for part in zip(*parts, strict=True))
    statistic, df = _chi_square(found - expected, variance, expected > 0)
    return TestResult(
        statistic, df, chi_square_p(statistic, df), found, expected,
        tuple(str(label) for label in labels), time.size, int(event.sum()),
    )  # fmt: skip


def _check_groups(groups: int, event: BoolArray) -> None:
    if groups < 2 or not event.any():
        raise EstimationError(
            "log_rank",
            f"{groups} group(s) and {int(event.sum())} event(s)",
            "compare two groups or more that have events.",
        )


def _rows_by_code(code: IntArray) -> list[IntArray]:
    order = np.argsort(code, kind="stable")
    return np.split(order, np.cumsum(np.bincount(code))[:-1])


def _stratum_parts(
    time: FloatArray, event: BoolArray, member: IntArray, groups: int, rho: float
) -> _Parts:
    """Observed and expected events, shape (k,), and the variance of their difference, (k, k)."""
    distinct, index = distinct_times(time)
    cell, shape = member * distinct.size + index, (groups, distinct.size)
    exits = np.bincount(cell, minlength=groups * distinct.size).reshape(shape)
    deaths = np.bincount(cell[event], minlength=groups * distinct.size).reshape(shape)
    at_risk = exits[:, ::-1].cumsum(axis=1)[:, ::-1].astype(np.float64)
    n, d = at_risk.sum(axis=0), deaths.sum(axis=0)
    weight = np.append(1.0, np.cumprod(1 - d / n)[:-1]) ** rho
    hazard = weight * d / n
    spread = weight * hazard * (n - d) / (n * np.maximum(n - 1, 1))
    variance = np.diag((spread * n * at_risk).sum(axis=1)) - (spread * at_risk) @ at_risk.T
    return (weight * deaths).sum(axis=1), (hazard * at_risk).sum(axis=1), variance


def _chi_square(excess: FloatArray, variance: FloatArray, kept: BoolArray) -> tuple[float, int]:
    """Quadratic form over all but one of the groups that were ever at risk at an event."""
    free = np.flatnonzero(kept)[1:]
    if not free.size or np.linalg.matrix_rank(variance[np.ix_(free, free)]) < free.size:
        raise EstimationError(
            "log_rank",
            "the groups are not at risk together when events happen",
            "compare groups whose follow-up overlaps.",
        )
    u = excess[free]
    return float(u @ np.linalg.solve(variance[np.ix_(free, free)], u)), int(free.size)
