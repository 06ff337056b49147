"""Every broken study is refused at its line and key, says what is wrong and how to mend it."""

import json
from pathlib import Path

import pytest
import yaml

from flows import cli
from tasks.core.errors import SpecError
from tasks.core.paths import STUDIES_DIR
from tasks.core.spec.load import check_study
from tasks.core.spec.unread import BLOCKS_IN_PART
from tests.design_world import Plain

HERE = Path(__file__).parent
BASE = (HERE / "broken_base.yaml").read_text(encoding="utf-8")
CASES = yaml.safe_load((HERE / "broken_specs.yaml").read_text(encoding="utf-8"))
FILES = {
    "ward.csv": "concept_id,name\n9201,Inpatient Visit\n",
    "columns.csv": "concept,name\n9201,Inpatient Visit\n",
    "value.csv": "concept_id,exclude\n9201,false\n9202,perhaps\n",
    "row.csv": "concept_id,vocabulary,code\n,KCD8,\n",
    "set.json": "{'items': []}",
}
LONG = {"@3000": "x" * 3000, "@list1100": ", ".join(f"s{n}" for n in range(1100))}


def in_folder(folder, text):
    """Write a study with its files; return the study's file."""
    (folder / "lists" / "folder.csv").mkdir(parents=True)
    (folder / "lists" / "link.csv").symlink_to("/etc/hostname")
    for name, content in FILES.items():
        (folder / "lists" / name).write_text(content, encoding="utf-8")
    file = folder / "broken_base.yaml"
    file.write_bytes(text.encode("utf-8") if isinstance(text, str) else text)
    return file


def broken(case):
    if "text" in case:
        return case["text"]
    old, new = case["change"]
    assert old in BASE, case["id"]
    for mark, long in LONG.items():
        new = new.replace(mark, long)
    return BASE.replace(old, new, 1)


def line_of(case, text):
    found = [n for n, line in enumerate(text.split("\n"), 1) if case["line"] in line]
    return found[case.get("nth", 1) - 1]


def refusal(file):
    with pytest.raises(SpecError) as caught:
        check_study(str(file))
    assert caught.value.exit_code == 11
    return caught.value.messages


def test_the_base_is_valid(tmp_path):
    spec, doubts = check_study(str(in_folder(tmp_path, BASE)))
    assert (spec.study.id, doubts) == ("broken_base", [])


def test_no_case_stands_twice_and_there_are_many():
    assert len({case["id"] for case in CASES}) == len(CASES) >= 40


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_a_broken_study_is_refused(tmp_path, case):
    text = broken(case)
    messages = refusal(in_folder(tmp_path, text))
    [message] = [m for m in messages if m.what.split(": ")[0] != case.get("also")]
    assert len(messages) == 1 + ("also" in case)
    assert message.code == case.get("code", "E_SPEC_PARSE")
    assert case.get("key", "") in message.what.split(": ")[0]
    assert str(case["what"]) in message.what
    assert str(case["fix"]) in message.fix
    assert len(message.what) < 300
    if "line" in case:
        assert message.where == f"broken_base.yaml:{line_of(case, text)}"
    assert case.get("in", "broken_base.yaml") in message.where


def test_all_faults_are_told_at_once_in_the_order_of_the_file(tmp_path):
    text = BASE
    for old, new in (
        ("spec_version: 1", "spec_version: 010"),  # YAML
        ("kind: lake", "kind: lake, color: red"),  # block
        ("concepts: [192671]", "concepts: [1.5]"),  # block
        ("washout_days: 180", "washout_days: NO"),  # YAML
        ("{method: calendar_year, at_least: 18}", "{at_least: 18}"),  # block
        ("limit: {nth: 2}", "limit: {nth: 0}"),  # block
    ):
        text = text.replace(old, new)
    text += "analyses:\n" + 2 * (
        "  - {id: sites, role: primary, method: log_rank, adjustment: matched}\n"
    )
    messages = refusal(in_folder(tmp_path, text))
    lines = [int(message.where.split(":")[1]) for message in messages]
    assert lines == sorted(lines)
    told = [message.what.split(": ")[0] for message in messages]
    assert told == [
        "spec_version",
        "sources.0.color",
        "code_lists.1.concepts.0",
        "cohorts.0.entry.washout_days",
        "cohorts.0.rules.0.require.age.method",
        "cohorts.1.entry.limit.nth",
        "analyses",  # more than one primary
        "analyses",  # nothing to adjust with
        "analyses.0.id",  # taken
        "analyses.0",  # no arms to compare
        "analyses.1.id",  # taken
        "analyses.1.id",  # twice
        "analyses.1",  # no arms to compare
    ]


