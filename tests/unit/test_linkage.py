"""Two controllers at one site: what must be on record, and whose rows stay in force."""

import json
import random
from datetime import date

import pytest
from typer.testing import CliRunner

from flows.cli import app
from flows.orders.status import status_of as home_status
from tasks.core.lake import deliveries_in_force, open_lake, tables_in_force
from tasks.core.omop import omop_tables
from tasks.ingest.linkage import missing_keys
from tasks.ingest.manifest import Governance, read_manifest
from tasks.ingest.verify import content_sha256
from tests.fhir_world import claim, device, inference, measured, patient
from tests.ingest_world import (
    BASE,
    DEATH,
    DEVICE,
    DEVICE_VERSION,
    INFERENCE,
    LINKED,
    PERSON,
    SITE,
    a_home,
    counts,
    ingest,
    lake_rows,
    ndjson,
    person_ids,
    text,
    write_delivery,
)

CUTOFF = date(2025, 1, 1)
HOSPITAL = LINKED | {"controller": "Hospital"}
LOG = {"device_version": DEVICE_VERSION, "device_inference": INFERENCE}


def lines_of(drawing, *numbers):
    """Header and the rows of these numbers, from 1."""
    rows = text(drawing).splitlines()
    return "\n".join([rows[0], *(rows[number] for number in numbers)]) + "\n"


class Room:
    """A home into which deliveries are sent by number."""

    def __init__(self, folder):
        self.folder, self.home, self.sent = folder, a_home(folder), 0

    def send(self, tables, governance=None, kind="full", **manifest):
        self.sent += 1
        said = {"delivery_id": f"D-{self.sent}", "kind": kind, "governance": governance}
        folder = write_delivery(self.folder / str(self.sent), tables, **(said | manifest))
        return ingest(self.home, folder)

    def count(self, table, where="true"):
        [(rows,)] = lake_rows(self.home, f"select count(*) from lake.omop.{table} where {where}")
        return rows

    def in_force(self):
        with open_lake(self.home, SITE) as con:
            return [str(row["delivery_id"]) for row in deliveries_in_force(con)]


@pytest.fixture
def room(tmp_path):
    return Room(tmp_path)


def without(*keys, **changes):
    return {key: value for key, value in (LINKED | changes).items() if key not in keys}


# the manifest


GOVERNANCE = {
    "unknown key": ({"controler": "H"}, "governance.controler"),
    "no day": ({"irb_date": "soon"}, "governance.irb_date"),
    "day as a number": ({"drb_date": 20240101}, "governance.drb_date"),
    "line break": ({"purpose": "one\ntwo"}, "governance.purpose"),
    "escape": ({"controller": "H\x1b[2J"}, "governance.controller"),
    "too long": ({"purpose": "x" * 501}, "governance.purpose"),
    "no text": ({"controller": 7}, "governance.controller"),
    "no object": (["H"], "governance"),
}


@pytest.mark.parametrize(("said", "key"), GOVERNANCE.values(), ids=GOVERNANCE)
def test_governance_is_strict(room, said, key):
    outcome = room.send(BASE, said)
    assert (outcome.status, outcome.codes) == ("rejected", ("E_MANIFEST_PARSE",))
    assert key in outcome.messages[0].message
    assert "\x1b" not in outcome.messages[0].message


def test_own_keys_blanks_and_spellings_of_governance(tmp_path):
    said = {"controller": "  서울   병원 ", "irb": " ", "x_desk": {"any": 1}}
    manifest = read_manifest(write_delivery(tmp_path / "d", BASE, governance=said))
    assert manifest.controller == "서울 병원"
    assert json.loads(manifest.governance.as_json()) == {"controller": "서울 병원"}


def test_governance_is_no_part_of_the_content(tmp_path):
    found = {
        content_sha256(read_manifest(write_delivery(tmp_path / str(n), BASE, governance=said)))
        for n, said in enumerate((None, {}, LINKED))
    }
    assert len(found) == 1


def test_what_a_delivery_says_of_its_authority_is_kept(room):
    room.send(BASE, HOSPITAL)
    [(controller, governance)] = lake_rows(
        room.home, "select controller, governance from lake.meta.delivery"
    )
    assert controller == "Hospital"
    assert json.loads(governance) == HOSPITAL
    [row] = home_status(room.home)["deliveries"]
    assert row["controller"] == "Hospital"


def test_a_name_is_shown_as_it_is(room):
    room.send(BASE, {"controller": "[/x] Hospital"})
    shown = CliRunner().invoke(app, ["status", "--home", str(room.home.root)])
    assert shown.exit_code == 0
    assert "[/x]" in shown.output


