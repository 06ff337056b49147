"""A comparison of cohorts whose gate is missed: nothing of the outcome by arm leaves, in any byte."""

import json
import struct
from collections import defaultdict

import duckdb
import polars as pl
import pytest

from flows.artifacts import key_estimates
from flows.orders.sealing import open_sealed
from flows.orders.study import study_run
from tasks.core.vault import sealed_file
from tests.device_world import a_consortium
from tests.ingest_world import a_home
from tests.study_files import DEVICE, changed

pytestmark = pytest.mark.xdist_group("sealed_study")

IMBALANCED = (
    "{name: max_smd, threshold: 0.1, adjustment: overlap, on_miss: block}",
    "{name: max_smd, threshold: 0.1, adjustment: none, on_miss: block}",
)
ALONE = (
    "gates: all}",
    """gates: [equipoise]}
  - {id: known, role: replication, method: cox, adjustment: none, ties: breslow,
     std_error: model}""",
)
ENGLISH = ("gates:\n  - {name: persons", "report: {languages: [en]}\ngates:\n  - {name: persons")
UNEQUAL = ("{name: equipoise, threshold: 0.2,", "{name: equipoise, threshold: 0.999,")


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return a_consortium(a_home(tmp_path_factory.mktemp("sealed")), n=500)


@pytest.fixture(scope="module")
def blocked(home, tmp_path_factory):
    return study_run(home, changed(tmp_path_factory.mktemp("b"), DEVICE, IMBALANCED, name=DEVICE))


@pytest.fixture(scope="module")
def told_in_part(home, tmp_path_factory):
    study = changed(tmp_path_factory.mktemp("r"), DEVICE, ALONE, UNEQUAL, ENGLISH, name=DEVICE)
    outcome = study_run(home, study)
    opened = open_sealed(home, study, outcome.run_id, "A. Tester", "to see what must not be seen")
    return outcome, pl.read_parquet(opened.folder / "results.parquet")


def truth_by_arm(home, run_id):
    """Return events and person-days of each arm, counted in the run's own workspace."""
    with duckdb.connect(home.work / run_id / "study.duckdb", read_only=True) as con:
        return con.execute(
            "select arm, count(*) filter (where cause = 1), sum(follow_up_days) "
            "from cohort.subject group by arm order by arm"
        ).fetchall()


def files_outside(home):
    """Every file of the home that is neither restricted nor the lake or what was delivered."""
    private = (home.restricted, home.lake, home.inbox)
    return [
        file
        for file in home.root.rglob("*")
        if file.is_file() and not any(file.is_relative_to(place) for place in private)
    ]


def spellings(value):
    """Return how a number may be written: as text, with thousands, and as a double or integer."""
    said = {repr(value)[:11]}
    if float(value).is_integer():
        said |= {str(int(value)), f"{int(value):,}"}
    found = {text.encode() for text in said if len(text.strip("0.,-")) >= 4}
    found.add(struct.pack("<d", value))
    return found


def test_a_seeded_imbalance_blocks_with_13(blocked):
    assert (blocked.status, blocked.exit_code) == ("blocked", 13)
    [missed] = [gate for gate in blocked.gates if gate["verdict"] == "miss"]
    assert (missed["name"], missed["adjustment"]) == ("max_smd", "none")
    assert missed["value"] > 0.2
    assert [file.name for file in blocked.folder.rglob("*")] == ["manifest.json"]


def test_a_blocked_run_leaves_no_outcome_by_arm_in_any_byte(home, blocked):
    assert sealed_file(home, DEVICE, blocked.run_id).exists()
    counts = [(events, days) for _, events, days in truth_by_arm(home, blocked.run_id)]
    said = json.dumps(blocked.as_json()).encode()
    for events, days in counts:
        for text in spellings(float(days)):
            assert text not in said
            assert all(text not in file.read_bytes() for file in files_outside(home))
        assert f" {events} ".encode() not in said


