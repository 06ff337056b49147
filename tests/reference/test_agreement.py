"""Agreement of readers, against R psych 2.2.9, published tables and the jackknife.

library(psych)
ICC(matrix(c(9,2,5,8, 6,1,3,2, 8,4,6,8, 7,1,2,6, 10,5,6,9, 6,2,4,7), 6, byrow = TRUE),
    lmer = FALSE)                                    # the table of Shrout and Fleiss (1979)
k <- cohen.kappa(cbind(FIRST, SECOND)); k$kappa; sqrt(k$var.kappa)
cohen.kappa(cbind(FIRST, SECOND), w = 1 - abs(outer(1:3, 1:3, "-")) / 2)
"""

import numpy as np
import pandas as pd
import pytest
import yaml
from sklearn.metrics import cohen_kappa_score
from statsmodels.stats.inter_rater import fleiss_kappa

from tasks.core.errors import EstimationError, SpecError
from tasks.core.spec import load_study
from tasks.stats.diagnostic.agreement import COEFFICIENTS, agreement
from tasks.stats.diagnostic.reliability import intraclass, limits_of_agreement
from tests.reference.test_registry_tables import results, some

FIRST = np.array([1, 1, 2, 3, 3, 3, 2, 1, 1, 2, 3, 3, 1, 2, 2, 3, 1, 3, 3, 2])
SECOND = np.array([1, 2, 2, 3, 3, 2, 2, 1, 1, 1, 3, 3, 1, 2, 3, 3, 2, 3, 3, 1])
PAIR = np.column_stack([FIRST, SECOND]) - 1
CASES = np.arange(20)
SHROUT_FLEISS = np.array(
    [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7.0]]
)
PSYCH = {
    "ICC(1,1)": (0.1657417684, -0.13293232487, 0.7225600623, 1.794678492),
    "ICC(2,1)": (0.2897637795, 0.01878651337, 0.7610843696, 11.027247956),
    "ICC(3,1)": (0.7148407148, 0.34246476503, 0.9458582600, 11.027247956),
    "ICC(1,k)": (0.4427971337, -0.88444215524, 0.9124154203, 1.794678492),
    "ICC(2,k)": (0.6200505476, 0.07113681530, 0.9272320402, 11.027247956),
    "ICC(3,k)": (0.9093155424, 0.67567471382, 0.9858916782, 11.027247956),
}
# Fleiss (1971), table 1: 30 subjects by six of the raters into five diagnoses; he prints 0.430.
DIAGNOSES = (
    "00060 03003 01401 00006 03030 20400 00402 20310 20040 00006 10050 11040 03300 10050 02031 "
    "00501 30012 51000 02040 10203 00006 01050 02013 20040 10041 05010 40002 02040 10500 00006"
)


def diagnoses():
    counts = np.array([[int(c) for c in row] for row in DIAGNOSES.split()])
    return counts, np.array([np.repeat(np.arange(5), row) for row in counts])


def test_intraclass_correlations_are_those_of_psych():
    for found in intraclass(SHROUT_FLEISS):
        numbers = (found.estimate, found.ci_low, found.ci_high, found.statistic)
        assert numbers == pytest.approx(PSYCH[found.name], rel=1e-8)


@pytest.mark.parametrize(
    ("weighting", "kappa", "error"),
    [
        ("none", 0.545454545455, 0.151154717795),
        ("linear", 0.666666666667, None),
        ("quadratic", 0.782608695652, None),
    ],
)
def test_cohens_kappa_is_that_of_psych_and_of_scikit_learn(weighting, kappa, error):
    found = agreement("conger", PAIR, CASES, weighting=weighting)
    theirs = cohen_kappa_score(FIRST, SECOND, weights=None if weighting == "none" else weighting)
    assert found.estimate == pytest.approx(kappa, rel=1e-9)
    assert found.estimate == pytest.approx(theirs, rel=1e-12)
    if error:
        assert found.std_error == pytest.approx(error, rel=1e-9)


