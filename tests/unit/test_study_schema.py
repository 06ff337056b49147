"""The published JSON Schema takes what the models take, and refuses what it can express."""

import json

import jsonschema
import pytest
import yaml

from tasks.core.paths import PROJECT_ROOT, STUDIES_DIR
from tasks.core.spec import study_ids
from tests.unit.test_broken_specs import BASE, CASES, broken

SCHEMA = json.loads((PROJECT_ROOT / "docs" / "study.schema.json").read_text(encoding="utf-8"))
VALID = {study: (STUDIES_DIR / f"{study}.yaml").read_text("utf-8") for study in study_ids()}
# What a schema cannot say: how keys agree with one another, files, days, and YAML itself.
SEEN = """
unknown_key unknown_block missing_key missing_block wrong_version text_for_number truth_for_number
number_out_of_bounds text_for_list text_too_long list_too_long sql_in_an_id quote_in_a_column
look_alike_letter path_leaves absolute_path backslash_path wrong_domain count_what_is_not_there
age_without_method unknown_sex nth_zero unknown_limit observation_word observation_half
era_without_list unknown_end end_without_type entry_without_events misspelt_kind two_kinds_in_one
condition_is_a_word concept_as_text no_provenance code_is_a_number code_with_quote a_list a_word
""".split()


def as_json(text):
    return json.loads(json.dumps(yaml.safe_load(text), default=str))


def is_valid(text):
    return jsonschema.Draft202012Validator(SCHEMA).is_valid(as_json(text))


def test_the_schema_is_a_schema():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("study", [*VALID, "base"])
def test_a_valid_study_is_valid_under_the_schema(study):
    assert is_valid(VALID.get(study, BASE))


@pytest.mark.parametrize("case", [c for c in CASES if c["id"] in SEEN], ids=lambda c: c["id"])
def test_the_schema_refuses_what_it_can_express(case):
    assert not is_valid(broken(case))


def test_every_case_named_here_exists():
    assert set(SEEN) <= {case["id"] for case in CASES}


def test_the_schema_takes_a_value_at_each_bound():
    """Both sides of a bound: what the models take, the schema takes, and no more."""
    for number, is_in in ((1, True), (36_500, True), (0, False), (36_501, False)):
        assert is_valid(BASE.replace("washout_days: 180", f"washout_days: {number}")) == is_in
