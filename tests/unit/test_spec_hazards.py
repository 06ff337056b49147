"""What models of hazards cannot give is refused by name, in tables and in the lake."""

import pytest

from tasks.core.errors import SpecError
from tasks.core.paths import STUDIES_DIR
from tasks.core.spec import load_study
from tests.unit.test_spec_tables import COX, ROLES, changed

WEIGHT = (ROLES, ROLES + "      weight: w\n")
GRAY = 'source: t, method: fine_gray, terms: "age + sex", variant: '
EXACT = COX.replace("efron", "exact")
AT = 'predict: {at: {age: 60, sex: "1"}, days: [30]}'
IN_CENTER = AT.replace("60,", '60, center: "3",')
RIDGE = "penalty: {kind: ridge, theta: 2}"


@pytest.mark.parametrize("analysis", [
    EXACT, f"{GRAY}crr", f"{GRAY}finegray_cluster, strata: [center], cluster: id",
    f"{COX}, {AT}", f"{EXACT}, {AT}", f"{COX}, {IN_CENTER}, strata: [center]", f"{COX}, {RIDGE}, strata: [center]",
])  # fmt: skip
def test_what_can_be_asked(tmp_path, analysis):
    load_study(changed(tmp_path, (COX, analysis)))


@pytest.mark.parametrize(
    ("analysis", "told"),
    [
        (f"{EXACT}, cluster: id", "the exact likelihood of ties takes no cluster"),
        (f"{EXACT}, std_error: robust", "takes no std_error robust"),
        ('source: t, method: fine_gray, terms: "age"', "method fine_gray needs variant"),
        (f"{GRAY}sas", "crr or finegray_cluster"),
        (f"{GRAY}crr, strata: [center]", "variant crr takes no strata"),
        (f"{GRAY}crr, cluster: id", "variant crr takes no cluster"),
        (f"{GRAY}crr, ties: efron", "method fine_gray does not use ties"),
        (f"{COX}, variant: crr", "method cox does not use variant"),
        (f"{COX}, {AT}, strata: [center]", "predict.at: center has no value"),
        (f"{COX}, {AT.replace('60,', '60, center: 3,')}, strata: [center]", "which is no text"),
        (f"{COX}, {AT.replace('age: 60, ', '')}", "predict.at: age has no value"),
        (f"{COX}, {AT.replace('age', 'bmi')}", "bmi is not among the terms"),
        (f"{COX}, {AT.replace('60', 'old')}", "predict.at.age: age is a number"),
        (f"{COX}, {AT.replace('60', 'true')}", "predict.at.age: age is a number"),
        (f"{COX}, {AT.replace('1', '3')}", "'3' is no level of sex"),
        (f"{COX}, {AT.replace('[30]', '[]')}", "predict.days"),
        (f"{COX}, {RIDGE}, cluster: id", "a penalised model takes no cluster"),
        (f"{COX}, {RIDGE}, std_error: robust", "takes no std_error robust"),
        (f"{COX}, {RIDGE}, {AT}", "takes no prediction"),
        (f"{EXACT}, {RIDGE}", "takes no ties exact"),
        (f"{COX}, {RIDGE.replace('2', '0')}", "greater than 0"),
        (f"{COX}, {RIDGE.replace('ridge', 'lasso')}", "not ridge"),
    ],
)
def test_what_has_no_form_is_refused(tmp_path, analysis, told):
    with pytest.raises(SpecError) as refused:
        load_study(changed(tmp_path, (COX, analysis)))
    assert told in str(refused.value)
    assert refused.value.exit_code == 11


@pytest.mark.parametrize(
    ("analysis", "told"),
    [
        (f"{EXACT}, std_error: model", "takes no weights"),
        (f"{GRAY}crr", "variant crr takes no weights"),
        (f"{COX}, std_error: model, {RIDGE}", "a penalised model takes no weights"),
    ],
)
def test_weights_are_refused(tmp_path, analysis, told):
    with pytest.raises(SpecError, match=told):
        load_study(changed(tmp_path, WEIGHT, (COX, analysis)))


def in_the_lake(tmp_path, analysis):
    text = (STUDIES_DIR / "gibleed_celecoxib_diclofenac.yaml").read_text(encoding="utf-8")
    old = "{id: log_rank, role: secondary, method: log_rank, adjustment: none}"
    assert old in text
    file = tmp_path / "mine.yaml"
    file.write_text(
        text.replace(old, f"{{id: log_rank, role: secondary, {analysis}}}"), encoding="utf-8"
    )
    return load_study(str(file))


@pytest.mark.parametrize(
    "analysis",
    ["adjustment: none, variant: crr", "adjustment: iptw_ate, variant: finegray_cluster",
     "adjustment: matched, variant: finegray_cluster"],
)  # fmt: skip
def test_arms_of_the_lake_can_be_compared(tmp_path, analysis):
    spec = in_the_lake(tmp_path, f"method: fine_gray, {analysis}")
    assert "fine_gray" in {a.method for a in spec.analyses}


@pytest.mark.parametrize(
    ("analysis", "told"),
    [
        ("method: fine_gray, adjustment: iptw_ate, variant: crr", "no adjustment iptw_ate"),
        ("method: fine_gray, adjustment: none", "method fine_gray needs variant"),
        ("method: fine_gray, adjustment: none, variant: crr, terms: age", "belong to the analysis"),
        ("method: cox, adjustment: matched, ties: exact, std_error: robust", "no adjustment matched"),
        (f"method: cox, adjustment: none, ties: efron, std_error: model, {RIDGE}", "belong to the"),
    ],
)  # fmt: skip
def test_arms_of_the_lake_cannot_have(tmp_path, analysis, told):
    with pytest.raises(SpecError, match=told):
        in_the_lake(tmp_path, analysis)
