"""A query reads only from its own layer or one to its left, and declares exactly what it reads."""

import re

import pytest

from tasks.core.duck import duck
from tasks.core.paths import SQL_DIR
from tasks.core.sql import LAYERS
from tasks.ingest.fhir import create_macros

FILES = sorted(SQL_DIR.rglob("*.sql"))


def declared(field, text):
    found = re.search(rf"^-- {field}:\s*((?:.+\n)(?:--          .+\n)*)", text, re.MULTILINE)
    if not found:
        return set()
    body = found[1].replace("--", " ").split("(")[0] if field == "Params" else found[1]
    return {part.strip() for part in body.replace("--", " ").split(",") if part.strip()}


def test_there_are_queries():
    assert len(FILES) > 10


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SQL_DIR)))
def test_reads_only_what_it_declares_and_never_to_the_right(path):
    text, schema = path.read_text(), path.parent.name
    with duck() as con:
        create_macros(con)
        names = con.get_table_names(re.sub(r"\$\w+", "null", text), qualified=True)
    reads = {name.split(" AS ")[0].replace('"', "") for name in names}

    assert reads == declared("Reads", text)
    to_the_right = [t for t in reads if LAYERS.index(t.split(".")[0]) > LAYERS.index(schema)]
    assert not to_the_right, f"{path.name} is in {schema} but reads {to_the_right}"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SQL_DIR)))
def test_the_header_names_table_grain_and_parameters(path):
    text = path.read_text()
    name = path.stem.split(".")[0]  # <name>.<variant>.sql makes the same table in another way
    assert text.startswith(f"-- {path.parent.name}.{name}\n")
    assert "-- Grain:" in text
    header = "".join(line for line in text.splitlines(True) if line.startswith("--"))
    body = text.removeprefix(header)
    assert set(re.findall(r"\$\w+", body)) == set(re.findall(r"\$\w+", header))


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SQL_DIR)))
def test_the_last_line_selects_everything_from_the_last_step(path):
    assert path.read_text().rstrip("\n").splitlines()[-1].startswith("select * from ")
