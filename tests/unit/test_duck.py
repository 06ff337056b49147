"""DuckDB connections: extensions from the installed packages, each with a signature that holds."""

import shutil

import duckdb
import pytest

from tasks.core import duck as room
from tasks.core.duck import duck, load_extensions


def test_extensions_load_again_and_again():
    for _ in range(2):
        with duck() as con:
            load_extensions(con, "sqlite_scanner", "ducklake")
            loaded = con.execute(
                "select extension_name from duckdb_extensions() where loaded"
            ).fetchall()
        assert {("ducklake",), ("sqlite_scanner",)} <= set(loaded)


def test_an_extension_that_was_tampered_with_is_refused(tmp_path, monkeypatch):
    real = room._signed("ducklake")
    package = tmp_path / "forged_extension"
    package.mkdir()
    (package / "__init__.py").touch()
    forged = package / real.name
    shutil.copyfile(real, forged)
    with forged.open("r+b") as stream:
        stream.seek(forged.stat().st_size // 2)
        stream.write(b"tampered")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(room._EXTENSION_OF, "ducklake", "forged_extension")
    room._signed.cache_clear()
    try:
        with duck() as con, pytest.raises(duckdb.Error, match="signature"):
            load_extensions(con, "ducklake")
    finally:
        room._signed.cache_clear()
