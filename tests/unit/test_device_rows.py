"""Device tables on arrival: UDIs are cut to the device identifier, versions and scores judged."""

import io

import pyarrow as pa
import pyarrow.compute
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from flows.cli import app
from flows.orders.delivery import deliver
from tasks.core.duck import duck
from tasks.core.omop import Column
from tasks.ingest.cast import Reading, cast_of
from tasks.ingest.omop_device import export_omop_device
from tasks.ingest.stage import stage_delivery
from tests.ingest_world import (
    BASE,
    DEVICE,
    DEVICE_VERSION,
    INFERENCE,
    SITE,
    a_home,
    counts,
    ingest,
    lake_rows,
    lines,
    staged_outcome,
    text,
    write_delivery,
)

DI = "08801234567893"
WHOLE = f"(01){DI}(17)281231(10)LOT77(21)SERIAL99"
UDIS = {
    "plain": (DI, DI, None),
    "plain, another agency's": ("Maker.CXR-2", "Maker.CXR-2", None),
    "plain, begins with 01": ("01234567890128", "01234567890128", None),
    "brackets": (WHOLE, DI, "W_UDI_PRODUCTION"),
    "brackets, nothing else": (f"(01){DI}", DI, None),
    "brackets, blanks": (f"(01) {DI} (21) SER", DI, "W_UDI_PRODUCTION"),
    "brackets, another order": (f"(17)281231(01){DI}(21)SER", DI, "W_UDI_PRODUCTION"),
    "brackets, too short": ("(01)880(21)SER", "880", "W_UDI_PRODUCTION"),
    "brackets, no 01": (f"{DI}(21)SER", DI, "W_UDI_PRODUCTION"),
    "brackets, a lot alone": (f"(01){DI}(10)LOT", DI, "W_UDI_PRODUCTION"),
    "elements": (f"01{DI}1728123110LOT", DI, "W_UDI_PRODUCTION"),
    "elements, nothing else": (f"01{DI}", DI, None),
    "elements, data matrix": (f"]d201{DI}10LOT\x1d21SER", DI, "W_UDI_PRODUCTION"),
    "elements, FNC1": (f"\x1d01{DI}21SER", DI, "W_UDI_PRODUCTION"),
    "elements, no DI": ("]d21728123121SER", None, "E_REQUIRED_NULL"),
    "digital link": (f"https://id.gs1.org/01/{DI}/21/SER?17=281231", DI, "W_UDI_PRODUCTION"),
    "digital link, capitals": (f"HTTPS://ID.GS1.ORG/01/{DI}/21/SER", DI, "W_UDI_PRODUCTION"),
    "digital link, fragment": (f"https://id.gs1.org/01/{DI}#SER", DI, "W_UDI_PRODUCTION"),
    "digital link, no scheme": (f"id.gs1.org/01/{DI}/21/SER", DI, "W_UDI_PRODUCTION"),
    "digital link, no DI": ("https://id.gs1.org/21/SER", None, "E_REQUIRED_NULL"),
    "EPC": ("urn:epc:id:sgtin:880123456.0789.SER", None, "E_REQUIRED_NULL"),
    "elements, blanks": (f"01 {DI} 21 SER", DI, "W_UDI_PRODUCTION"),
    "brackets, blanks inside": (f"( 01 ){DI}( 21 )SER", DI, "W_UDI_PRODUCTION"),
    "brackets, blanks behind": ("(01)880X 21 SER", "880X", "W_UDI_PRODUCTION"),
    "brackets, square": (f"[01]{DI}[21]SER", DI, "W_UDI_PRODUCTION"),
    "brackets, full width": (f"（01）{DI}（21）SER", DI, "W_UDI_PRODUCTION"),
    "words": (f"{DI} SN:SER", DI, "W_UDI_PRODUCTION"),
    "words before": (f"DI:{DI};SN:SER", DI, "W_UDI_PRODUCTION"),
    "slash": (f"{DI}/SER", DI, "W_UDI_PRODUCTION"),
    "bar": (f"{DI}|SER", DI, "W_UDI_PRODUCTION"),
    "hyphen": (f"{DI}-SER", DI, "W_UDI_PRODUCTION"),
    "a code with digits": (f"B-{DI}", f"B-{DI}", None),
    "HIBCC": ("+A123BJC5D6E71/$$520015LOT", "+A123BJC5D6E71", "W_UDI_PRODUCTION"),
    "HIBCC, DI alone": ("+A123BJC5D6E71", "+A123BJC5D6E71", None),
    "HIBCC, no DI": ("+$$520015LOT", None, "E_REQUIRED_NULL"),
    "ICCBBA": ("=/A9999XYZ100T0944=,000025=>014032", "=/A9999XYZ100T0944", "W_UDI_PRODUCTION"),
    "ICCBBA, another order": ("=,000025=/A9999XYZ1=>01", "=/A9999XYZ1", "W_UDI_PRODUCTION"),
    "serial alone": ("(21)SERIAL99", None, "E_REQUIRED_NULL"),
    "control character": (f"{DI}\x07", f"{DI}\x07", "E_CONTROL_CHAR"),
}