# joining


def test_one_controller_or_none_named_crosses_nothing(room):
    assert room.send(BASE).status == "accepted"
    assert room.send(LOG, kind="increment").status == "accepted"
    assert room.send({"death": DEATH}, kind="increment").status == "accepted"


def test_a_log_without_authority_is_rejected_with_all_that_is_missing(room):
    room.send(BASE, {"controller": "Hospital"})
    outcome = room.send(LOG, {"controller": "Maker"}, kind="increment")
    assert (outcome.status, outcome.codes, outcome.exit_code) == (
        "rejected", ("E_GOVERNANCE",), 12,
    )  # fmt: skip
    [message] = outcome.messages
    for key in [*LINKED, "Hospital", "manifest.json", "To fix: "]:
        assert key in message.message or key == "controller"
    assert "name controller" not in message.message
    assert room.count("device_inference") == 0


@pytest.mark.parametrize("key", LINKED)
def test_every_key_is_needed(key):
    [missing] = missing_keys(Governance.model_validate_json(json.dumps(without(key))), CUTOFF)
    assert missing.startswith(key)
    blank = Governance.model_validate_json(json.dumps(LINKED))
    assert missing_keys(blank, CUTOFF) == ()
    assert len(missing_keys(None, CUTOFF)) == len(LINKED)


@pytest.mark.parametrize(
    ("basis", "needed"),
    [
        ("Consent", 0),
        (" informed  consent ", 0),
        ("동의", 0),
        ("정보주체의 동의", 0),
        ("no consent", 1),
        ("consent not obtained", 1),
        ("Consent waived by IRB", 1),
        ("동의 면제", 1),
        ("정보주체 동의 없이 처리(제28조의2)", 1),
    ],
)
def test_consent_needs_no_combining_agency(basis, needed):
    said = json.dumps(without("combining_agency_case", legal_basis=basis))
    assert len(missing_keys(Governance.model_validate_json(said), CUTOFF)) == needed


@pytest.mark.parametrize(("until", "needed"), [("2025-01-01", 1), ("2025-01-02", 0)])
def test_a_retention_that_ends_with_the_data_is_none(until, needed):
    said = json.dumps(without(retention_until=until))
    assert len(missing_keys(Governance.model_validate_json(said), CUTOFF)) == needed


def test_a_log_of_nobody_named_crosses_too(room):
    room.send(BASE, {"controller": "Hospital"})
    outcome = room.send(LOG, kind="increment")
    assert outcome.codes == ("E_GOVERNANCE",)
    assert "does not name controller" in outcome.messages[0].message


def test_a_rejected_log_may_be_sent_again_under_its_id(room):
    room.send(BASE, {"controller": "Hospital"})
    first = room.send(LOG, {"controller": "Maker"}, kind="increment", delivery_id="LOG-1")
    second = room.send(LOG, LINKED, kind="increment", delivery_id="LOG-1")
    third = room.send(LOG, LINKED, kind="increment", delivery_id="LOG-1")
    assert [first.status, second.status, third.status] == ["rejected", "accepted", "noop"]
    assert room.count("device_inference") == 3
    assert room.in_force() == ["D-1", "LOG-1"]


def test_the_order_of_the_controllers_plays_no_part(room):
    assert room.send({"device": DEVICE}, {"controller": "Maker"}).status == "accepted"
    assert room.send(BASE, {"controller": "Hospital"}).codes == ("E_GOVERNANCE",)
    more = room.send({"device_version": DEVICE_VERSION}, {"controller": "Hospital"}, "increment")
    assert more.codes == ("E_GOVERNANCE",)
    assert room.send(BASE, HOSPITAL).status == "accepted"
    assert (room.count("device"), room.count("person")) == (1, 3)


def test_other_sites_and_registry_tables_cross_nothing(room):
    room.send(BASE, {"controller": "Hospital"}, site_id="siteB")
    room.send({"lung": "a\n1\n"}, {"controller": "Registry"}, format="table")
    assert room.send(BASE, {"controller": "Maker"}).status == "accepted"
    assert room.send({"lung": "a\n2\n"}, format="table").status == "accepted"


def test_a_table_has_one_controller_at_a_time(room):
    room.send(BASE | {"device": DEVICE}, HOSPITAL)
    outcome = room.send({"device": DEVICE, "device_version": DEVICE_VERSION}, LINKED, "increment")
    assert outcome.codes == ("E_GOVERNANCE",)
    assert "device, which came from 'Hospital'" in outcome.messages[0].message
    assert "To fix: " in outcome.messages[0].message
    assert room.send({"device_version": DEVICE_VERSION}, LINKED, "increment").status == "accepted"
    more = room.send({"device_version": DEVICE_VERSION}, LINKED, "increment")
    assert more.status == "accepted"


