"""Gates of registry tables: what they seal, what a waiver opens, and how it is opened otherwise."""

import json
import struct
from datetime import date

import numpy as np
import pandas as pd
import polars as pl
import pytest

from flows.cli import app
from flows.commands.audit import AuditError
from flows.orders.sealing import open_sealed
from flows.orders.study import study_run
from tasks.analysis.gates import judge_table_gates
from tasks.core.audit import first_broken_line
from tasks.core.errors import SpecError, UsageError
from tasks.core.results import result_row
from tasks.core.sealing import Sealed, sealed_by, split
from tasks.core.spec import load_study
from tasks.core.vault import KEY_FILE, SealError, keys_folder, sealed_file
from tests.table_world import csv_with_id, home_with, run, written

pytestmark = pytest.mark.xdist_group("sealed_tables")

STUDY = {
    "spec_version": 1,
    "study": {"id": "trial", "title": {"en": "Two arms", "ko": "두 군"}},
    "sources": [
        {
            "id": "t", "kind": "analysis_table", "site_id": "S", "table": "trial",
            "missing": "complete_case", "na": ["NA"],
            "roles": {"person_id": "id", "treatment": "arm",
                      "follow_up": {"column": "days", "unit": "days"}, "event": "died"},
            "columns": {"arm": {"category": ["0", "1"]}, "age": "number"},
        }
    ],
    "report": {"languages": ["en"]},
    "gates": [
        {"name": "events", "threshold": 500, "on_miss": "report"},
        {"name": "persons_per_arm", "threshold": 50, "on_miss": "report"},
        {"name": "events_per_parameter", "threshold": 10, "on_miss": "report"},
        {"name": "convergence", "on_miss": "report"},
        {"name": "ess", "threshold": 0.5, "on_miss": "report"},
    ],
    "waivers": [
        {"gate": "ess", "analysis": "main", "by": "A. Reviewer", "date": date(2026, 11, 1),
         "reason": "Nobody is weighted: every person counts once."},
    ],
    "analyses": [
        {"id": "main", "role": "primary", "source": "t", "method": "cox", "terms": "arm + age",
         "ties": "efron", "gates": "all"},
        {"id": "km", "role": "secondary", "source": "t", "method": "kaplan_meier", "by": "arm"},
        {"id": "known", "role": "replication", "source": "t", "method": "cox", "terms": "age",
         "ties": "efron"},
        {"id": "known_km", "role": "replication", "source": "t", "method": "kaplan_meier",
         "by": "arm", "table_days": [100]},
        {"id": "sizes", "role": "secondary", "source": "t", "method": "describe"},
    ],
}  # fmt: skip
WAIVER = {
    "gate": "events",
    "by": "A. Reviewer",
    "date": date(2026, 11, 1),
    "reason": "The registry is closed and will not grow.",
}


def trial(seed=7, n=400):
    rng = np.random.default_rng(seed)
    arm = rng.integers(0, 2, n)
    time = rng.exponential(300 / (1 + arm), n).round(1) + 1
    return pd.DataFrame(
        {
            "arm": arm, "age": rng.integers(30, 80, n), "days": np.minimum(time, 400),
            "died": (time < 400).astype(int),
        }
    )  # fmt: skip


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return home_with(tmp_path_factory.mktemp("tables"), trial=csv_with_id(trial()))


@pytest.fixture(scope="module")
def sealed(home, tmp_path_factory):
    return run(home, written(tmp_path_factory.mktemp("study"), STUDY))


@pytest.fixture(scope="module")
def rows(home, sealed, tmp_path_factory):
    """Every row of the study, told or sealed."""
    _, opened = sealed_and_open(home, tmp_path_factory.mktemp("open"))
    shown = [row for row in sealed[1] if row["status"] != "blinded"]
    return [*shown, *opened.to_dicts()]


def told(study, rows, sizes=(200, 200), data_cutoff="2026-01-01"):
    """Return the verdicts of the gates of `main`, and what may be told of its rows."""
    spec = load_study(study)
    [main] = [a for a in spec.analyses if a.id == "main"]
    own = [row for row in rows if row["analysis_id"] == "main"]
    verdicts = judge_table_gates(spec, main, sizes, EVENTS, own)
    sealed = sealed_by(spec, [v.as_dict() for v in verdicts], data_cutoff, own)
    shown, _ = split(spec, own, sealed)
    return {v.name: v.verdict for v in verdicts}, shown


def with_changes(folder, **changes):
    return written(folder, STUDY, **changes)


EVENTS = int(trial()["died"].sum())


