"""Random small populations, random cohorts: the SQL against the plain reading of the language.

A seed makes a cohort, five seeds share a world, so that a difference is found again from its number:
`CAUSEWAY_COHORT_SEEDS=4711-4711 pytest tests/property/test_cohort_language.py`.
"""

import os
import random
from datetime import date, datetime, timedelta

import pytest

from tasks.cohort.language.build import build_native, create_cohort_tables
from tasks.core.domains import domains
from tasks.core.duck import duck
from tasks.core.omop import omop_tables
from tasks.core.spec.cohorts import NativeCohort
from tests.oracle import World, spans_of

FIRST, DAYS = date(2020, 1, 1), 60
LISTS = {"red": [1, 2], "blue": [2, 3], "ward": [9201], "coded": [4]}
CODES = [
    ("coded", "J96", True, None, date(2020, 2, 1)),
    ("coded", "K250", False, date(2020, 1, 20), None),
]
TABLES = (
    "condition_occurrence",
    "drug_exposure",
    "drug_era",
    "measurement",
    "procedure_occurrence",
    "visit_occurrence",
    "death",
    "device_inference",
    "observation_period",
)
BATCHES, EXAMPLES, COHORTS_A_WORLD = 10, 500, 5


def a_day(rng):
    return FIRST + timedelta(days=rng.randrange(DAYS))


def a_value(rng, column, kind, start):
    if column.endswith("concept_id"):
        return rng.choice([1, 1, 2, 2, 3, 4, 9201])
    if kind == "DATE":
        return start + timedelta(days=rng.choice([0, 0, 3, 20])) if "end" in column else start
    if kind == "TIMESTAMP":
        return datetime(start.year, start.month, start.day, rng.randrange(24))
    if kind == "BOOLEAN":
        return rng.random() < 0.5
    if kind == "DOUBLE":
        return float(rng.randrange(10)) if rng.random() < 0.8 else None
    if kind == "VARCHAR":
        return rng.choice(["J96.0", "k25.0", " J96.1", "J95", "positive", None])
    return rng.randrange(5)


def a_row(rng, table, person):
    model, start = omop_tables()[table], a_day(rng)
    row = {c.name: a_value(rng, c.name, c.type, start) for c in model.columns}
    row["person_id"] = person
    if "visit_occurrence_id" in row:
        row["visit_occurrence_id"] = rng.choice(
            [1, 2, 3, None] if table != "visit_occurrence" else [1, 2, 3]
        )
    domain = domains()[table]
    if domain.end and rng.random() < 0.3:
        row[domain.end] = None
    return row


def a_person(rng, person):
    known = rng.random()
    return {
        "person_id": person,
        "site_id": "A",
        "gender_concept_id": rng.choice([8507, 8532, 0]),
        "year_of_birth": rng.choice([1979, 1980]),
        "month_of_birth": rng.choice([1, 2, 3]) if known < 0.7 else None,
        "day_of_birth": rng.choice([1, 10, 29, 31]) if known < 0.5 else None,
        "birth_datetime": datetime(1980, 2, 5) if known > 0.85 else None,
    }


def a_world(rng):
    tables = {"person": [a_person(rng, p) for p in range(1, rng.randrange(5, 11))]}
    for table in TABLES:
        rows = []
        for person in tables["person"]:
            few = 1 if table == "death" else 2 if table == "observation_period" else 6
            rows += [
                a_row(rng, table, person["person_id"])
                for _ in range(rng.randrange(few == 6, few + 1))
            ]
        tables[table] = rows
    for row in tables["observation_period"]:
        start = row["observation_period_start_date"] - timedelta(days=rng.choice([0, 30, 60]))
        row["observation_period_start_date"] = start
        row["observation_period_end_date"] = start + timedelta(days=rng.choice([5, 60, 120]))
    return World(tables, LISTS, CODES)


def some(rng, share, value):
    return value() if rng.random() < share else None


def some_age(rng):
    bound = rng.choice(["at_least", "at_most", "more_than", "less_than"])
    return {"method": rng.choice(["calendar_year", "exact"]), bound: rng.choice([39, 40, 41])}


