"""Decision curves from a study's specification, against R dcurves and R survival.

`dca_binary_expected.csv` and the numbers of ../shared/reference/diagnostic_reference.json are those
of R dcurves. Follow-up is drawn here and its net benefit computed by R 4.2.2, survival 3.5-3, from
    s <- summary(survfit(Surv(time, event == 1) ~ 1, data = d[pos, ]), times = 365)$surv
    mean(pos) * ((1 - s) - s * t / (1 - t))
and, where another event competes, from `pstate` of survfit(Surv(time, factor(event)) ~ 1).
"""

import numpy as np
import pandas as pd
import pytest

from tasks.core.errors import EstimationError
from tasks.stats.diagnostic.net_benefit import net_benefit
from tasks.stats.diagnostic.net_benefit_survival import benefits, follow_up_of
from tests.reference.shared import reference, shared_table
from tests.reference.test_registry_tables import results, some

BINARY = {
    "kind": "reading_table",
    "roles": {"case_id": "patientid", "truth": "cancer", "score": "cancerpredmarker"},
}


def curve(frame, source=BINARY, thresholds=(0.25,), **more):
    asked = {"decision_curve": {"thresholds": list(thresholds), **more.pop("curve", {})}}
    made = results(frame, source, method="decision_curve", **asked, **more)
    return [row for row in made if row["analysis_id"] != "attrition"]


def at(rows, name, threshold=0.25, **where):
    (row,) = some(rows, name, at=threshold, **where)
    assert row["status"] == "ok"
    return row["estimate"]


def test_the_whole_table_of_dcurves():
    expected = shared_table("data/diagnostic/dca_binary_expected.csv")
    frame = shared_table("data/diagnostic/dca_df_binary.csv")
    family = {**BINARY, "roles": {**BINARY["roles"], "score": "famhistory"}}
    rows = curve(frame, thresholds=expected.threshold)
    of_family = curve(frame, family, thresholds=expected.threshold)
    for want in expected.itertuples():
        found = {term: at(rows, "net_benefit", want.threshold, term=term) for term in ("all", "none", "model")}  # fmt: skip
        assert found["all"] == pytest.approx(want.nb_all, abs=1e-12)
        assert found["none"] == want.nb_none
        assert found["model"] == pytest.approx(want.nb_cancerpredmarker, abs=1e-12)
        told = at(of_family, "net_benefit", want.threshold, term="model")
        assert told == pytest.approx(want.nb_famhistory, abs=1e-12)
        avoided = at(rows, "net_intervention_avoided", want.threshold)
        assert avoided == pytest.approx(want.nia_cancerpredmarker, abs=1e-12)


def test_an_age_is_made_a_probability():
    frame = shared_table("data/diagnostic/dca_df_binary.csv")
    ages = {**BINARY, "roles": {**BINARY["roles"], "score": "age"}}
    rows = curve(frame, ages, curve={"as_probability": True})
    wanted = reference("diagnostic_reference.json")["dca"]["published"]["age_as_prob_t25"]
    assert at(rows, "net_benefit", term="model") == pytest.approx(wanted, abs=1e-8)
    assert "logistic" in some(rows, "net_benefit", term="model")[0]["note"]
    refused = curve(frame, ages)
    assert [r["status"] for r in refused] == ["not_estimable"]
    assert "750 of 750 lie outside 0 to 1" in refused[0]["note"]


def drawn(n=120, seed=11):
    """Probabilities with a truth, and follow-up with a competing event."""
    rng = np.random.default_rng(seed)
    score = np.round(rng.beta(1.2, 2.5, n), 3)
    truth = (rng.random(n) < score) * 1
    time = np.ceil(rng.exponential(500 * (1.2 - score)))
    event = rng.choice([0, 1, 2], n, p=[0.4, 0.45, 0.15])
    return pd.DataFrame({"case": np.arange(n), "score": score, "truth": truth, "time": time, "event": event})  # fmt: skip


FOLLOWED = {
    "kind": "reading_table",
    "roles": {
        "case_id": "case", "score": "score", "time": {"column": "time", "unit": "days"},
        "event": {"column": "event", "codes": {"0": 0, "1": 1, "2": 2}},
    },
}  # fmt: skip
R_COMPETING = {"all": 0.15415800473372, "model": 0.086405484935861}
R_ALONE = {"all": 0.16603986064749, "model": 0.094542808394076}


@pytest.mark.parametrize(("codes", "theirs"), [({"0": 0, "1": 1, "2": 2}, R_COMPETING), ({"0": 0, "1": 1, "2": 0}, R_ALONE)])  # fmt: skip
def test_follow_up_has_the_net_benefit_of_r(codes, theirs):
    roles = {**FOLLOWED["roles"], "event": {"column": "event", "codes": codes}}
    rows = curve(drawn(), {**FOLLOWED, "roles": roles}, horizon_days=365, replicates=200, seed=1)
    for term, value in theirs.items():
        assert at(rows, "net_benefit", term=term) == pytest.approx(value, rel=1e-9)
    (row,) = some(rows, "net_benefit", term="model")
    assert row["se_method"] == "bootstrap"
    assert 0 < row["std_error"] < 0.1
    overall = at(rows, "standardised_net_benefit")
    risk = (theirs["all"] * 3 + 1) / 4  # net benefit of all is risk - (1 - risk) / 3
    assert overall == pytest.approx(theirs["model"] / risk, rel=1e-9)


def test_a_resample_is_a_curve_of_repeated_cases():
    frame = drawn()
    time, event = frame.time.to_numpy(), frame.event.to_numpy()
    counts = np.random.default_rng(0).integers(0, 4, len(frame))
    positive = frame.score.to_numpy() >= 0.2
    weighted = benefits(positive, follow_up_of(time, event, 365.0), 0.25, counts[None] * 1.0)[0][0]
    many = [np.repeat(values, counts) for values in (positive, time, event)]
    ones = np.ones((1, counts.sum()))
    plain = benefits(many[0], follow_up_of(many[1], many[2], 365.0), 0.25, ones)[0][0]
    assert weighted == pytest.approx(plain, rel=1e-12)


