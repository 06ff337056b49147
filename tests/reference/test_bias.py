"""Bias analysis against the prints of R episensr, and tipping points by hand.

    misclassification(matrix(c(126, 92, 71, 224), 2, byrow = TRUE), type = "exposure",
                      bias_parms = c(.94, .94, .97, .97))     # RR 2.377254, OR 5.024508 (3.282534, 7.690912)
    misclassification(..., type = "outcome", bias_parms = c(.85, .85, .87, .87))  # 3.162445, 8.399786
    probsens(..., type = "exposure", reps = 20000, seca.parms = spca.parms =
             list("trapezoidal", c(.75, .85, .95, 1)))        # medians 2.835045, 7.747525 (5.025, 35.20)
    confounders(matrix(c(105, 85, 527, 93), 2, byrow = TRUE), type = "RR", bias_parms = c(.63, .8, .05))
                                                              # 0.3479, adjusted 0.4851; OR 0.2180, 0.3039
Chu et al. (2006) Ann Epidemiol 16:834; Lash, Fox & Fink (2009), chapter 5 (Tyndall et al. 1996).
"""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from tasks.core.errors import EstimationError
from tasks.stats.bias import Counts, bias_factor, draw_trapezoid, observed, tipping_prevalence
from tasks.stats.fragility import fragility_index
from tests.reference.test_registry_tables import results, some

CHU = {"study": "chu", "a": 126, "n1": 197, "b": 92, "n0": 316}
TYNDALL = {"study": "tyndall", "a": 105, "n1": 632, "b": 85, "n0": 178}
SOURCE = {
    "kind": "effect_table",
    "roles": {"study": "study", "target_events": "a", "target_total": "n1", "comparator_events": "b",
              "comparator_total": "n0"},
}  # fmt: skip


def made(table, bias, **more):
    return results(pd.DataFrame([table]), SOURCE, method="bias_analysis", bias=bias, **more)


def ratios(rows, scenario):
    return {
        r["estimate_name"]: r
        for r in rows
        if r.get("scenario") == scenario and "ratio" in r["estimate_name"]
    }


def test_exposure_told_with_error():
    rows = made(
        CHU, {"kind": "exposure_misclassification", "sensitivity": 0.94, "specificity": 0.97}
    )
    before, after = ratios(rows, "observed"), ratios(rows, "corrected")
    assert before["risk_ratio"]["estimate"] == pytest.approx(2.196866, abs=1e-6)
    assert before["risk_ratio"]["ci_low"] == pytest.approx(1.796016, abs=1e-6)
    assert before["odds_ratio"]["ci_high"] == pytest.approx(6.310846, abs=1e-6)
    assert after["risk_ratio"]["estimate"] == pytest.approx(2.377254, abs=1e-6)
    odds = after["odds_ratio"]
    shown = (odds["estimate"], odds["ci_low"], odds["ci_high"])
    assert shown == pytest.approx((5.024508, 3.282534, 7.690912), abs=1e-6)


def test_outcome_told_with_error():
    rows = made(
        CHU, {"kind": "outcome_misclassification", "sensitivity": 0.85, "specificity": 0.87}
    )
    after = ratios(rows, "corrected")
    assert after["risk_ratio"]["estimate"] == pytest.approx(3.162445, abs=1e-6)
    assert after["odds_ratio"]["estimate"] == pytest.approx(8.399786, abs=1e-6)


