"""Curves, tests and restricted means as studies of registry tables ask for them, against R."""

import numpy as np
import pytest

from tasks.stats.gray_test import gray_test
from tests.reference.r_random import cmprsk_test_data
from tests.reference.shared import r_values, shared_table
from tests.reference.test_registry_tables import LUNG, PBC, results, some

KM = {"method": "kaplan_meier"}
DAYS = {"column": "time", "unit": "days"}


@pytest.mark.parametrize("conf_type", ["log", "log-log", "plain", "logit", "arcsin"])
def test_lung_complete(conf_type):
    """survfit(Surv(time, status) ~ 1, lung, conf.type = ...): times, quantiles, median, rmean."""
    lung, values = shared_table("data/survival/lung.csv"), r_values(f"lung_km_all_{conf_type}")
    asked = {"conf_type": conf_type, "quantiles": [0.25, 0.5, 0.75]}
    rows = results(lung, LUNG, table_days=[90, 180, 365, 730], **asked, **KM)
    at_risk = [row["estimate"] for row in some(rows, "n_at_risk")]
    for row, n, want in zip(
        some(rows, "survival", term="table"), at_risk, values["at_times"], strict=True
    ):
        got = [row[k] for k in ("at", "estimate", "std_error", "ci_low", "ci_high")]
        keys = ("time", "surv", "std.err", "lower", "upper")
        assert got == pytest.approx([want[k] for k in keys], rel=1e-9)
        assert n == want["n.risk"]
        assert row["ci_method"] == conf_type
    quantiles = values["quantiles"]
    for row in some(rows, "quantile"):
        name = f"{100 * row['at']:g}"
        got = [row["estimate"], row["ci_low"], row["ci_high"]]
        assert got == [quantiles[k][name] for k in ("quantile", "lower", "upper")]
    assert len(some(rows, "quantile")) == 3
    [median], table = some(rows, "median_survival"), values["table"]
    got = [median[k] for k in ("estimate", "ci_low", "ci_high", "n", "n_events")]
    keys = ("median", "0.95LCL", "0.95UCL", "records", "events")
    assert got == [table[k] for k in keys]
    assert_mean(lung, int(lung.time.max()), table)


def assert_mean(lung, horizon, want):
    [mean] = some(results(lung, LUNG, method="rmst", horizon_days=horizon), "rmst")
    got = (mean["estimate"], mean["std_error"])
    assert got == pytest.approx((want["rmean"], want["se(rmean)"]), rel=1e-9)


def test_lung_restricted_mean_at_two_years():
    values = r_values("lung_km_all_log")
    assert_mean(shared_table("data/survival/lung.csv"), values["rmst_tau"], values["rmst"])


def test_lung_peto_is_rho_1():
    """survdiff(Surv(time, status) ~ sex, lung, rho = 1)"""
    lung, values = shared_table("data/survival/lung.csv"), r_values("lung_peto_sex")
    rows = results(lung, LUNG, method="log_rank", by="sex", rho=1)
    [test] = some(rows, "test")
    assert test["statistic_name"] == "fleming_harrington(1,0)"
    got = (test["statistic"], test["p_value"])
    assert got == pytest.approx((values["chisq"], values["p"]), rel=1e-9)
    for term, key in (("observed", "obs"), ("expected", "exp")):
        got = [row["estimate"] for row in some(rows, "count", term=term)]
        assert got == pytest.approx(values[key], rel=1e-9)


ARMS = PBC | {
    "roles": {
        "follow_up": DAYS,
        "event": {"column": "status", "codes": {"0": 0, "1": 0, "2": 1}},
    },
    "columns": {
        **dict.fromkeys(("age", "bili", "albumin"), "number"),
        "trt": {"category": ["2", "1"]},
    },
}


