"""Gates of a comparison of cohorts: what each looks at, whom it binds, and what is sealed by it."""

import numpy as np
import pytest
from scipy import sparse

from tasks.analysis.balance import balance_table
from tasks.analysis.covariates import Covariate
from tasks.analysis.gates import Judged, judge_gates, share_with_both
from tasks.analysis.people import People
from tasks.analysis.populations import make_populations
from tasks.core.results import result_row
from tasks.core.sealing import Sealed, sealed_by, split
from tests.design_world import loaded

RNG = np.random.default_rng(11)
N = 400
AGE = RNG.normal(60, 10, N)
TARGET = RNG.random(N) < 1 / (1 + np.exp(-(AGE - 60) / 6))
CAUSE = (RNG.random(N) < 0.2).astype(int)
PEOPLE = People(
    np.arange(1, N + 1), TARGET, RNG.integers(1, 300, N).astype(float), CAUSE,
    (Covariate("age", "age", "나이", is_binary=False, is_sparse=False),), sparse.csr_array(AGE[:, None]),
)  # fmt: skip
PLACE = {"primary": 1, "cox_iptw": 3, "km_crude": 5}


def judged(people=PEOPLE):
    populations, model = make_populations(people, ("iptw_ate", "overlap", "matched"))
    return Judged(people, balance_table(people, populations), populations, model)


WHOLE = judged()


def spec_with(tmp_path, gates, declared, **changes):
    """The drug study with these gates, declared by analyses as told."""
    told = {f"analyses.{PLACE[name]}.gates": names for name, names in declared.items()}
    if "primary" not in declared:
        told["analyses.1.gates"] = []
    return loaded(tmp_path, "drug", {"gates": gates, **told, **changes})


def gate(name, threshold=None, adjustment="none", on_miss="report"):
    told = {"name": name, "threshold": threshold, "adjustment": adjustment, "on_miss": on_miss}
    return {key: value for key, value in told.items() if value is not None}


def verdict_of(tmp_path, one, declared=("primary",), rows=(), groups=None):
    spec = spec_with(tmp_path, [one], {name: [one["name"]] for name in declared})
    [found] = judge_gates(spec, groups or {None: WHOLE}, list(rows))
    return found


def row(name="hazard_ratio", analysis="primary", role="primary", **values):
    return result_row(analysis, role, name, **{"estimate": 1.1, "n_events": 70} | values)


def test_effective_size_is_that_of_the_arm_that_loses_most(tmp_path):
    weights = WHOLE.populations["overlap"]
    sizes = [
        (w.sum() ** 2 / (w**2).sum(), w.size)
        for w in (weights.weights[TARGET], weights.weights[~TARGET])
    ]
    as_number = verdict_of(tmp_path, gate("ess", 50.0, "overlap"))
    assert as_number.value == pytest.approx(min(size for size, _ in sizes))
    assert as_number.verdict == "pass"
    as_share = verdict_of(tmp_path, gate("ess", 0.999, "overlap"))
    assert as_share.value == pytest.approx(min(size / n for size, n in sizes))
    assert as_share.verdict == "miss"


def test_positivity_counts_the_scores_between_its_bounds(tmp_path):
    score = WHOLE.model.score
    share = sum(0.05 <= one <= 0.95 for one in score) / N
    assert 0.5 < share < 1
    assert verdict_of(tmp_path, gate("positivity", 0.5)).value == pytest.approx(share)
    assert share_with_both(np.array([0.0, 0.05, 0.5, 0.95, 1.0])) == pytest.approx(0.6)


def test_events_per_parameter_is_that_of_the_model_with_the_fewest(tmp_path):
    found = verdict_of(tmp_path, gate("events_per_parameter", 10.0), rows=[row()])
    smaller = min(TARGET.sum(), (~TARGET).sum())  # of a propensity model with one covariate
    assert found.value == min(CAUSE.sum(), smaller) == CAUSE.sum()


def test_events_of_one_arm_alone_are_no_value_of_a_gate(tmp_path):
    alone = PEOPLE.only(PEOPLE.person_id[TARGET])
    groups = {None: Judged(alone, WHOLE.balance, {}, None)}
    for name in ("events", "events_per_parameter"):
        found = verdict_of(tmp_path, gate(name, 1.0), rows=[row()], groups=groups)
        assert (found.value, found.verdict) == (None, "not_evaluated")


