"""Curves, tests and restricted means of the arms of a study of the lake, and their disclosure."""

import numpy as np
import pytest

from tasks.analysis.estimates import METHODS, estimate
from tasks.analysis.populations import Population
from tasks.core.disclosure import release
from tasks.core.disclosure_tables import release_tables
from tasks.core.results import AT_RISK, DAYS, result_row
from tasks.core.spec import Analysis, load_study
from tasks.core.spec.methods import methods_of_lake
from tasks.stats.log_rank import log_rank
from tasks.stats.nelson_aalen import hazard_at, nelson_aalen
from tasks.stats.survival import kaplan_meier, restricted_mean, survival_quantile
from tests.reference.data import rossi
from tests.unit.test_disclosure import NO_BALANCE, attrition
from tests.unit.test_disclosure_tables import steps

TARGET, COMPARATOR = "celecoxib", "diclofenac"


@pytest.fixture(scope="module")
def spec():
    return load_study("gibleed_celecoxib_diclofenac")


def people(weighted=False):
    r = rossi()
    cause = np.where(r.arrest == 0, 0, np.where(r.prio > 6, 2, 1))
    weights = 0.5 + (r.age.to_numpy(float) % 7) / 4 if weighted else None
    return Population(
        "iptw_ate" if weighted else "crude", (r.fin == 1).to_numpy(), r.week.to_numpy(float),
        cause, np.arange(len(r)), weights, None,
    )  # fmt: skip


def found(spec, population, **analysis):
    adjustment = "none" if population.weights is None else "iptw_ate"
    asked = Analysis(id="a", role="secondary", adjustment=adjustment, **analysis)
    return estimate(spec, asked, population, "")


def some(rows, name, **where):
    return [
        r
        for r in rows
        if r["estimate_name"] == name and all(r.get(k) == v for k, v in where.items())
    ]


def test_the_methods_of_the_lake_are_those_that_exist():
    assert set(METHODS) == set(methods_of_lake())


@pytest.mark.parametrize("weighted", [False, True])
def test_restricted_means_lived_and_lost_with_ratios(spec, weighted):
    population = people(weighted)
    rows = found(spec, population, method="rmst", horizon_days=50)
    arms = [population.arm(is_target) for is_target in (True, False)]
    a, b = (restricted_mean(m.follow_up_days, m.has_outcome, 50, m.weights) for m in arms)
    lived = {row["arm"]: row for row in some(rows, "rmst")}
    lost = [row["estimate"] for row in some(rows, "rmtl")]
    assert lost == pytest.approx([50 - a.estimate, 50 - b.estimate], rel=1e-12)
    assert {row["se_method"] for row in rows} == {"robust" if weighted else "greenwood"}
    assert len(lived) == 2
    [ratio] = some(rows, "rmst_ratio")
    assert ratio["estimate"] == pytest.approx(a.estimate / b.estimate, rel=1e-12)
    error = np.hypot(a.std_error / a.estimate, b.std_error / b.estimate)
    assert ratio["std_error"] == pytest.approx(error, rel=1e-12)
    [of_lost] = some(rows, "rmtl_ratio")
    assert of_lost["estimate"] == pytest.approx(lost[0] / lost[1], rel=1e-12)
    assert of_lost["p_value"] == pytest.approx(
        some(rows, "rmtl_difference")[0]["p_value"], abs=0.02
    )


@pytest.mark.parametrize("weighted", [False, True])
def test_hazards_of_arms(spec, weighted):
    population = people(weighted)
    rows = found(spec, population, method="nelson_aalen", table_days=[30, 90])
    for arm in (True, False):
        m = population.arm(arm)
        want = hazard_at(nelson_aalen(m.follow_up_days, m.has_outcome, m.weights), 30)
        row = some(rows, "cumulative_hazard", term="table", at=30.0)[0 if arm else 1]
        got = (row["estimate"], row["std_error"], row["n"])
        assert got == (want.estimate[0], want.std_error[0], m.rows.size)
    late = some(rows, "cumulative_hazard", at=90.0)
    assert {row["status"] for row in late} == {"not_estimable"}
    assert len(late) == 2


