"""Adjusted analyses of registry tables, written as specifications, against R 4.2.2 and prints.

Numbers of R are those of ../shared/reference/stats_reference.json. Published are Hernan & Robins,
What If, programs 12.1 to 16 (NHEFS), and the README of WeightIt (lalonde).
"""

import math
from functools import cache

import numpy as np
import pytest

from tasks.stats.logistic import logistic
from tests.reference.shared import r_values, reference, shared_table
from tests.reference.test_registry_tables import results, some

NHEFS = {
    "roles": {"outcome": "wt82_71", "treatment": "qsmk"},
    "columns": {
        "qsmk": {"category": ["0", "1"]},
        "education": {"category": ["1", "2", "3", "4", "5"]},
        **{name: {"category": ["0", "1", "2"]} for name in ("exercise", "active")},
        **dict.fromkeys(
            ("wt82_71", "sex", "race", "age", "smokeintensity", "smokeyrs", "wt71"), "number"
        ),
    },
}
TERMS = (
    "sex + race + age + age^2 + education + smokeintensity + smokeintensity^2 + smokeyrs"
    " + smokeyrs^2 + exercise + active + wt71 + wt71^2"
)
LALONDE = {
    "roles": {"outcome": "re78", "treatment": "treat"},
    "columns": {
        "treat": "boolean",
        "race": {"category": ["white", "black", "hispan"]},
        **dict.fromkeys(("age", "educ", "married", "nodegree", "re74", "re75", "re78"), "number"),
    },
}
OF_LALONDE = "age + educ + race + married + nodegree + re74 + re75"


@cache
def _nhefs(name="nhefs_complete"):
    return shared_table(f"data/causal/{name}.csv")


def nhefs(**analysis):
    return results(_nhefs(), NHEFS, **{"method": "mean_difference", "propensity": TERMS} | analysis)


def lalonde(**analysis):
    frame = shared_table("data/causal/lalonde.csv")
    asked = {"method": "mean_difference", "propensity": OF_LALONDE} | analysis
    return results(frame, LALONDE, **asked)


def published(entry):
    rows = {row["id"]: row for row in reference("stats_reference.json")["results"]}
    return rows[entry]


def one(rows, name, **where):
    [row] = some(rows, name, **where)
    return row


def assert_close(row, values, rel=1e-6):
    assert row["estimate"] == pytest.approx(values["est"], rel=rel)
    assert row["std_error"] == pytest.approx(values["se"], rel=rel)
    if "lo" in values:  # R's calls of these take 1.96 for the quantile
        assert row["ci_low"] == pytest.approx(values["lo"], rel=1e-4)
        assert row["ci_high"] == pytest.approx(values["hi"], rel=1e-4)


def test_nhefs_by_inverse_probability_weights():
    rows = nhefs(adjustment="iptw_ate", stabilised=False, show_propensity=True)
    values = r_values("nhefs_ipw_ate")
    assert_close(one(rows, "mean_difference", se_method="hc0"), values)
    fitted = one(rows, "mean_difference", se_method="m_estimation")
    assert fitted["std_error"] < values["se"]  # fitting the score makes weighting more precise
    survey = one(rows, "mean_difference", se_method="linearisation")
    assert_close(survey, r_values("nhefs_ipw_svyglm"))
    assert one(rows, "mean", term="weight")["estimate"] == pytest.approx(values["w_mean"], rel=1e-6)
    sizes = [one(rows, "ess", arm=arm)["estimate"] for arm in ("1", "0")]
    assert sizes == pytest.approx(values["ess"], rel=1e-6)
    of_score = r_values("nhefs_ps")
    got = {r["term"]: (r["estimate"], r["std_error"]) for r in some(rows, "coefficient")}
    theirs = dict(
        zip(got, zip(of_score["coef"].values(), of_score["se"].values(), strict=True), strict=False)
    )
    renamed = {
        "intercept": "(Intercept)", "age^2": "I(age^2)", "wt71^2": "I(wt71^2)",
        "smokeyrs^2": "I(smokeyrs^2)", "smokeintensity^2": "I(smokeintensity^2)",
    }  # fmt: skip
    for term in theirs:
        key = renamed.get(term, f"factor({term.replace('=', ')')}" if "=" in term else term)
        assert got[term] == pytest.approx((of_score["coef"][key], of_score["se"][key]), rel=1e-6)
    for name, pair in r_values("nhefs_smd").items():
        where = {"term": name, "unit": "SD of both arms"}
        before = one(rows, "smd", scenario="before", **where)["estimate"]
        after = one(rows, "smd", scenario="after", **where)["estimate"]
        assert (before, after) == pytest.approx((pair["unw"], pair["ipw"]), rel=1e-6)


