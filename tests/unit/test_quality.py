"""The quality gate on small stage files that each test draws itself."""

import json
import logging
import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path

import duckdb
import pytest

from tasks.core.errors import GateError, SpecError
from tasks.core.omop import omop_tables
from tasks.core.paths import EXPECTATIONS_DIR
from tasks.quality.gate import judge
from tasks.quality.gx import opened, prepared_gx, require_known_version, run_checks
from tasks.quality.model import CheckResult, Verdict
from tasks.quality.suites import load_suites

CANARY = "ZQ-CANARY-880101"

PEOPLE = """
select i as person_id, 8507::bigint as gender_concept_id, 1960 as year_of_birth,
    8552::bigint as race_concept_id, 0::bigint as ethnicity_concept_id
from range(1, 11) as numbers(i)
"""
PERIODS = """
select i as observation_period_id, i as person_id, date '2020-01-01' as
    observation_period_start_date, date '2024-12-31' as observation_period_end_date,
    32817::bigint as period_type_concept_id
from range(1, 11) as numbers(i)
"""
CONDITIONS = """
select i as condition_occurrence_id, 1 + i % 10 as person_id,
    201826::bigint as condition_concept_id, date '2021-05-01' as condition_start_date,
    32817::bigint as condition_type_concept_id
from range(1, 11) as numbers(i)
"""
REASON = """reason: {en: "Every analysis starts here.", ko: "모든 분석이 여기에서 시작합니다."}"""


