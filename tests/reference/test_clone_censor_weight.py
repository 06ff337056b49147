"""clone_censor_weight against explicit clones, a closed form, and a planted truth.

The brute force copies every person into both strategies with pandas, fits who starts with
lifelines' Cox model (no ties) and who had started by the end of grace with statsmodels' logistic,
and walks through the days person by person with weights by hand.
"""

import math

import lifelines
import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

from tasks.core.errors import EstimationError
from tasks.stats.bootstrap import Plan
from tasks.stats.clone_censor_weight import CovariatePath, clone_censor_weight
from tests.reference.test_sequential_trials import breslow
from tests.reference.time_coverage import covered

GRACE, DAY = 30.0, 150.0
HAZARD_RATIO = 0.5
PLAN = Plan(200, 7, "test", 1)


def drawn(n, seed):
    """Persons whose treatment halves the hazard; two binary confounders."""
    rng = np.random.default_rng(seed)
    z, starting, dying = baseline(rng, n)
    start = rng.exponential(1 / starting)
    died = outcome(rng, dying, start)
    lost = rng.uniform(60, 400, size=n)
    time = np.minimum(died, lost)
    event = (died <= lost).astype(int)
    return time, event, np.where(start <= time, start, np.inf), z


def baseline(rng, n):
    z = (rng.random((n, 2)) < [0.5, 0.4]).astype(float)
    starting = 0.015 * np.exp(0.8 * z[:, 0] + 0.4 * z[:, 1])
    dying = 0.003 * np.exp(0.9 * z[:, 0] + 0.5 * z[:, 1])
    return np.column_stack([z, z.prod(axis=1)]), starting, dying


def outcome(rng, hazard, start):
    spent = rng.exponential(size=start.size)
    before = hazard * start
    after = start + (spent - before) / (hazard * HAZARD_RATIO)
    return np.where(spent < before, spent / hazard, after)


def planted_truth(n=2_000_000):
    """Risk and restricted mean by DAY when each strategy is imposed on everybody."""
    rng = np.random.default_rng(99)
    _, starting, dying = baseline(rng, n)
    start = rng.exponential(1 / starting)
    later = GRACE + rng.exponential(1 / starting)
    found = []
    for imposed in (np.minimum(start, GRACE), np.where(start <= GRACE, later, start)):
        died = outcome(np.random.default_rng(5), dying, imposed)
        found += [float((died <= DAY).mean()), float(np.minimum(died, DAY).mean())]
    return found


def brute_force(time, cause, start, z, days, horizon):
    """Risks and restricted means of explicit clones; no covariates when z is None."""
    people = pd.DataFrame({"time": time, "cause": cause, "start": start})
    people["begun"] = people.start <= np.minimum(people.time, GRACE)
    people["until"] = np.minimum(np.minimum(people.start, people.time), GRACE)
    names = [f"z{i}" for i in range(z.shape[1])]
    people[names] = z
    found = lifelines.CoxPHFitter().fit(
        people[["until", "begun", *names]], "until", "begun", fit_options={"precision": 1e-11}
    )
    people["relative"] = np.exp(people[names] @ found.params_[names])
    hazard = {
        t: 1 / people.relative[people.until >= t].sum() for t in sorted(people.until[people.begun])
    }
    late = people[people.time > GRACE]
    model = sm.Logit((late.start <= GRACE).astype(float), sm.add_constant(late[names]))
    people.loc[late.index, "by_grace"] = model.fit(disp=0, tol=1e-12, maxiter=100).predict()
    made = []
    for strategy in ("start", "do_not_start"):
        clones = people.copy()
        if strategy == "start":
            leaves = np.where(clones.start > GRACE, GRACE, np.inf)
        else:
            leaves = np.where(clones.start <= GRACE, clones.start, np.inf)
        clones["end"] = np.minimum(clones.time, leaves)
        clones["kind"] = np.where(clones.time <= leaves, clones.cause, 0)
        made.append(walk(clones, strategy, hazard, days, horizon))
    return made


