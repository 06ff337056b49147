"""The log-rank family of tests for equal survival of k groups."""

from collections.abc import Callable, Mapping
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from tasks.core.errors import EstimationError
from tasks.stats.inference import TestResult, chi_square_p
from tasks.stats.inputs import BoolArray, FloatArray, IntArray, codes, entries, follow_up
from tasks.stats.risk_table import distinct_times, places_after

Weighting = Literal["log_rank", "gehan", "tarone_ware", "peto_peto"]
_Parts = tuple[FloatArray, FloatArray, FloatArray]
_Weigh = Callable[[FloatArray, FloatArray], FloatArray]


def log_rank(
    durations: ArrayLike,
    observed: ArrayLike,
    group: ArrayLike,
    strata: ArrayLike | None = None,
    rho: float = 0.0,
    gamma: float = 0.0,
    weighting: Weighting = "log_rank",
    entry: ArrayLike | None = None,
) -> TestResult:
    """Log-rank test of k groups, Fleming and Harrington's family, or another weighting.

    Args:
        durations: Follow-up of each person, shape (n,), all > 0.
        observed: True where follow-up ended in the event, shape (n,).
        group: Label of each person's group, shape (n,), two labels or more.
        strata: Label of each person's stratum, shape (n,); compared within strata only.
        rho: Weight of an event is survival before it to this power: 0 log-rank, 1 R's Peto.
        gamma: And one less that survival to this power.
        weighting: Instead: gehan, the number at risk; tarone_ware, its square root; peto_peto,
            the product of 1 - d / (n + 1) up to the event and with it.
        entry: Time after which each row is at risk, shape (n,); None where all are from 0 on.

    Returns:
        Chi-square on k - 1 degrees of freedom; (weighted) observed and expected events of
        each group, in ascending order of the labels.

    Raises:
        EstimationError: Fewer than two groups, no event, or groups never at risk together.

    Source:
        Harrington & Fleming (1982) Biometrika 69; Klein & Moeschberger (2003), sec. 7.3. Agrees
        with R survival `survdiff`; with late entry and no ties, with the score test of `coxph`.
    """
    time, event = follow_up(durations, observed)
    late, weigh = entries(entry, time), _weighting(rho, gamma, weighting)
    labels, member = codes(group, time.size, "group")
    _check_groups(labels.size, event)
    stratum = (
        np.zeros(time.size, np.int64) if strata is None else codes(strata, time.size, "strata")[1]
    )
    parts = [
        _stratum_parts(_Stratum(time, event, member, late, rows), labels.size, weigh)
        for rows in _rows_by_code(stratum)
    ]
    found, expected, variance = (np.sum(part, axis=0) for part in zip(*parts, strict=True))
    statistic, df = _chi_square(found - expected, variance, expected > 0)
    return TestResult(
        statistic, df, chi_square_p(statistic, df), found, expected,
        tuple(str(label) for label in labels), time.size, int(event.sum()),
    )  # fmt: skip


def _weighting(rho: float, gamma: float, weighting: str) -> _Weigh:
    """The weight of each time, from persons at risk and events."""
    if weighting not in _WEIGHTINGS or (weighting != "log_rank" and (rho or gamma)):
        what = f"weighting `{weighting}` with rho {rho:g} and gamma {gamma:g}"
        known = ", ".join(_WEIGHTINGS)
        raise EstimationError("log_rank", what, f"choose one of {known}, or rho and gamma.")
    if not (np.isfinite([rho, gamma]).all() and min(rho, gamma) >= 0):
        raise EstimationError("log_rank", "rho or gamma is below 0", "give powers from 0 on.")
    if weighting == "log_rank":
        return lambda n, d: _fleming_harrington(n, d, rho, gamma)
    return _WEIGHTINGS[weighting]


def _fleming_harrington(n: FloatArray, d: FloatArray, rho: float, gamma: float) -> FloatArray:
    before = np.append(1.0, np.cumprod(1 - d / n)[:-1])
    weight = before**rho
    return weight * (1 - before) ** gamma if gamma else weight


def _of_those_at_risk(power: float) -> _Weigh:
    return lambda n, _: n**power


def _peto(n: FloatArray, d: FloatArray) -> FloatArray:
    return np.asarray(np.cumprod(1 - d / (n + 1)))


_WEIGHTINGS: Mapping[str, _Weigh] = {
    "log_rank": _of_those_at_risk(0.0),
    "gehan": _of_those_at_risk(1.0),
    "tarone_ware": _of_those_at_risk(0.5),
    "peto_peto": _peto,
}


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


class _Stratum:
    """The rows of one stratum."""

    def __init__(
        self,
        time: FloatArray,
        event: BoolArray,
        member: IntArray,
        late: FloatArray | None,
        rows: IntArray,
    ) -> None:
        self.time, self.event, self.member = time[rows], event[rows], member[rows]
        self.late = None if late is None else late[rows]


def _stratum_parts(of: _Stratum, groups: int, weigh: _Weigh) -> _Parts:
    """Observed and expected events, shape (k,), and the variance of their difference, (k, k)."""
    distinct, index = distinct_times(of.time)
    cell, shape = of.member * distinct.size + index, (groups, distinct.size)
    exits = np.bincount(cell, minlength=groups * distinct.size).reshape(shape)
    deaths = np.bincount(cell[of.event], minlength=groups * distinct.size).reshape(shape)
    at_risk = exits[:, ::-1].cumsum(axis=1)[:, ::-1].astype(np.float64)
    if of.late is not None:
        at_risk -= _not_entered(distinct, of.late, of.member, groups)
    n, d = at_risk.sum(axis=0), deaths.sum(axis=0)
    weight = weigh(n, d)
    hazard = weight * d / n
    spread = weight * hazard * (n - d) / (n * np.maximum(n - 1, 1))
    variance = np.diag((spread * n * at_risk).sum(axis=1)) - (spread * at_risk) @ at_risk.T
    return (weight * deaths).sum(axis=1), (hazard * at_risk).sum(axis=1), variance


def _not_entered(
    distinct: FloatArray, late: FloatArray, member: IntArray, groups: int
) -> FloatArray:
    """Rows of each group not at risk yet at each time, shape (k, t)."""
    width = distinct.size + 1
    cell = member * width + places_after(distinct, late)
    waiting = np.bincount(cell, minlength=groups * width).reshape(groups, width)
    return np.asarray(waiting[:, ::-1].cumsum(axis=1)[:, ::-1][:, 1:], dtype=np.float64)


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
