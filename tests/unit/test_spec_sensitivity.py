"""Negative controls, E-values, missing data, subgroups and bias: what a study may not ask is told."""

import copy

import pytest

from tasks.core.errors import SpecError
from tests.design_world import TEXT, loaded

CALIBRATE = {"analyses.1.calibrate": True}


def says(tmp_path, kind, changes):
    with pytest.raises(SpecError) as caught:
        loaded(tmp_path, kind, changes)
    return str(caught.value)


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"negative_controls": []}, "there are no negative controls to calibrate by"),
        ({"negative_controls.0.code_list": "gi_bleed"}, "gi_bleed is an arm, the outcome, or another"),
        ({"negative_controls.0.code_list": "fracture_rib"}, "fracture_rib is an arm, the outcome, or"),
        ({"negative_controls.0.code_list": "fracture_toe"}, "code lists ['fracture_toe'] are used but"),
        ({"negative_controls.0": {"name": TEXT, "cohort": "fall"}}, "cohort 'fall' is not defined"),
        ({"analyses.5.calibrate": True}, "method kaplan_meier gives no ratio or difference"),
        ({"analyses.5.e_value": True}, "method kaplan_meier gives no effect that has an E-value"),
        ({"analyses.0.missing_data": {"method": "missing_indicator"}}, "missing_data is of the columns"),
        ({"analyses.0.subgroups": ["sex"]}, "subgroups are of an analysis_table"),
        ({"analyses.0.id": "negative_controls"}, "analysis id negative_controls is taken"),
    ],
)  # fmt: skip
def test_a_comparison_of_the_lake(tmp_path, changes, what):
    assert what in says(tmp_path, "drug", changes)


def test_controls_need_a_comparison(tmp_path):
    changes = dict.fromkeys(("design", "target", "comparator", "outcome"))
    assert "negative controls belong to a comparison" in says(tmp_path, "drug", changes)


def pair(pair_id="steroids", target="naproxen", comparator="ibuprofen"):
    arms = {"target": target, "comparator": comparator}
    named = {role: {"name": TEXT, "code_list": code_list} for role, code_list in arms.items()}
    return [{"id": pair_id, "name": TEXT, **named}]


LISTS = {
    f"code_lists.{11 + place}": {
        "id": name, "concepts": [concept], "include_descendants": False, "source": "drawn",
    }
    for place, (name, concept) in enumerate((("naproxen", 1115008), ("ibuprofen", 1177480)))
}  # fmt: skip


@pytest.mark.parametrize(
    ("pairs", "what"),
    [
        (pair("gi_bleed"), "gi_bleed is an arm, the outcome, or another negative control"),
        (pair() + pair(), "two entries of negative_control_exposures have the same id"),
        (pair(target="celecoxib", comparator="diclofenac"), "is the comparison of the study"),
        (pair(target="aspirin"), "code lists ['aspirin'] are used but not defined"),
        (pair(target="gi_bleed"), "arms, image and outcome need a code list each"),
        ([{"id": "p", "name": TEXT, "target": {"name": TEXT, "shown": True},
           "comparator": {"name": TEXT, "shown": False}}], "target needs code_list"),
    ],
)  # fmt: skip
def test_pairs_of_arms_that_are_controls(tmp_path, pairs, what):
    assert what in says(tmp_path, "drug", LISTS | {"negative_control_exposures": pairs})


def test_pairs_alone_are_enough_to_calibrate_by(tmp_path):
    changes = LISTS | {"negative_controls": [], "negative_control_exposures": pair()}
    spec = loaded(tmp_path, "drug", changes)
    [(schema, found, alike)] = spec.exposed
    assert (schema, found.id) == ("control_exposure_0", "steroids")
    assert [arm.id for arm in alike.arms] == ["naproxen", "ibuprofen"]
    assert alike.exposed == ()
    assert spec.spec_hash != loaded(tmp_path, "drug", {}).spec_hash


def test_what_is_asked_rightly_is_accepted(tmp_path):
    spec = loaded(tmp_path, "drug", CALIBRATE)
    assert [c.id for c in spec.negative_controls][:2] == ["fracture_vertebra", "fracture_ankle"]


ROLES = {"follow_up": {"column": "t", "unit": "days"}, "event": "e", "treatment": "arm"}
PEOPLE = {
    "id": "t", "kind": "analysis_table", "roles": ROLES,
    "columns": {"arm": {"category": ["a", "b"]}, "age": "number", "sex": {"category": ["m", "f"]}},
}  # fmt: skip
EFFECTS = {
    "id": "t", "kind": "effect_table", "columns": {"c": "boolean", "d": "number"},
    "roles": {"study": "s", "estimate": "y", "std_error": "se", "scale": "log"},
}  # fmt: skip
COUNTS = EFFECTS | {"roles": {"study": "s", "target_events": "a", "target_total": "n",
                              "comparator_events": "b", "comparator_total": "m"}}  # fmt: skip
