"""Negative controls in drawn people: the planted bias is found, and taken out of the ratio."""

import math

import numpy as np
import pytest

from tasks.analysis.controls import CONTROLS, Comparison, ControlOutcome, calibrated, control_counts
from tasks.analysis.estimates import estimate
from tasks.analysis.populations import Population
from tasks.core.spec import load_study

N, YEAR = 3000, 365.0
BIAS = 0.5
"""Rate of every outcome rises by this much, as a logarithm, with the hidden confounder."""


def spec_of(**changes):
    return load_study("gibleed_celecoxib_diclofenac").model_copy(update=changes)


def analysis_of(spec, name="replication"):
    return next(a for a in spec.analyses if a.id == name)


class World:
    """People whose treatment depends on something hidden, which also moves every outcome.

    The hidden thing is worth `BIAS` in the rate, and differs by one between the arms.
    """

    def __init__(self, seed=7):
        self.rng = np.random.default_rng(seed)
        self.is_target = np.arange(N) % 2 == 0
        self.hidden = self.rng.normal(self.is_target.astype(float), 1.0)

    def outcome(self, effect=0.0, slope=BIAS, yearly=0.15):
        rate = yearly / YEAR * np.exp(effect * self.is_target + slope * self.hidden)
        days = np.ceil(self.rng.exponential(1 / rate))
        return np.minimum(days, YEAR), (days <= YEAR).astype(np.int64)

    def population(self, days, cause):
        rows = np.arange(N)
        return Population("crude", self.is_target, days, cause, rows, None, None)

    def control(self, name, **how):
        days, cause = self.outcome(**how)
        return ControlOutcome(name, np.ones(N, dtype=bool), days, cause)


@pytest.fixture(scope="module")
def found():
    world, spec = World(), spec_of()
    controls = tuple(
        world.control(f"control_{i:02d}", slope=slope)
        for i, slope in enumerate(np.linspace(BIAS - 0.2, BIAS + 0.2, 32))
    )
    crude = {"crude": world.population(*world.outcome(effect=math.log(0.7)))}
    analysis = analysis_of(spec).model_copy(update={"std_error": "model"})
    own = estimate(spec, analysis, crude["crude"], "")
    rows = calibrated(spec, analysis, Comparison(crude, controls), own)
    return own, rows


def one(rows, name, **where):
    chosen = [
        r
        for r in rows
        if r["estimate_name"] == name and all(r.get(k) == v for k, v in where.items())
    ]
    assert len(chosen) == 1, chosen
    return chosen[0]


def test_the_planted_bias_is_found(found):
    _, rows = found
    mean = one(rows, "coefficient", scenario="error_mean")
    assert mean["estimate"] == pytest.approx(BIAS, abs=0.07)
    assert 0.05 <= one(rows, "coefficient", scenario="error_sd")["estimate"] <= 0.2
    assert one(rows, "ease")["estimate"] == pytest.approx(mean["estimate"], abs=0.02)
    assert mean["note"] == "32 of 32 negative controls could be estimated"


def test_the_calibrated_interval_holds_the_truth_and_the_other_does_not(found):
    own, rows = found
    before = one(own, "hazard_ratio")
    after = one(rows, "hazard_ratio", term="calibrated")
    assert not before["ci_low"] <= 0.7 <= before["ci_high"]
    assert after["ci_low"] <= 0.7 <= after["ci_high"]
    assert after["std_error"] > before["std_error"]
    assert (after["analysis_id"], after["role"]) == ("replication", "replication")
    assert after["se_method"] == after["ci_method"] == "empirical_calibration"


def test_each_control_has_a_row_of_its_own(found):
    _, rows = found
    controls = [r for r in rows if r["analysis_id"] == CONTROLS and r.get("outcome")]
    assert len(controls) == 32
    assert {r["estimate_name"] for r in controls} == {"hazard_ratio"}
    assert {r["role"] for r in controls} == {"descriptive"}
    assert {r["term"] for r in controls} == {"replication"}
    assert len({r["outcome"] for r in controls}) == 32


def rare(world, name, events):
    """A control with so many events, all in the target arm."""
    days, cause = np.full(N, YEAR), np.zeros(N, dtype=np.int64)
    cause[np.flatnonzero(world.is_target)[:events]] = 1
    return ControlOutcome(name, np.ones(N, dtype=bool), days, cause)


def test_too_few_controls_are_told_with_their_events():
    world, spec = World(1), spec_of()
    controls = tuple(rare(world, f"c{i}", i) for i in range(6))
    crude = {"crude": world.population(*world.outcome())}
    comparison = Comparison(crude, controls)
    own = estimate(spec, analysis_of(spec), crude["crude"], "")
    rows = calibrated(spec, analysis_of(spec), comparison, own)
    ease = one(rows, "ease")
    assert ease["status"] == "not_estimable"
    assert "0 controls could be estimated; 5 are needed" in ease["note"]
    assert [r for r in rows if r.get("term") == "calibrated"] == []
    each = [r for r in rows if r.get("outcome")]
    assert {r["status"] for r in each} == {"not_estimable"}
    counts = control_counts(spec, comparison)
    of_target = [r["n_events"] for r in counts if r["arm"] == "celecoxib"]
    assert of_target == [0, 1, 2, 3, 4, 5]


def test_an_adjustment_that_could_not_be_made_leaves_ease_out():
    world, spec = World(2), spec_of()
    crude = {"crude": world.population(*world.outcome())}
    controls = tuple(world.control(f"c{i}") for i in range(6))
    rows = calibrated(spec, analysis_of(spec, "primary"), Comparison(crude, controls), [])
    assert {r["status"] for r in rows} == {"not_estimable"}


def test_who_had_the_control_before_is_left_out_with_weight_and_pair():
    world = World(3)
    days, cause = world.outcome()
    free = np.ones(N, dtype=bool)
    free[:4] = False
    control = ControlOutcome("c", free, days, cause)
    rows = np.arange(2, 12)
    pairs = Population("matched", world.is_target[rows], days[rows], cause[rows], rows,
                       rows.astype(float), rows // 2)  # fmt: skip
    left = control.within(pairs)
    assert left.rows.tolist() == list(range(4, 12))
    assert left.weights.tolist() == list(range(4, 12))
    assert left.cluster.tolist() == [i // 2 for i in range(4, 12)]
    assert left.follow_up_days.tolist() == days[4:12].tolist()
