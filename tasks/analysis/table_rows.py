"""The rows of a registry table that an analysis can use, and why it cannot use the others."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import duckdb
import numpy as np
import polars as pl
from numpy.typing import NDArray

from tasks.analysis.attrition import ATTRITION_SCHEMA
from tasks.analysis.people import BoolArray, FloatArray, IntArray
from tasks.core.duck import identifier, quoted
from tasks.core.results import result_row
from tasks.core.spec import Analysis
from tasks.core.spec.sources import AnalysisTable, TableSource
from tasks.core.spec.table_fields import TableField, fields_used

Connection = duckdb.DuckDBPyConnection
Array = NDArray[Any]
Row = dict[str, object]

REASONS: Mapping[str, tuple[str, str]] = {
    "missing": ("missing", "결측"),
    "not_a_number": ("not a number", "숫자가 아님"),
    "not_a_date": ("not a date", "날짜가 아님"),
    "not_boolean": ("neither yes nor no", "예/아니요 값이 아님"),
    "unknown_code": ("a code the study does not know", "연구에서 정하지 않은 코드"),
    "unknown_level": ("a level the study does not name", "연구에서 정하지 않은 범주"),
    "not_positive": ("not above 0", "0보다 크지 않음"),
    "negative": ("below 0", "음수"),
    "not_whole": ("not a whole number", "정수가 아님"),
    "before_landmark": (
        "followed no longer than the landmark",
        "추적기간이 기준 시점보다 길지 않음",
    ),
    "after_landmark": (
        "of a person not under observation at the landmark",
        "기준 시점에 관찰되지 않은 대상자",
    ),
    "not_after_start": ("ends no later than it starts", "시작보다 늦게 끝나지 않음"),
}


@dataclass(frozen=True, slots=True)
class Loss:
    """Rows that leave for one reason: the first field, in the order of use, that has a fault."""

    field: TableField
    reason: str
    rows: int


@dataclass(frozen=True, slots=True, eq=False)
class TableRows:
    """The usable rows of one analysis, in an order that depends on their content alone."""

    source: TableSource
    analysis: Analysis
    values: Mapping[str, Array]
    delivered: int
    losses: tuple[Loss, ...]

    @property
    def n(self) -> int:
        """How many rows are used."""
        return self.delivered - sum(loss.rows for loss in self.losses)

    def numbers(self, field: str) -> FloatArray:
        """Return a field as numbers, shape (n,)."""
        return np.asarray(self.values[field], dtype=np.float64)

    def labels(self, *fields: str) -> IntArray | None:
        """Return one number for each combination of labels, shape (n,); None without fields."""
        code = np.zeros(self.n, dtype=np.int64)
        for field in fields:
            _, places = np.unique(self.values[field].astype(str), return_inverse=True)
            code = code * (int(places.max(initial=0)) + 1) + places
            code = np.unique(code, return_inverse=True)[1].astype(np.int64)
        return code if fields else None

    def where(self, keep: BoolArray) -> "TableRows":
        """Return the rows where `keep` is True, shape (n,), as if no other had been delivered."""
        values = {name: column[keep] for name, column in self.values.items()}
        return replace(self, values=values, delivered=int(keep.sum()), losses=())

    @property
    def weights(self) -> FloatArray | None:
        """Weights of the rows, if the table has any."""
        return self.numbers("weight") if "weight" in self.values else None

    @property
    def time(self) -> FloatArray:
        """Days at which follow-up, or the interval of a row, ends, shape (n,)."""
        return self.numbers("stop_days" if "stop_days" in self.values else "follow_up_days")

    @property
    def entry(self) -> FloatArray | None:
        """Days after which a row is at risk, shape (n,); None where all are from the start."""
        name = next((n for n in ("start_days", "entry_days") if n in self.values), None)
        return self.numbers(name) if name else None

    @property
    def persons(self) -> IntArray | None:
        """The person of each row where a person has several; None where a row is a person."""
        several = isinstance(self.source, AnalysisTable) and self.source.has_intervals
        return self.labels("person_id") if several else None

    @property
    def clusters(self) -> IntArray | None:
        """The cluster that an analysis names, else the person, of each row; None of neither."""
        named = self.analysis.cluster
        return self.labels(f"label_{named}") if named else self.persons

    @property
    def weights_of_curve(self) -> FloatArray | None:
        """Weights; all 1 where a cluster is named, since robust errors are those of weights."""
        ones = np.ones(self.n) if self.analysis.cluster else None
        return ones if self.weights is None else self.weights

    @property
    def event(self) -> IntArray:
        """How follow-up ended: 0, 1 or 2, shape (n,)."""
        return np.asarray(self.values["event"], dtype=np.int64)

    @property
    def has_event(self) -> BoolArray:
        """True where follow-up ended in the event."""
        return np.asarray(self.event == 1)


def workspace_table(source: TableSource) -> str:
    """Return the name of a source's workspace table."""
    return f"cohort.{identifier(f'source_{source.id}')}"


