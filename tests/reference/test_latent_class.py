"""Latent classes against R's optimiser and published numbers; known references by brute force.

Tuberculosis, tine and Mantoux test in two populations (Hui & Walter 1980): they print positive
rates of 0.9661 and 0.9688 with, 0.0067 and 0.0159 without the condition, prevalences of 0.0268 and
0.7168. In R 4.2.2, with the likelihood written out:

    o <- optim(start, nll, method = "BFGS", hessian = TRUE, control = list(reltol = 1e-15))
    p <- plogis(o$par); sqrt(diag(solve(o$hessian))) * p * (1 - p)
"""

import numpy as np
import pandas as pd
import pytest

from tasks.analysis.analyse import failed_primary
from tasks.core.errors import EstimationError
from tasks.core.spec import StudySpec
from tasks.core.spec.checks import faults_of
from tasks.core.spec.checks_verification import VERIFICATION_CHECKS
from tasks.stats.diagnostic.latent_class import known_reference, latent_classes
from tasks.stats.diagnostic.measures import cells_of_table
from tests.reference.test_registry_tables import results, some

PATTERNS = np.array([[1, 1], [1, 0], [0, 1], [0, 0]], dtype=bool)
COUNTS = ((14, 4, 9, 528), (887, 31, 37, 367))
R_VALUES = (0.966124158063, 0.9688277339257, 0.9933186226323, 0.9841357210841, 0.0268395951617, 0.716792136001)  # fmt: skip
R_ERRORS = (0.00694661032651, 0.00622862350279, 0.0038024857529, 0.00561550542764, 0.00712879334474, 0.0127940766641)  # fmt: skip


def tuberculosis():
    parts = [np.repeat(PATTERNS, counts, axis=0) for counts in COUNTS]
    return np.vstack(parts), np.repeat([0, 1], [sum(counts) for counts in COUNTS])


def test_two_tests_in_two_populations_are_those_of_hui_and_walter():
    found = latent_classes(*tuberculosis())
    every = (*found.sensitivity, *found.specificity, *found.prevalence)
    assert [one.estimate for one in every] == pytest.approx(R_VALUES, abs=1e-7)
    assert [one.std_error for one in every] == pytest.approx(R_ERRORS, rel=1e-5)
    assert found.log_likelihood == pytest.approx(-1207.61674941, abs=1e-7)
    printed = (0.9661, 0.9688, 1 - 0.0067, 1 - 0.0159, 0.0268, 0.7168)
    assert [one.estimate for one in every] == pytest.approx(printed, abs=6e-5)
    assert found.fit_df == 0
    assert found.fit_p_value is None


def drawn(n=3000, seed=3, share=0.3, accuracy=((0.9, 0.9), (0.8, 0.95), (0.7, 0.85))):
    rng = np.random.default_rng(seed)
    sick = rng.random(n) < share
    columns = [
        np.where(sick, rng.random(n) < yes, rng.random(n) >= no).astype(bool)
        for yes, no in accuracy
    ]
    return np.column_stack(columns)


def test_three_tests_recover_what_was_planted():
    found = [latent_classes(drawn(seed=s), np.zeros(3000, dtype=int)) for s in range(60)]
    for place, (yes, no) in enumerate(((0.9, 0.9), (0.8, 0.95), (0.7, 0.85))):
        for name, truth in (("sensitivity", yes), ("specificity", no)):
            values = [getattr(one, name)[place] for one in found]
            estimates = np.array([value.estimate for value in values])
            errors = np.array([value.std_error for value in values])
            assert estimates.mean() == pytest.approx(truth, abs=3 * errors.mean() / 60**0.5)
            assert errors.mean() == pytest.approx(estimates.std(ddof=1), rel=0.35)


def test_a_fit_is_tested_where_there_are_degrees_of_freedom():
    populations = np.repeat([0, 1], 3000)
    results_ = np.vstack([drawn(), drawn(seed=4, share=0.6)])
    found = latent_classes(results_, populations)
    assert found.fit_df == 6
    assert 0.001 < found.fit_p_value < 1


