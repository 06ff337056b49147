"""Three readers of one text agree: the count of bytes, pyarrow's parser, and the csv module."""

import csv
import io
import random

import pytest

from tasks.core.duck import duck
from tasks.ingest import reading
from tasks.ingest.bind import bind_all
from tasks.ingest.lines import bad_rows_of_text
from tasks.ingest.model import FileRefusedError
from tasks.ingest.parse import select_verbatim, stage_csv
from tasks.ingest.reading import TextFile, count_strictly, read_header, scan

PLAIN = ["1", "x", "", " y", "한", '"a,b"', '"q""q"', '"l1\nl2"', '"l\r\nm"', '""']
ODD = ['a"b', '"a"b', '5"', ' "x"', '"x" ', '"open', '"""']
ENDS = ["\n", "\r\n", "\r"]


def drawn(dice):
    """Draw the text of a file of three columns, some of its rows and quotes faulty."""
    ends = [dice.choice(ENDS)] if dice.random() < 0.7 else ENDS
    cells = PLAIN * 4 + ODD if dice.random() < 0.5 else PLAIN
    lines = ["A,b,c"]
    for _ in range(dice.randint(1, 6)):
        lines.append(",".join(dice.choice(cells) for _ in range(dice.choice([3, 3, 3, 2, 4]))))
        lines += [""] * (dice.random() < 0.15)
    text = "".join(line + dice.choice(ends) for line in lines)
    text = text.rstrip("\r\n") if dice.random() < 0.3 else text
    return dice.choice(["", "\n"]) + text


def expected(text):
    rows = [row for row in csv.reader(io.StringIO(text, newline="")) if row]
    return rows[1:]


@pytest.mark.parametrize("seed", range(4))
def test_readers_agree_on_any_text(tmp_path, monkeypatch, seed):
    dice, path, looked_at = random.Random(seed), tmp_path / "t.csv", 0
    with duck() as con:
        for _ in range(50):
            monkeypatch.setattr(reading, "CHUNK", dice.choice([1, 3, 1 << 20]))
            text = drawn(dice)
            path.write_bytes((dice.choice(["", "\ufeff"]) + text).encode())
            file = TextFile(path, "utf-8", ",")
            scanned = scan(file)
            try:
                counted = scanned.records if scanned.plain_quotes else count_strictly(file)
            except FileRefusedError:
                assert not scanned.plain_quotes
                continue
            expect_same_rows(con, file, expected(text), counted - 1)
            looked_at += 1
    assert looked_at > 20


def expect_same_rows(con, file, rows, counted):
    assert counted == len(rows)
    names, skip_lines = read_header(file)
    binding, _ = bind_all(file.name, "t", names)
    out = file.path.with_suffix(".parquet")
    parsed = stage_csv(con, file, skip_lines, binding, select_verbatim(binding), out)
    good = [tuple(row) for row in rows if len(row) == 3]
    found = con.execute(f"select a, b, c from read_parquet('{out}')").fetchall()
    assert [tuple(cell or "" for cell in row) for row in found] == good
    assert (parsed.staged, parsed.misshapen) == (len(good), len(rows) - len(good))
    faults = dict.fromkeys(range(len(good)), ("E_TYPE", "a"))
    assert len(list(bad_rows_of_text(file, 3, faults))) == len(rows)


@pytest.mark.parametrize("cell", ["A" * 9_000_000, '"' + "A\n" * 4_500_000 + '"'])
def test_a_cell_longer_than_a_block(tmp_path, cell):
    path = tmp_path / "t.csv"
    path.write_text(f"a,b\n1,x\n2,{cell}\n3,y\n", encoding="utf-8")
    file = TextFile(path, "utf-8", ",")
    binding, _ = bind_all("t.csv", "t", ["a", "b"])
    with duck() as con:
        out = tmp_path / "t.parquet"
        parsed = stage_csv(con, file, 1, binding, select_verbatim(binding), out)
    assert (parsed.staged, scan(file).records) == (3, 4)
