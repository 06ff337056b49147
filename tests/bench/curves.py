"""Curves and their tests against lifelines, scikit-survival and statsmodels, of one drawn table.

A peer answers where it can within reason: above 100,000 persons scikit-survival and lifelines'
variance of the cumulative incidence are left out.
"""

import numpy as np
from lifelines import AalenJohansenFitter, KaplanMeierFitter
from lifelines.statistics import logrank_test
from lifelines.utils import restricted_mean_survival_time
from sksurv.nonparametric import cumulative_incidence_competing_risks, kaplan_meier_estimator
from statsmodels.duration.survfunc import survdiff

from tasks.stats.competing_risks import cumulative_incidence
from tasks.stats.gray_test import gray_test
from tasks.stats.log_rank import log_rank
from tasks.stats.survival import kaplan_meier, restricted_mean
from tests.bench.timing import timed

SIZES = (10_000, 100_000, 1_000_000)
SLOW_ABOVE = 100_000


def bench_curves(sizes=SIZES):
    """Yield step, our seconds, the peer and its seconds; ours is the best of three."""
    for n in sizes:
        time, cause, group = drawn(n)
        event = cause == 1
        yield from _each(n, _curves(time, cause, event))
        yield from _each(n, _tests(time, event, group))
        ours = _best(lambda t=time, c=cause, g=group: gray_test(t, c, g))
        incidence = _best(lambda t=time, c=cause: cumulative_incidence(t, c))
        yield f"Gray's test, {n:,}", ours, "our cumulative incidence", incidence


def drawn(n):
    """Whole days to an event of one of two causes or to censoring by day 1500, and a group."""
    rng = np.random.default_rng(7)
    time = np.minimum(np.ceil(rng.exponential(800, n)), 1500.0)
    cause = np.where(time < 1500, rng.integers(0, 3, n), 0)
    return time, cause, rng.integers(0, 2, n)


def _each(n, works):
    for name, ours, peer, theirs in works:
        if theirs is not None:
            yield f"{name}, {n:,}", _best(ours), peer, timed(theirs)[0]


def _best(work):
    return min(timed(work)[0] for _ in range(3))


def _curves(time, cause, event):
    is_small = time.size <= SLOW_ABOVE
    yield (
        "Kaplan-Meier with intervals", lambda: kaplan_meier(time, event),
        "lifelines", lambda: KaplanMeierFitter().fit(time, event),
    )  # fmt: skip
    yield (
        "Kaplan-Meier with intervals", lambda: kaplan_meier(time, event), "scikit-survival",
        (lambda: kaplan_meier_estimator(event, time, conf_type="log-log")) if is_small else None,
    )  # fmt: skip
    yield (
        "cumulative incidence with variance", lambda: cumulative_incidence(time, cause),
        "lifelines, without variance",
        lambda: AalenJohansenFitter(calculate_variance=False, seed=1).fit(time, cause, 1),
    )  # fmt: skip
    yield (
        "cumulative incidence with variance",
        lambda: cumulative_incidence(time, cause, variance="aalen"), "scikit-survival",
        (lambda: cumulative_incidence_competing_risks(cause, time)) if is_small else None,
    )  # fmt: skip
    yield (
        "restricted mean with error", lambda: restricted_mean(time, event, 1400),
        "lifelines, without error",
        lambda: restricted_mean_survival_time(KaplanMeierFitter().fit(time, event), 1400),
    )  # fmt: skip


def _tests(time, event, group):
    first = group == 1
    yield (
        "log-rank", lambda: log_rank(time, event, group), "lifelines",
        lambda: logrank_test(time[first], time[~first], event[first], event[~first]),
    )  # fmt: skip
    yield (
        "log-rank", lambda: log_rank(time, event, group), "statsmodels",
        lambda: survdiff(time, event.astype(int), group),
    )  # fmt: skip
