"""Worlds of `cases.yaml`: the expression that a case stands for, and the tables that it draws."""

import json
import re
from functools import cache
from pathlib import Path

import yaml

from tasks.core.omop import omop_tables

PERSONS = """
    person_id | gender_concept_id | year_of_birth
    1 | 8507 | 1960
    2 | 8532 | 1970
    3 | 8507 | 1980
    4 | 8532 | 1990
"""
OBSERVED = """
    person_id | observation_period_start_date | observation_period_end_date
    1 | 2010-01-01 | 2019-12-31
    2 | 2010-01-01 | 2019-12-31
    3 | 2010-01-01 | 2019-12-31
    4 | 2010-01-01 | 2019-12-31
"""
VOCABULARY = ("concept", "concept_ancestor", "concept_relationship")


@cache
def cases():
    """Every case by its name."""
    return yaml.safe_load(Path(__file__).with_name("cases.yaml").read_text("utf-8"))


def expression_of(case):
    """The Circe expression of a case, as the JSON that ATLAS writes."""
    window = case.get("observation", {"PriorDays": 0, "PostDays": 0})
    rules = case.get("rules", [])
    whole = {
        "cdmVersionRange": ">=5.0.0",
        "ConceptSets": [_concept_set(*item) for item in case.get("sets", {}).items()],
        "PrimaryCriteria": {
            "CriteriaList": case["primary"],
            "ObservationWindow": window,
            "PrimaryCriteriaLimit": {"Type": case.get("limit", "All")},
        },
        "AdditionalCriteria": case.get("additional"),
        "QualifiedLimit": {"Type": case.get("qualified", "All")},
        "ExpressionLimit": {"Type": case.get("expression_limit", "All")},
        "InclusionRules": [
            {"name": f"rule {i}", "expression": rule} for i, rule in enumerate(rules)
        ],
        "EndStrategy": case.get("end"),
        "CensoringCriteria": case.get("censoring", []),
        "CollapseSettings": {"CollapseType": "ERA", "EraPad": case.get("pad", 0)},
        "CensorWindow": case.get("window", {}),
    }
    return json.dumps({key: value for key, value in whole.items() if value is not None})


def _concept_set(number, concepts):
    items = [
        {
            "concept": {"CONCEPT_ID": int(re.sub(r"\D", "", word)), "CONCEPT_NAME": word},
            "isExcluded": word.startswith("-"),
            "includeDescendants": "+" in word,
            "includeMapped": "m" in word,
        }
        for word in str(concepts).split()
    ]
    return {"id": number, "name": f"set {number}", "expression": {"items": items}}


def make_tables(con, wanted, schema="clean"):
    """Make tables with all columns of the model, and those that are always there."""
    con.execute(f"create schema if not exists {schema}")
    for name in sorted({*wanted, "person", "observation_period", *VOCABULARY}):
        columns = ", ".join(f"{c.name} {c.type}" for c in omop_tables()[name].columns)
        site = "" if name in VOCABULARY else "site_id varchar, "
        con.execute(f"create table if not exists {schema}.{name} ({site}{columns})")


def fill(con, tables, schema="clean"):
    """Put what is drawn into tables; persons 1 to 4, observed, where nothing else is drawn."""
    for name, drawing in {"person": PERSONS, "observation_period": OBSERVED, **tables}.items():
        header, *rows = [
            [cell.strip() for cell in line.split("|")] for line in drawing.strip().splitlines()
        ]
        con.execute(f"delete from {schema}.{name}")
        key = omop_tables()[name].key
        for number, row in enumerate(rows, start=1):
            cells = {column: value or None for column, value in zip(header, row, strict=True)}
            if len(key) == 1:
                cells.setdefault(key[0], number)
            if name not in VOCABULARY:
                cells.setdefault("site_id", "SITE")
            marks = ", ".join("?" * len(cells))
            con.execute(
                f"insert into {schema}.{name} ({', '.join(cells)}) values ({marks})",
                [*cells.values()],
            )


def empty(con, schema="clean"):
    """Take every row out of every table."""
    for (name,) in con.execute(
        "select table_name from duckdb_tables() where schema_name = ?", [schema]
    ).fetchall():
        con.execute(f"delete from {schema}.{name}")


def spans_of(con, cohort_id):
    """Spans of one cohort as text, in order."""
    rows = con.execute(
        "select person_id, start_date, end_date from cohort.cohort where cohort_id = ? order by all",
        [cohort_id],
    ).fetchall()
    return [" ".join(map(str, row)) for row in rows]
