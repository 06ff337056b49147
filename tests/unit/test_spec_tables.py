"""A study of registry tables is refused by name where its parts do not fit, and told how to mend it."""

import re
from typing import get_args

import pytest
import yaml

from tasks.core.errors import SpecError
from tasks.core.paths import PROJECT_ROOT, STUDIES_DIR
from tasks.core.spec import load_study, study_ids
from tasks.core.spec.load import check_study
from tasks.core.spec.methods import ALL_KINDS, RULES
from tasks.core.spec.sources import TableSource

EXAMPLES = sorted((STUDIES_DIR / "examples").glob("*.yaml"))
TEXT = """
spec_version: 1
study: {id: lung_survival, title: {en: "Lung", ko: "폐"}}
sources:
  - id: t
    kind: analysis_table
    site_id: S
    table: lung
    missing: complete_case
    roles:
      person_id: id
      follow_up: {column: time, unit: days}
      event: {column: status, codes: {"1": 0, "2": 1}}
    columns: {age: number, sex: {category: ["1", "2"]}, day: date}
  - id: two
    kind: two_by_two_table
    site_id: S
    table: counts
    missing: refuse
    roles: {tp: TP, fp: FP, fn: FN, tn: TN}
analyses:
  - {id: a1, role: primary, source: t, method: cox, terms: "age + sex", ties: efron}
  - {id: acc, role: secondary, source: two, method: accuracy}
"""
COX = 'source: t, method: cox, terms: "age + sex", ties: efron'
ROLES = "      person_id: id\n"


def changed(tmp_path, *changes):
    text = TEXT
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    file = tmp_path / "mine.yaml"
    file.write_text(text, encoding="utf-8")
    return str(file)


def test_it_is_a_study(tmp_path):
    spec, messages = check_study(changed(tmp_path))
    assert [kind.kind for kind in spec.tables] == ["analysis_table", "two_by_two_table"]
    assert spec.lake is None
    assert messages == []