def test_survrm2_vignette_from_a_study():
    """rmst2(time, status, arm, tau = 10 years, covariates): in days, 10 years are 3652.5.

    Published to three digits.
    """
    pbc, values = shared_table("data/survival/pbc.csv").head(312), r_values("pub_survrm2_pbc")
    rows = results(
        pbc, ARMS, method="rmst", by="trt", horizon_days=3652.5, terms="age + bili + albumin"
    )
    years = 365.25
    [crude] = some(rows, "rmst_difference", term=None)
    got = [crude[k] / years for k in ("estimate", "ci_low", "ci_high")]
    assert got == pytest.approx([-0.137, -0.939, 0.665], abs=5.1e-4)
    [lost] = some(rows, "rmtl_difference")
    assert lost["estimate"] == pytest.approx(-crude["estimate"], rel=1e-12)
    for name, key in (("rmst_ratio", "ratio"), ("rmtl_ratio", "rmtl_ratio")):
        [row] = some(rows, name, term=None)
        assert [row[k] for k in ("estimate", "ci_low", "ci_high")] == pytest.approx(
            values[key], abs=5.1e-4
        )
    for name, key, unit in (("rmst_difference", "diff", years), ("rmst_ratio", "ratio", 1)):
        [row] = some(rows, name, term="adjusted")
        got = [row[k] / unit for k in ("estimate", "ci_low", "ci_high")]
        assert got == pytest.approx(values["adjusted"][key], abs=5.1e-4)
        assert (row["target"], row["comparator"], row["n"]) == ("1", "2", 312)
    assert some(rows, "rmtl_ratio", term="adjusted")[0]["estimate"] > 1


HEART = {
    "roles": {
        "person_id": "id",
        "event": "event",
        **{name: {"column": name, "unit": "days"} for name in ("start", "stop")},
    },
    "columns": {"transplant": {"category": ["0", "1"]}},
}


def test_heart_in_intervals_by_transplant():
    """survfit(Surv(start, stop, event) ~ transplant, heart): counted here one day at a time."""
    heart = shared_table("data/survival/heart.csv")
    rows = results(heart, HEART, by="transplant", table_days=[30, 100, 300], **KM)
    for level in (0, 1):
        arm = heart[heart.transplant == level]
        for day in (30, 100, 300):
            survival = green = 0.0
            log = 0.0
            for u in sorted(arm.stop[(arm.event == 1) & (arm.stop <= day)].unique()):
                n = ((arm.start < u) & (arm.stop >= u)).sum()
                d = ((arm.stop == u) & (arm.event == 1)).sum()
                log, green = log + np.log1p(-d / n), green + d / (n * (n - d))
            survival = np.exp(log)
            [row] = some(rows, "survival", term="table", arm=str(level), at=float(day))
            got = (row["estimate"], row["std_error"])
            assert got == pytest.approx((survival, survival * np.sqrt(green)), rel=1e-9)
            [at_risk] = some(rows, "n_at_risk", arm=str(level), at=float(day))
            assert at_risk["estimate"] == ((arm.start < day) & (arm.stop >= day)).sum()
    hazard = results(heart, HEART, method="nelson_aalen", by="transplant", table_days=[100])
    assert len(some(hazard, "cumulative_hazard", term="table")) == 2
    means = results(heart, HEART, method="rmst", by="transplant", horizon_days=300)
    assert len(some(means, "rmst_difference")) == 1
    [test] = some(results(heart, HEART, method="log_rank", by="transplant"), "test")
    assert test["df1"] == 1


CAUSES = {
    "roles": {"follow_up": DAYS, "event": {"column": "cause", "codes": {"0": 0, "1": 1, "2": 2}}},
    "columns": {"group": {"category": ["0", "1", "2"]}},
}


def causes():
    pandas = pytest.importorskip("pandas")
    time, group, cause, strata = cmprsk_test_data()
    return pandas.DataFrame({"time": time, "cause": cause, "group": group, "strata": strata})


def test_gray_and_both_variances_from_a_study():
    """cmprsk's tests/test.Rout.save: cuminc(ss, cc, gg, strt)"""
    rows = results(causes(), CAUSES, method="gray_test", by="group", strata=["strata"])
    [test] = some(rows, "test")
    got = (test["statistic"], test["p_value"], test["df1"], test["statistic_name"])
    assert got == (pytest.approx(3.393977, rel=2e-7), pytest.approx(0.1832345, rel=3e-7), 2, "gray")
    observed = [row["estimate"] for row in some(rows, "count", term="observed")]
    expected = [row["estimate"] for row in some(rows, "count", term="expected")]
    assert sum(observed) == pytest.approx(sum(expected))
    incidence = {"method": "cumulative_incidence", "table_days": [1, 2, 3]}
    for variance, method in (("aalen", "aalen"), ("ij", "infinitesimal jackknife")):
        rows = results(causes(), CAUSES, variance=variance, **incidence)
        found = some(rows, "cumulative_incidence", term="table")
        assert {row["se_method"] for row in found} == {method}
        squares = [row["std_error"] ** 2 for row in found]
        is_cmprsk = squares == pytest.approx([0.002062112, 0.002957844, 0.004170634], rel=3e-7)
        assert is_cmprsk == (variance == "aalen")