def test_nobody_followed_to_the_horizon_is_not_estimable():
    (row,) = curve(drawn(), FOLLOWED, horizon_days=30_000, replicates=200, role="primary")
    assert (row["status"], row["role"]) == ("not_estimable", "primary")
    assert row["note"] == "a1: nobody who is acted on is followed to the horizon"
    later = curve(drawn(), FOLLOWED, (0.1, 0.7), horizon_days=600, replicates=200)
    (kept, lost) = some(later, "net_benefit", term="model")
    assert (kept["status"], lost["status"], lost["role"]) == ("ok", "not_estimable", "exploratory")


def test_a_case_control_study_has_the_prevalence_that_it_is_given():
    frame, source = drawn(), {**FOLLOWED, "sampling": "case_control"}
    source["roles"] = {"case_id": "case", "score": "score", "truth": "truth"}
    rows = curve(frame, source, curve={"prevalence": 0.1})
    acted, sick = frame.score >= 0.25, frame.truth == 1
    hits, alarms = acted[sick].mean(), acted[~sick].mean()
    assert at(rows, "net_benefit", term="model") == pytest.approx(0.1 * hits - 0.9 * alarms / 3)
    assert at(rows, "net_benefit", term="all") == pytest.approx(0.1 - 0.9 / 3)
    spread = 0.01 * hits * (1 - hits) / sick.sum() + 0.09 * alarms * (1 - alarms) / (~sick).sum()
    (row,) = some(rows, "net_benefit", term="model")
    assert row["std_error"] == pytest.approx(np.sqrt(spread), rel=0.01)


def two_modalities(frame, persons=2):
    other = np.clip(frame.score + np.random.default_rng(2).normal(0, 0.2, len(frame)), 0.001, 0.999)
    both = pd.concat([frame.assign(modality="old"), frame.assign(modality="new", score=other)])
    return both.assign(person=both.case // persons)


PAIRED = {
    "kind": "reading_table",
    "columns": {"modality": {"category": ["old", "new"]}},
    "roles": {"case_id": "case", "truth": "truth", "score": "score", "modality": "modality"},
}


def test_a_difference_is_paired_and_its_error_that_of_case_differences():
    frame = two_modalities(drawn(400))
    rows = curve(frame, PAIRED, hypothesis={"claim": "non_inferiority", "margin": 0.05})
    (row,) = some(rows, "net_benefit_difference")
    gain = np.where(frame.score >= 0.25, np.where(frame.truth == 1, 1, -1 / 3), 0)
    old, new = (gain[(frame.modality == name).to_numpy()] for name in ("old", "new"))
    assert row["estimate"] == pytest.approx((new - old).mean())
    assert row["std_error"] == pytest.approx((new - old).std(ddof=1) / 20, rel=1e-9)
    assert (row["se_method"], row["margin"], row["alternative"]) == ("paired", 0.05, "non_inferiority")  # fmt: skip
    assert "non-inferiority" in row["note"]


def test_cases_of_a_person_count_together():
    frame = two_modalities(drawn(400))
    source = {**PAIRED, "roles": {**PAIRED["roles"], "person_id": "person"}}
    (row,) = some(curve(frame, source), "net_benefit", term="model", arm="new")
    part = frame[frame.modality == "new"]
    gain = np.where(part.score >= 0.25, np.where(part.truth == 1, 1, -1 / 3), 0)
    totals = pd.Series(gain - gain.mean()).groupby(part.person.to_numpy()).sum()
    assert row["std_error"] == pytest.approx(np.sqrt((totals**2).sum() * 200 / 199) / 400)
    assert (row["se_method"], row["n_clusters"]) == ("cluster_robust", 200)


@pytest.mark.parametrize(("counts_as", "acted"), [("positive", (1, 1)), ("negative", (0, 0)), ("wrong", (0, 1))])  # fmt: skip
def test_an_output_without_a_score_is_acted_on_as_the_study_says(counts_as, acted):
    frame = drawn().assign(output=0)
    frame.loc[:9, "output"] = 2
    frame["score"] = frame.score.astype(object).where(frame.output == 0, None)
    source = {**PAIRED, "columns": {}, "roles": {"case_id": "case", "truth": "truth", "score": "score", "output": "output"}}  # fmt: skip
    rows = curve(frame, source, index_test={"without_result": counts_as})
    score = pd.to_numeric(frame.score).to_numpy()
    sick = frame.truth.to_numpy() == 1
    positive = np.where(np.isnan(score), np.where(sick, *acted), np.nan_to_num(score) >= 0.25) == 1
    gain = np.where(positive, np.where(sick, 1, -1 / 3), 0)
    assert at(rows, "net_benefit", term="model") == pytest.approx(gain.mean())
    assert some(rows, "failure_rate")[0]["n_events"] == 10


def test_shuffled_rows_give_the_same_bytes():
    frame = two_modalities(drawn())
    again = frame.sample(frac=1, random_state=4)
    assert curve(frame, PAIRED) == curve(again, PAIRED)
    more = {"horizon_days": 365, "replicates": 200, "seed": 3}
    assert curve(drawn(), FOLLOWED, **more) == curve(drawn().iloc[::-1], FOLLOWED, **more)


def test_a_prevalence_needs_cases_of_both_truths():
    with pytest.raises(EstimationError, match="3 of 3 cases"):
        net_benefit(np.ones(3, bool), np.ones(3, bool), 0.2, 0.1)
