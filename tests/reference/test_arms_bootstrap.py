"""The bootstrap of the lake's arms, weights fitted anew: R's loop, a copy of a resample, tables.

R 4.2.2 with survival; d is Rossi's data with kind (0, 1 arrest, 2 arrest with prio > 9), e = kind
of 1; the numbers of R_ERRORS are standard deviations of 4,000 resamples (set.seed(1)):

    one <- function(d) {
      p <- fitted(glm(fin ~ age + wexp + prio, binomial, d)); s <- mean(d$fin)
      d$w <- ifelse(d$fin == 1, s / p, (1 - s) / (1 - p))
      f <- survfit(Surv(week, e) ~ fin, d, weights = w)
      r <- 1 - summary(f, times = 45, extend = TRUE)$surv
      m <- survival:::survmean(f, rmean = 50)$matrix[, "rmean"]
      k <- survfit(Surv(week, factor(kind)) ~ fin, d, weights = w)
      ci <- summary(k, times = 45, extend = TRUE)$pstate[, 2]
      c(r[2] - r[1], log(r[2] / r[1]), m[2] - m[1], ci[2] - ci[1],
        coef(coxph(Surv(week, e) ~ fin, d, weights = w)))
    }
    apply(replicate(4000, one(d[sample(nrow(d), replace = TRUE), ])), 1, sd)
"""

import math

import numpy as np
import pytest

from tasks.core.disclosure import release
from tasks.core.errors import EstimationError, SpecError
from tasks.core.spec import load_study
from tasks.stats.arms_bootstrap import bootstrap_of_arms
from tasks.stats.bootstrap import Plan, multinomial_weights
from tasks.stats.competing_risks import cumulative_incidence, incidence_at
from tasks.stats.entropy_balancing import entropy_balanced
from tasks.stats.estimated_weights import estimated_score, score_weights, truncated
from tasks.stats.inputs import row_order
from tasks.stats.refitted_weights import WeightModel
from tasks.stats.stratified_effects import score_strata, strata_weights
from tasks.stats.survival import kaplan_meier, restricted_mean, survival_at
from tests.reference.test_registry_tables import results, some
from tests.study_files import NEW_USER, changed
from tests.unit.test_arms_effects import TABLE, of_lake, people, world
from tests.unit.test_disclosure import NO_BALANCE, attrition

DRAWN = {"std_error": "bootstrap", "seed": 3, "replicates": 200}
R_WHOLE = {
    "risk": -0.070892374,
    "ratio": -0.36169447,
    "mean": 1.8394431,
    "incidence": -0.069648960,
    "hazard": -0.37611138,
}
R_ERRORS = {
    "risk": 0.037593420,
    "ratio": 0.19837798,
    "mean": 1.0801354,
    "incidence": 0.037069632,
    "hazard": 0.20100037,
}


def arrays():
    d = world()
    x = d[["age", "wexp", "prio"]].to_numpy(float)
    return d.week.to_numpy(float), d.kind.to_numpy(), (d.fin == 1).to_numpy(), x


def weights_of(kind, x, arm):
    """What each kind of weight is, by the functions that weight a whole population."""
    if kind == "entropy_balanced":
        return entropy_balanced(x, arm).weight
    score = estimated_score(x, arm)
    if kind == "stratified":
        return strata_weights(score_strata(score.fitted, arm, 4), arm)
    return truncated(score_weights(score, arm, kind, kind == "iptw_ate"), 0.02, 0.98).weight


@pytest.mark.parametrize(
    "kind", ["iptw_ate", "iptw_att", "overlap", "stratified", "entropy_balanced"]
)
def test_a_resample_is_the_whole_analysis_of_the_persons_drawn(kind):
    time, cause, arm, x = arrays()
    cut = None if kind in ("stratified", "entropy_balanced") else (0.02, 0.98)
    model = WeightModel(x, arm, kind, kind == "iptw_ate", cut, 4)
    plan = Plan(200, 5, kind)
    found = bootstrap_of_arms(time, cause, arm, [20, 45], plan, 50.0, model)
    order = row_order((time, cause, arm), x)
    for block, place in ((0, 0), (0, 40), (1, 3)):
        times = multinomial_weights(time.size, 64, plan, block)[:, place].astype(int)
        rows = np.repeat(order, times)
        weights = weights_of(kind, x[rows], arm[rows])
        got = found.resampled.values[64 * block + place]
        for mine, values in ((arm[rows], got[:3]), (~arm[rows], got[3:])):
            t, c, w = time[rows][mine], cause[rows][mine], weights[mine]
            curve = cumulative_incidence(t, c, weights=w)
            assert values[:2] == pytest.approx(incidence_at(curve, [20, 45]).estimate, rel=1e-7)
    alone = bootstrap_of_arms(time, cause == 1, arm, [45], plan, 50.0)
    mean = restricted_mean(time[arm], cause[arm] == 1, 50).estimate
    assert alone.statistics[1] == pytest.approx(mean, rel=1e-12)
    survival = kaplan_meier(time[arm], cause[arm] == 1)
    assert 1 - alone.statistics[0] == pytest.approx(survival_at(survival, [45]).estimate[0])


