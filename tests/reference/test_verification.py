"""Partial verification against published numbers, R and brute force.

Hepatic scintigraphy (Drum & Christacopoulos, as used by Begg & Greenes); corrected values and
errors as R PVBcorrect 0.3 gives them: `acc_bg(hepatic_pvb, "test", "disease", ci = TRUE)`.

The models, in R 4.2.2 with numDeriv: stacked scores of the logistic model (of the truth in the
verified, or of verification) and of the four means, Jacobian by numDeriv::jacobian, sandwich
solve(A) %*% B %*% t(solve(A)) / n, delta method for the shares.
"""

import numpy as np
import pandas as pd
import polars as pl
import pytest

from tasks.analysis.analyse import failed_primary
from tasks.analysis.attrition import ATTRITION_SCHEMA
from tasks.core.disclosure_tables import release_tables
from tasks.core.errors import EstimationError
from tasks.stats.diagnostic.verification import (
    MEASURES,
    PartlyVerified,
    begg_greenes,
    begg_greenes_by_model,
    corrected_auc,
    inverse_probability,
    multiple_imputation,
)
from tests.reference.shared import reference
from tests.reference.test_registry_tables import results, some

HEPATIC = {(1, 1, 1): 231, (1, 1, 0): 32, (0, 1, 1): 27, (0, 1, 0): 54, (1, 0, 0): 166, (0, 0, 0): 140}  # fmt: skip
"""Result, verified, truth: how many."""
BY_X = {
    0: {(1, 1, 1): 60, (1, 1, 0): 20, (0, 1, 1): 10, (0, 1, 0): 40, (1, 0, 0): 15, (0, 0, 0): 80},
    1: {(1, 1, 1): 90, (1, 1, 0): 15, (0, 1, 1): 12, (0, 1, 0): 30, (1, 0, 0): 50, (0, 0, 0): 30},
}
MODEL_R = (
    (0.815759097388334, 0.771981955435539, 0.815762321061399, 0.77197817984531, 0.553099530833178),
    (0.032441582953276, 0.033244151025918, 0.028210504124135, 0.04340217321505, 0.028319925277474),
)
WEIGHTS_R = (
    (0.807190541991631, 0.765031764970164, 0.810957986761705, 0.760619222004109, 0.555307146040178),
    (0.032675871935624, 0.033649862965248, 0.028741698873247, 0.044434673593303, 0.028767466130323),
)
SOURCE = {
    "kind": "reading_table",
    "roles": {"case_id": "case", "truth": "truth", "score": "score", "verified": "verified"},
}
WITH_X = {
    **SOURCE,
    "columns": {"x": {"category": ["0", "1"]}},
    "roles": {**SOURCE["roles"], "verification_covariates": ["x"]},
}


def table(counts, x=0):
    """The rows of a table; the truth is empty where a case was not verified."""
    rows = np.repeat(np.array(list(counts)), list(counts.values()), axis=0)
    made = pd.DataFrame(rows, columns=["score", "verified", "truth"]).assign(x=x)
    made["truth"] = made.truth.astype(object).where(made.verified == 1, None)
    return made


def frame(parts):
    made = pd.concat([table(counts, x) for x, counts in parts.items()], ignore_index=True)
    return made.assign(case=np.arange(len(made)))


def cases_of(rows, units=None, covariates=True):
    x = rows.x.to_numpy()
    return PartlyVerified(
        rows.score.to_numpy() == 1,
        (rows.truth == 1).to_numpy(),
        rows.verified.to_numpy() == 1,
        np.arange(len(rows)) if units is None else units,
        x if covariates else np.zeros(len(rows), dtype=int),
        x[:, None].astype(float) if covariates else np.empty((len(rows), 0)),
    )


def shares(means):
    return np.array(
        [(means.share(name).estimate, means.share(name).std_error) for name in MEASURES]
    )


def test_hepatic_scintigraphy_is_that_of_begg_and_greenes():
    rows = results(frame({0: HEPATIC}), SOURCE, method="verification_bias")
    printed = {
        "sensitivity": (0.836466715435, 0.0244980312632),
        "specificity": (0.738398018167, 0.0388626799225),
        "ppv": (0.878326996198, None),
        "npv": (0.666666666667, None),
    }
    for name, (value, error) in printed.items():
        (found,) = some(rows, name, scenario="begg_greenes")
        assert found["estimate"] == pytest.approx(value, abs=1e-12)
        assert error is None or found["std_error"] == pytest.approx(error, abs=1e-12)
    naive = [some(rows, n, scenario="naive")[0]["estimate"] for n in ("sensitivity", "specificity")]
    assert naive == pytest.approx([231 / 258, 54 / 86])


