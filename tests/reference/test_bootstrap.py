"""The bootstrap by multinomial weights: Efron's law schools, closed forms, and a loop of fits.

Law schools: Efron & Tibshirani (1993), table 3.1; the standard error of the correlation is .132
at B = 3200 (table 6.1). Intervals are scipy 1's,
    scipy.stats.bootstrap((lsat, gpa), corr, paired=True, method="BCa", confidence_level=.9)
"""

from functools import cache

import lifelines
import numpy as np
import pandas as pd
import pytest

from tasks.core.errors import EstimationError
from tasks.stats.bootstrap import (
    Plan,
    interval,
    jackknife,
    multinomial_weights,
    resample,
)
from tasks.stats.cox import cox
from tasks.stats.cox_bootstrap import cox_bootstrap
from tasks.stats.inputs import row_order
from tasks.stats.logistic import logistic
from tests.reference.test_registry_tables import results, some

LSAT = np.array(
    [576, 635, 558, 578, 666, 580, 555, 661, 651, 605, 653, 575, 545, 572, 594], dtype=float
)
GPA = np.array(
    [3.39, 3.30, 2.81, 3.03, 3.44, 3.07, 3.00, 3.43, 3.36, 3.13, 3.12, 2.74, 2.76, 2.88, 2.96]
)


def correlation(times):
    share = times / times.sum(axis=0)
    x, y = LSAT @ share, GPA @ share
    spread = np.sqrt((LSAT**2 @ share - x**2) * (GPA**2 @ share - y**2))
    return (((LSAT * GPA) @ share - x * y) / spread)[:, None]


@cache
def law_schools():
    found = resample(correlation, 15, Plan(20_000, 1, "law", 1))
    without = jackknife(correlation, 15)[:, 0]
    whole = float(np.corrcoef(LSAT, GPA)[0, 1])
    return interval(whole, found.values[:, 0], "bca", 0.9, without)


def test_law_schools():
    found = law_schools()
    assert found.std_error == pytest.approx(0.132, rel=0.02)
    assert (found.ci_low, found.ci_high) == pytest.approx((0.4403, 0.9278), rel=0.02)
    draws = resample(correlation, 15, Plan(20_000, 1, "law", 2)).values[:, 0]
    plain = interval(found.estimate, draws, "percentile", 0.9)
    assert (plain.ci_low, plain.ci_high) == pytest.approx(tuple(np.quantile(draws, [0.05, 0.95])))


def test_the_error_of_a_mean_has_a_closed_form():
    found = resample(lambda times: (GPA @ times / 15)[:, None], 15, Plan(20_000, 3, "mean", 2))
    assert found.std_error[0] == pytest.approx(GPA.std() / np.sqrt(15), rel=0.02)
    assert found.values.mean() == pytest.approx(GPA.mean(), abs=0.004)


def test_weights_are_multinomial():
    times = multinomial_weights(50, 4000, Plan(4000, 1, "w"), 0)
    assert (times.sum(axis=0) == 50).all()
    assert times.var() == pytest.approx(1 - 1 / 50, rel=0.02)
    again = multinomial_weights(50, 4000, Plan(9000, 1, "w", 1), 0)
    assert np.array_equal(times, again)
    assert not np.array_equal(times, multinomial_weights(50, 4000, Plan(4000, 1, "w"), 1))
    assert not np.array_equal(times, multinomial_weights(50, 4000, Plan(4000, 2, "w"), 0))


def survival(n=150, seed=1):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 2))
    time = rng.exponential(1 / np.exp(x @ [0.5, -0.3]))
    loss = rng.exponential(2.0, size=n)
    return np.minimum(time, loss), time <= loss, x


def test_a_resample_of_cox_is_the_weighted_fit():
    time, event, x = survival()
    plan = Plan(200, 5, "cox", 1)
    found = cox_bootstrap(time, event, x, plan)
    order = row_order((np.zeros(time.size), time, event, np.ones(time.size)), x)
    for place in (0, 17, 63):
        times = multinomial_weights(time.size, 64, plan, 0)[:, place]
        frame = pd.DataFrame({"t": time, "e": event, "a": x[:, 0], "b": x[:, 1]}).iloc[order]
        frame = frame.assign(w=times)[times > 0]
        fit = lifelines.CoxPHFitter().fit(
            frame, "t", "e", weights_col="w", robust=True, fit_options={"precision": 1e-11}
        )
        assert found.resampled.values[place] == pytest.approx(fit.params_.to_numpy(), rel=1e-6)
    assert found.fit.std_error == pytest.approx(found.resampled.values.std(axis=0, ddof=1))
    robust = cox(time, event, x, robust=True).std_error
    assert found.fit.std_error == pytest.approx(robust, rel=0.2)