def write_stage(folder: Path, **tables: str) -> Path:
    """Write a stage file as ingest does; rows with a `_code` are quarantined."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "stage.duckdb"
    with duckdb.connect(str(file)) as con:
        for schema in ("delivered", "loadable", "delivery"):
            con.execute(f"create schema {schema}")
        con.execute(
            "create table delivery.file_balance(table_name varchar, file varchar, rows_in bigint,"
            " rows_loadable bigint, rows_quarantined bigint, rows_deduplicated bigint,"
            " quarantined_share double)"
        )
        for name, query in tables.items():
            write_table(con, folder, name, query)
    return file


def write_table(con: duckdb.DuckDBPyConnection, folder: Path, name: str, query: str) -> None:
    parquet = folder / f"{name}.parquet"
    coded = "" if " as _code" in query else ", null::varchar as _code"
    con.execute(
        f"copy (select row_number() over () as _row, *{coded} from ({query})) to '{parquet}'"
    )
    con.execute(f"create view delivered.{name} as from '{parquet}'")
    con.execute(f"create view loadable.{name} as from '{parquet}' where _code is null")
    con.execute(
        f"insert into delivery.file_balance select '{name}', '{name}.csv', count(*),"
        f" count(*) - count(_code), count(_code), 0, count(_code) / greatest(count(*), 1)"
        f" from '{parquet}'"
    )


def write_suite(folder: Path, *checks: str, table: str = "loadable.person") -> Path:
    """Write one suite that begins as every suite must, followed by `checks`."""
    start = "{id: PER-001, expect: expect_table_row_count_to_be_between, kwargs: {min_value: 1}"
    gaps = "{id: PER-002, expect: expect_column_values_to_not_be_null, kwargs: {column: person_id}"
    first = [f"{check}, severity: critical, {REASON}}}" for check in (start, gaps)]
    lines = [f"table: {table}", REASON, "expectations:", *(f"  - {c}" for c in (*first, *checks))]
    file = folder / "omop" / f"{table.partition('.')[2]}.yaml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def result_of(verdict: Verdict, column: str, expectation: str, table: str) -> CheckResult:
    [found] = [
        result
        for result in verdict.results
        if (result.column, result.expectation, result.table) == (column, expectation, table)
    ]
    return found


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Verdict:
    stage = write_stage(tmp_path_factory.mktemp("clean"), person=PEOPLE, observation_period=PERIODS)
    return judge(stage)


def test_a_clean_delivery_passes(clean: Verdict) -> None:
    assert [str(message) for message in clean.messages()] == []
    assert (clean.verdict, clean.blocked, clean.counts["error"]) == ("pass", False, 0)


def test_a_table_that_was_not_delivered_is_one_row_and_no_failure(clean: Verdict) -> None:
    [row] = [result for result in clean.results if result.table == "loadable.death"]
    assert (row.check_id, row.status, row.cause) == (
        "DEA-000",
        "not_applicable",
        "table not delivered",
    )


def test_an_empty_table_is_critical(tmp_path: Path) -> None:
    empty = f"select * from ({PEOPLE}) where false"
    verdict = judge(write_stage(tmp_path, person=empty, observation_period=PERIODS))
    found = result_of(verdict, "", "expect_table_row_count_to_be_between", "loadable.person")
    assert (found.status, found.severity, found.n_rows) == ("fail", "critical", 0)
    assert verdict.verdict == "blocked"


def test_a_column_without_any_value_is_critical(tmp_path: Path) -> None:
    blank = f"select * replace (null::integer as year_of_birth) from ({PEOPLE})"
    verdict = judge(write_stage(tmp_path, person=blank, observation_period=PERIODS))
    rule = "expect_column_values_to_not_be_null"
    found = result_of(verdict, "year_of_birth", rule, "loadable.person")
    assert (found.status, found.n_rows, found.n_unexpected, found.share) == ("fail", 10, 10, 1.0)
    assert verdict.blocked


def test_periods_of_nobody_are_a_warning_with_their_count(tmp_path: Path) -> None:
    strangers = f"""
    select *, null::varchar as _code from ({PERIODS}) union all
    select * replace (observation_period_id + 10 as observation_period_id,
        person_id + 900 as person_id), 'E_ORPHAN' from ({PERIODS}) where person_id <= 7
    """
    verdict = judge(write_stage(tmp_path, person=PEOPLE, observation_period=strangers))
    [found] = [result for result in verdict.failures if result.on == "delivered"]
    assert (found.check_id, found.severity) == ("OBS-008", "warning")
    assert (found.n_unexpected, found.n_rows) == (7, 17)
    assert verdict.verdict == "pass_with_warnings"
    assert "7 of 17 rows (41.2%)" in str(found.message())


def test_a_repeated_key_blocks(tmp_path: Path) -> None:
    twice = f"{PEOPLE} union all ({PEOPLE} limit 3)"
    verdict = judge(write_stage(tmp_path, person=twice, observation_period=PERIODS))
    rule = "expect_column_values_to_be_unique"
    found = result_of(verdict, "person_id", rule, "loadable.person")
    assert (found.status, found.n_unexpected) == ("fail", 6)
    assert verdict.blocked
    assert verdict.messages()[0].code == "E_DQ_CRITICAL"


def test_unmapped_rows_warn_with_column_and_threshold(tmp_path: Path) -> None:
    unmapped = f"""
    select * replace (if(condition_occurrence_id <= 4, 0, condition_concept_id)
        as condition_concept_id) from ({CONDITIONS})
    """
    stage = write_stage(
        tmp_path, person=PEOPLE, observation_period=PERIODS, condition_occurrence=unmapped
    )
    [message] = judge(stage).messages()
    assert message.where == "loadable.condition_occurrence.condition_concept_id"
    assert "4 of 10 rows (40.0%); threshold: at most 20% of rows" in message.what


def test_a_lost_row_and_a_lost_table_block(tmp_path: Path) -> None:
    stage = write_stage(tmp_path, person=PEOPLE, observation_period=PERIODS)
    with duckdb.connect(str(stage)) as con:
        con.execute("update delivery.file_balance set rows_in = 11 where table_name = 'person'")
        con.execute(
            "update delivery.file_balance set rows_in = 100, rows_quarantined = 90,"
            " quarantined_share = 0.9 where table_name = 'observation_period'"
        )
    blocking = [result for result in judge(stage).results if result.blocks]
    assert {result.table for result in blocking} == {"delivery.file_balance"}
    assert any("otherwise rows were lost" in r.reason_en for r in blocking)
    assert any("observation periods are in quarantine" in r.reason_en for r in blocking)


def test_a_missing_column_is_an_error_and_never_a_pass(tmp_path: Path) -> None:
    stage = write_stage(tmp_path / "stage", person=PEOPLE)
    suites = write_suite(
        tmp_path / "suites",
        "{id: PER-003, expect: expect_column_values_to_be_unique, kwargs: {column: no_such_column},"
        f" severity: info, {REASON}}}",
        "{id: PER-004, expect: unexpected_rows_expectation, severity: info, kwargs:"
        ' {unexpected_rows_query: "select 1 as unexpected from {batch} where nothing > 1"},'
        f" {REASON}}}",
        "{id: PER-005, expect: expect_column_values_to_be_between, severity: info,"
        f" kwargs: {{column: person_id, least: 1}}, {REASON}}}",
        "{id: PER-006, expect: expect_column_values_to_be_between, severity: info,"
        f" kwargs: {{column: month_of_birth, min_value: 1}}, {REASON}}}",
    )
    verdict = judge(stage, suites)
    assert [(r.status, r.cause) for r in verdict.results] == [
        ("pass", ""),
        ("pass", ""),
        ("error", "column missing"),
        ("error", "BinderException"),
        ("error", "ValidationError"),
        ("not_applicable", "optional column not delivered"),
    ]
    assert verdict.blocked
    assert [message.code for message in verdict.messages()] == ["E_DQ_ERROR"] * 3


def test_a_view_without_its_parquet_blocks(tmp_path: Path) -> None:
    stage = write_stage(tmp_path, person=PEOPLE, observation_period=PERIODS)
    (tmp_path / "person.parquet").unlink()
    verdict = judge(stage)
    assert verdict.blocked
    assert {r.status for r in verdict.results if r.table == "loadable.person"} <= {
        "error",
        "not_applicable",
    }


def test_no_value_ever_leaves(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    marked = f"select *, '{CANARY}' as person_source_value from ({PEOPLE})"
    stage = write_stage(tmp_path / "stage", person=marked)
    cast = "cast(person_source_value as integer) > 1"
    suites = write_suite(
        tmp_path / "suites",
        "{id: PER-003, expect: expect_column_values_to_not_be_in_set, severity: warning,"
        f" kwargs: {{column: person_source_value, value_set: [{CANARY}]}}, {REASON}}}",
        "{id: PER-004, expect: unexpected_rows_expectation, severity: critical, kwargs:"
        f' {{unexpected_rows_query: "select 1 as unexpected from {{batch}} where {cast}"}},'
        f" {REASON}}}",
        "{id: PER-005, expect: expect_column_values_to_be_between, severity: warning,"
        f" kwargs: {{column: person_source_value, min_value: 1, max_value: 2}}, {REASON}}}",
        "{id: PER-006, expect: expect_column_values_to_be_unique, severity: warning,"
        f" kwargs: {{column: person_source_value}}, {REASON}}}",
    )
    with caplog.at_level(logging.DEBUG):
        verdict = judge(stage, suites)
    statuses = {r.check_id: (r.status, r.n_unexpected) for r in verdict.results}
    assert statuses["PER-003"] == ("fail", 10)
    assert statuses["PER-004"] == ("error", None)
    assert statuses["PER-006"] == ("fail", 10)
    told = verdict.as_json() + "".join(map(str, verdict.messages())) + caplog.text
    assert CANARY not in told + repr(verdict) + "".join(capfd.readouterr())


def test_the_log_of_great_expectations_is_silent(caplog: pytest.LogCaptureFixture) -> None:
    prepared_gx()
    with caplog.at_level(logging.DEBUG):
        logging.getLogger("great_expectations.data_context.types.base").error(CANARY)
        logging.getLogger("great_expectations.validator").critical(CANARY)
    assert caplog.text == ""


def test_every_suite_loads_with_unique_ids_and_both_languages() -> None:
    suites = load_suites(EXPECTATIONS_DIR)
    checks = [check for suite in suites for check in suite.expectations]
    assert len(suites) == 23
    assert len({check.id for check in checks}) == len(checks)
    assert len({suite.expectations[0].id[:3] for suite in suites}) == len(suites)
    for reason in (r for suite in suites for r in (suite.reason, *(c.reason for c in checks))):
        assert re.search("[가-힣]", reason.ko)
        assert not re.search("[가-힣]", reason.en)


@pytest.mark.parametrize("only_required", [True, False])
def test_every_expectation_can_run(tmp_path: Path, only_required: bool) -> None:
    names = [s.name for s in load_suites(EXPECTATIONS_DIR) if s.table.startswith("loadable.")]
    stage = write_stage(tmp_path, **{name: one_row(name, only_required) for name in names})
    verdict = judge(stage, data_cutoff=date(2026, 10, 31))
    assert [r.check_id for r in verdict.results if r.status == "error"] == []
    not_run = [r.check_id for r in verdict.results if r.status == "not_applicable"]
    assert bool(not_run) == only_required


def one_row(name: str, only_required: bool) -> str:
    filler = {"DATE": "date '2020-01-01'", "TIMESTAMP": "timestamp '2020-01-01'", "VARCHAR": "'a'"}
    return "select " + ", ".join(
        f"cast({filler.get(column.type, '1')} as {column.type}) as {column.name}"
        for column in omop_tables()[name].columns
        if column.required or not only_required
    )


def test_checks_of_whole_tables_do_not_apply_to_an_increment(tmp_path: Path) -> None:
    stage = write_stage(tmp_path, person=f"{PEOPLE} limit 1", condition_occurrence=CONDITIONS)
    assert judge(stage).blocked
    assert judge(stage, kind="increment").verdict == "pass"


def test_rows_after_the_cut_off_warn(tmp_path: Path) -> None:
    stage = write_stage(tmp_path, person=PEOPLE, observation_period=PERIODS)
    verdict = judge(stage, data_cutoff=date(2024, 6, 30))
    [found] = verdict.failures
    assert (found.severity, found.n_unexpected) == ("warning", 10)
    assert "cut-off" in found.reason_en


def test_faults_of_all_suites_are_told_at_once(tmp_path: Path) -> None:
    suites = write_suite(
        tmp_path,
        f"{{id: PER-2, expect: expect_column_max_to_be_between, kwargs: {{}}, {REASON}}}",
        "{id: PER-003, expect: unexpected_rows_expectation, severity: info, kwargs:"
        f' {{unexpected_rows_query: "select * from {{batch}}"}}, {REASON}}}',
    )
    write_suite(suites, table="loadable.persons")
    with pytest.raises(SpecError) as caught:
        load_suites(suites)
    told = [(fault.where.partition(":")[0], fault.what) for fault in caught.value.messages]
    assert {where for where, _ in told} == {"person.yaml", "persons.yaml"}
    assert len(told) >= 5
    assert any("must start with `select 1 as unexpected from `" in what for _, what in told)


def test_a_file_that_is_no_stage_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.duckdb").write_text("no database", encoding="utf-8")
    for name, what in (("absent.duckdb", "is not there"), ("text.duckdb", "cannot be opened")):
        with pytest.raises(GateError, match=what):
            judge(tmp_path / name)


def test_a_stage_with_nothing_in_it_is_blocked(tmp_path: Path) -> None:
    assert judge(write_stage(tmp_path)).verdict == "blocked"
    assert Verdict(()).verdict == "blocked"


def test_the_same_stage_gives_the_same_bytes_and_calls_nobody(
    tmp_path: Path, clean: Verdict, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = write_stage(tmp_path, person=PEOPLE, observation_period=PERIODS)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    again = judge(stage).as_json()
    assert again == clean.as_json()
    assert json.loads(again)["counts"]["pass"] == clean.counts["pass"]
    assert os.environ["GX_ANALYTICS_ENABLED"] == "false"


def refuse(*_: object, **__: object) -> None:
    raise AssertionError("the gate reached for the network")


def test_two_readers_at_once_and_a_writer_afterwards(tmp_path: Path) -> None:
    stage = write_stage(tmp_path, person=PEOPLE, observation_period=PERIODS)
    code = "import duckdb, sys; c = duckdb.connect(sys.argv[1], read_only=True); print(1); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code, str(stage)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "1\n"
        [suite] = [s for s in load_suites(EXPECTATIONS_DIR) if s.name == "person"]
        with opened(stage) as first, opened(stage) as second:
            found = [
                run_checks(s, "loadable.person", suite.expectations[:2], None)
                for s in (first, second)
            ]
        other.communicate("\n")
    assert found[0] == found[1]
    assert [outcome.n_rows for outcome in found[0].values()] == [10, 10]
    duckdb.connect(str(stage)).close()


def test_the_read_fix_is_applied_once_and_only_to_the_known_version() -> None:
    prepared_gx()
    from great_expectations.execution_engine import SqlAlchemyExecutionEngine

    method: Callable[..., object] = SqlAlchemyExecutionEngine.execute_query
    prepared_gx()
    assert SqlAlchemyExecutionEngine.execute_query is method
    require_known_version("1.24.9")
    for unknown in ("1.25.0", "1.240.0", "2.0"):
        with pytest.raises(GateError, match="read fix"):
            require_known_version(unknown)


VERSIONS = """
select 'D' as udi_di, '1' as model_version, 0.5 as threshold, date '2020-01-01' as valid_from,
    null::date as valid_to