def test_an_older_log_may_follow_a_newer_hospital_extract(room):
    room.send(BASE, HOSPITAL, data_cutoff="2025-03-01")
    assert room.send(LOG, LINKED, "increment", data_cutoff="2025-02-01").status == "accepted"
    assert room.send(LOG, LINKED, "increment", data_cutoff="2025-01-01").codes == (
        "E_OUT_OF_ORDER",
    )
    assert room.send(BASE, HOSPITAL, data_cutoff="2025-02-01").codes == ("E_OUT_OF_ORDER",)


# replacing


def test_a_full_delivery_leaves_the_tables_of_another_controller(room):
    room.send(BASE | {"death": DEATH}, {"controller": "Hospital"})
    room.send(LOG, LINKED, "increment")
    outcome = room.send(BASE, {"controller": "Hospital"})  # the link is on record
    assert outcome.status == "accepted"
    assert room.count("death") == 0
    assert room.count("device_inference") == 3
    assert room.in_force() == ["D-2", "D-3"]


def test_a_link_that_has_run_out_is_not_renewed(room):
    room.send(BASE, {"controller": "Hospital"})
    room.send(LOG, without(retention_until="2025-06-30"), "increment")
    assert room.send(BASE, {"controller": "Hospital"}, data_cutoff="2025-06-29").exit_code == 0
    late = room.send(BASE, {"controller": "Hospital"}, data_cutoff="2025-06-30")
    assert late.codes == ("E_GOVERNANCE",)


def test_a_full_delivery_takes_over_the_tables_that_it_brings(room):
    room.send(BASE, HOSPITAL)
    room.send(LOG | {"device": DEVICE}, LINKED, "increment")
    taken = {"device_version": lines_of(DEVICE_VERSION, 1, 2)}
    assert room.send(BASE | taken, HOSPITAL).status == "accepted"
    with open_lake(room.home, SITE) as con:
        holders = {held.table: held.controller for held in tables_in_force(con, "siteA")}
    assert holders["device_version"] == "Hospital"
    assert holders["device_inference"] == holders["device"] == "Maker"
    assert room.in_force() == ["D-2", "D-3"]


def test_rows_of_persons_who_left_are_deleted_and_counted(room):
    room.send(BASE, HOSPITAL)
    room.send(LOG, LINKED, "increment")
    fewer = {
        "person": lines_of(PERSON, 1),
        "observation_period": lines_of(BASE["observation_period"], 1),
    }
    outcome = room.send(fewer, HOSPITAL)
    assert (outcome.status, outcome.codes) == ("accepted_with_warnings", ("W_LINK_ORPHANS",))
    assert "2 row(s) of device_inference" in outcome.messages[0].message
    assert person_ids(room.home) == [1]
    ids = "select device_inference_id from lake.omop.device_inference"
    assert lake_rows(room.home, ids) == [("i1",)]
    assert room.count("device_version") == 2
    [(codes,)] = lake_rows(
        room.home, "select codes from lake.meta.delivery where delivery_id = 'D-3'"
    )
    assert codes == "W_LINK_ORPHANS"


def test_rows_whose_version_ended_are_counted(room):
    room.send(BASE | {"device": DEVICE, "device_version": DEVICE_VERSION}, HOSPITAL)
    room.send({"device_inference": INFERENCE}, LINKED, "increment")
    outcome = room.send(BASE, HOSPITAL)
    assert outcome.codes == ("W_LINK_VERSIONS",)
    assert "3 row(s) of device_inference" in outcome.messages[0].message
    assert room.count("device_inference") == 3
    assert room.send(BASE, HOSPITAL).status == "accepted"  # said once


def test_rows_of_a_rejected_file_do_not_outlive_their_persons(room):
    room.send(BASE | {"death": DEATH})
    broken = text(DEATH).replace("death_date", "day")
    fewer = {key: lines_of(BASE[key], 2, 3) for key in BASE}
    outcome = room.send(fewer | {"death": broken})
    assert outcome.status == "partial"
    assert "W_LINK_ORPHANS" in outcome.codes
    assert lake_rows(room.home, "select person_id from lake.omop.death") == [(2,)]
    assert counts(outcome, "death") == (2, 0, 2, 0)


# what files of resources bring


def fhir(*resources):
    """Return files of FHIR resources by name."""
    names = dict.fromkeys(item["resourceType"] for item in resources)
    return {
        f"{name}.ndjson": ndjson(*(item for item in resources if item["resourceType"] == name))
        for name in names
    }