def test_quantiles_of_arms_are_those_of_their_curves(spec):
    population = people()
    rows = found(spec, population, method="kaplan_meier", quantiles=[0.1, 0.9], conf_type="logit")
    m = population.arm(True)
    curve = kaplan_meier(m.follow_up_days, m.has_outcome, conf_type="logit")
    want = survival_quantile(curve, 0.1)
    first, second = some(rows, "quantile")[:2]
    assert [first[k] for k in ("estimate", "ci_low", "ci_high")] == [
        want.estimate, want.ci_low, want.ci_high,
    ]  # fmt: skip
    assert first["ci_method"] == "logit"
    assert (second["status"], second["note"]) == ("not_estimable", "survival stays above 0.1")


def test_tests_of_arms(spec):
    population = people()
    [row] = found(spec, population, method="log_rank", weighting="tarone_ware")
    want = log_rank(
        population.follow_up_days, population.has_outcome, population.is_target,
        weighting="tarone_ware",
    )  # fmt: skip
    assert (row["statistic_name"], row["statistic"]) == ("tarone_ware", want.statistic)
    [row] = found(spec, population, method="log_rank", rho=0.5, gamma=1)
    assert row["statistic_name"] == "fleming_harrington(0.5,1)"
    [row] = found(spec, population, method="gray_test")
    assert (row["statistic_name"], row["df1"], row["status"]) == ("gray", 1.0, "ok")


def test_incidence_of_arms_by_a_named_variance(spec):
    rows = found(spec, people(), method="cumulative_incidence", variance="aalen", table_days=[40])
    assert {row["se_method"] for row in some(rows, "cumulative_incidence")} == {"aalen"}
    assert some(rows, "risk_difference")[0]["se_method"] == "aalen"


def test_an_arm_without_events_is_not_estimable(spec):
    population = people()
    population.cause[:] = 0
    for method, more in (("rmst", {"horizon_days": 50}), ("gray_test", {}), ("log_rank", {})):
        [row] = found(spec, population, method=method, **more)
        assert row["status"] == "not_estimable"
        assert row.get("estimate") is None


def small_steps(name, at_kind="time_days"):
    return [
        result_row(
            "km", "secondary", name, arm="new", population="crude", outcome="bleed", at=float(day),
            at_kind=at_kind, term="table", estimate=0.1 * (day + 1), n=200, n_events=events,
            method="kaplan_meier" if name == "quantile" else "nelson_aalen",
        )
        | {DAYS: {"estimate": (events, 200 - events)}}
        for day, events in enumerate((0, 4, 12, 15, 30))
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["cumulative_hazard", "quantile"])
def test_steps_of_few_events_are_withheld_in_arms_and_tables(name):
    """Of 0, 4, 12, 15 and 30 events so far, 4 and 15 lie less than 11 above the last one shown."""
    rows = small_steps(name)
    kept = release(rows, attrition(300, 200), NO_BALANCE, [], 11).rows
    told = {12, 30} if name == "quantile" else {0, 12, 30}  # the day of a quantile needs events
    assert {row["n_events"] for row in kept if row["status"] == "ok"} == told
    whole = result_row(
        "km", "secondary", "median_survival", arm="new", population="crude", outcome="bleed",
        n=200, n_events=30,
    )  # fmt: skip
    kept, _, _ = release_tables([*rows, whole], steps(km=[300, 200]), 11)
    shown = {r["n_events"] for r in kept if r["estimate_name"] == name and r["status"] == "ok"}
    assert shown == told


@pytest.mark.parametrize("method", ["kaplan_meier", "nelson_aalen", "cumulative_incidence"])
def test_every_point_of_a_curve_of_an_arm_says_how_many_reach_it(spec, method):
    """Disclosure ends a curve by these counts: a point without one would never be withheld."""
    analysis = Analysis(id="a", role="exploratory", method=method, adjustment="none")
    rows = estimate(spec, analysis, people(), "")
    points = [row for row in rows if row.get("term") == "curve"]
    assert len(points) > 20
    for row in points:
        members = people().arm(row["arm"] == TARGET)
        assert row[AT_RISK] == int((members.follow_up_days >= row["at"]).sum())