def test_weights_of_a_propensity_model_are_fitted_anew():
    """A resample with its own propensity model is the whole analysis of the persons drawn."""
    time, event, x = survival(200, 7)
    treated = np.random.default_rng(8).random(200) < 1 / (1 + np.exp(-x[:, 0]))

    def weights(drawn):
        score = np.full(drawn.size, 0.5)
        kept = drawn > 0
        score[kept] = logistic(x[kept, :1], treated[kept], drawn[kept]).fitted
        return np.where(treated, 1 / score, 1 / (1 - score))

    plan = Plan(200, 5, "iptw", 2)
    found = cox_bootstrap(time, event, treated[:, None], plan, refit=weights)
    order = row_order((np.zeros(200), time, event, weights(np.ones(200))), treated[:, None])
    times = multinomial_weights(200, 64, plan, 0)[:, 3].astype(int)
    rows = np.repeat(order, times)
    score = logistic(x[rows, :1], treated[rows]).fitted
    own = np.where(treated[rows], 1 / score, 1 / (1 - score))
    copied = cox(time[rows], event[rows], treated[rows][:, None], "breslow", own)
    breslow = cox_bootstrap(time, event, treated[:, None], plan, "breslow", refit=weights)
    assert breslow.resampled.values[3] == pytest.approx(copied.coef, rel=1e-6)
    fixed = cox_bootstrap(time, event, treated[:, None], plan, weights=weights(np.ones(200)))
    assert found.fit.coef == pytest.approx(fixed.fit.coef)
    assert not np.array_equal(found.resampled.values, fixed.resampled.values)


def test_clusters_are_drawn_whole_and_rows_may_come_in_any_order():
    time, event, x = survival(200, 2)
    cluster = np.repeat([f"c{i}" for i in range(40)], 5)
    x[:, 1] = np.repeat(np.random.default_rng(3).normal(size=40), 5)
    plan = Plan(300, 5, "cox", 1)
    found = cox_bootstrap(time, event, x, plan, cluster=cluster)
    order = np.random.default_rng(9).permutation(200)
    again = cox_bootstrap(
        time[order], event[order], x[order], Plan(300, 5, "cox", 2), cluster=cluster[order]
    )
    assert np.array_equal(found.resampled.values, again.resampled.values)
    robust = cox(time, event, x, cluster=cluster)
    assert found.fit.std_error == pytest.approx(robust.std_error, rel=0.25)
    assert found.n_clusters == 40


def test_progress_is_told_and_failures_are_counted():
    seen = []

    def some_fail(times):
        return np.where(times[:1].T > 5, np.nan, times[:1].T)

    found = resample(some_fail, 15, Plan(300, 1, "f", 1), lambda a, b: seen.append((a, b)))
    assert seen[-1] == (300, 300)
    assert found.values.shape[0] + found.failed == 300
    with pytest.raises(EstimationError, match="could not be estimated"):
        resample(lambda t: t[:1].T * np.nan, 15, Plan(300, 1, "f", 1))
    with pytest.raises(EstimationError, match="too few"):
        resample(some_fail, 15, Plan(50, 1, "f", 1))
    with pytest.raises(EstimationError, match="1 unit"):
        resample(some_fail, 1, Plan(300, 1, "f", 1))
    with pytest.raises(EstimationError, match="same in all"):
        interval(1.0, np.ones(300))
    with pytest.raises(EstimationError, match="bca needs"):
        interval(1.0, np.arange(300.0), "bca")


def test_a_study_asks_for_it():
    time, event, x = survival()
    frame = pd.DataFrame(
        {"days": time * 100, "died": event.astype(int), "a": x[:, 0], "b": x[:, 1]}
    )
    source = {
        "roles": {"follow_up": {"column": "days", "unit": "days"}, "event": "died"},
        "columns": {"a": "number", "b": "number"},
    }
    asked = {
        "method": "cox",
        "ties": "efron",
        "terms": "a + b",
        "std_error": "bootstrap",
        "seed": 5,
    }
    asked |= {"replicates": 200}
    found = cox_bootstrap(frame.days, event, x, Plan(200, 5, "a1"))
    rows = some(results(frame, source, **asked), "hazard_ratio")
    assert [row["std_error"] for row in rows] == pytest.approx(found.fit.std_error, rel=1e-6)
    assert {row["se_method"] for row in rows} == {"bootstrap"}
    asked |= {"bootstrap_interval": "bca"}
    [row, _] = some(results(frame, source, **asked), "hazard_ratio")
    assert row["ci_method"] == "bca"
    assert row["ci_low"] < row["estimate"] < row["ci_high"]
    assert "200 resamples" in row["note"]
