"""sequential_trials against trials made person by person, fitted by lifelines, and a planted truth.

lifelines' CoxTimeVaryingFitter has Efron's ties, strata and weights, and no cluster: it witnesses
the coefficients. Standard errors are those of `cox`, witnessed in test_cox.
"""

import lifelines
import numpy as np
import pandas as pd
import pytest

from tasks.core.errors import EstimationError
from tasks.stats.sequential_trials import sequential_trials
from tests.reference.test_registry_tables import results, some
from tests.study_files import check_refuses

SPACING = 30.0


def drawn(n, seed, effect=0.0, months=8):
    """Monthly intervals: being ill raises the hazard, and makes treatment start and stop."""
    rng = np.random.default_rng(seed)
    rows = []
    ill = rng.random(n) < 0.4
    treated = rng.random(n) < 0.1 + 0.2 * ill
    alive = np.ones(n, dtype=bool)
    for month in range(months):
        hazard = 0.002 * np.exp(1.2 * ill + effect * treated)
        died = rng.exponential(1 / hazard)
        lost = rng.exponential(900, size=n)
        ends = np.minimum(np.minimum(died, lost), SPACING)
        frame = pd.DataFrame(
            {
                "id": np.arange(n), "start": month * SPACING, "stop": month * SPACING + ends,
                "event": (died <= lost) & (died < SPACING), "treated": treated, "ill": ill * 1.0,
            }
        )  # fmt: skip
        rows.append(frame[alive])
        alive = alive & (ends == SPACING)
        ill = rng.random(n) < np.where(ill, 0.7, 0.2)
        stays = rng.random(n) < 0.9 - 0.1 * ill
        treated = np.where(treated, stays, rng.random(n) < 0.05 + 0.2 * ill)
    return pd.concat(rows).sort_values(["id", "start"], ignore_index=True)


def asked(frame, **more):
    columns = (frame[name].to_numpy() for name in ("id", "start", "stop", "event", "treated"))
    return sequential_trials(*columns, frame[["ill"]], SPACING, **more)


def by_hand(frame):
    """Rows of every trial, made person by person."""
    made = []
    for person, rows in frame.groupby("id"):
        rows = rows.reset_index(drop=True)
        first = rows.start[rows.treated].min() if rows.treated.any() else np.inf
        for i, base in rows.iterrows():
            zero = base.start
            new = first == zero if base.treated else first > zero
            if not new or zero % SPACING:
                continue
            on_course = True
            for j in range(i, len(rows)):
                row = rows.loc[j]
                on_course = on_course and row.treated == base.treated
                leaves = j + 1 < len(rows) and rows.treated[j + 1] != base.treated
                made.append(
                    {
                        "id": f"{person}-{zero}", "trial": zero, "entry": row.start - zero,
                        "stop": row.stop - zero, "event": row.event, "arm": float(base.treated),
                        "ill": base.ill, "ill_now": row.ill, "on_course": on_course,
                        "leaves": bool(on_course and leaves),
                    }
                )  # fmt: skip
    found = pd.DataFrame(made)
    both = found.groupby("trial").arm.transform("nunique") == 2
    return found[both].reset_index(drop=True)


def time_varying(rows, covariates, event, **more):
    fitter = lifelines.CoxTimeVaryingFitter()
    kept = ["id", "entry", "stop", event, *covariates, *more.get("strata", [])]
    kept += [more["weights_col"]] if "weights_col" in more else []
    fitter.fit(
        rows[kept], event_col=event, id_col="id", start_col="entry", stop_col="stop",
        fit_options={"precision": 1e-11}, **more,
    )  # fmt: skip
    return fitter.params_[covariates].to_numpy()


def test_starting_equals_trials_made_by_hand():
    frame = drawn(150, 1, effect=-0.5)
    expected = time_varying(by_hand(frame), ["arm", "ill"], "event", strata=["trial"])
    found = asked(frame)
    assert found.itt.coef == pytest.approx(expected, rel=1e-6)
    rows = by_hand(frame)
    entries = [rows.id[rows.arm == arm].nunique() for arm in (1, 0)]
    assert [arm.entries for arm in found.arms] == entries
    assert [arm.deviations for arm in found.arms] == [
        int(rows.leaves[rows.arm == arm].sum()) for arm in (1, 0)
    ]
    assert found.itt.n_clusters == found.persons


def test_staying_equals_weights_by_hand():
    frame = drawn(150, 2, effect=-0.5)
    rows = by_hand(frame)
    rows = rows[rows.on_course].reset_index(drop=True)
    rows["weight"] = 1.0
    for arm in (0.0, 1.0):
        of_arm = rows[rows.arm == arm].copy()
        log_weight = pd.Series(0.0, of_arm.index)
        for column, sign in (("ill_now", 1), ("ill", -1)):
            # Times of leaving are tied (month ends): Breslow's ties by an offset-free Newton.
            beta = breslow(of_arm, column)
            relative = np.exp(of_arm[column] * beta)
            step = pd.Series(0.0, of_arm.index)
            for t in sorted(of_arm.stop[of_arm.leaves].unique()):
                there = (of_arm.entry < t) & (of_arm.stop >= t)
                leaving = (of_arm.leaves & (of_arm.stop == t)).sum()
                step[there] += leaving / relative[there].sum() * relative[there]
            before = step.groupby(of_arm.id).cumsum() - step
            log_weight += sign * before
        rows.loc[of_arm.index, "weight"] = np.exp(log_weight)
    expected = time_varying(rows, ["arm", "ill"], "event", strata=["trial"], weights_col="weight")
    found = asked(frame)
    assert found.per_protocol.coef == pytest.approx(expected, rel=1e-5)
    largest = [rows.weight[rows.arm == arm].max() for arm in (1, 0)]
    assert [arm.largest_weight for arm in found.arms] == pytest.approx(largest, rel=1e-8)


