"""Interrupted series and staggered roll-outs: statsmodels, csdid, enumeration, planted effects.

Group-time effects and their averages: csdid 0.4.3, the Python port of R's did, on `roll_out()`:
    ATTgt(yname="value", gname="g", idname="site", tname="time", data=d, control_group=[...])
    .fit(est_method="reg", bstrap=False, base_period="varying").aggte(typec, bstrap=False)
"""

from itertools import permutations

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
import statsmodels.formula.api as smf

from tasks.core.errors import EstimationError
from tasks.stats.few_sites import roll_out_test, wild_bootstrap_test
from tasks.stats.interrupted_series import prais_winsten, segmented_regression, series
from tasks.stats.staggered_adoption import (
    Panel,
    aggregated,
    group_time_effects,
    panel,
    two_way_fixed_effects,
)
from tests.reference.outcome_data import roll_out
from tests.reference.test_registry_tables import results, some

CSDID = {
    "never_treated": {
        "simple": (1.862184043816791, 0.2252734671899099),
        "dynamic": (2.101814658480962, 0.25318953307549374),
        "group": (1.7644342302436813, 0.25397901492348224),
        (3, 2): (-0.7149386799991937, 0.6496316995690766),
        (3, 3): (1.6560509247926538, 0.6258879289302479),
        (4, 3): (-0.5166794442732807, 0.7546292704995846),
        (4, 6): (2.063764277776483, 0.05930995670021057),
        (5, 6): (1.2463684056079876, 0.722520245602754),
    },
    "not_yet_treated": {
        "simple": (1.9053250971841773, 0.2442481321561278),
        "dynamic": (2.134170448506502, 0.25610098300879786),
        "group": (1.7943356997032116, 0.2795168659758684),
        (3, 2): (-1.003936245965102, 0.5099283745497958),
        (3, 3): (1.9798687048064316, 0.4978421217815188),
        (4, 3): (-0.2755166632278614, 0.6839983696933376),
        (4, 4): (1.749681353764319, 0.5566431182935466),
    },
}


def as_panel(data):
    return panel(data.site, data.time - 1, data.value, data.on)


@pytest.mark.parametrize("controls", CSDID)
def test_group_time_effects_are_those_of_csdid(controls):
    data = as_panel(roll_out())
    cells = group_time_effects(data, controls)
    found = {(e.cohort + 1, e.cohort + e.at + 1): e for e in cells}
    whole = [e for e in aggregated(data, cells) if e.at is None and e.cohort is None]
    found |= {e.name: e for e in whole}
    for key, want in CSDID[controls].items():
        assert (found[key].estimate, found[key].std_error) == pytest.approx(want, rel=1e-9)


def planted(adopted, effect, times=7):
    """Values without noise; the effect of a site on from `adopted` is `effect(cohort, since)`."""
    site, time = np.indices((len(adopted), times))
    since = time - np.array(adopted)[:, None]
    added = np.vectorize(effect)(np.array(adopted)[:, None], since) * (since >= 0)
    return site.ravel(), time.ravel(), (3.0 * site + time**2 + added).ravel(), (since >= 0).ravel()


@pytest.mark.parametrize("controls", CSDID)
def test_planted_effects_that_differ_by_cohort_are_found_and_two_way_ones_are_not(controls):
    adopted = [2, 2, 4, 4, 7, 7, 7]
    data = panel(*planted(adopted, lambda g, since: g + 3.0 * since))
    cells = group_time_effects(data, controls)
    for cell in cells:
        want = cell.cohort + 3.0 * cell.at if cell.at >= 0 else 0
        assert cell.estimate == pytest.approx(want, abs=1e-9)
    truth = np.mean([g + 3.0 * (t - g) for g in (2, 4) for t in range(g, 7)])
    assert aggregated(data, cells)[0].estimate == pytest.approx(truth)
    assert abs(two_way_fixed_effects(data).estimate - truth) > 1


def test_two_way_effects_are_those_of_least_squares_with_clustered_errors():
    frame = roll_out()
    want = smf.ols("value ~ on + C(site) + C(time)", frame).fit(
        cov_type="cluster", cov_kwds={"groups": frame.site}
    )
    found = two_way_fixed_effects(as_panel(frame))
    assert (found.estimate, found.std_error) == pytest.approx(
        (want.params["on"], want.bse["on"]), rel=1e-8
    )
    assert found.negative_share >= 0