def walk(clones, strategy, hazard, days, horizon):
    free, risk, lost, last = 1.0, 0.0, 0.0, 0.0
    by = dict.fromkeys(days, 0.0)
    for t in sorted(set(clones.time[(clones.cause > 0) & (clones.time <= max(*days, horizon))])):
        lost, last = lost + risk * (min(t, horizon) - last), min(t, horizon)
        there = clones[clones.end >= t]
        if strategy == "start":
            weight = 1 / there.by_grace if t > GRACE else there.relative * 0 + 1
        else:
            weight = np.exp(sum(h for u, h in hazard.items() if u < t) * there.relative)
        now = there.end == t
        of_kind = [weight[now & (there.kind == kind)].sum() / weight.sum() for kind in (1, 2)]
        risk, free = risk + free * of_kind[0], free * (1 - sum(of_kind))
        by |= {day: risk for day in days if t <= day}
    return [*by.values(), horizon - lost - risk * (horizon - last)]


@pytest.mark.parametrize("competing", [False, True])
def test_it_equals_explicit_clones_weighted_by_hand(competing):
    time, event, start, z = drawn(120, 3)
    z = z[:, :2]
    cause = event * (1 + (np.arange(time.size) % 3 == 0)) if competing else event
    found = clone_censor_weight(time, cause, start, z, GRACE, [20.0, DAY], PLAN, horizon=140.0)
    expected = brute_force(time, cause, start, z, [20.0, DAY], 140.0)
    assert found.statistics == pytest.approx(np.concatenate(expected), rel=1e-7)


def test_without_covariates_it_is_kaplan_meier_of_the_clones():
    """Weights that depend on time alone cancel in every risk set: a closed form."""
    time, event, start, _ = drawn(150, 4)
    time = np.ceil(time)  # ties of outcomes, starts and the end of grace
    start = np.where(start < np.inf, np.floor(start), np.inf)
    start = np.where(start <= time, start, np.inf)
    found = clone_censor_weight(time, event, start, None, GRACE, [DAY], PLAN, horizon=DAY)
    for place, leaves in enumerate(
        (np.where(start > GRACE, GRACE, np.inf), np.where(start <= GRACE, start, np.inf))
    ):
        end = np.minimum(time, leaves)
        kept = end > 0
        curve = lifelines.KaplanMeierFitter().fit(
            end[kept], ((time <= leaves) & (event == 1))[kept]
        )
        risk, mean = found.statistics[2 * place : 2 * place + 2]
        assert risk == pytest.approx(1 - float(curve.predict(DAY)), rel=1e-12)
        area = lifelines.utils.restricted_mean_survival_time(curve, t=DAY)
        assert mean == pytest.approx(area, rel=1e-9)


def test_a_saturated_model_standardises_over_the_strata():
    """With one stratum's starters all early, weights after grace are 1 / their share of it."""
    time, event, start, z = drawn(200, 5)
    found = clone_censor_weight(time, event, start, z[:, :1], GRACE, [DAY], PLAN)
    late = time > GRACE
    shares = [(start <= GRACE)[late & (z[:, 0] == level)].mean() for level in (0, 1)]
    assert found.strategies[0].largest_weight == pytest.approx(1 / min(shares), rel=1e-9)


def test_who_starts_in_the_last_window_stands_for_those_who_do_not():
    """Without covariates, by hand: weight 1 before the window, 1 / share in it."""
    time, event, start, _ = drawn(200, 13)
    found = clone_censor_weight(time, event, start, None, GRACE, [DAY], PLAN, window=10.0)
    late, early = time > GRACE, start <= GRACE - 10
    choosing = late & ~early
    chose = choosing & (start <= GRACE)
    weight = np.where(chose, choosing.sum() / chose.sum(), 1.0)
    free = 1.0
    for t in np.sort(time[(event == 1) & (time <= DAY)]):
        there = (time >= t) & ((t <= GRACE) | (start <= GRACE))
        share = weight[there & (time == t)].sum() / weight[there].sum()
        free *= 1 - (share if t > GRACE else (time == t)[there].mean())
    assert found.statistics[0] == pytest.approx(1 - free, rel=1e-9)
    assert found.strategies[0].largest_weight == pytest.approx(weight.max())
    with pytest.raises(EstimationError, match="last days of grace"):
        clone_censor_weight(time, event, start, None, GRACE, [DAY], PLAN, window=1e-6)