PATIENTS = [patient(str(number)) for number in (1, 2, 3)]


def held_by(room):
    with open_lake(room.home, SITE) as con:
        return {held.table: held.controller for held in tables_in_force(con, "siteA")}


@pytest.mark.parametrize("older", [False, True])
def test_resources_bring_the_tables_that_they_fill(room, older):
    room.send(BASE, HOSPITAL)
    room.send(LOG | {"death": DEATH}, LINKED, "increment", data_cutoff="2025-06-30")
    full = fhir(*PATIENTS, measured("m1", "1"))
    sent = room.send(full, HOSPITAL, format="fhir", data_cutoff="2025-05-31")
    assert sent.status == "accepted"
    assert (room.count("device_inference"), room.count("death")) == (3, 2)
    assert room.in_force() == ["D-2", "D-3"]
    if older:
        with open_lake(room.home, SITE, write=True) as con:
            con.execute("alter table lake.meta.ledger drop column tables")
        assert held_by(room)["death"] == "Hospital"  # an older ledger does not tell
        return
    assert held_by(room) == {
        "person": "Hospital", "observation_period": "Hospital", "measurement": "Hospital",
        "device_version": "Maker", "device_inference": "Maker", "death": "Maker",
    }  # fmt: skip
    more = room.send(LOG | {"death": DEATH}, LINKED, "increment", data_cutoff="2025-06-30")
    assert more.status == "accepted"


def test_resources_take_over_a_table_that_they_fill(room):
    room.send(BASE, HOSPITAL)
    room.send({"death": DEATH}, LINKED, "increment")
    dead = [patient("1", deceasedDateTime="2024-05-01"), *PATIENTS[1:]]
    assert room.send(fhir(dead[0]), HOSPITAL, "increment", format="fhir").codes == ("E_GOVERNANCE",)
    assert room.send(fhir(*dead), HOSPITAL, format="fhir").status == "accepted"
    assert (held_by(room)["death"], room.count("death")) == ("Hospital", 1)
    assert room.send(fhir(*PATIENTS), HOSPITAL, format="fhir").status == "accepted"
    assert room.count("death") == 0
    assert "death" not in held_by(room)


def test_an_increment_of_resources_may_follow_the_table_of_another(room):
    room.send(fhir(*PATIENTS), HOSPITAL, format="fhir")
    assert room.send({"death": DEATH}, LINKED, "increment").status == "accepted"
    more = room.send(fhir(patient("4")), HOSPITAL, "increment", format="fhir")
    assert more.status == "accepted"
    assert (room.count("person"), room.count("death")) == (4, 2)


def test_a_corrected_resource_leaves_no_row_behind(room):
    many = [("v1", 10)] * 70
    dead = [patient("1", deceasedDateTime="2024-05-01"), *PATIENTS[1:]]
    first = [
        *dead, device(), measured("m1", "1"), measured("17", "2"), inference("i1", "1"),
        claim("k1", "1", ("v1", 100), ("v1", 200)), claim("k2", "1", ("v1", 50)),
        claim("k3", "2", *many), claim("8", "2", ("v1", 7)),
    ]  # fmt: skip
    assert room.send(fhir(*first), HOSPITAL, format="fhir").exit_code == 0
    survey = {"category": [{"coding": [{"code": "survey"}]}]}
    second = [
        patient("1"), measured("m1", "1", **survey), measured("i1", "1"),
        claim("k1", "1", ("v1", 300)), claim("k2", "1", ("v1", 25), ("v1", 26)),
        claim("k3", "2", ("v1", 1)),
    ]  # fmt: skip
    assert room.send(fhir(*second), HOSPITAL, "increment", format="fhir").exit_code == 0
    assert room.count("death") == 0
    assert (room.count("person"), room.count("observation_period")) == (3, 3)
    assert (room.count("measurement"), room.count("observation")) == (2, 1)
    assert room.count("device_inference") == 0
    costs = lake_rows(room.home, "select total_cost from lake.omop.cost order by 1")
    assert costs == [(1,), (7,), (25,), (26,), (300,)]


def test_a_corrected_resource_leaves_rows_of_other_origin(room):
    own = "measurement_id,person_id,measurement_concept_id,measurement_date,measurement_type_concept_id\n17,1,1,2024-01-01,1\n"
    room.send(BASE | {"measurement": own}, HOSPITAL)
    room.send({"death": DEATH}, LINKED, "increment")
    survey = {"category": [{"coding": [{"code": "survey"}]}]}
    sent = room.send(fhir(measured("17", "1", **survey)), HOSPITAL, "increment", format="fhir")
    assert sent.exit_code == 0
    assert (room.count("measurement"), room.count("observation")) == (1, 1)
    assert room.send(fhir(patient("1")), HOSPITAL, "increment", format="fhir").exit_code == 0
    assert room.count("death") == 2