@pytest.mark.parametrize(
    ("entry", "more"),
    [
        ("nhefs_sw_ate", {"adjustment": "iptw_ate"}),
        ("nhefs_att", {"adjustment": "iptw_att"}),
        ("nhefs_overlap", {"adjustment": "overlap"}),
    ],
)
def test_other_weights_of_nhefs(entry, more):
    rows = nhefs(**more)
    assert_close(one(rows, "mean_difference", se_method="hc0"), r_values(entry))


def test_stabilised_weights_of_nhefs_have_mean_one():
    mean = one(nhefs(adjustment="iptw_ate"), "mean", term="weight")["estimate"]
    assert mean == pytest.approx(r_values("nhefs_sw_ate")["mean"], rel=1e-6)


def test_crude_difference_of_nhefs():
    rows = results(_nhefs(), NHEFS, method="mean_difference")
    assert_close(one(rows, "mean_difference", se_method="model"), r_values("nhefs_crude"))
    row = one(rows, "mean_difference", se_method="model")
    want = published("pub_nhefs_12_1")
    assert round(row["estimate"], 2) == want["estimate"]
    assert [round(row["ci_low"], 1), round(row["ci_high"], 1)] == want["ci"]


@pytest.mark.parametrize(
    ("entry", "stabilised"), [("pub_nhefs_12_2", False), ("pub_nhefs_12_3", True)]
)
def test_published_weighting_of_nhefs(entry, stabilised):
    row = one(
        nhefs(adjustment="iptw_ate", stabilised=stabilised), "mean_difference", se_method="hc0"
    )
    want = published(entry)
    assert round(row["estimate"], 2) == want["estimate"]
    assert [round(row["ci_low"], 1), round(row["ci_high"], 1)] == want["ci"]


def test_lalonde_by_both_variances():
    rows = lalonde(adjustment="iptw_att", show_propensity=True)
    assert_close(one(rows, "mean_difference", se_method="hc0"), r_values("lalonde_ipw_att"))
    fitted = one(rows, "mean_difference", se_method="m_estimation")
    want = published("pub_weightit_att")
    assert fitted["std_error"] == pytest.approx(798.15, abs=0.006)
    assert round(fitted["estimate"], 1) == want["estimate"]
    assert [round(fitted["ci_low"], 1), round(fitted["ci_high"], 1)] == want["ci"]
    assert round(one(rows, "ess", arm="0")["estimate"], 2) == want["values"]["ess_control"]
    assert one(rows, "ess", arm="1")["estimate"] == pytest.approx(want["values"]["ess_treated"])
    smd = [
        one(rows, "smd", term="age", unit="SD of the target", scenario=when)["estimate"]
        for when in ("before", "after")
    ]
    assert [round(value, 4) for value in smd] == want["values"]["smd_age"]
    assert round(one(rows, "mean", arm="0")["estimate"], 1) == want["values"]["intercept"]
    scores = {row["term"]: row["estimate"] for row in some(rows, "coefficient")}
    assert scores["race=black"] == pytest.approx(
        r_values("lalonde_ps")["coef"]["raceblack"], rel=1e-6
    )


def test_lalonde_for_everybody_and_crude():
    rows = lalonde(adjustment="iptw_ate")
    assert_close(one(rows, "mean_difference", se_method="hc0"), r_values("lalonde_ipw_ate"))
    frame = shared_table("data/causal/lalonde.csv")
    crude = results(frame, LALONDE, method="mean_difference")
    assert_close(one(crude, "mean_difference", se_method="model"), r_values("lalonde_crude"))