@pytest.fixture(scope="module")
def con():
    with duck() as connection:
        yield connection


def cast(con, column, value):
    made = cast_of(column, Reading("%Y-%m-%d", "Asia/Seoul", check_control=True)).of("v")
    return con.execute(f"select {made.value}, {made.code} from (select ? as v)", [value]).fetchone()


@pytest.mark.parametrize(("value", "kept", "code"), UDIS.values(), ids=UDIS)
def test_of_a_udi_the_device_identifier_is_kept(con, value, kept, code):
    assert cast(con, Column("udi_di", "VARCHAR", True), value) == (kept, code)


def test_a_lot_in_an_omop_table_is_information(con):
    column = Column("unique_device_id", "VARCHAR", False)
    assert cast(con, column, f"(01){DI}(10)AI-CXR") == (DI, "I_UDI_LOT")
    assert cast(con, column, WHOLE) == (DI, "W_UDI_PRODUCTION")
    assert cast(con, column, "(21)SERIAL99") == (None, "W_UDI_PRODUCTION")


@pytest.mark.parametrize(
    ("value", "kept", "code"),
    [
        ("CXR 2.1", "CXR 2.1", None),
        ("Luna / CXR|1", "Luna / CXR|1", None),
        (f"{DI}|2.1", f"{DI}|2.1", None),
        (f"(01){DI}|2.1", f"{DI}|2.1", None),
        (f"{WHOLE}|2.1", f"{DI}|2.1", "W_UDI_PRODUCTION"),
        (f"HTTPS://ID.GS1.ORG/01/{DI}/21/SER|1|2", f"{DI}|1|2", "W_UDI_PRODUCTION"),
        ("urn:epc:id:sgtin:880123456.0789.SER|2", "|2", "W_UDI_PRODUCTION"),
        ("(21)SERIAL99", None, "W_UDI_PRODUCTION"),
    ],
)
def test_a_source_value_keeps_the_device_identifier_of_its_udi(con, value, kept, code):
    assert cast(con, Column("device_source_value", "VARCHAR", False), value) == (kept, code)


def staged(tmp_path, tables, **manifest):
    return staged_outcome(a_home(tmp_path), write_delivery(tmp_path / "d", tables, **manifest))


EXPOSURE = f"""
    device_exposure_id,person_id,device_concept_id,device_exposure_start_date,device_type_concept_id,unique_device_id,production_id,device_source_value
    1,1,0,2024-01-01,32817,{WHOLE},SERIAL99,CXR 2.1
    2,2,0,2024-01-01,32817,{DI},,CXR 2.1
    3,3,4307816,2024-01-01,32817,,,
    4,3,0,2024-01-01,32817,{DI},,
"""


def as_parquet(drawing):
    sink = pa.BufferOutputStream()
    pq.write_table(pyarrow.csv.read_csv(io.BytesIO(text(drawing).encode())), sink)
    return sink.getvalue().to_pybytes()