def test_a_lost_propensity_model_has_not_converged(tmp_path):
    apart = People(
        PEOPLE.person_id, TARGET, PEOPLE.follow_up_days, CAUSE, PEOPLE.covariates,
        sparse.csr_array(TARGET.astype(float)[:, None]),
    )  # fmt: skip
    groups = {None: judged(apart)}
    lost = row(status="not_estimable", note="no model", estimate=None)
    found = verdict_of(tmp_path, gate("convergence"), rows=[lost], groups=groups)
    assert (found.verdict, found.value) == ("miss", 0.0)
    for name in ("equipoise", "positivity"):
        unknown = verdict_of(tmp_path, gate(name, 0.1), rows=[lost], groups=groups)
        assert unknown.verdict == "not_evaluated"
        assert not unknown.is_open


def test_the_test_beside_an_estimate_is_none_of_its_convergence(tmp_path):
    beside = row("test", status="not_estimable", statistic_name="proportional_hazards")
    assert verdict_of(tmp_path, gate("convergence"), rows=[row(), beside]).verdict == "pass"


def test_all_declares_the_gates_of_its_own_adjustment(tmp_path):
    gates = [gate("max_smd", 0.1, "overlap"), gate("max_smd", 0.2, "iptw_ate"), gate("events", 5.0)]
    spec = spec_with(tmp_path, gates, {"primary": "all", "cox_iptw": "all"})
    found = judge_gates(spec, {None: WHOLE}, [])
    assert [(v.name, v.adjustment, v.analyses) for v in found] == [
        ("max_smd", "overlap", ("primary",)),
        ("max_smd", "iptw_ate", ("cox_iptw",)),
        ("events", "none", ("primary", "cox_iptw")),
    ]


def test_a_gate_that_nobody_declares_binds_the_study(tmp_path):
    spec = spec_with(tmp_path, [gate("events", 9999.0, on_miss="block")], {})
    [found] = judge_gates(spec, {None: WHOLE}, [])
    assert found.blocks
    assert found.analyses == ()
    assert not sealed_by(spec, [found.as_dict()], "2026-01-01", [])


ROWS = [
    row(outcome="gi_bleed", population="overlap"),
    row(analysis="replication", role="replication", outcome="gi_bleed", population="crude"),
    row("survival", "km_crude", "secondary", arm="celecoxib", outcome="gi_bleed", at=3.0),
    row("count", "follow_up", "descriptive", arm="celecoxib", person_time=9.0, population="crude"),
    row("max_smd", "balance", "descriptive", estimate=0.2),
    row("count", "attrition", "descriptive", arm="celecoxib"),
    row("hazard_ratio", "negative_controls", "descriptive", outcome="ingrown_nail"),
    row("hazard_ratio", "calibrated", "secondary", outcome="gi_bleed"),
]


def test_what_would_tell_the_sealed_number_is_sealed_with_it(tmp_path):
    spec = spec_with(tmp_path, [gate("events", 5.0)], {"primary": ["events"]})
    told, kept = split(spec, ROWS, Sealed({"primary": "because"}))
    ok = [r["analysis_id"] for r in told if r["status"] == "ok"]
    assert ok == ["balance", "attrition", "negative_controls"]
    blinded = [r["analysis_id"] for r in told if r["status"] == "blinded"]
    assert sorted(blinded) == ["calibrated", "follow_up", "km_crude", "primary", "replication"]
    assert {r["analysis_id"] for r in kept} == set(blinded)
    for r in told:
        if r["status"] == "blinded":
            assert not [v for v in r.values() if isinstance(v, int | float)]


def test_a_replication_in_the_form_of_the_sealed_analysis_is_sealed(tmp_path):
    spec = spec_with(tmp_path, [gate("events", 5.0)], {"km_crude": ["events"]})
    told, _ = split(spec, ROWS, Sealed({"km_crude": "because"}))
    assert {r["analysis_id"] for r in told if r["status"] == "ok"} == {
        "balance", "attrition", "negative_controls",
    }  # fmt: skip


def test_a_lost_estimate_cannot_be_told_from_a_sealed_one(tmp_path):
    spec = spec_with(tmp_path, [gate("events", 5.0)], {"primary": ["events"]})
    lost = [row(status="not_estimable", note="no event in one arm", estimate=None)]
    curves = [row("survival", arm=arm, at=float(at)) for arm in "ab" for at in range(9)]
    sealed = Sealed({"primary": "because"})
    assert split(spec, lost, sealed)[0] == split(spec, [ROWS[0], *curves], sealed)[0]
