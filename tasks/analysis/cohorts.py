"""The cohorts of a study in numbers: who is in each, and who was left after each step."""

import duckdb
import polars as pl

from tasks.analysis.attrition import ATTRITION_SCHEMA
from tasks.core.results import result_row
from tasks.core.spec import StudySpec
from tasks.core.spec.cohorts import NativeCohort

_LABELS = {
    "records_delivered": ("Rows delivered for these tables", "해당 테이블로 제출된 행"),
    "records_in_lake": ("Records of the kind in the lake", "데이터 레이크의 해당 영역 기록"),
    "entry_events": ("Events that can open a span", "진입 사건에 해당하는 기록"),
    "in_time": ("In the calendar window, washout kept", "달력 기간과 휴약 기간 충족"),
    "in_observation": ("Observed as long as asked for", "필요한 관찰 기간 충족"),
    "limit": ("The entry that counts, of each person", "대상자별로 채택된 진입"),
    "spans": ("In the cohort", "코호트 포함"),
}


def cohort_rows(con: duckdb.DuckDBPyConnection, spec: StudySpec) -> list[dict[str, object]]:
    """Return one row a cohort: its persons, its spans, and the days that they last."""
    found = con.execute(
        "select cohort_id, count(distinct person_id), count(*), sum(end_date - start_date + 1) "
        "from cohort.cohort group by cohort_id"
    ).fetchall()
    by_id = {cohort: counts for cohort, *counts in found}
    return [
        row for cohort in spec.cohorts for row in _rows(cohort.id, *by_id.get(cohort.id, (0, 0, 0)))
    ]


def _rows(cohort: str, persons: int, spans: int, days: int) -> list[dict[str, object]]:
    common = {
        "method": "cohort",
        "population": cohort,
        "n": persons,
        "person_time": float(days),
        "note": "person_time in days",
    }
    return [
        result_row(
            "cohorts",
            "descriptive",
            "count",
            unit=unit,
            unit_of_analysis=unit.removesuffix("s"),
            estimate=float(count),
            **common,
        )
        for unit, count in (("persons", persons), ("spans", spans))
    ]


def cohort_attrition(con: duckdb.DuckDBPyConnection, spec: StudySpec) -> pl.DataFrame:
    """Return the steps of every cohort as the attrition table holds them."""
    rules = {
        (cohort.id, rule.id): (rule.name.en, rule.name.ko) if rule.name else (rule.id, rule.id)
        for cohort in spec.cohorts
        if isinstance(cohort, NativeCohort)
        for rule in cohort.rules
    }
    found = con.execute(
        "select cohort_id, step, step_id, records, persons, "
        "lag(persons, 1, persons) over (partition by cohort_id order by step) - persons "
        "from cohort.cohort_attrition"
    ).fetchall()
    order = {cohort.id: place for place, cohort in enumerate(spec.cohorts)}
    rows = [
        (
            cohort,
            step,
            step_id,
            *(rules.get((cohort, step_id)) or _LABELS.get(step_id, (step_id, step_id))),
            persons,
            lost,
            "ok",
            records,
        )
        for cohort, step, step_id, records, persons, lost in sorted(
            found, key=lambda row: (order[row[0]], row[1])
        )
    ]
    return pl.DataFrame(rows, schema=ATTRITION_SCHEMA, orient="row")


def cohort_attrition_rows(attrition: pl.DataFrame) -> list[dict[str, object]]:
    """Return the same counts as rows of the results table."""
    return [
        result_row(
            "attrition",
            "descriptive",
            "count",
            method="attrition",
            arm=row["arm"],
            population=row["arm"],
            unit="persons",
            unit_of_analysis="person",
            term=f"{row['step']:02d}_{row['step_id']}",
            estimate=row["remaining"],
            n=row["remaining"],
            status=row["status"],
        )
        for row in attrition.iter_rows(named=True)
        if row["remaining"] is not None
    ]