def test_what_stands_below_a_refused_value_is_not_told_again(tmp_path):
    text = BASE.replace("rules:\n", "rules: !!set\n", 1)
    [message] = refusal(in_folder(tmp_path, text))
    assert "cohorts.0.rules: tag" in message.what


def test_a_check_waits_for_the_blocks_that_it_reads(tmp_path):
    text = BASE.replace("id: ward\n", "id: Ward!\n")
    assert [m.code for m in refusal(in_folder(tmp_path, text))] == ["E_SPEC_IDENTIFIER"]


SOME_WRONG = (
    ("washout_days: 180", "washout_day: 180"),
    ("{method: calendar_year, at_least: 18}", "{at_least: 18}"),
)


def told_of(tmp_path, *changes, more=""):
    text = BASE
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    return [m.what.split(": ", 1) for m in refusal(in_folder(tmp_path, text + more))]


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ("code_list: ward", "code_list: bronchitus", "cohorts.1.entry.any.0.code_list"),
        (
            "code_list: bleeding",
            "code_list: bronchitus",
            "cohorts.0.rules.1.exclude.events.code_list",
        ),
    ],
    ids=["of_another_cohort", "of_the_same"],
)
def test_an_undefined_name_is_told_with_the_faults_of_other_entries(tmp_path, old, new, key):
    told = told_of(tmp_path, *SOME_WRONG, (old, new))
    assert [key for key, _ in told] == [
        "cohorts.0.entry.washout_day",
        "cohorts.0.rules.0.require.age.method",
        key,
    ]
    assert told[2][1] == "code lists ['bronchitus'] are used but not defined"


OTHERS = """
covariates:
  - {id: in_it, kind: cohort, cohorts: [users, nobody], min_share: 0.1, window_start_days: -9,
     window_end_days: -1}
  - {id: odd, kind: sex, color: red}
  - {id: past, kind: named_conditions, code_lists: [bleeding, bronchitus], min_share: 0.1,
     window_start_days: -9, window_end_days: -1}
  - {id: past, kind: sex}
"""


def test_names_of_entries_that_are_not_valid_are_defined(tmp_path):
    wrong_list = ("concepts: [192671]", "concepts: [1.5]")
    told = told_of(tmp_path, *SOME_WRONG, wrong_list, more=OTHERS)
    assert told == [
        ["code_lists.1.concepts.0", told[0][1]],
        ["cohorts.0.entry.washout_day", told[1][1]],
        ["cohorts.0.rules.0.require.age.method", told[2][1]],
        ["covariates.0.cohorts", "cohort nobody is used but not defined"],
        ["covariates.1.color", told[4][1]],
        ["covariates.2", "code lists ['bronchitus'] are used but not defined"],
        ["covariates.3.id", "two entries of covariates have the same id"],
    ]


@pytest.mark.parametrize("name", ["id: users", "id: Users!", "name: {en: a, ko: b}"])
def test_who_has_no_name_that_can_be_read_may_be_anybody(tmp_path, name):
    told = told_of(tmp_path, ("id: users", name), SOME_WRONG[0], more=OTHERS)
    undefined = [what for _, what in told if "used but not defined" in what]
    assert ("cohort nobody is used but not defined" in undefined) == (name == "id: users")
    assert not [what for what in undefined if "users" in what]