REFUSALS = [
    (COX, 'source: t, method: cox, terms: "age + bmi", ties: efron', "analyses.0.terms: term bmi is not among the columns"),
    (COX, 'source: t, method: cox, terms: "age + day", ties: efron', "term day is date"),
    (COX, 'source: t, method: cox, terms: "age + log(sex)", ties: efron', "column sex is category: it has no log"),
    (COX, 'source: t, method: cox, terms: "age + age:sex", ties: efron', "age:sex stands without sex"),
    (COX, 'source: t, method: cox, terms: "age - 1", ties: efron', "terms, character 5"),
    (COX, "source: t, method: cox, ties: efron", "method cox needs terms"),
    (COX, 'source: t, method: cox, terms: "age"', "method cox needs ties"),
    (COX, "source: u, method: cox, terms: age, ties: efron", "u is not a registry table"),
    (COX, 'method: log_rank, adjustment: none', "the study has no lake"),
    (COX, 'method: kaplan_meier, source: t, adjustment: matched', "has no role treatment"),
    (COX, 'method: kaplan_meier, source: t, adjustment: matched', "needs propensity"),
    (COX, 'method: kaplan_meier, source: t, adjustment: overlap, ratio: 2', "does not use ratio"),
    (COX, 'method: logistic, source: t, terms: age, adjustment: overlap', "takes no adjustment"),
    (COX, 'method: log_rank, source: t, adjustment: overlap', "has no weighted form"),
    (COX, 'method: kaplan_meier, source: t, terms: age', "does not use terms"),
    (COX, 'method: kaplan_meier, source: t, by: age', "column age is not declared as category or boolean"),
    (COX, 'method: log_rank, source: t', "log_rank compares groups"),
    (COX, 'method: logistic, source: t, terms: age', "logistic needs the role outcome"),
    (COX, 'method: risk, source: t, by: sex', "risk needs the role outcome"),
    (COX, 'method: linear, source: t', "method linear needs terms"),
    (COX, 'method: linear, source: t, terms: age, hc: HC9, std_error: robust', "HC3, HC4, HC4m or HC5"),
    (COX, 'method: poisson, source: t, terms: age, hc: HC1', "hc is a kind of robust standard errors"),
    (COX, 'method: poisson, source: t, terms: age, cr: CR1', "no cluster is named"),
    (COX, 'method: poisson, source: t, terms: age, cluster: id, std_error: robust, hc: HC1', "hc takes rows as independent"),
    (COX, 'method: poisson, source: t, terms: age, exposure: time', "is its person-time already"),
    (COX, 'method: poisson, source: t, terms: age, std_error: profile_likelihood', "no standard errors of kind profile_likelihood"),
    (COX, 'method: gee, source: t, terms: age, family: binomial, correlation: ar1', "method gee needs cluster"),
    (COX, 'method: gee, source: t, terms: age, family: quasi_poisson, correlation: ar1, cluster: id', "gee has no family quasi_poisson"),
    (COX, 'method: gee, source: t, terms: age, family: binomial, correlation: ar1, cluster: id', "ar1 needs the order"),
    (COX, 'method: gee, source: t, terms: age, family: binomial, correlation: ar1, cluster: id, wave: sex', "column sex is not declared as number"),
    (COX, 'method: interrupted_time_series, source: t, family: gaussian', "method interrupted_time_series does not exist for a analysis_table"),
    (COX, 'method: accuracy, source: t', "method accuracy does not exist for a analysis_table"),
    ("source: two, method: accuracy", "source: two, method: rmst, horizon_days: 9", "method rmst does not exist for a two_by_two_table"),
    (COX, f"{COX}, cluster: id, std_error: model", "cluster makes standard errors robust"),
    (ROLES, ROLES + "      weight: w\n", "source t has weights: say how standard errors are made"),
    (ROLES, ROLES + "      start: {column: e, unit: days}\n", "start and stop belong together"),
    (ROLES, ROLES + "      treatment: bmi\n", "role treatment needs column bmi under `columns` as category"),
    (ROLES, ROLES + "      covariates: [bmi]\n", "role covariates needs column bmi"),
    (ROLES, ROLES + "      time_varying: [age]\n", "time_varying columns need start and stop"),
    (ROLES, ROLES + "      weight: time\n", "column time has the role"),
    (ROLES, "      person_id: 'a\"b'\n", "E_SPEC_IDENTIFIER"),
    (ROLES, "      person_id: ' id'\n", "blanks around it"),
    (ROLES, f"      person_id: {'x' * 64}\n", "E_SPEC_IDENTIFIER"),
    ("    missing: complete_case\n", "", "sources.0.missing: the key is missing"),
    ("table: lung", "table: 'a; drop table b'", "E_SPEC_IDENTIFIER"),
    ('category: ["1", "2"]', 'category: ["1", "1"]', "a level stands twice"),
    ('category: ["1", "2"]', "category: [1, 2]", "columns.sex.category.0: is 1, not text"),
    ('"2": 1', '"2": 3', "less than or equal to 2"),
    ('"2": 1', '"2": true', "is True, not a whole number"),
    ("unit: days", "unit: fortnights", "days, weeks, months or years"),
    ("kind: two_by_two_table", "kind: two_by_three_table", "sources.1.kind: is 'two_by_three_table', which is none of the kinds"),
    ("tn: TN", "tn: TN, study: s, site: c", "a row is of a study or of a site"),
    ("analyses:", "gates: [{name: events, threshold: 9, on_miss: block}]\nanalyses:", "gates judge the arms"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "told"), REFUSALS)
def test_what_does_not_fit_is_refused_with_a_fix(tmp_path, old, new, told):
    with pytest.raises(SpecError) as refused:
        load_study(changed(tmp_path, (old, new)))
    assert told in str(refused.value)
    assert refused.value.exit_code == 11
    assert all(message.fix and "mine.yaml:" in message.where for message in refused.value.messages)