def small_panel():
    rng = np.random.default_rng(8)
    adopted = np.array([2, 3, 5, 5, 5])
    on = np.arange(5) >= adopted[:, None]
    return Panel(rng.normal(size=(5, 5)) + 6.0 * on, adopted)


def simple(values, adopted):
    data = Panel(values, np.array(adopted))
    return aggregated(data, group_time_effects(data, "not_yet_treated"))[0].estimate


def test_permutation_is_that_of_every_order_written_out():
    data = small_panel()
    orders = sorted(set(permutations(data.adopted)))
    effects = [abs(simple(data.values, order)) for order in orders]
    seen = abs(simple(data.values, data.adopted))
    got = roll_out_test(data, "not_yet_treated", level=0.9)
    assert (got.draws, got.is_complete) == (20, True)
    assert got.p_value == np.mean([effect >= seen - 1e-9 for effect in effects])
    assert got.attainable_p == 1 / 20
    on = (np.arange(5) >= data.adopted[:, None]).astype(float)
    for tau, rejected in ((got.ci_low - 1e-6, True), (got.ci_low + 1e-6, False)):
        moved = [abs(simple(data.values - tau * on, order)) for order in orders]
        own = abs(simple(data.values - tau * on, data.adopted))
        assert (sum(effect >= own - 1e-9 for effect in moved) <= 2) == rejected


def test_many_orders_are_drawn_with_a_seed():
    data = as_panel(roll_out())
    one, again, other = (roll_out_test(data, "never_treated", seed=s) for s in (1, 1, 2))
    assert one == again
    assert one != other
    assert (one.draws, one.is_complete, one.p_value) == (1000, False, 0.001)


def test_wild_bootstrap_covers_and_tells_its_smallest_p():
    data = as_panel(roll_out())
    effect = aggregated(data, group_time_effects(data, "never_treated"))[0]
    got = wild_bootstrap_test(effect, data, seed=1)
    assert got.ci_low < effect.estimate < got.ci_high
    assert (got.ci_high - got.ci_low) / 2 / effect.std_error == pytest.approx(2.0, abs=0.4)
    assert got.attainable_p == 0.001
    with pytest.raises(EstimationError, match="one site"):
        wild_bootstrap_test(effect, small_panel())


ON = [0, 0, 1, 1]
REFUSED = [
    ([0, 0, 0, 0], [0, 1, 2, 3], [0, 1, 0, 1], "switch the intervention off"),
    ([0, 0, 1, 1], [0, 1, 0, 1], [0, 0, 0, 0], "no site adopts"),
    ([0, 0, 1, 1], [0, 1, 0, 1], [1, 1, 1, 1], "no site adopts"),
    ([0, 0, 1], [0, 1, 0], [0, 1, 0], "one a site and time"),
    ([0, 0, 1, 1], [0, 0, 0, 1], [0, 1, 0, 0], "one a site and time"),
]


@pytest.mark.parametrize(("site", "time", "on", "told"), REFUSED)
def test_panels_that_tell_nothing_are_refused(site, time, on, told):
    with pytest.raises(EstimationError, match=told):
        panel(site, time, np.zeros(len(site)), on)


def test_without_controls_there_is_no_effect():
    data = panel(*planted([3, 3, 5, 5], lambda g, since: 1.0))
    with pytest.raises(EstimationError, match="control"):
        group_time_effects(data, "never_treated")
    assert group_time_effects(data, "not_yet_treated")
    alike = panel(*planted([3, 3], lambda g, since: 1.0))
    with pytest.raises(EstimationError, match="control"):
        group_time_effects(alike, "not_yet_treated")