def test_a_missed_gate_blinds_the_analysis_and_publishes_the_rest(sealed):
    outcome, rows = sealed
    assert (outcome.status, outcome.exit_code) == ("published", 0)
    assert {g["name"]: g["verdict"] for g in outcome.gates} == {
        "events": "miss", "persons_per_arm": "pass", "events_per_parameter": "pass",
        "convergence": "pass", "ess": "waived",
    }  # fmt: skip
    blinded = [row for row in rows if row["status"] == "blinded"]
    assert sorted(row["analysis_id"] for row in blinded) == ["km", "known_km", "main", "sizes"]
    for row in blinded:
        numbers = [name for name, value in row.items() if isinstance(value, float | int)]
        assert numbers == ["snapshot_id"]
    assert {r["analysis_id"] for r in rows if r["status"] == "ok"} == {"known", "attrition"}
    assert [m.where for m in outcome.messages] == [
        "analysis main", "analyses km, known_km, sizes",
    ]  # fmt: skip


def test_no_outcome_by_arm_is_in_a_byte_of_the_outputs(home, sealed, tmp_path):
    _, opened = sealed_and_open(home, tmp_path)
    # What the null model says of both arms together is told by the replication too.
    numbers = planted(opened.filter(pl.col("estimate_name") != "log_likelihood"))
    assert len(numbers) > 200
    found = [
        (file.name, text)
        for file in files_outside(home)
        for text in numbers
        if text in file.read_bytes()
    ]
    assert found == []
    for file in (home.runs).rglob("*.parquet"):
        shown = every_number(pl.read_parquet(file))
        assert not shown & {struct.unpack("<d", text)[0] for text in numbers if len(text) == 8}


def sealed_and_open(home, tmp_path):
    """Return the study and the rows that are sealed, opened in a copy of what is restricted."""
    study = written(tmp_path, STUDY)
    opened = open_sealed(home, study, None, "A. Tester", "to see what must not be seen")
    return study, pl.read_parquet(opened.folder / "results.parquet")


def planted(rows):
    """Return estimates as they would be written: as text to six digits, and as doubles."""
    columns = ("estimate", "std_error", "ci_low", "ci_high", "p_value", "statistic", "person_time")
    values = {
        value
        for name in columns
        for value in rows[name].drop_nulls().to_list()
        if value not in (0.0, 1.0) and abs(value - round(value)) > 1e-9
    }
    texts = [repr(value)[:11].encode() for value in values if len(repr(value)) >= 11]
    return [*texts, *(struct.pack("<d", value) for value in values)]


def files_outside(home):
    """Every file of the home that is neither restricted nor the lake or what was delivered."""
    private = (home.restricted, home.lake, home.inbox)
    return [
        file
        for file in home.root.rglob("*")
        if file.is_file() and not any(file.is_relative_to(place) for place in private)
    ]


def every_number(frame):
    return {
        value
        for name, kind in frame.schema.items()
        if kind.is_float()
        for value in frame[name].drop_nulls().to_list()
    }


def test_the_seal_is_no_plain_text_and_no_part_of_the_promise_of_bytes(home, sealed):
    outcome, _ = sealed
    file = sealed_file(home, "trial", outcome.run_id)
    assert file.stat().st_mode & 0o077 == 0
    assert b"hazard_ratio" not in file.read_bytes()
    manifest = json.loads((outcome.folder / "manifest.json").read_text(encoding="utf-8"))
    assert [entry["analysis_id"] for entry in manifest["sealed"]] == ["main"]
    assert not [name for name in manifest["files"] if "sealed" in name]


def test_the_same_run_has_the_same_bytes_and_another_seal(home, sealed, tmp_path):
    outcome, _ = sealed
    before = {f.name: f.read_bytes() for f in outcome.folder.rglob("*") if f.is_file()}
    seal = sealed_file(home, "trial", outcome.run_id)
    cipher = seal.read_bytes()
    seal.unlink()  # what cannot be opened any more is made again
    again = study_run(home, written(tmp_path, STUDY))
    assert not again.was_known
    assert {f.name: f.read_bytes() for f in outcome.folder.rglob("*") if f.is_file()} == before
    assert seal.read_bytes() != cipher
    assert study_run(home, written(tmp_path, STUDY)).was_known


