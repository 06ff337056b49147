"""The simulator: same seed same bytes, forms that hold the same, faults where it says they are."""

import hashlib
import json

import polars as pl
import pytest

from flows.orders.simulate import deliveries_among, simulate
from tasks.core.errors import SpecError, UsageError
from tasks.core.omop import omop_tables
from tasks.simulate import scenario as scenarios
from tasks.simulate.consortium import is_by_product, simulate_consortium
from tasks.simulate.observed import Numbering
from tasks.simulate.scenario import load_scenario, scenario_names
from tasks.simulate.world import make_hospitals

REQUIRED = {"clean", "confounded", "drift", "update", "dirty", "small-sites", "negative-controls"}


def made(out, persons=1200, sites=4, seed=1, scenario="consortium", **how):
    return simulate_consortium(out, persons, sites, seed, scenario, **{"potential": 20_000} | how)


def content(folder):
    return {
        str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


@pytest.fixture(scope="module")
def consortium(tmp_path_factory):
    return made(tmp_path_factory.mktemp("simulated") / "out")


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(consortium, tmp_path):
    again, other = made(tmp_path / "again"), made(tmp_path / "other", seed=2)
    assert content(again.folder) == content(consortium.folder)
    first, second = content(consortium.folder), content(other.folder)
    assert first.keys() == second.keys()
    same = {name for name in first if first[name] == second[name]}
    assert {name.rsplit("/", 1)[-1].split(".")[0] for name in same} <= {
        "concept",
        "concept_ancestor",
        "device",
        "device_version",  # the plan of the update is the scenario's, not the seed's
        "Device",
    }


def test_bytes_do_not_depend_on_threads(consortium, tmp_path):
    import subprocess
    import sys

    code = (
        "from pathlib import Path; from tasks.simulate.consortium import simulate_consortium;"
        f"simulate_consortium(Path({str(tmp_path / 'out')!r}), 1200, 4, 1, 'consortium', potential=20_000)"
    )
    env = {"POLARS_MAX_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "TZ": "America/Lima", "PATH": ""}
    subprocess.run([sys.executable, "-c", code], check=True, env=env)
    assert content(tmp_path / "out") == content(consortium.folder)


def test_each_hospital_delivers_in_its_own_form(consortium):
    manifests = {
        folder.name: json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        for folder in consortium.deliveries
    }
    assert list(manifests) == ["sim-01", "sim-02", "sim-03", "sim-04", "sim-04-device"]
    assert manifests["sim-01"]["encoding"] == "cp949"
    assert manifests["sim-02"]["format"] == "fhir"
    assert {f["name"].split(".")[-1] for f in manifests["sim-03"]["files"]} == {"parquet"}
    assert manifests["sim-04-device"]["kind"] == "increment"
    assert all(m["data_class"] == "synthetic_public" for m in manifests.values())
    controllers = {name: m["governance"]["controller"] for name, m in manifests.items()}
    assert controllers["sim-04"] != controllers["sim-04-device"]
    rows = sum(f["rows"] for m in manifests.values() for f in m["files"])
    assert rows == consortium.rows


def test_cp949_files_hold_syllables_that_euc_kr_lacks(consortium):
    raw = (consortium.folder / "sim-01" / "drug_exposure.csv").read_bytes()
    text = raw.decode("cp949")
    assert "펲" in text
    with pytest.raises(UnicodeError):
        raw.decode("euc-kr")
    with pytest.raises(UnicodeError):
        raw.decode("utf-8")


def test_columns_are_those_of_the_model(consortium):
    for file in (consortium.folder / "sim-03").glob("*.parquet"):
        frame = pl.read_parquet(file)
        model = omop_tables()[file.stem]
        assert set(frame.columns) <= set(model.names)
        required = {c.name for c in model.columns if c.required}
        assert required <= set(frame.columns)


def test_every_resource_is_json_of_its_type_but_for_planted_faults(consortium):
    defects = json.loads(consortium.defects_file.read_text(encoding="utf-8"))["defects"]
    bad = {(d["file"], d["line"]) for d in defects if d["code"] in {"E_JSON", "E_RESOURCE_TYPE"}}
    types = ("Patient", "Encounter", "Condition", "Observation", "MedicationRequest", "Procedure",
             "Device", "DiagnosticReport", "Claim")  # fmt: skip
    for kind in types:
        name = f"{kind}.ndjson"
        text = (consortium.folder / "sim-02" / name).read_text(encoding="utf-8")
        for number, line in enumerate(text.splitlines(), 1):
            if (name, number) in bad:
                continue
            resource = json.loads(line)
            assert resource["resourceType"] == kind
            assert resource["id"]
            assert "{}" not in line


def test_persons_add_up_and_small_sites_are_small():
    plan = load_scenario("small-sites")
    hospitals = make_hospitals(plan, 30_000, 6, 1)
    sizes = [h.n_persons for h in hospitals]
    assert sum(sizes) == 30_000
    assert all(size < 200 for size in sizes[-3:])
    assert all(size > 1000 for size in sizes[:3])
    assert [h.n_persons for h in make_hospitals(plan, 3, 3, 1)] == [1, 1, 1]


def test_go_live_is_staggered():
    days = [h.go_live_day for h in make_hospitals(load_scenario("consortium"), 6000, 6, 1)]
    assert len(set(days)) == 6
    assert days == sorted(days)


def test_every_promised_scenario_is_there_and_says_what_it_plants():
    assert set(scenario_names()) >= REQUIRED
    for name in scenario_names():
        plan = load_scenario(name)
        assert plan.scenario == name
        assert all(text.en and text.ko for text in plan.planted)
    assert load_scenario("negative-controls").negative_controls >= 30


def test_a_scenario_with_an_unknown_key_is_refused(tmp_path, monkeypatch):
    (tmp_path / "odd.yaml").write_text("scenario: odd\nnoise: 3\n", encoding="utf-8")
    monkeypatch.setattr(scenarios, "SCENARIOS_DIR", tmp_path)
    monkeypatch.setattr(scenarios, "scenario_names", lambda: ("odd",))
    with pytest.raises(SpecError) as refused:
        load_scenario("odd")
    assert any("noise" in message.what for message in refused.value.messages)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"scenario": "no-such"}, "no-such"),
        ({"persons": 3, "sites": 4}, "sites"),
        ({"sites": 51, "persons": 1000}, "sites"),
    ],
)
def test_what_cannot_be_simulated_is_refused(tmp_path, change, word):
    with pytest.raises(UsageError) as refused:
        made(tmp_path / "out", **change)
    assert word in str(refused.value)
    assert not (tmp_path / "out").exists()