def test_cases_twice_in_a_person_widen_errors_by_the_root_of_two():
    results_, population = tuberculosis()
    size = population.size
    twice = latent_classes(
        np.vstack([results_, results_]), np.tile(population, 2), np.tile(np.arange(size), 2)
    )
    once = latent_classes(results_, population, np.arange(size))
    for one, two in zip(once.sensitivity, twice.sensitivity, strict=True):
        assert two.std_error == pytest.approx(one.std_error, rel=1e-4)


@pytest.mark.parametrize(
    ("results_", "population", "said"),
    [
        (tuberculosis()[0], np.zeros(1877, dtype=int), "not identified"),
        (drawn()[:, :1], np.zeros(3000, dtype=int), "not identified"),
        (np.ones((50, 3), dtype=bool), np.zeros(50, dtype=int), "always positive"),
        (np.tile(PATTERNS, (100, 1)), np.tile([0, 1], 200), "latent"),
        (np.column_stack([drawn()[:, 0]] * 3), np.zeros(3000, dtype=int), "0 or 1"),
    ],
)
def test_what_is_not_identified_is_refused_by_name(results_, population, said):
    with pytest.raises(EstimationError, match=said):
        latent_classes(results_, population)


def test_a_reference_that_is_right_changes_nothing():
    cells = cells_of_table(670, 202, 74, 640)
    found = known_reference("sensitivity", cells, 1.0, 1.0)
    assert found.estimate == pytest.approx(670 / 744)
    assert found.std_error == pytest.approx(np.sqrt(670 * 74 / 744**3))


@pytest.mark.parametrize(("se", "sp"), [(0.9, 0.95), (0.85, 1.0), (1.0, 0.9)])
def test_known_errors_of_the_reference_are_undone(se, sp):
    """Counts that a test of 0.8 and 0.9, prevalence 0.4, would give against this reference."""
    yes, no = 0.4 * np.array([0.8, 0.2]), 0.6 * np.array([0.1, 0.9])
    with_it, without = se * yes + (1 - sp) * no, (1 - se) * yes + sp * no
    tp, fn = with_it * 100_000
    fp, tn = without * 100_000
    cells = cells_of_table(*(round(count) for count in (tp, fp, fn, tn)))
    found = [known_reference(name, cells, se, sp).estimate for name in ("sensitivity", "specificity", "prevalence")]  # fmt: skip
    assert found == pytest.approx([0.8, 0.9, 0.4], abs=1e-3)


def test_the_error_of_a_corrected_value_is_that_of_drawing_again():
    rng = np.random.default_rng(1)
    shares = np.array([670, 202, 74, 640]) / 1586
    drawn_ = [
        known_reference(
            "sensitivity",
            cells_of_table(*(int(c) for c in rng.multinomial(1586, shares))),
            0.95,
            0.97,
        )
        for _ in range(1500)
    ]
    spread = np.std([one.estimate for one in drawn_])
    one = known_reference("sensitivity", cells_of_table(670, 202, 74, 640), 0.95, 0.97)
    assert one.std_error == pytest.approx(spread, rel=0.06)


def test_a_reference_that_cannot_have_given_the_counts_is_refused():
    with pytest.raises(EstimationError, match="no such reference"):
        known_reference("sensitivity", cells_of_table(670, 202, 74, 640), 0.9, 0.5001)
    with pytest.raises(EstimationError, match="add up"):
        known_reference("sensitivity", cells_of_table(670, 202, 74, 640), 0.5, 0.5)


def readings():
    results_, population = tuberculosis()
    case = np.arange(population.size)
    return pd.concat(
        [
            pd.DataFrame(
                {
                    "case": case,
                    "site": population,
                    "score": results_[:, place] * 1,
                    "modality": name,
                    "truth": None,
                }
            )
            for place, name in enumerate(("mantoux", "tine"))
        ],
        ignore_index=True,
    )


SOURCE = {
    "kind": "reading_table",
    "columns": {"modality": {"category": ["mantoux", "tine"]}},
    "roles": {"case_id": "case", "truth": "truth", "score": "score", "modality": "modality", "site": "site"},
}  # fmt: skip
TWO = {"populations": "sites"}