@pytest.mark.parametrize("parquet", [False, True])
def test_no_production_identifier_reaches_the_lake(tmp_path, parquet):
    tables = {
        "device": text(DEVICE).replace(DI, WHOLE),
        "device_version": text(DEVICE_VERSION).replace(DI, f"]d201{DI}21SERIAL99", 1),
        "device_inference": text(INFERENCE).replace(DI, WHOLE),
        "device_exposure": EXPOSURE,
    }
    if parquet:
        tables = {f"{name}.parquet": as_parquet(drawing) for name, drawing in tables.items()}
    home = a_home(tmp_path)
    outcome = ingest(home, write_delivery(tmp_path / "d", BASE | tables))
    said = {m.column: m.message for m in outcome.messages if m.code == "W_UDI_PRODUCTION"}
    assert set(said) == {"udi_di", "unique_device_id", "production_id"}
    assert not any("SERIAL99" in message.message for message in outcome.messages)
    assert counts(outcome, "device_inference") == (3, 3, 0, 0)
    assert lake_rows(home, "select distinct udi_di from lake.omop.device_inference") == [(DI,)]
    exposures = (
        "select unique_device_id, production_id from lake.omop.device_exposure "
        "order by device_exposure_id"
    )
    assert lake_rows(home, exposures) == [(DI, None), (DI, None), (None, None)]
    held = b"".join(path.read_bytes() for path in home.lake.rglob("*.parquet"))
    assert b"SERIAL99" not in held
    joined = (
        "select count(*) from lake.omop.device_inference join lake.omop.device_version "
        "using (udi_di, model_version) join lake.omop.device using (udi_di)"
    )
    assert lake_rows(home, joined) == [(3,)]


def test_serial_numbers_make_one_device(tmp_path):
    drawing = text(DEVICE) + f"(01){DI}(21)A,Chest AI,Maker\n(01){DI}(21)B,Chest AI,Maker\n"
    outcome = staged(tmp_path, {"device": drawing})
    assert counts(outcome, "device") == (3, 1, 0, 2)


def test_software_of_no_version_is_quarantined_and_other_devices_are_not(tmp_path):
    outcome = staged(tmp_path, BASE | {"device_exposure": EXPOSURE})
    assert lines(outcome, "E_DEVICE_VERSION") == [("device_exposure.csv", 5, "device_source_value")]
    bare = "\n".join(line.rsplit(",", 1)[0] for line in text(EXPOSURE).splitlines()) + "\n"
    outcome = staged(tmp_path / "2", BASE | {"device_exposure": bare})
    assert counts(outcome, "device_exposure") == (4, 4, 0, 0)


HEAD = text(INFERENCE).splitlines()[0] + "\n"
ROWS = {
    "sound": (f"a,1,s1,{DI},2.1.0,2024-03-01 09:00,2024-03-01 09:01,0.5,positive,true", None),
    "at the ends": (f"b,1,s2,{DI},2.1.0,2024-03-01 09:00,2024-03-01 09:00,1,positive,true", None),
    "failed": (f"c,1,s3,{DI},2.1.0,2024-03-01 09:00,2024-03-01 09:01,,,true", None),
    "above": (f"d,1,s4,{DI},2.1.0,2024-03-01 09:00,2024-03-01 09:01,1.7,positive,true", "E_AI_SCORE_RANGE"),
    "below": (f"e,1,s5,{DI},2.1.0,2024-03-01 09:00,2024-03-01 09:01,-0.2,negative,true", "E_AI_SCORE_RANGE"),
    "no version": (f"f,1,s6,{DI},,2024-03-01 09:00,2024-03-01 09:01,0.5,positive,true", "E_DEVICE_VERSION"),
    "no such version": (f"g,1,s7,{DI},9.9,2024-03-01 09:00,2024-03-01 09:01,0.5,positive,true", "E_DEVICE_VERSION"),
    "version of another": ("h,1,s8,0880,2.1.0,2024-03-01 09:00,2024-03-01 09:01,0.5,positive,true", "E_DEVICE_VERSION"),
    "nobody, above": (f"i,99,s9,{DI},9.9,2024-03-01 09:00,2024-03-01 09:01,1.7,positive,true", "E_ORPHAN"),
    "not finite": (f"j,1,s10,{DI},2.1.0,2024-03-01 09:00,2024-03-01 09:01,NaN,positive,true", "E_NONFINITE"),
}  # fmt: skip


def test_every_bad_inference_is_found_where_it_stands(tmp_path):
    log = HEAD + "\n".join(row for row, _ in ROWS.values()) + "\n"
    outcome = staged(tmp_path, BASE | {"device_inference": log, "device_version": DEVICE_VERSION})
    found = {m.line: m.code for m in outcome.messages if m.line}
    assert found == {line: code for line, (_, code) in enumerate(ROWS.values(), 2) if code}
    assert counts(outcome, "device_inference") == (10, 3, 7, 0)
    assert not any("9.9" in m.message or "1.7" in m.message for m in outcome.messages)


