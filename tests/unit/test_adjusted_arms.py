"""Adjusted arms, of registry tables and of cohorts: what is kept, what is refused, what leaves."""

import math

import lifelines.datasets
import numpy as np
import polars as pl
import pytest
from scipy import sparse

from tasks.analysis.arms_adjusted import by_strata, fitted_weights, strata_of_test
from tasks.analysis.balance import balance_table
from tasks.analysis.estimates import estimate
from tasks.analysis.people import Covariate, People
from tasks.analysis.populations import make_populations
from tasks.core.disclosure_tables import release_tables
from tasks.core.errors import SpecError
from tasks.core.spec import Analysis, load_study
from tasks.stats.cox import cox
from tests.reference.test_registry_tables import results, some
from tests.unit.test_spec_tables import COX, changed

ROSSI = {
    "roles": {
        "follow_up": {"column": "week", "unit": "weeks"},
        "event": "arrest",
        "treatment": "fin",
        "outcome": "arrest",
    },
    "columns": {
        "fin": "boolean",
        "race": {"category": ["0", "1"]},
        **dict.fromkeys(("age", "wexp", "mar", "prio"), "number"),
    },
}
SCORE = "age + race + wexp + mar + prio"


def rossi(method, adjustment, **more):
    source = ROSSI
    if method not in ("mean_difference", "aipw", "tmle", "g_computation"):
        source = {**ROSSI, "roles": {k: v for k, v in ROSSI["roles"].items() if k != "outcome"}}
    else:
        roles = {k: v for k, v in ROSSI["roles"].items() if k not in ("follow_up", "event")}
        source = {**ROSSI, "roles": roles}
    asked = {"method": method, "adjustment": adjustment, **more}
    if adjustment != "none":
        asked = {"propensity": SCORE, **asked}
    return results(lifelines.datasets.load_rossi(), source, **asked)


COX_OF = {"terms": "fin", "ties": "efron", "std_error": "robust"}


@pytest.mark.parametrize(
    ("method", "adjustment", "more", "name"),
    [
        ("cox", "matched", COX_OF, "hazard_ratio"),
        ("cox", "stratified", COX_OF, "hazard_ratio"),
        ("cox", "entropy_balanced", COX_OF, "hazard_ratio"),
        ("kaplan_meier", "overlap", {"table_days": [180]}, "survival"),
        ("kaplan_meier", "stratified", {"table_days": [180]}, "survival"),
        ("rmst", "iptw_att", {"horizon_days": 300}, "rmst_difference"),
        ("cumulative_incidence", "matched", {"table_days": [180], "ratio": 2}, "risk_difference"),
        ("log_rank", "matched", {"ratio": 2, "exact": ["race"]}, "test"),
        ("log_rank", "stratified", {"n_strata": 4}, "test"),
        ("mean_difference", "matched", {"caliper_sd": 0.1}, "risk_difference"),
        ("mean_difference", "stratified", {"trim": [0.4, 0.6]}, "odds_ratio"),
        ("mean_difference", "iptw_ate", {"truncate": [0.05, 0.95]}, "risk_ratio"),
        ("aipw", "none", {"terms": f"fin + {SCORE}", "propensity": SCORE}, "risk_difference"),
        ("tmle", "none", {"terms": f"fin + {SCORE}", "propensity": SCORE}, "risk_ratio"),
        ("g_computation", "none", {"terms": f"fin + {SCORE}", "effect": "att"}, "odds_ratio"),
    ],
)
def test_every_method_estimates_in_adjusted_arms(method, adjustment, more, name):
    rows = rossi(method, adjustment, **more)
    assert {r["status"] for r in rows if r["estimate_name"] != "median_survival"} == {"ok"}
    found = [r for r in some(rows, name) if name != "survival" or r.get("term") == "table"]
    assert found
    assert all(r["estimate"] is not None for r in found if name != "test")
    for row in rows:
        numbers = [row.get(key) for key in ("estimate", "std_error", "ci_low", "ci_high")]
        assert all(math.isfinite(value) for value in numbers if value is not None)
    if adjustment != "none":
        worst = {r["scenario"]: r["estimate"] for r in some(rows, "max_smd")}
        assert worst["after"] < worst["before"]


def test_a_matched_table_is_clustered_by_its_sets_and_keeps_whole_sets():
    rows = rossi("cox", "matched", **COX_OF)
    [ratio] = some(rows, "hazard_ratio")
    assert (ratio["se_method"], ratio["estimand"]) == ("robust", "atm")
    assert ratio["n_clusters"] * 2 == ratio["n"]
    assert ratio["n"] < 432


def test_weighted_hazards_have_both_errors_and_weights_no_extremes():
    rows = rossi("cox", "iptw_ate", **COX_OF)
    errors = {r["se_method"]: r["std_error"] for r in some(rows, "hazard_ratio")}
    assert errors["m_estimation"] < errors["robust"]
    at = [r["at"] for r in some(rows, "quantile", term="weight")]
    assert min(at) > 0
    assert max(at) < 1


