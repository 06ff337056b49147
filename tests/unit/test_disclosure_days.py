"""A quantile of the time to an event is the day of one person: it is told only in a crowd."""

import numpy as np
import pytest

from tasks.analysis.day_counts import on_days
from tasks.core.disclosure_rounding import rounded
from tasks.core.disclosure_tables import release_tables
from tasks.core.results import BEHIND, DAYS, result_row
from tasks.core.spec import load_study
from tests.unit.test_arms_curves import found, people
from tests.unit.test_disclosure import BIG, K, curve, released
from tests.unit.test_disclosure_design import shown as shown_of_design
from tests.unit.test_disclosure_design import sizes, within
from tests.unit.test_disclosure_rounding import of
from tests.unit.test_disclosure_tables import steps


def median(events, at_risk, low=(30, 120), high=(60, 90), name="median_survival", **more):
    """Return a median of day 100, limits 80 and 130, with the counts at its three days."""
    where = {"arm": "new", "population": "crude", "outcome": "bleed", "unit": "days", **more}
    made = result_row(
        "km", "secondary", name, method="kaplan_meier", n=200, n_events=40, estimate=100.0,
        ci_low=80.0, ci_high=130.0, **where,
    )  # fmt: skip
    return made | {DAYS: {"estimate": (events, at_risk), "ci_low": low, "ci_high": high}}


def days(row):
    return row["status"], row["estimate"], row["ci_low"], row["ci_high"]


ALL = ("ok", 100.0, 80.0, 130.0)
NONE = ("suppressed", None, None, None)


@pytest.mark.parametrize(
    ("events", "at_risk", "told"),
    [(40, 100, ALL), (11, 11, ALL), (10, 100, NONE), (40, 10, NONE), (195, 11, NONE)],
)
@pytest.mark.parametrize("name", ["median_survival", "quantile"])
def test_a_median_of_few_events_or_few_at_risk_is_withheld(name, events, at_risk, told):
    rows = [*BIG, median(events, at_risk, name=name)]
    assert days(released(rows).rows[-1]) == told


@pytest.mark.parametrize(
    ("low", "high", "told"),
    [
        ((10, 120), (60, 90), ("ok", 100.0, None, 130.0)),
        ((30, 120), (60, 10), ("ok", 100.0, 80.0, None)),
        ((30, 120), None, ("ok", 100.0, 80.0, None)),
    ],
)
def test_limits_are_days_of_persons_too(low, high, told):
    row = median(40, 100, low, high)
    if high is None:
        row |= {"ci_high": None, DAYS: {"estimate": (40, 100), "ci_low": low}}
    assert days(released([*BIG, row]).rows[-1]) == told


def test_a_limit_of_a_median_that_is_not_reached_is_judged_as_well():
    row = median(40, 100, low=(3, 190)) | {"status": "not_estimable", "estimate": None}
    row |= {"ci_high": None, DAYS: {"ci_low": (3, 190)}}
    assert days(released([*BIG, row]).rows[-1]) == ("not_estimable", None, None, None)


def test_a_median_goes_before_the_points_of_the_curve_beside_it():
    rows = [*BIG, *curve("new", [0, 12, 24, 36]), median(26, 100)]
    kept = released(rows).rows[2:]
    assert [r["n_events"] for r in kept if r["estimate_name"] == "survival"] == [0, 12]
    assert days(kept[-1]) == ALL


def test_two_quantiles_are_as_far_apart_as_points_of_a_curve():
    rows = [*BIG, median(26, 100), median(29, 95, name="quantile")]
    assert [days(r) for r in released(rows).rows[2:]] == [ALL, NONE]


def test_a_median_of_a_population_within_the_study_is_never_told():
    more = {**within("near"), "population": "crude", "outcome": "bleed"}
    rows = [
        *sizes(None, (200, 80), (200, 70)), *sizes("near", (120, 40), (110, 40)),
        median(30, 60, **more),
    ]  # fmt: skip
    assert "median_survival" not in {r["estimate_name"] for r in shown_of_design(rows)}


@pytest.mark.parametrize(("events", "told"), [(40, ALL), (10, NONE)])
def test_medians_of_a_registry_table_follow_the_same_rule(events, told):
    row = median(events, 100, arm=None, population="t")
    kept, _, messages = release_tables([row], steps(km=[500, 200]), K)
    assert days(kept[-1]) == told
    assert bool(messages) == (told == NONE)


def test_a_median_whose_counts_are_not_known_is_withheld():
    row = median(40, 100)
    del row[DAYS]
    assert days(released([*BIG, row]).rows[-1]) == NONE


def test_days_are_rounded_to_weeks_where_counts_are_rounded():
    [row] = rounded(of([median(40, 100)]), 5).rows
    assert days(row) == ("ok", 98.0, 77.0, 133.0)


def test_counts_on_days_are_of_persons_and_not_of_weights():
    time, event = np.array([2.0, 4, 4, 6, 8]), np.array([1, 1, 0, 1, 0], dtype=bool)
    found = on_days({"estimate": 4.0, "ci_low": 3.0, "ci_high": None}, time, event)
    assert found == {DAYS: {"estimate": (2, 4), "ci_low": (1, 4)}}
    late = on_days({"estimate": 4.0}, time, event, np.array([0.0, 0, 0, 4, 5]))
    assert late == {DAYS: {"estimate": (2, 2)}}


def mean_by_day(name, arm, events, **more):
    made = result_row(
        "means", "secondary", name, population="crude", outcome="bleed", at=30.0, estimate=29.0,
        n=200, n_events=40, **({"arm": arm} if arm else {"target": "new", "comparator": "old"}),
    )  # fmt: skip
    return made | ({BEHIND: (events,)} if arm else {}) | more


@pytest.mark.parametrize(
    ("events", "told"), [(11, True), (0, True), (10, False), (3, False), (195, False)]
)
def test_a_mean_up_to_a_day_tells_the_events_up_to_it(events, told):
    rows = [
        mean_by_day("rmst", "new", events), mean_by_day("rmst", "old", 30),
        mean_by_day("rmst_difference", None, 0), mean_by_day("rmtl_ratio", None, 0),
        mean_by_day("e_value", None, 0, statistic_name="rmst_difference"),
    ]  # fmt: skip
    kept = released([*BIG, *rows]).rows[2:]
    other = "ok" if told else "suppressed"
    assert [row["status"] for row in kept] == [other, "ok", other, other, other]


def test_restricted_means_of_the_lake_carry_their_events():
    spec = load_study("gibleed_celecoxib_diclofenac")
    rows = found(spec, people(), method="rmst", horizon_days=10)
    arms = people().is_target
    by_then = people().has_outcome & (people().follow_up_days <= 10)
    counts = [int((by_then & (arms == is_target)).sum()) for is_target in (True, False)]
    assert [row[BEHIND] for row in rows if row["estimate_name"] == "rmst"] == [(n,) for n in counts]
