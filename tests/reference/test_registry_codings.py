"""Registry tables as R's users have them: months, time 0, logical events, computed times, I().

Sixteen persons are typed in; the numbers are those of R 4.2.2, survival 3.5-3, cmprsk 2.2-11, with
    d <- data.frame(months, end, arm = rep(c("a", "b"), 8), age, nodes)
"""

import math

import pandas as pd
import pytest

from tasks.core.errors import SpecError
from tasks.core.spec.load import check_study
from tests.reference.test_registry_tables import results, some
from tests.unit.test_spec_tables import COX, changed

MONTH = 30.4375
D = pd.DataFrame(
    {
        "months": [0, 0, 1, 2, 3, 3, 4, 5, 6, 7, 8, 9, 10, 12, 12, 14],
        "end": [1, 0, 2, 1, 1, 0, 1, 2, 1, 0, 1, 1, 0, 2, 1, 0],
        "arm": ["a", "b"] * 8,
        "age": [61, 55, 70, 48, 66, 52, 59, 73, 45, 50, 64, 58, 47, 69, 62, 51],
        "nodes": [3, 0, 1, 5, 2, 0, 4, 7, 1, 0, 2, 6, 0, 3, 1, 2],
    }
)


def source(**follow_up):
    return {
        "roles": {
            "follow_up": {"column": "months", "unit": "months", "zero": "keep"} | follow_up,
            "event": "end",
        },
        "columns": {"arm": {"category": ["a", "b"]}, "age": "number", "nodes": "number"},
    }


def test_cox_counts_who_has_the_event_at_0():
    """coxph(Surv(months, end == 1) ~ arm + log(nodes + 1) + I(age/10), d)"""
    asked = {"method": "cox", "ties": "efron", "terms": "arm + log(nodes + 1) + I(age / 10)"}
    rows = results(D, source(), **asked)
    want = {
        "arm=b": (-3.85346626327, 1.433958263497),
        "log(nodes + 1)": (3.51388558766, 1.296474164120),
        "I(age/10)": (-1.07820722620, 0.738737060628),
    }
    for term, (coef, error) in want.items():
        [row] = some(rows, "hazard_ratio", term=term)
        assert (math.log(row["estimate"]), row["std_error"]) == pytest.approx((coef, error), 1e-6)
        assert (row["n"], row["n_events"]) == (16, 8)
    [model] = some(rows, "log_likelihood", term="model")
    assert model["estimate"] == pytest.approx(-10.0806590561, rel=1e-9)


def test_without_zero_keep_they_are_left_out_and_counted():
    rows = results(D, source(zero="leave_out"), method="cox", ties="efron", terms="age")
    assert some(rows, "hazard_ratio")[0]["n"] == 14
    [left] = [row for row in some(rows, "count") if "not_positive" in str(row["term"])]
    assert left["estimate"] == 14


def test_curves_at_parts_of_days():
    """summary(survfit(Surv(months, end == 1) ~ 1, d, conf.type = "log-log"), times = c(0, 5, 12))

    Five months are 152.1875 days; the day before holds no death of the fifth month.
    """
    days = [1, 5 * MONTH, 12 * MONTH]
    rows = results(D, source(), method="kaplan_meier", conf_type="log-log", table_days=days)
    want = [
        (0.9375, 0.0605153647845, 0.6323454417389, 0.990953141745),
        (0.713942307692, 0.1221317043080, 0.4019575492921, 0.882873345924),
        (0.277644230769, 0.1513405402129, 0.0523568863057, 0.573108549882),
    ]
    for day, numbers in zip(days, want, strict=True):
        [row] = some(rows, "survival", term="table", at=day)
        got = [row[key] for key in ("estimate", "std_error", "ci_low", "ci_high")]
        assert got == pytest.approx(numbers, rel=1e-9)


