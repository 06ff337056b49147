"""A simulated consortium from the command line: deliveries, lake, study, and the planted truth."""

import json
import shutil
from datetime import date

import polars as pl
import pytest
from pypdf import PdfReader

from flows.orders.delivery import deliver
from flows.orders.study import study_run
from tasks.core.duck import duck
from tasks.core.lake import deliveries_in_force, open_lake
from tasks.core.paths import Home
from tasks.core.site import SiteSettings
from tasks.ingest.ledger import quarantine_rows
from tasks.ingest.stage import stage_delivery
from tasks.simulate.consortium import simulate_consortium
from tests.homes import called, published

pytestmark = pytest.mark.xdist_group("consortium")
STUDY = "ai_cxr_triage"
SITE = SiteSettings()
FORMS = ("csv", "cp949", "parquet", "fhir")


@pytest.fixture(scope="module")
def consortium(tmp_path_factory):
    """Four hospitals, taken in and studied by the three commands that a user types."""
    folder = tmp_path_factory.mktemp("consortium")
    out, home = folder / "out", folder / "home"
    words = ("--persons", 6000, "--sites", 4, "--seed", 1, "--out", out)
    made = called("simulate", "consortium", *words, "--json")
    assert made.returncode == 0, made.stderr
    took_in = called("ingest", *sorted(out.iterdir()), "--json", home=home)
    assert took_in.returncode == 0, took_in.stderr
    ran = called("run", STUDY, "--json", home=home)
    assert ran.returncode == 0, ran.stderr
    documents = [json.loads(step.stdout) for step in (made, took_in, ran)]
    return out, Home(home), *documents


def truth(out, name, **what):
    """The planted value in the population that overlap weights address."""
    values = json.loads((out / "truth.json").read_text(encoding="utf-8"))["values"]
    what |= {"population": "overlap"}
    [found] = [v for v in values if v["name"] == name and what.items() <= v.items()]
    return found["value"]


def test_simulate_ingest_run(consortium):
    _, _, made, took_in, ran = consortium
    assert [d["delivery_id"] for d in took_in["deliveries"]] == [
        "sim-01-full", "sim-02-full", "sim-03-full", "sim-04-full", "sim-04-device-log",
    ]  # fmt: skip
    assert {d["status"] for d in took_in["deliveries"]} == {"accepted_with_warnings"}
    files = [file for d in took_in["deliveries"] for file in d["files"]]
    for file in files:
        balance = ("rows_loaded", "rows_quarantined", "rows_deduplicated")
        assert file["rows_in"] == sum(file[name] for name in balance)
    assert sum(file["rows_in"] for file in files) == made["rows"]
    assert ran["status"] == "published"
    assert {gate["verdict"] for gate in ran["gates"]} == {"pass"}


def test_ingest_finds_exactly_the_planted_defects(consortium):
    out, home, *_ = consortium
    assert_exactly(out, home)


def assert_exactly(out, home):
    """What is quarantined or deduplicated is what defects.json says, by file, line and code."""
    planted = json.loads((out / "defects.json").read_text(encoding="utf-8"))["defects"]
    keys = ("delivery_id", "file", "line", "column", "code")
    expected = {tuple(d[k] for k in keys) for d in planted if d["action"] != "warned"}
    found = {tuple(row[k] for k in keys) for row in quarantine_rows(home)}
    assert found - expected == set()
    assert expected - found == set()
    assert len(expected) > 100


@pytest.mark.slow
def test_the_dirty_scenario_is_found_out_in_every_form(tmp_path):
    made = simulate_consortium(tmp_path / "out", 2400, 4, 7, "dirty", potential=0)
    home = Home(tmp_path / "home").prepare()
    outcomes = [deliver(home, path, gate=lambda _: None) for path in made.deliveries]
    assert {o.status for o in outcomes} == {"accepted_with_warnings"}
    assert_exactly(made.folder, home)
    planted = json.loads(made.defects_file.read_text(encoding="utf-8"))["defects"]
    warned = {
        (d["delivery_id"], d["file"], d["column"], d["code"])
        for d in planted
        if d["action"] == "warned"
    }
    told = {
        (o.delivery_id, m.file, m.column, m.code)
        for o in outcomes
        for m in o.messages
        if m.severity == "warning" and m.code != "W_DUPLICATE_ROW"
    }
    assert told == warned
    assert len({d["code"] for d in planted}) >= 17


@pytest.mark.slow
def test_every_form_holds_the_same_persons_and_facts(tmp_path):
    """The same hospital as CSV, CP949, Parquet and FHIR: every table alike, row by row."""
    contents = {}
    for form in FORMS:
        made = simulate_consortium(tmp_path / form, 700, 1, 3, "update", form=form, potential=0)
        home = Home(tmp_path / f"home-{form}").prepare()
        staged = stage_delivery(home, SITE, made.deliveries[0])
        assert staged.status == "staged", staged.findings
        assert staged.findings == ()
        with duck(staged.stage_file, read_only=True) as con:
            names = con.execute(
                "select view_name from duckdb_views() where schema_name = 'loadable'"
            ).fetchall()
            contents[form] = {
                name: con.sql(f"select * from loadable.{name} order by all").pl()
                for (name,) in names
            }
        shutil.rmtree(staged.work)
    first = contents[FORMS[0]]
    assert len(first) == 19
    assert all(frame.height for frame in first.values())
    for form in FORMS[1:]:
        assert contents[form].keys() == first.keys()
        for name, frame in first.items():
            assert contents[form][name].equals(frame), (form, name)


