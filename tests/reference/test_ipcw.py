"""survival_weighted_for_loss against weights by hand, strata, and a planted truth.

By hand: lifelines' Cox model of the time to loss, Breslow hazards and a walk through the days with
pandas. In strata: with one binary covariate that is alone in the model of loss and no event tied
to a loss, the weighted curve tends to the mixture of the strata's Kaplan-Meier curves.
"""

import lifelines
import numpy as np
import pandas as pd
import pytest

from tasks.core.errors import EstimationError
from tasks.stats.bootstrap import Plan, multinomial_weights
from tasks.stats.inputs import row_order
from tasks.stats.ipcw import survival_weighted_for_loss
from tests.reference.test_registry_tables import results, some

PLAN = Plan(200, 3, "loss", 1)


def drawn(n, seed):
    """Persons of whom those at high risk are lost early."""
    rng = np.random.default_rng(seed)
    x = np.column_stack([rng.random(n) < 0.5, rng.normal(size=n)]).astype(float)
    died = rng.exponential(1 / (0.004 * np.exp(1.2 * x[:, 0])))
    lost = rng.exponential(1 / (0.003 * np.exp(1.2 * x[:, 0] + 0.3 * x[:, 1])))
    lost = np.minimum(lost, 500)
    return np.minimum(died, lost), died <= lost, x


def by_hand(time, event, x, day):
    people = pd.DataFrame({"time": time, "lost": ~event & (time < day)}).assign(
        **{f"x{i}": column for i, column in enumerate(x.T)}
    )
    names = [f"x{i}" for i in range(x.shape[1])]
    people["until"] = np.minimum(people.time, day)
    fit = lifelines.CoxPHFitter().fit(
        people[["until", "lost", *names]], "until", "lost", fit_options={"precision": 1e-11}
    )
    relative = np.exp(people[names] @ fit.params_[names])
    at = sorted(people.until[people.lost])
    hazard = {t: 1 / relative[people.until >= t].sum() for t in at}
    survival, area, last = 1.0, 0.0, 0.0
    for t in sorted(time[event & (time <= day)]):
        there = people.time >= t
        weight = np.exp(sum(h for u, h in hazard.items() if u < t) * relative[there])
        area += survival * (t - last)
        survival *= 1 - weight[(people.time == t)[there]].sum() / weight.sum()
        last = t
    return survival, area + survival * (day - last)


def test_it_equals_weights_by_hand():
    time, event, x = drawn(120, 1)
    found = survival_weighted_for_loss(time, event, x, [200.0], PLAN, horizon=200.0)
    assert found.statistics == pytest.approx(by_hand(time, event, x, 200.0), rel=1e-6)
    assert found.n_at_risk[0] == (time >= 200).sum()


def test_a_resample_refits_the_model_of_loss():
    time, event, x = drawn(150, 2)
    found = survival_weighted_for_loss(time, event, x, [200.0], PLAN, horizon=200.0)
    times = multinomial_weights(150, 64, PLAN, 0)[:, 4].astype(int)
    rows = np.repeat(row_order((time, event, np.ones(150)), x), times)
    copied = survival_weighted_for_loss(
        time[rows], event[rows], x[rows], [200.0], PLAN, horizon=200.0
    )
    assert found.resampled.values[4] == pytest.approx(copied.statistics, rel=1e-7)


def test_a_planted_truth_is_met_where_kaplan_meier_misses_it():
    time, event, x = drawn(8000, 3)
    found = survival_weighted_for_loss(np.ceil(time), event, x, [300.0], PLAN)
    truth = np.mean([np.exp(-300 * 0.004 * np.exp(1.2 * z)) for z in (0, 1)])
    error = found.resampled.std_error[0]
    assert abs(found.statistics[0] - truth) < 3 * error
    plain = lifelines.KaplanMeierFitter().fit(time, event).predict(300.0)
    assert abs(plain - truth) > 4 * error


def test_rows_may_come_in_any_order():
    time, event, x = drawn(150, 4)
    order = np.random.default_rng(1).permutation(150)
    one = survival_weighted_for_loss(time, event, x, [100.0], PLAN)
    other = survival_weighted_for_loss(
        time[order], event[order], x[order], [100.0], Plan(200, 3, "loss", 2)
    )
    assert np.array_equal(one.resampled.values, other.resampled.values)


@pytest.mark.parametrize(
    ("spoil", "day", "said"),
    [
        (lambda t, e, x: (t, e | True, x), 200.0, "nobody is lost"),
        (lambda t, e, x: (t, e & False, x), 200.0, "nobody has the event"),
        (lambda t, e, x: (t, e, x), 900.0, "beyond the longest follow-up"),
        (lambda t, e, x: (t, e, x * 0), 200.0, "do not vary"),
    ],
)
def test_what_cannot_be_estimated_is_said(spoil, day, said):
    with pytest.raises(EstimationError, match=said):
        survival_weighted_for_loss(*spoil(*drawn(100, 5)), [day], PLAN)


SOURCE = {
    "roles": {
        "follow_up": {"column": "days", "unit": "days"},
        "event": "died",
        "treatment": "arm",
    },
    "columns": {"arm": {"category": ["a", "b"]}, "x": "number", "z": "number"},
}


def test_a_study_asks_for_it():
    time, event, x = drawn(300, 6)
    frame = pd.DataFrame({"days": time, "died": event.astype(int), "x": x[:, 0], "z": x[:, 1]})
    frame["arm"] = np.where(np.arange(300) % 2 == 0, "a", "b")
    asked = {"censoring_terms": "x + z", "seed": 9, "replicates": 200}
    rows = results(frame, SOURCE, method="kaplan_meier", table_days=[100, 200], **asked)
    means = results(frame, SOURCE, method="rmst", horizon_days=200, **asked)
    for arm, place in (("a", 0), ("b", 1)):
        kept = np.arange(300) % 2 == place
        plan = Plan(200, 9, f"a1:{arm}")
        found = survival_weighted_for_loss(
            time[kept], event[kept], x[kept], [100.0, 200.0], plan, horizon=200.0
        )
        of_arm = some(rows, "survival", arm=arm)
        assert [row["estimate"] for row in of_arm] == pytest.approx(found.statistics[:2])
        assert [row["std_error"] for row in of_arm] == pytest.approx(found.resampled.std_error[:2])
        [mean] = some(means, "rmst", arm=arm)
        assert mean["estimate"] == pytest.approx(found.statistics[2])
    [difference] = some(means, "rmst_difference")
    parts = {row["arm"]: row for row in some(means, "rmst")}
    assert difference["estimate"] == pytest.approx(parts["b"]["estimate"] - parts["a"]["estimate"])
    error = np.hypot(parts["a"]["std_error"], parts["b"]["std_error"])
    assert difference["std_error"] == pytest.approx(error)
    assert "loss" in parts["a"]["note"]