def test_restricted_mean_to_a_part_of_a_day():
    """summary(survfit(Surv(months, end == 1) ~ 1, d), rmean = 12)$table * 30.4375"""
    [mean] = some(results(D, source(), method="rmst", horizon_days=12 * MONTH), "rmst")
    got = (mean["estimate"], mean["std_error"])
    assert got == pytest.approx((242.9192364032, 34.4020817833), rel=1e-9)


def test_competing_risks_from_time_0():
    """survfit(Surv(months, factor(end, 0:2)) ~ 1, d); cuminc(months, end, arm)$Tests; crr()"""
    rows = results(D, source(), method="cumulative_incidence", table_days=[5 * MONTH])
    [row] = some(rows, "cumulative_incidence", term="table")
    got = (row["estimate"], row["std_error"])
    assert got == pytest.approx((0.270089285714, 0.116132620068), rel=1e-9)
    [test] = some(results(D, source(), method="gray_test", by="arm"), "test")
    assert test["statistic"] == pytest.approx(2.223230125509, rel=1e-9)
    model = results(D, source(), method="fine_gray", variant="crr", terms="arm + age")
    want = {
        "arm=b": (-1.1674439603397, 0.7659778948503),
        "age": (-0.0234601634778, 0.0370237233078),
    }
    for term, (coef, error) in want.items():
        [row] = some(model, "subdistribution_hazard_ratio", term=term)
        assert (math.log(row["estimate"]), row["std_error"]) == pytest.approx((coef, error), 1e-6)


def test_log_rank_with_a_logical_event_as_r_writes_it():
    """survdiff(Surv(months, end == 1) ~ arm, d)$chisq"""
    logical = D.assign(end=(D.end == 1).map({True: "TRUE", False: "FALSE"}))
    [test] = some(results(logical, source(), method="log_rank", by="arm"), "test")
    assert test["statistic"] == pytest.approx(2.71000137478, rel=1e-9)


def test_times_that_were_computed_are_tied_as_r_ties_them():
    """0.1 + 0.2 is 0.3: two deaths of three at risk, not one after the other (R's timefix)."""
    table = pd.DataFrame({"months": [0.1 + 0.2, 0.3, 0.5], "end": [1, 1, 0]})
    columns = {"roles": source(unit="days")["roles"]}
    rows = results(table, columns, method="nelson_aalen", table_days=[0.4])
    [row] = some(rows, "cumulative_hazard", term="table")
    assert row["estimate"] == pytest.approx(2 / 3, rel=1e-12)


@pytest.mark.parametrize(
    "asked",
    [
        "source: t, method: parametric_survival, distribution: weibull",
        'source: t, method: poisson, terms: "age"',
        'source: t, method: negative_binomial, terms: "age"',
    ],
)
def test_no_logarithm_of_time_0(tmp_path, asked):
    days = "follow_up: {column: time, unit: days"
    study = changed(tmp_path, (COX, asked), (f"{days}}}", f"{days}, zero: keep}}"))
    with pytest.raises(SpecError, match="has no time 0"):
        check_study(study)


def test_late_entry_and_time_0_exclude_each_other():
    late = source()
    late["roles"]["entry"] = {"column": "age", "unit": "months"}
    with pytest.raises(ValueError, match="zero: keep"):
        results(D, late, method="kaplan_meier")


SPLIT = pd.DataFrame(
    {
        "id": [1, 1, 2, 3, 3, 4, 5, 5, 6, 7, 7, 8, 8, 9, 10, 10],
        "from": [0, 5, 0, 0, 5, 0, 0, 5, 0, 0, 5, 0, 5, 0, 0, 5],
        "to": [5, 8, 3, 5, 9, 2, 5, 7, 4, 5, 12, 5, 6, 4, 5, 11],
        "end": [0, 1, 1, 0, 1, 1, 0, 0, 1, 0, 1, 0, 1, 0, 0, 1],
        "part": ["1", "2", "1", "1", "2", "1", "1", "2", "1", "1", "2", "1", "2", "1", "1", "2"],
        "karno": [60, 60, 40, 70, 70, 30, 80, 80, 55, 50, 50, 90, 90, 65, 75, 75],
    }
)


