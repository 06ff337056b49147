"""What becomes of rows: each fault in a tiny delivery, with its code, line, column and balance."""

import gzip

import pytest

from tasks.ingest import parse
from tests.ingest_world import (
    BASE,
    DEATH,
    PERIOD,
    PERSON,
    a_home,
    counts,
    file_of,
    lines,
    staged_outcome,
    text,
    write_delivery,
)

MEASUREMENT = (
    "measurement_id,person_id,measurement_concept_id,measurement_date,measurement_datetime,"
    "measurement_type_concept_id,value_as_number\n"
)
GOOD = ["1,1,3004501,2024-01-01,,32817,5.5", "2,2,3004501,2024-01-02,2024-01-02 10:30,32817,"]


def staged(tmp_path, tables, **manifest):
    folder = write_delivery(tmp_path / "delivery", BASE | tables, **manifest)
    return staged_outcome(a_home(tmp_path), folder)


def measurements(*rows):
    return {"measurement": (MEASUREMENT + "\n".join([*GOOD, *rows]) + "\n").encode()}


BAD_ROWS = {
    "text in an integer": ("3,1,12x,2024-01-01,,32817,", "E_TYPE", "measurement_concept_id"),
    "rounded float": ("3,1,12.7,2024-01-01,,32817,", "E_TYPE", "measurement_concept_id"),
    "exponent id": ("1.23457E+15,1,1,2024-01-01,,32817,", "E_TYPE", "measurement_id"),
    "beyond 64 bits": ("99999999999999999999,1,1,2024-01-01,,32817,", "E_TYPE", "measurement_id"),
    "underscores": ("1_000,1,1,2024-01-01,,32817,", "E_TYPE", "measurement_id"),
    "full-width digits": ("3,1,1,2024-01-01,,32817,１２", "E_TYPE", "value_as_number"),
    "decimal comma": ('3,1,1,2024-01-01,,32817,"5,6"', "E_TYPE", "value_as_number"),
    "not finite": ("3,1,1,2024-01-01,,32817,-Infinity", "E_NONFINITE", "value_as_number"),
    "overflows": ("3,1,1,2024-01-01,,32817,1e999", "E_NONFINITE", "value_as_number"),
    "required is empty": ("3,,1,2024-01-01,,32817,", "E_REQUIRED_NULL", "person_id"),
    "required is blank": ("3,  ,1,2024-01-01,,32817,", "E_REQUIRED_NULL", "person_id"),
    "required is NULL": ("3,1,NULL,2024-01-01,,32817,", "E_REQUIRED_NULL", "measurement_concept_id"),
    "30 February": ("3,1,1,2024-02-30,,32817,", "E_DATE_INVALID", "measurement_date"),
    "zero date": ("3,1,1,0000-00-00,,32817,", "E_DATE_INVALID", "measurement_date"),
    "year zero": ("3,1,1,0000-01-01,,32817,", "E_DATE_INVALID", "measurement_date"),
    "other form": ("3,1,1,31/01/2024,,32817,", "E_DATE_FORMAT", "measurement_date"),
    "one-digit month": ("3,1,1,2024-1-31,,32817,", "E_DATE_FORMAT", "measurement_date"),
    "24 hours": ("3,1,1,2024-01-31,2024-01-31 24:00,32817,", "E_DATE_INVALID", "measurement_datetime"),
    "too few fields": ("3,1,1", "E_FIELD_COUNT", None),
    "too many fields": ("3,1,1,2024-01-01,,32817,5,", "E_FIELD_COUNT", None),
    "footer": ("(3 rows affected)", "E_FIELD_COUNT", None),
    "header again": (MEASUREMENT.strip().upper(), "E_HEADER_REPEATED", None),
    "nobody": ("3,99,1,2024-01-01,,32817,", "E_ORPHAN", "person_id"),
    "control character": ("3,1,1,2024-01-01,,32817,\x07", "E_TYPE", "value_as_number"),
}  # fmt: skip


def test_every_bad_row_is_found_where_it_stands(tmp_path):
    outcome = staged(tmp_path, measurements(*(row for row, _, _ in BAD_ROWS.values())))
    wanted = sorted(
        (line, code, column)
        for line, (_, code, column) in enumerate(BAD_ROWS.values(), start=2 + len(GOOD))
    )
    found = sorted((m.line, m.code, m.column) for m in outcome.messages if m.line)
    assert found == wanted
    assert counts(outcome, "measurement") == (26, 2, 24, 0)
    assert outcome.status == "accepted_with_warnings"


def test_messages_never_show_a_value(tmp_path):
    outcome = staged(tmp_path, measurements("3,1,SECRET,2024-01-01,,32817,", "4,SECRET"))
    assert not any("SECRET" in message.message for message in outcome.messages)
    assert any("expected 7 fields, found 2" in message.message for message in outcome.messages)


