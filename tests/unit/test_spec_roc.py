"""Curves and operating points that cannot be made are refused by name, with what to do."""

import pytest

from tasks.core.errors import SpecError
from tasks.core.spec.load import check_study

TEXT = """
spec_version: 1
study: {id: device, title: {en: "Device", ko: "기기"}}
sources:
  - id: readings
    kind: reading_table
    site_id: S
    table: readings
    missing: refuse
    roles: {case_id: image, truth: cancer, score: probability}
    columns: {sex: {category: [F, M]}, age: number, phase: {category: [tuning, testing, spare]}}
analyses:
  - {id: curve, role: primary, source: readings, method: roc, subgroups: [sex], seed: 1,
     roc: {parts: [{of: specificity, low: 0.9}], at_specificity: [0.9]}}
  - {id: point, role: secondary, source: readings, method: operating_point, seed: 1,
     operating_point: {chosen_by: youden, set: phase, development: tuning, validation: testing}}
"""


def changed(tmp_path, old="", new=""):
    assert old in TEXT
    file = tmp_path / "mine.yaml"
    file.write_text(TEXT.replace(old, new), encoding="utf-8")
    return str(file)


def test_it_is_a_study(tmp_path):
    assert check_study(changed(tmp_path))[1] == []


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (", score: probability", "", "needs the role score"),
        ("subgroups: [sex]", "subgroups: [age]", "column age is not declared as category"),
        ("subgroups: [sex], seed: 1,", "", "no seed is given"),
        ("subgroups: [sex]", "bootstrap_interval: bca", "not bca"),
        ("subgroups: [sex]", "index_test: {prevalences: [0.1]}", "no predictive values"),
        ("subgroups: [sex]", "gates: all", "roc has no gates"),
        ("low: 0.9", "low: 0.0", "the whole curve"),
        ("low: 0.9", "low: 0.9, high: 0.8", "low has to lie below high"),
        ("validation: testing", "validation: tuning", "are the same cases"),
        ("validation: testing", "validation: later", "later is no level of column phase"),
        ("set: phase", "set: age", "column age is not declared as category"),
        ("chosen_by: youden", "chosen_by: sensitivity", "chosen_by sensitivity needs at_least"),
        (
            "chosen_by: youden",
            "chosen_by: youden, at_least: 0.9",
            "chosen_by youden takes no at_least",
        ),
        ("chosen_by: youden", "chosen_by: cost, cost_ratio: 5", "chosen_by cost needs prevalence"),
        ("operating_point, seed: 1,", "operating_point,", "needs seed"),
        (
            "method: operating_point, seed: 1,",
            "method: operating_point, seed: 1, index_test: {threshold: 0.5},",
            "chooses the threshold itself",
        ),
        (
            "method: operating_point, seed: 1,",
            "method: operating_point, seed: 1, subgroups: [sex],",
            "operating_point has no subgroups",
        ),
        (
            "     roc: {parts: [{of: specificity, low: 0.9}], at_specificity: [0.9]}}",
            "     operating_point: {chosen_by: youden, set: phase, development: tuning, validation: testing}}",
            "method roc does not use operating_point",
        ),
    ],
)
def test_what_cannot_be_done_is_refused_by_name(tmp_path, old, new, said):
    with pytest.raises(SpecError, match=said):
        check_study(changed(tmp_path, old, new))


def test_a_bootstrap_without_a_seed_is_refused(tmp_path):
    old = "subgroups: [sex], seed: 1,\n     roc: {parts: [{of: specificity, low: 0.9}], at_specificity: [0.9]}}"  # fmt: skip
    with pytest.raises(SpecError, match="replicates is of the bootstrap, which needs a seed"):
        check_study(changed(tmp_path, old, "replicates: 500}"))
