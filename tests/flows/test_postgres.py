"""The lake with its catalogue in PostgreSQL: one setting, the same numbers."""

import json
import os
import pwd
import shutil
import socket
import subprocess

import pytest

from tests.homes import STUDY, called, delivered, published_bytes
from tests.needs import postgres_binaries


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    """A PostgreSQL server of the test's own; yields the words that name a database of it."""
    programs, port = postgres_binaries(), free_port()
    folder = tmp_path_factory.mktemp("postgres")
    owner = pwd.getpwnam("postgres") if os.geteuid() == 0 else None
    if owner:
        for place in (folder, *folder.parents):
            if place.owner() == "root" and place.is_relative_to("/tmp/pytest-of-root"):
                place.chmod(0o755)
        os.chown(folder, owner.pw_uid, owner.pw_gid)
    as_owner = {"user": owner.pw_uid, "group": owner.pw_gid} if owner else {}

    def call(*words):
        subprocess.run(words, check=True, capture_output=True, cwd=folder, **as_owner)

    data = folder / "data"
    call(programs / "initdb", "-D", data, "-A", "trust", "-U", "causeway", "-E", "UTF8")
    options = f"-p {port} -h 127.0.0.1 -k {folder} -c fsync=off"
    call(programs / "pg_ctl", "-D", data, "-o", options, "-l", folder / "log", "-w", "start")
    call(programs / "createdb", "-h", "127.0.0.1", "-p", str(port), "-U", "causeway", "lake")
    yield f"dbname=lake host=127.0.0.1 port={port} user=causeway"
    call(programs / "pg_ctl", "-D", data, "-m", "immediate", "stop")


def test_the_demonstration_runs_on_a_postgresql_catalogue(demo_home, database, tmp_path):
    home = type(demo_home)(tmp_path / "home").prepare()
    home.site_file.write_text(f'catalogue_url: "postgres:{database}"\n', encoding="utf-8")
    folder = tmp_path / "delivery"
    shutil.copytree(delivered(demo_home), folder)
    took_in = called("ingest", folder, "--json", home=home.root)
    assert took_in.returncode == 0, took_in.stderr
    again = called("ingest", folder, "--json", home=home.root)
    assert json.loads(again.stdout)["deliveries"][0]["status"] == "noop"
    ran = called("run", STUDY, "--json", home=home.root)
    assert ran.returncode == 0, ran.stderr
    assert not (home.lake / "catalog.sqlite").exists()
    assert published_bytes(home) == published_bytes(demo_home)