def test_a_level_of_which_nobody_is_drawn_is_left_out_of_the_score():
    _, _, arm, x = arrays()
    rare = (np.arange(arm.size) < 3).astype(float)
    times = np.where(rare == 1, 0.0, 1 + np.arange(arm.size) % 2)
    found = WeightModel(np.column_stack([x, rare]), arm, "overlap").weights(times)
    assert found == pytest.approx(WeightModel(x, arm, "overlap").weights(times), rel=1e-12)
    assert (found[:3] == 0).all()


WEIGHTED = {
    "risk": ("kaplan_meier", "risk_difference", {"table_days": [45]}),
    "ratio": ("kaplan_meier", "risk_ratio", {"table_days": [45]}),
    "mean": ("rmst", "rmst_difference", {"horizon_days": 50}),
    "incidence": ("cumulative_incidence", "risk_difference", {"table_days": [45]}),
    "hazard": ("cox", "hazard_ratio", {"ties": "efron"}),
}


def weighted(name, replicates):
    """The row of one of `WEIGHTED`, its weights made anew in each resample."""
    method, estimate, more = WEIGHTED[name]
    asked = {**DRAWN, "replicates": replicates, "adjustment": "iptw_ate"}
    return some(of_lake(method, **asked, **more), estimate)[0]


@pytest.mark.slow
@pytest.mark.parametrize("name", WEIGHTED)
def test_errors_are_those_of_a_loop_in_r(name):
    """An error from B resamples has itself an error of 1 in sqrt(2 B), on both sides."""
    row = weighted(name, 4000)
    estimate = math.log(row["estimate"]) if name in ("ratio", "hazard") else row["estimate"]
    assert estimate == pytest.approx(R_WHOLE[name], rel=1e-5)
    assert row["std_error"] == pytest.approx(R_ERRORS[name], rel=0.05)
    assert row["se_method"] == "bootstrap"
    assert "4000 resamples" in row["note"]


def test_unweighted_arms_have_the_errors_of_a_table_and_of_greenwood():
    table = results(world(), TABLE, method="cox", ties="efron", terms="arm", **DRAWN)
    [mine] = some(of_lake("cox", ties="efron", **DRAWN), "hazard_ratio")
    [theirs] = some(table, "hazard_ratio")
    for key in ("estimate", "std_error", "ci_low", "ci_high", "p_value"):
        assert mine[key] == pytest.approx(theirs[key], rel=1e-9)
    rows = of_lake("kaplan_meier", table_days=[0, 45, 4000], **DRAWN)
    plain = of_lake("kaplan_meier", table_days=[0, 45, 4000])
    assert some(rows, "survival", term="curve") == some(plain, "survival", term="curve")
    for ours, other in zip(*(some(r, "survival", at=45.0, term="table") for r in (rows, plain))):  # noqa: B905
        assert ours["estimate"] == pytest.approx(other["estimate"], rel=1e-12)
        assert ours["std_error"] == pytest.approx(other["std_error"], rel=0.2)
        assert (ours["n"], ours["n_events"]) == (other["n"], other["n_events"])
    assert {row["at"] for row in some(rows, "risk_difference")} == {45.0}
    assert len(some(rows, "survival", at=4000.0, status="not_estimable")) == 2


def test_the_same_seed_gives_the_same_numbers_and_order_does_not_count():
    asked = {"table_days": [45], **DRAWN, "adjustment": "overlap"}
    first = of_lake("cumulative_incidence", **asked)
    assert first == of_lake("cumulative_incidence", **asked)
    other = of_lake("cumulative_incidence", **(asked | {"seed": 4}))
    assert [r["estimate"] for r in first] == [r["estimate"] for r in other]
    assert first != other
    time, cause, arm, x = arrays()
    shuffled = np.random.default_rng(1).permutation(time.size)
    values = [
        bootstrap_of_arms(
            time[o], cause[o], arm[o], [45], Plan(200, 1, "s", threads), 50.0,
            WeightModel(x[o], arm[o], "overlap"),
        ).resampled.values
        for o, threads in ((np.arange(time.size), 1), (shuffled, 2))
    ]  # fmt: skip
    assert np.array_equal(*values)