def some_where(rng, domain):
    columns = {
        "measurement": [("value_as_number", [2.0, 5, 7])],
        "device_inference": [("score", [2.0, 5]), ("shown", [True, False])],
        "drug_exposure": [("days_supply", [1, 3]), ("drug_exposure_end_date", [a_day(rng)])],
        "condition_occurrence": [("condition_source_value", ["J95", "positive"])],
    }.get(domain)
    if not columns:
        return []
    column, values = rng.choice(columns)
    value = rng.choice(values)
    if rng.random() < 0.2:
        return [{"column": column, "is_missing": rng.random() < 0.5}]
    if isinstance(value, bool | str):
        word = rng.choice(["equals", "is_in", "not_in"])
        return [{"column": column, word: value if word == "equals" else [value]}]
    if column == "value_as_number" and rng.random() < 0.3:
        return [
            {"column": column, rng.choice(["more_than_column", "less_than_column"]): "range_high"}
        ]
    return [
        {"column": column, rng.choice(["at_least", "at_most", "more_than", "less_than"]): value}
    ]


def some_events(rng, depth):
    domain = rng.choice(TABLES)
    facts = domains()[domain]
    out = {"domain": domain, "where": some_where(rng, domain) if rng.random() < 0.3 else []}
    if facts.concept and rng.random() < 0.6:
        out["code_list"] = rng.choice(["red", "blue", "coded"])
        if facts.source_concept and rng.random() < 0.15:
            out["by"] = "source_concept"
    if rng.random() < 0.15:
        out["calendar"] = {"start": a_day(rng)}
    if rng.random() < 0.15:
        out["age"] = some_age(rng)
    if facts.visit and rng.random() < 0.1:
        out["visit"] = "ward"
    if rng.random() < 0.15:
        out["first_ever"] = True
    elif depth and rng.random() < 0.2:
        out["having"] = some_condition(rng, depth - 1)
    return out


def some_window(rng):
    low, high = sorted(rng.choice([-60, -30, -7, 0, 1, 7, 30]) for _ in range(2))
    window = {"index": rng.choice(["start", "end"]), "event": rng.choice(["start", "end"])}
    if rng.random() < 0.8:
        window["from_days"] = low
    if rng.random() < 0.8:
        window["to_days"] = high
    return window


def some_count(rng, depth):
    events = some_events(rng, depth)
    facts = domains()[events["domain"]]
    distinct = [None, None, "day"] + (["concept"] if facts.concept else [])
    distinct += ["visit"] if facts.visit else []
    return {
        "events": events,
        rng.choice(["at_least", "at_least", "at_least", "at_most", "exactly"]): rng.choice(
            [1, 1, 2]
        ),
        "distinct": rng.choice(distinct),
        "within": [some_window(rng) for _ in range(rng.choice([0, 1, 1, 2]))],
        "observed_only": rng.random() < 0.7,
        "same_visit": bool(facts.visit) and rng.random() < 0.15,
    }


def some_bound(rng, n):
    if rng.random() < 0.5:
        return {"at_least": rng.randint(1, n)}
    return {"at_most": rng.randrange(n)}


def some_condition(rng, depth):
    kind = rng.random()
    if depth and kind < 0.35:
        parts = [some_condition(rng, depth - 1) for _ in range(rng.choice([1, 2, 3]))]
        word = rng.choice(["all", "any", "none", "of"])
        bound = some_bound(rng, len(parts)) if word == "of" else {}
        return {word: parts, **bound}
    if kind < 0.45:
        return {"age": some_age(rng)}
    if kind < 0.52:
        return {"sex": rng.choice([["female"], ["male"], [0, "male"]])}
    if kind < 0.6:
        return {"observation": {"prior_days": rng.choice([0, 5]), "post_days": rng.choice([0, 5])}}
    return some_count(rng, depth)


def some_end(rng, observed):
    kinds = [
        {"type": "event_end"},
        {
            "type": "fixed",
            "anchor": rng.choice(["start", "end"]),
            "offset_days": rng.choice([0, 10]),
        },
        {
            "type": "era",
            "code_list": "red",
            "gap_days": rng.choice([0, 5]),
            "surveillance_days": rng.choice([0, 3]),
            "days_supply": rng.choice([None, 4]),
        },
    ]
    return rng.choice(kinds + [{"type": "observation_end"}] * (2 if observed else 0))