@pytest.mark.parametrize("study", ["gibleed_celecoxib_diclofenac", "ai_cxr_triage",
                                   "examples/gibleed_cohorts", "examples/registry_survival",
                                   "broken_base"])  # fmt: skip
def test_one_wrong_entry_is_one_fault(tmp_path, study):
    """Whichever entry of a valid study is not valid, nothing else is said to be wrong."""
    home = HERE if study == "broken_base" else STUDIES_DIR
    whole = yaml.safe_load((home / f"{study}.yaml").read_text(encoding="utf-8"))
    file = in_folder(tmp_path, BASE)
    for block in BLOCKS_IN_PART:
        for place, entry in enumerate(whole.get(block, ())):
            entry["colour_of_it"] = 1
            file.write_text(yaml.dump(whole, Dumper=Plain, allow_unicode=True), encoding="utf-8")
            del entry["colour_of_it"]
            [message] = refusal(file)
            assert message.what.startswith(f"{block}.{place}.colour_of_it: ")


def test_a_thousand_faults_are_not_all_listed(tmp_path):
    text = BASE.replace("sites: [hospital-a]", f"sites: [{', '.join(['a b'] * 900)}]")
    messages = refusal(in_folder(tmp_path, text))
    assert len(messages) == 101
    assert "800 further faults" in messages[-1].what


@pytest.mark.parametrize(
    ("raw", "what", "line"),
    [
        (BASE.encode("utf-16"), "is not UTF-8", 1),
        (BASE.encode("cp949"), "is not UTF-8", 7),
        (b"\x00\x01\x02", "cannot be seen", 1),
        (b"spec_version: 1\n\xff\xfe: 2", "is not UTF-8", 2),
    ],
    ids=["utf16", "cp949", "binary", "stray"],
)
def test_other_bytes_are_refused(tmp_path, raw, what, line):
    message = refusal(in_folder(tmp_path, raw))[0]
    assert what in message.what
    assert message.where == f"broken_base.yaml:{line}"


@pytest.mark.parametrize("mark", ["\ufeff", ""])
def test_files_of_windows_are_the_same_study(tmp_path, mark):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    ours, _ = check_study(str(in_folder(tmp_path / "a", BASE)))
    windows = (mark + BASE).replace("\n", "\r\n")
    theirs, _ = check_study(str(in_folder(tmp_path / "b", windows)))
    assert theirs.spec_hash == ours.spec_hash


def command(monkeypatch, capsys, *words):
    monkeypatch.setattr("sys.argv", ["causeway", *words])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return ended.value.code, capsys.readouterr()


def test_the_command_lists_every_fault(tmp_path, monkeypatch, capsys):
    text = BASE.replace("limit: first", "limit: NO").replace("{nth: 2}", "{nth: 0}")
    file = in_folder(tmp_path, text)
    code, said = command(monkeypatch, capsys, "study", "check", str(file))
    assert code == 11
    assert said.out == ""
    assert said.err.count("To fix:") == 2
    assert "Traceback" not in said.err


def test_the_command_says_the_same_in_json(tmp_path, monkeypatch, capsys):
    file = in_folder(tmp_path, BASE.replace("{nth: 2}", "{nth: 0}"))
    code, said = command(monkeypatch, capsys, "study", "check", str(file), "--json")
    document = json.loads(said.out)
    assert (code, document["status"]) == (11, "failed")
    [message] = document["messages"]
    assert set(message) == {"code", "where", "what", "fix"}
    assert message["what"].startswith("cohorts.1.entry.limit.nth")


def test_the_command_accepts_a_valid_study(tmp_path, monkeypatch, capsys):
    file = in_folder(tmp_path, BASE)
    code, said = command(monkeypatch, capsys, "study", "check", str(file), "--json")
    assert code == 0
    assert json.loads(said.out)["messages"] == []