TOLERATED = {
    "padded": ("3, 1 ,1,\t2024-01-01 ,,32817, 7 ", ""),
    "missing spelled out": ("3,1,1,2024-01-01,NA,32817,\\N", "W_NULL_TOKEN"),
    "integral float": ("3,1.0,1,2024-01-01,,32817,7", "W_INTEGRAL_FLOAT"),
    "date with time": ("3,1,1,2024-01-01 00:00:00,,32817,7", "W_DATE_HAS_TIME"),
    "time with zone": ("3,1,1,2024-01-01,2024-01-01T10:00:00Z,32817,7", "W_TIMEZONE"),
    "time with T": ("3,1,1,2024-01-01,2024-01-01T10:00:00.5,32817,7", ""),
    "date for a time": ("3,1,1,2024-01-01,2024-01-01,32817,7", ""),
    "signs and exponents": ("+3,1,1,2024-01-01,,32817,-7.5e-3", ""),
}


@pytest.mark.parametrize(("row", "code"), TOLERATED.values(), ids=TOLERATED)
def test_tolerated_spellings_load(tmp_path, row, code):
    outcome = staged(tmp_path, measurements(row))
    assert counts(outcome, "measurement") == (3, 3, 0, 0)
    assert set(file_of(outcome, "measurement").codes) - {"W_COLUMN_MISSING_OPTIONAL"} == (
        {code} if code else set()
    )


LAYOUTS = {
    "crlf": lambda b: b.replace(b"\n", b"\r\n"),
    "cr only": lambda b: b.replace(b"\n", b"\r"),
    "mixed": lambda b: b.replace(b"\n", b"\r\n", 1),
    "no newline at the end": lambda b: b.rstrip(b"\n"),
    "blank lines": lambda b: b"\n\r\n" + b.replace(b"\n", b"\n\n") + b"\n\n",
    "byte order mark": lambda b: b"\xef\xbb\xbf" + b,
    "all quoted": lambda b: b'"' + b.replace(b",", b'","').replace(b"\n", b'"\n"')[:-1],
    "upper case, spaced": lambda b: (
        b" " + b.split(b"\n")[0].upper() + b" \n" + b.split(b"\n", 1)[1]
    ),
}


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_layout_of_the_file_plays_no_part(tmp_path, layout):
    content = layout(measurements("3,1,1,2024-01-01,,32817,7", "bad")["measurement"])
    outcome = staged(tmp_path, {"measurement": content})
    assert counts(outcome, "measurement") == (4, 3, 1, 0)
    assert [place[0] for place in lines(outcome, "E_FIELD_COUNT")] == ["measurement.csv"]


def test_lines_are_physical_where_fields_hold_line_breaks(tmp_path):
    observation = (
        "observation_id,person_id,observation_concept_id,observation_date,"
        "observation_type_concept_id,value_as_string,observation_source_value\n"
        '1,1,1,2024-01-01,1,"two\nlines","said ""no"", then left"\n'
        "\n"
        "2,x,1,2024-01-01,1,,\n"
    )
    outcome = staged(tmp_path, {"observation": observation.encode()})
    assert counts(outcome, "observation") == (2, 1, 1, 0)
    assert lines(outcome, "E_TYPE") == [("observation.csv", 5, "person_id")]


def test_an_unclosed_quote_swallows_nothing(tmp_path):
    rows = [f"{i},1,1,2024-01-01,,32817,7" for i in range(3, 9)]
    rows[2] = '5,1,1,2024-01-01,,32817,"never closed'
    for entries in ({}, {"measurement.csv": {"rows": None}}):
        folder = tmp_path / str(len(entries))
        delivery = write_delivery(folder, BASE | measurements(*rows), entries)
        outcome = staged_outcome(a_home(folder), delivery)
        assert outcome.status == "partial"
        assert lines(outcome, "E_QUOTE") == [("measurement.csv", 6, None)]


def test_a_quote_inside_plain_text_is_text(tmp_path):
    person = text(PERSON).replace("aa", '5" pipe')
    outcome = staged(tmp_path, {"person": person.encode()})
    assert counts(outcome, "person") == (3, 3, 0, 0)


def test_duplicates_are_dropped_and_conflicts_quarantined_on_both_sides(tmp_path):
    death = text(DEATH) + "1,2024-05-01,32817\n2,2024-07-01,32817\n"
    outcome = staged(tmp_path, {"death": death.encode()})
    assert counts(outcome, "death") == (4, 1, 2, 1)
    assert lines(outcome, "W_DUPLICATE_ROW") == [("death.csv", 4, "person_id")]
    assert lines(outcome, "E_KEY_CONFLICT") == [
        ("death.csv", 3, "person_id"),
        ("death.csv", 5, "person_id"),
    ]