def test_rows_may_come_in_any_order_and_threads_do_not_matter():
    time, event, start, z = drawn(150, 6)
    order = np.random.default_rng(1).permutation(time.size)
    one = clone_censor_weight(time, event, start, z, GRACE, [DAY], PLAN, horizon=DAY)
    other = clone_censor_weight(
        time[order], event[order], start[order], z[order], GRACE, [DAY],
        Plan(200, 7, "test", 2), horizon=DAY,
    )  # fmt: skip
    assert np.array_equal(one.statistics, other.statistics)
    assert np.array_equal(one.resampled.values, other.resampled.values)
    named = clone_censor_weight(time, event, start, z, GRACE, [DAY], Plan(200, 7, "other", 1))
    assert not np.array_equal(one.resampled.values[:, 0], named.resampled.values[:, 0])


def test_sampling_weights_of_two_are_two_persons():
    time, event, start, z = drawn(100, 8)
    z = z[:, :2]
    twice = [np.tile(a, (2, 1)) if a.ndim == 2 else np.tile(a, 2) for a in (time, event, start, z)]
    weighted = clone_censor_weight(
        time, event, start, z, GRACE, [DAY], PLAN, weights=np.full(time.size, 2.0)
    )
    assert weighted.statistics == pytest.approx(
        clone_censor_weight(*twice, GRACE, [DAY], PLAN).statistics, rel=1e-9
    )


def test_resamples_refit_both_models():
    """A resample is what the estimator gives for the persons it drew, copied."""
    from tasks.stats.bootstrap import multinomial_weights
    from tasks.stats.inputs import row_order

    time, event, start, z = drawn(150, 9)
    z = z[:, :2]
    found = clone_censor_weight(time, event, start, z, GRACE, [DAY], PLAN)
    order = row_order((time, event, start, np.ones(time.size)), z)
    times = multinomial_weights(time.size, 64, PLAN, 0)[:, 5].astype(int)
    rows = np.repeat(order, times)
    copied = clone_censor_weight(time[rows], event[rows], start[rows], z[rows], GRACE, [DAY], PLAN)
    assert found.resampled.values[5] == pytest.approx(copied.statistics, rel=1e-7)


def test_weights_are_cut_at_the_share_asked_for():
    time, event, start, z = drawn(300, 10)
    plain = clone_censor_weight(time, event, start, z, GRACE, [DAY], PLAN)
    cut = clone_censor_weight(time, event, start, z, GRACE, [DAY], PLAN, truncate=0.6)
    for before, after in zip(plain.strategies, cut.strategies, strict=True):
        assert after.largest_weight == pytest.approx(after.cap)
        assert after.cap < before.largest_weight
        assert before.cap is None
        assert after.ess >= before.ess


def test_a_planted_truth_is_met():
    truth = planted_truth(200_000)
    time, event, start, z = drawn(1500, 11)
    found = clone_censor_weight(
        np.ceil(time), event, np.where(start < np.inf, np.floor(start), np.inf), z,
        GRACE, [DAY], PLAN, horizon=DAY,
    )  # fmt: skip
    off = abs(found.statistics - truth) / found.resampled.std_error
    assert off.max() < 3.5
    crude = clone_censor_weight(time, event, start, None, GRACE, [DAY], PLAN)
    difference = crude.statistics[0] - crude.statistics[2]
    assert abs(difference - (truth[0] - truth[2])) > 0.02, "the world is confounded"


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda t, e, s, z: (t, e, np.full_like(s, np.inf), z), "0 of"),
        (lambda t, e, s, z: (t, e, np.zeros_like(s), z), "started"),
        (lambda t, e, s, z: (t, 0 * e, s, z), "nobody has the outcome"),
        (lambda t, e, s, z: (np.minimum(t, 20.0), e, s, z), "0 of 0"),
        (lambda t, e, s, z: (np.minimum(t, 100.0), e, s, z), "followed beyond 100"),
        (lambda t, e, s, z: (t, e, s - 50, z), "before time zero"),
        (lambda t, e, s, z: (t, e, s, (s[:, None] <= GRACE) * 1.0), "separate"),
        (lambda t, e, s, z: (t, e, s, np.ones_like(z)), "do not vary"),
        (lambda t, e, s, z: (0 * t, e, s, z), "not positive"),
    ],
)
def test_what_cannot_be_estimated_is_said(spoil, said):
    time, event, start, z = spoil(*drawn(120, 12))
    with pytest.raises(EstimationError) as caught:
        clone_censor_weight(time, event, start, z[:, :2], GRACE, [DAY], PLAN)
    assert said in caught.value.what
    assert math.isfinite(len(caught.value.fix))


