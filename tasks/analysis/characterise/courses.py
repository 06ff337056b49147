"""What happens around an index day: events in bins of days, and the order of treatments."""

import duckdb

from tasks.analysis.characterise.frequency import build_spans
from tasks.core.disclosure_cells import OTHER
from tasks.core.results import result_row
from tasks.core.spec.characterisation import EVERYBODY, TimeToEvent, TreatmentPatterns
from tasks.core.sql import build_table

Row = dict[str, object]
NO_TREATMENT = "none"


def time_to_event(con: duckdb.DuckDBPyConnection, item: TimeToEvent) -> list[Row]:
    """Return how many have the event in each bin of days, of those who are seen in it."""
    build_spans(con, EVERYBODY)
    params = {"index": item.index, "event": item.event, "bins_days": list(item.bins_days)}
    build_table(con, "result.time_to_event", params)
    found = con.execute(
        "select first_day, last_day, persons, with_event, index_persons "
        "from result.time_to_event order by first_day"
    ).fetchall()
    common = {"method": "time_to_event", "population": item.index, "outcome": item.event}
    total = int(found[0][4])
    rows = [_count(item.id, total, n=total, unit="persons", **common)]
    for place, (first, last, persons, having, _) in enumerate(found):
        rows.append(
            _count(
                item.id, having, n=persons, n_events=having, unit="persons",
                term=f"{place:02d}", at=float(first), at_kind="time_days",
                at2=float(last), at2_kind="time_days", **common,
            )
        )  # fmt: skip
    return rows


def treatment_patterns(con: duckdb.DuckDBPyConnection, item: TreatmentPatterns) -> list[Row]:
    """Return how many follow each order of treatments; rare ones become `other` when released."""
    params = {
        "index": item.index,
        "treatments": list(item.treatments),
        "days": item.days,
        "max_steps": item.max_steps,
        "combine_days": item.combine_days,
    }
    build_table(con, "result.treatment_pattern", params)
    found = con.execute(
        "select path, persons, index_persons from result.treatment_pattern "
        "order by persons desc, path"
    ).fetchall()
    total = int(found[0][2]) if found else 0
    common = {"method": "treatment_patterns", "population": item.index, "unit": "persons"}
    rows = [_count(item.id, total, n=total, **common)]
    for path, persons, _ in [*found, (OTHER, 0, total)]:
        rows.append(
            _count(item.id, persons, n=total, n_events=persons, term=path or NO_TREATMENT, **common)
        )
    return rows


def _count(analysis_id: str, count: int, **values: object) -> Row:
    return result_row(
        analysis_id,
        "descriptive",
        "count",
        estimate=float(count),
        unit_of_analysis="person",
        **values,
    )