"""
INFERENCES = """
select i::varchar as device_inference_id, i as person_id, i::varchar as study_id, 'D' as udi_di,
    '1' as model_version, timestamp '2021-05-01 10:00' as acquisition_datetime,
    timestamp '2021-05-01 10:01' as inference_datetime, i / 20.0 as score,
    'positive' as decision, true as shown, null::varchar as failure, 1.0 as latency_seconds,
    'good' as input_quality, null::bigint as visit_occurrence_id
from range(1, 11) as numbers(i)
"""


def judge_devices(folder: Path, inferences: str, **tables: str) -> Verdict:
    base = {"person": PEOPLE, "observation_period": PERIODS, "device_version": VERSIONS}
    tables = base | {"device_inference": inferences} | tables
    return judge(write_stage(folder, **tables), data_cutoff=date(2024, 12, 31))


def test_scores_in_percent_block(tmp_path: Path) -> None:
    clean = judge_devices(tmp_path / "clean", INFERENCES)
    assert clean.verdict == "pass"
    percent = f"""
    select * replace (score * 100 as score), if(score * 100 > 1, 'E_AI_SCORE_RANGE', null) as _code
    from ({INFERENCES})
    """
    verdict = judge_devices(tmp_path / "percent", percent)
    [message] = [m for m in verdict.messages() if m.code == "E_AI_SCORE_SCALE"]
    assert message.where == "delivered.device_inference.score"
    assert verdict.blocked
    some = percent.replace("score * 100", "if(person_id > 5, score * 100, score)")
    assert not judge_devices(tmp_path / "some", some).blocked


def test_what_a_device_said_is_judged(tmp_path: Path) -> None:
    odd = f"""
    select * replace (
        if(person_id = 1, 'yes', decision) as decision,
        if(person_id = 2, 'fine', input_quality) as input_quality,
        if(person_id in (3, 4), null, score) as score,
        if(person_id in (4, 5), 'no lung found', failure) as failure,
        if(person_id = 6, -1, latency_seconds) as latency_seconds,
        if(person_id = 7, 9, visit_occurrence_id) as visit_occurrence_id,
        if(person_id = 8, timestamp '2019-05-01', inference_datetime) as inference_datetime
    ) from ({INFERENCES})
    """
    visits = """
    select 1 as visit_occurrence_id, 1 as person_id, 9202::bigint as visit_concept_id, date
        '2021-05-01' as visit_start_date, date '2021-05-01' as visit_end_date,
        32817::bigint as visit_type_concept_id
    """
    verdict = judge_devices(tmp_path, odd, visit_occurrence=visits)
    assert not verdict.blocked
    found = {
        (r.column, r.n_unexpected, r.code) for r in verdict.failures if r.check_id[:3] == "DVI"
    }
    assert found == {
        ("decision", 1, "W_VALUE_SET"),
        ("input_quality", 1, "W_VALUE_SET"),
        ("score,failure", 2, ""),
        ("score,decision", 2, ""),
        ("latency_seconds", 1, ""),
        ("visit_occurrence_id", 1, "W_ORPHAN_VISIT"),
        ("", 1, ""),  # before its version was in force, and outside observation
    }


def test_modes_truths_and_consents_have_their_values(tmp_path: Path) -> None:
    tables = {
        "device_deployment": """
            select '1' as device_deployment_id, 'D' as udi_di, '1' as model_version,
                'hidden' as mode, date '2020-01-01' as valid_from""",
        "device_reading": """
            select '1' as case_id, 'r' as reader_id, 'helped' as modality, 1 as person_id,
                'maybe' as decision""",
        "reference_standard": """
            select '1' as case_id, 1 as person_id, 'CT' as source, true as verified,
                'sick' as truth""",
        "consent": """
            select '1' as consent_id, 1 as person_id, 'all' as scope, 'yes' as status,
                date '2020-01-01' as consent_date""",
    }
    verdict = judge_devices(tmp_path, INFERENCES, **tables)
    warned = {(r.table, r.column) for r in verdict.failures if r.code == "W_VALUE_SET"}
    assert warned == {
        ("loadable.device_deployment", "mode"),
        ("loadable.device_reading", "modality"),
        ("loadable.device_reading", "decision"),
        ("loadable.reference_standard", "truth"),
        ("loadable.consent", "status"),
    }
    assert verdict.verdict == "pass_with_warnings"