def test_validity_does_not_run_backwards(tmp_path):
    version = text(DEVICE_VERSION).replace("valid_from", "valid_from,valid_to")
    version = version.replace("2020-01-01", "2020-01-01,2019-12-31").replace("06-01", "06-01,")
    outcome = staged(tmp_path, BASE | {"device_version": version})
    assert lines(outcome, "E_END_BEFORE_START") == [("device_version.csv", 2, "valid_to")]


def test_ai_scores_among_measurements(tmp_path):
    drawing = (
        "measurement_id,person_id,measurement_concept_id,measurement_date,"
        "measurement_type_concept_id,value_as_number,measurement_source_value\n"
        "1,1,0,2024-01-01,32817,0.4,AI_SCORE\n2,1,0,2024-01-01,32817,40,AI_SCORE\n"
        "3,1,0,2024-01-01,32817,,AI_SCORE\n4,1,3004501,2024-01-01,32817,105,glucose\n"
    )
    outcome = staged(tmp_path, BASE | {"measurement": drawing})
    assert lines(outcome, "E_AI_SCORE_RANGE") == [("measurement.csv", 3, "value_as_number")]


def test_versions_are_asked_for_only_where_they_are_listed(tmp_path):
    unlisted = text(INFERENCE).replace("2.1.0", "7")
    home = a_home(tmp_path)
    folder = write_delivery(tmp_path / "1", BASE | {"device_inference": unlisted})
    assert counts(ingest(home, folder), "device_inference") == (3, 3, 0, 0)
    first = write_delivery(
        tmp_path / "2", {"device_version": DEVICE_VERSION}, delivery_id="D-2", kind="increment"
    )
    assert ingest(home, first).status == "accepted"
    deployment = (
        "device_deployment_id,udi_di,model_version,mode,valid_from\n"
        f"1,{DI},2.2.0,shown,2024-06-01\n2,{DI},7,shown,2024-06-01\n3,{DI},,shown,2024-06-01\n"
    )
    more = {"device_inference": unlisted, "device_deployment": deployment}
    outcome = staged_outcome(
        home, write_delivery(tmp_path / "3", more, delivery_id="D-3", kind="increment")
    )
    assert counts(outcome, "device_inference") == (3, 1, 2, 0)
    assert lines(outcome, "E_DEVICE_VERSION")[0] == ("device_deployment.csv", 3, "model_version")
    assert counts(outcome, "device_deployment") == (3, 1, 2, 0)
    full = write_delivery(tmp_path / "4", BASE | {"device_inference": unlisted}, delivery_id="D-4")
    assert counts(staged_outcome(home, full), "device_inference") == (3, 3, 0, 0)  # it ends them


def test_duplicates_and_leaks_are_counted(tmp_path):
    log = HEAD + (
        f"a,1,s1,{DI},2.1.0,2024-03-01 09:00,2024-03-01 09:01,0.5,positive,true\n"
        f"b,1,s1,{DI},2.1.0,2024-03-01 09:00,2024-03-01 09:02,0.5,positive,true\n"
        f"c,1,s1,{DI},2.1.0,2024-03-01 09:00,2024-03-01 09:03,0.6,positive,true\n"
        f"d,1,s1,{DI},2.1.0,2024-03-01 09:00,2024-03-01 09:03,0.6,positive,false\n"
        f"e,1,s1,{DI},2.2.0,2024-03-01 09:00,2024-03-01 08:59,0.6,positive,true\n"
    )
    reading = (
        "case_id,reader_id,modality,person_id,study_id,decision,reading_datetime\n"
        "s1,r1,aided,1,s1,positive,2024-03-01 09:00\n"
        "s1,r2,aided,1,s1,positive,2024-02-29 09:00\n"
        "s2,r2,aided,1,s2,positive,2024-02-29 09:00\n"
        "s3,r2,aided,1,,positive,\n"
    )
    outcome = staged(tmp_path, BASE | {"device_inference": log, "device_reading": reading})
    said = {(m.code, m.file): m.message for m in outcome.messages}
    assert "2 further" in said["W_AI_DUPLICATE", "device_inference.csv"]
    assert "1 row(s)" in said["W_AI_LEAK", "device_inference.csv"]
    assert "1 row(s)" in said["W_AI_LEAK", "device_reading.csv"]
    assert counts(outcome, "device_inference") == (5, 5, 0, 0)
    assert outcome.status == "accepted_with_warnings"