def test_rows_without_a_key_are_compared_whole(tmp_path):
    relation = (
        "domain_concept_id_1,fact_id_1,domain_concept_id_2,fact_id_2,relationship_concept_id\n"
    )
    rows = "1,1,2,2,3\n1,1,2,2,4\n1,1,2,2,3\n1,1,2,2,3\n"
    outcome = staged(tmp_path, {"fact_relationship": (relation + rows).encode()})
    assert counts(outcome, "fact_relationship") == (4, 2, 0, 2)


def test_persons_who_are_quarantined_take_their_rows_along(tmp_path):
    person = text(PERSON).replace("2,8532,1960", "2,8532,unknown")
    outcome = staged(tmp_path, {"person": person.encode(), "death": DEATH})
    assert counts(outcome, "person") == (3, 2, 1, 0)
    assert lines(outcome, "E_ORPHAN") == [
        ("death.csv", 3, "person_id"),
        ("observation_period.csv", 3, "person_id"),
    ]


def test_a_cost_may_name_no_person_but_not_a_stranger(tmp_path):
    cost = "cost_id,person_id,cost_event_id,cost_domain_id\n1,1,1,Visit\n2,,1,Visit\n3,9,1,Visit\n"
    outcome = staged(tmp_path, {"cost": cost.encode()})
    assert counts(outcome, "cost") == (3, 2, 1, 0)
    assert lines(outcome, "E_ORPHAN") == [("cost.csv", 4, "person_id")]


def test_periods_do_not_run_backwards(tmp_path):
    period = text(PERIOD).replace("2025-01-01", "2019-01-01", 1)
    outcome = staged(tmp_path, {"observation_period": period.encode()})
    assert counts(outcome, "observation_period") == (3, 2, 1, 0)
    place = ("observation_period.csv", 2, "observation_period_end_date")
    assert lines(outcome, "E_END_BEFORE_START") == [place]
    assert "W_NO_OBS_PERIOD" in outcome.codes


def test_control_characters_in_text(tmp_path):
    outcome = staged(tmp_path, {"person": text(PERSON).replace("bb", "b\x1b[2J").encode()})
    assert lines(outcome, "E_CONTROL_CHAR") == [("person.csv", 3, "person_source_value")]


def test_declared_date_format_is_the_only_one(tmp_path):
    period = text(PERIOD).replace("-01-01", "").replace("2020", "20200101")
    period = period.replace("2025", "20250101").replace("20200101", "2020-01-01", 1)
    outcome = staged(tmp_path, {"observation_period": period.encode()}, date_format="%Y%m%d")
    assert counts(outcome, "observation_period") == (3, 2, 1, 0)
    assert lines(outcome, "E_DATE_FORMAT")[0][1:] == (2, "observation_period_start_date")


def test_a_file_with_all_dates_in_another_form_is_refused_as_a_whole(tmp_path):
    rows = [f"{i % 3 + 1},{i:02d}/01/2024,1\n" for i in range(1, 25)]
    death = "person_id,death_date,death_type_concept_id\n" + "".join(rows)
    outcome = staged(tmp_path, {"death": death.encode()})
    assert outcome.status == "partial"
    assert file_of(outcome, "death").status == "rejected"
    assert file_of(outcome, "death").codes == ("E_DATE_FORMAT",)


def test_gzip_in_several_members(tmp_path):
    half = text(DEATH).encode().splitlines(keepends=True)
    content = gzip.compress(b"".join(half[:2])) + gzip.compress(b"".join(half[2:]))
    outcome = staged(tmp_path, {"death.csv.gz": content})
    assert counts(outcome, "death") == (2, 2, 0, 0)


def test_korean_text_in_the_declared_encoding(tmp_path):
    content = text(PERSON).replace("aa", "고혈압").encode("cp949")
    entries = {"person.csv": {"encoding": "cp949", "rows": 3}}
    folder = write_delivery(tmp_path / "d", BASE | {"person": content}, entries)
    assert staged_outcome(a_home(tmp_path), folder).status == "accepted"


def test_many_bad_rows_give_few_messages(tmp_path):
    rows = [f"{i},99,1,2024-01-01,,32817,7" for i in range(10, 1010)]
    outcome = staged(tmp_path, measurements(*rows))
    said = [m for m in outcome.messages if m.code == "E_ORPHAN"]
    assert len(said) == 21
    assert "1,000 rows in all" in said[-1].message


def test_lines_of_a_file_of_many_blocks(tmp_path, monkeypatch):
    monkeypatch.setattr(parse, "_BLOCKS", (1 << 20,))
    rows = [f"{i},1,1,2024-01-01,,32817,7" for i in range(3, 250_000)]
    bad = range(1, len(rows), 20_011)
    for number in bad:
        rows[number] = rows[number].replace(",1,1,", ",1,one,")
    folder = write_delivery(tmp_path / "delivery", BASE | measurements(*rows))
    outcome = staged_outcome(a_home(tmp_path), folder)
    first_line = 2 + len(GOOD)
    assert [line for _, line, _ in lines(outcome, "E_TYPE")] == [n + first_line for n in bad]
