"""What R prints by default, to its last digits: its starts, its stops and its ties. R 4.2.2.

Rossi's data come with lifelines, the days absent from school are typed in.
    r <- rossi; r$id <- 1:432; r$w <- 10000 * (1 + r$age %% 3); r$g <- r$age %% 17
"""

import lifelines.datasets
import numpy as np
import pytest

from tests.reference.outcome_data import quine
from tests.reference.test_registry_tables import results, some

NUMBERS = dict.fromkeys(("age", "prio", "week", "wexp", "mar", "race"), "number")
ROSSI = {"roles": {"outcome": "arrest"}, "columns": NUMBERS | {"fin": "boolean"}}
WEEKS = ROSSI | {"roles": {"outcome": "week"}}
TERMS = ["intercept", "fin", "age", "prio"]


def rossi():
    data = lifelines.datasets.load_rossi()
    row = np.arange(1, len(data) + 1)
    return data.assign(id=row, w=10_000 * (1 + data.age % 3), g=data.age % 17)


def of_terms(rows, terms):
    got = {row.get("term"): row for row in rows}
    ratio = [got[t]["estimate_name"] != "coefficient" for t in terms]
    found = [got[t]["estimate"] for t in terms]
    coef = [np.log(v) if is_log else v for v, is_log in zip(found, ratio, strict=True)]
    return coef, [got[t]["std_error"] for t in terms]


def test_a_negative_binomial_model_stops_where_glm_nb_does():
    """glm.nb(Days ~ Eth * Lrn + Sex + Age, quine): at its fixed point the effect of F2 is 8e-6 off."""
    levels = {"Eth": ["A", "N"], "Lrn": ["AL", "SL"], "Sex": ["F", "M"], "Age": ["F0", "F1", "F2", "F3"]}  # fmt: skip
    columns = {name: {"category": values} for name, values in levels.items()}
    source = {"roles": {"outcome": "Days"}, "columns": columns | {"Days": "number"}}
    terms = ["intercept", "Eth=N", "Lrn=SL", "Sex=M", "Age=F1", "Age=F2", "Age=F3", "Eth=N:Lrn=SL"]
    rows = results(quine(), source, method="negative_binomial", terms="Eth * Lrn + Sex + Age")
    coef, error = of_terms(rows, terms)
    want = [2.7795410968, -0.337059067736, 0.580902624669, 0.145519892769, -0.484116809656, 0.0319876372073, 0.296895960227, -0.554801167235]  # fmt: skip
    assert coef == pytest.approx(want, rel=1e-9)
    want = [0.237787657715, 0.200929347756, 0.243192130936, 0.15854055605, 0.237481296948, 0.23367044552, 0.245634187106, 0.306916967159]  # fmt: skip
    assert error == pytest.approx(want, rel=1e-9)
    [theta] = some(rows, "coefficient", term="theta")
    want = (1.30264655283, 0.165301735989)
    assert (theta["estimate"], theta["std_error"]) == pytest.approx(want, rel=1e-9)


@pytest.mark.parametrize("std_error", ["robust", "model"])
def test_sampling_weights_by_the_ten_thousand_have_a_maximum(std_error):
    """svyglm(arrest ~ fin + prio, svydesign(~1, weights = ~w), quasibinomial); SE * sqrt(431/432).

    R's own glm runs away from such weights, as it starts from means within 1e-5 of 0 and 1.
    """
    source = ROSSI | {"roles": {"outcome": "arrest", "weight": "w"}}
    rows = results(rossi(), source, method="logistic", terms="fin + prio", std_error=std_error)
    coef, error = of_terms(rows, ["intercept", "fin", "prio"])
    assert coef == pytest.approx([-1.19562799338, -0.357790026275, 0.132982517297], rel=1e-9)
    if std_error == "robust":
        want = [0.197466819533, 0.240215492866, 0.0378542115752]
        assert error == pytest.approx(want, rel=1e-9)


@pytest.mark.parametrize(
    ("kind", "of_weeks", "of_arrest"),
    [  # vcovHC(lm(week ~ fin + age + prio), kind), vcovHC(glm(arrest ~ ..., binomial), kind)
        ("HC4", (2.70127734548, 1.213128579, 0.105487646674, 0.253608002841), (0.611919921721, 0.228695828667, 0.0257919250676, 0.0356162983263)),
        ("HC4m", (2.70008078032, 1.21394878689, 0.105357473741, 0.249610494597), (0.613969936665, 0.229174131611, 0.0259003255418, 0.0352371440009)),
        ("HC5", (2.67681031125, 1.20715365882, 0.104252908207, 0.247939902675), (0.608794743584, 0.227923913482, 0.0256586283262, 0.0350329536187)),
    ],
)  # fmt: skip
def test_errors_that_look_at_leverage(kind, of_weeks, of_arrest):
    asked = {"terms": "fin + age + prio", "std_error": "robust", "hc": kind}
    _, error = of_terms(results(rossi(), WEEKS | {"columns": ROSSI["columns"]}, method="linear", **asked), TERMS)  # fmt: skip
    assert error == pytest.approx(of_weeks, rel=1e-9)
    _, error = of_terms(results(rossi(), ROSSI, method="logistic", **asked), TERMS)
    assert error == pytest.approx(of_arrest, rel=1e-9)