def test_the_shared_reference_holds_the_same_numbers():
    held = reference("diagnostic_reference.json")["verification_bias"]["hepatic"]
    found = begg_greenes(cases_of(frame({0: HEPATIC}), covariates=False))
    corrected = held["begg_greenes"]
    for name, key in (("sensitivity", "sens"), ("specificity", "spec")):
        assert found.share(name).estimate == pytest.approx(corrected[key], abs=1e-11)
    assert found.share("sensitivity").std_error == pytest.approx(corrected["se"], abs=1e-12)
    assert found.share("specificity").std_error == pytest.approx(corrected["se_spec"], abs=1e-12)


def test_without_covariates_weights_and_cells_are_the_same():
    cases = cases_of(frame({0: HEPATIC}), covariates=False)
    assert shares(inverse_probability(cases)) == pytest.approx(
        shares(begg_greenes(cases)), rel=1e-6
    )


def test_cells_of_covariates_are_standardised_by_hand():
    cases = cases_of(frame(BY_X))
    sick = dict.fromkeys((1, 0), 0.0)
    well = dict(sick)
    for counts in BY_X.values():
        for t in (1, 0):
            yes, no = counts[t, 1, 1], counts[t, 1, 0]
            everybody = yes + no + counts[t, 0, 0]
            sick[t] += everybody * yes / (yes + no)
            well[t] += everybody * no / (yes + no)
    found = begg_greenes(cases)
    assert found.share("sensitivity").estimate == pytest.approx(sick[1] / (sick[1] + sick[0]))
    assert found.share("specificity").estimate == pytest.approx(well[0] / (well[1] + well[0]))


@pytest.mark.parametrize(
    ("make", "printed"), [(begg_greenes_by_model, MODEL_R), (inverse_probability, WEIGHTS_R)]
)
def test_models_and_their_errors_are_those_of_stacked_scores_in_r(make, printed):
    found = shares(make(cases_of(frame(BY_X))))
    assert [value for value, _ in found] == pytest.approx(printed[0], rel=1e-7)
    assert [error for _, error in found] == pytest.approx(printed[1], rel=1e-4)


@pytest.mark.parametrize("make", [begg_greenes, begg_greenes_by_model, inverse_probability])
@pytest.mark.parametrize("ratio", [1.0, 2.0])
def test_errors_are_those_of_the_jackknife(make, ratio):
    if make is inverse_probability and ratio != 1:
        return
    given = () if make is inverse_probability else (ratio,)
    rows = frame(BY_X)
    found = make(cases_of(rows), *given).share("sensitivity")
    kinds = rows.groupby(["x", "score", "verified", rows.truth.astype(str)], sort=False)
    first = kinds.head(1).index
    left = [make(cases_of(rows.drop(i)), *given).share("sensitivity").estimate for i in first]
    many = kinds.size().to_numpy()
    middle = np.average(left, weights=many)
    n = len(rows)
    error = np.sqrt((n - 1) / n * (many * (np.array(left) - middle) ** 2).sum())
    assert found.std_error == pytest.approx(error, rel=0.03)


def test_several_cases_of_a_person_widen_the_error():
    rows = frame(BY_X)
    twice = pd.concat([rows, rows], ignore_index=True)
    one = begg_greenes(cases_of(rows)).share("sensitivity")
    units = np.tile(np.arange(len(rows)), 2)
    two = begg_greenes(cases_of(twice, units)).share("sensitivity")
    assert two.estimate == pytest.approx(one.estimate)
    n = len(rows)
    assert two.std_error == pytest.approx(one.std_error * np.sqrt(n / (n - 1)), rel=1e-9)


def test_imputations_come_near_to_what_they_stand_for():
    cases = cases_of(frame(BY_X))
    found = multiple_imputation(cases, imputations=300, rng=np.random.default_rng(1))
    theirs = begg_greenes_by_model(cases)
    for name in MEASURES:
        mine, other = found(name), theirs.share(name)
        assert mine.estimate == pytest.approx(other.estimate, abs=0.15 * other.std_error)
        assert mine.std_error == pytest.approx(other.std_error, rel=0.1)