def test_an_unknown_form_is_refused(tmp_path):
    with pytest.raises(UsageError):
        simulate(tmp_path / "out", 100, 1, 1, "clean", "xlsx")


def test_a_folder_with_something_in_it_is_left_alone(tmp_path):
    (tmp_path / "mine.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(UsageError):
        made(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["mine.txt"]


def test_what_lies_beside_deliveries_is_passed_over(consortium):
    paths = sorted(consortium.folder.iterdir())
    assert deliveries_among(paths) == list(consortium.deliveries)
    with pytest.raises(UsageError):
        deliveries_among([consortium.truth, consortium.defects_file])


def test_a_file_that_only_has_the_name_is_not_passed_over(tmp_path):
    file = tmp_path / "truth.json"
    file.write_text('{"site_id": "A"}', encoding="utf-8")
    assert not is_by_product(file)


def test_numbers_run_on_from_chunk_to_chunk():
    numbering = Numbering()
    assert numbering.take("person", 3).tolist() == [1, 2, 3]
    assert numbering.take("cost", 1).tolist() == [1]
    assert numbering.take("person", 2).tolist() == [4, 5]


def test_truth_names_its_estimands(consortium):
    document = json.loads(consortium.truth.read_text(encoding="utf-8"))
    assert document["data"].startswith("simulated")
    for value in document["values"]:
        sentence = document["estimands"][value["estimand"]]
        assert sentence["en"]
        assert sentence["ko"]
        assert value["mcse"] >= 0
    names = {value["name"] for value in document["values"]}
    assert names >= {
        "risk", "risk_difference", "risk_ratio", "rmst_difference", "hazard_ratio",
        "incremental_cost", "incremental_qaly", "sensitivity", "specificity", "auc", "uptake",
    }  # fmt: skip
