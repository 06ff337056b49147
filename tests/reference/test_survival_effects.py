"""Standardised and doubly robust risks of follow-up, against R, brute force and planted truth.

R 4.2.2 with survival, and riskRegression 2022.11.28 of Debian 12, on Rossi's data as lifelines
ships it, `d` (its factor fin, i its row numbers). Times without ties:

    d$t <- ifelse(d$arrest == 1, d$week + i/1000, ifelse(i %% 3 == 0, 60 + i/10,
                  5 + (7*d$age + 3*d$prio) %% 40 + i/1000))
    d$e <- as.integer(d$arrest == 1 | i %% 3 == 0)
    fe <- coxph(Surv(t, e) ~ fin + age + race + wexp + mar + prio, d, x=TRUE, ties="breslow")
    ft <- glm(fin ~ age + race + wexp + mar + prio, binomial, d)
    fc <- coxph(Surv(t, e == 0) ~ strata(fin), d, x=TRUE, ties="breslow")
    ate(fe, treatment="fin", data=d, times=c(20, 50), cause=1)
    ate(fe, treatment=ft, censor=fc, data=d, times=c(20, 50), cause=1, estimator="AIPTW")
"""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy import optimize, special

from tasks.analysis.attrition import ATTRITION_SCHEMA
from tasks.core.disclosure_tables import release_tables
from tasks.core.errors import EstimationError
from tasks.stats.estimated_weights import EstimatedScore, estimated_score
from tasks.stats.outcome_models import OutcomeDesign
from tasks.stats.survival_effects import aipw_survival, g_computation_survival
from tasks.stats.weighted_effects import contrast_means
from tests.reference.data import rossi
from tests.reference.survival_worlds import lines
from tests.reference.test_registry_tables import results, some
from tests.study_files import check_refuses

X = ["age", "race", "wexp", "mar", "prio"]


def untied():
    d = rossi()
    i = np.arange(1, len(d) + 1)
    lost = 5 + (7 * d.age + 3 * d.prio) % 40 + i / 1000
    time = np.where(d.arrest == 1, d.week + i / 1000, np.where(i % 3 == 0, 60 + i / 10, lost))
    return d, time, (d.arrest == 1) | (i % 3 == 0)


def design(d, names=X, treatment="fin"):
    made = (d[[treatment, *names]].assign(**{treatment: v}) for v in (d[treatment], 1, 0))
    return OutcomeDesign(*(frame.to_numpy(float) for frame in made))


def nothing(n):
    empty = np.zeros((n, 0))
    return OutcomeDesign(empty, empty, empty)


def share_alone(treated):
    """A score that knows nothing but the share of the treated."""
    arm = np.asarray(treated, dtype=bool)
    p, n = arm.mean(), arm.size
    moved = ((arm - p) / (n * p * (1 - p)))[:, None]
    fitted = np.full(n, p)
    return EstimatedScore(fitted, special.logit(fitted), np.ones((n, 1)), moved, *np.zeros((2, 1)))


def error(means, *gradient):
    g = np.array(gradient)
    return float(np.sqrt(g @ means.covariance @ g))


def test_standardised_risks_are_those_of_risk_regression():
    d, time, event = untied()
    found = g_computation_survival(time, event, d.fin, design(d), [20, 50], ties="breslow")
    theirs = [
        (0.098254514636173, 0.079451350038558, 0.017023643422835, 0.014052009000556),
        (0.422198287827193, 0.357385571849889, 0.038457878937072, 0.036286410298954),
    ]
    differences = [
        (-0.0188031645976151, 0.0121836840170894),
        (-0.0648127159773041, 0.0406721574232034),
    ]
    for means, risk, contrast in zip(found.risks, theirs, differences, strict=True):
        ours = (means.other, means.treated, error(means, 0, 1), error(means, 1, 0))
        assert ours == pytest.approx(risk, rel=1e-8)
        got = contrast_means(means, "difference")
        assert (got.estimate, got.std_error) == pytest.approx(contrast, rel=1e-7)
    ratio = contrast_means(found.risks[1], "ratio")  # theirs has its error on the ratio's own scale
    own = (ratio.estimate, ratio.std_error * ratio.estimate)
    assert own == pytest.approx((0.8464874968800628, 0.0889460762351912), rel=1e-7)