def a_cohort(rng):
    observed = rng.random() < 0.7
    around = {"prior_days": rng.choice([0, 3]), "post_days": rng.choice([0, 3])}
    limit = rng.choice(["first", "last", "all", "all", "all", {"nth": 2}])
    body = {
        "id": "some",
        "entry": {
            "any": [some_events(rng, 1) for _ in range(rng.choice([1, 1, 2]))],
            "observation": around if observed else "not_required",
            "calendar": some(rng, 0.2, lambda: {"start": FIRST, "end": a_day(rng)}),
            "washout_days": some(rng, 0.2, lambda: rng.choice([1, 10])),
            "limit": limit,
        },
        "rules": [
            {"id": f"rule_{n}", rng.choice(["require", "exclude"]): some_condition(rng, 2)}
            for n in range(rng.choice([0, 1, 1, 2]))
        ],
        "keep": rng.choice(["first", "last", "all"]),
        "end": some_end(rng, observed),
        "censor_at": [some_events(rng, 0) for _ in range(rng.choice([0, 0, 1]))],
        "collapse_gap_days": rng.choice([0, 0, 7]),
        "clip": some(rng, 0.2, lambda: {"start": a_day(rng)}),
    }
    return NativeCohort.model_validate(body)


def columns_of(table):
    return {"site_id": "varchar"} | {c.name: c.type for c in omop_tables()[table].columns}


def lay_out(con, world):
    for table, rows in world.tables.items():
        con.execute(f"truncate clean.{table}")
        if rows:
            columns = columns_of(table)
            values = [row.get(name) for row in rows for name in columns]
            line = f"({', '.join('?' for _ in columns)})"
            con.execute(f"insert into clean.{table} values {', '.join([line] * len(rows))}", values)


def lists(con):
    con.execute("create schema if not exists clean; create schema if not exists cohort")
    for table in ("person", *TABLES):
        columns = ", ".join(f"{name} {kind}" for name, kind in columns_of(table).items())
        con.execute(f"create table clean.{table} ({columns})")
    con.execute("create table cohort.code_list (code_list_id varchar, concept_id bigint)")
    con.executemany(
        "insert into cohort.code_list values (?, ?)",
        [[name, concept] for name, concepts in LISTS.items() for concept in concepts],
    )
    con.execute(
        "create table cohort.source_code (code_list_id varchar, vocabulary_id varchar, "
        "code varchar, is_prefix boolean, valid_from date, valid_to date)"
    )
    con.executemany(
        "insert into cohort.source_code values (?, 'KCD8', ?, ?, ?, ?)", [list(c) for c in CODES]
    )


def prepared(con, number):
    """Lay out the world of this number; the tables that all cohorts read are made of it."""
    world = a_world(random.Random(number))
    lay_out(con, world)
    create_cohort_tables(con)
    return world


def both(con, world, seed):
    """Return the spans of the cohort of this seed by SQL and by plain reading."""
    cohort = a_cohort(random.Random(-1 - seed))
    con.execute("truncate cohort.cohort")
    build_native(con, cohort, frozenset({"coded"}))
    got = con.execute(
        "select person_id, start_date, end_date from cohort.cohort order by all"
    ).fetchall()
    return got, spans_of(world, cohort), cohort


def worlds_of_batch(batch):
    first, last = 0, EXAMPLES - 1
    if chosen := os.environ.get("CAUSEWAY_COHORT_SEEDS"):
        first, last = map(int, chosen.split("-"))
    return range(first // COHORTS_A_WORLD + batch, last // COHORTS_A_WORLD + 1, BATCHES)


FEW_AND_SLOW = [n if n < 4 else pytest.param(n, marks=pytest.mark.slow) for n in range(BATCHES)]


@pytest.mark.parametrize("batch", FEW_AND_SLOW)
def test_sql_and_plain_reading_give_the_same_spans(batch):
    found = total = 0
    with duck() as con:
        lists(con)
        for number in worlds_of_batch(batch):
            world = prepared(con, number)
            for seed in range(number * COHORTS_A_WORLD, (number + 1) * COHORTS_A_WORLD):
                got, expected, cohort = both(con, world, seed)
                said = cohort.model_dump_json(exclude_defaults=True, indent=1)
                assert got == expected, f"seed {seed}\n{said}"
                found, total = found + bool(expected), total + 1
    assert found > total // 4, "too few of the cohorts have anybody in them"
