"""Strategies with a grace period over a drawn lake, against the table of the same persons.

The truth is planted as in tests/reference/test_clone_censor_weight: treatment halves the hazard.
"""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from tasks.analysis.analyse import compare_arms
from tasks.analysis.arms_strategies import cloned
from tasks.analysis.covariates import Covariate
from tasks.analysis.estimates import estimate
from tasks.analysis.people import People
from tasks.core.disclosure import release
from tasks.core.duck import duck
from tasks.core.results import AT_RISK, BEHIND, results_frame
from tasks.core.sealing import sealed_by, split
from tasks.core.spec import load_study
from tasks.report.context import Context
from tasks.report.sections import finding, people, question
from tests.design_world import CLONES, grace_study, written
from tests.grace_world import draw, people_of, registry
from tests.reference.test_clone_censor_weight import planted_truth
from tests.reference.test_registry_tables import results, some
from tests.unit.test_report_world import IDENTITY
from tests.unit.test_report_world import world as drug_world

TABLE = {
    "roles": {
        "person_id": "id",
        "follow_up": {"column": "days", "unit": "days"},
        "event": "died",
        "treatment_start": {"column": "treated_on", "unit": "days"},
    },
    "columns": {"woman": "number", "sick": "number"},
}
NUMBERS = ("estimate", "std_error", "ci_low", "ci_high", "n", "n_events")
GATES = [
    {"name": "persons_per_arm", "threshold": 100, "on_miss": "report"},
    {"name": "convergence", "on_miss": "report"},
    {"name": "events_per_parameter", "threshold": 20, "on_miss": "report"},
    {"name": "ess", "threshold": 0.5, "adjustment": "initiation_weights", "on_miss": "report"},
]


def evidence(folder, persons, **changes):
    with duck() as con:
        draw(con, *persons)
        spec = load_study(written(folder, grace_study() | changes))
        people_of(con, spec)
        return spec, compare_arms(con, spec)


@pytest.fixture(scope="module")
def persons():
    return registry(1500)


@pytest.fixture(scope="module")
def found(persons, tmp_path_factory):
    analyses = grace_study()["analyses"]
    analyses[0]["gates"] = "all"
    folder = tmp_path_factory.mktemp("grace")
    return evidence(folder, persons, analyses=analyses, gates=GATES)


def own(rows, analysis="a1", **where):
    where |= {"analysis_id": analysis}
    return [row for row in rows if all(row.get(key) == value for key, value in where.items())]


def told(rows):
    return {
        (row["estimate_name"], row.get("strategy"), row["at"]): [row.get(n) for n in NUMBERS]
        for row in rows
        if row["at"] is not None and row.get("term") != "curve"
    }


def frame_of(time, event, start, woman, sick):
    start = np.where(start < np.inf, start, np.nan)
    return pd.DataFrame(
        {"id": np.arange(time.size), "days": time, "died": event, "treated_on": start,
         "woman": woman.astype(int), "sick": sick.astype(int)}
    )  # fmt: skip


def test_the_lake_gives_what_the_table_of_the_same_persons_gives(found, persons):
    asked = {k: v for k, v in CLONES.items() if k != "adjustment"}
    asked |= {"grace_days": 30, "terms": "woman + sick"}
    table = [r for r in results(frame_of(*persons), TABLE, **asked) if r["analysis_id"] == "a1"]
    lake = own(found[1].rows)
    assert len(told(lake)) == 4 + 2 + 2 + 1 + 2
    assert told(lake) == told(table)
    assert {row["population"] for row in lake} == {"initiation_weights"}
    assert {row["target"] for row in lake} == {"start"}


def test_the_planted_truth_lies_within_three_standard_errors(found):
    truth = planted_truth(400_000)
    rows = own(found[1].rows, at=150.0)
    risks = some(rows, "cumulative_incidence", term="table")
    for row, want in zip([*risks, *some(rows, "rmst")], (truth[0::2] + truth[1::2]), strict=True):
        assert abs(row["estimate"] - want) < 3 * row["std_error"]
    [difference] = some(rows, "risk_difference")
    assert abs(difference["estimate"] - (truth[0] - truth[2])) < 3 * difference["std_error"]


def test_curves_count_the_clones_that_are_followed(found, persons):
    time, event, start, *_ = persons
    for strategy, leaves in (
        ("start", np.where(start > 30, 30, np.inf)),
        ("do_not_start", np.where(start <= 30, start, np.inf)),
    ):
        curve = own(found[1].rows, arm=strategy, term="curve")
        risks = [row["estimate"] for row in curve]
        assert (curve[0]["at"], curve[0]["estimate"], curve[0][AT_RISK]) == (0, 0, time.size)
        assert curve[-1]["at"] == 150
        assert risks == sorted(risks)
        for row in curve:
            there = np.minimum(time, leaves) >= row["at"]
            seen = (event == 1) & (time <= np.minimum(leaves, row["at"]))
            assert (row[AT_RISK], row["n_events"]) == (there.sum(), seen.sum())
        table = own(found[1].rows, arm=strategy, term="table", at=150.0)
        assert table[0]["estimate"] == curve[-1]["estimate"]


def test_without_covariates_and_in_a_population_clones_are_weighted_by_time_alone(found, persons):
    rows = own(found[1].rows, "a2")
    assert {row["stratum_level"] for row in rows} == {"women"}
    assert {(row["population"], row["n"]) for row in some(rows, "rmst")} == {
        ("crude", int(persons[3].sum()))
    }
    assert {row["note"].split(";")[0] for row in some(rows, "ess")} == {"weights up to 1"}