def test_a_model_in_each_arm_is_that_of_strata_and_products():
    """ate() of coxph(Surv(t, e) ~ strata(fin) + fin:(age + race + wexp + mar + prio))."""
    d, time, event = untied()
    x = d[X].to_numpy(float)
    alone = OutcomeDesign(x, x, x)
    found = g_computation_survival(
        time, event, d.fin, alone, [20, 50], ties="breslow", per_arm=True
    )
    theirs = [(-0.0274504640734301, 0.0283688409875815), (-0.0851367821031659, 0.0622040186120940)]
    for means, pair in zip(found.risks, theirs, strict=True):
        got = contrast_means(means, "difference")
        assert (got.estimate, got.std_error) == pytest.approx(pair, rel=1e-7)


def test_ties_and_restricted_means_are_those_of_survfit():
    """rowMeans(survfit(coxph(Surv(week, arrest) ~ fin + ...), newdata=)$surv), Efron's ties."""
    d = rossi()
    found = g_computation_survival(d.week, d.arrest, d.fin, design(d), [20, 40], 50.0)
    none = [means.other for means in found.risks]
    one = [means.treated for means in found.risks]
    assert none == pytest.approx([0.1086250647471898, 0.2287084643996549], rel=1e-8)
    assert one == pytest.approx([0.0765258889154746, 0.1655473692316977], rel=1e-8)
    means = (found.rmst.other, found.rmst.treated)
    assert means == pytest.approx((43.4335515222279724, 45.2889933243746370), rel=1e-8)


@pytest.mark.parametrize("is_augmented", [False, True])
def test_without_covariates_it_is_kaplan_meier(is_augmented):
    """summary(survfit(Surv(week, arrest) ~ fin), times=c(20, 40)); Greenwood's errors."""
    d = rossi()
    asked = (d.week, d.arrest, d.fin, nothing(len(d)))
    if is_augmented:
        found = aipw_survival(*asked, share_alone(d.fin), [20, 40], 50.0, per_arm=True)
    else:
        found = g_computation_survival(*asked, [20, 40], 50.0, per_arm=True)
    theirs = [
        (0.0972222222222222, 0.0201579482679215, 0.0879629629629631, 0.0192721109317924),
        (0.2268518518518520, 0.0284954584720707, 0.1666666666666670, 0.0253575258104243),
    ]
    for means, want in zip(found.risks, theirs, strict=True):
        ours = (means.other, error(means, 0, 1), means.treated, error(means, 1, 0))
        assert ours == pytest.approx(want, rel=1e-9)
        both = np.hypot(want[1], want[3])
        assert contrast_means(means, "difference").std_error == pytest.approx(both, rel=1e-9)
    assert found.rmst.other == pytest.approx(43.4074074074074, rel=1e-9)  # summary(rmean=50)
    assert found.rmst.treated == pytest.approx(45.3194444444444, rel=1e-9)
    assert error(found.rmst, 0, 1) == pytest.approx(0.866769394683163, rel=1e-9)
    assert error(found.rmst, 1, 0) == pytest.approx(0.747494648542656, rel=1e-9)


def test_without_covariates_and_with_loss_it_is_kaplan_meier_too():
    """What is lost by chance changes nothing: both forms are the curve of each arm."""
    time, event, arm, _ = small(60, 8)
    asked = (np.ceil(3 * time), event, arm, nothing(60))  # with ties
    plain = g_computation_survival(*asked, [3, 6], 7.0, per_arm=True)
    robust = aipw_survival(*asked, share_alone(arm), [3, 6], 7.0, per_arm=True)
    assert robust.lost > 5
    for one, two in zip((*plain.risks, plain.rmst), (*robust.risks, robust.rmst), strict=True):
        assert (one.treated, one.other) == pytest.approx((two.treated, two.other), rel=1e-9)
        assert one.covariance == pytest.approx(two.covariance, rel=1e-8, abs=1e-12)