def test_strata_of_a_test_are_those_of_the_score():
    plain = some(rossi("log_rank", "stratified"), "test", statistic_name="log_rank")[0]
    crude = some(rossi("log_rank", "none"), "test", statistic_name="log_rank")[0]
    assert plain["statistic"] != crude["statistic"]
    assert plain["estimand"] == "conditional"


def test_a_score_that_separates_is_said_and_no_number_made():
    frame = lifelines.datasets.load_rossi()
    frame["wexp"] = frame.fin
    source = {**ROSSI, "roles": {"treatment": "fin", "outcome": "arrest"}}
    asked = {"method": "mean_difference", "propensity": SCORE}
    for adjustment in ("iptw_ate", "matched", "entropy_balanced"):
        [row] = [
            r
            for r in results(frame, source, adjustment=adjustment, **asked)
            if r["analysis_id"] == "a1"
        ]
        assert row["status"] == "not_estimable"
        assert row["note"]
    alone = frame.assign(fin=1)
    [row] = [
        r
        for r in results(alone, source, **asked | {"adjustment": "overlap"})
        if r["analysis_id"] == "a1"
    ]
    assert "432 of 432 rows have fin = 1" in row["note"]


def test_few_left_out_by_trimming_leave_no_trace():
    """Rows of an adjusted analysis are of those it keeps; the step before then stays unsaid."""
    rows = rossi("mean_difference", "iptw_ate", trim=[0.38, 0.75])
    kept = {r["n"] for r in rows if r["analysis_id"] == "a1" and r["method"] == "balance"}
    [n] = kept
    assert 0 < 432 - n < 40
    k = 432 - n + 1
    steps = [
        {"arm": "a1", "step": i, "step_id": s, "label_en": "", "label_ko": "", "remaining": 432,
         "excluded": 0, "status": "ok"}
        for i, s in enumerate(("rows", "used"))
    ]  # fmt: skip
    mine = [r for r in rows if r["analysis_id"] == "a1"]
    shown, attrition, _ = release_tables(mine, pl.DataFrame(steps), k)
    told = {r["n"] for r in shown if r["status"] == "ok" and r.get("stratum_name") is None}
    open_steps = set(attrition.filter(pl.col("status") == "ok")["remaining"].to_list())
    assert not any(0 < abs(a - b) < k for a in told - {None} for b in open_steps)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("adjustment: iptw_ate, propensity: age", "has no role treatment"),
        ("adjustment: iptw_ate, propensity: age, truncate: [0.9, 0.1]", "a lower and a higher"),
        ("adjustment: overlap, propensity: age, stabilised: true", "does not use stabilised"),
        ("adjustment: matched, propensity: bmi", "propensity bmi is not among the columns"),
        ("adjustment: matched, propensity: 'sex^2'", "has levels"),
        ("propensity: age", "does not use propensity"),
    ],
)
def test_what_no_adjustment_can_do_is_refused(tmp_path, more, said):
    text = f"source: t, method: rmst, horizon_days: 5, {more}"
    with pytest.raises(SpecError) as refused:
        load_study(changed(tmp_path, (COX, text)))
    assert said in str(refused.value)


def people(n=400):
    rng = np.random.default_rng(8)
    x = np.column_stack([rng.normal(size=n), rng.random(n) < 0.4]).astype(float)
    target = rng.random(n) < 1 / (1 + np.exp(-x[:, 0] + 0.5 * x[:, 1]))
    time = np.ceil(rng.exponential(50, n)) + 1
    covariates = (
        Covariate("age", "Age", "Age", False),
        Covariate("sex=8532", "Sex", "Sex", True, "sex"),
    )
    cause = (rng.random(n) < 0.5).astype(np.int64)
    return People(np.arange(n), target, time, cause, covariates, sparse.csr_array(x))


def asked(adjustment, **more):
    return Analysis.model_validate(
        {"id": "a", "role": "primary", "method": "kaplan_meier", "adjustment": adjustment} | more
    )


def test_cohorts_are_adjusted_in_every_way_and_balanced():
    names = ["iptw_ate", "iptw_att", "overlap", "matched", "stratified", "entropy_balanced"]
    found, _ = make_populations(people(), names)
    assert list(found) == ["crude", *names]
    balance = balance_table(people(), found)
    smd = {
        name: balance.filter(pl.col("adjustment") == name)["smd"].abs().max()
        for name in ("none", *names)
    }
    assert smd["none"] > 0.5
    assert max(value for name, value in smd.items() if name != "none") < 0.2
    assert max(smd["entropy_balanced"], smd["overlap"]) < 1e-7
    for name in ("iptw_ate", "iptw_att", "overlap", "entropy_balanced"):
        assert fitted_weights(found[name], {}, "efron")[0]["se_method"] == "m_estimation"
    assert fitted_weights(found["matched"], {}, "efron") == []
    strata = found["stratified"]
    assert strata_of_test(strata).tolist() == strata.stratum.tolist()
    assert by_strata("kaplan_meier", strata).weights.sum() == pytest.approx(400)
    assert by_strata("cox", strata).weights is None