def test_gates_of_clones_are_judged_and_a_missed_one_seals_all_by_strategy(found, persons):
    spec, made = found
    verdicts = {gate.name: gate for gate in made.gates}
    assert {name: gate.verdict for name, gate in verdicts.items()} == {
        "persons_per_arm": "pass", "convergence": "pass", "events_per_parameter": "pass",
        "ess": "pass",
    }  # fmt: skip
    sizes = some(own(made.rows), "ess")
    assert verdicts["ess"].value == min(row["estimate"] / row["n"] for row in sizes)
    missed = [gate.as_dict() | {"verdict": "miss"} for gate in made.gates if gate.name == "ess"]
    sealed = sealed_by(spec, missed, "2026-01-01", made.rows)
    shown, kept = split(spec, made.rows, sealed)
    [blinded] = own(shown, status="blinded")
    assert (blinded["estimate_name"], blinded["population"]) == (
        "risk_difference", "initiation_weights",
    )  # fmt: skip
    assert {row["estimate_name"] for row in own(shown)} == {"risk_difference", "ess"}
    assert not [row for row in shown if row["status"] == "ok" and row.get("outcome")
                and row["estimate_name"] != "ess"]  # fmt: skip
    assert len(own(kept)) > 100


def test_outcomes_of_clones_are_not_counted_twice_for_a_planned_look(persons, tmp_path):
    total = int(persons[1].sum())
    planned = {"information_fraction": 1.0, "events": total + 1}
    analyses = [grace_study()["analyses"][0] | {"planned": planned}]
    spec, made = evidence(tmp_path, persons, analyses=analyses)
    sealed = sealed_by(spec, [], "2026-01-01", made.rows)
    assert sealed.fractions["a1"] == total / (total + 1)
    assert "not reached" in sealed.why["a1"]


def test_curves_end_where_few_are_at_risk_and_small_cells_of_clones_are_withheld(found):
    _, made = found
    rows = own(made.rows)
    k = 40
    shown = release(made.rows, made.attrition, made.balance, [], k).rows
    for strategy in ("start", "do_not_start"):
        curve = own(shown, arm=strategy, term="curve")
        counts = [row["n_events"] for row in curve]
        assert min(row[AT_RISK] for row in curve) >= k
        assert all(b == a or b - a >= k for a, b in pairwise(counts))
    few = [row for row in rows if any(0 < count < k for count in row.get(BEHIND, ()))]
    assert len(few) > 10
    places = {(row["estimate_name"], row.get("arm"), row.get("term"), row["at"]) for row in few}
    for row in own(shown):
        if (row["estimate_name"], row.get("arm"), row.get("term"), row["at"]) in places:
            assert row["status"] == "suppressed"


def test_the_report_shows_what_was_seen_and_compares_clones_alone(found):
    spec, made = found
    inputs = drug_world(
        spec=spec, results=results_frame(made.rows, IDENTITY), attrition=made.attrition,
        balance=made.balance, gates=[gate.as_dict() for gate in made.gates],
    )  # fmt: skip
    context = Context(inputs, "en")
    blocks = [question.parts(context), finding.section(context), people.follow_up(context)]
    blocks += [people.attrition_table(context, people.attrition_steps(context))]
    page = repr(blocks) + context.words("design.intro")
    said = (
        "enter the cohort ", " days of time zero", "Risk difference",
        "who had started the treatment before is left out",
        "in each as a clone", "with an event; not compared",
        "no comparison, for who starts late had to live until then",
        "Had not started the treatment before time zero",
    )  # fmt: skip
    assert [text for text in said if text not in page] == []


N = 60
STARTS = np.where(np.arange(N) % 2 == 0, np.arange(N) % 25, np.inf)
DAYS = 40.0 + np.arange(N) * 3
WORLDS = {
    "nobody starts in grace": {"start": np.full(N, np.inf)},
    "everybody starts at time zero": {"start": np.zeros(N)},
    "nobody has the outcome": {"cause": np.zeros(N)},
    "nobody is followed beyond grace": {"days": DAYS / 20},
    "nobody is followed to the last day": {"days": np.minimum(DAYS, 100)},
    "a covariate tells who starts": {"x": (STARTS < 30) * 1.0},
}


@pytest.mark.parametrize("changes", WORLDS.values(), ids=WORLDS)
def test_degenerate_strategies_say_why_and_give_no_number(tmp_path, changes):
    spec = load_study(written(tmp_path, grace_study()))
    given = {"start": STARTS, "cause": np.arange(N) % 3 == 0, "days": DAYS,
             "x": np.sin(np.arange(N))} | changes  # fmt: skip
    covariate = Covariate(**dict.fromkeys(Covariate.__dataclass_fields__, "") | {"id": "age"})
    people = People(
        np.arange(1, N + 1), given["start"] <= 30, given["days"], given["cause"].astype(int),
        (covariate,), sparse.csr_array(given["x"][:, None]), given["start"],
    )  # fmt: skip
    [row] = estimate(spec, spec.analyses[0], cloned(people, "initiation_weights"), "")
    assert (row["status"], row.get("estimate")) == ("not_estimable", None)
    assert row["note"]