def test_doubly_robust_risks_are_near_those_of_risk_regression():
    """Theirs augments by the martingale of loss: the same but for terms of one person's size."""
    d, time, event = untied()
    score = estimated_score(d[X], d.fin)
    found = aipw_survival(time, event, d.fin, design(d), score, [20, 50], ties="breslow")
    theirs = [(-0.029587470630652, 0.028289370232186), (-0.066058005967500, 0.062414209425224)]
    for means, (estimate, std_error) in zip(found.risks, theirs, strict=True):
        got = contrast_means(means, "difference")
        assert abs(got.estimate - estimate) < 0.01 * std_error
        assert got.std_error == pytest.approx(std_error, rel=2e-3)


def small(n, seed):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 2))
    arm = rng.random(n) < special.expit(0.5 * x[:, 0])
    time = rng.exponential(1 / np.exp(-0.5 * arm + 0.5 * x[:, 0]))
    lost = rng.exponential(2.0, n)
    return np.minimum(time, lost), time <= lost, arm, x


def _brute_cox(time, event, x):
    """Coefficients by a general optimiser, and baseline hazard, by loops over persons."""

    def value(beta):
        total = 0.0
        for i in np.flatnonzero(event):
            at_risk = [j for j in range(len(time)) if time[j] >= time[i]]
            total -= x[i] @ beta - np.log(sum(np.exp(x[j] @ beta) for j in at_risk))
        return total

    beta = optimize.minimize(value, np.zeros(x.shape[1]), method="BFGS", tol=1e-12).x
    steps = {
        float(time[i]): 1 / sum(np.exp(x[j] @ beta) for j in range(len(time)) if time[j] >= time[i])
        for i in np.flatnonzero(event)
    }
    return beta, steps


def _brute_risk(data, a, day, score):
    """The formula of the page, person by person."""
    time, event, arm, x = data
    everything = np.column_stack([arm, x])
    beta, steps = _brute_cox(time, event, everything)
    mine = np.flatnonzero(arm == a)
    gamma, loss = _brute_cox(time[mine], ~event[mine] & (time[mine] < day), x[mine])

    def survival(i, u):
        level = sum(step for t, step in steps.items() if t <= u)
        return np.exp(-level * np.exp(np.append(float(a), x[i]) @ beta))

    def stays(i, u):
        level = sum(step for t, step in loss.items() if t < u)
        return np.exp(-level * np.exp(x[i] @ gamma))

    total = 0.0
    for i in range(len(time)):
        chance = score[i] if a else 1 - score[i]
        residual = 0.0
        for u, step in steps.items():
            if arm[i] != a or u > day or time[i] < u:
                continue
            change = float(event[i] and time[i] == u) - step * np.exp(
                np.append(float(a), x[i]) @ beta
            )
            residual += change / (survival(i, u) * stays(i, u)) / chance
        total += survival(i, day) * (1 - residual)
    return 1 - total / len(time)


def test_the_estimator_is_its_formula_person_by_person():
    data = small(40, 3)
    time, event, arm, x = data
    score = estimated_score(x, arm)
    frame = pd.DataFrame({"fin": arm.astype(float), "a": x[:, 0], "b": x[:, 1]})
    found = aipw_survival(
        time, event, arm, design(frame, ["a", "b"]), score, [0.8], censoring=x, ties="breslow"
    )
    [means] = found.risks
    for ours, a in ((means.treated, True), (means.other, False)):
        assert ours == pytest.approx(_brute_risk(data, a, 0.8, score.fitted), rel=1e-5)


