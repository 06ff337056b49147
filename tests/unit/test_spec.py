"""A study is refused precisely, and its identity does not depend on how it is written."""

import json
import re
from pathlib import Path

import pytest
import yaml

from tasks.core.errors import SpecError, UsageError
from tasks.core.paths import PROJECT_ROOT, STUDIES_DIR
from tasks.core.spec import check_study, load_study, study_ids, study_schema
from tests.unit.test_broken_specs import BASE, in_folder

STUDY = "gibleed_celecoxib_diclofenac"
TEXT = (STUDIES_DIR / f"{STUDY}.yaml").read_text(encoding="utf-8")
DEVICE_TEXT = (STUDIES_DIR / "ai_cxr_triage.yaml").read_text(encoding="utf-8")


def changed(tmp_path, *changes, text=TEXT):
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


def upside_down(value):
    if isinstance(value, dict):
        return {key: upside_down(item) for key, item in reversed(value.items())}
    return [upside_down(item) for item in value] if isinstance(value, list) else value


def test_the_identity_of_cohorts_does_not_depend_on_how_they_are_written(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    first = in_folder(tmp_path / "a", BASE)
    body = upside_down(yaml.safe_load(BASE))
    second = in_folder(tmp_path / "b", json.dumps(body, default=str, indent=3))
    second.write_text(re.sub(r'"(\d{4}-\d\d-\d\d)"', r"\1", second.read_text("utf-8")), "utf-8")
    assert load_study(str(second)).spec_hash == load_study(str(first)).spec_hash


def test_a_file_that_the_study_names_counts_with_what_is_in_it(tmp_path):
    file = in_folder(tmp_path, BASE)
    before = load_study(str(file)).spec_hash
    (tmp_path / "lists" / "row.csv").write_text("a file that is not named", encoding="utf-8")
    assert load_study(str(file)).spec_hash == before
    (tmp_path / "lists" / "ward.csv").write_text("concept_id\n9203\n", encoding="utf-8")
    assert load_study(str(file)).spec_hash != before


def test_a_changed_number_is_another_study(tmp_path):
    other = load_study(
        changed(tmp_path, ("prior_observation_days: 183", "prior_observation_days: 184"))
    )
    assert other.spec_hash != load_study(STUDY).spec_hash


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("min_share: 0.02", "min_shar: 0.02", "covariates.2.min_shar: min_shar is no key"),
        ("min_share: 0.02", "min_share: '0.02'", "covariates.2.min_share: is '0.02', not a number"),
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


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('udi_di: "08800000000017"', "udi_di: 08800000000017", "readers disagree"),
        (
            'versions: ["1.0", "2.0"]',
            "versions: [1.0]",
            "device.versions.0: is 1.0, not text",
        ),
        ("site_prefix: sim-", "site_prefix: sim-, sites: [sim-01]", "keep one of them"),
        ("site_prefix: sim-", "site_prefix: 'sim%'", "E_SPEC_IDENTIFIER"),
        ("{start: 2024-01-01, end: 2025-12-31}", "{start: 2024-01-01, end: 2023-12-31}", "ends on"),
        (
            "{start: 2024-01-01, end: 2025-12-31}",
            "{start: 2024-01-01}",
            "enrolment.end: the key is missing",
        ),
        ("image: chest_xray", "image: ct", "['ct'] are used but not defined"),
        ("image: chest_xray", "image: acute_respiratory_failure", "a code list each of their own"),
        ("shown: false", "shown: true", "shown: true and shown: false"),
        ("shown: false", "code_list: copd", "comparator needs shown"),
        ("shown: false", "shown: 0", "comparator.shown: is 0, not true or false"),
        ("{anchor: time_zero, offset_days: 365}", "{anchor: era_end, offset_days: 9}", "time_zero"),
        (
            "{anchor: time_zero, offset_days: 1}",
            "{anchor: time_zero, offset_days: -1}",
            "before time",
        ),
        ("asthma, ischaemic", "asthna, ischaemic", "['asthna'] are used but not defined"),
        ("type: device_shown_or_not", "type: device_shown", "design"),
    ],
)
def test_faults_of_a_device_study_are_named(tmp_path, old, new, told):
    with pytest.raises(SpecError) as caught:
        load_study(changed(tmp_path, (old, new), text=DEVICE_TEXT))
    assert told in str(caught.value)


def test_what_does_not_fit_the_design_is_named_at_once(tmp_path):
    start, end = DEVICE_TEXT.index("device:\n"), DEVICE_TEXT.index("code_lists:\n")
    text = DEVICE_TEXT[:start] + DEVICE_TEXT[end:]
    file = changed(tmp_path, ("shown: true", "code_list: copd"), text=text)
    with pytest.raises(SpecError) as caught:
        load_study(file)
    assert "target needs shown" in str(caught.value)
    assert "the device is missing" in str(caught.value)
    block = DEVICE_TEXT[start:end]
    file = changed(tmp_path, ("code_lists:\n", f"{block}code_lists:\n"))
    with pytest.raises(SpecError, match="no device belongs here"):
        load_study(file)


def test_a_default_written_out_is_the_same_study(tmp_path):
    file = changed(
        tmp_path, ("include_descendants: true", "include_descendants: true\n    name: null")
    )
    assert load_study(file).spec_hash == load_study(STUDY).spec_hash


def test_a_source_takes_all_sites_some_or_those_of_a_prefix():
    [named], [simulated] = (load_study(s).sources for s in (STUDY, "ai_cxr_triage"))
    everywhere = named.model_copy(update={"sites": ()})
    sites = ("eunomia", "sim-01", "simA", "Sim-1")
    assert [named.takes(site) for site in sites] == [True, False, False, False]
    assert [simulated.takes(site) for site in sites] == [False, True, False, False]
    assert all(everywhere.takes(site) for site in sites)


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


CODED = """
    codes:
      - {vocabulary: KCD8, codes: ["K92*"]}
"""


def test_a_role_of_a_comparison_needs_concepts(tmp_path):
    old = "    concepts: [192671]\n    include_descendants: true\n"
    with pytest.raises(SpecError) as caught:
        load_study(changed(tmp_path, (old, CODED[1:])))
    assert "outcome.code_list: is found by concept" in str(caught.value)


def test_codes_that_do_not_count_and_code_systems_that_end_are_doubtful(tmp_path):
    old = "    concepts: [192671]\n"
    _, doubts = check_study(changed(tmp_path, (old, old + CODED[1:])))
    told = [(m.code, m.what.split(":")[0]) for m in doubts if m.code.startswith("W_CODES")]
    assert told == [
        ("W_CODES_ONE_SIDED", "code_lists.2.codes"),
        ("W_CODES_UNUSED", "outcome.code_list"),
        ("W_CODES_UNUSED", "covariates.2.exclude"),
    ]


def test_a_part_of_a_study_is_its_comparison_and_nothing_else():
    whole = load_study("gibleed_celecoxib_diclofenac")
    part = whole.only("comparative-effectiveness")
    assert part.analyses == whole.lake_analyses
    assert (part.sources, part.characterisation) == ((whole.lake,), None)
    tables = load_study(STUDIES_DIR / "examples" / "registry_survival.yaml")
    with pytest.raises(UsageError, match="has no part comparative-effectiveness"):
        tables.only("comparative-effectiveness")
