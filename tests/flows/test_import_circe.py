"""`causeway import circe`: a study file that passes the check, native where everything has an equal."""

import json

import pytest
import yaml
from typer.testing import CliRunner

from flows.cli import app
from flows.orders.check import check
from flows.orders.import_circe import import_circe
from flows.orders.translate import translations
from tasks.core.errors import SpecError, UsageError
from tasks.core.spec import load_study
from tasks.core.spec.cohorts import CirceCohort
from tasks.report.blocks import Table, Verbatim, plain
from tasks.report.protocol.document import build_protocol
from tests.sql.cohort.circe.world import cases, expression_of

NATIVE = "nested_groups_any_of_all end_custom_era censoring same_visit death_by_cause".split()


def written(folder, name):
    file = folder / "definitions" / f"{name}.json"
    file.parent.mkdir(exist_ok=True)
    file.write_text(expression_of(cases()[name]))
    return file


@pytest.mark.parametrize("name", NATIVE)
def test_a_native_study_passes_the_check(tmp_path, name):
    made = import_circe(written(tmp_path, name), tmp_path / "study.yaml")
    assert made.is_native
    assert made.kept == ()
    spec = check(str(tmp_path / "study.yaml")).spec
    assert [cohort.id for cohort in spec.cohorts] == [name, f"{name}_circe"]
    assert spec.cohorts[1].circe == f"definitions/{name}.json"


def test_what_has_no_equal_stays_circe_and_is_named(tmp_path):
    made = import_circe(written(tmp_path, "measurement_abnormal"), tmp_path / "study.yaml")
    assert not made.is_native
    assert made.kept == ("PrimaryCriteria: Measurement.Abnormal",)
    assert "#   - PrimaryCriteria: Measurement.Abnormal\n" in made.text
    assert [c.id for c in check(str(tmp_path / "study.yaml")).spec.cohorts] == [
        "measurement_abnormal"
    ]


def test_excluded_and_mapped_concepts_are_entries_only_where_needed(tmp_path):
    lists = {}
    for name in ("descendants_without_excluded_branch", "mapped_and_source_concept", "censoring"):
        body = yaml.safe_load(import_circe(written(tmp_path, name), None).text)
        lists[name] = body["code_lists"][0]["concepts"]
    assert lists["descendants_without_excluded_branch"] == [
        {"concept": 10, "include_descendants": True},
        {"concept": 12, "include_descendants": True, "exclude": True},
    ]
    assert lists["mapped_and_source_concept"] == [{"concept": 11, "include_mapped": True}]
    assert lists["censoring"] == [10]


def test_the_same_file_gives_the_same_study(tmp_path):
    file = written(tmp_path, "nested_groups_any_of_all")
    assert import_circe(file, None).text == import_circe(file, None).text


def protocol_of(folder, name):
    made = import_circe(written(folder, name), folder / "study.yaml")
    spec = load_study(str(folder / "study.yaml"))
    circe = [cohort for cohort in spec.cohorts if isinstance(cohort, CirceCohort)]
    spec = spec.model_copy(update={"cohorts": tuple(circe)}).with_files(spec.files)
    sections = build_protocol(spec, "en", translations=translations(spec)).sections
    blocks = [block for section in sections for block in section.blocks]
    [table] = [b for b in blocks if isinstance(b, Table) and b.id.startswith("cohort_")]
    rows = [[plain(cell) for cell in row] for row in table.rows]
    return made, rows, [block for block in blocks if isinstance(block, Verbatim)]


def test_the_protocol_holds_the_file_and_its_criteria(tmp_path):
    made, rows, [file] = protocol_of(tmp_path, "censoring")
    assert made.is_native
    assert file.text == expression_of(cases()["censoring"])
    assert [row[0] for row in rows][:2] == ["File", "Entry"]
    assert rows[1][1].startswith("Entry is the start of ")
    assert "ends it earlier" in rows[-1][1]


def test_a_file_without_an_equal_stands_in_the_protocol_all_the_same(tmp_path):
    made, rows, [file] = protocol_of(tmp_path, "measurement_abnormal")
    assert not made.is_native
    assert [row[0] for row in rows] == ["File"]
    assert file.text == expression_of(cases()["measurement_abnormal"])


def test_a_file_of_another_folder_is_refused(tmp_path):
    (tmp_path / "studies").mkdir()
    with pytest.raises(UsageError, match="does not lie in the folder"):
        import_circe(written(tmp_path, "censoring"), tmp_path / "studies" / "study.yaml")


def test_a_study_that_is_there_is_not_overwritten(tmp_path):
    (tmp_path / "study.yaml").write_text("mine")
    with pytest.raises(UsageError, match="exists"):
        import_circe(written(tmp_path, "censoring"), tmp_path / "study.yaml")
    assert (tmp_path / "study.yaml").read_text() == "mine"


@pytest.mark.parametrize("raw", [b"\xff\xfe", b"{", b"[]", b'{"PrimaryCriteria": 1}'])
def test_no_expression_no_study(tmp_path, raw):
    file = tmp_path / "x.json"
    file.write_bytes(raw)
    with pytest.raises(SpecError) as caught:
        import_circe(file, tmp_path / "study.yaml")
    assert caught.value.exit_code == 11
    assert not (tmp_path / "study.yaml").exists()


def test_the_command_prints_or_writes(tmp_path):
    file = str(written(tmp_path, "censoring"))
    run = CliRunner().invoke
    printed = run(app, ["import", "circe", file])
    assert printed.exit_code == 0
    assert yaml.safe_load(printed.stdout)["cohorts"][0]["id"] == "censoring"
    document = json.loads(run(app, ["import", "circe", file, "--json"]).stdout)
    assert document["native"]
    assert document["study"] == printed.stdout
    out = str(tmp_path / "study.yaml")
    assert "in our own language" in run(app, ["import", "circe", file, "--out", out]).stdout


def test_names_in_any_script_become_ids(tmp_path):
    case = cases()["nested_groups_any_of_all"]
    body = json.loads(expression_of(case))
    for number, item in enumerate(body["ConceptSets"]):
        item["name"] = "당뇨병" if number < 2 else "2. Drug: A/B"
    body["InclusionRules"][0]["name"] = "나이: 40세 이상 # {x}"
    file = tmp_path / "당뇨병 코호트.json"
    file.write_text(json.dumps(body))
    text = import_circe(file, None).text
    assert "나이: 40세 이상 # {x}" in text
    ids = [item["id"] for item in yaml.safe_load(text)["code_lists"]]
    assert ids == ["set", "set_2", "set_2_drug_a_b", "set_2_drug_a_b_2"]