@pytest.mark.parametrize("effect", ["ate", "att"])
@pytest.mark.parametrize("form", ["joint", "per_arm", "standardised"])
def test_the_influence_is_what_one_copy_of_a_person_changes(form, effect):
    """Everybody 200 times over, one copy left out: the change is the influence, by its meaning."""
    n, copies = 50, 200
    data = small(n, 12)

    def estimate(rows):
        time, event, arm, x = (part[rows] for part in data)
        frame = pd.DataFrame({"fin": arm.astype(float), "a": x[:, 0], "b": x[:, 1]})
        of = OutcomeDesign(x, x, x) if form == "per_arm" else design(frame, ["a", "b"])
        more = {"effect": effect, "ties": "breslow", "per_arm": form == "per_arm"}
        if form == "standardised":
            return g_computation_survival(time, event, arm, of, [0.5], 0.9, **more)
        score = estimated_score(x, arm)
        return aipw_survival(time, event, arm, of, score, [0.5], 0.9, x, **more)

    def both(found):
        return np.array([[m.treated, m.other] for m in (found.risks[0], found.rmst)])

    whole = estimate(np.arange(n))
    rows = np.repeat(np.arange(n), copies)
    expected = both(whole)
    assert both(estimate(rows)) == pytest.approx(expected, rel=1e-9)
    size = np.stack([whole.risks[0].influence, whole.rmst.influence])
    for person in (0, 17, 33):
        change = (expected - both(estimate(np.delete(rows, person * copies)))) * copies
        assert change == pytest.approx(size[:, person], rel=2e-2, abs=2e-5)


def test_rows_in_another_order_give_the_same_bits():
    d, time, event = untied()
    order = np.random.default_rng(2).permutation(len(d))
    moved = d.iloc[order]
    score = estimated_score(d[X], d.fin)
    again = EstimatedScore(
        score.fitted[order], score.logit[order], score.design[order], score.influence[order],
        score.coef, score.std_error,
    )  # fmt: skip
    asked = ([20.0], 40.0)
    one = aipw_survival(time, event, d.fin, design(d), score, *asked, d[["prio"]])
    two = aipw_survival(
        time[order], event[order], moved.fin, design(moved), again, *asked, moved[["prio"]]
    )
    assert one.rmst.treated == two.rmst.treated
    assert one.risks[0].other == two.risks[0].other
    assert (one.risks[0].covariance == two.risks[0].covariance).all()


def _changed(**changes):
    time, event, arm, x = small(60, 5)
    data = {"time": time, "event": event, "arm": arm, "x": x} | changes
    frame = pd.DataFrame({"fin": data["arm"].astype(float), "a": data["x"][:, 0], "b": x[:, 1]})
    of = design(frame, ["a", "b"])
    return (data["time"], data["event"], data["arm"], of)


@pytest.mark.parametrize(
    ("changes", "days", "said"),
    [
        ({"event": np.zeros(60, bool)}, [0.5], "nobody of the treated has the event"),
        ({"arm": np.zeros(60, bool)}, [0.5], "0 of 60 rows are treated"),
        ({"time": np.zeros(60)}, [0.5], "not positive"),
        ({}, [500.0], "beyond the longest follow-up"),
        ({}, [], "no day is asked for"),
        ({"x": np.ones((60, 2))}, [0.5], "do not vary"),
        ({"time": np.ones(60)}, [0.5], "has the event by 0.5"),
        ({"time": np.ones(60), "event": np.ones(60, bool)}, [1.0], "have the event then"),
    ],
)
def test_degenerate_data_are_refused(changes, days, said):
    asked = _changed(**changes)
    with pytest.raises(EstimationError) as caught:
        g_computation_survival(*asked, days)
    assert said in str(caught.value)
    with pytest.raises(EstimationError):
        aipw_survival(*asked, share_alone(np.arange(60) % 2), days)


def test_an_arm_whose_members_all_have_the_event_has_no_curve():
    arm = np.arange(20) % 2 == 0
    with pytest.raises(EstimationError, match="followed to 3 have the event then"):
        g_computation_survival(
            np.full(20, 3.0), np.ones(20, bool), arm, nothing(20), [3.0], per_arm=True
        )


def test_no_events_in_one_arm_is_refused():
    _, event, arm, _ = small(60, 5)
    asked = _changed(event=event & arm)
    with pytest.raises(EstimationError, match="nobody of the others has the event"):
        g_computation_survival(*asked, [0.5])


