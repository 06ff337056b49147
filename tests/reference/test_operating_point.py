"""Operating points: chosen on one set, judged on another, drawn anew for their interval.

Best thresholds of R pROC `coords(r, "best")` stand in tests/methods/operating_point.py.
"""

import numpy as np
import pytest

from tasks.core.errors import EstimationError
from tasks.stats.bootstrap import Plan, stratified_weights
from tasks.stats.diagnostic.roc_bootstrap import resampled_choice
from tasks.stats.diagnostic.roc_curve import Choice, choose, curve_of
from tests.reference.test_registry_tables import results, some
from tests.reference.test_roc import LIKE, asah_like, drawn_cases, with_roles

SETS = {"set": "set", "development": "dev", "validation": "val"}


def judged(frame, rule, **more):
    return results(frame, LIKE, method="operating_point", operating_point={**SETS, **rule}, seed=1, replicates=300, **more)  # fmt: skip


@pytest.mark.parametrize("rule", ["sensitivity", "specificity"])
def test_a_rule_is_kept_on_the_cases_that_it_is_chosen_on(rule):
    rows = judged(asah_like(400), {"chosen_by": rule, "at_least": 0.9})
    for arm in ("old", "new"):
        (there,) = some(rows, rule, arm=arm, stratum_level="dev", ci_method="wilson")
        (limit,) = some(rows, "operating_threshold", arm=arm)
        dev = asah_like(400).query("modality == @arm and set == 'dev'")
        positive = dev.score >= limit["estimate"]
        right = positive == (dev.truth == 1)
        share = right[dev.truth == (rule == "sensitivity")].mean()
        assert there["estimate"] == pytest.approx(share)
        assert 0.9 <= share < 0.95
        assert limit["ci_low"] <= limit["estimate"] <= limit["ci_high"]


def test_a_threshold_is_judged_on_the_other_cases():
    frame = asah_like(400)
    rows = judged(frame, {"chosen_by": "youden"}, hypothesis={"claim": "superiority"})
    (limit,) = some(rows, "operating_threshold", arm="new")
    val = frame.query("modality == 'new' and set == 'val'")
    hit = val.score >= limit["estimate"]
    (found,) = some(rows, "sensitivity", arm="new", stratum_level="val", ci_method="wilson")
    assert found["estimate"] == pytest.approx(hit[val.truth == 1].mean())
    assert found["n"] == (val.truth == 1).sum()
    (gap,) = some(rows, "sensitivity_difference", target="new")
    assert gap["n"] == found["n"]
    assert "superiority" in gap["note"]


def test_a_threshold_does_not_see_the_cases_that_it_is_judged_on():
    frame = asah_like(400)
    other = frame.assign(score=frame.score + 5.0 * (frame.set == "val"))
    one, two = (
        some(judged(f, {"chosen_by": "youden"}), "operating_threshold") for f in (frame, other)
    )
    assert one == two


def test_sets_may_not_share_a_person():
    frame = asah_like(400).assign(person=lambda f: f.case % 100)
    source = with_roles(person_id="person")
    rows = results(frame, source, method="operating_point", operating_point={**SETS, "chosen_by": "youden"}, seed=1)  # fmt: skip
    (found,) = some(rows, "operating_threshold")
    assert "share a person" in found["note"]


def test_thresholds_of_resamples_are_those_of_resampled_rows():
    """A resample is a weight on one sorted copy; here its rows are drawn out and sorted anew."""
    score, truth, units, modality, _ = drawn_cases(40)
    score, truth, units = score[modality == 0], truth[modality == 0], units[modality == 0]
    plan = Plan(200, 5, "x", threads=1)
    found = resampled_choice(score, truth, units, Choice("youden"), plan)
    times = stratified_weights(truth + 2 * ~truth, 64, plan, 0)
    by_hand = [
        choose(curve_of(np.repeat(score, t), np.repeat(truth, t)), Choice("youden")).threshold
        for t in times.T.astype(int)
    ]
    assert found.values[: len(by_hand), 0] == pytest.approx(by_hand)
    assert (times[truth].sum(axis=0) == truth.sum()).all()


@pytest.mark.parametrize("choice", [Choice("sensitivity", 0.999), Choice("cost", cost_ratio=1e5, prevalence=0.5)])  # fmt: skip
def test_a_rule_that_only_calling_all_alike_meets_is_refused(choice):
    truth = np.array([True, False] * 4)
    score = np.array([0, 1, 3, 2, 4, 3, 5, 4.0])
    with pytest.raises(EstimationError, match="called alike"):
        choose(curve_of(score, truth), choice)


def test_sets_without_cases_of_both_truths_have_a_reason_and_no_number():
    for change in ({"truth": 0}, {"set": "dev"}):
        rows = judged(asah_like().assign(**change), {"chosen_by": "youden"})
        found = some(rows, "operating_threshold")
        assert {row["status"] for row in found} == {"not_estimable"}
        assert all(row["note"] for row in found)


def test_weights_move_the_threshold_and_the_accuracy():
    """A weight of two on each diseased case of the development set is a case read twice."""
    frame = asah_like(400)
    frame["weight"] = np.where((frame.truth == 1) & (frame.set == "dev"), 2.0, 1.0)
    source = with_roles(weight="weight")
    asked = {**SETS, "chosen_by": "cost", "cost_ratio": 3.0, "prevalence": 0.3}
    rows = results(frame, source, method="operating_point", operating_point=asked, seed=1, replicates=200)  # fmt: skip
    (limit,) = some(rows, "operating_threshold", arm="new")
    dev = frame[(frame.modality == "new") & (frame.set == "dev")]
    repeated = dev.loc[dev.index.repeat(dev.weight.astype(int))]
    curve = curve_of(repeated.score.to_numpy(), repeated.truth.to_numpy() == 1)
    best = choose(curve, Choice("cost", 0.0, 3.0, 0.3))
    assert limit["estimate"] == pytest.approx(best.threshold)