def test_a_coefficient_of_each_part_of_follow_up():
    """coxph(Surv(from, to, end) ~ karno * strata(part), d), as R's vignette on time dependence."""
    days = {"start": {"column": "from", "unit": "days"}, "stop": {"column": "to", "unit": "days"}}
    table = {
        "roles": {"person_id": "id", "event": "end", **days},
        "columns": {"karno": "number", "part": {"category": ["1", "2"]}},
    }
    asked = {"method": "cox", "ties": "efron", "terms": "karno + karno:part", "strata": ["part"]}
    rows = results(SPLIT, table, **asked)
    want = {
        "karno": (-0.2315332855286, 0.1426623518830),
        "karno:part=2": (0.3131363411458, 0.1561747051529),
    }
    assert len(some(rows, "hazard_ratio")) == 2
    for term, (coef, error) in want.items():
        [row] = some(rows, "hazard_ratio", term=term)
        assert (math.log(row["estimate"]), row["std_error"]) == pytest.approx((coef, error), 1e-6)


PAIRED = D.assign(pair=[1, 2, 3, 4, 1, 2, 3, 4, 5, 5, 6, 6, 7, 7, 1, 2])


def test_robust_errors_of_curves_by_cluster():
    """f <- survfit(Surv(months, end == 1) ~ 1, d, cluster = pair, conf.type = "log-log")

    summary(f, times = c(5, 12)); f$std.chaz
    """
    asked = {"cluster": "pair", "table_days": [5 * MONTH, 12 * MONTH]}
    rows = results(PAIRED, source(), method="kaplan_meier", conf_type="log-log", **asked)
    want = [
        (0.7139423076923, 0.1279084604471, 0.38468523036371, 0.8879442797491),
        (0.2776442307692, 0.1896642004730, 0.02617275552574, 0.6371632078058),
    ]
    for row, numbers in zip(some(rows, "survival", term="table"), want, strict=True):
        got = [row[key] for key in ("estimate", "std_error", "ci_low", "ci_high")]
        assert got == pytest.approx(numbers, rel=1e-9)
        assert row["se_method"] == "robust"
    hazards = some(
        results(PAIRED, source(), method="nelson_aalen", **asked), "cumulative_hazard", term="table"
    )
    want_hazards = [(0.3227564102564, 0.1642027809343), (1.1477564102564, 0.5171453970748)]
    for row, numbers in zip(hazards, want_hazards, strict=True):
        assert (row["estimate"], row["std_error"]) == pytest.approx(numbers, rel=1e-9)


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("method: nelson_aalen, cluster: center, variance: poisson", "robust variance and ctype 1"),
        ("method: nelson_aalen, cluster: center, ctype: 2", "robust variance and ctype 1"),
        ('method: kaplan_meier, cluster: center, censoring_terms: "age", seed: 1, table_days: [9]', "takes no cluster"),
    ],
)  # fmt: skip
def test_clusters_that_a_curve_does_not_take(tmp_path, asked, told):
    with pytest.raises(SpecError, match=told):
        check_study(changed(tmp_path, (COX, f"source: t, {asked}")))


def test_a_curve_that_ends_at_0_stays_there():
    """summary(survfit(Surv(c(1, 2, 3), c(1, 0, 1)) ~ 1), times = c(2, 9), extend = TRUE)"""
    table = pd.DataFrame({"months": [1, 2, 3], "end": [1, 0, 1]})
    columns = {"roles": source(unit="days")["roles"]}
    rows = results(table, columns, method="kaplan_meier", table_days=[2, 9])
    alive = [row["estimate"] for row in some(rows, "survival", term="table")]
    assert alive == pytest.approx([2 / 3, 0.0], rel=1e-12)
    [_, late] = some(rows, "n_at_risk", term="table")
    assert late["estimate"] == 0