@pytest.mark.parametrize("method", ["gray_test"])
def test_gray_test_takes_no_late_entry_and_says_so(tmp_path, method):
    late = (ROLES, ROLES + "      entry: {column: e, unit: days}\n")
    load_study(changed(tmp_path, late))
    with pytest.raises(SpecError, match=f"method {method} does not take rows with entry yet"):
        load_study(changed(tmp_path, late, (COX, f"source: t, method: {method}")))


def test_clusters_that_are_not_used_are_doubtful(tmp_path):
    _, [doubt] = check_study(changed(tmp_path, (ROLES, ROLES + "      cluster: center\n")))
    assert (doubt.code, "clustered by center" in doubt.what) == ("W_TABLE_CLUSTER", True)


def test_an_analysis_of_the_lake_still_says_how_it_adjusts(tmp_path):
    text = (STUDIES_DIR / "gibleed_celecoxib_diclofenac.yaml").read_text(encoding="utf-8")
    file = tmp_path / "mine.yaml"
    old = "{id: log_rank, role: secondary, method: log_rank, adjustment: none}"
    assert old in text
    file.write_text(text.replace(old, old.replace(", adjustment: none", "")), encoding="utf-8")
    with pytest.raises(SpecError, match="adjustment is missing"):
        load_study(str(file))


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)
def test_every_example_is_valid(file):
    spec, messages = check_study(str(file))
    assert spec.study.id == file.stem
    assert messages == []


def test_the_study_of_the_document_is_valid(tmp_path):
    page = (PROJECT_ROOT / "docs" / "sources.md").read_text(encoding="utf-8")
    [block] = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    file = tmp_path / "page.yaml"
    file.write_text(block, encoding="utf-8")
    assert [a.id for a, _ in load_study(str(file)).table_analyses] == ["a1"]


def test_the_document_names_every_role_method_and_kind():
    page = (PROJECT_ROOT / "docs" / "sources.md").read_text(encoding="utf-8")
    roles = {
        name
        for kind in get_args(TableSource)
        for name in kind.model_fields["roles"].annotation.model_fields
    }
    hidden = {"target_non_events", "target_total", "comparator_non_events", "comparator_total"}
    wanted = (roles - hidden) | set(ALL_KINDS) | set(RULES)
    assert {name for name in wanted if f"`{name}`" not in page and f"`{name}:" not in page} == set()


def test_there_is_an_example_of_every_kind_and_none_runs_by_itself():
    kinds = {
        source["kind"]
        for file in EXAMPLES
        for source in yaml.safe_load(file.read_text("utf-8"))["sources"]
    }
    assert kinds >= {
        "analysis_table", "reading_table", "two_by_two_table", "effect_table",
        "cost_history_table", "psa_table", "series_table",
    }  # fmt: skip
    assert not {file.stem for file in EXAMPLES} & set(study_ids())


READINGS_OF_SUBGROUPS = """
spec_version: 1
study: {id: s, title: {en: S, ko: 에스}}
sources:
  - id: r
    kind: reading_table
    site_id: S
    table: t
    missing: complete_case
    roles: {case_id: case, truth: truth, score: score, site: site}
    columns: {sex: {category: [F, M]}, age: number}
analyses:
  - {id: a, role: primary, source: r, method: accuracy, index_test: {threshold: 1}, subgroups: [sex]}
  - {id: b, role: secondary, source: r, method: leave_one_centre_out, index_test: {threshold: 1},
     subgroups: [sex]}
"""


def test_readings_have_subgroups_of_cases(tmp_path):
    file = tmp_path / "s.yaml"
    file.write_text(READINGS_OF_SUBGROUPS, "utf-8")
    assert [a.subgroups for a in load_study(file).analyses] == [("sex",), ("sex",)]


def test_subgroups_of_readings_are_categories(tmp_path):
    file = tmp_path / "s.yaml"
    file.write_text(READINGS_OF_SUBGROUPS.replace("[sex]", "[age]"), "utf-8")
    with pytest.raises(SpecError, match="declare age under columns as boolean or category"):
        load_study(file)
