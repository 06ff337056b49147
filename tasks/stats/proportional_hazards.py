"""Test of the proportional hazards assumption."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from tasks.core.errors import EstimationError
from tasks.stats import partial_likelihood as likelihood
from tasks.stats.cox_core import (
    cox_follow_up,
    fit_partial_likelihood,
    point_at,
    sort_rows,
)
from tasks.stats.inference import chi_square_p
from tasks.stats.inputs import FloatArray, IntArray, codes
from tasks.stats.partial_likelihood import FollowUp, RiskSets, Ties
from tasks.stats.risk_table import build_risk_table

Transform = Literal["km", "rank", "identity", "log"]


@dataclass(frozen=True, slots=True, eq=False)
class ProportionalHazardsTest:
    """Score tests for coefficients that change with time; arrays have shape (number of terms,)."""

    statistic: FloatArray
    df: IntArray
    p_value: FloatArray
    global_statistic: float
    global_df: int
    global_p_value: float
    transform: Transform


def proportional_hazards_test(
    durations: ArrayLike,
    observed: ArrayLike,
    covariates: ArrayLike,
    transform: Transform = "km",
    ties: Ties = "efron",
    weights: ArrayLike | None = None,
    strata: ArrayLike | None = None,
    terms: ArrayLike | None = None,
    entry: ArrayLike | None = None,
) -> ProportionalHazardsTest:
    """Test of proportional hazards: score test for adding covariate times g(t) to the model.

    Args:
        durations: As `cox`.
        observed: As `cox`.
        covariates: As `cox`, shape (n, p).
        transform: g(t): 1 - Kaplan-Meier just before t, rank, t itself, or its logarithm.
        ties: As `cox`.
        weights: As `cox`.
        strata: As `cox`.
        terms: Number of the term each column belongs to, shape (p,), such as the columns of
            one category variable; None for a test of each column.
        entry: As `cox`.

    Returns:
        A chi-square test of each term, in ascending order of `terms`, and of all together.

    Raises:
        EstimationError: As `cox`, or `transform` is unknown.

    Source:
        Grambsch & Therneau (1994) Biometrika 81, in the exact score form of R survival 3's
        `cox.zph`, with which it agrees.
    """
    data = cox_follow_up(durations, observed, covariates, weights, strata, entry)
    sets = likelihood.sort_into_risk_sets(data, sort_rows(data), ties)
    extended = _extend(sets, _transformed(data, sets.time, transform))
    p = extended.score.size
    of_terms = np.arange(p) if terms is None else codes(terms, p, "terms")[1]
    columns = [np.flatnonzero(of_terms == term) for term in range(int(of_terms.max()) + 1)]
    tests = np.array([_score_test(extended, c) for c in columns])
    df = np.array([c.size for c in columns], dtype=np.int64)
    p_values = np.array([chi_square_p(s, int(d)) for s, d in zip(tests, df, strict=True)])
    together = _score_test(extended, np.arange(p))
    return ProportionalHazardsTest(
        tests, df, p_values, together, p, chi_square_p(together, p), transform
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Extended:
    """Score, shape (p,), and blocks of information, (p, p), of covariates times g(t)."""

    score: FloatArray
    plain: FloatArray
    cross: FloatArray
    square: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class CoefficientsInTime:
    """Coefficients in b spans of time, each of as many deaths or more; arrays are (b,) or (b, p).

    The mean of the scaled Schoenfeld residuals, plus the coefficient, over the deaths of a span.
    """

    time: FloatArray  # mean time of the deaths
    events: IntArray
    coef: FloatArray
    std_error: FloatArray


def coefficients_in_time(
    durations: ArrayLike,
    observed: ArrayLike,
    covariates: ArrayLike,
    least_events: int,
    most_spans: int,
    ties: Ties = "efron",
    strata: ArrayLike | None = None,
    entry: ArrayLike | None = None,
) -> CoefficientsInTime:
    """Coefficients span by span: what the test of proportional hazards looks at, as a curve.

    Args:
        durations: As `cox`.
        observed: As `cox`.
        covariates: As `cox`, shape (n, p).
        least_events: Deaths that each span has at least.
        most_spans: How many spans there are at most.
        ties: As `cox`.
        strata: As `cox`.
        entry: As `cox`.

    Returns:
        The spans in the order of time; deaths of one time are never parted. The errors are
        those of residuals of equal variance, as proportional hazards has them.

    Raises:
        EstimationError: As `cox`, or there are too few deaths for two spans.

    Source:
        Grambsch & Therneau (1994) Biometrika 81: residual times covariance times deaths, plus
        the coefficient.
    """
    data = cox_follow_up(durations, observed, covariates, None, strata, entry)
    sets = likelihood.sort_into_risk_sets(data, sort_rows(data), ties)
    found = fit_partial_likelihood(sets)
    covariance = np.linalg.inv(point_at(sets, found.coef).information)
    sums = likelihood.score_by_moment(sets, likelihood.moments(sets, found.coef))
    times, place = np.unique(sets.time, return_inverse=True)
    deaths = np.bincount(place[sets.death], minlength=times.size)
    residual = np.stack([np.bincount(place, column) for column in sums.T], axis=1)
    span = _spans(deaths, max(least_events, -(-int(deaths.sum()) // most_spans)))
    events = np.bincount(span, deaths)
    total = np.stack([np.bincount(span, column) for column in residual.T], axis=1)
    d = events.sum()
    coef = (found.coef + d * (total @ covariance) / events[:, None]) / sets.scale
    error = np.sqrt(d * np.diag(covariance) / events[:, None]) / sets.scale
    mean_time = np.bincount(span, deaths * times) / events
    return CoefficientsInTime(mean_time, events.astype(np.int64), coef, error)


def _spans(deaths: IntArray, size: int) -> IntArray:
    """Span of each time, so that every span has `size` deaths or more."""
    total = int(deaths.sum())
    if total < 2 * size:
        what = f"{total} events are too few for two spans of {size}"
        raise EstimationError("coefficients in time", what, "look at the test alone.")
    before = deaths.cumsum() - deaths
    starts, reached = [0], 0
    while True:
        start = int(np.searchsorted(before, reached + size))
        if start >= deaths.size or total - before[start] < size:
            break
        starts, reached = [*starts, start], int(before[start])
    return np.searchsorted(np.array(starts), np.arange(deaths.size), side="right") - 1


def _extend(sets: RiskSets, transformed: FloatArray) -> _Extended:
    at = likelihood.moments(sets, fit_partial_likelihood(sets).coef)
    gain = transformed - transformed[sets.death].mean()
    score = gain @ likelihood.score_by_moment(sets, at)
    plain, cross, square = (likelihood.information(sets, at, gain**power) for power in range(3))
    return _Extended(score, plain, cross, square)


def _score_test(extended: _Extended, columns: IntArray) -> float:
    """Chi-square of adding g(t) times `columns` to the model, all other terms kept."""
    across = extended.cross[:, columns]
    own = extended.square[np.ix_(columns, columns)]
    score = extended.score[columns]
    try:
        left = own - across.T @ np.linalg.solve(extended.plain, across)
        return float(score @ np.linalg.solve(left, score))
    except np.linalg.LinAlgError:
        raise EstimationError(
            "proportional hazards",
            "events at too few times to tell an effect that changes from one that does not",
            "look at the curves; the hazard ratio stands without this test.",
        ) from None


def _transformed(data: FollowUp, times: FloatArray, transform: Transform) -> FloatArray:
    """g(t) at each of `times`; ranks and Kaplan-Meier are of all rows, weights and strata aside."""
    if transform == "identity":
        return times
    if transform == "log":
        return np.asarray(np.log(times))
    if transform not in ("km", "rank"):
        known = "km, rank, identity, log"
        raise EstimationError("transform", f"`{transform}` is unknown", f"choose one of {known}.")
    table = build_risk_table(data.time, data.event, None)
    place = np.searchsorted(table.time, times)
    if transform == "rank":
        left = table.counts.sum(axis=0)
        return np.asarray((left.cumsum() - (left - 1) / 2)[place])
    at_risk = table.at_risk
    if data.entry is not None:
        at_risk = at_risk - (data.entry.size - np.searchsorted(np.sort(data.entry), table.time))
    return np.asarray(1 - np.append(1.0, np.cumprod(1 - table.weight[1] / at_risk))[place])