def changing(n, seed, impose="", months=8):
    """Monthly intervals: illness starts treatment a month later, and treatment cures and saves.

    `impose`: `start` lets all who have not started do so on day 90; `do_not_start` lets nobody
    start up to then. Returns intervals as a frame.
    """
    rng = np.random.default_rng(seed)
    ill = np.zeros(n, dtype=bool)
    treated, alive = np.zeros(n, dtype=bool), np.ones(n, dtype=bool)
    made = []
    for month in range(months):
        hazard = 0.0005 * np.exp(3.0 * ill - 0.7 * treated)
        died, lost = rng.exponential(1 / hazard), rng.exponential(1500, size=n)
        lost = np.full(n, np.inf) if impose else lost
        gone = np.minimum(died, lost) < 30
        ends = np.minimum(np.ceil(np.minimum(died, lost)), 30.0)
        made.append(
            pd.DataFrame(
                {
                    "id": np.arange(n), "start": month * 30.0, "stop": month * 30.0 + ends,
                    "event": ((died <= lost) & (died < 30)) * 1, "treated": treated * 1,
                    "ill": ill * 1.0,
                }
            )[alive]
        )  # fmt: skip
        alive = alive & ~gone
        starts = rng.random(n) < 0.06 + 0.44 * ill
        ill = rng.random(n) < np.where(ill, 0.85, 0.3) - 0.15 * treated
        if impose and month < 3:
            starts = starts & (impose == "start") | ((impose == "start") & (month == 2))
        treated = treated | starts
    return pd.concat(made).sort_values(["id", "start"], ignore_index=True)


def persons_of(rows):
    whole = rows.groupby("id").agg(time=("stop", "max"), event=("event", "max"))
    start = rows[rows.treated == 1].groupby("id").start.min()
    return whole.assign(start=start.reindex(whole.index).fillna(np.inf))


def emulated(rows, days, horizon=None):
    people = persons_of(rows)
    place = np.searchsorted(people.index, rows.id)
    path = CovariatePath(
        place, *(rows[c].to_numpy(float) for c in ("start", "stop")), rows[["ill"]].to_numpy()
    )
    return clone_censor_weight(
        people.time, people.event, people.start, None, 90.0, days, PLAN, horizon=horizon,
        window=30.0, path=path,
    )  # fmt: skip