# a controller begins to name itself


def test_a_site_that_names_itself_replaces_its_own_rows(room):
    room.send(BASE | {"death": DEATH})
    assert room.send(BASE, {"controller": "Hospital"}).status == "accepted"
    assert room.count("death") == 0
    assert room.in_force() == ["D-2"]
    assert room.send({"death": DEATH}, {"controller": " hospital "}, "increment").exit_code == 0
    assert room.send(BASE, {"controller": "HOSPITAL"}).status == "accepted"
    assert room.in_force() == ["D-4"]


def test_a_log_in_full_does_not_replace_the_rows_of_nobody_named(room):
    room.send(BASE)
    assert room.send({"device": DEVICE}, {"controller": "Maker"}).codes == ("E_GOVERNANCE",)
    assert room.send({"device": DEVICE}, LINKED).status == "accepted"
    assert room.count("person") == 3
    refused = room.send({"death": DEATH, **BASE}, {"controller": "Hospital"}, "increment")
    assert "a delivery that names no controller" in refused.messages[0].message
    assert "full delivery with person" in refused.messages[0].message


# the two rules are one


def test_registry_tables_stay_in_force_one_by_one(room):
    room.send({"lung": "a\n1\n"}, format="table")
    room.send({"colon": "a\n1\n"}, format="table")
    assert room.in_force() == ["D-1", "D-2"]
    room.send({"lung": "a\n2\n"}, format="table")
    assert room.in_force() == ["D-2", "D-3"]


TABLES = {
    "person": "person_id,gender_concept_id,year_of_birth,race_concept_id,ethnicity_concept_id,person_source_value\n1,1,1950,0,0,{d}\n",
    "death": "person_id,death_date,cause_source_value\n1,2024-01-01,{d}\n",
    "device": "udi_di,device_name,manufacturer\n{d},x,{d}\n",
    "device_version": "udi_di,model_version,threshold,valid_from\n{d},{d},0.5,2020-01-01\n",
    "consent": "consent_id,person_id,scope,status,consent_date\n{d},1,all,given,2024-01-01\n",
}
MARK = {"person": "person_source_value", "death": "cause_source_value", "device": "udi_di", "device_version": "udi_di", "consent": "consent_id"}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0])
def test_deliveries_in_force_are_those_whose_rows_are_there(room, seed):
    draw = random.Random(seed)
    for number in range(1, 10):
        kind = draw.choice(["full", "full", "increment"])
        names = draw.sample(sorted(TABLES), draw.randint(1, 4))
        if kind == "full":
            names = sorted({*names, "person"}) if set(names) & {"death", "consent"} else names
        tables = {name: TABLES[name].format(d=f"D-{number}") for name in names}
        if draw.random() < 0.2 and len(names) > 1:
            tables[names[-1]] = "nothing\n1\n"
        room.send(tables, LINKED | {"controller": draw.choice(["A", "a", "B", None])}, kind)
        with open_lake(room.home, SITE) as con:
            said = {(held.table, held.delivery_id) for held in tables_in_force(con, "siteA")}
            in_force = {str(row["delivery_id"]) for row in deliveries_in_force(con)}
            there = {
                (table, str(mark))
                for table, column in MARK.items()
                for (mark,) in con.execute(f"select {column} from lake.omop.{table}").fetchall()
            }
        corrected = {  # by key: rows of an earlier delivery that an increment brought again
            (table, old) for table, old in said - there if table in {"person", "death"}
        }
        assert there | corrected == said
        assert in_force == {delivery for _, delivery in said}


def test_an_older_lake_gains_the_record(room):
    room.send(BASE)
    with open_lake(room.home, SITE, write=True) as con:
        for name in ("controller", "governance"):
            con.execute(f"alter table lake.meta.delivery drop column {name}")
    assert room.in_force() == ["D-1"]
    assert room.send(LOG, {"controller": "Maker"}, "increment").codes == ("E_GOVERNANCE",)
    assert room.send(LOG, LINKED, "increment").status == "accepted"
    assert room.in_force() == ["D-1", "D-3"]


def test_every_device_table_with_persons_is_known_by_the_model():
    tables = omop_tables()
    assert {name for name, table in tables.items() if table.kind == "device"} == {
        "device", "device_version", "device_deployment", "device_inference", "device_reading",
        "reference_standard", "consent",
    }  # fmt: skip