def test_source_codes_and_korean_text_reach_the_lake(consortium):
    _, home, *_ = consortium
    with open_lake(home, SITE) as con:
        for site in ("sim-01", "sim-02"):
            where = f"where site_id = '{site}'"
            kcd = con.execute(
                f"select distinct condition_source_value from lake.omop.condition_occurrence {where}"
            ).fetchall()
            assert ("J96.0",) in kcd
            edi = con.execute(
                f"select distinct procedure_source_value from lake.omop.procedure_occurrence {where}"
            ).fetchall()
            assert ("G2101",) in edi
            sig = con.execute(
                f"select distinct sig from lake.omop.drug_exposure {where}"
            ).fetchall()
            assert ("1일 2회 (펲톡정 병용)",) in sig


def test_the_company_log_joins_with_its_governance_on_record(consortium):
    _, home, *_ = consortium
    with open_lake(home, SITE) as con:
        held = {d["delivery_id"]: d for d in deliveries_in_force(con)}
        shown = con.execute(
            "select count(*) from lake.omop.device_inference where site_id = 'sim-04' and shown"
        ).fetchone()
    log = held["sim-04-device-log"]
    assert log["controller"] != held["sim-04-full"]["controller"]
    assert json.loads(log["governance"])["combining_agency_case"]
    assert shown[0] > 100


def test_the_company_log_is_rejected_without_governance(consortium, tmp_path):
    out, *_ = consortium
    home = Home(tmp_path / "home").prepare()
    log = tmp_path / "log"
    shutil.copytree(out / "sim-04-device", log)
    manifest = json.loads((log / "manifest.json").read_text(encoding="utf-8"))
    manifest["governance"]["combining_agency_case"] = None
    (log / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    assert deliver(home, out / "sim-04", gate=lambda _: None).exit_code == 0
    refused = deliver(home, log, gate=lambda _: None)
    assert (refused.status, refused.codes) == ("rejected", ("E_GOVERNANCE",))
    assert "combining_agency_case" in refused.messages[0].message


def one(home, analysis, name):
    """The one row of an estimate in the results of the published run."""
    rows = pl.read_parquet(published(home, STUDY) / "results.parquet")
    found = rows.filter((pl.col("analysis_id") == analysis) & (pl.col("estimate_name") == name))
    if found.height == 2:  # of weighted models: the error that counts the fit of the weights
        found = found.filter(pl.col("se_method") == "m_estimation")
    [row] = found.to_dicts()
    return row


def test_the_naive_answer_is_wrong_and_the_adjusted_one_nearer(consortium):
    """Not equal to the truth: loss to follow-up is informative here, and not weighted yet."""
    out, home, *_ = consortium
    true = truth(out, "hazard_ratio", outcome="respiratory_failure")
    crude, adjusted = one(home, "cox_crude", "hazard_ratio"), one(home, "primary", "hazard_ratio")
    assert crude["estimate"] > true
    assert abs(adjusted["estimate"] - true) < abs(crude["estimate"] - true)
    assert adjusted["ci_high"] < 1


@pytest.mark.slow
def test_the_study_finds_the_truth_where_nothing_else_is_planted(tmp_path):
    """Scenario `clean`: every interval, crude or weighted, holds its planted value."""
    made = simulate_consortium(tmp_path / "out", 30_000, 2, 11, "clean", form="parquet")
    home = Home(tmp_path / "home").prepare()
    for path in made.deliveries:
        assert deliver(home, path, gate=lambda _: None).exit_code == 0
    assert study_run(home, STUDY).status == "published"
    for analysis, name, what in (
        ("cox_crude", "hazard_ratio", {"outcome": "respiratory_failure"}),
        ("primary", "hazard_ratio", {"outcome": "respiratory_failure"}),
        ("cif", "risk_difference", {"at": 365, "site_id": "pooled"}),
        ("cif_overlap", "risk_difference", {"at": 365, "site_id": "pooled"}),
    ):
        found, true = one(home, analysis, name), truth(made.folder, name, **what)
        assert found["ci_low"] < true < found["ci_high"], (analysis, name)
        assert found["ci_high"] < (1 if name == "hazard_ratio" else 0)


def test_every_page_says_that_it_is_simulated(consortium):
    _, home, *_ = consortium
    folder = published(home, STUDY)
    for language, word in (("en", "simulated hospitals"), ("ko", "모의 병원")):
        assert word in (folder / f"report.{language}.html").read_text(encoding="utf-8")
        for page in PdfReader(folder / f"report.{language}.pdf").pages:
            assert word in page.extract_text().replace("\n", " ")


def test_dates_of_the_cutoff_hold(consortium):
    _, home, *_ = consortium
    with open_lake(home, SITE) as con:
        last = con.execute(
            "select max(observation_period_end_date) from lake.omop.observation_period"
        ).fetchone()[0]
        cutoffs = {d["data_cutoff"] for d in deliveries_in_force(con)}
    assert cutoffs == {date(2026, 6, 30)}
    assert last == date(2026, 6, 30)