def test_options_of_cohorts_are_followed():
    options = {
        "matched": asked("matched", ratio=2, exact=["sex"], caliper_sd=0.1),
        "iptw_ate": asked("iptw_ate", trim=[0.2, 0.8], truncate=[0.05, 0.95], stabilised=False),
        "stratified": asked("stratified", n_strata=3),
    }
    everybody = people()
    found, model = make_populations(everybody, list(options), options)
    sets = found["matched"]
    assert np.bincount(sets.cluster).max() == 3
    sex = everybody.dense()[sets.rows, 1]
    assert all(np.ptp(sex[sets.cluster == c]) == 0 for c in np.unique(sets.cluster))
    assert strata_of_test(sets) is sets.cluster
    trimmed = found["iptw_ate"]
    assert (
        trimmed.rows.tolist()
        == np.flatnonzero((model.score >= 0.2) & (model.score <= 0.8)).tolist()
    )
    assert trimmed.weights.min() > 1
    assert np.unique(found["stratified"].stratum).size == 3
    fit = cox(trimmed.follow_up_days, trimmed.has_outcome, trimmed.is_target.astype(float)[:, None],
              weights=trimmed.weights)  # fmt: skip
    got = fitted_weights(trimmed, {"estimate": 1}, "efron")[0]
    assert got["ci_low"] < math.exp(fit.coef[0]) < got["ci_high"]


CURVES = [
    ("kaplan_meier", {"table_days": [180, 300]}, "survival"),
    ("rmst", {"horizon_days": 300}, "rmst"),
    ("rmst", {"horizon_days": 300}, "rmst_difference"),
    ("rmst", {"horizon_days": 300}, "rmtl_ratio"),
    ("cumulative_incidence", {"table_days": [180, 300]}, "risk_ratio"),
]


@pytest.mark.parametrize("adjustment", ["iptw_ate", "iptw_att", "overlap", "entropy_balanced"])
@pytest.mark.parametrize(("method", "more", "name"), CURVES)
def test_weighted_curves_of_tables_have_both_errors(method, more, name, adjustment):
    rows = [r for r in some(rossi(method, adjustment, **more), name) if r.get("term") != "curve"]
    known = [r for r in rows if r["se_method"] != "m_estimation"]
    fitted = [r for r in rows if r["se_method"] == "m_estimation"]
    assert len(known) == len(fitted) > 0
    for one, other in zip(known, fitted, strict=True):
        same = ("estimate", "arm", "at", "n", "n_events", "estimand", "status", "ci_method")
        assert [one.get(key) for key in same] == [other.get(key) for key in same]
        assert other["ci_low"] < other["estimate"] < other["ci_high"]
        is_treated = adjustment in ("iptw_att", "entropy_balanced") and one.get("arm") == "1"
        if is_treated:  # they weigh 1, whatever the model
            assert other["std_error"] == pytest.approx(one["std_error"], rel=1e-9)
            assert other["ci_low"] == pytest.approx(one["ci_low"], rel=1e-9)
        else:
            assert 0.8 * one["std_error"] < other["std_error"] < one["std_error"]


def test_no_error_counts_a_fit_where_no_weights_are_fitted():
    for adjustment in ("none", "matched", "stratified"):
        rows = rossi("rmst", adjustment, horizon_days=300)
        assert "m_estimation" not in {r.get("se_method") for r in rows}


def test_weighted_curves_of_cohorts_have_the_errors_of_the_table():
    frame = lifelines.datasets.load_rossi()
    matrix = frame[["age", "race", "wexp", "mar", "prio"]].to_numpy(float)
    names = tuple(Covariate(f"c{i}", "C", "C", False) for i in range(5))
    spec = load_study("gibleed_celecoxib_diclofenac")
    people = People(
        np.arange(432), (frame.fin == 1).to_numpy(), 7.0 * frame.week.to_numpy(float),
        frame.arrest.to_numpy(), names, sparse.csr_array(matrix),
    )  # fmt: skip
    made, _ = make_populations(people, ("overlap",))
    for method, more, name in CURVES:
        asked = Analysis(id="a", role="secondary", adjustment="overlap", method=method, **more)
        lake = estimate(spec, asked, made["overlap"], "")
        table = rossi(method, "overlap", **more)
        errors = [
            sorted(r["std_error"] for r in some(rows, name) if r["se_method"] == "m_estimation")
            for rows in (lake, table)
        ]
        assert len(errors[0]) > 0
        assert errors[0] == pytest.approx(errors[1], rel=1e-8)