@pytest.mark.parametrize("weighting", ["none", "linear", "quadratic"])
def test_the_error_of_kappa_is_that_of_fleiss_cohen_and_everitt(weighting):
    """Their formula (1969), written out over the cells of the table."""
    p = np.zeros((3, 3))
    np.add.at(p, tuple(PAIR.T), 1 / 20)
    gap = np.abs(np.arange(3)[:, None] - np.arange(3)) / 2
    w = {"none": (gap == 0) * 1.0, "linear": 1 - gap, "quadratic": 1 - gap**2}[weighting]
    rows, columns = p.sum(axis=1), p.sum(axis=0)
    seen, chance = (w * p).sum(), rows @ w @ columns
    mean = (w @ columns)[:, None] + rows @ w
    inner = (p * (w * (1 - chance) - mean * (1 - seen)) ** 2).sum()
    variance = (inner - (seen * chance - 2 * chance + seen) ** 2) / (20 * (1 - chance) ** 4)
    found = agreement("conger", PAIR, CASES, weighting=weighting)
    assert found.std_error == pytest.approx(np.sqrt(variance), rel=1e-9)


def test_fleiss_kappa_is_that_of_his_table():
    counts, ratings = diagnoses()
    found = agreement("fleiss", ratings, np.arange(30))
    assert found.estimate == pytest.approx(0.430, abs=0.0005)
    assert found.estimate == pytest.approx(fleiss_kappa(counts), rel=1e-12)


def test_lights_kappa_is_the_mean_of_pairs_and_congers_has_their_chance():
    _, ratings = diagnoses()
    pairs = [(a, b) for a in range(6) for b in range(a)]
    each = [cohen_kappa_score(ratings[:, a], ratings[:, b]) for a, b in pairs]
    light, conger = (agreement(name, ratings, np.arange(30)).estimate for name in ("light", "conger"))  # fmt: skip
    assert light == pytest.approx(np.mean(each))
    seen = np.mean([(ratings[:, a] == ratings[:, b]).mean() for a, b in pairs])
    share = np.array([np.bincount(ratings[:, r], minlength=5) / 30 for r in range(6)])
    chance = np.mean([share[a] @ share[b] for a, b in pairs])
    assert conger == pytest.approx((seen - chance) / (1 - chance))


def test_gwets_ac1_is_that_of_his_formula():
    counts, ratings = diagnoses()
    seen = ((counts * (counts - 1)).sum(axis=1) / 30).mean()
    share = counts.mean(axis=0) / 6
    chance = (share * (1 - share)).sum() / 4
    found = agreement("ac1", ratings, np.arange(30)).estimate
    assert found == pytest.approx((seen - chance) / (1 - chance))


@pytest.mark.parametrize("name", COEFFICIENTS)
@pytest.mark.parametrize("size", [1, 3])
def test_errors_are_close_to_those_of_the_jackknife(name, size):
    """300 cases by four readers; three cases a person are left out at once."""
    rng = np.random.default_rng(1)
    person = np.arange(300) // size
    truth = rng.integers(0, 3, person.max() + 1)[person]
    ratings = np.where(rng.random((300, 4)) < 0.7, truth[:, None], rng.integers(0, 3, (300, 4)))
    found = agreement(name, ratings, person)
    left = np.array(
        [agreement(name, ratings[person != one], person[person != one]).estimate for one in np.unique(person)]
    )  # fmt: skip
    g = left.size
    jackknife = np.sqrt((g - 1) / g * ((left - left.mean()) ** 2).sum())
    assert found.std_error == pytest.approx(jackknife, rel=0.03)


def test_limits_of_agreement_hold_95_percent_of_normal_differences():
    difference = np.random.default_rng(4).normal(0.4, 2.0, 4000)
    lower, bias, upper = limits_of_agreement(difference)
    assert np.mean((difference > lower.estimate) & (difference < upper.estimate)) == pytest.approx(0.95, abs=0.01)  # fmt: skip
    assert bias.std_error == pytest.approx(difference.std(ddof=1) / np.sqrt(4000))
    z = 1.959963984540054
    assert upper.std_error == pytest.approx(2.0 * np.sqrt(1 / 4000 + z**2 / 8000), rel=0.03)


@pytest.mark.parametrize(
    "asked",
    [
        lambda: agreement("conger", np.zeros((9, 2), int), np.arange(9)),
        lambda: agreement("fleiss", PAIR[:1], np.arange(1)),
        lambda: intraclass(np.tile([[1.0, 2.0]], (5, 1))),
        lambda: limits_of_agreement(np.ones(8)),
    ],
)
def test_what_cannot_be_told_has_a_reason(asked):
    with pytest.raises(EstimationError):
        asked()