def test_wrong_models_leave_little_bias_in_a_few_drawn_studies():
    """A part of docs/methods/coverage_survival_effects.md; the whole is tests/slow."""
    for line in lines(12, seed=11, n=200):
        spread = line.estimates.std(ddof=1)
        assert abs(line.bias) < 4 * spread / np.sqrt(12), line.what
        assert 0.5 < line.error_ratio < 2, line.what


ROSSI = {
    "roles": {
        "follow_up": {"column": "week", "unit": "days"}, "event": "arrest", "treatment": "fin"
    },
    "columns": {"fin": "boolean", **dict.fromkeys(X, "number")},
}  # fmt: skip
SCORE = " + ".join(X)
ASKED = {
    "g_computation": {"method": "g_computation", "terms": f"fin + {SCORE}"},
    "aipw": {"method": "aipw", "terms": f"fin + {SCORE}", "propensity": SCORE},
}
DAYS = {"table_days": [20, 40], "horizon_days": 50}


@pytest.mark.parametrize("method", ["g_computation", "aipw"])
def test_a_study_asks_for_it(method):
    d = rossi()
    rows = results(d, ROSSI, **ASKED[method], **DAYS)
    asked = (d.week, d.arrest, d.fin, design(d))
    if method == "aipw":
        found = aipw_survival(*asked, estimated_score(d[X], d.fin), [20, 40], 50.0)
    else:
        found = g_computation_survival(*asked, [20, 40], 50.0)
    for day, means in zip((20, 40), found.risks, strict=True):
        none, one = some(rows, "cumulative_incidence", at=float(day))
        assert (none["arm"], one["arm"]) == ("0", "1")
        assert (none["estimate"], one["estimate"]) == pytest.approx((means.other, means.treated))
        assert one["std_error"] == pytest.approx(error(means, 1, 0), rel=1e-7)
        assert none["n_events"] == int(((d.week <= day) & (d.arrest == 1) & (d.fin == 0)).sum())
        [row] = some(rows, "risk_difference", at=float(day))
        assert row["std_error"] == pytest.approx(error(means, 1, -1), rel=1e-7)
        assert (row["target"], row["comparator"], row["estimand"]) == ("1", "0", "ate")
        assert len(some(rows, "risk_ratio", at=float(day), status="ok")) == 1
    [row] = some(rows, "rmst_difference")
    assert row["estimate"] == pytest.approx(found.rmst.treated - found.rmst.other, rel=1e-7)
    assert len(some(rows, "rmst")) == 2


def test_other_models_are_asked_for_by_keys():
    d = rossi()
    d["week"] = np.where(d.arrest == 1, d.week, 10 + (7 * d.age + d.prio) % 43)
    more = {"model_per_arm": True, "terms": SCORE, "censoring_terms": "age + prio", "effect": "att"}
    rows = results(d, ROSSI, **(ASKED["aipw"] | DAYS | more))
    x = d[X].to_numpy(float)
    found = aipw_survival(
        d.week, d.arrest, d.fin, OutcomeDesign(x, x, x), estimated_score(x, d.fin), [20, 40], 50.0,
        d[["age", "prio"]], "att", per_arm=True,
    )  # fmt: skip
    [row] = some(rows, "rmst_difference")
    assert row["estimate"] == pytest.approx(found.rmst.treated - found.rmst.other, rel=1e-7)
    assert row["estimand"] == "att"


def test_an_outcome_beside_follow_up_is_read_where_no_day_is_asked_for():
    roles = ROSSI["roles"] | {"outcome": "arrest"}
    source = ROSSI | {"roles": roles}
    plain = results(rossi(), source, **ASKED["g_computation"])
    assert some(plain, "risk")
    assert not some(plain, "cumulative_incidence")
    timed = results(rossi(), source, **ASKED["g_computation"], **DAYS)
    assert some(timed, "cumulative_incidence")
    assert not some(timed, "risk")