def test_the_sealed_rows_of_a_blocked_run_can_be_opened(home, blocked, tmp_path):
    study = changed(tmp_path, DEVICE, IMBALANCED, name=DEVICE)
    opened = open_sealed(home, study, blocked.run_id, "A. Tester", "the committee asked for it")
    rows = pl.read_parquet(opened.folder / "results.parquet")
    by_arm = rows.filter(
        (pl.col("analysis_id") == "follow_up")
        & (pl.col("population") == "crude")
        & pl.col("stratum_level").is_null()
    ).sort("arm")
    truth = truth_by_arm(home, blocked.run_id)
    assert by_arm.select("arm", "n_events", "person_time").rows() == truth


def test_a_gate_that_reports_seals_the_outcome_and_publishes_the_rest(told_in_part):
    outcome, opened = told_in_part
    assert (outcome.status, outcome.exit_code) == ("published", 0)
    rows = pl.read_parquet(outcome.folder / "results.parquet")
    of_gates = pl.col("estimate_name") == "mdrr"  # of both arms together, and a gate
    shown = set(rows.filter((pl.col("status") == "ok") & ~of_gates)["analysis_id"])
    assert shown == {"attrition", "balance", "mapping", "propensity"}
    blinded = rows.filter(pl.col("status") == "blinded")
    assert {"primary", "known", "km_crude", "rates", "follow_up", "sites"} < set(
        blinded["analysis_id"]
    )
    numbers = [name for name, kind in rows.schema.items() if kind.is_numeric()]
    assert blinded.select(numbers).drop("snapshot_id").null_count().sum_horizontal().item() == (
        blinded.height * (len(numbers) - 1)
    )
    assert blinded.filter(pl.col("analysis_id") == "primary")["note"].to_list() == [
        "sealed: gate equipoise (none): miss"
    ]
    assert opened.height > 500
    assert key_estimates(outcome)[0]["estimate"] == "blinded"


def test_what_is_published_in_part_has_no_sealed_number_in_any_byte(home, told_in_part):
    outcome, opened = told_in_part
    published = pl.read_parquet(outcome.folder / "results.parquet")
    open_values = numbers_of(published)
    sealed = numbers_of(opened) - open_values
    assert len(sealed) > 1000
    texts = {text for value in sealed for text in spellings(value) if len(text) >= 8}
    by_start = defaultdict(set)
    for text in texts:
        by_start[text[:8]].add(text)
    for file in files_outside(home):
        content = file.read_bytes()
        heads = {content[i : i + 8] for i in range(len(content) - 7)}
        hits = [t for start in heads & by_start.keys() for t in by_start[start] if t in content]
        assert not hits, (file.name, hits[:3])


def numbers_of(frame):
    """Return the numbers of a table that are told apart by their digits."""
    columns = ("estimate", "std_error", "ci_low", "ci_high", "p_value", "statistic", "person_time")
    return {
        value
        for name in columns
        for value in frame[name].drop_nulls().to_list()
        if len(repr(value).strip("-0.")) >= 9
    }


def test_events_by_arm_cannot_be_worked_out(told_in_part):
    """No count of what is published is of one arm and of the outcome."""
    outcome, _ = told_in_part
    rows = pl.read_parquet(outcome.folder / "results.parquet")
    of_outcome = rows.filter(
        pl.col("n_events").is_not_null() & (pl.col("analysis_id") != "mapping")
    )
    of_gates = of_outcome["estimate_name"] == "mdrr"
    assert set(of_outcome.filter(~of_gates)["analysis_id"]) == set()
    assert of_outcome["arm"].null_count() == of_outcome.height
    assert rows["person_time"].null_count() == rows.height


def test_the_report_says_what_is_sealed(told_in_part):
    outcome, _ = told_in_part
    page = (outcome.folder / "report.en.html").read_text(encoding="utf-8")
    assert "Estimates are sealed until" in page
    assert [m.code for m in outcome.messages if m.code == "W_SEALED"] == ["W_SEALED"] * 2
