"""Drawn persons of a study's `tests`, and whether its cohorts say of them what they must."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

import duckdb

from tasks.cohort.code_lists import resolve_code_lists
from tasks.cohort.cohorts import build_cohorts, tables_of_cohorts
from tasks.cohort.language.render import SEX
from tasks.core.domains import domains
from tasks.core.duck import duck, identifier
from tasks.core.omop import omop_tables
from tasks.core.spec import StudySpec
from tasks.core.spec.cohorts import SqlCohort
from tasks.core.spec.conditions import Period
from tasks.core.spec.drawn_persons import CohortTest, TestEvent, TestPerson

Span = tuple[date, date]
_VOCABULARY = ("concept", "concept_ancestor", "concept_relationship")


@dataclass(frozen=True, slots=True)
class Surprise:
    """A drawn person of whom a cohort says another thing than the study expects.

    `path` is the place of the person in the file.
    """

    path: tuple[str | int, ...]
    what: str


def surprises(spec: StudySpec) -> Iterator[Surprise]:
    """Yield every drawn person whose membership is not the expected one."""
    for place, cohort in enumerate(spec.cohorts):
        for number, test in enumerate(cohort.tests):
            until = spec.cohorts[: place + 1] if isinstance(cohort, SqlCohort) else (cohort,)
            alone = spec.model_copy(update={"cohorts": until}).with_files(spec.files)
            with duck() as con:
                _draw(con, tables_of_cohorts(alone), test)
                resolve_code_lists(con, alone)
                build_cohorts(con, alone)
                where = ("cohorts", place, "tests", number, "persons")
                yield from _compared(con, cohort.id, test, where)


def _draw(con: duckdb.DuckDBPyConnection, tables: set[str], test: CohortTest) -> None:
    """Create schema `clean` with the persons of a test and their events."""
    con.execute("create schema clean")
    con.execute("create schema cohort")
    for table in {*tables, *_VOCABULARY, *(e.domain for p in test.persons for e in p.events)}:
        model = omop_tables()[table]
        columns = {"site_id": "varchar"} | {c.name: c.type for c in model.columns}
        listed = ", ".join(f"{identifier(name)} {kind}" for name, kind in columns.items())
        con.execute(f"create table clean.{table} ({listed})")
    for number, person in enumerate(test.persons, 1):
        _insert(con, "person", _person(number, person))
        for key, period in enumerate(person.observed, 1):
            _insert(con, "observation_period", _period(number, key, period))
        for key, event in enumerate(person.events, 1):
            _insert(con, event.domain, _event(number, key, event))


def _person(number: int, person: TestPerson) -> dict[str, object]:
    return {
        "person_id": number,
        "site_id": "test",
        "gender_concept_id": SEX[person.sex],
        "year_of_birth": person.born.year,
        "month_of_birth": person.born.month,
        "day_of_birth": person.born.day,
    }


def _period(number: int, key: int, period: Period) -> dict[str, object]:
    return {
        "person_id": number,
        "observation_period_id": number * 1000 + key,
        "observation_period_start_date": period.start or date(1900, 1, 1),
        "observation_period_end_date": period.end or date(2100, 1, 1),
    }


def _event(number: int, key: int, event: TestEvent) -> dict[str, object]:
    domain = domains()[event.domain]
    row: dict[str, object] = {"site_id": "test", domain.key: number * 1000 + key}
    row |= {"person_id": number, domain.start: event.start}
    if domain.end:
        row[domain.end] = event.end or event.start
    if domain.concept:
        row[domain.concept] = event.concept
    if domain.source_value:
        row[domain.source_value] = event.source
    return row | dict(event.columns)


def _insert(con: duckdb.DuckDBPyConnection, table: str, row: dict[str, object]) -> None:
    names, marks = ", ".join(map(identifier, row)), ", ".join("?" for _ in row)
    con.execute(
        f"insert into clean.{table} ({names}) values ({marks})",  # noqa: S608 - our own model
        list(row.values()),
    )


def _compared(
    con: duckdb.DuckDBPyConnection, cohort: str, test: CohortTest, where: tuple[str | int, ...]
) -> Iterator[Surprise]:
    found: dict[int, list[Span]] = {}
    for person_id, start, end in con.execute(
        "select person_id, start_date, end_date from cohort.cohort "
        "where cohort_id = $cohort order by all",
        {"cohort": cohort},
    ).fetchall():
        found.setdefault(person_id, []).append((start, end))
    for number, person in enumerate(test.persons, 1):
        spans = found.get(number, [])
        if not _is_expected(person, spans):
            what = f"{cohort}: person {person.id} is {_said(spans)}, expected {_wanted(person)}"
            yield Surprise((*where, number - 1), what)


def _is_expected(person: TestPerson, spans: list[Span]) -> bool:
    if isinstance(person.expect, str):
        return (person.expect == "in") == bool(spans)
    return spans == [(p.start, p.end) for p in person.expect]


def _said(spans: list[Span]) -> str:
    return f"in ({', '.join(f'{start} to {end}' for start, end in spans)})" if spans else "out"


def _wanted(person: TestPerson) -> str:
    if isinstance(person.expect, str):
        return person.expect
    return ", ".join(f"{period.start} to {period.end}" for period in person.expect)


def tests_of(spec: StudySpec) -> int:
    """Return the number of drawn persons that a study brings."""
    return sum(len(test.persons) for cohort in spec.cohorts for test in cohort.tests)
