"""The lake: pinned snapshots, an order-free content hash, deliveries in force."""

import pytest

from tasks.core.errors import LakeError, SpecError
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
