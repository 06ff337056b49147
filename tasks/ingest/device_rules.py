"""Rules of what a device said: its version is known, its score is a share, its times make sense.

A row that breaks a rule gets a verdict, as in `row_rules`; what is only remarkable is counted.
"""

# ruff: noqa: S608 - only names of the model and quoted names are formatted into SQL

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

import duckdb

from tasks.core.duck import quoted, single
from tasks.ingest.model import Finding
from tasks.ingest.row_rules import StagedTable
from tasks.ingest.rules import finding

Connection = duckdb.DuckDBPyConnection

VERSIONED = ("device_deployment", "device_inference")


@dataclass(frozen=True, slots=True)
class RowRule:
    """Rows of staged.<table> for which `broken` is true get `code`, if `column` was delivered."""

    table: str
    column: str
    code: str
    broken: str


@dataclass(frozen=True, slots=True)
class Remark:
    """A count over loadable tables, told as `code` of `column` of the first one."""

    tables: tuple[str, ...]
    column: str
    code: str
    count: str


_RULES = (
    RowRule("device_inference", "score", "E_AI_SCORE_RANGE", "score not between 0 and 1"),
    RowRule(
        "measurement",
        "value_as_number",
        "E_AI_SCORE_RANGE",
        "measurement_source_value = 'AI_SCORE' and value_as_number not between 0 and 1",
    ),
    # A device with a concept of its own is known without its source value; software is not.
    RowRule(
        "device_exposure",
        "device_source_value",
        "E_DEVICE_VERSION",
        "device_concept_id = 0 and device_source_value is null",
    ),
)
_KNOWN_VERSION = """not exists (
    select 1 from delivery.device_version as known
    where known.udi_di = staged_row.udi_di and known.model_version = staged_row.model_version
)"""
_REMARKS = (
    Remark(
        ("device_inference",),
        "study_id",
        "W_AI_DUPLICATE",
        "select count(*) - count(distinct (study_id, udi_di, model_version, shown)) "
        "from loadable.device_inference",
    ),
    Remark(
        ("device_inference",),
        "inference_datetime",
        "W_AI_LEAK",
        "select count(*) from loadable.device_inference "
        "where inference_datetime < acquisition_datetime",
    ),
    Remark(
        ("device_reading", "device_inference"),
        "reading_datetime",
        "W_AI_LEAK",
        "select count(*) from loadable.device_reading inner join ("
        "select study_id, min(acquisition_datetime) as acquired "
        "from loadable.device_inference group by study_id) using (study_id) "
        "where reading_datetime < acquired",
    ),
)


def judge_device_rows(
    con: Connection, tables: Mapping[str, StagedTable], *, versions_known: bool
) -> None:
    """Judge the staged rows of devices; a row that has a verdict keeps it.

    Args:
        con: The stage, open for writing.
        tables: The staged tables of the model, by name.
        versions_known: Whether `delivery.device_version` says which versions there are.
    """
    rules = list(_RULES)
    if versions_known:
        column, code = "model_version", "E_DEVICE_VERSION"
        rules += [RowRule(table, column, code, _KNOWN_VERSION) for table in VERSIONED]
    for rule in rules:
        table = tables.get(rule.table)
        if table and rule.column in table.columns:
            _judge(con, rule, table)


def _judge(con: Connection, rule: RowRule, table: StagedTable) -> None:
    con.execute(f"""
        insert into delivery.verdict
        select {quoted(rule.table)}, _row, {quoted(rule.code)}, {quoted(rule.column)}
        from staged.{rule.table} as staged_row
        anti join {table.verdicts} as v on v.row = _row
        where _fault is null and {rule.broken}
    """)


def collect_versions(con: Connection, versions: StagedTable) -> None:
    """Add the versions of staged.device_version that will be loaded to those that are known."""
    con.execute(f"""
        insert into delivery.device_version
        select udi_di, model_version from staged.device_version
        anti join {versions.verdicts} as v on v.row = _row
        where _fault is null
    """)


def device_remarks(
    con: Connection, table: str, file: str, tables: Collection[str]
) -> Iterator[Finding]:
    """Return what is remarkable about the loadable rows of one table, in counts."""
    for remark in _REMARKS:
        if remark.tables[0] == table and set(remark.tables) <= set(tables):
            count = single(con, remark.count)
            if count:
                yield finding(remark.code, file, column=remark.column, count=f"{count:,}")