def world(n, seed, beta=1.5):
    """Cases whose verification hangs on the result and a covariate; the truth of all is known."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    truth = rng.random(n) < 1 / (1 + np.exp(1 - 0.8 * x))
    score = rng.normal(truth * beta, 1)
    positive = score > 0.7
    chance = 1 / (1 + np.exp(-(-1.5 + 2.5 * positive + 0.7 * x)))
    seen = rng.random(n) < chance
    zeros = np.zeros(n, dtype=int)
    return PartlyVerified(positive, truth, seen, np.arange(n), zeros, x[:, None]), score


def test_a_biased_area_is_mended():
    """The truth of all cases gives the area that there would be; the naive one is another."""
    cases, score = world(20_000, 5)
    everybody = PartlyVerified(cases.positive, cases.truth, np.ones(20_000, bool), cases.units, cases.cell, cases.covariates)  # fmt: skip
    whole = corrected_auc(everybody, score)
    found = corrected_auc(cases, score)
    assert found.estimate == pytest.approx(whole.estimate, abs=3 * found.std_error)
    seen = cases.verified
    a, b = score[seen & cases.truth], score[seen & ~cases.truth]
    naive = np.searchsorted(np.sort(b), a).mean() / b.size
    assert abs(naive - whole.estimate) > 3 * found.std_error


def test_the_error_of_an_area_is_that_of_drawing_again():
    drawn = [corrected_auc(*world(500, seed)) for seed in range(300)]
    spread = np.std([one.estimate for one in drawn])
    assert np.mean([one.std_error for one in drawn]) == pytest.approx(spread, rel=0.15)


def test_verified_shares_and_bounds_are_counted():
    rows = results(frame({0: HEPATIC}), SOURCE, method="verification_bias")
    found = {r["stratum_level"]: (r["n_events"], r["n"]) for r in some(rows, "verified_fraction")}
    assert found == {None: (344, 650), "positive": (263, 429), "negative": (81, 221)}
    ends = [some(rows, "sensitivity", scenario=f"{e}_bound")[0] for e in ("lower", "upper")]
    assert [(r["n_events"], r["n"]) for r in ends] == [(231, 398), (397, 424)]


@pytest.mark.parametrize("name", ["sensitivity", "specificity", "ppv", "npv", "prevalence"])
def test_bounds_are_the_ends_over_all_that_could_be(name):
    """Every number of diseased among the unverified, with either result."""
    rows = results(frame({0: HEPATIC}), SOURCE, method="verification_bias")
    up, un = np.meshgrid(np.arange(167), np.arange(141))
    tp, fp, fn, tn = 231 + up, 32 + 166 - up, 27 + un, 54 + 140 - un
    value = {
        "sensitivity": tp / (tp + fn),
        "specificity": tn / (tn + fp),
        "ppv": tp / (tp + fp),
        "npv": tn / (tn + fn),
        "prevalence": (tp + fn) / 650,
    }[name]
    ends = [some(rows, name, scenario=f"{end}_bound")[0] for end in ("lower", "upper")]
    assert [r["estimate"] for r in ends] == pytest.approx([value.min(), value.max()])
    inside = some(rows, name, scenario="not_at_random")
    assert len(inside) == 2
    assert all(value.min() <= r["estimate"] <= value.max() for r in inside)


def test_every_way_stands_beside_the_naive_values():
    asked = {"method": "verification_bias", "verification": {"imputations": 20, "seed": 3, "odds_ratios": [1.0]}}  # fmt: skip
    rows = results(frame(BY_X), WITH_X, **asked)
    ways = {r["scenario"]: r["estimate"] for r in some(rows, "sensitivity")}
    assert set(ways) == {
        "naive", "begg_greenes", "extended_begg_greenes", "begg_greenes_by_model",
        "inverse_probability", "multiple_imputation", "not_at_random", "lower_bound",
        "upper_bound",
    }  # fmt: skip
    assert ways["not_at_random"] == pytest.approx(ways["begg_greenes_by_model"])
    assert {r["stratum_name"] for r in some(rows, "verified_fraction")} == {None, "result", "x"}


def test_rows_are_the_same_in_any_order_of_the_file():
    rows = frame(BY_X)
    asked = {"method": "verification_bias"}
    first = results(rows, WITH_X, **asked)
    assert first == results(rows.sample(frac=1, random_state=4), WITH_X, **asked)


def test_a_cell_without_verified_cases_is_refused_by_name():
    counts = {**BY_X, 1: {**BY_X[1], (0, 1, 1): 0, (0, 1, 0): 0}}
    rows = results(frame(counts), WITH_X, method="verification_bias")
    (found,) = some(rows, "sensitivity", scenario="extended_begg_greenes")
    assert found["status"] == "not_estimable"
    assert "no case was verified" in found["note"]
    assert failed_primary(rows) == []
    (other,) = some(rows, "sensitivity", scenario="begg_greenes")
    assert other["status"] == "ok"


@pytest.mark.parametrize(
    "counts",
    [
        {(1, 1, 1): 30, (0, 0, 0): 40},
        {(1, 1, 1): 30, (0, 1, 0): 40},
        {(1, 0, 0): 30, (0, 0, 0): 40},
        {(1, 1, 1): 30, (1, 0, 0): 40},
    ],
)
def test_degenerate_tables_give_reasons_and_no_number(counts):
    rows = results(frame({0: counts}), SOURCE, method="verification_bias")
    assert rows
    for row in rows:
        assert row["status"] in ("ok", "not_estimable")
        if row["status"] == "not_estimable":
            assert row["note"]
            assert row.get("estimate") is None
        elif row["estimate_name"] != "count":
            assert np.isfinite(row["estimate"])


def test_weights_without_verified_cases_are_refused():
    rows = frame({0: {(1, 0, 0): 10, (0, 0, 0): 5}})
    with pytest.raises(EstimationError):
        inverse_probability(cases_of(rows, covariates=False))


@pytest.mark.parametrize(("few", "shown"), [(3, False), (40, True)])
def test_a_small_cell_withholds_all_that_would_tell_it(few, shown):
    """Three false negatives: bounds, naive values and shares verified would each tell them."""
    counts = {**HEPATIC, (0, 1, 1): few}
    rows = results(frame({0: counts}), SOURCE, method="verification_bias")
    steps = pl.DataFrame(schema=ATTRITION_SCHEMA)
    kept, _, messages = release_tables(rows, steps, 5)
    told = [r for r in kept if r["status"] == "ok" and r["analysis_id"] == "a1"]
    assert bool(told) == shown
    assert bool(messages) != shown


def test_verification_by_another_modality_is_taken_into_account():
    """Positive by either was verified: of the weaker, its own result does not tell the rest."""
    rng = np.random.default_rng(2)
    n = 6000
    truth = rng.random(n) < 0.3
    scores = {name: rng.normal(truth * shift, 1) for name, shift in (("new", 1.8), ("old", 1.0))}
    either = (scores["new"] > 0.8) | (scores["old"] > 0.8)
    seen = rng.random(n) < np.where(either, 0.9, 0.25)
    parts = [
        pd.DataFrame({"case": np.arange(n), "modality": name, "score": score, "verified": seen * 1})
        for name, score in scores.items()
    ]
    rows = pd.concat(parts, ignore_index=True)
    rows = rows.drop(rows.index[:20])  # cases that were not read with the new modality
    rows["truth"] = np.where(seen[rows.case], truth[rows.case] * 1, None)
    source = {**SOURCE, "roles": {**SOURCE["roles"], "modality": "modality"}}
    found = results(rows, source, method="verification_bias", index_test={"threshold": 0.8})
    for name, score in scores.items():
        whole = (score[truth] >= 0.8).mean()
        for way in ("extended_begg_greenes", "begg_greenes_by_model", "inverse_probability"):
            (row,) = some(found, "sensitivity", arm=name, scenario=way)
            assert row["estimate"] == pytest.approx(whole, abs=3 * row["std_error"])
        (own,) = some(found, "sensitivity", arm="old", scenario="begg_greenes")
    assert abs(own["estimate"] - (scores["old"][truth] >= 0.8).mean()) > 4 * own["std_error"]


def test_all_positives_verified_is_a_design_that_weights_can_do():
    """The usual design: all with a positive result, a sample of the others."""
    counts = {**HEPATIC, (1, 1, 1): 231 + 100, (1, 1, 0): 32 + 66, (1, 0, 0): 0}
    cases = cases_of(frame({0: counts}), covariates=False)
    assert shares(inverse_probability(cases)) == pytest.approx(
        shares(begg_greenes(cases)), rel=1e-6
    )
    with_x = cases_of(frame({0: counts, 1: counts}))
    found = inverse_probability(with_x).share("sensitivity")
    assert found.estimate == pytest.approx(begg_greenes(cases).share("sensitivity").estimate)


def test_weights_are_refused_where_no_negative_was_verified():
    counts = {**HEPATIC, (0, 1, 1): 0, (0, 1, 0): 0}
    with pytest.raises(EstimationError, match="no case was verified"):
        inverse_probability(cases_of(frame({0: counts})))