SOURCE = {
    "kind": "reading_table",
    "roles": {"case_id": "case", "truth": "truth", "score": "score", "reader": "reader"},
}


def frame_of_pair():
    made = [
        pd.DataFrame({"case": CASES, "truth": (FIRST == 3) * 1, "score": s, "reader": r})
        for r, s in (("A", FIRST), ("B", SECOND))
    ]
    return pd.concat(made, ignore_index=True)


def test_a_study_asks_for_results_categories_and_numbers():
    frame = frame_of_pair()
    rows = results(frame, SOURCE, method="agreement", agreement={"of": "categories"})
    (kappa,) = some(rows, "kappa", stratum_level="A - B")
    assert (kappa["term"], kappa["n"]) == ("cohen", 20)
    assert kappa["estimate"] == pytest.approx(0.545454545455)
    (weighted,) = some(rows, "weighted_kappa", stratum_level="A - B", term="cohen_quadratic")
    assert weighted["estimate"] == pytest.approx(0.782608695652)
    rows = results(frame, SOURCE, method="agreement", agreement={"of": "numbers"})
    assert {row["term"] for row in some(rows, "icc")} == set(PSYCH)
    (bias,) = some(rows, "agreement_limit", term="bias")
    assert bias["estimate"] == pytest.approx((FIRST - SECOND).mean())
    asked = {"against_truth": True}
    rows = results(frame, SOURCE, method="agreement", agreement=asked, index_test={"threshold": 3})
    (of_a,) = some(rows, "kappa", stratum_name="reader", stratum_level="A")
    (of_b,) = some(rows, "kappa", stratum_name="reader", stratum_level="B")
    assert of_a["estimate"] == 1.0
    assert of_b["estimate"] == pytest.approx(cohen_kappa_score(SECOND == 3, FIRST == 3))
    assert of_b["behind"][-4:] == (11, 1, 1, 7)


def test_readers_agree_on_the_cases_that_both_have_read():
    frame = frame_of_pair().drop(index=[0, 39])
    rows = results(frame, SOURCE, method="agreement", agreement={"of": "categories"})
    (kappa,) = some(rows, "kappa", stratum_level="A - B")
    assert kappa["n"] == 18
    assert kappa["estimate"] == pytest.approx(cohen_kappa_score(FIRST[1:19], SECOND[1:19]))


REFUSED = [
    ({"method": "agreement", "agreement": {"of": "numbers", "against_truth": True}}, "the truth is no result of numbers"),
    ({"method": "reading_time"}, "reading_time needs the role reading_seconds"),
    ({"method": "mrmc", "subgroups": ["x"]}, "mrmc has no subgroups"),
    ({"method": "mrmc", "hypothesis": {"claim": "superiority", "goal": 0.8}}, "not one of them with a goal"),
    ({"method": "mrmc", "reader_study": {"figures": ["auc", "auc"]}}, "a figure of merit stands twice"),
    ({"method": "mrmc", "index_test": {"prevalences": [0.1]}}, "mrmc has no predictive values"),
    ({"method": "accuracy", "agreement": {"of": "numbers"}}, "agreement"),
]  # fmt: skip


@pytest.mark.parametrize(("analysis", "told"), REFUSED)
def test_what_does_not_fit_is_refused(tmp_path, analysis, told):
    text = {"en": "x", "ko": "x"}
    source = {"id": "t", "site_id": "S", "table": "r", "missing": "complete_case", **SOURCE}
    source["columns"] = {"x": {"category": ["a", "b"]}}
    study = {
        "spec_version": 1,
        "study": {"id": "mine", "title": text},
        "sources": [source],
        "analyses": [{"id": "a1", "role": "primary", "source": "t", **analysis}],
    }
    file = tmp_path / "mine.yaml"
    file.write_text(yaml.safe_dump(study), encoding="utf-8")
    with pytest.raises(SpecError) as refused:
        load_study(str(file))
    assert told in str(refused.value)
    assert refused.value.exit_code == 11