@pytest.mark.parametrize(
    ("days", "name"),
    [({"table_days": [20, 400]}, "risk_difference"), ({"horizon_days": 400}, "rmst_difference")],
)
def test_what_cannot_be_estimated_says_why(days, name):
    rows = results(rossi(), ROSSI, **ASKED["aipw"], **days)
    [row] = [row for row in rows if row["analysis_id"] == "a1"]
    assert (row["estimate_name"], row["status"]) == (name, "not_estimable")
    assert "beyond the longest follow-up" in row["note"]


@pytest.mark.parametrize("method", ["g_computation", "aipw"])
def test_a_day_before_the_events_of_an_arm_has_no_contrast(method):
    d = rossi()
    kept = d[(d.week > 5) | (d.arrest == 0) | (d.fin == 0)]
    rows = results(kept, ROSSI, **ASKED[method], table_days=[4, 20])
    early = [row for row in rows if row.get("at") == 4.0]
    assert {row["estimate_name"] for row in early} == {"risk_difference", "risk_ratio"}
    assert {row["status"] for row in early} == {"not_estimable"}
    assert all("nobody of an arm" in row["note"] for row in early)
    assert len(some(rows, "risk_difference", at=20.0, status="ok")) == 1


def test_few_events_by_a_day_are_withheld():
    rows = [r for r in results(rossi(), ROSSI, **ASKED["g_computation"], **DAYS)
            if r["analysis_id"] == "a1"]  # fmt: skip
    by_day = {(r["arm"], r["at"]): r["n_events"] for r in some(rows, "cumulative_incidence")}
    assert min(by_day.values()) == by_day["1", 20.0] == 19
    shown, _, _ = release_tables(rows, pl.DataFrame(schema=ATTRITION_SCHEMA), 20)
    early = [r for r in shown if r["at"] == 20.0 and r.get("arm") != "0"]
    assert len(early) == 3  # the risk, and both contrasts, which would tell it
    assert {r["status"] for r in early} == {"suppressed"}
    assert all(r.get("estimate") is None for r in early)
    assert all(r.get("n_events") is None for r in early)
    # The restricted means tell all events of an arm, 66 and 48: 49 and 36 by day 40 are too near.
    assert {r["status"] for r in shown if r["at"] == 40.0} == {"suppressed"}


@pytest.mark.parametrize(
    ("asked", "roles", "said"),
    [
        (ASKED["g_computation"], {}, "reads risks on days"),
        (ASKED["g_computation"] | {"table_days": [0, 20]}, {}, "by day 0"),
        (ASKED["g_computation"] | DAYS | {"ties": "exact"}, {}, "exact ties"),
        (ASKED["g_computation"] | DAYS | {"terms": SCORE}, {}, "not in terms"),
        (ASKED["g_computation"] | DAYS | {"model_per_arm": True}, {}, "model of one arm"),
        (ASKED["g_computation"] | DAYS | {"censoring_terms": "age"}, {}, "does not use"),
        (ASKED["aipw"] | DAYS | {"censoring_terms": "fin"}, {}, "model of one arm"),
        (ASKED["aipw"] | DAYS | {"censoring_terms": "sex"}, {}, "sex"),
        (ASKED["aipw"] | DAYS, {"follow_up": None, "event": None}, "follow_up and event"),
        (ASKED["aipw"] | DAYS, {"treatment": None}, "no role treatment"),
        (ASKED["aipw"] | DAYS, {"entry": {"column": "begun", "unit": "days"}}, "entry"),
        (ASKED["aipw"] | DAYS, {"treatment_start": {"column": "on", "unit": "days"}}, "cannot die"),
        (
            ASKED["aipw"] | {"ties": "efron"},
            {"follow_up": None, "event": None, "outcome": "arrest"},
            "belong to follow-up",
        ),
        (ASKED["aipw"] | DAYS | {"method": "tmle"}, {}, "does not use"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(tmp_path, asked, roles, said):
    source = ROSSI | {"roles": ROSSI["roles"] | roles}
    check_refuses(tmp_path, source, asked, said)
