"""The lake: pinned snapshots, an order-free content hash, deliveries in force."""

import pytest

from tasks.core.errors import LakeError, NoDataError, SpecError
from tasks.core.lake import content_hash, deliveries_in_force, newest_snapshot, open_lake
from tasks.core.paths import Home
from tasks.core.site import SiteSettings, load_site

SITE = SiteSettings()


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path / "home").prepare()


def commit(home, delivery, people, status="accepted", kind="full", site="A"):
    with open_lake(home, SITE, write=True) as con:
        con.execute("begin")
        if kind == "full":
            con.execute("delete from lake.omop.person where site_id = $site", {"site": site})
        for person in people:
            con.execute(
                "insert into lake.omop.person (site_id, person_id) values ($site, $person)",
                {"site": site, "person": person},
            )
        con.execute(
            "insert into lake.meta.delivery (delivery_id, site_id, kind, format, status) "
            "values ($id, $site, $kind, 'omop', $status)",
            {"id": delivery, "site": site, "kind": kind, "status": status},
        )
        con.execute("commit")


def people(home, snapshot=None):
    with open_lake(home, SITE, snapshot=snapshot) as con:
        return [
            r[0]
            for r in con.execute("select person_id from lake.omop.person order by 1").fetchall()
        ]


def newest(home):
    with open_lake(home, SITE) as con:
        return newest_snapshot(con)


def test_an_earlier_state_stays_readable_at_its_snapshot(home):
    commit(home, "D1", [1, 2])
    first = newest(home)
    commit(home, "D2", [3])
    assert people(home) == [3]
    assert people(home, first) == [1, 2]


def test_a_rejected_delivery_is_not_the_newest_snapshot(home):
    commit(home, "D1", [1])
    accepted = newest(home)
    commit(home, "D2", [], status="rejected", kind="increment")
    assert newest(home) == accepted


def test_the_content_hash_ignores_order_and_sees_every_change(tmp_path):
    hashes = []
    for name, ids in {"a": [1, 2, 3], "b": [3, 1, 2], "c": [1, 2, 2]}.items():
        home = Home(tmp_path / name).prepare()
        commit(home, "D1", ids)
        with open_lake(home, SITE) as con:
            hashes.append(content_hash(con))
    assert hashes[0] == hashes[1] != hashes[2]


def test_a_full_delivery_ends_what_came_before_it_at_its_site_only(home):
    commit(home, "A1", [1])
    commit(home, "B1", [1], site="B")
    commit(home, "A2", [2])
    commit(home, "A3", [3], kind="increment")
    with open_lake(home, SITE) as con:
        assert [d["delivery_id"] for d in deliveries_in_force(con)] == ["B1", "A2", "A3"]


def commit_files(home, delivery, files, status="accepted"):
    commit(home, delivery, [], status=status)
    with open_lake(home, SITE, write=True) as con:
        # in one transaction with the delivery row in life; here the delivery row is written again
        con.execute("begin")
        con.execute("delete from lake.meta.delivery where delivery_id = $id", {"id": delivery})
        con.execute(
            "insert into lake.meta.delivery (delivery_id, site_id, kind, format, status) "
            "values ($id, 'A', 'full', 'omop', $status)",
            {"id": delivery, "status": status},
        )
        for table, state in files.items():
            con.execute(
                "insert into lake.meta.ledger (delivery_id, site_id, file, table_name, status) "
                "values ($id, 'A', $table, $table, $state)",
                {"id": delivery, "table": table, "state": state},
            )
        con.execute("commit")


def test_a_delivery_stays_in_force_for_a_table_that_the_next_full_one_could_not_replace(home):
    commit_files(home, "D1", {"person": "loaded", "condition_occurrence": "loaded"})
    commit_files(
        home, "D2", {"person": "loaded", "condition_occurrence": "rejected"}, status="partial"
    )
    with open_lake(home, SITE) as con:
        assert [d["delivery_id"] for d in deliveries_in_force(con)] == ["D1", "D2"]
    commit_files(home, "D3", {"person": "loaded", "condition_occurrence": "loaded"})
    with open_lake(home, SITE) as con:
        assert [d["delivery_id"] for d in deliveries_in_force(con)] == ["D3"]


def test_a_broken_catalogue_is_not_an_empty_lake(home):
    commit(home, "D1", [1])
    (home.lake / "catalog.sqlite").write_bytes(b"no catalogue" * 1000)
    with pytest.raises(LakeError) as caught, open_lake(home, SITE):
        pass
    assert not isinstance(caught.value, NoDataError)


def test_no_lake_and_no_such_snapshot_say_what_to_do(home):
    with pytest.raises(LakeError, match="causeway ingest"), open_lake(home, SITE):
        pass
    commit(home, "D1", [1])
    with pytest.raises(LakeError, match="snapshot 99"), open_lake(home, SITE, snapshot=99):
        pass


def test_a_reader_cannot_write(home):
    commit(home, "D1", [1])
    with open_lake(home, SITE) as con, pytest.raises(Exception, match="read-only"):
        con.execute("delete from lake.omop.person")


def test_site_settings_are_strict(home):
    home.site_file.write_text("name: Hospital A\ndisclosure_threshold: 3\ntime_zon: Asia/Seoul\n")
    with pytest.raises(SpecError) as caught:
        load_site(home)
    assert [m.where for m in caught.value.messages] == ["site.yaml:2", "site.yaml:3"]