def test_covariates_that_change_equal_weights_by_hand():
    rows = changing(150, 1)
    people = persons_of(rows)
    before = rows.merge(people, left_on="id", right_index=True, suffixes=("", "_of"))
    before = before[(before.start < np.minimum(before.start_of, 90.0))].copy()
    # An outcome comes before a start of the same day.
    before["stop"] = np.minimum(before.stop - 1e-6 * before.event, 90.0)
    before["leaves"] = before.stop == before.start_of
    before["entry"] = before.start
    beta = breslow(before, "ill")
    hazard = {}
    for u in sorted(before.stop[before.leaves].unique()):
        there = before[(before.entry < u) & (before.stop >= u)]
        hazard[u] = (there.leaves & (there.stop == u)).sum() / np.exp(beta * there.ill).sum()
    ill_at = {(row.id, row.start): row.ill for row in rows.itertuples()}
    late = people[people.time > 90]
    choosing = late[late.start > 60]
    ill_then = np.array([ill_at[i, 60.0] for i in choosing.index])
    chose = (choosing.start <= 90).to_numpy()
    chance = {level: chose[ill_then == level].mean() for level in (0.0, 1.0)}

    def weight(person, t, strategy):
        if strategy == "start":
            last = t > 90 and people.start[person] > 60
            return 1 / chance[ill_at[person, 60.0]] if last else 1.0
        passed = [u for u in hazard if u < t]
        return np.prod(
            [1 / (1 - hazard[u] * np.exp(beta * ill_at[person, u - 30])) for u in passed]
        )

    expected = []
    for strategy in ("start", "do_not_start"):
        late_start, early = people.start > 90, people.start <= 90
        leaves = np.where(late_start, 90.0, np.inf)
        leaves = leaves if strategy == "start" else np.where(early, people.start, np.inf)
        end, free = np.minimum(people.time, leaves), 1.0
        died = (people.event == 1) & (people.time <= leaves)
        for t in sorted(set(people.time[died & (people.time <= 200)])):
            there = {i: weight(i, t, strategy) for i in people.index[end >= t]}
            free *= 1 - sum(w for i, w in there.items() if end[i] == t and died[i]) / sum(
                there.values()
            )
        expected.append(1 - free)
    found = emulated(rows, [200.0])
    assert found.statistics[[0, 2]] == pytest.approx(expected, rel=1e-8)


def test_a_planted_truth_is_met_with_covariates_that_treatment_changes():
    found = emulated(changing(2500, 2), [200.0], horizon=200.0)
    truth = []
    for strategy in ("start", "do_not_start"):
        people = persons_of(changing(60_000, 3, strategy))
        time = np.minimum(people.time, 200.0)
        truth += [float(((people.event == 1) & (people.time <= 200)).mean()), float(time.mean())]
    off = abs(found.statistics - truth) / found.resampled.std_error
    assert off.max() < 3.5
    people = persons_of(changing(2500, 2))
    naive = clone_censor_weight(
        people.time, people.event, people.start, None, 90.0, [200.0], PLAN, horizon=200.0
    )
    difference = truth[0] - truth[2]
    ours, theirs = (f.statistics for f in (found, naive))
    assert abs(theirs[0] - theirs[2] - difference) > 0.025
    assert abs(ours[0] - ours[2] - difference) < 0.02


def test_intervals_with_gaps_and_without_a_window_are_refused():
    rows = changing(100, 4)
    with pytest.raises(EstimationError, match="do not begin at 0"):
        emulated(rows[rows.index != 3].reset_index(drop=True), [200.0])
    people = persons_of(rows)
    path = CovariatePath(
        np.searchsorted(people.index, rows.id), rows.start.to_numpy(), rows.stop.to_numpy(),
        rows[["ill"]].to_numpy(),
    )  # fmt: skip
    with pytest.raises(EstimationError, match="window"):
        clone_censor_weight(
            people.time, people.event, people.start, None, 90.0, [200.0], PLAN, path=path
        )


def test_intervals_cover_the_planted_truth_in_a_few_worlds():
    """The fast subset of tests/slow/test_coverage_time.py."""
    for _, truth, estimate, error in covered(12, 400, planted_truth(200_000), drawn, GRACE, DAY):
        assert (abs(estimate - truth) < 1.959964 * error).sum() >= 9
        assert abs(estimate.mean() - truth) < 4 * estimate.std() / np.sqrt(12)


def test_intervals_may_come_in_any_order():
    rows = changing(300, 6)
    renamed = rows.assign(id=(rows.id * 7919) % 100_003).sample(frac=1, random_state=1)
    one, other = emulated(rows, [200.0]), emulated(renamed.reset_index(drop=True), [200.0])
    assert np.array_equal(one.statistics, other.statistics)
    assert np.array_equal(one.resampled.values, other.resampled.values)