def test_the_error_of_a_corrected_ratio_is_that_of_repeated_samples():
    """20,000 tables drawn from the observed shares; Se and Sp known."""
    from tasks.stats.bias import exposure_misclassified, outcome_misclassified

    rng = np.random.default_rng(4)
    one = {n: np.array([v]) for n, v in (
        ("sensitivity_target", 0.9), ("sensitivity_comparator", 0.8), ("specificity_target", 0.97),
        ("specificity_comparator", 0.95), ("sensitivity_events", 0.9), ("specificity_events", 0.97),
        ("sensitivity_non_events", 0.8), ("specificity_non_events", 0.95))}  # fmt: skip
    by_arm = [Counts(a, 1970, b, 3160) for a, b in zip(
        rng.binomial(1970, 126 / 197, 4000), rng.binomial(3160, 92 / 316, 4000), strict=True)]  # fmt: skip
    found = outcome_misclassified(Counts(1260, 1970, 920, 3160), one)
    for name in ("risk_ratio", "odds_ratio"):
        again = np.concatenate([outcome_misclassified(c, one).log_ratio[name] for c in by_arm])
        assert found.std_error[name][0] == pytest.approx(again.std(), rel=0.04)
    cases, others = rng.binomial(2180, 126 / 218, 4000), rng.binomial(2950, 71 / 295, 4000)
    by_outcome = [
        Counts(a, a + c, 2180 - a, 5130 - a - c) for a, c in zip(cases, others, strict=True)
    ]
    found = exposure_misclassified(Counts(1260, 1970, 920, 3160), one)
    for name in ("risk_ratio", "odds_ratio"):
        again = np.concatenate([exposure_misclassified(c, one).log_ratio[name] for c in by_outcome])
        assert found.std_error[name][0] == pytest.approx(again.std(), rel=0.04)


def test_a_confounder_that_nobody_measured():
    bias = {"kind": "unmeasured_confounder", "ratio": 0.63, "prevalence_target": 0.8,
            "prevalence_comparator": 0.05}  # fmt: skip
    rows = made(TYNDALL, bias)
    before, after = ratios(rows, "observed"), ratios(rows, "corrected")
    assert before["risk_ratio"]["estimate"] == pytest.approx(0.3479, abs=1e-4)
    assert after["risk_ratio"]["estimate"] == pytest.approx(0.4851, abs=1e-4)
    assert after["odds_ratio"]["estimate"] == pytest.approx(0.3039, abs=1e-4)
    tipped = {r["scenario"]: r for r in some(rows, "tipping_point")}
    assert tipped["limit"]["status"] == "not_estimable"  # no prevalence explains it away
    assert tipped["limit"]["note"] == "no prevalence from 0 to 1 does it"


def test_draws_of_the_parameters_give_the_printed_medians():
    spread = {
        "distribution": "trapezoidal",
        "low": 0.75,
        "mode_low": 0.85,
        "mode_high": 0.95,
        "high": 1.0,
    }
    bias = {"kind": "exposure_misclassification", "sensitivity": spread, "specificity": spread}
    rows = made(CHU, bias, draws=50_000, seed=1)
    systematic, total = ratios(rows, "systematic_error"), ratios(rows, "total_error")
    assert systematic["risk_ratio"]["estimate"] == pytest.approx(2.835045, rel=0.005)
    assert systematic["risk_ratio"]["ci_low"] == pytest.approx(2.361683, rel=0.01)
    assert systematic["odds_ratio"]["estimate"] == pytest.approx(7.747525, rel=0.01)
    assert total["risk_ratio"]["ci_low"] == pytest.approx(2.138425, rel=0.015)
    assert total["odds_ratio"]["ci_low"] == pytest.approx(4.227726, rel=0.02)
    assert " draws; " in total["risk_ratio"]["note"]
    assert rows == made(CHU, bias, draws=50_000, seed=1) != made(CHU, bias, draws=50_000, seed=2)


def test_a_validation_study_gives_beta_distributions():
    bias = {"kind": "outcome_misclassification", "sensitivity": {"distribution": "beta", "a": 85000, "b": 15000},
            "specificity": {"distribution": "beta", "a": 87000, "b": 13000}}  # fmt: skip
    rows = made(CHU, bias, draws=2000, seed=1)
    assert ratios(rows, "systematic_error")["risk_ratio"]["estimate"] == pytest.approx(
        3.162, rel=0.01
    )


@pytest.mark.parametrize(
    "corners", [(0, 0, 1, 1), (0.2, 0.5, 0.5, 0.9), (0.1, 0.2, 0.6, 0.7), (0, 0, 0, 1)]
)
def test_draws_follow_the_density(corners):
    low, mode_low, mode_high, high = corners
    u = (np.arange(200_000) + 0.5) / 200_000
    drawn = draw_trapezoid(*corners, u)
    span = high - low
    shape = stats.trapezoid((mode_low - low) / span, (mode_high - low) / span, low, span)
    assert drawn.mean() == pytest.approx(shape.mean(), abs=1e-5)
    assert np.quantile(drawn, [0.1, 0.5, 0.9]) == pytest.approx(
        shape.ppf([0.1, 0.5, 0.9]), abs=1e-4
    )