def test_a_table_without_any_truth_gives_classes():
    rows = results(readings(), SOURCE, method="latent_class", imperfect_reference=TWO)
    found = {r["arm"]: r["estimate"] for r in some(rows, "sensitivity")}
    assert found == pytest.approx({"mantoux": R_VALUES[0], "tine": R_VALUES[1]}, abs=1e-7)
    assert {r["stratum_level"] for r in some(rows, "prevalence")} == {"0", "1"}
    assert all("sensitivity analysis" in r["note"] for r in rows if r.get("scenario"))
    again = readings().sample(frac=1, random_state=2)
    assert rows == results(again, SOURCE, method="latent_class", imperfect_reference=TWO)


def test_the_reference_may_be_one_of_the_tests():
    """Mantoux as reference and tine as the modality: the same two tests."""
    both = readings()
    tine = both[both.modality == "tine"].copy()
    tine["truth"] = both[both.modality == "mantoux"].score.to_numpy()
    source = {**SOURCE, "columns": {}}
    asked = {**TWO, "reference_is_a_test": True}
    rows = results(tine, source, method="latent_class", imperfect_reference=asked)
    found = {r["arm"]: r["estimate"] for r in some(rows, "sensitivity")}
    assert found["reference standard"] == pytest.approx(R_VALUES[0], abs=1e-7)


def test_known_references_stand_beside_the_values_as_observed():
    truth = np.repeat([1, 0, 1, 0], [670, 202, 74, 640])
    score = np.repeat([1, 1, 0, 0], [670, 202, 74, 640])
    table = pd.DataFrame({"case": np.arange(truth.size), "truth": truth, "score": score})
    source = {"kind": "reading_table", "roles": {"case_id": "case", "truth": "truth", "score": "score"}}  # fmt: skip
    known = [
        {"sensitivity": 0.95, "specificity": 0.97},
        {"sensitivity": 0.9, "specificity": 0.5001},
    ]
    rows = results(table, source, method="latent_class", imperfect_reference={"known": known})
    (observed,) = some(rows, "sensitivity", scenario="as_observed")
    assert observed["n_events"] == 670
    first, second = some(rows, "sensitivity", scenario="known_reference")
    assert first["estimate"] == pytest.approx((0.97 * 872 - 202) / (744 - 0.03 * 1586))
    assert (first["at"], first["at2"]) == (0.95, 0.97)
    assert second["status"] == "not_estimable"
    assert not some(rows, "sensitivity", scenario="latent_class")
    assert failed_primary(rows) == []


def study(source, **asked):
    text = {"en": "x", "ko": "x"}
    return StudySpec.model_validate(
        {
            "spec_version": 1,
            "study": {"id": "s", "title": text},
            "sources": [{"id": "t", "site_id": "S", "table": "r", "missing": "complete_case"} | source],
            "analyses": [{"id": "a", "role": "sensitivity", "source": "t"} | asked],
        }
    )  # fmt: skip


@pytest.mark.parametrize(
    ("source", "asked", "said"),
    [
        (SOURCE, {"method": "latent_class"}, "not identified"),
        ({**SOURCE, "columns": {}, "roles": {"case_id": "c", "truth": "t"}}, {"method": "latent_class", "imperfect_reference": TWO}, "no role site"),
        ({**SOURCE, "roles": {**SOURCE["roles"], "weight": "w"}}, {"method": "latent_class", "imperfect_reference": TWO}, "weights"),
        ({**SOURCE, "sampling": "case_control"}, {"method": "verification_bias"}, "drawn by their truth"),
        (SOURCE, {"method": "verification_bias", "subgroups": ["modality"]}, "no subgroups"),
    ],
)  # fmt: skip
def test_what_cannot_be_corrected_is_refused_by_the_study(source, asked, said):
    faults = faults_of(study(source, **asked), VERIFICATION_CHECKS)
    assert any(said in fault.what for fault in faults)


def test_what_can_be_is_not():
    asked = {"method": "latent_class", "imperfect_reference": TWO}
    assert faults_of(study(SOURCE, **asked), VERIFICATION_CHECKS) == []