@pytest.mark.parametrize(
    ("kind", "want"),
    [  # vcovCL(lm(week ~ fin + age + prio), ~g, type = "HC2"), "HC3"
        ("CR2", (3.20425740617, 1.10202084449, 0.148396456645, 0.308303185603)),
        ("CR3", (3.47245565942, 1.14921917079, 0.160598292899, 0.342860896337)),
    ],
)
def test_errors_of_few_clusters(kind, want):
    rows = results(rossi(), WEEKS, method="linear", terms="fin + age + prio", cluster="g", cr=kind)
    assert of_terms(rows, TERMS)[1] == pytest.approx(want, rel=1e-9)


MATCHED = {"method": "mean_difference", "adjustment": "matched", "propensity": "wexp + mar + race"}


def test_ties_of_matching_follow_the_numbers_of_persons():
    """Eight scores among 432: lp <- predict(glm(fin ~ wexp + mar + race, binomial)); the closest pair
    left, of those the first treated and the first control, while any is inside the caliper."""
    roles = {"outcome": "arrest", "treatment": "fin", "person_id": "id"}
    rows = results(rossi(), ROSSI | {"roles": roles}, **MATCHED)
    means = [some(rows, "risk", arm=arm)[0]["estimate"] for arm in ("1", "0")]
    assert means == pytest.approx([0.20487804878, 0.307317073171], rel=1e-9)


def test_without_persons_the_outcome_does_not_choose_the_match():
    """Of controls with one score it may not be those without the event who come first."""
    data = rossi()
    data = data[(data.fin == 0) | (data.index % 4 == 0)]  # one in four of the treated
    source = ROSSI | {"roles": {"outcome": "arrest", "treatment": "fin"}}
    [control] = some(results(data, source, **MATCHED), "risk", arm="0")
    treated, others = data[data.fin == 1], data[data.fin == 0]
    cell = ["wexp", "mar", "race"]
    expected = treated[cell].merge(others.groupby(cell).arrest.mean().reset_index()).arrest
    error = np.sqrt(0.3 * 0.7 / len(treated))
    assert control["estimate"] == pytest.approx(expected.mean(), abs=2 * error)


def test_ratios_beyond_what_a_number_holds_leave_their_limit_open():
    """Of one unit of a column whose range is 0.001: no traceback, and no infinite number."""
    data = rossi().assign(tiny=lambda d: 1e-5 * (d.prio + d.id % 7) / 24)
    source = {"roles": {"outcome": "arrest"}, "columns": {"tiny": "number"}}
    for more in ({}, {"std_error": "robust"}):
        [row] = some(results(data, source, method="logistic", terms="tiny", **more), "odds_ratio")
        assert row["ci_high"] is None
        assert np.isfinite(row["std_error"])


def test_two_instruments_of_a_treatment_that_is_a_number():
    """ivreg(week ~ prio + age | age + race + mar), vcov and sandwich; diagnostics."""
    source = WEEKS | {"roles": {"outcome": "week", "treatment": "prio"}}
    asked = {"method": "instrumental_variable", "instrument": "race + mar", "terms": "age"}
    rows = results(rossi(), source, **asked)
    for kind, error in (("model", 2.74288430774), ("hc0", 2.29772468754)):
        [row] = some(rows, "mean_difference", se_method=kind)
        want = (2.2404285209, error)
        assert (row["estimate"], row["std_error"]) == pytest.approx(want, rel=1e-9)
        assert row["unit"] == "per unit of prio"
    [row] = some(rows, "test", statistic_name="first_stage_f")
    assert (row["statistic"], row["df1"]) == (pytest.approx(1.83757192345, rel=1e-9), 2)


def test_risks_pooled_over_strata():
    """mantelhaen.test(table(fin, arrest, paste(race, wexp)))"""
    source = ROSSI | {"roles": {"outcome": "arrest", "treatment": "fin"}}
    rows = results(rossi(), source, method="risk", strata=["race", "wexp"])
    [row] = some(rows, "odds_ratio", se_method="mantel_haenszel")
    found = (row["estimate"], row["ci_low"], row["ci_high"])
    assert found == pytest.approx((0.64057970366, 0.413927743855, 0.991338132883), rel=1e-9)
    assert {r["estimate_name"] for r in rows if r.get("se_method") == "mantel_haenszel"} == {
        "risk_difference", "risk_ratio", "odds_ratio",
    }  # fmt: skip


def test_tests_over_strata():
    """m <- mantelhaen.test(table(fin, arrest, paste(race, wexp)), correct = TRUE), FALSE; and
    Breslow and Day's sum of (a - A)^2 / V with A by uniroot, Tarone's term taken off."""
    source = ROSSI | {"roles": {"outcome": "arrest", "treatment": "fin"}}
    rows = results(rossi(), source, method="risk", strata=["race", "wexp"])
    for name, statistic, df, p in (
        ("cochran_mantel_haenszel_corrected", 3.5788986527093, 1, 0.0585179358239),
        ("cochran_mantel_haenszel", 4.007177526055, 1, 0.045306937012),
        ("breslow_day", 2.49939446343, 3, None),
        ("tarone", 2.49930274546, 3, None),
    ):
        [row] = some(rows, "test", statistic_name=name)
        assert (row["statistic"], row["df1"]) == (pytest.approx(statistic, rel=1e-9), df)
        assert p is None or row["p_value"] == pytest.approx(p, rel=1e-9)
        assert (row["target"], row["comparator"], row["n"]) == ("1", "0", 432)