@pytest.mark.parametrize("limits", ["percentile", "bca"])
def test_limits_are_made_as_asked(limits):
    asked = {**DRAWN, "bootstrap_interval": limits}
    for row in (
        some(of_lake("cox", ties="efron", **asked), "hazard_ratio")[0],
        some(of_lake("rmst", horizon_days=50, **asked), "rmtl_ratio")[0],
    ):
        assert row["ci_method"] == limits
        middle = math.sqrt(row["ci_low"] * row["ci_high"])
        assert row["ci_low"] < row["estimate"] < row["ci_high"]
        assert middle != pytest.approx(row["estimate"], rel=1e-9)


def test_what_cannot_be_estimated_says_why():
    d = world()
    nobody = people(d.assign(kind=np.where(d.fin == 1, 0, d.kind)))
    for method, more in (("kaplan_meier", {"table_days": [45]}), ("cox", {"ties": "efron"})):
        rows = of_lake(method, nobody, **DRAWN, **more)
        assert {row["status"] for row in rows if row["estimate_name"] != "test"} == {
            "not_estimable"
        }
    early = of_lake("kaplan_meier", table_days=[1, 45], **DRAWN)
    assert {row["status"] for row in some(early, "risk_ratio", at=1.0)} == {"not_estimable"}
    with pytest.raises(EstimationError, match="nobody of an arm has the outcome by 1"):
        bootstrap_of_arms([2.0, 3, 4, 5], [1, 1, 1, 0], [1, 1, 0, 0], [1], Plan(200, 1, "x"))


def test_the_note_does_not_tell_in_how_many_resamples_an_arm_has_no_event():
    rows = of_lake("kaplan_meier", table_days=[8], **DRAWN)
    [ratio], [difference] = some(rows, "risk_ratio"), some(rows, "risk_difference")
    assert ratio["status"] == "ok"
    assert ratio["note"] == difference["note"]


def test_a_contrast_leaves_no_trace_of_a_curve_that_is_withheld():
    rows = of_lake("kaplan_meier", table_days=[8, 45], **DRAWN)
    few = max(row["n_events"] for row in some(rows, "survival", at=8.0, term="table"))
    for k, days in ((2, {8.0, 45.0}), (few + 1, set())):
        shown = release(rows, attrition(400, 400), NO_BALANCE, [], k).rows
        for name in ("survival", "risk_difference"):
            told = {r["at"] for r in shown if r["estimate_name"] == name and r["status"] == "ok"}
            assert told & {8.0} == days & {8.0}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("cox, adjustment: matched, ties: efron", "not valid for nearest-neighbour matching"),
        ("rmst, adjustment: matched, horizon_days: 9", "not valid for nearest-neighbour matching"),
        ("cox, adjustment: stratified, ties: efron", "strata of a Cox model are not made anew"),
        ("cox, adjustment: none, ties: exact", "no exact likelihood of ties"),
        ("kaplan_meier, adjustment: none", "is of what is read on days, and none are given"),
        ("fine_gray, adjustment: none, variant: crr", "does not use replicates and seed"),
    ],
)
def test_what_no_bootstrap_can_do_is_refused(tmp_path, text, said):
    drawn = f"method: {text}, std_error: bootstrap, seed: 1, replicates: 300"
    with pytest.raises(SpecError) as refused:
        load_study(changed(tmp_path, NEW_USER, ("method: log_rank, adjustment: none", drawn)))
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("std_error: bootstrap", "a bootstrap needs seed"),
        ("std_error: robust", "rmst has its own errors, or std_error: bootstrap"),
        ("seed: 1", "seed belong to std_error: bootstrap"),
    ],
)
def test_a_bootstrap_is_told_its_seed_and_nothing_else(tmp_path, text, said):
    plain = "method: rmst, adjustment: overlap, horizon_days: 30"
    with pytest.raises(SpecError) as refused:
        load_study(changed(tmp_path, NEW_USER, (plain, f"{plain}, {text}")))
    assert said in str(refused.value)


def test_controls_are_calibrated_by_errors_of_a_formula(tmp_path):
    cox = "adjustment: overlap, ties: efron, std_error: robust"
    study = changed(tmp_path, NEW_USER, (cox, cox.replace("robust", "bootstrap, seed: 1")))
    with pytest.raises(SpecError, match="negative controls are calibrated by errors of a formula"):
        load_study(study)