def test_the_tipping_prevalence_makes_the_ratio_one():
    found = tipping_prevalence(1.5, 0.2, 3.0)
    assert found == pytest.approx(0.55)  # 1.5 = (1 + 2p) / 1.4
    assert 1.5 / bias_factor(np.array([found]), np.array([0.2]), np.array([3.0]))[
        0
    ] == pytest.approx(1)
    assert tipping_prevalence(5.0, 0.2, 3.0) is None
    assert tipping_prevalence(2.0, 0.2, 1.0) is None


def test_fragility_by_the_hypergeometric_distribution():
    """1 of 100 against 9 of 100: p 0.0184; with one event more 0.0582 (Walsh et al. 2014)."""

    def p(a, n1, b, n0):
        ways = stats.hypergeom(n1 + n0, a + b, n1)
        each = ways.pmf(np.arange(a + b + 1))
        return each[each <= ways.pmf(a) * (1 + 1e-7)].sum()

    assert p(1, 100, 9, 100) < 0.05 <= p(2, 100, 9, 100)
    assert fragility_index(1, 100, 9, 100) == fragility_index(9, 100, 1, 100) == 1
    for a, n1, b, n0 in ((10, 200, 40, 210), (3, 90, 3, 90), (0, 50, 12, 50)):
        want = next(k for k in range(n1) if p(a + k, n1, b, n0) >= 0.05)
        assert fragility_index(a, n1, b, n0) == want
    with pytest.raises(EstimationError):
        fragility_index(3, 2, 1, 5)


def test_persons_are_counted_into_the_same_table():
    people = pd.DataFrame({
        "arm": ["old"] * 178 + ["new"] * 632,
        "hiv": ["1"] * 85 + ["0"] * 93 + ["1"] * 105 + ["0"] * 527,
    })  # fmt: skip
    source = {
        "roles": {"outcome": "hiv", "treatment": "arm"},
        "columns": {"arm": {"category": ["old", "new"]}},
    }
    bias = {"kind": "unmeasured_confounder", "ratio": 0.63, "prevalence_target": 0.8,
            "prevalence_comparator": 0.05}  # fmt: skip
    rows = results(people.sample(frac=1, random_state=1), source, method="bias_analysis", bias=bias)
    after = ratios(rows, "corrected")["risk_ratio"]
    assert after["estimate"] == pytest.approx(0.4851, abs=1e-4)
    assert (after["target"], after["comparator"], after["n"], after["n_events"]) == (
        "new",
        "old",
        810,
        190,
    )
    assert {r["arm"]: (r["n"], r["n_events"]) for r in some(rows, "risk")} == {
        "new": (632, 105),
        "old": (178, 85),
    }


@pytest.mark.parametrize(
    ("table", "bias", "says"),
    [
        (CHU | {"b": 0}, {"kind": "exposure_misclassification", "sensitivity": 0.9, "specificity": 0.9},
         "an arm has no event"),
        (CHU, {"kind": "exposure_misclassification", "sensitivity": 0.9, "specificity": 0.5},
         "a corrected count falls below 0"),
        (CHU, {"kind": "outcome_misclassification", "sensitivity": 0.3, "specificity": 0.5},
         "a corrected count falls below 0"),
    ],
)  # fmt: skip
def test_what_the_counts_exclude_is_not_estimated(table, bias, says):
    rows = [r for r in made(table, bias) if r["method"] != "attrition"]
    assert [r["status"] for r in rows] == ["not_estimable"]
    assert says in rows[0]["note"]


def test_the_observed_ratio_is_the_textbooks():
    found = observed(Counts(126, 197, 92, 316))
    assert math.exp(found.log_ratio["odds_ratio"][0]) == pytest.approx(126 * 224 / (92 * 71))