def read_rows(
    con: Connection, source: TableSource, analysis: Analysis, keep_missing: Sequence[str] = ()
) -> TableRows:
    """Read what an analysis uses of its table; every row is used or counted by its reason.

    Args:
        con: The workspace.
        source: The table.
        analysis: The analysis.
        keep_missing: Fields that a row may lack; beside each stands `<field>__missing`, and where
            it is true the value says nothing.
    """
    fields = fields_used(source, analysis)
    faults = [_fault(field, field.name in keep_missing) for field in fields]
    first = ", ".join(f"'{place}:' || {fault}" for place, fault in enumerate(faults))
    why = f"coalesce({first})" if faults else "null"
    table = workspace_table(source)
    found = con.execute(f"select {why} as why, count(*) from {table} group by 1").fetchall()  # noqa: S608
    losses = [(int(text.split(":")[0]), text.split(":")[1], rows) for text, rows in found if text]
    shown = [text for field in fields for text in _shown(field, field.name in keep_missing)]
    names = ", ".join(shown or ["row_id"])
    used = con.execute(
        f"select {names} from {table} where {why} is null order by row_id"  # noqa: S608
    ).fetchnumpy()
    return TableRows(
        source,
        analysis,
        {name: np.asarray(column) for name, column in used.items()},
        sum(rows for _, rows in found),
        tuple(Loss(fields[place], reason, rows) for place, reason, rows in sorted(losses)),
    )


def _fault(field: TableField, may_be_missing: bool) -> str:
    fault = identifier(f"{field.name}__fault")
    return f"nullif({fault}, 'missing')" if may_be_missing else fault


def _shown(field: TableField, may_be_missing: bool) -> Iterator[str]:
    name = identifier(field.name)
    if not may_be_missing:
        yield name
        return
    empty = quoted(field.levels[0]) if field.levels else "0"
    yield f"coalesce({name}, {empty}) as {name}"
    yield f"{name} is null as {identifier(f'{field.name}__missing')}"


def attrition_of(rows: TableRows) -> pl.DataFrame:
    """Return the attrition of one analysis: rows in, and what is left after each reason."""
    left = rows.delivered
    steps = [_step(rows, 0, "rows", ("Rows of the table", "표의 전체 행"), left, 0)]
    for step, loss in enumerate(rows.losses, start=1):
        left -= loss.rows
        labels = tuple(f"{loss.field.column}: {words}" for words in REASONS[loss.reason])
        step_id = f"{loss.reason}:{loss.field.name}"
        steps.append(_step(rows, step, step_id, labels, left, loss.rows))
    steps.append(_step(rows, len(steps), "used", ("Rows used", "분석에 사용한 행"), left, 0))
    return pl.DataFrame(steps, schema=ATTRITION_SCHEMA)


def _step(
    rows: TableRows, step: int, step_id: str, labels: tuple[str, ...], left: int, lost: int
) -> Row:
    return {
        "arm": rows.analysis.id,
        "step": step,
        "step_id": step_id,
        "label_en": labels[0],
        "label_ko": labels[1],
        "remaining": left,
        "excluded": lost,
        "status": "ok",
    }


def attrition_results(rows: TableRows, attrition: pl.DataFrame) -> list[Row]:
    """Return the same counts as rows of the results table."""
    return [
        result_row(
            "attrition",
            "descriptive",
            "count",
            method="attrition",
            arm=step["arm"],
            population=rows.source.id,
            unit="rows",
            unit_of_analysis="row",
            term=f"{step['step']:02d}_{step['step_id']}",
            estimate=float(step["remaining"]),
            n=step["remaining"],
        )
        for step in attrition.iter_rows(named=True)
    ]