@pytest.mark.parametrize(
    ("method", "more"),
    [
        ("kaplan_meier", {"table_days": [100], "quantiles": [0.25]}),
        ("nelson_aalen", {"table_days": [100]}),
        ("cumulative_incidence", {"table_days": [100]}),
        ("log_rank", {"by": "sex", "weighting": "gehan"}),
        ("gray_test", {"by": "sex"}),
        ("rmst", {"horizon_days": 300, "by": "sex"}),
        ("cox", {"terms": "sex", "ties": "efron"}),
    ],
)
def test_a_landmark_is_the_table_of_those_followed_longer(method, more):
    lung = shared_table("data/survival/lung.csv")
    later = lung[lung.time > 90].assign(time=lambda table: table.time - 90)
    found = results(lung, LUNG, method=method, landmark_days=90, **more)
    wanted = results(later, LUNG, method=method, **more)

    def estimates(rows):
        keys = ("estimate_name", "arm", "term", "at", "estimate", "std_error", "n", "n_events")
        return [tuple(r.get(k) for k in keys) for r in rows if r["analysis_id"] == "a1"]

    assert estimates(found) == estimates(wanted)
    assert len(estimates(found)) > 0
    terms = {row["term"]: row["n"] for row in found if row["analysis_id"] == "attrition"}
    assert terms["01_before_landmark:follow_up_days"] == len(later)


def test_a_landmark_within_intervals_keeps_persons_under_observation():
    heart = shared_table("data/survival/heart.csv")
    rows = results(heart, HEART, landmark_days=50, table_days=[20], **KM)
    last = heart.groupby("id").stop.max()
    assert some(rows, "n_at_risk")[0]["estimate"] == (last - 50 >= 20).sum()
    [used] = [r for r in rows if r["analysis_id"] == "attrition" and r["term"].endswith("used")]
    assert used["n"] == (heart.stop > 50).sum()


def test_persons_who_enter_after_the_landmark_are_not_in_it():
    lung = shared_table("data/survival/lung.csv")
    entered = lung.assign(entry=np.where((lung.index % 2 == 1) & (lung.time > 70), 60, 0))
    source = LUNG | {"roles": LUNG["roles"] | {"entry": {"column": "entry", "unit": "days"}}}
    rows = results(entered, source, landmark_days=50, **KM)
    kept = entered[(entered.entry <= 50) & (entered.time > 50)]
    assert some(rows, "median_survival")[0]["n"] == len(kept)
    terms = [row["term"] for row in rows if row["analysis_id"] == "attrition"]
    assert "02_after_landmark:follow_up_days" in terms


def test_nobody_followed_to_the_landmark_is_not_estimable():
    lung = shared_table("data/survival/lung.csv")
    [row] = some(results(lung, LUNG, landmark_days=5000, **KM), "survival")
    assert (row["status"], row["note"]) == ("not_estimable", "t: no row of the table can be used")


def test_a_curve_that_an_early_risk_set_empties_says_so():
    frame = shared_table("data/survival/lung.csv").head(40).assign(entry=5)
    frame.loc[0, ["entry", "time", "status"]] = (0, 3, 2)
    source = LUNG | {"roles": LUNG["roles"] | {"entry": {"column": "entry", "unit": "days"}}}
    rows = results(frame, source, table_days=[2, 100], **KM)
    notes = {row["at"]: row["note"] for row in some(rows, "survival", term="table")}
    assert notes[2.0] is None
    assert "the curve stays at 0" in notes[100.0]


def test_gray_of_a_table_is_gray_of_its_columns():
    frame = causes()
    [test] = some(results(frame, CAUSES, method="gray_test", by="group", rho=1), "test")
    want = gray_test(frame.time, frame.cause, frame.group, rho=1)
    assert test["statistic"] == pytest.approx(want.statistic, rel=1e-12)
