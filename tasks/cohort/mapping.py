"""How much of what the sources coded has a concept: the mapping report of a study."""

from collections.abc import Iterable
from datetime import date

import duckdb

from tasks.cohort.code_lists import open_coded_records
from tasks.core.results import result_row
from tasks.core.sql import build_table

# KCD-9 follows KCD-8 on this day; conditions before and after are counted apart.
SPLIT_DATE = date(2026, 1, 1)
SPLIT_TABLES = ("condition_occurrence", "condition_era", "death")
MOST_CODES = 10
Row = dict[str, object]


def mapping_rows(con: duckdb.DuckDBPyConnection, tables: Iterable[str]) -> list[Row]:
    """Return the share of records and of source codes that have a concept, and codes without.

    Args:
        con: A workspace with schema clean.
        tables: Tables of the lake that the study reads.
    """
    open_coded_records(con, tables)
    build_table(
        con, "result.mapping", {"split_tables": list(SPLIT_TABLES), "split_date": SPLIT_DATE}
    )
    build_table(con, "result.unmapped_code", {"most": MOST_CODES})
    found = con.execute("from result.mapping").fetchall()
    codes = con.execute("from result.unmapped_code").fetchall()
    shares = [row for counts in found for row in _shares(*counts)]
    return shares + [_code(*counts) for counts in codes]


def _shares(
    site_id: str,
    table: str,
    period: str,
    records: int,
    records_mapped: int,
    codes: int,
    codes_mapped: int,
    fewest_persons: int | None,
) -> list[Row]:
    parts = (("records", records, records_mapped), ("codes", codes, codes_mapped))
    return [
        result_row(
            "mapping",
            "descriptive",
            "mapped_fraction",
            method=unit,
            site_id=site_id,
            term=table,
            stratum_name="period",
            stratum_level=period,
            unit_of_analysis=unit,
            unit="share",
            estimate=mapped / whole,
            n=whole,
            n_events=mapped,
            n_clusters=fewest_persons,
            note="n_clusters: persons of the smaller part",
        )
        for unit, whole, mapped in parts
        if whole
    ]


def _code(site_id: str, table: str, code: str, records: int, persons: int) -> Row:
    return result_row(
        "mapping",
        "descriptive",
        "count",
        method="count",
        site_id=site_id,
        term=table,
        stratum_name="unmapped_code",
        stratum_level=code,
        unit_of_analysis="records",
        unit="records",
        estimate=float(records),
        n=records,
        n_clusters=persons,
        note="n_clusters: persons",
    )