def breslow(rows, column):
    """Coefficient of one covariate by Newton on Breslow's partial likelihood."""
    beta = 0.0
    times = sorted(rows.stop[rows.leaves].unique())
    for _ in range(30):
        score = information = 0.0
        for t in times:
            there = rows[(rows.entry < t) & (rows.stop >= t)]
            weight = np.exp(there[column] * beta)
            mean = (weight * there[column]).sum() / weight.sum()
            left = there[there.leaves & (there.stop == t)]
            score += (left[column] - mean).sum()
            square = (weight * there[column] ** 2).sum() / weight.sum()
            information += len(left) * (square - mean**2)
        beta += score / information
    return beta


def test_no_effect_is_found_where_there_is_none():
    """Without the confounder, treatment would seem to kill."""
    frame = drawn(4000, 3)
    found = asked(frame)
    for fit in (found.itt, found.per_protocol):
        assert abs(fit.coef[0]) < 3 * fit.std_error[0]
    noise = frame.assign(ill=np.random.default_rng(1).normal(size=len(frame)))
    crude = asked(noise)
    assert crude.itt.coef[0] > 3 * crude.itt.std_error[0]


def test_an_effect_is_found_and_staying_shows_more_of_it():
    found = asked(drawn(5000, 4, effect=-1.0))
    assert found.per_protocol.coef[0] == pytest.approx(
        -1.0, abs=3 * found.per_protocol.std_error[0]
    )
    assert found.per_protocol.coef[0] < found.itt.coef[0] < 0


def test_rows_may_come_in_any_order_and_intervals_be_cut():
    frame = drawn(200, 5, effect=-0.5)
    found = asked(frame)
    shuffled = asked(frame.sample(frac=1, random_state=1))
    assert np.array_equal(found.itt.coef, shuffled.itt.coef)
    assert np.array_equal(found.per_protocol.std_error, shuffled.per_protocol.std_error)
    merged = frame.assign(same=(frame[["treated", "ill"]].diff().abs().sum(axis=1) > 0).cumsum())
    merged["group"] = merged.id.astype(str) + "-" + merged.same.astype(str)
    long = merged.groupby("group").agg(
        id=("id", "first"), start=("start", "min"), stop=("stop", "max"), event=("event", "max"),
        treated=("treated", "first"), ill=("ill", "first"),
    )  # fmt: skip
    assert len(long) < len(frame)
    assert asked(long).per_protocol.coef == pytest.approx(found.per_protocol.coef, rel=1e-9)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda f: f.assign(treated=False), "no trial has"),
        (lambda f: f.assign(treated=True), "no trial has"),
        (lambda f: f.assign(event=False), "no event"),
        (lambda f: f.assign(stop=f.start), "do not stop after"),
        (lambda f: f.assign(ill=1.0), "do not vary"),
        (lambda f: f.assign(ill=np.nan), "missing"),
    ],
)
def test_what_cannot_be_estimated_is_said(spoil, said):
    with pytest.raises(EstimationError, match=said):
        asked(spoil(drawn(100, 6)))


SOURCE = {
    "roles": {
        "person_id": "id",
        "start": {"column": "start", "unit": "days"},
        "stop": {"column": "stop", "unit": "days"},
        "event": "event",
        "treatment": "treated",
        "time_varying": ["treated", "ill"],
    },
    "columns": {"treated": {"category": ["0", "1"]}, "ill": "number"},
}
METHOD = {"method": "sequential_trials", "interval_days": 30, "terms": "ill", "ties": "efron"}


def test_a_study_asks_for_it():
    frame = drawn(400, 7, effect=-0.5)
    found = asked(frame)
    written = frame.assign(event=frame.event.astype(int), treated=frame.treated.astype(int))
    rows = results(written, SOURCE, **METHOD)
    itt, protocol = some(rows, "hazard_ratio")
    assert itt["estimate"] == pytest.approx(np.exp(found.itt.coef[0]), rel=1e-6)
    assert protocol["estimate"] == pytest.approx(np.exp(found.per_protocol.coef[0]), rel=1e-6)
    assert protocol["std_error"] == pytest.approx(found.per_protocol.std_error[0], rel=1e-6)
    assert (itt["target"], itt["comparator"], itt["n"]) == ("1", "0", found.persons)
    counts = {(r["arm"], r["term"]): r["estimate"] for r in some(rows, "count") if r["arm"] in "01"}
    assert counts["1", "entries"] == found.arms[0].entries
    assert counts["0", "deviations"] == found.arms[1].deviations


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"terms": "ill + treated"}, "is the treatment"),
        ({"interval_days": None}, "needs interval_days"),
        ({"roles": {"treatment": None}}, "two levels"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(tmp_path, change, said):
    roles = SOURCE["roles"] | change.get("roles", {})
    asked_for = METHOD | {key: value for key, value in change.items() if key != "roles"}
    check_refuses(tmp_path, SOURCE | {"roles": roles}, asked_for, said)