def one_series(n=48, noise=1.0):
    time = np.arange(n)
    on = time >= n // 2
    wave = np.sin(2 * np.pi * time / 12)
    value = 10 + 0.1 * time + 3 * on - 0.2 * on * (time - n // 2) + wave
    return time, value + noise * np.random.default_rng(3).normal(size=n), on


def test_a_series_is_a_regression_with_newey_west_errors():
    time, value, on = one_series()
    angle = 2 * np.pi * time / 12
    x = np.column_stack([np.ones(48), time, on, on * (time - 24), np.sin(angle), np.cos(angle)])
    want = sm.OLS(value, x).fit(cov_type="HAC", cov_kwds={"maxlags": 5, "use_correction": True})
    found = segmented_regression(series(time, value, on), season_terms=1, lag=5)
    assert found.fit.coef == pytest.approx(want.params, rel=1e-9)
    assert np.sqrt(np.diag(found.covariances[0].matrix)) == pytest.approx(want.bse, rel=1e-8)
    assert found.covariances[0].kind == "newey_west(lag=5)"
    x[:, 2:4] = 0
    assert found.counterfactual == pytest.approx(x @ want.params, rel=1e-9)


def test_counts_over_persons_are_quasi_poisson():
    time, value, on = one_series()
    count, persons = np.rint(value * 5), 1000.0 + 10 * time
    x = np.column_stack([np.ones(48), time, on, on * (time - 24)])
    want = sm.GLM(count, x, sm.families.Poisson(), offset=np.log(persons)).fit(scale="X2")
    found = segmented_regression(series(time, count, on, None, persons), "quasi_poisson")
    assert found.fit.coef == pytest.approx(want.params, rel=1e-8)
    quasi = found.covariances[1]
    assert quasi.kind == "quasi"
    assert np.sqrt(np.diag(quasi.matrix)) == pytest.approx(want.bse, rel=1e-6)


def test_prais_winsten_is_least_squares_at_its_own_rho():
    time, value, on = one_series()
    found = prais_winsten(series(time, value, on))
    x = np.column_stack([np.ones(48), time, on, on * (time - 24)])
    distance = abs(time[:, None] - time)
    whole = sm.GLS(value, x, sigma=found.rho**distance).fit()
    assert found.coef == pytest.approx(whole.params, rel=1e-8)
    assert np.sqrt(np.diag(found.covariance)) == pytest.approx(whole.bse, rel=1e-8)
    left = value - x @ found.coef
    assert found.rho == pytest.approx(left[1:] @ left[:-1] / (left[:-1] @ left[:-1]), abs=1e-9)


SERIES = [
    ([0, 1, 2, 3, 4, 5], [0, 0, 0, 0, 0, 0], "fewer than 3 times after"),
    ([0, 1, 2, 3, 4, 5], [1, 1, 1, 1, 1, 1], "fewer than 3 times before"),
    ([0, 1, 2, 3, 4, 5], [0, 0, 1, 1, 1, 1], "fewer than 3 times before"),
    ([0, 1, 2, 3, 4, 5], [0, 0, 0, 1, 0, 1], "switched off"),
    ([0, 1, 1, 3, 4, 5], [0, 0, 0, 1, 1, 1], "twice"),
]


@pytest.mark.parametrize(("time", "on", "told"), SERIES)
def test_series_that_tell_nothing_are_refused(time, on, told):
    with pytest.raises(EstimationError, match=told):
        series(time, np.arange(6.0), on)


def test_a_constant_series_is_refused():
    time, _, on = one_series()
    with pytest.raises(EstimationError, match="one value"):
        segmented_regression(series(time, np.ones(48), on))
    with pytest.raises(EstimationError, match="one value"):
        segmented_regression(series(time, np.zeros(48), on), "poisson")
    both = series(np.tile(time, 2), np.arange(96.0) ** 2, np.tile(on, 2), np.repeat([0, 1], 48))
    with pytest.raises(EstimationError, match="lag is of one series"):
        segmented_regression(both, lag=2)
    with pytest.raises(EstimationError, match="lag"):
        segmented_regression(series(*one_series()), lag=48)


SOURCE = {
    "kind": "series_table",
    "roles": {"time": "time", "value": "value", "intervention": "on"},
    "columns": {"time": "number"},
}


def test_a_study_of_months_gets_changes_lines_and_a_sensitivity():
    time, value, on = one_series()
    frame = pd.DataFrame({"value": value, "on": on.astype(int)})
    frame["time"] = [f"{2020 + t // 12}-{t % 12 + 1:02d}-01" for t in time]
    source = SOURCE | {"columns": {"time": "date"}}
    rows = results(
        frame, source, method="interrupted_time_series", family="gaussian", season_terms=1
    )
    found = segmented_regression(series(time, value, on), season_terms=1)
    main = {"scenario": "main"}
    [level], [slope] = some(rows, "level_change", **main), some(rows, "slope_change", **main)
    assert (level["estimate"], slope["estimate"]) == pytest.approx(tuple(found.fit.coef[2:4]))
    assert level["se_method"] == "newey_west(lag=3)"
    assert {r["se_method"] for r in some(rows, "level_change")} == {
        "newey_west(lag=3)",
        "model",
        "prais_winsten",
    }
    line = [row["estimate"] for row in some(rows, "mean", term="counterfactual")]
    assert line == pytest.approx(list(found.counterfactual))
    assert len(some(rows, "mean", term="fitted")) == 48


def test_a_study_of_sites_pools_them_with_errors_by_site():
    frame = roll_out()
    longer = pd.concat([frame.assign(time=frame.time + 6 * k) for k in (0, 1)])
    longer["on"] = (longer.time > 6 + longer.site % 2).astype(int)
    source = SOURCE | {"roles": SOURCE["roles"] | {"site": "site"}}
    rows = results(longer, source, method="interrupted_time_series", family="gaussian")
    [level] = some(rows, "level_change")
    assert (level["se_method"], level["n_clusters"], level["df2"]) == ("CR1S", 26, 25)
    starts = 7 + longer.site % 2
    longer["since"] = longer.on * (longer.time - starts)
    want = smf.ols("value ~ time + on + since + C(site)", longer).fit(
        cov_type="cluster", cov_kwds={"groups": longer.site}
    )
    assert (level["estimate"], level["std_error"]) == pytest.approx(
        (want.params["on"], want.bse["on"])
    )


def test_numbers_that_are_months_and_uneven_times_are_refused():
    time, value, on = one_series(24)
    frame = pd.DataFrame({"value": value, "on": on.astype(int)})
    frame["time"] = [f"{2020 + t // 12}{t % 12 + 1:02d}" for t in time]
    asked = {"method": "interrupted_time_series", "family": "gaussian"}
    [row] = some(results(frame, SOURCE, **asked), "level_change")
    assert "not equally spaced" in row["note"]


DID = {
    "method": "difference_in_differences", "controls": "never_treated", "inference": "permutation"
}  # fmt: skip
SITES = SOURCE | {"roles": SOURCE["roles"] | {"site": "site"}}


def test_a_study_of_a_roll_out():
    rows = results(roll_out(), SITES, **DID)
    [whole] = some(rows, "att", term="simple")
    assert whole["estimate"] == pytest.approx(CSDID["never_treated"]["simple"][0], rel=1e-9)
    assert (whole["p_value"], whole["n_clusters"], whole["n_sites"]) == (0.001, 26, 18)
    assert whole["ci_low"] < whole["estimate"] < whole["ci_high"]
    [cell] = some(rows, "att_group_time", term="adopted 3, at 4")
    assert (cell["at"], cell["at_kind"]) == (1.0, "periods_since_adoption")
    [twice] = some(rows, "coefficient", term="two-way fixed effects")
    assert (twice["scenario"], "negative weights" in twice["note"]) == ("diagnostic", True)
    wild = results(roll_out(), SITES, **(DID | {"inference": "wild_bootstrap"}))
    [whole] = some(wild, "att", term="simple")
    assert whole["std_error"] == pytest.approx(CSDID["never_treated"]["simple"][1], rel=1e-9)


def test_a_roll_out_too_small_for_its_alpha_is_not_estimable():
    frame = roll_out()
    few = frame[frame.site.isin([0, 20, 21])]
    [row] = [row for row in results(few, SITES, **DID) if row["analysis_id"] == "a1"]
    assert (row["estimate_name"], row["status"]) == ("att", "not_estimable")
    assert "smallest p-value that these sites can attain is 0.333" in row["note"]


def test_a_roll_out_that_is_undone_is_refused():
    frame = roll_out()
    frame.loc[(frame.site == 0) & (frame.time == 6), "on"] = 0
    [row] = some(results(frame, SITES, **DID), "att")
    assert "switch the intervention off" in row["note"]