def test_a_clean_log_says_nothing(tmp_path):
    log = {"device": DEVICE, "device_version": DEVICE_VERSION, "device_inference": INFERENCE}
    found = stage_delivery(a_home(tmp_path), SITE, write_delivery(tmp_path / "d", BASE | log))
    assert found.findings == ()


def test_scores_in_percent_hold_the_delivery_back(tmp_path):
    percent = text(INFERENCE).replace("0.", "1")
    home = a_home(tmp_path)
    folder = write_delivery(tmp_path / "d", BASE | {"device_inference": percent})
    outcome = deliver(home, folder)
    assert (outcome.status, outcome.exit_code) == ("blocked", 13)
    assert "E_AI_SCORE_SCALE" in outcome.codes


MEASUREMENT = """
    measurement_id,person_id,measurement_concept_id,measurement_date,measurement_type_concept_id
    70,1,3004501,2024-01-01,32817
"""


def test_a_round_trip_through_omop_keeps_version_and_score(tmp_path):
    failed = text(INFERENCE) + f"i4,1,s4,{DI},2.2.0,2024-07-04 09:00,2024-07-04 09:01,,,true\n"
    log = {"device_version": DEVICE_VERSION, "device_inference": failed}
    home = a_home(tmp_path / "a")
    more = {"device_exposure": EXPOSURE, "measurement": MEASUREMENT}
    ingest(home, write_delivery(tmp_path / "1", BASE | log | more))
    other = write_delivery(tmp_path / "2", BASE | log, site_id="siteB")
    ingest(home, other)
    written = export_omop_device(home, SITE, None, tmp_path / "out")
    assert written == {"device_exposure": 8, "measurement": 6}
    files = {path.name: path for path in (tmp_path / "out").iterdir()}
    assert {path.stat().st_mode & 0o777 for path in files.values()} == {0o600}
    before = {name: path.read_bytes() for name, path in files.items()}
    export_omop_device(home, SITE, None, tmp_path / "out")
    assert {name: path.read_bytes() for name, path in files.items()} == before

    for path in files.values():
        table = pq.read_table(path)
        pq.write_table(
            table.filter(pa.compute.equal(table["site_id"], "siteA")).drop("site_id"), path
        )
    again = {name: path.read_bytes() for name, path in files.items()}
    added = write_delivery(tmp_path / "3", again, delivery_id="D-2", kind="increment")
    assert ingest(home, added).status == "accepted"
    assert lake_rows(
        home, "select count(*) from lake.omop.device_exposure where site_id = 'siteA'"
    ) == [(7,)]  # 3 delivered, 4 made
    back = """
        select person_id, split_part(device_source_value, '|', 1),
            split_part(device_source_value, '|', 2), value_as_number, value_source_value,
            device_exposure_start_datetime::varchar
        from lake.omop.device_exposure as exposure
        left join lake.omop.measurement as score
            on score.measurement_event_id = exposure.device_exposure_id
            and score.site_id = exposure.site_id and score.measurement_source_value = 'AI_SCORE'
            and score.person_id = exposure.person_id
        where exposure.site_id = 'siteA' and exposure.unique_device_id is not null
            and contains(device_source_value, '|')
        order by device_exposure_id
    """.replace("person_id, split", "exposure.person_id, split", 1)
    truth = """
        select person_id, udi_di, model_version, score, decision, inference_datetime::varchar
        from lake.omop.device_inference where site_id = 'siteA' order by device_inference_id
    """
    assert lake_rows(home, back) == lake_rows(home, truth)


def test_the_command_line_exports_both_tables(tmp_path):
    home = a_home(tmp_path)
    ingest(home, write_delivery(tmp_path / "1", BASE | {"device_inference": INFERENCE}))
    command = ["export", "omop-device", "--out", str(tmp_path / "out"), "--home", str(home.root)]
    shown = CliRunner().invoke(app, command)
    assert shown.exit_code == 0
    assert "3 rows of device_exposure" in shown.output
    assert "3 rows of measurement" in shown.output
    older = CliRunner().invoke(app, [*command, "--snapshot", "99"])
    assert older.exit_code != 0
