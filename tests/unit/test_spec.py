"""A study is refused precisely, and its identity does not depend on how it is written."""

import json
from pathlib import Path

import pytest
import yaml

from tasks.core.errors import SpecError, UsageError
from tasks.core.paths import PROJECT_ROOT, STUDIES_DIR
from tasks.core.spec import load_study, study_ids, study_schema

STUDY = "gibleed_celecoxib_diclofenac"
TEXT = (STUDIES_DIR / f"{STUDY}.yaml").read_text(encoding="utf-8")


def changed(tmp_path, *changes):
    text = TEXT
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    file = tmp_path / "mine.yaml"
    file.write_text(text, encoding="utf-8")
    return str(file)


@pytest.mark.parametrize("study", study_ids())
def test_every_study_in_the_repository_is_valid(study):
    assert load_study(study).study.id == study


def test_order_comments_and_layout_do_not_change_the_identity(tmp_path):
    body = yaml.safe_load(TEXT)
    file = tmp_path / "mine.yaml"
    file.write_text(json.dumps(dict(reversed(body.items())), default=str), encoding="utf-8")
    assert load_study(str(file)).spec_hash == load_study(STUDY).spec_hash


def test_a_changed_number_is_another_study(tmp_path):
    other = load_study(
        changed(tmp_path, ("prior_observation_days: 183", "prior_observation_days: 184"))
    )
    assert other.spec_hash != load_study(STUDY).spec_hash


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("min_share: 0.02", "min_shar: 0.02", "covariates.2.min_shar: Extra inputs"),
        ("min_share: 0.02", "min_share: '0.02'", "covariates.2.min_share: Input should be a valid"),
        ("min_share: 0.02", "min_share: 0.7", "less than 0.5"),
        ("id: log_rank", "id: 'log; drop table person'", "E_SPEC_IDENTIFIER"),
        ("code_list: diclofenac", "code_list: ibuprofen", "['ibuprofen'] are used but not defined"),
        ("id: km_overlap", "id: km_crude", "two entries of analyses have the same id"),
        (
            "adjustment: overlap, ties: efron, std_error: robust",
            "adjustment: overlap, ties: efron, std_error: model",
            "need std_error: robust",
        ),
        ("window_end_days: -1\n", "window_end_days: 0\n", "less than or equal to -1"),
        ("horizon_days: 30", "table_days: [30]", "method rmst needs horizon_days"),
        ("spec_version: 1", "spec_version: 2", "spec_version"),
        (
            "{id: log_rank, role: secondary, method: log_rank, adjustment: none}",
            "{id: log_rank, role: secondary, method: log_rank, adjustment: overlap}",
            "has no weighted form",
        ),
        (
            "{id: log_rank, role: secondary, method: log_rank, adjustment: none}",
            "{id: log_rank, role: secondary, method: log_rank, adjustment: none, horizon_days: 9}",
            "does not use horizon_days",
        ),
        (
            "{anchor: era_start, offset_days: 0}",
            "{anchor: era_start, offset_days: -5}",
            "before time zero",
        ),
        (
            "risk_end: {anchor: era_end, offset_days: 30}",
            "risk_end: {anchor: era_start, offset_days: -1}",
            "before risk_start",
        ),
        ("exclude: [gi_bleed]", "exclude: [gi_bled]", "['gi_bled'] are used but not defined"),
        ("  code_list: diclofenac", "  code_list: celecoxib", "a code list each of their own"),
        ("id: log_rank, role", "id: attrition, role", "taken by descriptive results"),
        ("id: km_crude, role: secondary", "id: km_crude, role: primary", "are all primary"),
        ("offset_days: 30", "offset_days: 99999999999999999999", "readers disagree"),
        ("{id: sex, kind: sex}", "{id: age2, kind: age, method: calendar_year}", "stand twice"),
    ],
)
def test_faults_are_named(tmp_path, old, new, told):
    with pytest.raises(SpecError) as caught:
        load_study(changed(tmp_path, (old, new)))
    assert told in str(caught.value)
    assert "mine.yaml:" in str(caught.value)
    assert caught.value.exit_code == 11


def test_all_faults_at_once_each_with_its_line(tmp_path):
    file = changed(
        tmp_path, ("min_share: 0.02", "min_share: 3.5"), ("threshold: 20,", "threshold: -1,")
    )
    with pytest.raises(SpecError) as caught:
        load_study(file)
    lines = Path(file).read_text(encoding="utf-8").splitlines()
    places = [int(message.where.split(":")[1]) for message in caught.value.messages]
    assert [("min_share" in lines[p - 1], "events" in lines[p - 1]) for p in places] == [
        (True, False),
        (False, True),
    ]


def test_an_unknown_study_names_the_known_ones():
    with pytest.raises(UsageError, match=f"known studies: .*{STUDY}"):
        load_study("gibleed")


def test_the_published_schema_is_that_of_the_code():
    published = (PROJECT_ROOT / "docs" / "study.schema.json").read_text(encoding="utf-8")
    assert published == study_schema(), "run `make docs`"
