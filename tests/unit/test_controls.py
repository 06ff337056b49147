"""Negative controls in drawn people: the planted bias is found, and taken out of the ratio."""

import math

import numpy as np
import pytest

from tasks.analysis.calibrated import calibrated
from tasks.analysis.controls import (
    CONTROLS,
    EXPOSURE,
    Comparison,
    ControlOutcome,
    control_counts,
    exposure_counts,
    exposure_effects,
)
from tasks.analysis.estimates import estimate
from tasks.analysis.people import People
from tasks.analysis.populations import Population
from tasks.core.spec import ControlExposures, load_study

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


def pair_of(number):
    """Two other drugs, between which bleeding cannot differ."""
    said = {"en": f"pair {number}", "ko": f"쌍 {number}"}
    arms = {
        role: {"name": said, "code_list": f"drug_{number}_{role}"}
        for role in ("target", "comparator")
    }
    return ControlExposures.model_validate({"id": f"pair_{number}", "name": said, **arms})


def exposed(spec, analysis, worlds, **how):
    """What an analysis finds between the arms of a pair, one pair a world."""
    rows = []
    for number, world in enumerate(worlds):
        pair = pair_of(number)
        alike = spec.exposed_as(pair)
        population = None if how.get("why") else world.population(*world.outcome(**how))
        rows += exposure_effects(alike, analysis, pair, population, how.get("why", ""))
    return rows


def test_exposures_are_pooled_with_outcomes_and_named():
    """Pairs of arms that the hidden thing sets apart as it does those of the study."""
    spec, world = spec_of(), World()
    analysis = analysis_of(spec).model_copy(update={"std_error": "model"})
    crude = {"crude": world.population(*world.outcome(effect=math.log(0.7)))}
    own = estimate(spec, analysis, crude["crude"], "")
    pairs = exposed(spec, analysis, [World(seed) for seed in range(20, 26)])
    assert {(r["stratum_name"], r["outcome"], r["term"]) for r in pairs} == {
        (EXPOSURE, "gi_bleed", "replication")
    }
    assert [r["target"] for r in pairs] == [f"drug_{n}_target" for n in range(6)]
    controls = tuple(world.control(f"c{i}") for i in range(6))
    rows = calibrated(spec, analysis, Comparison(crude, controls), own, pairs)
    ease, mean = one(rows, "ease"), one(rows, "coefficient", scenario="error_mean")
    assert ease["note"] == "12 of 12 negative controls could be estimated, 6 of them exposures"
    assert mean["estimate"] == pytest.approx(BIAS, abs=0.12)
    after = one(rows, "hazard_ratio", term="calibrated")
    assert after["target"] == "celecoxib"
    assert after["ci_low"] <= 0.7 <= after["ci_high"]
    alone = calibrated(spec, analysis, Comparison(crude, ()), own, pairs)
    assert one(alone, "ease")["note"].startswith("6 of 6 negative controls could be estimated, 6")


@pytest.mark.parametrize(("n", "status"), [(4, "not_estimable"), (5, "ok")])
def test_five_exposures_are_enough_and_four_are_not(n, status):
    spec, world = spec_of(), World(1)
    analysis = analysis_of(spec).model_copy(update={"std_error": "model"})
    crude = {"crude": world.population(*world.outcome())}
    pairs = exposed(spec, analysis, [World(seed) for seed in range(n)])
    pairs += exposed(spec, analysis, [world], why="an arm has nobody")
    rows = calibrated(spec, analysis, Comparison(crude, ()), [], pairs)
    ease = one(rows, "ease")
    assert ease["status"] == status
    lost = [r for r in rows if r.get("note") and "an arm has nobody" in r["note"]]
    assert [(r["status"], r["stratum_name"]) for r in lost] == [("not_estimable", EXPOSURE)]
    people = People(np.arange(N), world.is_target, *world.outcome(), (), np.empty((N, 0)))
    counts = exposure_counts(spec.exposed_as(pair_of(0)), pair_of(0), people)
    assert [(r["arm"], r["n_events"]) for r in counts] == [
        (f"drug_0_{role}", int(people.has_outcome[world.is_target == side].sum()))
        for role, side in (("target", True), ("comparator", False))
    ]


def lived(world, is_target, effect, yearly=0.15):
    """Mean days lived without the outcome in a year, were an arm to have this effect."""
    hidden = world.hidden[world.is_target == is_target]
    rate = yearly / YEAR * np.exp(effect + BIAS * hidden)
    return float(((1 - np.exp(-rate * YEAR)) / rate).mean())


def test_differences_are_calibrated_on_their_own_scale():
    """Restricted means: the planted error in days is found, and the truth is in the interval."""
    spec, world = spec_of(), World(11)
    analysis = analysis_of(spec, "rmst_crude").model_copy(update={"horizon_days": 365})
    crude = {"crude": world.population(*world.outcome(effect=math.log(0.5)))}
    controls = tuple(world.control(f"c{i:02d}") for i in range(30))
    own = estimate(spec, analysis, crude["crude"], "")
    rows = calibrated(spec, analysis, Comparison(crude, controls), own)
    planted = lived(world, True, 0) - lived(world, False, 0)
    truth = lived(world, True, math.log(0.5)) - lived(world, True, 0)
    mean = one(rows, "coefficient", scenario="error_mean", statistic_name="rmst_difference")
    ease = one(rows, "ease", statistic_name="rmst_difference")
    assert (mean["unit"], ease["se_scale"], ease["at"]) == ("days", "identity", 365)
    assert mean["estimate"] == pytest.approx(planted, abs=2)
    assert ease["estimate"] == pytest.approx(-planted, abs=2)
    before = one(own, "rmst_difference")
    after = one(rows, "rmst_difference", term="calibrated")
    assert not before["ci_low"] <= truth <= before["ci_high"]
    assert after["ci_low"] <= truth <= after["ci_high"]
    assert after["estimate"] == pytest.approx(before["estimate"] - mean["estimate"], rel=1e-12)
    sd = one(rows, "coefficient", scenario="error_sd", statistic_name="rmst_difference")["estimate"]
    assert after["std_error"] == pytest.approx(math.hypot(before["std_error"], sd), rel=1e-12)
    assert after["ci_high"] - after["estimate"] == pytest.approx(
        1.959963984540054 * after["std_error"], rel=1e-12
    )


def test_risk_ratio_and_difference_have_an_error_each():
    spec, world = spec_of(), World(12)
    analysis = analysis_of(spec, "cif").model_copy(update={"table_days": (90.0, 300.0)})
    crude = {"crude": world.population(*world.outcome())}
    controls = tuple(world.control(f"c{i:02d}") for i in range(8))
    own = estimate(spec, analysis, crude["crude"], "")
    rows = calibrated(spec, analysis, Comparison(crude, controls), own)
    for name, scale in (("risk_difference", "identity"), ("risk_ratio", "log")):
        ease = one(rows, "ease", statistic_name=name)
        assert (ease["status"], ease["se_scale"], ease["at"]) == ("ok", scale, 300)
        assert one(rows, name, term="calibrated")["se_method"] == "empirical_calibration"
    difference = one(rows, "risk_difference", term="calibrated")
    assert difference["ci_low"] <= 0 <= difference["ci_high"]
    assert 0.02 < one(rows, "ease", statistic_name="risk_difference")["estimate"] < 0.2