def test_opening_is_logged_with_who_and_why(home, sealed, tmp_path):
    _, opened = sealed_and_open(home, tmp_path)
    of_main = opened.filter(pl.col("analysis_id") == "main", pl.col("term") == "arm=1")
    [ratio] = of_main.filter(pl.col("estimate_name") == "hazard_ratio")["estimate"].to_list()
    assert 1.5 < ratio < 3
    last = json.loads((home.audit / "log.jsonl").read_text("utf-8").splitlines()[-1])
    assert (last["event"], last["by"]) == ("unsealed", "A. Tester")
    assert last["reason"] == "to see what must not be seen"
    assert first_broken_line(home) is None
    with pytest.raises(UsageError, match="neither who"):
        open_sealed(home, written(tmp_path, STUDY), None, " ", "to see what must not be seen")


def test_a_waiver_is_told_with_who_and_why(sealed):
    outcome, _ = sealed
    page = (outcome.folder / "report.en.html").read_text(encoding="utf-8")
    assert "A. Reviewer, 2026-11-01: Nobody is weighted: every person counts once." in page
    manifest = json.loads((outcome.folder / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["gates"][-1]["waiver"]["by"] == "A. Reviewer"


def test_a_waiver_opens_what_its_gate_keeps(rows, tmp_path):
    study = with_changes(tmp_path, waivers=[*STUDY["waivers"], WAIVER])
    verdicts, shown = told(study, rows)
    assert verdicts["events"] == "waived"
    assert "blinded" not in {row["status"] for row in shown}


def test_a_gate_that_could_not_be_evaluated_has_not_passed(rows, tmp_path):
    gates = [{"name": "ease", "threshold": 0.1, "on_miss": "report"}]
    verdicts, shown = told(with_changes(tmp_path, gates=gates, waivers=[]), rows)
    assert verdicts == {"ease": "not_evaluated"}
    assert [row["status"] for row in shown] == ["blinded"]


def test_values_of_gates_are_read_from_the_rows_that_tell_them(rows, tmp_path):
    study = with_changes(
        tmp_path,
        waivers=[],
        gates=[
            {"name": "ease", "threshold": 0.1, "on_miss": "report"},
            {"name": "mdrr", "threshold": 1.5, "on_miss": "report"},
        ],
    )
    more = [
        result_row("main", "primary", "ease", estimate=0.05, population="crude"),
        result_row("main", "primary", "mdrr", estimate=1.6, population="crude"),
        result_row("main", "primary", "mdrr", estimate=1.2, population="crude"),
    ]
    verdicts, _ = told(study, [*rows, *more])
    assert verdicts == {"ease": "pass", "mdrr": "miss"}
    few = result_row("main", "primary", "ease", status="not_estimable", population="crude")
    assert told(study, [*rows, *more, few])[0]["ease"] == "not_evaluated"


@pytest.mark.parametrize(
    ("planned", "status", "fraction"),
    [
        ({"information_fraction": 0.9, "events": 2000}, "blinded", EVENTS / 2000),
        ({"information_fraction": 0.1, "events": 400}, "ok", EVENTS / 400),
        ({"data_cutoff": date(2099, 1, 1)}, "blinded", None),
        ({"data_cutoff": date(2026, 1, 1)}, "ok", None),
    ],
)
def test_a_planned_look_is_not_taken_early(rows, tmp_path, planned, status, fraction):
    main = STUDY["analyses"][0] | {"planned": planned}
    del main["gates"]
    _, shown = told(with_changes(tmp_path, gates=[], waivers=[], analyses=[main]), rows)
    assert {row["status"] for row in shown} == {status}
    assert {row.get("information_fraction") for row in shown} == {fraction}


def test_separation_and_too_few_for_the_model_are_missed(rows, tmp_path):
    lost = result_row("main", "primary", "hazard_ratio", status="not_estimable", note="separation")
    verdicts, shown = told(written(tmp_path, STUDY), [lost], sizes=(400, 0))
    assert verdicts["convergence"] == verdicts["persons_per_arm"] == "miss"
    # The events of a table whose other group is empty would be those of one group.
    said = (("events", "not_evaluated"), ("persons_per_arm", "miss"),
            ("events_per_parameter", "not_evaluated"), ("convergence", "miss"))  # fmt: skip
    why = [f"gate {name} (none): {verdict}" for name, verdict in said]
    assert [(row["status"], row.get("note")) for row in shown] == [
        ("blinded", f"sealed: {'; '.join(why)}")
    ]
    gates = [{"name": "events_per_parameter", "threshold": 200.0, "on_miss": "report"}]
    study = with_changes(tmp_path, gates=gates, waivers=[])
    assert told(study, rows)[0] == {"events_per_parameter": "miss"}  # two terms


def study_with(tmp_path, analysis=None, **changes):
    first = {**STUDY["analyses"][0], **(analysis or {})}
    changes = {"waivers": []} | changes
    first = {key: value for key, value in first.items() if value is not None}
    return with_changes(tmp_path, analyses=[first, *STUDY["analyses"][1:]], **changes)


@pytest.mark.parametrize(
    ("analysis", "changes", "said"),
    [
        ({"gates": ["max_smd"]}, {}, "gate max_smd is not among the gates"),
        ({"role": "replication"}, {}, "no gate binds it"),
        ({"gates": None}, {}, "gates judge the arms"),
        ({"gates": ["largest"]}, {}, "gates"),
        ({}, {"gates": [{"name": "events", "on_miss": "report"}]}, "needs a threshold"),
        ({}, {"gates": [{"name": "convergence", "threshold": 1.0, "on_miss": "report"}]}, "takes no"),
        ({"role": "secondary", "planned": {"information_fraction": 0.5, "events": 9}}, {},
         "looks are planned for a primary"),
        ({"planned": {"information_fraction": 0.5}}, {}, "data_cutoff, or information_fraction"),
        ({}, {"waivers": [WAIVER | {"analysis": "km"}]}, "does not declare"),
        ({}, {"waivers": [WAIVER | {"gate": "mdrr"}]}, "not among the gates"),
        ({}, {"waivers": [WAIVER | {"reason": "why not"}]}, "reason"),
    ],
)  # fmt: skip
def test_what_binds_nothing_is_refused(tmp_path, analysis, changes, said):
    with pytest.raises(SpecError) as caught:
        load_study(study_with(tmp_path, analysis, **changes))
    assert caught.value.exit_code == 11
    assert said in str(caught.value)


def test_keys_lie_outside_and_belong_to_one(home, sealed, tmp_path, monkeypatch):
    outcome, _ = sealed
    study = written(tmp_path, STUDY)
    why = ("A. Tester", "to see what must not be seen")
    monkeypatch.setenv("CAUSEWAY_KEYS", str(home.root / "keys"))
    with pytest.raises(SealError, match="may not lie"):
        keys_folder(home)
    monkeypatch.setenv("CAUSEWAY_KEYS", str(tmp_path / "other"))
    with pytest.raises(SealError, match="cannot be read"):
        open_sealed(home, study, outcome.run_id, *why)
    assert not (tmp_path / "other" / KEY_FILE).exists()


def test_a_seal_that_was_changed_or_moved_does_not_open(home, sealed, tmp_path):
    outcome, _ = sealed
    study, why = written(tmp_path, STUDY), ("A. Tester", "to see what must not be seen")
    file = sealed_file(home, "trial", outcome.run_id)
    moved = file.with_name("000000000000.json")
    moved.write_bytes(file.read_bytes())
    lines = (home.audit / "log.jsonl").read_bytes()
    with pytest.raises(SealError, match="changed"):
        open_sealed(home, study, "000000000000", *why)
    moved.unlink()
    assert (home.audit / "log.jsonl").read_bytes() == lines


def test_the_commands_open_and_verify(home, sealed, tmp_path, capsys):
    outcome, _ = sealed
    study = written(tmp_path, STUDY)
    words = ["--by", "A. Tester", "--reason", "the committee asked for it", "--json"]
    command("unseal", study, "--run", outcome.run_id, *words, "--home", home.root)
    told = json.loads(capsys.readouterr().out)
    assert told["rows"] > 100
    assert str(home.restricted) in told["folder"]
    command("audit", "verify", "--home", home.root)
    assert "whole" in capsys.readouterr().out
    log = home.audit / "log.jsonl"
    text = log.read_text(encoding="utf-8")
    try:
        log.write_text(text.replace("A. Tester", "Somebody", 1), encoding="utf-8")
        with pytest.raises(AuditError, match="is not what was written"):
            command("audit", "verify", "--home", home.root)
    finally:
        log.write_text(text, encoding="utf-8")


def command(*words):
    app([str(word) for word in words], standalone_mode=False)


def other_wording(first, second, role="replication", **of_source):
    """Return a study whose second analysis says what the first, which waits, does not tell yet."""
    table = {**STUDY["sources"][0], **of_source}
    sources = [STUDY["sources"][0], *([table] if of_source else [])]
    both = [{"source": "t", **first, "id": "main", "role": "primary", "gates": ["events"]},
            {"source": table["id"], **second, "id": "again", "role": role}]  # fmt: skip
    return {"sources": sources, "waivers": [], "gates": STUDY["gates"][:1], "analyses": both}


COX = {"method": "cox", "terms": "arm + age", "ties": "efron"}


@pytest.mark.parametrize(
    "changes",
    [
        other_wording(COX, COX | {"terms": "age + arm"}),
        other_wording(COX, COX | {"terms": "arm + age + arm"}),
        other_wording({"method": "log_rank"}, {"method": "log_rank", "by": "arm"}),
        other_wording(COX, COX, id="same_table"),
        other_wording(COX, {"method": "kaplan_meier"}, "secondary", id="same_table", table="TRIAL"),
        other_wording(COX, COX | {"terms": "arm"}),
        other_wording(COX, {"method": "kaplan_meier", "by": "arm"}),
        other_wording(COX, COX | {"terms": "age", "strata": ["arm"]}),
        other_wording(COX | {"terms": "age"}, COX | {"terms": "age + arm"}),
        other_wording({"method": "kaplan_meier", "by": "arm"}, {"method": "log_rank"}, id="same"),
    ],
)
def test_another_wording_of_what_is_sealed_is_sealed(tmp_path, changes):
    spec = load_study(written(tmp_path, STUDY, **json.loads(json.dumps(changes))))
    rows = [
        result_row(a.id, a.role, a.rule.estimate, estimate=1.5, population=a.source)
        for a in spec.analyses
    ]
    shown, kept = split(spec, rows, Sealed({"main": "waits"}))
    assert [row["status"] for row in shown] == ["blinded", "blinded"]
    assert kept == rows


def test_another_study_of_the_same_outcome_is_warned_of(home, sealed, tmp_path):
    of_its_own = {"study": STUDY["study"] | {"id": "free"}, "gates": [], "waivers": []}
    study = (
        STUDY | of_its_own | {"analyses": [{"id": "c", "role": "primary", "source": "t", **COX}]}
    )
    outcome, _ = run(home, written(tmp_path, study))
    assert [(m.code, m.where) for m in outcome.messages] == [("W_SEALED_ELSEWHERE", "study trial")]
    assert "W_SEALED_ELSEWHERE" not in (outcome.folder / "manifest.json").read_text()


def seen(spec):
    """What is told of both analyses while the first waits, with an arm and without one."""
    rows = [
        result_row(a.id, a.role, a.rule.estimate, estimate=1.5, population=a.source, arm=arm)
        for a in spec.analyses
        for arm in (None, "1")
    ]
    shown, _ = split(spec, rows, Sealed({"main": "waits"}))
    return [(row["analysis_id"], row.get("arm")) for row in shown if row["status"] == "ok"]


def test_a_replication_that_holds_no_arms_against_one_another_goes_on(tmp_path):
    changes = other_wording(COX, COX | {"terms": "age"})
    assert seen(load_study(written(tmp_path, STUDY, **changes))) == [("again", None)]


@pytest.mark.parametrize("role", ["replication", "secondary"])
def test_a_waiver_of_sealing_tells_one_analysis_while_another_waits(tmp_path, role):
    changes = other_wording(COX, COX | {"terms": "arm"}, role)
    changes["waivers"] = [WAIVER | {"gate": "sealing", "analysis": "again"}]
    spec = load_study(written(tmp_path, STUDY, **changes))
    assert seen(spec) == [("again", None), ("again", "1")]


@pytest.mark.parametrize("analysis", ["main", "nobody", None])
def test_a_waiver_of_sealing_names_an_analysis_that_waits_for_nothing(tmp_path, analysis):
    changes = other_wording(COX, COX | {"terms": "arm"})
    changes["waivers"] = [
        WAIVER | {"gate": "sealing"} | ({"analysis": analysis} if analysis else {})
    ]
    with pytest.raises(SpecError) as caught:
        load_study(written(tmp_path, STUDY, **changes))
    assert "cannot be told while others wait" in str(caught.value)


def test_rows_that_lack_a_covariate_are_no_events_of_a_planned_look(tmp_path):
    main = STUDY["analyses"][0] | {"planned": {"information_fraction": 0.5, "events": 100}}
    del main["gates"]
    spec = load_study(with_changes(tmp_path, gates=[], waivers=[], analyses=[main]))
    rows = [
        result_row("main", "primary", "hazard_ratio", estimate=1.5, n=400, n_events=20),
        result_row("main", "descriptive", "missing_fraction", estimate=0.2, n=400, n_events=80),
    ]
    sealed = sealed_by(spec, [], "2026-01-01", rows)
    assert (dict(sealed.fractions), set(sealed.why)) == ({"main": 0.2}, {"main"})
