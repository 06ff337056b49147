"""How complete the tables are: empty columns, and persons with a record at all."""

from collections.abc import Iterator

import duckdb

from tasks.core.omop import omop_tables
from tasks.core.results import result_row
from tasks.core.spec.characterisation import Missingness

Row = dict[str, object]
_KEYS = frozenset({"person_id", "note_text", "person_source_value"})


def missingness(con: duckdb.DuckDBPyConnection, item: Missingness) -> list[Row]:
    """Return the share of empty values of each column, and of persons with a record."""
    [(everybody,)] = con.execute("select count(*) from clean.person").fetchall()
    return [row for table in item.tables for row in _of_table(con, item.id, table, everybody)]


def _of_table(
    con: duckdb.DuckDBPyConnection, analysis_id: str, table: str, everybody: int
) -> Iterator[Row]:
    shown = [c[0] for c in con.execute(f"describe clean.{table}").fetchall()]
    columns = [n for n in omop_tables()[table].names if n in shown and n not in _KEYS]
    counts = "".join(f", count({name})" for name in columns)
    query = f"select count(*), count(distinct person_id){counts} from clean.{table}"  # noqa: S608
    rows, persons, *filled = con.execute(query).fetchall()[0]
    yield _share(analysis_id, "record_fraction", table, persons, everybody, "person")
    for name, count in zip(columns, filled, strict=True):
        yield _share(
            analysis_id, "missing_fraction", f"{table}.{name}", rows - count, rows, "record"
        )


def _share(analysis_id: str, name: str, term: str, part: int, whole: int, unit: str) -> Row:
    return result_row(
        analysis_id,
        "descriptive",
        name,
        method="missingness",
        term=term,
        unit="proportion",
        unit_of_analysis=unit,
        estimate=part / whole if whole else None,
        n=whole,
        n_events=part,
        status="ok" if whole else "not_estimable",
        note=None if whole else "no record",
    )