def test_nhefs_cox_by_weights():
    t = _nhefs("nhefs").copy()
    t["months"] = np.where(t.death == 0, 120, (t.yrdth - 83) * 12 + t.modth)
    source = {
        "roles": {
            "follow_up": {"column": "months", "unit": "months"},
            "event": "death",
            "treatment": "qsmk",
        },
        "columns": {k: v for k, v in NHEFS["columns"].items() if k != "wt82_71"},
    }
    asked = {"method": "cox", "ties": "efron", "std_error": "robust", "terms": "qsmk"}
    rows = results(t, source, adjustment="iptw_ate", propensity=TERMS, **asked)
    values = r_values("nhefs_cox_ipw")
    fixed = one(rows, "hazard_ratio", se_method="robust")
    assert math.log(fixed["estimate"]) == pytest.approx(values["ipw"], rel=1e-4)  # it is .0013
    assert fixed["estimate"] == pytest.approx(math.exp(values["ipw"]), rel=1e-7)
    assert fixed["std_error"] == pytest.approx(values["ipw_robust_se"], rel=1e-6)
    assert one(rows, "mean", term="weight")["estimate"] == pytest.approx(
        values["sw_mean"], rel=1e-6
    )
    fitted = one(rows, "hazard_ratio", se_method="m_estimation")
    assert fitted["std_error"] < fixed["std_error"]
    crude = results(t, source, **asked)
    assert math.log(one(crude, "hazard_ratio")["estimate"]) == pytest.approx(
        values["crude"], rel=1e-6
    )


OUTCOME = f"qsmk + {TERMS} + qsmk:smokeintensity"


def test_standardisation_of_nhefs():
    rows = results(_nhefs(), NHEFS, method="g_computation", terms=OUTCOME)
    values = r_values("nhefs_gformula")
    row = one(rows, "mean_difference")
    assert row["estimate"] == pytest.approx(values["ate"], rel=1e-6)
    means = [one(rows, "mean", arm=arm)["estimate"] for arm in ("1", "0")]
    assert means == pytest.approx([values["y1"], values["y0"]], rel=1e-6)
    want = published("pub_nhefs_13")
    assert round(row["estimate"], 1) == want["estimate"]
    # The book's interval is of a bootstrap: 2.6 to 4.5.
    assert [row["ci_low"], row["ci_high"]] == pytest.approx(want["ci"], abs=0.05)


def test_augmented_weighting_of_nhefs():
    rows = results(_nhefs(), NHEFS, method="aipw", terms=OUTCOME, propensity=TERMS)
    values = r_values("nhefs_aipw")
    row = one(rows, "mean_difference")
    assert row["estimate"] == pytest.approx(values["est"], rel=1e-6)
    assert row["std_error"] == pytest.approx(values["se_if"], rel=1e-6)


def _weighted_for_censoring(t):
    columns = [
        t.qsmk, t.sex, t.race, t.age, t.age**2, *[t.education == k for k in (2, 3, 4, 5)],
        t.smokeintensity, t.smokeintensity**2, t.smokeyrs, t.smokeyrs**2,
        *[t.exercise == k for k in (1, 2)], *[t.active == k for k in (1, 2)], t.wt71, t.wt71**2,
    ]  # fmt: skip
    seen = t.wt82_71.notna()
    fit = logistic(np.column_stack(columns).astype(float), seen)
    return t[seen].assign(w=1 / fit.fitted[seen])


def test_g_estimation_of_nhefs_with_censoring_weights():
    """Program 14.2 weighs the uncensored by a model of censoring; here as the table's weights."""
    frame = _weighted_for_censoring(_nhefs("nhefs"))
    source = {**NHEFS, "roles": {**NHEFS["roles"], "weight": "w"}}
    rows = results(frame, source, method="g_estimation", propensity=TERMS)
    want = published("pub_nhefs_14")
    row = one(rows, "mean_difference", ci_method="score")
    assert round(row["estimate"], 3) == want["estimate"]
    # The book inverts its test on a grid: 2.5 to 4.5.
    assert [row["ci_low"], row["ci_high"]] == pytest.approx(want["ci"], abs=0.15)
    rows = results(frame, source, method="g_estimation", propensity=TERMS, terms="smokeintensity")
    assert round(one(rows, "mean_difference")["estimate"], 2) == 2.86
    assert round(one(rows, "coefficient")["estimate"], 2) == 0.03


def test_instrument_of_nhefs():
    t = _nhefs("nhefs")
    t = t[t.price82.notna() & t.wt82_71.notna()].copy()
    t["highprice"] = (t.price82 > 1.5).astype(int)
    source = {**NHEFS, "columns": {**NHEFS["columns"], "highprice": "boolean"}}
    rows = results(t, source, method="instrumental_variable", instrument="highprice")
    want = published("pub_nhefs_16")
    row = one(rows, "mean_difference", se_method="model")
    assert round(row["estimate"], 1) == want["estimate"]
    assert [round(row["ci_low"], 1), round(row["ci_high"], 1)] == want["ci"]
    assert "weak instrument" in row["note"]
    assert one(rows, "test", statistic_name="first_stage_f")["statistic"] < 1
    assert one(rows, "mean_difference", ci_method="anderson_rubin")["ci_low"] is None