COX = {"method": "cox", "ties": "efron", "terms": "arm + age"}
BIAS = {
    "kind": "unmeasured_confounder",
    "ratio": 2.0,
    "prevalence_target": 0.4,
    "prevalence_comparator": 0.2,
}
SPREAD = {"distribution": "uniform", "low": 0.1, "high": 0.4}
DRAWN = BIAS | {"prevalence_target": SPREAD}


def faults_of_table(source, analysis):
    from pydantic import ValidationError

    from tasks.core.spec import StudySpec
    from tasks.core.spec.checks import faults_of

    body = {
        "spec_version": 1, "study": {"id": "s", "title": TEXT},
        "sources": [{"site_id": "S", "table": "r", "missing": "complete_case", "na": ["NA"]} | copy.deepcopy(source)],
        "analyses": [{"id": "a", "role": "primary", "source": "t"} | copy.deepcopy(analysis)],
    }  # fmt: skip
    try:
        return [fault.what for fault in faults_of(StudySpec.model_validate(body))]
    except ValidationError as exc:
        return [str(exc)]


@pytest.mark.parametrize(
    ("source", "analysis", "what"),
    [
        (PEOPLE, COX | {"calibrate": True}, "calibrate belongs to the arms of the lake"),
        (PEOPLE, COX | {"terms": "age", "subgroups": ["sex"]}, "treatment arm is not among the terms"),
        (PEOPLE, COX | {"subgroups": ["age"]}, "column age is not declared as category or boolean"),
        (PEOPLE, COX | {"subgroups": ["arm"]}, "arm is the treatment itself"),
        (PEOPLE, COX | {"subgroups": ["sex"], "missing_data": {"method": "missing_indicator"}},
         "subgroups of imputed rows are not made yet"),
        (PEOPLE | {"roles": {k: v for k, v in ROLES.items() if k != "treatment"}},
         COX | {"subgroups": ["sex"]}, "has no such role"),
        (PEOPLE, COX | {"missing_data": {"method": "multiple_imputation"}}, "seed"),
        (PEOPLE, {"method": "kaplan_meier", "missing_data": {"method": "missing_indicator"}},
         "missing_data is of the columns in terms"),
        (EFFECTS, {"method": "empirical_calibration"}, "needs control"),
        (EFFECTS, {"method": "empirical_calibration", "control": "d"}, "column d is not declared as boolean"),
        (COUNTS, {"method": "empirical_calibration", "control": "c"}, "source t has counts"),
        (EFFECTS, {"method": "e_value", "measure": "mean_difference"}, "does not go with scale log"),
        (EFFECTS | {"roles": EFFECTS["roles"] | {"scale": "identity"}},
         {"method": "e_value", "measure": "risk_ratio"}, "does not go with scale identity"),
        (EFFECTS, {"method": "bias_analysis", "bias": BIAS}, "needs counts of both arms"),
        (COUNTS, {"method": "bias_analysis", "bias": DRAWN}, "say how often it is drawn"),
        (COUNTS, {"method": "bias_analysis"}, "needs bias"),
        (COUNTS, {"method": "bias_analysis", "bias": BIAS, "seed": 0}, "nothing is drawn"),
        (PEOPLE, {"method": "parametric_survival", "distribution": "weibull", "terms": "arm",
                  "e_value": True}, "gives no effect that has an E-value"),
        (PEOPLE, {"method": "parametric_survival", "distribution": "gompertz", "by": "arm",
                  "e_value": True}, "gives no effect that has an E-value"),
        (PEOPLE, COX | {"stabilised": False}, "does not use stabilised"),
        (COUNTS, {"method": "bias_analysis", "bias": BIAS | {"ratio": 0}}, "ratio is a number above 0"),
        (COUNTS, {"method": "bias_analysis", "bias": BIAS | {"prevalence_target": 1.5}}, "at most 1"),
        (COUNTS, {"method": "bias_analysis",
                  "bias": BIAS | {"prevalence_target": SPREAD | {"low": 0.5}}}, "do not rise"),
    ],
)  # fmt: skip
def test_a_registry_table(source, analysis, what):
    assert any(what in said for said in faults_of_table(source, analysis)), faults_of_table(
        source, analysis
    )


@pytest.mark.parametrize(
    ("source", "analysis"),
    [
        (PEOPLE, COX | {"subgroups": ["sex"], "e_value": True}),
        (PEOPLE, {"method": "incidence_rate", "subgroups": ["sex"]}),
        (EFFECTS, {"method": "empirical_calibration", "control": "c", "measure": "hazard_ratio"}),
        (COUNTS, {"method": "bias_analysis", "bias": DRAWN, "draws": 1000, "seed": 0}),
    ],
)
def test_what_can_be_done_is_accepted(source, analysis):
    assert faults_of_table(source, analysis) == []
