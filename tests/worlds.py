"""Drawn clean tables that queries need to be there, empty: a test fills those that it is about."""

from tasks.core.domains import domains
from tasks.core.spec.covariates import EVENT_TABLES
from tests.tables import given

_TAIL = {
    "measurement": " | value_as_number:double | unit_concept_id:bigint | range_low:double "
    "| range_high:double"
}


def _header(table):
    domain = domains()[table]
    source = f" | {domain.source_value}:text" if domain.source_value else ""
    return (
        f"person_id:bigint | {domain.key}:bigint | {domain.start}:date | {domain.concept}:bigint"
        f"{source}{_TAIL.get(table, '')}"
    )


EMPTY_EVENTS = {table: _header(table) for table in EVENT_TABLES}
PERSONS = (
    "person_id:bigint | site_id:text | gender_concept_id:bigint | year_of_birth:int "
    "| month_of_birth:int | day_of_birth:int\n"
)


def events(con, **drawings):
    """Draw every table of events: `measurement="1 | 1 | 2020-01-01 | 7 | | 5.0"`."""
    for table, header in EMPTY_EVENTS.items():
        given(con, f"clean.{table}", f"{header}\n{drawings.get(table, '')}")
